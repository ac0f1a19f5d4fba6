//! Made secrets of every format that is known: put together from pieces, so that nobody takes them for real ones.

/// Returns `length` letters that look like chance, always the same.
pub(crate) fn chance(letters: &str, length: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        letters[usize::try_from(state >> 33).unwrap() % letters.len()]
    };
    (0..length).map(next).collect()
}

const WORD: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const HEX: &str = "0123456789abcdef";
const CAPITAL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+";

/// Returns samples: the rule, what stands before the secret, the secret, what stands behind it.
pub(crate) fn samples() -> Vec<(&'static str, String, String, String)> {
    let mut samples = Vec::new();
    let plain: &[(&str, &str, &str, usize)] = &[
        ("anthropic-key", "sk-ant-api03-", WORD, 95),
        ("anthropic-key", "sk-ant-oat01-", WORD, 95),
        ("openrouter-key", "sk-or-v1-", HEX, 64),
        ("openai-key", "sk-proj-", WORD, 120),
        ("openai-key", "sk-svcacct-", WORD, 60),
        ("openai-key", "sk-", WORD, 48),
        ("github-token", "ghp_", WORD, 36),
        ("github-token", "ghs_", WORD, 36),
        ("github-token", "github_pat_", WORD, 82),
        ("gitlab-token", "glpat-", WORD, 20),
        ("gitlab-token", "glrt-", WORD, 20),
        ("aws-key-id", "AKIA", CAPITAL, 16),
        ("google-api-key", "AIza", WORD, 35),
        ("google-oauth-token", "ya29.", WORD, 60),
        ("google-oauth-secret", "GOCSPX-", WORD, 28),
        ("azure-client-secret", "8Q~", WORD, 34),
        ("slack-token", "xoxb-", WORD, 50),
        ("slack-token", "xapp-1-", WORD, 50),
        ("stripe-key", "sk_live_", WORD, 24),
        ("stripe-key", "rk_test_", WORD, 24),
        ("webhook-secret", "whsec_", WORD, 32),
        ("npm-token", "npm_", WORD, 36),
        ("pypi-token", "pypi-AgEIcHlwaS5vcmc", WORD, 80),
        ("cargo-token", "cio", WORD, 32),
        ("huggingface-token", "hf_", "abcdefghijklmnopqrstuvwxyz", 34),
        ("groq-key", "gsk_", WORD, 52),
        ("xai-key", "xai-", WORD, 80),
        ("digitalocean-token", "dop_v1_", HEX, 64),
        ("vault-token", "hvs.", WORD, 90),
        ("docker-token", "dckr_pat_", WORD, 27),
        ("shopify-token", "shpat_", HEX, 32),
        ("linear-key", "lin_api_", WORD, 40),
        ("age-key", "AGE-SECRET-KEY-1", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    ];
    for (rule, prefix, letters, length) in plain {
        samples.push((*rule, String::new(), format!("{prefix}{}", chance(letters, *length)), String::new()));
    }
    let in_context: &[(&str, &str, String, &str)] = &[
        ("aws-secret-key", "aws_secret_access_key = ", chance(BASE64, 40), ""),
        ("aws-secret-key", "\"SecretAccessKey\": \"", chance(BASE64, 40), "\","),
        ("azure-storage-key", "AccountName=x;AccountKey=", format!("{}==", chance(BASE64, 86)), ";End"),
        ("azure-sas", "?sv=2022&sig=", format!("{}%3D", chance(WORD, 43)), "&se=1"),
        ("slack-webhook", "https://hooks.slack.com/services/", format!("T01ABC/B02DEF/{}", chance(WORD, 24)), ""),
        ("npm-token", "//registry.example/:_authToken=", chance(WORD, 40), ""),
        ("sendgrid-key", "", format!("SG.{}.{}", chance(WORD, 22), chance(WORD, 43)), ""),
        ("jwt", "", ["eyJ", ".eyJ", "."].map(|start| format!("{start}{}", chance(WORD, 40))).concat(), ""),
        ("url-password", "postgres://someone:", "pa55-word".to_string(), "@db.example/notes"),
        ("authorization", "Authorization: Bearer ", chance(WORD, 30), ""),
        ("authorization", "-H 'authorization: Basic ", format!("{}==", chance(WORD, 22)), "'"),
        ("authorization", "a bearer ", chance(WORD, 40), " was sent"),
        ("assigned-secret", "password = \"", "hunter2hunter3".to_string(), "\""),
        ("assigned-secret", "DB_PASSWORD=", "s3cr3t-v4lue".to_string(), ""),
        ("assigned-secret", "\\\"api_key\\\": \\\"", chance(HEX, 32), "\\\""),
        ("assigned-secret", "my-token: ", chance(WORD, 24), ""),
        ("assigned-secret", "client_secret => '", chance(WORD, 40), "'"),
    ];
    for (rule, before, secret, behind) in in_context {
        samples.push((*rule, before.to_string(), secret.clone(), behind.to_string()));
    }
    for (ends, kind) in [("\n", "RSA "), ("\\n", ""), ("\n+", "OPENSSH ")] {
        let lines: Vec<String> = [64, 64, 30].map(|length| chance(BASE64, length)).into();
        let (begin, end) = (format!("-----BEGIN {kind}PRIVATE KEY-----"), format!("-----END {kind}PRIVATE KEY-----"));
        let key = format!("{begin}{ends}{}{ends}{end}", lines.join(ends));
        samples.push(("private-key", String::new(), key, String::new()));
        let cut = format!("{begin}\n{}\n", lines.join("\n"));
        samples.push(("private-key", "cut: ".to_string(), cut, "\n!".to_string()));
    }
    samples
}
