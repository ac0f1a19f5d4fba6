//! Gates are listed and answered from another terminal, whether or not somebody drives.

use crate::driven::{Driven, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// Returns the demo, killed while it waits for nobody, with its first gate open: a blocker stands.
fn at_first_gate() -> Driven {
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("reviewer-logic works");
    driver.kill();
    assert_eq!(driven.loom("resume").code, 3);
    driven
}

fn gates(driven: &Driven) -> Vec<Value> {
    let ran = driven.loom("gates --json");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["loom"], "gates/1");
    document["gates"].as_array().unwrap().clone()
}

#[test]
fn a_gate_is_listed_with_what_blocks_and_what_an_answer_is_bound_to() {
    needs!("git", "sh");
    let driven = at_first_gate();
    let waiting = gates(&driven);
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0]["role"], "final");
    assert_eq!(waiting[0]["blockers"][0]["severity"], "blocking");
    let told = driven.loom("gates").out;
    for shown in [waiting[0]["artifact"].as_str().unwrap(), waiting[0]["reason"].as_str().unwrap(), "for demo until"] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
}

#[test]
fn an_answer_that_a_rule_refuses_is_4_and_the_run_goes_on() {
    needs!("git", "sh");
    let driven = at_first_gate();
    let ran = driven.loom("answer run:last accept -m hurry");
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("REFUSED inside the commit: merge.intended"), "{}", ran.out);
    assert!(ran.out.contains("findings/no-open-blocker"), "{}", ran.out);
    assert!(ran.out.contains("cleared findings/open_blockers"), "{}", ran.out);
    // The work walked back, was mended, and waits again: this time nothing stands.
    let waiting = gates(&driven);
    assert_eq!(waiting[0]["blockers"], Value::Array(Vec::new()));
    let gate = format!("run:last#{}", waiting[0]["sequence"]);
    let wrong = "0".repeat(64);
    let ran = driven.loom(&format!("answer {gate} accept --digest {wrong} --json"));
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("\"declined\": \""), "{}", ran.out);
    assert_eq!(gates(&driven).len(), 1, "an answer to something else decides nothing");
    let artifact = waiting[0]["artifact"].as_str().unwrap();
    let ran = driven.loom(&format!("answer {gate} accept --digest {artifact} --json"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(document["decided"].as_array().unwrap().iter().any(|kind| kind == "gate.decided"), "{document}");
    driven.is_whole();
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"][0]["verdict"], "accepted");
    assert!(driven.loom("answer run:last accept").err.contains("no gate that waits"));
}

#[test]
fn a_cancelled_run_ends_and_nothing_is_made() {
    needs!("git", "sh");
    let driven = at_first_gate();
    let before = driven.users();
    let ran = driven.loom("cancel run:last -m enough");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    driven.is_whole();
    assert_eq!(driven.users(), before);
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"][0]["verdict"], "cancelled");
    assert_eq!(gates(&driven), [Value::Null; 0]);
}

#[test]
fn a_risk_is_taken_by_name_and_a_note_stands_in_the_next_prompt() {
    needs!("git", "sh");
    let driven = at_first_gate();
    let ran = driven.loom("steer run:last mind-the-names");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let finding = format!("run:last#{}", gates(&driven)[0]["blockers"][0]["sequence"]);
    let ran = driven.loom(&format!("risk accept {finding} -m known"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let waiting = gates(&driven);
    assert_eq!(waiting[0]["blockers"], Value::Array(Vec::new()), "{waiting:?}");
    let ran = driven.loom("answer run:last accept");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let log = driven.log();
    let waived = log.iter().find(|event| event["kind"] == "risk.accepted").unwrap();
    assert!(waived["actor"]["id"].as_str().unwrap().starts_with("uid:"), "{waived}");
}

#[test]
fn requests_reach_a_run_that_another_process_drives() {
    needs!("git", "sh", "setsid");
    let driven = Driven::new();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.demo();
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    fs::remove_file(driven.path("linger-check")).unwrap();
    let ran = driven.loom("steer run:last mind-the-names --json");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    let steered: Value = serde_json::from_str(&ran.out).unwrap();
    let event = &driven.log()[1..][usize::try_from(steered["sequence"].as_u64().unwrap()).unwrap()];
    assert_eq!((&event["kind"], &event["sequence"]), (&"run.steered".into(), &steered["sequence"]));
    // What the driver refuses is told as if it had been asked here.
    let ran = driven.loom("risk accept run:last#0 -m why");
    assert_ne!(ran.code, 0, "{}", ran.out);
    assert!(!driver.has_ended());
    let ran = driven.loom("cancel run:last");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(driver.ends(), Some(10));
    driven.is_whole();
    assert_eq!(driven.survivors(), BTreeSet::new());
}

#[test]
fn a_run_is_got_out_of_where_it_is_stuck_and_no_gate_is_passed() {
    needs!("git", "sh");
    let driven = at_first_gate();
    let ran = driven.loom("recover run:last retry-failed");
    assert_ne!(ran.code, 0, "nothing has failed: {}", ran.out);
    let ran = driven.loom("recover run:last force-close");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"][0]["verdict"], "failed");
    driven.is_whole();
    assert!(!driven.log().iter().any(|event| event["kind"] == "merge.intended"));
}

#[test]
fn a_held_run_begins_nothing_until_it_goes_on() {
    needs!("git", "sh", "setsid");
    let driven = Driven::new();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.demo();
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    let ran = driven.loom("pause run:last --json");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    // Whoever drove it dies; the check goes by its nature and is done again, and what follows from it is held.
    driver.kill();
    fs::remove_file(driven.path("linger-check")).unwrap();
    let again = driven.loom("pause run:last");
    assert_eq!(again.code, 1, "it is held already: {}{}", again.out, again.err);
    let requested = |kind: &str| driven.log().iter().filter(|event| event["kind"] == kind).count();
    let ended = (requested("spawn.requested"), requested("spawn.finished"));
    assert_eq!(ended.0 - ended.1, 4, "the reviewers wait");
    let ran = driven.loom("resume run:last");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(gates(&driven).len(), 1);
    driven.is_whole();
}

#[test]
fn a_log_is_followed_over_the_death_of_who_drives() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("reviewer-logic works");
    let mut follower = driven.command("log run:last --follow --jsonl").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut sequences = vec![];
    let mut reads_until = |kind: &str| loop {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        sequences.push(line["sequence"].as_u64().unwrap());
        if line["kind"] == kind {
            return sequences.clone();
        }
    };
    reads_until("check.finished");
    driver.kill();
    assert_eq!(driven.loom("resume").code, 3);
    reads_until("gate.opened");
    driven.loom("answer run:last abandon");
    let told = reads_until("run.closed");
    assert!(follower.wait().unwrap().success(), "a run that has ended is followed no further");
    assert_eq!(told, (0..told.len() as u64).collect::<Vec<_>>(), "nothing twice, nothing left out");
    let again = driven.loom("log run:last -f -n 3 --jsonl");
    assert_eq!((again.code, again.out.lines().count()), (0, 3));
}

/// Where a process below a spawn asks, for the test below run as a child: the holder's socket and the run.
const BELOW: [&str; 2] = ["TEST_BELOW_SOCKET", "TEST_BELOW_RUN"];

#[test]
fn what_an_agent_asks_of_its_run_is_refused_and_on_record() {
    if let [Ok(socket), Ok(run)] = BELOW.map(std::env::var) {
        let mut stream = UnixStream::connect(socket).unwrap();
        let body = "{\"id\": \"aa\", \"ask\": {\"cancel\": {}}}";
        write!(
            stream,
            "POST /v1/streams/{run}/requests HTTP/1.1\r\nhost: loom\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("descends from spawn or check 7"), "{answer}");
        return;
    }
    needs!("git", "sh", "setsid");
    let driven = Driven::new();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.demo();
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    let socket = fs::read_dir(driven.path("state/sockets")).unwrap().next().unwrap().unwrap().path();
    let below = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "answering::what_an_agent_asks_of_its_run_is_refused_and_on_record"])
        .envs([(BELOW[0], socket.as_os_str()), (BELOW[1], status["runs"][0]["run"].as_str().unwrap().as_ref())])
        .env("LOOM_SPAWN", "7")
        .status();
    assert!(below.unwrap().success());
    let log = driven.log();
    let refused = log.iter().find(|event| event["kind"] == "request.refused").unwrap();
    assert_eq!((&refused["body"]["what"], &refused["actor"]["descends"]), (&"run.cancelled".into(), &7.into()));
    assert!(!driver.has_ended());
    driver.kill();
    fs::remove_file(driven.path("linger-check")).unwrap();
}
