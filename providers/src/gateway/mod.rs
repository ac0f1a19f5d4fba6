//! The gateway: where Loom stands between an agent's program and the model's endpoint.
//!
//! One for each spawn. The program is given the gateway's address and a token that is worth nothing elsewhere and
//! nothing afterwards; the credential stays in this process (GATEWAY-1). Each request is counted before it is sent on,
//! and none is sent beyond the budget (GATEWAY-2). What the endpoint says it used is read as it passes (GATEWAY-3).
//!
//! ```text
//! program ──token──► 127.0.0.1:port, or a socket where the program has no network
//!                      │ a known path? the token? budget left?   no ──► refused here
//!                      ▼
//!                    the endpoint, with the credential ──► answer, unaltered ──► program
//!                                                            └─► tokens, model, status: Tally
//! ```

mod relay;
mod usage;

use crate::gateway::relay::{Relay, serve};
use crate::lines::Lines;
use crate::provider::{Door, Ended, Hands, Live, Program};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;

/// How long the endpoint may take to be connected with.
const CONNECT_SECONDS: u64 = 30;

/// What is asked through a gateway, and with what.
#[derive(Clone)]
pub struct Upstream {
    /// The endpoint, without the paths that the program adds, as in `https://api.example.com`.
    pub base_url: String,
    /// What the endpoint is to be shown in place of the token.
    pub credential: String,
    /// The requests that are sent on: method and path, as in `POST /v1/messages`. All others are refused.
    pub routes: &'static [&'static str],
    /// Most requests that are sent on.
    pub requests_max: u64,
}

impl fmt::Debug for Upstream {
    /// Hides the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("base_url", &self.base_url)
            .field("routes", &self.routes)
            .field("requests_max", &self.requests_max)
            .finish_non_exhaustive()
    }
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The operating system gives no port, socket or thread.
    #[error("cannot listen for the agent's program: {0}")]
    Listen(io::Error),
    /// No connection to any endpoint can be set up.
    #[error("cannot set up connections to the endpoint `{base_url}`: {reason}")]
    Client {
        /// The endpoint.
        base_url: String,
        /// What the library says.
        reason: String,
    },
}

/// What passed through a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were sent on.
    pub requests: u64,
    /// Requests that were refused because the budget was used up.
    pub over_budget: u64,
    /// Requests that were refused because of their path, or because they had no token.
    pub foreign: u64,
    /// Tokens read, by the endpoint's own account; absent once that of one request is not known.
    pub tokens_in: Option<u64>,
    /// Tokens written, likewise.
    pub tokens_out: Option<u64>,
    /// The model that answered last, as the endpoint names it.
    pub model: Option<String>,
    /// The status of the last answer; absent while there is none, or where none came.
    pub status: Option<u16>,
    /// How long the endpoint last asked to wait, in milliseconds, where its last answer did.
    pub retry_after_ms: Option<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            requests: 0,
            over_budget: 0,
            foreign: 0,
            tokens_in: Some(0),
            tokens_out: Some(0),
            model: None,
            status: None,
            retry_after_ms: None,
        }
    }
}

impl Tally {
    fn add(&mut self, tokens_in: Option<u64>, tokens_out: Option<u64>) {
        let sum = |old: Option<u64>, new: Option<u64>| old?.checked_add(new?);
        self.tokens_in = sum(self.tokens_in, tokens_in);
        self.tokens_out = sum(self.tokens_out, tokens_out);
    }
}

/// The tally of a gateway, shared with what still passes through it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Tally>>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens for one spawn's program, until it is dropped.
pub struct Gateway {
    port: u16,
    token: String,
    /// Holds the socket, for its user alone.
    folder: TempDir,
    ledger: Ledger,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Begins to listen on a free port of 127.0.0.1 and on a socket.
    pub fn open(upstream: &Upstream) -> Result<Self, GatewayError> {
        // Another part of the process may have chosen already; it is the same one.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let token = token().map_err(GatewayError::Listen)?;
        let folder = tempfile::Builder::new().prefix("loom-").tempdir().map_err(GatewayError::Listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(GatewayError::Listen)?;
        let inside = runtime.enter();
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            // An endpoint that sends the credential elsewhere is none.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| GatewayError::Client {
                base_url: upstream.base_url.clone(),
                reason: error.without_url().to_string(),
            })?;
        let socket = UnixListener::bind(socket_in(folder.path())).map_err(GatewayError::Listen)?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(GatewayError::Listen)?;
        let port = listener.local_addr().map_err(GatewayError::Listen)?.port();
        listener.set_nonblocking(true).map_err(GatewayError::Listen)?;
        let listener = TcpListener::from_std(listener).map_err(GatewayError::Listen)?;
        drop(inside);
        let ledger = Ledger::default();
        let relay =
            Arc::new(Relay { client, upstream: upstream.clone(), token: token.clone(), ledger: ledger.clone() });
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("loom-gateway".to_string()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(relay, listener, socket) => {}
                    _ = ended => {}
                }
            });
            // With it goes whatever still passes.
            drop(runtime);
        });
        let thread = thread.map_err(GatewayError::Listen)?;
        Ok(Gateway { port, token, folder, ledger, end: Some(end), thread: Some(thread) })
    }

    /// Returns the address for the program, as in `http://127.0.0.1:4000`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns how a program without a network gets here.
    pub fn door(&self) -> Door {
        Door { port: self.port, socket: socket_in(self.folder.path()) }
    }

    /// Returns what the program is to show in place of a credential.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns what passed so far. What an answer used is known once it has passed as a whole.
    pub fn tally(&self) -> Tally {
        self.ledger.lock().clone()
    }

    /// Runs a program that asks through it, and shows what it does just now: what `shown` makes of each line that it
    /// prints, with what passed here by then.
    pub(crate) fn watched(
        &self,
        hands: &dyn Hands,
        program: &Program,
        shown: impl Fn(&[u8]) -> Option<String>,
    ) -> Ended {
        let mut lines = Lines::default();
        hands.run(program, &mut |piece| {
            lines.push(piece, |line| {
                if let Some(line) = shown(line) {
                    let Tally { model, tokens_in, tokens_out, .. } = self.tally();
                    hands.tell(Live { line, model, tokens_in, tokens_out });
                }
            });
        })
    }

    /// Ends it, with whatever still passes, and returns what passed.
    pub fn close(mut self) -> Tally {
        self.end_now();
        self.ledger.lock().clone()
    }

    fn end_now(&mut self) {
        if let Some(end) = self.end.take() {
            // It may have ended by itself.
            let _gone = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.end_now();
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("gateway")
}

/// Returns a token of 128 random bits. It begins so that whoever finds it somewhere knows what it is.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(format!("loom-spawn-{}", loom_core::id::hex(&bytes)))
}
