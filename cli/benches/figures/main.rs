//! `cargo bench --bench figures`: prints the table of figures, each against a floor measured in the same run.
//!
//! `cargo bench --bench figures -- [--in FOLDER] [GROUP…]` measures some of them, and keeps the filled stores in a
//! folder for the next time. The groups are `steps`, `long`, `many`, `stored`, `processes`, `verify`, `memory`, `spawns`,
//! `large-spawns`, `folders`, `evidence`, `told`, `idle`, `judge`, `redrive` and `report`.
//!
//! Nothing here is a test: machines are noisy, so a bar that is missed is printed, not asserted. The floor of an
//! engine figure is the same commits (event and blob bytes) put into plain ascending redb tables with the same
//! durability and quick-repair setting.

mod evidence;
mod floor;
mod folder;
mod holder;
mod instant;
mod judged;
mod prefill;
mod process;
mod redriven;
mod spawn;
mod table;

use spawn::Spawn;
use std::path::{Path, PathBuf};
use table::Table;

/// A group of figures, and what measures it.
type Group = (&'static str, fn(&Stores, &mut Table));

const GROUPS: &[Group] = &[
    ("steps", steps),
    ("long", long),
    ("many", many),
    ("stored", stored),
    ("processes", processes),
    ("verify", verify),
    ("memory", memory),
    ("spawns", spawns),
    ("large-spawns", large_spawns),
    ("folders", folders),
    ("evidence", evidence),
    ("told", told),
    ("idle", idle),
    ("judge", judge),
    ("redrive", redrive),
    ("report", report),
];

/// The binary that is measured.
fn loom() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_loom"))
}

/// Where the stores lie.
struct Stores(PathBuf);

impl Stores {
    /// Returns the folder of a store of 10,000 events, filled where it is not there yet.
    fn small(&self) -> PathBuf {
        self.filled("small", 10_000)
    }

    /// Returns the folder of a store of 1,000,000 events.
    fn large(&self) -> PathBuf {
        self.filled("large", 1_000_000)
    }

    fn filled(&self, name: &str, events: u64) -> PathBuf {
        let folder = self.0.join(name);
        if !folder.join(".loom").exists() {
            eprintln!("filling a store with {events} events …");
            prefill::fill(&folder, events);
        }
        folder
    }

    /// Returns the folder of a store of 5,000,000 events in runs of about 500.
    fn judged(&self) -> PathBuf {
        let events = std::env::var("LOOM_BENCH_JUDGED").ok().and_then(|events| events.parse().ok());
        let events: u64 = events.unwrap_or(5_000_000);
        let folder = self.0.join(format!("judged-{events}"));
        if !folder.join(".loom").exists() {
            eprintln!("filling a store with {events} events in long runs …");
            judged::fill(&folder, events);
        }
        folder
    }

    /// Returns a folder that is new.
    fn fresh(&self, name: &str) -> PathBuf {
        let folder = self.0.join(name);
        let _absent = std::fs::remove_dir_all(&folder);
        folder
    }
}

fn main() {
    // The benchmark starts itself again for what must be measured in a process of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("memory-child") => return process::memory_child(Path::new(&arguments[1])),
        Some("killed-child") => return process::killed_child(Path::new(&arguments[1])),
        Some(_) | None => {}
    }
    let (kept, wanted) = match &arguments[..] {
        [flag, folder, wanted @ ..] if flag == "--in" => (Some(PathBuf::from(folder)), wanted),
        wanted => (None, wanted),
    };
    if let Some(unknown) = wanted.iter().find(|wanted| GROUPS.iter().all(|(name, _)| name != wanted)) {
        eprintln!("there is no group `{unknown}`");
        std::process::exit(2);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stores = Stores(kept.unwrap_or_else(|| folder.path().to_path_buf()));
    let mut table = Table::default();
    for (name, measure) in GROUPS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("{name} …");
            measure(&stores, &mut table);
        }
    }
    table.print();
}

fn steps(stores: &Stores, table: &mut Table) {
    let [at_small, at_large] = floor::spawn_steps([&stores.small(), &stores.large()], 400);
    table.row(
        "durable commits per spawn step",
        format!("{:.2}", at_small.commits_per_step),
        "-".into(),
        at_small.commits_per_step,
        2.0,
    );
    table.row(
        "spawn step, engine time / floor, at 10,000 events",
        format!("{:.0} µs", at_small.engine_us),
        format!("{:.0} µs", at_small.floor_us),
        at_small.engine_us / at_small.floor_us,
        1.5,
    );
    table.row(
        "spawn step, engine time / floor, at 1,000,000 events",
        format!("{:.0} µs", at_large.engine_us),
        format!("{:.0} µs", at_large.floor_us),
        at_large.engine_us / at_large.floor_us,
        1.5,
    );
    table.row(
        "spawn step, at 1,000,000 events / at 10,000",
        format!("{:.0} µs", at_large.engine_us),
        format!("{:.0} µs", at_small.engine_us),
        at_large.engine_us / at_small.engine_us,
        1.25,
    );
    table.row(
        "the same, floor within a copy of the store of 1,000,000 / of 10,000: what redb itself takes",
        format!("{:.0} µs", at_large.grown_us),
        format!("{:.0} µs", at_small.grown_us),
        at_large.grown_us / at_small.grown_us,
        1.25,
    );
    table.row(
        "spawn step, engine time / floor within a copy of the store, at 1,000,000 events",
        format!("{:.0} µs", at_large.engine_us),
        format!("{:.0} µs", at_large.grown_us),
        at_large.engine_us / at_large.grown_us,
        1.5,
    );
    table.row(
        "encoded bytes per spawn step",
        format!("{:.0} B", at_small.bytes_per_step),
        "-".into(),
        at_small.bytes_per_step,
        1_100.0,
    );
}

fn long(stores: &Stores, table: &mut Table) {
    let [first, last] = floor::long_run(&stores.fresh("long"), 100_000);
    // A disk is not the same over minutes: each tenth counts in what plain tables took at its time.
    table.row(
        "last tenth / first tenth of 100,000 inputs, median step, each against its floor",
        format!("{:.0} of {:.0} µs", last.engine_us, last.floor_us),
        format!("{:.0} of {:.0} µs", first.engine_us, first.floor_us),
        (last.engine_us / last.floor_us) / (first.engine_us / first.floor_us),
        1.1,
    );
}

fn many(stores: &Stores, table: &mut Table) {
    let (engine, plain) = floor::many_runs(&stores.fresh("many"), 64);
    table.row_at_least(
        "64 runs at once / floor, commits a second",
        format!("{engine:.0}/s"),
        format!("{plain:.0}/s"),
        engine / plain,
        0.5,
    );
}

fn stored(stores: &Stores, table: &mut Table) {
    let (stored, encoded) = prefill::stored_bytes(&stores.large());
    table.row(
        "stored bytes / encoded bytes of events (blobs apart)",
        format!("{} MB", stored / 1_000_000),
        format!("{} MB", encoded / 1_000_000),
        stored as f64 / encoded as f64,
        1.5,
    );
}

fn processes(stores: &Stores, table: &mut Table) {
    let large = stores.large();
    let loom = loom();
    for (name, arguments, bar) in [
        ("loom --version", vec!["--version"], 10.0),
        ("loom status on 1,000,000 events", vec!["status"], 20.0),
        ("loom log -n 50 on 1,000,000 events", vec!["log", "-n", "50"], 100.0),
    ] {
        let ms = process::median_ms(loom, &arguments, &large, 15);
        table.row(name, format!("{ms:.1} ms"), "-".into(), ms, bar);
    }
    let killed = process::first_answer_after_kill_ms(loom, &large);
    table.row(
        "open after kill -9 with 1,000,000 events, first answer",
        format!("{killed:.1} ms"),
        "-".into(),
        killed,
        100.0,
    );
}

fn verify(stores: &Stores, table: &mut Table) {
    let (verify_ms, hash_ms) = floor::verify(&stores.large());
    table.row(
        "verify 1,000,000 events, 2 threads / BLAKE3 of each on 1",
        format!("{verify_ms:.0} ms"),
        format!("{hash_ms:.0} ms"),
        verify_ms / hash_ms,
        2.0,
    );
}

fn memory(stores: &Stores, table: &mut Table) {
    let megabytes = process::peak_megabytes(&stores.fresh("memory"));
    table.row("resident memory, 64 scripted runs", format!("{megabytes:.1} MB"), "-".into(), megabytes, 60.0);
}

fn spawns(stores: &Stores, table: &mut Table) {
    let Some(spawn) = spawns_in(stores, table, "small", 10, 31, 100.0) else { return };
    let (by_hand, run) = (format!("{:.0} ms", spawn.by_hand_ms), format!("{:.0} ms", spawn.run_ms));
    let ratio = spawn.run_ms / spawn.by_hand_ms;
    table.row("whole spawn / by hand in a plain clone, repository small", run, by_hand, ratio, 1.15);
}

fn large_spawns(stores: &Stores, table: &mut Table) {
    let Some(spawn) = spawns_in(stores, table, "of 5,000 files", 5_000, 11, 400.0) else { return };
    // Without a bar: what may be added, 400 ms, is more than a seventh of such a spawn.
    eprintln!("whole spawn, of 5,000 files: {:.0} ms, by hand {:.0} ms", spawn.run_ms, spawn.by_hand_ms);
}

fn spawns_in(stores: &Stores, table: &mut Table, name: &str, files: usize, pairs: usize, bar: f64) -> Option<Spawn> {
    let Some(spawn) = spawn::spawn(&stores.fresh(&format!("spawn-{files}")), loom(), files, pairs) else {
        eprintln!("skipped: claude is missing (npm install -g @anthropic-ai/claude-code)");
        return None;
    };
    for (what, added) in [
        ("what Loom adds to a spawn of claude", &spawn.added_ms),
        ("… from its request on record to its outcome on record", &spawn.recorded_ms),
    ] {
        let figure = format!("{what}, repository {name}, median of {pairs} pairs");
        table.row(&figure, added.to_string(), "-".into(), added.median(), bar);
    }
    Some(spawn)
}

fn folders(stores: &Stores, table: &mut Table) {
    let delta = folder::delta(&stores.fresh("folder"), 50_000, 5);
    for (how, ms, bar) in [("content", delta.by_content_ms, 600.0), ("times", delta.by_times_ms, 150.0)] {
        let figure = format!("delta of 50,000 files after one edit, by {how}");
        table.row(&figure, format!("{ms:.0} ms"), "-".into(), ms, bar);
    }
    eprintln!("the reset before a spawn, of the same files: {:.0} ms", delta.reset_ms);
}

fn evidence(stores: &Stores, table: &mut Table) {
    let cost = evidence::receipts(&stores.large(), 101);
    let of = format!("receipt for one gate of {} events", cost.events);
    table.row(&format!("{of}, median, make"), format!("{:.2} ms", cost.make_ms), "-".into(), cost.make_ms, 50.0);
    table.row(&format!("{of}, median, check"), format!("{:.2} ms", cost.check_ms), "-".into(), cost.check_ms, 20.0);
    let kilobytes = cost.bytes as f64 / 1024.0;
    table.row(&format!("{of}, greatest of 101, size"), format!("{kilobytes:.1} KB"), "-".into(), kilobytes, 16.0);
}

fn told(stores: &Stores, table: &mut Table) {
    let told = holder::told(&stores.fresh("told"), loom(), 1_000.0, 20.0);
    table.row(
        &format!(
            "event to the screen of `loom log -f`, p99 at {:.0} events/s (median {:.1} ms; until durable, p99 {:.1} ms)",
            told.rate, told.median_ms, told.durable_p99_ms
        ),
        format!("{:.1} ms", told.p99_ms),
        "-".into(),
        told.p99_ms,
        20.0,
    );
}

fn idle(stores: &Stores, table: &mut Table) {
    let (megabytes, wakes) = holder::idle(&stores.fresh("idle"), loom());
    table.row("resident memory of an idle holder", format!("{megabytes:.1} MB"), "-".into(), megabytes, 25.0);
    table.row("wake-ups a second of an idle holder", format!("{wakes:.2}"), "-".into(), wakes, 1.0);
}

fn judge(stores: &Stores, table: &mut Table) {
    let figures = judged::figures(&stores.judged());
    let totals = figures.judgement.totals();
    eprintln!(
        "{} runs, {} events, {:.2} evaluations an event; on one thread, processor ns an event: read {:.0}, index {:.0}, fold {:.0}, \
         evaluate {:.0}",
        totals.runs,
        totals.events,
        figures.evaluations_per_event,
        figures.parts_ns[0],
        figures.parts_ns[1] - figures.parts_ns[0],
        figures.parts_ns[2] - figures.parts_ns[1],
        figures.parts_ns[3] - figures.parts_ns[2],
    );
    let millions = totals.events as f64 / 1e6;
    let name = format!("judge {millions:.1} million events, 8 facts, 6 rules, 2 threads, warm");
    table.row(&name, format!("{:.0} ms", figures.judge_ms), "-".into(), figures.judge_ms, 2_000.0);
    let name = "the same by 60 rules and 80 facts";
    table.row(name, format!("{:.0} ms", figures.many_rules_ms), "-".into(), figures.many_rules_ms, 8_000.0);
    let name = "the same six rules with an emptied page cache, less reading the file in order";
    let (cold, read) = (format!("{:.0} ms", figures.cold_ms), format!("{:.0} ms", figures.read_ms));
    table.row(name, cold, read, figures.cold_ms - figures.read_ms, 2_000.0);
    let name = "verify and judge in one pass, 2 threads / BLAKE3 of each event on 1";
    let (judged, hashed) = (format!("{:.0} ms", figures.verified_ms), format!("{:.0} ms", figures.hash_ms));
    table.row(name, judged, hashed, figures.verified_ms / figures.hash_ms, 2.2);
    let name = "anonymous memory of judging, verified and not";
    table.row(name, format!("{:.0} MB", figures.anonymous_mb), "-".into(), figures.anonymous_mb, 128.0);
}

fn redrive(stores: &Stores, table: &mut Table) {
    let (events, per_second) = redriven::rate(&stores.judged(), 400);
    let name = format!("redrive of {events} events held in memory, events a second of one processor");
    table.row_at_least(&name, format!("{per_second:.0}"), "-".into(), per_second, 150_000.0);
}

fn report(stores: &Stores, table: &mut Table) {
    let folder = stores.fresh("report");
    judged::fill_one(&folder, 10_000);
    let (ms, events, bytes) = judged::report(&folder);
    let of = format!("HTML of a run of {events} events, judged by 8 facts and 6 rules");
    table.row(&format!("{of}, the whole command"), format!("{ms:.0} ms"), "-".into(), ms, 1_000.0);
    let megabytes = bytes as f64 / 1e6;
    table.row(&format!("{of}, size"), format!("{megabytes:.2} MB"), "-".into(), megabytes, 2.0);
}
