//! One request over HTTP, and whoever waits for it: no redirects, no cookies. TLS is rustls with ring.
//!
//! Giving up closes the connection at once (API-3).

use crate::retry_after;
use reqwest::{Client, Url};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

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
    /// How long it asks to wait before it is asked again, in milliseconds.
    pub(super) retry_after_ms: Option<u64>,
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
    let url: Url = call.url.parse().map_err(|_| unusable("it is no URL"))?;
    if !["https", "http"].contains(&url.scheme()) {
        return Err(unusable("it is neither https nor http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Trouble::Unusable("an endpoint's URL names no user: set the credential beside it".to_string()));
    }
    // Another part of the process may have chosen already; it is the same one.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| Trouble::Unreachable(told(error)))?;
    let mut request = client.post(url).header("content-type", "application/json").body(call.body);
    for (name, value) in call.headers {
        // The error would name the header, whose value is the credential.
        let value = reqwest::header::HeaderValue::try_from(value)
            .map_err(|_| Trouble::Unusable("the credential has characters that no header can".to_string()))?;
        request = request.header(*name, value);
    }
    let answered = timeout(call.idle, request.send()).await.map_err(|_| Trouble::Silent)?;
    let mut response = answered.map_err(|error| {
        if error.is_connect() {
            Trouble::Unreachable(format!("the endpoint is not reached: {}", told(error)))
        } else {
            Trouble::Lost(told(error))
        }
    })?;
    let retry_after_ms = retry_after::wait_ms(response.headers(), SystemTime::now());
    let mut answer = Answer { status: response.status().as_u16(), retry_after_ms, body: Vec::new() };
    while let Some(piece) = timeout(call.idle, response.chunk())
        .await
        .map_err(|_| Trouble::Silent)?
        .map_err(|error| Trouble::Lost(format!("its answer is cut: {}", told(error))))?
    {
        if answer.body.len() + piece.len() > BODY_BYTES_MAX {
            return Err(Trouble::Lost(format!("its answer is longer than {BODY_BYTES_MAX} bytes")));
        }
        answer.body.extend_from_slice(&piece);
    }
    Ok(answer)
}

/// Returns an error with its causes, without the URL.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
