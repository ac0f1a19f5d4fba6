//! The fence `landlock`: Landlock rules and a filter of system calls, with no helper program and no namespace.
//!
//! Relies on a kernel with Landlock. It hides no process. What no rule of Landlock covers, local sockets with a path and System V's
//! shared memory, is kept away by refusing it altogether. Never: needs a right that its user has not.

use super::{Fence, Inside, Watch, limit, system};
use std::ffi::OsString;
use std::path::Path;

/// Whether the kernel offers Landlock, as it says itself.
pub fn has_landlock() -> bool {
    #[cfg(target_os = "linux")]
    let offered = super::confine::takes_rules();
    #[cfg(not(target_os = "linux"))]
    let offered = false;
    offered
}

#[derive(Debug)]
pub(super) struct Landlock;

impl Fence for Landlock {
    fn name(&self) -> &'static str {
        "landlock"
    }

    fn watch(&self) -> Watch {
        Watch::Stage
    }

    fn command_line(&self, stage: &Path, inside: &Inside<'_>) -> Vec<OsString> {
        let bounds = inside.bounds;
        let mut line = vec![stage.as_os_str().to_owned(), "__fenced".into()];
        let pair = |name: &str, path: &Path| [OsString::from(name), path.as_os_str().to_owned()];
        for path in bounds.write.iter().cloned().chain(system::devices()) {
            line.extend(pair("--write", &path));
        }
        let read = system::readable().into_iter().chain(bounds.read.iter().cloned());
        for path in read.chain(["/proc".into(), stage.to_owned(), inside.program.to_owned()]) {
            line.extend(pair("--read", &path));
        }
        line.extend(["--local".into(), "none".into()]);
        if !bounds.network {
            line.extend(["--network".into(), "none".into()]);
            line.extend(bounds.doors.iter().flat_map(|door| ["--port".into(), door.port.to_string().into()]));
        }
        line.extend(limit::arguments(&bounds.limits));
        line.extend(inside.outside.iter().cloned());
        line.extend(["--".into(), inside.program.as_os_str().to_owned()]);
        line.extend(inside.arguments.iter().cloned());
        line
    }
}
