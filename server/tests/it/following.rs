//! Following: events as they come, without a gap, and without holding up anybody (SERVER-6).

use crate::sample::{self, Author, Dice};
use loom_core::id::{StreamId, hex};
use loom_server::{Holder, RemoteStore, Told};
use loom_store::{MemoryStore, Store, Stored};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    store: Arc<dyn Store>,
    author: Author,
    dice: Dice,
}

impl Place {
    fn new() -> (Self, Holder) {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::create(&sample::origin()));
        let place = Place { folder, store: store.clone(), author: Author::new(1), dice: Dice::new(5) };
        let holder = Holder::listen(place.socket(), store, None).unwrap();
        (place, holder)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Puts a run on record and so many commits more.
    fn write(&mut self, commits: usize) {
        if self.store.size() == 1 {
            self.store.append(vec![self.author.open()]).remove(0).unwrap();
        }
        for _ in 0..commits {
            self.store.append(vec![self.author.anything(&mut self.dice)]).remove(0).unwrap();
        }
    }

    fn stream(&self) -> StreamId {
        self.store.runs(1).unwrap()[0].stream
    }

    fn recorded(&self) -> Vec<Stored> {
        self.store.read(self.stream(), 0, usize::MAX).unwrap()
    }
}

/// Follows until so many events have come.
fn followed(client: &RemoteStore, stream: StreamId, from: u64, count: usize) -> Vec<Stored> {
    let mut found = Vec::new();
    client
        .follow(Some(stream), from, &mut |told| {
            found.extend(match told {
                Told::Event(stored) => Some(stored),
                Told::Live { .. } | Told::Sign => None,
            });
            if found.len() < count { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    found
}

#[test]
fn events_come_as_they_are_recorded() {
    let (mut place, _holder) = Place::new();
    place.write(3);
    let (stream, before) = (place.stream(), place.recorded().len());
    let client = RemoteStore::connect(&place.socket()).unwrap();
    let found = std::thread::scope(|scope| {
        let follower = scope.spawn(|| followed(&client, stream, 0, before + 20));
        place.write(20);
        follower.join().unwrap()
    });
    assert_eq!(found[..], place.recorded()[..found.len()]);
    let later = followed(&client, stream, 7, 5);
    assert_eq!(later[..], place.recorded()[7..7 + later.len()]);
}

/// Asks as a browser does, and returns the ids of the first events.
fn ids(place: &Place, path: &str, headers: &str, count: usize) -> Vec<u64> {
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: loom\r\n{headers}\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "HTTP/1.1 200 OK");
    assert!(lines.any(|line| line == "content-type: text/event-stream"));
    lines.filter_map(|line| line.strip_prefix("id: ").map(|id| id.parse().unwrap())).take(count).collect()
}

#[test]
fn whoever_comes_back_misses_nothing_and_hears_nothing_twice() {
    let (mut place, _holder) = Place::new();
    place.write(10);
    let path = format!("/v1/streams/{}/follow", hex(&place.stream().0));
    assert_eq!(ids(&place, &path, "", 4), [0, 1, 2, 3]);
    assert_eq!(ids(&place, &path, "Last-Event-ID: 3\r\n", 4), [4, 5, 6, 7]);
    assert_eq!(ids(&place, &format!("{path}?from=2"), "", 2), [2, 3]);
    // Of the whole store, an id is a position.
    assert_eq!(ids(&place, "/v1/follow?from=5", "", 3), [5, 6, 7]);
}

#[test]
fn followers_that_do_not_read_hold_up_nobody() {
    let (mut place, holder) = Place::new();
    place.write(1);
    let stream = place.stream();
    let of_run = format!("/v1/streams/{}/follow", hex(&stream.0));
    let follow = |path: &str| {
        let mut slow = UnixStream::connect(place.socket()).unwrap();
        write!(slow, "GET {path} HTTP/1.1\r\nhost: loom\r\n\r\n").unwrap();
        slow.read_exact(&mut [0; 12]).unwrap();
        slow
    };
    let mut slow: Vec<UnixStream> = ["/v1/follow", &of_run].repeat(4).into_iter().map(follow).collect();
    // More than any buffer between the two takes: were the writer to wait for one of them, this would not end.
    place.write(4_000);
    let recorded = place.recorded();
    assert!(recorded.iter().map(|stored| stored.event.bytes.len()).sum::<usize>() > 500_000);
    let client = RemoteStore::connect(&place.socket()).unwrap();
    let found = followed(&client, stream, 0, recorded.len());
    assert!(found == recorded);
    // Once it reads it is told everything, at its own pace.
    let lines = BufReader::new(slow.pop().unwrap()).lines().map(Result::unwrap);
    let ids = lines.filter_map(|line| line.strip_prefix("id: ").map(|id| id.parse::<usize>().unwrap()));
    assert!(ids.take(recorded.len()).eq(0..recorded.len()));
    // Nor do the others keep the holder from ending.
    drop(holder);
}

#[test]
fn the_holders_end_is_told() {
    let (mut place, holder) = Place::new();
    place.write(1);
    let client = RemoteStore::connect(&place.socket()).unwrap();
    let (stream, mut holder) = (place.stream(), Some(holder));
    let ended = client.follow(Some(stream), 0, &mut |_| {
        drop(holder.take());
        ControlFlow::Continue(())
    });
    assert!(ended.is_err(), "{ended:?}");
}

#[test]
fn more_followers_than_it_has_threads_for_are_told_so() {
    let (mut place, _holder) = Place::new();
    place.write(1);
    let path = format!("/v1/streams/{}/follow", hex(&place.stream().0));
    let ask = || {
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: loom\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (String::from_utf8_lossy(&status).into_owned(), stream)
    };
    let mut kept: Vec<UnixStream> = Vec::new();
    let refused = (0..100).map(|_| ask()).find_map(|(status, stream)| {
        kept.push(stream);
        (status != "HTTP/1.1 200").then_some(status)
    });
    assert_eq!((refused.as_deref(), kept.len()), (Some("HTTP/1.1 503"), 65));
}
