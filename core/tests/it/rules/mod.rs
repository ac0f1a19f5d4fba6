//! The rules language, from outside: rule files and events in, text out.

mod compare;
mod conformance;
mod cost;
mod expression;
mod fact;
mod file;
mod oracle;
mod play;
mod proof;
mod property;
mod sets;
mod worked;

use loom_core::id::{Actor, Assurance, Digest};
use loom_core::kind::*;
use loom_core::rules::{Facts, Outcome, RuleSet, Rules};
use loom_core::schema::List;
use loom_core::word::*;
use play::*;
use std::sync::Arc;

fn person(id: &str, descends: Option<u64>) -> Actor {
    Actor::Person { id: id.into(), assurance: Assurance::Asserted, descends }
}

fn set(text: &str) -> Arc<RuleSet> {
    match RuleSet::load(text) {
        Ok(set) => Arc::new(set),
        Err(errors) => panic!("{}\n{text}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()),
    }
}

fn rules(text: &str) -> Rules {
    Rules::new(vec![set(text)]).expect("one set is enough")
}

/// Returns the errors of a file, one a line.
fn errors(text: &str) -> String {
    match RuleSet::load(text) {
        Ok(_) => "loads".into(),
        Err(errors) => errors.iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n"),
    }
}

fn paths(paths: &[&str]) -> PathsChanged {
    PathsChanged {
        spawn: 3,
        paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
        how: paths.iter().map(|_| "modified".to_string()).collect(),
    }
}

fn walked_back() -> WalkedBack {
    WalkedBack {
        from: "review".into(),
        to: "implement".into(),
        phase: "implement".into(),
        reason: "a blocker stands".into(),
        automatic: true,
    }
}

fn artifact(name: u8) -> Digest {
    Digest([name; 32])
}
