//! The exit codes, frozen: one line a case.
//!
//! 1 for a run stands with the demo's terminal, 4 and 10 with the answers from another terminal, 130 and 143 with the
//! signals.

use crate::driven::Driven;
use crate::made::{ORIGIN, Until};
use crate::rig::{Place, Ran};
use loom_bundles::{Source, load};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, Assurance, Digest, EventHasher, StreamId};
use loom_core::kind::Event;
use loom_core::state::Amount;
use loom_host::environment::Environment;
use loom_host::session::{Session, Wishes, request_id};
use loom_providers::{Script, Scripted, demo};
use loom_replay::{Records, ReplayError, StoredRun, trace};
use loom_store::{RedbStore, Store};
use loom_tools::Guard;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Each command on the usual store with the code it ends with.
const CODES: &[(&str, i32)] = &[
    ("--version", 0),
    ("--help", 0),
    ("log --help", 0),
    ("", 2),
    ("no-such-command", 2),
    ("log --no-such-flag", 2),
    ("log -n x", 2),
    ("log --json --jsonl", 2),
    ("status", 0),
    ("log", 0),
    ("log run:last", 0),
    ("log --kind gate", 0),
    ("log --kind nonsense", 2),
    ("log --since 7d", 0),
    ("log --since 7", 2),
    ("show", 0),
    ("show @", 0),
    ("show run:last", 0),
    ("show run:last#0", 0),
    ("show run:last#99999", 2),
    ("show abc", 2),
    ("show xyzw", 2),
    ("show ffffffffffffffff", 2),
    ("at", 0),
    ("at @", 0),
    ("verify", 0),
    ("verify --blobs --redrive", 0),
    ("verify run:last --redrive", 0),
    ("rules list", 0),
    ("rules show floor/no-blocker", 0),
    ("rules show no-such-set", 2),
    ("rules test", 0),
    ("rules test no-such-file.rules", 2),
    ("rules check", 0),
    ("rules explain floor", 0),
    ("rules explain floor/no-blocker", 0),
    ("rules explain no-such-set", 2),
    ("rules diff floor floor", 0),
    ("rules diff floor", 2),
    ("rules diff floor no-such-set", 2),
    ("rules check no-such-file.rules", 2),
    ("rules mutate", 0),
    ("rules mutate alone.rules", 2),
    ("rules mutate --min 101", 2),
    ("rules add no-such-file.rules", 2),
    ("rules add broken.rules", 1),
    ("rules retire no-such-set", 1),
    ("export run:last -o run.trace", 0),
    ("export run:last -o run.trace", 2),
    ("export run:last -o run.trace --force", 0),
    ("export store -o store.trace", 2),
    ("verify run.trace --redrive", 0),
    ("keys list", 0),
    ("verify --checkpoint seen/", 2),
    ("witness seen/", 0),
    ("witness seen/", 0),
    ("verify --checkpoint seen/", 0),
    ("prove run:last -o run.receipt", 0),
    ("prove run:last -o run.receipt", 2),
    ("prove no-such-run -o other.receipt", 2),
    ("prove run:last -o run.receipt --force --checkpoint nowhere/", 2),
    ("verify run.receipt", 0),
    ("verify run.receipt --key nonsense", 2),
    ("verify run.receipt --origin 00000000000000000000000000000000", 6),
    ("verify run.receipt --key 0000000000000000000000000000000000000000000000000000000000000000", 6),
    ("keys rotate", 0),
    ("keys person", 0),
    ("keys person", 2),
    ("answer run:last accept --sign --key no-such-file", 2),
    ("backup store.backup", 0),
    ("backup store.backup", 2),
    ("restore store.backup", 2),
    // One of its runs is under way, which is talk.
    ("gc --quiet", 0),
    ("gc --delete --quiet", 0),
    ("--dir no-such-folder status", 2),
    ("verify no-such-run-or-file", 2),
    ("restore no-such-file", 2),
    ("export run:last -o no-such-folder/run.trace", 2),
    ("demo --help", 0),
    ("demo --keep .", 2),
    ("demo no-such-argument", 2),
    ("resume --help", 0),
    ("resume no-such-argument", 2),
    ("resume --script no-such-file", 2),
    ("at xyzw", 2),
    ("backup", 2),
    ("restore", 2),
    ("gc --no-such-flag", 2),
    ("rules no-such-command", 2),
    ("verify garbage", 6),
    ("restore garbage", 6),
    ("resume --script garbage", 2),
    ("rules test alone.rules", 2),
    ("config list", 0),
    ("config list --all --show-origin", 0),
    ("config get run.bundle", 0),
    ("config get run.policy", 2),
    ("config get run.polcy", 2),
    ("config set run.max_spawns 9", 0),
    ("config set run.max_spawns nine", 2),
    ("config set no.such.key 1", 2),
    ("config set run.max_spawns 3 --project", 2),
    ("config path", 0),
    ("models list", 0),
    ("models set nobody --tier fast", 2),
    ("models set claude --tier no-such-tier", 2),
    ("models set claude", 2),
    ("models set claude --tier fast --model one", 0),
    ("models test", 9),
    ("models test nobody", 2),
    ("secrets list", 0),
    ("secrets set short", 2),
    ("secrets remove nothing", 2),
    ("projects", 0),
    ("projects add no-such-folder", 2),
    ("projects add", 0),
    ("projects forget", 0),
    ("projects forget", 2),
    ("allowlist", 0),
    ("allowlist add", 0),
    ("allowlist remove", 0),
    ("allowlist remove no-such-folder", 2),
    ("init", 2),
    ("history", 0),
    ("history -n 0 --verdict accepted", 0),
    ("history --verdict fine", 2),
    ("history --since 7", 2),
    ("why", 0),
    ("why @", 0),
    ("why xyzw", 2),
    ("why store", 2),
    // The place is no git repository.
    ("diff", 2),
    ("diff --stat --name-only", 2),
    ("ship run:last", 2),
    ("ship run:last --squash --pr-body", 2),
    ("ship run:last --pr-body", 1),
    ("reset", 2),
    ("reset --dry-run", 0),
    ("reset --dry-run --yes", 2),
    ("doctor --help", 0),
    ("explain", 0),
    ("explain LOOM-E001", 0),
    ("explain no-such-thing", 2),
    ("schema", 0),
    ("schema rules list", 0),
    ("schema no-such-document", 2),
    ("completions bash", 0),
    ("completions tcsh", 2),
    ("man", 0),
    ("man rules list", 0),
    ("man no-such-command", 2),
];

/// What is found bad is an answer, too: it stands on stdout.
const FOUND_BAD: &[(&str, i32)] = &[
    ("rules test broken.rules", 1),
    ("rules test broken.rules --json", 1),
    ("rules check broken.rules", 1),
    ("rules mutate broken.rules", 1),
];

#[test]
fn every_command_ends_with_its_code() {
    let place = Place::usual();
    for (name, text) in [
        ("garbage", "something else"),
        ("alone.rules", "loom rules 1\n"),
        ("broken.rules", "loom rules 1\nno such word\n"),
        ("broken.cases.toml", ""),
    ] {
        fs::write(place.path().join(name), text).unwrap();
    }
    for (arguments, code) in CODES {
        let Ran { code: found, out, err } = place.loom(arguments);
        assert_eq!(found, *code, "loom {arguments}\n{out}\n{err}");
        assert_eq!(found == 0, err.is_empty(), "loom {arguments}: {err}");
        let told = err.starts_with("error: ") || err.starts_with("Runs agents");
        assert!(found == 0 || told, "loom {arguments}: {err}");
    }
    for (arguments, code) in FOUND_BAD {
        let Ran { code: found, out, err } = place.loom(arguments);
        assert_eq!((found, err.as_str()), (*code, ""), "loom {arguments}\n{out}");
        assert!(out.contains("broken.rules:2:"), "loom {arguments}: {out}");
    }
}

/// The same of `loom-replay`, in order. The first run has ended, the second waits at its gate, the third works.
const REPLAY_CODES: &[(&str, i32)] = &[
    ("--version", 0),
    ("", 2),
    ("judge", 2),
    ("judge --rules broken.rules", 1),
    ("redrive", 0),
    ("redrive --bundle code", 8),
    ("redrive --bundle nowhere", 2),
    ("refold", 0),
    ("verify", 0),
    ("verify --checkpoint nowhere", 8),
    ("verify --checkpoint git-note:-x", 2),
    ("what-if --run FIRST --at 0 --cap spawns=40", 0),
    ("what-if --run FIRST --at 0 --cap spawns=3", 0),
    ("what-if --run FIRST --at 0 --cap spawns=0", 2),
    ("what-if --run FIRST --at 0 --cap cakes=3", 2),
    ("what-if --run FIRST --at 0 --cap spawns=3 --answer accept", 2),
    ("what-if --run FIRST --at 0", 2),
    ("what-if --run FIRST --cap spawns=3", 2),
    ("what-if --run FIRST --at 0 --rules later.rules", 8),
    ("what-if --run FIRST --at 0 --rules broken.rules", 1),
    ("what-if --run FIRST --at 0 --rules nowhere.rules", 2),
    ("what-if --run FIRST --at 0 --policy final=auto", 2),
    ("what-if --run FIRST --at 0 --policy final=on-blockers", 0),
    ("what-if --run FIRST --at 1 --outcome ok", 2),
    ("what-if --run FIRST --at 99999 --outcome ok", 2),
    ("what-if --at 0 --cap spawns=3", 2),
    ("what-if --run ffff --at 0 --cap spawns=3", 2),
    ("what-if --run FIRST --at 0 --cap spawns=3 garbage.trace", 6),
    ("what-if --run FIRST --at 0 --cap spawns=3 nowhere.trace", 2),
    ("diff FIRST FIRST", 0),
    ("diff FIRST SECOND", 1),
    ("diff .loom#FIRST run:last", 1),
    ("diff FIRST ffffffff", 2),
    ("diff FIRST xyz", 2),
    ("diff FIRST garbage.trace", 6),
    ("diff FIRST nowhere/one.trace", 2),
    ("diff FIRST .loom", 2),
    ("shrink --rules later.rules -o small.trace", 0),
    ("shrink --rules later.rules -o small.trace", 2),
    ("shrink --rules later.rules --rule later/never-over-a-blocker --keep-as-fixture kept", 0),
    ("shrink --rules later.rules --keep-as-fixture kept", 2),
    ("shrink --rules later.rules --rule few-spawns -o none.trace", 1),
    ("shrink --rules later.rules --rule nobody -o none.trace", 2),
    ("shrink --crash -o none.trace", 1),
    ("shrink --crash --rules later.rules -o none.trace", 1),
    ("shrink --crash --rules later.rules --rule no-blocker -o none.trace", 2),
    ("shrink --divergence -o none.trace", 1),
    ("shrink --divergence --crash -o none.trace", 2),
    ("shrink --divergence --rules later.rules -o none.trace", 2),
    ("shrink --rules later.rules", 2),
    ("shrink -o none.trace", 2),
    ("judge --rules kept/rule.rules kept/run.trace", 4),
    ("redrive kept/run.trace small.trace", 0),
    ("verify kept small.trace", 0),
    ("query --on refused true", 0),
    ("query --on refused false", 0),
    ("query --on key.added true", 8),
    ("query --on check.finished 1/(event.duration_ms-40)>0", 8),
    ("query --on no.kind true", 2),
    ("query --on refused event.nothing", 2),
    ("query true", 2),
    ("query", 2),
    ("query --facts runs facts.accepted", 0),
    ("query --facts runs --group-by nothing facts.accepted", 2),
    ("query --facts broken.rules true", 1),
    ("query --facts nowhere.rules true", 2),
    ("query --on refused nowhere true", 2),
    ("query --on refused garbage.trace true", 6),
    ("query --on refused true --json --jsonl", 2),
];

#[test]
fn every_command_of_loom_replay_ends_with_its_code() {
    let place = Place::usual();
    for (name, text) in [
        ("garbage.trace", "something else"),
        ("broken.rules", "loom rules 1\nno such word\n"),
        ("later.rules", crate::replaying::LATER),
    ] {
        fs::write(place.path().join(name), text).unwrap();
    }
    let runs = place.store().runs(9).unwrap();
    let name = |place: usize| runs[place].stream.to_string()[..8].to_string();
    for (arguments, code) in REPLAY_CODES {
        let arguments = arguments.replace("FIRST", &name(2)).replace("SECOND", &name(1));
        let Ran { code: found, out, err } = place.replay(&arguments);
        assert_eq!(found, *code, "loom-replay {arguments}\n{out}\n{err}");
        assert!(!err.contains("panicked"), "loom-replay {arguments}: {err}");
    }
}

#[test]
fn outside_of_a_project_only_what_needs_no_store_works() {
    let place = Place::empty();
    for arguments in [
        "status",
        "log",
        "show",
        "at",
        "verify",
        "export @ -o x",
        "backup x",
        "gc",
        "resume",
        "history",
        "why",
        "diff",
        "reset",
    ] {
        let ran = place.loom(arguments);
        assert_eq!(ran.code, 2, "loom {arguments}: {}", ran.err);
        assert!(ran.err.contains("there is no loom store in"), "{}", ran.err);
        assert!(ran.err.contains("hint: go into the project's folder"), "{}", ran.err);
    }
    assert_eq!(place.loom("rules list").code, 0);
}

#[test]
fn a_store_without_runs_is_no_error() {
    let place = Place::with(&[]);
    assert_eq!(place.loom("status").code, 0);
    assert_eq!(place.loom("log").code, 0);
    assert_eq!(place.loom("verify").code, 0);
    let ran = place.loom("show @");
    assert_eq!((ran.code, ran.err.lines().next()), (2, Some("error: there is no run in this store yet")));
}

#[test]
fn a_run_that_cannot_be_known_is_8() {
    let place = Place::with(&[Until::End]);
    let ran = place.loom("export run:last -o slim.trace --no-blobs");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = place.loom("verify slim.trace --redrive");
    assert_eq!(ran.code, 8, "{}", ran.out);
    assert!(ran.out.contains("unknowable at"), "{}", ran.out);
}

/// A made run in which a verdict says otherwise than its reviewer; everything after it is chained anew.
struct Forged<'s> {
    run: StoredRun<'s>,
    events: Vec<Recorded>,
}

impl<'s> Forged<'s> {
    fn new(run: StoredRun<'s>) -> Self {
        let hasher = EventHasher::default();
        let mut events: Vec<Recorded> = Vec::new();
        for recorded in run.read(0, usize::MAX).unwrap() {
            let mut envelope = Envelope::decode(&recorded.bytes).unwrap();
            if let Some(before) = events.last() {
                envelope.previous = before.id;
            }
            if let Event::VerdictGiven(verdict) = &mut envelope.body {
                verdict.passed = true;
                verdict.blocking = 0;
            }
            events.push(Recorded::of(&envelope, &hasher));
        }
        Forged { run, events }
    }
}

impl Records for Forged<'_> {
    fn stream(&self) -> StreamId {
        self.run.stream()
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.events.iter().skip(sequence as usize).take(max).cloned().collect())
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        self.run.blob(digest)
    }
}

#[test]
fn a_run_that_comes_out_otherwise_is_7() {
    let place = Place::with(&[Until::End]);
    let store = place.store();
    let stream = store.runs(1).unwrap()[0].stream;
    let mut file = fs::File::create(place.path().join("forged.trace")).unwrap();
    trace::write(&Forged::new(StoredRun::new(&store, stream)), ORIGIN, false, &mut file).unwrap();
    drop(store);
    // The chain is whole: who writes a log anew can do that.
    let ran = place.loom("verify forged.trace");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = place.loom("verify forged.trace --redrive");
    assert_eq!(ran.code, 7, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("diverged at ") && ran.out.contains("verdict.given has another content"), "{}", ran.out);
    // Cut off behind that, it still does; that is no crash.
    let ran = place.replay("shrink --divergence -o cut.trace forged.trace");
    assert!(ran.code == 0 && ran.out.contains("comes out otherwise"), "{}{}", ran.out, ran.err);
    assert_eq!((place.replay("redrive cut.trace").code, place.replay("verify cut.trace").code), (7, 0));
    assert_eq!(place.replay("shrink --crash -o none.trace forged.trace").code, 1);
}

#[test]
fn a_resume_that_leaves_a_run_waiting_is_3() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("planner works");
    driver.kill();
    let ran = driven.loom("resume");
    assert_eq!(ran.code, 3, "{}", ran.err);
    let run = driven.log()[1]["stream"].as_str().unwrap().to_string();
    assert_eq!(ran.out, format!("{} waiting\n", &run[..8]));
    // It waits and nobody works: there is nothing to drive on.
    let told: Value = serde_json::from_str(&driven.loom("resume --json").out).unwrap();
    assert_eq!(told, serde_json::json!({ "loom": "resume/1", "runs": [{ "run": run, "state": "waiting" }] }));
    driven.answer();
    driven.drive_on();
    let ran = driven.loom("resume");
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "nothing was under way\n", ""));
    let told: Value = serde_json::from_str(&driven.loom("resume --json").out).unwrap();
    assert_eq!(told, serde_json::json!({ "loom": "resume/1", "runs": [] }));
}

#[test]
fn a_resume_whose_run_has_no_budget_left_is_5() {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    let environment = Environment {
        home: None,
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        state_folder: driven.path("state"),
        config_folder: driven.path("config"),
        data_folder: driven.path("data"),
        settings: BTreeMap::new(),
        toolchain: Vec::new(),
        caches: Vec::new(),
        descends: None,
    };
    let script = Script::parse(demo::SCRIPT).unwrap();
    let mut session =
        Session::open(&environment, &driven.project(), Arc::new(Scripted::new(script)), Guard::None).unwrap();
    let caps = Amount { spawns: 2, tokens: 1_000_000, money_micro: 1_000_000, time_ms: 3_600_000 };
    let bundle = Arc::new(load(&Source::builtin("code").unwrap()).unwrap());
    let actor = Actor::Person { id: "demo".to_string(), assurance: Assurance::Asserted, descends: None };
    let wishes = Wishes { caps: Some(caps), ..Wishes::default() };
    session.open_run(request_id(), actor, demo::TASK, bundle, wishes).unwrap();
    drop(session);
    let ran = driven.loom("resume");
    assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
    assert!(ran.out.ends_with(" exhausted\n"), "{}", ran.out);
    assert!(ran.err.contains("the run ended: exhausted, ") && ran.err.contains(" (the budget of "), "{}", ran.err);
}

#[test]
fn a_model_script_that_is_none_is_2() {
    let place = Place::usual();
    let ran = place.loom("resume --script no-such-file");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.starts_with("error: cannot read no-such-file\ncaused by: "), "{}", ran.err);
    fs::write(place.path().join("script.toml"), "model = 7").unwrap();
    let ran = place.loom("resume --script script.toml");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.starts_with("error: cannot read the model script in script.toml\ncaused by: "), "{}", ran.err);
}

#[test]
fn a_held_store_is_9_and_names_the_holder() {
    let place = Place::usual();
    let holder = RedbStore::open(&place.store_folder()).unwrap();
    for arguments in ["status", "log", "show @", "verify", "gc"] {
        let ran = place.loom(arguments);
        assert_eq!(ran.code, 9, "loom {arguments}: {}", ran.err);
        assert!(ran.err.contains(&format!("is held by process {}", std::process::id())), "{}", ran.err);
        assert!(ran.err.contains("hint: wait until process"), "{}", ran.err);
    }
    assert!(holder.size() > 0);
    drop(holder);
    assert_eq!(place.loom("status").code, 0);
}

#[test]
fn readers_do_not_keep_each_other_out() {
    let place = Place::usual();
    let reader = place.store();
    assert_eq!(place.loom("log").code, 0);
    assert!(reader.size() > 0);
}

#[test]
fn a_newer_format_is_9_with_a_sentence() {
    let place = Place::usual();
    let file = place.store_folder().join("store.redb");
    let database = redb::Database::open(file).unwrap();
    let change = database.begin_write().unwrap();
    {
        let mut meta = change.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap();
        meta.insert("format", 99).unwrap();
    }
    change.commit().unwrap();
    drop(database);
    let ran = place.loom("status");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            9,
            "error: the format 99 is newer than this loom reads (format 1); a newer loom can read it\nhint: install the newer loom\n"
        )
    );
}

/// Changes a byte of the first run's opening event in the store's file.
fn damage(place: &Place) {
    let file = place.store_folder().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    // The key of the next field ends the text: other runs' begin with it.
    let needle = b"task-1\x03";
    let places: Vec<usize> =
        bytes.windows(needle.len()).enumerate().filter(|(_, part)| part == needle).map(|(at, _)| at).collect();
    for at in places {
        bytes[at + 5] = b'9';
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn damage_is_6_with_its_place_and_other_streams_stay_readable() {
    let place = Place::usual();
    let runs: Vec<String> = place.store().runs(9).unwrap().iter().rev().map(|run| run.stream.to_string()).collect();
    damage(&place);
    let ran = place.loom("verify");
    assert_eq!(ran.code, 6, "{}", ran.out);
    assert!(ran.out.starts_with("store is damaged at position 1, "), "{}", ran.out);
    let ran = place.loom(&format!("log {}", runs[0]));
    assert_eq!(ran.code, 6, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("error: the store is damaged at position 1, "), "{}", ran.err);
    for run in &runs[1..] {
        assert_eq!(place.loom(&format!("log {run}")).code, 0);
        assert_eq!(place.loom(&format!("verify {run} --redrive")).code, 0);
    }
}

#[test]
fn a_store_that_is_no_database_is_6() {
    let place = Place::usual();
    fs::write(place.store_folder().join("store.redb"), b"not a database at all").unwrap();
    let ran = place.loom("status");
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.starts_with("error: the store is damaged"), "{}", ran.err);
}

/// Does something as the user.
fn git(folder: &Path, arguments: &[&str]) {
    let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
    let git = std::process::Command::new("git").args(who).args(arguments).current_dir(folder).status();
    assert!(git.unwrap().success());
}

#[test]
fn nobody_to_think_is_9_and_says_what_to_do() {
    needs!("git");
    let place = Place::usual();
    let ran: Ran = place.command("resume").env_remove("ANTHROPIC_API_KEY").output().unwrap().into();
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(
        ran.err.starts_with("error: no model is set up: install the agent program `claude` and set ANTHROPIC_API_KEY"),
        "{}",
        ran.err
    );
}

/// Runs `loom resume`, which opens the store for driving.
fn resume(place: &Place) -> Ran {
    fs::write(place.path().join("script.toml"), demo::SCRIPT).unwrap();
    place
        .command("resume --script script.toml")
        .env("LOOM_STATE_DIR", place.path().join("state"))
        .output()
        .unwrap()
        .into()
}

#[test]
fn a_driver_is_told_of_trouble_as_a_reader_is() {
    needs!("git");
    let place = Place::usual();
    let ran = resume(&place);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains(" is not in a git repository\nhint: go into a git repository"), "{}", ran.err);
    git(place.path(), &["init", "-q"]);
    let ran = resume(&place);
    assert!(ran.err.contains(" has no commit yet\nhint: make a first commit"), "{}", ran.err);
    git(place.path(), &["commit", "-q", "--allow-empty", "-m", "first"]);
    let holder = RedbStore::open(&place.store_folder()).unwrap();
    let ran = resume(&place);
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(ran.err.contains(&format!("is held by process {}", std::process::id())), "{}", ran.err);
    assert!(ran.err.contains("hint: wait until process"), "{}", ran.err);
    drop(holder);
    fs::remove_dir_all(place.path().join("state")).unwrap();
    fs::write(place.path().join("state"), "a file in the way").unwrap();
    let ran = resume(&place);
    assert_eq!(ran.code, 9);
    assert!(ran.err.contains("error: cannot make ") && ran.err.contains("/state\n"), "{}", ran.err);
    fs::remove_file(place.path().join("state")).unwrap();
    fs::write(place.store_folder().join("store.redb"), b"not a database at all").unwrap();
    let ran = resume(&place);
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.contains("hint: `loom verify` finds the first bad record"), "{}", ran.err);
}

#[test]
fn a_run_that_cannot_be_driven_is_told_on_stderr_and_the_others_are_driven() {
    needs!("git");
    // Long enough for the first run to lie before what an open verifies.
    let runs: Vec<Until> = [Until::Gate].into_iter().chain([Until::End; 12]).chain([Until::Spawned]).collect();
    let place = Place::with(&runs);
    let runs: Vec<String> = place.store().runs(99).unwrap().iter().rev().map(|run| run.stream.to_string()).collect();
    damage(&place);
    for words in ["init -q", "-c user.name=u -c user.email=u@x commit -q --allow-empty -m first"] {
        let git = std::process::Command::new("git").args(words.split(' ')).current_dir(place.path()).status();
        assert!(git.unwrap().success());
    }
    let ran = resume(&place);
    let start = format!("warning: run {} cannot be driven on and is set aside: the store is damaged at", &runs[0][..8]);
    assert_eq!(ran.err.matches("warning: ").count(), 1, "{}", ran.err);
    assert!(ran.err.starts_with(&start), "{}", ran.err);
    assert!(!ran.out.contains(&runs[0][..8]) && ran.out.contains(&runs[13][..8]), "{}", ran.out);
}
