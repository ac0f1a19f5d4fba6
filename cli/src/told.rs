//! Tells on stderr what goes on record in a run, as it goes on record. It reads the log and nothing else.

use crate::error::CliError;
use crate::json::EventJson;
use crate::output::{BAD, FAINT as QUIET, GOOD, STRONG as LOUD};
use crate::refusal::refused_rules;
use crate::spent::{Spent, cost};
use crate::status;
use crate::text::{clean, clean_json, lossy, money, time};
use anstyle::Style;
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::kind::{Event, Refused};
use loom_core::run::Run;
use loom_core::word::{DecidedBy, Severity};
use loom_store::Store;
use std::io::Write;
use std::time::Instant;

/// A run told line by line.
pub(crate) struct Tale {
    began: Instant,
    next: u64,
    quiet: bool,
    /// Whether each event goes to stdout as a line of JSON, too.
    lines: bool,
}

impl Tale {
    /// Begins a tale; times are told from here.
    pub(crate) fn begin(quiet: bool) -> Self {
        Tale { began: Instant::now(), next: 0, quiet, lines: false }
    }

    /// Begins a tale in the middle of a run, at an event.
    pub(crate) fn begin_at(next: u64, quiet: bool) -> Self {
        Tale { next, ..Tale::begin(quiet) }
    }

    /// Writes each event to stdout as a line of JSON, too.
    pub(crate) fn in_lines(self, lines: bool) -> Self {
        Tale { lines, ..self }
    }

    /// Whether an event was not told yet.
    pub(crate) fn is_new(&self, sequence: u64) -> bool {
        sequence >= self.next
    }

    /// Says something that is not from the log.
    pub(crate) fn say(&self, text: &str) {
        self.line(QUIET, text);
    }

    /// Shows text of many lines, which is clean.
    pub(crate) fn block(&self, text: &str) {
        let _cleared = status::clear();
        // Nobody reads the progress any more: the run goes on all the same.
        let _closed = anstream::stderr().lock().write_all(text.as_bytes());
    }

    /// Asks something; the line stays open.
    pub(crate) fn ask(&self, text: &str) -> Result<(), CliError> {
        let _cleared = status::clear();
        let mut err = anstream::stderr().lock();
        write!(err, "{LOUD}{text}{LOUD:#}")?;
        Ok(err.flush()?)
    }

    /// Tells the events of the run that have not been told.
    pub(crate) fn tell_new(&mut self, store: &dyn Store, stream: StreamId, run: Option<&Run>) -> Result<(), CliError> {
        if run.is_some_and(|run| run.state.next <= self.next) {
            return Ok(());
        }
        loop {
            let events = store.read(stream, self.next, 256)?;
            if events.is_empty() {
                return Ok(());
            }
            self.next += events.len() as u64;
            for stored in &events {
                let envelope = Envelope::decode(&stored.event.bytes)
                    .map_err(|source| CliError::Event { position: stored.position, source })?;
                let spent = match envelope.body {
                    Event::RunClosed(_) => Spent::of(store, stream)?.told(),
                    _ => String::new(),
                };
                self.tell(&envelope, run, &spent);
                if self.lines {
                    let json = serde_json::to_string(&EventJson(stored))?;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "{}", clean_json(&json))?;
                    out.flush()?;
                }
            }
        }
    }

    /// Tells an event; `spent` is what the run has cost, where it has ended.
    fn tell(&self, envelope: &Envelope, run: Option<&Run>, spent: &str) {
        match &envelope.body {
            Event::FlowChosen(body) => self.line(QUIET, &format!("flow {} (chosen by {})", body.flow, body.by.word())),
            Event::StageEntered(body) => self.line(LOUD, &format!("{} · round {}", body.stage, body.round)),
            Event::SpawnRequested(body) => self.line(QUIET, &format!("  {} works …", body.agent)),
            Event::SpawnFinished(body) => {
                let tokens = body.tokens_in.unwrap_or(0).saturating_add(body.tokens_out.unwrap_or(0));
                let changed = if body.tree_before == body.tree_after { "" } else { ", the tree changed" };
                let cost = cost(body.money_micro, body.outcome).map_or("cost unknown".to_string(), money);
                let (agent, outcome) = (&body.agent, body.outcome.word());
                self.line(QUIET, &format!("  {agent} ended: {outcome}, {tokens} tokens, {cost}{changed}"));
            }
            Event::CheckFinished(body) => {
                let style = if body.exit_code == Some(0) { GOOD } else { BAD };
                let code = body.exit_code.map_or(String::new(), |code| format!(" (exit code {code})"));
                self.line(style, &format!("  check {}: {}{code}", body.check, body.outcome.word()));
            }
            Event::FindingRaised(body) => {
                let style = if body.severity == Severity::Blocking { BAD } else { QUIET };
                let path = body.path.as_ref().map_or(String::new(), |path| {
                    let line = body.line.map_or(String::new(), |line| format!(":{line}"));
                    format!(" {}{line}", lossy(path))
                });
                let summary = clean(&body.summary);
                self.line(style, &format!("  {} · {}{path}: {summary}", body.severity.word(), body.agent));
            }
            Event::GateOpened(body) => {
                let blockers = body.blockers.len();
                self.line(LOUD, &format!("  gate `{}` waits: {} ({blockers} blocker(s))", body.role, body.reason));
            }
            Event::GateAnswered(body) => {
                let (answer, id) = (body.answer.word(), envelope.actor.id());
                self.line(QUIET, &format!("  `{answer}` by {id} is on record"));
            }
            Event::GateDecided(body) => {
                let by = match body.by {
                    DecidedBy::Person => format!("{}, a person", body.decider),
                    DecidedBy::Policy => format!("policy {}", body.decider),
                    DecidedBy::Deadline => "the deadline".to_string(),
                };
                self.line(QUIET, &format!("  gate `{}` {} by {by}", body.role, body.outcome.word()));
            }
            Event::Refused(body) => {
                self.line(BAD, &format!("  REFUSED inside the commit: {}", body.kind));
                for line in refusal(body, run) {
                    self.line(BAD, &format!("    {line}"));
                }
            }
            Event::WalkedBack(body) => self.line(LOUD, &format!("  back to {}: {}", body.to, body.reason)),
            Event::MergeIntended(body) => self.line(QUIET, &format!("  {} is to be made", body.branch)),
            Event::RunClosed(body) => {
                self.line(LOUD, &format!("the run ended: {}, {spent} ({})", body.verdict.word(), body.reason));
            }
            Event::EffectOrphaned(body) => {
                self.line(QUIET, &format!("  what #{} asked for was lost with its driver", body.effect));
            }
            Event::TimerSet(body) => {
                self.line(QUIET, &format!("  {} is asked again at {} UTC", body.agent, time(body.due_ms)));
            }
            Event::RunPaused(_) => self.line(LOUD, "  held: what is under way goes on, nothing new begins"),
            Event::RunResumed(_) => self.line(LOUD, "  goes on"),
            Event::RunOpened(_)
            | Event::RunSteered(_)
            | Event::RecoveryRequested(_)
            | Event::RiskAccepted(_)
            | Event::RulesAdded(_)
            | Event::RunCancelled(_)
            | Event::RequestRefused(_)
            | Event::MergeFinished(_)
            | Event::TimerFired(_)
            | Event::VerdictGiven(_)
            | Event::PathsChanged(_)
            | Event::BudgetSettled(_)
            | Event::Violation(_)
            | Event::RequestDeclined(_)
            | Event::CheckRequested(_)
            | Event::GateWithdrawn(_)
            | Event::FindingResolved(_)
            | Event::FindingWaived(_)
            | Event::AgentEscalated(_)
            | Event::StoreCreated(_)
            | Event::KeyAdded(_)
            | Event::KeyRetired(_)
            | Event::RulesArmed(_)
            | Event::RulesRetired(_)
            | Event::BlobsRedacted(_) => {}
        }
    }

    fn line(&self, style: Style, text: &str) {
        if self.quiet {
            return;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let text = clean(text);
        let _cleared = status::clear();
        let mut err = anstream::stderr().lock();
        // Nobody reads the progress any more: the run goes on all the same.
        let _closed = writeln!(err, "{QUIET}{seconds:5.1}s{QUIET:#} {style}{text}{style:#}");
    }
}

/// Says which rules refused, what they read, and what would clear it.
pub(crate) fn refusal(body: &Refused, run: Option<&Run>) -> Vec<String> {
    let mut lines = Vec::new();
    for (rule, message) in body.rules.iter().zip(body.messages.iter()) {
        lines.push(format!("rule    {rule}: {}", clean(message)));
    }
    for fact in body.facts.iter() {
        lines.push(format!("read    {}", clean(fact)));
    }
    for fact in refused_rules(body, run).iter().flat_map(|rule| &rule.facts) {
        lines.push(format!("cleared {}", clean(&fact.told())));
    }
    lines
}
