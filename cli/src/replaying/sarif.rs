//! Answers as SARIF 2.1.0 (OASIS): a result for each finding, with the chain of causes as its code flow.
//!
//! What is judged lies in a store or a trace, not in lines of a text: a result is placed in its source's file, and in it
//! by a logical location `RUN#SEQUENCE`. What no longer is violated is a result of the baseline state `absent`.

use super::cases::{Cases, Went};
use super::judging::why;
use super::verifying::{depends, what};
use crate::error::CliError;
use crate::identify::told;
use loom_core::id::{StreamId, digest, hex};
use loom_core::rules::Severity;
use loom_replay::cause::Step;
use loom_replay::judge::{Asked, Compared, Finding, Judgement};
use loom_replay::{Inspected, Standing};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Context of the fingerprints of findings.
const FINGERPRINT_CONTEXT: &str = "loom 2026-11 sarif fingerprint v1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: [Invocation; 1],
    results: Vec<Found>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_description: Option<Text>,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
}

#[derive(Serialize, Clone)]
struct Text {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    rule_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    kind: &'static str,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_flows: Vec<CodeFlow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Properties>,
}

#[derive(Serialize)]
struct Properties {
    counterfactual: bool,
    read: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: Physical,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
}

#[derive(Serialize)]
struct Artifact {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    fully_qualified_name: String,
    kind: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeFlow {
    thread_flows: [ThreadFlow; 1],
}

#[derive(Serialize)]
struct ThreadFlow {
    locations: Vec<FlowLocation>,
}

#[derive(Serialize)]
struct FlowLocation {
    location: Location,
}

/// Returns a judgement.
pub(super) fn of_judgement(judgement: &Judgement) -> Result<String, CliError> {
    let rules = judgement.rules.iter().map(rule).collect();
    let mut results = Vec::new();
    for finding in &judgement.findings {
        let (Some(run), Some(asked)) = (judgement.runs.get(finding.run), judgement.rules.get(finding.rule)) else {
            continue;
        };
        let Some(source) = judgement.sources.get(run.source) else { continue };
        results.push(result(finding, asked, run.stream, &source.path));
    }
    for cleared in &judgement.cleared {
        let Some(run) = judgement.runs.get(cleared.run) else { continue };
        let Some(source) = judgement.sources.get(run.source) else { continue };
        let index = judgement.rules.iter().position(|rule| rule.name == cleared.rule);
        results.push(Found {
            rule_id: cleared.rule.clone(),
            rule_index: index,
            kind: "pass",
            level: "none",
            message: Text { text: "this was refused or reported, and would not be".to_string() },
            locations: vec![location(&source.path, Some((run.stream, cleared.sequence)), None)],
            partial_fingerprints: fingerprint(&cleared.rule, run.stream, cleared.sequence),
            baseline_state: Some("absent"),
            code_flows: Vec::new(),
            properties: None,
        });
    }
    let notifications = judgement.left_out.iter().map(|left| {
        let (word, what) = why(&left.why);
        let run = left.stream.map(|stream| (stream, 0));
        Notification {
            level: "error",
            message: Text { text: format!("left out, {word}: {what}") },
            locations: vec![location(&left.path, run, None)],
        }
    });
    log(rules, results, notifications.collect())
}

/// Returns what verifying found.
pub(super) fn of_inspection(inspected: &[Inspected]) -> Result<String, CliError> {
    let whole = Rule {
        id: "whole".to_string(),
        short_description: Text { text: "everything is what was written".to_string() },
        full_description: None,
        default_configuration: Configuration { level: "error" },
    };
    let (mut results, mut notifications) = (Vec::new(), Vec::new());
    for source in inspected {
        let Some(text) = what(&source.standing) else { continue };
        let bad = source.standing.bad();
        let place = bad.and_then(|bad| Some((bad.stream?, bad.sequence?)));
        let locations = vec![location(&source.path, place, None)];
        let depends = depends(source).map(|depends| format!(". Depends on it: {depends}")).unwrap_or_default();
        let message = Text { text: format!("{}: {text}{depends}", source.standing.word()) };
        match &source.standing {
            Standing::Whole => {}
            Standing::Newer(_) | Standing::Unread(_) => {
                notifications.push(Notification { level: "error", message, locations });
            }
            Standing::Truncated(_) | Standing::Altered(_) | Standing::Forked(_) => results.push(Found {
                rule_id: "whole".to_string(),
                rule_index: Some(0),
                kind: "fail",
                level: "error",
                message,
                locations,
                partial_fingerprints: fingerprint("whole", place.map(|place| place.0).unwrap_or_default(), 0),
                baseline_state: None,
                code_flows: Vec::new(),
                properties: None,
            }),
        }
    }
    log(vec![whole], results, notifications)
}

/// Returns what another command found, case by case.
pub(super) fn of_cases(found: &Cases) -> Result<String, CliError> {
    let rule = Rule {
        id: found.asked.to_string(),
        short_description: Text { text: found.promise.clone() },
        full_description: None,
        default_configuration: Configuration { level: "error" },
    };
    let (mut results, mut notifications) = (Vec::new(), Vec::new());
    for case in &found.cases {
        let locations = || vec![location(&case.path, case.place, None)];
        let (kind, level, message) = match &case.went {
            Went::Passed | Went::Skipped { .. } => continue,
            Went::LeftOut { message } => {
                let message = Text { text: format!("left out, {message}") };
                notifications.push(Notification { level: "error", message, locations: locations() });
                continue;
            }
            Went::Met { message } => ("informational", "none", message),
            Went::Failed { message, .. } => ("fail", "error", message),
            Went::Unknowable { message } => ("open", "none", message),
        };
        let (stream, sequence) = case.place.unwrap_or_default();
        results.push(Found {
            rule_id: found.asked.to_string(),
            rule_index: Some(0),
            kind,
            level,
            message: Text { text: message.clone() },
            locations: locations(),
            partial_fingerprints: fingerprint(found.asked, stream, sequence),
            baseline_state: None,
            code_flows: Vec::new(),
            properties: None,
        });
    }
    log(vec![rule], results, notifications)
}

fn log(rules: Vec<Rule>, results: Vec<Found>, notifications: Vec<Notification>) -> Result<String, CliError> {
    let driver = Driver { name: "loom-replay", version: env!("CARGO_PKG_VERSION"), rules };
    let invocation =
        Invocation { execution_successful: notifications.is_empty(), tool_execution_notifications: notifications };
    let run = Run { tool: Tool { driver }, invocations: [invocation], results };
    let json = serde_json::to_string_pretty(&Log { schema: SCHEMA, version: "2.1.0", runs: [run] })?;
    Ok(format!("{}\n", crate::text::clean_json(&json)))
}

fn rule(asked: &Asked) -> Rule {
    Rule {
        id: asked.name.clone(),
        short_description: Text { text: asked.message.clone() },
        full_description: asked.origin.clone().map(|text| Text { text }),
        default_configuration: Configuration { level: level(asked.severity) },
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
    }
}

fn result(finding: &Finding, asked: &Asked, stream: StreamId, path: &Path) -> Found {
    let is_violation = finding.is_violation();
    let steps = |steps: &[Step]| CodeFlow {
        thread_flows: [ThreadFlow {
            // A flow goes from the cause to what it led to.
            locations: steps.iter().rev().map(|step| FlowLocation { location: step_at(step, stream, path) }).collect(),
        }],
    };
    Found {
        rule_id: asked.name.clone(),
        rule_index: Some(finding.rule),
        kind: if is_violation { "fail" } else { "open" },
        level: if is_violation { level(asked.severity) } else { "none" },
        message: Text {
            text: match is_violation {
                true => format!("{} at {}: {}", finding.kind, told(&stream, finding.sequence), asked.message),
                false => format!("{} at {}: {}", finding.kind, told(&stream, finding.sequence), finding.outcome),
            },
        },
        locations: vec![location(path, Some((stream, finding.sequence)), None)],
        partial_fingerprints: fingerprint(&asked.name, stream, finding.sequence),
        baseline_state: Some(match finding.compared {
            Compared::New => "new",
            Compared::Same => "unchanged",
        }),
        code_flows: if finding.chain.is_empty() { Vec::new() } else { vec![steps(&finding.chain)] },
        properties: Some(Properties {
            counterfactual: finding.is_counterfactual,
            read: finding.read.iter().cloned().collect(),
        }),
    }
}

fn step_at(step: &Step, stream: StreamId, path: &Path) -> Location {
    let by = step.person.as_ref().map(|person| format!(" by {person}")).unwrap_or_default();
    let text = format!("#{} {}{by}", step.sequence, step.kind);
    location(path, Some((stream, step.sequence)), Some(text))
}

fn location(path: &Path, place: Option<(StreamId, u64)>, message: Option<String>) -> Location {
    let logical = place.map(|(stream, sequence)| Logical {
        fully_qualified_name: format!("{}#{sequence}", hex(&stream.0)),
        kind: "object",
    });
    Location {
        physical_location: Physical { artifact_location: Artifact { uri: uri(path) } },
        logical_locations: logical.into_iter().collect(),
        message: message.map(|text| Text { text }),
    }
}

/// Returns a path as a reference of RFC 3986: every byte that is not unreserved or a slash is written by its number.
fn uri(path: &Path) -> String {
    let mut uri = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

/// The same rule at the same event is the same finding, wherever the run is kept.
fn fingerprint(rule: &str, stream: StreamId, sequence: u64) -> BTreeMap<&'static str, String> {
    let name = digest(FINGERPRINT_CONTEXT, &[rule.as_bytes(), &[0], &stream.0, &sequence.to_be_bytes()]);
    BTreeMap::from([("loomFinding/v1", hex(&name.0[..16]))])
}
