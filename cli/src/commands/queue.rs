//! `loom queue`: tasks that wait for `loom watch`.

use crate::app::Global;
use crate::configuring::by_person;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, ID, Output};
use crate::project;
use crate::queue::Queue;
use crate::text::{clean, clip};
use loom_host::environment::Environment;
use loom_host::request::check_task;
use serde::Serialize;
use std::io::Write;

/// Lists the tasks that wait for `loom watch`, adds one, or takes one off.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists them, the next first, as without a word.
    List,
    /// Puts a task behind all others.
    Add(crate::task::TaskArguments),
    /// Takes a task off.
    Remove {
        /// Its name in the list.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    tasks: Vec<TaskJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TaskJson {
    name: String,
    task: String,
}

/// Answers `loom queue`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let queue = Queue::of(&project::find(global.dir.as_deref())?);
    let said = match &arguments.what {
        None | Some(What::List) => None,
        Some(What::Add(task)) => {
            by_person(&environment)?;
            let task = task.read()?;
            check_task(&task)?;
            Some(format!("{} waits", queue.add(&task)?))
        }
        Some(What::Remove { name }) => {
            by_person(&environment)?;
            queue.remove(name)?;
            Some(format!("{name} is taken off"))
        }
    };
    let read = |name: String| {
        queue.read(&name).inspect_err(|error| output.warn(&format!("task {name} cannot be begun: {error}"))).ok()
    };
    let tasks: Vec<_> = queue.names()?.into_iter().filter_map(read).collect();
    if output.json {
        let tasks = tasks.into_iter().map(|task| TaskJson { name: task.name, task: task.text }).collect();
        output.document(&Document { loom: "queue/1", tasks })?;
    } else if let Some(said) = said {
        writeln!(output.out, "{}", clean(&said))?;
    } else if tasks.is_empty() {
        writeln!(output.out, "no task waits")?;
    } else {
        for task in tasks {
            let first = task.text.lines().next().unwrap_or_default();
            writeln!(output.out, "{ID}{}{ID:#}  {FAINT}{}{FAINT:#}", clean(&task.name), clip(first, 100))?;
        }
    }
    Ok(Exit::Ok)
}
