//! A run that another process drives: opened through it, followed, and answered at this terminal.

use crate::card::card;
use crate::error::CliError;
use crate::status;
use crate::terminal::{Typed, read_line};
use crate::text::{clean, run8};
use crate::told::Tale;
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::kind::Event;
use loom_core::state::Gate;
use loom_host::request::Ask;
use loom_host::session::{Wishes, request_id};
use loom_replay::{StoredRun, refold};
use loom_server::{AskError, RemoteStore, Told};
use loom_store::Stored;
use std::ops::ControlFlow;

/// What became of it.
pub(crate) enum Joined {
    /// It has ended, or waits at this gate, or is held.
    Stands(StreamId, Option<Gate>),
    /// Who drove it has gone.
    Orphaned,
}

/// Opens a run through its holder and follows it until it has ended or waits and nobody here answers.
pub(crate) fn join(
    holder: &RemoteStore,
    (id, task, bundle, wishes): (&[u8], &str, &str, &Wishes),
    (quiet, asks, jsonl): (bool, bool, bool),
) -> Result<Joined, CliError> {
    let stream = match holder.open_run(id, task, bundle, wishes) {
        Ok(stream) => stream,
        Err(AskError::Refused(reason)) => return Err(CliError::Refused { reason }),
        Err(AskError::Unavailable(_)) => return Ok(Joined::Orphaned),
    };
    let mut tale = Tale::begin(quiet).in_lines(jsonl);
    tale.say(&format!("run {}, which another process drives", run8(&stream)));
    let shows = status::is_wanted(quiet);
    let mut next = 0;
    loop {
        let mut failed = None;
        let followed = holder.follow(Some(stream), next, &mut |told| match told {
            Told::Event(stored) => {
                next += 1;
                if !may_stand(&stored) {
                    return ControlFlow::Continue(());
                }
                match stands(holder, stream, &mut tale) {
                    Ok(true) => ControlFlow::Break(()),
                    Ok(false) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            }
            Told::Live { spawn, live } => {
                if shows {
                    status::tell(holder, stream, spawn, &live);
                }
                ControlFlow::Continue(())
            }
            Told::Sign => ControlFlow::Continue(()),
        });
        drop(status::clear());
        match (followed, failed) {
            (Err(_), _) | (_, Some(CliError::Store(_))) => return Ok(Joined::Orphaned),
            (Ok(()), Some(error)) => return Err(error),
            (Ok(()), None) => {}
        }
        let run = refold(&StoredRun::new(holder, stream), None)?;
        let (Some(gate), None, Ok(run)) = (run.state.gate.clone(), run.state.closed, &run.run) else {
            return Ok(Joined::Stands(stream, None));
        };
        for line in card(holder, stream, run, &gate)? {
            tale.say(&line);
        }
        if !asks || !answered(holder, stream, &gate, &tale)? {
            return Ok(Joined::Stands(stream, Some(gate)));
        }
    }
}

/// Whether a run may have come to a stand with an event.
fn may_stand(stored: &Stored) -> bool {
    // What cannot be read is told where it is read.
    Envelope::decode(&stored.event.bytes).is_ok_and(|envelope| {
        !matches!(
            envelope.body,
            Event::PathsChanged(_) | Event::BudgetSettled(_) | Event::FindingRaised(_) | Event::VerdictGiven(_)
        )
    })
}

/// Tells what is new, and whether the run has ended, waits or is held.
fn stands(holder: &RemoteStore, stream: StreamId, tale: &mut Tale) -> Result<bool, CliError> {
    tale.tell_new(holder, stream, None)?;
    let state = refold(&StoredRun::new(holder, stream), None)?.state;
    Ok(state.closed.is_some() || state.is_parked())
}

/// Asks at the terminal and puts the answer on record; false where the input has ended.
fn answered(holder: &RemoteStore, stream: StreamId, gate: &Gate, tale: &Tale) -> Result<bool, CliError> {
    loop {
        tale.ask(&format!("gate `{}`: accept, revise NOTE, reject, or abandon? ", clean(&gate.role)))?;
        match read_line() {
            Typed::Answer(answer, note) => {
                let ask =
                    Ask::Answer { gate: gate.sequence, answer, note, artifact: Some(gate.artifact), signed: None };
                return match holder.ask(stream, &request_id(), &ask) {
                    Ok(_) => Ok(true),
                    Err(AskError::Refused(reason)) => Err(CliError::Refused { reason }),
                    Err(AskError::Unavailable(reason)) => Err(CliError::Unheard { reason }),
                };
            }
            Typed::End => return Ok(false),
            Typed::Diff => tale.say("`loom diff` shows it, in another terminal"),
            Typed::Unclear(word) => tale.say(&format!("`{}` is none of them", clean(&word))),
        }
    }
}
