//! Why a run comes out otherwise (REDRIVE-3), and what snapshots come to (REFOLD-1).

use crate::made::{Until, made_run, origin};
use loom_core::commit::Blob;
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_core::kind::Event;
use loom_core::snapshot::{VERSION, encode};
use loom_replay::{Records, Redriven, ReplayError, Resumed, StoredRun, drift, redrive, refold, resumed};
use loom_store::{MemoryStore, Snapshot, Store};

/// A run that was changed, its chain made anew.
struct Changed {
    stream: StreamId,
    events: Vec<Recorded>,
    store: MemoryStore,
    spoiled: Option<Digest>,
}

impl Records for Changed {
    fn stream(&self) -> StreamId {
        self.stream
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.events.iter().skip(sequence as usize).take(max).cloned().collect())
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        match self.spoiled == Some(*digest) {
            true => Ok(Some(Blob::plain(b"no bundle").bytes)),
            false => Ok(self.store.blob(digest)?),
        }
    }
}

fn changed(change: impl Fn(&mut Event)) -> Changed {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let hasher = EventHasher::default();
    let mut events: Vec<Recorded> = Vec::new();
    for stored in store.read(stream, 0, usize::MAX).unwrap() {
        let mut envelope = Envelope::decode(&stored.event.bytes).unwrap();
        change(&mut envelope.body);
        envelope.previous = events.last().map(|event| event.id).unwrap_or_default();
        events.push(Recorded::of(&envelope, &hasher));
    }
    Changed { stream, events, store, spoiled: None }
}

fn drifted(run: &Changed, version: &str) -> Option<&'static str> {
    let redriven = redrive(run).unwrap();
    drift(run, &redriven, version).unwrap().map(|drift| drift.word())
}

#[test]
fn a_divergence_is_of_the_record_the_rules_the_kernel_or_the_bundle() {
    let same = changed(|_| {});
    assert!(matches!(redrive(&same).unwrap(), Redriven::Same { .. }));
    assert_eq!(drifted(&same, "0.1.0"), None);

    let verdict = changed(|event| {
        if let Event::VerdictGiven(verdict) = event {
            verdict.blocking += 1;
        }
    });
    assert_eq!(drifted(&verdict, "0.1.0"), Some("record"));
    assert_eq!(drifted(&verdict, "0.2.0"), Some("kernel"));

    let ruling = changed(|event| {
        if let Event::Refused(refused) = event {
            refused.messages = vec!["another message".to_string()].into();
        }
    });
    assert_eq!(drifted(&ruling, "0.2.0"), Some("rule"));
    assert_eq!(drifted(&ruling, "0.1.0"), Some("record"));

    let mut unusable = changed(|_| {});
    unusable.spoiled = match Envelope::decode(&unusable.events[0].bytes).unwrap().body {
        Event::RunOpened(opened) => Some(opened.bundle),
        _ => None,
    };
    assert_eq!(drifted(&unusable, "0.1.0"), Some("bundle"));
}

#[test]
fn a_snapshot_gives_what_the_log_gives_or_is_found_out() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let records = StoredRun::new(&store, stream);
    let whole = refold(&records, None).unwrap();
    assert_eq!(resumed(&store, &records, &whole).unwrap(), Resumed::None);
    let length = store.head(stream).unwrap().next;
    let snapshot = |next: u64, of: u64| {
        let run = refold(&records, Some(of - 1)).unwrap().run.unwrap();
        let last = store.read(stream, next - 1, 1).unwrap().pop().unwrap().event.id;
        Snapshot { version: VERSION, next, last, bytes: encode(&run).unwrap() }
    };
    for next in 1..=length {
        store.put_snapshot(stream, snapshot(next, next));
        assert_eq!(resumed(&store, &records, &whole).unwrap(), Resumed::Equal { from: next });
    }
    // One event is folded in twice, one is not folded in, the layout is another, the log has another event there.
    for (next, of) in [(9, 10), (10, 9)] {
        store.put_snapshot(stream, snapshot(next, of));
        assert!(matches!(resumed(&store, &records, &whole).unwrap(), Resumed::Differs { from, .. } if from == next));
    }
    for stale in
        [Snapshot { version: VERSION + 1, ..snapshot(5, 5) }, Snapshot { last: Digest([1; 32]), ..snapshot(5, 5) }]
    {
        store.put_snapshot(stream, stale);
        assert_eq!(resumed(&store, &records, &whole).unwrap(), Resumed::Stale);
    }
}
