//! A whole run whose agents think in different places: the program `claude` edits, a model behind an API decides.

use crate::project::{Going, Project, by_person, code, person};
use loom_core::kind::{BudgetSettled, Event, SpawnFinished};
use loom_core::word::Answer;
use loom_endpoint::{Endpoint, Reply, Script};
use loom_host::session::{Session, Wishes, request_id};
use loom_providers::{ApiKind, BackendSettings, Backends, Chains, Price, ProviderKind, ProviderSettings};
use loom_tools::{Guard, find_program};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

/// The credentials of these tests: each endpoint refuses the other's.
const EDITS: &str = "sk-scripted-edits";
const DECIDES: &str = "sk-scripted-decides";

/// What is to be done.
const TASK: &str = "Write a note";

/// Opens a run whose agents of these kinds ask `decides` through an API and whose others are `claude` at `edits`, and
/// drives it as far as it goes.
fn go(project: &Project, edits: &Endpoint, decides: &Endpoint, kinds: &[&str], wishes: Wishes) -> Going {
    for (endpoint, key) in [(edits, EDITS), (decides, DECIDES)] {
        project.hides(key);
        endpoint.hide("the task", TASK);
    }
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY"].map(|name| (name.to_string(), edits.url()));
    let claude = ProviderSettings {
        base_url: Some(edits.url()),
        credential: Some(EDITS.to_string()),
        model: Some("claude-sonnet-4-5".to_string()),
        retries_max: 0,
        variables: proxies.into_iter().chain([("NO_PROXY".to_string(), "127.0.0.1".to_string())]).collect(),
        ..ProviderSettings::new("claude", ProviderKind::Claude)
    };
    let small = ProviderSettings {
        base_url: Some(format!("{}/v1", decides.url())),
        credential: Some(DECIDES.to_string()),
        models: BTreeMap::from([("fast".to_string(), "mini".to_string())]),
        model: Some("midi".to_string()),
        prices: BTreeMap::from([("mini".to_string(), Price { read_micro: 1_000_000, written_micro: 2_000_000 })]),
        ..ProviderSettings::new("small", ProviderKind::Api(ApiKind::OpenAi))
    };
    let chain = |name: &str| vec![name.to_string()];
    let chains = Chains {
        kinds: kinds.iter().map(|kind| (kind.to_string(), chain("small"))).collect(),
        // It is asked, and cannot: the next one is.
        tiers: BTreeMap::from([("balanced".to_string(), vec!["small".to_string(), "claude".to_string()])]),
        default: chain("claude"),
        ..Chains::default()
    };
    let settings = BackendSettings { providers: vec![claude, small], chains };
    let mut environment = project.environment();
    environment.search_path = std::env::var_os("PATH").unwrap();
    let is_installed =
        |program: &str| find_program(OsStr::new(program), Some(&environment.search_path), Path::new("/")).is_some();
    let backends = Arc::new(Backends::new(settings, is_installed).unwrap());
    let mut session = Session::open(&environment, project.root(), backends, Guard::None).unwrap();
    let stream = session.open_run(request_id(), person(), TASK, code(), wishes).unwrap();
    let mut going = Going { session, stream };
    going.drive();
    going
}

/// Tells of a spawn who did it, with what, why, and what it used.
fn told(spawn: &SpawnFinished) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_string());
    let number = |number: Option<u64>| number.map_or("?".to_string(), |number| number.to_string());
    let provider = text(&spawn.provider);
    // Its version is whatever is installed.
    let provider = if provider.starts_with("claude 2.") { "claude 2.x".to_string() } else { provider };
    format!(
        "{} {}: {provider}, {}; {}; {} and {} tokens for {}",
        spawn.agent,
        spawn.outcome.word(),
        text(&spawn.model),
        text(&spawn.chosen),
        number(spawn.tokens_in),
        number(spawn.tokens_out),
        number(spawn.money_micro)
    )
}

fn settled(going: &Going) -> Vec<BudgetSettled> {
    let of = |event: loom_core::event::Envelope| match event.body {
        Event::BudgetSettled(settled) => Some(settled),
        _ => None,
    };
    going.events().into_iter().filter_map(of).collect()
}

#[test]
fn classifying_and_reviewing_go_to_an_api_and_edits_to_a_program() {
    needs!("claude", "git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let script = Script::new()
        .then(Reply::call("Bash", json!({"command": "echo more >> notes.txt", "description": "edit"})))
        .then(Reply::text("The note is written.\n```json\n{\"summary\": \"a second line\"}\n```"));
    let edits = Endpoint::start(EDITS, script).unwrap();
    let approves = || Reply::text("{\"verdict\": \"approve\", \"findings\": [], \"summary\": \"good\"}").into();
    let answers = [
        Reply::text("{\"flow\": \"simple\", \"summary\": \"one file\"}").using(1_000, 10).into(),
        Reply::text("{\"summary\": \"add a line\"}").into(),
        approves(),
        approves(),
    ];
    let decides = Endpoint::start(DECIDES, Script::new().tries(answers)).unwrap();
    let wishes = Wishes { flow: None, ..by_person("simple") };
    let mut going = go(&project, &edits, &decides, &["classifier", "reviewer"], wishes);
    let spawns: Vec<String> = going.spawns().iter().map(told).collect();
    let wanted = [
        "classifier ok: small (openai), mini; kind classifier; 1000 and 10 tokens for 1020",
        "planner ok: small (openai), midi; tier balanced; 100 and 20 tokens for ?",
        "implementer ok: claude 2.x, claude-sonnet-4-5; tier balanced; skipped small: an API cannot change files; 200 and \
         40 tokens for ?",
        "reviewer-logic ok: small (openai), midi; kind reviewer; 100 and 20 tokens for ?",
        "reviewer-tests ok: small (openai), midi; kind reviewer; 100 and 20 tokens for ?",
    ];
    assert_eq!(spawns, wanted);
    let requests: Vec<Option<u64>> = going.spawns().iter().map(|spawn| spawn.requests).collect();
    assert_eq!(requests, [Some(1), Some(1), Some(2), Some(1), Some(1)]);
    assert_eq!(going.changes(), ["modified notes.txt"]);
    // A reviewer without files has the change in its prompt.
    assert!(String::from_utf8_lossy(&decides.asked().pop().unwrap().body).contains("+more"));
    assert_eq!(going.gate().unwrap().role, "final");
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    before.assert_kept(&project.footprint(), Some(&going.branch()));
    assert_eq!((edits.messages(), edits.refused()), (2, Vec::new()));
    assert_eq!((decides.messages(), decides.refused()), (4, Vec::new()));
}

#[test]
fn an_answer_that_cannot_be_read_is_asked_for_once_more_and_both_are_billed() {
    needs!("claude", "git", "sh");
    let project = Project::new();
    let edits = Endpoint::start(EDITS, Script::new()).unwrap();
    let answers = [
        Reply::text("It is an easy question.").using(1_000, 10).into(),
        Reply::text("{\"flow\": \"question\", \"summary\": \"a question\"}").using(2_000, 20).into(),
        Reply::text("{\"summary\": \"forty-two\"}").into(),
    ];
    let decides = Endpoint::start(DECIDES, Script::new().tries(answers)).unwrap();
    let wishes = Wishes { flow: None, ..by_person("question") };
    let going = go(&project, &edits, &decides, &["classifier", "adviser"], wishes);
    let spawns: Vec<String> = going.spawns().iter().map(told).collect();
    let wanted = [
        "classifier unparsable: small (openai), mini; kind classifier; 1000 and 10 tokens for 1020",
        "classifier ok: small (openai), mini; kind classifier; 2000 and 20 tokens for 2040",
        "responder ok: small (openai), midi; kind adviser; 100 and 20 tokens for ?",
    ];
    assert_eq!(spawns, wanted);
    let billed: Vec<(u64, u64, bool)> =
        settled(&going).iter().map(|settled| (settled.tokens, settled.money_micro, settled.known)).take(2).collect();
    assert_eq!(billed, [(1_010, 1_020, true), (2_020, 2_040, true)], "each is settled by what it used");
    let second = String::from_utf8_lossy(&decides.asked()[1].body).into_owned();
    assert!(second.contains("It is an easy question."), "it is shown what could not be used");
    assert_eq!((edits.asked().len(), decides.messages(), decides.refused()), (0, 3, Vec::new()));
}

#[test]
fn a_run_whose_only_provider_is_the_other_program_ends_as_a_branch() {
    needs!("codex", "git", "sh");
    let project = Project::new();
    let script = Script::new()
        .then(Reply::call("exec_command", json!({"cmd": "echo more >> notes.txt; sh check.sh && echo checked"})))
        .then(Reply::text("{\"summary\": \"a second line\"}"));
    let endpoint = Endpoint::start(EDITS, script).unwrap();
    project.hides(EDITS);
    endpoint.hide("the task", TASK);
    let codex = ProviderSettings {
        base_url: Some(format!("{}/v1", endpoint.url())),
        credential: Some(EDITS.to_string()),
        // One that the command does not know: with those that it knows the model calls tools by programs.
        model: Some("gpt-5.1-codex".to_string()),
        ..ProviderSettings::new("codex", ProviderKind::Codex)
    };
    let chains = Chains { default: vec!["codex".to_string()], ..Chains::default() };
    let settings = BackendSettings { providers: vec![codex], chains };
    let mut environment = project.environment();
    environment.search_path = std::env::var_os("PATH").unwrap();
    let backends = Arc::new(Backends::new(settings, |_| true).unwrap());
    let mut session = Session::open(&environment, project.root(), backends, Guard::None).unwrap();
    let stream = session.open_run(request_id(), person(), TASK, code(), by_person("trivial")).unwrap();
    let mut going = Going { session, stream };
    going.drive();
    assert_eq!(going.outcomes(), ["ok"], "{:?}", going.spawns());
    assert_eq!(going.changes(), ["modified notes.txt"]);
    assert!(String::from_utf8_lossy(&endpoint.asked().pop().unwrap().body).contains("checked"), "it has a shell");
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    let spawn = going.spawns().remove(0);
    assert!(spawn.provider.is_some_and(|provider| provider.starts_with("codex 0.")));
    assert_eq!((spawn.tokens_in, spawn.tokens_out, spawn.requests), (Some(200), Some(40), Some(2)));
    assert_eq!((endpoint.messages(), endpoint.refused()), (2, Vec::new()));
}
