//! What stands outside while something inside tries to reach it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use loom_tools::{Bounds, FenceLimits};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};

use super::raw::call;

pub(crate) const SECRET: &str = "the-secret-of-the-user";
pub(crate) const CACHED: &str = "a crate\n";

const MEMORY_MAX: u64 = 256 << 20;
const PROCESSES_MAX: u64 = 60;
const FILE_MAX: u64 = 16 << 20;

pub(crate) struct World {
    folder: tempfile::TempDir,
    victim: Child,
    mortal: Child,
    listener: TcpListener,
    datagrams: UdpSocket,
    sockets: BTreeMap<&'static str, UnixListener>,
    named: (String, UnixListener),
    shared: usize,
    _inherited: File,
    /// Unlike anything else on the machine.
    marker: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["work", "home", "tmp", "outside", "user/.ssh", "state", "runtime", "cache", "project/.git/hooks"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["canary", "changed", "deleted", "symlinked", "hard-linked", "renamed"] {
            fs::write(at("outside").join(name), "untouched").unwrap();
        }
        for name in ["user/.ssh/key", "state/key", "outside/inherited"] {
            fs::write(at(name), SECRET).unwrap();
        }
        fs::write(at("cache/crate"), CACHED).unwrap();
        let marker = folder
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .bytes()
            .fold(7_u32, |all, byte| all.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let marker = format!("9{:09}", marker % 1_000_000_000);
        let sleeper = |tail: &str| {
            Command::new("sleep")
                .arg(format!("{marker}.{tail}"))
                .env("SECRET", SECRET)
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        let (victim, mortal) = (sleeper("1"), sleeper("2"));
        let inherited = File::open(at("outside/inherited")).unwrap();
        fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
        let name = format!("loom-escape-{marker}");
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let sockets = [("holder", "state/holder.sock"), ("bus", "runtime/bus")];
        let sockets = sockets.map(|(name, path)| {
            let listener = UnixListener::bind(at(path)).unwrap();
            listener.set_nonblocking(true).unwrap();
            (name, listener)
        });
        let datagrams = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        let shared = marker.parse::<usize>().unwrap() & 0x7FFF_FFFF;
        call(libc::SYS_shmget, [shared, 4096, libc::IPC_CREAT as usize | 0o600, 0, 0, 0]).unwrap();
        World {
            victim,
            mortal,
            listener: TcpListener::bind(("127.0.0.1", 0)).unwrap(),
            datagrams,
            sockets: sockets.into(),
            named: (name, UnixListener::bind_addr(&address).unwrap()),
            shared,
            _inherited: inherited,
            marker,
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            write: ["work", "home", "tmp"].map(|name| self.path(name)).to_vec(),
            read: vec![self.path("cache"), std::env::current_exe().unwrap()],
            canary: self.path("outside/canary"),
            network: false,
            doors: Vec::new(),
            limits: FenceLimits {
                memory_max_bytes: Some(MEMORY_MAX),
                processes_max: Some(PROCESSES_MAX),
                file_max_bytes: Some(FILE_MAX),
            },
        }
    }

    /// Returns what an attempt is told, so that it need not guess.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.victim.id())).unwrap();
        let address = usize::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
        let shared = |folder: &str| format!("{folder}/loom-escape-{}", self.marker);
        vec![
            ("ESCAPE_FOLDER", self.folder.path().display().to_string()),
            ("ESCAPE_TMP", shared("/tmp")),
            ("ESCAPE_SHM", shared("/dev/shm")),
            ("ESCAPE_PID", self.victim.id().to_string()),
            ("ESCAPE_MARKER", format!("{}.1", self.marker)),
            ("ESCAPE_MORTAL", self.mortal.id().to_string()),
            ("ESCAPE_ADDRESS", address.to_string()),
            ("ESCAPE_ABSTRACT", self.named.0.clone()),
            ("ESCAPE_TCP", self.listener.local_addr().unwrap().port().to_string()),
            ("ESCAPE_UDP", self.datagrams.local_addr().unwrap().port().to_string()),
            ("ESCAPE_SHARED", self.shared.to_string()),
            ("ESCAPE_LEFT", format!("{}.3", self.marker)),
            ("ESCAPE_PROCESSES", (PROCESSES_MAX * 2).to_string()),
            ("ESCAPE_MEMORY", (MEMORY_MAX * 2).to_string()),
            ("ESCAPE_FILE", (FILE_MAX * 2).to_string()),
        ]
    }

    /// Whether something outside shows that an attempt got there.
    pub(crate) fn shows(&mut self, attempt: &str) -> bool {
        let differs = |name: &str| fs::read_to_string(self.path(name)).is_ok_and(|text| text != "untouched");
        let is_gone = |name: &str| !self.path(name).exists();
        let was_left = |folder: &str| {
            let path = Path::new(folder).join(format!("loom-escape-{}", self.marker));
            fs::remove_file(path).is_ok()
        };
        match attempt {
            "write" => self.path("outside/written").exists(),
            "change" => differs("outside/changed"),
            "delete" => is_gone("outside/deleted"),
            "symlink" => differs("outside/symlinked"),
            "hard link" => differs("outside/hard-linked"),
            "rename" => is_gone("outside/renamed"),
            "project" => self.path("project/.git/hooks/post-commit").exists(),
            "cache" => fs::read_to_string(self.path("cache/crate")).unwrap() != CACHED,
            "shared tmp" => was_left("/tmp"),
            "shared memory" => was_left("/dev/shm"),
            "signal" => self.mortal.try_wait().unwrap().is_some(),
            "udp" => self.datagrams.recv(&mut [0; 16]).is_ok(),
            "holder" | "bus" => {
                let Ok((mut from, _)) = self.sockets[attempt].accept() else { return false };
                let mut said = String::new();
                from.set_nonblocking(false).unwrap();
                from.read_to_string(&mut said).is_ok() && said == "accept"
            }
            "survive" | "kill guard" => !self.end_survivors().is_empty(),
            _ => panic!("nothing outside shows {attempt}"),
        }
    }

    /// Ends and returns processes of attempts that outlived their run.
    fn end_survivors(&self) -> Vec<Pid> {
        let wanted = format!("{}.3", self.marker);
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let found = entries.filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            line.split(|&byte| byte == 0).any(|word| word == wanted.as_bytes()).then_some(pid)
        });
        let found: Vec<Pid> = found.collect();
        for &pid in &found {
            let _gone = kill_process(pid, Signal::KILL);
        }
        found
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for child in [&mut self.victim, &mut self.mortal] {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
        self.end_survivors();
        if let Ok(id) = call(libc::SYS_shmget, [self.shared, 4096, 0, 0, 0, 0]) {
            let _gone = call(libc::SYS_shmctl, [id, libc::IPC_RMID as usize, 0, 0, 0, 0]);
        }
    }
}
