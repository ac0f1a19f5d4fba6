//! One attack: what is changed, in which way, and by whom.

use super::altered::Altered;
use super::file::{Item, Parts};
use super::material::{Material, PRESENT, STRANGER, checkpoint, public, sign, sign_answer};
use super::relink::{commits, relinked, with_field_changed};
use loom_core::event::Envelope;
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use loom_core::word::Answer;
use loom_replay::evidence::{About, Receipt, Subject, prove};
use loom_store::Store;
use loom_store::conformance::sample::Dice;
use std::collections::BTreeMap;

/// What is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A store with the checkpoints that its witness has.
    Store,
    /// A trace; the reader has a receipt of the run from elsewhere.
    Trace,
    /// A receipt; the reader has the store's key and checkpoints from elsewhere.
    Receipt,
}

/// Who attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    /// Changes bytes and computes nothing.
    Bytes,
    /// Computes every id, chain, count, tree, index and digest anew, and has no key of the store.
    Hashes,
    /// The same with the store's key. What a witness has is out of reach.
    Key,
}

pub(super) const TARGETS: [(Target, &str); 3] =
    [(Target::Store, "store"), (Target::Trace, "trace"), (Target::Receipt, "receipt")];
pub(super) const BYS: [(By, &str); 3] = [(By::Bytes, "bytes"), (By::Hashes, "hashes"), (By::Key, "key")];
/// The classes of what is done.
pub(super) const CLASSES: [&str; 13] = [
    "byte",
    "field",
    "record",
    "order",
    "insertion",
    "deletion",
    "duplication",
    "truncation",
    "fork",
    "key swap",
    "blob swap",
    "checkpoint swap",
    ANSWERS,
];
/// The class in which history is written around honest signatures of a person.
pub(super) const ANSWERS: &str = "answer swap";

/// What the reader finds.
pub(super) enum Found {
    Store {
        log: Vec<Vec<u8>>,
        blobs: Option<BTreeMap<Digest, Vec<u8>>>,
        checkpoints: Vec<String>,
    },
    Trace {
        run: usize,
        bytes: Vec<u8>,
    },
    Receipt {
        original: usize,
        bytes: Vec<u8>,
    },
    /// A receipt of a decision, witnessed when it was made; the reader has the person's key besides.
    Approval {
        bytes: Vec<u8>,
    },
}

/// Makes one attack; `None` where it does not apply to what was drawn.
pub(super) fn attack(material: &Material, target: Target, by: By, class: &str, dice: &mut Dice) -> Option<Found> {
    match target {
        Target::Store => store(material, by, class, dice),
        Target::Trace => trace(material, by, class, dice),
        Target::Receipt => receipt(material, by, class, dice),
    }
}

fn below(dice: &mut Dice, bound: usize) -> usize {
    dice.below(bound.max(1) as u64) as usize
}

fn flipped(bytes: &mut [u8], dice: &mut Dice) -> Option<()> {
    let at = below(dice, bytes.len());
    *bytes.get_mut(at)? ^= 1 << dice.below(8);
    Some(())
}

/// Does to a list of records what needs no knowledge of them.
fn shuffled(log: &mut Vec<Vec<u8>>, class: &str, dice: &mut Dice) -> Option<()> {
    let at = below(dice, log.len());
    let other = below(dice, log.len());
    match class {
        "byte" => flipped(log.get_mut(at)?, dice)?,
        "field" => log[at] = with_field_changed(log.get(at)?, dice)?,
        "record" => log[at] = log.get(other)?.clone(),
        "order" => log.swap(at, other),
        "insertion" => {
            let made = with_field_changed(log.get(other)?, dice)?;
            log.insert(at, made);
        }
        "deletion" => drop(log.remove(at)),
        "duplication" => log.insert(at, log.get(at)?.clone()),
        "truncation" => log.truncate(at),
        "fork" => {
            let tail: Vec<_> = log.iter().skip(other).cloned().collect();
            log.truncate(at);
            log.extend(tail);
        }
        _ => return None,
    }
    Some(())
}

/// The same by somebody who computes everything anew: whole commits.
fn rewritten(log: &[Vec<u8>], class: &str, dice: &mut Dice) -> Option<Vec<Vec<u8>>> {
    let mut log = log.to_vec();
    match class {
        "byte" | "field" => {
            let at = below(dice, log.len());
            log[at] = with_field_changed(log.get(at)?, dice)?;
            Envelope::decode(&log[at]).ok()?;
        }
        _ => {}
    }
    let mut commits = commits(&log)?;
    let (at, other) = (below(dice, commits.len()), below(dice, commits.len()));
    match class {
        "byte" | "field" => {}
        "record" => {
            let source = commits.get(other)?.clone();
            let commit = commits.get_mut(at)?;
            let (from, to) = (below(dice, source.len()), below(dice, commit.len()));
            let is_same = source[from].body.schema().class == commit[to].body.schema().class;
            commit[to].body = is_same.then(|| source[from].body.clone())?;
        }
        "order" => commits.swap(at, other),
        "insertion" => {
            let mut made = commits.get(other)?.clone();
            let bytes = with_field_changed(&made.first()?.encode(), dice)?;
            *made.first_mut()? = Envelope::decode(&bytes).ok()?;
            commits.insert(at, made);
        }
        "deletion" => drop(commits.remove(at)),
        "duplication" => commits.insert(at, commits.get(at)?.clone()),
        "truncation" => commits.truncate(at),
        "fork" => {
            let tail: Vec<_> = commits.iter().skip(other).cloned().collect();
            commits.truncate(at);
            commits.extend(tail);
        }
        "key swap" => {
            let mut is_there = false;
            for event in commits.iter_mut().flatten() {
                if let Event::KeyAdded(added) = &mut event.body {
                    if added.before.is_some() {
                        added.signature = None;
                        added.key = public(STRANGER);
                        is_there = true;
                    }
                } else if let Event::KeyRetired(retired) = &mut event.body {
                    retired.handed_over = false;
                }
            }
            is_there.then_some(())?;
        }
        _ => return None,
    }
    Some(relinked(commits))
}

/// Gives one blob the content of another; who computes everything anew also names it in the events.
fn blobs_swapped(blobs: &mut BTreeMap<Digest, Vec<u8>>, dice: &mut Dice) -> Option<(Digest, Digest)> {
    let digests: Vec<Digest> = blobs.keys().copied().collect();
    let (at, other) = (*digests.get(below(dice, digests.len()))?, *digests.get(below(dice, digests.len()))?);
    let bytes = blobs.get(&other)?.clone();
    blobs.insert(at, bytes);
    Some((at, other))
}

fn renamed(log: &mut [Vec<u8>], from: &Digest, to: &Digest) {
    for event in log {
        for at in 0..event.len().saturating_sub(31) {
            if event[at..at + 32] == from.0 {
                event[at..at + 32].copy_from_slice(&to.0);
            }
        }
    }
}

fn store(material: &Material, by: By, class: &str, dice: &mut Dice) -> Option<Found> {
    let (mut log, mut blobs) = (material.log.clone(), None);
    let mut checkpoints = material.checkpoints.clone();
    match (class, by) {
        ("blob swap", _) => {
            let mut swapped = material.blobs.clone();
            let (at, other) = blobs_swapped(&mut swapped, dice)?;
            if by != By::Bytes {
                swapped.insert(at, material.blobs.get(&at)?.clone());
                renamed(&mut log, &at, &other);
                log = relinked(commits(&log)?);
            }
            blobs = Some(swapped);
        }
        ("checkpoint swap", By::Bytes) => {
            let at = below(dice, checkpoints.len());
            match dice.below(3) {
                0 => checkpoints[at] = checkpoints.get(below(dice, checkpoints.len()))?.clone(),
                1 => {
                    let mut bytes = checkpoints[at].clone().into_bytes();
                    flipped(&mut bytes, dice)?;
                    checkpoints[at] = String::from_utf8(bytes).ok()?;
                }
                _ => {
                    // The text of one under the signatures of another.
                    let (text, _) = checkpoints.get(at)?.split_once("\n\n")?;
                    let (_, lines) = checkpoints.get(below(dice, checkpoints.len()))?.split_once("\n\n")?;
                    checkpoints[at] = format!("{text}\n\n{lines}");
                }
            }
        }
        ("checkpoint swap", By::Hashes) => {
            // A history of the attacker's own, with a checkpoint of it in the place of the last one.
            log = rewritten(&log, "field", dice)?;
            let altered = Altered::new(&material.store, &log, &material.blobs, true).ok()?;
            *checkpoints.last_mut()? = checkpoint(&altered, STRANGER).ok()?;
        }
        ("checkpoint swap", By::Key) => {
            // The same, signed as the store signs. The witness keeps what it has.
            log = rewritten(&log, "field", dice)?;
            let altered = Altered::new(&material.store, &log, &material.blobs, true).ok()?;
            checkpoints.push(checkpoint(&altered, PRESENT).ok()?);
        }
        ("key swap", By::Bytes) => {
            let (from, to) = (public(PRESENT), public(STRANGER));
            renamed(&mut log, &Digest(from), &Digest(to));
        }
        (_, By::Bytes) => shuffled(&mut log, class, dice)?,
        (_, By::Hashes | By::Key) => log = rewritten(&log, class, dice)?,
    }
    Some(Found::Store { log, blobs, checkpoints })
}

fn trace(material: &Material, by: By, class: &str, dice: &mut Dice) -> Option<Found> {
    let run = below(dice, material.traces.len());
    let mut bytes = material.traces.get(run)?.clone();
    let mut parts = Parts::read(&bytes)?;
    match (class, by) {
        ("byte", By::Bytes) => flipped(&mut bytes, dice)?,
        ("truncation", By::Bytes) => bytes.truncate(below(dice, bytes.len())),
        // Nothing of a trace is signed.
        ("key swap" | "checkpoint swap", _) | (_, By::Key) => return None,
        ("blob swap", _) => {
            let blobs: Vec<usize> =
                (0..parts.items.len()).filter(|at| matches!(parts.items[*at], Item::Blob(_))).collect();
            let at = *blobs.get(below(dice, blobs.len()))?;
            let other = *blobs.get(below(dice, blobs.len()))?;
            let (Item::Blob(old), Item::Blob(new)) = (parts.items[at].clone(), parts.items[other].clone()) else {
                return None;
            };
            // The other's content under another salt, so that it is a blob of its own.
            let new = if by == By::Hashes { [&new[..], b"."].concat() } else { new };
            parts.items[at] = Item::Blob(new.clone());
            if by == By::Hashes {
                let digest = |bytes: &[u8]| loom_core::commit::Blob::stored(bytes.to_vec()).digest;
                let mut events = parts.events();
                renamed(&mut events, &digest(&old), &digest(&new));
                parts.set_events(relinked(commits(&events)?));
            }
            bytes = parts.write(by == By::Hashes);
        }
        (_, By::Bytes) => {
            let mut events = parts.events();
            shuffled(&mut events, class, dice)?;
            parts.set_events(events);
            bytes = parts.write(false);
        }
        (_, By::Hashes) => {
            parts.set_events(rewritten(&parts.events(), class, dice)?);
            if let Some(Item::Event(first)) = parts.items.iter().find(|item| matches!(item, Item::Event(_))) {
                parts.stream = Envelope::decode(first).ok()?.stream;
            }
            bytes = parts.write(true);
        }
    }
    Some(Found::Trace { run, bytes })
}

/// History that was written with the store's key from the beginning, in which another decision or merge stands behind
/// what the person signed.
fn answers_swapped(material: &Material, dice: &mut Dice) -> Option<Found> {
    let log: Vec<_> =
        material.signed.events(0, usize::MAX).ok()?.into_iter().map(|stored| stored.event.bytes).collect();
    let mut commits = commits(&log)?;
    let events = || log.iter().filter_map(|bytes| Envelope::decode(bytes).ok());
    let gates: Vec<_> = events()
        .filter_map(|event| match event.body {
            Event::GateOpened(opened) => Some((event.stream, event.sequence, opened.artifact)),
            _ => None,
        })
        .collect();
    let [(_, earlier, earlier_artifact), .., (stream, gate, _)] = gates[..] else { return None };
    // Made trees are of small bytes: what is put in their place is always another.
    let (what, other) = (dice.below(8), Digest([128 + dice.below(128) as u8; 32]));
    let word = [Answer::Reject, Answer::Revise, Answer::Abandon][below(dice, 3)];
    for event in commits.iter_mut().flatten() {
        match (&mut event.body, what) {
            (Event::GateAnswered(body), 0..=3) if body.gate == gate => {
                match what {
                    0 => body.answer = word,
                    1 => (body.gate, body.artifact) = (earlier, Some(earlier_artifact)),
                    2 => body.artifact = Some(other),
                    _ => (body.gate, body.artifact, body.answer) = (earlier, Some(earlier_artifact), word),
                }
                sign_answer(&event.stream, body);
            }
            (Event::GateOpened(body), 4) if event.sequence == gate => body.artifact = other,
            (Event::GateDecided(body), 5) => body.artifact = other,
            (Event::MergeIntended(body), 5 | 6) => body.artifact = other,
            (Event::MergeIntended(body), 7) => body.tree = other.0[..20].to_vec(),
            _ => {}
        }
    }
    let log = relinked(commits);
    let altered = Altered::new(&material.signed, &log, &material.blobs, true).ok()?;
    let subject = match dice.below(2) {
        0 => Subject { about: About::Gate, stream, sequence: gate },
        _ => Subject { about: About::Run, stream, sequence: altered.head(stream).ok()?.next.checked_sub(1)? },
    };
    let made = prove(&altered, subject, Vec::new(), None, public(PRESENT), &sign(PRESENT)).ok()?;
    Some(Found::Approval { bytes: made.write() })
}

fn receipt(material: &Material, by: By, class: &str, dice: &mut Dice) -> Option<Found> {
    if class == ANSWERS {
        return (by == By::Key).then(|| answers_swapped(material, dice))?;
    }
    let original = below(dice, material.receipts.len());
    let mut made = material.receipts.get(original)?.clone();
    if by != By::Bytes {
        let bytes = forged(material, by, class, &made, dice)?.write();
        return Some(Found::Receipt { original, bytes });
    }
    match class {
        "byte" | "truncation" => {
            let mut bytes = made.write();
            match class {
                "byte" => flipped(&mut bytes, dice)?,
                _ => bytes.truncate(below(dice, bytes.len())),
            }
            return Some(Found::Receipt { original, bytes });
        }
        "key swap" => made.envelope = made.envelope.replace(&hex(&public(PRESENT)), &hex(&public(STRANGER))),
        "blob swap" => return None,
        "checkpoint swap" => made.checkpoint = material.checkpoints.first()?.clone(),
        "record" if dice.below(2) == 0 => {
            let at = below(dice, made.nodes.len());
            let other = below(dice, made.nodes.len());
            *made.nodes.get_mut(at)? = *made.nodes.get(other)?;
        }
        _ => {
            let positions: Vec<u64> = made.events.iter().map(|(position, _)| *position).collect();
            let mut events: Vec<Vec<u8>> = made.events.iter().map(|(_, bytes)| bytes.clone()).collect();
            shuffled(&mut events, class, dice)?;
            made.events = positions.into_iter().chain(1 << 32..).zip(events).collect();
        }
    }
    Some(Found::Receipt { original, bytes: made.write() })
}

/// A receipt of a history of the attacker's own. Where the class is a swapped key it is signed with that; else with the
/// store's by who has it, and for others the signatures are those of the honest receipt.
fn forged(material: &Material, by: By, class: &str, honest: &Receipt, dice: &mut Dice) -> Option<Receipt> {
    let is_key = class == "key swap";
    let mut log = match class {
        "blob swap" => return None,
        "checkpoint swap" => rewritten(&material.log, "field", dice)?,
        _ => rewritten(&material.log, class, dice)?,
    };
    let is_stranger = is_key || (class == "checkpoint swap" && by == By::Hashes);
    if is_stranger && !is_key {
        log = rewritten(&log, "key swap", dice)?;
    }
    let signer = if is_stranger { STRANGER } else { PRESENT };
    let altered = Altered::new(&material.store, &log, &material.blobs, true).ok()?;
    let (_, subject) = honest.events.iter().find(|(position, _)| *position == honest.subject)?;
    let subject = Envelope::decode(subject).ok()?;
    let wanted = Subject { about: honest.about, stream: subject.stream, sequence: subject.sequence };
    let wanted = match honest.about {
        About::Run => Subject { sequence: altered.head(subject.stream).ok()?.next.checked_sub(1)?, ..wanted },
        About::Event | About::Gate => wanted,
    };
    let mut made = prove(&altered, wanted, honest.rules.clone(), None, public(signer), &sign(signer)).ok()?;
    if signer == PRESENT && by == By::Hashes {
        // The store's key is not the attacker's: what it signed is what there is.
        let (text, _) = made.checkpoint.split_once("\n\n")?;
        let (_, lines) = honest.checkpoint.split_once("\n\n")?;
        made.checkpoint = format!("{text}\n\n{lines}");
        made.envelope = honest.envelope.clone();
    }
    Some(made)
}

fn hex(bytes: &[u8]) -> String {
    loom_core::id::hex(bytes)
}

/// Returns the stream's events of a log.
pub(super) fn of_stream(log: &[Vec<u8>], stream: StreamId) -> Vec<&Vec<u8>> {
    log.iter().filter(|bytes| Envelope::decode(bytes).is_ok_and(|event| event.stream == stream)).collect()
}
