//! What callers of `loom-core` can see.

mod blobs;
mod canonical;
mod cddl;
mod names;
mod plain;
mod process;
mod rules;
mod tree;
mod vectors;
