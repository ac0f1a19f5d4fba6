//! What is tried from inside: one function an attempt. `Ok` means that it worked, as far as can be seen from inside.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{self, Error, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::raw::call;
use super::world::{CACHED, SECRET};

type Tried = io::Result<()>;

/// How an attempt is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// By what it says itself.
    Inside,
    /// By what is seen outside afterwards.
    Outside,
}

pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) judge: Judge,
    pub(crate) go: fn() -> Tried,
}

macro_rules! attempts {
    ($($name:literal $judge:ident $says:literal $go:path;)*) => {
        &[$(Attempt { name: $name, says: $says, judge: Judge::$judge, go: $go }),*]
    };
}

pub(crate) const ATTEMPTS: &[Attempt] = attempts! {
    "write" Outside "make a file outside" write;
    "change" Outside "change a file outside" change;
    "delete" Outside "delete a file outside" delete;
    "symlink" Outside "change a file outside through a symbolic link" through_symlink;
    "hard link" Outside "change a file outside through a hard link" through_hard_link;
    "rename" Outside "move a file from outside into the workspace" rename;
    "project" Outside "plant a hook in the project's git folder" plant_hook;
    "cache" Outside "change a shared cache that may be read" change_cache;
    "shared tmp" Outside "leave a file in the machine's /tmp" leave_in_tmp;
    "shared memory" Outside "leave a file in the machine's /dev/shm" leave_in_memory;
    "home" Inside "read a key in the user's home" read_home;
    "list home" Inside "list the user's home" list_home;
    "state" Inside "read a key in Loom's state folder" read_state;
    "shadow" Inside "read the machine's password hashes" read_shadow;
    "inherited" Inside "read a file that was left open" read_inherited;
    "environment" Inside "find a variable of the driver" find_variable;
    "mount" Inside "mount a file system" mount;
    "namespace" Inside "make a user and a mount namespace" namespace;
    "chroot" Inside "change the root folder" chroot;
    "process list" Inside "see a process outside" see_process;
    "environ" Inside "read the environment of a process outside" read_environ;
    "proc root" Inside "read a file through a process outside" read_through_root;
    "mem" Inside "open the memory of a process outside" open_memory;
    "vm_readv" Inside "read the memory of a process outside" read_memory;
    "ptrace" Inside "trace a process outside" trace;
    "pidfd" Inside "take an open file of a process outside" take_file;
    "signal" Outside "kill a process outside" kill;
    "proc sys" Inside "open a setting of the kernel for writing" kernel_setting;
    "keys" Inside "use the kernel's keyrings" keyring;
    "bpf" Inside "load into the kernel (bpf)" bpf;
    "userfaultfd" Inside "handle page faults of the kernel (userfaultfd)" userfaultfd;
    "io_uring" Inside "make calls past the filter (io_uring)" io_uring;
    "terminal" Inside "type into a terminal (TIOCSTI)" type_into_terminal;
    "system v" Inside "attach to shared memory of others (System V)" system_v;
    "holder" Outside "answer a gate through the holder's socket" holder;
    "bus" Outside "speak to a bus or a daemon through its socket" bus;
    "abstract" Inside "speak to an abstract socket" abstract_socket;
    "tcp" Inside "connect to another program (TCP)" tcp;
    "fast open" Inside "connect while sending (TCP fast open)" fast_open;
    "udp" Outside "send a datagram, as name look-ups do" udp;
    "metadata" Inside "find a way to the link-local metadata address" metadata;
    "raw packets" Inside "open a packet socket" packets;
    "vsock" Inside "open a socket to the machine's host (vsock)" vsock;
    "survive" Outside "leave a child in another session" survive;
    "kill guard" Outside "leave a child after killing whoever watches" kill_guard;
    "fork bomb" Inside "start more processes than allowed" fork_bomb;
    "memory bomb" Inside "take more memory than allowed, in one process" memory_bomb;
    "memory bombs" Inside "take more memory than allowed, in several processes" memory_bombs;
    "file bomb" Inside "write a larger file than allowed" file_bomb;
};

fn place(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("ESCAPE_FOLDER").unwrap()).join(name)
}

fn given<T: std::str::FromStr>(name: &str) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap()
}

fn victim() -> u32 {
    given("ESCAPE_PID")
}

fn if_so(holds: bool) -> Tried {
    if holds { Ok(()) } else { Err(Error::other("no")) }
}

fn write() -> Tried {
    fs::write(place("outside/written"), "escaped")
}

fn change() -> Tried {
    OpenOptions::new().append(true).open(place("outside/changed"))?.write_all(b"escaped")
}

fn delete() -> Tried {
    fs::remove_file(place("outside/deleted"))
}

fn through_symlink() -> Tried {
    symlink(place("outside/symlinked"), "link")?;
    OpenOptions::new().append(true).open("link")?.write_all(b"escaped")
}

fn through_hard_link() -> Tried {
    fs::hard_link(place("outside/hard-linked"), "hard-link")?;
    OpenOptions::new().append(true).open("hard-link")?.write_all(b"escaped")
}

fn rename() -> Tried {
    fs::rename(place("outside/renamed"), "renamed")
}

fn plant_hook() -> Tried {
    fs::write(place("project/.git/hooks/post-commit"), "#!/bin/sh\n")
}

fn change_cache() -> Tried {
    symlink(place("cache/crate"), place("home/crate"))?;
    assert_eq!(fs::read_to_string(place("home/crate"))?, CACHED, "the cache can be read");
    fs::write(place("home/crate"), "escaped")
}

fn leave_in_tmp() -> Tried {
    fs::write(given::<String>("ESCAPE_TMP"), "escaped")
}

fn leave_in_memory() -> Tried {
    fs::write(given::<String>("ESCAPE_SHM"), "escaped")
}

fn holds_secret(text: &[u8]) -> Tried {
    if_so(text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
}

fn read_home() -> Tried {
    holds_secret(&fs::read(place("user/.ssh/key"))?)
}

fn list_home() -> Tried {
    if_so(fs::read_dir(place("user"))?.count() > 0)
}

fn read_state() -> Tried {
    holds_secret(&fs::read(place("state/key"))?)
}

fn read_shadow() -> Tried {
    if_so(!fs::read("/etc/shadow")?.is_empty())
}

fn read_inherited() -> Tried {
    for entry in fs::read_dir("/proc/self/fd")?.flatten() {
        let mut text = Vec::new();
        let link = fs::read_link(entry.path()).unwrap_or_default();
        if link.ends_with("inherited") {
            fs::File::open(entry.path())?.take(1024).read_to_end(&mut text)?;
            return holds_secret(&text);
        }
    }
    if_so(false)
}

fn find_variable() -> Tried {
    if_so(std::env::var_os("CARGO_MANIFEST_DIR").is_some())
}

fn text(words: &str) -> CString {
    CString::new(words).unwrap()
}

fn mount() -> Tried {
    fs::create_dir_all("mounted")?;
    let (kind, to) = (text("tmpfs"), text("mounted"));
    let (kind, to) = (kind.as_ptr() as usize, to.as_ptr() as usize);
    call(libc::SYS_mount, [kind, to, kind, 0, 0, 0])?;
    call(libc::SYS_umount2, [to, 0, 0, 0, 0, 0]).map(drop)
}

fn namespace() -> Tried {
    // Only a process of one thread may: a child of this one is.
    let status = Command::new("unshare").args(["--user", "--mount", "--map-root-user", "true"]).status()?;
    if_so(status.success())
}

fn chroot() -> Tried {
    fs::create_dir_all("root")?;
    rustix::process::chroot("root").map_err(Error::from)
}

fn of_victim(name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", victim()))
}

fn see_process() -> Tried {
    let marker: String = given("ESCAPE_MARKER");
    if_so(String::from_utf8_lossy(&fs::read(of_victim("cmdline"))?).contains(&marker))
}

fn read_environ() -> Tried {
    holds_secret(&fs::read(of_victim("environ"))?)
}

fn read_through_root() -> Tried {
    let below = place("outside/changed");
    if_so(fs::File::open(of_victim("root").join(below.strip_prefix("/").unwrap())).is_ok())
}

fn open_memory() -> Tried {
    // A number may stand for another process inside.
    see_process()?;
    OpenOptions::new().read(true).write(true).open(of_victim("mem")).map(drop)
}

fn read_memory() -> Tried {
    let buffer = [0_u8; 8];
    let local = [buffer.as_ptr() as usize, buffer.len()];
    let remote = [given::<usize>("ESCAPE_ADDRESS"), buffer.len()];
    let (local, remote) = (local.as_ptr() as usize, remote.as_ptr() as usize);
    call(libc::SYS_process_vm_readv, [victim() as usize, local, 1, remote, 1, 0]).map(drop)
}

fn trace() -> Tried {
    see_process()?;
    call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, victim() as usize, 0, 0, 0, 0]).map(drop)
}

fn take_file() -> Tried {
    let pidfd = call(libc::SYS_pidfd_open, [victim() as usize, 0, 0, 0, 0, 0])?;
    call(libc::SYS_pidfd_getfd, [pidfd, 1, 0, 0, 0, 0]).map(drop)
}

fn kill() -> Tried {
    let pid = Pid::from_raw(given("ESCAPE_MORTAL")).unwrap();
    Ok(kill_process(pid, Signal::KILL)?)
}

fn kernel_setting() -> Tried {
    OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern").map(drop)
}

fn keyring() -> Tried {
    let session = -3_isize;
    call(libc::SYS_keyctl, [0, session.cast_unsigned(), 1, 0, 0, 0]).map(drop)
}

fn bpf() -> Tried {
    // A map of kind 2 (array) with keys and values of 4 bytes and one entry.
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
    call(libc::SYS_bpf, [0, attributes.as_ptr() as usize, 72, 0, 0, 0]).map(drop)
}

fn userfaultfd() -> Tried {
    call(libc::SYS_userfaultfd, [0, 0, 0, 0, 0, 0]).map(drop)
}

fn io_uring() -> Tried {
    let parameters = [0_u32; 64];
    call(libc::SYS_io_uring_setup, [1, parameters.as_ptr() as usize, 0, 0, 0, 0]).map(drop)
}

fn type_into_terminal() -> Tried {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/ptmx")?;
    let (fd, letter) = (terminal.as_raw_fd() as usize, b'x');
    let unlocked = 0_i32;
    call(libc::SYS_ioctl, [fd, libc::TIOCSPTLCK as usize, &raw const unlocked as usize, 0, 0, 0])?;
    let peer =
        call(libc::SYS_ioctl, [fd, libc::TIOCGPTPEER as usize, (libc::O_RDWR | libc::O_NOCTTY) as usize, 0, 0, 0])?;
    call(libc::SYS_ioctl, [peer, libc::TIOCSTI as usize, &raw const letter as usize, 0, 0, 0]).map(drop)
}

fn system_v() -> Tried {
    call(libc::SYS_shmget, [given::<usize>("ESCAPE_SHARED"), 4096, 0, 0, 0, 0]).map(drop)
}

fn say(to: PathBuf) -> Tried {
    UnixStream::connect(to)?.write_all(b"accept")
}

fn holder() -> Tried {
    say(place("state/holder.sock"))
}

fn bus() -> Tried {
    say(place("runtime/bus"))
}

fn abstract_socket() -> Tried {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(given::<String>("ESCAPE_ABSTRACT"))?;
    UnixStream::connect_addr(&address).map(drop)
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], given("ESCAPE_TCP")))
}

fn tcp() -> Tried {
    TcpStream::connect_timeout(&address(), Duration::from_secs(2)).map(drop)
}

fn fast_open() -> Tried {
    let socket = call(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_STREAM as usize, 0, 0, 0, 0])?;
    let [high, low] = address().port().to_be_bytes();
    let to = [libc::AF_INET as u8, 0, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let bytes = b"escaped";
    let flags = libc::MSG_FASTOPEN as usize;
    let sent = [socket, bytes.as_ptr() as usize, bytes.len(), flags, to.as_ptr() as usize, to.len()];
    call(libc::SYS_sendto, sent).map(drop)
}

fn udp() -> Tried {
    let port: u16 = given("ESCAPE_UDP");
    UdpSocket::bind(("127.0.0.1", 0))?.send_to(b"escaped", ("127.0.0.1", port)).map(drop)
}

fn metadata() -> Tried {
    // Connecting a datagram socket sends nothing; it asks for a way.
    UdpSocket::bind(("0.0.0.0", 0))?.connect(("169.254.169.254", 80))
}

fn socket(family: i32, kind: i32) -> Tried {
    call(libc::SYS_socket, [family as usize, kind as usize, 0, 0, 0, 0]).map(drop)
}

fn packets() -> Tried {
    socket(libc::AF_PACKET, libc::SOCK_RAW)
}

fn vsock() -> Tried {
    socket(libc::AF_VSOCK, libc::SOCK_STREAM)
}

/// A program that lives long and is found by its arguments.
fn sleeper(setsid: bool) -> Command {
    let marker = given::<String>("ESCAPE_LEFT");
    let mut command = if setsid {
        let mut command = Command::new("setsid");
        command.args(["--fork", "sleep"]);
        command
    } else {
        Command::new("sleep")
    };
    command.arg(marker).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn survive() -> Tried {
    sleeper(true).status().map(drop)
}

fn kill_guard() -> Tried {
    sleeper(true).status()?;
    let parent = rustix::process::getppid().ok_or_else(|| Error::other("nobody watches that can be seen"))?;
    let status = fs::read_to_string(format!("/proc/{}/cmdline", parent.as_raw_nonzero()))?;
    if_so(status.contains("__guard"))?;
    Ok(kill_process(parent, Signal::KILL)?)
}

fn fork_bomb() -> Tried {
    let mut started = Vec::new();
    for _ in 0..given("ESCAPE_PROCESSES") {
        started.push(sleeper(false).spawn()?);
    }
    Ok(())
}

/// Takes memory and touches it.
pub(crate) fn memory_bomb() -> Tried {
    let size: usize = given("ESCAPE_MEMORY");
    let mut taken: Vec<u8> = Vec::new();
    taken.try_reserve_exact(size)?;
    taken.resize(size, 1);
    if_so(std::hint::black_box(&taken).len() == size)
}

fn memory_bombs() -> Tried {
    let share = given::<usize>("ESCAPE_MEMORY") / 4;
    let start = |_| {
        Command::new(std::env::current_exe()?)
            .args(["escape::hold", "--exact"])
            .env("ESCAPE_HOLD", "1")
            .env("ESCAPE_MEMORY", share.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    };
    let mut started = (0..6).map(start).collect::<io::Result<Vec<_>>>()?;
    let mut held = 0;
    for child in &mut started {
        let mut said = [0; 1];
        let mut out = child.stdout.take().unwrap();
        // It says a mark once it holds its share, and nothing where it could not.
        while out.read(&mut said)? == 1 {
            if said[0] == b'!' {
                held += 1;
                break;
            }
        }
    }
    if_so(held == started.len())
}

fn file_bomb() -> Tried {
    fs::File::create("large")?.set_len(given("ESCAPE_FILE"))
}
