//! Scripts: what is put into a run and what came of it.
//!
//! ```text
//! w: edit                      a spawn ends: edit [path], nothing, flow NAME, pass|fail|WORD [SEVERITY@LINE …] [+edit],
//!                              garbage, unparsable, failed, broken, timed-out, cancelled, limited [MS|unsaid]
//! t: pass                      a check ends: pass, fail, timed-out, unusable, absent
//! merge: done                  a merge ends: done, failed
//! answer accept [note TEXT]    the waiting gate is answered; `answer #7 accept` answers another one,
//!                              `answer stale accept` one whose artifact was another
//! spawn answers accept         the same by a peer that descends from a spawn
//! risk a                       the risk of the first standing finding of `a` is taken
//! recover retry-failed a       a way out is asked for
//! steer TEXT, cancel
//! rules harmless              a rule set is added that refuses nothing
//! timer gate|AGENT             a deadline passes
//! orphan a                     a driver died
//! late: edit                   the outcome of what was given up first arrives
//! again                        the last input once more
//! ```

use super::text;
use loom_core::answer::{Change, Claim, Found, Recipe, encode_delta};
use loom_core::commit::{Blob, Checked};
use loom_core::effect::Effect;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Stamp, StreamId};
use loom_core::kind::*;
use loom_core::naming::named as named_by;
use loom_core::run::{Run, Terms};
use loom_core::schema::List;
use loom_core::state::Asked;
use loom_core::step::Input;
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, Recovery, SpawnOutcome};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// A rule set that never refuses, for scripts that are not about rules.
pub(crate) const LENIENT: &str = r#"
loom rules 1
set lenient "Refuses nothing that a script does."
fact opened counter
  add run.opened
rule opened-once on run.opened
  require facts.opened == 0
  message "a run is opened once"
"#;

/// The same under another name, to be added to a run under way.
const HARMLESS: &str = r#"
loom rules 1
set harmless "Refuses nothing that a script does."
fact opened counter
  add run.opened
rule opened-once on run.opened
  require facts.opened == 0
  message "a run is opened once"
"#;

/// The rules that every shipped bundle has in some words.
pub(crate) const FLOOR: &str = include_str!("../../../../fuzz/sim/src/floor.rules");

/// Runs a script in a process under rules that refuse nothing.
pub(crate) fn check(process: &str, script: &str, expected: &str) {
    check_under(LENIENT, process, script, expected);
}

/// Runs a script in a process under rules, and compares the events with what is expected.
#[track_caller]
pub(crate) fn check_under(rules: &str, process: &str, script: &str, expected: &str) {
    let mut world = World::open(rules, process, &Opening::default());
    world.play(script);
    world.compare(expected);
}

/// What a script's `run.opened` says beyond the usual.
#[derive(Default)]
pub(crate) struct Opening {
    pub(crate) flow: Option<&'static str>,
    pub(crate) policies: Vec<(&'static str, &'static str)>,
    pub(crate) checks_waived: Vec<&'static str>,
    pub(crate) spawns: Option<u64>,
    pub(crate) tokens: Option<u64>,
    pub(crate) money_micro: Option<u64>,
    pub(crate) time_ms: Option<u64>,
}

/// A run under way with its transcript.
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) transcript: String,
    /// What the last commit asks the host to do.
    pub(crate) effects: Vec<Effect>,
    recipes: BTreeMap<Vec<u8>, Recipe>,
    last: Option<Input>,
}

impl World {
    pub(crate) fn open(rules: &str, process: &str, opening: &Opening) -> Self {
        Self::try_open(rules, process, opening).expect("the run opens")
    }

    pub(crate) fn try_open(rules: &str, process: &str, opening: &Opening) -> Result<Self, String> {
        let (terms, input) = Self::opening(rules, process, opening)?;
        Self::opened(terms, input)
    }

    /// Returns terms, and the input that opens a run under them.
    pub(crate) fn opening(rules: &str, process: &str, opening: &Opening) -> Result<(Arc<Terms>, Input), String> {
        let bundle = Blob::plain(&text::bundle(process).encode());
        let rules = Blob::plain(rules.trim_start().as_bytes());
        let terms = Terms::load(&bundle, std::slice::from_ref(&rules)).map_err(|error| error.to_string())?;
        let task = Blob::salted([9; 16], b"task");
        let body = RunOpened {
            request: b"open".to_vec(),
            task: task.digest,
            slug: "task".into(),
            bundle: bundle.digest,
            bundle_name: "test 1".into(),
            rules: vec![rules.digest].into(),
            base_commit: vec![0xc0; 20],
            base_tree: vec![0x70; 20],
            flow: opening.flow.map(Into::into),
            gate_roles: opening.policies.iter().map(|(role, _)| role.to_string()).collect(),
            gate_policies: opening.policies.iter().map(|(_, policy)| policy.to_string()).collect(),
            checks_found: Vec::new().into(),
            checks_waived: opening.checks_waived.iter().map(ToString::to_string).collect(),
            cap_spawns: opening.spawns.unwrap_or(40),
            cap_tokens: opening.tokens.unwrap_or(10_000),
            cap_money_micro: opening.money_micro.unwrap_or(10_000),
            cap_time_ms: opening.time_ms.unwrap_or(10_000_000),
            owner: "uid:1000".into(),
            loom: "0.1.0".into(),
            checks: None,
        };
        let input = Input {
            stamp: Stamp { ms: 1_000, counter: 0 },
            actor: person(None),
            body: body.into(),
            blobs: vec![task, bundle, rules],
        };
        Ok((Arc::new(terms), input))
    }

    pub(crate) fn opened(terms: Arc<Terms>, input: Input) -> Result<Self, String> {
        let opened = loom_core::open(terms.clone(), StreamId::of_run(b"test", b"open"), input)
            .map_err(|declined| declined.to_string())?;
        let mut world = World {
            run: Run::new(terms),
            transcript: String::new(),
            effects: Vec::new(),
            recipes: BTreeMap::new(),
            last: None,
        };
        world.tell("open", opened);
        Ok(world)
    }

    /// Plays the lines of a script.
    pub(crate) fn play(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let input = self.input(line);
            self.put(line, input);
        }
    }

    /// Puts an input in under a name.
    pub(crate) fn put(&mut self, line: &str, input: Input) {
        self.last = Some(input.clone());
        match loom_core::step(&self.run, input) {
            Ok(checked) => self.tell(line, checked),
            Err(declined) => {
                writeln!(self.transcript, "> {line}\n  declined: {declined}").expect("a string takes all");
            }
        }
    }

    /// Compares the transcript with what is expected.
    #[track_caller]
    pub(crate) fn compare(&self, expected: &str) {
        let plain = |text: &str| text.lines().map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n");
        if plain(&self.transcript) != plain(expected) {
            panic!("the transcript is another:\n{}", self.transcript);
        }
    }

    fn tell(&mut self, line: &str, checked: Checked<Run>) {
        for blob in checked.blobs() {
            if let Some(recipe) = Blob::content(&blob.bytes).and_then(|bytes| Recipe::decode(bytes).ok()) {
                self.recipes.insert(blob.digest.0.to_vec(), recipe);
            }
        }
        writeln!(self.transcript, "> {line}").expect("a string takes all");
        let before = self.run.state.head();
        assert_eq!(checked.expected(), before, "a commit is appended where the run ends");
        let (mut previous, mut count) = (before.last, Some(checked.events().len() as u64));
        let mut blobs: Vec<_> = checked.blobs().iter().map(|blob| blob.digest).collect();
        for recorded in checked.events() {
            let event = Envelope::decode(&recorded.bytes).expect("what step writes decodes");
            assert_eq!((event.previous, event.count), (previous, count.take()), "events are chained and counted");
            previous = recorded.id;
            let named = named_by(&event.body);
            blobs.retain(|digest| !named.contains(digest));
            match &event.body {
                Event::VerdictGiven(verdict) => {
                    assert_eq!(verdict.passed, verdict.blocking == 0, "who does not let pass names what blocks");
                }
                Event::FindingRaised(found) => {
                    assert_eq!(
                        found.line.is_some(),
                        found.path.is_some(),
                        "what scripts say of a line, they say of a path"
                    );
                }
                _ => {}
            }
            if let Some(told) = self.told(&event.body) {
                writeln!(self.transcript, "  {told}").expect("a string takes all");
            }
        }
        assert_eq!(blobs, [], "a commit brings no blob that its events do not name (BLOB-4)");
        self.effects = checked.effects().to_vec();
        let (stream, head) = (checked.stream(), checked.head());
        assert_eq!((head.next, head.last), (before.next + checked.events().len() as u64, previous));
        self.run = checked.into_next();
        assert_eq!((self.run.state.stream, self.run.state.head()), (stream, head));
    }

    /// Returns an event in one line; `None` for what scripts need not hear of.
    fn told(&self, body: &Event) -> Option<String> {
        let name = body.schema().name;
        let text = match body {
            Event::SpawnFinished(_) | Event::CheckFinished(_) | Event::MergeFinished(_) | Event::RunOpened(_) => {
                return None;
            }
            Event::BudgetSettled(body) if body.known => return None,
            Event::BudgetSettled(body) => format!("worst case, {} tokens", body.tokens),
            Event::FindingRaised(body) => {
                format!("{} by {} ({}): {}", body.severity.word(), body.agent, body.origin.word(), body.category)
            }
            Event::VerdictGiven(body) => {
                format!("{} {} ({})", body.agent, if body.passed { "passed" } else { "not passed" }, body.word)
            }
            Event::PathsChanged(body) => {
                body.paths.iter().map(|path| String::from_utf8_lossy(path)).collect::<Vec<_>>().join(" ")
            }
            Event::Refused(body) => format!("{} by {}", body.kind, body.rules.join(", ")),
            Event::Violation(body) => format!("{} by {}", body.rule, body.kind),
            Event::RequestDeclined(body) => body.reason.clone(),
            Event::RequestRefused(body) => format!("{}: {}", body.what, body.reason),
            Event::FlowChosen(body) => {
                let checks = body.required_checks.join(" ");
                format!(
                    "{} by {}{}{checks}",
                    body.flow,
                    body.by.word(),
                    if checks.is_empty() { "" } else { ", checks " }
                )
            }
            Event::StageEntered(body) => format!("{}, round {}", body.stage, body.round),
            Event::SpawnRequested(body) => self.told_spawn(body),
            Event::CheckRequested(body) => body.check.clone(),
            Event::GateOpened(body) => {
                let blockers =
                    if body.blockers.is_empty() { String::new() } else { format!(" [{}]", body.blockers.len()) };
                format!("{}: {}{blockers}", body.role, body.reason)
            }
            Event::GateWithdrawn(body) => body.reason.clone(),
            Event::GateDecided(body) => format!("{} {} by {}", body.role, body.outcome.word(), body.by.word()),
            Event::FindingResolved(body) => body.how.word().to_string(),
            Event::FindingWaived(body) => format!("by {}", body.person),
            Event::WalkedBack(body) => {
                format!("to {}{}", body.to, if body.automatic { ", by itself" } else { "" })
            }
            Event::AgentEscalated(body) => format!("{} to {}", body.from, body.to),
            Event::TimerSet(body) => format!("{} attempt {} at {}", body.agent, body.attempt, body.due_ms),
            Event::MergeIntended(body) => body.branch.clone(),
            Event::RunClosed(body) => format!("{}: {}", body.verdict.word(), body.reason),
            Event::GateAnswered(_)
            | Event::RunSteered(_)
            | Event::RecoveryRequested(_)
            | Event::RiskAccepted(_)
            | Event::RulesAdded(_)
            | Event::RunCancelled(_)
            | Event::RunPaused(_)
            | Event::RunResumed(_)
            | Event::TimerFired(_)
            | Event::EffectOrphaned(_)
            | Event::StoreCreated(_)
            | Event::KeyAdded(_)
            | Event::KeyRetired(_)
            | Event::RulesArmed(_)
            | Event::RulesRetired(_)
            | Event::BlobsRedacted(_) => return None,
        };
        Some(format!("{name} {text}"))
    }

    fn told_spawn(&self, body: &SpawnRequested) -> String {
        let recipe = &self.recipes[body.recipe.0.as_slice()];
        let mut text = format!("{} attempt {}", body.agent, body.attempt);
        let mut part = |count: usize, what: &str| {
            if count > 0 {
                write!(text, ", {count} {what}").expect("a string takes all");
            }
        };
        part(recipe.notes.len(), "note");
        part(recipe.advice.len(), "advice");
        part(recipe.findings.len(), "to mend");
        part(usize::from(recipe.repair.is_some()), "to repair");
        text
    }

    /// Returns the input that a line says.
    pub(crate) fn input(&mut self, line: &str) -> Input {
        let mut now_ms = self.run.state.stamp.ms + 1;
        let mut actor = person(None);
        let mut blobs = Vec::new();
        let request = line.as_bytes()[..line.len().min(100)].to_vec();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let body: Event = match word {
            "again" => {
                let mut last = self.last.clone().expect("something was put in before");
                last.stamp = Stamp::after(self.run.state.stamp, now_ms);
                return last;
            }
            "answer" => self.answer(request, rest, &mut blobs),
            "spawn" => {
                actor = person(Some(1));
                self.answer(request, rest.trim_start_matches("answers "), &mut blobs)
            }
            "risk" => {
                let standing = self.run.state.findings.iter().find(|(_, found)| found.agent == rest && !found.waived);
                let finding = standing.map_or(0, |(sequence, _)| *sequence);
                RiskAccepted { request, finding, reason: named(&mut blobs, b"reason") }.into()
            }
            "recover" => {
                let mut words = rest.split(' ');
                let choice = Recovery::of(words.next().unwrap_or("")).expect("a way out");
                let spawns = words.map(|agent| self.pending(agent)).collect();
                RecoveryRequested { request, choice, spawns }.into()
            }
            "steer" => RunSteered { request, note: named(&mut blobs, rest.as_bytes()) }.into(),
            "cancel" => RunCancelled { request, reason: None }.into(),
            "pause" => RunPaused { request }.into(),
            "resume" => RunResumed { request }.into(),
            "rules" => {
                assert_eq!(rest, "harmless", "there is one rule set to add");
                let text = Blob::plain(HARMLESS.trim_start().as_bytes());
                let rules = text.digest;
                blobs.push(text);
                RulesAdded { request, rules }.into()
            }
            "timer" => {
                actor = Actor::Host;
                let state = &self.run.state;
                let timer = state.timers.iter().find(|(_, timer)| timer.agent == rest).map(|(subject, _)| *subject);
                let subject = match (rest, &state.gate) {
                    ("gate", Some(gate)) => gate.sequence,
                    ("hold", _) => state.hold.expect("the run is held").since,
                    _ => timer.unwrap_or_else(|| self.pending(rest)),
                };
                let due = state.deadlines().find(|(_, found)| *found == subject).map_or(0, |(due, _)| due);
                now_ms = now_ms.max(due);
                TimerFired { subject }.into()
            }
            "orphan" => {
                actor = Actor::Host;
                EffectOrphaned { effect: self.pending(rest) }.into()
            }
            "late:" => {
                actor = Actor::Host;
                let id = *self.run.state.given_up.first().expect("something was given up");
                spawn_finished(id, "w", &[0x70; 20], rest, &mut blobs).into()
            }
            _ => {
                actor = Actor::Host;
                let name = word.strip_suffix(':').unwrap_or_else(|| panic!("`{line}` is no line of a script"));
                let id = self.pending(name);
                match &self.run.state.pending.get(&id).map(|pending| &pending.what) {
                    Some(Asked::Spawn { tree, .. }) => spawn_finished(id, name, tree, rest, &mut blobs).into(),
                    Some(Asked::Check { tree, .. }) => CheckFinished {
                        request: id,
                        check: name.into(),
                        outcome: CheckOutcome::of(rest).expect("an outcome of a check"),
                        exit_code: None,
                        tree: tree.clone(),
                        output: None,
                        duration_ms: 1,
                        fence: None,
                        enforced: List::default(),
                    }
                    .into(),
                    Some(Asked::Merge { .. }) => MergeFinished {
                        merge: id,
                        outcome: MergeOutcome::of(rest).expect("an outcome of a merge"),
                        commit: None,
                        detail: Some("it says why".into()),
                    }
                    .into(),
                    None => panic!("`{name}` is not under way:\n{}", self.transcript),
                }
            }
        };
        Input { stamp: Stamp::after(self.run.state.stamp, now_ms), actor, body, blobs }
    }

    fn answer(&self, request: Vec<u8>, text: &str, blobs: &mut Vec<Blob>) -> Event {
        let mut gate = self.run.state.gate.as_ref().map_or(0, |gate| gate.sequence);
        let (mut text, mut artifact, mut note) = (text, None, None);
        if let Some((before, after)) = text.split_once(" note ") {
            note = Some(named(blobs, after.as_bytes()));
            text = before;
        }
        if let Some((number, after)) = text.strip_prefix('#').and_then(|text| text.split_once(' ')) {
            gate = number.parse().expect("the number of a gate");
            text = after;
        }
        if let Some(after) = text.strip_prefix("stale ") {
            artifact = Some(loom_core::id::Digest([0xee; 32]));
            text = after;
        }
        let answer = Answer::of(text).unwrap_or_else(|| panic!("`{text}` is no answer"));
        GateAnswered { request, gate, answer, note, artifact, signature: None, signer: None }.into()
    }

    /// Returns the sequence of what is under way by this name.
    fn pending(&self, name: &str) -> u64 {
        let found = self.run.state.pending.iter().find(|(_, pending)| match &pending.what {
            Asked::Spawn { agent, .. } => agent == name,
            Asked::Check { check, .. } => check == name,
            Asked::Merge { .. } => name == "merge",
        });
        found.map_or(0, |(sequence, _)| *sequence)
    }
}

pub(crate) fn person(descends: Option<u64>) -> Actor {
    Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends }
}

pub(crate) fn named(blobs: &mut Vec<Blob>, content: &[u8]) -> loom_core::id::Digest {
    let blob = Blob::salted([5; 16], content);
    let digest = blob.digest;
    blobs.push(blob);
    digest
}

/// Returns a spawn's outcome in the words of a script.
pub(crate) fn spawn_finished(id: u64, agent: &str, before: &[u8], text: &str, blobs: &mut Vec<Blob>) -> SpawnFinished {
    let (text, edited) = match text.strip_suffix(" +edit") {
        Some(rest) => (rest, Some("src/x")),
        None if text.starts_with("edit") => ("said", Some(text.strip_prefix("edit ").unwrap_or("src/x"))),
        None => (text, None),
    };
    let mut words = text.split(' ');
    let word = words.next().unwrap_or("");
    let outcome = SpawnOutcome::of(word).unwrap_or(SpawnOutcome::Ok);
    let mut claim = Claim { summary: "said".into(), ..Claim::default() };
    let mut wake_ms = None;
    match word {
        "said" | "nothing" => {}
        "limited" => wake_ms = words.next().map_or(Some(60_000), |due| due.parse().ok()),
        "flow" => claim.flow = words.next().map(Into::into),
        _ => {
            claim.verdict = Some(word.into());
            claim.findings = words
                .map(|found| {
                    let (severity, line) = found.split_once('@').expect("a finding is SEVERITY@LINE");
                    Found {
                        severity: severity.into(),
                        category: "logic".into(),
                        path: Some(b"src/x".to_vec()),
                        line: line.parse().ok(),
                        summary: "it is wrong".into(),
                        evidence: None,
                    }
                })
                .collect();
        }
    }
    let answer = match (outcome, word) {
        (SpawnOutcome::Ok, "garbage") => Some(named(blobs, b"\xff")),
        (SpawnOutcome::Ok, _) => Some(named(blobs, &claim.encode())),
        _ => None,
    };
    let delta = edited.map(|path| {
        let blob = Blob::plain(&encode_delta(&[Change { path: path.as_bytes().to_vec(), how: "modified".into() }]));
        let digest = blob.digest;
        blobs.push(blob);
        digest
    });
    let mut after = before.to_vec();
    if edited.is_some() {
        after[19] = after[19].wrapping_add(1);
    }
    SpawnFinished {
        spawn: id,
        outcome,
        agent: agent.into(),
        prompt: None,
        output: (outcome != SpawnOutcome::Limited).then(|| named(blobs, b"output")),
        answer,
        delta,
        tree_before: before.to_vec(),
        tree_after: after,
        tokens_in: (outcome != SpawnOutcome::Broken).then_some(1),
        tokens_out: (outcome != SpawnOutcome::Broken).then_some(1),
        money_micro: (outcome != SpawnOutcome::Broken).then_some(1),
        duration_ms: 1,
        model: None,
        session: None,
        detail: None,
        wake_ms,
        provider: None,
        chosen: None,
        requests: None,
        transcript: None,
        fence: None,
        enforced: List::default(),
    }
}
