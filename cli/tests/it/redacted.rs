//! No secret reaches the record: a whole run whose model, checks, task and notes are full of them.

use crate::driven::{Driven, until};
use crate::samples::samples;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use loom_providers::demo;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// A secret that the user has set, and that looks like none.
const SECRET: &str = "plain words / of a secret";

/// Returns everything that must not be on record.
fn forbidden() -> Vec<String> {
    let bytes = SECRET.as_bytes();
    let forms = [
        SECRET.to_string(),
        BASE64.encode(bytes),
        // What is left of it in the middle of another text.
        BASE64.encode(format!("a{SECRET}").as_bytes())[4..30].to_string(),
        BASE64URL_NOPAD.encode(format!("ab{SECRET}").as_bytes())[4..30].to_string(),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes),
        SECRET.replace(' ', "%20").replace('/', "%2F"),
        SECRET.replace(' ', "+").replace('/', "%2f"),
    ];
    samples().into_iter().map(|(_, _, secret, _)| secret).chain(forms).collect()
}

/// Returns a text with all of it.
fn leak() -> String {
    let bytes = SECRET.as_bytes();
    let mut text: String =
        samples().into_iter().map(|(_, before, secret, behind)| format!("{before}{secret}{behind}\n")).collect();
    for form in [
        SECRET.to_string(),
        BASE64.encode(bytes),
        BASE64.encode(format!("a{SECRET}").as_bytes()),
        BASE64URL_NOPAD.encode(format!("ab{SECRET}").as_bytes()),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes),
        SECRET.replace(' ', "%20").replace('/', "%2F"),
        SECRET.replace(' ', "+").replace('/', "%2f"),
    ] {
        text.push_str(&format!("here: {form}\n"));
    }
    text
}

/// Returns what of it stands in bytes.
fn found(bytes: &[u8]) -> Vec<String> {
    let stands = |secret: &String| bytes.windows(secret.len()).any(|found| found == secret.as_bytes());
    forbidden().into_iter().filter(stands).collect()
}

fn commit(driven: &Driven, files: &[(&str, &str)]) {
    for (name, content) in files {
        fs::write(driven.project().join(name), content).unwrap();
    }
    let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
    for words in [&["add", "--all"][..], &["commit", "-q", "-m", "more"]] {
        let mut git = Command::new("git");
        assert!(git.current_dir(driven.project()).args(who).args(words).status().unwrap().success());
    }
}

fn set_secret(driven: &Driven, name: &str, value: &str) {
    let mut command = driven.command(&format!("secrets set {name}"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Returns every file below a folder with its bytes.
fn files(folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&path, into),
            kind if kind.is_file() => into.push((path.display().to_string(), fs::read(&path).unwrap())),
            _ => {}
        }
    }
}

/// Returns the demo's script with the leak in whatever a model can write.
fn script() -> String {
    let leak = leak();
    let inner = |text: &str| {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_string()
    };
    // A finding's texts may have 2,000 bytes.
    let some: String = leak.lines().take(6).chain([SECRET]).map(|line| format!("{line}\n")).collect();
    let (all, some) = (inner(&leak), inner(&some));
    let edit = format!("[[turn.edit]]\nappend = \"leak.txt\"\ncontent = '''\n{leak}'''\n\n[[turn.edit]]\n");
    demo::SCRIPT
        // This one may have 1,000 bytes.
        .replace("\"standard\",\n  \"summary\": \"", &format!("\"standard\",\n  \"summary\":  \"{some} "))
        .replace("\"path\": \"notes.sh\"", &format!("\"path\": \"notes.sh {SECRET}\""))
        .replace("say = '''\n", &format!("say = '''\n{leak}\n"))
        .replace("\n  \"summary\": \"", &format!("\n  \"summary\": \"{all} "))
        .replace("\n      \"summary\": \"", &format!("\n      \"summary\": \"{some} "))
        .replace("\n      \"evidence\": \"", &format!("\n      \"evidence\": \"{some} "))
        .replacen("[[turn.edit]]\n", &edit, 1)
}

#[test]
fn no_secret_reaches_the_record_and_no_file_is_altered() {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    let checks =
        "[checks]\nlint = [\"cat\", \"leak.txt\"]\ntest = [\"sh\", \"test.sh\"]\ntype-check = \"not-applicable\"\n";
    commit(&driven, &[("leak.txt", &leak()), ("loom.toml", checks)]);
    set_secret(&driven, "mine", &format!("{SECRET}\n"));
    fs::write(driven.path("model.toml"), script()).unwrap();
    fs::write(driven.path("task.txt"), format!("{}\n{}", demo::TASK, leak())).unwrap();
    let path = |name: &str| driven.path(name).display().to_string();
    let model = format!("--script {}", path("model.toml"));
    let mut said = Vec::new();
    let mut loom = |arguments: &str, more: &[&str], code: i32| {
        let ran = driven.command(arguments).args(more).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{arguments}: {err}");
        said.push((format!("what {arguments} says"), ran.stdout));
        said.push((format!("the talk of {arguments}"), ran.stderr));
    };
    let run = format!("run --file {} {model} --policy review-final --request-id once", path("task.txt"));
    loom(&run, &[], 3);
    // The same request is the same run: what was taken out of it is taken out again.
    loom(&run, &[], 3);
    let note = format!("see {SECRET}");
    loom(&format!("steer run:last {model}"), &[&note], 0);
    loom(&format!("answer run:last accept {model}"), &["-m", &note], 4);
    loom(&format!("answer run:last accept {model}"), &["-m", &note], 0);
    loom("log --jsonl", &[], 0);
    loom("log --json", &[], 0);
    loom("status --json", &[], 0);
    loom("show run:last", &[], 0);
    loom("verify --blobs --redrive", &[], 0);
    let events = driven.log();
    for event in &events {
        loom(&format!("show run:last#{}", event["sequence"]), &["--json"], 0);
    }
    loom(&format!("export run:last -o {}", path("run.trace")), &[], 0);
    said.push(("the trace".to_string(), fs::read(driven.path("run.trace")).unwrap()));
    files(&driven.store_folder(), &mut said);
    let mut redacted = 0;
    for (place, bytes) in &said {
        assert_eq!(found(bytes), Vec::<String>::new(), "in {place}");
        redacted += String::from_utf8_lossy(bytes).matches("[redacted: mine]").count();
    }
    assert!(redacted > 20, "it was there to be found: {redacted}");
    // The branch has what the agent wrote, byte for byte.
    let branches = Command::new("git").current_dir(driven.project()).args(["branch", "--list", "loom/*"]).output();
    let branch = String::from_utf8(branches.unwrap().stdout).unwrap().trim().to_string();
    let shown =
        Command::new("git").current_dir(driven.project()).args(["show", &format!("{branch}:leak.txt")]).output();
    assert_eq!(String::from_utf8(shown.unwrap().stdout).unwrap(), leak().repeat(2));
}

#[test]
fn a_check_whose_command_holds_a_secret_is_refused() {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    set_secret(&driven, "mine", SECRET);
    commit(&driven, &[("loom.toml", &format!("[checks]\ntest = [\"echo\", \"{SECRET}\"]\n"))]);
    fs::write(driven.path("model.toml"), demo::SCRIPT).unwrap();
    let ran = driven.loom(&format!("run a-task --script {}", driven.path("model.toml").display()));
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("the command of check `test` holds a secret (mine)"), "{}", ran.err);
    assert!(!ran.err.contains(SECRET));
    assert_eq!(driven.loom("status --json").out.matches("\"run\"").count(), 0);
}

#[test]
fn a_secret_that_is_set_while_a_driver_runs_is_kept_from_then_on() {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    let model = driven.path("model.toml");
    let say = format!("say = '{{\"summary\": \"it is {SECRET}\"}}'");
    let edit = "edit = [{ append = \"notes.sh\", content = \"# more\" }]";
    fs::write(&model, format!("model = \"m\"\n[[turn]]\nagent = \"implementer\"\n{edit}\n{say}\n")).unwrap();
    let mut command = driven.command(&format!("watch --script {}", model.display()));
    command.env("LOOM_RUN_COMPLEXITY", "trivial");
    let mut driver = driven.follows(command);
    driver.reads_until("watching");
    set_secret(&driven, "mine", &format!("{SECRET}\n"));
    fs::write(driven.path("task.txt"), format!("write down {SECRET}")).unwrap();
    let queued = driven.loom(&format!("queue add --file {}", driven.path("task.txt").display()));
    assert_eq!(queued.code, 0, "{}", queued.err);
    assert!(until(|| driven.loom("gates --json").out.contains("\"artifact\"")), "it comes to its gate");
    let noted = driven.command("steer run:last").arg(format!("mind {SECRET}")).output().unwrap();
    assert!(noted.status.success());
    let mut said = Vec::new();
    files(&driven.store_folder(), &mut said);
    let shown: String = (0..driven.log().len() as u64)
        .map(|sequence| driven.loom(&format!("show run:last#{sequence} --json")).out)
        .collect();
    assert!(shown.matches("[redacted: mine]").count() >= 3, "task, output and note: {shown}");
    said.push(("what is shown".to_string(), shown.into_bytes()));
    driver.kill();
    for (place, bytes) in &said {
        assert_eq!(found(bytes), Vec::<String>::new(), "in {place}");
    }
}
