//! `loom doctor` finds what is wrong and changes nothing; `loom reset` ends what is stuck and keeps the log.

use crate::driven::{Driven, until};
use crate::made::Until;
use crate::rig::{Place, Ran};
use loom_store::{RedbStore, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn git(folder: &Path, words: &str) {
    let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
    assert!(Command::new("git").current_dir(folder).args(who).args(words.split(' ')).status().unwrap().success());
}

/// A made store in a real repository.
fn repository(runs: &[Until]) -> Place {
    let place = Place::with(runs);
    git(place.path(), "init -q");
    git(place.path(), "commit -q --allow-empty -m first");
    place
}

fn examined(place: &Place) -> (i32, Vec<Value>) {
    let ran: Ran =
        place.command("doctor --json").env("LOOM_STATE_DIR", place.path().join("state")).output().unwrap().into();
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
    (ran.code, document["findings"].as_array().unwrap().clone())
}

#[track_caller]
fn found<'f>(findings: &'f [Value], id: &str) -> &'f Value {
    findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("no {id}: {findings:?}"))
}

/// Every file below a folder with its content and times.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let at = entry.metadata().unwrap().modified().unwrap();
                all.insert(path.clone(), (fs::read(path).unwrap(), at));
            }
        }
    }
    all
}

#[test]
fn a_sound_place_has_no_errors_and_is_left_as_it_is() {
    needs!("git");
    let place = repository(&[Until::End, Until::Gate]);
    let before = files(place.path());
    let (code, findings) = examined(&place);
    assert_eq!(code, 0, "{findings:?}");
    assert_eq!(found(&findings, "store")["severity"], "note");
    assert!(findings.iter().all(|finding| finding["severity"] == "note" || finding["repair"].is_string()));
    assert_eq!(files(place.path()), before);
    assert!(!place.path().join("state").exists());
}

#[test]
fn a_credential_is_told_by_its_name_alone() {
    let place = Place::empty();
    let ran: Ran = place.command("doctor").env("ANTHROPIC_API_KEY", "a-secret-value").output().unwrap().into();
    assert!(ran.out.contains("ANTHROPIC_API_KEY is set"), "{}", ran.out);
    assert!(!ran.out.contains("a-secret-value") && !ran.err.contains("a-secret-value"));
}

#[test]
fn what_is_wrong_has_its_repair() {
    needs!("git");
    let nowhere = Place::empty();
    let (code, findings) = examined(&nowhere);
    assert_eq!((code, &found(&findings, "project")["repair"]), (9, &"git init".into()));

    let place = repository(&[Until::End]);
    fs::write(place.path().join("loom.toml"), "[checks]\ntest = [\"no-such-program\"]\n").unwrap();
    fs::set_permissions(place.store_folder(), fs::Permissions::from_mode(0o777)).unwrap();
    let (code, findings) = examined(&place);
    assert_eq!(code, 0);
    assert!(found(&findings, "checks")["says"].as_str().unwrap().contains("no-such-program, which is not there"));
    assert!(found(&findings, "loom-folder")["repair"].as_str().unwrap().starts_with("chmod go-w "));

    // The repair mends it.
    let repair = found(&findings, "loom-folder")["repair"].as_str().unwrap().to_string();
    assert!(Command::new("sh").args(["-c", &repair]).current_dir(place.path()).status().unwrap().success());
    assert_eq!(found(&examined(&place).1, "loom-folder")["severity"], "note");

    fs::write(place.path().join("loom.toml"), "[checks]\ntest = 7\n").unwrap();
    let (code, findings) = examined(&place);
    assert_eq!((code, &found(&findings, "checks")["severity"]), (9, &"error".into()));
}

#[test]
fn a_held_and_a_damaged_store_are_examined_all_the_same() {
    needs!("git");
    let place = repository(&[Until::Gate]);
    let holder = RedbStore::open(&place.store_folder()).unwrap();
    let (code, findings) = examined(&place);
    assert_eq!(code, 0);
    let repair = format!("kill {}", std::process::id());
    assert_eq!(found(&findings, "holder")["repair"], repair);
    drop(holder);
    fs::write(place.store_folder().join("store.redb"), b"not a database at all").unwrap();
    let before = files(place.path());
    let (code, findings) = examined(&place);
    assert_eq!((code, &found(&findings, "store")["severity"]), (9, &"error".into()));
    assert_eq!(found(&findings, "store")["repair"], "loom verify");
    assert_eq!(files(place.path()), before);
}

#[test]
fn a_reset_cancels_what_is_open_and_keeps_the_log() {
    needs!("git");
    let place = repository(&[Until::End, Until::Gate, Until::Spawned]);
    let state = place.path().join("state");
    let loom =
        |arguments: &str| -> Ran { place.command(arguments).env("LOOM_STATE_DIR", &state).output().unwrap().into() };
    let before = loom("log --jsonl").out;
    let origin = loom("log --jsonl --kind store.created").out;
    let origin: Value = serde_json::from_str(origin.lines().next().unwrap()).unwrap();
    let left = state.join("stores").join(origin["body"]["origin"].as_str().unwrap()).join("workspaces/0123");
    fs::create_dir_all(left.join("workspace")).unwrap();

    let asked = loom("reset");
    assert_eq!(asked.code, 2, "{}", asked.out);
    let plan: Value = serde_json::from_str(&loom("reset --dry-run --json").out).unwrap();
    assert_eq!((&plan["done"], plan["cancelled"].as_array().unwrap().len()), (&false.into(), 2));
    assert_eq!(plan["removed"][0], left.to_str().unwrap());
    assert_eq!(loom("log --jsonl").out, before, "nothing was done yet");
    assert!(left.exists());

    let held = RedbStore::open(&place.store_folder()).unwrap();
    assert_eq!(loom("reset --yes").code, 9, "somebody drives");
    drop(held);

    let done: Value = serde_json::from_str(&loom("reset --yes --json").out).unwrap();
    assert_eq!(
        (&done["done"], &done["cancelled"], &done["kept"]),
        (&true.into(), &plan["cancelled"], &serde_json::json!([]))
    );
    assert!(!left.exists());
    let after = loom("log --jsonl").out;
    assert!(after.starts_with(&before), "history is only added to");
    assert_eq!(loom("verify --redrive").code, 0);
    let ended = place.store().runs(9).unwrap();
    assert!(ended.iter().all(|run| matches!(run.state, loom_store::RunState::Closed(_))), "{ended:?}");
    assert_eq!(loom("reset --yes").out.trim(), "nothing is stuck");
}

#[test]
fn a_reset_goes_through_whoever_drives() {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    let waits = "model = \"m\"\n[[turn]]\nagent = \"implementer\"\ntrouble = [\"hang\"]\n";
    fs::write(driven.path("model.toml"), waits).unwrap();
    let script = format!("--script {} --complexity trivial", driven.path("model.toml").display());
    let workspaces = || -> BTreeSet<PathBuf> {
        let stores = fs::read_dir(driven.path("state/stores")).unwrap().flatten();
        stores
            .flat_map(|store| fs::read_dir(store.path().join("workspaces")).unwrap().flatten())
            .map(|at| at.path())
            .collect()
    };
    let reset = || -> Value {
        let ran = driven.loom("reset --yes --json");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
        serde_json::from_str(&ran.out).unwrap()
    };
    // One that drives its own run and nothing else ends over it.
    let mut driver = driven.drives(&format!("run a-task {script}"));
    driver.reads_until("implementer works");
    let first = reset();
    assert_eq!(first["cancelled"].as_array().unwrap().len(), 1);
    assert_eq!(driver.ends(), Some(10), "{:?}", driver.told);
    assert_eq!(workspaces(), BTreeSet::new());

    // One that watches goes on; what an earlier run left is removed, what nobody knows may be a run to come.
    assert_eq!(driven.loom("allowlist add").code, 0);
    assert_eq!(driven.loom("queue add a-task").code, 0);
    let mut command = driven.command(&format!("watch --script {}", driven.path("model.toml").display()));
    let mut driver = driven.follows({
        command.env("LOOM_RUN_COMPLEXITY", "trivial");
        command
    });
    driver.reads_until("implementer works");
    let at_work = workspaces();
    let folder = at_work.first().unwrap().parent().unwrap();
    let (left, to_come) = (folder.join(first["cancelled"][0].as_str().unwrap()), folder.join("0123"));
    [&left, &to_come].iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let planned: Value = serde_json::from_str(&driven.loom("reset --dry-run --json").out).unwrap();
    assert_eq!(planned["removed"].as_array().unwrap().len(), 2, "{planned}");
    let done = reset();
    assert_eq!(done["cancelled"], planned["cancelled"]);
    assert_eq!(done["removed"], serde_json::json!([left]));
    assert!(until(|| workspaces() == BTreeSet::from([to_come.clone()])), "{:?}", workspaces());
    assert!(!driver.has_ended());
    driver.kill();
    driven.is_whole();
}

#[test]
fn a_run_that_a_driver_left_is_reset_with_its_workspace() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("gate `final` waits");
    driver.kill();
    driven.survivors();
    let workspaces = || {
        let stores = fs::read_dir(driven.path("state/stores")).unwrap().flatten();
        stores.flat_map(|store| fs::read_dir(store.path().join("workspaces")).unwrap().flatten()).count()
    };
    assert_eq!(workspaces(), 1);
    let ran = driven.loom("reset --yes");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(workspaces(), 0);
    driven.is_whole();
    assert_eq!(driven.loom("resume").code, 0);
}
