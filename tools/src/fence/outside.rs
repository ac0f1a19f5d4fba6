//! Things outside that a stage tries to reach, so that what it reports is what holds.
//!
//! ```text
//! driver: listens on a port of the loopback and on a named local socket, and is itself a process
//! stage:  connects, signals, looks; what fails is enforced
//! ```
//!
//! Relies on nobody connecting by chance. Never: answers.

use super::REPORT_PLACE;
use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;

/// Held until the stage has reported.
pub(crate) struct Outside {
    _listener: Option<TcpListener>,
    #[cfg(target_os = "linux")]
    _named: Option<std::os::unix::net::UnixListener>,
    arguments: Vec<OsString>,
}

impl Outside {
    /// Opens what a stage will try to reach. What cannot be opened is not tried, and then not reported as enforced.
    pub(crate) fn open(canary: &Path) -> Self {
        let mut arguments: Vec<OsString> = vec!["--report".into(), REPORT_PLACE.into()];
        if File::open(canary).is_ok() {
            arguments.extend(["--canary".into(), canary.into()]);
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).ok();
        if let Some(address) = listener.as_ref().and_then(|listener| listener.local_addr().ok()) {
            arguments.extend(["--listener".into(), address.port().to_string().into()]);
        }
        #[cfg(target_os = "linux")]
        let named = named().map(|(name, listener)| {
            arguments.extend(["--named".into(), name.into()]);
            listener
        });
        if let Some((pid, began)) = own_process() {
            arguments.extend(["--process".into(), format!("{pid}:{began}").into()]);
        }
        Outside {
            _listener: listener,
            #[cfg(target_os = "linux")]
            _named: named,
            arguments,
        }
    }

    /// Returns the stage's arguments.
    pub(crate) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

#[cfg(target_os = "linux")]
fn named() -> Option<(String, std::os::unix::net::UnixListener)> {
    use std::os::linux::net::SocketAddrExt;
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("loom-outside-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).ok()?;
    Some((name, std::os::unix::net::UnixListener::bind_addr(&address).ok()?))
}

/// Returns this process's number and when it began, in the kernel's ticks: together nobody else's.
fn own_process() -> Option<(u32, u64)> {
    let pid = std::process::id();
    Some((pid, began(pid)?))
}

/// Returns when a process began, in the kernel's ticks since it started, where that can be seen.
pub(super) fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // "PID (NAME) STATE PARENT ...": the name may hold anything, so count from the last parenthesis.
    let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
    std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}
