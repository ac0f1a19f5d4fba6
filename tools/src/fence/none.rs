//! No fence: the program runs as its user. The guard still ends what it leaves.
//!
//! Never: says that anything is enforced.

use super::{Fence, Inside, Watch};
use std::ffi::OsString;
use std::path::Path;

/// No fence. It is on record as `none`.
#[derive(Debug, Clone, Copy)]
pub struct Open;

impl Fence for Open {
    fn name(&self) -> &'static str {
        "none"
    }

    fn watch(&self) -> Watch {
        Watch::Plain
    }

    fn command_line(&self, _: &Path, inside: &Inside<'_>) -> Vec<OsString> {
        [inside.program.as_os_str().to_owned()].into_iter().chain(inside.arguments.iter().cloned()).collect()
    }
}
