//! Waits for what a driver that died had started: a git that still writes a work folder, a check in its last second.
//!
//! ```text
//! driver ── locks the file, and whatever it starts inherits the lock ──► git, guard ──► check
//!    └ dies: the lock is free when the last of them has ended
//! ```
//!
//! Relies on the store for there being one driver at a time. Never: waits without end, or kills what it did not start.

use crate::error::HostError;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long is waited. What lives longer than the guard's grace has got away from it, and is not waited for again.
const WAIT_MAX: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);

/// Waits until what earlier drivers of this folder started has ended; returns the lock that ours will inherit.
pub(crate) fn wait(folder: &Path) -> Result<File, HostError> {
    let path = folder.join("driver.lock");
    let failed = |doing| {
        let path = path.display().to_string();
        move |source| HostError::File { doing, path, source }
    };
    let open = || {
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed("open"))?;
        let inherited = rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty());
        inherited.map_err(|errno| failed("open")(errno.into()))?;
        Ok::<_, HostError>(file)
    };
    let file = open()?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < WAIT_MAX => thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
    }
    // Whoever holds it keeps the old file; the next driver waits for ours only.
    fs::remove_file(&path).map_err(failed("remove"))?;
    let file = open()?;
    file.try_lock().map_err(|error| failed("lock")(error.into()))?;
    Ok(file)
}
