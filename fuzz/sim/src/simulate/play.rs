//! One simulation from its seed: trouble first, then calm, in which every run must come to its end.

use super::chance::Chance;
use super::clock::{Clock, Simulated};
use super::executor::TroubledExecutor;
use super::people::People;
use super::point::{Crash, Deaths, Points};
use super::store::{Lie, TroubledStore};
use super::witness::Witness;
use loom_bundles::{LoadedBundle, Source, load};
use loom_core::event::Envelope;
use loom_core::id::Stamp;
use loom_host::Engine;
use loom_host::error::HostError;
use loom_host::order::Message;
use loom_store::{RunState, Store};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// When the simulated clock begins.
const BEGIN_MS: u64 = 1_700_000_000_000;
/// Turns in trouble, at least; as many again by chance.
const TURNS: u64 = 60;
/// The same where every point of a seed gets a simulation of its own.
const TURNS_SHORT: u64 = 10;
/// Most turns until every run has ended, once all is calm.
const CALM_TURNS_MAX: usize = 600;
/// An hour, by which the clock is set back at times.
const HOUR_MS: u64 = 3_600_000;

/// How a simulation is set up.
#[derive(Clone)]
pub struct Setup {
    bundle: Arc<LoadedBundle>,
    lie: Option<Lie>,
    traced: bool,
    /// Turns in trouble, at least.
    turns: u64,
    deaths: Deaths,
    disk: bool,
    /// The fault in the kernel; 0 for none, and always so in a build without faults.
    fault: u8,
}

impl Setup {
    /// Returns the plain setup: the `code` bundle, a store in memory that does not lie, deaths by chance.
    ///
    /// Panics when the bundle does not load: it is compiled in.
    pub fn plain() -> Self {
        let source = Source::builtin("code").expect("the bundle `code` is compiled in");
        let bundle = load(&source).unwrap_or_else(|errors| panic!("the bundle loads: {errors}"));
        let bundle = Arc::new(bundle);
        Setup { bundle, lie: None, traced: false, turns: TURNS, deaths: Deaths::ByChance, disk: false, fault: 0 }
    }

    /// Returns it with a fault in the kernel, which is then active in the whole process.
    #[cfg(feature = "planted")]
    pub fn with_fault(self, fault: u8) -> Self {
        Setup { fault, ..self }
    }

    /// Returns what the command line is to be told so that it has this lie and this fault.
    fn told(&self) -> String {
        let lie = self.lie.map(|lie| format!(" --lie {}", lie.word())).unwrap_or_default();
        if self.fault == 0 { lie } else { format!("{lie} --fault {}", self.fault) }
    }

    /// Returns it with a store that lies.
    pub fn lying(self, lie: Lie) -> Self {
        Setup { lie: Some(lie), ..self }
    }

    /// Returns it with a process that dies at these points and at no other, and with few turns of trouble.
    pub(crate) fn dying_at(self, points: Vec<u64>) -> Self {
        Setup { deaths: Deaths::At(points), turns: TURNS_SHORT, ..self }
    }

    /// Returns it with a store on a disk that loses its power when the process dies.
    pub(crate) fn on_disk(self) -> Self {
        Setup { disk: true, ..self }
    }

    /// Returns it with every event told in the failure or report.
    pub fn traced(self) -> Self {
        Setup { traced: true, ..self }
    }
}

/// What a simulation saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Turns of the engine.
    pub turns: u64,
    /// Commits on record.
    pub commits: u64,
    /// Events on record.
    pub events: u64,
    /// Commits that rules refused.
    pub refused: u64,
    /// Points at which the process might have died, where they are counted.
    pub points: u64,
    /// Deaths of the process.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Times that the store was full.
    pub full: u64,
    /// Times that the store took commits and said that it had not.
    pub ambiguous: u64,
    /// Orders started.
    pub orders: u64,
    /// Outcomes that never came.
    pub lost: u64,
    /// Outcomes that came late.
    pub late: u64,
    /// Outcomes that came twice.
    pub twice: u64,
    /// Requests of people.
    pub requests: u64,
    /// Requests that were told their first answer again.
    pub again: u64,
    /// Requests whose id was on record with other content.
    pub reused: u64,
    /// Times that the clock was set back.
    pub set_back: u64,
    /// How agents went wrong in what was delivered, and how often they hung.
    pub troubles: BTreeMap<&'static str, u64>,
    /// How the runs ended.
    pub ends: BTreeMap<&'static str, u64>,
    /// BLAKE3 of all events in order: equal for equal seeds.
    pub digest: String,
    /// What happened, line by line, where it was to be traced.
    pub trace: Vec<String>,
}

impl Report {
    /// Adds what another seed saw; digests and traces are of one seed only.
    pub fn add(&mut self, other: &Report) {
        let sums = [
            (&mut self.turns, other.turns),
            (&mut self.commits, other.commits),
            (&mut self.events, other.events),
            (&mut self.refused, other.refused),
            (&mut self.full, other.full),
            (&mut self.ambiguous, other.ambiguous),
            (&mut self.orders, other.orders),
            (&mut self.lost, other.lost),
            (&mut self.late, other.late),
            (&mut self.twice, other.twice),
            (&mut self.requests, other.requests),
            (&mut self.again, other.again),
            (&mut self.reused, other.reused),
            (&mut self.set_back, other.set_back),
            (&mut self.points, other.points),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        other.crashes.iter().for_each(|(place, count)| *self.crashes.entry(place).or_default() += count);
        other.troubles.iter().for_each(|(trouble, count)| *self.troubles.entry(trouble).or_default() += count);
        other.ends.iter().for_each(|(verdict, count)| *self.ends.entry(verdict).or_default() += count);
    }
}

/// A law that a seed breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The points at which the process died, where they were chosen.
    pub points: Option<Vec<u64>>,
    /// The lie and the fault it was played with, as the command line is told them.
    pub setup: String,
    /// The turn.
    pub turn: u64,
    /// What is broken.
    pub law: String,
    /// What happened, line by line, where it was to be traced.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "seed {} at turn {}: {}", self.seed, self.turn, self.law)?;
        let again = match self.points.as_deref() {
            None => format!("simulate --seed {}", self.seed),
            Some([]) => format!("crashes --seed {} --point none", self.seed),
            Some([point]) => format!("crashes --seed {} --point {point}", self.seed),
            Some([point, then, ..]) => format!("crashes --seed {} --point {point} --then {then}", self.seed),
        };
        write!(f, "hint: loom-sim {again}{} tells it event by event", self.setup)
    }
}

/// Plays one seed to its end.
pub fn simulate(seed: u64, setup: &Setup) -> Result<Report, Box<Failure>> {
    #[cfg(feature = "planted")]
    loom_core::planted::plant(setup.fault);
    let mut play = Play::new(seed, setup);
    let ended = play.trouble().and_then(|()| play.calm()).and_then(|()| play.check());
    match ended {
        Ok(()) => Ok(play.report()),
        Err(law) => {
            let points = match &setup.deaths {
                Deaths::ByChance => None,
                Deaths::At(points) => Some(points.clone()),
            };
            Err(Box::new(Failure { seed, points, setup: setup.told(), turn: play.turns, law, trace: play.trace }))
        }
    }
}

struct Play {
    chance: Chance,
    turns_min: u64,
    clock: Clock,
    store: Arc<TroubledStore>,
    executor: Arc<TroubledExecutor>,
    people: People,
    witness: Witness,
    engine: Option<Engine>,
    turns: u64,
    set_back: u64,
    crashes: BTreeMap<&'static str, u64>,
    traced: bool,
    trace: Vec<String>,
    digest: blake3::Hasher,
}

impl Play {
    fn new(seed: u64, setup: &Setup) -> Self {
        let mut chance = Chance::new(seed);
        let clock = Clock::at(BEGIN_MS);
        let origin = loom_core::origin::create(chance.bytes(), "simulated", Stamp::after(Stamp::default(), BEGIN_MS));
        let points = Points::new(setup.deaths.clone());
        let store = Arc::new(match setup.disk {
            true => TroubledStore::on_disk(origin, points, chance.fork(), setup.lie),
            false => TroubledStore::in_memory(&origin, points, chance.fork(), setup.lie),
        });
        let process = setup.bundle.bundle.clone();
        let executor = Arc::new(TroubledExecutor::new(clock.clone(), store.clone(), process, chance.fork()));
        Play {
            people: People::new(setup.bundle.clone(), chance.fork()),
            witness: Witness::new(chance.fork()),
            chance,
            turns_min: setup.turns,
            clock,
            store,
            executor,
            engine: None,
            turns: 0,
            set_back: 0,
            crashes: BTreeMap::new(),
            traced: setup.traced,
            trace: Vec::new(),
            digest: blake3::Hasher::new(),
        }
    }

    /// Everything goes wrong that can.
    fn trouble(&mut self) -> Result<(), String> {
        let turns = self.turns_min + self.chance.below(self.turns_min);
        for _ in 0..turns {
            self.turn(true)?;
            self.pass_time();
        }
        Ok(())
    }

    /// Nothing goes wrong any more and nobody asks anything: every run must end by itself.
    fn calm(&mut self) -> Result<(), String> {
        self.say("calm".to_string());
        self.store.calm();
        self.executor.calm();
        // Whatever an unlucky process left lying is found by the next one.
        self.lose_power()?;
        self.die("calm");
        for _ in 0..CALM_TURNS_MAX {
            self.turn(false)?;
            if self.witness.ends().all(|(_, state)| state.closed.is_some()) {
                return Ok(());
            }
            if self.engine.is_none() {
                // It died in this turn; the next one knows what is due.
                continue;
            }
            let due =
                self.executor.next_due_ms().into_iter().chain(self.engine.as_ref().and_then(Engine::next_deadline_ms));
            match due.min() {
                Some(due_ms) => self.clock.set(self.clock.now_ms().max(due_ms)),
                None => return Err("a run has not ended and nothing can move it (STATE-3)".to_string()),
            }
        }
        let open: Vec<String> = self
            .witness
            .ends()
            .filter(|(_, state)| state.closed.is_none())
            .map(|(stream, state)| format!("{stream:?} at {}: {:?} {:?}", state.stage, state.pending, state.gate))
            .collect();
        Err(format!("runs do not end: {}", open.join("; ")))
    }

    /// What holds at the end.
    fn check(&mut self) -> Result<(), String> {
        self.people.check(self.store.as_ref())?;
        self.witness.refold(self.store.as_ref())?;
        for listed in self.store.runs(usize::MAX).map_err(|error| error.to_string())? {
            let known = self.witness.run(listed.stream).and_then(|run| run.state.closed);
            let told = match listed.state {
                RunState::Closed(verdict) => Some(verdict),
                RunState::Open | RunState::Waiting => None,
            };
            if told != known {
                return Err(format!("run {:?} is listed as {told:?} and is {known:?}", listed.stream));
            }
        }
        Ok(())
    }

    /// One life's turn; a crash in it ends that life.
    fn turn(&mut self, asks: bool) -> Result<(), String> {
        self.turns += 1;
        let Some(mut engine) = self.engine()? else { return Ok(()) };
        let mut messages = self.executor.deliver();
        if asks {
            let witness = &self.witness;
            let open = |stream| witness.run(stream).filter(|run| run.state.closed.is_none()).cloned();
            let asked = self.people.ask(open);
            messages.extend(asked);
            shuffle(&mut messages, &mut self.chance);
        }
        for message in &messages {
            self.say_message(message);
        }
        let points = self.store.clone();
        let points = &points.points;
        points.count(true);
        let turned = catch_unwind(AssertUnwindSafe(|| engine.turn(messages)));
        points.count(false);
        let died = self.after(turned)?;
        points.count(true);
        let dies_telling = self.people.hear(died, points)?;
        let dies_after = match points.by_chance() {
            true => !died && asks && self.chance.happens(15),
            false => !died && !dies_telling && points.is_last(),
        };
        points.count(false);
        if dies_telling || dies_after {
            drop(engine);
            self.lose_power()?;
            self.die(if dies_telling { "before an answer" } else { "between turns" });
            return Ok(());
        }
        if !died {
            // While the store cannot be written, what the engine has in its hand is what it had.
            if engine.trouble().is_none() {
                self.witness.compare(&engine)?;
            }
            self.engine = Some(engine);
        }
        Ok(())
    }

    /// Returns the engine of this life; `None` when it died while it was opened.
    fn engine(&mut self) -> Result<Option<Engine>, String> {
        if let Some(engine) = self.engine.take() {
            return Ok(Some(engine));
        }
        let world = Box::new(Simulated { clock: self.clock.clone(), chance: self.chance.fork() });
        // Outcomes are delivered by the simulation, not by the executor.
        let (outbox, _inbox) = channel();
        let (store, executor) = (self.store.clone(), self.executor.clone());
        let points = self.store.clone();
        points.points.count(true);
        let opened = catch_unwind(AssertUnwindSafe(|| Engine::open(store, world, executor, outbox)));
        points.points.count(false);
        let mut engine = None;
        let opened = opened.map(|opened| opened.map(|opened| engine = Some(opened)));
        let died = self.after(opened)?;
        match engine {
            Some(engine) if !died => {
                if engine.trouble().is_none() {
                    self.witness.compare(&engine)?;
                }
                Ok(Some(engine))
            }
            _ => Ok(None),
        }
    }

    /// Hears what came of a piece of the engine's work and reads what is on record; returns whether it died.
    fn after(&mut self, done: std::thread::Result<Result<(), HostError>>) -> Result<bool, String> {
        let died = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                return Err(format!("the drive loop ended: {error}{cause}"));
            }
            Err(payload) => match payload.downcast::<Crash>() {
                Ok(crash) => Some(crash.0),
                Err(payload) => return Err(panicked(payload.as_ref())),
            },
        };
        if died.is_some() {
            self.lose_power()?;
        }
        let (traced, trace, digest) = (self.traced, &mut self.trace, &mut self.digest);
        self.witness.read(self.store.as_ref(), &mut |event| {
            digest.update(&event.encode());
            if traced {
                trace.push(line(event));
            }
        })?;
        self.witness.starts(self.executor.take_started())?;
        if let Some(place) = died {
            self.die(place);
        }
        Ok(died.is_some())
    }

    /// What was seen on record is there after the power went, too.
    fn lose_power(&mut self) -> Result<(), String> {
        self.store.lose_power().map_err(|error| format!("the store cannot be opened after the power went: {error}"))?;
        let (size, seen) = (self.store.size(), self.witness.next);
        if size < seen {
            return Err(format!("{seen} events were on record, and {size} after the power went (STORE-2)"));
        }
        Ok(())
    }

    fn die(&mut self, place: &'static str) {
        self.say(format!("crash {place}"));
        *self.crashes.entry(place).or_default() += 1;
        self.engine = None;
        self.executor.die();
    }

    /// Time goes on to the next thing that happens, by a little, past a deadline, or back.
    fn pass_time(&mut self) {
        let now_ms = self.clock.now_ms();
        let deadline_ms = self.engine.as_ref().and_then(Engine::next_deadline_ms);
        let next_ms = match self.chance.below(100) {
            0..70 => self.executor.next_due_ms().unwrap_or(now_ms + 1_000),
            70..76 => deadline_ms.unwrap_or(now_ms),
            76..79 => {
                self.set_back += 1;
                return self.clock.set(now_ms - HOUR_MS);
            }
            79..82 => now_ms + HOUR_MS,
            82..90 => now_ms,
            _ => now_ms + self.chance.below(30_000),
        };
        self.clock.set(now_ms.max(next_ms));
    }

    fn say(&mut self, line: String) {
        if self.traced {
            self.trace.push(line);
        }
    }

    fn say_message(&mut self, message: &Message) {
        if self.traced {
            let told = match message {
                Message::Open(opening, _) => format!("asks to open {:02x?}", opening.id),
                Message::Request(request, _) => {
                    format!("asks {:?} {:02x?} {:?}", request.stream, request.id, request.ask)
                }
                Message::Look => "looks".to_string(),
                Message::Finished { stream, id, report } => format!("finished {stream:?} {id} {report:?}"),
            };
            self.trace.push(format!("  {}", loom_core::answer::clip(&told, 400)));
        }
    }

    fn report(self) -> Report {
        let (store, executor, people) = (self.store.counts(), self.executor.counts(), self.people.counts);
        let mut ends = BTreeMap::new();
        for (_, state) in self.witness.ends() {
            *ends.entry(state.closed.map_or("open", |verdict| verdict.word())).or_default() += 1;
        }
        Report {
            turns: self.turns,
            commits: self.witness.commits,
            events: self.witness.events,
            refused: self.witness.refused,
            crashes: self.crashes,
            full: store.full,
            ambiguous: store.ambiguous,
            orders: executor.orders,
            lost: executor.lost,
            late: executor.late,
            twice: executor.twice,
            requests: people.requests,
            again: people.again,
            reused: people.reused,
            set_back: self.set_back,
            troubles: executor.troubles,
            points: self.store.points.passed(),
            ends,
            digest: self.digest.finalize().to_hex().to_string(),
            trace: self.trace,
        }
    }
}

/// A panic is a law broken, so that its seed is told.
fn panicked(payload: &(dyn Any + Send)) -> String {
    let said = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    format!("the drive loop panics: {}", said.unwrap_or("without a word"))
}

fn shuffle(messages: &mut [Message], chance: &mut Chance) {
    for at in (1..messages.len()).rev() {
        messages.swap(at, chance.below(at as u64 + 1) as usize);
    }
}

fn line(event: &Envelope) -> String {
    let told = format!("{:?}", event.body);
    let (stream, sequence, ms) = (event.stream, event.sequence, event.stamp.ms - BEGIN_MS.min(event.stamp.ms));
    format!("{stream:?} {sequence:>4} {ms:>9} ms {}", loom_core::answer::clip(&told, 300))
}
