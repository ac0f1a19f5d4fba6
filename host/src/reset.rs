//! Abandons what is stuck: every run that has not ended is cancelled, and what lies around is removed.
//!
//! Nothing is driven meanwhile: effects that are pending are not begun again, for their runs end here. The log stays; it
//! gets the cancellations like any other request. Never: removes an event, a blob, a branch, or what a run that could not
//! be cancelled needs. Where another process drives, it is asked to cancel (the command line does that), and only what
//! runs left that had ended is removed here.

use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::HostError;
use crate::leftover;
use crate::local::remove_workspaces;
use crate::order::{Executor, Message, Order, Outbox};
use crate::request::{Answered, Ask, Request};
use crate::session::request_id;
use crate::world::Machine;
use loom_core::id::{Actor, StreamId, hex};
use loom_store::{RedbStore, Store, origin};
use loom_tools::{end_strays, remove_tree};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime};

/// How long what a dead driver has left behind may take to end, in milliseconds.
const STRAY_MS: u64 = 3_000;
/// Scratch that nobody has touched for so long belongs to a process that has died.
const SCRATCH_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What lies around outside of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Workspaces of runs that have ended or that the store does not know.
    pub workspaces: Vec<PathBuf>,
    /// Folders that processes made for themselves and left when they died, untouched for a day.
    pub scratch: Vec<PathBuf>,
}

/// What a reset did.
#[derive(Debug, Default)]
pub struct Done {
    /// Runs that are cancelled now.
    pub cancelled: Vec<StreamId>,
    /// Runs that could not be, and why; their workspaces stay.
    pub kept: Vec<(StreamId, String)>,
    /// What was removed.
    pub removed: Leftovers,
}

/// Does nothing: what is asked for belongs to runs that end at once.
struct Idle;

impl Executor for Idle {
    fn start(&self, _: Order, _: Outbox) {}

    fn stop(&self, _: StreamId, _: u64) {}

    fn forget(&self, _: StreamId) {}
}

/// Returns what lies around, while these runs have not ended. Reads only.
pub fn leftovers(environment: &Environment, store: &dyn Store, open: &[StreamId]) -> Result<Leftovers, HostError> {
    let open: Vec<String> = open.iter().map(|stream| hex(&stream.0)).collect();
    let is_open = |path: &PathBuf| path.file_name().is_some_and(|name| open.iter().any(|run| name == run.as_str()));
    let workspaces = entries(&workspaces(environment, store)?).into_iter().filter(|path| !is_open(path)).collect();
    let is_old = |path: &PathBuf| {
        let touched = std::fs::symlink_metadata(path).and_then(|found| found.modified());
        touched.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > SCRATCH_AGE))
    };
    let scratch = entries(&environment.state_folder.join("scratch")).into_iter().filter(is_old).collect();
    Ok(Leftovers { workspaces, scratch })
}

/// Takes the store in `store_folder`, cancels every run that has not ended in the name of `actor`, and removes what lies
/// around then.
///
/// # Errors
/// [`loom_store::StoreError::Held`] while another process drives; else what keeps the store from being opened.
pub fn reset(environment: &Environment, store_folder: &Path, actor: &Actor, why: &str) -> Result<Done, HostError> {
    let store: Arc<dyn Store> = Arc::new(RedbStore::open(store_folder)?);
    let folder = workspaces(environment, store.as_ref())?;
    // The driver that died may have left somebody who still works there.
    let _lock = folder.parent().filter(|parent| parent.is_dir()).map(leftover::wait).transpose()?;
    end_strays(&folder, STRAY_MS);
    let (outbox, _inbox) = channel();
    let mut engine = Engine::open(store.clone(), Box::new(Machine), Arc::new(Idle), outbox)?;
    let mut done = Done::default();
    done.kept.extend(engine.set_aside().map(|(stream, why)| (stream, why.to_string())));
    let open: Vec<StreamId> = engine.runs().map(|(stream, _)| *stream).collect();
    for stream in open {
        let (reply, answer) = channel();
        let ask = Ask::Cancel { reason: Some(why.to_string()) };
        let request = Request { stream, id: request_id(), actor: actor.clone(), ask };
        engine.turn(vec![Message::Request(request, reply)])?;
        match answer.try_recv() {
            Ok(Answered::Not(error)) => done.kept.push((stream, error.to_string())),
            Err(_) => done.kept.push((stream, "the request was not answered".to_string())),
            Ok(_) if engine.run(stream).is_some() => done.kept.push((stream, "it has not ended".to_string())),
            Ok(_) => done.cancelled.push(stream),
        }
    }
    let kept: Vec<StreamId> = done.kept.iter().map(|(stream, _)| *stream).collect();
    done.removed = leftovers(environment, store.as_ref(), &kept)?;
    remove_workspaces(&folder, &|name| kept.iter().any(|stream| hex(&stream.0) == name));
    for path in &done.removed.scratch {
        let _left = remove_tree(path);
    }
    // What could not be removed is not told as removed.
    done.removed.workspaces.retain(|path| !path.exists());
    done.removed.scratch.retain(|path| !path.exists());
    Ok(done)
}

/// Removes workspaces of these runs, which have ended on record, while another process drives the others. Scratch may be
/// that process's, and a workspace that the store does not know may be one of a run that is being opened: both stay.
pub fn clear(environment: &Environment, store: &dyn Store, ended: &[StreamId]) -> Result<Leftovers, HostError> {
    let folder = workspaces(environment, store)?;
    let mut found: Vec<PathBuf> = ended.iter().map(|stream| folder.join(hex(&stream.0))).collect();
    found.retain(|path| path.is_dir());
    for path in &found {
        let _left = remove_tree(path);
    }
    found.retain(|path| !path.exists());
    Ok(Leftovers { workspaces: found, scratch: Vec::new() })
}

fn workspaces(environment: &Environment, store: &dyn Store) -> Result<PathBuf, HostError> {
    Ok(environment.state_folder.join("stores").join(hex(&origin(store)?)).join("workspaces"))
}

/// Returns what is in a folder; nothing where there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}
