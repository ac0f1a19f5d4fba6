//! Opens runs for every command that does, and says what a run does not see.

use crate::error::CliError;
use crate::output::warn;
use loom_bundles::LoadedBundle;
use loom_core::id::{Actor, StreamId};
use loom_host::session::{Session, Wishes};
use std::panic::resume_unwind;
use std::sync::Arc;

/// Opens a run; warns where the project has changes that are not committed.
pub(crate) fn open_run(
    session: &mut Session,
    id: Vec<u8>,
    actor: Actor,
    task: &str,
    bundle: Arc<LoadedBundle>,
    wishes: Wishes,
) -> Result<StreamId, CliError> {
    let folder = session.store_folder().to_path_buf();
    let unseen = session.unseen();
    let opened = session.open_run(id, actor, task, bundle, wishes);
    let stream = opened.map_err(|error| CliError::of_host(error, &folder))?;
    match unseen.join().unwrap_or_else(|panic| resume_unwind(panic)) {
        Ok(None) => {}
        Ok(Some(unseen)) => warn(&unseen.to_string()),
        // The run is open and starts from a commit: what else lies there does not change it.
        Err(error) => warn(&format!("what is not committed cannot be told: {error}")),
    }
    Ok(stream)
}
