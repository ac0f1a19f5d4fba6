//! A store on a disk whose power goes when the process dies: what was not synced comes back torn, in part, in another
//! order, or not at all.

use super::point::Points;
use loom_core::commit::Checked;
use loom_store::conformance::platter::Platter;
use loom_store::conformance::sample::Dice;
use loom_store::{RedbStore, StoreError};
use std::path::Path;

/// The power went.
#[derive(Debug)]
pub(crate) struct Off;

/// The disk, and the folder of the store's large blobs.
pub(crate) struct Disk {
    platter: Platter,
    folder: tempfile::TempDir,
    origin: Checked<()>,
    forgets_syncs: bool,
}

impl Disk {
    /// Creates a store on a new disk.
    ///
    /// Panics where there is no folder for temporary files, or no store can be made on a sound disk.
    pub(crate) fn create(origin: Checked<()>, forgets_syncs: bool) -> (Self, RedbStore) {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let disk = Disk { platter: Platter::default(), folder, origin, forgets_syncs };
        let store = open(disk.folder.path(), &disk.origin, &disk.platter).expect("a sound disk takes a store");
        if forgets_syncs {
            disk.platter.forget_syncs();
        }
        (disk, store)
    }

    /// Does `work`; each operation of the disk in it is a point, and the power goes at the one that is chosen.
    pub(crate) fn within<T>(&self, points: &Points, work: impl FnOnce() -> T) -> Result<T, Off> {
        let (left, before) = (points.left(), self.platter.operations());
        if let Some(left) = left {
            self.platter.die_after(left);
        }
        let done = work();
        let operations = self.platter.operations() - before;
        match left {
            Some(left) if operations > left => {
                points.skip(left + 1);
                Err(Off)
            }
            _ => {
                self.platter.keep_on();
                points.skip(operations);
                Ok(done)
            }
        }
    }

    /// Returns the store as it comes back after the power went; it may go again on the way.
    pub(crate) fn come_back(&mut self, points: &Points, seed: u64) -> Result<RedbStore, StoreError> {
        let mut dice = Dice::new(seed);
        loop {
            self.platter = self.platter.after_power_loss(&mut dice);
            let opened = self.within(points, || open(self.folder.path(), &self.origin, &self.platter));
            if let Ok(opened) = opened {
                if self.forgets_syncs {
                    self.platter.forget_syncs();
                }
                return opened;
            }
        }
    }

    /// Ends what the disk still takes from the store that was opened last.
    pub(crate) fn switch_off(&self) {
        self.platter.die_after(0);
    }
}

fn open(folder: &Path, origin: &Checked<()>, platter: &Platter) -> Result<RedbStore, StoreError> {
    let platter = platter.clone();
    RedbStore::open_on(folder, origin, move || platter.open())
}
