//! Projects that were moved, stores that lie elsewhere, folders and files that are not what they should be.

use crate::driven::Driven;
use crate::made::Until;
use crate::rig::Place;
use std::fs;
use std::process::Stdio;

#[test]
fn a_project_that_was_moved_is_driven_on() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("reviewer-logic works");
    driver.kill();
    fs::rename(driven.path("kept"), driven.path("moved")).unwrap();
    let ran = driven.loom("resume --dir moved/notes");
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(!ran.err.contains("alternate"), "{}", ran.err);
    fs::rename(driven.path("moved"), driven.path("kept")).unwrap();
    driven.drive_on();
    driven.ended_well();
}

#[test]
fn only_the_store_that_was_found_is_driven() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("implementer works");
    driver.kill();
    let elsewhere = driven.project().join("notes-of-old");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(driven.store_folder(), elsewhere.join(".loom")).unwrap();
    let mut command = driven.command("resume");
    let output = command.current_dir(&elsewhere).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("is not the one of the repository at "), "{told}");
    assert!(!driven.store_folder().exists(), "no second store is made");
    fs::rename(elsewhere.join(".loom"), driven.store_folder()).unwrap();
    let ran = driven.loom("resume --dir .loom");
    assert_eq!(ran.code, 3, "{}", ran.err);
}

#[test]
fn a_killed_store_is_read_by_two_at_once_and_not_written() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("implementer works");
    driver.kill();
    let file = driven.store_folder().join("store.redb");
    let before = fs::read(&file).unwrap();
    let readers: Vec<_> = ["status", "log -n 1", "verify", "status --json"]
        .map(|words| driven.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
        .into_iter()
        .map(|reader| reader.wait_with_output().unwrap())
        .collect();
    for output in readers {
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn relative_and_empty_state_folders_do_not_count() {
    needs!("git", "sh");
    for (number, (name, value)) in
        [("XDG_STATE_HOME", "rel"), ("XDG_STATE_HOME", ""), ("LOOM_STATE_DIR", ""), ("LOOM_STATE_DIR", "rel")]
            .into_iter()
            .enumerate()
    {
        let driven = Driven::new();
        let mut command = driven.command(&format!("demo --keep kept{number}"));
        command.env_remove("LOOM_STATE_DIR").env("HOME", driven.path("home")).env(name, value);
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}={value}: {told}");
        let is_meant = name == "LOOM_STATE_DIR" && !value.is_empty();
        assert_eq!(driven.path("rel").exists(), is_meant, "{name}={value}");
        assert_eq!(driven.path("home/.local/state/loom/stores").exists(), !is_meant, "{name}={value}");
        assert!(!driven.path("stores").exists());
    }
}

#[test]
fn an_export_replaces_files_only() {
    let place = Place::with(&[Until::Spawned]);
    let path = |name: &str| place.path().join(name);
    fs::write(path("target"), "mine").unwrap();
    std::os::unix::fs::symlink("target", path("link")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    for name in ["link", "folder", "/dev/null"] {
        let ran = place.loom(&format!("export run:last --force -o {name}"));
        assert_eq!(ran.code, 2, "{name}: {}", ran.err);
        assert!(ran.err.contains("is no regular file and is not replaced"), "{}", ran.err);
    }
    assert_eq!(fs::read_to_string(path("target")).unwrap(), "mine");
    assert_eq!(place.loom("export run:last --force -o target").code, 0);
}

#[test]
fn a_trace_whose_reader_has_gone_is_nobodys_trouble() {
    let place = Place::with(&[Until::End]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = place.command("export run:last -o -").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn names_cannot_speak_to_the_terminal() {
    let place = Place::with(&[Until::Spawned]);
    for (arguments, code) in [
        (&["backup", "b\u{1b}[31m"][..], 0),
        (&["export", "run:last", "-o", "x\u{1b}]0;t\u{7}"], 0),
        (&["log", "-n", "7\u{1b}[31m"], 2),
        (&["g\u{1b}[31m"], 2),
        (&["show", "\u{202e}abc"], 2),
        (&["status", "--dir", "d\u{1b}[31m"], 2),
    ] {
        let output = place.command("").args(arguments).output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{told}");
        let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!told.is_empty() && !told.contains(raw), "{arguments:?}: {told:?}");
    }
}

#[test]
fn what_is_verified_and_is_no_file_is_told_as_what_it_is() {
    let (place, elsewhere) = (Place::with(&[Until::End]), Place::empty());
    for place in [&place, &elsewhere] {
        fs::create_dir(place.path().join("odd.trace")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.path().join("dangling")).unwrap();
        for (named, told) in [
            ("odd.trace", "odd.trace is a folder; a run, a trace or a receipt is verified"),
            ("./nope", "cannot find ./nope"),
            ("nope.trace", "cannot find nope.trace"),
            ("dangling", "cannot find dangling"),
        ] {
            let ran = place.loom(&format!("verify {named}"));
            assert_eq!(ran.code, 2, "{named}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains(told), "{named}: {}", ran.err);
            let ran = place.loom(&format!("verify {named} --person nobody"));
            assert!(ran.err.contains(told), "{named}: {}", ran.err);
        }
    }
    assert!(place.loom("verify nope").err.contains("`nope` is not an id"));
    assert!(elsewhere.loom("verify nope").err.contains("there is no loom store"));
}

#[test]
fn so_many_threads_are_refused() {
    let ran = Place::with(&[Until::Spawned]).loom("verify --threads 100000");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("256"), "{}", ran.err);
}

#[test]
fn a_folder_where_a_file_should_be_is_usage() {
    let place = Place::with(&[Until::Spawned]);
    fs::write(place.path().join("file"), "mine").unwrap();
    fs::write(place.path().join("sole.backup"), "").unwrap();
    for arguments in
        ["demo --keep file", "rules test .", "restore .", "resume --script .", "restore sole.backup --dir .loom"]
    {
        let ran = place.loom(arguments);
        assert_eq!(ran.code, 2, "{arguments}: {}", ran.err);
    }
    assert!(!place.store_folder().join(".loom").exists());
}

#[test]
fn a_day_is_a_time_to_log_from() {
    let place = Place::usual();
    let all = place.loom("log --jsonl").out;
    assert_eq!(place.loom("log --jsonl --since 2001-01-01").out, all);
    assert_eq!(place.loom("log --jsonl --since 2999-01-01").out, "");
    // What the log calls an event is what `show` takes.
    let told = place.loom("log -n 0").out;
    let id = told.split_whitespace().find(|word| word.ends_with("store#0")).unwrap();
    assert_eq!(place.loom(&format!("show {id}")).code, 0);
}
