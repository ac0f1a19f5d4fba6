//! Arms and retires rule sets in the store's own stream, and says which are armed.
//!
//! A set is armed by its text as it is then; what becomes of its file afterwards changes nothing (ARM-2).

use crate::error::HostError;
use crate::world::{Machine, World};
use loom_bundles::{Source, rule_flaws};
use loom_core::arming::{Armed, NotArmed};
use loom_core::commit::Blob;
use loom_core::id::{Actor, Digest, StreamId};
use loom_core::rules::RuleSet;
use loom_store::{Append, AppendError, Store, StoreError};

/// How often an append is tried again that others came before.
const TRIES: usize = 8;
/// How many events are read at a time.
const PAGE: usize = 256;

/// What a person asks of the armed sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arming {
    /// Arm the set of this text.
    Arm(String),
    /// Retire the set of this name.
    Retire(String),
}

/// Why what was asked of the armed sets is not on record.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// The set cannot be armed as it is.
    #[error(transparent)]
    Not(#[from] NotArmed),
    /// `loom rules check` says that the set cannot mean what it says.
    #[error("the rules have errors: {0}")]
    Flawed(String),
    /// Every run has a set of this name from its bundle.
    #[error("bundle `{bundle}` has a set `{name}`, and names are unique in a run; name this one otherwise")]
    Taken {
        /// The bundle.
        bundle: &'static str,
        /// The name.
        name: String,
    },
    /// The store failed.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl From<StoreError> for ArmError {
    fn from(error: StoreError) -> Self {
        ArmError::Host(error.into())
    }
}

/// Returns what is armed; with `before`, what was before that position of the log.
///
/// # Errors
/// The store's stream cannot be read.
pub fn armed(store: &dyn Store, before: Option<u64>) -> Result<Armed, HostError> {
    let mut armed = Armed::default();
    let mut next = 0;
    loop {
        let page = store.read(StreamId::STORE, next, PAGE)?;
        for stored in &page {
            if before.is_some_and(|before| stored.position >= before) {
                return Ok(armed);
            }
            armed.apply(&stored.event)?;
        }
        if page.len() < PAGE {
            return Ok(armed);
        }
        next += page.len() as u64;
    }
}

/// Returns the texts of the sets that a run which opens now is judged by beside its bundle's; for a run on record, those
/// that were armed when it was opened, so that the same request opens the same run.
///
/// # Errors
/// The store's stream or a text cannot be read.
pub fn armed_texts(store: &dyn Store, run: StreamId) -> Result<Vec<String>, HostError> {
    let opened = store.read(run, 0, 1)?.first().map(|stored| stored.position);
    armed(store, opened)?.sets().iter().map(|set| text(store, set.rules)).collect()
}

/// Returns the text of an armed set.
///
/// # Errors
/// [`HostError::BlobMissing`].
pub fn text(store: &dyn Store, rules: Digest) -> Result<String, HostError> {
    let bytes = store.blob(&rules)?.ok_or(HostError::BlobMissing { digest: rules })?;
    let content = Blob::content(&bytes).ok_or(HostError::BlobMissing { digest: rules })?;
    String::from_utf8(content.to_vec()).map_err(|_| HostError::BlobMissing { digest: rules })
}

/// Puts a request about armed sets on record, and returns its sequence in the store's stream, and whether it was on
/// record before.
///
/// # Errors
/// [`ArmError`].
pub fn put(store: &dyn Store, request: &[u8], actor: &Actor, asked: &Arming) -> Result<(u64, bool), ArmError> {
    if let Arming::Arm(text) = asked {
        check(text)?;
    }
    for _ in 0..TRIES {
        if let Some(answered) = store.request(StreamId::STORE, request)? {
            return Ok((answered.sequence, true));
        }
        let now = armed(store, None)?;
        let now_ms = Machine.now_ms();
        let checked = match asked {
            Arming::Arm(text) => now.arm(request, actor.clone(), now_ms, text)?,
            Arming::Retire(name) => now.retire(request, actor.clone(), now_ms, name)?,
        };
        match store.append(vec![Append::from(&checked)]).pop() {
            Some(Ok(_)) => return Ok((checked.expected().next, false)),
            Some(Err(AppendError::HeadMoved { .. })) => {}
            Some(Err(error)) => return Err(HostError::Append(error).into()),
            None => break,
        }
    }
    let missing = HostError::EventMissing { stream: StreamId::STORE, sequence: 0 };
    Err(ArmError::Host(missing))
}

/// Refuses what `loom rules check` has errors about, and names that bundles use.
fn check(text: &str) -> Result<(), ArmError> {
    let (set, flaws) = rule_flaws(text, &[]);
    let errors: Vec<String> = flaws.iter().filter(|flaw| flaw.is_error).map(ToString::to_string).collect();
    if !errors.is_empty() {
        return Err(ArmError::Flawed(errors.join("; ")));
    }
    let name = set.as_ref().map_or("", RuleSet::name);
    for bundle in Source::builtin_names() {
        let Ok(source) = Source::builtin(bundle) else { continue };
        let texts = source.files.keys().filter(|path| path.ends_with(".rules")).filter_map(|path| source.text(path));
        if texts.filter_map(|text| RuleSet::load(text).ok()).any(|known| known.name() == name) {
            return Err(ArmError::Taken { bundle, name: name.to_string() });
        }
    }
    Ok(())
}
