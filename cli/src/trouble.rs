//! Drives a session and watches whether what is done can be recorded; says so when it cannot.
//!
//! Outcomes wait in the process while the disk is full, for it is what they are lost with: so it is tried again for a
//! while, and then the command ends and says what to do. What is on record by then is taken up by the next one.

use crate::error::CliError;
use crate::interrupt;
use crate::output::warn;
use loom_host::Engine;
use loom_host::session::Session;
use std::time::{Duration, Instant};

/// How long is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Drives until `until` says so or nothing is under way.
pub(crate) fn drive(
    session: &mut Session,
    mut until: impl FnMut(&Engine) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    attend(session, |engine| Ok(until(engine)? || !engine.is_busy()))
}

/// Drives until `until` says so, also while nothing is under way: somebody may ask something.
pub(crate) fn attend(
    session: &mut Session,
    mut until: impl FnMut(&Engine) -> Result<bool, CliError>,
) -> Result<(), CliError> {
    let folder = session.store_folder().to_path_buf();
    let outbox = session.outbox();
    interrupt::listen(outbox.clone());
    if let Some(signal) = interrupt::came().filter(|_| !session.engine().is_busy()) {
        return Err(CliError::Interrupted { signal });
    }
    let mut is_held = false;
    let mut since: Option<Instant> = None;
    let mut failed = None;
    session
        .attend(|engine| {
            let done = match engine.trouble() {
                None => {
                    since = None;
                    until(engine).and_then(|done| match interrupt::came() {
                        Some(signal) if !done && !engine.is_busy() => Err(CliError::Interrupted { signal }),
                        Some(_) if !std::mem::replace(&mut is_held, true) => {
                            interrupt::hold(engine, &outbox);
                            Ok(done)
                        }
                        _ => Ok(done),
                    })
                }
                // Nothing new is on record, and the store may not even be readable.
                Some(error) => {
                    let began = *since.get_or_insert_with(|| {
                        warn(&format!("{error}; trying again for {} seconds", PATIENCE.as_secs()));
                        Instant::now()
                    });
                    match began.elapsed() < PATIENCE {
                        true => Ok(false),
                        false => Err(CliError::unrecorded(error.clone(), &folder)),
                    }
                }
            };
            done.unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        })
        .map_err(|error| CliError::of_host(error, &folder))?;
    failed.map_or(Ok(()), Err)
}
