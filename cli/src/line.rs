//! One line for an event: what it is about, how it went, what it cost.
//!
//! The match names every kind: a new kind stops the build here, where it must be thought of.

use crate::output::{BAD, FAINT, GOOD, WARN};
use crate::text::{clean, clip, money, short, time};
use anstyle::Style;
use loom_core::id::hex;
use loom_core::kind::Event;
use loom_core::word::{Answer, CheckOutcome, GateOutcome, MergeOutcome, Severity, SpawnOutcome, Verdict};

/// What a line of the log says beside id and kind.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// What the event is about.
    pub(crate) subject: String,
    /// How it went, in one word.
    pub(crate) verdict: Option<(Style, &'static str)>,
    /// What it cost.
    pub(crate) cost: Option<String>,
}

/// Most characters of a subject.
const SUBJECT: usize = 72;

impl Line {
    fn about(subject: impl AsRef<str>) -> Line {
        Line { subject: clip(subject.as_ref(), SUBJECT), verdict: None, cost: None }
    }

    fn with(self, style: Style, word: &'static str) -> Line {
        Line { verdict: Some((style, word)), ..self }
    }

    fn costs(self, micro: Option<u64>) -> Line {
        Line { cost: micro.filter(|micro| *micro > 0).map(money), ..self }
    }
}

/// Returns the line of an event.
pub(crate) fn line(event: &Event) -> Line {
    match event {
        Event::RunOpened(body) => Line::about(format!("{} ({})", body.slug, body.bundle_name)),
        Event::GateAnswered(body) => answer(Line::about(format!("gate #{}", body.gate)), body.answer),
        Event::RunSteered(_) => Line::about("a note for the next prompts"),
        Event::RecoveryRequested(body) => Line::about(body.choice.word()),
        Event::RiskAccepted(body) => Line::about(format!("finding #{}", body.finding)),
        Event::RulesAdded(body) => Line::about(format!("rule set {}", short(&body.rules))),
        Event::RunCancelled(_) | Event::RunPaused(_) | Event::RunResumed(_) => Line::about("by a person"),
        Event::RequestRefused(body) => Line::about(format!("{}: {}", body.what, body.reason)).with(BAD, "refused"),
        Event::SpawnFinished(body) => {
            let subject = match &body.detail {
                Some(detail) => format!("{}: {detail}", body.agent),
                None => body.agent.clone(),
            };
            Line::about(subject).with(spawn_style(body.outcome), body.outcome.word()).costs(body.money_micro)
        }
        Event::CheckFinished(body) => Line::about(&body.check).with(check_style(body.outcome), body.outcome.word()),
        Event::MergeFinished(body) => {
            let style = match body.outcome {
                MergeOutcome::Done => GOOD,
                MergeOutcome::Failed => BAD,
            };
            Line::about(body.detail.as_deref().unwrap_or_default()).with(style, body.outcome.word())
        }
        Event::TimerFired(body) => Line::about(format!("for #{}", body.subject)),
        Event::EffectOrphaned(body) => Line::about(format!("effect #{}", body.effect)).with(WARN, "lost"),
        Event::FindingRaised(body) => {
            let style = match body.severity {
                Severity::Blocking => BAD,
                Severity::Warn => WARN,
                Severity::Info => FAINT,
            };
            Line::about(format!("{}: {}", body.agent, body.summary)).with(style, body.severity.word())
        }
        Event::VerdictGiven(body) => {
            let line = Line::about(format!("{}: {}", body.agent, body.word));
            if body.passed { line.with(GOOD, "passed") } else { line.with(BAD, "not passed") }
        }
        Event::PathsChanged(body) => {
            let first = body.paths.first().map(|path| String::from_utf8_lossy(path).into_owned()).unwrap_or_default();
            let more = body.paths.len().saturating_sub(1);
            Line::about(if more == 0 { first } else { format!("{first} and {more} more") })
        }
        Event::BudgetSettled(body) => {
            let worst = if body.known { "" } else { ", worst case" };
            Line::about(format!("#{}: {} tokens{worst}", body.effect, body.tokens)).costs(Some(body.money_micro))
        }
        Event::Refused(body) => Line::about(format!("{} by {}", body.kind, body.rules.join(", "))).with(BAD, "refused"),
        Event::Violation(body) => Line::about(format!("{} by #{}", body.rule, body.event)).with(BAD, "violated"),
        Event::RequestDeclined(body) => Line::about(&body.reason).with(WARN, "declined"),
        Event::FlowChosen(body) => Line::about(format!("{} by {}", body.flow, body.by.word())),
        Event::StageEntered(body) => Line::about(format!("{} ({}, round {})", body.stage, body.phase, body.round)),
        Event::SpawnRequested(body) => match body.attempt {
            1 => Line::about(&body.agent),
            attempt => Line::about(format!("{}, attempt {attempt}", body.agent)),
        },
        Event::CheckRequested(body) => Line::about(&body.check),
        Event::GateOpened(body) => {
            Line::about(format!("{}: {}, until {}", body.role, body.reason, time(body.deadline_ms))).with(WARN, "waits")
        }
        Event::GateWithdrawn(body) => Line::about(format!("gate #{}: {}", body.gate, body.reason)),
        Event::GateDecided(body) => {
            let style = match body.outcome {
                GateOutcome::Accepted => GOOD,
                GateOutcome::Revised => WARN,
                GateOutcome::Rejected | GateOutcome::Abandoned => BAD,
            };
            let by = format!("{} by {} {}", body.role, body.by.word(), body.decider);
            Line::about(by).with(style, body.outcome.word())
        }
        Event::FindingResolved(body) => Line::about(format!("finding #{}", body.finding)).with(FAINT, body.how.word()),
        Event::FindingWaived(body) => {
            Line::about(format!("finding #{} by {}", body.finding, body.person)).with(WARN, "waived")
        }
        Event::WalkedBack(body) => Line::about(format!("{} → {}: {}", body.from, body.to, body.reason)),
        Event::AgentEscalated(body) => Line::about(format!("{}: {} → {}", body.stage, body.from, body.to)),
        Event::TimerSet(body) => Line::about(format!("{} again at {}", body.agent, time(body.due_ms))),
        Event::MergeIntended(body) => Line::about(&body.branch),
        Event::RunClosed(body) => Line::about(&body.reason).with(verdict_style(body.verdict), body.verdict.word()),
        Event::RulesArmed(body) => Line::about(format!("rule set {} {}", body.name, short(&body.rules))),
        Event::RulesRetired(body) => Line::about(format!("rule set {} {}", body.name, short(&body.rules))),
        Event::BlobsRedacted(body) => {
            let first = body.erased.first().map(short).unwrap_or_default();
            let more = body.erased.len().saturating_sub(1);
            Line::about(if more == 0 { format!("blob {first}") } else { format!("blob {first} and {more} more") })
                .with(WARN, "erased")
        }
        Event::StoreCreated(body) => Line::about(format!("by loom {}", body.loom)),
        Event::KeyAdded(body) => Line::about(hex(&body.key)),
        Event::KeyRetired(body) => {
            let how = if body.handed_over { "signed its successor" } else { "its private half was gone" };
            Line::about(hex(&body.key)).with(WARN, how)
        }
    }
}

fn answer(line: Line, answer: Answer) -> Line {
    let style = match answer {
        Answer::Accept => GOOD,
        Answer::Revise => WARN,
        Answer::Reject | Answer::Abandon => BAD,
    };
    line.with(style, answer.word())
}

fn spawn_style(outcome: SpawnOutcome) -> Style {
    match outcome {
        SpawnOutcome::Ok => GOOD,
        SpawnOutcome::Limited | SpawnOutcome::Cancelled => WARN,
        SpawnOutcome::Unparsable | SpawnOutcome::Failed | SpawnOutcome::Broken | SpawnOutcome::TimedOut => BAD,
    }
}

fn check_style(outcome: CheckOutcome) -> Style {
    match outcome {
        CheckOutcome::Pass => GOOD,
        CheckOutcome::Fail | CheckOutcome::TimedOut => BAD,
        CheckOutcome::Unusable | CheckOutcome::Absent => WARN,
    }
}

/// Returns the colour of a run's end.
pub(crate) fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Accepted | Verdict::Answered => GOOD,
        Verdict::Rejected | Verdict::Failed | Verdict::Exhausted => BAD,
        Verdict::Abandoned | Verdict::Cancelled => WARN,
    }
}

/// Returns a line as plain words, for places without columns.
pub(crate) fn plain(event: &Event) -> String {
    let line = line(event);
    let verdict = line.verdict.map(|(_, word)| format!(" [{word}]")).unwrap_or_default();
    clean(&format!("{}{verdict}", line.subject))
}
