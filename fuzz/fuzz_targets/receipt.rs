//! Any file is a receipt that holds or is refused. Without the store's key nothing is proven that its log does not have;
//! with it everything that is behind the signature stays calm.

#![no_main]

use arbitrary::Arbitrary;
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use libfuzzer_sys::fuzz_target;
use loom_core::event::Envelope;
use loom_core::id::{EventHasher, hex, unhex};
use loom_core::multiproof::root_of;
use loom_core::tree::leaf;
use loom_fuzz::altered::{Splice, splice};
use loom_fuzz::base::RULES;
use loom_replay::evidence::{About, Checkpoint, MAGIC, Pins, Receipt, Verifier, read_all, sign_checkpoint, verify};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

#[derive(Debug, Arbitrary)]
enum Given {
    /// A receipt, altered.
    Altered(Altered),
    /// What follows the first bytes of every receipt.
    Bytes(Vec<u8>),
    /// A file of checkpoints.
    Checkpoints(u8, u8, Vec<Splice>),
    /// A verifier's key as people paste it.
    Key(String),
}

#[derive(Debug, Arbitrary)]
struct Altered {
    base: u8,
    harms: Vec<Harm>,
    /// Who alters it: nobody who has a key, or somebody with the store's.
    has_key: bool,
    /// Parts of the file that are others, once everything else is done.
    splices: Vec<Splice>,
}

#[derive(Debug, Arbitrary)]
enum Harm {
    /// A byte of an event is another.
    Byte { event: u8, at: u16, xor: u8 },
    /// An event is left out.
    Drop(u8),
    /// An event says what one of another receipt says.
    Say(u8, u8, u8),
    /// An event stands elsewhere.
    Move(u8, u8),
    /// Two events change places.
    Swap(u8, u8),
    /// A byte of a node of the tree is another.
    Node(u8, u8, u8),
    /// A node is left out.
    Leave(u8),
    /// It has this many events of the tree.
    Size(u8),
    /// It is about something else.
    About(u8),
    /// It is about another event.
    Subject(u8),
    /// It is of another store.
    Origin(u8, u8),
    /// It is judged by one of the fixtures' sets.
    Rules(u8),
    /// It is judged by this text.
    Text(String),
    /// A part of another receipt: events, nodes, checkpoint, envelope or rules.
    Part(u8, u8),
    /// Parts of the checkpoint are others.
    Checkpoint(Vec<Splice>),
    /// Parts of the envelope are others.
    Envelope(Vec<Splice>),
    /// Events name those before them.
    Link,
}

/// The key that signed every receipt of the vectors that holds without a rotation.
fn hand() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn public() -> [u8; 32] {
    hand().verifying_key().to_bytes()
}

/// Receipts of the vectors that hold.
fn bases() -> &'static [Receipt] {
    static BASES: OnceLock<Vec<Receipt>> = OnceLock::new();
    BASES.get_or_init(|| {
        let lines = include_str!("../../specs/vectors/receipts.jsonl").lines();
        let held = lines.filter(|line| !line.contains("\"refused\": "));
        let bytes = held.filter_map(|line| unhex(line.split("\"receipt\": \"").nth(1)?.split('"').next()?));
        let bases: Vec<_> = bytes.filter_map(|bytes| Receipt::read(&bytes).ok()).collect();
        assert!(bases.len() > 10, "the vectors have receipts that hold");
        bases
    })
}

/// Every event that some whole receipt has at a position.
fn on_record() -> &'static BTreeSet<(u64, Vec<u8>)> {
    static EVENTS: OnceLock<BTreeSet<(u64, Vec<u8>)>> = OnceLock::new();
    EVENTS.get_or_init(|| bases().iter().flat_map(|base| base.events.iter().cloned()).collect())
}

fn pick<T>(of: &[T], number: u8) -> Option<usize> {
    (!of.is_empty()).then(|| usize::from(number) % of.len())
}

fn spliced(text: &mut String, splices: &[Splice]) -> Option<()> {
    let mut bytes = text.clone().into_bytes();
    splice(&mut bytes, splices);
    *text = String::from_utf8(bytes).ok()?;
    Some(())
}

fn done(harm: &Harm, receipt: &mut Receipt, size: &mut Option<u64>) -> Option<()> {
    let events = &mut receipt.events;
    match harm {
        Harm::Byte { event, at, xor } => {
            let which = pick(events, *event)?;
            let event = &mut events[which].1;
            let at = usize::from(*at) % event.len().max(1);
            *event.get_mut(at)? ^= xor;
        }
        Harm::Drop(at) => drop(events.remove(pick(events, *at)?)),
        Harm::Say(event, base, other) => {
            let at = pick(events, *event)?;
            let mut envelope = Envelope::decode(&events[at].1).ok()?;
            let others = &bases()[pick(bases(), *base)?].events;
            envelope.body = Envelope::decode(&others[pick(others, *other)?].1).ok()?.body;
            events[at].1 = envelope.encode();
        }
        Harm::Move(at, to) => {
            let at = pick(events, *at)?;
            events[at].0 = (*to).into();
        }
        Harm::Swap(one, other) => {
            let (one, other) = (pick(events, *one)?, pick(events, *other)?);
            let bytes = events[one].1.clone();
            events[one].1 = std::mem::replace(&mut events[other].1, bytes);
        }
        Harm::Node(at, byte, xor) => {
            let at = pick(&receipt.nodes, *at)?;
            receipt.nodes[at][usize::from(*byte) % 32] ^= xor;
        }
        Harm::Leave(at) => drop(receipt.nodes.remove(pick(&receipt.nodes, *at)?)),
        Harm::Size(events) => *size = Some((*events).into()),
        Harm::About(about) => receipt.about = [About::Event, About::Gate, About::Run][usize::from(*about) % 3],
        Harm::Subject(position) => receipt.subject = (*position).into(),
        Harm::Origin(at, xor) => receipt.origin[usize::from(*at) % 16] ^= xor,
        Harm::Rules(which) => receipt.rules.push(RULES[pick(RULES, *which)?].to_string()),
        Harm::Text(text) => receipt.rules.push(text.clone()),
        Harm::Part(base, part) => {
            let other = bases()[pick(bases(), *base)?].clone();
            match part % 5 {
                0 => receipt.events = other.events,
                1 => receipt.nodes = other.nodes,
                2 => receipt.checkpoint = other.checkpoint,
                3 => receipt.envelope = other.envelope,
                _ => receipt.rules = other.rules,
            }
        }
        Harm::Checkpoint(splices) => spliced(&mut receipt.checkpoint, splices)?,
        Harm::Envelope(splices) => spliced(&mut receipt.envelope, splices)?,
        Harm::Link => linked(receipt),
    }
    Some(())
}

/// Names the event before each in its stream anew, where that is in the receipt.
fn linked(receipt: &mut Receipt) {
    let hasher = EventHasher::default();
    let mut before = BTreeMap::new();
    for (_, bytes) in &mut receipt.events {
        let Ok(mut envelope) = Envelope::decode(bytes) else { continue };
        let last = envelope.sequence.checked_sub(1).and_then(|last| before.get(&(envelope.stream, last)));
        envelope.previous = last.copied().unwrap_or(envelope.previous);
        *bytes = envelope.encode();
        before.insert((envelope.stream, envelope.sequence), hasher.id(bytes));
    }
}

/// Signs what there is: a checkpoint over the events' own root, and the statement with the new names in it.
fn signed(receipt: &mut Receipt, base: &Receipt, size: Option<u64>) -> Option<()> {
    let hasher = EventHasher::default();
    let before = Checkpoint::parse(&base.checkpoint).ok()?;
    let leaves: Vec<_> = receipt.events.iter().map(|(position, bytes)| (*position, leaf(&hasher.id(bytes)))).collect();
    let size = size.unwrap_or(before.size);
    let root = root_of(&leaves, size, &receipt.nodes)?;
    let sign = |bytes: &[u8]| hand().sign(bytes).to_bytes();
    receipt.checkpoint = sign_checkpoint(&receipt.origin, size, &root, public(), &sign);
    let payload = receipt.envelope.strip_prefix(r#"{"payload":""#)?.split('"').next()?;
    let mut payload = String::from_utf8(BASE64.decode(payload.as_bytes()).ok()?).ok()?;
    payload = payload.replace(&hex(&before.root), &hex(&root));
    payload = payload.replace(&format!("\"size\":{}", before.size), &format!("\"size\":{size}"));
    payload = payload.replace(&hex(&base.origin), &hex(&receipt.origin));
    for ((_, old), (_, new)) in base.events.iter().zip(&receipt.events) {
        payload = payload.replace(&hex(&hasher.id(old).0), &hex(&hasher.id(new).0));
    }
    const TYPE: &str = "application/vnd.in-toto+json";
    let signature = sign(format!("DSSEv1 {} {TYPE} {} {payload}", TYPE.len(), payload.len()).as_bytes());
    let (payload, signature) = (BASE64.encode(payload.as_bytes()), BASE64.encode(&signature));
    let key = hex(&public());
    receipt.envelope = format!(
        r#"{{"payload":"{payload}","payloadType":"{TYPE}","signatures":[{{"keyid":"{key}","sig":"{signature}"}}]}}"#
    );
    Some(())
}

fn check(file: &[u8], is_signed: bool) {
    let Ok(receipt) = Receipt::read(file) else { return };
    assert_eq!(receipt.write(), file, "a receipt has one spelling (RECEIPT-1)");
    let all = Pins { origin: Some(receipt.origin), key: Some(public()), ..Pins::default() };
    let (free, pinned) = (verify(&receipt, &Pins::default()), verify(&receipt, &all));
    let Ok(pinned) = pinned else { return };
    let free = free.expect("what holds for one who knows the key holds for one who knows nothing");
    assert_eq!(free.statement, pinned.statement);
    assert!(free.level.number <= pinned.level.number, "who vouches for nothing concludes no more");
    if !is_signed {
        for event in &receipt.events {
            assert!(on_record().contains(event), "the receipt proves an event that the store does not have");
        }
    }
}

fuzz_target!(|given: Given| {
    match given {
        Given::Altered(altered) => {
            let Some(at) = pick(bases(), altered.base) else { return };
            let (base, mut size) = (&bases()[at], None);
            let mut receipt = base.clone();
            for harm in altered.harms.iter().take(16) {
                done(harm, &mut receipt, &mut size);
            }
            if altered.has_key {
                signed(&mut receipt, base, size);
            }
            let mut file = receipt.write();
            splice(&mut file, &altered.splices);
            check(&file, altered.has_key);
        }
        Given::Bytes(bytes) => check(&[MAGIC, &bytes].concat(), false),
        Given::Checkpoints(one, other, splices) => {
            let Some((one, other)) = pick(bases(), one).zip(pick(bases(), other)) else { return };
            let mut text = format!("{}\n{}", bases()[one].checkpoint, bases()[other].checkpoint);
            if spliced(&mut text, &splices).is_none() {
                return;
            }
            if let Ok(found) = read_all(&text) {
                let texts: Vec<_> = found.iter().map(|checkpoint| checkpoint.text.as_str()).collect();
                assert_eq!(texts.join("\n"), text, "a file of checkpoints is nothing but them (WITNESS-1)");
            }
        }
        Given::Key(text) => {
            if let Some(key) = Verifier::parse(&text) {
                assert_eq!(Verifier::parse(&key.text()).map(|key| key.text()), Some(key.text()));
            }
        }
    }
});
