//! The text of a pull request, as Markdown: what a reviewer wants to know of a run, and how to check it.
//!
//! Whatever a person, an agent or a project wrote stands in code, spans or blocks whose fence is longer than any within:
//! there is no HTML, mention, image, link or reference in code (CLI-8).

use crate::account::{Account, Fate};
use crate::text::{clean, clean_block, lossy, money, run8, span};
use loom_core::id::{StreamId, hex};
use loom_core::word::{DecidedBy, Severity};
use loom_host::trees::Difference;
use std::fmt::Write;

/// Most entries of a list.
const LISTED: usize = 50;

/// Returns the text for an accepted run and, where its trees are there, what it changed.
pub(crate) fn body(stream: StreamId, account: &Account, difference: Option<&Difference>) -> String {
    let mut text = String::new();
    let task = account.task.as_deref().unwrap_or("The task's text was erased.");
    section(&mut text, "Task", [block(task)]);
    section(&mut text, "What changed", changes(difference));
    let reviews = account.reviews.values().map(|review| {
        let passed = if review.passed { "passed" } else { "not passed" };
        format!("- {}: {} ({passed}, {} blocking)\n", code(&review.agent), code(&review.word), review.blocking)
    });
    section(&mut text, "Reviews", some(reviews, "No agent reviewed it."));
    section(&mut text, "Findings", findings(account));
    let checks = account.checks.values().map(|check| {
        let exit = check.exit_code.map(|exit| format!(", exit code {exit}")).unwrap_or_default();
        format!("- {}: {}{exit}, on tree {}\n", code(&check.check), check.outcome.word(), code(&hex(&check.tree)))
    });
    section(&mut text, "Checks", some(checks, "No check ran."));
    let gates = account.gates.iter().map(|(sequence, (gate, assurance))| {
        let assurance = match (gate.by, assurance) {
            (DecidedBy::Person, Some(assurance)) => format!(", {assurance}"),
            (DecidedBy::Person | DecidedBy::Policy | DecidedBy::Deadline, _) => String::new(),
        };
        let (role, who) = (code(&gate.role), code(&gate.decider));
        format!("- {role}: {} by {} {who}{assurance} (event {sequence})\n", gate.outcome.word(), gate.by.word())
    });
    section(&mut text, "Decisions", some(gates, "No gate stood on its way."));
    let refused = account.refused.iter().flat_map(|(sequence, refused)| {
        let rules = refused.rules.iter().zip(refused.messages.iter());
        rules.map(move |(rule, message)| format!("- {}: {} (event {sequence})\n", code(rule), code(message)))
    });
    section(&mut text, "Refused on the way", some(refused, "No rule refused anything."));
    let used = &account.state.budget.used;
    let cost = format!(
        "{}, {} tokens, {} spawns, {} of spawns and checks\n",
        money(used.money_micro),
        used.tokens,
        account.spawns,
        span(used.time_ms)
    );
    section(&mut text, "Cost", [cost]);
    section(&mut text, "Proof", [proof(stream, account)]);
    text
}

fn section(text: &mut String, title: &str, parts: impl IntoIterator<Item = String>) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let _infallible = write!(text, "{gap}## {title}\n\n");
    parts.into_iter().for_each(|part| text.push_str(&part));
}

/// Returns the first entries of a list and how many more there are; a sentence where there are none.
fn some(entries: impl Iterator<Item = String>, none: &str) -> Vec<String> {
    let mut entries: Vec<String> = entries.collect();
    if entries.is_empty() {
        return vec![format!("{none}\n")];
    }
    if let Some(more) = entries.len().checked_sub(LISTED).filter(|more| *more > 0) {
        entries.truncate(LISTED);
        entries.push(format!("- and {more} more\n"));
    }
    entries
}

fn changes(difference: Option<&Difference>) -> Vec<String> {
    let Some(difference) = difference else {
        return vec!["Its trees are not in this repository any more.\n".to_string()];
    };
    if difference.changes.is_empty() {
        return vec!["Nothing.\n".to_string()];
    }
    let stat = String::from_utf8_lossy(&difference.text);
    let lines: Vec<&str> = stat.lines().collect();
    let left_out = lines.len().saturating_sub(LISTED);
    let mut shown = vec![block(&lines[..lines.len() - left_out].join("\n"))];
    if left_out > 0 {
        shown.push(format!("\nand {left_out} lines more\n"));
    }
    shown
}

fn findings(account: &Account) -> Vec<String> {
    let entries = account.findings.iter().map(|(sequence, (finding, fate))| {
        let fate = match fate {
            Fate::Open if finding.severity == Severity::Blocking => "**open**".to_string(),
            Fate::Open => "open".to_string(),
            Fate::Resolved(how) => format!("resolved ({how})"),
            Fate::Waived(person) => format!("**waived** by {}", code(person)),
        };
        let place = match (&finding.path, finding.line) {
            (Some(path), Some(line)) => format!(" at {}", code(&format!("{}:{line}", lossy(path)))),
            (Some(path), None) => format!(" at {}", code(&lossy(path))),
            (None, _) => String::new(),
        };
        let (agent, severity, summary) = (code(&finding.agent), finding.severity.word(), code(&finding.summary));
        format!("- {fate}: {severity} by {agent}{place}: {summary} (event {sequence})\n")
    });
    some(entries, "None.")
}

fn proof(stream: StreamId, account: &Account) -> String {
    let commit = account.commit.as_deref().map(hex).unwrap_or_default();
    let head = account.head.map(|head| hex(&head.0)).unwrap_or_default();
    let (run, last) = (run8(&stream), hex(&account.state.last.0));
    let places = format!(
        "- run {}\n- commit {} on {}, made for event {}\n- last event {}\n",
        code(&hex(&stream.0)),
        code(&commit),
        code(&account.state.branch()),
        code(&head),
        code(&last)
    );
    let commands = format!("loom export {run} -o {run}.trace\nloom verify {run}.trace --redrive");
    format!("{places}\nThe run's log can be checked without trusting anybody:\n\n{}", block(&commands))
}

/// Returns one line as a code span.
fn code(text: &str) -> String {
    let text = clean(text);
    let text = text.trim();
    if text.is_empty() {
        return "(nothing)".to_string();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    // A span that begins or ends with a backtick needs a space there, which is not shown.
    let gap = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{gap}{text}{gap}{fence}")
}

/// Returns lines as a code block.
fn block(text: &str) -> String {
    let text = clean_block(text);
    let fence = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_code() {
        assert_eq!(code("<img src=x> @all [a](b) #1"), "`<img src=x> @all [a](b) #1`");
        assert_eq!(code("a `b` ``c``"), "``` a `b` ``c`` ```");
        assert_eq!(code("a\nb\u{202e}\u{1b}"), "`a␊b\u{fffd}␛`");
        assert_eq!(code("  "), "(nothing)");
        assert_eq!(block("a\n```\n<b>@all</b>\n"), "````text\na\n```\n<b>@all</b>\n````\n");
    }
}
