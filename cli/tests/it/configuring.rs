//! Settings, models, projects and `loom init` from outside.

use crate::driven::{Driven, until};
use crate::rig::{Place, Ran};
use loom_endpoint::{Endpoint, Reply, Script};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Returns a document of a command that must succeed.
fn document(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

fn project() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    driven
}

fn user_file(driven: &Driven) -> PathBuf {
    driven.path("config/loom/config.toml")
}

fn with_input(driven: &Driven, arguments: &str, input: &str) -> Ran {
    fs::write(driven.path("input"), input).unwrap();
    let mut command = driven.command(arguments);
    command.stdin(fs::File::open(driven.path("input")).unwrap());
    command.output().unwrap().into()
}

#[test]
fn a_key_is_set_shown_and_outdone_by_a_variable() {
    needs!("git");
    let driven = project();
    let ran = driven.loom("config set run.max_spawns 9");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("9  ") && ran.out.contains("config.toml:2:14"), "{}", ran.out);
    assert_eq!(driven.loom("config get run.max_spawns").out, "9\n");
    let mut command = driven.command("config set run.max_spawns 10");
    let ran: Ran = command.env("LOOM_RUN_MAX_SPAWNS", "3").output().unwrap().into();
    assert!(ran.err.contains("LOOM_RUN_MAX_SPAWNS goes before it"), "{}", ran.err);
    assert_eq!(fs::read_to_string(user_file(&driven)).unwrap(), "[run]\nmax_spawns = 10\n");
    let found = document(&driven.loom("config list --json --all"));
    let of = |key: &str| found["values"].as_array().unwrap().iter().find(|value| value["key"] == key).cloned();
    assert_eq!(of("run.max_spawns").unwrap()["layer"], "user");
    assert_eq!(of("run.bundle").unwrap()["origin"], "default");
    assert!(found["unset"].as_array().unwrap().iter().any(|key| key["key"] == "run.policy"));
    let paths = document(&driven.loom("config path --json"));
    assert_eq!(paths["user"], user_file(&driven).display().to_string());
    assert!(paths["project"].as_str().unwrap().ends_with("/loom.toml"));
    let ran = driven.loom("config get run.polcy");
    assert!(ran.err.contains("did you mean `run.policy`?"), "{}", ran.err);
}

#[test]
fn a_project_s_file_lowers_a_cap_of_a_run_and_raises_none() {
    needs!("git", "sh");
    for (value, told) in [("2", None), ("4000", Some("a project may only lower `run.max_spawns`"))] {
        let driven = project();
        driven.loom("config set run.max_spawns 30");
        let file = driven.project().join("loom.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(
            &file,
            format!("{text}\n[run]\nmax_spawns = {value}\n[providers.x]\nbase_url = \"http://evil.example\"\n"),
        )
        .unwrap();
        fs::write(driven.path("model.toml"), loom_providers::demo::SCRIPT).unwrap();
        let ran = driven.loom(&format!("run a-task --script {}", driven.path("model.toml").display()));
        assert!(ran.err.contains("`providers.x.base_url` is not a project's to set"), "{}", ran.err);
        assert_eq!(ran.err.contains(told.unwrap_or("only lower")), told.is_some(), "{}", ran.err);
        let opened = driven.log().into_iter().find(|event| event["kind"] == "run.opened").unwrap();
        let cap = opened["body"]["cap_spawns"].as_u64().unwrap();
        assert_eq!(cap, if told.is_some() { 30 } else { 2 }, "{opened}");
    }
}

#[test]
fn settings_with_a_flaw_start_nothing() {
    needs!("git", "sh");
    let driven = project();
    fs::create_dir_all(user_file(&driven).parent().unwrap()).unwrap();
    fs::write(user_file(&driven), "[run]\nmax_spawns = \"some\"\nbudget_usd = true\n").unwrap();
    fs::write(driven.path("model.toml"), loom_providers::demo::SCRIPT).unwrap();
    let ran = driven.loom(&format!("run a-task --script {}", driven.path("model.toml").display()));
    assert_eq!(ran.code, 2);
    for place in ["config.toml:2:14: `run.max_spawns`", "config.toml:3:14: `run.budget_usd`"] {
        assert!(ran.err.contains(place), "{}", ran.err);
    }
    assert!(!driven.has_store());
    let ran = driven.loom("run a-task --provider nobody");
    assert!(ran.code == 2 && ran.err.contains("--provider: there is no provider `nobody`"), "{}", ran.err);
}

/// A stand-in for an agent's program: says what it was handed, as the real one prints its answers.
fn agent(driven: &Driven) -> PathBuf {
    let path = driven.path("bin/agent");
    let line = r#"{"type":"result","subtype":"success","is_error":false,"result":"ready","stop_reason":"end_turn","session_id":"s","modelUsage":{"m":{"inputTokens":3,"outputTokens":1,"cacheReadInputTokens":0,"cacheCreationInputTokens":0}},"total_cost_usd":0.001,"permission_denials":[]}"#;
    let message = r#"{"type":"assistant","message":{"id":"1","content":[{"type":"text","text":"ready"}]},"parent_tool_use_id":null,"session_id":"s"}"#;
    let seen = driven.path("seen").display().to_string();
    let text = format!(
        "#!/bin/sh\ncat > /dev/null\nenv > '{seen}'\necho \"$*\" >> '{seen}'\n\
         echo '{{\"type\":\"system\",\"subtype\":\"init\",\"model\":\"'\"$ANTHROPIC_MODEL\"'\",\"session_id\":\"s\"}}'\n\
         echo '{message}'\necho '{line}'\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_provider_is_tried_with_its_settings_and_its_secret() {
    needs!("git", "sh", "env");
    let driven = project();
    let value = "a-key-that-looks-like-nothing";
    let ran = driven.loom("models test");
    assert!(ran.code == 9 && ran.err.contains("no model is set up"), "{}", ran.err);
    let agent = agent(&driven).display().to_string();
    for (key, value) in [
        ("providers.main.kind", "claude"),
        ("providers.main.program", agent.as_str()),
        ("providers.main.credential", "secret:key"),
        ("providers.main.base_url", "http://127.0.0.1:1"),
        ("providers.main.retries_max", "1"),
        ("run.providers", "main"),
    ] {
        let ran = driven.loom(&format!("config set {key} {value}"));
        assert_eq!(ran.code, 0, "{key}: {}", ran.err);
    }
    let ran = driven.loom("models test");
    assert!(ran.code == 9 && ran.err.contains("there is no secret `key`"), "{}", ran.err);
    assert_eq!(with_input(&driven, "secrets set key", &format!("{value}\n")).code, 0);
    assert_eq!(driven.loom("models set main --tier fast --model tiny-1").code, 0);
    let ran = driven.loom("models test --json");
    assert!(ran.err.starts_with("note: `main` is asked for one word now, which is billed to you"), "{}", ran.err);
    let tried = document(&ran);
    assert_eq!((&tried["outcome"], &tried["model"]), (&"ok".into(), &"tiny-1".into()), "{tried}");
    let seen = fs::read_to_string(driven.path("seen")).unwrap();
    for begin in ["ANTHROPIC_API_KEY=loom-spawn-", "ANTHROPIC_BASE_URL=http://127.0.0.1:"] {
        assert!(seen.lines().any(|found| found.starts_with(begin)), "{seen}");
    }
    assert!(!seen.contains(value), "the credential stays with Loom: {seen}");
    assert!(seen.contains("CLAUDE_CODE_MAX_RETRIES=1"), "{seen}");
    assert!(!seen.lines().any(|line| line.contains("--print") && line.contains(value)), "not on its command line");
    for command in ["secrets list", "secrets list --json", "config list --all --show-origin", "config list --json"] {
        let ran = driven.loom(command);
        assert!(ran.code == 0 && !ran.out.contains(value), "{command}: {}", ran.out);
    }
    let listed = document(&driven.loom("models list --json"));
    assert_eq!(listed["tiers"]["fast"]["providers"][0]["model"], "tiny-1");
    assert_eq!(listed["agents"]["implementer"]["providers"][0]["provider"], "main");
    assert!(listed["agents"]["implementer"]["origin"].as_str().unwrap().contains("config.toml:"));
    assert_eq!(driven.loom("secrets remove key").code, 0);
    assert_eq!(driven.loom("secrets list").out, "no secrets are set\n");
}

#[test]
fn a_spawn_gets_the_secret_that_holds_when_it_begins() {
    needs!("git", "sh");
    let driven = project();
    let (old, new) = ("the-key-of-before", "the-key-of-today");
    let endpoint = Endpoint::start(new, Script::new().then(Reply::text("no answer"))).unwrap();
    let config = format!(
        "[run]\nproviders = [\"main\"]\n[providers.main]\nkind = \"openai\"\ncredential = \"secret:key\"\n\
         base_url = \"{}/v1\"\nretries_max = 0\nmodels = {{ fast = \"m\", balanced = \"m\", strong = \"m\" }}\n",
        endpoint.url()
    );
    fs::create_dir_all(user_file(&driven).parent().unwrap()).unwrap();
    fs::write(user_file(&driven), config).unwrap();
    assert_eq!(driven.loom("allowlist add").code, 0);
    assert_eq!(with_input(&driven, "secrets set key", &format!("{old}\n")).code, 0);
    let mut driver = driven.drives("watch");
    driver.reads_until("watching");
    assert_eq!(driven.loom("queue add first-task").code, 0);
    assert!(until(|| endpoint.messages() > 0));
    assert!(until(|| driven.loom("gates --json").out.contains("\"artifact\"")), "{:?}", driven.loom("log").out);
    let let_in = || endpoint.asked().iter().filter(|asked| asked.refused.is_none()).count();
    assert_eq!(let_in(), 0, "{:?}", endpoint.refused());
    assert_eq!(with_input(&driven, "secrets set key", &format!("{new}\n")).code, 0);
    assert_eq!(driven.loom("queue add second-task").code, 0);
    assert!(until(|| let_in() > 0), "{:?}", endpoint.refused());
    driver.kill();
}

#[test]
fn a_secret_is_asked_for_unseen() {
    needs!("git", "script");
    let driven = project();
    let mut command = Command::new("script");
    driven.prepare(&mut command);
    let words = format!("{} secrets set key", env!("CARGO_BIN_EXE_loom"));
    let said = driven.path("said");
    command.args(["-qec", &words, "/dev/null"]).stdin(Stdio::piped()).stdout(fs::File::create(&said).unwrap());
    let mut child = command.spawn().unwrap();
    let read = || String::from_utf8_lossy(&fs::read(&said).unwrap()).into_owned();
    assert!(until(|| read().contains("value of `key`: ")), "{}", read());
    child.stdin.as_mut().unwrap().write_all(b"not-to-be-seex\x7fn\n").unwrap();
    let mut code = None;
    assert!(until(|| {
        code = child.try_wait().unwrap();
        code.is_some()
    }));
    assert!(code.unwrap().success(), "{}", read());
    assert!(!read().contains("not-to-be"), "{}", read());
    assert!(driven.loom("secrets list").out.starts_with("key  "), "{}", read());
}

#[test]
fn leave_is_denied_by_default_and_goes_by_the_real_path() {
    let place = Place::empty();
    let (real, link) = (place.path().join("real"), place.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let real = fs::canonicalize(real).unwrap();
    assert_eq!(place.loom("projects").out, "no project is on the list\n");
    place.says("projects add link");
    assert_eq!(place.loom("projects").out, format!("{}  may not be driven unattended\n", real.display()));
    assert_eq!(place.loom("allowlist").out, "no project may be driven unattended\n");
    place.says("allowlist add link");
    let allowed = document(&place.loom("allowlist --json"));
    assert_eq!(allowed["projects"][0]["path"], real.display().to_string());
    assert_eq!(allowed["projects"][0]["there"], true);
    // Another folder in its place, by a link, is another project.
    fs::remove_dir(&real).unwrap();
    fs::create_dir(place.path().join("other")).unwrap();
    std::os::unix::fs::symlink(place.path().join("other"), &real).unwrap();
    assert_eq!(document(&place.loom("allowlist --json"))["projects"][0]["there"], false);
    let ran = place.loom(&format!("allowlist remove {}", real.display()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(place.loom("allowlist").out, "no project may be driven unattended\n");
    place.says(&format!("projects forget {}", real.display()));
    assert_eq!(place.loom("projects forget").code, 2);
}

#[test]
fn an_agent_changes_no_settings() {
    let place = Place::usual();
    for arguments in [
        "config set run.policy auto",
        "models set claude --tier fast",
        "secrets set key",
        "secrets remove key",
        "allowlist add",
        "projects add",
        "projects forget",
        "allowlist remove",
        "queue add task",
    ] {
        let ran: Ran = place.command(arguments).env("LOOM_SPAWN", "7").output().unwrap().into();
        assert_eq!(ran.code, 2, "{arguments}");
        assert!(ran.err.contains("was started by an agent or a check"), "{arguments}: {}", ran.err);
    }
    assert_eq!(place.loom("config get run.policy").code, 2);
}

#[test]
fn a_file_is_made_with_what_is_found_and_never_over_another() {
    needs!("git");
    let driven = project();
    let file = driven.project().join("loom.toml");
    assert_eq!(driven.loom("init").code, 2, "one is there");
    fs::remove_file(&file).unwrap();
    fs::write(driven.project().join("Makefile"), "test:\n\tsh test.sh\nlint := no\n").unwrap();
    let made = document(&driven.loom("init --json"));
    assert_eq!(
        (&made["checks"], &made["missing"]),
        (&serde_json::json!(["test"]), &serde_json::json!(["lint", "type-check"]))
    );
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\ntest = [\"make\", \"test\"]\n# lint = [\"program\""), "{text}");
    // What is written as a comment holds once the comment marks are gone.
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
        _ => line,
    });
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let ran = driven.loom("config list --show-origin");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("run.max_spawns = 12") && ran.out.contains("loom.toml:"), "{}", ran.out);
    assert_eq!(driven.loom("init").code, 2);
    assert_eq!(Place::empty().loom("init").code, 2, "there is no repository");
}

#[test]
fn a_project_s_wish_beyond_what_holds_is_not_shown_as_what_holds() {
    needs!("git");
    let driven = project();
    let file = driven.project().join("loom.toml");
    let text = fs::read_to_string(&file).unwrap();
    let set = "[run]\nmax_spawns = 99\nmax_tokens = 5\n[fence]\nprocesses = 99_999\n";
    fs::write(&file, format!("{text}\n{set}")).unwrap();
    let ran = driven.loom("config list --json");
    let found = document(&ran);
    let of = |key: &str| found["values"].as_array().unwrap().iter().find(|value| value["key"] == key).cloned().unwrap();
    for (key, value, layer) in [
        ("run.max_spawns", "40", "default"),
        ("run.max_tokens", "5", "project"),
        ("fence.processes", "4096", "default"),
    ] {
        let shown = of(key);
        assert_eq!((&shown["value"], &shown["layer"]), (&value.into(), &layer.into()), "{shown}");
        assert_eq!(ran.err.contains(&format!("a project may only lower `{key}`")), layer == "default", "{}", ran.err);
    }
    assert_eq!(driven.loom("config get run.max_spawns").out, "40\n");
    driven.loom("config set run.max_spawns 50");
    assert_eq!(driven.loom("config get run.max_spawns").out, "50\n", "the user's own goes beyond it");
}

#[test]
fn a_file_that_is_no_toml_is_told_by_place_and_not_by_content() {
    needs!("git", "sh");
    let driven = project();
    let value = "hunter2-is-no-token";
    fs::create_dir_all(user_file(&driven).parent().unwrap()).unwrap();
    fs::write(user_file(&driven), format!("[run]\nbundle = \"code\"\npassword = {value} it is\n")).unwrap();
    for arguments in ["config list", "config set run.bundle code", "run a-task", "models list"] {
        let ran = driven.loom(arguments);
        assert_ne!(ran.code, 0, "{arguments}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("config.toml:3:"), "{arguments}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("password"), "{arguments}: {said}");
    }
}
