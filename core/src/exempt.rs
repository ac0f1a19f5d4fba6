//! Which decisions are never judged (COMMIT-5): asking a person, and ending a run as anything but accepted. So no rule can
//! wedge a run.
//!
//! The one place where it is said; `draft` is where it is done.

use crate::event::View;
use crate::kind::{GateDecided, GateOpened, GateWithdrawn, RunClosed};
use crate::schema::{Field, KindSchema};
use crate::word::{DecidedBy, GateOutcome, Verdict};
use alloc::vec;
use alloc::vec::Vec;

/// Whether this event is never judged. It is asked of each event that a rule names.
#[inline]
pub fn is_exempt(view: &View<'_>) -> bool {
    is_never_judged(view.schema.code, |name| view.field(view.schema.field(name)?.key)?.text().ok())
}

/// Whether an event of this kind is never judged that has these words in its fields.
#[inline]
fn is_never_judged<'w>(code: u64, word: impl Fn(&str) -> Option<&'w str>) -> bool {
    if code == GateOpened::SCHEMA.code || code == GateWithdrawn::SCHEMA.code {
        true
    } else if code == RunClosed::SCHEMA.code {
        word("verdict") != Some(Verdict::Accepted.word())
    } else if code == GateDecided::SCHEMA.code {
        let outcome = word("outcome");
        let ends = [GateOutcome::Rejected, GateOutcome::Abandoned].iter().any(|ends| outcome == Some(ends.word()));
        word("by") == Some(DecidedBy::Deadline.word()) || word("by") == Some(DecidedBy::Person.word()) && ends
    } else {
        false
    }
}

/// The fields that [`is_never_judged`] reads.
fn told_by(code: u64) -> &'static [&'static str] {
    if code == RunClosed::SCHEMA.code {
        &["verdict"]
    } else if code == GateDecided::SCHEMA.code {
        &["by", "outcome"]
    } else {
        &[]
    }
}

/// Returns the words, field by field, that events of a kind have which are judged: each combination once, none where no
/// event of the kind is judged, and one without a field where every event is.
pub(crate) fn judged(kind: &'static KindSchema) -> Vec<Vec<(&'static Field, &'static str)>> {
    let mut cases = vec![Vec::new()];
    for field in told_by(kind.code).iter().filter_map(|name| kind.field(name)) {
        let with = |case: &Vec<_>, word| case.iter().copied().chain([(field, word)]).collect::<Vec<_>>();
        let words = field.words.unwrap_or_default();
        cases = cases.iter().flat_map(|case| words.iter().map(move |word| with(case, *word))).collect();
    }
    cases.retain(|case: &Vec<(&Field, &'static str)>| {
        let word = |name: &str| case.iter().find(|(field, _)| field.name == name).map(|(_, word)| *word);
        !is_never_judged(kind.code, word)
    });
    cases
}
