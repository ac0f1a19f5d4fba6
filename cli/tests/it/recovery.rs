//! Recovery from outside, with a real agent: the driver, the agent, both, or the whole machine die at some moment.
//!
//! Each moment has a number, which says what dies and when. The default is a dozen; `LOOM_TEST_MOMENTS=40..80 cargo test
//! -p loom-cli --test it recovery::` plays those from 40 to 79, so that many can be shared out, and gone on with.

use crate::driven::{Driven, Driver, Users, one_outcome_each, until};
use loom_endpoint::{Answer, Endpoint, Reply, Script};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The credential of these tests.
const KEY: &str = "sk-scripted-3918";
/// What is to be done.
const TASK: &str = "Say in a comment who counts the notes.\n";
/// Requests of an agent that is not disturbed.
const TURNS: u64 = 3;
/// Lines that a run tells until it waits at its gate.
const LINES: u64 = 11;
/// Longest time between what a moment follows and the moment, in milliseconds: after a line and after a request.
const AFTER_MS: [u64; 2] = [1_000, 150];
/// More answers than any run here asks for.
const ANSWERS_MAX: usize = 8;

/// What dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dies {
    Driver,
    Agent,
    Both,
    /// Everything; what goes on is a copy of the project and of Loom's state, taken at that moment, in another place.
    Machine,
}

/// A moment of a run.
#[derive(Debug)]
struct Moment {
    /// What it follows: so many lines told, or so many requests of the agent.
    lines: u64,
    requests: u64,
    after: Duration,
}

impl Moment {
    fn of(number: u64) -> Self {
        // Half of the moments are while the agent works.
        let is_request = chance(number).is_multiple_of(2);
        let place = chance(number + 2000);
        let (lines, requests) = if is_request { (0, place % TURNS + 1) } else { (place % LINES + 1, 0) };
        let after = Duration::from_millis(chance(number + 1000) % AFTER_MS[usize::from(is_request)]);
        Moment { lines, requests, after }
    }

    /// Comes when the moment has come, or the driver has ended before.
    fn comes(&self, driver: &mut Driver, endpoint: &Endpoint) {
        driver.reads(usize::try_from(self.lines).unwrap());
        let asked = usize::try_from(self.requests).unwrap();
        until(|| endpoint.messages() >= asked || driver.has_ended());
        let began = Instant::now();
        until(|| began.elapsed() >= self.after || driver.has_ended());
    }
}

/// SplitMix64: the same moments each time.
fn chance(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Returns the numbers of the moments to be played.
fn moments() -> Range<u64> {
    let Ok(wanted) = std::env::var("LOOM_TEST_MOMENTS") else { return 0..12 };
    let (from, to) = wanted.split_once("..").expect("LOOM_TEST_MOMENTS is like 40..80");
    from.parse().unwrap()..to.parse().unwrap()
}

/// What the agent does: it says which spawn it is, edits a file, and reports.
fn turns() -> [Reply; 3] {
    let edit = "printf '# Counted by nobody.\\n' >> notes.sh && echo edited";
    [
        Reply::call("Bash", json!({"command": "echo \"spawn=$LOOM_SPAWN.\"", "description": "say who it is"})),
        Reply::call("Bash", json!({"command": edit, "description": "edit"})),
        Reply::text("{\"summary\": \"a comment\"}"),
    ]
}

fn script() -> Script {
    turns().into_iter().fold(Script::new(), Script::then)
}

/// A project whose agents are the real command at this endpoint.
fn project(endpoint: &Endpoint) -> Driven {
    let driven = Driven::bare();
    driven.hides(KEY);
    endpoint.hide("the task", TASK.trim());
    driven.make_project();
    let config = format!(
        "[providers.main]\nkind = \"claude\"\nbase_url = \"{}\"\ncredential = \"env:SCRIPTED_KEY\"\nretries_max = 0\n\
         models = {{ balanced = \"claude-sonnet-4-5\", strong = \"claude-sonnet-4-5\" }}\n\n[run]\n\
         providers = [\"main\"]\n",
        endpoint.url()
    );
    fs::create_dir_all(driven.path("config/loom")).unwrap();
    fs::write(driven.path("config/loom/config.toml"), config).unwrap();
    fs::write(driven.path("task.txt"), TASK).unwrap();
    driven
}

/// Returns the binary as a command that has the model's credential.
fn command(driven: &Driven, arguments: &str) -> Command {
    let mut command = driven.command(arguments);
    command.env("SCRIPTED_KEY", KEY);
    command
}

fn run(driven: &Driven) -> Driver {
    let task = driven.path("task.txt").display().to_string();
    driven.follows(command(driven, &format!("run --file {task} --complexity trivial --policy review-final --no-input")))
}

/// Drives on and answers until the run has ended; every wait on the way is a gate with a name.
fn drive_on(driven: &Driven) {
    let mut next = "resume".to_string();
    for _ in 0..ANSWERS_MAX {
        let output = command(driven, &next).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => return,
            Some(3) => {}
            code => panic!("`loom {next}` ended with {code:?}: {told}"),
        }
        let gates: Value = serde_json::from_str(&driven.loom("gates --json").out).unwrap();
        let gates = gates["gates"].as_array().unwrap();
        assert_eq!(gates.len(), 1, "it waits, so there is a gate: {told}");
        next = match gates[0]["role"].as_str().unwrap() {
            "final" => "answer run:last accept".to_string(),
            // A question of the kernel: an agent was lost too often.
            "ask" => "recover run:last retry".to_string(),
            role => panic!("a gate `{role}`"),
        };
    }
    panic!("the run waits again and again: {}", driven.loom("log").out);
}

/// Returns the tree of a run that nobody disturbs.
fn undisturbed() -> &'static str {
    static TREE: OnceLock<String> = OnceLock::new();
    TREE.get_or_init(|| {
        let endpoint = Endpoint::start(KEY, script()).unwrap();
        let driven = project(&endpoint);
        let mut driver = run(&driven);
        assert_eq!(driver.ends(), Some(3), "{:#?}", driver.told);
        drive_on(&driven);
        assert_eq!(endpoint.messages() as u64, TURNS);
        // What leaves the store lies beside it, and is searched with it at the end.
        let exported = driven.loom(&format!("export run:last -o {}", driven.path("run.trace").display()));
        assert_eq!(exported.code, 0, "{}", exported.err);
        fs::write(driven.path("log.jsonl"), driven.loom("log --jsonl").out).unwrap();
        tree(&driven.log())
    })
}

fn tree(log: &[Value]) -> String {
    let intended = log.iter().find(|event| event["kind"] == "merge.intended").expect("accepted without a merge");
    intended["body"]["tree"].as_str().unwrap().to_string()
}

/// What the endpoint saw of one execution of an agent.
#[derive(Debug, Default)]
struct Session {
    /// Turns that were asked for, in their order.
    turns: Vec<usize>,
    /// The spawn, as far as the agent came to say it.
    spawn: Option<u64>,
}

/// Returns the executions of agents that the endpoint was asked by.
fn sessions(endpoint: &Endpoint) -> BTreeMap<String, Session> {
    assert_eq!(endpoint.refused(), Vec::<String>::new());
    let mut sessions: BTreeMap<String, Session> = BTreeMap::new();
    for asked in endpoint.asked().iter().filter(|asked| asked.what.starts_with("POST /v1/messages")) {
        let body: Value = serde_json::from_slice(&asked.body).unwrap();
        let text = String::from_utf8_lossy(&asked.body);
        let user = body["metadata"]["user_id"].as_str().expect("the command names its session");
        let session = sessions.entry(session_of(user)).or_default();
        let messages = body["messages"].as_array().unwrap();
        session.turns.push(messages.iter().filter(|message| message["role"] == "assistant").count());
        let said = text.split("spawn=").filter_map(|after| after.split_once('.')?.0.parse().ok()).next();
        session.spawn = session.spawn.or(said);
    }
    sessions
}

/// Returns the session that a user's id names at its end.
fn session_of(user: &str) -> String {
    let named: Option<Value> = serde_json::from_str(user).ok();
    let named = named.and_then(|named| Some(named["session_id"].as_str()?.to_string()));
    named.unwrap_or_else(|| user.rsplit("session_").next().unwrap_or(user).to_string())
}

/// No spawn whose outcome is on record was executed again, and no execution asked twice for one turn.
#[track_caller]
fn nothing_twice(log: &[Value], endpoint: &Endpoint) {
    let sessions = sessions(endpoint);
    let of = |kind: &'static str| log.iter().filter(move |event| event["kind"] == kind);
    let number = |event: &Value, name: &str| event["body"][name].as_u64().unwrap();
    let mut unknown = 0;
    let mut executed: BTreeMap<u64, &str> = BTreeMap::new();
    for (id, session) in &sessions {
        let turns: Vec<usize> = (0..session.turns.len()).collect();
        assert_eq!(session.turns, turns, "each turn once: {sessions:#?}");
        match session.spawn {
            Some(spawn) => assert_eq!(executed.insert(spawn, id), None, "spawn {spawn} was executed twice"),
            None => unknown += 1,
        }
    }
    let mut lost = of("effect.orphaned").count();
    for finished in of("spawn.finished") {
        if finished["body"]["outcome"] != "ok" {
            lost += 1;
            continue;
        }
        let session = finished["body"]["session"].as_str().unwrap();
        assert_eq!(executed.get(&number(finished, "spawn")), Some(&session), "one execution, which is on record");
        assert_eq!(sessions[session].turns.len() as u64, number(finished, "requests"));
        assert_eq!(number(finished, "requests"), TURNS);
    }
    // An agent that died before it said which spawn it is has no outcome, or one that says so.
    assert!(unknown <= lost, "{unknown} executions without a name, {lost} outcomes lost: {sessions:#?}");
    let requested: BTreeSet<u64> = of("spawn.requested").map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert!(executed.keys().all(|spawn| requested.contains(spawn)), "intent comes before effect");
    assert!(sessions.len() <= requested.len());
}

/// Signals a process of a rig. That it has ended meanwhile is no fault.
fn signal(name: &str, id: u32) {
    let line = format!("kill -{name} {id}");
    let _gone = Command::new("/bin/sh").args(["-c", &line]).stderr(Stdio::null()).status().unwrap();
}

/// Kills the agent's process, and nothing else.
fn kill_agent(driven: &Driven) {
    let is_agent = |words: &String| {
        let program = words.split(' ').next().unwrap_or_default();
        Path::new(program).file_name().is_some_and(|name| name == "claude")
    };
    let found: Vec<u32> =
        driven.processes().into_iter().filter(|(_, words)| is_agent(words)).map(|(id, _)| id).collect();
    println!("processes of the agent: {found:?}");
    found.into_iter().for_each(|id| signal("KILL", id));
}

/// Copies everything of a place, at one moment, to another one.
fn copied(driven: &Driven, driver: &Driver) -> Driven {
    let stopped = |id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['T', 'Z', 'X']) || rest.is_empty())
    };
    signal("STOP", driver.id());
    // Who is stopped starts nobody else.
    assert!(until(|| {
        let living = driven.processes();
        living.keys().filter(|id| !stopped(id)).for_each(|id| signal("STOP", *id));
        living.keys().all(stopped)
    }));
    let copy = Driven::bare();
    copy.hides(KEY);
    for name in ["kept", "state", "config", "data"].into_iter().filter(|name| driven.path(name).exists()) {
        let done = Command::new("cp").arg("-a").args([driven.path(name), copy.path(name)]).status().unwrap();
        assert!(done.success());
    }
    copy
}

/// Lets the run of a moment's number go as far as its moment, lets die what dies, and checks how it goes on.
fn check(number: u64, dies: Dies) {
    let wanted = undisturbed();
    let moment = Moment::of(number);
    println!("moment {number}: {dies:?} dies, {moment:?}");
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let driven = project(&endpoint);
    let users = driven.users();
    let mut driver = run(&driven);
    moment.comes(&mut driver, &endpoint);
    let copy = match dies {
        Dies::Driver => {
            driver.kill();
            // What it had started ends without it; every other time it is resumed before that.
            assert!(number.is_multiple_of(8) || driven.survivors().is_empty(), "{:?}", driven.survivors());
            None
        }
        Dies::Agent => {
            kill_agent(&driven);
            assert_eq!(driver.ends(), Some(3), "it goes on by itself: {:#?}", driver.told);
            None
        }
        Dies::Both => {
            driven.kill_all();
            driver.ends();
            None
        }
        Dies::Machine => {
            let copy = copied(&driven, &driver);
            driven.kill_all();
            driver.ends();
            assert_eq!(driven.users(), users, "what is the user's");
            Some(copy)
        }
    };
    goes_on(copy.as_ref().unwrap_or(&driven), &driver, &users, &endpoint, wanted);
    assert!(driven.survivors().is_empty(), "{:?}", driven.survivors());
}

fn goes_on(driven: &Driven, driver: &Driver, users: &Users, endpoint: &Endpoint, wanted: &str) {
    driven.told_is_on_record(&driver.told);
    if !driven.has_store() || driven.log().len() < 2 {
        // It died before anything was acknowledged.
        assert_eq!(endpoint.messages(), 0);
        assert_eq!(&driven.users(), users, "what is the user's");
        return;
    }
    driven.is_whole();
    drive_on(driven);
    driven.is_whole();
    let log = driven.log();
    one_outcome_each(&log);
    let closed: Vec<&Value> = log.iter().filter(|event| event["kind"] == "run.closed").collect();
    assert_eq!(closed.len(), 1);
    assert_eq!((closed[0]["body"]["verdict"].as_str(), tree(&log).as_str()), (Some("accepted"), wanted));
    nothing_twice(&log, endpoint);
    assert_eq!(&driven.users(), users, "what is the user's");
    assert!(driven.survivors().is_empty(), "{:?}", driven.survivors());
}

/// Plays every fourth moment.
fn check_all(dies: Dies) {
    for number in moments().filter(|number| number % 4 == dies as u64) {
        check(number, dies);
    }
}

#[test]
fn the_driver_dies_and_the_run_comes_to_the_same_end() {
    needs!("claude", "git", "sh");
    check_all(Dies::Driver);
}

#[test]
fn the_agent_dies_and_the_run_comes_to_the_same_end() {
    needs!("claude", "git", "sh");
    check_all(Dies::Agent);
}

#[test]
fn both_die_and_the_run_comes_to_the_same_end() {
    needs!("claude", "git", "sh");
    check_all(Dies::Both);
}

#[test]
fn the_machine_dies_and_a_copy_comes_to_the_same_end_elsewhere() {
    needs!("claude", "git", "sh", "cp");
    check_all(Dies::Machine);
}

#[test]
fn a_wait_for_a_rate_limit_survives_its_driver_with_the_same_end() {
    needs!("claude", "git", "sh");
    let limited = Answer::Status { code: 429, retry_after_s: Some(10) };
    let [first, second, third] = turns();
    let endpoint = Endpoint::start(KEY, Script::new().tries([limited, first.into()]).then(second).then(third)).unwrap();
    let driven = project(&endpoint);
    let mut driver = run(&driven);
    assert!(until(|| driven.has_store() && driven.loom("log --jsonl").out.contains("timer.set") || driver.has_ended()));
    let budget = || {
        let state: Value = serde_json::from_str(&driven.loom("at @ --json").out).unwrap();
        state["budget"].clone()
    };
    let spent = budget();
    driver.kill();
    let before = driven.log();
    assert_eq!((budget(), endpoint.messages()), (spent, 1));
    drive_on(&driven);
    let log = driven.log();
    assert_eq!(log[..before.len()], before[..]);
    let of = |kind: &'static str| log.iter().filter(move |event| event["kind"] == kind);
    let due: Vec<u64> = of("timer.set").map(|event| event["body"]["due_ms"].as_u64().unwrap()).collect();
    let [spawned, again] = of("spawn.requested").collect::<Vec<_>>()[..] else { panic!("{log:#?}") };
    assert_eq!(due.len(), 1, "it waits once");
    assert!(due[0] >= stamp(spawned) + 10_000 && stamp(again) >= due[0], "{due:?}");
    assert_eq!((&again["body"]["attempt"], endpoint.messages() as u64), (&spawned["body"]["attempt"], 1 + TURNS));
}

/// Returns when an event was recorded, in milliseconds.
fn stamp(event: &Value) -> u64 {
    event["stamp"]["ms"].as_u64().unwrap()
}

#[test]
fn a_budget_that_is_spent_stays_spent() {
    needs!("claude", "git", "sh");
    let endpoint = Endpoint::start(KEY, Script::new().then(Answer::Silence)).unwrap();
    let driven = project(&endpoint);
    let task = driven.path("task.txt").display().to_string();
    let words = format!("run --file {task} --complexity trivial --policy review-final --max-spawns 1 --no-input");
    let mut driver = driven.follows(command(&driven, &words));
    assert!(until(|| endpoint.messages() == 1 || driver.has_ended()));
    driver.kill();
    driven.kill_all();
    let output = command(&driven, "resume").output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    driven.is_whole();
    let log = driven.log();
    let count = |kind: &str| log.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((count("spawn.requested"), count("effect.orphaned"), endpoint.messages()), (1, 1, 1));
}
