//! The hidden subcommands of a binary that embeds this room: it is started anew as a guard, a stage, a keeper of doors, or to do nothing.
//!
//! Never: part of what people type.

use std::ffi::OsString;

/// Answers a hidden subcommand and returns the exit code for the process; absent, the arguments (without the program's
/// name) are none of ours.
pub fn hidden_main(arguments: impl IntoIterator<Item = OsString>) -> Option<i32> {
    let mut arguments = arguments.into_iter();
    let first = arguments.next()?;
    if first == crate::guard::GUARD_ARGUMENT {
        return Some(crate::guard::guard_main(arguments));
    }
    #[cfg(target_os = "linux")]
    if first == crate::fence::STAGE_ARGUMENT {
        return Some(crate::fence::stage_main(arguments));
    }
    #[cfg(target_os = "linux")]
    if first == crate::fence::DOORS_ARGUMENT {
        return Some(crate::fence::doors_main(arguments));
    }
    (first == crate::fence::TRIAL_ARGUMENT).then_some(0)
}
