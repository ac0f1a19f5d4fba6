//! A store that another process holds: everybody else reads through it.

use crate::rig::Place;
use loom_server::{Holder, socket_of};
use loom_store::{RedbStore, Store};
use std::sync::Arc;

const READING: &[&str] = &[
    "status --json",
    "log",
    "log --jsonl --kind spawn.requested",
    "log -n 3",
    "show run:last --json",
    "show @",
    "at @ --json",
    "verify --json",
    "rules list --json",
    "history --json",
    "why --json",
    "why",
];

#[test]
fn what_is_read_through_the_holder_is_what_would_be_read_from_the_file() {
    let place = Place::usual();
    let state = place.path().join("state");
    let read = |arguments: &str| {
        let output = place.command(arguments).env("LOOM_STATE_DIR", &state).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let mut before: Vec<_> = READING.iter().map(|arguments| read(arguments)).collect();
    // That somebody drives is the one difference.
    assert!(before[0].1.contains("\"interrupted\""), "{}", before[0].1);
    before[0].1 = before[0].1.replace("\"interrupted\"", "\"running\"");

    let store: Arc<dyn Store> = Arc::new(RedbStore::open(&place.store_folder()).unwrap());
    let (code, _, said) = read("status");
    assert_eq!(code, Some(9), "nobody listens: {said}");
    assert!(said.contains(&format!("held by process {}", std::process::id())), "{said}");

    let socket = socket_of(&state, &place.store_folder()).unwrap();
    let _holder = Holder::listen(socket, store.clone(), None).unwrap();
    for (arguments, before) in READING.iter().zip(before) {
        assert_eq!(before.0, Some(0), "{arguments}: {}", before.2);
        assert_eq!(read(arguments), before, "{arguments}");
    }

    let (code, _, said) = read("backup kept");
    assert_eq!(code, Some(0), "{said}");
    let other = Place::empty();
    let file = place.path().join("kept");
    let restored = other.command("restore").arg(&file).output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(other.store().tree_head().unwrap(), store.tree_head().unwrap());

    let (code, _, said) = read("gc");
    assert_eq!(code, Some(9), "blobs are not collected under a writer: {said}");
}
