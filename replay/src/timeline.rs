//! A run that core derives here, input by input, from what is on record: the same inputs in another order or number, or
//! one of them changed. Nothing of it is appended anywhere.

use crate::error::ReplayError;
use crate::records::Records;
use crate::redrive::given;
use crate::refold::load;
use crate::whole::Whole;
use loom_core::commit::{Blob, Checked};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, Stamp, StreamId};
use loom_core::kind::Event;
use loom_core::run::Run;
use loom_core::step::{Declined, Input};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What came of an input.
pub(crate) enum Fed {
    /// It is committed; its events begin at this sequence.
    Committed(u64),
    /// Core leaves no commit of it.
    Declined(Declined),
    /// Something that core reads is missing.
    Missing(String),
}

/// A derived run.
pub(crate) struct Timeline<'r> {
    records: &'r dyn Records,
    /// Blobs that are not on record.
    extra: Vec<Blob>,
    stream: StreamId,
    run: Option<Run>,
    /// Its events.
    pub(crate) whole: Whole,
    /// Blobs that core made on the way.
    pub(crate) made: BTreeMap<Digest, Vec<u8>>,
}

impl Records for Timeline<'_> {
    fn stream(&self) -> StreamId {
        self.stream
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        let from = usize::try_from(sequence).unwrap_or(usize::MAX);
        Ok(self.whole.events().iter().skip(from).take(max).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        if let Some(extra) = self.extra.iter().find(|extra| extra.digest == *digest) {
            return Ok(Some(extra.bytes.clone()));
        }
        match self.made.get(digest) {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => self.records.blob(digest),
        }
    }

    fn redaction(&self, digest: &Digest) -> Result<Option<u64>, ReplayError> {
        self.records.redaction(digest)
    }
}

impl<'r> Timeline<'r> {
    /// Returns one without an event, in this stream; `extra` are blobs that are not on record.
    pub(crate) fn new(records: &'r dyn Records, stream: StreamId, extra: Vec<Blob>) -> Self {
        Timeline { records, extra, stream, run: None, whole: Whole::default(), made: BTreeMap::new() }
    }

    /// Returns one that begins with recorded events, and the run as it is after them.
    pub(crate) fn after(
        records: &'r dyn Records,
        extra: Vec<Blob>,
        events: &[Recorded],
        run: Option<Run>,
    ) -> Result<Self, ReplayError> {
        let mut timeline = Timeline::new(records, records.stream(), extra);
        timeline.run = run;
        timeline.take(events)?;
        Ok(timeline)
    }

    /// Gives an input to core; its stamp is moved on where the timeline is past it (STAMP-1).
    pub(crate) fn feed(&mut self, input: Envelope) -> Result<Fed, ReplayError> {
        let (stamp, body) = (self.stamp_of(&input), input.body.clone());
        let input = match given(self, Envelope { stamp, ..input })? {
            Ok(input) => input,
            Err(missing) => return Ok(Fed::Missing(format!("{missing}, which {} names,", body.schema().name))),
        };
        let derived = match (self.run.take(), &body) {
            (None, Event::RunOpened(opened)) => match load(self, opened.bundle, &opened.rules)? {
                Ok(terms) => loom_core::open(Arc::new(terms), self.stream, input),
                Err(missing) => return Ok(Fed::Missing(missing)),
            },
            (None, _) => return Err(ReplayError::NoRun(self.stream)),
            (Some(run), _) => self.step(run, input),
        };
        match derived {
            Ok(checked) => self.commit(checked).map(Fed::Committed),
            Err(declined) => Ok(Fed::Declined(declined)),
        }
    }

    /// Returns the stamp that an input gets here.
    pub(crate) fn stamp_of(&self, input: &Envelope) -> Stamp {
        let last = self.whole.state().stamp;
        let is_later = self.whole.is_empty() || input.stamp > last;
        if is_later { input.stamp } else { Stamp::after(last, input.stamp.ms) }
    }

    fn step(&mut self, run: Run, input: Input) -> Result<Checked<Run>, Declined> {
        let derived = loom_core::step(&run, input);
        self.run = Some(run);
        derived
    }

    fn commit(&mut self, checked: Checked<Run>) -> Result<u64, ReplayError> {
        let first = self.whole.len();
        self.made.extend(checked.blobs().iter().map(|blob| (blob.digest, blob.bytes.clone())));
        self.take(checked.events())?;
        self.run = Some(checked.into_next());
        Ok(first)
    }

    /// Takes events as they are on record; they lead to no commit of core's.
    pub(crate) fn apply(&mut self, events: &[Recorded]) -> Result<(), ReplayError> {
        if let Some(run) = &mut self.run {
            for (event, sequence) in events.iter().zip(self.whole.len()..) {
                run.apply(event, None).map_err(|error| crate::refold::broken(sequence, error))?;
            }
        }
        self.take(events)
    }

    fn take(&mut self, events: &[Recorded]) -> Result<(), ReplayError> {
        events.iter().try_for_each(|event| self.whole.push(event.clone()))
    }
}
