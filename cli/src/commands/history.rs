//! `loom history`: the runs that have ended, what they came to and what they cost.

use crate::account::Account;
use crate::app::Global;
use crate::commands::log::since;
use crate::error::CliError;
use crate::exit::Exit;
use crate::line::verdict_style;
use crate::output::{FAINT, ID, Output, STRONG};
use crate::project;
use crate::text::{clip, money, rfc3339, run8, span, time};
use loom_core::id::hex;
use loom_core::word::Verdict;
use loom_store::RunState;
use serde::Serialize;
use std::cmp::Reverse;
use std::io::Write;

/// Lists the runs that have ended, the newest first, with what they cost.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many runs; 0 for all.
    #[arg(short, long, default_value_t = 20, value_name = "COUNT")]
    n: usize,
    /// Only runs that ended since then: a span like 7d, 12h or 90m, a day (UTC), or an RFC 3339 time.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only runs that ended so; may be given several times.
    #[arg(long, value_name = "VERDICT", value_parser = verdict)]
    verdict: Vec<Verdict>,
}

fn verdict(word: &str) -> Result<Verdict, String> {
    Verdict::of(word).ok_or_else(|| {
        "it is none of accepted, answered, rejected, failed, abandoned, cancelled, exhausted".to_string()
    })
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    runs: Vec<RunJson>,
    /// Of the runs that are listed.
    totals: Totals,
    /// Runs that match and are not listed.
    left_out: usize,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RunJson {
    run: String,
    slug: String,
    verdict: &'static str,
    reason: String,
    opened: String,
    ended: String,
    /// What it made: the branch and its commit.
    branch: Option<String>,
    commit: Option<String>,
    #[serde(flatten)]
    spent: Spent,
}

/// What runs took.
#[derive(Debug, Clone, Copy, Default, Serialize, schemars::JsonSchema)]
struct Spent {
    money_micro: u64,
    tokens: u64,
    spawns: u64,
    /// Time of spawns and checks.
    time_ms: u64,
    /// Commits whose decisions rules refused.
    refusals: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Totals {
    runs: usize,
    #[serde(flatten)]
    spent: Spent,
}

/// Answers `loom history`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let since_ms = arguments.since.as_deref().map(since).transpose()?.unwrap_or(0);
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let mut ended: Vec<_> = store
        .runs(usize::MAX)?
        .into_iter()
        .filter(|run| match run.state {
            RunState::Closed(verdict) => {
                run.last.ms >= since_ms && (arguments.verdict.is_empty() || arguments.verdict.contains(&verdict))
            }
            RunState::Open | RunState::Waiting => false,
        })
        .collect();
    ended.sort_by_key(|run| Reverse(run.last));
    let listed = if arguments.n == 0 { ended.len() } else { arguments.n.min(ended.len()) };
    let mut runs = Vec::new();
    let mut total = Spent::default();
    for run in &ended[..listed] {
        let account = match Account::read(store, run.stream) {
            Ok(account) => account,
            // The others are told all the same; the damage was told when the store was opened.
            Err(error) if opened.damage.is_some() => {
                output.warn(&format!("run {} cannot be read: {error}", run8(&run.stream)));
                continue;
            }
            Err(error) => return Err(error),
        };
        let used = &account.state.budget.used;
        let spent = Spent {
            money_micro: used.money_micro,
            tokens: used.tokens,
            spawns: account.spawns,
            time_ms: used.time_ms,
            refusals: account.refused.len() as u64,
        };
        total.add(&spent);
        let Some((verdict, reason, ended_ms)) = account.ended.clone() else { continue };
        let entry = RunJson {
            run: hex(&run.stream.0),
            slug: run.slug.clone(),
            verdict: verdict.word(),
            reason,
            opened: rfc3339(account.opened_ms),
            ended: rfc3339(ended_ms),
            branch: (verdict == Verdict::Accepted && account.commit.is_some()).then(|| account.state.branch()),
            commit: account.commit.as_deref().map(hex),
            spent,
        };
        if !output.json {
            print(&entry, verdict, ended_ms, output)?;
        }
        runs.push(entry);
    }
    let totals = Totals { runs: runs.len(), spent: total };
    let left_out = ended.len() - listed;
    if output.json {
        output.document(&Document { loom: "history/1", runs, totals, left_out })?;
    } else {
        let more = if left_out == 0 { String::new() } else { format!(", {left_out} more are not listed") };
        writeln!(output.out, "{STRONG}{} runs{STRONG:#}  {}{FAINT}{more}{FAINT:#}", totals.runs, total.told())?;
    }
    Ok(if opened.damage.is_some() { Exit::Damaged } else { Exit::Ok })
}

impl Spent {
    fn add(&mut self, more: &Spent) {
        self.money_micro = self.money_micro.saturating_add(more.money_micro);
        self.tokens = self.tokens.saturating_add(more.tokens);
        self.spawns += more.spawns;
        self.time_ms = self.time_ms.saturating_add(more.time_ms);
        self.refusals += more.refusals;
    }

    fn told(&self) -> String {
        format!(
            "{}, {} tokens, {} spawns, {}, {} refusals",
            money(self.money_micro),
            self.tokens,
            self.spawns,
            span(self.time_ms),
            self.refusals
        )
    }
}

fn print(entry: &RunJson, verdict: Verdict, ended_ms: u64, output: &mut Output) -> Result<(), CliError> {
    let (style, word) = (verdict_style(verdict), entry.verdict);
    let (id, when, slug) = (&entry.run[..8], time(ended_ms), clip(&entry.slug, 40));
    writeln!(output.out, "{ID}{id}{ID:#}  {style}{word:<9}{style:#}  {when}  {slug}")?;
    writeln!(output.out, "          {}", entry.spent.told())?;
    if let (Some(branch), Some(commit)) = (&entry.branch, &entry.commit) {
        let commit = commit.get(..12).unwrap_or(commit);
        writeln!(output.out, "          {FAINT}{} at {commit}{FAINT:#}", clip(branch, 60))?;
    }
    Ok(())
}
