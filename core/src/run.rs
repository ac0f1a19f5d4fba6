//! A run in the hand: its state, the facts its rules fold, and the terms it runs under.

use crate::commit::Blob;
use crate::event::{EventError, Recorded, View};
use crate::fold::fold;
use crate::id::Digest;
use crate::process::{Bundle, Flaw, Flow};
use crate::rules::{Condition, Facts, RuleError, RuleSet, Rules};
use crate::state::State;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What runs are judged by and driven through: a bundle and rule sets, each by digest.
#[derive(Debug)]
pub struct Terms {
    bundle_digest: Digest,
    bundle: Bundle,
    rule_digests: Vec<Digest>,
    sets: Vec<Arc<RuleSet>>,
    rules: Rules,
    conditions: BTreeMap<String, Condition>,
}

/// Why terms cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// The bundle's bytes are not canonical.
    #[error("the bundle cannot be read: {0}")]
    Bundle(#[from] crate::cbor::CborError),
    /// The process has flaws.
    #[error("the bundle's process has {} flaw(s), first: {}", .0.len(), .0[0])]
    Process(Vec<Flaw>),
    /// A rule set's text is not UTF-8 or a blob has no content mark.
    #[error("blob {0} is not what its event says")]
    Blob(Digest),
    /// A rule set does not load.
    #[error("a rule set does not load: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rules(Vec<RuleError>),
}

impl Terms {
    /// Reads a bundle and its rule sets from their blobs; without any rule set it refuses (RULE-2).
    pub fn load(bundle: &Blob, rules: &[Blob]) -> Result<Self, TermsError> {
        let content = Blob::content(&bundle.bytes).ok_or(TermsError::Blob(bundle.digest))?;
        let process = Bundle::decode(content)?;
        let flaws = process.flaws();
        if !flaws.is_empty() {
            return Err(TermsError::Process(flaws));
        }
        let sets = rules.iter().map(read_set).collect::<Result<Vec<_>, _>>()?;
        Self::of(bundle.digest, process, rules.iter().map(|blob| blob.digest).collect(), sets)
    }

    fn of(
        bundle_digest: Digest,
        bundle: Bundle,
        rule_digests: Vec<Digest>,
        sets: Vec<Arc<RuleSet>>,
    ) -> Result<Self, TermsError> {
        let one = |error| TermsError::Rules(alloc::vec![error]);
        let rules = Rules::new(sets.clone()).map_err(one)?;
        let mut conditions = BTreeMap::new();
        for text in bundle.flows.values().flat_map(|flow| &flow.stages).filter_map(|stage| stage.when.as_ref()) {
            conditions.insert(text.clone(), rules.condition(text).map_err(one)?);
        }
        Ok(Terms { bundle_digest, bundle, rule_digests, sets, rules, conditions })
    }

    /// Returns these terms with one rule set more.
    pub fn extended(&self, rules: &Blob) -> Result<Self, TermsError> {
        let mut digests = self.rule_digests.clone();
        digests.push(rules.digest);
        let mut sets = self.sets.clone();
        sets.push(read_set(rules)?);
        Self::of(self.bundle_digest, self.bundle.clone(), digests, sets)
    }

    /// Returns the bundle's digest.
    pub fn bundle_digest(&self) -> Digest {
        self.bundle_digest
    }

    /// Returns the process.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Returns the flow that a run has chosen, if it has.
    pub(crate) fn flow(&self, state: &State) -> Option<&Flow> {
        self.bundle.flows.get(state.flow.as_ref()?)
    }

    /// Returns the digests of the rule sets' blobs, in order.
    pub fn rule_digests(&self) -> &[Digest] {
        &self.rule_digests
    }

    /// Returns the rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Returns a stage condition, compiled.
    pub fn condition(&self, text: &str) -> Option<&Condition> {
        self.conditions.get(text)
    }
}

fn read_set(blob: &Blob) -> Result<Arc<RuleSet>, TermsError> {
    let text = Blob::content(&blob.bytes)
        .and_then(|content| core::str::from_utf8(content).ok())
        .ok_or(TermsError::Blob(blob.digest))?;
    RuleSet::load(text).map(Arc::new).map_err(TermsError::Rules)
}

/// A run in the hand.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it is judged by and driven through.
    pub terms: Arc<Terms>,
    /// What holds.
    pub state: State,
    /// What its rules folded.
    pub facts: Facts,
}

impl Run {
    /// Returns a run before its first event.
    pub fn new(terms: Arc<Terms>) -> Self {
        let facts = terms.rules().facts();
        Run { terms, state: State::default(), facts }
    }

    /// Folds a recorded event; the way in which a run is rebuilt from its log.
    ///
    /// `rules.added` changes the terms: the caller hands them over as `extended`.
    pub fn apply(&mut self, event: &Recorded, extended: Option<Arc<Terms>>) -> Result<(), EventError> {
        let envelope = crate::event::Envelope::decode(&event.bytes)?;
        if let Some(terms) = extended {
            self.facts = self.facts.extended(terms.rules());
            self.terms = terms;
        }
        let view = View::read(&event.bytes)?;
        self.terms.rules().fold(&mut self.facts, &view);
        fold(&mut self.state, &envelope);
        self.state.last = event.id;
        Ok(())
    }
}
