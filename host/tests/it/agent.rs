//! A whole run with a real agent's program: a real repository, the command `claude`, and an endpoint of ours for a
//! model.

use crate::project::{Footprint, Going, Project, SEARCH_PATH, assert_dead, by_person, code, guard, person};
use loom_core::commit::Blob;
use loom_core::word::Answer;
use loom_endpoint::{Endpoint, Reply, Script};
use loom_host::session::{Keepers, Session, request_id};
use loom_providers::{Claude, ClaudeSettings};
use loom_tools::Guard;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

/// The credential of these tests.
pub(crate) const KEY: &str = "sk-scripted-7741";

/// A token of a known form, which an agent says.
const TOKEN: &str = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8";

/// What is to be done.
const TASK: &str = "Write a note";

/// Opens a run of the flow `trivial` whose agents ask this endpoint, and drives it as far as it goes.
fn go(project: &Project, endpoint: &Endpoint) -> Going {
    go_with(project, endpoint, Guard::None, &[])
}

/// The same with a guard and further variables in the provider's settings.
fn go_with(project: &Project, endpoint: &Endpoint, keepers: impl Into<Keepers>, variables: &[(&str, &str)]) -> Going {
    let search_path = std::env::var_os("PATH").unwrap_or_else(|| SEARCH_PATH.into());
    go_on(project, endpoint, keepers, variables, search_path)
}

/// The same with a search path.
pub(crate) fn go_on(
    project: &Project,
    endpoint: &Endpoint,
    keepers: impl Into<Keepers>,
    variables: &[(&str, &str)],
    search_path: OsString,
) -> Going {
    project.hides(KEY);
    endpoint.hide("the task", TASK);
    // What wants to reach another machine asks the endpoint, which refuses and tells.
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name.to_string(), endpoint.url()));
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let direct = ("NO_PROXY".to_string(), "127.0.0.1".to_string());
    let claude = Claude::new(ClaudeSettings {
        program: "claude".to_string(),
        credential: ("ANTHROPIC_API_KEY".to_string(), KEY.to_string()),
        base_url: Some(endpoint.url()),
        requests_max: 50,
        models: BTreeMap::from([("balanced".to_string(), "claude-sonnet-4-5".to_string())]),
        retries_max: 0,
        turns_max: 20,
        idle_limit_ms: 60_000,
        prices_known: true,
        variables: proxies.into_iter().chain([direct]).chain(variables).collect(),
    });
    let mut environment = project.environment();
    environment.search_path = search_path;
    let mut session = Session::open(&environment, project.root(), Arc::new(claude), keepers).unwrap();
    let stream = session.open_run(request_id(), person(), TASK, code(), by_person("trivial")).unwrap();
    let mut going = Going { session, stream };
    going.drive();
    going
}

#[test]
fn a_run_with_a_real_agent_ends_as_a_branch() {
    needs!("claude", "git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let script = Script::new()
        .then(Reply::call("Read", json!({"file_path": "notes.txt"})))
        .then(Reply::call(
            "Edit",
            json!({"file_path": "notes.txt", "old_string": "a note", "new_string": "a note\nmore"}),
        ))
        .then(Reply::call("Bash", json!({"command": "sh check.sh && echo checked", "description": "run the tests"})))
        .then(Reply::text("The note is written.\n```json\n{\"summary\": \"a second line\"}\n```"));
    let endpoint = Endpoint::start(KEY, script).unwrap();
    let mut going = go(&project, &endpoint);
    assert_eq!(going.outcomes(), ["ok"], "{:?}", going.spawns());
    assert_eq!(going.changes(), ["modified notes.txt"]);
    before.assert_kept(&project.footprint(), None);
    assert_eq!(going.gate().unwrap().role, "final");
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    let branch = going.branch();
    before.assert_kept(&project.footprint(), Some(&branch));
    assert_eq!(project.git(&["show", &format!("{branch}:notes.txt")]), "a note\nmore");
    let spawn = going.spawns().remove(0);
    assert_eq!(spawn.model.as_deref(), Some("claude-sonnet-4-5"));
    assert!(spawn.session.is_some_and(|session| session.len() == 36));
    assert_eq!((spawn.tokens_in, spawn.tokens_out), (Some(400), Some(80)));
    assert_eq!(spawn.money_micro, Some(400 * 3 + 80 * 15));
    assert!(String::from_utf8_lossy(&endpoint.asked().pop().unwrap().body).contains("checked"), "it has a shell");
    assert_eq!((endpoint.messages(), endpoint.refused()), (4, Vec::new()), "each message was asked for once");
}

#[test]
fn the_credential_is_in_no_file_and_the_spawn_keeps_its_mark() {
    needs!("claude", "git", "sh");
    let project = Project::new();
    let script = Script::new()
        .then(Reply::call("Bash", json!({"command": "echo \"more $LOOM_SPAWN.\" >> notes.txt", "description": "edit"})))
        .then(Reply::call("Bash", json!({"command": format!("echo {TOKEN}"), "description": "say it"})))
        .then(Reply::text("{\"summary\": \"done\"}"));
    let endpoint = Endpoint::start(KEY, script).unwrap();
    let going = go_with(&project, &endpoint, Guard::None, &[("LOOM_SPAWN", "0"), ("HOME", "/")]);
    assert_eq!(going.outcomes(), ["ok"], "{:?}", going.spawns());
    let finished = going.spawns().remove(0);
    let transcript = going.session.engine().store().blob(&finished.transcript.unwrap()).unwrap().unwrap();
    let transcript = String::from_utf8_lossy(Blob::content(&transcript).unwrap()).into_owned();
    assert!(transcript.contains("echo [redacted: ") && !transcript.contains(TOKEN), "{transcript}");
    assert!(transcript.contains("notes.txt"), "what it printed is on record: {transcript}");
    let spawn = finished.spawn;
    let places = Footprint::of(&project.beside(""));
    assert!(places.texts().any(|(_, text)| text.contains(&format!("more {spawn}."))), "the work folder is among them");
    let told: Vec<_> = places.texts().filter(|(_, text)| text.contains(KEY)).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn what_an_agent_leaves_running_ends_with_it() {
    needs!("claude", "git", "sh", "setsid");
    let Some(guard) = guard() else { return };
    let project = Project::new();
    let pids = project.beside("pids");
    let leave = format!(
        "echo more >> notes.txt; setsid sh -c 'echo $$ >> \"{0}\"; exec sleep 1000' > log 2>&1 < /dev/null &\n\
         while ! test -s '{0}'; do sleep 0.01; done; rm log",
        pids.display()
    );
    let script = Script::new()
        .then(Reply::call("Bash", json!({"command": leave, "description": "leave something behind"})))
        .then(Reply::text("{\"summary\": \"done\"}"));
    let endpoint = Endpoint::start(KEY, script).unwrap();
    let going = go_with(&project, &endpoint, guard, &[]);
    assert_eq!(going.outcomes(), ["ok"], "{:?}", going.spawns());
    assert_eq!(going.changes(), ["modified notes.txt"]);
    assert_dead(&pids, 1);
}

#[test]
fn an_agent_that_only_says_done_is_not_accepted() {
    needs!("claude", "git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let endpoint = Endpoint::start(KEY, Script::new().then(Reply::text("{\"summary\": \"done\"}"))).unwrap();
    let mut going = go(&project, &endpoint);
    assert_eq!(going.outcomes(), ["ok", "ok"], "it is asked once more");
    assert!(going.why().contains("said done and changed nothing"), "{}", going.why());
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), None);
    before.assert_kept(&project.footprint(), None);
}

#[test]
fn an_agent_that_the_endpoint_refuses_stops_at_a_person_and_is_asked_once() {
    needs!("claude", "git", "sh");
    let project = Project::new();
    let endpoint = Endpoint::start("sk-another", Script::new()).unwrap();
    let going = go(&project, &endpoint);
    assert_eq!(going.outcomes(), ["broken"]);
    assert_eq!(endpoint.messages(), 1);
    assert!(going.why().contains("401"), "{}", going.why());
}
