//! What callers of `loom-core` can see.

mod canonical;
mod cddl;
mod laws;
mod process;
mod rules;
mod vectors;
