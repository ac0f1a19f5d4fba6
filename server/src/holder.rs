//! The holder's side: one thread that listens while a process holds a store.

use crate::follow::Followers;
use crate::peer;
use crate::routes::{Shared, refusing, router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use loom_core::id::{digest, hex};
use loom_host::driver::Driver;
use loom_store::Store;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Context of the names of sockets.
const SOCKET_CONTEXT: &str = "loom 2026-11 holder socket v1";
/// A client has so long for its question, in seconds.
const QUESTION_SECONDS: u64 = 10;

/// Answers that are under way when the holder ends have so long, in seconds.
const LAST_ANSWERS_SECONDS: u64 = 1;

/// Why nobody can be answered.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct ServerError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Returns where the holder of a store listens: below Loom's state folder, by the store's own path (SERVER-1).
///
/// Errors where the store's folder is not there.
pub fn socket_of(state_folder: &Path, store_folder: &Path) -> Result<PathBuf, ServerError> {
    let path = fs::canonicalize(store_folder).map_err(failed("find", store_folder))?;
    // A part of the digest keeps stores apart; the path of a socket has 107 bytes at most.
    let digest = digest(SOCKET_CONTEXT, &[path.as_os_str().as_encoded_bytes()]);
    Ok(state_folder.join("sockets").join(hex(&digest.0[..8])))
}

/// Answers other processes while it lives.
pub struct Holder {
    socket: PathBuf,
    ends: Arc<AtomicBool>,
    followers: Followers,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Holder {
    /// Begins to listen at `socket`, in the name of who holds `store`. Requests go to `driver`; without one, nothing but
    /// reading is offered.
    ///
    /// A socket that a killed holder left is replaced: only one process holds a store.
    pub fn listen(socket: PathBuf, store: Arc<dyn Store>, driver: Option<Driver>) -> Result<Self, ServerError> {
        let folder = socket.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make", folder))?;
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("replace", &socket)(error)),
            _ => {}
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed("listen at", &socket))?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&socket).map_err(failed("listen at", &socket))?
        };
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(failed("protect", &socket))?;
        let ends = Arc::new(AtomicBool::new(false));
        let followers = Followers::default();
        let shared = Shared { store, ends: ends.clone(), driver, followers: followers.clone(), actor: None };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("loom-holder".to_string()).spawn(move || {
            runtime.block_on(accept(listener, shared, ended));
            // Waits for questions that are being answered; the store is free then.
            drop(runtime);
        });
        let thread = thread.map_err(failed("listen at", &socket))?;
        Ok(Holder { socket, ends, followers, end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it was told on stderr; nothing of it is held any more.
            let _ended = thread.join();
        }
        self.followers.wait();
        // Left behind, it is replaced by the next holder.
        let _gone = fs::remove_file(&self.socket);
    }
}

/// Serves whoever connects until it is to end; answers that are under way are given first.
async fn accept(listener: UnixListener, shared: Shared, mut ended: oneshot::Receiver<()>) {
    let (stop, stopped) = watch::channel(());
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            found = listener.accept() => match found {
                Ok((stream, _)) => drop(served.spawn(serve(stream, shared.clone(), stopped.clone()))),
                // Out of file descriptors, as a rule; those that are served free some.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = served.join_next() => {}
            _ = &mut ended => break,
        }
    }
    drop((listener, stop));
    let all = async { while served.join_next().await.is_some() {} };
    // Whoever does not take its answer goes without.
    let _late = tokio::time::timeout(Duration::from_secs(LAST_ANSWERS_SECONDS), all).await;
}

async fn serve(stream: UnixStream, shared: Shared, mut stopped: watch::Receiver<()>) {
    let Ok(peer) = stream.peer_cred() else { return };
    let routes = match peer::check(&peer) {
        Ok(actor) => router(Shared { actor: Some(actor), ..shared }),
        Err(refused) => refusing(&refused.reason(), refused.actor(peer.uid()), shared),
    };
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(QUESTION_SECONDS))
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::pin!(served);
    tokio::select! {
        // A client that went away needs no answer.
        _gone = served.as_mut() => return,
        _ended = stopped.changed() => {}
    }
    served.as_mut().graceful_shutdown();
    let _gone = served.await;
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ServerError + 'a {
    move |source| ServerError { doing, path: path.to_path_buf(), source }
}
