//! A disk that can be switched off, fail and run full; what is not synced when it goes off may come back in any shape.

use super::sample::Dice;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write(offset, data) => write(content, *offset, data),
            Change::Length(length) => content.resize(*length, 0),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    seen: Vec<u8>,
    unsynced: Vec<Change>,
    operations: u64,
    operations_left: Option<u64>,
    failures_left: u64,
    forgets_syncs: bool,
    room: Option<usize>,
    refused: u64,
}

/// A disk shared between the test and the store.
#[derive(Debug, Clone, Default)]
pub struct Platter(Arc<Mutex<State>>);

impl Platter {
    /// Opens the disk, as each open of a store does.
    pub fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut state = self.0.lock().unwrap();
        match state.operations_left {
            Some(0) => {
                state.operations += 1;
                Err(io::Error::other("the power is off"))
            }
            _ => Ok(Box::new(self.clone())),
        }
    }

    /// Switches the power off after so many further writes, syncs and changes of length.
    pub fn die_after(&self, operations: u64) {
        self.0.lock().unwrap().operations_left = Some(operations);
    }

    /// Keeps the power on from here on.
    pub fn keep_on(&self) {
        self.0.lock().unwrap().operations_left = None;
    }

    /// Returns how many writes, syncs and changes of length were tried, and opens while the power was off.
    pub fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    /// Lies from here on: a sync is answered and makes nothing durable.
    pub fn forget_syncs(&self) {
        self.0.lock().unwrap().forgets_syncs = true;
    }

    /// Lets the next `count` operations that change something fail.
    pub fn fail(&self, count: u64) {
        self.0.lock().unwrap().failures_left = count;
    }

    /// Bounds the length of the file.
    pub fn limit(&self, room: Option<usize>) {
        self.0.lock().unwrap().room = room;
    }

    /// Returns the length of the file.
    pub fn length(&self) -> usize {
        self.0.lock().unwrap().seen.len()
    }

    /// Returns how many operations were refused or failed.
    pub fn refused(&self) -> u64 {
        self.0.lock().unwrap().refused
    }

    /// Returns the disk as it comes back: everything synced, and of the rest any part, torn and in any order.
    pub fn after_power_loss(&self, dice: &mut Dice) -> Platter {
        let state = self.0.lock().unwrap();
        let (mut content, mut left) = (state.durable.clone(), state.unsynced.clone());
        let keep_of_16 = dice.below(17);
        let in_order = dice.below(2) == 0;
        while !left.is_empty() {
            let at = if in_order { 0 } else { dice.below(left.len() as u64) as usize };
            let change = left.remove(at);
            if dice.below(16) >= keep_of_16 {
                continue;
            }
            match change {
                Change::Write(offset, data) if dice.below(8) == 0 => {
                    let (start, end) =
                        (dice.below(data.len() as u64) as usize, dice.below(data.len() as u64 + 1) as usize);
                    let (start, end) = (start.min(end), start.max(end));
                    write(&mut content, offset + start, &data[start..end]);
                }
                whole => whole.apply(&mut content),
            }
        }
        Platter(Arc::new(Mutex::new(State { durable: content.clone(), seen: content, ..State::default() })))
    }

    fn change(&self, change: Option<Change>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.operations += 1;
        let result = state.allow(&change);
        match (&result, change) {
            (Err(_), _) => state.refused += 1,
            (Ok(()), None) if state.forgets_syncs => {}
            (Ok(()), None) => {
                for change in std::mem::take(&mut state.unsynced) {
                    change.apply(&mut state.durable);
                }
            }
            (Ok(()), Some(change)) => {
                change.apply(&mut state.seen);
                state.unsynced.push(change);
            }
        }
        result
    }
}

impl State {
    fn allow(&mut self, change: &Option<Change>) -> io::Result<()> {
        match &mut self.operations_left {
            Some(0) => return Err(io::Error::other("the power is off")),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.failures_left > 0 {
            self.failures_left -= 1;
            return Err(io::Error::other("the disk says no"));
        }
        let end = match change {
            None => 0,
            Some(Change::Write(offset, data)) => offset + data.len(),
            Some(Change::Length(length)) => *length,
        };
        match self.room {
            Some(room) if end > room && end > self.seen.len() => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if content.len() < offset + data.len() {
        content.resize(offset + data.len(), 0);
    }
    content[offset..offset + data.len()].copy_from_slice(data);
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let offset = offset as usize;
        let found = state.seen.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Some(Change::Length(len as usize)))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.change(None)
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Some(Change::Write(offset as usize, data.to_vec())))
    }
}
