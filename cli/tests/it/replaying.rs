//! `loom-replay` over stores, traces and folders of them.

use crate::explaining::is_of_its_schema;
use crate::made::{RULES, Until};
use crate::rig::{Place, Ran};
use loom_server::{Holder, socket_of};
use loom_store::{RedbStore, Store};
use serde_json::Value;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Rules that were thought of after the made runs ended.
pub(crate) const LATER: &str = r#"loom rules 1
set later "What was thought of after the incident."

fact ever_blocked flag
  add finding.raised if event.severity == "blocking"

fact spawns counter
  add spawn.requested

rule never-over-a-blocker on merge.intended
  require !facts.ever_blocked
  message "a blocking finding was raised in this run"
  origin "incident: a blocker was talked away"

rule few-spawns on spawn.requested
  require facts.spawns < 100
  message "too many spawns"

rule findings-have-lines on finding.raised
  require has(event.line) && event.line > 10
  message "a finding names no line"

rule recoveries-are-named on recovery.requested
  require size(event.spawns) > 0
  message "a recovery names no spawn"
"#;

fn judged(place: &Place, arguments: &str) -> (i32, Value) {
    let ran = place.replay(&format!("judge --rules later.rules --json {arguments}"));
    let document: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err));
    (ran.code, document)
}

fn place(runs: &[Until]) -> Place {
    let place = Place::with(runs);
    fs::write(place.path().join("later.rules"), LATER).unwrap();
    place
}

fn names<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().map(|entry| entry[key].as_str().unwrap()).collect()
}

#[test]
fn a_new_rule_says_where_it_would_have_refused_and_on_whom_that_rests() {
    let place = place(&[Until::End, Until::Gate, Until::Spawned]);
    let (code, told) = judged(&place, "");
    assert_eq!((code, &told["loom"]), (4, &"judge/1".into()));
    let totals = &told["totals"];
    assert_eq!((&totals["runs"], &totals["sources"], &totals["turned_runs"]), (&3.into(), &1.into(), &1.into()));
    let events = place.store().size() - 1;
    assert_eq!(totals["events"], events);
    assert!(
        totals["decisions"].as_u64() > Some(10) && totals["observations"] == 2 && totals["proposals"] == 1,
        "{totals}"
    );
    let verdicts: Vec<Vec<&str>> =
        told["runs"].as_array().unwrap().iter().map(|run| names(&run["rules"], "verdict")).collect();
    let (yes, no, never) = ("holds", "violated", "not-reached");
    assert_eq!(verdicts, [[no, yes, no, never], [never, yes, no, never], [never, yes, never, never]]);
    let merges: Vec<&Value> = told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["rule"] == "later/never-over-a-blocker")
        .collect();
    // The merge over the blocker was refused then, too; the one after the second round would have been refused.
    assert_eq!((&merges[0]["place"], &merges[0]["compared"]), (&"proposal".into(), &"same".into()));
    assert_eq!((&merges[1]["place"], &merges[1]["compared"]), (&"event".into(), &"new".into()));
    assert_eq!(merges[1]["read"], serde_json::json!([{ "name": "later/ever_blocked", "value": "true" }]));
    let chain = merges[1]["chain"].as_array().unwrap();
    assert_eq!((&chain[0]["kind"], &chain[0]["what"]), (&"merge.intended".into(), &"".into()));
    let last = chain.last().unwrap();
    assert_eq!((&last["kind"], &last["person"]), (&"gate.answered".into(), &"ann".into()));
    assert_eq!(told["runs"][0]["turn"]["sequence"], merges[1]["sequence"]);

    let ran = place.replay("judge --rules later.rules");
    assert_eq!((ran.code, ran.err.as_str()), (4, ""));
    for line in [
        "would have been refused at",
        "  later/never-over-a-blocker: a blocking finding was raised in this run (new)",
        "  later/ever_blocked = true",
        "gate.answered by ann",
        "1 runs would have gone another way",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
}

#[test]
fn what_fails_is_chosen_and_an_empty_corpus_never_holds() {
    let place = place(&[Until::End]);
    fs::write(place.path().join("same.rules"), RULES).unwrap();
    fs::write(place.path().join("none.rules"), RULES.replace("size(facts.blockers) == 0", "event.sequence > 0"))
        .unwrap();
    let code = |arguments: &str| place.replay(&format!("judge --json {arguments}")).code;
    // The run's own rules: what they refused then they refuse again, and nothing is new.
    assert_eq!(code("--rules same.rules"), 4);
    assert_eq!(code("--rules same.rules --fail-on new-violations"), 0);
    assert_eq!(code("--rules later.rules --fail-on new-violations"), 4);
    assert_eq!(code("--rules later.rules --fail-on never"), 0);
    // A weaker rule of the same name lets pass what was refused.
    let ran = place.replay("judge --json --rules none.rules");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["cleared"][0]["rule"]), (0, &"floor/no-blocker".into()));
    assert_eq!((&told["runs"][0]["turn"]["how"], &told["totals"]["cleared"]), (&"let-pass".into(), &1.into()));

    fs::create_dir(place.path().join("empty")).unwrap();
    for empty in ["empty", ". --since 2099-01-01", ". --run 00000000", "--since 2099-01-01"] {
        assert_eq!(code(&format!("--rules later.rules --fail-on never {empty}")), 8, "{empty}");
    }
    for (arguments, wanted) in [
        ("--rules later.rules nowhere", 2),
        ("--rules nowhere.rules", 2),
        ("--rules later.rules --rules later.rules", 1),
        ("--rules later.rules --run xyz", 2),
        ("--rules later.rules --since soon", 2),
        ("", 2),
    ] {
        assert_eq!(code(arguments), wanted, "{arguments}");
    }
    fs::write(place.path().join("wrong.rules"), LATER.replace("event.line > 10", "event.line > \"ten\"")).unwrap();
    // CLI-1: one document, or another form.
    for form in ["text", "junit", "sarif", "html"] {
        let ran = place.replay(&format!("judge --rules later.rules --json --format {form}"));
        assert_eq!(ran.code, 2, "{form}: {}", ran.out);
        assert!(ran.err.contains("--format names another form"), "{form}: {}", ran.err);
    }
    assert_eq!(judged(&place, "--format json").1["loom"], "judge/1");
    let ran = place.replay("judge --rules wrong.rules");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("wrong.rules does not load: "), "{}", ran.err);
}

/// Exports every run into a folder and returns the files, the oldest run first.
fn exported(place: &Place, folder: &Path) -> Vec<std::path::PathBuf> {
    let mut runs = place.store().runs(99).unwrap();
    runs.reverse();
    let write = |(index, run): (usize, &loom_store::Run)| {
        let file = folder.join(format!("{index}.trace"));
        let ran: Ran = place.command(&format!("export {} -o", run.stream)).arg(&file).output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.err);
        file
    };
    runs.iter().enumerate().map(write).collect()
}

/// Takes from a judgement what says where runs are kept.
fn of_runs(mut told: Value) -> Value {
    for run in told["runs"].as_array_mut().unwrap() {
        run["source"] = Value::Null;
    }
    told["totals"]["sources"] = Value::Null;
    told["sources"] = Value::Null;
    told
}

#[test]
fn a_store_its_holder_and_its_traces_are_judged_alike() {
    let place = place(&[Until::End, Until::Gate, Until::End, Until::Spawned]);
    let (_, of_store) = judged(&place, ". --threads 1");
    assert_eq!(judged(&place, ".loom --threads 3").1["runs"], of_store["runs"]);
    let folder = place.path().join("traces");
    fs::create_dir(&folder).unwrap();
    exported(&place, &folder);
    let (code, of_traces) = judged(&place, "traces");
    assert_eq!(code, 4);
    assert_eq!(of_runs(of_traces), of_runs(of_store.clone()));
    assert_eq!(of_runs(judged(&place, "--project . traces").1), of_runs(of_store.clone()));
    assert_eq!(judged(&place, "--project . traces --run 0000").1["totals"]["runs"], 0);

    let state = place.path().join("state");
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(&place.store_folder()).unwrap());
    let _holder = Holder::listen(socket_of(&state, &place.store_folder()).unwrap(), store, None).unwrap();
    let held = |arguments: &str| {
        let output = place.replay_command(arguments).env("LOOM_STATE_DIR", &state).output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    assert_eq!(held("judge --rules later.rules --json ."), (Some(4), of_store));
    let (code, told) = held("verify --json");
    assert_eq!((code, &told["sources"][0]["standing"]), (Some(0), &"whole".into()));
    assert_eq!(held("redrive --json").0, Some(0));
}

#[test]
fn of_a_folder_what_is_damaged_newer_or_elsewhere_is_told_and_the_rest_is_judged() {
    let place = place(&[Until::End, Until::Gate, Until::Gate, Until::Spawned, Until::Spawned]);
    let folder = place.path().join("incidents");
    fs::create_dir_all(folder.join("deeper")).unwrap();
    let files = exported(&place, &folder);
    let bytes = |index: usize| fs::read(&files[index]).unwrap();
    // One that is whole lies deeper, under a name that is no text.
    let odd = folder.join("deeper").join(std::ffi::OsStr::from_bytes(b"o\xffd\x1b[31m.trace"));
    fs::rename(&files[0], &odd).unwrap();
    let mut altered = bytes(1);
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(&files[1], altered).unwrap();
    let cut = bytes(2);
    fs::write(&files[2], &cut[..cut.len() / 2]).unwrap();
    let mut newer = bytes(3);
    // Behind the magic: an array of five, 0, the format.
    newer[13] = 2;
    fs::write(&files[3], newer).unwrap();
    std::os::unix::fs::symlink(&odd, folder.join("link.trace")).unwrap();
    fs::write(folder.join("notes.txt"), "nothing").unwrap();
    fs::write(folder.join("none.trace"), "nothing").unwrap();

    let (code, told) = judged(&place, "incidents");
    assert_eq!(code, 6);
    assert_eq!((&told["totals"]["runs"], &told["totals"]["sources"]), (&2.into(), &2.into()));
    let left: Vec<(String, &str)> = told["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| {
            let path = Path::new(left["path"].as_str().unwrap());
            (path.file_name().unwrap().to_string_lossy().into_owned(), left["why"].as_str().unwrap())
        })
        .collect();
    let left: Vec<(&str, &str)> = left.iter().map(|(name, why)| (name.as_str(), *why)).collect();
    assert_eq!(left, [("1.trace", "damaged"), ("2.trace", "damaged"), ("3.trace", "newer"), ("none.trace", "damaged")]);

    let ran = place.replay("judge --rules later.rules incidents");
    assert!(ran.err.contains("link.trace is not looked at: it is a link; name what it leads to"), "{}", ran.err);
    assert!(ran.err.contains("1 file is no trace and is not looked at"), "{}", ran.err);
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{}{}", ran.out, ran.err);
    // What is newer alone is no damage.
    assert_eq!(place.replay("judge --rules later.rules --fail-on never incidents/3.trace incidents/4.trace").code, 9);
    // A link that is named is followed.
    assert_eq!(judged(&place, "incidents/link.trace").1["totals"]["runs"], 1);

    let ran = place.replay("verify --json incidents .loom");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["whole"]), (6, &false.into()));
    // By the bytes of their paths: the store first, as `.` is before `i`.
    let standings = names(&told["sources"], "standing");
    assert_eq!(standings, ["whole", "altered", "truncated", "newer", "whole", "whole", "altered"]);
    assert_eq!(place.replay("verify incidents/4.trace").code, 0);
    assert_eq!(place.replay("verify incidents/3.trace").code, 9);
}

#[test]
fn of_a_damaged_store_only_the_damaged_run_is_lost() {
    let place = place(&[Until::End, Until::Gate, Until::End]);
    let runs = place.store().runs(9).unwrap();
    let file = place.store_folder().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    let needle = b"task-2";
    let at: Vec<usize> =
        bytes.windows(needle.len()).enumerate().filter(|(_, part)| part == needle).map(|(at, _)| at).collect();
    assert!(!at.is_empty());
    at.into_iter().for_each(|at| bytes[at + 5] = b'9');
    fs::write(&file, bytes).unwrap();
    let (code, told) = judged(&place, ".");
    assert_eq!(code, 6);
    assert_eq!(names(&told["runs"], "slug"), ["task-1", "task-3"]);
    let damaged: Vec<&Value> =
        told["left_out"].as_array().unwrap().iter().filter(|left| left["run"] != Value::Null).collect();
    assert_eq!(damaged.len(), 1, "{told}");
    assert_eq!(damaged[0]["run"], runs[1].stream.to_string());
    assert_eq!(place.replay("verify .").code, 6);
    // A store that can only be opened around its damage is damaged, whichever runs are asked for.
    let of = |run: usize| verified(&place, &format!(". --run {}", runs[run].stream)).0;
    assert_eq!((of(0), of(1)), (6, 6));
}

fn verified(place: &Place, arguments: &str) -> (i32, Value) {
    let ran = place.replay(&format!("verify --json {arguments}"));
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
    is_of_its_schema(place, &document);
    (ran.code, document)
}

#[test]
fn picked_runs_are_verified_and_nothing_is_said_of_the_store_that_they_are_of() {
    let place = place(&[Until::End, Until::Gate, Until::Spawned]);
    let folder = place.path().join("traces");
    fs::create_dir(&folder).unwrap();
    exported(&place, &folder);
    let last = place.store().runs(1).unwrap()[0].stream;
    let (code, told) = verified(&place, &format!(". traces --run {last} --blobs"));
    let sources = told["sources"].as_array().unwrap();
    assert_eq!((code, sources.len(), &told["unwanted_runs"]), (0, 2, &4.into()));
    let store = &sources[0];
    let picked = (&store["kind"], &store["streams"], &store["unwanted_runs"], &store["root"]);
    assert_eq!(picked, (&"store".into(), &1.into(), &2.into(), &Value::Null));
    assert_eq!((&sources[1]["unwanted_runs"], &sources[0]["events"]), (&Value::Null, &sources[1]["events"]));
    let ran = place.replay(&format!("verify --run {last}"));
    let part = "2 runs of it were not asked for; its tree, its ledger and its other streams were not looked at";
    assert!(ran.code == 0 && ran.out.contains(part) && !ran.out.contains("  tree "), "{}", ran.out);
    let page = place.replay(&format!("verify --run {last} --format html")).out;
    assert!(page.contains("its tree, its ledger and its other streams were not looked at"), "{page}");
    let xml = place.replay(&format!("verify --run {last} --format junit")).out;
    assert!(xml.contains("name=\"has runs that are whole\""), "{xml}");

    assert_eq!(verified(&place, "--project . traces").1["sources"].as_array().unwrap().len(), 3);
    assert_eq!(verified(&place, "--since 2026-01-01 .").1["sources"][0]["streams"], 3);
    // A store and a trace of which nothing was asked for are no sources, and nothing is whole where there is none.
    for none in [". --since 2099-01-01", "traces --run 0000"] {
        let (code, told) = verified(&place, none);
        assert_eq!((code, &told["whole"], &told["sources"]), (8, &false.into(), &serde_json::json!([])), "{none}");
        assert_eq!(told["unwanted_runs"], 3, "{none}");
    }
    assert_eq!(place.replay("verify --run 0000 --checkpoint elsewhere").code, 2);
    assert_eq!(place.replay("verify --run xyz").code, 2);
}

#[test]
fn runs_are_driven_and_folded_again() {
    let place = place(&[Until::End, Until::Gate]);
    let ran = place.replay("redrive --json");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["same"], &told["loom"]), (0, &2.into(), &"redrive/1".into()));
    assert_eq!(names(&told["runs"], "result"), ["same", "same"]);
    let ran = place.replay("refold --json");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &told["equal"], &told["loom"]), (0, &true.into(), &"refold/1".into()));
    assert_eq!(told["runs"][0]["verdict"], "accepted");

    // A slim trace has no answers, so what follows from them cannot be derived.
    assert_eq!(place.loom("export run:last --no-blobs -o slim.trace").code, 0);
    let ran = place.replay("redrive slim.trace");
    assert_eq!(ran.code, 8, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("unknowable at"), "{}", ran.out);
    assert_eq!(place.replay("refold slim.trace").code, 0);
}

#[test]
fn documents_have_schemas_and_the_command_line_has_pages() {
    let place = place(&[Until::End, Until::Gate]);
    assert_eq!(place.loom("export run:last -o a.trace").code, 0);
    fs::write(place.path().join("none.trace"), "nothing").unwrap();
    for arguments in [
        "judge --rules later.rules .loom a.trace none.trace",
        "judge --rules later.rules",
        "verify .loom a.trace none.trace",
        "redrive .loom a.trace none.trace",
        "refold .loom a.trace none.trace",
        "judge --rules nowhere.rules",
    ] {
        let ran = place.replay(&format!("{arguments} --json"));
        let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{arguments}: {error}"));
        is_of_its_schema(&place, &document);
    }
    let page = place.loom("man loom-replay judge").out;
    assert!(page.contains(".TH loom-replay-judge 1") && page.contains("Judges recorded runs"), "{page}");
    assert_eq!(place.loom("man -o pages").code, 0);
    assert!(place.path().join("pages/loom-replay-verify.1").is_file());
    let script = place.loom("completions bash --program loom-replay").out;
    assert!(script.contains("_loom__replay()") && script.contains("--fail-on"), "{script}");
}
