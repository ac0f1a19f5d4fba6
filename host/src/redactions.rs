//! Has blobs erased that a person names: the event in the store's own stream first, the bytes after it (ERASE-1, ERASE-2).

use crate::error::HostError;
use crate::redact::Redactor;
use crate::world::{Machine, World};
use loom_core::commit::Blob;
use loom_core::event::{Envelope, EventError};
use loom_core::id::{Actor, Digest, StreamId};
use loom_core::kind::Event;
use loom_core::naming::{named, terms, within_bundle};
use loom_core::origin::End;
use loom_core::redaction::{NotRedacted, redact};
use loom_store::{Append, AppendError, RunState, Store, StoreError, redactions};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// How often an append is tried again that others came before.
const TRIES: usize = 8;

/// A blob that events name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedBlob {
    /// The events that name it, by stream and sequence, in commit order.
    pub by: Vec<(StreamId, u64)>,
    /// The event that makes it one of the terms that runs are judged by.
    pub term_of: Option<(StreamId, u64)>,
}

/// Why blobs are not erased. Each names the blob and, where there is one, the way out.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// No event names the blob.
    #[error("no event names blob {0}; a file that nothing names goes with `loom gc --delete`")]
    Unknown(Digest),
    /// The blob has no bytes any more.
    #[error("blob {digest} is erased already, by store#{sequence}")]
    Already {
        /// The blob.
        digest: Digest,
        /// Sequence of its redaction in the store's own stream.
        sequence: u64,
    },
    /// The blob has no bytes, and nothing says why.
    #[error("blob {0} is not there, and no redaction says why; `loom verify --blobs` tells more")]
    Missing(Digest),
    /// Runs are judged by what the blob says (ERASE-3).
    #[error("blob {digest} holds terms of {}: bundle, rules and checks stay, runs could not be judged without", told(.by))]
    Term {
        /// The blob.
        digest: Digest,
        /// The event that makes it one.
        by: (StreamId, u64),
    },
    /// A run that has not ended names the blob (ERASE-3).
    #[error("blob {digest} is named by run {run}, which has not ended and may need it; end it first, by `loom cancel`")]
    Needed {
        /// The blob.
        digest: Digest,
        /// The run.
        run: StreamId,
    },
    /// Core takes it for malformed.
    #[error(transparent)]
    Not(#[from] NotRedacted),
    /// The redaction is on record, and bytes are still there.
    #[error(
        "the redaction is on record as store#{sequence}, and not everything is erased yet; the next opening goes on with it"
    )]
    Unfinished {
        /// Its sequence in the store's own stream.
        sequence: u64,
        /// What keeps from it.
        #[source]
        source: StoreError,
    },
    /// The store failed.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl From<StoreError> for RedactError {
    fn from(error: StoreError) -> Self {
        RedactError::Host(error.into())
    }
}

fn told((stream, sequence): &(StreamId, u64)) -> String {
    if *stream == StreamId::STORE { format!("store#{sequence}") } else { format!("{stream}#{sequence}") }
}

/// Returns the blobs that events name and that `wanted` says yes to; reads the whole log.
///
/// # Errors
/// The log cannot be read.
pub fn named_blobs(
    store: &dyn Store,
    wanted: &dyn Fn(&Digest) -> bool,
) -> Result<BTreeMap<Digest, NamedBlob>, HostError> {
    let mut found: BTreeMap<Digest, NamedBlob> = BTreeMap::new();
    let mut bundles: BTreeMap<Digest, (StreamId, u64)> = BTreeMap::new();
    let mut broken: Option<EventError> = None;
    store.scan(0, &mut |_, bytes| {
        let envelope = match Envelope::decode(bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                broken = Some(error);
                return ControlFlow::Break(());
            }
        };
        let place = (envelope.stream, envelope.sequence);
        let mut is_term = terms(&envelope.body);
        match &envelope.body {
            Event::RunOpened(opened) => drop(bundles.entry(opened.bundle).or_insert(place)),
            Event::RulesArmed(armed) => is_term.push(armed.rules),
            Event::RulesRetired(retired) => is_term.push(retired.rules),
            _ => {}
        }
        for digest in named(&envelope.body).into_iter().filter(wanted) {
            let blob = found.entry(digest).or_default();
            blob.by.push(place);
            if is_term.contains(&digest) {
                blob.term_of.get_or_insert(place);
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = broken {
        return Err(error.into());
    }
    for (bundle, place) in bundles {
        let Some(bytes) = store.blob(&bundle)? else { continue };
        for digest in Blob::content(&bytes).map(within_bundle).unwrap_or_default().into_iter().filter(wanted) {
            let blob = found.entry(digest).or_default();
            blob.by.push(place);
            blob.term_of.get_or_insert(place);
        }
    }
    Ok(found)
}

/// Returns what would be erased: the events that name each blob, and the bytes that are stored of it.
///
/// # Errors
/// [`RedactError`], where one of them may not go (ERASE-3).
pub fn erasable(
    store: &dyn Store,
    digests: &BTreeSet<Digest>,
) -> Result<BTreeMap<Digest, (NamedBlob, u64)>, RedactError> {
    let mut found = named_blobs(store, &|digest| digests.contains(digest))?;
    let ended = |state| matches!(state, RunState::Closed(_));
    let open: BTreeSet<StreamId> =
        store.runs(usize::MAX)?.into_iter().filter(|run| !ended(run.state)).map(|run| run.stream).collect();
    let erased = redactions(store)?;
    let mut there = BTreeMap::new();
    for digest in digests.iter().copied() {
        let blob = found.remove(&digest).ok_or(RedactError::Unknown(digest))?;
        if let Some(by) = blob.term_of {
            return Err(RedactError::Term { digest, by });
        }
        if let Some((run, _)) = blob.by.iter().find(|(stream, _)| open.contains(stream)) {
            return Err(RedactError::Needed { digest, run: *run });
        }
        match (store.blob(&digest)?, erased.get(&digest)) {
            (_, Some(redaction)) => return Err(RedactError::Already { digest, sequence: redaction.sequence }),
            (None, None) => return Err(RedactError::Missing(digest)),
            (Some(bytes), None) => drop(there.insert(digest, (blob, bytes.len() as u64))),
        }
    }
    Ok(there)
}

/// Puts a redaction on record and erases what it names; returns its sequence in the store's stream, and whether it was on
/// record before. The reason is kept without the secrets in it.
///
/// # Errors
/// [`RedactError`].
pub fn put(
    store: &dyn Store,
    redactor: &Redactor,
    request: &[u8],
    actor: &Actor,
    digests: &BTreeSet<Digest>,
    why: &str,
) -> Result<(u64, bool), RedactError> {
    let why = Blob::salted(Machine.random(), redactor.text(why).as_bytes());
    for _ in 0..TRIES {
        if let Some(answered) = store.request(StreamId::STORE, request)? {
            erase(store, answered.sequence)?;
            return Ok((answered.sequence, true));
        }
        let there = erasable(store, digests)?;
        let blobs = there.into_iter().map(|(digest, (_, length))| (digest, length)).collect();
        let end = end(store)?;
        let checked = redact(end, request, actor.clone(), Machine.now_ms(), &blobs, why.clone())?;
        match store.append(vec![Append::from(&checked)]).pop() {
            Some(Ok(_)) => {
                erase(store, end.head.next)?;
                return Ok((end.head.next, false));
            }
            Some(Err(AppendError::HeadMoved { .. })) => {}
            Some(Err(error)) => return Err(HostError::Append(error).into()),
            None => break,
        }
    }
    let missing = HostError::EventMissing { stream: StreamId::STORE, sequence: 0 };
    Err(RedactError::Host(missing))
}

fn erase(store: &dyn Store, sequence: u64) -> Result<(), RedactError> {
    store.erase().map(drop).map_err(|source| RedactError::Unfinished { sequence, source })
}

/// Returns where the store's own stream ends.
fn end(store: &dyn Store) -> Result<End, HostError> {
    let head = store.head(StreamId::STORE)?;
    let sequence = head.next.saturating_sub(1);
    let last = store.read(StreamId::STORE, sequence, 1)?.pop();
    let last = last.ok_or(HostError::EventMissing { stream: StreamId::STORE, sequence })?;
    Ok(End { head, stamp: Envelope::decode(&last.event.bytes)?.stamp })
}
