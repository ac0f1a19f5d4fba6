//! The stage: the hidden subcommand `__fenced`, which confines itself, measures, reports and becomes the program.
//!
//! Relies on its arguments, which only a guard of ours writes. Never: becomes the program after something failed, or
//! before its report is written.

use super::{confine, probe};
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The hidden subcommand by which a binary becomes a stage.
pub(crate) const STAGE_ARGUMENT: &str = "__fenced";

/// What shells answer for a command that cannot be executed.
const CANNOT_START: i32 = 126;

/// How a program is to be confined.
#[derive(Debug)]
pub(super) struct Order {
    /// Whether namespaces are around it already.
    pub(super) inner: bool,
    pub(super) write: Vec<PathBuf>,
    pub(super) read: Vec<PathBuf>,
    /// Whether it may reach what the machine reaches, or what its namespace does.
    pub(super) network: bool,
    /// Whether it may open local sockets and share memory by name.
    pub(super) local: bool,
    /// Ports that it may connect to without a network.
    pub(super) ports: Vec<u16>,
    pub(super) memory_max: Option<u64>,
    pub(super) processes_max: Option<u64>,
    pub(super) file_max: Option<u64>,
    pub(super) canary: Option<PathBuf>,
    pub(super) listener: Option<u16>,
    pub(super) named: Option<String>,
    pub(super) process: Option<(u32, u64)>,
    report: Option<u32>,
    program: Vec<OsString>,
}

/// Runs as a stage; returns the exit code for the process where it does not become the program. `arguments` are those
/// after `__fenced`.
pub(crate) fn stage_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    let Some(order) = Order::read(arguments.into_iter()) else {
        eprintln!("error: __fenced is started by Loom only");
        return 2;
    };
    // Opened anew, since what is inherited belongs to no value; before files are out of reach.
    let report = order.report.and_then(|fd| OpenOptions::new().write(true).open(format!("/proc/self/fd/{fd}")).ok());
    let Some(mut report) = report else {
        eprintln!("error: the stage has nobody to report to");
        return CANNOT_START;
    };
    let said = match confine::confine(&order) {
        Ok(()) => format!("enforced {}\n", probe::enforced(&order).join(" ")),
        Err(error) => format!("failed {error}\n"),
    };
    if report.write_all(said.as_bytes()).is_err() || said.starts_with("failed ") {
        return CANNOT_START;
    }
    drop(report);
    let Some((program, arguments)) = order.program.split_first() else { return CANNOT_START };
    let error = Command::new(program).args(arguments).exec();
    eprintln!("error: cannot start {}: {error}", program.display());
    CANNOT_START
}

impl Order {
    fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let mut order = Order {
            inner: false,
            write: Vec::new(),
            read: Vec::new(),
            network: true,
            local: true,
            ports: Vec::new(),
            memory_max: None,
            processes_max: None,
            file_max: None,
            canary: None,
            listener: None,
            named: None,
            process: None,
            report: None,
            program: Vec::new(),
        };
        loop {
            let name = arguments.next()?;
            if name == "--" {
                order.program = arguments.collect();
                return (!order.program.is_empty()).then_some(order);
            }
            let value = arguments.next()?;
            match name.to_str()? {
                "--inner" => order.inner = true,
                "--write" => order.write.push(value.into()),
                "--read" => order.read.push(value.into()),
                "--network" => order.network = false,
                "--local" => order.local = false,
                "--port" => order.ports.push(parsed(&value)?),
                "--memory" => order.memory_max = Some(parsed(&value)?),
                "--processes" => order.processes_max = Some(parsed(&value)?),
                "--file-size" => order.file_max = Some(parsed(&value)?),
                "--canary" => order.canary = Some(value.into()),
                "--listener" => order.listener = Some(parsed(&value)?),
                "--named" => order.named = Some(value.into_string().ok()?),
                "--process" => {
                    let (pid, began) = value.to_str()?.split_once(':')?;
                    order.process = Some((pid.parse().ok()?, began.parse().ok()?));
                }
                "--report" => order.report = Some(parsed(&value)?),
                _ => return None,
            }
        }
    }
}

fn parsed<T: std::str::FromStr>(value: &OsStr) -> Option<T> {
    value.to_str()?.parse().ok()
}
