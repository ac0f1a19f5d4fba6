//! The law: the documents beside this file say what holds; `tests/` proves that the tree keeps to them.
//!
//! This crate has no code of its own and must never get any: nothing may depend on it.
