//! `loom export RUN -o FILE`: one run as a file that anybody can check without a store.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::{Output, WARN};
use crate::project;
use crate::text::{bytes, run8, shown};
use loom_core::id::{StreamId, hex};
use loom_replay::{StoredRun, trace};
use loom_store::origin;
use serde::Serialize;
use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes a run as a portable file, which `loom verify FILE` checks without a store.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// The file to write; `-` writes to stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Leaves out prompts, outputs and notes; bundle and rules stay.
    #[arg(long)]
    no_blobs: bool,
    /// Replaces a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    run: String,
    file: String,
    events: u64,
    blobs: u64,
    absent_blobs: u64,
    /// Those of them that a redaction on record had erased.
    redacted_blobs: u64,
    bytes: u64,
}

/// Answers `loom export`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let stream = identify::run(store, &arguments.run)?;
    if stream == StreamId::STORE {
        return Err(CliError::NotARun { text: arguments.run.clone() });
    }
    let records = StoredRun::new(store, stream);
    let origin = origin(store)?;
    let to_stdout = arguments.output == Path::new("-");
    let written = if to_stdout {
        let mut stdout = BufWriter::new(io::stdout().lock());
        trace::write(&records, origin, arguments.no_blobs, &mut stdout)?
    } else {
        to_file(&arguments.output, arguments.force, |sink| {
            Ok(trace::write(&records, origin, arguments.no_blobs, sink)?)
        })?
    };
    if to_stdout {
        return Ok(Exit::Ok);
    }
    if output.json {
        output.document(&Document {
            loom: "export/1",
            run: hex(&stream.0),
            file: arguments.output.to_string_lossy().into_owned(),
            events: written.events,
            blobs: written.blobs,
            absent_blobs: written.absent,
            redacted_blobs: written.redacted,
            bytes: written.bytes,
        })?;
    } else {
        let (run, size) = (run8(&stream), bytes(written.bytes));
        let file = shown(&arguments.output);
        writeln!(output.out, "{run}: {} events and {} blobs in {file}, {size}", written.events, written.blobs)?;
        if written.redacted > 0 {
            let how = "`loom prove` of their redactions says that to others";
            writeln!(output.out, "{WARN}{} blobs are redacted{WARN:#} and not in it; {how}", written.redacted)?;
        }
    }
    Ok(Exit::Ok)
}

/// Writes a file that appears when all of it is written, so that damage on the way leaves what was there before.
pub(crate) fn to_file<T>(
    path: &Path,
    force: bool,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let failed = |doing| {
        let path = path.to_path_buf();
        move |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => CliError::FileExists { path },
            _ => CliError::File { doing, path, source },
        }
    };
    match std::fs::symlink_metadata(path) {
        Ok(_) if !force => return Err(CliError::FileExists { path: path.to_path_buf() }),
        // To replace a device, a pipe or a link is never what was meant.
        Ok(found) if !found.is_file() => return Err(CliError::NotAFile { path: path.to_path_buf() }),
        Ok(_) | Err(_) => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = tempfile::Builder::new();
    // As any file that this user makes, not for its owner alone.
    options.permissions(Permissions::from_mode(0o666));
    let mut sink = BufWriter::new(options.tempfile_in(folder).map_err(failed("create"))?);
    let written = fill(&mut sink)?;
    let file = sink.into_inner().map_err(|error| failed("write")(error.into_error()))?;
    file.as_file().sync_all().map_err(failed("write"))?;
    if force { file.persist(path) } else { file.persist_noclobber(path) }
        .map_err(|error| failed("write")(error.error))?;
    Ok(written)
}
