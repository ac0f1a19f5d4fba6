//! Runs driven again under other terms than their own (REDRIVE-4): what follows from the terms alone is no difference.

use crate::made::{RULES, Until, bundle, made_answered_run, origin};
use loom_bundles::{LoadedBundle, Source, load};
use loom_core::commit::Blob;
use loom_core::id::{Actor, Assurance, Digest, StreamId};
use loom_core::kind::Event;
use loom_core::process::{Bundle, StageKind};
use loom_core::rules::RuleSet;
use loom_replay::{Drift, Redriven, StoredRun, Today, redrive_today};
use loom_store::{MemoryStore, Store};
use std::cell::Cell;
use std::sync::Arc;

/// Returns a loaded bundle that has this process and these rule sets, in place of its own.
fn today(bundle: Bundle, rules: &[&str]) -> LoadedBundle {
    let mut loaded = load(&Source::builtin("code").unwrap()).unwrap();
    loaded.bytes = bundle.encode();
    loaded.digest = Blob::plain(&loaded.bytes).digest;
    loaded.bundle = bundle;
    loaded.rule_texts = rules.iter().map(|text| (*text).to_string()).collect();
    loaded.rule_sets = rules.iter().map(|text| Arc::new(RuleSet::load(text).unwrap())).collect();
    loaded
}

/// A run in which an answer over something else was declined, and the one that holds is signed.
fn run() -> (MemoryStore, StreamId) {
    let store = MemoryStore::create(&origin());
    let answers = Cell::new(0);
    let stream = made_answered_run(&store, 1, Until::End, &|_, body| {
        answers.set(answers.get() + 1);
        body.request = format!("answer {}", answers.get()).into_bytes();
        let assurance = match answers.get() {
            1 => {
                body.artifact = Some(Digest([7; 32]));
                Assurance::Asserted
            }
            _ => {
                (body.signature, body.signer) = (Some([1; 64]), Some([2; 32]));
                Assurance::Signed
            }
        };
        Actor::Person { id: "ann".to_string(), assurance, descends: None }
    });
    let events = store.read(stream, 0, usize::MAX).unwrap();
    let kinds = events.iter().map(|stored| loom_core::event::Envelope::decode(&stored.event.bytes).unwrap().body);
    assert_eq!(kinds.filter(|body| matches!(body, Event::RequestDeclined(_))).count(), 1);
    (store, stream)
}

fn driven(store: &MemoryStore, stream: StreamId, bundle: &LoadedBundle) -> (Redriven, Option<Drift>, Vec<String>) {
    match redrive_today(&StoredRun::new(store, stream), bundle, "0.1.0").unwrap() {
        Today::Driven { redriven, drift, kept, .. } => (redriven, drift, kept),
        Today::OtherBundle(name) => panic!("another bundle: {name}"),
    }
}

#[test]
fn declined_and_signed_answers_come_out_under_terms_that_differ_in_digests_alone() {
    let (store, stream) = run();
    let length = store.head(stream).unwrap().next;
    let comment = format!("{RULES}\n# Looked at again.\n");
    let more = "loom rules 1\nset more \"One more.\"\n\nrule small on spawn.requested\n  require event.attempt < 9\n  message \"m\"\n";
    let newer = Bundle { version: 2, ..bundle().0 };
    for (what, bundle, rules) in [
        ("as it is", bundle().0, vec![RULES]),
        ("another version", newer, vec![RULES]),
        ("another text", bundle().0, vec![comment.as_str()]),
        ("a set more", bundle().0, vec![more, RULES]),
    ] {
        let (redriven, drift, kept) = driven(&store, stream, &today(bundle, &rules));
        assert!(matches!(redriven, Redriven::Same { events, .. } if events == length), "{what}: {redriven:?}");
        assert_eq!((drift, kept), (None, Vec::new()), "{what}");
    }
    // What the run has beyond the bundle's sets stays.
    let (redriven, _, kept) = driven(&store, stream, &today(bundle().0, &[more]));
    assert!(matches!(redriven, Redriven::Same { .. }), "{redriven:?}");
    assert_eq!(kept, ["floor"]);
}

#[test]
fn the_first_event_that_says_something_else_is_of_the_bundle_or_of_the_rules() {
    let (store, stream) = run();
    let weaker = RULES.replace("size(facts.blockers) == 0", "size(facts.blockers) < 9");
    let mut fewer = bundle().0;
    fewer.agents.remove("safety");
    for flow in fewer.flows.values_mut() {
        flow.required_reviewers = vec!["logic".to_string()];
        for stage in &mut flow.stages {
            if let StageKind::Fanout { agents } = &mut stage.kind {
                agents.retain(|agent| agent == "logic");
            }
        }
    }
    let words = |bundle: Bundle, rules: &str| {
        let (redriven, drift, _) = driven(&store, stream, &today(bundle, &[rules]));
        let Redriven::Diverged { sequence, what, recorded, .. } = redriven else { panic!("{redriven:?}") };
        assert_eq!(recorded.map(|event| event.sequence), Some(sequence));
        (drift.unwrap().word(), what)
    };
    let (word, what) = words(bundle().0, &weaker);
    assert_eq!(word, "rule");
    assert!(what.starts_with("refused of merge.intended at final, round 1 is on record, "), "{what}");
    let (word, what) = words(fewer.clone(), RULES);
    let chosen = "flow.chosen says something else: required_reviewers: [logic, safety] → [logic]";
    assert_eq!((word, what.as_str()), ("bundle", chosen));
    // Where both are others, what stands there first decides.
    assert_eq!(words(fewer, &weaker).0, "bundle");
    assert_eq!(words(Bundle { version: 2, ..bundle().0 }, &weaker).0, "rule");
    // Under a process that is none it is not opened.
    let mut orphaned = bundle().0;
    orphaned.agents.remove("safety");
    let (word, what) = words(orphaned, RULES);
    assert!(word == "bundle" && what.contains("flaw"), "{what}");
    // Without the flow that the run names it is not opened.
    let mut renamed = bundle().0;
    renamed.flows = renamed.flows.into_values().map(|flow| ("other".to_string(), flow)).collect();
    renamed.default_flow = "other".to_string();
    let (word, what) = words(renamed, RULES);
    assert_eq!(word, "bundle");
    assert!(what.starts_with("core declines the input: ") && what.contains("no flow `main`"), "{what}");
}
