//! How the redb store compares with the plain floor, and how it grows.
//!
//! `cargo bench -p loom-store -- [events] [folder]`. The floor writes the same events and blobs into ascending redb
//! tables with the same durability and nothing else. The store is then left as by kill -9 and opened again.

#![expect(clippy::unwrap_used, reason = "a measurement that fails panics")]

use loom_core::commit::Blob;
use loom_store::conformance::sample::{Author, Dice, origin};
use loom_store::{Append, RedbStore, Store};
use redb::{Builder, Database, TableDefinition};
use std::path::{Path, PathBuf};
use std::time::Instant;

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const BLOBS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blobs");
const SAMPLES: usize = 600;

struct Floor {
    db: Database,
    events: u64,
    blobs: u64,
}

impl Floor {
    fn write(&mut self, commits: &[(Vec<Vec<u8>>, Option<Blob>)]) {
        let mut transaction = self.db.begin_write().unwrap();
        transaction.set_quick_repair(true);
        {
            let mut events = transaction.open_table(EVENTS).unwrap();
            let mut blobs = transaction.open_table(BLOBS).unwrap();
            for (commit, blob) in commits {
                for event in commit {
                    events.insert(self.events, event.as_slice()).unwrap();
                    self.events += 1;
                }
                if let Some(blob) = blob {
                    blobs.insert(self.blobs, blob.bytes.as_slice()).unwrap();
                    self.blobs += 1;
                }
            }
        }
        transaction.commit().unwrap();
    }
}

fn micros(mut samples: Vec<u64>) -> String {
    samples.sort_unstable();
    let mean = samples.iter().sum::<u64>() / samples.len() as u64;
    let (middle, last) = (samples[samples.len() / 2], samples[samples.len() * 99 / 100]);
    format!("p50 {middle} us, p99 {last} us, mean {mean} us")
}

fn middle(samples: &[u64]) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    samples[samples.len() / 2] as f64
}

/// One step's commit: four events; every fourth step brings a blob of 2 KiB.
fn step(author: &mut Author, dice: &mut Dice, number: usize) -> (Append, Vec<Vec<u8>>, Option<Blob>) {
    let blob = number.is_multiple_of(4).then(|| Blob::plain(&dice.bytes(2048)));
    let append = author.spawn(blob.clone().into_iter().collect());
    let events = author.events.drain(..).map(|event| event.bytes).collect();
    (append, events, blob)
}

fn measure(store: &RedbStore, floor: &mut Floor, authors: &mut [Author], dice: &mut Dice) -> (Vec<u64>, Vec<u64>) {
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for number in 0..SAMPLES {
        let count = authors.len();
        let (append, events, blob) = step(&mut authors[number % count], dice, number);
        let start = Instant::now();
        store.append(vec![append]).remove(0).unwrap();
        ours.push(start.elapsed().as_micros() as u64);
        let start = Instant::now();
        floor.write(&[(events, blob)]);
        plain.push(start.elapsed().as_micros() as u64);
    }
    (ours, plain)
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let target: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from).join("loom-store-floor");
    if std::env::var_os("LOOM_FLOOR_REOPEN").is_some() {
        return reopen(&folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    let store = RedbStore::create(&folder.join("store"), &origin()).unwrap();
    let db = Builder::new().set_cache_size(4 << 20).create(folder.join("floor.redb")).unwrap();
    let mut floor = Floor { db, events: 0, blobs: 0 };
    let mut dice = Dice::new(1);
    let mut authors: Vec<Author> = (0..64).map(Author::new).collect();
    for author in &mut authors {
        store.append(vec![author.open()]).remove(0).unwrap();
        author.events.clear();
    }
    let mut small = None;
    for mark in [10_000, 100_000, target] {
        let (start, before) = (Instant::now(), store.size());
        let mut number = 0;
        while store.size() < mark {
            let (mut ours, mut plain) = (Vec::new(), Vec::new());
            for author in &mut authors {
                // Filling is without blobs, so that the ratio speaks of events.
                let (append, events, _) = step(author, &mut dice, 1);
                ours.push(append);
                plain.push((events, None));
                number += 1;
            }
            store.append(ours).iter().for_each(|answer| assert!(answer.is_ok()));
            floor.write(&plain);
        }
        let filled = (store.size() - before) as f64 / start.elapsed().as_secs_f64();
        let health = store.health().unwrap();
        let ratio = store.allocated().unwrap().total as f64 / health.encoded_bytes as f64;
        let (ours, plain) = measure(&store, &mut floor, &mut authors, &mut dice);
        let own = middle(&ours);
        println!("at {} events ({number} steps filled, {filled:.0} events/s in both)", health.events);
        println!(
            "  event {} bytes, stored / encoded {ratio:.3}, file {} MB",
            health.encoded_bytes / health.events,
            health.file_bytes >> 20
        );
        println!("  step:  {}", micros(ours));
        println!("  floor: {}  -> {:.2}", micros(plain.clone()), own / middle(&plain));
        println!("  step here / at 10,000: {:.2}", own / *small.get_or_insert(own));
    }
    let mut groups = Vec::new();
    for _ in 0..50 {
        let commits: Vec<Append> = authors.iter_mut().map(|author| author.spawn(Vec::new())).collect();
        let start = Instant::now();
        store.append(commits).iter().for_each(|answer| assert!(answer.is_ok()));
        groups.push(start.elapsed().as_micros() as u64);
    }
    println!("64 steps in one transaction: {}", micros(groups));
    let size = store.size();
    // As after kill -9: nothing is closed.
    let child = std::process::Command::new(std::env::current_exe().unwrap());
    std::mem::forget(store);
    spawn_reopen(child, &folder, target, size);
}

/// Kills nothing itself: ends this process without closing anything, in favour of one that opens the store.
fn spawn_reopen(mut child: std::process::Command, folder: &Path, target: u64, size: u64) {
    use std::os::unix::process::CommandExt;
    println!("left at {size} events without closing");
    let parent = folder.parent().unwrap_or(folder);
    let error = child.arg(target.to_string()).arg(parent).env("LOOM_FLOOR_REOPEN", "1").exec();
    panic!("the second half cannot start: {error}");
}

fn reopen(folder: &Path) {
    for when in ["after kill", "after close"] {
        let start = Instant::now();
        let store = RedbStore::open(&folder.join("store")).unwrap();
        let opened = start.elapsed();
        let runs = store.runs(10).unwrap().len();
        let answered = start.elapsed();
        let size = store.size();
        let last = store.events(size - 50, 50).unwrap().len();
        let logged = start.elapsed();
        let lag = store.health().unwrap().index_lag;
        println!(
            "{when}: open {opened:?} with {lag} unindexed, {runs} runs after {answered:?}, last {last} events after {logged:?}"
        );
        let start = Instant::now();
        let (mut events, mut bytes) = (0u64, 0);
        store
            .scan(0, &mut |_, event| {
                events += 1;
                bytes += event.len();
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        let rate = events as f64 / start.elapsed().as_secs_f64();
        println!("  scan: {events} events, {bytes} bytes, {rate:.0} events/s");
    }
    let start = Instant::now();
    let store = RedbStore::open_to_read(&folder.join("store")).unwrap();
    println!("open to read: {:?}, gates {}", start.elapsed(), store.gates().unwrap().len());
    drop(store);
    let resident = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident
        .lines()
        .filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"))
        .for_each(|line| println!("{line}"));
    std::fs::remove_dir_all(folder).unwrap();
}
