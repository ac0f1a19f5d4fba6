//! What somebody can do who has every program and no key: events are numbered, linked, stamped and named anew.

use super::material::ORIGIN;
use loom_core::cbor::{Decoder, Encoder};
use loom_core::commit::Head;
use loom_core::event::Envelope;
use loom_core::id::{EventHasher, Stamp, StreamId};
use loom_core::kind::Event;
use loom_store::conformance::sample::Dice;
use std::collections::BTreeMap;

/// Parts events into commits; `None` where they are none.
pub(super) fn commits(log: &[Vec<u8>]) -> Option<Vec<Vec<Envelope>>> {
    let mut commits: Vec<Vec<Envelope>> = Vec::new();
    for bytes in log {
        let envelope = Envelope::decode(bytes).ok()?;
        match (envelope.count, commits.last_mut()) {
            (Some(_), _) => commits.push(vec![envelope]),
            (None, Some(commit)) => commit.push(envelope),
            (None, None) => return None,
        }
    }
    Some(commits)
}

/// Writes commits so that every chain, count, stamp and name is right again.
pub(super) fn relinked(mut commits: Vec<Vec<Envelope>>) -> Vec<Vec<u8>> {
    let mut renamed: BTreeMap<StreamId, StreamId> = BTreeMap::new();
    for first in commits.iter().filter_map(|commit| commit.first()) {
        if let Event::RunOpened(opened) = &first.body {
            renamed.insert(first.stream, StreamId::of_run(&ORIGIN, &opened.request));
        }
    }
    let hasher = EventHasher::default();
    let mut heads: BTreeMap<StreamId, (Head, Stamp)> = BTreeMap::new();
    let mut log = Vec::new();
    for commit in &mut commits {
        let count = commit.len() as u64;
        let Some(first) = commit.first() else { continue };
        let stream = renamed.get(&first.stream).copied().unwrap_or(first.stream);
        let (mut head, last) = heads.get(&stream).copied().unwrap_or_default();
        let stamp = if first.stamp > last || head.next == 0 { first.stamp } else { Stamp::after(last, 0) };
        let input = head.next;
        for event in commit.iter_mut() {
            (event.stream, event.sequence, event.previous, event.stamp) = (stream, head.next, head.last, stamp);
            (event.input, event.count) = (input, event.count.map(|_| count));
            let bytes = event.encode();
            head = Head { next: head.next + 1, last: hasher.id(&bytes) };
            log.push(bytes);
        }
        heads.insert(stream, (head, stamp));
    }
    log
}

/// Changes the value of one field of an event's body, and keeps its type; `None` where there is nothing to change.
pub(super) fn with_field_changed(bytes: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let body = value_of(bytes, 0, 9)?;
    let mut decoder = Decoder::new(&bytes[body..]);
    let entries = decoder.map().ok()?;
    let wanted = dice.below(entries.max(1));
    let mut place = None;
    for index in 0..entries {
        decoder.uint().ok()?;
        let start = body + decoder.offset();
        let length = decoder.skip().ok()?.len();
        if index == wanted {
            place = Some((start, start + length));
        }
    }
    let (start, end) = place?;
    let changed = changed(&bytes[start..end], dice)?;
    Some([&bytes[..start], &changed, &bytes[end..]].concat())
}

/// Returns where the value of a key of the map at `at` begins.
fn value_of(bytes: &[u8], at: usize, key: u64) -> Option<usize> {
    let mut decoder = Decoder::new(&bytes[at..]);
    for _ in 0..decoder.map().ok()? {
        if decoder.uint().ok()? == key {
            return Some(at + decoder.offset());
        }
        decoder.skip().ok()?;
    }
    None
}

fn changed(value: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let mut out = Encoder::default();
    let mut decoder = Decoder::new(value);
    match value.first()? >> 5 {
        0 => out.uint(decoder.uint().ok()? ^ (1 << dice.below(8))),
        2 => {
            let mut bytes = decoder.bytes().ok()?.to_vec();
            let at = dice.below(bytes.len().max(1) as u64) as usize;
            *bytes.get_mut(at)? ^= 1 << dice.below(8);
            out.bytes(&bytes);
        }
        3 => {
            let text = decoder.text().ok()?;
            out.text(&format!("{text}."));
        }
        4 => {
            let items = decoder.array().ok()?;
            out.array(items as usize);
            let wanted = dice.below(items.max(1));
            for index in 0..items {
                let item = decoder.skip().ok()?;
                match index == wanted {
                    true => out.raw(&changed(item, dice)?),
                    false => out.raw(item),
                }
            }
        }
        _ => out.bool(!decoder.bool().ok()?),
    }
    Some(out.finish())
}
