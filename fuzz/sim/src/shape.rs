//! The shape of a run: everything that decides what can follow, without what only names it.
//!
//! Two runs of one shape differ in sequences, ids, stamps and the names of trees, and in nothing that step looks
//! at by value. Exploring one of them is exploring both.

use crate::law::artifact;
use loom_core::cbor::Encoder;
use loom_core::id::hex;
use loom_core::run::Run;
use loom_core::state::{Amount, Asked, State};

/// Returns a digest of the run's shape.
pub fn of(run: &Run) -> u128 {
    let mut e = Encoder::with_capacity(1024);
    let state = &run.state;
    if let Some(verdict) = state.closed {
        // Nothing of a closed run decides what follows but whether something may still arrive late.
        e.text(verdict.word());
        e.bool(state.given_up.is_empty());
        return short(e);
    }
    position(state, &mut e);
    work(state, &mut e);
    findings(state, &mut e);
    people(run, &mut e);
    facts(run, &mut e);
    short(e)
}

fn short(e: Encoder) -> u128 {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(&e.finish()).as_bytes()[..16]);
    u128::from_be_bytes(short)
}

fn position(state: &State, e: &mut Encoder) {
    e.text(state.flow.as_deref().unwrap_or(""));
    e.text(&state.stage);
    e.text(&state.phase);
    for (phase, round) in &state.rounds {
        e.text(phase);
        e.uint(*round);
    }
    e.bool(state.tree == state.opened.base_tree);
    e.uint(state.replans);
    e.array(state.escalated.len());
    state.escalated.values().for_each(|agent| e.text(agent));
    e.array(state.blocked_rounds.len());
    for (stage, rounds) in &state.blocked_rounds {
        e.text(stage);
        e.uint(*rounds);
    }
}

fn work(state: &State, e: &mut Encoder) {
    let mut pending: Vec<String> = state
        .pending
        .values()
        .map(|pending| match &pending.what {
            Asked::Spawn { agent, attempt, tree, .. } => format!("s {agent} {attempt} {}", *tree == state.tree),
            Asked::Check { check, tree } => format!("c {check} {}", *tree == state.tree),
            Asked::Merge { tree, .. } => format!("m {}", *tree == state.tree),
        })
        .collect();
    pending.sort();
    e.array(pending.len());
    pending.iter().for_each(|item| e.text(item));
    let mut timers: Vec<String> =
        state.timers.values().map(|timer| format!("{} {}", timer.agent, timer.attempt)).collect();
    timers.sort();
    e.array(timers.len());
    timers.iter().for_each(|item| e.text(item));
    e.uint(state.given_up.len().min(1) as u64);
    e.array(state.delivered.len());
    state.delivered.iter().for_each(|agent| e.text(agent));
    e.array(state.blocked.len());
    state.blocked.iter().for_each(|agent| e.text(agent));
    amount(&state.budget.reserved, e);
    // Tokens and money follow from what was spawned, time from that and from waits: none runs out before the spawns do.
    e.uint(state.budget.used.spawns);
}

fn amount(amount: &Amount, e: &mut Encoder) {
    [amount.spawns, amount.tokens, amount.money_micro, amount.time_ms].iter().for_each(|sum| e.uint(*sum));
}

fn findings(state: &State, e: &mut Encoder) {
    let mut findings: Vec<String> = state
        .findings
        .values()
        .map(|found| {
            let print = hex(&found.fingerprint);
            let (severity, origin) = (found.severity.word(), found.origin.word());
            format!("{print} {severity} {origin} {} {} {}", found.agent, found.phase, found.waived)
        })
        .collect();
    findings.sort();
    // A second finding of one place and source adds nothing that step looks at.
    findings.dedup();
    e.array(findings.len());
    findings.iter().for_each(|item| e.text(item));
    e.array(state.waived.len());
    state.waived.keys().for_each(|print| e.bytes(print));
    e.bool(state.to_mend.is_empty());
    e.array(state.last_blockers.len());
    state.last_blockers.iter().for_each(|print| e.bytes(print));
}

fn people(run: &Run, e: &mut Encoder) {
    let state = &run.state;
    let now = artifact(state);
    match &state.gate {
        None => e.uint(0),
        Some(gate) => {
            e.text(&gate.role);
            e.text(gate.default.word());
            e.bool(gate.artifact == now);
        }
    }
    match &state.approval {
        None => e.uint(0),
        Some(approval) => {
            e.text(&approval.role);
            e.bool(approval.artifact == now);
            e.bool(approval.tree == state.tree);
        }
    }
    e.array(state.notes.len());
    state.notes.iter().for_each(|note| e.bool(note.read));
    e.array(state.advice.len());
    state.advice.keys().for_each(|agent| e.text(agent));
    e.uint(state.rules.len() as u64);
}

/// Facts by name, with trees and artifacts told apart from the present ones and numbers left out.
fn facts(run: &Run, e: &mut Encoder) {
    let (tree, artifact) = (hex(&run.state.tree), artifact(&run.state).to_string());
    for (name, value) in run.facts.all() {
        e.text(name);
        // A counter of spawns is in the budget already; other numbers are sequences.
        let mut plain = String::with_capacity(value.len());
        for word in value.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
            let (body, end) = match word.char_indices().next_back() {
                Some((at, last)) if !last.is_ascii_alphanumeric() => word.split_at(at),
                _ => (word, ""),
            };
            plain.push_str(match body {
                _ if body == tree => "T",
                _ if body == artifact => "A",
                _ if body.len() >= 32 && body.bytes().all(|byte| byte.is_ascii_hexdigit()) => "x",
                _ if !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_digit()) => "#",
                _ => body,
            });
            plain.push_str(end);
        }
        if name.ends_with("/spawned") {
            plain = value;
        }
        e.text(&plain);
    }
}
