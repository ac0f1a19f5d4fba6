//! `loom redact`, from outside: the bytes are gone, everything else holds and says so.

use crate::driven::{Driven, until};
use loom_providers::demo;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What was typed by mistake; nothing that looks like a secret.
const SLIP: &str = "the code of the door is four eight one five";

const CALM: &str = "loom rules 1\nset calm \"At most 300 spawns.\"\nfact spawns counter\n  add spawn.requested\n\
    rule few-spawns on spawn.requested\n  require facts.spawns < 300\n  message \"too many\"\n  origin \"promise: for a test\"\n";

fn project() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    fs::write(driven.path("model.toml"), demo::SCRIPT).unwrap();
    fs::write(driven.path("task.txt"), format!("{}\n{SLIP}\n", demo::TASK)).unwrap();
    driven
}

fn run(driven: &Driven) {
    let path = |name: &str| driven.path(name).display().to_string();
    let (task, script) = (path("task.txt"), path("model.toml"));
    let ran = driven.loom(&format!("run --file {task} --script {script} --policy review-final"));
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
}

fn ok(driven: &Driven, arguments: &str) -> String {
    let ran = driven.loom(arguments);
    assert_eq!(ran.code, 0, "loom {arguments}\n{}{}", ran.out, ran.err);
    ran.out
}

fn refused(driven: &Driven, arguments: &str, why: &str) {
    let ran = driven.loom(arguments);
    assert_eq!(ran.code, 1, "loom {arguments}\n{}{}", ran.out, ran.err);
    assert!(ran.err.contains(why), "{}", ran.err);
}

fn json(driven: &Driven, arguments: &str) -> Value {
    serde_json::from_str(&ok(driven, &format!("{arguments} --json"))).unwrap()
}

fn stands(folder: &Path, words: &str) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.file_type().unwrap().is_dir() {
        true => stands(&entry.path(), words),
        false => fs::read(entry.path()).unwrap().windows(words.len()).any(|found| found == words.as_bytes()),
    })
}

/// Returns the events that name blobs of what was typed or answered, as `RUN#SEQUENCE`.
fn speaking(driven: &Driven) -> Vec<String> {
    let log = driven.log();
    let speaks = |kind: &str| matches!(kind, "run.opened" | "spawn.finished");
    let of = |event: &Value| format!("{}#{}", &event["stream"].as_str().unwrap()[..8], event["sequence"]);
    log.iter().filter(|event| speaks(event["kind"].as_str().unwrap())).map(of).collect()
}

#[test]
fn what_is_erased_is_nowhere_and_everything_else_verifies() {
    needs!("git", "sh");
    let driven = project();
    run(&driven);
    let path = |name: &str| driven.path(name).display().to_string();
    let events = speaking(&driven).join(" ");
    refused(&driven, "redact run:last -m slip", "which has not ended");
    ok(&driven, "cancel run:last -m wrong");
    ok(&driven, &format!("prove run:last -o {}", path("before.receipt")));
    ok(&driven, &format!("export run:last -o {}", path("before.trace")));
    ok(&driven, &format!("backup {}", path("before.backup")));
    let log = driven.log();
    let bundle = log.iter().find_map(|event| event["body"]["bundle"].as_str()).unwrap();
    refused(&driven, &format!("redact {bundle} -m no"), "holds terms of");
    assert_eq!(driven.loom("redact 0123456789abcdef -m no").code, 2);
    assert_eq!(driven.loom("redact run:last#0").code, 2, "a reason is wanted");
    assert!(stands(&driven.store_folder(), SLIP));

    let dry = json(&driven, &format!("redact {events} --dry-run"));
    assert_eq!(dry["sequences"], Value::Array(Vec::new()));
    let ran = driven
        .command("redact -m")
        .arg("typed by mistake, with ghp_0123456789abcdefghijklmnopqrstuvwxyz")
        .args(events.split(' '))
        .arg("--json")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&told["loom"], &told["blobs"]), (&"redact/1".into(), &dry["blobs"]));
    let place = format!("store#{}", told["sequences"][0]);
    assert!(!told["kept"].as_array().unwrap().is_empty(), "bundle and rules of run.opened stay");
    assert!(told["beyond"].to_string().contains("backups"), "what cannot be promised is told");
    assert!(!stands(&driven.store_folder(), SLIP));
    refused(&driven, &format!("redact {} -m again", told["blobs"][0]["digest"].as_str().unwrap()), "erased already");

    let shown = ok(&driven, &format!("show {place}"));
    assert!(shown.contains("typed by mistake") && !shown.contains("ghp_0123"), "{shown}");
    let opened = ok(&driven, "show run:last#0");
    assert!(opened.contains("was erased by uid:") && opened.contains(&format!(", {place}")), "{opened}");
    assert!(ok(&driven, "log --kind blobs.redacted").contains("erased"));
    let count = told["blobs"].as_array().unwrap().len() as u64;
    let verified = json(&driven, "verify --blobs");
    assert_eq!((&verified["whole"], &verified["redacted_blobs"]), (&true.into(), &count.into()));
    assert_eq!(verified["unerased_blobs"], 0);
    ok(&driven, "verify run:last --blobs");
    // The record says it without a look at blobs, too.
    assert_eq!(json(&driven, "verify")["redacted_blobs"], count);
    let by_record = format!("{count} blobs are redacted, as is on record");
    assert!(ok(&driven, "verify").contains(&by_record));
    let mut replay = Command::new(env!("CARGO_BIN_EXE_loom-replay"));
    driven.prepare(&mut replay);
    let replayed = replay.arg("verify").output().unwrap();
    assert!(String::from_utf8_lossy(&replayed.stdout).contains(&by_record));
    let mut replay = Command::new(env!("CARGO_BIN_EXE_loom-replay"));
    driven.prepare(&mut replay);
    let replayed = replay.args(["verify", "--blobs", "--json"]).output().unwrap();
    assert_eq!(replayed.status.code(), Some(0));
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    assert_eq!(
        (&replayed["sources"][0]["standing"], &replayed["sources"][0]["redacted_blobs"]),
        (&"whole".into(), &count.into())
    );
    let mut judging = Command::new(env!("CARGO_BIN_EXE_loom-replay"));
    driven.prepare(&mut judging);
    fs::write(driven.path("calm.rules"), CALM).unwrap();
    let judged = judging.args(["judge", "--rules"]).arg(driven.path("calm.rules")).output().unwrap();
    assert_eq!(judged.status.code(), Some(0), "judging reads no blob: {}", String::from_utf8_lossy(&judged.stderr));
    let redriven = driven.loom("verify --redrive");
    assert_eq!(redriven.code, 8, "{}", redriven.out);
    assert!(redriven.out.contains(&format!("erased by {place}")), "{}", redriven.out);
    ok(&driven, "why run:last");
    ok(&driven, "status");
    ok(&driven, "history");

    // Receipts name blobs by digest alone.
    ok(&driven, &format!("prove run:last -o {}", path("after.receipt")));
    ok(&driven, &format!("prove {place} -o {}", path("redaction.receipt")));
    for receipt in ["before", "after", "redaction"] {
        ok(&driven, &format!("verify {}", path(&format!("{receipt}.receipt"))));
    }
    let exported = json(&driven, &format!("export run:last -o {}", path("after.trace")));
    assert!(exported["redacted_blobs"].as_u64().unwrap() > 0);
    for trace in ["before", "after"] {
        ok(&driven, &format!("verify {}", path(&format!("{trace}.trace"))));
    }
    assert!(!fs::read(driven.path("after.trace")).unwrap().windows(SLIP.len()).any(|found| found == SLIP.as_bytes()));

    // A backup from now on has nothing of it; one from before is what it was.
    ok(&driven, &format!("backup {}", path("after.backup")));
    for (backup, stays) in [("before", true), ("after", false)] {
        let folder = driven.path(&format!("restored-{backup}"));
        fs::create_dir(&folder).unwrap();
        ok(&driven, &format!("restore {} --dir {}", path(&format!("{backup}.backup")), folder.display()));
        ok(&driven, &format!("verify --blobs --dir {}", folder.display()));
        assert_eq!(stands(&folder, SLIP), stays);
    }
}

#[test]
fn what_cannot_be_erased_yet_is_told_and_is_erased_later() {
    needs!("git", "sh");
    let driven = project();
    run(&driven);
    ok(&driven, "cancel run:last -m wrong");
    // What stands in its way keeps the new database from being written: the event is on record all the same.
    let anew = driven.store_folder().join("store.redb.anew");
    fs::create_dir(&anew).unwrap();
    let stuck = driven.loom("redact run:last -m slip");
    assert_eq!(stuck.code, 1, "{}{}", stuck.out, stuck.err);
    assert!(stuck.err.contains("is on record as store#"), "{}", stuck.err);
    let verified = json(&driven, "verify --blobs");
    assert_eq!(verified["redacted_blobs"], 0);
    let count = verified["unerased_blobs"].as_u64().unwrap();
    assert!(count > 1, "the task stands in prompts, too");
    assert!(ok(&driven, "verify --blobs").contains("are not erased"));
    assert!(stands(&driven.store_folder(), SLIP));
    assert_ne!(driven.loom("gc").code, 0, "gc says what is in the way");
    fs::remove_dir(&anew).unwrap();
    ok(&driven, "gc");
    assert!(!stands(&driven.store_folder(), SLIP));
    assert_eq!(json(&driven, "verify --blobs")["redacted_blobs"], count);
}

#[test]
fn the_process_that_drives_erases_for_others() {
    needs!("git", "sh");
    let driven = project();
    run(&driven);
    ok(&driven, "cancel run:last -m wrong");
    ok(&driven, "allowlist add");
    let script = driven.path("model.toml").display().to_string();
    let mut driver = driven.follows(driven.command(&format!("watch --script {script}")));
    driver.reads_until("watching");
    let told = ok(&driven, "redact run:last -m slip");
    assert!(told.contains("erased") && told.contains("on record as store#"), "{told}");
    assert!(!stands(&driven.store_folder(), SLIP));
    refused(&driven, "redact run:last -m slip", "are gone already");
    // It goes on with the database that was written anew.
    fs::write(driven.path("other.txt"), demo::TASK).unwrap();
    ok(&driven, &format!("queue add --file {}", driven.path("other.txt").display()));
    assert!(until(|| driven.log().iter().filter(|event| event["kind"] == "run.opened").count() == 2));
    assert!(json(&driven, "verify --blobs")["redacted_blobs"].as_u64().unwrap() > 1);
    driver.kill();
    ok(&driven, "verify --blobs");
}
