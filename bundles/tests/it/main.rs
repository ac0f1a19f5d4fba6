//! The bundles crate from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod checks;
mod explain;
mod flaws;
mod flows;
mod loading;
mod prompts;
mod replies;
mod rules;
