//! Whatever is changed at whatever event of a recorded run: it is refused with a place, or core derives what comes of it,
//! and nothing is invented.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use loom_core::commit::Blob;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_core::process::Policy;
use loom_core::rules::{RuleSet, Rules};
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, SpawnOutcome};
use loom_fuzz::altered::{Splice, splice};
use loom_fuzz::base;
use loom_replay::diff::diff;
use loom_replay::shrink::shrink;
use loom_replay::what_if::{Cap, Change, WhatIf, what_if};
use loom_replay::{Records, Redriven, ReplayError, Trace, redrive};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug, Arbitrary)]
enum Edit {
    Rules(u8, Vec<Splice>),
    Policy(u8, u8),
    Answer(u8),
    Outcome(u8),
    Word(String),
    Cap(u8, u64),
}

#[derive(Debug, Arbitrary)]
struct Given {
    base: u8,
    at: u16,
    edit: Edit,
    /// Whether what was derived is shrunk, too, and by which set.
    shrunk: Option<u8>,
}

fn words() -> Vec<&'static str> {
    let spawns = SpawnOutcome::ALL.iter().map(|word| word.word());
    let checks = CheckOutcome::ALL.iter().map(|word| word.word());
    spawns.chain(checks).chain(MergeOutcome::ALL.iter().map(|word| word.word())).collect()
}

fn change(edit: Edit) -> Option<Change> {
    Some(match edit {
        Edit::Rules(which, splices) => {
            let mut text = base::RULES[usize::from(which) % base::RULES.len()].as_bytes().to_vec();
            splice(&mut text, &splices);
            Change::Rules(String::from_utf8(text).ok()?)
        }
        Edit::Policy(role, policy) => Change::Policy {
            role: ["plan", "final", "merge", "none"][usize::from(role) % 4].to_string(),
            policy: [Policy::Human, Policy::OnBlockers, Policy::Auto][usize::from(policy) % 3],
        },
        Edit::Answer(which) => Change::Answer(Answer::ALL[usize::from(which) % Answer::ALL.len()]),
        Edit::Outcome(which) => Change::Outcome(words()[usize::from(which) % words().len()].to_string()),
        Edit::Word(word) => Change::Outcome(word),
        Edit::Cap(which, value) => Change::Cap { of: Cap::ALL[usize::from(which) % 4], value },
    })
}

/// A changed timeline, read as a run.
struct Derived<'f> {
    found: &'f WhatIf,
    recorded: &'f Trace,
    rules: Option<Blob>,
}

impl Records for Derived<'_> {
    fn stream(&self) -> StreamId {
        self.found.changed.stream()
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.found.changed.events().iter().skip(sequence as usize).take(max).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        let put_in = self.rules.as_ref().filter(|blob| blob.digest == *digest).map(|blob| blob.bytes.clone());
        put_in.map_or_else(|| self.recorded.blob(digest), |bytes| Ok(Some(bytes)))
    }
}

fuzz_target!(|given: Given| {
    let recorded = base::trace(given.base);
    let at = u64::from(given.at) % (recorded.events.len() as u64 + 2);
    let Some(change) = change(given.edit) else { return };
    let rules = match &change {
        Change::Rules(text) => Some(Blob::plain(text.as_bytes())),
        _ => None,
    };
    let found = match what_if(recorded, at, &change) {
        Ok(found) => found,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(found.turn.is_none_or(|turn| turn >= at), "nothing before the change differs");
    assert!(found.recorded.events() == recorded.events, "what is on record stays");
    if found.turn.is_none() {
        assert!(found.changed.events() == recorded.events, "without a turn it is the record (WHATIF-4)");
    }
    let mut given_once = BTreeSet::new();
    for one in &found.given {
        assert!(given_once.insert(one.recorded), "each recorded input at most once (WHATIF-2)");
    }
    let rows = diff(&found.recorded, &found.changed);
    assert!(rows.iter().all(|row| row.left.is_some() || row.right.is_some()));
    let derived = Derived { found: &found, recorded, rules };
    match redrive(&derived).expect("it is held in memory") {
        Redriven::Same { events, .. } => assert_eq!(events, found.changed.len()),
        Redriven::Unknowable { missing, .. } => {
            panic!("{missing} is missing of a changed timeline");
        }
        Redriven::Diverged { what, .. } => panic!("a changed timeline is what core derives (WHATIF-4): {what}"),
    }
    let Some(which) = given.shrunk else { return };
    let text = base::RULES[usize::from(which) % base::RULES.len()];
    let set = RuleSet::load(text).expect("fixtures load");
    let rules = Rules::new(vec![Arc::new(set)]).expect("one set");
    let Some(shrunk) = shrink(&derived, recorded.origin, &rules, None, 24).expect("it is held in memory") else {
        return;
    };
    assert!(shrunk.after <= shrunk.before, "shrinking adds nothing");
    match redrive(&shrunk.run).expect("it is held in memory") {
        Redriven::Same { events, .. } => assert_eq!(events, shrunk.after.events),
        Redriven::Diverged { what, .. } => panic!("a smaller run is what core derives (SHRINK-2): {what}"),
        Redriven::Unknowable { missing, .. } => panic!("{missing} is missing of a smaller run (SHRINK-3)"),
    }
});
