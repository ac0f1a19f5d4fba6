//! Moves and inputs of any sort on the explored processes: no panic, and every law after every commit.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use loom_core::cbor::Decoder;
use loom_core::commit::Blob;
use loom_core::id::{Actor, Assurance, Stamp};
use loom_core::kind::{Event, KINDS};
use loom_core::run::Run;
use loom_core::step::Input;
use loom_sim::process::Process;
use loom_sim::{law, moves, process};
use std::sync::OnceLock;

#[derive(Debug, Arbitrary)]
enum Push {
    /// One of the moves that the world can make.
    Move(u8),
    /// The same, with other bytes in the blob at an index.
    Spoilt(u8, u8, Vec<u8>),
    /// Any body that decodes.
    Body { kind: u8, bytes: Vec<u8>, blob: Vec<u8>, ms: u64, person: bool, descends: bool },
}

fn processes() -> &'static [Process] {
    static PROCESSES: OnceLock<Vec<Process>> = OnceLock::new();
    PROCESSES.get_or_init(process::all)
}

fn input(run: &Run, process: &Process, push: Push) -> Option<Input> {
    let made = |index: u8| {
        let all = moves::all(run, process.repertoire);
        moves::input(run, &all[usize::from(index) % all.len()])
    };
    Some(match push {
        Push::Move(index) => made(index),
        Push::Spoilt(index, which, bytes) => {
            let mut input = made(index);
            let count = input.blobs.len().max(1);
            let old = input.blobs.get_mut(usize::from(which) % count)?;
            let new = Blob::stored(bytes);
            if let Event::SpawnFinished(body) = &mut input.body {
                for named in [&mut body.answer, &mut body.delta] {
                    if *named == Some(old.digest) {
                        *named = Some(new.digest);
                    }
                }
            }
            *old = new;
            input
        }
        Push::Body { kind, bytes, blob, ms, person, descends } => {
            let schema = &KINDS[usize::from(kind) % KINDS.len()];
            let body = Event::decode(schema.code, &mut Decoder::new(&bytes))?.ok()?;
            let descends = descends.then_some(1);
            let someone = Actor::Person { id: "uid:1".into(), assurance: Assurance::Asserted, descends };
            let stamp = Stamp { ms, counter: 0 };
            let actor = if person { someone } else { Actor::Host };
            Input { stamp, actor, body, blobs: vec![Blob::stored(blob)] }
        }
    })
}

fuzz_target!(|given: (u8, Vec<Push>)| {
    let (which, pushes) = given;
    let process = &processes()[usize::from(which) % processes().len()];
    let mut run = process.open().expect("the explored processes open").into_next();
    for push in pushes.into_iter().take(64) {
        let Some(input) = input(&run, process, push) else { continue };
        let Ok(checked) = loom_core::step(&run, input.clone()) else { continue };
        if let Err(law) = law::broken(Some(&run), &input, &checked) {
            panic!("{law}");
        }
        run = checked.into_next();
    }
});
