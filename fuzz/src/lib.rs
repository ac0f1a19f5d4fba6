//! What several fuzz targets share: recorded runs with a fault in them, so that trouble lies behind the first hash; a store
//! with a run in it; what happens to a file's bytes.
//!
//! It must never ship, and decides nothing about what a fault should come to: that is each target's.

pub mod altered;
pub mod base;
pub mod filled;
pub mod harm;
