//! `cargo bench --bench figures`: prints the table of figures, each against a floor measured in the same run.
//!
//! Nothing here is a test: machines are noisy, so a bar that is missed is printed, not asserted. The floor of an
//! engine figure is the same commits (event and blob bytes) put into plain ascending redb tables with the same
//! durability and quick-repair setting.

mod floor;
mod instant;
mod prefill;
mod process;
mod table;

use std::path::Path;
use table::Table;

fn main() {
    // The benchmark starts itself again for what must be measured in a process of its own.
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("memory-child") => return process::memory_child(Path::new(&arguments[2])),
        Some("killed-child") => return process::killed_child(Path::new(&arguments[2])),
        Some(_) | None => {}
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut table = Table::default();

    eprintln!("filling a store with 10,000 events …");
    let small = folder.path().join("small");
    prefill::fill(&small, 10_000);
    eprintln!("filling a store with 1,000,000 events …");
    let large = folder.path().join("large");
    prefill::fill(&large, 1_000_000);

    eprintln!("spawn steps …");
    let at_small = floor::spawn_steps(&small, 400);
    let at_large = floor::spawn_steps(&large, 400);
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
        "encoded bytes per spawn step",
        format!("{:.0} B", at_small.bytes_per_step),
        "-".into(),
        at_small.bytes_per_step,
        1_100.0,
    );

    eprintln!("one long run …");
    let (first_us, last_us) = floor::long_run(&folder.path().join("long"), 100_000);
    table.row(
        "last tenth / first tenth of 100,000 inputs, median step",
        format!("{last_us:.0} µs"),
        format!("{first_us:.0} µs"),
        last_us / first_us,
        1.1,
    );

    eprintln!("64 runs at once …");
    let (engine, plain) = floor::many_runs(&folder.path().join("many"), 64);
    table.row_at_least(
        "64 runs at once / floor, commits a second",
        format!("{engine:.0}/s"),
        format!("{plain:.0}/s"),
        engine / plain,
        0.5,
    );

    eprintln!("store …");
    let (stored, encoded) = prefill::stored_bytes(&large);
    table.row(
        "stored bytes / encoded bytes of events (blobs apart)",
        format!("{} MB", stored / 1_000_000),
        format!("{} MB", encoded / 1_000_000),
        stored as f64 / encoded as f64,
        1.5,
    );

    eprintln!("whole processes …");
    let loom = Path::new(env!("CARGO_BIN_EXE_loom"));
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

    eprintln!("verify …");
    let (verify_ms, hash_ms) = floor::verify(&large);
    table.row(
        "verify 1,000,000 events, 2 threads / BLAKE3 of each on 1",
        format!("{verify_ms:.0} ms"),
        format!("{hash_ms:.0} ms"),
        verify_ms / hash_ms,
        2.0,
    );

    eprintln!("memory …");
    let megabytes = process::peak_megabytes(&folder.path().join("memory"));
    table.row("resident memory, 64 scripted runs", format!("{megabytes:.1} MB"), "-".into(), megabytes, 60.0);
    table.print();
}
