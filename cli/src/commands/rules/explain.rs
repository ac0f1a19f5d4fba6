//! `loom rules explain`: what rules mean in plain words, and what the store at hand has of them.

use super::{Known, known, read};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG};
use crate::project;
use crate::text::clean;
use loom_bundles::{Explained, explain_rules};
use loom_core::event::{Envelope, View};
use loom_core::id::StreamId;
use loom_core::kind::{Event, Refused, schema_named};
use loom_core::rules::{Outcome, RuleSet};
use loom_core::schema::{Class, KindSchema};
use loom_replay::{Judged, StoredRun, judged};
use loom_store::Store;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How many of a rule's latest events are judged again to find one that it passed.
const LOOKED_AT: usize = 64;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    set: String,
    about: String,
    facts: Vec<FactJson>,
    rules: Vec<RuleJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FactJson {
    fact: String,
    sentences: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RuleJson {
    rule: String,
    sentences: Vec<String>,
    /// The facts that it reads, those of their clauses included.
    reads: Vec<String>,
    /// The last decision of this store that it passed, of the latest ones.
    passed: Option<String>,
    /// The last event of this store that says that it refused.
    refused: Option<String>,
}

/// Answers `loom rules explain`.
pub(super) fn explain(name: &str, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let path = Path::new(name);
    let (text, rule) = match path.is_file() {
        true => (read(path)?, None),
        false => {
            let (set, rule) = name.split_once('/').map_or((name, None), |(set, rule)| (set, Some(rule)));
            let missing = || CliError::NoRuleSet { name: name.to_string() };
            let found = known(global, output)?.into_iter().find(|known| known.set.name() == set).ok_or_else(missing)?;
            let Known { set, .. } = found;
            if rule.is_some_and(|rule| !set.rules().any(|known| known.name == rule)) {
                return Err(missing());
            }
            (set.text().to_string(), rule)
        }
    };
    let wrong = |errors| CliError::Rules { file: PathBuf::from(name), errors };
    let set = RuleSet::load(&text).map_err(wrong)?;
    let Explained { set: set_name, about, facts, rules } = explain_rules(&text).map_err(wrong)?;
    let store = match project::open(global.dir.as_deref(), output) {
        Ok(opened) => Some(opened.store),
        Err(CliError::NoStore { .. }) if global.dir.is_none() => None,
        Err(error) => return Err(error),
    };
    let mut told_rules = Vec::new();
    for (rule, sentences, reads) in rules.into_iter().filter(|(name, ..)| rule.is_none_or(|rule| rule == name)) {
        let (mut passed, mut refused) = (None, None);
        if let Some(store) = &store {
            let kinds: Vec<&'static KindSchema> = set
                .rules()
                .filter(|found| found.name == rule)
                .flat_map(|found| found.kinds.iter().filter_map(|kind| schema_named(kind)))
                .collect();
            let full = format!("{set_name}/{rule}");
            passed = last_passed(store.as_ref(), &full, &kinds)?;
            refused = last_refused(store.as_ref(), &full)?;
        }
        told_rules.push(RuleJson { rule, sentences, reads, passed, refused });
    }
    let is_read = |name: &String| rule.is_none() || told_rules.iter().any(|rule| rule.reads.contains(name));
    let facts = facts.into_iter().filter(|(name, _)| is_read(name));
    let facts: Vec<FactJson> = facts.map(|(fact, sentences)| FactJson { fact, sentences }).collect();
    let document = Document { loom: "rules-explain/1", set: set_name, about, facts, rules: told_rules };
    if output.json {
        output.document(&document)?;
    } else {
        print(&document, output)?;
    }
    Ok(Exit::Ok)
}

fn print(document: &Document, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    writeln!(out, "{STRONG}{}{STRONG:#}: {}", clean(&document.set), clean(&document.about))?;
    for rule in &document.rules {
        writeln!(out, "\n{STRONG}{}/{}{STRONG:#}", clean(&document.set), clean(&rule.rule))?;
        for sentence in &rule.sentences {
            writeln!(out, "  {}", clean(sentence))?;
        }
        if let Some(passed) = &rule.passed {
            writeln!(out, "  {GOOD}passed{GOOD:#} last {}", clean(passed))?;
        }
        if let Some(refused) = &rule.refused {
            writeln!(out, "  {BAD}refused{BAD:#} last in {}", clean(refused))?;
        }
    }
    writeln!(out)?;
    for fact in &document.facts {
        for (at, sentence) in fact.sentences.iter().enumerate() {
            let indent = if at == 0 { "" } else { "  " };
            writeln!(out, "{FAINT}{indent}{}{FAINT:#}", clean(sentence))?;
        }
    }
    Ok(())
}

/// Returns the last of the latest decisions of these kinds that the rule gave true for, judged again from the log.
fn last_passed(store: &dyn Store, rule: &str, kinds: &[&'static KindSchema]) -> Result<Option<String>, CliError> {
    let decisions = kinds.iter().filter(|kind| kind.class == Class::Decision);
    let codes: Vec<u64> = decisions.map(|kind| kind.code).collect();
    if codes.is_empty() {
        return Ok(None);
    }
    let positions = store.by_kind(&codes, 0, usize::MAX)?;
    for position in positions.into_iter().rev().take(LOOKED_AT) {
        let Some(stored) = store.events(position, 1)?.pop() else { continue };
        let view = View::read(&stored.event.bytes).map_err(|source| CliError::Event { position, source })?;
        let (stream, sequence) = (view.stream, view.sequence);
        let found = judged(&StoredRun::new(store, stream), &BTreeSet::from([sequence]))?;
        let passed = |judged: &Judged| {
            matches!(judged, Judged::Asked(answers)
                if answers.iter().any(|answer| answer.rule == rule && answer.result == Outcome::True))
        };
        if found.get(&sequence).is_some_and(passed) {
            return Ok(Some(format!("{} ({})", told(&stream, sequence), view.schema.name)));
        }
    }
    Ok(None)
}

/// Returns the last `refused` that names the rule, with the facts that it read.
fn last_refused(store: &dyn Store, rule: &str) -> Result<Option<String>, CliError> {
    for position in store.by_kind(&[Refused::SCHEMA.code], 0, usize::MAX)?.into_iter().rev() {
        let Some(stored) = store.events(position, 1)?.pop() else { continue };
        let envelope = Envelope::decode(&stored.event.bytes).map_err(|source| CliError::Event { position, source })?;
        let stream: StreamId = envelope.stream;
        if let Event::Refused(body) = envelope.body
            && body.rules.iter().any(|named| named == rule)
        {
            let at = told(&stream, envelope.sequence);
            return Ok(Some(format!("{at} ({}), where {}", body.kind, body.facts.join(", "))));
        }
    }
    Ok(None)
}
