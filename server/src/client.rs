//! The client's side: a store whose answers come from its holder.

mod follow;

pub use follow::Told;

use crate::wire::{
    AnsweredWire, DriverWire, EVENTS_MAX, ErrorWire, GateWire, HeadWire, HealthWire, Hex, KeyWire, OpenedWire,
    OpeningWire, RecordedWire, RedactionWire, RequestWire, ResolutionWire, RulesWire, RunWire, SizeWire, TreeWire,
    frames,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use loom_core::commit::Head;
use loom_core::event::Recorded;
use loom_core::id::{Digest, EventHasher, StreamId, hex};
use loom_core::kind::KeyAdded;
use loom_core::tree::NodeHash;
use loom_host::armed::Arming;
use loom_host::driver::Manner;
use loom_host::request::Ask;
use loom_host::session::Wishes;
use loom_store::{
    Answered, Append, AppendError, Appended, Gate, Health, Resolution, Run, Snapshot, Store, StoreError, Stored, Tip,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// How long a question that waits for events may wait, in milliseconds.
const WAIT_MS: u64 = 2_000;
/// How long an answer may take, in milliseconds; longer than a question may wait. A holder that was stopped answers never.
const ANSWER_MS: u64 = 10_000;
/// Pause before asking again after the holder did not answer, in milliseconds.
const PAUSE_MS: u64 = 200;

/// A store that another process holds: everything can be read, nothing appended.
///
/// Events are hashed here, so that an id is always that of the bytes that came (SERVER-4).
pub struct RemoteStore {
    wire: Arc<Wire>,
    tip: OnceLock<Arc<Tip>>,
}

/// Why a request is not on record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Whoever asks should ask otherwise.
    #[error("{0}")]
    Refused(String),
    /// It cannot be recorded now.
    #[error("{0}")]
    Unavailable(String),
}

/// The connection, made anew where it broke.
struct Wire {
    socket: PathBuf,
    answer_ms: u64,
    runtime: Runtime,
    sender: Mutex<Option<http1::SendRequest<Full<Bytes>>>>,
}

/// An answer as it came.
struct Reply {
    status: StatusCode,
    body: Bytes,
}

impl RemoteStore {
    /// Connects to the holder that listens at `socket`.
    ///
    /// Errors where nobody listens there, or where the holder does not answer this process.
    pub fn connect(socket: &Path) -> Result<Self, StoreError> {
        Self::connect_within(socket, ANSWER_MS)
    }

    /// As [`RemoteStore::connect`]; every answer may take so many milliseconds.
    pub fn connect_within(socket: &Path, answer_ms: u64) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| cannot("be asked", error))?;
        let wire = Arc::new(Wire { socket: socket.to_path_buf(), answer_ms, runtime, sender: Mutex::new(None) });
        let store = RemoteStore { wire, tip: OnceLock::new() };
        store.wire.json::<SizeWire>("/v1/size")?;
        Ok(store)
    }

    /// Returns how the holder drives; `None` where it does not say.
    pub fn driver(&self) -> Result<Option<Manner>, StoreError> {
        let reply = self.wire.get("/v1/driver")?;
        match reply.status {
            // It only holds the store, or is older than the question.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(read::<DriverWire>(reply.good()?)?.into())),
        }
    }

    /// Puts a request to a run, through the process that drives it, and returns the sequence that it has on record.
    ///
    /// # Errors
    /// [`AskError::Refused`] with the reason where another request would do; [`AskError::Unavailable`] where nobody
    /// drives, or what was asked could not be recorded.
    pub fn ask(&self, stream: StreamId, id: &[u8], ask: &Ask) -> Result<u64, AskError> {
        let path = format!("/v1/streams/{}/requests", hex(&stream.0));
        let recorded: RecordedWire = self.put(&path, &RequestWire { id: hex(id), ask: ask.into() })?;
        Ok(recorded.sequence)
    }

    /// Opens a run through the process that drives, and returns its stream.
    ///
    /// # Errors
    /// As [`RemoteStore::ask`].
    pub fn open_run(&self, id: &[u8], task: &str, bundle: &str, wishes: &Wishes) -> Result<StreamId, AskError> {
        let wire = OpeningWire {
            id: hex(id),
            task: task.to_string(),
            bundle: bundle.to_string(),
            flow: wishes.flow.clone(),
            policy: wishes.policy.clone(),
            policies: wishes.policies.clone(),
            caps: wishes.caps.map(Into::into),
            rules: wishes.rules.clone(),
        };
        let opened: OpenedWire = self.put("/v1/runs", &wire)?;
        Ok(StreamId(opened.stream.0))
    }

    /// Arms or retires a rule set through the process that drives, and returns the request's sequence in the store's stream.
    ///
    /// # Errors
    /// As [`RemoteStore::ask`].
    pub fn arm(&self, id: &[u8], asked: &Arming) -> Result<u64, AskError> {
        let (arm, retire) = match asked {
            Arming::Arm(text) => (Some(text.clone()), None),
            Arming::Retire(name) => (None, Some(name.clone())),
        };
        let recorded: RecordedWire = self.put("/v1/rules", &RulesWire { id: hex(id), arm, retire })?;
        Ok(recorded.sequence)
    }

    /// Has blobs erased through the process that drives, and returns the request's sequence in the store's stream.
    ///
    /// # Errors
    /// As [`RemoteStore::ask`].
    pub fn redact(&self, id: &[u8], blobs: &BTreeSet<Digest>, why: &str) -> Result<u64, AskError> {
        let blobs = blobs.iter().map(|digest| Hex(digest.0)).collect();
        let wire = RedactionWire { id: hex(id), blobs, why: why.to_string() };
        let recorded: RecordedWire = self.put("/v1/redactions", &wire)?;
        Ok(recorded.sequence)
    }

    /// Puts a key of the store on record through the process that drives.
    ///
    /// # Errors
    /// As [`RemoteStore::ask`].
    pub fn add_key(&self, added: &KeyAdded) -> Result<(), AskError> {
        let KeyAdded { key, before, signature } = added;
        let wire = KeyWire { key: Hex(*key), before: before.map(Hex), signature: signature.map(Hex) };
        self.put("/v1/keys", &wire)
    }

    fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, AskError> {
        let unavailable = |error: &dyn std::error::Error| AskError::Unavailable(error.to_string());
        let body = serde_json::to_vec(body).map_err(|error| unavailable(&error))?;
        let reply = self.wire.send(path, Some(body)).map_err(|error| unavailable(&error))?;
        let reason = || match serde_json::from_slice::<ErrorWire>(&reply.body) {
            Ok(said) => said.error,
            Err(_) => reply.status.to_string(),
        };
        match reply.status {
            StatusCode::OK => read(&reply.body).map_err(|error| unavailable(&error)),
            status if status.is_client_error() && status != StatusCode::FORBIDDEN => Err(AskError::Refused(reason())),
            _ => Err(AskError::Unavailable(reason())),
        }
    }

    /// Tells events as they come, until `told` breaks off: of a run from sequence `from` on, and what its spawns do just
    /// now; or of the whole store, from position `from` on.
    ///
    /// # Errors
    /// Where the holder has gone, or gives no sign of life for ten seconds. What was told stands.
    pub fn follow(
        &self,
        stream: Option<StreamId>,
        from: u64,
        told: &mut dyn FnMut(Told) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        follow::follow(&self.wire.socket, stream, from, told)
    }

    /// As [`RemoteStore::follow`], and returns at once; `told` gets nothing when the holder has gone.
    ///
    /// # Errors
    /// Where nobody can be set to it.
    pub fn follow_along(
        &self,
        stream: Option<StreamId>,
        from: u64,
        told: impl FnMut(Option<Told>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        follow::follow_along(&self.wire.socket, stream, from, told)
    }

    fn events_at(&self, path: &str, from: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        let hasher = EventHasher::default();
        let mut found: Vec<Stored> = Vec::new();
        while found.len() < max {
            let left = (max - found.len()).min(EVENTS_MAX);
            let next = from.saturating_add(found.len() as u64);
            let body = self.wire.bytes(&format!("{path}?from={next}&max={left}"))?;
            let events = frames(&body).ok_or_else(garbled)?;
            if events.is_empty() {
                break;
            }
            found.extend(events.into_iter().map(|(position, bytes)| Stored {
                position,
                event: Recorded { id: hasher.id(bytes), bytes: bytes.to_vec() },
            }));
        }
        Ok(found)
    }
}

impl Store for RemoteStore {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        commits.iter().map(|_| Err(StoreError::ReadOnly.into())).collect()
    }

    /// The number of events; of the last answer, where the holder does not answer.
    fn size(&self) -> u64 {
        match self.wire.json::<SizeWire>("/v1/size") {
            Ok(size) => size.size,
            Err(_) => self.tip.get().map_or(0, |tip| tip.size()),
        }
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        let head: HeadWire = self.wire.json(&format!("/v1/streams/{}", hex(&stream.0)))?;
        Ok(Head { next: head.next, last: Digest(head.last.0) })
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.events_at(&format!("/v1/streams/{}/events", hex(&stream.0)), sequence, max)
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.events_at("/v1/events", position, max)
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        let mut next = from;
        loop {
            let body = self.wire.bytes(&format!("/v1/events?from={next}&max={EVENTS_MAX}"))?;
            let events = frames(&body).ok_or_else(garbled)?;
            if events.is_empty() {
                return Ok(next);
            }
            for (position, bytes) in events {
                next = position + 1;
                if visit(position, bytes).is_break() {
                    return Ok(next);
                }
            }
        }
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        let found: Vec<u64> = self.wire.json(&format!("/v1/positions?at_ms={ms}"))?;
        found.first().copied().ok_or_else(garbled)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let reply = self.wire.get(&format!("/v1/blobs/{}", hex(&digest.0)))?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(reply.good()?.to_vec())),
        }
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        let found: Vec<Hex<32>> = self.wire.json(&format!("/v1/commits/{position}/blobs"))?;
        Ok(found.into_iter().map(|digest| Digest(digest.0)).collect())
    }

    /// There is none: snapshots are the holder's own.
    fn snapshot(&self, _: StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    fn put_snapshot(&self, _: StreamId, _: Snapshot) {}

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        let is_prefix = (1..=64).contains(&prefix.len()) && prefix.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_prefix {
            return Ok(Resolution::None);
        }
        Ok(self.wire.json::<ResolutionWire>(&format!("/v1/ids/{prefix}"))?.into())
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        let kinds = kinds.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        self.wire.json(&format!("/v1/positions?kinds={kinds}&from={from}&max={max}"))
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        let reply = self.wire.get(&format!("/v1/streams/{}/requests/{}", hex(&stream.0), hex(request)))?;
        match reply.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(read::<AnsweredWire>(reply.good()?)?.into())),
        }
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        let found: Vec<RunWire> = self.wire.json(&format!("/v1/runs?max={max}"))?;
        found.into_iter().map(|run| run.run().ok_or_else(garbled)).collect()
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        let found: Vec<GateWire> = self.wire.json("/v1/gates")?;
        Ok(found.into_iter().map(Gate::from).collect())
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        Ok(self.wire.json::<Hex<32>>(&format!("/v1/tree/{height}/{index}"))?.0)
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        let tree: TreeWire = self.wire.json("/v1/tree")?;
        Ok((tree.size, tree.root.0))
    }

    fn health(&self) -> Result<Health, StoreError> {
        Ok(self.wire.json::<HealthWire>("/v1/health")?.into())
    }

    /// The holder's look-ups catch up by themselves.
    fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Returns the signal; from the first call on a thread keeps asking the holder, until this store is dropped.
    fn tip(&self) -> Arc<Tip> {
        self.tip.get_or_init(|| raise(&self.wire, self.size())).clone()
    }
}

/// Raises a tip by what the holder says, as long as somebody else has it.
fn raise(wire: &Arc<Wire>, size: u64) -> Arc<Tip> {
    let tip = Arc::new(Tip::new(size));
    let (weak, socket) = (Arc::downgrade(&tip), wire.socket.clone());
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        // A connection of its own: questions that wait would hold up the others.
        let wire = Wire { socket, answer_ms: ANSWER_MS, runtime, sender: Mutex::new(None) };
        let mut known = size;
        while weak.strong_count() > 0 {
            match wire.json::<SizeWire>(&format!("/v1/size?beyond={known}&wait_ms={WAIT_MS}")) {
                Ok(found) => {
                    known = found.size;
                    if let Some(tip) = weak.upgrade() {
                        tip.raise(known);
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(PAUSE_MS)),
            }
        }
    });
    tip
}

impl Wire {
    fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, StoreError> {
        read(&self.bytes(path)?)
    }

    fn bytes(&self, path: &str) -> Result<Bytes, StoreError> {
        self.get(path)?.good().cloned()
    }

    fn get(&self, path: &str) -> Result<Reply, StoreError> {
        self.send(path, None)
    }

    /// Asks once, and once more on a new connection where the old one had been closed. Neither may take for ever.
    fn send(&self, path: &str, body: Option<Vec<u8>>) -> Result<Reply, StoreError> {
        let body = body.map(Bytes::from);
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = sender.take();
        let asking = async {
            if let Some(mut kept) = kept
                && let Ok(reply) = ask(&mut kept, path, body.clone()).await
            {
                *sender = Some(kept);
                return Ok(reply);
            }
            let mut fresh = connect(&self.socket).await.map_err(|error| cannot("be reached", error))?;
            let reply = ask(&mut fresh, path, body).await.map_err(|error| cannot("answer", io::Error::other(error)))?;
            *sender = Some(fresh);
            Ok(reply)
        };
        let answer_max = Duration::from_millis(self.answer_ms);
        let answered = self.runtime.block_on(async { tokio::time::timeout(answer_max, asking).await });
        answered.unwrap_or_else(|_| Err(cannot("answer", io::ErrorKind::TimedOut.into())))
    }
}

async fn connect(socket: &Path) -> Result<http1::SendRequest<Full<Bytes>>, io::Error> {
    let stream = UnixStream::connect(socket).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async {
        // That it broke is told to whoever asks next.
        let _broken = connection.await;
    });
    Ok(sender)
}

async fn ask(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    path: &str,
    body: Option<Bytes>,
) -> Result<Reply, hyper::Error> {
    let request = if body.is_some() { Request::post(path) } else { Request::get(path) };
    let request = request.header(header::HOST, "loom").header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Full::new(body.unwrap_or_default()));
    let request = request.expect("paths are made of digits and words");
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok(Reply { status, body: response.into_body().collect().await?.to_bytes() })
}

impl Reply {
    fn good(&self) -> Result<&Bytes, StoreError> {
        if self.status.is_success() {
            return Ok(&self.body);
        }
        let said = serde_json::from_slice(&self.body).unwrap_or_else(|_| ErrorWire::sentence(self.status.to_string()));
        Err(said.into_store())
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(body).map_err(|error| cannot("be understood", io::Error::other(error)))
}

fn garbled() -> StoreError {
    cannot("be understood", io::Error::from(io::ErrorKind::InvalidData))
}

fn cannot(what: &str, source: io::Error) -> StoreError {
    StoreError::Io { what: format!("the store's holder cannot {what}"), source: Arc::new(source) }
}
