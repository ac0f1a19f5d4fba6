//! What people and scripts see of the `loom` binary, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[macro_use]
#[path = "../../../tools/tests/it/missing.rs"]
mod missing;

mod answering;
mod arming;
mod bad_input;
mod browser;
mod configuring;
mod damage;
mod demo;
mod docs;
mod doctoring;
mod driven;
mod evidence;
mod exit_codes;
mod explaining;
mod files;
mod foreign;
mod forged;
mod full;
mod held;
mod hostile;
mod json;
mod kill;
#[path = "../../../replay/tests/it/made.rs"]
mod made;
mod modelless;
mod models;
mod museum;
mod odd_places;
mod options;
mod pty;
mod reading;
mod recovery;
mod redacted;
mod redacting;
mod redriving;
mod replaying;
mod report;
mod rig;
mod rules;
mod rules_diff;
mod running;
mod same_everywhere;
#[path = "../../../host/tests/it/samples.rs"]
mod samples;
mod shipping;
mod signals;
mod supposing;
mod watching;
