//! `shrink`: a smaller run that breaks the same rule (SHRINK-1 to SHRINK-3).

use crate::made::{ORIGIN, Until, made_run, origin};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_core::kind::Event;
use loom_core::rules::{RuleSet, Rules};
use loom_replay::corpus::{Corpus, Filter};
use loom_replay::judge::{Finding, Judgement, Options, Place, judge};
use loom_replay::shrink::{How, Shrunk, shrink, shrink_crash, shrink_divergence};
use loom_replay::{Records, Redriven, ReplayError, StoredRun, redrive, trace, verify_run};
use loom_store::{MemoryStore, Store};
use std::path::Path;
use std::sync::Arc;

const LATER: &str = r#"loom rules 1
set later "What was thought of later."

fact ever_blocked flag
  add finding.raised if event.severity == "blocking"

fact checks counter
  add check.requested

rule never-over-a-blocker on merge.intended
  require !facts.ever_blocked
  message "a blocking finding was raised in this run"

rule one-check on check.requested
  require facts.checks < 1
  message "more than one check"

rule no-blocker on finding.raised
  require event.severity != "blocking"
  message "a blocker"
"#;

const WORDS: &str = r#"loom rules 1
set words "Words."

rule no-fine on verdict.given
  require event.word != "fine"
  message "a word that nobody said"
"#;

fn rules(text: &str) -> Rules {
    Rules::new(vec![Arc::new(RuleSet::load(text).unwrap())]).unwrap()
}

/// Writes a smaller run as a trace, reads it back as a stranger would, and judges it.
fn read_back(shrunk: &Shrunk<'_>, rules: &Rules) -> (trace::Written, Judgement) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.trace");
    let mut bytes = Vec::new();
    let written = trace::write(&shrunk.run, shrunk.origin, false, &mut bytes).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let read = trace::read(&mut &bytes[..]).unwrap();
    assert_eq!((read.events.len() as u64, read.commits), (shrunk.after.events, shrunk.after.commits));
    if shrunk.how == How::Derived {
        assert!(matches!(redrive(&read).unwrap(), Redriven::Same { .. }), "what was derived is derived again");
        assert_ne!(shrunk.origin, ORIGIN);
    }
    let options = Options { threads: 1, verify: true, filter: Filter::default() };
    let judgement = judge(&Corpus::find(&[path]).unwrap(), rules, &options, &|_| unreachable!("it is a trace"));
    assert!(judgement.left_out.is_empty());
    (written, judgement)
}

#[test]
fn what_is_left_breaks_the_same_rule_and_no_input_is_there_for_nothing() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let records = StoredRun::new(&store, stream);
    for (text, rule, inputs) in [
        // One round is enough: coder, check, one reviewer that blocks and one that does not, and the answer that was refused.
        (LATER, "never-over-a-blocker", 6),
        (LATER, "later/no-blocker", 4),
        (LATER, "one-check", 7),
    ] {
        let rules = rules(text);
        let found = shrink(&records, ORIGIN, &rules, Some(rule), 1000).unwrap().unwrap();
        assert!(found.is_smallest && found.how == How::Derived, "{rule}");
        assert!(found.after < found.before, "{rule}: {:?} of {:?}", found.after, found.before);
        assert_eq!(found.after.commits, inputs, "{rule}");
        let target = found.target.clone().unwrap();
        let (_, judgement) = read_back(&found, &rules);
        let same = judgement.findings.iter().any(|finding| {
            let name = &judgement.rules[finding.rule].name;
            (name, finding.kind, finding.place, finding.sequence)
                == (&target.rule, target.kind, target.place, found.sequence)
        });
        assert!(same, "{rule}: {:?}", judgement.findings);
        let again = shrink(&records, ORIGIN, &rules, Some(rule), 1000).unwrap().unwrap();
        assert_eq!(again.run.read(0, usize::MAX).unwrap(), found.run.read(0, usize::MAX).unwrap(), "{rule}");
        assert_eq!(again.judgements, found.judgements);
    }
}

#[test]
fn the_budget_bounds_the_work_and_is_told() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let (records, rules) = (StoredRun::new(&store, stream), rules(LATER));
    for budget in [1, 2, 5] {
        let found = shrink(&records, ORIGIN, &rules, None, budget).unwrap().unwrap();
        assert!(!found.is_smallest && found.judgements <= budget, "{budget}: {}", found.judgements);
        read_back(&found, &rules);
    }
}

#[test]
fn the_first_broken_rule_is_taken_and_a_kept_one_leaves_nothing_to_shrink() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let records = StoredRun::new(&store, stream);
    let found = shrink(&records, ORIGIN, &rules(LATER), None, 1000).unwrap().unwrap();
    let target = found.target.unwrap();
    assert_eq!((target.rule.as_str(), target.place), ("later/no-blocker", Place::Event));
    assert!(shrink(&records, ORIGIN, &rules(LATER), Some("nobody"), 1000).unwrap().is_none());
}

/// A run in which a verdict says otherwise than its reviewer, chained anew.
struct Forged {
    stream: StreamId,
    events: Vec<Recorded>,
    store: MemoryStore,
}

impl Records for Forged {
    fn stream(&self) -> StreamId {
        self.stream
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.events.iter().skip(sequence as usize).take(max).cloned().collect())
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(self.store.blob(digest)?)
    }
}

fn forged() -> Forged {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let hasher = EventHasher::default();
    let mut events: Vec<Recorded> = Vec::new();
    for stored in store.read(stream, 0, usize::MAX).unwrap() {
        let mut envelope = Envelope::decode(&stored.event.bytes).unwrap();
        if let Event::VerdictGiven(verdict) = &mut envelope.body {
            verdict.word = "fine".to_string();
        }
        envelope.previous = events.last().map(|event| event.id).unwrap_or_default();
        events.push(Recorded::of(&envelope, &hasher));
    }
    Forged { stream, events, store }
}

#[test]
fn a_run_that_comes_out_otherwise_is_cut_off_behind_the_commit_that_does() {
    let forged = forged();
    let found = shrink_divergence(&forged, ORIGIN).unwrap().unwrap();
    assert_eq!((found.how, found.origin, found.is_smallest), (How::Cut, ORIGIN, false));
    assert!(found.after < found.before);
    assert!(matches!(redrive(&found.run).unwrap(), Redriven::Diverged { sequence, .. } if sequence == found.sequence));
    read_back(&found, &rules(LATER));
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    assert!(shrink_divergence(&StoredRun::new(&store, stream), ORIGIN).unwrap().is_none());
}

#[test]
fn what_core_would_not_derive_is_only_cut() {
    let (forged, words) = (forged(), rules(WORDS));
    let found = shrink(&forged, ORIGIN, &words, None, 1000).unwrap().unwrap();
    assert_eq!((found.how, found.judgements, found.after < found.before), (How::Cut, 1, true));
    let (_, judgement) = read_back(&found, &words);
    assert_eq!(judgement.findings.first().map(|finding| finding.sequence), Some(found.sequence));
}

#[test]
fn every_recorded_incident_has_a_smaller_run_that_its_rule_finds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/incidents");
    let (mut incidents, mut smaller) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let place = entry.unwrap().path();
        let (Ok(bytes), Ok(text)) =
            (std::fs::read(place.join("trace.loom")), std::fs::read_to_string(place.join("candidate.rules")))
        else {
            continue;
        };
        let (trace, candidate) = (trace::read(&mut &bytes[..]).unwrap(), rules(&text));
        let found = shrink(&trace, trace.origin, &candidate, None, 200).unwrap();
        let found = found.unwrap_or_else(|| panic!("{}: its rule finds nothing", place.display()));
        let (_, judgement) = read_back(&found, &candidate);
        let target = found.target.clone().unwrap();
        assert_eq!(found.how, How::Derived, "{}", place.display());
        let is_same = |finding: &Finding| {
            let name = &judgement.rules[finding.rule].name;
            (name, finding.kind, finding.sequence) == (&target.rule, target.kind, found.sequence)
        };
        assert!(judgement.findings.iter().any(is_same), "{}", place.display());
        incidents += 1;
        smaller += usize::from(found.after < found.before);
    }
    assert!(incidents >= 10 && smaller >= 10, "{smaller} of {incidents} are smaller");
}

/// A run over whose blobs of these names the program panics, as if core did over what they say.
struct Fatal<'s> {
    run: StoredRun<'s>,
    blobs: Vec<Digest>,
}

impl Records for Fatal<'_> {
    fn stream(&self) -> StreamId {
        self.run.stream()
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        self.run.read(sequence, max)
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        if let Some(at) = self.blobs.iter().position(|blob| blob == digest) {
            panic!("planted at {at}");
        }
        self.run.blob(digest)
    }
    fn redaction(&self, digest: &Digest) -> Result<Option<u64>, ReplayError> {
        self.run.redaction(digest)
    }
}

#[test]
fn the_smallest_run_that_crashes_is_found_and_crashes_alike() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let run = || StoredRun::new(&store, stream);
    assert!(shrink_crash(&run(), ORIGIN, Some(&rules(LATER)), 1000).unwrap().is_none(), "nothing panics");
    let bodies: Vec<Event> =
        run().read(0, usize::MAX).unwrap().iter().map(|event| Envelope::decode(&event.bytes).unwrap().body).collect();
    let answers: Vec<Digest> = bodies
        .iter()
        .filter_map(|body| match body {
            Event::SpawnFinished(body) => body.answer,
            _ => None,
        })
        .collect();
    let Event::RunOpened(opened) = &bodies[0] else { unreachable!("a run begins so") };
    // The last answer alone; the last two, of which the earlier one is enough; the bundle, without which there is no run.
    let (last, earlier) = (answers[answers.len() - 1], answers[answers.len() - 2]);
    for (blobs, most) in [(vec![last], 7), (vec![last, earlier], 7), (vec![opened.bundle], 1)] {
        let fatal = Fatal { run: run(), blobs };
        let found = shrink_crash(&fatal, ORIGIN, None, 1000).unwrap().unwrap();
        assert!(found.is_smallest && found.how == How::Derived && found.target.is_none());
        assert!(found.crash.as_deref().is_some_and(|crash| crash.starts_with("planted at ")), "{:?}", found.crash);
        assert!(found.after < found.before && found.after.commits <= most, "{:?} of {:?}", found.after, found.before);
        assert_ne!(found.origin, ORIGIN);
        // It is a run like any other: chained, and it crashes where it is driven.
        assert!(verify_run(&found.run, false).unwrap().is_whole());
        let events = found.run.read(0, usize::MAX).unwrap();
        assert_eq!((events.len() as u64, found.sequence), (found.after.events, found.after.events - 1));
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| redrive(&found.run)));
        assert!(again.is_err(), "driven again it crashes");
        let again = shrink_crash(&fatal, ORIGIN, None, 1000).unwrap().unwrap();
        assert_eq!((again.run.read(0, usize::MAX).unwrap(), again.judgements), (events, found.judgements));
        let bounded = shrink_crash(&fatal, ORIGIN, None, 1).unwrap().unwrap();
        assert!(bounded.judgements <= 1 && bounded.after >= found.after);
    }
}
