//! Snapshots of a run: what a fold arrived at, so that the next one can begin there.
//!
//! A snapshot is a cache. It is never hashed, never exchanged, and never trusted over the log: whoever uses one
//! checks that the log has the event it ends at. Its layout may change with every Loom; then [`VERSION`] does.
//!
//! ```text
//! length of the state (8 bytes, little-endian) | state (rkyv) | facts (canonical CBOR)
//! ```

use crate::cbor::{Decoder, Encoder};
use crate::rules::Facts;
use crate::run::{Run, Terms};
use crate::state::State;
use alloc::sync::Arc;
use alloc::vec::Vec;
use rkyv::rancor::Error;
use rkyv::util::AlignedVec;

/// Version of the layout.
///
/// 1: first. 2: what holds a run. 3: rate limits in a row, and since when a timer is set.
pub const VERSION: u32 = 3;

/// Returns a snapshot of a run.
pub fn encode(run: &Run) -> Option<Vec<u8>> {
    let state = rkyv::to_bytes::<Error>(&run.state).ok()?;
    let mut facts = Encoder::default();
    run.facts.encode(&mut facts);
    let facts = facts.finish();
    let mut bytes = Vec::with_capacity(8 + state.len() + facts.len());
    bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&state);
    bytes.extend_from_slice(&facts);
    Some(bytes)
}

/// Returns the state of a snapshot, which names the terms that its facts belong to.
pub fn state(bytes: &[u8]) -> Option<State> {
    let (state, _) = parts(bytes)?;
    let mut aligned: AlignedVec = AlignedVec::with_capacity(state.len());
    aligned.extend_from_slice(state);
    rkyv::from_bytes::<State, Error>(&aligned).ok()
}

/// Returns the run of a snapshot; `None` for bytes that are not one, or whose facts belong to other rules.
pub fn decode(terms: Arc<Terms>, bytes: &[u8]) -> Option<Run> {
    let state = state(bytes)?;
    let (_, facts) = parts(bytes)?;
    let mut decoder = Decoder::new(facts);
    let facts = Facts::decode(terms.rules(), &mut decoder).ok()?;
    decoder.finish().ok()?;
    (state.opened.bundle == terms.bundle_digest() && state.rules == terms.rule_digests()).then_some(Run {
        terms,
        state,
        facts,
    })
}

fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}
