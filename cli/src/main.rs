//! Faces people: the `loom` binary. Thin: it finds the store, asks the rooms behind it, and writes what they say.
//!
//! It must never decide what a run does, and has no way into the engine but the one that every client has.

mod account;
mod app;
mod asking;
mod cause;
mod code;
mod commands;
mod doctor;
mod driving;
mod error;
mod exit;
mod graph;
mod identify;
mod json;
mod laws;
mod line;
mod opening;
mod output;
mod project;
mod pull_request;
mod refusal;
mod terminal;
mod text;
mod told;
mod trouble;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == loom_tools::GUARD_ARGUMENT) {
        return ExitCode::from(u8::try_from(loom_tools::guard_main(arguments)).unwrap_or(1));
    }
    // What the store takes for damage is told as an error, not as a panic.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !loom_store::is_guarded() {
            usual(panic);
        }
    }));
    app::main().into()
}
