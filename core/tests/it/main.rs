//! What callers of `loom-core` can see.

mod process;
mod rules;
