//! Closes what a program must not inherit.
//!
//! Whoever started Loom may have left files open for it, and Loom keeps a lock open for its children. None of them is the
//! program's (FENCE-7). Never: touches the three standard streams.

use rustix::io::{FdFlags, fcntl_setfd};
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

/// Lets every descriptor but the standard streams be closed when this process becomes another program.
pub(super) fn close_at_exec() -> io::Result<()> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let open: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(|&fd| fd > 2).collect();
    for fd in open {
        #[expect(unsafe_code, reason = "descriptors that were inherited belong to no value of Rust's")]
        // SAFETY: the number was listed as open just now and is used for one call that closes nothing; the only one of the
        // list that may be gone is that of the listing itself, for which the call answers EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        match fcntl_setfd(fd, FdFlags::CLOEXEC) {
            Ok(()) | Err(rustix::io::Errno::BADF) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
