//! The status line: what agents do just now, as the last line of a terminal: one of them, with what the run has cost so
//! far, and how many more work. It is overwritten, and gone once nothing is
//! under way; without a terminal there is none.
//!
//! Whoever else writes to stderr calls [`clear`] first, and keeps what it returns until the lines are written.

use crate::spent::Spent;
use crate::text::{clean, clip};
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::kind::Event;
use loom_host::live::{Board, Live};
use loom_host::world::{Machine, World};
use loom_store::{Store, Stored};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the time in the line moves on.
const TICK: Duration = Duration::from_secs(1);
/// Columns of a terminal that does not tell how many it has.
const COLUMNS: usize = 80;

/// Whether the last line is a status line.
static SHOWN: Mutex<bool> = Mutex::new(false);

fn shown() -> MutexGuard<'static, bool> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the status line away, so that other lines can be written. None is shown before the guard is dropped.
pub(crate) fn clear() -> MutexGuard<'static, bool> {
    let mut is_shown = shown();
    if std::mem::take(&mut *is_shown) {
        // Nobody looks on any more.
        let _closed = std::io::stderr().write_all(b"\r\x1b[2K");
    }
    is_shown
}

/// Whether there is a terminal to show it on.
pub(crate) fn is_wanted(quiet: bool) -> bool {
    !quiet && std::io::stderr().is_terminal()
}

/// Shows a line in place of the one before, unless that has ended meanwhile.
fn show(line: Option<String>, ended: &AtomicBool) {
    let Some(line) = line else { return };
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(COLUMNS, |size| usize::from(size.ws_col));
    let line: String = line.chars().take(columns.max(20) - 1).collect();
    let mut is_shown = shown();
    if ended.load(Ordering::Relaxed) {
        return;
    }
    let _closed = write!(std::io::stderr(), "\r\x1b[2K\x1b[2m{line}\x1b[0m");
    *is_shown = true;
}

/// A spawn that is under way.
struct Spawn {
    agent: String,
    /// Milliseconds since the epoch.
    since_ms: u64,
}

/// Reads who works since when; nothing where the event is no request of a spawn.
fn spawn(store: &dyn Store, stream: StreamId, id: u64) -> Option<Spawn> {
    let stored = store.read(stream, id, 1).ok()?.pop()?;
    let envelope = Envelope::decode(&stored.event.bytes).ok()?;
    match envelope.body {
        Event::SpawnRequested(body) => Some(Spawn { agent: body.agent, since_ms: envelope.stamp.ms }),
        _ => None,
    }
}

/// Shows what the spawns of a run do that another process drives, as it is told.
pub(crate) struct Onlooker {
    stream: StreamId,
    is_wanted: bool,
    notes: BTreeMap<u64, Live>,
    spent: Spent,
}

impl Onlooker {
    /// Begins with nothing told; shows nothing where there is no terminal.
    pub(crate) fn begin(stream: StreamId, quiet: bool) -> Self {
        Onlooker { stream, is_wanted: is_wanted(quiet), notes: BTreeMap::new(), spent: Spent::default() }
    }

    /// Hears of an event: what has ended does nothing any more.
    pub(crate) fn hears(&mut self, stored: &Stored) {
        let ended = match Envelope::decode(&stored.event.bytes).map(|envelope| envelope.body) {
            Ok(Event::SpawnFinished(body)) => body.spawn,
            Ok(Event::EffectOrphaned(body)) => body.effect,
            Ok(Event::BudgetSettled(body)) => body.effect,
            _ => return,
        };
        if self.notes.remove(&ended).is_some() {
            drop(clear());
        }
    }

    /// Shows what a spawn does just now.
    pub(crate) fn sees(&mut self, store: &dyn Store, id: u64, live: Live) {
        // Who cannot be asked has gone, which is told elsewhere.
        if !self.is_wanted || self.spent.reads_on(store, self.stream).is_err() || !self.spent.is_under_way(id) {
            return;
        }
        self.notes.insert(id, live);
        let notes: Vec<(u64, &Live)> = self.notes.iter().map(|(id, live)| (*id, live)).collect();
        show(line(store, self.stream, &notes, &self.spent), &AtomicBool::new(false));
    }
}

/// Returns the line that says what the last of these spawns does just now, and how many more there are.
fn line(store: &dyn Store, stream: StreamId, notes: &[(u64, &Live)], spent: &Spent) -> Option<String> {
    let ((id, live), others) = notes.split_last()?;
    Some(written(&spawn(store, stream, *id)?, live, others.len(), &spent.told()))
}

fn written(Spawn { agent, since_ms }: &Spawn, live: &Live, others: usize, spent: &str) -> String {
    let more = if others == 0 { String::new() } else { format!(" · +{others}") };
    let seconds = Machine.now_ms().saturating_sub(*since_ms) / 1_000;
    let tokens = live.tokens_in.unwrap_or(0).saturating_add(live.tokens_out.unwrap_or(0));
    let model = live.model.as_deref().map(|model| format!(" · {}", clip(&clean(model), 40))).unwrap_or_default();
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (agent, live) = (clean(agent), clean(&live.line));
    format!("  {agent} · {minutes}:{seconds:02}{model} · {tokens} tokens · {spent} so far{more} · {live}")
}

/// Shows what the spawns of a run do, until it is dropped.
pub(crate) struct Status {
    ends: Arc<AtomicBool>,
}

impl Status {
    /// Begins to show what stands on the board; nothing where there is no terminal.
    pub(crate) fn begin(board: Board, store: Arc<dyn Store>, stream: StreamId, quiet: bool) -> Option<Self> {
        if !is_wanted(quiet) {
            return None;
        }
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        std::thread::spawn(move || {
            let mut spent = Spent::default();
            while !ended.load(Ordering::Relaxed) {
                let (now, notes) = board.of(stream);
                let notes: Vec<(u64, &Live)> = notes.iter().map(|(id, live)| (*id, live)).collect();
                // A store that cannot be read is told by who drives.
                match notes.is_empty() || spent.reads_on(store.as_ref(), stream).is_err() {
                    false => show(line(store.as_ref(), stream, &notes, &spent), &ended),
                    true => drop(clear()),
                }
                board.wait(now, TICK);
            }
        });
        Some(Status { ends })
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        drop(clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_shown_while_others_write() {
        let _cleared = clear();
        assert!(SHOWN.try_lock().is_err(), "whoever shows a line waits");
    }

    #[test]
    fn a_line_has_one_agent_what_the_run_cost_and_how_many_more_work() {
        let spawn = Spawn { agent: "reviewer-logic".to_string(), since_ms: u64::MAX };
        let (model, line) = (Some("m".to_string()), "reads\u{1b}[2K".to_string());
        let live = Live { line, model, tokens_in: Some(20), tokens_out: Some(3) };
        let shown = written(&spawn, &live, 2, "$0.12");
        assert!(shown.starts_with("  reviewer-logic · 0:00 · m · 23 tokens · $0.12 so far · +2 · reads"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert!(!written(&spawn, &live, 0, "$0.12").contains('+'));
    }
}
