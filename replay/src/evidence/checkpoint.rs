//! Checkpoints: the signed size and root of a store's tree, as C2SP `tlog-checkpoint` (CHECKPOINT-1 to CHECKPOINT-3).

use super::error::{EvidenceError, broken};
use super::history::{History, KeyOnRecord};
use super::note::{Note, Sign, Verifier};
use data_encoding::BASE64;
use loom_core::id::{hex, unhex};
use loom_core::tree::NodeHash;

/// What the first line of every checkpoint of a store begins with.
const LINE: &str = "loom/";

/// A checkpoint, read; no signature is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The whole note.
    pub text: String,
    /// Its first line: which log it is of.
    pub log: String,
    /// Number of events.
    pub size: u64,
    /// The root over them.
    pub root: NodeHash,
    note: Note,
}

impl Checkpoint {
    /// Reads a checkpoint of whatever log (CHECKPOINT-1).
    ///
    /// # Errors
    /// [`EvidenceError::Broken`].
    pub fn parse(text: &str) -> Result<Self, EvidenceError> {
        let wrong = |what: &str| broken("CHECKPOINT-1", format!("the checkpoint is not of its form: {what}"));
        let note = Note::parse(text)?;
        let mut lines = note.text.lines();
        let log = lines.next().filter(|line| !line.is_empty()).ok_or_else(|| wrong("it names no log"))?.to_string();
        let digits = lines.next().unwrap_or_default();
        let size = digits.parse().ok().filter(|size: &u64| size.to_string() == digits);
        let size = size.ok_or_else(|| wrong("its size is no number"))?;
        let root = BASE64.decode(lines.next().unwrap_or_default().as_bytes()).ok();
        let root = root.and_then(|root| root.try_into().ok()).ok_or_else(|| wrong("its root is not of 32 bytes"))?;
        if lines.any(str::is_empty) {
            return Err(wrong("it has an empty line"));
        }
        Ok(Checkpoint { text: text.to_string(), log, size, root, note })
    }

    /// Returns the store that it is of; `None` for a log that is no store.
    pub fn origin(&self) -> Option<[u8; 16]> {
        let digits = self.log.strip_prefix(LINE)?;
        let origin: [u8; 16] = unhex(digits)?.try_into().ok()?;
        (hex(&origin) == digits).then_some(origin)
    }

    /// Returns the key that signed it, which must have been on record for it.
    ///
    /// # Errors
    /// [`EvidenceError::Broken`] with CHECKPOINT-1 where it is of another store, CHECKPOINT-2 or CHECKPOINT-3.
    pub fn signer<'h>(&self, history: &'h History) -> Result<&'h KeyOnRecord, EvidenceError> {
        let name = log_of(&history.origin);
        if self.log != name {
            return Err(broken("CHECKPOINT-1", format!("the checkpoint is of `{}`, not of `{name}`", self.log)));
        }
        let mut signer = None;
        for key in &history.keys {
            if self.note.has(&Verifier::log(&name, key.key))? && signer.replace(key).is_some() {
                return Err(broken("CHECKPOINT-2", "two keys of the store signed the checkpoint"));
            }
        }
        let signer = signer.ok_or_else(|| broken("CHECKPOINT-2", "no key that is on record signed the checkpoint"))?;
        if signer.position >= self.size {
            return Err(broken("CHECKPOINT-3", "the checkpoint is signed with a key that was put on record after it"));
        }
        if signer.retired.is_some_and(|position| position < self.size) {
            return Err(broken("CHECKPOINT-3", "the checkpoint is signed with a key that was retired before it"));
        }
        Ok(signer)
    }

    /// Whether a witness cosigned it.
    ///
    /// # Errors
    /// [`EvidenceError::Broken`] where a line of theirs does not fit (CHECKPOINT-2).
    pub fn is_cosigned(&self, witness: &Verifier) -> Result<bool, EvidenceError> {
        self.note.has(witness)
    }
}

/// Returns what a store's log and its key are called.
pub(super) fn log_of(origin: &[u8; 16]) -> String {
    format!("{LINE}{}", hex(origin))
}

/// Returns a checkpoint of the first `size` events, signed by the key.
pub fn sign_checkpoint(origin: &[u8; 16], size: u64, root: &NodeHash, key: [u8; 32], sign: &Sign<'_>) -> String {
    let log = log_of(origin);
    let text = format!("{log}\n{size}\n{}\n", BASE64.encode(root));
    let line = Verifier::log(&log, key).line(&text, sign);
    format!("{text}\n{line}")
}
