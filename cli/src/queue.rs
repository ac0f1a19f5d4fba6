//! Tasks that wait for whoever drives unattended: one file each in `.loom/queue`, taken in the order of their names.
//!
//! A task is taken by opening a run whose request id derives from the file's name and text, and then put aside: whoever
//! dies between the two finds the same run again.

use crate::error::CliError;
use loom_core::id::digest;
use loom_host::request::TASK_BYTES_MAX;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// The folder, in the store's.
const FOLDER: &str = "queue";
/// Where tasks go that were taken, in that folder.
const TAKEN: &str = "taken";
/// Context of the request ids of tasks.
const REQUEST_CONTEXT: &str = "loom 2026-11 queue request v1";

/// The queue of a store.
pub(crate) struct Queue {
    folder: PathBuf,
}

/// A task that waits.
pub(crate) struct Task {
    /// The file's name.
    pub(crate) name: String,
    /// What is asked for.
    pub(crate) text: String,
}

impl Task {
    /// Returns the id of the request that opens its run.
    pub(crate) fn request(&self) -> Vec<u8> {
        digest(REQUEST_CONTEXT, &[self.name.as_bytes(), self.text.as_bytes()]).0[..16].to_vec()
    }
}

impl Queue {
    /// Returns the queue of the store in a folder.
    pub(crate) fn of(store_folder: &Path) -> Self {
        Queue { folder: store_folder.join(FOLDER) }
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts a task behind all others and returns its name.
    pub(crate) fn add(&self, text: &str) -> Result<String, CliError> {
        fs::create_dir_all(&self.folder).map_err(file("make", &self.folder))?;
        let used = [self.folder.clone(), self.folder.join(TAKEN)];
        let used = used.iter().map(|folder| names(folder)).collect::<Result<Vec<_>, _>>()?.concat();
        let number = |name: &String| name.split('-').next().and_then(|number| number.parse::<u64>().ok());
        let mut next = used.iter().filter_map(number).max().unwrap_or(0) + 1;
        loop {
            let name = format!("{next:06}-task.md");
            let path = self.folder.join(&name);
            // A name of its own until it is whole: nobody takes half a task.
            let draft = self.folder.join(format!(".{name}.{}", std::process::id()));
            let written = File::create(&draft).and_then(|mut draft| {
                draft.write_all(text.as_bytes())?;
                draft.sync_all()
            });
            written.map_err(file("write", &draft))?;
            let linked = fs::hard_link(&draft, &path);
            // What is left of it is passed over by its name.
            let _left = fs::remove_file(&draft);
            match linked {
                Ok(()) => return Ok(name),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => next += 1,
                Err(error) => return Err(file("write", &path)(error)),
            }
        }
    }

    /// Returns the names of the tasks that wait, the next first.
    pub(crate) fn names(&self) -> Result<Vec<String>, CliError> {
        names(&self.folder)
    }

    /// Reads a task.
    pub(crate) fn read(&self, name: &str) -> Result<Task, CliError> {
        let path = self.folder.join(name);
        let mut bytes = Vec::new();
        let opened = File::open(&path).and_then(|found| found.take(TASK_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
        opened.map_err(file("read the task in", &path))?;
        let text = String::from_utf8(bytes).map_err(|_| CliError::TaskNotText)?;
        Ok(Task { name: name.to_string(), text })
    }

    /// Puts a task aside. Of one that was begun only its name is kept: its text is on record, without the secrets in it.
    pub(crate) fn taken(&self, name: &str, was_begun: bool) -> Result<(), CliError> {
        let folder = self.folder.join(TAKEN);
        fs::create_dir_all(&folder).map_err(file("make", &folder))?;
        let path = self.folder.join(name);
        let aside = if was_begun {
            File::create(folder.join(name)).and_then(|_| fs::remove_file(&path))
        } else {
            fs::rename(&path, folder.join(name))
        };
        aside.map_err(file("put aside", &path))
    }

    /// Takes a task off the queue.
    pub(crate) fn remove(&self, name: &str) -> Result<(), CliError> {
        let path = self.folder.join(name);
        let is_listed = self.names()?.iter().any(|listed| listed == name);
        if !is_listed {
            return Err(file("find the task", &path)(ErrorKind::NotFound.into()));
        }
        fs::remove_file(&path).map_err(file("remove", &path))
    }
}

/// Returns the names of the files in a folder, in order; none where it is not there.
fn names(folder: &Path) -> Result<Vec<String>, CliError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(file("list", folder))?;
        // A file that cannot be named is none of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.starts_with('.') && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn file<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> CliError + 'a {
    move |source| CliError::File { doing, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_taken_in_the_order_in_which_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::of(folder.path());
        assert!(queue.names().unwrap().is_empty());
        for text in ["first", "second", "third"] {
            queue.add(text).unwrap();
        }
        queue.remove("000002-task.md").unwrap();
        assert!(queue.remove("000002-task.md").is_err());
        assert!(queue.remove("../queue/000001-task.md").is_err());
        let first = queue.read("000001-task.md").unwrap();
        assert_eq!((first.text.as_str(), first.request().len()), ("first", 16));
        queue.taken(&first.name, true).unwrap();
        assert_eq!(queue.names().unwrap(), ["000003-task.md"]);
        queue.taken("000003-task.md", false).unwrap();
        let left = |name: &str| fs::read_to_string(folder.path().join("queue/taken").join(name)).unwrap();
        assert_eq!((left("000001-task.md").as_str(), left("000003-task.md").as_str()), ("", "third"));
        // A name is never used twice: equal tasks are different runs.
        assert_eq!(queue.add("first").unwrap(), "000004-task.md");
    }
}
