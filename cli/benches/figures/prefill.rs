//! Fills stores with real runs, 64 at once, so that a large store is what it would be in use.

use crate::instant::{Instant, bundle, opening};
use loom_core::id::Stamp;
use loom_host::Engine;
use loom_host::order::Message;
use loom_host::world::{Machine, World};
use loom_store::{RedbStore, Store};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// An engine over a redb store, with an executor that answers at once.
pub(crate) struct Bench {
    /// The engine.
    pub engine: Engine,
    /// Where outcomes arrive.
    pub inbox: Receiver<Message>,
}

/// Opens an engine over the store in `folder`, which is made where there is none.
pub(crate) fn open(folder: &Path, executor: Instant) -> Bench {
    let origin =
        || loom_core::origin::create(Machine.random(), "bench", Stamp::after(Stamp::default(), Machine.now_ms()));
    let store: Arc<dyn Store> = Arc::new(RedbStore::open_or_create(&folder.join(".loom"), origin).expect("a store"));
    let (outbox, inbox) = channel();
    let engine = Engine::open(store, Box::new(Machine), Arc::new(executor), outbox).expect("an engine");
    Bench { engine, inbox }
}

/// Fills the store in `folder` with whole runs until it has so many events.
pub(crate) fn fill(folder: &Path, events: u64) {
    let mut bench = open(folder, Instant::default());
    let bundle = bundle();
    let mut number = 0;
    while bench.engine.store().size() < events {
        let mut messages: Vec<Message> = bench.inbox.try_iter().take(256).collect();
        while bench.engine.runs().count() + messages.iter().filter(|it| matches!(it, Message::Open(..))).count() < 64 {
            number += 1;
            let (reply, _) = channel();
            messages.push(Message::Open(Box::new(opening(&bundle, number, "standard", "on-blockers")), reply));
        }
        bench.engine.turn(messages).expect("a turn");
    }
    bench.engine.store().catch_up().expect("the index catches up");
}

/// Returns the bytes of the store's pages without those of blobs, and the encoded bytes of its events.
pub(crate) fn stored_bytes(folder: &Path) -> (u64, u64) {
    let store = RedbStore::open(&folder.join(".loom")).expect("the store opens");
    let encoded = store.health().expect("health").encoded_bytes;
    let allocated = store.allocated().expect("pages");
    (allocated.total - allocated.blobs, encoded)
}
