//! Decides: what happened becomes events, what may happen next follows from them.
//!
//! Core is functions of values. It promises that equal inputs give equal bytes on every machine. It knows no
//! clock, file, socket, environment, thread, randomness, vendor or trade; time, ids and chance arrive in inputs.

#![no_std]
// A new kind must be thought of wherever kinds are told apart.
#![deny(clippy::wildcard_enum_match_arm)]

extern crate alloc;

pub mod answer;
pub mod arming;
pub mod cbor;
pub mod commit;
mod draft;
pub mod effect;
pub mod event;
pub mod exempt;
mod fold;
pub mod id;
pub mod keys;
pub mod kind;
pub mod multiproof;
pub mod naming;
pub mod origin;
mod outcome;
pub mod planted;
pub mod process;
pub mod redaction;
mod request;
#[expect(clippy::wildcard_enum_match_arm, reason = "the shapes of expressions; no kind is told apart there")]
pub mod rules;
pub mod run;
pub mod schema;
pub mod snapshot;
mod stage;
#[expect(missing_docs, reason = "rkyv copies no documentation to the fields of an archived enum")]
pub mod state;
pub mod step;
pub mod tree;
mod wait;
pub mod word;

pub use fold::fold;
pub use step::{open, step};
