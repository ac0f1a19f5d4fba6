//! What can go wrong in the host, one variant per thing that a caller treats differently.

use loom_core::cbor::CborError;
use loom_core::event::EventError;
use loom_core::id::{Digest, StreamId};
use loom_core::run::TermsError;
use loom_core::step::Declined;
use loom_store::{AppendError, StoreError};
use std::path::PathBuf;

/// Why the host could not do something.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store could not be written; nothing of it is on record.
    #[error("it could not be recorded")]
    Append(#[source] AppendError),
    /// An event cannot be read.
    #[error(transparent)]
    Event(#[from] EventError),
    /// A blob is not of its form.
    #[error("a blob is not of its form")]
    Blob(#[from] CborError),
    /// The bundle or its rules cannot be used.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Core takes the input for malformed.
    #[error(transparent)]
    Declined(#[from] Declined),
    /// The request id is on record with other content.
    #[error("this request id is on record with other content, as event {sequence} of the run; use a new id")]
    RequestReused {
        /// Sequence of the recorded request.
        sequence: u64,
    },
    /// The signature of an answer does not fit (SIGNED-2).
    #[error("the signature does not fit the answer; sign what the gate shows, with `loom answer --sign`")]
    SignatureUnfit,
    /// There is no such run.
    #[error("there is no such run")]
    RunUnknown,
    /// An event that must be there is not.
    #[error("event {sequence} of run {stream} is missing")]
    EventMissing {
        /// The run.
        stream: StreamId,
        /// The sequence.
        sequence: u64,
    },
    /// A blob that is needed was erased or lost.
    #[error("blob {digest} is missing: it was erased or lost")]
    BlobMissing {
        /// Its digest.
        digest: Digest,
    },
    /// A text is too long.
    #[error("the {name} has {length} bytes, more than it may")]
    TooLong {
        /// Which text.
        name: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A text that is read by agents is empty or contains NUL.
    #[error("the {name} is empty or contains a NUL byte; {repair}")]
    TextUnusable {
        /// Which text.
        name: &'static str,
        /// What to do.
        repair: &'static str,
    },
    /// A tool failed.
    #[error(transparent)]
    Tool(#[from] loom_tools::Error),
    /// The store's folder is the repository's own, not one that Loom made.
    #[error(
        "{} is a link or under version control; a store that came with a repository is not opened: remove it \
         from the repository (`git rm -r --cached`, commit) and move it away", .folder.display()
    )]
    StoreForeign {
        /// The folder.
        folder: PathBuf,
    },
    /// The store that was found is not that of the repository around it.
    #[error(
        "the store in {} is not the one of the repository at {}; only a repository's own store is driven",
        .folder.display(), .root.display()
    )]
    StoreElsewhere {
        /// The store's folder.
        folder: PathBuf,
        /// Top folder of the repository.
        root: PathBuf,
    },
    /// The folder for Loom's state belongs to somebody else, who could change what lies there.
    #[error("{} belongs to another user; LOOM_STATE_DIR names another folder for Loom's state", .folder.display())]
    StateForeign {
        /// The folder.
        folder: PathBuf,
    },
    /// The policy that was asked for is not known.
    #[error(transparent)]
    Policy(#[from] loom_bundles::PolicyUnknown),
    /// What the base commit declares as checks cannot be used.
    #[error("the checks that the project declares cannot be used: {0}")]
    Checks(String),
    /// A check's command holds a secret; it would be on record, and could not be run without it.
    #[error("the command of check `{check}` holds a secret ({secret}); let it take that from a file instead")]
    SecretInCheck {
        /// The check.
        check: String,
        /// What the secret is called.
        secret: String,
    },
    /// The user's secrets cannot be read.
    #[error(transparent)]
    Secrets(#[from] crate::secrets::SecretsError),
    /// Bytes that should name a git object do not.
    #[error("a git object name of 20 or 32 bytes was expected")]
    ObjectName,
    /// A file could not be handled.
    #[error("cannot {doing} {path}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}
