//! A task as people hand it over: on the command line, in a file, or by standard input.

use crate::error::CliError;
use loom_host::request::TASK_BYTES_MAX;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where a task is.
#[derive(Debug, clap::Args)]
pub(crate) struct TaskArguments {
    /// The task; `-` reads it from standard input.
    #[arg(value_name = "TASK", required_unless_present = "file")]
    task: Option<String>,
    /// A file with the task; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "task")]
    file: Option<PathBuf>,
}

impl TaskArguments {
    /// Reads the task from where it is.
    pub(crate) fn read(&self) -> Result<String, CliError> {
        // One byte more than a task may have: what is longer is refused where tasks are, and nothing endless is read.
        let most = TASK_BYTES_MAX as u64 + 1;
        let mut bytes = Vec::new();
        let failed =
            |path: &Path, source| CliError::File { doing: "read the task in", path: path.to_path_buf(), source };
        match (&self.file, self.task.as_deref()) {
            (Some(path), _) if path.as_os_str() != "-" => {
                let file = std::fs::File::open(path).map_err(|source| failed(path, source))?;
                file.take(most).read_to_end(&mut bytes).map_err(|source| failed(path, source))?;
            }
            (Some(_), _) | (None, Some("-")) => {
                let stdin = Path::new("standard input");
                std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|source| failed(stdin, source))?;
            }
            (None, task) => bytes.extend_from_slice(task.unwrap_or_default().as_bytes()),
        }
        String::from_utf8(bytes).map_err(|_| CliError::TaskNotText)
    }
}
