//! The searchers find what is planted, in each form, and nothing else.

use crate::{KEY, play_on};
use loom_endpoint::{Endpoint, Hidden, InNoFile, Reply, Script};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Ends a process when it is dropped.
struct Waits(Child);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Starts a process that waits, with these words and this environment.
fn waits(word: &str, variable: &str) -> Waits {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "echo; read -r line", word]).env_clear().env("SHOWN", variable);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // It has begun once it says something.
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    Waits(child)
}

#[test]
fn a_file_that_shows_it_is_found_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let hidden = Hidden::new("the credential", "sk-se/cret?5417+");
    let base64 = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    fs::create_dir(folder.path().join("deep")).unwrap();
    for (name, content, how) in [
        ("plain", "x=sk-se/cret?5417+;".to_string(), "plain"),
        ("deep/url", "%73%6b%2d%73%65%2f%63%72%65%74%3f%35%34%31%37%2b".to_string(), "url"),
        ("one", base64("sk-se/cret?5417+"), "base64"),
        ("two", base64("asker:sk-se/cret?5417+ and more"), "base64"),
        ("three", base64("y=sk-se/cret?5417+"), "base64"),
        ("four", base64("name=sk-se/cret?5417+").replace('+', "-").replace('/', "_"), "base64"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, [b"\0\xff", content.as_bytes(), b"\n"].concat()).unwrap();
        let told = format!("{} shows the credential ({how})", path.display());
        assert_eq!(hidden.files(folder.path()), [told], "{content}");
        fs::remove_file(path).unwrap();
    }
    for other in ["sk-se/cret?5418+", &base64("sk-se/cret?5418"), "sk-se"] {
        fs::write(folder.path().join("other"), other).unwrap();
        assert_eq!(hidden.files(folder.path()), Vec::<String>::new(), "{other}");
    }
}

#[test]
fn an_object_of_git_that_shows_it_is_found() {
    needs!("git");
    let folder = tempfile::tempdir().unwrap();
    let git = |words: &[&str]| {
        let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
        let done = Command::new("git").current_dir(folder.path()).args(who).args(words).output();
        assert!(done.is_ok_and(|done| done.status.success()), "{words:?}");
    };
    git(&["init", "-q"]);
    fs::write(folder.path().join("notes"), KEY).unwrap();
    git(&["add", "--all"]);
    git(&["commit", "-q", "-m", "first"]);
    fs::remove_file(folder.path().join("notes")).unwrap();
    let told = format!("an object of git in {} shows the credential (plain)", folder.path().join(".git").display());
    assert_eq!(Hidden::new("the credential", KEY).files(folder.path()), [told]);
}

#[test]
fn a_test_that_leaves_it_in_a_file_fails() {
    let folder = tempfile::tempdir().unwrap();
    let guard = || InNoFile { hidden: Hidden::new("the credential", KEY), folder: folder.path().to_path_buf() };
    drop(guard());
    fs::write(folder.path().join("store"), format!("pages {KEY} pages")).unwrap();
    let guard = guard();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err());
}

#[test]
fn a_process_that_shows_it_is_found_while_the_endpoint_is_asked() {
    let own = "sk-planted-8846";
    for (word, variable, what, text) in [
        (own, "", "command line", "the credential (plain)"),
        ("", own, "environment", "the credential (plain)"),
        ("Count the petrichor.", "", "command line", "the task (plain)"),
    ] {
        let endpoint = Endpoint::start(own, Script::new().then(Reply::text("Hello.")).for_ever()).unwrap();
        endpoint.hide("the task", "Count the petrichor.");
        play_on(&endpoint, own);
        assert_eq!(endpoint.leaks(), Vec::<String>::new());
        let process = waits(word, variable);
        play_on(&endpoint, own);
        let told = format!("process {} (/bin/sh) shows {text} in its {what}", process.0.id());
        assert_eq!(endpoint.leaks(), [told]);
        play_on(&endpoint, own);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(endpoint))).is_err(), "nobody took it");
    }
}

#[test]
fn a_driver_may_have_it_in_its_environment_and_nobody_below() {
    let folder = tempfile::tempdir().unwrap();
    let loom: PathBuf = folder.path().join("loom");
    fs::copy("/bin/sh", &loom).unwrap();
    let own = "sk-planted-1931";
    let hidden = Hidden::new("the credential", own);
    for (first, is_found) in [("-c", false), ("__guard", true)] {
        fs::write(folder.path().join("__guard"), "echo; read -r line\n").unwrap();
        let mut command = Command::new(&loom);
        command.arg(first).current_dir(folder.path()).env("SCRIPTED_KEY", own);
        if first == "-c" {
            command.arg("echo; read -r line");
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let waits = Waits(child);
        assert_eq!(hidden.processes().len(), usize::from(is_found), "{first}");
        drop(waits);
    }
}
