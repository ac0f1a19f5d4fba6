//! Polices the tree: rooms and arrows, banned words, law ids, links, the commands that documents give.
//!
//! Each check reads the files themselves and tells every breach at once, with its place.

mod docs;
mod grammar;
mod laws;
mod layering;
mod tidy;
mod tree;
mod verifier;
