//! Checking a receipt: with its bytes, and what the reader vouches for, alone.

use super::checkpoint::Checkpoint;
use super::cover::{Covered, Part, check_cover, check_links, check_opening, check_whole};
use super::error::{EvidenceError, broken};
use super::history::History;
use super::judging::{Judged, judge};
use super::level::{Level, Vouched, check_answers, of_receipt};
use super::note::{PublicKey, Verifier};
use super::receipt::{About, Receipt};
use super::statement::{Grounds, check_envelope};
use loom_core::event::Envelope;
use loom_core::id::{EventHasher, StreamId};
use loom_core::kind::Event;
use loom_core::multiproof::root_of;
use loom_core::tree::leaf;

/// What a reader vouches for. Nothing is pinned by default.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// The store that it must be of.
    pub origin: Option<[u8; 16]>,
    /// The store's key.
    pub key: Option<PublicKey>,
    /// Witnesses whose cosignatures count.
    pub witnesses: Vec<Verifier>,
    /// Texts of checkpoints that the reader has from elsewhere.
    pub checkpoints: Vec<String>,
    /// Keys of people whose approvals count.
    pub persons: Vec<PublicKey>,
}

/// What a receipt proves.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What it is about.
    pub about: About,
    /// The store's name.
    pub origin: [u8; 16],
    /// The stream of its subject.
    pub stream: StreamId,
    /// Sequence of its subject.
    pub subject: u64,
    /// Number of events of the checkpoint.
    pub size: u64,
    /// The root over them.
    pub root: [u8; 32],
    /// Events of the subject's stream that are covered.
    pub events: u64,
    /// The key that signed.
    pub signer: PublicKey,
    /// Whether the reader's pin vouches for it.
    pub is_pinned: bool,
    /// What the rules give.
    pub judged: Vec<Judged>,
    /// The statement, JSON.
    pub statement: String,
    /// What may be concluded.
    pub level: Level,
}

/// A receipt in parts whose places in the tree are proven.
pub(super) struct Placed<'r> {
    pub(super) checkpoint: Checkpoint,
    pub(super) history: History,
    pub(super) part: Part<'r>,
    pub(super) subject: u64,
    pub(super) stream: StreamId,
    pub(super) signer: PublicKey,
    pub(super) judged: Vec<Judged>,
}

/// Checks a receipt.
///
/// # Errors
/// The first law that it breaks, or the pin that it does not fit.
pub fn verify(receipt: &Receipt, pins: &Pins) -> Result<Checked, EvidenceError> {
    if let Some(wanted) = pins.origin.filter(|wanted| *wanted != receipt.origin) {
        return Err(EvidenceError::OtherStore { found: receipt.origin, wanted });
    }
    let placed = place(receipt)?;
    let payload = placed.payload(receipt.about)?;
    check_envelope(&receipt.envelope, &payload, &placed.signer)?;
    check_answers(&placed.part)?;
    let is_pinned = match pins.key {
        Some(pinned) if !placed.history.leads(&pinned, &placed.signer) => {
            return Err(EvidenceError::OtherKey { found: placed.signer, pinned });
        }
        pinned => pinned.is_some(),
    };
    let mut is_witnessed = pins.checkpoints.contains(&receipt.checkpoint);
    for witness in &pins.witnesses {
        is_witnessed |= placed.checkpoint.is_cosigned(witness)?;
    }
    let level = of_receipt(receipt.about, &placed.part, &Vouched { is_pinned, is_witnessed }, &pins.persons);
    Ok(Checked {
        about: receipt.about,
        origin: receipt.origin,
        stream: placed.stream,
        subject: placed.subject,
        size: placed.checkpoint.size,
        root: placed.checkpoint.root,
        events: placed.part.len() as u64,
        signer: placed.signer,
        is_pinned,
        judged: placed.judged,
        statement: payload,
        level,
    })
}

/// Checks all of a receipt but its envelope, in the order of RECEIPT-10: who makes one has none yet.
pub(super) fn place(receipt: &Receipt) -> Result<Placed<'_>, EvidenceError> {
    let checkpoint = Checkpoint::parse(&receipt.checkpoint)?;
    let hasher = EventHasher::default();
    let mut events = Vec::new();
    for (position, bytes) in &receipt.events {
        let envelope = Envelope::decode(bytes)
            .map_err(|error| broken("RECEIPT-3", format!("the event at position {position}: {error}")))?;
        events.push(Covered { position: *position, id: hasher.id(bytes), envelope, bytes });
    }
    let leaves: Vec<_> = events.iter().map(|event| (event.position, leaf(&event.id))).collect();
    if root_of(&leaves, checkpoint.size, &receipt.nodes) != Some(checkpoint.root) {
        return Err(broken("RECEIPT-3", "the events do not lead to the checkpoint's root"));
    }
    let at_subject = events.iter().find(|event| event.position == receipt.subject);
    let at_subject = at_subject.ok_or_else(|| broken("RECEIPT-6", "the event that the receipt is about is missing"))?;
    let (stream, subject) = (at_subject.envelope.stream, at_subject.envelope.sequence);
    let (store, run) = split(events, stream)?;
    let history = check_store(&store, receipt.origin)?;
    let signer = checkpoint.signer(&history)?.key;
    let part = if stream == StreamId::STORE {
        match receipt.about {
            About::Event => store,
            About::Gate | About::Run => return Err(broken("RECEIPT-6", "the store's own stream is no run")),
        }
    } else {
        check_opening(&run, &receipt.origin)?;
        check_cover(receipt.about, &run, subject, receipt.origin)?;
        run
    };
    if receipt.about != About::Run && !receipt.rules.is_empty() {
        return Err(broken("RECEIPT-9", "rules are judged over runs alone"));
    }
    let judging: Vec<_> = match receipt.rules.is_empty() {
        true => Vec::new(),
        false => part.values().map(|covered| (covered.envelope.clone(), covered.bytes)).collect(),
    };
    let judged = judge(&receipt.rules, &judging)?;
    Ok(Placed { checkpoint, history, part, subject, stream, signer, judged })
}

impl Placed<'_> {
    /// Returns the statement that follows.
    pub(super) fn payload(&self, about: About) -> Result<String, EvidenceError> {
        let Placed { checkpoint, part, subject, judged, history, .. } = self;
        Grounds { about, origin: history.origin, checkpoint, part, subject: *subject, judged }.payload()
    }
}

/// Parts the events into the store's stream and the subject's; there is no third (RECEIPT-5).
fn split<'r>(events: Vec<Covered<'r>>, stream: StreamId) -> Result<(Part<'r>, Part<'r>), EvidenceError> {
    let (mut store, mut run) = (Part::new(), Part::new());
    for event in events {
        let (found, sequence) = (event.envelope.stream, event.envelope.sequence);
        let part = match found {
            StreamId::STORE => &mut store,
            found if found == stream => &mut run,
            _ => return Err(broken("RECEIPT-5", "an event is of another stream than the subject's")),
        };
        if part.insert(sequence, event).is_some() {
            return Err(broken("RECEIPT-4", "a sequence of a stream is there twice"));
        }
    }
    Ok((store, run))
}

/// Checks the store's own stream and returns its keys (RECEIPT-4).
fn check_store(store: &Part<'_>, origin: [u8; 16]) -> Result<History, EvidenceError> {
    let is_first = store.values().next().is_some_and(|first| {
        first.position == 0 && matches!(&first.envelope.body, Event::StoreCreated(body) if body.origin == origin)
    });
    if !is_first {
        return Err(broken("RECEIPT-4", "the store's first event is missing, or of another origin"));
    }
    if !store.keys().copied().eq(0..store.len() as u64) {
        return Err(broken("RECEIPT-4", "the store's stream has a gap"));
    }
    check_whole(store, origin, "RECEIPT-4")?;
    check_links(store)?;
    History::of(store.values().map(|covered| (covered.position, &covered.envelope)))
}
