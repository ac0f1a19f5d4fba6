//! What verifying found, source by source.

use super::page::Page;
use crate::replaying::{sources, verifying::what};
use crate::text::{bytes, run8};
use loom_core::id::hex;
use loom_replay::corpus::Kind;
use loom_replay::evidence::of_store;
use loom_replay::{Bad, Dependents, Inspected, Standing, dependents};

/// Dependents that are named one by one.
const NAMED_MAX: usize = 100;

/// Returns what verifying found as a page. `blobs` is whether those of stores were read.
pub(in crate::replaying) fn of_inspection(inspected: &[Inspected], blobs: bool) -> String {
    let whole = inspected.iter().filter(|source| source.standing == Standing::Whole).count();
    let title = match inspected.len() {
        0 => "Nothing was verified, so nothing is whole".to_string(),
        all => format!("{whole} of {all} sources are whole"),
    };
    let mut page = Page::new("verify", &title);
    page.raw("<nav aria-label=\"Parts of this report\">\n<ul>\n<li><a href=\"#summary\">Out of what</a></li>\n<li><a href=\"#sources\">Sources</a></li>\n<li><a href=\"#checked\">What was checked</a></li>\n</ul>\n</nav>\n<main id=main>\n");
    summary(&mut page, inspected);
    page.raw("<section aria-labelledby=sources>\n<h2 id=sources>Sources</h2>\n");
    for (index, source) in inspected.iter().enumerate() {
        one(&mut page, index, source);
    }
    page.raw("</section>\n");
    checked(&mut page, blobs);
    page.end()
}

fn summary(page: &mut Page, inspected: &[Inspected]) {
    let count = |word: &str| inspected.iter().filter(|source| source.standing.word() == word).count() as u64;
    let sum = |of: fn(&Inspected) -> u64| inspected.iter().map(of).sum::<u64>();
    page.raw("<section aria-labelledby=summary>\n<h2 id=summary>Out of what</h2>\n<dl class=figures>\n");
    page.figure(inspected.len() as u64, "sources").figure(count("whole"), "whole");
    page.figure(count("truncated"), "truncated").figure(count("altered"), "altered");
    page.figure(count("newer"), "of a newer Loom")
        .figure(count("unread"), "not read")
        .raw("</dl>\n<dl class=figures>\n");
    page.figure(sum(|source| source.report.events), "events found whole");
    page.figure(sum(|source| source.report.commits), "commits").figure(sum(|source| source.report.streams), "streams");
    page.figure(sum(|source| source.report.blobs), "blobs").raw("</dl>\n</section>\n");
}

fn one(page: &mut Page, index: usize, source: &Inspected) {
    let style = if source.standing == Standing::Whole { "good" } else { "bad" };
    page.raw("<h3 id=source").number(index as u64).raw("><strong class=").raw(style).raw(">");
    page.raw(source.standing.word()).raw("</strong> ").raw(source.kind.word()).raw(" <code>").path(&source.path);
    page.raw("</code></h3>\n<dl class=facts>\n");
    let report = &source.report;
    if let Some(what) = what(&source.standing) {
        page.raw("<dt>").raw(if source.standing.bad().is_some() { "First bad record" } else { "Why" });
        page.raw("</dt><dd>").text(&what).raw("</dd>\n");
    }
    page.raw("<dt>Found whole</dt><dd>").count(report.events, "event").raw(" in ").count(report.commits, "commit");
    page.raw(" of ").count(report.streams, "stream").raw(", ").text(&bytes(report.bytes));
    page.raw(if source.standing.bad().is_some() { ", before that" } else { "" }).raw("</dd>\n<dt>Blobs read</dt><dd>");
    page.number(report.blobs);
    if let Some(absent) = source.absent_blobs.filter(|absent| *absent > 0) {
        page.raw("; ").number(absent).raw(" are named and not in the file: erased, or left out");
    }
    page.raw("</dd>\n");
    if let Some(root) = report.root {
        page.raw("<dt>Tree</dt><dd><code>").number(report.events).raw(" ").text(&hex(&root)).raw("</code></dd>\n");
    }
    if let Some(bad) = source.standing.bad() {
        page.raw("<dt>Depends on it</dt><dd>");
        rests(page, source, bad);
        page.raw("</dd>\n");
    }
    if !matches!(source.standing, Standing::Newer(_) | Standing::Unread(_)) {
        let level = of_store(source.standing == Standing::Whole, false);
        page.raw("<dt>Level</dt><dd>").number(level.number).raw(" of 5, ").raw(level.name());
        if let Some(missing) = &level.missing {
            page.raw("; for the next: ").text(missing);
        }
        page.raw("</dd>\n");
    }
    page.raw("</dl>\n");
}

/// Writes what depends on the first bad record.
fn rests(page: &mut Page, source: &Inspected, bad: &Bad) {
    if source.kind == Kind::Trace {
        page.raw("everything after it in the file, which was not looked at");
        return;
    }
    let opened = sources::open(&source.path).map_err(|error| error.to_string());
    let found = opened.and_then(|opened| dependents(opened.store.as_ref(), bad).map_err(|error| error.to_string()));
    match found {
        Ok(Some(found)) => told(page, bad, &found),
        Ok(None) => drop(page.raw("everything: where it lies in the log is not known")),
        Err(why) => drop(page.raw("cannot be read: ").text(&why)),
    }
}

fn told(page: &mut Page, bad: &Bad, found: &Dependents) {
    page.raw("the tree over ").count(found.later, "later event");
    if let Some(stream) = &bad.stream {
        page.raw("; the chain of ").count(found.chained, "later event").raw(" of <span class=id>").text(&run8(stream));
        page.raw("</span>; what ").count(found.resting.len() as u64, "of them say").raw(", by their causes");
        for (place, sequence) in found.resting.iter().take(NAMED_MAX).enumerate() {
            page.raw(if place == 0 { ": <span class=id>#" } else { " <span class=id>#" })
                .number(*sequence)
                .raw("</span>");
        }
        if found.resting.len() > NAMED_MAX {
            page.raw(" and more");
        }
    }
    if !found.is_complete {
        page.raw(". What comes after it is not readable to its end, so this is the least");
    }
}

fn checked(page: &mut Page, blobs: bool) {
    page.raw("<section aria-labelledby=checked>\n<h2 id=checked>What was checked</h2>\n<ul>\n");
    page.raw("<li>each event: canonical bytes, fields within their bounds, the id from the bytes;</li>\n<li>each commit: its input first and its count, records before decisions, one stamp, who may cause which kind;</li>\n<li>each stream: sequence, the id of the event before, growing stamps, request ids used once;</li>\n<li>of a store: the Merkle tree and the heads in the index, against what the log gives;</li>\n<li>of a trace: every byte, by the digest at its end, and each blob;</li>\n<li>blobs of stores: ");
    page.raw(match blobs {
        true => "each one that an event or a bundle names.",
        false => "<strong>not read</strong>; <code>--blobs</code> reads them.",
    });
    page.raw("</li>\n</ul>\n<p>Signatures were not looked at, nor was anything kept elsewhere: whether a source is forked, or cut off where nothing shows, only a checkpoint can tell (<code>loom verify --checkpoint</code>). Levels are computed from what was checked: 0 asserted, 1 recorded, 2 chained and whole, 3 checkpointed and witnessed, 4 effects witnessed by the host, 5 approvals signed.</p>\n</section>\n");
}
