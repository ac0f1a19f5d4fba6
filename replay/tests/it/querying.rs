//! `query`: the language of rules over events and over whole runs (QUERY-1 to QUERY-4).

use crate::made::{Until, made_run, origin};
use loom_core::event::Envelope;
use loom_core::kind::Event;
use loom_core::rules::{Outcome, RuleSet};
use loom_replay::corpus::{Corpus, Filter, Opened};
use loom_replay::query::{Answer, Match, Mode, Question, READY_MADE, query};
use loom_replay::{StoredRun, trace};
use loom_store::{MemoryStore, RedbStore, Store};
use std::path::Path;
use std::sync::Arc;

fn question(on: &[&str], expression: &str, facts: Option<&str>, group: Option<&str>) -> Question {
    let on: Vec<String> = on.iter().map(ToString::to_string).collect();
    Question::new(&on, expression, facts, group).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn wrong(on: &[&str], expression: &str, facts: Option<&str>, group: Option<&str>) -> String {
    let on: Vec<String> = on.iter().map(ToString::to_string).collect();
    Question::new(&on, expression, facts, group).unwrap_err().to_string()
}

fn ready(name: &str) -> Option<&'static str> {
    READY_MADE.iter().find(|ready| ready.name == name).map(|ready| ready.text)
}

/// A folder with a store of these runs, and the same runs as traces beside it.
fn folder(runs: &[Until]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::create(&folder.path().join("store"), &origin()).unwrap();
    for (until, number) in runs.iter().zip(1..) {
        let stream = made_run(&store, number, *until);
        let mut bytes = Vec::new();
        trace::write(&StoredRun::new(&store, stream), *b"a store for test", false, &mut bytes).unwrap();
        std::fs::create_dir_all(folder.path().join("traces")).unwrap();
        std::fs::write(folder.path().join(format!("traces/{number}.trace")), bytes).unwrap();
    }
    store.catch_up().unwrap();
    folder
}

fn asked(path: &Path, question: &Question) -> (Answer, Vec<Match>) {
    let corpus = Corpus::find(&[path.to_path_buf()]).unwrap();
    let open = |path: &Path| {
        let store: Arc<dyn Store> = Arc::new(RedbStore::open_to_read(path)?);
        Ok(Opened { store, damage: None })
    };
    let mut found = Vec::new();
    let answer = query(&corpus, question, &Filter::default(), &open, &mut |_, one| found.push(one.clone())).unwrap();
    (answer, found)
}

#[test]
fn events_are_asked_with_the_facts_before_them_and_counted_out_of_all_that_were_asked() {
    let folder = folder(&[Until::End, Until::Gate, Until::Spawned]);
    let about = question(&["spawn.finished"], "event.agent == \"safety\"", None, Some("agent"));
    assert_eq!(about.mode(), Mode::Events);
    let (answer, found) = asked(&folder.path().join("store"), &about);
    assert_eq!((answer.sources, answer.runs, answer.left_out.len()), (1, 3, 0));
    // Two rounds of three agents, one round, and none.
    assert_eq!((answer.total.asked, answer.total.matched), (9, 3));
    let groups: Vec<(&str, u64, u64)> =
        answer.groups.iter().map(|(name, tally)| (name.as_str(), tally.asked, tally.matched)).collect();
    assert_eq!(groups, [("coder", 3, 0), ("logic", 3, 0), ("safety", 3, 3)]);
    assert!(found.iter().all(|found| found.kind == "spawn.finished" && found.outcome == Outcome::True));
    assert_eq!(found[0].read, [("event.agent".to_string(), "\"safety\"".to_string())]);

    // Facts are those before the event: the first check of a run comes after no other.
    let facts = ready("spending");
    let first = question(&["check.finished"], "facts.checks == 0", facts, None);
    assert_eq!(asked(&folder.path().join("store"), &first).0.total.matched, 2);
}

#[test]
fn a_store_and_its_exported_runs_give_the_same() {
    let folder = folder(&[Until::End, Until::Gate, Until::Spawned]);
    for about in [
        question(&["finding.raised", "verdict.given"], "event.agent == \"safety\"", None, Some("kind")),
        question(&[], "facts.accepted && facts.refusals > 0", ready("runs"), Some("verdict")),
    ] {
        let ((one, in_store), (other, in_traces)) =
            (asked(&folder.path().join("store"), &about), asked(&folder.path().join("traces"), &about));
        assert_eq!(in_store, in_traces);
        assert_eq!(
            (one.total, one.groups, one.runs, one.events),
            (other.total, other.groups, other.runs, other.events)
        );
        assert!(one.total.matched > 0 && other.sources == 3);
    }
}

#[test]
fn runs_are_asked_with_their_facts_at_the_end() {
    let folder = folder(&[Until::End, Until::Gate, Until::Spawned]);
    let store = folder.path().join("store");
    let (answer, found) = asked(&store, &question(&[], "facts.accepted", ready("runs"), Some("verdict")));
    assert_eq!((answer.total.asked, answer.total.matched), (3, 1));
    let groups: Vec<(&str, u64)> = answer.groups.iter().map(|(name, tally)| (name.as_str(), tally.asked)).collect();
    assert_eq!(groups, [("\"accepted\"", 1), ("absent", 2)]);
    assert_eq!((found[0].slug.as_str(), found[0].kind), ("task-1", "run.closed"));
    assert_eq!(found[0].read, [("runs/accepted".to_string(), "true".to_string())]);
    // Each ready-made fact can be told from what a run's events say by themselves.
    let (answer, _) = asked(&store, &question(&[], "size(facts.open_blockers) > 0", ready("runs"), None));
    assert_eq!(answer.total.matched, 1, "the one that waits over a blocker");
    let (answer, _) = asked(&store, &question(&[], "facts.tokens == 120 * facts.spawns", ready("spending"), None));
    assert_eq!(answer.total.matched, 2, "the one whose spawn is under way has used nothing yet");
}

#[test]
fn a_plain_loop_over_the_events_counts_the_same() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let events = store.read(stream, 0, usize::MAX).unwrap();
    let bodies: Vec<Event> = events.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap().body).collect();
    let folder = folder(&[Until::End]);
    for kind in loom_core::kind::KINDS {
        let about = question(&[kind.name], "event.sequence % 2 == 0", None, None);
        let (answer, _) = asked(&folder.path().join("traces"), &about);
        let of_kind = || bodies.iter().zip(0..).filter(|(body, _)| body.schema().code == kind.code);
        assert_eq!(answer.total.asked, of_kind().count() as u64, "{}", kind.name);
        assert_eq!(answer.total.matched, of_kind().filter(|(_, at)| at % 2 == 0).count() as u64, "{}", kind.name);
    }
}

#[test]
fn what_cannot_be_computed_is_counted_apart() {
    let folder = folder(&[Until::End]);
    let about = question(&["check.finished"], "10 / (event.duration_ms - 40) > 0", None, None);
    let (answer, found) = asked(&folder.path().join("store"), &about);
    assert_eq!((answer.total.asked, answer.total.matched, answer.total.failed), (2, 0, 2));
    assert!(found.iter().all(|found| matches!(found.outcome, Outcome::Error(_))));
}

#[test]
fn a_wrong_question_is_told_with_its_place() {
    for (told, wanted) in [
        (wrong(&["spawn.finished"], "event.outcom == \"ok\"", None, None), "1:1: "),
        (wrong(&["spawn.finished"], "event.outcome == \"ok\" &&\n  event.agnt == \"a\"", None, None), "2:3: "),
        (wrong(&["spawn.finished"], "event.outcome ==", None, None), "1:"),
        (wrong(&["spawn.finished"], "event.duration_ms", None, None), "1:1: "),
        (wrong(&["spawn.finish"], "true", None, None), "did you mean `spawn.finished`?"),
        (wrong(&["spawn.finished"], "true", None, Some("agnt")), "no field `agnt` to group by; did you mean `agent`?"),
        (wrong(&[], "facts.acepted", ready("runs"), None), "did you mean `accepted`?"),
        (wrong(&[], "facts.accepted", ready("runs"), Some("verdit")), "did you mean `verdict`?"),
        (wrong(&[], "event.agent == \"a\"", ready("runs"), None), "1:1: "),
        (wrong(&[], "true", None, None), "--on"),
        (wrong(&[], "true", Some("loom rules 1\nset a \"a\"\nfact b cuonter\n"), None), "the facts do not load: 3:"),
        // Nothing that is no expression gets into the rule that asks.
        (wrong(&["refused"], "true\n  message \"m\"\nrule x on refused\n  require true", None, None), "2:3: "),
    ] {
        assert!(told.contains(wanted), "{wanted} is not in: {told}");
    }
}

#[test]
fn every_ready_made_file_is_facts_alone_and_names_itself() {
    for ready in READY_MADE {
        let set = RuleSet::load(ready.text).unwrap();
        assert_eq!((set.name(), set.rules().count()), (ready.name, 0));
        assert!(set.facts().count() > 5);
    }
}
