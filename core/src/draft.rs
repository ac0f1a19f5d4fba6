//! A commit in the making: events are added one by one, each folded in before the next is judged.
//!
//! ```text
//! input | record record … | decision decision …     (COMMIT-1)
//!                         ^ mark: where a refusal falls back to (COMMIT-3)
//! ```

use crate::cbor::Encoder;
use crate::commit::{Blob, Checked};
use crate::effect;
use crate::event::{Envelope, Recorded, View};
use crate::fold::fold;
use crate::id::{Actor, EventHasher, EventId, Stamp};
use crate::kind::{Event, Refused, Violation};
use crate::process::StageKind;
use crate::rules::{Judgement, Outcome, Severity};
use crate::run::Run;
use crate::schema::Class;
use crate::state::State;
use crate::word::DecidedBy;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most bytes of a dropped proposal that are kept in line (BLOB-3).
const PROPOSAL_MAX: usize = 1_048_576;

/// Decisions were refused; the draft has fallen back to the end of its records.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The gate stage that the dropped decisions had come through last, or else the stage they began at.
    pub(crate) stage: String,
    /// The dropped decisions up to that gate stage; none when they came through no gate.
    pub(crate) until: Vec<Event>,
    /// Whether a policy, not a person, had decided that gate.
    pub(crate) by_policy: bool,
}

/// A commit in the making.
pub(crate) struct Draft<'r> {
    /// The run with everything drafted so far folded in.
    pub(crate) run: Run,
    before: &'r Run,
    stamp: Stamp,
    input: u64,
    events: Vec<Envelope>,
    blobs: Vec<Blob>,
    mark: Option<Mark>,
    hasher: EventHasher,
}

/// Where the decisions of a commit begin: the numbers of events and blobs before them.
#[derive(Clone, Copy)]
struct Mark {
    events: usize,
    blobs: usize,
}

impl<'r> Draft<'r> {
    /// Begins a commit with its input, which is folded and asked about at once.
    pub(crate) fn begin(run: &'r Run, stamp: Stamp, actor: Actor, body: Event, blobs: Vec<Blob>) -> Self {
        let mut draft = Draft {
            run: run.clone(),
            before: run,
            stamp,
            input: run.state.next,
            events: Vec::new(),
            blobs,
            mark: None,
            hasher: EventHasher::default(),
        };
        draft.observe(actor, body);
        draft
    }

    /// Returns the time of the commit, milliseconds since the epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.stamp.ms
    }

    /// Returns the present state.
    pub(crate) fn state(&self) -> &State {
        &self.run.state
    }

    /// Whether the input is a person's answer to a gate.
    pub(crate) fn is_answer(&self) -> bool {
        self.events.first().is_some_and(|input| matches!(input.body, Event::GateAnswered(_)))
    }

    /// Adds a record and returns its sequence.
    pub(crate) fn record(&mut self, body: impl Into<Event>) -> u64 {
        debug_assert!(self.mark.is_none(), "records come before decisions (COMMIT-1)");
        self.observe(Actor::Kernel, body.into())
    }

    /// Adds a fact of the log. Rules may name it: then they give a violation, never a refusal (RULE-3).
    fn observe(&mut self, actor: Actor, body: Event) -> u64 {
        let envelope = self.envelope(actor, body);
        let bytes = envelope.encode();
        let rulings = self.judge(&bytes);
        let (sequence, kind) = (envelope.sequence, envelope.body.schema().name);
        self.push(envelope, &bytes);
        for ruling in rulings {
            let violation = Violation {
                rule: clipped(&ruling.rule, 120),
                message: clipped(&told(&ruling), 1000),
                kind: kind.to_string(),
                event: sequence,
            };
            let envelope = self.envelope(Actor::Kernel, violation.into());
            let bytes = envelope.encode();
            self.push(envelope, &bytes);
        }
        sequence
    }

    /// Adds a decision if every rule that names its kind gives true, and returns its sequence.
    ///
    /// Else everything decided in this commit is dropped, `refused` is recorded, and the refusal returned.
    pub(crate) fn decide(&mut self, body: impl Into<Event>) -> Result<u64, Refusal> {
        let envelope = self.envelope(Actor::Kernel, body.into());
        let bytes = envelope.encode();
        let rulings: Vec<_> =
            self.judge(&bytes).into_iter().filter(|ruling| ruling.severity == Severity::Error).collect();
        if rulings.is_empty() {
            self.mark();
            let sequence = envelope.sequence;
            self.push(envelope, &bytes);
            return Ok(sequence);
        }
        Err(self.refuse(&bytes, envelope.body.schema().name, &rulings))
    }

    /// Adds a decision that is never judged: asking a person, and closing a run as anything but accepted (COMMIT-5).
    pub(crate) fn enact(&mut self, body: impl Into<Event>) -> u64 {
        let envelope = self.envelope(Actor::Kernel, body.into());
        let bytes = envelope.encode();
        self.mark();
        let sequence = envelope.sequence;
        self.push(envelope, &bytes);
        sequence
    }

    /// Adds a blob that a drafted event names.
    pub(crate) fn blob(&mut self, blob: Blob) {
        self.blobs.push(blob);
    }

    /// Ends the commit: counts, chains and names its events.
    pub(crate) fn finish(mut self) -> Checked<Run> {
        let expected = self.before.state.head();
        let count = self.events.len() as u64;
        let mut previous = expected.last;
        let mut recorded = Vec::with_capacity(self.events.len());
        for (index, envelope) in self.events.iter_mut().enumerate() {
            envelope.previous = previous;
            envelope.count = (index == 0).then_some(count);
            let event = Recorded::of(envelope, &self.hasher);
            previous = event.id;
            recorded.push(event);
        }
        self.run.state.last = previous;
        let effects = effect::follow(&self.before.state, &self.run.state);
        Checked::new(self.run.state.stream, expected, recorded, self.blobs, effects, self.run)
    }

    fn envelope(&self, actor: Actor, body: Event) -> Envelope {
        let sequence = self.run.state.next;
        debug_assert_eq!(body.misfit(), None, "the kernel keeps its own bounds: {body:?}");
        Envelope {
            stream: self.run.state.stream,
            sequence,
            previous: EventId::default(),
            stamp: self.stamp,
            actor,
            input: self.input,
            count: (body.schema().class == Class::Input).then_some(1),
            body,
        }
    }

    fn judge(&self, bytes: &[u8]) -> Vec<Judgement> {
        let view = View::read(bytes).expect("the kernel's own encoding is canonical (CBOR-2)");
        self.run.terms.rules().judge(&self.run.facts, &view)
    }

    fn push(&mut self, envelope: Envelope, bytes: &[u8]) {
        let view = View::read(bytes).expect("the kernel's own encoding is canonical (CBOR-2)");
        self.run.terms.rules().fold(&mut self.run.facts, &view);
        fold(&mut self.run.state, &envelope);
        self.events.push(envelope);
    }

    fn mark(&mut self) {
        self.mark.get_or_insert(Mark { events: self.events.len(), blobs: self.blobs.len() });
    }

    fn refuse(&mut self, bytes: &[u8], kind: &'static str, rulings: &[Judgement]) -> Refusal {
        let Mark { events, blobs } =
            self.mark.take().unwrap_or(Mark { events: self.events.len(), blobs: self.blobs.len() });
        let gate = self.gate_passed_since(events);
        let until = self.events[events..gate.as_ref().map_or(events, |(after, _)| *after)]
            .iter()
            .map(|dropped| dropped.body.clone())
            .collect();
        let by_policy = self.events[events..]
            .iter()
            .any(|dropped| matches!(&dropped.body, Event::GateDecided(decided) if decided.by == DecidedBy::Policy));
        let mut proposal = Encoder::default();
        proposal.array(self.events.len() - events + 1);
        self.events[events..].iter().for_each(|dropped| proposal.bytes(&dropped.encode()));
        proposal.bytes(bytes);
        let proposal = proposal.finish();
        self.fall_back(events);
        self.blobs.truncate(blobs);
        let mut read: Vec<String> = rulings
            .iter()
            .flat_map(|ruling| ruling.facts.iter().chain(&ruling.fields))
            .map(|(name, value)| clipped(&format!("{name} = {value}"), 1000))
            .collect();
        read.sort();
        read.dedup();
        read.truncate(128);
        self.record(Refused {
            rules: rulings.iter().take(256).map(|ruling| clipped(&ruling.rule, 120)).collect(),
            messages: rulings.iter().take(256).map(|ruling| clipped(&told(ruling), 1000)).collect(),
            facts: read.into(),
            kind: kind.to_string(),
            proposal: if proposal.len() <= PROPOSAL_MAX { proposal } else { Vec::new() },
        });
        Refusal { stage: gate.map_or_else(|| self.run.state.stage.clone(), |(_, stage)| stage), until, by_policy }
    }

    /// Drops all events but the first ones; refusals are rare, so that the run is folded again rather than kept twice.
    fn fall_back(&mut self, events: usize) {
        self.run = self.before.clone();
        self.events.truncate(events);
        for envelope in core::mem::take(&mut self.events) {
            let bytes = envelope.encode();
            self.push(envelope, &bytes);
        }
    }

    /// Returns the last gate stage among the decisions after `mark`, and the place after its entering.
    fn gate_passed_since(&self, mark: usize) -> Option<(usize, String)> {
        let flow = self.run.terms.flow(&self.run.state)?;
        let is_gate = |name: &str| {
            flow.stages.iter().any(|stage| stage.name == name && matches!(stage.kind, StageKind::Gate { .. }))
        };
        self.events.iter().enumerate().skip(mark).rev().find_map(|(index, dropped)| {
            let Event::StageEntered(entered) = &dropped.body else { return None };
            is_gate(&entered.stage).then(|| (index + 1, entered.stage.clone()))
        })
    }
}

/// Returns the rule's message, and what kept it from being judged where something did.
fn told(ruling: &Judgement) -> String {
    match &ruling.result {
        Outcome::True | Outcome::False => ruling.message.clone(),
        Outcome::Unknown(_) | Outcome::Error(_) => format!("{} ({})", ruling.message, ruling.result),
    }
}

/// Returns text that fits a field.
pub(crate) fn clipped(text: &str, max: usize) -> String {
    crate::answer::clip(text, max)
}
