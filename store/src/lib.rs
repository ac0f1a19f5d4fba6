//! Remembers: an append-only log of commits, the blobs they name, and what can be looked up in them.
//!
//! The log is the only truth. A [`Store`] takes commits that core has judged ([`Append`] is built from
//! [`loom_core::commit::Checked`] only), answers when they are durable, and never shows less than it answered
//! for. Everything else (look-ups, snapshots) is derived from the log, may lag behind it and can be rebuilt from it.
//!
//! It relies on core for bytes, names and hashes. It never decides anything.

mod append;
mod backup;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod lookup;
mod memory;
mod origin;
mod proof;
mod redaction;
mod redb;
mod row;
mod store;
mod subscription;
mod tail;

pub use self::redb::{Allocated, Garbage, RedbStore, is_guarded};
pub use append::{Append, Appended};
pub use backup::{Restored, backup, restore};
pub use error::{AppendError, Damage, StoreError};
pub use lookup::{Answered, Gate, Health, Resolution, Run, RunState, Snapshot, Stored};
pub use memory::MemoryStore;
pub use origin::origin;
pub use redaction::{Redaction, redactions};
pub use store::Store;
pub use subscription::{Subscription, Tip};

/// The version of the store's tables.
///
/// 1: first.
pub const FORMAT: u64 = 1;
