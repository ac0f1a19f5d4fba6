//! The bundles crate from outside.

mod rules;
