//! `loom export RUN -o FILE`: one run as a file that anybody can check without a store.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::Output;
use crate::project;
use crate::text::{bytes, run8};
use loom_core::event::Envelope;
use loom_core::id::{StreamId, hex};
use loom_core::kind::Event;
use loom_replay::{StoredRun, trace};
use loom_store::{Store, StoreError};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
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

#[derive(Serialize)]
struct Document {
    loom: &'static str,
    run: String,
    file: String,
    events: u64,
    blobs: u64,
    absent_blobs: u64,
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
        let file = |doing| {
            let path = arguments.output.clone();
            move |source: io::Error| match source.kind() {
                io::ErrorKind::AlreadyExists => CliError::FileExists { path },
                _ => CliError::File { doing, path, source },
            }
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(arguments.force).create_new(!arguments.force);
        let mut sink = BufWriter::new(options.open(&arguments.output).map_err(file("create"))?);
        let written = trace::write(&records, origin, arguments.no_blobs, &mut sink)?;
        let inner = sink.into_inner().map_err(|error| file("write")(error.into_error()))?;
        inner.sync_all().map_err(file("write"))?;
        written
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
            bytes: written.bytes,
        })?;
    } else {
        let (run, size) = (run8(&stream), bytes(written.bytes));
        let file = arguments.output.display();
        writeln!(output.out, "{run}: {} events and {} blobs in {file}, {size}", written.events, written.blobs)?;
    }
    Ok(Exit::Ok)
}

/// Returns the store's name, from its first event.
fn origin(store: &dyn Store) -> Result<[u8; 16], CliError> {
    let first = store.read(StreamId::STORE, 0, 1)?.pop().ok_or(StoreError::Broken)?;
    match Envelope::decode(&first.event.bytes).map_err(|source| CliError::Event { position: 0, source })?.body {
        Event::StoreCreated(created) => Ok(created.origin),
        _ => Err(StoreError::Broken.into()),
    }
}
