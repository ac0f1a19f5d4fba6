//! What verifying found, source by source.

use super::judgement::{LISTED_MAX, rest};
use super::page::Page;
use crate::replaying::verifying::{PART, depends, what};
use crate::text::bytes;
use loom_core::id::hex;
use loom_replay::evidence::Level;
use loom_replay::{Inspected, Standing};

/// Returns what verifying found as a page. `blobs` is whether those of stores were read, `held` whether stores were held
/// against checkpoints that lie elsewhere.
pub(in crate::replaying) fn of_inspection(inspected: &[Inspected], blobs: bool, held: bool) -> String {
    let whole = inspected.iter().filter(|source| source.standing == Standing::Whole).count();
    let title = match inspected.len() {
        0 => "Nothing was verified, so nothing is whole".to_string(),
        all => format!("{whole} of {all} sources are whole"),
    };
    let mut page = Page::new("verify", &title);
    page.raw("<nav aria-label=\"Parts of this report\">\n<ul>\n<li><a href=\"#summary\">Out of what</a></li>\n<li><a href=\"#sources\">Sources</a></li>\n<li><a href=\"#checked\">What was checked</a></li>\n</ul>\n</nav>\n<main id=main>\n");
    summary(&mut page, inspected);
    page.raw("<section aria-labelledby=sources>\n<h2 id=sources>Sources</h2>\n");
    let is_whole = |source: &&Inspected| source.standing == Standing::Whole;
    let others: Vec<&Inspected> = inspected.iter().filter(|source| !is_whole(source)).collect();
    for (index, source) in others.iter().take(LISTED_MAX).enumerate() {
        not_whole(&mut page, index, source);
    }
    rest(&mut page, others.len());
    let whole: Vec<&Inspected> = inspected.iter().filter(is_whole).collect();
    if !whole.is_empty() {
        table(&mut page, &whole);
    }
    page.raw("</section>\n");
    checked(&mut page, blobs, held);
    page.end()
}

fn summary(page: &mut Page, inspected: &[Inspected]) {
    let count = |word: &str| inspected.iter().filter(|source| source.standing.word() == word).count() as u64;
    let sum = |of: fn(&Inspected) -> u64| inspected.iter().map(of).sum::<u64>();
    page.raw("<section aria-labelledby=summary>\n<h2 id=summary>Out of what</h2>\n<dl class=figures>\n");
    page.figure(inspected.len() as u64, "sources").figure(count("whole"), "whole");
    page.figure(count("truncated"), "truncated").figure(count("altered"), "altered").figure(count("forked"), "forked");
    page.figure(count("newer"), "of a newer Loom")
        .figure(count("unread"), "not read")
        .raw("</dl>\n<dl class=figures>\n");
    page.figure(sum(|source| source.report.events), "events found whole");
    page.figure(sum(|source| source.report.commits), "commits").figure(sum(|source| source.report.streams), "streams");
    page.figure(sum(|source| source.report.blobs), "blobs").raw("</dl>\n");
    if inspected.iter().any(|source| source.report.unwanted.is_some()) {
        page.raw("<p>Of each store only the runs that were asked for were verified; ").raw(PART).raw(".</p>\n");
    }
    page.raw("</section>\n");
}

fn not_whole(page: &mut Page, index: usize, source: &Inspected) {
    page.raw("<h3 id=source").number(index as u64).raw("><strong class=bad>").raw(source.standing.word());
    page.raw("</strong> ")
        .raw(source.kind.word())
        .raw(" <code>")
        .path(&source.path)
        .raw("</code></h3>\n<dl class=facts>\n");
    let report = &source.report;
    if let Some(what) = what(&source.standing) {
        page.raw("<dt>").raw(if source.standing.bad().is_some() { "First bad record" } else { "Why" });
        page.raw("</dt><dd>").text(&what).raw("</dd>\n");
    }
    // Of a trace that is not whole nothing was counted.
    if report.events > 0 {
        page.raw("<dt>Whole before that</dt><dd>").count(report.events, "event").raw(" in ");
        page.count(report.commits, "commit").raw(" of ").count(report.streams, "stream").raw(", ");
        page.text(&bytes(report.bytes)).raw("</dd>\n");
    }
    if let Some(depends) = depends(source) {
        page.raw("<dt>Depends on it</dt><dd>").text(&depends).raw("</dd>\n<dt>Level</dt><dd>");
        level(page, &source.level());
        page.raw("</dd>\n");
    }
    page.raw("</dl>\n");
}

fn table(page: &mut Page, whole: &[&Inspected]) {
    page.raw("<h3 id=whole>Whole</h3>\n");
    let levels: Vec<Level> = whole.iter().map(|source| source.level()).collect();
    let common = levels.first().filter(|first| levels.iter().all(|level| level == *first));
    if let Some(common) = common {
        page.raw("<p>Level of each: ");
        level(page, common);
        page.raw(".</p>\n");
    }
    page.raw("<div class=wide role=region tabindex=0 aria-label=\"Sources that are whole\">\n<table>\n<caption>Sources in which everything that was checked is what was written.</caption>\n<thead><tr><th scope=col>Source</th><th scope=col>Is a</th><th scope=col class=n>Events</th><th scope=col class=n>Commits</th><th scope=col class=n>Streams</th><th scope=col class=n>Size</th><th scope=col class=n>Blobs read</th><th scope=col class=n>Blobs absent</th></tr></thead>\n<tbody>\n");
    for (source, own) in whole.iter().zip(&levels).take(LISTED_MAX) {
        let report = &source.report;
        page.raw("<tr><th scope=row><code>").path(&source.path).raw("</code>");
        if let Some(root) = report.root {
            page.raw("<br><span class=faint>tree ").number(report.events).raw(" <code>").text(&hex(&root));
            page.raw("</code></span>");
        }
        if let Some(count) = source.held_against {
            page.raw("<br><span class=faint>checkpoints elsewhere that it is consistent with: ").number(count as u64);
            page.raw("</span>");
        }
        if common.is_none() {
            page.raw("<br><span class=faint>level ");
            level(page, own);
            page.raw("</span>");
        }
        page.raw("</th><td>").raw(source.kind.word()).raw("</td>");
        for number in [report.events, report.commits, report.streams] {
            page.raw("<td class=n>").number(number).raw("</td>");
        }
        page.raw("<td class=n>").text(&bytes(report.bytes)).raw("</td><td class=n>").number(report.blobs);
        page.raw("</td><td class=n>");
        match source.absent_blobs {
            Some(absent) => page.number(absent),
            None if report.redacted > 0 => page.number(report.redacted).raw(" redacted"),
            None => page.raw("not told"),
        };
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n</div>\n<p>Absent: named in a trace and not in it, erased or left out. Redacted: erased at a person's request that is on record.</p>\n");
    rest(page, whole.len());
}

fn level(page: &mut Page, level: &Level) {
    page.number(level.number).raw(" of 5, ").raw(level.name());
    if let Some(missing) = &level.missing {
        page.raw("; for the next: ").text(missing);
    }
}

fn checked(page: &mut Page, blobs: bool, held: bool) {
    page.raw("<section aria-labelledby=checked>\n<h2 id=checked>What was checked</h2>\n<ul>\n");
    page.raw("<li>each event: canonical bytes, fields within their bounds, the id from the bytes;</li>\n<li>each commit: its input first and its count, records before decisions, one stamp, who may cause which kind;</li>\n<li>each stream: sequence, the id of the event before, growing stamps, request ids used once, the signatures of answers;</li>\n<li>of a store: its keys and their hand-overs, the Merkle tree and the heads in the index, against what the log gives;</li>\n<li>of a trace: every byte, by the digest at its end, and each blob;</li>\n<li>blobs of stores: ");
    page.raw(match blobs {
        true => "each one that an event or a bundle names.",
        false => "<strong>not read</strong>; <code>--blobs</code> reads them.",
    });
    if held {
        page.raw("</li>\n<li>of a store: it against its checkpoints that lie elsewhere.");
    }
    page.raw("</li>\n</ul>\n<p>");
    page.raw(match held {
        true => "Traces were held against nothing that is kept elsewhere.",
        false => "Nothing kept elsewhere was looked at: whether a store is forked, or cut off where nothing shows, only a checkpoint can tell (<code>--checkpoint</code>).",
    });
    page.raw(" Levels are computed from what was checked: 0 asserted, 1 recorded, 2 chained and whole, 3 checkpointed and witnessed, 4 effects witnessed by the host, 5 approvals signed.</p>\n</section>\n");
}
