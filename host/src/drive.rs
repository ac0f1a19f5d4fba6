//! The one drive loop: wait for messages or the next deadline, turn, again.

use crate::engine::Engine;
use crate::error::HostError;
use crate::order::Message;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How long the loop waits before it tries again to record what it could not, in milliseconds.
const RETRY_MS: u64 = 500;
/// Longest wait: the clock may be set while the loop waits, in milliseconds.
const WAIT_MAX_MS: u64 = 60_000;
/// Most messages of one turn, which is one durable commit.
const TURN_MAX: usize = 256;

/// Drives all runs until `until` says so.
///
/// `until` is asked before every wait, with what is on record by then.
pub fn drive(
    engine: &mut Engine,
    inbox: &Receiver<Message>,
    mut until: impl FnMut(&Engine) -> bool,
) -> Result<(), HostError> {
    engine.turn(Vec::new())?;
    while !until(engine) {
        let mut messages = Vec::new();
        match inbox.recv_timeout(wait(engine)) {
            Ok(message) => {
                messages.push(message);
                messages.extend(inbox.try_iter().take(TURN_MAX - 1));
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Nobody is left who could send: what is due may still be done, and then nothing is to come.
            Err(RecvTimeoutError::Disconnected) => return engine.turn(Vec::new()),
        }
        engine.turn(messages)?;
    }
    Ok(())
}

fn wait(engine: &Engine) -> Duration {
    if engine.trouble().is_some() {
        return Duration::from_millis(RETRY_MS);
    }
    let now_ms = engine.now_ms();
    let wait_ms = engine.next_deadline_ms().map_or(WAIT_MAX_MS, |due_ms| due_ms.saturating_sub(now_ms));
    Duration::from_millis(wait_ms.min(WAIT_MAX_MS))
}
