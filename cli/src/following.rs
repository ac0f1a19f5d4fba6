//! Follows a log as it grows: through whoever holds the store, or by looking at the file while nobody does.
//!
//! A holder that ends is no end: the next one, or the file, goes on where it left off. Nothing is told twice or left out.

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project::{FILE, ask_holder};
use crate::status::{self, Onlooker};
use loom_core::id::StreamId;
use loom_server::Told;
use loom_store::{RedbStore, Store, StoreError, Stored};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often is looked for a holder, and at the file, while nobody holds the store.
const LOOK: Duration = Duration::from_millis(200);
/// Events read at a time.
const BATCH: usize = 256;

/// Shows an event; returns whether nothing is to come after it.
pub(crate) type Show<'a> = dyn FnMut(&Stored, &mut Output) -> Result<bool, CliError> + 'a;

/// Shows what comes from `next` on (a sequence in a run, a position in the store) until nothing is to come.
pub(crate) fn follow(
    folder: &Path,
    (stream, next): (Option<StreamId>, u64),
    quiet: bool,
    output: &mut Output,
    show: &mut Show<'_>,
) -> Result<Exit, CliError> {
    let mut follower = Follower { stream, next, output, show, ended: Ok(false) };
    let mut seen = None;
    loop {
        if let Some(holder) = ask_holder(folder) {
            let mut onlooker = stream.map(|stream| Onlooker::begin(stream, quiet));
            // That it has gone is told by looking for it again.
            let _gone = holder.follow(stream, follower.next, &mut |told| match told {
                Told::Event(stored) => {
                    onlooker.iter_mut().for_each(|onlooker| onlooker.hears(&stored));
                    let _cleared = status::clear();
                    follower.take(&[stored])
                }
                Told::Live { spawn, live } => {
                    onlooker.iter_mut().for_each(|onlooker| onlooker.sees(&holder, spawn, live.clone()));
                    ControlFlow::Continue(())
                }
                Told::Sign => ControlFlow::Continue(()),
            });
            drop(status::clear());
            seen = None;
        } else {
            // It is opened only where it has changed: whoever reads it keeps others from driving.
            let changed = changed(folder);
            if (seen != changed || changed.is_none()) && follower.look(folder)? {
                seen = changed;
            }
            std::thread::sleep(LOOK);
        }
        if std::mem::replace(&mut follower.ended, Ok(false))? {
            return Ok(Exit::Ok);
        }
    }
}

/// Returns when the store's file was last written.
fn changed(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder.join(FILE)).and_then(|found| found.modified()).ok()
}

struct Follower<'a, 'b> {
    stream: Option<StreamId>,
    next: u64,
    output: &'a mut Output,
    show: &'a mut Show<'b>,
    ended: Result<bool, CliError>,
}

impl Follower<'_, '_> {
    fn take(&mut self, events: &[Stored]) -> ControlFlow<()> {
        for stored in events {
            self.next += 1;
            self.ended = (self.show)(stored, self.output);
            if !matches!(self.ended, Ok(false)) {
                break;
            }
        }
        if let (Ok(false), Err(error)) = (&self.ended, self.output.out.flush()) {
            self.ended = Err(error.into());
        }
        if matches!(self.ended, Ok(false)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Takes what the file has; false where somebody holds it just now, who may have written it already.
    fn look(&mut self, folder: &Path) -> Result<bool, CliError> {
        let store = match RedbStore::open_to_read(folder) {
            Ok(store) => store,
            Err(StoreError::Held { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        loop {
            let events = match self.stream {
                Some(stream) => store.read(stream, self.next, BATCH)?,
                None => store.events(self.next, BATCH)?,
            };
            if events.is_empty() || self.take(&events).is_break() {
                return Ok(true);
            }
        }
    }
}
