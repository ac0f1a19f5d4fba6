//! `loom explain NAME`: what an error code, a rule or a law is about, why it is there, and what to do.

use crate::app::Global;
use crate::code::{Page, pages};
use crate::commands::rules::{Known, known, print_rule};
use crate::error::CliError;
use crate::exit::Exit;
use crate::laws::{Law, laws};
use crate::output::{FAINT, ID, Output, STRONG};
use crate::refusal::{Clear, clears};
use crate::text::{clean, clean_block, clip};
use loom_core::id::hex;
use loom_core::rules::RuleInfo;
use serde::Serialize;
use std::io::Write;

/// Explains an error code, a rule or a law; without a name, lists what is explained.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A code like LOOM-E047, a rule as RULE or SET/RULE, or the id of a law.
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct ListDocument {
    loom: &'static str,
    codes: Vec<CodeJson>,
    rules: Vec<RuleEntry>,
    laws: Vec<LawEntry>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct CodeJson {
    code: &'static str,
    title: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RuleEntry {
    rule: String,
    message: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LawEntry {
    law: String,
    document: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    /// `code`, `rule` or `law`.
    what: &'static str,
    name: String,
    title: String,
    /// The page of a code, the text of a law, the expression of a rule.
    text: String,
    rule: Option<RuleJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RuleJson {
    message: String,
    severity: &'static str,
    /// The incident or promise it comes from.
    origin: Option<String>,
    kinds: Vec<&'static str>,
    bundles: Vec<String>,
    /// Digest of its rule set.
    set: String,
    facts: Vec<Clear>,
}

/// Answers `loom explain`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let Some(name) = &arguments.name else { return list(global, output) };
    if let Some(page) = page(name) {
        code(page, output)?;
    } else if let Some(law) = laws().into_iter().find(|law| law.id.eq_ignore_ascii_case(name)) {
        explain_law(law, output)?;
    } else {
        rule(name, global, output)?;
    }
    Ok(Exit::Ok)
}

/// Returns the page of a code, written whole or by its number as in `E047`.
fn page(name: &str) -> Option<Page> {
    let upper = name.to_ascii_uppercase();
    let number: u16 = upper.strip_prefix("LOOM-").unwrap_or(&upper).strip_prefix('E')?.parse().ok()?;
    let code = format!("LOOM-E{number:03}");
    pages().find(|page| page.code == code)
}

fn code(page: Page, output: &mut Output) -> Result<(), CliError> {
    if output.json {
        let (name, title, text) = (page.code.to_string(), page.title.to_string(), page.text.to_string());
        return output.document(&Document { loom: "explain/1", what: "code", name, title, text, rule: None });
    }
    writeln!(output.out, "{ID}{}{ID:#}: {STRONG}{}{STRONG:#}\n\n{}", page.code, page.title, page.text)?;
    Ok(())
}

fn explain_law(law: Law, output: &mut Output) -> Result<(), CliError> {
    if output.json {
        let title = format!("a law of specs/{}", law.document);
        let (name, text) = (law.id, law.text);
        return output.document(&Document { loom: "explain/1", what: "law", name, title, text, rule: None });
    }
    writeln!(output.out, "{}\n\n{FAINT}a law of specs/{}{FAINT:#}", law.text, law.document)?;
    Ok(())
}

fn rule(name: &str, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let known = known(global, output)?;
    let found: Vec<(&Known, &RuleInfo)> = every(&known)
        .filter(|(known, rule)| rule.name == name || format!("{}/{}", known.set.name(), rule.name) == name)
        .collect();
    let (known, rule) = match found[..] {
        [] => return Err(CliError::NoPage { text: name.to_string() }),
        [one] => one,
        // Of several versions of one set, the one that new runs stand under.
        [..] => match found.iter().filter(|(known, _)| !known.bundles.is_empty()).collect::<Vec<_>>()[..] {
            [one] => *one,
            _ => {
                let candidates =
                    found.iter().map(|(known, rule)| format!("{}/{}", known.set.name(), rule.name)).collect();
                return Err(CliError::Ambiguous { text: name.to_string(), candidates });
            }
        },
    };
    let set = &known.set;
    let facts = clears(set, rule);
    let full = format!("{}/{}", set.name(), rule.name);
    if output.json {
        return output.document(&Document {
            loom: "explain/1",
            what: "rule",
            name: full,
            title: rule.message.clone(),
            text: rule.expression.clone(),
            rule: Some(RuleJson {
                message: rule.message.clone(),
                severity: rule.severity.word(),
                origin: rule.origin.clone(),
                kinds: rule.kinds.clone(),
                bundles: known.bundles.clone(),
                set: hex(&set.digest().0),
                facts,
            }),
        });
    }
    print_rule(set.name(), rule, output)?;
    let from = if known.bundles.is_empty() { "runs of this store".to_string() } else { known.bundles.join(", ") };
    writeln!(output.out, "  bundle   {}", clean(&from))?;
    for fact in &facts {
        writeln!(output.out, "\n{}", clean_block(&fact.definition))?;
        writeln!(output.out, "  {FAINT}cleared by{FAINT:#} {}", clean(&fact.told()))?;
    }
    writeln!(output.out, "\n{FAINT}loom rules show {} prints the whole set{FAINT:#}", clean(set.name()))?;
    Ok(())
}

fn every(known: &[Known]) -> impl Iterator<Item = (&Known, &RuleInfo)> {
    known.iter().flat_map(|known| known.set.rules().map(move |rule| (known, rule)))
}

fn list(global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let known = known(global, output)?;
    let laws = laws();
    if output.json {
        let rules = every(&known).map(|(known, rule)| RuleEntry {
            rule: format!("{}/{}", known.set.name(), rule.name),
            message: rule.message.clone(),
        });
        output.document(&ListDocument {
            loom: "explain-list/1",
            codes: pages().map(|page| CodeJson { code: page.code, title: page.title }).collect(),
            rules: rules.collect(),
            laws: laws.into_iter().map(|law| LawEntry { law: law.id, document: law.document }).collect(),
        })?;
        return Ok(Exit::Ok);
    }
    let out = &mut output.out;
    writeln!(out, "{STRONG}errors{STRONG:#}")?;
    for page in pages() {
        writeln!(out, "  {ID}{}{ID:#}  {}", page.code, page.title)?;
    }
    writeln!(out, "{STRONG}rules{STRONG:#}")?;
    for (known, rule) in every(&known) {
        let name = format!("{}/{}", clean(known.set.name()), clean(&rule.name));
        writeln!(out, "  {ID}{name:<36}{ID:#} {}", clip(&rule.message, 80))?;
    }
    writeln!(out, "{STRONG}laws{STRONG:#}")?;
    for law in laws {
        writeln!(out, "  {ID}{:<14}{ID:#} {FAINT}specs/{}{FAINT:#}", law.id, law.document)?;
    }
    Ok(Exit::Ok)
}
