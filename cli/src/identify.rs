//! What people write to name a run or an event (CLI-4).
//!
//! ```text
//! 3fa8c2d1          first digits (4 or more) of an event's id, or of a run's stream
//! 3fa8c2d1#57       event 57 of that run; also run:last#57
//! run:last          the run opened last
//! @                 the last event of the run opened last
//! store             the store's own stream; store#0
//! ```

use crate::error::CliError;
use crate::text::{run8, short};
use loom_core::event::View;
use loom_core::id::{StreamId, hex};
use loom_store::{Resolution, Store, Stored};

/// Fewest digits of an id.
const DIGITS_MIN: usize = 4;

/// What an id names.
pub(crate) enum Named {
    /// A run, or the store's own stream.
    Run(StreamId),
    /// An event.
    Event(Box<Stored>),
}

/// Returns what a text names.
pub(crate) fn named(store: &dyn Store, text: &str) -> Result<Named, CliError> {
    if text == "@" {
        let stream = last_run(store)?;
        let next = store.head(stream)?.next;
        return at(store, stream, next.saturating_sub(1), text).map(Named::Event);
    }
    if let Some((run, sequence)) = text.rsplit_once('#') {
        let sequence: u64 = sequence.parse().map_err(|_| CliError::NotAnId { text: text.to_string() })?;
        return at(store, self::run(store, run)?, sequence, text).map(Named::Event);
    }
    match text {
        "run:last" => return last_run(store).map(Named::Run),
        "store" => return Ok(Named::Run(StreamId::STORE)),
        _ => {}
    }
    let prefix = text.to_ascii_lowercase();
    if prefix.len() < DIGITS_MIN || prefix.len() > 64 || !prefix.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(CliError::NotAnId { text: text.to_string() });
    }
    let runs = if prefix.len() > 32 { Vec::new() } else { store.runs(usize::MAX)? };
    let runs: Vec<StreamId> =
        runs.into_iter().map(|run| run.stream).filter(|stream| hex(&stream.0).starts_with(&prefix)).collect();
    let events = store.resolve(&prefix)?;
    match (&runs[..], events) {
        ([], Resolution::None) => Err(CliError::Unknown { text: text.to_string() }),
        ([run], Resolution::None) => Ok(Named::Run(*run)),
        ([], Resolution::One { position, .. }) => {
            let event = store.events(position, 1)?.pop();
            event.map(|event| Named::Event(Box::new(event))).ok_or(CliError::Unknown { text: text.to_string() })
        }
        (runs, events) => {
            let events = match events {
                Resolution::None => Vec::new(),
                Resolution::One { id, .. } => vec![id],
                Resolution::Many(ids) => ids,
            };
            let digits = shown_digits(&prefix);
            let runs = runs.iter().take(16).map(|run| format!("run {}", cut(&hex(&run.0), digits)));
            let events = events.iter().map(|id| format!("event {}", cut(&hex(&id.0), digits)));
            Err(CliError::Ambiguous { text: text.to_string(), candidates: runs.chain(events).collect() })
        }
    }
}

/// Returns the run that a text names, by itself or by one of its events.
pub(crate) fn run(store: &dyn Store, text: &str) -> Result<StreamId, CliError> {
    match named(store, text)? {
        Named::Run(stream) => Ok(stream),
        Named::Event(event) => Ok(view(&event)?.stream),
    }
}

/// Returns the event that a text names; for a run, its last one.
pub(crate) fn event(store: &dyn Store, text: &str) -> Result<Stored, CliError> {
    match named(store, text)? {
        Named::Event(event) => Ok(*event),
        Named::Run(stream) => {
            let next = store.head(stream)?.next;
            at(store, stream, next.saturating_sub(1), text).map(|event| *event)
        }
    }
}

/// Returns the run opened last.
pub(crate) fn last_run(store: &dyn Store) -> Result<StreamId, CliError> {
    store.runs(1)?.first().map(|run| run.stream).ok_or(CliError::NoRuns)
}

/// Returns an event's lazy view.
pub(crate) fn view(event: &Stored) -> Result<View<'_>, CliError> {
    View::read(&event.event.bytes).map_err(|source| CliError::Event { position: event.position, source })
}

/// Returns how people are told to name an event.
pub(crate) fn told(stream: &StreamId, sequence: u64) -> String {
    if *stream == StreamId::STORE { format!("store#{sequence}") } else { format!("{}#{sequence}", run8(stream)) }
}

/// Returns an event's short id.
pub(crate) fn short_id(event: &Stored) -> String {
    short(&event.event.id)
}

fn at(store: &dyn Store, stream: StreamId, sequence: u64, text: &str) -> Result<Box<Stored>, CliError> {
    let event = store.read(stream, sequence, 1)?.pop();
    event.map(Box::new).ok_or_else(|| CliError::Unknown { text: text.to_string() })
}

fn shown_digits(prefix: &str) -> usize {
    (prefix.len() + 8).clamp(12, 64)
}

fn cut(digits: &str, length: usize) -> &str {
    &digits[..length.min(digits.len())]
}
