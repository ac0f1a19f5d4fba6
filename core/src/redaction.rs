//! Blobs that a person has erased: the commit that says so, in the store's own stream (ERASE-1).
//!
//! The event goes before the deed, which is the store's, and for good (ERASE-2, ERASE-4). Which blobs may go is the host's
//! to know, which sees what names them (ERASE-3).

use crate::commit::{Blob, Checked};
use crate::id::{Actor, Digest};
use crate::kind::BlobsRedacted;
use crate::origin::{End, asked};
use crate::schema::ITEMS_MAX;
use alloc::collections::BTreeMap;
use alloc::vec;

/// Why nothing is erased.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRedacted {
    /// Erasing is for people: never for a spawn's peer, nor for Loom itself.
    #[error("blobs are erased by people, and not from below a spawn")]
    NotAPerson,
    /// The request is not well formed.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Returns the commit that has blobs erased, each with the bytes that are stored of it, for a reason (a salted blob).
/// `now_ms` is the host's clock.
///
/// # Errors
/// [`NotRedacted`].
pub fn redact(
    end: End,
    request: &[u8],
    actor: Actor,
    now_ms: u64,
    blobs: &BTreeMap<Digest, u64>,
    why: Blob,
) -> Result<Checked<()>, NotRedacted> {
    if !matches!(actor, Actor::Person { descends: None, .. }) {
        return Err(NotRedacted::NotAPerson);
    }
    let body = BlobsRedacted {
        request: request.to_vec(),
        erased: blobs.keys().copied().collect(),
        lengths: blobs.values().copied().collect(),
        why: why.digest,
    };
    match flaw(&body) {
        Some(flaw) => Err(NotRedacted::Malformed(flaw)),
        None if body.erased.len() > ITEMS_MAX => Err(NotRedacted::Malformed("at most 256 blobs are erased at once")),
        None if body.misfit().is_some() => Err(NotRedacted::Malformed("a request id has at most 128 bytes")),
        None => Ok(asked(end, actor, now_ms, body.into(), vec![why])),
    }
}

/// Returns what is wrong with a redaction beside its fields (ERASE-1).
pub fn flaw(body: &BlobsRedacted) -> Option<&'static str> {
    if body.erased.is_empty() {
        Some("a redaction names no blob (ERASE-1)")
    } else if body.lengths.len() != body.erased.len() {
        Some("a redaction has not one length for each blob (ERASE-1)")
    } else if body.erased.windows(2).any(|pair| pair[0] >= pair[1]) {
        Some("the blobs of a redaction do not ascend (ERASE-1)")
    } else {
        None
    }
}
