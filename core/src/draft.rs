//! A commit in the making: events are added one by one, each folded in before the next is judged.
//!
//! ```text
//! input | record record … | decision decision …     (COMMIT-1)
//!                         ^ mark: where a refusal falls back to (COMMIT-3)
//! ```

use crate::cbor::Encoder;
use crate::commit::{Blob, Checked};
use crate::effect;
use crate::event::{Envelope, Recorded, View, chain};
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
    is_answer: bool,
    /// Canonical bytes of what was drafted, not chained yet (see [`chain`]).
    events: Vec<Vec<u8>>,
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
    pub(crate) fn begin(run: &'r Run, input: &Envelope, blobs: Vec<Blob>) -> Self {
        let mut draft = Draft {
            run: run.clone(),
            before: run,
            stamp: input.stamp,
            input: input.sequence,
            is_answer: matches!(input.body, Event::GateAnswered(_)),
            events: Vec::new(),
            blobs,
            mark: None,
            hasher: EventHasher::default(),
        };
        draft.observe(input);
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
        self.is_answer
    }

    /// Adds a record and returns its sequence.
    pub(crate) fn record(&mut self, body: impl Into<Event>) -> u64 {
        debug_assert!(self.mark.is_none(), "records come before decisions (COMMIT-1)");
        let envelope = self.derived(body.into());
        self.observe(&envelope)
    }

    /// Adds a fact of the log. Rules may name it: then they give a violation, never a refusal (RULE-3).
    fn observe(&mut self, envelope: &Envelope) -> u64 {
        let bytes = envelope.encode();
        let view = view(&bytes);
        let rulings = self.judge(&view);
        let sequence = self.fold(envelope, &view);
        self.events.push(bytes);
        for ruling in rulings {
            let violation = Violation {
                rule: clipped(&ruling.rule, 120),
                message: clipped(&told(&ruling), 1000),
                kind: envelope.body.schema().name.to_string(),
                event: sequence,
            };
            let envelope = self.derived(violation.into());
            self.push(&envelope, envelope.encode());
        }
        sequence
    }

    /// Adds a decision if every rule that names its kind gives true, and returns its sequence.
    ///
    /// Else everything decided in this commit is dropped, `refused` is recorded, and the refusal returned.
    pub(crate) fn decide(&mut self, body: impl Into<Event>) -> Result<u64, Refusal> {
        let envelope = self.derived(body.into());
        let bytes = envelope.encode();
        let view = view(&bytes);
        let mut rulings = self.judge(&view);
        rulings.retain(|ruling| ruling.severity == Severity::Error);
        if rulings.is_empty() {
            self.mark();
            let sequence = self.fold(&envelope, &view);
            self.events.push(bytes);
            return Ok(sequence);
        }
        Err(self.refuse(&bytes, envelope.body.schema().name, &rulings))
    }

    /// Adds a decision that is never judged: asking a person, and closing a run as anything but accepted (COMMIT-5); see
    /// [`crate::exempt`].
    pub(crate) fn enact(&mut self, body: impl Into<Event>) -> u64 {
        let envelope = self.derived(body.into());
        self.mark();
        self.push(&envelope, envelope.encode())
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
        for (index, mut bytes) in self.events.into_iter().enumerate() {
            chain(&mut bytes, previous, (index == 0).then_some(count));
            previous = self.hasher.id(&bytes);
            recorded.push(Recorded { id: previous, bytes });
        }
        self.run.state.last = previous;
        let effects = effect::follow(&self.before.state, &self.run.state);
        Checked::new(self.run.state.stream, expected, recorded, self.blobs, effects, self.run)
    }

    fn derived(&self, body: Event) -> Envelope {
        envelope(&self.run, self.input, self.stamp, Actor::Kernel, body)
    }

    fn judge(&self, view: &View<'_>) -> Vec<Judgement> {
        self.run.terms.rules().judge(&self.run.facts, view)
    }

    /// Folds an event in and returns its sequence.
    fn fold(&mut self, envelope: &Envelope, view: &View<'_>) -> u64 {
        self.run.terms.rules().fold(&mut self.run.facts, view);
        fold(&mut self.run.state, envelope);
        envelope.sequence
    }

    fn push(&mut self, envelope: &Envelope, bytes: Vec<u8>) -> u64 {
        let sequence = self.fold(envelope, &view(&bytes));
        self.events.push(bytes);
        sequence
    }

    fn mark(&mut self) {
        self.mark.get_or_insert(Mark { events: self.events.len(), blobs: self.blobs.len() });
    }

    fn refuse(&mut self, bytes: &[u8], kind: &'static str, rulings: &[Judgement]) -> Refusal {
        let Mark { events, blobs } =
            self.mark.take().unwrap_or(Mark { events: self.events.len(), blobs: self.blobs.len() });
        let dropped: Vec<Event> = self.events[events..].iter().map(|bytes| decoded(bytes).body).collect();
        let gate = self.gate_passed(&dropped);
        let by_policy =
            dropped.iter().any(|body| matches!(body, Event::GateDecided(decided) if decided.by == DecidedBy::Policy));
        let mut proposal = Encoder::default();
        proposal.array(dropped.len() + 1);
        self.events[events..].iter().for_each(|dropped| proposal.bytes(dropped));
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
        let (stage, until) = match gate {
            Some((after, stage)) => (stage, dropped.into_iter().take(after).collect()),
            None => (self.run.state.stage.clone(), Vec::new()),
        };
        Refusal { stage, until, by_policy }
    }

    /// Drops all events but the first ones; refusals are rare, so that the run is folded again rather than kept twice.
    fn fall_back(&mut self, events: usize) {
        self.run = self.before.clone();
        self.events.truncate(events);
        for bytes in core::mem::take(&mut self.events) {
            self.push(&decoded(&bytes), bytes);
        }
    }

    /// Returns the last gate stage among dropped decisions, and the place after its entering.
    fn gate_passed(&self, dropped: &[Event]) -> Option<(usize, String)> {
        let flow = self.run.terms.flow(&self.run.state)?;
        let is_gate = |name: &str| {
            flow.stages.iter().any(|stage| stage.name == name && matches!(stage.kind, StageKind::Gate { .. }))
        };
        dropped.iter().enumerate().rev().find_map(|(index, body)| {
            let Event::StageEntered(entered) = body else { return None };
            is_gate(&entered.stage).then(|| (index + 1, entered.stage.clone()))
        })
    }
}

/// Returns the next event of a run, not chained yet: it names no predecessor, and an input counts itself alone.
pub(crate) fn envelope(run: &Run, input: u64, stamp: Stamp, actor: Actor, body: Event) -> Envelope {
    debug_assert_eq!(body.misfit(), None, "the kernel keeps its own bounds: {body:?}");
    Envelope {
        stream: run.state.stream,
        sequence: run.state.next,
        previous: EventId::default(),
        stamp,
        actor,
        input,
        count: (body.schema().class == Class::Input).then_some(1),
        body,
    }
}

fn view(bytes: &[u8]) -> View<'_> {
    View::read(bytes).expect("the kernel's own encoding is canonical (CBOR-2)")
}

fn decoded(bytes: &[u8]) -> Envelope {
    Envelope::decode(bytes).expect("the kernel's own encoding is canonical (CBOR-2)")
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
