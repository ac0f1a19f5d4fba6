//! Ten faults that the simulator must find, each at a real decision point: a simulator that finds nothing proves
//! nothing until it has found these.
//!
//! Only with the feature `planted`, which one test of the simulator is built with, can a fault become active; without it
//! `planted(_)` is the constant `false`. One fault is active at a time, for the whole process.

/// How many there are; they are numbered from 1.
pub const FAULTS: u8 = 10;

#[cfg(feature = "planted")]
static ACTIVE: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0);

/// Makes this fault the active one; 0 for none.
#[cfg(feature = "planted")]
pub fn plant(fault: u8) {
    ACTIVE.store(fault, core::sync::atomic::Ordering::SeqCst);
}

/// Whether this fault is the active one.
#[cfg(feature = "planted")]
pub(crate) fn planted(fault: u8) -> bool {
    ACTIVE.load(core::sync::atomic::Ordering::SeqCst) == fault
}

/// Whether this fault is the active one: never, in what ships.
#[cfg(not(feature = "planted"))]
pub(crate) const fn planted(_fault: u8) -> bool {
    false
}

/// Returns what goes wrong under a fault, in words.
pub fn what(fault: u8) -> &'static str {
    match fault {
        1 => "what a spawn used is not settled",
        2 => "an answer to a gate that does not wait is taken",
        3 => "a walk-back supersedes nothing",
        4 => "an approval outlives a walk-back",
        5 => "a deadline accepts",
        6 => "a failed spawn is tried again for ever",
        7 => "what is asked for is started twice",
        8 => "a late outcome moves the run on",
        9 => "a risk that was taken is forgotten when its finding comes back",
        10 => "stamps go back with the clock",
        _ => "nothing",
    }
}
