//! The recorded runs of `fixtures/incidents` and `fixtures/runs`, and the rules that the incidents led to.
//!
//! A trace is never edited after it was recorded (MUSEUM-1), and every run is driven again and compared (MUSEUM-2).
//! `LOOM_RECORD=1` records what has no trace yet; `LOOM_UPDATE=1` writes the golden files of what is said of them.

mod candidates;
mod exhibit;
mod outline;
mod pages;
mod play;
mod second;

use crate::rig::{Place, Ran};
use exhibit::{Exhibit, exhibits, fixtures};
use loom_core::id::hex;
use outline::outline;
use play::Played;
use sha2::{Digest, Sha256};
use std::fs;
use std::sync::Mutex;

/// Where the digests of the traces stand, as `sha256sum -c` reads them in that folder.
const SUMS: &str = "SHA256SUMS";
/// Most bytes of a trace.
const TRACE_BYTES_MAX: usize = 40_000;

/// Held while a trace and its digest are written.
static RECORDING: Mutex<()> = Mutex::new(());

/// Records what has no trace yet, where that is asked for.
fn record(exhibit: &Exhibit, played: &Played) {
    if std::env::var_os("LOOM_RECORD").is_none() || exhibit.trace_path().exists() {
        return;
    }
    let _held = RECORDING.lock().unwrap();
    fs::write(exhibit.trace_path(), played.exported()).unwrap();
    let path = fixtures().join(SUMS);
    let known = fs::read_to_string(&path).unwrap_or_default();
    let mut lines: Vec<String> = known.lines().map(String::from).chain([sum(exhibit)]).collect();
    lines.sort_by_key(|line| line.split_once("  ").map(|(_, name)| name.to_string()));
    fs::write(&path, lines.join("\n") + "\n").unwrap();
}

/// Returns the line of a trace in [`SUMS`].
fn sum(exhibit: &Exhibit) -> String {
    let bytes = fs::read(exhibit.trace_path()).unwrap_or_else(|error| panic!("{}: {error}", exhibit.name));
    assert!(bytes.len() <= TRACE_BYTES_MAX, "{}: {} bytes", exhibit.name, bytes.len());
    format!("{}  {}/trace.loom", hex(&Sha256::digest(&bytes)), exhibit.name)
}

/// Drives every run of a room again and compares it with what is on record.
#[track_caller]
fn are_recorded_again(room: &str) {
    for exhibit in exhibits(room) {
        let played = Played::of(&exhibit, Vec::new());
        assert!(played.has_ended(), "{}: the run waits: {:#?}", exhibit.name, outline(&played.events()));
        record(&exhibit, &played);
        let (found, wanted) = (outline(&played.events()), outline(&exhibit.trace().events));
        assert_eq!(found, wanted, "{} is not driven as it was recorded", exhibit.name);
    }
}

#[test]
fn incidents_are_driven_again_as_they_were_recorded() {
    needs!("git", "sh", "sed");
    are_recorded_again("incidents");
}

#[test]
fn honest_runs_are_driven_again_as_they_were_recorded() {
    needs!("git", "sh", "sed");
    are_recorded_again("runs");
}

#[test]
fn traces_are_whole_small_and_what_they_were_when_they_were_recorded() {
    let exhibits = [exhibits("incidents"), exhibits("runs")].concat();
    for exhibit in &exhibits {
        let trace = exhibit.trace();
        assert!(trace.absent.is_empty() && !trace.is_slim, "{}", exhibit.name);
    }
    let found: Vec<String> = exhibits.iter().map(sum).collect();
    let known = fs::read_to_string(fixtures().join(SUMS)).unwrap();
    assert_eq!(known.lines().collect::<Vec<_>>(), found, "{SUMS} is not of these traces, which are never edited");
}

#[test]
fn recorded_runs_verify_and_come_out_again_byte_by_byte() {
    let place = Place::empty();
    let count = exhibits("incidents").len() + exhibits("runs").len();
    for (command, told) in [
        ("verify", format!("{count} of {count} sources are whole\n")),
        ("redrive", format!("{count} of {count} runs come out again byte by byte\n")),
        ("refold", format!("{count} runs folded from their first event; from snapshots 0 equal, 0 other\n")),
    ] {
        let mut asked = place.replay_command(command);
        asked.arg("--quiet").arg(fixtures().join("incidents")).arg(fixtures().join("runs"));
        let ran: Ran = asked.output().unwrap().into();
        assert!(ran.code == 0 && ran.out.ends_with(&told), "{command}: {} {}{}", ran.code, ran.out, ran.err);
    }
}

#[test]
fn the_honest_runs_are_of_every_flow_and_every_end() {
    let mut words: Vec<String> = Vec::new();
    for exhibit in exhibits("runs") {
        for line in outline(&exhibit.trace().events) {
            let word = |field: &str| line.split(field).nth(1).and_then(|rest| rest.split('"').next()).map(String::from);
            if line.contains(" flow.chosen ") {
                words.extend(word("flow=\""));
            } else if line.contains(" run.closed ") {
                words.extend(word("verdict=\""));
            } else if line.contains(" finding.waived ")
                || line.contains(" walked.back ")
                || line.contains(" effect.orphaned ")
            {
                words.extend(line.split(' ').nth(1).map(String::from));
            }
        }
    }
    words.sort();
    words.dedup();
    let wanted = "abandoned accepted answered cancelled complex effect.orphaned exhausted failed finding.waived polished question \
                  rejected simple standard trivial walked.back";
    assert_eq!(words.join(" "), wanted);
}
