//! Keys that sign: each store's own, and a person's for answers (KEYS-1 to KEYS-3, SIGNED-1, SIGNED-2).
//!
//! A key file is the 32 bytes of an Ed25519 seed, for its user alone, in the user's data folder: outside of projects and
//! of Loom's state, where no fence lets a program of a run read (SIGNED-3). What is public is on record in the store.

use crate::atomic::replace;
use crate::environment::Environment;
use crate::error::HostError;
use crate::request::{Ask, Request};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use loom_core::event::{Envelope, EventError};
use loom_core::id::{Actor, Assurance, Digest, Stamp, StreamId, hex};
use loom_core::keys::{add, answer, handover};
use loom_core::kind::{Event, KeyAdded};
use loom_core::word::Answer;
use loom_store::{Append, AppendError, Store, StoreError, origin};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// An Ed25519 public key.
pub type PublicKey = [u8; 32];
/// An Ed25519 signature.
pub type SignatureBytes = [u8; 64];

/// Why a key cannot be had. No private half is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file may be read by others, belongs to somebody else, or has another length (KEYS-3).
    #[error(
        "the key {} is not a file of 32 bytes for you alone; if nobody else had it, `chmod 600` it, else put it away \
         and replace it by `loom keys rotate` or `loom keys person`", .path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The file holds another key than the one on record (KEYS-3).
    #[error(
        "the key {} is not the one on record, {}; put the right one back, or have another one from here on by \
         `loom keys rotate`", .path.display(), hex(.recorded)
    )]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The public key on record.
        recorded: PublicKey,
    },
    /// The file is not there, and a key is on record.
    #[error(
        "the private half of the key on record, {}, is not at {}; put it back, or have another one from here on by \
         `loom keys rotate`", hex(.recorded), .path.display()
    )]
    Gone {
        /// Where it would be.
        path: PathBuf,
        /// The public key on record.
        recorded: PublicKey,
    },
    /// There is no such key of a person's.
    #[error("there is no key of yours at {}; `loom keys person` makes one", .path.display())]
    NoPerson {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a key at {}; move it away first", .path.display())]
    Exists {
        /// Where it is.
        path: PathBuf,
    },
    /// The key does not follow those on record (KEYS-1, KEYS-2).
    #[error("the key is not put on record: {0}")]
    Unfit(&'static str),
    /// The process that holds the store put no key on record.
    #[error("the process that holds the store put no key on record: {0}")]
    Unheard(String),
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness")]
    Random,
    /// A file could not be handled.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The keys on record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event of the store's own stream cannot be read.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The store's beginning cannot be read.
    #[error("the store does not say what it is called")]
    Nameless,
}

/// A key that signs. Its private half is overwritten in memory when it is dropped.
#[derive(Debug, Clone)]
pub struct Key(SigningKey);

impl Key {
    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        self.0.verifying_key().to_bytes()
    }

    /// Signs (RFC 8032, pure Ed25519).
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        self.0.sign(message).to_bytes()
    }

    fn made() -> Result<(Key, Zeroizing<[u8; 32]>), KeysError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|_| KeysError::Random)?;
        Ok((Key(SigningKey::from_bytes(&seed)), seed))
    }

    /// Reads a key file; `None` where there is none.
    fn read(path: &Path) -> Result<Option<Key>, KeysError> {
        let failed = |source| KeysError::File { doing: "read", path: path.to_path_buf(), source };
        let mut file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let found = file.metadata().map_err(failed)?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
        if !is_ours || !found.is_file() || found.len() != 32 {
            return Err(KeysError::Open { path: path.to_path_buf() });
        }
        let mut seed = Zeroizing::new([0; 32]);
        file.read_exact(seed.as_mut()).map_err(failed)?;
        Ok(Some(Key(SigningKey::from_bytes(&seed))))
    }
}

/// A key as it is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnRecord {
    /// The public key.
    pub key: PublicKey,
    /// Position of its `key.added`.
    pub position: u64,
    /// When it was added, milliseconds since the epoch.
    pub added_ms: u64,
    /// For a successor: whether the key before it signed that.
    pub handed_over: Option<bool>,
}

/// Where the user's keys lie; nothing is made or read until it is asked for.
#[derive(Debug, Clone)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// Returns the user's keys.
    pub fn of(environment: &Environment) -> Self {
        Keys { folder: environment.data_folder.join("keys") }
    }

    /// Returns where the private half of a store's key lies.
    pub fn store_path(&self, origin: &[u8; 16]) -> PathBuf {
        self.folder.join(format!("store-{}.key", hex(origin)))
    }

    /// Returns where the person's key lies.
    pub fn person_path(&self) -> PathBuf {
        self.folder.join("person.key")
    }

    /// Returns the key that the store signs with, which is made at its first use, and put on record by `record` (KEYS-1).
    pub fn of_store(&self, store: &dyn Store, record: &Record<'_>) -> Result<Key, KeysError> {
        let origin = origin(store).map_err(|_| KeysError::Nameless)?;
        let path = self.store_path(&origin);
        let found = Key::read(&path)?;
        match (on_record(store)?.last(), found) {
            (Some(recorded), Some(key)) if key.public() == recorded.key => Ok(key),
            (Some(recorded), Some(_)) => Err(KeysError::Wrong { path, recorded: recorded.key }),
            (Some(recorded), None) => Err(KeysError::Gone { path, recorded: recorded.key }),
            (None, found) => {
                let key = match found {
                    // It was made, and the process ended before it was on record.
                    Some(key) => key,
                    None => kept(&path)?,
                };
                record(KeyAdded { key: key.public(), before: None, signature: None })?;
                Ok(key)
            }
        }
    }

    /// Gives the store another key, handed over by the one before where its private half is there (KEYS-2).
    ///
    /// The new key is on record before the old one's file is replaced: a crash between them leaves the new key beside
    /// it, as `.next`, and the next rotation begins there.
    pub fn rotate(&self, store: &dyn Store, record: &Record<'_>) -> Result<OnRecord, KeysError> {
        let origin = origin(store).map_err(|_| KeysError::Nameless)?;
        let path = self.store_path(&origin);
        let recorded = match on_record(store)?.last() {
            Some(recorded) => *recorded,
            None => {
                self.of_store(store, record)?;
                return on_record(store)?.last().copied().ok_or(KeysError::Nameless);
            }
        };
        // What others could read, or what is another key, signs nothing: then the new key stands by itself.
        let old = match Key::read(&path) {
            Ok(found) => found.filter(|key| key.public() == recorded.key),
            Err(KeysError::Open { .. }) => None,
            Err(error) => return Err(error),
        };
        let next = path.with_extension("next");
        let key = kept(&next)?;
        let public = key.public();
        let signature = old.map(|old| old.sign(&handover(&origin, &recorded.key, &public)));
        record(KeyAdded { key: public, before: Some(recorded.key), signature })?;
        std::fs::rename(&next, &path).map_err(|source| KeysError::File { doing: "replace", path, source })?;
        on_record(store)?.last().copied().ok_or(KeysError::Nameless)
    }

    /// Makes the person's key; one that is there is never replaced.
    pub fn make_person(&self) -> Result<Key, KeysError> {
        let path = self.person_path();
        match std::fs::symlink_metadata(&path) {
            Ok(_) => Err(KeysError::Exists { path }),
            Err(_) => kept(&path),
        }
    }

    /// Returns the person's key, or the one in a file that they name.
    pub fn person(&self, named: Option<&Path>) -> Result<Key, KeysError> {
        let path = named.map_or_else(|| self.person_path(), Path::to_path_buf);
        Key::read(&path)?.ok_or(KeysError::NoPerson { path })
    }
}

/// Makes a key and keeps it in a file for the user alone; durable when it returns.
fn kept(path: &Path) -> Result<Key, KeysError> {
    let (key, seed) = Key::made()?;
    let failed = |source| KeysError::File { doing: "write", path: path.to_path_buf(), source };
    // What is replaced keeps its mode: a leftover that others could read would.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    replace(path, seed.as_ref()).map_err(failed)?;
    Ok(key)
}

/// Returns the keys that a store has on record, the first one first.
pub fn on_record(store: &dyn Store) -> Result<Vec<OnRecord>, KeysError> {
    let mut found = Vec::new();
    let mut sequence = 0;
    loop {
        let events = store.read(StreamId::STORE, sequence, 256)?;
        if events.is_empty() {
            return Ok(found);
        }
        for stored in events {
            sequence += 1;
            let envelope = Envelope::decode(&stored.event.bytes)?;
            if let Event::KeyAdded(added) = envelope.body {
                let handed_over = added.before.map(|_| added.signature.is_some());
                let (position, added_ms) = (stored.position, envelope.stamp.ms);
                found.push(OnRecord { key: added.key, position, added_ms, handed_over });
            }
        }
    }
}

/// Puts a key of a store on record: into a store that is held here, or through the process that holds it.
pub type Record<'r> = dyn Fn(KeyAdded) -> Result<(), KeysError> + 'r;

/// How often an append begins anew because somebody else's came first.
const TRIES: usize = 8;

/// Appends a key to the store's own stream, if it follows those on record: whoever asks, what comes behind a key that does
/// not would be no history any more. One that is the last on record already is not added again.
///
/// # Errors
/// [`KeysError::Unfit`]; what the store says.
pub fn put(store: &dyn Store, added: KeyAdded, now_ms: u64) -> Result<(), KeysError> {
    let origin = origin(store).map_err(|_| KeysError::Nameless)?;
    for _ in 0..TRIES {
        let recorded = on_record(store)?;
        if recorded.last().is_some_and(|last| last.key == added.key) {
            return Ok(());
        }
        if recorded.iter().any(|known| known.key == added.key) {
            return Err(KeysError::Unfit("it was on record before"));
        }
        if recorded.last().map(|last| last.key) != added.before {
            return Err(KeysError::Unfit("it does not name the one on record last as the one before it"));
        }
        let fits = match (added.before, added.signature) {
            (None, signature) => signature.is_none(),
            (Some(_), None) => true,
            (Some(old), Some(signature)) => VerifyingKey::from_bytes(&old).is_ok_and(|key| {
                let message = handover(&origin, &old, &added.key);
                key.verify_strict(&message, &Signature::from_bytes(&signature)).is_ok()
            }),
        };
        if !fits {
            return Err(KeysError::Unfit("the signature of its hand-over does not fit"));
        }
        let head = store.head(StreamId::STORE)?;
        let last = store.read(StreamId::STORE, head.next.saturating_sub(1), 1)?.pop().ok_or(KeysError::Nameless)?;
        let stamp = Stamp::after(Envelope::decode(&last.event.bytes)?.stamp, now_ms);
        match store.append(vec![Append::from(&add(added.clone(), head, stamp))]).pop() {
            Some(Ok(_)) => return Ok(()),
            Some(Err(AppendError::Store(error))) => return Err(error.into()),
            Some(Err(AppendError::HeadMoved { .. })) | None => {}
        }
    }
    Err(KeysError::Unfit("others write to the store's stream all the time"))
}

/// Checks the signature of an answer and says so of its actor; what does not fit is refused (SIGNED-2).
pub(crate) fn attest(request: &mut Request) -> Result<(), HostError> {
    let Ask::Answer { gate, answer: word, artifact, signed: Some(signed), .. } = &request.ask else { return Ok(()) };
    let fits = artifact.is_some_and(|artifact| is_signed(&request.stream, *gate, *word, &artifact, signed));
    match &mut request.actor {
        Actor::Person { assurance, .. } if fits => *assurance = Assurance::Signed,
        _ => return Err(HostError::SignatureUnfit),
    }
    Ok(())
}

/// A signature over an answer, and the public key that it is to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The signature.
    pub signature: SignatureBytes,
    /// The public key.
    pub signer: PublicKey,
}

/// Signs an answer to exactly what is approved (SIGNED-1).
pub fn sign_answer(key: &Key, stream: &StreamId, gate: u64, word: Answer, artifact: &Digest) -> Signed {
    Signed { signature: key.sign(&answer(stream, gate, word, artifact)), signer: key.public() }
}

fn is_signed(stream: &StreamId, gate: u64, word: Answer, artifact: &Digest, signed: &Signed) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&signed.signer) else { return false };
    let message = answer(stream, gate, word, artifact);
    key.verify_strict(&message, &Signature::from_bytes(&signed.signature)).is_ok()
}
