//! Reads a work folder whole, on all processors.
//!
//! A visitor judges each entry of each folder; what it takes is named by content, or by what an earlier reading found in
//! the same file. The same file is one whose number, size and both times are the same, and which had been still for
//! [`SETTLED`] when they were noted: no process sets the time of its last change, and this note is in our memory alone.
//! Never: follows a symbolic link, opens what is not a file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::content;
use crate::error::{Error, file};
use crate::object_id::ObjectFormat;
use crate::tree::{Entry, Mode};
use crate::work_folder::list;

/// Longer than the steps of any file system's clock.
const SETTLED: Duration = Duration::from_secs(2);
/// More threads than this wait for the disk.
const THREADS_MAX: usize = 8;
/// Files that one thread takes at once.
const FILES_AT_ONCE: usize = 128;

/// What a visitor says of an entry.
pub(crate) enum Visit {
    /// It is left alone.
    Leave,
    /// It is a folder; its entries are visited with this mark.
    Enter(bool),
    /// It is a file or a link, which is to be named.
    Take,
}

/// Judges entries of a work folder, on several threads.
pub(crate) trait Visitor: Sync {
    /// `path` is that inside of the work folder, `mark` that of the folder which it is in.
    fn visit(&self, path: &[u8], metadata: &Metadata, mark: bool) -> Result<Visit, Error>;
}

/// A file or link as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    /// By what it is known again without reading it.
    known_by: Option<Stat>,
}

/// What one who changes a file cannot leave as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    device: u64,
    number: u64,
    mode: u32,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stat {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            number: metadata.ino(),
            mode: metadata.mode(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a change after `now` shows for sure.
    fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds)) else { return false };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        now.duration_since(changed).is_ok_and(|still| still >= SETTLED)
    }
}

/// What a work folder holds, as far as the visitor took it.
pub(crate) type Reading = BTreeMap<Vec<u8>, Found>;

/// Reads the folder `work`. Files that `earlier` knows are not read again.
pub(crate) fn read(
    work: &Path,
    format: ObjectFormat,
    visitor: &dyn Visitor,
    earlier: Option<&Reading>,
) -> Result<Reading, Error> {
    let reader = Reader {
        work,
        format,
        visitor,
        earlier,
        now: SystemTime::now(),
        queue: Mutex::default(),
        turn: Condvar::new(),
    };
    reader.lock().tasks.push(Task::Folder(Vec::new(), false));
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX);
    let parts: Vec<Result<Vec<_>, Error>> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| reader.work())).collect();
        let first = reader.work();
        let joined =
            others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        [first].into_iter().chain(joined).collect()
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>, Error>>()?;
    Ok(parts.into_iter().flatten().collect())
}

enum Task {
    Folder(Vec<u8>, bool),
    Files(Vec<(Vec<u8>, Metadata)>),
}

#[derive(Default)]
struct Queue {
    tasks: Vec<Task>,
    busy: usize,
    has_failed: bool,
}

struct Reader<'a> {
    work: &'a Path,
    format: ObjectFormat,
    visitor: &'a dyn Visitor,
    earlier: Option<&'a Reading>,
    now: SystemTime,
    queue: Mutex<Queue>,
    turn: Condvar,
}

impl Reader<'_> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does tasks until there are none and nobody is at one that could bring more.
    fn work(&self) -> Result<Vec<(Vec<u8>, Found)>, Error> {
        let mut found = Vec::new();
        while let Some(task) = self.next() {
            let mut at_work = AtWork { reader: self, has_failed: true };
            self.perform(task, &mut found)?;
            at_work.has_failed = false;
        }
        Ok(found)
    }

    fn next(&self) -> Option<Task> {
        let mut queue = self.lock();
        loop {
            if queue.has_failed {
                return None;
            }
            if let Some(task) = queue.tasks.pop() {
                queue.busy += 1;
                return Some(task);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn perform(&self, task: Task, found: &mut Vec<(Vec<u8>, Found)>) -> Result<(), Error> {
        let (folder, mark) = match task {
            Task::Folder(folder, mark) => (folder, mark),
            Task::Files(files) => return files.into_iter().try_for_each(|file| self.name(file, found)),
        };
        let mut taken = Vec::new();
        for (path, metadata) in list(self.work, &folder)? {
            match self.visitor.visit(&path, &metadata, mark)? {
                Visit::Leave => {}
                Visit::Enter(mark) => self.share(Task::Folder(path, mark)),
                Visit::Take => taken.push((path, metadata)),
            }
            if taken.len() == FILES_AT_ONCE {
                self.share(Task::Files(std::mem::take(&mut taken)));
            }
        }
        // In order, a folder's files are put among all others in few steps.
        taken.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken.into_iter().try_for_each(|file| self.name(file, found))
    }

    fn share(&self, task: Task) {
        self.lock().tasks.push(task);
        self.turn.notify_one();
    }

    fn name(&self, (path, metadata): (Vec<u8>, Metadata), found: &mut Vec<(Vec<u8>, Found)>) -> Result<(), Error> {
        let stat = Stat::of(&metadata);
        let known = self.earlier.and_then(|earlier| earlier.get(&path)).filter(|found| found.known_by == Some(stat));
        if let Some(known) = known {
            found.push((path, *known));
            return Ok(());
        }
        let place = self.work.join(OsStr::from_bytes(&path));
        match self.entry(&place, &metadata) {
            Ok(entry) => found.push((path, Found { entry, known_by: stat.is_settled(self.now).then_some(stat) })),
            // It vanished since it was listed: it is absent.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file("read", &place)(error)),
        }
        Ok(())
    }

    fn entry(&self, place: &Path, metadata: &Metadata) -> io::Result<Entry> {
        if metadata.is_symlink() {
            let target = fs::read_link(place)?;
            return Ok(Entry { mode: Mode::Link, id: content::of_link(self.format, target.as_os_str())? });
        }
        let mode = if metadata.mode() & 0o100 == 0 { Mode::File } else { Mode::Executable };
        Ok(Entry { mode, id: content::of_file(self.format, place)? })
    }
}

/// A task that is being done; whoever waits for more hears of its end, however it ends.
struct AtWork<'a> {
    reader: &'a Reader<'a>,
    has_failed: bool,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut queue = self.reader.lock();
        queue.busy -= 1;
        queue.has_failed |= self.has_failed;
        drop(queue);
        self.reader.turn.notify_all();
    }
}
