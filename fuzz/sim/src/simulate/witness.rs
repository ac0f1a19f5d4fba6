//! Reads what is on record and drives core again from the inputs: what comes out must be what is recorded, and no
//! law may be broken by it.
//!
//! It keeps a run of its own for every stream, which nothing but the record and core have touched, and compares the
//! engine's with it.

use super::chance::Chance;
use super::executor::Started;
use crate::law;
use loom_core::commit::{Blob, Checked};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, Stamp, StreamId};
use loom_core::kind::Event;
use loom_core::run::{Run, Terms};
use loom_core::schema::Class;
use loom_core::snapshot;
use loom_core::state::State;
use loom_core::step::{Input, named_blobs};
use loom_core::word::{DecidedBy, GateOutcome, Recovery, Verdict};
use loom_core::{open, step};
use loom_host::Engine;
use loom_store::{Snapshot, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Snapshots that are kept of one run, to be folded on at the end.
const SNAPSHOTS_MAX: usize = 4;

pub(crate) struct Witness {
    /// Position of the first event that was not read yet.
    pub(crate) next: u64,
    runs: BTreeMap<StreamId, Watched>,
    started: BTreeMap<(StreamId, u64), Started>,
    chance: Chance,
    pub(crate) commits: u64,
    pub(crate) events: u64,
    pub(crate) refused: u64,
}

struct Watched {
    run: Run,
    /// Position in the store of the outcome of each effect.
    outcomes: BTreeMap<u64, u64>,
    /// How many tries people asked for.
    retries: u64,
    snapshots: Vec<(u64, Vec<u8>)>,
}

impl Witness {
    pub(crate) fn new(chance: Chance) -> Self {
        Witness {
            // The store's own first event is at position 0.
            next: 1,
            runs: BTreeMap::new(),
            started: BTreeMap::new(),
            chance,
            commits: 0,
            events: 0,
            refused: 0,
        }
    }

    /// Returns how the runs ended; `None` for one that has not.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (StreamId, &State)> {
        self.runs.iter().map(|(stream, watched)| (*stream, &watched.run.state))
    }

    /// Returns the run as the record has it.
    pub(crate) fn run(&self, stream: StreamId) -> Option<&Run> {
        self.runs.get(&stream).map(|watched| &watched.run)
    }

    /// Reads what was recorded since the last call; `tell` is given each event.
    pub(crate) fn read(&mut self, store: &dyn Store, tell: &mut dyn FnMut(&Envelope)) -> Result<(), String> {
        loop {
            let first = decoded(store, self.next, 1)?;
            let Some((_, envelope)) = first.first() else { return Ok(()) };
            let count = envelope.count.unwrap_or(1) as usize;
            let commit = decoded(store, self.next, count)?;
            commit.iter().for_each(|(_, event)| tell(event));
            if commit.len() != count {
                return Err(format!("the commit at {} states {count} events and has {}", self.next, commit.len()));
            }
            self.commit(store, &commit).map_err(|law| format!("{law}, at event {} of the store", self.next))?;
            self.next += count as u64;
            self.commits += 1;
            self.events += count as u64;
        }
    }

    fn commit(&mut self, store: &dyn Store, commit: &[(Recorded, Envelope)]) -> Result<(), String> {
        let Some((recorded, first)) = commit.first() else { return Err("a commit without an input".to_string()) };
        let stream = first.stream;
        let position = self.next;
        let before = self.runs.get(&stream).map(|watched| watched.run.clone());
        if let Some(before) = &before
            && first.stamp <= before.state.stamp
        {
            let (was, is) = (before.state.stamp, first.stamp);
            return Err(format!("stamps do not grow: {is:?} after {was:?} (STAMP-1)"));
        }
        let refused_request =
            matches!((&first.body, &first.actor), (Event::RequestRefused(_), Actor::Person { descends: Some(_), .. }));
        let after = match (&before, refused_request) {
            // What was asked is not on record, only that it was refused.
            (Some(before), true) => {
                let mut after = before.clone();
                after.apply(recorded, None).map_err(|error| error.to_string())?;
                after
            }
            _ => {
                let input = input(store, first)?;
                let checked = drive(store, before.as_ref(), stream, input.clone())?;
                let same = checked.events().iter().map(|event| &event.bytes).eq(commit.iter().map(|(it, _)| &it.bytes));
                if !same {
                    return Err("the inputs, given to core again, give other bytes (REDRIVE-1)".to_string());
                }
                law::broken(before.as_ref(), &input, &checked)?;
                checked.into_next()
            }
        };
        let watched = self.runs.entry(stream).or_insert_with(|| Watched {
            run: after.clone(),
            outcomes: BTreeMap::new(),
            retries: 0,
            snapshots: Vec::new(),
        });
        let events: Vec<&Envelope> = commit.iter().map(|(_, event)| event).collect();
        watched.laws(before.as_ref(), &after, &events, position)?;
        self.refused += events.iter().filter(|event| matches!(event.body, Event::Refused(_))).count() as u64;
        watched.run = after;
        if self.chance.happens(60) {
            watched.take_snapshot(store, &mut self.chance)?;
        }
        Ok(())
    }

    /// No order is started for what is not on record, whose outcome is, or twice without need (EFFECT-1, EFFECT-2).
    pub(crate) fn starts(&mut self, started: Vec<Started>) -> Result<(), String> {
        for start in started {
            let Started { stream, id, life, size, is_spawn } = start;
            let Some(watched) = self.runs.get(&stream) else {
                return Err(format!("effect {id} of run {stream:?} was started before anything of it was on record"));
            };
            if watched.run.state.next <= id {
                return Err(format!("effect {id} was started before it was on record"));
            }
            if watched.outcomes.get(&id).is_some_and(|at| *at < size) {
                return Err(format!("effect {id} was started after its outcome was recorded (EFFECT-1)"));
            }
            if let Some(was) = self.started.insert((stream, id), start)
                && (was.life == life || is_spawn)
            {
                return Err(format!("effect {id} was started twice, in lives {} and {life} (EFFECT-2)", was.life));
            }
        }
        Ok(())
    }

    /// What the engine has in its hand is what is on record.
    pub(crate) fn compare(&self, engine: &Engine) -> Result<(), String> {
        for (stream, watched) in &self.runs {
            match engine.run(*stream) {
                Some(run) if run.state != watched.run.state => {
                    let differs = difference(&run.state, &watched.run.state);
                    return Err(format!("the engine's state of run {stream:?} is not the record's: {differs}"));
                }
                Some(run) if run.facts != watched.run.facts => {
                    return Err(format!("the engine's facts of run {stream:?} are not the record's"));
                }
                Some(_) => {}
                None if watched.run.state.closed.is_none() => {
                    return Err(format!("the engine has forgotten run {stream:?}, which has not ended"));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Refolds every run from zero and from every snapshot that was taken of it.
    pub(crate) fn refold(&self, store: &dyn Store) -> Result<(), String> {
        for (stream, watched) in &self.runs {
            let first = decoded_run(store, *stream, 0)?;
            let Some((_, Envelope { body: Event::RunOpened(opened), .. })) = first.first() else {
                return Err(format!("run {stream:?} does not begin with its opening"));
            };
            let terms = terms(store, opened.bundle, &opened.rules)?;
            let whole = fold_on(store, Run::new(Arc::new(terms)), &first)?;
            same(&whole, &watched.run, "zero")?;
            for (next, bytes) in &watched.snapshots {
                let begun = restored(store, opened.bundle, bytes)?;
                let folded = fold_on(store, begun, &decoded_run(store, *stream, *next)?)?;
                same(&folded, &watched.run, &format!("the snapshot at {next}"))?;
            }
        }
        Ok(())
    }
}

impl Watched {
    /// What one commit can show and the laws of every state cannot.
    fn laws(&mut self, before: Option<&Run>, after: &Run, events: &[&Envelope], at: u64) -> Result<(), String> {
        let none = State::default();
        let state = before.map_or(&none, |run| &run.state);
        let Some(input) = events.first() else { return Ok(()) };
        let refused = events.iter().any(|event| matches!(event.body, Event::Refused(_)));
        let effect = match &input.body {
            Event::SpawnFinished(body) => Some(body.spawn),
            Event::CheckFinished(body) => Some(body.request),
            Event::MergeFinished(body) => Some(body.merge),
            _ => None,
        };
        if let Some(effect) = effect {
            if self.outcomes.insert(effect, at).is_some() {
                return Err(format!("the outcome of effect {effect} is recorded twice (EFFECT-3)"));
            }
            let decided = events.iter().any(|event| event.body.schema().class == Class::Decision);
            if decided && !state.pending.contains_key(&effect) {
                return Err(format!("the late outcome of effect {effect} has consequences (EFFECT-3)"));
            }
            let unwaived = after
                .state
                .findings
                .iter()
                .find(|(_, found)| !found.waived && after.state.waived.contains_key(&found.fingerprint));
            if let Some((finding, _)) = unwaived
                && !refused
                && decided
            {
                return Err(format!("finding {finding} has come back and its risk was taken (FINDING-4)"));
            }
        }
        if let Event::RecoveryRequested(body) = &input.body
            && body.choice == Recovery::RetryFailed
        {
            self.retries += 1;
        }
        let limits = &after.terms.bundle().limits;
        for event in events {
            match &event.body {
                Event::SpawnRequested(body) if body.attempt > limits.attempts_max.max(2) + self.retries => {
                    return Err(format!("{} is tried for the {}th time (LOOP-6)", body.agent, body.attempt));
                }
                Event::GateDecided(body) if body.by == DecidedBy::Deadline && body.outcome == GateOutcome::Accepted => {
                    return Err("a deadline accepted (GATE-3)".to_string());
                }
                Event::RunClosed(body)
                    if body.verdict == Verdict::Accepted && !matches!(&input.body, Event::MergeFinished(_)) =>
                {
                    return Err("accepted before its branch exists (MERGE-2)".to_string());
                }
                _ => {}
            }
        }
        self.walked_back(state, after, events)
    }

    /// LOOP-1, GATE-4: a walk-back supersedes what it walks back over and voids the approval.
    fn walked_back(&self, before: &State, after: &Run, events: &[&Envelope]) -> Result<(), String> {
        let Some(at) = events.iter().rposition(|event| matches!(event.body, Event::WalkedBack(_))) else {
            return Ok(());
        };
        let Event::WalkedBack(walked) = &events[at].body else { return Ok(()) };
        let approved = events[at..].iter().any(
            |event| matches!(&event.body, Event::GateDecided(decided) if decided.outcome == GateOutcome::Accepted),
        );
        if after.state.approval.is_some() && !approved {
            return Err("an approval outlived a walk-back (GATE-4)".to_string());
        }
        let Some(flow) = after.state.flow.as_ref().and_then(|flow| after.terms.bundle().flows.get(flow)) else {
            return Ok(());
        };
        let from = flow.position(&walked.to).unwrap_or(0);
        let phases: BTreeSet<&String> = flow.stages[from..].iter().map(|stage| &stage.phase).collect();
        let standing = before
            .findings
            .iter()
            .find(|(sequence, found)| phases.contains(&found.phase) && after.state.findings.contains_key(sequence));
        match standing {
            Some((finding, _)) => Err(format!("finding {finding} outlived a walk-back over its phase (LOOP-1)")),
            None => Ok(()),
        }
    }

    /// Keeps a snapshot for the end, and at times offers it to the store, so that the next life begins there.
    fn take_snapshot(&mut self, store: &dyn Store, chance: &mut Chance) -> Result<(), String> {
        let bytes = snapshot::encode(&self.run).ok_or("a run does not become a snapshot")?;
        let again = snapshot::decode(self.run.terms.clone(), &bytes).ok_or("a snapshot does not become a run")?;
        same(&again, &self.run, "a snapshot of it")?;
        let head = self.run.state.head();
        if self.snapshots.len() < SNAPSHOTS_MAX {
            self.snapshots.push((head.next, bytes.clone()));
        }
        if chance.happens(500) {
            let offered = Snapshot { version: snapshot::VERSION, next: head.next, last: head.last, bytes };
            store.put_snapshot(self.run.state.stream, offered);
        }
        Ok(())
    }
}

/// Returns the first line in which two states differ, as both have it.
fn difference(one: &State, other: &State) -> String {
    let (one, other) = (format!("{one:#?}"), format!("{other:#?}"));
    let pair = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    pair.map_or_else(String::new, |(one, other)| format!("{} / {}", one.trim(), other.trim()))
}

fn same(folded: &Run, run: &Run, from: &str) -> Result<(), String> {
    if folded.state != run.state || folded.facts != run.facts {
        return Err(format!("refolded from {from} it is another run (STATE-2)"));
    }
    Ok(())
}

fn drive(store: &dyn Store, before: Option<&Run>, stream: StreamId, input: Input) -> Result<Checked<Run>, String> {
    let driven = match (before, &input.body) {
        (None, Event::RunOpened(body)) => {
            let terms = terms(store, body.bundle, &body.rules)?;
            open(Arc::new(terms), stream, input)
        }
        (None, other) => return Err(format!("a run begins with {}", other.schema().name)),
        (Some(run), _) => step(run, input),
    };
    driven.map_err(|declined| format!("core declines an input that is on record: {declined} (REDRIVE-1)"))
}

fn terms(store: &dyn Store, bundle: loom_core::id::Digest, rules: &[loom_core::id::Digest]) -> Result<Terms, String> {
    let bundle = blob(store, bundle)?;
    let rules = rules.iter().map(|digest| blob(store, *digest)).collect::<Result<Vec<_>, _>>()?;
    Terms::load(&bundle, &rules).map_err(|error| error.to_string())
}

fn restored(store: &dyn Store, bundle: loom_core::id::Digest, bytes: &[u8]) -> Result<Run, String> {
    let state = snapshot::state(bytes).ok_or("a snapshot has no state")?;
    let terms = terms(store, bundle, &state.rules)?;
    snapshot::decode(Arc::new(terms), bytes).ok_or_else(|| "a snapshot has no run".to_string())
}

fn fold_on(store: &dyn Store, mut run: Run, events: &[(Recorded, Envelope)]) -> Result<Run, String> {
    for (recorded, event) in events {
        let wider = match &event.body {
            Event::RulesAdded(added) => {
                let more = blob(store, added.rules)?;
                Some(Arc::new(run.terms.extended(&more).map_err(|error| error.to_string())?))
            }
            _ => None,
        };
        run.apply(recorded, wider).map_err(|error| error.to_string())?;
    }
    Ok(run)
}

fn blob(store: &dyn Store, digest: loom_core::id::Digest) -> Result<Blob, String> {
    let found = store.blob(&digest).map_err(|error| error.to_string())?;
    found.map(Blob::stored).ok_or_else(|| format!("blob {digest} is named by what is on record and is not there"))
}

fn input(store: &dyn Store, first: &Envelope) -> Result<Input, String> {
    let blobs =
        named_blobs(&first.body).into_iter().map(|digest| blob(store, digest)).collect::<Result<Vec<_>, _>>()?;
    let (stamp, actor): (Stamp, Actor) = (first.stamp, first.actor.clone());
    // `redrive` gives core the blobs of the opening as well; it looks into none of them.
    Ok(Input { stamp, actor, body: first.body.clone(), blobs })
}

fn decoded(store: &dyn Store, position: u64, max: usize) -> Result<Vec<(Recorded, Envelope)>, String> {
    let events = store.events(position, max).map_err(|error| error.to_string())?;
    events.into_iter().map(|stored| with_envelope(stored.event)).collect()
}

fn decoded_run(store: &dyn Store, stream: StreamId, from: u64) -> Result<Vec<(Recorded, Envelope)>, String> {
    let events = store.read(stream, from, usize::MAX).map_err(|error| error.to_string())?;
    events.into_iter().map(|stored| with_envelope(stored.event)).collect()
}

fn with_envelope(recorded: Recorded) -> Result<(Recorded, Envelope), String> {
    let envelope = Envelope::decode(&recorded.bytes).map_err(|error| error.to_string())?;
    Ok((recorded, envelope))
}
