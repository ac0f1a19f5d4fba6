//! What is redacted and what is not: samples of every format, known secrets in every form, and innocent texts.

use crate::samples::{chance, samples};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use loom_host::redact::Redactor;
use loom_host::secrets::Secret;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Instant;

/// A secret with everything in it that other forms write otherwise.
const SECRET: &str = "Tr0ub4dor & 3/?\"+ü-known";

fn knowing(secret: &str) -> Redactor {
    let secret = Secret::new(secret.to_string());
    Redactor::new([("mine", &secret)])
}

#[test]
fn every_format_is_found_wherever_it_stands() {
    let redactor = Redactor::default();
    let mut rules = BTreeSet::new();
    for (rule, before, secret, behind) in samples() {
        rules.insert(rule.to_string());
        let fits = |place: &str| if place.ends_with("%20") && !before.is_empty() { "" } else { place }.to_string();
        for place in ["", "say ", "\"", "line\n", "\\n", "\\u0020", "%20", "\u{1b}[31m", "x=1;", "("].map(fits) {
            let text = format!("{place}{before}{secret}{behind} and more");
            let clean = redactor.text(&text);
            assert!(!clean.contains(&secret), "{rule}: {text}");
            assert!(clean.contains("[redacted: "), "{rule}: {text}");
            assert!(clean.ends_with(" and more"), "{rule}: {clean}");
        }
        let told = redactor.text(&format!("{before}{secret}{behind}")).into_owned();
        assert!(told.contains(&format!("[redacted: {rule}]")), "{rule}: {told}");
        assert_eq!(redactor.text(&told), told, "{rule}: once is enough");
    }
    let document: toml::Table = include_str!("../../src/redact/rules.toml").parse().unwrap();
    let names = document["rule"].as_array().unwrap().iter().map(|rule| rule["name"].as_str().unwrap().to_string());
    assert_eq!(names.collect::<BTreeSet<_>>(), rules, "every rule has a sample");
}

#[test]
fn half_a_token_and_a_word_for_a_secret_are_none() {
    let redactor = Redactor::default();
    for text in [
        "ghp_short",
        "the sk- prefix",
        "password = \"\"",
        "let token = parse_token(input);",
        "secret: &Secret, token: TokenStream2,",
        "max_tokens = 4_000_000",
        "\"tokens_in\": 123456789, \"tokens_out\": 12",
        "credential = \"secret:main\"",
        "password: [redacted: mine]",
        "tokens: 12_000 of 400_000",
        "secret_file = \"/etc/keys/2026-11-21/main-01.pem\"",
        "token_url = \"https://auth2.example/v1/oauth2/token3\"",
        "-----BEGIN PUBLIC KEY-----",
        "a `-----BEGIN RSA PRIVATE KEY-----` line is what it looks for, and it ends there.",
        "https://example.com:8080/a@b",
        "git@github.com:someone/notes.git",
        "ssh://git@example.com:22/x",
    ] {
        assert_eq!(redactor.text(text), text);
    }
}

#[test]
fn digests_and_names_by_chance_are_left_alone() {
    let redactor = knowing(SECRET);
    let hex = |length| chance("0123456789abcdef", length);
    let uuid = format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12));
    let base64 = BASE64.encode(chance("abcdefgh0123456789\u{7f}", 3000).as_bytes());
    let texts = [
        format!("commit {}\nparent {}\n", hex(40), hex(40)),
        format!("index {}..{} 100644", hex(7), hex(7)),
        format!("blake3 {} sha512-{}", hex(64), BASE64.encode(chance("abc123", 64).as_bytes())),
        format!("id = \"{uuid}\""),
        format!("![image](data:image/png;base64,{base64})"),
        format!("checksum = \"{}\"", hex(64)),
        format!(
            "\"integrity\": \"sha512-{}==\",\n\"resolved\": \"https://registry.example/js-tokens/-/js-tokens-4.0.0.tgz\"",
            chance("abcXYZ019+/", 86)
        ),
        "\"js-tokens\": \"^3.0.0 || ^4.0.0\",\n\"node_modules/tokenizers\": {\n  \"version\": \"1.2.3\"".to_string(),
        format!("golang.org/x/oauth2 v0.21.0 h1:{}=", chance("abcXYZ019+/", 43)),
        include_str!("../../../Cargo.lock").to_string(),
        include_str!("../../../specs/vectors/events.jsonl").to_string(),
    ];
    for text in texts {
        let clean = redactor.text(&text);
        let at = text.bytes().zip(clean.bytes()).position(|(a, b)| a != b).unwrap_or(0);
        let around = |text: &str| text.chars().skip(at.saturating_sub(60)).take(160).collect::<String>();
        assert!(clean == text, "{}\n{}", around(&text), around(&clean));
    }
}

/// Returns the forms in which a program could print a secret, around it what else stands in the same text.
fn printed(secret: &str) -> Vec<String> {
    let encoded = |text: &str| {
        let bytes = text.as_bytes();
        let address = |is_small: bool| -> String {
            let percent = |byte: &u8| match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => char::from(*byte).to_string(),
                byte if is_small => format!("%{byte:02x}"),
                byte => format!("%{byte:02X}"),
            };
            bytes.iter().map(percent).collect()
        };
        [
            text.to_string(),
            serde_json::to_string(text).unwrap(),
            BASE64.encode(bytes),
            BASE64URL_NOPAD.encode(bytes),
            HEXLOWER.encode(bytes),
            HEXUPPER.encode(bytes),
            address(false),
            address(true),
            address(false).replace("%20", "+"),
        ]
    };
    ["", "a", "ab", "abc", "name:"].iter().flat_map(|before| encoded(&format!("{before}{secret}{before}"))).collect()
}

/// What is left of a secret that tells some of it: eight letters of any of its forms.
fn leaks(secret: &str, clean: &str) -> Option<String> {
    let plain: Vec<String> =
        vec![secret.to_string(), BASE64.encode(secret.as_bytes()), HEXLOWER.encode(secret.as_bytes())];
    plain.iter().find_map(|form| {
        let bytes = form.as_bytes();
        let part = bytes.windows(8).find(|part| clean.as_bytes().windows(8).any(|found| found == *part))?;
        Some(String::from_utf8_lossy(part).into_owned())
    })
}

#[test]
fn a_known_secret_is_found_in_every_form() {
    for secret in [SECRET, "plain-value-without-any-turn", "x y z 1 2 3"] {
        let redactor = knowing(secret);
        for text in printed(secret) {
            let clean = redactor.text(&text);
            assert!(clean.contains("[redacted: mine]"), "{text}");
            assert_eq!(leaks(secret, &clean), None, "{text}: {clean}");
        }
        assert_eq!(redactor.text("nothing of it"), "nothing of it");
    }
}

#[test]
fn a_known_secret_goes_before_what_it_looks_like() {
    let secret = format!("ghp_{}", chance("abcdefXYZ0189", 36));
    let text = format!("token = \"{secret}\"");
    assert_eq!(Redactor::default().text(&text), "token = \"[redacted: github-token]\"");
    assert_eq!(knowing(&secret).text(&text), "token = \"[redacted: mine]\"");
    let short = Secret::new("of".to_string());
    assert_eq!(Redactor::new([("short", &short)]).text("a lot of words"), "a lot of words");
}

#[test]
fn a_redactor_shows_no_secret() {
    assert_eq!(format!("{:?}", Redactor::default()), "Redactor { secrets: 0 }");
    assert!(!format!("{:?}", knowing(SECRET)).contains("Tr0ub"));
}

/// The rates that it prints are of the build that the tests are made of.
#[test]
fn a_long_output_takes_time_in_step_with_its_length() {
    let redactor = knowing(SECRET);
    for (what, line) in [
        ("source", include_str!("../../src/engine.rs")),
        (
            "words for secrets",
            "    let token = secret.password(&api_key, credential); // eyJ0 sk- ghp_ AKIA :// -----BEGIN \n",
        ),
        ("the worst of words", "token=token=token="),
        ("the worst of starts", "eyJeyJeyJeyJ -----BEGIN RSA PRIVATE KEY-----"),
        ("nothing", "....................................................................................\n"),
    ] {
        let time = |bytes: usize| {
            let text = line.repeat(bytes / line.len() + 1);
            // The best of some: others use the machine, too.
            let once = || {
                let began = Instant::now();
                assert_eq!(redactor.text(&text), text);
                began.elapsed()
            };
            ((0..4).map(|_| once()).min().unwrap(), text.len())
        };
        time(64 * 1024);
        let ((little, _), (much, bytes)) = (time(256 * 1024), time(1024 * 1024));
        println!("{what}: {:.1} MB/s", bytes as f64 / 1e6 / much.as_secs_f64());
        assert!(much < little * 24, "{what}: {little:?}, {much:?}");
    }
}

proptest! {
    #[test]
    fn a_text_without_a_secret_passes_unchanged(words in prop::collection::vec("[ -9<-`a-z{-~\u{a0}-\u{ff}\n]{0,30}", 0..40)) {
        // None of these words stands beside a `:` or `=` with chance behind it, for there is no digit and no capital.
        let text = words.join(" ").replace(|c: char| c.is_ascii_digit() || c == '@', "");
        let redactor = knowing(SECRET);
        prop_assert_eq!(redactor.text(&text), text.as_str());
    }

    #[test]
    fn bytes_that_are_no_text_pass_unchanged(bytes in prop::collection::vec(0x80..=0xff_u8, 0..2000)) {
        let redactor = knowing(SECRET);
        let clean = redactor.bytes(&bytes).into_owned();
        prop_assert_eq!(clean, bytes);
    }

    #[test]
    fn a_known_secret_never_comes_through(
        secret in "[!-~]{8,60}", before in "[ -~\n]{0,40}", behind in "[ -~\n]{0,40}", form in 0..6_usize,
    ) {
        let text = format!("{before}{secret}{behind}");
        let bytes = text.as_bytes();
        let text = match form {
            0 => text,
            1 => BASE64.encode(bytes),
            2 => BASE64URL_NOPAD.encode(bytes),
            3 => HEXLOWER.encode(bytes),
            4 => HEXUPPER.encode(bytes),
            _ => serde_json::to_string(&text).unwrap(),
        };
        let redactor = knowing(&secret);
        let clean = redactor.text(&text).into_owned();
        prop_assert!(clean.contains("[redacted: mine]"), "{}", clean);
    }
}
