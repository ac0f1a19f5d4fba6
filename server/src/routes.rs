//! What a holder answers: the store's reads, one path each.
//!
//! ```text
//! GET /v1/health                           GET /v1/streams/STREAM
//! GET /v1/size?beyond=N&wait_ms=T          GET /v1/streams/STREAM/events?from=N&max=N
//! GET /v1/events?from=N&max=N              GET /v1/streams/STREAM/requests/ID
//! GET /v1/positions?kinds=A,B&from=N&max=N GET /v1/commits/POSITION/blobs
//! GET /v1/positions?at_ms=T                GET /v1/blobs/DIGEST
//! GET /v1/ids/PREFIX                       GET /v1/runs?max=N
//! GET /v1/tree                             GET /v1/gates
//! GET /v1/tree/HEIGHT/INDEX                POST /v1/streams/STREAM/requests
//! GET /v1/follow?from=N                    GET /v1/streams/STREAM/follow?from=N
//! POST /v1/runs                            POST /v1/rules
//! POST /v1/keys                            POST /v1/redactions
//! GET /v1/driver
//! ```

use crate::follow::{Followers, Following};
use crate::wire::{
    AnsweredWire, BYTES_MAX, DriverWire, EVENTS_MAX, ErrorWire, GateWire, HeadWire, HealthWire, Hex, KeyWire,
    OpenedWire, OpeningWire, RecordedWire, RedactionWire, RequestWire, ResolutionWire, RulesWire, RunWire, SizeWire,
    TreeWire, put_frame,
};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use loom_core::id::{Actor, Digest, StreamId, unhex};
use loom_core::kind::KeyAdded;
use loom_core::state::Amount;
use loom_host::armed::{ArmError, Arming};
use loom_host::driver::{Driver, bundle};
use loom_host::error::HostError;
use loom_host::keys::KeysError;
use loom_host::local::told;
use loom_host::redactions::RedactError;
use loom_host::request::{Answered, Ask, Request};
use loom_host::session::Wishes;
use loom_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest wait of one question, in milliseconds.
const WAIT_MAX_MS: u64 = 10_000;
/// How often a question that waits looks whether the holder ends, in milliseconds.
const SLICE_MS: u64 = 100;

/// What the routes answer from.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ends: Arc<AtomicBool>,
    /// Where requests go; none where nobody drives.
    pub(crate) driver: Option<Driver>,
    /// Who follows.
    pub(crate) followers: Followers,
    /// Who asks, once it is known.
    pub(crate) actor: Option<Actor>,
}

/// Returns all routes.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/health", get(health))
        .route("/v1/driver", get(driver))
        .route("/v1/size", get(size))
        .route("/v1/events", get(events))
        .route("/v1/positions", get(positions))
        .route("/v1/ids/{prefix}", get(resolve))
        .route("/v1/streams/{stream}", get(head))
        .route("/v1/streams/{stream}/events", get(stream_events))
        .route("/v1/streams/{stream}/requests/{request}", get(request))
        .route("/v1/streams/{stream}/requests", post(put_request))
        .route("/v1/commits/{position}/blobs", get(carried))
        .route("/v1/blobs/{digest}", get(blob))
        .route("/v1/streams/{stream}/follow", get(follow_stream))
        .route("/v1/follow", get(follow_store))
        .route("/v1/runs", get(runs).post(put_run))
        .route("/v1/gates", get(gates))
        .route("/v1/rules", post(put_rules))
        .route("/v1/keys", post(put_key))
        .route("/v1/redactions", post(put_redaction))
        .route("/v1/tree", get(tree))
        .route("/v1/tree/{height}/{index}", get(tree_node))
        .fallback(|| async { Failed(StatusCode::NOT_FOUND, ErrorWire::sentence("there is nothing at this path")) })
        .with_state(shared)
}

/// Returns what is left for a peer that is refused, which is told why. What it asks of a run goes on record as refused
/// (COMMIT-6) where it is known who asks.
pub(crate) fn refusing(reason: &str, actor: Option<Actor>, shared: Shared) -> Router {
    let told = Arc::new(reason.to_string());
    let whatever = told.clone();
    let failed = |told: Arc<String>| Failed(StatusCode::FORBIDDEN, ErrorWire::sentence(told.as_str()));
    let router = Router::new().fallback(move || {
        let told = told.clone();
        async move { failed(told) }
    });
    if actor.is_none() {
        return router.with_state(shared);
    }
    let asked = Router::new().route("/v1/streams/{stream}/requests", post(put_request)).layer(
        axum::middleware::map_response(move |_: Response| {
            let told = whatever.clone();
            async move { failed(told) }
        }),
    );
    router.merge(asked).with_state(Shared { actor, ..shared })
}

/// A question without a good answer.
struct Failed(StatusCode, ErrorWire);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

fn bad(what: &str) -> Failed {
    Failed(StatusCode::BAD_REQUEST, ErrorWire::sentence(what))
}

fn absent(what: &str) -> Failed {
    Failed(StatusCode::NOT_FOUND, ErrorWire::sentence(what))
}

type Answer<T> = Result<T, Failed>;

/// Asks the store, off the thread that listens.
async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Answer<T> {
    let store = shared.store.clone();
    let asked = tokio::task::spawn_blocking(move || question(store.as_ref()));
    match asked.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failed(StatusCode::INTERNAL_SERVER_ERROR, ErrorWire::from(&error))),
        Err(_) => Err(Failed(StatusCode::INTERNAL_SERVER_ERROR, ErrorWire::sentence("the question broke off"))),
    }
}

async fn json<T: Serialize + Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Answer<Json<T>> {
    ask(shared, question).await.map(Json)
}

fn stream_of(text: &str) -> Answer<StreamId> {
    Hex::read(text).map(|stream| StreamId(stream.0)).ok_or_else(|| bad("a stream is 16 bytes in hexadecimal"))
}

fn bytes(content: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], content).into_response()
}

async fn health(State(shared): State<Shared>) -> Answer<Json<HealthWire>> {
    json(&shared, |store| store.health().map(HealthWire::from)).await
}

/// Answers how the holder drives, as soon as its fence is chosen.
async fn driver(State(shared): State<Shared>) -> Answer<Json<DriverWire>> {
    let driver = shared.driver.ok_or_else(nobody)?;
    let manner = tokio::task::spawn_blocking(move || driver.manner()).await;
    manner.map(|manner| Json(manner.into())).map_err(|_| nobody())
}

#[derive(Deserialize)]
struct Beyond {
    beyond: Option<u64>,
    wait_ms: Option<u64>,
}

/// Answers how many events there are; with `beyond`, as soon as there are more than that or the time is up.
async fn size(State(shared): State<Shared>, Query(asked): Query<Beyond>) -> Answer<Json<SizeWire>> {
    let ends = shared.ends.clone();
    json(&shared, move |store| {
        let Some(beyond) = asked.beyond else { return Ok(SizeWire { size: store.size() }) };
        let tip = store.tip();
        let mut left_ms = asked.wait_ms.unwrap_or(0).min(WAIT_MAX_MS);
        loop {
            let slice_ms = left_ms.min(SLICE_MS);
            let size = tip.wait(beyond, Duration::from_millis(slice_ms));
            left_ms -= slice_ms;
            if size > beyond || left_ms == 0 || ends.load(Ordering::Relaxed) {
                return Ok(SizeWire { size });
            }
        }
    })
    .await
}

#[derive(Deserialize)]
struct Range {
    from: u64,
    max: usize,
}

/// Answers with stored bytes, which the reader hashes.
async fn events(State(shared): State<Shared>, Query(range): Query<Range>) -> Answer<Response> {
    let max = range.max.min(EVENTS_MAX);
    let found = ask(&shared, move |store| {
        let (mut out, mut count) = (Vec::new(), 0);
        if max > 0 {
            store.scan(range.from, &mut |position, event| {
                put_frame(&mut out, position, event);
                count += 1;
                if count < max && out.len() < BYTES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        Ok(out)
    });
    found.await.map(bytes)
}

async fn stream_events(
    State(shared): State<Shared>,
    Path(stream): Path<String>,
    Query(range): Query<Range>,
) -> Answer<Response> {
    let stream = stream_of(&stream)?;
    let max = range.max.min(EVENTS_MAX);
    let found = ask(&shared, move |store| {
        let mut out = Vec::new();
        let mut from = range.from;
        let end = from.saturating_add(max as u64);
        // Some at a time, so that a long answer need not be read whole to be cut.
        while from < end && out.len() < BYTES_MAX {
            let read = store.read(stream, from, (end - from).min(256) as usize)?;
            if read.is_empty() {
                break;
            }
            from += read.len() as u64;
            read.iter().for_each(|stored| put_frame(&mut out, stored.position, &stored.event.bytes));
        }
        Ok(out)
    });
    found.await.map(bytes)
}

async fn head(State(shared): State<Shared>, Path(stream): Path<String>) -> Answer<Json<HeadWire>> {
    let stream = stream_of(&stream)?;
    json(&shared, move |store| {
        let head = store.head(stream)?;
        Ok(HeadWire { next: head.next, last: Hex(head.last.0) })
    })
    .await
}

async fn request(
    State(shared): State<Shared>,
    Path((stream, request)): Path<(String, String)>,
) -> Answer<Json<AnsweredWire>> {
    let stream = stream_of(&stream)?;
    let request = unhex(&request).ok_or_else(|| bad("a request id is bytes in hexadecimal"))?;
    let found = ask(&shared, move |store| store.request(stream, &request)).await?;
    found.map(|found| Json(found.into())).ok_or_else(|| absent("no such request is on record"))
}

/// Puts a request to a run, in the name of the peer, and answers when it is on record.
async fn put_request(
    State(shared): State<Shared>,
    Path(stream): Path<String>,
    Json(asked): Json<RequestWire>,
) -> Answer<Json<RecordedWire>> {
    let stream = stream_of(&stream)?;
    let id = unhex(&asked.id).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad("a request id is bytes in hexadecimal"))?;
    let ask = Ask::try_from(asked.ask).map_err(|what| bad(&what))?;
    let (Some(driver), Some(actor)) = (shared.driver.clone(), shared.actor.clone()) else { return Err(nobody()) };
    let answered = tokio::task::spawn_blocking(move || driver.request(Request { stream, id, actor, ask }));
    match answered.await {
        Ok(Some(Answered::Recorded { sequence, again, .. })) => Ok(Json(RecordedWire { sequence, again })),
        Ok(Some(Answered::Not(error))) => Err(refused(&error)),
        // The driver ended before it could say: whoever drives next finds what is on record.
        Ok(None) | Err(_) => Err(nobody()),
    }
}

fn nobody() -> Failed {
    Failed(StatusCode::SERVICE_UNAVAILABLE, ErrorWire::sentence("nobody drives this store"))
}

/// Opens a run, in the name of the peer, and answers when it is on record.
async fn put_run(State(shared): State<Shared>, Json(asked): Json<OpeningWire>) -> Answer<Json<OpenedWire>> {
    let id = unhex(&asked.id).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad("a request id is bytes in hexadecimal"))?;
    let (Some(driver), Some(actor)) = (shared.driver.clone(), shared.actor.clone()) else { return Err(nobody()) };
    let wishes = Wishes {
        flow: asked.flow,
        policy: asked.policy,
        policies: asked.policies,
        caps: asked.caps.map(Amount::from),
        rules: asked.rules,
    };
    let answered = tokio::task::spawn_blocking(move || {
        let bundle = bundle(&asked.bundle).map_err(|reason| bad(&reason))?;
        Ok(driver.open(id, actor, &asked.task, bundle, wishes))
    });
    match answered.await {
        Ok(Ok(Some(Answered::Recorded { stream, again, .. }))) => Ok(Json(OpenedWire { stream: Hex(stream.0), again })),
        Ok(Ok(Some(Answered::Not(error @ HostError::Store(_))))) => Err(refused(&error)),
        Ok(Ok(Some(Answered::Not(error)))) => {
            Err(Failed(StatusCode::UNPROCESSABLE_ENTITY, ErrorWire::sentence(told(&error))))
        }
        Ok(Err(failed)) => Err(failed),
        Ok(Ok(None)) | Err(_) => Err(nobody()),
    }
}

/// Arms or retires a rule set, in the name of the peer, and answers when that is on record.
async fn put_rules(State(shared): State<Shared>, Json(asked): Json<RulesWire>) -> Answer<Json<RecordedWire>> {
    let id = unhex(&asked.id).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad("a request id is bytes in hexadecimal"))?;
    let arming = match (asked.arm, asked.retire) {
        (Some(text), None) => Arming::Arm(text),
        (None, Some(name)) => Arming::Retire(name),
        (Some(_), Some(_)) | (None, None) => return Err(bad("one of `arm` and `retire` is asked")),
    };
    let (Some(driver), Some(actor)) = (shared.driver.clone(), shared.actor.clone()) else { return Err(nobody()) };
    match tokio::task::spawn_blocking(move || driver.arm(&id, &actor, &arming)).await {
        Ok(Ok((sequence, again))) => Ok(Json(RecordedWire { sequence, again })),
        Ok(Err(ArmError::Host(error))) => Err(refused(&error)),
        Ok(Err(error)) => Err(Failed(StatusCode::UNPROCESSABLE_ENTITY, ErrorWire::sentence(error.to_string()))),
        Err(_) => Err(nobody()),
    }
}

async fn put_key(State(shared): State<Shared>, Json(asked): Json<KeyWire>) -> Answer<Json<()>> {
    let added = KeyAdded {
        key: asked.key.0,
        before: asked.before.map(|key| key.0),
        signature: asked.signature.map(|signature| signature.0),
    };
    let (Some(driver), Some(Actor::Person { descends: None, .. })) = (shared.driver.clone(), &shared.actor) else {
        return Err(nobody());
    };
    match tokio::task::spawn_blocking(move || driver.add_key(added)).await {
        Ok(Ok(())) => Ok(Json(())),
        Ok(Err(KeysError::Store(error))) => Err(Failed(StatusCode::INTERNAL_SERVER_ERROR, ErrorWire::from(&error))),
        Ok(Err(error)) => Err(Failed(StatusCode::UNPROCESSABLE_ENTITY, ErrorWire::sentence(error.to_string()))),
        Err(_) => Err(nobody()),
    }
}

/// Has blobs erased, in the name of the peer, and answers when that is on record and done.
async fn put_redaction(State(shared): State<Shared>, Json(asked): Json<RedactionWire>) -> Answer<Json<RecordedWire>> {
    let id = unhex(&asked.id).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| bad("a request id is bytes in hexadecimal"))?;
    let blobs: BTreeSet<Digest> = asked.blobs.into_iter().map(|digest| Digest(digest.0)).collect();
    let (Some(driver), Some(actor)) = (shared.driver.clone(), shared.actor.clone()) else { return Err(nobody()) };
    match tokio::task::spawn_blocking(move || driver.redact(&id, &actor, &blobs, &asked.why)).await {
        Ok(Ok((sequence, again))) => Ok(Json(RecordedWire { sequence, again })),
        Ok(Err(RedactError::Host(error))) => Err(refused(&error)),
        Ok(Err(error)) => Err(Failed(StatusCode::UNPROCESSABLE_ENTITY, ErrorWire::sentence(error.to_string()))),
        Err(_) => Err(nobody()),
    }
}

#[derive(Deserialize)]
struct From {
    from: Option<u64>,
}

async fn follow_stream(
    State(shared): State<Shared>,
    Path(stream): Path<String>,
    Query(asked): Query<From>,
    headers: HeaderMap,
) -> Answer<Response> {
    follow(&shared, Some(stream_of(&stream)?), asked.from, &headers)
}

async fn follow_store(State(shared): State<Shared>, Query(asked): Query<From>, headers: HeaderMap) -> Answer<Response> {
    follow(&shared, None, asked.from, &headers)
}

/// Tells events as they come, behind the last that the asker has.
fn follow(shared: &Shared, stream: Option<StreamId>, from: Option<u64>, headers: &HeaderMap) -> Answer<Response> {
    let last = headers.get("last-event-id").map(|id| id.to_str().ok()?.parse::<u64>().ok()?.checked_add(1));
    let from = match last {
        Some(next) => next.ok_or_else(|| bad("the last event's id is a number"))?,
        None => from.unwrap_or(0),
    };
    let board = shared.driver.as_ref().map(Driver::board);
    let following = Following { store: shared.store.clone(), board, ends: shared.ends.clone(), stream, from };
    let many = || Failed(StatusCode::SERVICE_UNAVAILABLE, ErrorWire::sentence("too many follow this store already"));
    let body = shared.followers.begin(following).ok_or_else(many)?;
    Ok(([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// Tells what the asker can mend from what the store cannot do.
fn refused(error: &HostError) -> Failed {
    let status = match error {
        HostError::RunUnknown => StatusCode::NOT_FOUND,
        HostError::RequestReused { .. } => StatusCode::CONFLICT,
        HostError::Declined(_) | HostError::TooLong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    Failed(status, ErrorWire::sentence(told(error)))
}

#[derive(Deserialize)]
struct Positions {
    at_ms: Option<u64>,
    kinds: Option<String>,
    from: Option<u64>,
    max: Option<usize>,
}

async fn positions(State(shared): State<Shared>, Query(asked): Query<Positions>) -> Answer<Json<Vec<u64>>> {
    if let Some(ms) = asked.at_ms {
        return json(&shared, move |store| Ok(vec![store.at_time(ms)?])).await;
    }
    let kinds: Option<Vec<u64>> = asked.kinds.unwrap_or_default().split(',').map(|kind| kind.parse().ok()).collect();
    let kinds = kinds.ok_or_else(|| bad("kinds are numbers with commas between them"))?;
    let (from, max) = (asked.from.unwrap_or(0), asked.max.unwrap_or(usize::MAX));
    json(&shared, move |store| store.by_kind(&kinds, from, max)).await
}

async fn resolve(State(shared): State<Shared>, Path(prefix): Path<String>) -> Answer<Json<ResolutionWire>> {
    json(&shared, move |store| store.resolve(&prefix).map(ResolutionWire::from)).await
}

async fn carried(State(shared): State<Shared>, Path(position): Path<u64>) -> Answer<Json<Vec<Hex<32>>>> {
    json(&shared, move |store| Ok(store.carried(position)?.into_iter().map(|digest| Hex(digest.0)).collect())).await
}

async fn blob(State(shared): State<Shared>, Path(digest): Path<String>) -> Answer<Response> {
    let digest: Hex<32> = Hex::read(&digest).ok_or_else(|| bad("a digest is 32 bytes in hexadecimal"))?;
    let found = ask(&shared, move |store| store.blob(&Digest(digest.0))).await?;
    found.map(bytes).ok_or_else(|| absent("there is no such blob"))
}

#[derive(Deserialize)]
struct Max {
    max: Option<usize>,
}

async fn runs(State(shared): State<Shared>, Query(asked): Query<Max>) -> Answer<Json<Vec<RunWire>>> {
    let max = asked.max.unwrap_or(usize::MAX);
    json(&shared, move |store| Ok(store.runs(max)?.into_iter().map(RunWire::from).collect())).await
}

async fn gates(State(shared): State<Shared>) -> Answer<Json<Vec<GateWire>>> {
    json(&shared, |store| Ok(store.gates()?.into_iter().map(GateWire::from).collect())).await
}

async fn tree(State(shared): State<Shared>) -> Answer<Json<TreeWire>> {
    json(&shared, |store| {
        let (size, root) = store.tree_head()?;
        Ok(TreeWire { size, root: Hex(root) })
    })
    .await
}

async fn tree_node(State(shared): State<Shared>, Path((height, index)): Path<(u8, u64)>) -> Answer<Json<Hex<32>>> {
    json(&shared, move |store| store.tree_node(height, index).map(Hex)).await
}
