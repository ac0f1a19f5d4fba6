//! What every small run keeps to, as far as a test has time for; `loom-sim explore --states 1000000` goes on.

mod tamper;

use loom_sim::{explore, process, walk};

#[test]
fn no_sequence_of_moves_breaks_a_law() {
    let processes = process::all();
    let mut states = 0;
    for process in &processes {
        match explore::explore(process, 30_000 / processes.len()) {
            Ok(seen) => states += seen.states,
            Err(found) => panic!("{found}"),
        }
    }
    assert!(states >= 25_000, "only {states} states were seen");
}

#[test]
fn no_long_walk_breaks_a_law() {
    for process in process::all() {
        if let Err(found) = walk::walk(&process, 11, 20, 60) {
            panic!("{found}");
        }
    }
}

#[test]
fn every_process_can_be_accepted_rejected_and_given_up() {
    let process = process::all().into_iter().find(|it| it.name == "auto").expect("there is one");
    let seen = explore::explore(&process, 4_000).unwrap_or_else(|found| panic!("{found}"));
    for verdict in ["accepted", "rejected", "abandoned", "cancelled", "failed"] {
        assert!(seen.ends.contains_key(verdict), "{verdict} is never reached: {:?}", seen.ends);
    }
}
