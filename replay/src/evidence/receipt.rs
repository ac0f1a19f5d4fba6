//! The file of a receipt: magic and one item of canonical CBOR (RECEIPT-1). Nothing is believed of what it holds here.

use super::error::{EvidenceError, broken};
use loom_core::cbor::{CborError, Decoder, Encoder};
use loom_core::tree::NodeHash;

/// The receipt format's version.
///
/// 1: first.
pub(super) const FORMAT: u64 = 1;
/// The first bytes of every receipt, of whatever version.
pub const MAGIC: &[u8] = b"loom-receipt\n";
/// Most bytes of a receipt.
pub const BYTES_MAX: usize = 64 << 20;
const ITEMS: u64 = 9;

/// What a receipt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// One event.
    Event,
    /// A gate and what was decided at it.
    Gate,
    /// A run, from its beginning to an event.
    Run,
}

impl About {
    /// Returns the word of it.
    pub fn word(self) -> &'static str {
        match self {
            About::Event => "event",
            About::Gate => "gate",
            About::Run => "run",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [About::Event, About::Gate, About::Run].into_iter().find(|about| about.word() == word)
    }
}

/// A receipt as its file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What it is about.
    pub about: About,
    /// The store's name.
    pub origin: [u8; 16],
    /// Position of the event that it is about.
    pub subject: u64,
    /// A checkpoint.
    pub checkpoint: String,
    /// Positions and canonical bytes of events.
    pub events: Vec<(u64, Vec<u8>)>,
    /// Hashes of the tree beside them.
    pub nodes: Vec<NodeHash>,
    /// Texts of rule sets.
    pub rules: Vec<String>,
    /// A DSSE envelope with the statement.
    pub envelope: String,
}

impl Receipt {
    /// Returns the file's bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        e.array(ITEMS as usize);
        e.uint(FORMAT);
        e.text(self.about.word());
        e.bytes(&self.origin);
        e.uint(self.subject);
        e.text(&self.checkpoint);
        e.array(self.events.len());
        for (position, event) in &self.events {
            e.array(2);
            e.uint(*position);
            e.bytes(event);
        }
        e.array(self.nodes.len());
        self.nodes.iter().for_each(|node| e.bytes(node));
        e.array(self.rules.len());
        self.rules.iter().for_each(|text| e.text(text));
        e.text(&self.envelope);
        [MAGIC, &e.finish()].concat()
    }

    /// Reads a file's bytes (RECEIPT-1).
    ///
    /// # Errors
    /// [`EvidenceError::NotAReceipt`], [`EvidenceError::Newer`], [`EvidenceError::Broken`].
    pub fn read(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let item = bytes.strip_prefix(MAGIC).ok_or(EvidenceError::NotAReceipt)?;
        if bytes.len() > BYTES_MAX {
            return Err(broken("RECEIPT-1", format!("the receipt has more than {BYTES_MAX} bytes")));
        }
        let wrong = |error: CborError| broken("RECEIPT-1", format!("the receipt is damaged: {error}"));
        let mut d = Decoder::new(item);
        let items = d.array().map_err(wrong)?;
        let found = d.uint().map_err(wrong)?;
        if found > FORMAT {
            return Err(EvidenceError::Newer { found, known: FORMAT });
        }
        if found == 0 || items != ITEMS {
            return Err(broken("RECEIPT-1", "the receipt is not of this format"));
        }
        let about = d.text().map_err(wrong)?;
        let about =
            About::of(about).ok_or_else(|| broken("RECEIPT-1", "the receipt is about nothing that is known"))?;
        let read = |d: &mut Decoder<'_>| -> Result<Receipt, CborError> {
            let (origin, subject, checkpoint) = (d.array_of()?, d.uint()?, d.text()?.to_string());
            let (mut events, mut nodes, mut rules) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..d.array()? {
                if d.array()? != 2 {
                    return Err(d.error(loom_core::cbor::Problem::Expected("pair of position and event")));
                }
                events.push((d.uint()?, d.bytes()?.to_vec()));
            }
            for _ in 0..d.array()? {
                nodes.push(d.array_of()?);
            }
            for _ in 0..d.array()? {
                rules.push(d.text()?.to_string());
            }
            let envelope = d.text()?.to_string();
            d.finish()?;
            Ok(Receipt { about, origin, subject, checkpoint, events, nodes, rules, envelope })
        };
        read(&mut d).map_err(wrong)
    }
}
