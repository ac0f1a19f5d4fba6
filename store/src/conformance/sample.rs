//! Made-up runs: streams of commits that follow each other, without a kernel.

use crate::append::Append;
use crate::store::Store;
use loom_core::commit::{Blob, Checked, Head};
use loom_core::event::{Envelope, Recorded, View};
use loom_core::id::{Actor, Assurance, Digest, EventHasher, EventId, Stamp, StreamId};
use loom_core::kind::{
    BudgetSettled, Event, GateDecided, GateOpened, RunClosed, RunOpened, RunSteered, SpawnFinished, SpawnRequested,
    StageEntered, TimerFired,
};
use loom_core::origin::End;
use loom_core::redaction::redact;
use loom_core::schema::List;
use loom_core::word::{DecidedBy, GateOutcome, SpawnOutcome, Verdict};

/// Numbers that look random and are the same for the same seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Begins a sequence.
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    /// Returns `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// Returns the commit that stores of tests begin with.
pub fn origin() -> Checked<()> {
    loom_core::origin::create([7; 16], "test", Stamp { ms: 1, counter: 0 })
}

fn person() -> Actor {
    Actor::Person { id: String::from("uid:1000"), assurance: Assurance::Asserted, descends: None }
}

/// Returns the commit by which a person has blobs erased, each with its length, behind the end of the store's own stream.
pub fn redaction(store: &dyn Store, request: &[u8], blobs: &[&Blob]) -> Append {
    let head = store.head(StreamId::STORE).expect("the head is read");
    let last = store.read(StreamId::STORE, head.next - 1, 1).expect("its last event is read").remove(0);
    let stamp = View::read(&last.event.bytes).expect("it is an event").stamp;
    let erased = blobs.iter().map(|blob| (blob.digest, blob.bytes.len() as u64)).collect();
    let why = Blob::salted([4; 16], b"it was a secret");
    let checked = redact(End { head, stamp }, request, person(), stamp.ms, &erased, why);
    Append::from(&checked.expect("the redaction is well formed"))
}

/// Writes the commits of one run.
#[derive(Debug, Clone)]
pub struct Author {
    /// The run's stream.
    pub stream: StreamId,
    /// Where the stream ends once everything written is appended.
    pub head: Head,
    /// Everything written.
    pub events: Vec<Recorded>,
    /// Sequence of the gate that waits, if one does.
    pub gate: Option<u64>,
    stamp: Stamp,
    run: u64,
    requests: u64,
}

impl Author {
    /// Begins run number `run`; its first commit is made by [`Author::open`].
    pub fn new(run: u64) -> Self {
        Author {
            stream: StreamId::of_run(&[7; 16], &run.to_be_bytes()),
            head: Head::default(),
            events: Vec::new(),
            gate: None,
            stamp: Stamp { ms: 1_000, counter: 0 },
            run,
            requests: 0,
        }
    }

    /// Sets the clock; stamps grow even when it goes back.
    pub fn at(&mut self, ms: u64) -> &mut Self {
        self.stamp = Stamp::after(self.stamp, ms);
        self
    }

    /// Writes a commit: an input and what follows from it.
    pub fn commit(&mut self, input: Event, derived: Vec<Event>, blobs: Vec<Blob>) -> Append {
        self.stamp = Stamp::after(self.stamp, self.stamp.ms);
        let hasher = EventHasher::default();
        let (first, count) = (self.head.next, derived.len() as u64 + 1);
        let speaker = match input {
            Event::RunOpened(_) | Event::RunSteered(_) => person(),
            _ => Actor::Host,
        };
        let mut events: Vec<Recorded> = Vec::new();
        for (offset, body) in std::iter::once(input).chain(derived).enumerate() {
            let envelope = Envelope {
                stream: self.stream,
                sequence: first + offset as u64,
                previous: events.last().map_or(self.head.last, |event| event.id),
                stamp: self.stamp,
                actor: if offset == 0 { speaker.clone() } else { Actor::Kernel },
                input: first,
                count: (offset == 0).then_some(count),
                body,
            };
            events.push(Recorded::of(&envelope, &hasher));
        }
        let append = Append::of(&events, blobs).expect("the commit's events follow each other");
        self.head = append.facts.head();
        self.events.extend(events);
        append
    }

    /// Returns the id of the next request.
    pub fn request(&mut self) -> Vec<u8> {
        self.requests += 1;
        format!("request {}", self.requests).into_bytes()
    }

    /// Opens the run.
    pub fn open(&mut self) -> Append {
        let request = self.run.to_be_bytes().to_vec();
        let task = Blob::salted([3; 16], format!("task of {}", self.stream).as_bytes());
        let opened = RunOpened {
            request,
            task: task.digest,
            slug: format!("run-{}", &self.stream.to_string()[..8]),
            bundle: Digest([1; 32]),
            bundle_name: String::from("code 1"),
            rules: List(vec![Digest([2; 32])]),
            base_commit: vec![3; 20],
            base_tree: vec![4; 20],
            flow: None,
            gate_roles: List(Vec::new()),
            gate_policies: List(Vec::new()),
            checks_found: List(Vec::new()),
            checks_waived: List(Vec::new()),
            cap_spawns: 10,
            cap_tokens: 1_000_000,
            cap_money_micro: 1_000_000,
            cap_time_ms: 3_600_000,
            owner: String::from("uid:1000"),
            loom: String::from("test"),
            checks: None,
        };
        let stage = StageEntered { stage: String::from("plan"), phase: String::from("plan"), round: 1 };
        self.commit(opened.into(), vec![stage.into()], vec![task])
    }

    /// A person says something.
    pub fn steer(&mut self, note: Blob) -> Append {
        let request = self.request();
        self.commit(RunSteered { request, note: note.digest }.into(), Vec::new(), vec![note])
    }

    /// A spawn ends and another one begins: four events, about 200 bytes each.
    pub fn spawn(&mut self, blobs: Vec<Blob>) -> Append {
        let finished = SpawnFinished {
            spawn: self.head.next.saturating_sub(1),
            outcome: SpawnOutcome::Ok,
            agent: String::from("implementer"),
            prompt: blobs.first().map(|blob| blob.digest),
            output: blobs.get(1).map(|blob| blob.digest),
            answer: None,
            delta: None,
            tree_before: vec![5; 20],
            tree_after: vec![6; 20],
            tokens_in: Some(1200),
            tokens_out: Some(300),
            money_micro: Some(4500),
            duration_ms: 61_000,
            model: Some(String::from("scripted")),
            session: None,
            detail: None,
            wake_ms: None,
            provider: None,
            chosen: None,
            requests: None,
            transcript: None,
            fence: None,
            enforced: List::default(),
        };
        let settled = BudgetSettled {
            effect: self.head.next.saturating_sub(1),
            tokens: 1500,
            money_micro: 4500,
            time_ms: 61_000,
            known: true,
        };
        let stage = StageEntered { stage: String::from("implement"), phase: String::from("build"), round: 2 };
        let requested = SpawnRequested {
            agent: String::from("implementer"),
            stage: String::from("implement"),
            attempt: 1,
            recipe: Digest([9; 32]),
            tree: vec![6; 20],
            edits: true,
            reserve_tokens: 50_000,
            reserve_money_micro: 250_000,
            reserve_time_ms: 600_000,
        };
        self.commit(finished.into(), vec![settled.into(), stage.into(), requested.into()], blobs)
    }

    /// A gate is opened for a person.
    pub fn ask(&mut self) -> Append {
        let opened = GateOpened {
            role: String::from("final"),
            stage: String::from("merge"),
            artifact: Digest([8; 32]),
            policy: String::from("human"),
            owner: String::from("uid:1000"),
            deadline_ms: self.stamp.ms + 86_400_000,
            default: GateOutcome::Abandoned,
            reason: String::from("the policy says so"),
            blockers: List(Vec::new()),
            tree: vec![6; 20],
        };
        self.gate = Some(self.head.next + 1);
        self.commit(TimerFired { subject: 0 }.into(), vec![opened.into()], Vec::new())
    }

    /// The gate that waits is decided.
    pub fn decide(&mut self) -> Append {
        let decided = GateDecided {
            gate: self.gate.take(),
            role: String::from("final"),
            outcome: GateOutcome::Revised,
            by: DecidedBy::Person,
            decider: String::from("uid:1000"),
            artifact: Digest([8; 32]),
            tree: vec![6; 20],
        };
        self.commit(TimerFired { subject: 1 }.into(), vec![decided.into()], Vec::new())
    }

    /// The run ends.
    pub fn close(&mut self) -> Append {
        self.gate = None;
        let closed = RunClosed { verdict: Verdict::Rejected, reason: String::from("a person said so") };
        self.commit(TimerFired { subject: 2 }.into(), vec![closed.into()], Vec::new())
    }

    /// Does the next thing that the dice say.
    pub fn anything(&mut self, dice: &mut Dice) -> Append {
        if self.head.next == 0 {
            return self.open();
        }
        match dice.below(12) {
            0 if self.gate.is_none() => self.ask(),
            1 | 2 if self.gate.is_some() => self.decide(),
            3 if dice.below(8) == 0 => self.close(),
            4 | 5 => {
                let size = 1 << dice.below(15);
                self.steer(Blob::plain(&dice.bytes(size)))
            }
            6 => self.steer(Blob::plain(b"the same words again")),
            _ => self.spawn(Vec::new()),
        }
    }

    /// Returns the id of the last event.
    pub fn last(&self) -> EventId {
        self.head.last
    }
}
