//! Faces people: the binaries `loom` and `loom-replay`. Thin: they find the store, ask the rooms behind it, and write
//! what those say.
//!
//! It must never decide what a run does, and has no way into the engine but the one that every client has.

mod account;
mod app;
mod asking;
mod card;
mod code;
mod commands;
mod configuring;
mod depending;
mod doctor;
mod driving;
mod error;
mod exit;
mod following;
mod graph;
mod identify;
mod interrupt;
mod joining;
mod json;
mod laws;
mod line;
mod manner;
mod nobody;
mod opening;
mod output;
mod places;
mod project;
mod prompt;
mod pull_request;
mod queue;
mod receipts;
mod refusal;
mod regular;
mod replaying;
mod rule_file;
mod signing;
mod spent;
mod standing;
mod status;
mod task;
mod terminal;
mod text;
mod told;
mod trouble;
mod vouching;

use std::process::ExitCode;

/// Is the binary `loom`: reads the process' command line, answers it, and returns how the process ends.
pub fn loom() -> ExitCode {
    if let Some(code) = loom_tools::hidden_main(std::env::args_os().skip(1)) {
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    quiet_damage();
    app::main().into()
}

/// Is the binary `loom-replay`, as [`loom`] is its own.
pub fn loom_replay() -> ExitCode {
    quiet_damage();
    replaying::main().into()
}

/// What the store takes for damage is told as an error, not as a panic.
fn quiet_damage() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !loom_store::is_guarded() {
            usual(panic);
        }
    }));
}
