//! `loom diff RUN`: what a run has changed, as a patch.
//!
//! Of a run that has not ended it is what its recorded trees say, whoever drives it meanwhile; of an accepted one, what
//! its branch says.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG};
use crate::project::{self, Opened};
use crate::text::{clean_block, run8};
use anstyle::Style;
use loom_core::event::Envelope;
use loom_core::id::{StreamId, hex};
use loom_core::kind::{Event, SpawnFinished};
use loom_core::word::Verdict;
use loom_host::environment::Environment;
use loom_host::trees::{Difference, Trees};
use loom_replay::{StoredRun, refold};
use loom_store::Store;
use loom_tools::{Form, How};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Most of a patch that is shown at a gate, in bytes.
pub(crate) const PATCH_BYTES_MAX: usize = 256 * 1024;

/// Shows what a run has changed since the commit it started from, as a patch that git applies.
///
/// Piped, the patch is byte for byte what git says; at a terminal, control characters in it become visible.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN", default_value = "run:last")]
    run: String,
    /// Only what this spawn changed: an event of it.
    #[arg(long, value_name = "EVENT")]
    spawn: Option<String>,
    /// How much of each path changed, in place of the patch.
    #[arg(long, conflicts_with = "name_only")]
    stat: bool,
    /// The changed paths, one a line, quoted as git does.
    #[arg(long)]
    name_only: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    run: String,
    /// The `spawn.finished` whose change it is, where one was named.
    spawn: Option<u64>,
    /// The trees that are compared.
    from: String,
    to: String,
    changes: Vec<ChangeJson>,
    /// Left out with `--stat` and `--name-only`. Bytes that are not UTF-8 are replaced.
    patch: Option<String>,
    stat: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ChangeJson {
    /// The path's bytes, in hexadecimal digits.
    path: String,
    path_text: String,
    /// `added`, `modified`, `deleted` or `type-changed`.
    how: &'static str,
}

/// What is compared.
struct Pair {
    stream: StreamId,
    spawn: Option<u64>,
    from: Vec<u8>,
    to: Vec<u8>,
    /// How the run stands, in a word.
    state: &'static str,
}

/// Answers `loom diff`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let pair = pair(arguments, &opened)?;
    let form = if arguments.stat { Form::Stat } else { Form::Patch };
    let trees = Trees::open(&Environment::read(), root(&opened.folder), opened.store.as_ref(), pair.stream)?;
    let found = trees.difference(&pair.from, &pair.to, form)?;
    let Some(Difference { changes, text }) = found else {
        return Err(CliError::TreesGone { run: run8(&pair.stream), state: pair.state });
    };
    if output.json {
        let shown = || Some(String::from_utf8_lossy(&text).into_owned());
        let changes = changes.iter().map(|change| ChangeJson {
            path: hex(&change.path),
            path_text: String::from_utf8_lossy(&change.path).into_owned(),
            how: word(change.how),
        });
        output.document(&Document {
            loom: "diff/1",
            run: hex(&pair.stream.0),
            spawn: pair.spawn,
            from: hex(&pair.from),
            to: hex(&pair.to),
            changes: changes.collect(),
            patch: if arguments.stat || arguments.name_only { None } else { shown() },
            stat: if arguments.stat { shown() } else { None },
        })?;
    } else if arguments.name_only {
        let lines: Vec<u8> =
            changes.iter().flat_map(|change| [quoted(&change.path), b"\n".to_vec()].concat()).collect();
        show(&lines, |_| Style::new(), output)?;
    } else {
        show(&text, if arguments.stat { |_: &str| Style::new() } else { patch_style }, output)?;
    }
    Ok(Exit::Ok)
}

/// Returns what a run has changed so far, of the store in `folder`, as text.
pub(crate) fn patch(folder: &Path, store: &dyn Store, stream: StreamId) -> Result<String, CliError> {
    let state = refold(&StoredRun::new(store, stream), None)?.state;
    let trees = Trees::open(&Environment::read(), root(folder), store, stream)?;
    let found = trees.difference(&state.opened.base_tree, &state.tree, Form::Patch)?;
    let gone = || CliError::TreesGone { run: run8(&stream), state: state.closed.map_or("under way", Verdict::word) };
    let mut text = found.ok_or_else(gone)?.text;
    text.truncate(PATCH_BYTES_MAX);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the folder of the project that a store lies in.
pub(super) fn root(store_folder: &Path) -> &Path {
    store_folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn pair(arguments: &Arguments, opened: &Opened) -> Result<Pair, CliError> {
    let store = opened.store.as_ref();
    let stream = identify::run(store, &arguments.run)?;
    if stream == StreamId::STORE {
        return Err(CliError::NotARun { text: arguments.run.clone() });
    }
    let state = refold(&StoredRun::new(store, stream), None)?.state;
    let word = state.closed.map_or("under way", Verdict::word);
    let Some(text) = &arguments.spawn else {
        return Ok(Pair { stream, spawn: None, from: state.opened.base_tree, to: state.tree, state: word });
    };
    let (sequence, spawn) = spawn(store, stream, text)?;
    Ok(Pair { stream, spawn: Some(sequence), from: spawn.tree_before, to: spawn.tree_after, state: word })
}

/// Returns the outcome of the spawn that an event belongs to.
fn spawn(store: &dyn Store, stream: StreamId, text: &str) -> Result<(u64, SpawnFinished), CliError> {
    let none = || CliError::NotASpawn { text: text.to_string() };
    let event = identify::event(store, text)?;
    let read = |position, bytes: &[u8]| Envelope::decode(bytes).map_err(|source| CliError::Event { position, source });
    let envelope = read(event.position, &event.event.bytes)?;
    if envelope.stream != stream {
        return Err(none());
    }
    let requested = match envelope.body {
        Event::SpawnFinished(body) => return Ok((envelope.sequence, body)),
        Event::SpawnRequested(_) => envelope.sequence,
        Event::VerdictGiven(body) => body.spawn,
        Event::PathsChanged(body) => body.spawn,
        Event::BudgetSettled(body) => body.effect,
        Event::FindingRaised(body) => body.source,
        _ => return Err(none()),
    };
    let mut next = requested + 1;
    loop {
        let batch = store.read(stream, next, 1024)?;
        if batch.is_empty() {
            return Err(none());
        }
        next += batch.len() as u64;
        for stored in batch {
            let envelope = read(stored.position, &stored.event.bytes)?;
            match envelope.body {
                Event::SpawnFinished(body) if body.spawn == requested => return Ok((envelope.sequence, body)),
                _ => {}
            }
        }
    }
}

fn word(how: How) -> &'static str {
    match how {
        How::Added => "added",
        How::Modified => "modified",
        How::Deleted => "deleted",
        How::TypeChanged => "type-changed",
    }
}

/// Quotes a path as git does in C style, where it has bytes that a line or a quoted string cannot hold.
fn quoted(path: &[u8]) -> Vec<u8> {
    let is_odd = |byte: &u8| *byte < 0x20 || *byte == 0x7f || matches!(byte, b'"' | b'\\');
    if !path.iter().any(is_odd) {
        return path.to_vec();
    }
    let mut text = vec![b'"'];
    for byte in path {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            byte if is_odd(byte) => text.extend(format!("\\{byte:03o}").bytes()),
            byte => text.push(*byte),
        }
    }
    text.push(b'"');
    text
}

/// Writes text for people with colours and without control characters, for programs as it is.
fn show(text: &[u8], style: fn(&str) -> Style, output: &mut Output) -> Result<(), CliError> {
    if !output.is_read() {
        return output.raw(text);
    }
    for line in clean_block(&String::from_utf8_lossy(text)).lines() {
        let style = style(line);
        writeln!(output.out, "{style}{line}{style:#}")?;
    }
    Ok(())
}

fn patch_style(line: &str) -> Style {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => STRONG,
        [b'+', ..] => GOOD,
        [b'-', ..] => BAD,
        [b'@', b'@', ..] => FAINT,
        _ if line.starts_with("diff ") => STRONG,
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_line_cannot_hold_them() {
        let text = |path: &[u8]| String::from_utf8_lossy(&quoted(path)).into_owned();
        assert_eq!(text(b"src/a b.rs"), "src/a b.rs");
        assert_eq!(text("é".as_bytes()), "é");
        assert_eq!(text(b"a\nb\"\x1b"), "\"a\\012b\\\"\\033\"");
    }
}
