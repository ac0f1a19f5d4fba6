//! Measures inside what is enforced, by trying.
//!
//! Relies on `outside.rs` for things that could be reached without a fence. A word is reported only where a try failed that
//! succeeds without (FENCE-1). Never: leaves a trace where a try succeeds.

use super::outside::began;
use super::stage::Order;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, getrlimit, test_kill_process};
use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A listener on the same machine answers in less.
const CONNECT_MAX: Duration = Duration::from_millis(200);

/// Returns the words that hold.
pub(super) fn enforced(order: &Order) -> Vec<&'static str> {
    let limited = |resource, most: Option<u64>| {
        most.is_some_and(|most| getrlimit(resource).maximum.is_some_and(|found| found <= most))
    };
    [
        ("write", cannot_write(order)),
        ("read", order.canary.as_ref().is_some_and(|canary| File::open(canary).is_err())),
        ("network", order.listener.is_some_and(cannot_connect)),
        ("sockets", order.named.as_ref().is_some_and(|name| cannot_reach(name))),
        ("processes", order.process.is_some_and(|(pid, since)| began(pid) != Some(since))),
        ("signals", order.process.is_some_and(|(pid, since)| cannot_signal(pid, since))),
        ("privileges", has_no_privileges()),
        ("syscalls", is_filtered()),
        ("memory", limited(Resource::Data, order.memory_max)),
        // Nobody limits the administrator's this way.
        ("process-count", limited(Resource::Nproc, order.processes_max) && !rustix::process::getuid().is_root()),
        ("file-size", limited(Resource::Fsize, order.file_max)),
    ]
    .into_iter()
    .filter_map(|(word, holds)| holds.then_some(word))
    .collect()
}

fn cannot_write(order: &Order) -> bool {
    let Some(canary) = &order.canary else { return false };
    if OpenOptions::new().append(true).open(canary).is_ok() {
        return false;
    }
    if !canary.exists() {
        // Then its folder, if there is one, is another one of the same name, which is nobody else's.
        return true;
    }
    let beside = canary.with_file_name(format!("fence-probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&beside).is_ok();
    if made {
        let _left = fs::remove_file(&beside);
    }
    !made
}

fn cannot_connect(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), CONNECT_MAX).is_err()
}

fn cannot_reach(name: &str) -> bool {
    std::os::unix::net::SocketAddr::from_abstract_name(name)
        .is_ok_and(|address| UnixStream::connect_addr(&address).is_err())
}

/// Inside a process namespace the number may be another's, who may well be signalled.
fn cannot_signal(pid: u32, since: u64) -> bool {
    let pid_of = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid_of.is_some_and(|found| test_kill_process(found).is_err()) || began(pid).is_some_and(|found| found != since)
}

fn has_no_privileges() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let is_zero = |name| value(name).is_some_and(|value| value.bytes().all(|byte| byte == b'0'));
    ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"].into_iter().all(is_zero) && value("NoNewPrivs:") == Some("1")
}

/// Without a filter the kernel looks for the folder before it asks for the right to go there.
fn is_filtered() -> bool {
    rustix::process::chroot("/loom-no-such-folder") == Err(Errno::PERM)
}
