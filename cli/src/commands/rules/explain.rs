//! `loom rules explain`: what rules mean in plain words, and what recorded runs have of them.
//!
//! Examples are of the text at hand: it is asked over the runs as judging asks it, whatever was called the same and judged them.

use super::{Known, known, read};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, WARN};
use crate::replaying::NEVER_JUDGED;
use crate::replaying::left_out::{self, LeftOutJson};
use crate::replaying::sources::{self, Sources};
use crate::text::{clean, clip};
use loom_bundles::{Explained, explain_rules};
use loom_core::rules::{RuleSet, Rules, Severity};
use loom_core::schema::Class;
use loom_replay::judge::{Example, Examples, Place, Seen, Until, examples};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most events that are looked at for examples, but for the rest of the last run.
const EVENTS_MAX: u64 = 1_000_000;
/// Most characters of what a rule read.
const READ_MAX: usize = 160;

/// Which rules, and where their examples are looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A set's name, SET/RULE, or a rule file.
    #[arg(value_name = "SET[/RULE]|FILE")]
    name: String,
    #[command(flatten)]
    sources: Sources,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    set: String,
    about: String,
    facts: Vec<FactJson>,
    rules: Vec<RuleJson>,
    /// What the examples are out of; null where there is no store.
    looked_at: Option<LookedAtJson>,
    left_out: Vec<LeftOutJson>,
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
    /// The first event of these runs that it passes.
    passed: Option<String>,
    /// The first event of these runs that it refuses or reports.
    refused: Option<String>,
    /// Events that it was asked about.
    asked: u64,
    /// Of those, events about which it cannot be known.
    unknowable: u64,
    /// Events of its kinds that are never judged (COMMIT-5).
    never_judged: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LookedAtJson {
    runs: u64,
    events: u64,
    /// `end`; `enough` where each rule had both examples, or `bound` where too many events were seen, before all runs were.
    until: &'static str,
}

/// Answers `loom rules explain`.
pub(super) fn explain(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let name = arguments.name.as_str();
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
    let set = Arc::new(RuleSet::load(&text).map_err(wrong)?);
    let Explained { set: set_name, about, facts, rules } = explain_rules(&text).map_err(wrong)?;
    let is_wanted = |name: &str| rule.is_none_or(|rule| rule == name);
    let severity: BTreeMap<String, Severity> = set.rules().map(|rule| (rule.name.clone(), rule.severity)).collect();
    let seen = match arguments.sources.find(global) {
        Ok(corpus) => {
            let rules = Rules::new(vec![set.clone()]).map_err(|error| wrong(vec![error]))?;
            let is_wanted = |full: &str| full.split_once('/').is_some_and(|(_, name)| is_wanted(name));
            Some(examples(&corpus, &rules, is_wanted, EVENTS_MAX, &sources::open)?)
        }
        // Outside of a project there are words alone.
        Err(CliError::NoStore { .. }) if global.dir.is_none() => None,
        Err(error) => return Err(error),
    };
    let mut told_rules = Vec::new();
    for (rule, sentences, reads) in rules.into_iter().filter(|(name, ..)| is_wanted(name)) {
        let full = format!("{set_name}/{rule}");
        let known = seen.as_ref().and_then(|seen| seen.rules.iter().find(|seen| seen.rule == full));
        let Seen { asked, unknowable, never_judged, passed, refused, .. } = known.cloned().unwrap_or_default();
        let severity = severity.get(&rule).copied().unwrap_or(Severity::Error);
        let passed = passed.as_ref().map(|example| in_words(example, None));
        let refused = refused.as_ref().map(|example| in_words(example, Some(severity)));
        told_rules.push(RuleJson { rule, sentences, reads, passed, refused, asked, unknowable, never_judged });
    }
    let is_read = |name: &String| rule.is_none() || told_rules.iter().any(|rule| rule.reads.contains(name));
    let facts = facts.into_iter().filter(|(name, _)| is_read(name));
    let facts: Vec<FactJson> = facts.map(|(fact, sentences)| FactJson { fact, sentences }).collect();
    let left_out = seen.iter().flat_map(|seen| &seen.left_out).map(LeftOutJson::from).collect();
    let looked_at = seen.as_ref().map(looked_at);
    let document =
        Document { loom: "rules-explain/1", set: set_name, about, facts, rules: told_rules, looked_at, left_out };
    if output.json {
        output.document(&document)?;
    } else {
        print(&document, output)?;
        if let Some(seen) = &seen {
            left_out::print(&seen.left_out, output)?;
        }
    }
    Ok(match &seen {
        Some(seen) if left_out::is_damaged(&seen.left_out) => Exit::Damaged,
        Some(seen) if !seen.left_out.is_empty() => Exit::Unavailable,
        Some(_) | None => Exit::Ok,
    })
}

fn looked_at(seen: &Examples) -> LookedAtJson {
    let until = match seen.until {
        Until::End => "end",
        Until::Enough => "enough",
        Until::Bound => "bound",
    };
    LookedAtJson { runs: seen.runs, events: seen.events, until }
}

/// Says where an example is; of one that the rule does not hold for, `severity` is the rule's.
fn in_words(example: &Example, severity: Option<Severity>) -> String {
    let Example { stream, sequence, kind, class, place, read, is_counterfactual } = example;
    let mut words = vec![format!("{} ({kind})", told(stream, *sequence))];
    words.extend((*place == Place::Proposal).then(|| "dropped then".to_string()));
    words.extend(is_counterfactual.then(|| "counterfactual".to_string()));
    words.extend(match (class, severity) {
        (_, None) | (Class::Decision, Some(Severity::Error)) => None,
        (Class::Decision, Some(Severity::Warn)) => Some("a warning".to_string()),
        (Class::Input | Class::Record, Some(_)) => Some("a violation".to_string()),
    });
    if !read.is_empty() {
        let read: Vec<String> = read.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        words.push(format!("where {}", clip(&read.join(", "), READ_MAX)));
    }
    words.join(", ")
}

fn print(document: &Document, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    writeln!(out, "{STRONG}{}{STRONG:#}: {}", clean(&document.set), clean(&document.about))?;
    for rule in &document.rules {
        writeln!(out, "\n{STRONG}{}/{}{STRONG:#}", clean(&document.set), clean(&rule.rule))?;
        for sentence in &rule.sentences {
            writeln!(out, "  {}", clean(sentence))?;
        }
        if document.looked_at.is_none() {
            continue;
        }
        let RuleJson { passed, refused, asked, unknowable, never_judged, .. } = rule;
        let of = format!("of the {asked} events that it was asked about");
        match (passed, asked) {
            (Some(passed), _) => writeln!(out, "  {GOOD}passes{GOOD:#} {}", clean(passed))?,
            (None, 0) => writeln!(out, "  {WARN}was asked about nothing{WARN:#}")?,
            (None, _) => writeln!(out, "  {WARN}passes none{WARN:#} {of}")?,
        }
        match (refused, asked) {
            (Some(refused), _) => writeln!(out, "  {BAD}refuses{BAD:#} {}", clean(refused))?,
            (None, 0) => {}
            (None, _) => writeln!(out, "  {WARN}refuses none{WARN:#} {of}")?,
        }
        if *unknowable > 0 {
            writeln!(out, "  {WARN}of {unknowable} events it cannot be known{WARN:#}")?;
        }
        if *never_judged > 0 {
            writeln!(out, "  {WARN}{never_judged} events of its kinds are {NEVER_JUDGED}{WARN:#}")?;
        }
    }
    writeln!(out)?;
    for fact in &document.facts {
        for (at, sentence) in fact.sentences.iter().enumerate() {
            let indent = if at == 0 { "" } else { "  " };
            writeln!(out, "{FAINT}{indent}{}{FAINT:#}", clean(sentence))?;
        }
    }
    if let Some(LookedAtJson { runs, events, until }) = &document.looked_at {
        let why = match *until {
            "enough" => "; each rule has its examples, so no more were looked at",
            "bound" => "; more are not looked at",
            _ => "",
        };
        writeln!(out, "{FAINT}examples are out of {runs} runs with {events} events{why}{FAINT:#}")?;
    }
    Ok(())
}
