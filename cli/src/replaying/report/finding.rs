//! Where a rule did not hold or cannot be known: rule by rule, with what it read and the chain of causes.

use super::judgement::{event, more, rule};
use super::page::Page;
use super::timeline::Drawn;
use crate::replaying::judging::word;
use crate::text::{run8, time};
use loom_core::rules::Outcome;
use loom_replay::judge::{Compared, Finding, Judgement};

/// Findings that are told one by one, of all rules together; each rule has its part.
const TOLD_MAX: usize = 500;
/// Findings that stand open; the others do when they are clicked, or printed.
const OPEN_MAX: usize = 10;

/// Writes every rule with its findings.
pub(super) fn all(page: &mut Page, judgement: &Judgement, drawn: &Drawn) {
    page.raw("<section aria-labelledby=findings>\n<h2 id=findings>Findings</h2>\n");
    let each = (TOLD_MAX / judgement.rules.len().max(1)).max(1);
    let mut open = OPEN_MAX;
    for index in 0..judgement.rules.len() {
        rule(page, judgement, index);
        let of_rule = judgement.findings.iter().enumerate().filter(|(_, finding)| finding.rule == index);
        let mut listed = 0;
        for (place, finding) in of_rule.take(each) {
            one(page, judgement, drawn, place, finding, open > 0);
            open = open.saturating_sub(1);
            listed += 1;
        }
        let tallies = judgement.runs.iter().filter_map(|run| run.tallies.get(index));
        let all: u64 = tallies
            .flat_map(|tally| [tally.violated, tally.unknowable, tally.later_violated, tally.later_unknowable])
            .map(u64::from)
            .sum();
        if all == 0 {
            page.raw("<p class=faint>No findings.</p>\n");
        }
        more(page, all, listed);
    }
    page.raw("</section>\n");
}

fn one(page: &mut Page, judgement: &Judgement, drawn: &Drawn, place: usize, finding: &Finding, is_open: bool) {
    let (Some(rule), Some(run)) = (judgement.rules.get(finding.rule), judgement.runs.get(finding.run)) else { return };
    page.raw("<details class=found id=f").number(place as u64).raw(if is_open { " open>" } else { ">" });
    page.raw("\n<summary><strong class=").raw(if finding.is_violation() { "bad" } else { "warn" }).raw(">");
    page.raw(word(finding, rule.severity)).raw("</strong> <span class=id>").text(&run8(&run.stream)).raw("#");
    page.number(finding.sequence).raw("</span> ").raw(finding.kind).raw(" of <bdi>").text(&run.slug).raw("</bdi> ");
    page.raw(match finding.compared {
        Compared::New => "<span class=tag>new</span>",
        Compared::Same => "<span class=tag>as recorded</span>",
    });
    if finding.is_counterfactual {
        page.raw(" <span class=\"tag cf\">counterfactual</span>");
    }
    page.raw("</summary>\n<p>").text(&rule.message).raw("</p>\n<dl class=facts>\n<dt>Event</dt><dd>");
    event(page, judgement, drawn, finding.run, finding.sequence);
    page.raw(", ").text(&time(finding.at_ms)).raw("</dd>\n");
    match &finding.outcome {
        Outcome::True | Outcome::False => {}
        Outcome::Unknown(missing) => {
            page.raw("<dt>Missing</dt><dd>").text(missing).raw("</dd>\n");
        }
        Outcome::Error(why) => {
            page.raw("<dt>Cannot be computed</dt><dd>").text(why).raw("</dd>\n");
        }
    }
    if let Some(source) = judgement.sources.get(run.source) {
        page.raw("<dt>Source</dt><dd><code>").path(&source.path).raw("</code></dd>\n");
    }
    page.raw("</dl>\n");
    if !finding.read.is_empty() {
        page.raw("<table>\n<caption>What the rule read, as it was before the event</caption>\n<thead><tr><th scope=col>Fact or field</th><th scope=col>Value</th></tr></thead>\n<tbody>\n");
        for (name, value) in &finding.read {
            page.raw("<tr><th scope=row><code>").text(name).raw("</code></th><td><code>").value(value);
            page.raw("</code></td></tr>\n");
        }
        page.raw("</tbody>\n</table>\n");
    }
    if !finding.chain.is_empty() {
        page.raw("<p>How it came to that, from the event back:</p>\n<ol>\n");
        for step in &finding.chain {
            page.raw("<li>").raw(step.what).raw(if step.what.is_empty() { "" } else { " " });
            event(page, judgement, drawn, finding.run, step.sequence);
            page.raw(" ").raw(step.kind);
            if let Some(person) = &step.person {
                page.raw(" by <bdi>").text(person).raw("</bdi>");
            }
            page.raw("</li>\n");
        }
        page.raw("</ol>\n");
    }
    page.raw("</details>\n");
}
