//! `loom completions SHELL`: what completes the command line in a shell, made from the command line itself.

use crate::app;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::replaying;
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use serde::Serialize;

/// Prints what completes `loom`, or `loom-replay`, in a shell; its file belongs where that shell looks for completions.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// The program whose command line is completed.
    #[arg(long, default_value = "loom", value_parser = ["loom", "loom-replay"])]
    program: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    shell: String,
    script: String,
}

/// Answers `loom completions`.
pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    let mut command = match arguments.program.as_str() {
        "loom-replay" => replaying::Arguments::command(),
        _ => app::Arguments::command(),
    };
    generate(arguments.shell, &mut command, &arguments.program, &mut script);
    if output.json {
        let script = String::from_utf8_lossy(&script).into_owned();
        output.document(&Document { loom: "completions/1", shell: arguments.shell.to_string(), script })?;
    } else {
        output.raw(&script)?;
    }
    Ok(Exit::Ok)
}
