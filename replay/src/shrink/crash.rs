//! The smallest run on which driving or judging panics (SHRINK-5).
//!
//! ```text
//! inputs   0 1 2 3 4 5!       core panics at 5 where the run is driven again
//! kept     0   2     5!       what core derives from 0 and 2, and 5 as a commit of its own: what followed it nobody knows
//! ```
//!
//! A panic is caught where it is looked for and nowhere else. What was half done is thrown away: of a run in which core
//! panicked only the events of earlier commits are read.

use super::derive::derive_by;
use super::piece::{Blobs, Piece};
use super::search::{Tried, commit_end, cut, inputs, judge, minimize, own_origin, size};
use super::{How, Shrunk, Size};
use crate::error::ReplayError;
use crate::judge::run::Bench;
use crate::records::Records;
use crate::redrive::redrive;
use crate::whole::Whole;
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{EventHasher, StreamId};
use loom_core::rules::Rules;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Makes a run smaller on which driving again panics, or judging by these rules. `None` where neither does. At most `budget` runs are
/// derived and tried (SHRINK-4).
///
/// Who calls it sees each panic on stderr, unless a hook keeps it.
pub fn shrink_crash<'r>(
    records: &'r dyn Records,
    origin: [u8; 16],
    rules: Option<&Rules>,
    budget: u64,
) -> Result<Option<Shrunk<'r>>, ReplayError> {
    let bench = rules.map(|rules| Bench::new(rules, false));
    let Some(crash) = crashes(records, bench.as_ref())? else { return Ok(None) };
    // What cannot be folded has no inputs that are known.
    let whole = match caught(|| Whole::read(records)) {
        Ok(whole) => whole?,
        Err(_) => return all_of(records, origin, crash).map(Some),
    };
    let mut search = Search { records, bench, whole: &whole, crash: &crash, tried: 0 };
    let all: Vec<usize> = (1..inputs(&whole).len()).collect();
    let Some(mut found) = search.derived(&all)? else {
        // The first commit behind which it does; the whole run does.
        let (tried, ends) = (search.tried, inputs(&whole));
        for (sequence, count) in ends.iter().zip(1..budget.saturating_sub(tried)) {
            let shorter = cut(records, origin, &whole, commit_end(&whole, *sequence), *sequence)?;
            if search.is_same(&shorter.run)? {
                let judgements: u64 = tried + count;
                return Ok(Some(Shrunk { crash: Some(crash), judgements, ..shorter }));
            }
        }
        return all_of(records, origin, crash).map(Some);
    };
    let kept = found.kept.clone();
    let is_smallest = minimize(kept, &mut |rest| {
        if search.tried >= budget {
            return Ok(Tried::OutOfBudget);
        }
        let Some(smaller) = search.derived(rest)? else { return Ok(Tried::Needed) };
        found = smaller;
        Ok(Tried::LeftOut(found.kept.clone()))
    })?;
    let judgements = search.tried;
    Ok(Some(Shrunk {
        run: found.run,
        origin: own_origin(records.stream()),
        how: How::Derived,
        target: None,
        crash: Some(crash),
        sequence: found.sequence,
        before: size(whole.events())?,
        after: found.size,
        judgements,
        is_smallest,
    }))
}

/// Returns the whole run: nothing of it can be left out that is known.
fn all_of<'r>(records: &'r dyn Records, origin: [u8; 16], crash: String) -> Result<Shrunk<'r>, ReplayError> {
    let events = records.read(0, usize::MAX)?;
    let commits = events.iter().filter(|event| Envelope::decode(&event.bytes).is_ok_and(|event| event.count.is_some()));
    let all = Size { commits: commits.count() as u64, events: events.len() as u64 };
    Ok(Shrunk {
        run: Piece::new(Blobs::Recorded(records), records.stream(), events)?,
        origin,
        how: How::Cut,
        target: None,
        crash: Some(crash),
        sequence: all.events.saturating_sub(1),
        before: all,
        after: all,
        judgements: 0,
        is_smallest: false,
    })
}

/// A derived run that crashes alike.
struct Candidate<'r> {
    run: Piece<'r>,
    size: Size,
    /// The inputs that it was derived from, without the first, up to the one that crashes.
    kept: Vec<usize>,
    /// Sequence of the input that crashes.
    sequence: u64,
}

struct Search<'r, 's> {
    records: &'r dyn Records,
    bench: Option<Bench<'s>>,
    whole: &'s Whole,
    crash: &'s str,
    tried: u64,
}

impl<'r> Search<'r, '_> {
    fn is_same(&self, run: &dyn Records) -> Result<bool, ReplayError> {
        Ok(crashes(run, self.bench.as_ref())?.is_some_and(|crash| is_alike(&crash, self.crash)))
    }

    /// Derives a run from some of the inputs, up to the one that crashes; `None` where none does alike.
    fn derived(&mut self, chosen: &[usize]) -> Result<Option<Candidate<'r>>, ReplayError> {
        self.tried += 1;
        let inputs = inputs(self.whole);
        let sequences: Vec<u64> = chosen.iter().filter_map(|index| inputs.get(*index).copied()).collect();
        let origin = own_origin(self.records.stream());
        let mut fatal = None;
        let derived = derive_by(self.records, self.whole, &origin, &sequences, &mut |timeline, input| {
            // Where core panics the events of that commit may be there in part.
            let (at, stamp) = (timeline.whole.events().len(), timeline.stamp_of(&input));
            caught(|| timeline.feed(input.clone())).map_or_else(
                |crash| {
                    fatal = Some((crash, at, Envelope { stamp, ..input }));
                    Ok(None)
                },
                |fed| fed.map(Some),
            )
        })?;
        let Some((timeline, given)) = derived else { return Ok(None) };
        let stream = timeline.stream();
        let mut events = timeline.whole.events().to_vec();
        if let Some((crash, at, input)) = fatal {
            if !is_alike(&crash, self.crash) {
                return Ok(None);
            }
            events.truncate(at);
            events.push(alone(input, stream, &events));
        }
        let sequence = events.len().saturating_sub(1) as u64;
        let is_kept = |index: &&usize| given.iter().any(|(from, _)| Some(*from) == inputs.get(**index).copied());
        let kept: Vec<usize> = chosen.iter().filter(is_kept).copied().collect();
        let size = Size { commits: 1 + kept.len() as u64, events: events.len() as u64 };
        let run = Piece::new(Blobs::Derived(Box::new(timeline)), stream, events)?;
        Ok(self.is_same(&run)?.then_some(Candidate { run, size, kept, sequence }))
    }
}

/// Returns an input as a commit of its own: what core makes of it nobody knows.
fn alone(input: Envelope, stream: StreamId, before: &[Recorded]) -> Recorded {
    let sequence = before.len() as u64;
    let previous = before.last().map(|last| last.id).unwrap_or_default();
    let input = Envelope { stream, sequence, previous, input: sequence, count: Some(1), ..input };
    Recorded::of(&input, &EventHasher::default())
}

/// Returns what is said where driving the run again panics, or judging it.
fn crashes(run: &dyn Records, bench: Option<&Bench<'_>>) -> Result<Option<String>, ReplayError> {
    match caught(|| redrive(run)) {
        Err(crash) => return Ok(Some(crash)),
        Ok(redriven) => drop(redriven?),
    }
    let Some(bench) = bench else { return Ok(None) };
    let events = run.read(0, usize::MAX)?;
    caught(|| judge(bench, run.stream(), &events)).map_or_else(|crash| Ok(Some(crash)), |judged| judged.map(|_| None))
}

/// Does it, or returns what its panic says.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| said(panic.as_ref()))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a word".to_string())
}

/// Whether two panics say the same but for numbers: lengths and sequences are others in a smaller run.
fn is_alike(one: &str, other: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).map(str::to_string).collect()
    };
    words(one) == words(other)
}
