//! Following: events and what spawns do just now, as they come, in one answer that does not end (SERVER-6).
//!
//! Each follower has a thread of its own that reads the store at the follower's pace: what it has not taken is not kept
//! for it, and it holds up nobody else.

use crate::wire::{EventWire, Hex, LiveWire};
use axum::body::Body;
use hyper::body::{Bytes, Frame, SizeHint};
use loom_core::event::Envelope;
use loom_core::id::{StreamId, hex};
use loom_host::live::{Board, Live};
use loom_store::{Store, Stored};
use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Most followers of one holder.
const FOLLOWERS_MAX: usize = 64;
/// Events read at a time.
const BATCH: usize = 256;
/// How often a follower that waits looks whether the holder ends, and at the board.
const SLICE: Duration = Duration::from_millis(100);
/// A follower that hears nothing for longer than this knows that the holder is gone.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// What is followed, and from where.
pub(crate) struct Following {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) board: Option<Board>,
    pub(crate) ends: Arc<AtomicBool>,
    /// A stream by sequence, or the whole store by position.
    pub(crate) stream: Option<StreamId>,
    pub(crate) from: u64,
}

/// Counts who follows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Followers(Arc<(Mutex<usize>, Condvar)>);

impl Followers {
    /// Begins an answer; `None` where there are too many.
    pub(crate) fn begin(&self, following: Following) -> Option<Body> {
        let mut count = self.lock();
        if *count >= FOLLOWERS_MAX {
            return None;
        }
        let (sender, receiver) = channel(2);
        let followers = self.clone();
        let thread = std::thread::Builder::new().name("loom-follower".to_string());
        let begun = thread.spawn(move || {
            follow(&following, &sender);
            drop(following);
            *followers.lock() -= 1;
            followers.0.1.notify_all();
        });
        begun.ok()?;
        *count += 1;
        Some(Body::new(Told(receiver)))
    }

    /// Waits until nobody follows any more: then none of them holds the store.
    pub(crate) fn wait(&self) {
        let waited = self.0.1.wait_while(self.lock(), |count| *count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends until the follower has gone or the holder ends.
fn follow(following: &Following, sender: &Sender<Bytes>) {
    let tip = following.store.tip();
    let (mut next, mut revision) = (following.from, 0);
    let mut spoke = Instant::now();
    // An answer begins at once, so that whoever asks knows that it is heard.
    let mut text = ": loom\n\n".to_string();
    while !following.ends.load(Ordering::Relaxed) {
        let size = tip.size();
        // A store that cannot be read ends the answer; whoever asks again is told why.
        let Ok(events) = read(following, next) else { return };
        for stored in &events {
            let Some(id) = put_event(&mut text, stored, following.stream.is_some()) else { return };
            next = id + 1;
        }
        if let (Some(board), Some(stream)) = (&following.board, following.stream) {
            let (now, notes) = board.since(stream, revision);
            revision = now;
            for (spawn, live) in notes {
                let Live { line, model, tokens_in, tokens_out } = live;
                let wire = LiveWire { spawn, line, model, tokens_in, tokens_out };
                put(&mut text, "live", None, &serde_json::to_string(&wire).unwrap_or_default());
            }
        }
        if text.is_empty() && spoke.elapsed() >= SIGN_OF_LIFE {
            text.push_str(": still here\n\n");
        }
        if !text.is_empty() {
            // Waits here, and nowhere else, for a follower that is slow.
            if sender.blocking_send(Bytes::from(std::mem::take(&mut text))).is_err() {
                return;
            }
            spoke = Instant::now();
        }
        if events.len() < BATCH {
            tip.wait(size, SLICE);
        }
        if sender.is_closed() {
            return;
        }
    }
}

fn read(following: &Following, next: u64) -> Result<Vec<Stored>, loom_store::StoreError> {
    match following.stream {
        Some(stream) => following.store.read(stream, next, BATCH),
        None => following.store.events(next, BATCH),
    }
}

/// Adds an event, and returns its id among what is followed; `None` for bytes that are no event.
fn put_event(text: &mut String, stored: &Stored, is_stream: bool) -> Option<u64> {
    let envelope = Envelope::decode(&stored.event.bytes).ok()?;
    let id = if is_stream { envelope.sequence } else { stored.position };
    let wire = EventWire {
        position: stored.position,
        stream: Hex(envelope.stream.0),
        sequence: envelope.sequence,
        bytes: hex(&stored.event.bytes),
    };
    put(text, envelope.body.schema().name, Some(id), &serde_json::to_string(&wire).unwrap_or_default());
    Some(id)
}

/// Adds one server-sent event. JSON has no line ends of its own.
fn put(text: &mut String, name: &str, id: Option<u64>, data: &str) {
    if let Some(id) = id {
        // A string takes whatever is written.
        let _written = writeln!(text, "id: {id}");
    }
    let _written = write!(text, "event: {name}\ndata: {data}\n\n");
}

/// An answer whose pieces come from a thread.
struct Told(Receiver<Bytes>);

impl hyper::body::Body for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
