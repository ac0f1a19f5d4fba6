//! System calls that no safe library makes, since a fence has to refuse them.

use std::io;

/// Makes a system call and returns its answer.
#[expect(unsafe_code, reason = "what a fence must refuse has to be really tried")]
pub(crate) fn call(number: libc::c_long, arguments: [usize; 6]) -> io::Result<usize> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: callers pass numbers, and addresses of values that outlive the call and are as large as it takes.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(answer).map_err(|_| io::Error::last_os_error())
}
