//! Two runs side by side, aligned by where their events stand in the process and not by their sequences.
//!
//! ```text
//! recorded        changed
//! spawn.requested spawn.requested      alike: the same spot, nothing that counts differs
//! verdict.given   verdict.given        differs: names each field
//!                 refused              on one side only
//! ```
//!
//! What cannot but differ between two runs does not count: sequences, ids, times, salted content (DIFF-2).

use crate::field;
use crate::spot::Spot;
use crate::whole::Whole;
use loom_core::event::View;
use loom_core::schema::{Field, Scalar, Type};
use std::collections::BTreeMap;

/// Fields that name earlier events by their sequences, or say when something was; and those whose values hold such.
const PASSED_OVER: &[&str] = &[
    "spawn",
    "spawns",
    "gate",
    "finding",
    "subject",
    "effect",
    "merge",
    "decision",
    "source",
    "event",
    "blockers",
    "request",
    "duration_ms",
    "deadline_ms",
    "due_ms",
    "wake_ms",
    "time_ms",
    "session",
    "signature",
    "branch",
    "facts",
    "proposal",
    "tokens_in",
    "tokens_out",
    "requests",
    "commit",
];
/// Digests of content that is not salted: equal for equal content.
const PLAIN: &[&str] = &["bundle", "rules", "checks", "delta"];

/// Fields that hold digests which follow from a run's terms, or name the terms themselves.
const OF_TERMS: &[&str] = &["bundle_name", "facts", "proposal"];

/// What a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// What reviewers said, and how the run ended.
    Verdicts,
    /// What was found, resolved, waived.
    Findings,
    /// What was asked of people and policies.
    Gates,
    /// What was changed.
    Trees,
    /// What was used.
    Budgets,
    /// What rules refused or reported.
    Refusals,
    /// Everything else.
    Course,
}

impl Topic {
    /// Every topic, in the order in which they are told.
    pub const ALL: [Topic; 7] =
        [Topic::Verdicts, Topic::Findings, Topic::Gates, Topic::Trees, Topic::Budgets, Topic::Refusals, Topic::Course];

    /// Returns the word that documents use.
    pub fn word(self) -> &'static str {
        match self {
            Topic::Verdicts => "verdicts",
            Topic::Findings => "findings",
            Topic::Gates => "gates",
            Topic::Trees => "trees",
            Topic::Budgets => "budgets",
            Topic::Refusals => "refusals",
            Topic::Course => "course",
        }
    }

    fn of(kind: &str) -> Topic {
        match kind.split('.').next().unwrap_or_default() {
            "verdict" => Topic::Verdicts,
            "run" if kind == "run.closed" => Topic::Verdicts,
            "finding" => Topic::Findings,
            "gate" => Topic::Gates,
            "paths" | "merge" => Topic::Trees,
            "budget" => Topic::Budgets,
            "refused" | "violation" => Topic::Refusals,
            _ => Topic::Course,
        }
    }
}

/// A field that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name; `actor` is who caused the event.
    pub field: &'static str,
    /// Its value on the left, if it is there.
    pub left: Option<String>,
    /// Its value on the right, if it is there.
    pub right: Option<String>,
}

/// A spot in the process that one or both runs passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Sequence of the left run's event there.
    pub left: Option<u64>,
    /// Sequence of the right run's event there.
    pub right: Option<u64>,
    /// The spot.
    pub spot: Spot,
    /// What it is about.
    pub topic: Topic,
    /// Where both are there: what is not the same.
    pub differences: Vec<Difference>,
}

impl Row {
    /// Whether both runs have the event, and nothing that counts differs.
    pub fn is_alike(&self) -> bool {
        self.left.is_some() && self.right.is_some() && self.differences.is_empty()
    }
}

/// Aligns two runs. Rows stand in the left run's order; what the right one alone has follows what it followed there.
pub fn diff(left: &Whole, right: &Whole) -> Vec<Row> {
    let there: BTreeMap<&Spot, usize> = right.spots().iter().zip(0..).collect();
    let mut taken = vec![false; right.spots().len()];
    let mut pairs: Vec<(Option<usize>, Option<usize>)> = Vec::new();
    for (index, spot) in left.spots().iter().enumerate() {
        let found = there.get(spot).copied();
        if let Some(found) = found {
            taken[found] = true;
        }
        pairs.push((Some(index), found));
    }
    // By the right event that it follows: what stands on the right alone.
    let mut after: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    let mut before = None;
    for (index, taken) in taken.iter().enumerate() {
        match taken {
            true => before = Some(index),
            false => after.entry(before).or_default().push(index),
        }
    }
    let alone = |at: Option<usize>| after.get(&at).into_iter().flatten().map(|index| (None, Some(*index)));
    let mut ordered: Vec<(Option<usize>, Option<usize>)> = alone(None).collect();
    for pair in pairs {
        ordered.push(pair);
        if pair.1.is_some() {
            ordered.extend(alone(pair.1));
        }
    }
    ordered.into_iter().filter_map(|(a, b)| row(left, a, right, b)).collect()
}

fn row(left: &Whole, a: Option<usize>, right: &Whole, b: Option<usize>) -> Option<Row> {
    let spot = a.map(|a| &left.spots()[a]).or(b.map(|b| &right.spots()[b]))?.clone();
    let differences = match (a, b) {
        (Some(a), Some(b)) => {
            let mut found = compare(&left.events()[a].bytes, &right.events()[b].bytes, counts);
            // A run's own branch, named in words, is another one in every run.
            let without = |value: &Option<String>, run: &Whole| {
                Some(value.as_ref()?.replace(&run.state().branch(), "its branch"))
            };
            found.retain(|found| without(&found.left, left) != without(&found.right, right));
            found
        }
        _ => Vec::new(),
    };
    let is_of_tree = |difference: &Difference| difference.field.starts_with("tree");
    let topic = match Topic::of(spot.kind) {
        Topic::Course if !differences.is_empty() && differences.iter().all(is_of_tree) => Topic::Trees,
        topic => topic,
    };
    Some(Row { left: a.map(|a| a as u64), right: b.map(|b| b as u64), spot, topic, differences })
}

/// Whether two events at one sequence are of one kind, time and actor, and all else of them is the same but what
/// follows from a run's terms alone (REDRIVE-4).
pub(crate) fn is_same_but_terms(left: &[u8], right: &[u8]) -> bool {
    match (View::read(left), View::read(right)) {
        (Ok(one), Ok(other)) if one.schema.code == other.schema.code && one.stamp == other.stamp => {
            but_terms(left, right).is_empty()
        }
        _ => false,
    }
}

/// Returns what differs between two events of one kind and does not follow from a run's terms alone.
pub(crate) fn but_terms(left: &[u8], right: &[u8]) -> Vec<Difference> {
    compare(left, right, |field| !is_digest(field) && !OF_TERMS.contains(&field.name))
}

/// Returns what differs between two events of one kind, of the fields that count.
fn compare(left: &[u8], right: &[u8], counts: impl Fn(&Field) -> bool) -> Vec<Difference> {
    let (Ok(left), Ok(right)) = (View::read(left), View::read(right)) else { return Vec::new() };
    let mut differences = Vec::new();
    let actor = |view: &View<'_>| view.actor().ok().map(|actor| actor.id().to_string());
    let mut add = |field, left: Option<String>, right: Option<String>| {
        if left != right {
            differences.push(Difference { field, left, right });
        }
    };
    add("actor", actor(&left), actor(&right));
    for field in left.schema.fields.iter().filter(|field| counts(field)) {
        add(field.name, field::text(&left, field), field::text(&right, field));
    }
    differences
}

/// Whether a field says something of a run that another run can be held against (DIFF-2).
fn counts(field: &Field) -> bool {
    !PASSED_OVER.contains(&field.name) && (!is_digest(field) || PLAIN.contains(&field.name))
}

fn is_digest(field: &Field) -> bool {
    field.size == Some(32) && matches!(field.ty, Type::One(Scalar::Bytes) | Type::List(Scalar::Bytes))
}
