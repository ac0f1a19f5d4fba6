//! `loom why ID`: what an event rests on, back to the persons and policies, and what the rules gave on the way.
//!
//! ```text
//! #41 merge.intended        asked floor/no-blocker: true
//! ↑ rests on the decision
//! #39 gate.decided  ↑ follows from the input  #38 gate.answered by ann  ↑ answers the gate  #36 …  ↑  #0 run.opened
//! ```
//!
//! Rules are asked again from the log alone, never guessed: what cannot be known is said to be so.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::line::plain;
use crate::output::{BAD, FAINT, GOOD, ID, Output, STRONG, WARN};
use crate::project;
use crate::refusal::{RefusedRule, refused_rules};
use crate::text::{clean, clip, rfc3339, short};
use crate::told::refusal;
use loom_core::event::Envelope;
use loom_core::id::{Actor, StreamId, hex};
use loom_core::kind::{Event, Refused};
use loom_core::rules::{Judgement, Outcome};
use loom_core::run::Run;
use loom_core::schema::Class;
use loom_core::word::DecidedBy;
use loom_replay::cause::{Cause, causes, named};
use loom_replay::{Judged, StoredRun, judged, refold};
use loom_store::{Store, Stored};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Shows what an event rests on: the chain of its causes, who decided, and what the rules gave.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An event; for a run, its last one.
    #[arg(value_name = "ID", default_value = "@")]
    id: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    run: String,
    /// The event that was asked about.
    sequence: u64,
    /// The event and everything it rests on, the latest first.
    nodes: Vec<NodeJson>,
    /// What rests on what.
    edges: Vec<EdgeJson>,
    /// The persons and policies it all rests on.
    basis: Vec<BasisJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct NodeJson {
    sequence: u64,
    id: String,
    kind: &'static str,
    class: &'static str,
    time: String,
    actor: String,
    says: String,
    /// For a decision: what the rules gave.
    rules: Option<RulesJson>,
    /// For a refusal: the rules, with what would clear each.
    refused: Option<Vec<RefusedRule>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RulesJson {
    /// `asked`; `exempt` where decisions of this sort are never judged; `unknowable` where the terms are missing.
    state: &'static str,
    /// What is missing.
    missing: Option<String>,
    answers: Vec<AnswerJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct AnswerJson {
    rule: String,
    severity: &'static str,
    /// `true`, or false, unknown or error with what is missing or wrong.
    result: String,
    message: String,
    /// The facts and fields it read, with their values before the event.
    read: Vec<ReadJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ReadJson {
    name: String,
    value: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct EdgeJson {
    from: u64,
    to: u64,
    what: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BasisJson {
    sequence: u64,
    /// `person`, `policy` or `deadline`.
    by: &'static str,
    who: String,
    what: String,
}

/// An event and what it rests on.
struct Node {
    stored: Stored,
    envelope: Envelope,
    causes: Vec<Cause>,
    judged: Option<Judged>,
    /// For a refusal: the run before it, with its rules.
    before: Option<Run>,
}

/// Most characters of what a rule read; the JSON has all of it.
const READ: usize = 160;

/// What an event rests on, by sequence.
type Chain = BTreeMap<u64, Node>;

/// Answers `loom why`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let event = identify::event(store, &arguments.id)?;
    let view = identify::view(&event)?;
    let (stream, sequence) = (view.stream, view.sequence);
    if stream == StreamId::STORE {
        return Err(CliError::NotARun { text: arguments.id.clone() });
    }
    let chain = chain(store, stream, sequence)?;
    match output.json {
        true => output.document(&document(stream, sequence, &chain))?,
        false => print(&chain, sequence, output)?,
    }
    Ok(Exit::Ok)
}

/// Collects everything that an event rests on, and asks the rules again about the decisions among it.
fn chain(store: &dyn Store, stream: StreamId, sequence: u64) -> Result<Chain, CliError> {
    let mut chain = Chain::new();
    let mut wanted = vec![sequence];
    while let Some(sequence) = wanted.pop() {
        if chain.contains_key(&sequence) {
            continue;
        }
        let stored = store.read(stream, sequence, 1)?.pop();
        let stored = stored.ok_or_else(|| CliError::Unknown { text: identify::told(&stream, sequence) })?;
        let envelope = Envelope::decode(&stored.event.bytes)
            .map_err(|source| CliError::Event { position: stored.position, source })?;
        let mut causes = causes(&envelope);
        if envelope.body.schema().class == Class::Decision {
            causes.extend(led_to(store, stream, &envelope)?);
            causes.sort_by_key(|cause| Reverse(cause.sequence));
        }
        wanted.extend(causes.iter().map(|cause| cause.sequence));
        let before = match &envelope.body {
            Event::Refused(_) => refold(&StoredRun::new(store, stream), Some(sequence.saturating_sub(1)))?.run.ok(),
            _ => None,
        };
        chain.insert(sequence, Node { stored, envelope, causes, judged: None, before });
    }
    let decisions = chain.iter().filter(|(_, node)| node.envelope.body.schema().class == Class::Decision);
    let decisions: BTreeSet<u64> = decisions.map(|(sequence, _)| *sequence).collect();
    for (sequence, answer) in judged(&StoredRun::new(store, stream), &decisions)? {
        if let Some(node) = chain.get_mut(&sequence) {
            node.judged = Some(answer);
        }
    }
    Ok(chain)
}

/// Returns what a decision follows in its own commit: the gate that was decided there, a refusal, a way back.
fn led_to(store: &dyn Store, stream: StreamId, decision: &Envelope) -> Result<Vec<Cause>, CliError> {
    let first = decision.input + 1;
    let before = usize::try_from(decision.sequence.saturating_sub(first)).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for stored in store.read(stream, first, before)? {
        let earlier = Envelope::decode(&stored.event.bytes)
            .map_err(|source| CliError::Event { position: stored.position, source })?;
        let what = match earlier.body {
            Event::GateDecided(_) => "after the gate's decision",
            Event::Refused(_) => "after the refusal",
            Event::WalkedBack(_) => "after going back",
            _ => continue,
        };
        found.push(Cause { what, sequence: earlier.sequence });
    }
    // What it names itself is said already.
    found.retain(|cause| named(&decision.body).iter().all(|other| other.sequence != cause.sequence));
    Ok(found)
}

/// Returns who the chain rests on: the persons whose requests are in it, and what policies and deadlines decided.
fn basis(chain: &Chain) -> Vec<BasisJson> {
    let found = chain.iter().filter_map(|(sequence, node)| {
        let (by, who) = match (&node.envelope.actor, &node.envelope.body) {
            (Actor::Person { id, assurance, .. }, _) => ("person", format!("{id} ({})", assurance.word())),
            (_, Event::GateDecided(body)) if body.by != DecidedBy::Person => (body.by.word(), body.decider.clone()),
            _ => return None,
        };
        let what = format!("{} {}", node.envelope.body.schema().name, plain(&node.envelope.body));
        Some(BasisJson { sequence: *sequence, by, who, what: what.trim_end().to_string() })
    });
    found.collect()
}

fn document(stream: StreamId, sequence: u64, chain: &Chain) -> Document {
    let nodes = chain.iter().rev().map(|(sequence, node)| {
        let schema = node.envelope.body.schema();
        NodeJson {
            sequence: *sequence,
            id: hex(&node.stored.event.id.0),
            kind: schema.name,
            class: schema.class.word(),
            time: rfc3339(node.envelope.stamp.ms),
            actor: who(&node.envelope.actor),
            says: plain(&node.envelope.body),
            rules: node.judged.as_ref().map(rules_json),
            refused: refused(node).map(|body| refused_rules(body, node.before.as_ref())),
        }
    });
    let edges = chain.iter().rev().flat_map(|(sequence, node)| {
        let edge = |cause: &Cause| EdgeJson { from: *sequence, to: cause.sequence, what: cause.what };
        node.causes.iter().map(edge)
    });
    Document {
        loom: "why/1",
        run: hex(&stream.0),
        sequence,
        nodes: nodes.collect(),
        edges: edges.collect(),
        basis: basis(chain),
    }
}

fn refused(node: &Node) -> Option<&Refused> {
    match &node.envelope.body {
        Event::Refused(body) => Some(body),
        _ => None,
    }
}

fn rules_json(judged: &Judged) -> RulesJson {
    let (state, missing, answers) = match judged {
        Judged::Asked(answers) => ("asked", None, answers.iter().map(answer_json).collect()),
        Judged::Exempt => ("exempt", None, Vec::new()),
        Judged::Unknowable(missing) => ("unknowable", Some(missing.clone()), Vec::new()),
    };
    RulesJson { state, missing, answers }
}

fn answer_json(answer: &Judgement) -> AnswerJson {
    AnswerJson {
        rule: answer.rule.clone(),
        severity: answer.severity.word(),
        result: answer.result.to_string(),
        message: answer.message.clone(),
        read: read(answer).map(|(name, value)| ReadJson { name: name.clone(), value: value.clone() }).collect(),
    }
}

fn read(answer: &Judgement) -> impl Iterator<Item = &(String, String)> {
    answer.facts.iter().chain(&answer.fields)
}

fn who(actor: &Actor) -> String {
    match actor {
        Actor::Kernel | Actor::Host => actor.class().to_string(),
        Actor::Person { id, assurance, .. } => format!("{id} ({})", assurance.word()),
    }
}

fn print(chain: &Chain, sequence: u64, output: &mut Output) -> Result<(), CliError> {
    let mut printed = BTreeSet::new();
    branch(chain, sequence, "", &mut printed, output)?;
    writeln!(output.out, "{STRONG}rests on{STRONG:#}")?;
    for found in basis(chain) {
        writeln!(
            output.out,
            "  {} {}  {FAINT}#{} {}{FAINT:#}",
            found.by,
            clean(&found.who),
            found.sequence,
            found.what
        )?;
    }
    Ok(())
}

/// Prints an event and what it rests on. What rests on one thing goes straight on; only what forks is indented.
fn branch(
    chain: &Chain,
    from: u64,
    indent: &str,
    printed: &mut BTreeSet<u64>,
    output: &mut Output,
) -> Result<(), CliError> {
    let mut sequence = from;
    while let Some(node) = chain.get(&sequence) {
        printed.insert(sequence);
        print_node(node, indent, output)?;
        // What another cause rests on as well comes below that one.
        let (later, own): (Vec<&Cause>, Vec<&Cause>) = node.causes.iter().partition(|cause| {
            let others = node.causes.iter().filter(|other| other.sequence > cause.sequence);
            printed.contains(&cause.sequence)
                || others.into_iter().any(|other| leads(chain, other.sequence, cause.sequence))
        });
        for cause in later {
            let place = if printed.contains(&cause.sequence) { "above" } else { "below" };
            writeln!(output.out, "{indent}  {FAINT}{} #{}, {place}{FAINT:#}", cause.what, cause.sequence)?;
        }
        let Some((last, forks)) = own.split_last() else { return Ok(()) };
        for cause in forks.iter().filter(|cause| !printed.contains(&cause.sequence)).collect::<Vec<_>>() {
            writeln!(output.out, "{indent}├─ {FAINT}{}{FAINT:#}", cause.what)?;
            branch(chain, cause.sequence, &format!("{indent}│  "), printed, output)?;
        }
        writeln!(output.out, "{indent}↑ {FAINT}{}{FAINT:#}", last.what)?;
        if printed.contains(&last.sequence) {
            writeln!(output.out, "{indent}{FAINT}#{}, above{FAINT:#}", last.sequence)?;
            return Ok(());
        }
        sequence = last.sequence;
    }
    Ok(())
}

/// Whether an event rests on an earlier one.
fn leads(chain: &Chain, from: u64, to: u64) -> bool {
    let mut seen = BTreeSet::new();
    let mut wanted = vec![from];
    while let Some(sequence) = wanted.pop() {
        if sequence == to {
            return true;
        }
        // Causes lie before their event, so that nothing before `to` can lead to it.
        if sequence > to && seen.insert(sequence) {
            wanted.extend(chain.get(&sequence).into_iter().flat_map(|node| &node.causes).map(|cause| cause.sequence));
        }
    }
    false
}

fn print_node(node: &Node, indent: &str, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let (id, kind) = (short(&node.stored.event.id), node.envelope.body.schema().name);
    let by = match &node.envelope.actor {
        Actor::Person { .. } => format!(" by {}", clean(&who(&node.envelope.actor))),
        Actor::Kernel | Actor::Host => String::new(),
    };
    let says = plain(&node.envelope.body);
    writeln!(out, "{indent}{ID}{id}{ID:#} #{} {STRONG}{kind}{STRONG:#}{by}  {says}", node.envelope.sequence)?;
    match &node.judged {
        Some(Judged::Asked(answers)) => {
            for answer in answers {
                let style = match answer.result {
                    Outcome::True => GOOD,
                    Outcome::False | Outcome::Unknown(_) | Outcome::Error(_) => BAD,
                };
                let read: Vec<String> = read(answer).map(|(name, value)| format!("{name} = {value}")).collect();
                let (rule, result) = (clean(&answer.rule), clean(&answer.result.to_string()));
                let read = clip(&read.join(", "), READ);
                writeln!(out, "{indent}  asked {rule}: {style}{result}{style:#}  {FAINT}{read}{FAINT:#}")?;
            }
        }
        Some(Judged::Exempt) => writeln!(out, "{indent}  {FAINT}never judged{FAINT:#}")?,
        Some(Judged::Unknowable(missing)) => {
            writeln!(out, "{indent}  {WARN}what the rules gave cannot be known:{WARN:#} {}", clean(missing))?;
        }
        None => {}
    }
    if let Some(body) = refused(node) {
        for line in refusal(body, node.before.as_ref()) {
            writeln!(out, "{indent}  {BAD}{line}{BAD:#}")?;
        }
    }
    Ok(())
}
