//! Ctrl-C and SIGTERM while runs are driven: once, and what is under way ends as it would, and nothing new begins; twice,
//! and the process ends at once. Either way what is on record stands, and `loom resume` goes on from it.

use crate::output::{note, warn};
use loom_host::Engine;
use loom_host::environment::Environment;
use loom_host::order::{Message, Outbox};
use loom_host::request::{Ask, Request};
use loom_host::session::{local_actor, request_id};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

/// The first signal that came; 0 before.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// Who is woken by it.
static DRIVING: Mutex<Option<Outbox>> = Mutex::new(None);

/// Listens from now on, in place of the system, in the name of who drives.
pub(crate) fn listen(outbox: Outbox) {
    let before = DRIVING.lock().unwrap_or_else(PoisonError::into_inner).replace(outbox);
    if before.is_some() {
        return;
    }
    let signals = Signals::new([SIGINT, SIGTERM]);
    let mut signals = match signals {
        Ok(signals) => signals,
        Err(error) => return warn(&format!("an interruption ends the process at once: {error}")),
    };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if SIGNAL.swap(signal, Ordering::SeqCst) != 0 {
                die(signal);
            }
            if let Some(outbox) = &*DRIVING.lock().unwrap_or_else(PoisonError::into_inner) {
                // Nobody drives any more: the process is about to end.
                let _gone = outbox.send(Message::Look);
            }
        }
    });
}

/// Returns the signal that came, if one did.
pub(crate) fn came() -> Option<i32> {
    Some(SIGNAL.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// Ends the process as the signal does.
pub(crate) fn die(signal: i32) -> ! {
    // It does not come back from a signal that ends processes.
    let _ended = emulate_default_handler(signal);
    std::process::exit(128 + signal);
}

/// Asks for every run that is busy to be held, and says so.
pub(crate) fn hold(engine: &Engine, outbox: &Outbox) {
    let busy: Vec<_> = engine.runs().filter(|(_, run)| run.state.is_busy() && run.state.hold.is_none()).collect();
    let actor = local_actor(&Environment::read());
    for (stream, _) in &busy {
        let request = Request { stream: **stream, id: request_id(), actor: actor.clone(), ask: Ask::Pause };
        // That it is held goes on record and is told from there.
        let _gone = outbox.send(Message::Request(request, channel().0));
    }
    if !busy.is_empty() {
        note("holding: what is under way ends first; once more to stop at once");
    }
}
