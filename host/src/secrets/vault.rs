//! The file of secrets: names and dates in the clear, values sealed one by one (SECRETS-2).
//!
//! A value is sealed by XChaCha20-Poly1305 under a random key with a random nonce, bound to its name. Both files are for
//! the user alone; a key that others may read is refused.

use super::secret::{Secret, is_name};
use crate::atomic::replace;
use crate::environment::Environment;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The form of the file.
const FORM: &str = "secrets/1";
/// What a sealed value is bound to beside its name.
const BOUND_TO: &str = "loom secret v1 ";
/// Shortest value, in bytes: a shorter one would be found everywhere, and masked there.
pub const VALUE_BYTES_MIN: usize = 8;
/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Why a secret cannot be had or kept. No value is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The name is none.
    #[error("`{}` is no name; it may have letters, digits, `-` and `_`, up to 60 of them", .0.escape_debug())]
    Name(String),
    /// The value is too short, too long, or has a NUL.
    #[error("the value has {bytes} bytes; it may have {VALUE_BYTES_MIN} to {VALUE_BYTES_MAX}, and no NUL among them")]
    Value {
        /// Its length in bytes.
        bytes: usize,
    },
    /// There is no secret of that name.
    #[error("there is no secret `{0}`; `loom secrets list` names them")]
    Unknown(String),
    /// The file is not of its form.
    #[error("{} is not of the form `{FORM}`; a newer loom may have written it", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The key is not there, and secrets are.
    #[error(
        "the key {} is gone, so the secrets in {} cannot be read; put the key back, or remove the second file and \
         set the secrets again", .key.display(), .file.display()
    )]
    KeyGone {
        /// The key.
        key: PathBuf,
        /// The file of secrets.
        file: PathBuf,
    },
    /// The key is of another length, may be read by others, or belongs to somebody else.
    #[error("the key {} is not a file of 32 bytes for you alone; if nobody else had it, `chmod 600` it", .path.display())]
    KeyOpen {
        /// The key.
        path: PathBuf,
    },
    /// A value cannot be unsealed.
    #[error("the secret `{name}` was sealed with another key, or changed; set it again")]
    Sealed {
        /// Its name.
        name: String,
    },
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
}

/// A secret as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// When it was set, milliseconds since the epoch.
    pub set_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    loom: String,
    secrets: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    set_ms: u64,
    nonce: String,
    sealed: String,
}

/// The user's secrets.
#[derive(Debug, Clone)]
pub struct Vault {
    file: PathBuf,
    key: PathBuf,
}

/// What tells one state of the file of secrets from another, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Vault {
    /// Returns the mark of the file as it is now; `None` where there is none, or it cannot be looked at.
    pub fn mark(&self) -> Option<Mark> {
        let found = std::fs::metadata(&self.file).ok()?;
        Some(Mark {
            inode: (found.dev(), found.ino()),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }

    /// Returns where the user's secrets lie; nothing is made or read.
    pub fn of(environment: &Environment) -> Self {
        Vault {
            file: environment.config_folder.join("secrets.json"),
            key: environment.data_folder.join("keys/secrets.key"),
        }
    }

    /// Returns the names, in their order. Needs no key.
    pub fn list(&self) -> Result<Vec<Listed>, SecretsError> {
        let entries = self.read()?;
        Ok(entries.into_iter().map(|entry| Listed { name: entry.name, set_ms: entry.set_ms }).collect())
    }

    /// Returns one secret.
    pub fn get(&self, name: &str) -> Result<Secret, SecretsError> {
        let entry = self.read()?.into_iter().find(|entry| entry.name == name);
        let entry = entry.ok_or_else(|| SecretsError::Unknown(name.to_string()))?;
        unseal(&self.cipher()?, &entry)
    }

    /// Returns all secrets with their names.
    pub fn all(&self) -> Result<Vec<(String, Secret)>, SecretsError> {
        let entries = self.read()?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let cipher = self.cipher()?;
        entries.into_iter().map(|entry| Ok((entry.name.clone(), unseal(&cipher, &entry)?))).collect()
    }

    /// Sets a secret; one of that name is replaced. Returns whether there was one.
    pub fn set(&self, name: &str, value: &Secret, now_ms: u64) -> Result<bool, SecretsError> {
        if !is_name(name) {
            return Err(SecretsError::Name(name.to_string()));
        }
        let bytes = value.expose().len();
        if !(VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&bytes) || value.expose().contains('\0') {
            return Err(SecretsError::Value { bytes });
        }
        let _alone = self.lock()?;
        let mut entries = self.read()?;
        if entries.is_empty() && !self.key.exists() {
            self.make_key()?;
        }
        let cipher = self.cipher()?;
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|_| SecretsError::Random)?;
        let bound = bound_to(name);
        let payload = Payload { msg: value.expose().as_bytes(), aad: bound.as_bytes() };
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SecretsError::Random)?;
        let before = entries.len();
        entries.retain(|entry| entry.name != name);
        let was_there = entries.len() < before;
        let (nonce, sealed) = (HEXLOWER.encode(&nonce), HEXLOWER.encode(&sealed));
        entries.push(Entry { name: name.to_string(), set_ms: now_ms, nonce, sealed });
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.write(entries)?;
        Ok(was_there)
    }

    /// Removes a secret.
    pub fn remove(&self, name: &str) -> Result<(), SecretsError> {
        let _alone = self.lock()?;
        let mut entries = self.read()?;
        let before = entries.len();
        entries.retain(|entry| entry.name != name);
        if entries.len() == before { Err(SecretsError::Unknown(name.to_string())) } else { self.write(entries) }
    }

    fn read(&self) -> Result<Vec<Entry>, SecretsError> {
        let bytes = match std::fs::read(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| failed("read", &self.file, source))?,
        };
        let document = serde_json::from_slice::<Document>(&bytes).ok().filter(|document| document.loom == FORM);
        document.map(|document| document.secrets).ok_or_else(|| SecretsError::Form { path: self.file.clone() })
    }

    fn write(&self, secrets: Vec<Entry>) -> Result<(), SecretsError> {
        let document = Document { loom: FORM.to_string(), secrets };
        let bytes = serde_json::to_vec_pretty(&document).map_err(|error| failed("write", &self.file, error.into()))?;
        replace(&self.file, &bytes).map_err(|source| failed("write", &self.file, source))
    }

    /// Lets one process at a time change the file; gives way when it is dropped.
    fn lock(&self) -> Result<File, SecretsError> {
        let path = self.file.with_extension("lock");
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(Path::new(".")))?;
            let lock = File::options().create(true).truncate(false).write(true).open(&path)?;
            lock.lock()?;
            Ok(lock)
        };
        make().map_err(|source| failed("lock", &path, source))
    }

    fn make_key(&self) -> Result<(), SecretsError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut()).map_err(|_| SecretsError::Random)?;
        replace(&self.key, key.as_ref()).map_err(|source| failed("write", &self.key, source))
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, SecretsError> {
        let mut file = match File::open(&self.key) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SecretsError::KeyGone { key: self.key.clone(), file: self.file.clone() });
            }
            opened => opened.map_err(|source| failed("read", &self.key, source))?,
        };
        let found = file.metadata().map_err(|source| failed("read", &self.key, source))?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw() && found.mode() & 0o077 == 0;
        let mut key = Zeroizing::new([0; 32]);
        if !is_ours || found.len() != 32 {
            return Err(SecretsError::KeyOpen { path: self.key.clone() });
        }
        file.read_exact(key.as_mut()).map_err(|source| failed("read", &self.key, source))?;
        Ok(XChaCha20Poly1305::new(Key::from_slice(key.as_ref())))
    }
}

fn bound_to(name: &str) -> String {
    format!("{BOUND_TO}{name}")
}

fn unseal(cipher: &XChaCha20Poly1305, entry: &Entry) -> Result<Secret, SecretsError> {
    let wrong = || SecretsError::Sealed { name: entry.name.clone() };
    let nonce = HEXLOWER.decode(entry.nonce.as_bytes()).ok().filter(|nonce| nonce.len() == 24).ok_or_else(wrong)?;
    let sealed = HEXLOWER.decode(entry.sealed.as_bytes()).map_err(|_| wrong())?;
    let bound = bound_to(&entry.name);
    let payload = Payload { msg: &sealed, aad: bound.as_bytes() };
    let value = Zeroizing::new(cipher.decrypt(XNonce::from_slice(&nonce), payload).map_err(|_| wrong())?);
    std::str::from_utf8(&value).map(|value| Secret::new(value.to_string())).map_err(|_| wrong())
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> SecretsError {
    SecretsError::File { doing, path: path.to_path_buf(), source }
}
