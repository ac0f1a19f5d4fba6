//! Any file is a whole trace or is refused; of a whole one everything that reads runs stays calm, and all agree.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use loom_fuzz::altered::Altered;
use loom_replay::diff::diff;
use loom_replay::{Redriven, Whole, redrive, refold, trace, verify_run};
use std::ops::ControlFlow;

#[derive(Debug, Arbitrary)]
enum Given {
    /// A recorded run, altered.
    Altered(Altered),
    /// What follows the first bytes of every trace.
    Bytes(Vec<u8>),
}

fuzz_target!(|given: Given| {
    let file = match given {
        Given::Altered(altered) => altered.file(),
        Given::Bytes(bytes) => Some([trace::MAGIC, &bytes].concat()),
    };
    let Some(file) = file else { return };
    let scanned = trace::scan(&mut file.as_slice(), 0, &mut |_, _| ControlFlow::Continue(()));
    let read = trace::read(&mut file.as_slice());
    let (scanned, read) = match (scanned, read) {
        (Ok(Some(scanned)), Ok(read)) => (scanned, read),
        (Err(scanned), Err(read)) => {
            assert_eq!(scanned.to_string(), read.to_string(), "how much is kept does not change what is refused");
            return;
        }
        (scanned, read) => panic!("one reader believes it: {scanned:?} {:?}", read.err()),
    };
    assert_eq!((scanned.events, scanned.commits), (read.events.len() as u64, read.commits));
    assert_eq!(scanned.absent, read.absent);

    let mut again = Vec::new();
    trace::write(&read, read.origin, read.is_slim, &mut again).expect("what was read can be written");
    assert_eq!(trace::read(&mut again.as_slice()).expect("what was written can be read"), read);

    let report = verify_run(&read, false).expect("it is held in memory");
    assert_eq!(report.first_bad, None, "a trace that was believed is a whole run");
    let refolded = refold(&read, None);
    let redriven = redrive(&read);
    if let Ok(Redriven::Same { events, .. }) = redriven {
        assert_eq!(events, scanned.events);
        refolded.expect("what core derives can be folded");
    }
    if let Ok(whole) = Whole::read(&read) {
        assert!(diff(&whole, &whole).iter().all(|row| row.is_alike()), "a run is like itself");
    }
});
