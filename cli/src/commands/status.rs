//! `loom status`: what waits for a person, which runs there are, how the store is.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, ID, Output, STRONG};
use crate::project;
use crate::standing::Standing;
use crate::text::{bytes, clean, clip, rfc3339, run8, time};
use loom_core::id::hex;
use loom_store::{Gate, Run};
use serde::Serialize;
use std::io::Write;

/// Shows what waits for a person, the latest runs, and how the store is.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many runs are listed.
    #[arg(short, long, default_value_t = 10, value_name = "COUNT")]
    n: usize,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    folder: String,
    format: u64,
    events: u64,
    commits: u64,
    streams: u64,
    encoded_bytes: u64,
    file_bytes: u64,
    index_lag: u64,
    tree: Option<Tree>,
    damage: Option<String>,
    gates: Vec<GateEntry>,
    runs: Vec<RunEntry>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Tree {
    size: u64,
    root: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct GateEntry {
    run: String,
    sequence: u64,
    role: String,
    owner: String,
    opened: String,
    deadline: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RunEntry {
    run: String,
    slug: String,
    /// `running`; `interrupted`, where nobody drives it on; `waiting` at a gate; `paused`; `closed`.
    state: &'static str,
    verdict: Option<&'static str>,
    opened: String,
    last: String,
    events: u64,
}

/// Answers `loom status`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let health = store.health()?;
    let (runs, gates) = (store.runs(arguments.n)?, store.gates()?);
    let standings = runs.iter().map(|run| Standing::of(store, run, opened.is_driven));
    let damage = opened.damage.as_ref().map(ToString::to_string);
    let tree = match store.tree_head() {
        Ok((size, root)) => Some(Tree { size, root: hex(&root) }),
        Err(_) if damage.is_some() => None,
        Err(error) => return Err(error.into()),
    };
    let exit = if damage.is_some() { Exit::Damaged } else { Exit::Ok };
    if output.json {
        output.document(&Document {
            loom: "status/1",
            folder: opened.folder.to_string_lossy().into_owned(),
            format: health.format,
            events: health.events,
            commits: health.commits,
            streams: health.streams,
            encoded_bytes: health.encoded_bytes,
            file_bytes: health.file_bytes,
            index_lag: health.index_lag,
            tree,
            damage,
            gates: gates.iter().map(gate_entry).collect(),
            runs: runs.iter().zip(standings).map(|(run, standing)| run_entry(run, standing)).collect(),
        })?;
        return Ok(exit);
    }
    let out = &mut output.out;
    if !gates.is_empty() {
        writeln!(out, "{STRONG}waiting for a person{STRONG:#}")?;
        for gate in &gates {
            let id = told(&gate.stream, gate.sequence);
            let (role, owner) = (clean(&gate.role), clean(&gate.owner));
            writeln!(out, "  {ID}{id}{ID:#}  {role}  for {owner}, until {} UTC", time(gate.deadline_ms))?;
        }
        writeln!(out)?;
    }
    if !runs.is_empty() {
        writeln!(out, "{STRONG}runs{STRONG:#}")?;
        let mut stand_still = false;
        for (run, standing) in runs.iter().zip(standings) {
            stand_still |= matches!(standing, Standing::Paused | Standing::Interrupted);
            let (style, word) = (standing.style(), standing.word());
            let (id, slug, when) = (run8(&run.stream), clip(&run.slug, 40), time(run.last.ms));
            writeln!(out, "  {ID}{id}{ID:#}  {style}{word:<11}{style:#}  {when}  {:>6} events  {slug}", run.events)?;
        }
        if stand_still {
            let whom = if opened.is_driven { "" } else { "nobody drives; " };
            writeln!(out, "  {FAINT}{whom}`loom resume` goes on{FAINT:#}")?;
        }
        writeln!(out)?;
    }
    let size = bytes(health.file_bytes);
    writeln!(
        out,
        "{} events in {} commits of {} streams, {size} on disk, format {}",
        health.events, health.commits, health.streams, health.format
    )?;
    match (tree, damage) {
        (Some(tree), _) => writeln!(out, "{FAINT}tree {} {}{FAINT:#}", tree.size, tree.root)?,
        (None, Some(damage)) => writeln!(out, "{BAD}{}{BAD:#}", clean(&damage))?,
        (None, None) => {}
    }
    Ok(exit)
}

fn gate_entry(gate: &Gate) -> GateEntry {
    GateEntry {
        run: hex(&gate.stream.0),
        sequence: gate.sequence,
        role: gate.role.clone(),
        owner: gate.owner.clone(),
        opened: rfc3339(gate.opened.ms),
        deadline: rfc3339(gate.deadline_ms),
    }
}

fn run_entry(run: &Run, standing: Standing) -> RunEntry {
    let (state, verdict) = match standing {
        Standing::Ended(verdict) => ("closed", Some(verdict.word())),
        open => (open.word(), None),
    };
    RunEntry {
        run: hex(&run.stream.0),
        slug: run.slug.clone(),
        state,
        verdict,
        opened: rfc3339(run.opened.ms),
        last: rfc3339(run.last.ms),
        events: run.events,
    }
}
