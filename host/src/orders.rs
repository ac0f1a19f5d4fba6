//! Makes orders: reads from the log and its blobs what an executor must know of an effect.
//!
//! Never: changes anything, or asks anything but the store.

use crate::error::HostError;
use crate::order::{Order, SpawnWork, Work};
use crate::request::Ground;
use loom_bundles::{Finding, PromptParts, Repair};
use loom_core::answer::{Claim, Recipe, decode_checks};
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Digest, StreamId, hex};
use loom_core::kind::{Event, RunOpened};
use loom_core::run::Run;
use loom_core::state::Asked;
use loom_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What orders are made from.
pub(crate) struct Orders {
    store: Arc<dyn Store>,
    /// Templates and schemas of the bundles in use.
    texts: BTreeMap<Digest, String>,
}

impl Orders {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Orders { store, texts: BTreeMap::new() }
    }

    /// Makes the order for an effect of a run.
    pub(crate) fn order(&mut self, run: &Run, id: u64, what: Asked, time_ms: u64) -> Result<Order, HostError> {
        let stream = run.state.stream;
        let work = match what {
            Asked::Spawn { agent, attempt, round, recipe, tree, edits } => {
                let recipe = Recipe::decode(&self.content(recipe)?)?;
                let known = run.terms.bundle().agents.get(&agent).ok_or(HostError::RunUnknown)?;
                let schema = self.of_bundle(known.schema)?;
                let parts = self.parts(stream, &recipe, schema)?;
                Work::Spawn(Box::new(SpawnWork {
                    kind: known.kind.word().to_string(),
                    tier: known.tier.clone(),
                    agent,
                    round,
                    attempt,
                    edits,
                    tree,
                    base_tree: recipe.base_tree.clone(),
                    template: self.of_bundle(recipe.template)?,
                    parts,
                }))
            }
            Asked::Check { check, tree } => {
                let argv = self.checks(stream)?.into_iter().find(|found| found.check == check).map(|found| found.argv);
                Work::Check { check, argv, tree }
            }
            Asked::Merge { tree, branch, .. } => {
                let intent = self.event(stream, id)?;
                let recorded = self.store.read(stream, id, 1)?;
                let head = recorded.first().map(|stored| stored.event.id).unwrap_or_default();
                let message = format!(
                    "{}\n\nLoom-Run: {}\nLoom-Head: {}\n",
                    run.state.opened.slug.replace('-', " "),
                    hex(&stream.0),
                    hex(&head.0)
                );
                Work::Merge { tree, branch, message, date_ms: intent.stamp.ms }
            }
        };
        Ok(Order { stream, id, time_ms, base_commit: run.state.opened.base_commit.clone(), work })
    }

    /// Returns what a run on record starts from; `None` where there is no such run.
    pub(crate) fn ground(&self, stream: StreamId) -> Result<Option<Ground>, HostError> {
        let Some(first) = self.store.read(stream, 0, 1)?.into_iter().next() else { return Ok(None) };
        let Event::RunOpened(opened) = Envelope::decode(&first.event.bytes)?.body else {
            return Err(HostError::RunUnknown);
        };
        Ok(Some(Ground {
            checks: self.checks(stream)?,
            base_commit: opened.base_commit,
            base_tree: opened.base_tree,
            checks_waived: opened.checks_waived.iter().cloned().collect(),
        }))
    }

    fn checks(&self, stream: StreamId) -> Result<Vec<loom_core::answer::CheckCommand>, HostError> {
        let opened = self.event(stream, 0)?;
        let Event::RunOpened(RunOpened { checks: Some(digest), .. }) = opened.body else { return Ok(Vec::new()) };
        Ok(decode_checks(&self.content(digest)?)?)
    }

    /// Reads what a recipe names.
    fn parts(&self, stream: StreamId, recipe: &Recipe, schema: String) -> Result<PromptParts, HostError> {
        let notes = recipe.notes.iter().map(|note| self.text(*note)).collect::<Result<_, _>>()?;
        let advice = recipe
            .advice
            .iter()
            .map(|(agent, answer)| {
                let claim = Claim::decode(&self.content(*answer)?)?;
                Ok::<_, HostError>((agent.clone(), claim.summary))
            })
            .collect::<Result<_, _>>()?;
        let mut findings = Vec::new();
        let mut checks = Vec::new();
        for sequence in &recipe.findings {
            let envelope = self.event(stream, *sequence)?;
            let Event::FindingRaised(found) = envelope.body else { continue };
            if found.origin == loom_core::word::Origin::Check
                && let Event::CheckFinished(finished) = self.event(stream, envelope.input)?.body
                && let Some(output) = finished.output
            {
                checks.push((finished.check, finished.outcome.word().to_string(), self.text(output)?));
            }
            findings.push(Finding {
                severity: found.severity.word().to_string(),
                category: found.category,
                path: found.path.map(|path| String::from_utf8_lossy(&path).into_owned()),
                line: found.line,
                summary: found.summary,
                evidence: found.evidence,
                agent: found.agent,
            });
        }
        let repair = match recipe.repair {
            None => None,
            Some(output) => Some(Repair {
                output: loom_core::answer::clip(&self.text(output)?, 16 * 1024),
                problem: "it was not an answer of the schema, or nothing had changed".to_string(),
            }),
        };
        Ok(PromptParts { task: self.text(recipe.task)?, notes, advice, findings, diff: None, checks, repair, schema })
    }

    /// Reads one event of a stream.
    pub(crate) fn event(&self, stream: StreamId, sequence: u64) -> Result<Envelope, HostError> {
        let found = self.store.read(stream, sequence, 1)?;
        let stored = found.first().ok_or(HostError::EventMissing { stream, sequence })?;
        Ok(Envelope::decode(&stored.event.bytes)?)
    }

    fn content(&self, digest: Digest) -> Result<Vec<u8>, HostError> {
        let bytes = self.store.blob(&digest)?.ok_or(HostError::BlobMissing { digest })?;
        Ok(Blob::content(&bytes).ok_or(HostError::BlobMissing { digest })?.to_vec())
    }

    fn text(&self, digest: Digest) -> Result<String, HostError> {
        Ok(String::from_utf8_lossy(&self.content(digest)?).into_owned())
    }

    /// Returns a text of a bundle. Runs share bundles, and every order needs two of their texts: each is read once.
    fn of_bundle(&mut self, digest: Digest) -> Result<String, HostError> {
        if let Some(text) = self.texts.get(&digest) {
            return Ok(text.clone());
        }
        let text = self.text(digest)?;
        self.texts.insert(digest, text.clone());
        Ok(text)
    }
}
