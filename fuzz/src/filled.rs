//! A store with a run in it.

use loom_core::id::Stamp;
use loom_sim::{moves, process};
use loom_store::{Append, RedbStore, Store};
use std::path::Path;

/// Makes a store in a folder and returns it with the bytes of its events, in order.
///
/// # Panics
/// Where the folder has one already, or cannot be written.
pub fn fill(dir: &Path) -> (RedbStore, Vec<Vec<u8>>) {
    let origin = loom_core::origin::create([7; 16], "0.1.0", Stamp { ms: 1, counter: 0 });
    let store = RedbStore::create(dir, &origin).expect("the store is created");
    let mut events: Vec<Vec<u8>> = origin.events().iter().map(|event| event.bytes.clone()).collect();
    let process = &process::all()[0];
    let mut checked = process.open().expect("the explored processes open");
    for _ in 0..12 {
        store.append(vec![Append::from(&checked)]).remove(0).expect("the commit is appended");
        events.extend(checked.events().iter().map(|event| event.bytes.clone()));
        let run = checked.into_next();
        let all = moves::all(&run, process.repertoire);
        let next = all.iter().find_map(|one| loom_core::step(&run, moves::input(&run, one)).ok());
        checked = next.expect("some move commits");
    }
    (store, events)
}
