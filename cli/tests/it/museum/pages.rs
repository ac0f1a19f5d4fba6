//! The incidents' pages: every event that a page names is there.

use super::exhibit::{Exhibit, exhibits};
use loom_core::event::View;

/// Most lines of a page.
const LINES_MAX: usize = 60;
/// What every page has.
const HEADINGS: &[&str] =
    &["## What happened", "## What it cost", "## In the log", "## The rule", "## What it does not catch"];

/// Returns the event at which an incident's rule fires, by the page: its sequence and kind.
pub(super) fn fires_at(exhibit: &Exhibit) -> (u64, String) {
    let page = exhibit.text("incident.md");
    let line = page.lines().find_map(|line| line.strip_prefix("Fires at ")).unwrap_or_default();
    named(line).into_iter().next().unwrap_or_else(|| panic!("{}: the page has no line `Fires at`", exhibit.name))
}

/// Returns the rules of the bundle `code` that refuse the run as well, by the page.
pub(super) fn rules_of_code(exhibit: &Exhibit) -> Vec<String> {
    let page = exhibit.text("incident.md");
    let (_, rest) = page.split_once("Rules of `code` that refuse this run: ").expect("the page says so");
    let line = rest.split_once('.').map_or(rest, |(line, _)| line);
    let names: Vec<String> = line.split('`').skip(1).step_by(2).map(String::from).collect();
    assert_eq!(names.is_empty(), line == "none", "{}: {line}", exhibit.name);
    names
}

/// Returns the events that a text names as `#SEQUENCE KIND`.
fn named(text: &str) -> Vec<(u64, String)> {
    let pieces = text.split('`').skip(1).step_by(2).filter_map(|piece| piece.strip_prefix('#')?.split_once(' '));
    pieces.map(|(sequence, kind)| (sequence.parse().unwrap(), kind.to_string())).collect()
}

#[test]
fn every_page_says_what_happened_and_names_events_that_are_there() {
    for exhibit in exhibits("incidents") {
        let page = exhibit.text("incident.md");
        assert!(page.starts_with("# ") && page.lines().count() <= LINES_MAX, "{}", exhibit.name);
        let headings: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, HEADINGS, "{}", exhibit.name);
        let trace = exhibit.trace();
        let named = named(&page);
        assert!(named.len() >= 3, "{} names {} events", exhibit.name, named.len());
        for (sequence, kind) in named {
            let event = trace.events.get(usize::try_from(sequence).unwrap());
            let found = event.map_or("nothing", |event| View::read(&event.bytes).unwrap().schema.name);
            assert_eq!(found, kind, "{}: #{sequence}", exhibit.name);
        }
    }
}

#[test]
fn events_are_found_where_a_page_names_them() {
    let text = "Fires at `#12 merge.intended`, not #13 or `#`; see `x` and `#1 run.opened`.";
    assert_eq!(named(text), [(12, "merge.intended".to_string()), (1, "run.opened".to_string())]);
}
