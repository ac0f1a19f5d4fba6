//! Both verifiers look at the same altered bytes: Loom's readers here, `specs/verifier.py` in one process beside it.

use super::altered::Altered;
use super::attack::{ANSWERS, BYS, By, CLASSES, Found, Target, attack};
use super::detect::{approval_pins, law_in, law_of, law_of_event, law_of_replay, pins};
use super::file::Parts;
use super::material::{Material, ORIGIN};
use super::{Arguments, dice};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, EventHasher, StreamId, hex};
use loom_core::rules::{RuleSet, Rules};
use loom_replay::corpus::Filter;
use loom_replay::evidence::{Checkpoint, EvidenceError, History, Pins, Receipt, Witnessed, verify as check};
use loom_replay::{Options, Records, ReplayError, judge, trace, verify, verify_run};
use loom_store::conformance::sample::Dice;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;

/// Cases whose answers differ, as many as are shown.
const SHOWN: usize = 20;

/// What an answer says: accepted, with what, or refused, by which law.
type Answer = Result<String, String>;

/// How far both verifiers agree.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    /// By what was looked at: all, accepted by both, refused by both, refused by both with the same law.
    counts: BTreeMap<&'static str, [u64; 4]>,
    /// Laws that differ, ours first.
    laws: BTreeMap<(String, String), u64>,
    /// Cases in which one accepts and the other refuses, or both say something else.
    differ: Vec<String>,
    differing: u64,
}

impl Agreement {
    /// Whether every case was accepted by both with the same result, or refused by both.
    pub(super) fn is_full(&self) -> bool {
        self.differing == 0
    }

    fn add(&mut self, of: &'static str, case: &str, ours: &Answer, theirs: &Answer) {
        let counts = self.counts.entry(of).or_default();
        counts[0] += 1;
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => counts[1] += 1,
            (Err(ours), Err(theirs)) => {
                counts[2] += 1;
                match ours == theirs {
                    true => counts[3] += 1,
                    false => *self.laws.entry((ours.clone(), theirs.clone())).or_default() += 1,
                }
            }
            _ => {
                self.differing += 1;
                if self.differ.len() < SHOWN {
                    let case: String = case.chars().take(100_000).collect();
                    self.differ.push(format!("{of}: here {ours:?}, there {theirs:?}: {case}"));
                }
            }
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:12} {:>8} {:>9} {:>8} {:>14}", "of", "cases", "accepted", "refused", "by the same law")?;
        for (of, [all, accepted, refused, same]) in &self.counts {
            writeln!(f, "{of:12} {all:>8} {accepted:>9} {refused:>8} {same:>14}")?;
        }
        for ((ours, theirs), count) in &self.laws {
            writeln!(f, "refused by both, here {ours}, there {theirs}: {count}")?;
        }
        for case in &self.differ {
            writeln!(f, "DIFFERS {case}")?;
        }
        let all: u64 = self.counts.values().map(|counts| counts[0]).sum();
        writeln!(f, "{all} cases, {} differ", self.differing)
    }
}

/// Shows this shard's cases to both.
pub(super) fn agree(arguments: &Arguments) -> Result<Agreement, Box<dyn Error>> {
    let material = Material::make()?;
    let mut child = Command::new(&arguments.python)
        .arg(&arguments.verifier)
        .arg("batch")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("the second verifier has no pipes".into());
    };
    let mut agreement = Agreement::default();
    let (told, asked) = mpsc::sync_channel(1000);
    let written = std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let material = &material;
        let writer = scope.spawn(move || -> Result<(), std::io::Error> {
            let mut input = BufWriter::new(input);
            for number in arguments.range() {
                let Some((of, case, ours)) =
                    (0..super::DRAWS).find_map(|draw| case(material, number, &mut dice(arguments.seed, number, draw)))
                else {
                    continue;
                };
                let line = case.to_string();
                writeln!(input, "{line}")?;
                if told.send((of, line, ours)).is_err() {
                    break;
                }
            }
            input.flush()
        });
        let mut lines = BufReader::new(output).lines();
        for (of, line, ours) in asked {
            let Some(answer) = lines.next() else { return Err("the second verifier ended early".into()) };
            let answer: Value = serde_json::from_str(&answer?)?;
            agreement.add(of, &line, &ours, &theirs(&answer));
        }
        writer.join().map_err(|_| "a case could not be made")??;
        Ok(())
    });
    let status = child.wait()?;
    written?;
    if !status.success() {
        return Err("the second verifier failed".into());
    }
    Ok(agreement)
}

fn theirs(answer: &Value) -> Answer {
    match answer["refused"].as_str() {
        Some(law) => Err(law.to_string()),
        None => match (&answer["level"], &answer["id"]) {
            (Value::Number(level), _) => Ok(level.to_string()),
            (_, Value::String(id)) => Ok(id.clone()),
            _ => Ok(answer["verdicts"]
                .as_array()
                .map(|verdicts| verdicts.iter().map(verdict).collect())
                .unwrap_or_default()),
        },
    }
}

fn verdict(told: &Value) -> String {
    let first = told["sequence"].as_u64().map(|sequence| format!(" at {sequence}")).unwrap_or_default();
    format!("{} {}{first}; ", told["rule"].as_str().unwrap_or_default(), told["result"].as_str().unwrap_or_default())
}

/// Makes a case, with what Loom's readers say of it; `None` where the attack does not apply.
fn case(material: &Material, number: u64, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let by = BYS[dice.below(2) as usize].0;
    let class = CLASSES[dice.below(CLASSES.len() as u64) as usize];
    match number % 7 {
        0 => event(material, dice),
        1 => stream(material, by, class, dice),
        2 => {
            let Found::Trace { bytes, .. } = attack(material, Target::Trace, by, class, dice)? else { return None };
            let ours = trace::read(&mut &bytes[..]).map(|_| String::new()).map_err(|error| law_of_replay(&error));
            Some(("trace", json!({"trace": hex(&bytes)}), ours))
        }
        3 => receipt(material, by, class, dice),
        4 => checkpoint(material, dice),
        5 => log(material, by, class, dice),
        _ => rules(material, dice),
    }
}

fn event(material: &Material, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let mut bytes = material.log.get(dice.below(material.log.len() as u64) as usize)?.clone();
    for _ in 0..dice.below(3) {
        let at = dice.below(bytes.len().max(1) as u64) as usize;
        match dice.below(5) {
            0 => *bytes.get_mut(at)? ^= 1 << dice.below(8),
            1 => *bytes.get_mut(at)? = dice.below(256) as u8,
            2 => drop((at < bytes.len()).then(|| bytes.remove(at))),
            3 => bytes.insert(at, dice.below(256) as u8),
            _ => bytes = super::relink::with_field_changed(&bytes, dice)?,
        }
    }
    let ours = match Envelope::decode(&bytes) {
        Ok(_) => Ok(EventHasher::default().id(&bytes).to_string()),
        Err(error) => Err(law_of_event(&error)),
    };
    Some(("event", json!({"bytes": hex(&bytes)}), ours))
}

/// A stream in memory.
struct Held(StreamId, Vec<Vec<u8>>);

impl Records for Held {
    fn stream(&self) -> StreamId {
        self.0
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        let hasher = EventHasher::default();
        let events = self.1.iter().skip(sequence as usize).take(max);
        Ok(events.map(|bytes| Recorded { id: hasher.id(bytes), bytes: bytes.clone() }).collect())
    }

    fn blob(&self, _: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(None)
    }
}

fn hexes(events: &[Vec<u8>]) -> Vec<String> {
    events.iter().map(|event| hex(event)).collect()
}

fn stream(material: &Material, by: By, class: &str, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let Found::Trace { bytes, .. } = attack(material, Target::Trace, by, class, dice)? else { return None };
    let parts = Parts::read(&bytes)?;
    let events = parts.events();
    let ours = match verify_run(&Held(parts.stream, events.clone()), false) {
        Ok(report) => report.first_bad.map_or(Ok(String::new()), |bad| Err(law_in(&bad.what))),
        Err(_) => Err("CHAIN-1".to_string()),
    };
    Some(("stream", json!({"events": hexes(&events)}), ours))
}

fn receipt(material: &Material, by: By, class: &str, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let by = if class == ANSWERS { By::Key } else { by };
    let (bytes, approval) = match attack(material, Target::Receipt, by, class, dice)? {
        Found::Receipt { bytes, .. } => (bytes, None),
        Found::Approval { bytes } => {
            let pins = approval_pins(&Receipt::read(&bytes).ok()?);
            (bytes, Some(pins))
        }
        Found::Store { .. } | Found::Trace { .. } => return None,
    };
    let given = match (approval, dice.below(2)) {
        (Some(pins), _) => pins,
        (None, 0) => Pins::default(),
        (None, _) => pins(material),
    };
    let persons: Vec<_> = given.persons.iter().map(|key| hex(key)).collect();
    let told = match given.key {
        Some(key) => json!({"key": hex(&key), "checkpoints": given.checkpoints, "persons": persons}),
        None => json!({}),
    };
    let checked = Receipt::read(&bytes).and_then(|receipt| check(&receipt, &given));
    let ours = checked.map(|checked| checked.level.number.to_string()).map_err(|error| law_of(&error));
    Some(("receipt", json!({"receipt": hex(&bytes), "pins": told}), ours))
}

fn checkpoint(material: &Material, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let text = material.checkpoints.get(dice.below(material.checkpoints.len() as u64) as usize)?;
    let mut bytes = text.clone().into_bytes();
    for _ in 0..dice.below(3) {
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(3) {
            0 => bytes[at] = b"0123456789+/=\n \xe2abcXYZ"[dice.below(22) as usize],
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, bytes[dice.below(bytes.len() as u64) as usize]),
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    let own = super::attack::of_stream(&material.log, StreamId::STORE);
    let position = |bytes: &Vec<u8>| material.log.iter().position(|found| found == bytes).map(|at| at as u64);
    let own: Vec<_> =
        own.into_iter().filter_map(|bytes| Some((position(bytes)?, Envelope::decode(bytes).ok()?))).collect();
    let history = History::of(own.iter().map(|(position, event)| (*position, event))).ok()?;
    let keys: Vec<_> = history
        .keys
        .iter()
        .map(|key| match key.retired {
            Some(retired) => json!({"key": hex(&key.key), "position": key.position, "retired": retired}),
            None => json!({"key": hex(&key.key), "position": key.position}),
        })
        .collect();
    let read = Checkpoint::parse(&text).and_then(|checkpoint| checkpoint.signer(&history).map(|_| String::new()));
    let ours = read.map_err(|error| law_of(&error));
    Some(("checkpoint", json!({"checkpoint": text, "origin": hex(&ORIGIN), "keys": keys}), ours))
}

fn log(material: &Material, by: By, class: &str, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let Found::Store { log, blobs: None, checkpoints } = attack(material, Target::Store, by, class, dice)? else {
        return None;
    };
    let altered = Altered::new(&material.store, &log, &material.blobs, true).ok()?;
    let seen = || -> Result<String, String> {
        let report = verify(&altered, Options { threads: 1, blobs: false }).map_err(|error| law_of_replay(&error))?;
        report.first_bad.map_or(Ok(()), |bad| Err(law_in(&bad.what)))?;
        let held = || -> Result<(), EvidenceError> {
            let history = History::of_store(&altered)?;
            let read: Result<Vec<_>, _> = checkpoints.iter().map(|text| Checkpoint::parse(text)).collect();
            Witnessed { checkpoints: read? }.hold(&altered, &history)
        };
        held().map(|()| String::new()).map_err(|error| law_of(&error))
    };
    let ours = seen();
    Some(("log", json!({"origin": hex(&ORIGIN), "events": hexes(&log), "checkpoints": checkpoints}), ours))
}

/// A rule set that nobody wrote, asked about a whole run.
fn rules(material: &Material, dice: &mut Dice) -> Option<(&'static str, Value, Answer)> {
    let text = super::invent::rules(dice);
    let at = dice.below(material.runs.len() as u64) as usize;
    let case = json!({"judged": [text], "trace": hex(material.traces.get(at)?)});
    let Ok(rules) = RuleSet::load(&text).and_then(|set| Rules::new(vec![Arc::new(set)]).map_err(|error| vec![error]))
    else {
        return Some(("rules", case, Err("RULE-5".to_string())));
    };
    let options = judge::Options { threads: 1, verify: true, filter: Filter::default() };
    let judged = judge::judge_store(Path::new("store"), &material.store, &rules, &options).ok()?;
    let run = judged.runs.iter().find(|run| run.stream == material.runs[at])?;
    let told = judged.rules.iter().zip(&run.tallies).map(|(rule, tally)| {
        let first = tally.first.map(|sequence| format!(" at {sequence}")).unwrap_or_default();
        format!("{} {}{first}; ", rule.name, tally.verdict().word())
    });
    Some(("rules", case, Ok(told.collect())))
}
