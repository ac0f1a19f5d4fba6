//! Whatever is wrong is told in a sentence, with what to do.

use crate::made::Until;
use crate::rig::{Place, Ran, field};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

#[track_caller]
fn check(arguments: &str, wanted: &str) {
    let Ran { err, out, .. } = Place::usual().loom(arguments);
    assert_eq!((err.trim_end(), out.as_str()), (wanted, ""));
}

#[test]
fn ids_that_are_none_are_told() {
    const HINT: &str = "hint: an id is 4 or more of its first hexadecimal digits, `@`, `run:last`, or RUN#SEQUENCE";
    check("show abc", &format!("error: `abc` is not an id\n{HINT}"));
    check("show run:last#x", &format!("error: `run:last#x` is not an id\n{HINT}"));
    check(
        "show ffffffffff",
        "error: nothing here has the id `ffffffffff`\nhint: `loom log` lists events, `loom status` lists runs",
    );
    check(
        "log --kind finding.raise",
        "error: there is no event kind `finding.raise`\nhint: did you mean `finding.raised`?",
    );
}

#[test]
fn an_ambiguous_id_lists_what_it_could_mean() {
    // 65,536 prefixes of four digits: some of 3,000 events share one.
    let place = Place::with(&[Until::End; 60]);
    let log = place.loom("log --jsonl").out;
    let mut prefixes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in log.lines() {
        let id = field(line, "id");
        prefixes.entry(id[..4].to_string()).or_default().push(id);
    }
    let (prefix, ids) = prefixes.into_iter().find(|(_, ids)| ids.len() == 2).unwrap();
    let ran = place.loom(&format!("show {prefix}"));
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with(&format!("error: `{prefix}` is ambiguous: ")), "{}", ran.err);
    assert!(ids.iter().all(|id| ran.err.contains(&format!("event {}", &id[..12]))), "{}", ran.err);
    assert!(ran.err.ends_with("hint: write more digits\n"), "{}", ran.err);
    for id in ids {
        assert_eq!(place.loom(&format!("show {}", &id[..12])).code, 0);
    }
}

#[test]
fn a_closed_pipe_is_nobodys_trouble() {
    let place = Place::with(&[Until::End; 40]);
    let mut child = place.command("log --jsonl").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"position\":0,"), "{line}");
    drop(reader);
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}

#[test]
fn a_folder_that_cannot_be_written_can_be_read() {
    needs!("cp");
    let place = Place::usual();
    let folder = place.store_folder();
    let mode = |mode| Permissions::from_mode(mode);
    fs::set_permissions(place.path(), mode(0o755)).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let bits = if entry.file_type().unwrap().is_dir() { 0o555 } else { 0o444 };
        fs::set_permissions(entry.path(), mode(bits)).unwrap();
    }
    fs::set_permissions(&folder, mode(0o555)).unwrap();
    // The binary where everybody may start it: somebody else is to run it, for whom the bits hold.
    let binary = place.path().join("loom");
    // Not copied by this process: a child that another test starts meanwhile would hold it open for writing.
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_loom")).arg(&binary).status().unwrap();
    assert!(copied.success());
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    for arguments in ["status", "log", "show @", "verify --blobs --redrive"] {
        let mut command = std::process::Command::new(&binary);
        command.current_dir(place.path()).args(arguments.split_whitespace());
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let ran = Ran::from(command.output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "loom {arguments}: {}", ran.out);
    }
    fs::set_permissions(&folder, mode(0o755)).unwrap();
    fs::set_permissions(folder.join("blobs"), mode(0o755)).unwrap();
}

#[test]
fn nothing_an_agent_wrote_reaches_the_terminal_as_a_control_character() {
    let place = Place::usual();
    for arguments in ["log", "log --kind finding", "status", "at @"] {
        let ran = place.loom(arguments);
        let foreign = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.out.contains(foreign), "loom {arguments}: {:?}", ran.out);
    }
    for kind in ["finding.raised", "spawn.finished", "paths.changed"] {
        let out = place.loom(&format!("show {}", place.first(kind))).out;
        assert!(!out.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{out:?}");
    }
}

#[test]
fn colour_is_for_who_asks_for_it() {
    let place = Place::usual();
    let with = |name: &str| {
        let output = place.command("status").env(name, "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(!with("NO_COLOR"));
    assert!(with("CLICOLOR_FORCE"));
    assert!(!place.loom("status").out.contains('\u{1b}'));
}
