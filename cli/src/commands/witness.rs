//! `loom witness PLACE`: a signed checkpoint where the user wants it, once the store is what the place has seen.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{GOOD, Output};
use crate::places::{Place, place_of};
use crate::signing;
use crate::text::clean;
use loom_core::id::hex;
use loom_replay::evidence::{Checkpoint, History, sign_checkpoint};
use loom_replay::{Bad, Options, verify};
use loom_store::{Damage, StoreError};
use serde::Serialize;
use std::io::Write;

/// Writes a signed checkpoint of the store to a place outside of it, after the store is held against those there.
///
/// A store that was cut off, put back to an older copy, forked or altered since is told as that, and nothing is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder (one file for each checkpoint), a file (one behind the other), or `git-note[:REF]`: a note of the
    /// project's present commit, by your own git.
    #[arg(value_name = "PLACE", value_parser = place_of)]
    place: Place,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    place: String,
    size: u64,
    root: String,
    /// Checkpoints that were there, and that the store was held against.
    held_against: usize,
    /// False where the newest one there is of this size already.
    written: bool,
}

/// Answers `loom witness`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let signing = signing::open(global, output)?;
    let store = signing.opened.store.as_ref();
    let project = signing.opened.folder.parent().unwrap_or(&signing.opened.folder);
    let place = &arguments.place;
    place.outside_of(&signing.opened.folder)?;
    let witnessed = place.read(&signing.origin, project)?;
    let history = History::of_store(store)?;
    witnessed.hold(store, &history)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let report = verify(store, Options { threads, blobs: false })?;
    let (size, root) = match (report.first_bad, report.root) {
        (None, Some(root)) => (report.events, root),
        (Some(Bad { position, stream, sequence, what, .. }), _) => {
            return Err(StoreError::Damaged(Damage { position, stream, sequence, what }).into());
        }
        (None, None) => return Err(StoreError::Broken.into()),
    };
    let written = witnessed.checkpoints.last().is_none_or(|newest| newest.size < size);
    if written {
        let key = &signing.key;
        let text = sign_checkpoint(&signing.origin, size, &root, key.public(), &|bytes| key.sign(bytes));
        place.write(&signing.origin, &Checkpoint::parse(&text)?, project)?;
    }
    let held_against = witnessed.checkpoints.len();
    if output.json {
        let (place, root) = (place.to_string(), hex(&root));
        output.document(&Document { loom: "witness/1", place, size, root, held_against, written })?;
    } else {
        let place = clean(&place.to_string());
        match held_against {
            0 => {}
            count => writeln!(output.out, "{GOOD}consistent{GOOD:#} with {count} checkpoints at {place}")?,
        }
        match written {
            true => writeln!(output.out, "a checkpoint of {size} events is at {place}")?,
            false => writeln!(output.out, "nothing new since: {size} events")?,
        }
    }
    Ok(Exit::Ok)
}
