//! C2SP signed notes: a text, and lines of signatures over it (CHECKPOINT-1, CHECKPOINT-2).
//!
//! Public keys are checked strictly: no small order, one spelling of a signature.

use super::error::{EvidenceError, broken};
use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use loom_core::id::{hex, unhex};
use sha2::{Digest as _, Sha256};

/// An Ed25519 public key.
pub type PublicKey = [u8; 32];

/// What signs: a function from bytes to an Ed25519 signature.
pub type Sign<'s> = dyn Fn(&[u8]) -> [u8; 64] + 's;

const NOTE_BYTES_MAX: usize = 16 * 1024;
const SIGNATURES_MAX: usize = 100;
/// What a signature line begins with: U+2014 and a space.
const DASH: &str = "\u{2014} ";

/// What a key signs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// A log: the text itself.
    Ed25519 = 1,
    /// A witness: the text with a time.
    Cosignature = 4,
}

/// The public half of a key that signs notes, under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    algorithm: Algorithm,
    key: PublicKey,
}

impl Verifier {
    /// Returns the verifier of a log's key.
    pub fn log(name: &str, key: PublicKey) -> Self {
        Verifier { name: name.to_string(), algorithm: Algorithm::Ed25519, key }
    }

    /// Reads a verifier key: `NAME+ID+BASE64`. `None` for what is none, or whose id does not fit.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let id_bytes = unhex(id).filter(|bytes| bytes.len() == 4 && hex(bytes) == id)?;
        let bytes = BASE64.decode(key.as_bytes()).ok()?;
        let (algorithm, key) = bytes.split_first()?;
        let algorithm = match algorithm {
            1 => Algorithm::Ed25519,
            4 => Algorithm::Cosignature,
            _ => return None,
        };
        let found = Verifier { name: name.to_string(), algorithm, key: key.try_into().ok()? };
        (is_name(name) && found.id()[..] == id_bytes).then_some(found)
    }

    /// Returns the public key.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether it is a witness' key.
    pub fn is_witness(&self) -> bool {
        self.algorithm == Algorithm::Cosignature
    }

    /// Returns the verifier key as text.
    pub fn text(&self) -> String {
        let key = [&[self.algorithm as u8][..], &self.key].concat();
        format!("{}+{}+{}", self.name, hex(&self.id()), BASE64.encode(&key))
    }

    /// Returns the key id: the first 4 bytes of a hash of name, algorithm and key.
    pub(super) fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', self.algorithm as u8])
            .chain_update(self.key)
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Returns the signature line of a log over this text.
    pub(super) fn line(&self, text: &str, sign: &Sign<'_>) -> String {
        let bytes = [&self.id()[..], &sign(text.as_bytes())].concat();
        format!("{DASH}{} {}\n", self.name, BASE64.encode(&bytes))
    }

    /// Whether these bytes, as they stand behind the key id, sign the text.
    fn verifies(&self, text: &str, bytes: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => {
                bytes.try_into().is_ok_and(|signature| is_signed(&self.key, text.as_bytes(), signature))
            }
            Algorithm::Cosignature => {
                let Some((seconds, signature)) = bytes.split_first_chunk::<8>() else { return false };
                let message = format!("cosignature/v1\ntime {}\n{text}", u64::from_be_bytes(*seconds));
                signature.try_into().is_ok_and(|signature| is_signed(&self.key, message.as_bytes(), signature))
            }
        }
    }
}

/// Whether a signature fits: RFC 8032 without the cofactor, neither key nor R of small order.
pub(super) fn is_signed(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
    key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// A note, read; no signature is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// The text with its last line feed.
    pub(super) text: String,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl Note {
    /// Reads a note.
    pub(super) fn parse(note: &str) -> Result<Note, EvidenceError> {
        let wrong = |what: &str| broken("CHECKPOINT-1", format!("the checkpoint is no signed note: {what}"));
        if note.len() > NOTE_BYTES_MAX {
            return Err(wrong("it has more than 16 KiB"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(wrong("it has a control character"));
        }
        let (text, signatures) = note.split_once("\n\n").ok_or_else(|| wrong("there is no empty line"))?;
        let signatures = signatures.strip_suffix('\n').ok_or_else(|| wrong("its last line has no end"))?;
        let lines: Option<Vec<Line>> = signatures.split('\n').map(line).collect();
        let lines = lines.ok_or_else(|| wrong("a signature line is of another form"))?;
        if lines.len() > SIGNATURES_MAX {
            return Err(wrong("it has more than 100 signature lines"));
        }
        Ok(Note { text: format!("{text}\n"), lines })
    }

    /// Whether the note has a line of this key that fits; one that does not fit, or two, are refused (CHECKPOINT-2).
    pub(super) fn has(&self, verifier: &Verifier) -> Result<bool, EvidenceError> {
        let id = verifier.id();
        let mut own = self.lines.iter().filter(|line| line.name == verifier.name && line.id == id);
        let (Some(line), None) = (own.next(), own.next()) else {
            return match self.lines.iter().any(|line| line.name == verifier.name && line.id == id) {
                true => Err(broken("CHECKPOINT-2", format!("`{}` signed twice", verifier.name))),
                false => Ok(false),
            };
        };
        match verifier.verifies(&self.text, &line.bytes) {
            true => Ok(true),
            false => Err(broken("CHECKPOINT-2", format!("the signature of `{}` does not fit", verifier.name))),
        }
    }
}

fn line(line: &str) -> Option<Line> {
    let (name, bytes) = line.strip_prefix(DASH)?.split_once(' ')?;
    let bytes = BASE64.decode(bytes.as_bytes()).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    (is_name(name) && !bytes.is_empty()).then(|| Line { name: name.to_string(), id: *id, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, private key and note of `note_test.go` in golang.org/x/mod/sumdb/note (BSD-3-Clause, The Go Authors).
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PRIVATE: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const LINE: &str = "\u{2014} PeterNeumann \
        x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn the_published_note_is_read_and_written_byte_for_byte() {
        let verifier = Verifier::parse(KEY).unwrap();
        assert_eq!(verifier.text(), KEY);
        let note = format!("{TEXT}\n{LINE}");
        assert!(Note::parse(&note).unwrap().has(&verifier).unwrap());
        let seed = BASE64.decode(PRIVATE.as_bytes()).unwrap();
        let key = ed25519_dalek::SigningKey::from_bytes(seed[1..].try_into().unwrap());
        let sign = |bytes: &[u8]| ed25519_dalek::Signer::sign(&key, bytes).to_bytes();
        assert_eq!(verifier.line(TEXT, &sign), LINE);
        let altered = note.replace("answer", "Answer");
        assert_eq!(Note::parse(&altered).unwrap().has(&verifier).unwrap_err().law(), Some("CHECKPOINT-2"));
        let twice = format!("{note}{LINE}");
        assert_eq!(Note::parse(&twice).unwrap().has(&verifier).unwrap_err().law(), Some("CHECKPOINT-2"));
        // Those that the same file says are no keys: another length, another algorithm.
        assert!(
            Verifier::parse("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==").is_none()
        );
        assert!(Verifier::parse("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").is_none());
        for end in 0..KEY.len() {
            assert!(Verifier::parse(&KEY[..end]).is_none());
        }
    }

    #[test]
    fn a_witness_signs_the_text_with_a_time() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let witness = Verifier { name: "w.example".into(), algorithm: Algorithm::Cosignature, key: public };
        assert_eq!(Verifier::parse(&witness.text()).unwrap(), witness);
        let seconds = 1_700_000_000u64;
        let message = format!("cosignature/v1\ntime {seconds}\n{TEXT}");
        let signature = ed25519_dalek::Signer::sign(&key, message.as_bytes()).to_bytes();
        let bytes = [&witness.id()[..], &seconds.to_be_bytes(), &signature].concat();
        let note = format!("{TEXT}\n{LINE}{DASH}w.example {}\n", BASE64.encode(&bytes));
        let note = Note::parse(&note).unwrap();
        assert!(note.has(&witness).unwrap());
        assert!(note.has(&Verifier::parse(KEY).unwrap()).unwrap());
        let log = Verifier::log("w.example", public);
        assert!(!note.has(&log).unwrap(), "the id tells the algorithms apart");
    }
}
