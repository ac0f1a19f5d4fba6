//! A holder and its clients, over a real socket.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

#[macro_use]
#[path = "../../../tools/tests/it/missing.rs"]
mod missing;

mod following;
mod relay;

use loom_server::{Holder, RemoteStore, socket_of};
use loom_store::conformance::{assert_equal, sample, suite};
use loom_store::{AppendError, MemoryStore, RedbStore, Store, StoreError};
use relay::Relay;
use sample::{Author, Dice};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Tells a test below, run as a child, where to ask.
const SOCKET_VARIABLE: &str = "TEST_HOLDER_SOCKET";
/// A user who owns nothing.
const NOBODY: u32 = 65_534;

#[test]
fn what_is_read_through_a_holder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    suite(&|| {
        next.set(next.get() + 1);
        Arc::new(Relay::new(folder.path().join(next.get().to_string())))
    });
}

/// SERVER-3.
#[test]
fn a_client_reads_a_store_that_is_held_and_grows() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let store: Arc<dyn Store> = Arc::new(RedbStore::create(&dir, &sample::origin()).unwrap());
    assert!(matches!(RedbStore::open_to_read(&dir), Err(StoreError::Held { .. })));
    let socket = socket_of(folder.path(), &dir).unwrap();
    let holder = Holder::listen(socket.clone(), store.clone(), None).unwrap();
    let client = RemoteStore::connect(&socket).unwrap();
    let mut author = Author::new(1);
    let mut dice = Dice::new(5);
    store.append(vec![author.open()]).remove(0).unwrap();
    for _ in 0..40 {
        store.append(vec![author.anything(&mut dice)]).remove(0).unwrap();
    }
    assert_equal(store.as_ref(), &client);
    let file = folder.path().join("backup");
    let kept = loom_store::backup(&client, &file).unwrap();
    assert_eq!((kept.events, kept.root), store.tree_head().unwrap());
    let refused = client.append(vec![author.anything(&mut dice)]).remove(0);
    assert!(matches!(refused, Err(AppendError::Store(StoreError::ReadOnly))));

    drop(holder);
    let gone = client.health().unwrap_err();
    assert_eq!(gone.to_string(), "the store's holder cannot be reached");
    assert!(!socket.exists());
    drop(store);
    RedbStore::open(&dir).expect("the holder let the store go");
}

#[test]
fn a_holder_that_never_answers_is_not_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("stopped");
    // Connections queue up at it, as they do at a process that was stopped.
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = RemoteStore::connect_within(&socket, 50).err().unwrap();
    assert_eq!(error.to_string(), "the store's holder cannot answer");
}

#[test]
fn damage_keeps_its_place_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let store = RedbStore::create(&dir, &sample::origin()).unwrap();
    let mut author = Author::new(1);
    store.append(vec![author.open()]).remove(0).unwrap();
    for _ in 0..20 {
        store.append(vec![author.steer(loom_core::commit::Blob::stored(vec![3; 9]))]).remove(0).unwrap();
    }
    drop(store);
    let path = dir.join("store.redb");
    let mut bytes = fs::read(&path).unwrap();
    let target = author.events[7].id.0;
    let named: Vec<usize> = (0..bytes.len() - 32).filter(|at| bytes[*at..*at + 32] == target).collect();
    assert!(!named.is_empty(), "the next event names it");
    named.into_iter().for_each(|at| bytes[at] ^= 1);
    fs::write(&path, bytes).unwrap();
    let store: Arc<dyn Store> = match RedbStore::open(&dir) {
        Ok(store) => Arc::new(store),
        Err(_) => Arc::new(RedbStore::open_damaged(&dir).unwrap()),
    };
    let socket = folder.path().join("socket");
    let _holder = Holder::listen(socket.clone(), store.clone(), None).unwrap();
    let client = RemoteStore::connect(&socket).unwrap();
    let (Err(StoreError::Damaged(here)), Err(StoreError::Damaged(there))) =
        (store.read(author.stream, 0, usize::MAX), client.read(author.stream, 0, usize::MAX))
    else {
        panic!("both see the damage");
    };
    assert_eq!(here, there);
    assert!(here.position.is_some());
}

#[test]
fn the_socket_is_its_owners_alone_and_a_dead_holders_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    fs::create_dir(&dir).unwrap();
    let socket = socket_of(&folder.path().join("state"), &dir).unwrap();
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists() && RemoteStore::connect(&socket).is_err());
    let store = Arc::new(MemoryStore::create(&sample::origin()));
    let _holder = Holder::listen(socket.clone(), store, None).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(RemoteStore::connect(&socket).unwrap().size(), 1);
}

#[test]
fn a_process_that_descends_from_a_spawn_is_not_answered() {
    if let Some(socket) = std::env::var_os(SOCKET_VARIABLE) {
        let refused = RemoteStore::connect(socket.as_ref()).err().expect("refused");
        let StoreError::Io { source, .. } = refused else { panic!("{refused}") };
        assert!(source.to_string().contains("descends from spawn or check 7"), "{source}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let _holder = Holder::listen(socket.clone(), Arc::new(MemoryStore::create(&sample::origin())), None).unwrap();
    assert!(RemoteStore::connect(&socket).is_ok());
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_descends_from_a_spawn_is_not_answered"])
        .env("LOOM_SPAWN", "7")
        .env(SOCKET_VARIABLE, &socket)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

/// Asks for a path and returns the first line of the answer.
fn status_of(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: loom\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_string()
}

#[test]
fn another_user_is_not_answered_whatever_is_asked() {
    if let Some(socket) = std::env::var_os(SOCKET_VARIABLE) {
        for path in ["/v1/health", "/v1/runs?max=1", "/no-such-path"] {
            assert_eq!(status_of(socket.as_ref(), path), "HTTP/1.1 403 Forbidden", "{path}");
        }
        let refused = RemoteStore::connect(socket.as_ref()).err().expect("refused");
        let StoreError::Io { source, .. } = refused else { panic!("{refused}") };
        let told = format!("this store answers its own user only, not uid {NOBODY}");
        assert!(source.to_string().contains(&told), "{source}");
        println!("it was refused");
        return;
    }
    needs!("cp");
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return missing::skip("a second user", "run the tests as root");
    }
    let folder = tempfile::tempdir().unwrap();
    let (socket, binary) = (folder.path().join("socket"), folder.path().join("asks"));
    let _holder = Holder::listen(socket.clone(), Arc::new(MemoryStore::create(&sample::origin())), None).unwrap();
    assert_eq!(status_of(&socket, "/v1/health"), "HTTP/1.1 200 OK");
    // The modes would keep it out before it could ask.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).unwrap();
    // Not copied by this process: a child that another test starts meanwhile would hold it open for writing.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&binary).status().unwrap();
    assert!(copied.success());
    let mut child = Command::new(&binary);
    child.args(["--exact", "another_user_is_not_answered_whatever_is_asked", "--nocapture"]);
    child.env(SOCKET_VARIABLE, &socket).current_dir("/").uid(NOBODY).gid(NOBODY);
    let child = child.output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("it was refused"), "{said}");
}
