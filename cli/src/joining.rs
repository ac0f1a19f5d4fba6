//! A run that another process drives: opened through it, followed, and answered at this terminal.
//!
//! What is typed and what goes on record come in one way, so that an answer given elsewhere and the end of who drives are
//! noticed while a question stands.

use crate::card::card;
use crate::commands::diff::patch;
use crate::error::CliError;
use crate::status::{self, Onlooker};
use crate::terminal::{Terminal, Typed};
use crate::text::{clean, clean_block, run8};
use crate::told::Tale;
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::kind::Event;
use loom_core::state::Gate;
use loom_host::request::Ask;
use loom_host::session::{Wishes, request_id};
use loom_replay::{ReplayError, StoredRun, refold};
use loom_server::{AskError, RemoteStore, Told};
use loom_store::Stored;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::sync_channel;

/// How much of what comes is kept until it is looked at.
const AHEAD: usize = 64;

/// What became of it.
pub(crate) enum Joined {
    /// It has ended, or waits at this gate, or is held.
    Stands(StreamId, Option<Gate>),
    /// Who drove it has gone. What was typed and not given to it stays with the terminal.
    Orphaned,
}

/// What comes.
enum Heard {
    Told(Told),
    /// Somebody has typed.
    Typed,
    /// The holder has gone.
    Gone,
}

/// A run that is driven elsewhere.
struct Run<'a> {
    holder: &'a RemoteStore,
    folder: &'a Path,
    stream: StreamId,
    terminal: &'a mut Option<Terminal>,
    tale: &'a mut Tale,
}

/// Opens a run through its holder, which has the store in `folder`, and follows it until it has ended or waits and nobody
/// here answers.
pub(crate) fn join(
    (holder, folder): (&RemoteStore, &Path),
    (id, task, bundle, wishes): (&[u8], &str, &str, &Wishes),
    (terminal, tale): (&mut Option<Terminal>, &mut Tale),
    quiet: bool,
) -> Result<Joined, CliError> {
    let stream = match holder.open_run(id, task, bundle, wishes) {
        Ok(stream) => stream,
        Err(AskError::Refused(reason)) => return Err(CliError::Refused { reason }),
        Err(AskError::Unavailable(_)) => return Ok(Joined::Orphaned),
    };
    tale.say(&format!("run {}, which another process drives", run8(&stream)));
    let (heard, hears) = sync_channel(AHEAD);
    if let Some(terminal) = terminal {
        let heard = heard.clone();
        // Who followed has ended: the next to ask has itself woken.
        terminal.wakes(move || drop(heard.send(Heard::Typed)));
        terminal.is_interrupted();
    }
    let begun =
        holder.follow_along(Some(stream), 0, move |told| match heard.send(told.map_or(Heard::Gone, Heard::Told)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        });
    if begun.is_err() {
        return Ok(Joined::Orphaned);
    }
    let mut onlooker = Onlooker::begin(stream, quiet);
    let mut run = Run { holder, folder, stream, terminal, tale };
    let joined = loop {
        let looked = match hears.recv() {
            Ok(Heard::Told(Told::Event(stored))) => {
                onlooker.hears(&stored);
                if run.may_stand(&stored) { run.look() } else { Ok(None) }
            }
            Ok(Heard::Told(Told::Live { spawn, live })) => {
                onlooker.sees(holder, spawn, live);
                Ok(None)
            }
            Ok(Heard::Told(Told::Sign)) => Ok(None),
            Ok(Heard::Typed) => run.look(),
            Ok(Heard::Gone) | Err(_) => break Joined::Orphaned,
        };
        match looked {
            Ok(None) => {}
            Ok(Some(joined)) => break joined,
            Err(CliError::Store(_) | CliError::Replay(ReplayError::Store(_))) => break Joined::Orphaned,
            Err(error) => return Err(error),
        }
    };
    drop(status::clear());
    if matches!(joined, Joined::Orphaned) {
        run.tale.say("who drove it has gone");
    }
    Ok(joined)
}

impl Run<'_> {
    /// Whether the run may have come to a stand with an event that was not looked at yet.
    fn may_stand(&self, stored: &Stored) -> bool {
        // What cannot be read is told where it is read.
        Envelope::decode(&stored.event.bytes).is_ok_and(|envelope| {
            let is_beside = matches!(
                envelope.body,
                Event::PathsChanged(_) | Event::BudgetSettled(_) | Event::FindingRaised(_) | Event::VerdictGiven(_)
            );
            !is_beside && self.tale.is_new(envelope.sequence)
        })
    }

    /// Tells what is new, asks where a gate waits, and gives the answer on; nothing while there is more to come.
    fn look(&mut self) -> Result<Option<Joined>, CliError> {
        let (holder, stream) = (self.holder, self.stream);
        self.tale.tell_new(holder, stream, None)?;
        let found = refold(&StoredRun::new(holder, stream), None)?;
        let (Some(gate), None, Ok(run)) = (found.state.gate.clone(), found.state.closed, &found.run) else {
            let is_over = found.state.closed.is_some() || found.state.is_parked();
            return Ok(is_over.then_some(Joined::Stands(stream, None)));
        };
        if self.terminal.as_ref().is_none_or(|terminal| terminal.is_new(gate.sequence)) {
            card(holder, stream, run, &gate)?.iter().for_each(|line| self.tale.say(line));
        }
        let Some(terminal) = self.terminal else { return Ok(Some(Joined::Stands(stream, Some(gate)))) };
        terminal.ask(gate.sequence, &clean(&gate.role), self.tale)?;
        match terminal.take() {
            None => return Ok(None),
            Some(Typed::End) => return Ok(Some(Joined::Stands(stream, Some(gate)))),
            Some(Typed::Diff) => self.tale.block(&clean_block(&patch(self.folder, holder, stream)?)),
            Some(Typed::Unclear(word)) => self.tale.say(&format!("`{}` is none of them", clean(&word))),
            Some(Typed::Answer(answer, note)) => {
                let typed = Typed::Answer(answer, note.clone());
                let artifact = Some(gate.artifact);
                let ask = Ask::Answer { gate: gate.sequence, answer, note, artifact, signed: None };
                match holder.ask(stream, &request_id(), &ask) {
                    // What follows from it is told as it comes.
                    Ok(_) => return Ok(None),
                    // Somebody else was faster, as a rule.
                    Err(AskError::Refused(reason)) => self.tale.say(&clean(&reason)),
                    // Whoever drives next gets it, unless it is on record.
                    Err(AskError::Unavailable(_)) => {
                        terminal.give_back(typed);
                        return Ok(Some(Joined::Orphaned));
                    }
                }
            }
        }
        terminal.again(&clean(&gate.role), self.tale)?;
        Ok(None)
    }
}
