//! The lanes of a run: each stage, agent, check and gate has one, and a bar where it was at work.
//!
//! To the right the events go on, not the time: waiting for a person does not press the rest together. The picture says
//! nothing that the table of events beneath it does not say, so it is hidden from who reads by ear.

use super::page::Page;
use loom_core::event::Envelope;
use loom_core::kind::Event;
use std::collections::{BTreeMap, BTreeSet};

/// Width of the picture; finer is not drawn.
const WIDTH: u64 = 1000;
/// Least width of a bar.
const BAR_MIN: u64 = 3;
/// Lanes that are drawn; a process has no more agents and checks than that, or the table has to do.
const LANES_MAX: usize = 40;

/// What a lane is of, in the order of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Stage,
    Agent,
    Check,
    Gate,
    Merge,
}

impl Of {
    pub(super) fn word(self) -> &'static str {
        match self {
            Of::Stage => "stage",
            Of::Agent => "agent",
            Of::Check => "check",
            Of::Gate => "gate",
            Of::Merge => "merge",
        }
    }
}

/// The lanes of one run.
#[derive(Default)]
pub(super) struct Lanes {
    bars: BTreeMap<(Of, String), Vec<(u64, u64)>>,
    /// Whose each piece of work is, by the sequence of what began it.
    begun: BTreeMap<u64, (Of, String)>,
    /// What is at work still.
    open: BTreeSet<u64>,
    stage: Option<(u64, String)>,
    end: u64,
}

impl Lanes {
    /// Takes the next event, and returns whose it is, where it is one's.
    pub(super) fn push(&mut self, envelope: &Envelope) -> Option<(Of, String)> {
        let at = envelope.sequence;
        self.end = at + 1;
        let mut begin = |of, name: &str| {
            self.open.insert(at);
            self.begun.insert(at, (of, name.to_string()));
            self.begun.get(&at).cloned()
        };
        match &envelope.body {
            Event::StageEntered(body) => {
                self.leave_stage(at);
                self.stage = Some((at, body.stage.clone()));
                None
            }
            Event::RunClosed(_) => {
                self.leave_stage(at + 1);
                None
            }
            Event::SpawnRequested(body) => begin(Of::Agent, &body.agent),
            Event::CheckRequested(body) => begin(Of::Check, &body.check),
            Event::GateOpened(body) => begin(Of::Gate, &body.role),
            Event::MergeIntended(_) => begin(Of::Merge, ""),
            Event::SpawnFinished(body) => self.finish(body.spawn, at),
            Event::CheckFinished(body) => self.finish(body.request, at),
            Event::MergeFinished(body) => self.finish(body.merge, at),
            Event::EffectOrphaned(body) => self.finish(body.effect, at),
            Event::GateWithdrawn(body) => self.finish(body.gate, at),
            Event::GateDecided(body) => match body.gate {
                Some(gate) => self.finish(gate, at),
                None => Some((Of::Gate, body.role.clone())),
            },
            Event::GateAnswered(body) => self.begun.get(&body.gate).cloned(),
            Event::FindingRaised(body) => self.begun.get(&body.source).cloned(),
            Event::VerdictGiven(body) => self.begun.get(&body.spawn).cloned(),
            Event::PathsChanged(body) => self.begun.get(&body.spawn).cloned(),
            Event::BudgetSettled(body) => self.begun.get(&body.effect).cloned(),
            _ => None,
        }
    }

    /// Ends what is at work still.
    pub(super) fn end(&mut self) {
        let end = self.end;
        self.leave_stage(end);
        for from in std::mem::take(&mut self.open) {
            let Some(lane) = self.begun.get(&from) else { continue };
            self.bars.entry(lane.clone()).or_default().push((from, end));
        }
    }

    fn leave_stage(&mut self, at: u64) {
        if let Some((from, name)) = self.stage.take() {
            self.bars.entry((Of::Stage, name)).or_default().push((from, at));
        }
    }

    fn finish(&mut self, began: u64, at: u64) -> Option<(Of, String)> {
        let lane = self.begun.get(&began)?;
        if self.open.remove(&began) {
            self.bars.entry(lane.clone()).or_default().push((began, at + 1));
        }
        Some(lane.clone())
    }

    /// Writes the picture. `marks` are where rules do not hold, `turn` is where the run would have gone another way.
    pub(super) fn draw(&self, page: &mut Page, marks: &[u64], turn: Option<u64>) {
        page.raw("<table class=lanes>\n<caption>Who was at work when. One step to the right is one event; the table of events has the same in words.</caption>\n<thead><tr><th scope=col>Lane</th><th scope=col class=n>Times</th><td><span class=faint>first event to last</span></td></tr></thead>\n<tbody>\n");
        let mut lanes: Vec<_> = self.bars.iter().collect();
        lanes.sort_by_key(|((of, _), bars)| (*of, bars.first().map(|(from, _)| *from)));
        for ((of, name), bars) in lanes.into_iter().take(LANES_MAX) {
            page.raw("<tr><th scope=row>").raw(of.word()).raw(" <bdi>").text(name).raw("</bdi></th><td class=n>");
            page.number(bars.len() as u64).raw("</td><td><svg ");
            self.bars(page, bars);
        }
        if !marks.is_empty() {
            let bars: Vec<(u64, u64)> = marks.iter().map(|at| (*at, at + 1)).collect();
            page.raw("<tr><th scope=row>findings of this report</th><td class=n>").number(bars.len() as u64);
            page.raw("</td><td><svg class=bad ");
            self.bars(page, &bars);
        }
        if let Some(turn) = turn {
            page.raw("<tr><th scope=row>counterfactual</th><td class=n>1</td><td><svg class=cf ");
            self.bars(page, &[(turn, self.end)]);
        }
        page.raw("</tbody>\n</table>\n");
        let untold = self.bars.len().saturating_sub(LANES_MAX) as u64;
        if untold > 0 {
            page.raw("<p>").count(untold, "more lane").raw(" not drawn.</p>\n");
        }
    }

    fn bars(&self, page: &mut Page, bars: &[(u64, u64)]) {
        page.raw("viewBox=\"0 0 1000 1\" preserveAspectRatio=none aria-hidden=true focusable=false><path d=\"");
        let scaled = |at: u64| at * WIDTH / self.end.max(1);
        let mut joined: Vec<(u64, u64)> = Vec::new();
        let mut sorted = bars.to_vec();
        sorted.sort_unstable();
        for (from, to) in sorted {
            let from = scaled(from).min(WIDTH - BAR_MIN);
            let to = scaled(to).max(from + BAR_MIN);
            match joined.last_mut() {
                Some(last) if from <= last.1 && (from < last.0 + BAR_MIN || from < last.1) => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        for (from, to) in joined {
            page.raw("M").number(from).raw(" 0h").number(to - from).raw("v1h-").number(to - from).raw("z");
        }
        page.raw("\"/></svg></td></tr>\n");
    }
}
