//! Links core into a library without a standard library, an operating system or a heap of anybody else.
//!
//! It builds only if core and everything below it is `no_std`: two panic handlers or two allocators do not link.
//! It is never run; what it calls is there so that the linker keeps it.

#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr::null_mut;
use loom_core::event::Envelope;
use loom_core::process::Bundle;

/// An allocator that has nothing to give: the proof is in the linking.
struct Nothing;

// SAFETY: it never returns memory, so there is nothing that could be misused.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Decodes an event, a bundle and a rule set, and names what would move a run.
///
/// Returns how many of them are well formed.
#[unsafe(no_mangle)]
pub extern "C" fn loom_proof(length: usize) -> usize {
    let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
    let event = Envelope::decode(&bytes).is_ok();
    let bundle = Bundle::decode(&bytes).is_ok_and(|bundle| bundle.flaws().is_empty());
    let rules = core::str::from_utf8(&bytes).is_ok_and(|text| loom_core::rules::RuleSet::load(text).is_ok());
    let step = core::hint::black_box(loom_core::step as fn(&_, _) -> _);
    let open = core::hint::black_box(loom_core::open as fn(_, _, _) -> _);
    let linked = step as usize != 0 && open as usize != 0;
    [event, bundle, rules, linked].iter().filter(|it| **it).count()
}
