//! From a source to a bundle that runs may name: everything resolved, everything checked, or every flaw told.

use crate::error::{LoadError, LoadErrors, nearest};
use crate::flaws::rule_flaws;
use crate::manifest::{self, AgentEntry, MANIFEST, Manifest};
use crate::prompt::{Finding, PromptParts, Repair, render};
use crate::reply::Schema;
use crate::source::Source;
use loom_core::commit::Blob;
use loom_core::id::Digest;
use loom_core::process::{Agent, AgentKind, Bundle, Limits, Policy};
use loom_core::rules::{RuleSet, Rules, Severity};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A bundle that a run may name.
#[derive(Debug)]
pub struct LoadedBundle {
    /// What core folds over.
    pub bundle: Bundle,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Digest of the blob of these bytes: what `run.opened` names.
    pub digest: Digest,
    /// The texts of the rule sets, in order.
    pub rule_texts: Vec<String>,
    /// The rule sets, in the same order.
    pub rule_sets: Vec<Arc<RuleSet>>,
    /// Everything that events of a run may name: bundle, rule texts, templates, schemas.
    pub blobs: Vec<Blob>,
    /// Gate policies by role, by preset.
    pub presets: BTreeMap<String, BTreeMap<String, Policy>>,
    /// The checks that flows may require.
    pub checks: Vec<CheckDefinition>,
    prompts: BTreeMap<String, (String, Schema)>,
}

/// A check that flows may require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckDefinition {
    /// Name.
    pub name: String,
    /// What it tells when it passes.
    pub what: String,
}

/// A policy that is neither one for every gate nor a preset of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no policy; there are human, on-blockers and auto, and bundle `{bundle}` has the presets {known}")]
pub struct PolicyUnknown {
    name: String,
    bundle: String,
    known: String,
}

impl LoadedBundle {
    /// Returns an agent's template.
    pub fn template(&self, agent: &str) -> Option<&str> {
        self.prompts.get(agent).map(|(template, _)| template.as_str())
    }

    /// Returns the schema of an agent's answer.
    pub fn schema(&self, agent: &str) -> Option<&Schema> {
        self.prompts.get(agent).map(|(_, schema)| schema)
    }

    /// Returns what a preset's name, or a policy for every gate, sets: pairs of role and policy.
    pub fn policies(&self, name: &str) -> Result<Vec<(String, String)>, PolicyUnknown> {
        let pair = |(role, policy): (&String, Policy)| (role.clone(), policy.word().to_string());
        if let Some(preset) = self.presets.get(name) {
            return Ok(preset.iter().map(|(role, policy)| pair((role, *policy))).collect());
        }
        if let Some(policy) = Policy::of(name) {
            return Ok(self.bundle.roles.keys().map(|role| pair((role, policy))).collect());
        }
        let known = self.presets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        Err(PolicyUnknown { name: name.to_string(), bundle: self.bundle.name.clone(), known })
    }

    /// Returns name and version as `run.opened` writes them.
    pub fn title(&self) -> String {
        format!("{} {}", self.bundle.name, self.bundle.version)
    }

    /// Returns the blob of the bundle's bytes.
    pub fn blob(&self) -> Blob {
        Blob::plain(&self.bytes)
    }

    /// Returns the blobs of the rule texts, in order.
    pub fn rule_blobs(&self) -> Vec<Blob> {
        self.rule_texts.iter().map(|text| Blob::plain(text.as_bytes())).collect()
    }
}

/// Returns the limits that a bundle's manifest names; nothing where it cannot be read. The rest is not looked at.
pub fn limits(source: &Source) -> Option<Limits> {
    let (manifest, errors) = manifest::read(source.text(MANIFEST)?);
    errors.is_empty().then_some(manifest.limits)
}

/// Loads a bundle; a bundle with any flaw is refused with all of them (BUNDLE-1).
pub fn load(source: &Source) -> Result<LoadedBundle, LoadErrors> {
    let Some(text) = source.text(MANIFEST) else {
        let what = "the bundle has no readable manifest".to_string();
        return Err(LoadErrors(vec![flaw("MANIFEST_MISSING", MANIFEST, None, what, "add a bundle.toml in UTF-8")]));
    };
    let (manifest, mut errors) = manifest::read(text);
    if !errors.is_empty() {
        // What a broken manifest says further on would be told as flaws that nobody wrote.
        return Err(LoadErrors(errors));
    }
    let mut bundle = Bundle {
        name: manifest.name.clone(),
        version: manifest.version,
        roles: manifest.roles.clone(),
        flows: manifest.flows.clone(),
        classifier: manifest.classifier.clone(),
        default_flow: manifest.default_flow.clone(),
        limits: manifest.limits.clone(),
        ..Bundle::default()
    };
    let mut prompts = BTreeMap::new();
    let mut by_line: Vec<_> = manifest.agents.iter().collect();
    by_line.sort_by_key(|(_, entry)| entry.line);
    for (name, entry) in by_line {
        let template = template(source, name, entry, &mut errors);
        let schema = schema(source, name, entry, &manifest, &mut errors);
        if let (Some(template), Some(schema)) = (template, schema) {
            check_template(name, entry, &template, &schema, &mut errors);
            bundle.agents.insert(name.clone(), agent(entry, &template, &schema));
            prompts.insert(name.clone(), (template, schema));
        } else {
            // Stands in, so that the process is not told flaws that follow from this one.
            bundle.agents.insert(name.clone(), agent_with(entry, Digest::default(), Digest::default()));
        }
    }
    let before = errors.len();
    let rule_sets = rules(source, &manifest, &mut errors);
    let rules_loaded = errors.len() == before;
    errors.extend(process_flaws(&bundle, &manifest));
    if rules_loaded {
        check_floors(&manifest, &rule_sets, &mut errors);
    }
    check_presets(&manifest, &mut errors);
    check_checks(&manifest, &mut errors);
    if !errors.is_empty() {
        return Err(LoadErrors(errors));
    }
    let bytes = bundle.encode();
    let rule_texts: Vec<String> = rule_sets.iter().map(|set| set.text().to_string()).collect();
    let mut blobs = vec![Blob::plain(&bytes)];
    blobs.extend(rule_texts.iter().map(|text| Blob::plain(text.as_bytes())));
    for (template, schema) in prompts.values() {
        for blob in [Blob::plain(template.as_bytes()), Blob::plain(schema.text().as_bytes())] {
            if !blobs.iter().any(|known| known.digest == blob.digest) {
                blobs.push(blob);
            }
        }
    }
    Ok(LoadedBundle {
        digest: blobs[0].digest,
        bundle,
        bytes,
        rule_texts,
        rule_sets,
        blobs,
        presets: manifest.presets,
        checks: manifest.checks.into_iter().map(|(name, what)| CheckDefinition { name, what }).collect(),
        prompts,
    })
}

fn flaw(code: &'static str, file: &str, line: Option<u64>, what: String, repair: impl Into<String>) -> LoadError {
    LoadError { code, file: file.to_string(), line, what, repair: repair.into() }
}

fn missing(code: &'static str, source: &Source, path: &str, line: u64, what: String) -> LoadError {
    let repair = match nearest(path, source.files.keys().map(String::as_str)) {
        Some(_) if source.files.contains_key(path) => format!("write {path} in UTF-8"),
        Some(near) => format!("add {path}, or did you mean `{near}`?"),
        None => format!("add {path}"),
    };
    flaw(code, MANIFEST, Some(line), what, repair)
}

fn template(source: &Source, name: &str, entry: &AgentEntry, errors: &mut Vec<LoadError>) -> Option<String> {
    let mut parts = Vec::new();
    for path in &entry.template {
        match source.text(path) {
            Some(text) => parts.push(text.trim_end()),
            None => {
                let what = format!("agent `{name}` has prompt `{path}`, which is not there or not UTF-8");
                errors.push(missing("PROMPT_MISSING", source, path, entry.line, what));
            }
        }
    }
    (parts.len() == entry.template.len()).then(|| parts.join("\n\n") + "\n")
}

fn schema(
    source: &Source,
    name: &str,
    entry: &AgentEntry,
    manifest: &Manifest,
    errors: &mut Vec<LoadError>,
) -> Option<Schema> {
    let path = &entry.schema;
    let Some(text) = source.text(path) else {
        let what = format!("agent `{name}` has schema `{path}`, which is not there or not UTF-8");
        errors.push(missing("SCHEMA_MISSING", source, path, entry.line, what));
        return None;
    };
    let parsed = Schema::parse(text).and_then(|schema| {
        let value = serde_json::from_str(text).map_err(|error| crate::SchemaError(error.to_string()))?;
        Ok((schema, value))
    });
    let (schema, value): (Schema, Value) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let what = format!("it is not a JSON Schema: {error}");
            errors.push(flaw("SCHEMA_INVALID", path, None, what, "write a JSON Schema (draft 2020-12)"));
            return None;
        }
    };
    for (what, repair) in schema_flaws(&value, entry, manifest) {
        errors.push(flaw("SCHEMA_ANSWER", path, None, format!("for agent `{name}`, {what}"), repair));
    }
    Some(schema)
}

/// What an agent's kind needs of its schema.
fn schema_flaws(schema: &Value, entry: &AgentEntry, manifest: &Manifest) -> Vec<(String, String)> {
    let mut flaws = Vec::new();
    let required = schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut needed = vec!["summary"];
    match entry.kind {
        AgentKind::Classifier => needed.push("flow"),
        AgentKind::Reviewer => needed.extend(["verdict", "findings"]),
        AgentKind::Adviser | AgentKind::Worker => {}
    }
    for key in needed {
        if !required.iter().any(|found| found == key) {
            flaws.push((format!("`{key}` is not required"), format!("add `{key}` to `required`")));
        }
    }
    let words = |pointer: &str| -> Vec<String> {
        let list = schema.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_string).collect()
    };
    match entry.kind {
        AgentKind::Classifier => {
            let flows = words("/properties/flow/enum");
            let unknown: Vec<_> = flows.iter().filter(|flow| !manifest.flows.contains_key(*flow)).collect();
            if flows.is_empty() || !unknown.is_empty() {
                let names: Vec<&str> = manifest.flows.keys().map(String::as_str).collect();
                flaws.push((
                    "the words of `flow` are not the bundle's flows".to_string(),
                    format!("set properties.flow.enum to flows out of {}", names.join(", ")),
                ));
            }
        }
        AgentKind::Reviewer => {
            let known: Vec<String> = entry.passes.iter().chain(&entry.fails).cloned().collect();
            if entry.passes.is_empty() || words("/properties/verdict/examples") != known {
                flaws.push((
                    "the verdict words of schema and manifest differ".to_string(),
                    format!("set properties.verdict.examples to passes and fails: {}", known.join(", ")),
                ));
            }
            // A closed vocabulary would turn an unknown word into an unusable answer; core fails it closed.
            if schema.pointer("/properties/verdict/enum").is_some() {
                flaws.push((
                    "`verdict` has an enum, so an unknown word is tried again instead of counting as a failure"
                        .to_string(),
                    "use `examples` in its place".to_string(),
                ));
            }
        }
        AgentKind::Adviser | AgentKind::Worker => {}
    }
    flaws
}

/// Renders the template with nothing and with everything: what it names must exist, and the schema must be in it.
fn check_template(name: &str, entry: &AgentEntry, template: &str, schema: &Schema, errors: &mut Vec<LoadError>) {
    let files = entry.template.join(" + ");
    for parts in samples(schema.text()) {
        match render(template, &parts) {
            Err(error) => {
                let what = format!("the prompt of agent `{name}` does not render: {error}");
                errors.push(flaw("PROMPT_INVALID", &files, None, what, "mend the template"));
                return;
            }
            Ok(prompt) => {
                for (part, text) in [("task", &parts.task), ("schema", &parts.schema)] {
                    if !prompt.contains(text.trim_end()) {
                        let what = format!("the prompt of agent `{name}` does not show the {part}");
                        let repair = format!("add {{{{ data(\"{part}\", {part}) }}}}");
                        errors.push(flaw("PROMPT_INCOMPLETE", &files, None, what, repair));
                        return;
                    }
                }
            }
        }
    }
}

fn samples(schema: &str) -> [PromptParts; 2] {
    let bare = PromptParts { task: "SAMPLE TASK".to_string(), schema: schema.to_string(), ..PromptParts::default() };
    let finding = Finding { severity: "blocking".to_string(), ..Finding::default() };
    let full = PromptParts {
        notes: vec!["note".to_string()],
        advice: vec![("planner".to_string(), "plan".to_string())],
        findings: vec![
            Finding { path: Some("a".to_string()), line: Some(1), evidence: Some("e".to_string()), ..finding.clone() },
            finding,
        ],
        diff: Some("diff".to_string()),
        checks: vec![("test".to_string(), "fail".to_string(), "output".to_string())],
        repair: Some(Repair { output: "output".to_string(), problem: "problem".to_string() }),
        ..bare.clone()
    };
    [bare, full]
}

fn agent(entry: &AgentEntry, template: &str, schema: &Schema) -> Agent {
    agent_with(entry, Blob::plain(template.as_bytes()).digest, Blob::plain(schema.text().as_bytes()).digest)
}

fn agent_with(entry: &AgentEntry, template: Digest, schema: Digest) -> Agent {
    Agent {
        kind: entry.kind,
        template,
        schema,
        tier: entry.tier.clone(),
        passes: entry.passes.clone(),
        fails: entry.fails.clone(),
        reserve_tokens: entry.reserve_tokens,
        reserve_money_micro: entry.reserve_money_micro,
        reserve_time_ms: entry.reserve_time_ms,
    }
}

fn rules(source: &Source, manifest: &Manifest, errors: &mut Vec<LoadError>) -> Vec<Arc<RuleSet>> {
    let line = manifest.lines.get("rules").copied();
    let mut sets = Vec::new();
    let before = errors.len();
    for path in &manifest.rules {
        let Some(text) = source.text(path) else {
            let what = format!("rule file `{path}` is not there or not UTF-8");
            errors.push(missing("RULES_MISSING", source, path, line.unwrap_or(1), what));
            continue;
        };
        let (set, flaws) = rule_flaws(text, &[]);
        for found in flaws.into_iter().filter(|found| found.is_error) {
            errors.push(flaw(found.id, path, Some(u64::from(found.place.line)), found.what, found.repair));
        }
        sets.extend(set.map(Arc::new));
    }
    if errors.len() > before {
        return sets;
    }
    let all = match Rules::new(sets.clone()) {
        Ok(all) => all,
        Err(error) => {
            let repair = error.hint.clone().unwrap_or_else(|| "mend `rules`".to_string());
            errors.push(flaw("RULES_NONE", MANIFEST, line, error.message, repair));
            return sets;
        }
    };
    for (flow, stages) in manifest.flows.iter().map(|(name, flow)| (name, &flow.stages)) {
        for stage in stages {
            if let Some(Err(error)) = stage.when.as_ref().map(|when| all.condition(when)) {
                let line = manifest.lines.get(&format!("flow {flow}, stage {}", stage.name)).copied();
                let what = format!("`when` of flow {flow}, stage {}: {}", stage.name, error.message);
                let repair = error.hint.unwrap_or_else(|| "write a condition over facts of the rule sets".to_string());
                errors.push(flaw("CONDITION", MANIFEST, line, what, repair));
            }
        }
    }
    sets
}

fn process_flaws(bundle: &Bundle, manifest: &Manifest) -> Vec<LoadError> {
    let repair = |code: &str| match code {
        "PROCESS_EMPTY" => "add a flow",
        "AGENT_UNKNOWN" => "declare the agent under [agents], or name another",
        "AGENT_KIND" => "spawn takes advisers and workers, fanout takes reviewers, the classifier is one",
        "AGENT_UNUSED" => "remove the agent or give it a stage",
        "ROLE_UNKNOWN" => "declare the role under [roles], or name another",
        "STAGE_DUPLICATE" => "rename the stage",
        "STAGE_ORPHAN" | "FLOW_OPEN_END" => "let `finalize` be the last stage",
        "STEP_EFFECT_COLLISION" => "let one step run the check",
        "STAGE_UNKNOWN" | "WALK_FORWARD" => "let revise_to name an earlier stage",
        "FINAL_GATE_MISSING" => "add a stage with gate = \"final\" and no `when` after the last edit",
        "AUTO_WITHOUT_FLOOR" => "name rules in `floor`",
        _ => "mend it as told",
    };
    bundle
        .flaws()
        .into_iter()
        .map(|found| {
            let line = manifest.lines.get(&found.place).copied();
            flaw(found.code, MANIFEST, line, format!("{}: {}", found.place, found.what), repair(found.code))
        })
        .collect()
}

/// Whatever may become `auto` has a floor of rules that exist and can refuse a merge (BUNDLE-3).
fn check_floors(manifest: &Manifest, sets: &[Arc<RuleSet>], errors: &mut Vec<LoadError>) {
    for (name, role) in &manifest.roles {
        let line = manifest.lines.get(&format!("role {name}")).copied();
        for wanted in &role.floor {
            let found = sets.iter().find_map(|set| {
                set.rules().find(|rule| rule.name == *wanted || format!("{}/{}", set.name(), rule.name) == *wanted)
            });
            let (code, what, repair) = match found {
                None => {
                    let names = sets.iter().flat_map(|set| set.rules()).map(|rule| rule.name.as_str());
                    let repair = match nearest(wanted, names) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "name a rule of the bundle's rule files".to_string(),
                    };
                    (
                        "FLOOR_UNKNOWN",
                        format!("the floor of role {name} names rule `{wanted}`, which no set has"),
                        repair,
                    )
                }
                Some(rule) if !rule.kinds.contains(&"merge.intended") || rule.severity != Severity::Error => (
                    "FLOOR_POWERLESS",
                    format!("the floor of role {name} names rule `{wanted}`, which cannot refuse a merge"),
                    "name rules on merge.intended of severity error".to_string(),
                ),
                Some(_) => continue,
            };
            errors.push(flaw(code, MANIFEST, line, what, repair));
        }
    }
}

fn check_presets(manifest: &Manifest, errors: &mut Vec<LoadError>) {
    for (preset, policies) in &manifest.presets {
        let line = manifest.lines.get(&format!("preset {preset}")).copied();
        for (role, policy) in policies {
            match manifest.roles.get(role) {
                None => {
                    let what = format!("preset {preset} sets role `{role}`, which is not declared");
                    errors.push(flaw("ROLE_UNKNOWN", MANIFEST, line, what, "declare the role under [roles]"));
                }
                Some(found) if *policy == Policy::Auto && found.floor.is_empty() => {
                    let what = format!("preset {preset} makes role {role} `auto`, which has no floor");
                    errors.push(flaw("AUTO_WITHOUT_FLOOR", MANIFEST, line, what, "name rules in the role's `floor`"));
                }
                Some(_) => {}
            }
        }
    }
}

fn check_checks(manifest: &Manifest, errors: &mut Vec<LoadError>) {
    for (name, flow) in &manifest.flows {
        let line = manifest.lines.get(&format!("flow {name}")).copied();
        for check in flow.required_checks.iter().filter(|check| !manifest.checks.contains_key(*check)) {
            let what = format!("flow {name} requires check `{check}`, which is not declared");
            errors.push(flaw("CHECK_UNKNOWN", MANIFEST, line, what, format!("add [checks.{check}]")));
        }
    }
}
