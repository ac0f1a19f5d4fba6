//! The same corpus gives the same bytes, wherever and however it is asked: locale, time zone, terminal, folder, the order of
//! the environment, the number of threads.

use crate::made::Until;
use crate::replaying::LATER;
use crate::rig::Place;
use loom_store::Store;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An environment in its order, beside what every command needs.
type Around = &'static [(&'static str, &'static str)];

const AROUND: &[Around] = &[
    &[],
    &[("LANG", "C"), ("LC_ALL", "C"), ("TZ", "UTC")],
    &[("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8"), ("LANGUAGE", "tr")],
    &[
        ("LANG", "de_DE.UTF-8"),
        ("LC_NUMERIC", "de_DE.UTF-8"),
        ("LC_COLLATE", "de_DE.UTF-8"),
        ("TZ", "America/St_Johns"),
    ],
    &[("TZ", ":/nowhere"), ("LC_ALL", "nonsense"), ("COLUMNS", "20"), ("LINES", "3"), ("TERM", "vt52")],
];

struct Asked {
    /// What stands in the way of the threads' number, and where its answer is written, if to a file.
    arguments: Vec<String>,
    has_threads: bool,
    writes: Option<PathBuf>,
    program: &'static str,
}

fn asked(program: &'static str, arguments: String) -> Asked {
    let arguments = arguments.split('\t').map(str::to_string).collect();
    Asked { arguments, has_threads: false, writes: None, program }
}

fn threaded(program: &'static str, arguments: String) -> Asked {
    Asked { has_threads: true, ..asked(program, arguments) }
}

fn written(program: &'static str, arguments: String, file: PathBuf) -> Asked {
    let arguments = format!("{arguments}\t--force\t-o\t{}", file.display());
    Asked { writes: Some(file), ..asked(program, arguments) }
}

/// Every answer that is to be the same, by names that do not depend on the folder it is asked in.
fn questions(place: &Place) -> Vec<Asked> {
    let at = |name: &str| place.path().join(name).display().to_string();
    let mut runs = place.store().runs(9).unwrap();
    runs.reverse();
    let (ended, waits) = (runs[0].stream.to_string(), runs[1].stream.to_string());
    let (store, rules, traces, dir) = (at(".loom"), at("later.rules"), at("traces"), at("."));
    let (replay, of_loom) = (env!("CARGO_BIN_EXE_loom-replay"), env!("CARGO_BIN_EXE_loom"));
    let mut all = Vec::new();
    for form in ["text", "json", "junit", "sarif", "html"] {
        let to = |name: &str| place.path().join(format!("{name}.{form}"));
        for source in [&store, &traces] {
            let judge = format!("judge\t--rules\t{rules}\t--format\t{form}\t{source}");
            let verify = format!("verify\t--blobs\t--format\t{form}\t{source}");
            match form {
                "html" => all.extend([
                    Asked { has_threads: true, ..written(replay, judge, to("judged")) },
                    Asked { has_threads: true, ..written(replay, verify, to("verified")) },
                ]),
                _ => all.extend([threaded(replay, judge), threaded(replay, verify)]),
            }
        }
    }
    let query = format!("query\t--on\tspawn.finished,finding.raised\t--group-by\tagent\t{store}\tevent.sequence > 3");
    let of_runs = format!("query\t--facts\truns\t--group-by\tverdict\t{traces}\tfacts.refusals >= 0");
    all.extend([
        asked(replay, format!("{query}\t--json")),
        asked(replay, format!("{query}\t--jsonl")),
        asked(replay, query),
        asked(replay, of_runs),
        asked(replay, format!("diff\t{ended}\t{waits}\t--dir\t{dir}")),
        asked(replay, format!("diff\t{ended}\t{waits}\t--dir\t{dir}\t--json")),
        asked(replay, format!("what-if\t--at\t0\t--cap\tspawns=3\t--run\t{ended}\t--dir\t{dir}")),
        asked(replay, format!("what-if\t--at\t0\t--rules\t{rules}\t--run\t{ended}\t--dir\t{dir}\t--json")),
        asked(replay, format!("redrive\t{store}\t{traces}\t--json")),
        asked(replay, format!("refold\t{store}\t{traces}\t--json")),
        asked(of_loom, format!("log\t{ended}\t--jsonl\t--dir\t{dir}")),
        asked(of_loom, format!("why\t{ended}\t--json\t--dir\t{dir}")),
        threaded(of_loom, format!("verify\t--json\t--dir\t{dir}")),
        threaded(of_loom, format!("verify\t{}", at("run.receipt"))),
        written(of_loom, format!("export\t{ended}\t--dir\t{dir}"), place.path().join("again.trace")),
        written(of_loom, format!("prove\t{ended}\t--rules\t{rules}\t--dir\t{dir}"), place.path().join("again.receipt")),
        written(of_loom, format!("prove\t{ended}#3\t--dir\t{dir}"), place.path().join("event.receipt")),
    ]);
    all
}

/// Asks; returns the exit code, what was printed and written, and what was said beside it.
fn answer(
    place: &Place,
    asked: &Asked,
    folder: &Path,
    around: Around,
    threads: Option<usize>,
) -> (i32, Vec<u8>, Vec<u8>) {
    let own = [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("XDG_CONFIG_HOME", place.path().join(".user/XDG_CONFIG_HOME").display().to_string()),
        ("XDG_DATA_HOME", place.path().join(".user/XDG_DATA_HOME").display().to_string()),
    ];
    let mut variables: Vec<String> = own.iter().map(|(name, value)| format!("{name}={value}")).collect();
    variables.extend(around.iter().map(|(name, value)| format!("{name}={value}")));
    if around.len() % 2 == 1 {
        variables.reverse();
    }
    // `env` hands variables on in the order in which it is given them; a map of ours would sort them.
    let mut command = Command::new("env");
    command.env_clear().env("PATH", &own[0].1).current_dir(folder).arg("-i").args(variables).arg(asked.program);
    command.args(&asked.arguments);
    if let Some(threads) = threads.filter(|_| asked.has_threads) {
        command.args(["--threads", &threads.to_string()]);
    }
    let output = command.output().unwrap();
    let mut printed = output.stdout;
    if let Some(file) = &asked.writes {
        printed.extend(fs::read(file).unwrap_or_default());
    }
    (output.status.code().unwrap_or(-1), printed, output.stderr)
}

#[test]
fn the_same_corpus_gives_the_same_bytes_wherever_it_is_asked() {
    let place = Place::with(&[Until::End, Until::Gate, Until::End, Until::Spawned]);
    fs::write(place.path().join("later.rules"), LATER).unwrap();
    fs::create_dir(place.path().join("traces")).unwrap();
    for run in place.store().runs(9).unwrap() {
        assert_eq!(place.loom(&format!("export {} -o traces/{}.trace", run.stream, run.stream)).code, 0);
    }
    // From here on the store has its key: who proves writes nothing more.
    assert_eq!(place.loom("prove run:last -o run.receipt").code, 0);
    let elsewhere = tempfile::tempdir().unwrap();
    for asked in questions(&place) {
        let told = asked.arguments.join(" ");
        let first = answer(&place, &asked, place.path(), &[], None);
        assert!(
            [0, 1, 4, 8].contains(&first.0) && !first.1.is_empty(),
            "{told}: {}",
            String::from_utf8_lossy(&first.2)
        );
        let folders = [place.path(), elsewhere.path(), Path::new("/")];
        for (number, around) in AROUND.iter().enumerate() {
            let found = answer(&place, &asked, folders[number % folders.len()], around, None);
            assert!(found == first, "{told} with {around:?}: {}", differs(&first.1, &found.1));
        }
        for threads in (1..=8).filter(|_| asked.has_threads) {
            let found = answer(&place, &asked, place.path(), &[], Some(threads));
            assert!(found == first, "{told} by {threads} threads: {}", differs(&first.1, &found.1));
        }
    }
}

/// Says where two answers part.
fn differs(one: &[u8], other: &[u8]) -> String {
    let at = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(one.len().min(other.len()));
    let near =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.saturating_sub(60)..bytes.len().min(at + 60)]).into_owned();
    format!("byte {at}: {:?} and {:?}", near(one), near(other))
}
