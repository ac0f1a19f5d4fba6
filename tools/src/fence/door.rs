//! Doors: the hidden subcommand `__doors`, which listens on ports of the loopback inside, carries bytes to Unix sockets
//! outside and back, and runs the stage beside it.
//!
//! Relies on the guard for its end. It is outside of the stage's filter and rules, and inside of the namespaces. Never:
//! looks at what it carries.

use super::Door;
use signal_hook::consts::SIGTERM;
use std::ffi::OsString;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

/// The hidden subcommand by which a binary becomes a keeper of doors.
pub(crate) const DOORS_ARGUMENT: &str = "__doors";

const CANNOT_START: i32 = 126;

/// Keeps doors while a command runs, and returns its exit code. `arguments` are those after `__doors`: pairs of port and
/// socket, `--`, the command.
pub(crate) fn doors_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    match keep(arguments.into_iter()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            CANNOT_START
        }
    }
}

fn keep(mut arguments: impl Iterator<Item = OsString>) -> io::Result<i32> {
    let usage = || io::Error::other("__doors is started by Loom only");
    let mut doors = Vec::new();
    loop {
        let port = arguments.next().ok_or_else(usage)?;
        if port == "--" {
            break;
        }
        let port = port.to_str().and_then(|port| port.parse().ok()).ok_or_else(usage)?;
        doors.push(Door { port, socket: arguments.next().ok_or_else(usage)?.into() });
    }
    let program = arguments.next().ok_or_else(usage)?;
    // Whoever asks the group to stop asks the program; this ends with it.
    signal_hook::flag::register(SIGTERM, Arc::new(AtomicBool::new(false)))?;
    for Door { port, socket } in doors {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .map_err(|error| io::Error::other(format!("cannot listen on port {port} for a door: {error}")))?;
        thread::spawn(move || serve(&listener, &socket));
    }
    let status = Command::new(program).args(arguments).status()?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

fn serve(listener: &TcpListener, socket: &Path) {
    for from in listener.incoming().flatten() {
        let socket = PathBuf::from(socket);
        thread::spawn(move || {
            // Who asks sees a connection that ends, as with any server that is not there.
            let _ended = carry(&from, &socket);
        });
    }
}

fn carry(from: &TcpStream, socket: &Path) -> io::Result<()> {
    let to = UnixStream::connect(socket)?;
    let (mut back_from, mut back_to) = (to.try_clone()?, from.try_clone()?);
    let back = thread::spawn(move || {
        let _ended = io::copy(&mut back_from, &mut back_to);
        back_to.shutdown(Shutdown::Write)
    });
    let _ended = io::copy(&mut &*from, &mut &to);
    to.shutdown(Shutdown::Write)?;
    let _ended = back.join();
    Ok(())
}
