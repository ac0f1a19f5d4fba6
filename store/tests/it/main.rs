//! What a caller can see of the stores.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod backends;
mod crash;
mod damage;
mod grouping;
mod process;
mod redacting;
mod transfer;
