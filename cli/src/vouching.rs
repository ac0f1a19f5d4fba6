//! What a reader vouches for, as `loom verify` is told it: keys, witnesses, people, a store's name.

use crate::error::CliError;
use crate::places::{Place, place_of};
use crate::regular;
use loom_core::id::unhex;
use loom_replay::evidence::{Pins, PublicKey, Verifier};
use std::io::Read;
use std::path::Path;

/// Most bytes of a file that are read for a key.
const KEY_BYTES_MAX: u64 = 4096;

/// What vouches for what is verified.
#[derive(Debug, clap::Args)]
pub(crate) struct Vouching {
    /// A place outside of the store that has checkpoints of it: a folder, a file, `git-note` or `git-note:REF`.
    #[arg(long, value_name = "PLACE", value_parser = place_of)]
    pub(crate) checkpoint: Option<Place>,
    /// The store's public key: hexadecimal digits, NAME+ID+BASE64, or a file with one of them.
    #[arg(long, value_name = "KEY|FILE")]
    pub(crate) key: Option<String>,
    /// The public key of a witness whose cosignature counts in a receipt: NAME+ID+BASE64, or a file with it.
    #[arg(long, value_name = "KEY|FILE")]
    pub(crate) witness: Vec<String>,
    /// The public key of a person whose signed answers count in a receipt, as `--key`.
    #[arg(long, value_name = "KEY|FILE")]
    pub(crate) person: Vec<String>,
    /// The store that it must be of: 32 hexadecimal digits.
    #[arg(long, value_name = "ORIGIN", value_parser = origin_of)]
    pub(crate) origin: Option<[u8; 16]>,
}

fn origin_of(text: &str) -> Result<[u8; 16], String> {
    let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "it is not 32 hexadecimal digits".to_string())
}

impl Vouching {
    /// Returns what is vouched for in a receipt of the store named `origin`.
    pub(crate) fn pins(&self, origin: &[u8; 16]) -> Result<Pins, CliError> {
        let checkpoints = match &self.checkpoint {
            Some(place) => place.read(origin, Path::new("."))?.checkpoints,
            None => Vec::new(),
        };
        let witness = |text: &String| {
            let found = read(text).and_then(|text| Verifier::parse(&text)).filter(Verifier::is_witness);
            found.ok_or_else(|| CliError::NotAPublicKey { text: text.clone() })
        };
        Ok(Pins {
            origin: self.origin,
            key: self.pinned()?,
            witnesses: self.witness.iter().map(witness).collect::<Result<_, _>>()?,
            checkpoints: checkpoints.into_iter().map(|checkpoint| checkpoint.text).collect(),
            persons: self.person.iter().map(|text| key(text)).collect::<Result<_, _>>()?,
        })
    }

    /// Whether anything is vouched for that a store is held against.
    pub(crate) fn is_asked(&self) -> bool {
        self.checkpoint.is_some() || self.key.is_some() || self.origin.is_some()
    }

    /// Returns the store's key that is vouched for.
    pub(crate) fn pinned(&self) -> Result<Option<PublicKey>, CliError> {
        self.key.as_deref().map(key).transpose()
    }
}

fn key(text: &str) -> Result<PublicKey, CliError> {
    let of = |text: String| match unhex(&text).and_then(|bytes| bytes.try_into().ok()) {
        Some(key) => Some(key),
        None => Verifier::parse(&text).filter(|verifier| !verifier.is_witness()).map(|verifier| verifier.key()),
    };
    read(text).and_then(of).ok_or_else(|| CliError::NotAPublicKey { text: text.to_string() })
}

/// Returns the text itself, or what the file has that it names.
fn read(text: &str) -> Option<String> {
    let is_key = text.contains('+') || text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_key && !Path::new(text).is_file() {
        true => Some(text.to_string()),
        false => {
            let mut key = String::new();
            regular::open(Path::new(text)).ok()?.take(KEY_BYTES_MAX).read_to_string(&mut key).ok()?;
            Some(key.trim().to_string())
        }
    }
}
