//! One request on its way: looked at, counted, sent on, and its answer read while it passes.

use super::usage::Reader;
use super::{Ledger, Upstream};
use crate::retry_after::{self, RETRY_AFTER_MS};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};

/// Longest request, in bytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pause before whoever waits is taken, where no descriptor is left.
const PAUSE: Duration = Duration::from_millis(50);
/// What a program may be asked to wait, in milliseconds; told of more, it would wait rather than end (GATEWAY-4).
const WAIT_MS_MAX: u64 = 5_000;
/// Where a program shows its token.
const CREDENTIALS: [HeaderName; 2] = [header::AUTHORIZATION, HeaderName::from_static("x-api-key")];

pub(super) struct Relay {
    pub(super) client: reqwest::Client,
    pub(super) upstream: Upstream,
    pub(super) token: String,
    pub(super) ledger: Ledger,
}

type Answer = Response<Either<Full<Bytes>, Metered>>;

/// Answers whoever connects, for ever.
pub(super) async fn serve(relay: Arc<Relay>, listener: TcpListener, socket: UnixListener) {
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => attend(&relay, stream),
            Ok((stream, _)) = socket.accept() => attend(&relay, stream),
            // No descriptor is left: whoever waits is taken once others have gone.
            else => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn attend(relay: &Arc<Relay>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let relay = relay.clone();
    tokio::spawn(async move {
        let service = service_fn(|request| {
            let relay = relay.clone();
            async move { Ok::<_, Infallible>(relay.answer(request).await) }
        });
        // A connection that breaks is the program's affair; what passed through it is counted.
        let _broken = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
}

impl Relay {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if (request.method(), request.uri().path()) == (&Method::HEAD, "/") {
            // A program looks whether anybody is there.
            return Response::new(Either::Left(Full::default()));
        }
        let route = format!("{} {}", request.method(), request.uri().path());
        if !self.upstream.routes.contains(&route.as_str()) {
            self.ledger.lock().foreign += 1;
            return refusal(StatusCode::NOT_FOUND, "not_found_error", &format!("`{route}` is not sent on"));
        }
        let (parts, body) = request.into_parts();
        let Some(headers) = self.headers(&parts.headers) else {
            self.ledger.lock().foreign += 1;
            return refusal(StatusCode::UNAUTHORIZED, "authentication_error", "this is not the token of this spawn");
        };
        let body = match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return refusal(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", "the request is too long");
            }
            Err(_) => return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "the request broke off"),
        };
        {
            let mut tally = self.ledger.lock();
            if tally.requests >= self.upstream.requests_max {
                tally.over_budget += 1;
                let told = format!("the budget of {} requests is used up", self.upstream.requests_max);
                return refusal(StatusCode::FORBIDDEN, "permission_error", &told);
            }
            tally.requests += 1;
            (tally.status, tally.retry_after_ms) = (None, None);
        }
        // Counted as unknown until it is known, also if this is dropped meanwhile.
        let mut pending = Pending { ledger: Some(self.ledger.clone()), reader: None };
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let url = format!("{}{target}", self.upstream.base_url.trim_end_matches('/'));
        match self.client.request(parts.method, url).headers(headers).body(body).send().await {
            Ok(answer) => self.pass_on(answer.into(), pending),
            Err(error) => {
                if error.is_connect() || error.is_builder() {
                    pending.settle_unused();
                }
                let told = format!("the endpoint cannot be reached: {}", causes(&error.without_url()));
                refusal(StatusCode::BAD_GATEWAY, "api_error", &told)
            }
        }
    }

    /// Returns the headers for the endpoint; `None` without the token.
    fn headers(&self, given: &HeaderMap) -> Option<HeaderMap> {
        let mut headers = given.clone();
        let mut is_shown = false;
        for name in &CREDENTIALS {
            let Some(value) = given.get(name) else { continue };
            let shown = value.to_str().ok().filter(|value| value.contains(&self.token));
            match shown.map(|value| value.replace(&self.token, &self.upstream.credential)) {
                Some(value) => {
                    let mut value = HeaderValue::try_from(value).ok()?;
                    value.set_sensitive(true);
                    headers.insert(name, value);
                    is_shown = true;
                }
                // A credential that the program has from elsewhere is not sent on.
                None => drop(headers.remove(name)),
            }
        }
        // Those of this connection are not the next one's; and what is compressed cannot be read as it passes.
        for name in [
            header::HOST,
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::EXPECT,
            header::TE,
            header::PROXY_AUTHORIZATION,
            header::ACCEPT_ENCODING,
        ] {
            headers.remove(name);
        }
        is_shown.then_some(headers)
    }

    fn pass_on(&self, answer: Response<reqwest::Body>, mut pending: Pending) -> Answer {
        let (mut parts, body) = answer.into_parts();
        let wait_ms = retry_after::wait_ms(&parts.headers, SystemTime::now());
        {
            let mut tally = self.ledger.lock();
            tally.status = Some(parts.status.as_u16());
            tally.retry_after_ms = wait_ms;
        }
        if parts.status.is_redirection() {
            pending.settle_unused();
            let told = format!("the endpoint sends elsewhere ({}), and nobody goes there", parts.status);
            return refusal(StatusCode::BAD_GATEWAY, "api_error", &told);
        }
        if parts.status.is_success() {
            let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            pending.reader = Some(Reader::new(kind.is_some_and(|kind| kind.starts_with("text/event-stream"))));
        } else {
            pending.settle_unused();
        }
        if wait_ms.is_some_and(|wait_ms| wait_ms > WAIT_MS_MAX) {
            parts.headers.remove(header::RETRY_AFTER);
            parts.headers.remove(RETRY_AFTER_MS);
        }
        for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE] {
            parts.headers.remove(name);
        }
        Response::from_parts(parts, Either::Right(Metered { body, pending }))
    }
}

/// The use of one request, which is unknown until it is known.
struct Pending {
    /// Nothing once it is settled.
    ledger: Option<Ledger>,
    /// What reads the answer; nothing before there is one.
    reader: Option<Reader>,
}

impl Pending {
    /// Says that the request used nothing.
    fn settle_unused(&mut self) {
        self.ledger = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(ledger) = &self.ledger else { return };
        let mut tally = ledger.lock();
        let Some(used) = self.reader.as_mut().map(Reader::finish) else { return tally.add(None, None) };
        // What a message wrote before it broke off is billed and in no account of it.
        tally.add(used.tokens_in, used.tokens_out.filter(|_| used.whole));
        if used.model.is_some() {
            tally.model = used.model;
        }
    }
}

/// An answer that is read while it passes.
pub(super) struct Metered {
    body: reqwest::Body,
    pending: Pending,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(piece) = frame.data_ref()
            && let Some(reader) = &mut self.pending.reader
        {
            reader.take(piece);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns an answer of the gateway's own, in the form that both vendors' programs read.
fn refusal(status: StatusCode, kind: &str, told: &str) -> Answer {
    let body = json!({"type": "error", "error": {"type": kind, "message": format!("Loom: {told}")}}).to_string();
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
