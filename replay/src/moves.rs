//! Every move that the world can make on a run: outcomes good and bad, people, time, crashes, late and stale news.
//!
//! Nothing is done: a move is the input that it would be. A move is made on the run that it was listed for; on another
//! one it may panic.

use loom_core::answer::{Change, Claim, Found, encode_delta};
use loom_core::commit::Blob;
use loom_core::id::{Actor, Assurance, Digest, Stamp};
use loom_core::kind::*;
use loom_core::process::{Agent, AgentKind};
use loom_core::run::Run;
use loom_core::schema::List;
use loom_core::state::Asked;
use loom_core::step::Input;
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, Recovery, SpawnOutcome};
use std::fmt;

/// The id of every request.
const REQUEST: &[u8] = b"r";

/// Which moves are made: fewer kinds of them reach deeper in the same number of states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repertoire {
    /// Every way in which a spawn can end, not one of each sort.
    pub every_end: bool,
    /// Notes, pauses, and this rule set to be added.
    pub more: Option<&'static str>,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// A spawn ends.
    Spawn(u64, SpawnEnd),
    /// A check ends.
    Check(u64, CheckOutcome),
    /// A merge ends.
    Merge(u64, MergeOutcome),
    /// A deadline or wake time passes.
    Timer(u64),
    /// A spawn's driver died.
    Orphan(u64),
    /// The waiting gate is answered.
    Answer(u64, Answer),
    /// The waiting gate is answered with a note.
    AnswerWithNote(u64, Answer),
    /// A gate is accepted that does not wait.
    StaleGate(u64),
    /// The waiting gate is accepted by somebody who was shown something else.
    StaleArtifact(u64),
    /// The waiting gate is accepted by a peer that descends from a spawn.
    SpawnAnswers(u64),
    /// A finding's risk is taken.
    Risk(u64),
    /// A way out is asked for.
    Recover(Recovery, Vec<u64>),
    /// A note is given.
    Steer,
    /// This rule set is added.
    AddRules(&'static str),
    /// The run is cancelled.
    Cancel,
    /// Somebody holds the run.
    Pause,
    /// Somebody lets it go on.
    Resume,
    /// The outcome of a spawn or check that was given up arrives.
    Late(u64),
}

/// How a spawn ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpawnEnd {
    /// Well, with a new tree.
    Edited,
    /// Well, with a new tree in which tests were touched.
    EditedTests,
    /// Well, saying nothing and changing nothing.
    Silent,
    /// With the passing word.
    Pass,
    /// With the passing word and a warning.
    Warn,
    /// With the failing word and a blocker at one place.
    Block,
    /// With the failing word and a blocker at another place.
    BlockElsewhere,
    /// With the passing word and a blocker all the same.
    PassBlocked,
    /// With the failing word and no finding.
    FailBare,
    /// With a word that is in no vocabulary.
    OddWord,
    /// With the passing word and a new tree.
    PassEdited,
    /// With the choice of this flow.
    Flow(String),
    /// With bytes that are no answer.
    Garbage,
    /// Unreadable.
    Unparsable,
    /// Unreadable, with a new tree.
    UnparsableEdited,
    /// With an error that trying again may mend.
    Failed,
    /// With an error that it cannot.
    Broken,
    /// Turned away.
    Limited,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Returns every move on this run, in a fixed order.
pub fn all(run: &Run, repertoire: Repertoire) -> Vec<Move> {
    let state = &run.state;
    let mut moves = Vec::new();
    if state.closed.is_some() {
        return closed(run, repertoire);
    }
    // What is held was never begun.
    for (id, pending) in state.pending.iter().filter(|(id, _)| !state.is_held(**id)) {
        match &pending.what {
            Asked::Spawn { agent, .. } => {
                moves.extend(ends(run, agent, repertoire.every_end).into_iter().map(|end| Move::Spawn(*id, end)));
                moves.push(Move::Orphan(*id));
                moves.push(Move::Timer(*id));
                moves.push(Move::Recover(Recovery::RetryFailed, vec![*id]));
            }
            Asked::Check { .. } => {
                moves.extend(
                    [CheckOutcome::Pass, CheckOutcome::Fail, CheckOutcome::Absent].map(|end| Move::Check(*id, end)),
                );
                moves.push(Move::Timer(*id));
            }
            Asked::Merge { .. } => {
                moves.extend([MergeOutcome::Done, MergeOutcome::Failed].map(|end| Move::Merge(*id, end)));
            }
        }
    }
    moves.extend(state.timers.keys().map(|id| Move::Timer(*id)));
    moves.extend(state.hold.iter().map(|hold| Move::Timer(hold.since)));
    if let Some(gate) = &state.gate {
        for answer in [Answer::Accept, Answer::Revise, Answer::Reject, Answer::Abandon] {
            moves.push(Move::Answer(gate.sequence, answer));
        }
        if repertoire.more.is_some() && state.notes.is_empty() {
            moves.push(Move::AnswerWithNote(gate.sequence, Answer::Revise));
        }
        moves.push(Move::StaleArtifact(gate.sequence));
        moves.push(Move::SpawnAnswers(gate.sequence));
        moves.push(Move::StaleGate(gate.sequence - 1));
        moves.push(Move::Timer(gate.sequence));
    } else {
        moves.push(Move::StaleGate(0));
    }
    moves.extend(state.findings.iter().filter(|(_, found)| !found.waived).map(|(id, _)| Move::Risk(*id)));
    for choice in [Recovery::Abandon, Recovery::ForceClose, Recovery::Retry, Recovery::CancelPending] {
        moves.push(Move::Recover(choice, Vec::new()));
    }
    moves.push(Move::Recover(Recovery::RetryFailed, vec![0]));
    if repertoire.more.is_some() && state.notes.is_empty() {
        moves.push(Move::Steer);
    }
    let is_new = |text: &&str| !state.rules.contains(&Blob::plain(text.as_bytes()).digest);
    moves.extend(repertoire.more.filter(is_new).map(Move::AddRules));
    moves.push(Move::Cancel);
    if repertoire.more.is_some() {
        moves.extend([Move::Pause, Move::Resume]);
    }
    moves.extend(state.given_up.first().map(|id| Move::Late(*id)));
    moves
}

/// Whether the move ends most runs at once.
pub fn ends_a_run(run: &Run, one: &Move) -> bool {
    match one {
        Move::Answer(_, Answer::Reject | Answer::Abandon)
        | Move::Recover(Recovery::Abandon | Recovery::ForceClose, _)
        | Move::Cancel => true,
        Move::Timer(subject) => run.state.gate.as_ref().is_some_and(|gate| gate.sequence == *subject),
        Move::Answer(_, Answer::Accept | Answer::Revise)
        | Move::Recover(Recovery::Retry | Recovery::RetryFailed | Recovery::CancelPending, _)
        | Move::Spawn(..)
        | Move::Check(..)
        | Move::Merge(..)
        | Move::Orphan(_)
        | Move::AnswerWithNote(..)
        | Move::StaleGate(_)
        | Move::StaleArtifact(_)
        | Move::SpawnAnswers(_)
        | Move::Risk(_)
        | Move::Steer
        | Move::AddRules(_)
        | Move::Pause
        | Move::Resume
        | Move::Late(_) => false,
    }
}

/// What may still arrive when all is over.
fn closed(run: &Run, repertoire: Repertoire) -> Vec<Move> {
    let late = run.state.given_up.first().map(|id| Move::Late(*id));
    late.into_iter()
        .chain([Move::StaleGate(1), Move::Steer])
        .chain(repertoire.more.map(Move::AddRules))
        .chain([Move::Cancel])
        .chain([Move::Recover(Recovery::Retry, Vec::new())])
        .collect()
}

fn ends(run: &Run, agent: &str, every_end: bool) -> Vec<SpawnEnd> {
    use SpawnEnd::*;
    let bundle = run.terms.bundle();
    match bundle.agents.get(agent).map(|agent| agent.kind) {
        Some(AgentKind::Worker) if !every_end => vec![Edited, EditedTests, Silent, Broken, Limited],
        Some(AgentKind::Reviewer) if !every_end => vec![Pass, Block, BlockElsewhere, OddWord, Unparsable, Broken],
        Some(AgentKind::Worker) => {
            vec![Edited, EditedTests, Silent, Unparsable, UnparsableEdited, Failed, Broken, Limited]
        }
        Some(AgentKind::Adviser) => vec![Silent, PassEdited, Garbage, Broken],
        Some(AgentKind::Classifier) => {
            let flows = bundle.flows.keys().cloned().chain(["unheard-of".to_string()]).map(Flow);
            flows.chain([Silent, Unparsable, Broken]).collect()
        }
        Some(AgentKind::Reviewer) | None => vec![
            Pass,
            Warn,
            Block,
            BlockElsewhere,
            PassBlocked,
            FailBare,
            OddWord,
            PassEdited,
            Garbage,
            Unparsable,
            Failed,
            Broken,
            Limited,
        ],
    }
}

/// Returns the input that makes this move on this run.
///
/// Time passes by a millisecond, and to the deadline where one fires.
pub fn input(run: &Run, one: &Move) -> Input {
    let state = &run.state;
    let mut now_ms = state.stamp.ms + 1;
    let mut blobs = Vec::new();
    let mut actor = Actor::Host;
    let request = REQUEST.to_vec();
    let mut typed = |text: &[u8]| {
        let blob = Blob::salted([3; 16], text);
        blobs.push(blob.clone());
        blob.digest
    };
    let asked = |actor: &mut Actor| *actor = person();
    let body: Event = match one {
        Move::Spawn(id, end) => {
            let (body, named) = spawn_finished(run, *id, end, now_ms);
            return Input { stamp: Stamp::after(state.stamp, now_ms), actor, body: body.into(), blobs: named };
        }
        Move::Check(id, outcome) => {
            let Asked::Check { check, tree } = &state.pending[id].what else { panic!("the move is on a check") };
            check_finished(*id, check, tree, *outcome).into()
        }
        Move::Merge(id, outcome) => MergeFinished {
            merge: *id,
            outcome: *outcome,
            commit: (*outcome == MergeOutcome::Done).then(|| vec![0xcc; 20]),
            detail: None,
        }
        .into(),
        Move::Timer(id) => {
            let due = state.deadlines().find(|(_, subject)| subject == id).map_or(0, |(due, _)| due);
            now_ms = now_ms.max(due);
            TimerFired { subject: *id }.into()
        }
        Move::Orphan(id) => EffectOrphaned { effect: *id }.into(),
        Move::Answer(gate, answer) => {
            asked(&mut actor);
            answered(*gate, *answer, None, None)
        }
        Move::AnswerWithNote(gate, answer) => {
            asked(&mut actor);
            answered(*gate, *answer, Some(typed(b"note")), None)
        }
        Move::StaleGate(gate) => {
            asked(&mut actor);
            answered(*gate, Answer::Accept, None, None)
        }
        Move::StaleArtifact(gate) => {
            asked(&mut actor);
            let shown = Some(Digest([0xaf; 32]));
            answered(*gate, Answer::Accept, None, shown)
        }
        Move::SpawnAnswers(gate) => {
            actor = Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: Some(1) };
            answered(*gate, Answer::Accept, None, None)
        }
        Move::Risk(finding) => {
            asked(&mut actor);
            RiskAccepted { request, finding: *finding, reason: typed(b"reason") }.into()
        }
        Move::Recover(choice, spawns) => {
            asked(&mut actor);
            RecoveryRequested { request, choice: *choice, spawns: spawns.clone().into() }.into()
        }
        Move::Steer => {
            asked(&mut actor);
            RunSteered { request, note: typed(b"steer") }.into()
        }
        Move::AddRules(text) => {
            asked(&mut actor);
            let text = Blob::plain(text.as_bytes());
            let rules = text.digest;
            blobs.push(text);
            RulesAdded { request, rules }.into()
        }
        Move::Cancel => {
            asked(&mut actor);
            RunCancelled { request, reason: None }.into()
        }
        Move::Pause => {
            asked(&mut actor);
            RunPaused { request }.into()
        }
        Move::Resume => {
            asked(&mut actor);
            RunResumed { request }.into()
        }
        Move::Late(id) => late(*id, typed(b"too late")),
    };
    Input { stamp: Stamp::after(state.stamp, now_ms), actor, body, blobs }
}

fn answered(gate: u64, answer: Answer, note: Option<Digest>, artifact: Option<Digest>) -> Event {
    let request = REQUEST.to_vec();
    GateAnswered { request, gate, answer, note, artifact, signature: None, signer: None }.into()
}

fn late(id: u64, output: Digest) -> Event {
    SpawnFinished {
        spawn: id,
        outcome: SpawnOutcome::Ok,
        agent: "w".into(),
        prompt: None,
        output: Some(output),
        answer: None,
        delta: None,
        tree_before: tree(0),
        tree_after: tree(0),
        tokens_in: None,
        tokens_out: None,
        money_micro: None,
        duration_ms: 1,
        model: None,
        session: None,
        detail: None,
        wake_ms: None,
        provider: None,
        chosen: None,
        requests: None,
        transcript: None,
        fence: None,
        enforced: List::default(),
    }
    .into()
}

fn check_finished(id: u64, check: &str, tree: &[u8], outcome: CheckOutcome) -> CheckFinished {
    CheckFinished {
        request: id,
        check: check.into(),
        outcome,
        exit_code: match outcome {
            CheckOutcome::Pass => Some(0),
            CheckOutcome::Fail => Some(1),
            CheckOutcome::TimedOut | CheckOutcome::Unusable | CheckOutcome::Absent => None,
        },
        tree: tree.to_vec(),
        output: None,
        duration_ms: 1,
        fence: None,
        enforced: List::default(),
    }
}

/// Returns the outcome of a pending spawn that ends in this way, and the blobs it names.
fn spawn_finished(run: &Run, id: u64, end: &SpawnEnd, now_ms: u64) -> (SpawnFinished, Vec<Blob>) {
    use SpawnEnd::*;
    let Asked::Spawn { agent, tree: before, .. } = &run.state.pending[&id].what else {
        panic!("the move is on a spawn")
    };
    let known = run.terms.bundle().agents.get(agent);
    let word = |words: fn(&Agent) -> &[String], usual: &str| {
        known.and_then(|agent| words(agent).first().cloned()).unwrap_or_else(|| usual.to_string())
    };
    let outcome = match end {
        Edited | EditedTests | Silent | Pass | Warn | Block | BlockElsewhere | PassBlocked | FailBare | OddWord
        | PassEdited | Flow(_) | Garbage => SpawnOutcome::Ok,
        Unparsable | UnparsableEdited => SpawnOutcome::Unparsable,
        Failed => SpawnOutcome::Failed,
        Broken => SpawnOutcome::Broken,
        Limited => SpawnOutcome::Limited,
    };
    let edited = matches!(end, Edited | EditedTests | PassEdited | UnparsableEdited);
    let verdict = match end {
        Pass | Warn | PassBlocked | PassEdited => Some(word(|agent| &agent.passes, "pass")),
        Block | BlockElsewhere | FailBare => Some(word(|agent| &agent.fails, "fail")),
        OddWord => Some("excellent".to_string()),
        Edited | EditedTests | Silent | Flow(_) | Garbage | Unparsable | UnparsableEdited | Failed | Broken
        | Limited => None,
    };
    let found = |severity: &str, line| Found {
        severity: severity.into(),
        category: "logic".into(),
        path: Some(b"src/x".to_vec()),
        line: Some(line),
        summary: "it is wrong".into(),
        evidence: None,
    };
    let findings = match end {
        Warn => vec![found("medium", 1)],
        Block | PassBlocked => vec![found("high", 1)],
        BlockElsewhere => vec![found("critical", 2)],
        Edited | EditedTests | Silent | Pass | FailBare | OddWord | PassEdited | Flow(_) | Garbage | Unparsable
        | UnparsableEdited | Failed | Broken | Limited => Vec::new(),
    };
    let flow = if let Flow(name) = end { Some(name.clone()) } else { None };
    let claim = Claim { flow, verdict, findings, summary: "done".into() };
    let mut blobs = Vec::new();
    let mut named = |blob: Blob| {
        let digest = blob.digest;
        blobs.push(blob);
        digest
    };
    let answer = match (outcome, end) {
        (SpawnOutcome::Ok, Garbage) => Some(named(Blob::salted([4; 16], b"\xff"))),
        (SpawnOutcome::Ok, _) => Some(named(Blob::salted([4; 16], &claim.encode()))),
        _ => None,
    };
    let path = if *end == EditedTests { b"tests/x".to_vec() } else { b"src/x".to_vec() };
    let delta = edited.then(|| named(Blob::plain(&encode_delta(&[Change { path, how: "modified".into() }]))));
    let body = SpawnFinished {
        spawn: id,
        outcome,
        agent: agent.clone(),
        prompt: None,
        output: None,
        answer,
        delta,
        tree_before: before.clone(),
        tree_after: if edited { next_tree(before) } else { before.clone() },
        tokens_in: Some(1),
        tokens_out: (*end != Broken).then_some(1),
        money_micro: Some(1),
        duration_ms: 1,
        model: None,
        session: None,
        detail: None,
        wake_ms: (*end == Limited).then_some(now_ms + 50),
        provider: None,
        chosen: None,
        requests: None,
        transcript: None,
        fence: None,
        enforced: List::default(),
    };
    (body, blobs)
}

fn next_tree(before: &[u8]) -> Vec<u8> {
    let mut number = [0; 8];
    number.copy_from_slice(&before[12..20]);
    tree(u64::from_be_bytes(number) + 1)
}

/// Returns the person who asks for everything.
pub fn person() -> Actor {
    Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: None }
}

/// Returns the name of the `n`th tree.
pub fn tree(n: u64) -> Vec<u8> {
    let mut name = vec![0x7e; 20];
    name[12..].copy_from_slice(&n.to_be_bytes());
    name
}
