//! One request over HTTP/1.1, and whoever waits for it: no redirects, no proxies, no cookies, no pool. TLS is rustls
//! with ring; whom it trusts is compiled in, as Mozilla has it.
//!
//! Giving up closes the connection at once.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::http::uri::Scheme;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Most time to reach an endpoint and agree on TLS.
const CONNECT: Duration = Duration::from_secs(10);
/// How often whoever asked is asked whether to give up.
const LOOK: Duration = Duration::from_millis(20);
/// Most of an answer that is read, in bytes.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A request to be made.
pub(super) struct Call<'a> {
    pub(super) url: String,
    pub(super) headers: &'a [(&'static str, String)],
    pub(super) body: Vec<u8>,
    /// Most time in which no byte comes.
    pub(super) idle: Duration,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// How long to wait before asking again, where that is said in seconds.
    pub(super) retry_after_s: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// No such request can be made.
    Unusable(String),
    /// The endpoint was not reached: it knows nothing of the request.
    Unreachable(String),
    /// It was asked, and no whole answer came.
    Lost(String),
    /// It was asked, and nothing came for too long.
    Silent,
}

/// Why nothing was waited for any longer.
pub(super) enum Stopped {
    Cancelled,
    OutOfTime,
    NoRuntime(String),
}

/// Waits for what is done, not longer than a limit, and until it is to be given up.
pub(super) fn run<T>(
    limit: Duration,
    is_cancelled: &dyn Fn() -> bool,
    done: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Stopped::NoRuntime(format!("nothing can be waited for: {error}")))?;
    let cancelled = async {
        while !is_cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            done = timeout(limit, done) => done.map_err(|_| Stopped::OutOfTime),
            () = cancelled => Err(Stopped::Cancelled),
        }
    });
    // Not even a name that is being looked up is waited for.
    runtime.shutdown_background();
    outcome
}

/// Makes a request and reads its answer.
pub(super) async fn exchange(call: Call<'_>) -> Result<Answer, Trouble> {
    let unusable = |what: &str| Trouble::Unusable(format!("`{}` is no endpoint: {what}", call.url));
    let uri: Uri = call.url.parse().map_err(|_| unusable("it is no URL"))?;
    let host = uri.host().ok_or_else(|| unusable("it names no host"))?.to_string();
    let is_safe = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(unusable("it is neither https nor http")),
    };
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if authority.contains('@') {
        return Err(Trouble::Unusable("an endpoint's URL names no user: set the credential beside it".to_string()));
    }
    let port = uri.port_u16().unwrap_or(if is_safe { 443 } else { 80 });
    let unreachable =
        |what: &dyn std::fmt::Display| Trouble::Unreachable(format!("{host}:{port} is not reached: {what}"));
    let mut request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header("host", authority)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("user-agent", concat!("loom/", env!("CARGO_PKG_VERSION")));
    for (name, value) in call.headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(call.body)));
    // The error would name the header, whose value is the credential.
    let request =
        request.map_err(|_| Trouble::Unusable("the credential has characters that no header can".to_string()))?;
    // An address of IPv6 stands in brackets in a URL, and nowhere else.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_string();
    let stream = timeout(CONNECT, TcpStream::connect((name.as_str(), port))).await;
    let stream = stream.map_err(|_| unreachable(&"it does not answer"))?.map_err(|error| unreachable(&error))?;
    if is_safe {
        let server = ServerName::try_from(name).map_err(|error| unreachable(&error))?;
        let secured = timeout(CONNECT, connector()?.connect(server, stream)).await;
        let secured =
            secured.map_err(|_| unreachable(&"TLS is not agreed on"))?.map_err(|error| unreachable(&error))?;
        ask(secured, request, call.idle).await
    } else {
        ask(stream, request, call.idle).await
    }
}

fn connector() -> Result<TlsConnector, Trouble> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Trouble::Unusable(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    idle: Duration,
) -> Result<Answer, Trouble> {
    let lost = |error: hyper::Error| Trouble::Lost(format!("its answer is cut: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    // Ends with the runtime.
    tokio::spawn(connection);
    let response = timeout(idle, sender.send_request(request)).await;
    let (head, mut body) = response.map_err(|_| Trouble::Silent)?.map_err(lost)?.into_parts();
    let header = |name: &str| head.headers.get(name)?.to_str().ok()?.trim().parse().ok();
    let mut answer = Answer { status: head.status.as_u16(), retry_after_s: header("retry-after"), body: Vec::new() };
    while let Some(frame) = timeout(idle, body.frame()).await.map_err(|_| Trouble::Silent)? {
        let Ok(data) = frame.map_err(lost)?.into_data() else { continue };
        if answer.body.len() + data.len() > BODY_BYTES_MAX {
            return Err(Trouble::Lost(format!("its answer is longer than {BODY_BYTES_MAX} bytes")));
        }
        answer.body.extend_from_slice(&data);
    }
    Ok(answer)
}
