//! What callers of `loom-replay` can see.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod diffing;
mod drifting;
mod evidence;
mod made;
#[path = "../../../core/tests/it/plain.rs"]
mod plain;
mod querying;
mod redriving;
mod shrinking;
mod today;
mod tracing;
mod vectors;
mod verdicts;
mod verifying;
mod what_if;
mod wild;
