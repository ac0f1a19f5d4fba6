//! Recorded runs of the fixtures: every fault is made to one that is whole.

use loom_replay::{Trace, trace};
use std::sync::OnceLock;

const FILES: &[&[u8]] = &[
    include_bytes!("../../fixtures/runs/01-question/trace.loom"),
    include_bytes!("../../fixtures/runs/04-standard-walked-back/trace.loom"),
    include_bytes!("../../fixtures/runs/08-abandoned/trace.loom"),
    include_bytes!("../../fixtures/runs/10-exhausted/trace.loom"),
    include_bytes!("../../fixtures/runs/11-crashed-and-recovered/trace.loom"),
    include_bytes!("../../fixtures/runs/12-risk-taken/trace.loom"),
    include_bytes!("../../fixtures/incidents/06-over-a-blocker/trace.loom"),
    include_bytes!("../../fixtures/incidents/13-cost-unknown/trace.loom"),
    include_bytes!("../../fixtures/incidents/16-forced-shut/trace.loom"),
];

/// Rule sets that were thought of after those runs.
pub const RULES: &[&str] = &[
    include_str!("../../fixtures/incidents/06-over-a-blocker/candidate.rules"),
    include_str!("../../fixtures/incidents/07-stale-review/candidate.rules"),
    include_str!("../../fixtures/incidents/08-check-absent/candidate.rules"),
    include_str!("../../fixtures/incidents/09-back-and-forth/candidate.rules"),
    include_str!("../../fixtures/incidents/12-huge-and-trivial/candidate.rules"),
    include_str!("../../fixtures/incidents/15-one-session/candidate.rules"),
    include_str!("../../replay/facts/runs.rules"),
    include_str!("../../replay/facts/spending.rules"),
];

/// Returns every recorded run.
pub fn traces() -> &'static [Trace] {
    static TRACES: OnceLock<Vec<Trace>> = OnceLock::new();
    TRACES.get_or_init(|| FILES.iter().map(|file| trace::read(&mut &**file).expect("fixtures are whole")).collect())
}

/// Returns one of them, whatever the number.
pub fn trace(number: u8) -> &'static Trace {
    &traces()[usize::from(number) % traces().len()]
}
