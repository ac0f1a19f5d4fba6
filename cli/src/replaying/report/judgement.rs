//! What rules came to over a corpus.

use super::finding;
use super::page::Page;
use super::timeline::{self, Drawn, Mark, Wanted};
use crate::replaying::judging::{NEVER_JUDGED, why};
use crate::text::{run8, time};
use loom_core::rules::Severity;
use loom_replay::judge::{FINDINGS_MAX, Judgement, RuleTotals, Totals, Verdict, Way};
use std::collections::BTreeMap;

/// Runs that are listed one by one.
const RUNS_MAX: usize = 500;
/// No longer violated, left out: as many of each are listed.
pub(super) const LISTED_MAX: usize = 500;

/// Returns a judgement as a page. Its timelines are read from the sources, again.
pub(in crate::replaying) fn of_judgement(judgement: &Judgement) -> String {
    let totals = judgement.totals();
    let wanted = wanted(judgement);
    let drawn = timeline::pick(&wanted);
    let mut page = Page::new("judge", &title(judgement, &totals));
    parts(&mut page, judgement);
    page.raw("<main id=main>\n");
    summary(&mut page, judgement, &totals);
    rules(&mut page, judgement);
    finding::all(&mut page, judgement, &drawn);
    cleared(&mut page, judgement, &drawn);
    runs(&mut page, judgement, &drawn);
    left_out(&mut page, judgement);
    timeline::all(&mut page, &wanted, &drawn);
    page.end()
}

fn title(judgement: &Judgement, totals: &Totals) -> String {
    let Totals { runs, violating, unknowable, .. } = *totals;
    match (violating, unknowable) {
        _ if judgement.is_empty() => "Nothing was judged, so nothing holds".to_string(),
        (0, 0) => format!("No rule is violated in {runs} judged runs"),
        (0, _) => format!("No rule is violated; in {unknowable} of {runs} judged runs it cannot be known"),
        (_, _) => format!("{violating} of {runs} judged runs violate a rule"),
    }
}

fn parts(page: &mut Page, judgement: &Judgement) {
    page.raw("<nav aria-label=\"Parts of this report\">\n<ul>\n<li><a href=\"#summary\">Out of what</a></li>\n");
    page.raw("<li><a href=\"#rules\">Rules</a></li>\n<li><a href=\"#findings\">Findings</a></li>\n");
    if !judgement.cleared.is_empty() {
        page.raw("<li><a href=\"#cleared\">No longer violated</a></li>\n");
    }
    page.raw("<li><a href=\"#runs\">Runs</a></li>\n");
    if !judgement.left_out.is_empty() {
        page.raw("<li><a href=\"#left-out\">Left out</a></li>\n");
    }
    page.raw("<li><a href=\"#timelines\">Timelines</a></li>\n</ul>\n</nav>\n");
}

fn summary(page: &mut Page, judgement: &Judgement, totals: &Totals) {
    page.raw("<section aria-labelledby=summary>\n<h2 id=summary>Out of what</h2>\n<dl class=figures>\n");
    page.figure(totals.sources, "sources").figure(totals.runs, "runs judged").figure(totals.events, "events of those");
    page.figure(totals.decisions, "decisions asked about");
    page.figure(totals.observations, "observations asked about");
    page.figure(totals.proposals, "dropped decisions asked about").raw("</dl>\n<dl class=figures>\n");
    page.figure(totals.violating, "runs violate a rule").figure(totals.newly_violating, "of them newly");
    page.figure(totals.unknowable, "runs are unknowable").figure(totals.cleared, "no longer violated");
    page.figure(totals.turned, "runs would have gone another way");
    page.figure(totals.counterfactual, "questions after that").raw("</dl>\n");
    page.raw("<p>Newly: where no recorded rule refused or reported the event. After a run would have gone another way nobody knows what would have come: what was asked there is counterfactual, counted apart, and no part of what a rule came to.</p>\n");
    let unwanted: u64 = judgement.sources.iter().map(|source| source.unwanted).sum();
    if unwanted > 0 {
        page.raw("<p>").count(unwanted, "run").raw(" of the sources were not asked for.</p>\n");
    }
    page.raw(match judgement.is_verified {
        true => "<p>Every event was hashed and each run’s chain checked while it was judged; of stores all of whose runs were judged also commits, ledger, tree and keys. Blobs were not looked at.</p>\n",
        false => "<p><strong class=warn>Stores were judged without being verified: what is damaged may have been judged.</strong></p>\n",
    });
    if !judgement.left_out.is_empty() {
        page.raw("<p><strong class=bad>").count(judgement.left_out.len() as u64, "source or run");
        page.raw(" could not be judged</strong> and are <a href=\"#left-out\">listed below</a>.</p>\n");
    }
    page.raw("</section>\n");
}

fn rules(page: &mut Page, judgement: &Judgement) {
    page.raw("<section aria-labelledby=rules>\n<h2 id=rules>Rules</h2>\n<div class=wide role=region tabindex=0 aria-label=\"What each rule came to\">\n<table>\n");
    page.raw("<caption>What each rule came to, in runs; the last column counts events.</caption>\n<thead><tr><th scope=col>Rule</th><th scope=col class=n>Violated</th><th scope=col class=n>Of them newly</th><th scope=col class=n>Unknowable</th><th scope=col class=n>Holds</th><th scope=col class=n>Not reached</th><th scope=col class=n>No longer violated</th><th scope=col class=n>Events asked about</th></tr></thead>\n<tbody>\n");
    for (index, rule) in judgement.rules.iter().enumerate() {
        let totals = judgement.rule_totals(index);
        let RuleTotals { holds, not_reached, violated, newly_violated, unknowable, cleared, judged, .. } = totals;
        page.raw("<tr><th scope=row><a href=\"#rule").number(index as u64).raw("\"><bdi>").text(&rule.name);
        page.raw("</bdi></a></th>");
        for number in [violated, newly_violated, unknowable, holds, not_reached, cleared, judged] {
            page.raw("<td class=n>").number(number).raw("</td>");
        }
        page.raw("</tr>\n");
    }
    page.raw("</tbody>\n</table>\n</div>\n</section>\n");
}

/// Writes what a rule says of itself.
pub(super) fn rule(page: &mut Page, judgement: &Judgement, index: usize) {
    let Some(rule) = judgement.rules.get(index) else { return };
    let totals = judgement.rule_totals(index);
    page.raw("<h3 id=rule").number(index as u64).raw("><bdi>").text(&rule.name).raw("</bdi></h3>\n<p>");
    page.text(&rule.message).raw("</p>\n<dl class=facts>\n<dt>Judges</dt><dd>");
    for (place, kind) in rule.kinds.iter().enumerate() {
        page.raw(if place == 0 { "<code>" } else { ", <code>" }).raw(kind).raw("</code>");
    }
    page.raw("</dd>\n<dt>Requires</dt><dd><code>").text(&rule.expression).raw("</code> (line ").number(rule.line);
    page.raw(" of its file)</dd>\n<dt>Where it does not hold</dt><dd>").raw(match rule.severity {
        Severity::Error => "a decision is refused; anything else is reported",
        Severity::Warn => "it is reported",
    });
    page.raw("</dd>\n");
    if let Some(origin) = &rule.origin {
        page.raw("<dt>Comes from</dt><dd>").text(origin).raw("</dd>\n");
    }
    page.raw("<dt>Asked</dt><dd>").count(totals.judged, "time").raw("; ").number(totals.later_judged);
    page.raw(" more counterfactual, ").number(totals.later_violated).raw(" of them violated");
    if totals.never_judged > 0 {
        page.raw("; in ").count(totals.never_judged, "run").raw(" what there is of its kinds is ").raw(NEVER_JUDGED);
    }
    page.raw("</dd>\n</dl>\n");
}

fn cleared(page: &mut Page, judgement: &Judgement, drawn: &Drawn) {
    if judgement.cleared.is_empty() {
        return;
    }
    page.raw("<section aria-labelledby=cleared>\n<h2 id=cleared>No longer violated</h2>\n<table>\n<caption>Refusals and violations on record that these rules would not give.</caption>\n<thead><tr><th scope=col>Recorded rule</th><th scope=col>Event</th><th scope=col>Stands</th></tr></thead>\n<tbody>\n");
    for cleared in judgement.cleared.iter().take(LISTED_MAX) {
        page.raw("<tr><th scope=row><bdi>").text(&cleared.rule).raw("</bdi></th><td>");
        event(page, judgement, drawn, cleared.run, cleared.sequence);
        page.raw("</td><td>").raw(match cleared.is_counterfactual {
            true => "counterfactual",
            false => "as recorded",
        });
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
    more(page, judgement.totals().cleared, judgement.cleared.len().min(LISTED_MAX));
    page.raw("</section>\n");
}

/// Says how many are not listed.
pub(super) fn more(page: &mut Page, all: u64, listed: usize) {
    let untold = all.saturating_sub(listed as u64);
    if untold > 0 {
        page.raw("<p>").number(untold).raw(" more are not listed here; <code>--json</code> lists the first ");
        page.number(FINDINGS_MAX as u64).raw(".</p>\n");
    }
}

/// Says how many rows of a list come after the last one that is told; a document has all of them (REPORT-4).
pub(super) fn rest(page: &mut Page, all: usize) {
    let untold = all.saturating_sub(LISTED_MAX) as u64;
    if untold > 0 {
        page.raw("<p>").number(untold).raw(" more are not listed here; <code>--json</code> lists all.</p>\n");
    }
}

/// Writes how an event is named, with a way to it where a timeline has it.
pub(super) fn event(page: &mut Page, judgement: &Judgement, drawn: &Drawn, run: usize, sequence: u64) {
    let Some(judged) = judgement.runs.get(run) else { return };
    let is_drawn = drawn.has(run);
    if is_drawn {
        page.raw("<a href=\"#r").number(run as u64).raw("e").number(sequence).raw("\">");
    }
    page.raw("<span class=id>").text(&run8(&judged.stream)).raw("#").number(sequence).raw("</span>");
    page.raw(if is_drawn { "</a>" } else { "" });
}

fn runs(page: &mut Page, judgement: &Judgement, drawn: &Drawn) {
    page.raw("<section aria-labelledby=runs>\n<h2 id=runs>Runs</h2>\n");
    for (index, source) in judgement.sources.iter().enumerate().take(LISTED_MAX) {
        page.raw("<p>Source ").number(index as u64 + 1).raw(": ").raw(source.kind.word()).raw(" <code>");
        page.path(&source.path).raw("</code>, ").count(source.runs, "run").raw(" judged</p>\n");
    }
    rest(page, judgement.sources.len());
    page.raw("<div class=wide role=region tabindex=0 aria-label=\"What each run came to\">\n<table>\n<caption>What the rules came to in each run; those first in which one does not hold.</caption>\n<thead><tr><th scope=col>Run</th><th scope=col>Called</th><th scope=col class=n>Source</th><th scope=col>Opened</th><th scope=col class=n>Events</th><th scope=col class=n>Violated</th><th scope=col class=n>Unknowable</th><th scope=col class=n>Hold</th><th scope=col class=n>Not reached</th><th scope=col>Would have gone another way</th></tr></thead>\n<tbody>\n");
    let order = order(judgement);
    for &index in order.iter().take(RUNS_MAX) {
        let Some(run) = judgement.runs.get(index) else { continue };
        let count = |verdict| run.tallies.iter().filter(|tally| tally.verdict() == verdict).count() as u64;
        page.raw("<tr><th scope=row>");
        if drawn.has(index) {
            page.raw("<a href=\"#run").number(index as u64).raw("\">");
        }
        page.raw("<span class=id>").text(&run8(&run.stream)).raw("</span>");
        page.raw(if drawn.has(index) { "</a>" } else { "" }).raw("</th><td><bdi>").text(&run.slug);
        page.raw("</bdi></td><td class=n>").number(run.source as u64 + 1).raw("</td><td>");
        page.text(&time(run.opened_ms)).raw("</td><td class=n>").number(run.events).raw("</td>");
        for verdict in [Verdict::Violated, Verdict::Unknowable, Verdict::Holds, Verdict::NotReached] {
            page.raw("<td class=n>").number(count(verdict)).raw("</td>");
        }
        page.raw("<td>");
        match run.turn {
            None => page.raw("no"),
            Some(turn) => {
                event(page, judgement, drawn, index, turn.sequence);
                page.raw(way(turn.how))
            }
        };
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n</div>\n");
    let untold = judgement.runs.len().saturating_sub(RUNS_MAX) as u64;
    if untold > 0 {
        page.raw("<p>").count(untold, "more run").raw(" not listed here; <code>--json</code> lists all.</p>\n");
    }
    page.raw("</section>\n");
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Refused => ": a decision that stood would have been refused",
        Way::LetPass => ": what was refused would have stood",
    }
}

fn left_out(page: &mut Page, judgement: &Judgement) {
    if judgement.left_out.is_empty() {
        return;
    }
    page.raw("<section aria-labelledby=left-out>\n<h2 id=left-out>Left out</h2>\n<table>\n<caption>What could not be judged.</caption>\n<thead><tr><th scope=col>Source</th><th scope=col>Run</th><th scope=col>Is</th><th scope=col>Why</th></tr></thead>\n<tbody>\n");
    for left in judgement.left_out.iter().take(LISTED_MAX) {
        let (word, what) = why(&left.why);
        page.raw("<tr><th scope=row><code>").path(&left.path).raw("</code></th><td>");
        match &left.stream {
            Some(stream) => page.raw("<span class=id>").text(&run8(stream)).raw("</span>"),
            None => page.raw("all of it"),
        };
        page.raw("</td><td>").raw(word).raw("</td><td>").text(&what).raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
    rest(page, judgement.left_out.len());
    page.raw("</section>\n");
}

/// Returns the runs, those first in which a rule does not hold or cannot be known, or that would have gone another way.
fn order(judgement: &Judgement) -> Vec<usize> {
    let is_plain = |index: &usize| {
        judgement.runs.get(*index).is_some_and(|run| {
            let told = |tally: &loom_replay::judge::Tally| tally.first.is_some() || tally.cleared > 0;
            run.turn.is_none() && run.cleared == 0 && !run.tallies.iter().any(told)
        })
    };
    let mut order: Vec<usize> = (0..judgement.runs.len()).collect();
    order.sort_by_key(is_plain);
    order
}

/// Returns what there is to draw, in the order of how much it is asked for.
fn wanted(judgement: &Judgement) -> Vec<Wanted<'_>> {
    let mut marks: BTreeMap<usize, Vec<Mark>> = BTreeMap::new();
    for (index, finding) in judgement.findings.iter().enumerate() {
        let mark = Mark { sequence: finding.sequence, finding: index, is_violation: finding.is_violation() };
        marks.entry(finding.run).or_default().push(mark);
    }
    let of = |index: usize| {
        let run = judgement.runs.get(index)?;
        let source = judgement.sources.get(run.source)?;
        Some(Wanted {
            index,
            path: &source.path,
            kind: source.kind,
            stream: run.stream,
            events: run.events,
            marks: marks.remove(&index).unwrap_or_default(),
            turn: run.turn.map(|turn| (turn.sequence, way(turn.how))),
        })
    };
    order(judgement).into_iter().filter_map(of).collect()
}
