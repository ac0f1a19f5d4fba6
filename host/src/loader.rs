//! Runs as the log has them: each folded from its newest snapshot and what came after it.

use crate::error::HostError;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use loom_core::run::{Run, Terms};
use loom_core::snapshot;
use loom_store::{Store, Stored};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Folds runs; terms that several runs share are loaded once.
pub(crate) struct Loader {
    store: Arc<dyn Store>,
    terms: BTreeMap<Vec<Digest>, Arc<Terms>>,
}

impl Loader {
    /// Returns a loader that has loaded nothing yet.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Loader { store, terms: BTreeMap::new() }
    }

    /// Returns a blob that must be there.
    pub(crate) fn blob(&self, digest: Digest) -> Result<Vec<u8>, HostError> {
        self.store.blob(&digest)?.ok_or(HostError::BlobMissing { digest })
    }

    /// Returns the terms of a bundle and rule sets.
    pub(crate) fn terms(&mut self, bundle: &Blob, rules: &[Blob]) -> Result<Arc<Terms>, HostError> {
        let key: Vec<Digest> = std::iter::once(bundle.digest).chain(rules.iter().map(|blob| blob.digest)).collect();
        if let Some(terms) = self.terms.get(&key) {
            return Ok(terms.clone());
        }
        let terms = Arc::new(Terms::load(bundle, rules)?);
        self.terms.insert(key, terms.clone());
        Ok(terms)
    }

    /// Returns the run of the newest snapshot that the log agrees with.
    fn snapshotted(&mut self, stream: StreamId, bundle: &Blob) -> Result<Option<Run>, HostError> {
        let Some(found) = self.store.snapshot(stream)? else { return Ok(None) };
        if found.version != snapshot::VERSION || found.next == 0 {
            return Ok(None);
        }
        let last = self.store.read(stream, found.next - 1, 1)?;
        if last.first().is_none_or(|stored| stored.event.id != found.last) {
            return Ok(None);
        }
        let Some(state) = snapshot::state(&found.bytes) else { return Ok(None) };
        let mut rules = Vec::new();
        for digest in &state.rules {
            rules.push(Blob::stored(self.blob(*digest)?));
        }
        let terms = self.terms(bundle, &rules)?;
        Ok(snapshot::decode(terms, &found.bytes).filter(|run| run.state.head().last == found.last))
    }

    /// Folds a run from its newest snapshot and the log.
    pub(crate) fn load(&mut self, stream: StreamId) -> Result<Run, HostError> {
        let Some(first) = self.store.read(stream, 0, 1)?.into_iter().next() else {
            return Err(HostError::RunUnknown);
        };
        let Event::RunOpened(opened) = Envelope::decode(&first.event.bytes)?.body else {
            return Err(HostError::RunUnknown);
        };
        let stored = |digest: Digest| Ok::<_, HostError>(Blob::stored(self.blob(digest)?));
        let bundle = stored(opened.bundle)?;
        let mut rules = opened.rules.iter().map(|digest| stored(*digest)).collect::<Result<Vec<_>, _>>()?;
        let mut run = match self.snapshotted(stream, &bundle)? {
            Some(run) => run,
            None => Run::new(self.terms(&bundle, &rules)?),
        };
        let mut next = run.state.next;
        loop {
            let events = self.store.read(stream, next, 1024)?;
            if events.is_empty() {
                return Ok(run);
            }
            next += events.len() as u64;
            for Stored { event, .. } in &events {
                let extended = match Envelope::decode(&event.bytes)?.body {
                    Event::RulesAdded(added) => {
                        rules = run
                            .state
                            .rules
                            .iter()
                            .map(|digest| Ok::<_, HostError>(Blob::stored(self.blob(*digest)?)))
                            .collect::<Result<_, _>>()?;
                        rules.push(Blob::stored(self.blob(added.rules)?));
                        Some(self.terms(&bundle, &rules)?)
                    }
                    _ => None,
                };
                run.apply(event, extended)?;
            }
        }
    }
}
