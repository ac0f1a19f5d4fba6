//! The commands, one file each.

mod allowlist;
mod answer;
mod at;
mod backup;
mod cancel;
mod completions;
mod config;
mod demo;
pub(crate) mod diff;
mod doctor;
mod explain;
pub(crate) mod export;
mod gates;
mod gc;
mod history;
mod init;
mod keys;
pub(crate) mod log;
mod man;
mod models;
mod pause;
mod projects;
mod prove;
mod queue;
mod recover;
mod redact;
mod reset;
mod restore;
mod resume;
mod risk;
mod rules;
mod run;
mod schema;
mod secrets;
mod ship;
mod show;
mod status;
mod steer;
mod verify;
mod watch;
mod why;
mod witness;

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) use export::to_file;

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Arguments),
    Run(run::Arguments),
    Resume(resume::Arguments),
    Watch(watch::Arguments),
    Queue(queue::Arguments),
    Gates(gates::Arguments),
    Answer(answer::Arguments),
    Risk(risk::Arguments),
    Steer(steer::Arguments),
    Pause(pause::Arguments),
    Cancel(cancel::Arguments),
    Recover(recover::Arguments),
    Status(status::Arguments),
    History(history::Arguments),
    Log(log::Arguments),
    Show(show::Arguments),
    Why(why::Arguments),
    Diff(diff::Arguments),
    Ship(ship::Arguments),
    At(at::Arguments),
    Verify(verify::Arguments),
    Export(export::Arguments),
    Prove(prove::Arguments),
    Witness(witness::Arguments),
    Keys(keys::Arguments),
    Rules(rules::Arguments),
    Backup(backup::Arguments),
    Restore(restore::Arguments),
    Redact(redact::Arguments),
    Gc(gc::Arguments),
    Init(init::Arguments),
    Config(config::Arguments),
    Models(models::Arguments),
    Secrets(secrets::Arguments),
    Projects(projects::Arguments),
    Allowlist(allowlist::Arguments),
    Reset(reset::Arguments),
    Doctor(doctor::Arguments),
    Explain(explain::Arguments),
    Schema(schema::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}

impl Command {
    /// Answers.
    pub(crate) fn run(&self, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
        match self {
            Command::Run(arguments) => run::run(arguments, global, output),
            Command::Resume(arguments) => resume::run(arguments, global, output),
            Command::Watch(arguments) => watch::run(arguments, global, output),
            Command::Queue(arguments) => queue::run(arguments, global, output),
            Command::Demo(arguments) => demo::run(arguments, global, output),
            Command::Gates(arguments) => gates::run(arguments, global, output),
            Command::Answer(arguments) => answer::run(arguments, global, output),
            Command::Risk(arguments) => risk::run(arguments, global, output),
            Command::Steer(arguments) => steer::run(arguments, global, output),
            Command::Recover(arguments) => recover::run(arguments, global, output),
            Command::Pause(arguments) => pause::run(arguments, global, output),
            Command::Cancel(arguments) => cancel::run(arguments, global, output),
            Command::Status(arguments) => status::run(arguments, global, output),
            Command::Log(arguments) => log::run(arguments, global, output),
            Command::Show(arguments) => show::run(arguments, global, output),
            Command::At(arguments) => at::run(arguments, global, output),
            Command::Verify(arguments) => verify::run(arguments, global, output),
            Command::Export(arguments) => export::run(arguments, global, output),
            Command::Prove(arguments) => prove::run(arguments, global, output),
            Command::Witness(arguments) => witness::run(arguments, global, output),
            Command::Keys(arguments) => keys::run(arguments, global, output),
            Command::Rules(arguments) => rules::run(arguments, global, output),
            Command::Backup(arguments) => backup::run(arguments, global, output),
            Command::Restore(arguments) => restore::run(arguments, global, output),
            Command::Redact(arguments) => redact::run(arguments, global, output),
            Command::Gc(arguments) => gc::run(arguments, global, output),
            Command::Init(arguments) => init::run(arguments, global, output),
            Command::Config(arguments) => config::run(arguments, global, output),
            Command::Models(arguments) => models::run(arguments, global, output),
            Command::Secrets(arguments) => secrets::run(arguments, global, output),
            Command::Projects(arguments) => projects::run(arguments, global, output),
            Command::Allowlist(arguments) => allowlist::run(arguments, global, output),
            Command::History(arguments) => history::run(arguments, global, output),
            Command::Why(arguments) => why::run(arguments, global, output),
            Command::Diff(arguments) => diff::run(arguments, global, output),
            Command::Ship(arguments) => ship::run(arguments, global, output),
            Command::Reset(arguments) => reset::run(arguments, global, output),
            Command::Doctor(arguments) => doctor::run(arguments, global, output),
            Command::Explain(arguments) => explain::run(arguments, global, output),
            Command::Schema(arguments) => schema::run(arguments, output),
            Command::Completions(arguments) => completions::run(arguments, output),
            Command::Man(arguments) => man::run(arguments, output),
        }
    }
}
