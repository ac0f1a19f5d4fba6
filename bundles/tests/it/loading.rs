//! Broken bundles are refused with code, file, line and repair; all flaws at once, in a pinned order.

use loom_bundles::{Source, load};
use loom_core::commit::Blob;
use loom_core::process::{Bundle, Policy};
use loom_core::run::Terms;
use std::collections::BTreeSet;
use std::path::Path;

fn code() -> Source {
    Source::builtin("code").unwrap()
}

/// Changes a file of the shipped bundle and checks what is told; the line in it is found by `mark`.
#[track_caller]
fn check(file: &str, from: &str, to: &str, mark: &str, wanted: &str) {
    let mut source = code();
    let text = source.text(file).unwrap().to_string();
    assert!(text.contains(from), "{file} has no `{from}`");
    let text = text.replacen(from, to, 1);
    let line = text.lines().position(|line| line.contains(mark)).map_or(0, |line| line + 1);
    source.files.insert(file.to_string(), text.into_bytes());
    check_source(&source, &wanted.replace("LINE", &line.to_string()));
}

/// The same, where the line does not matter: it is told as `N`.
#[track_caller]
fn check_anywhere(from: &str, to: &str, wanted: &str) {
    let mut source = code();
    let text = source.text(MANIFEST).unwrap();
    assert!(text.contains(from), "the manifest has no `{from}`");
    let text = text.replacen(from, to, 1);
    source.files.insert(MANIFEST.to_string(), text.into_bytes());
    assert_eq!(without_lines(&load(&source).unwrap_err().to_string()), wanted);
}

fn without_lines(told: &str) -> String {
    let line = |line: &str| {
        let rest = line.strip_prefix("bundle.toml:").unwrap();
        format!("bundle.toml:N{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
    };
    told.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check_source(source: &Source, wanted: &str) {
    let told = load(source).map(|_| "it loads".to_string()).unwrap_or_else(|errors| errors.to_string());
    assert_eq!(told, wanted);
}

const MANIFEST: &str = "bundle.toml";

#[test]
fn the_shipped_bundle_gives_terms_that_core_accepts() {
    let loaded = load(&code()).unwrap();
    assert_eq!(Bundle::decode(&loaded.bytes).unwrap(), loaded.bundle);
    let terms = Terms::load(&loaded.blob(), &loaded.rule_blobs()).unwrap();
    assert_eq!(terms.bundle_digest(), loaded.digest);
    for agent in loaded.bundle.agents.values() {
        for digest in [agent.template, agent.schema] {
            let blob = loaded.blobs.iter().find(|blob| blob.digest == digest).unwrap();
            assert!(!Blob::content(&blob.bytes).unwrap().is_empty());
        }
    }
    assert_eq!(
        loaded.bundle.flows.keys().collect::<Vec<_>>(),
        ["complex", "question", "simple", "standard", "trivial"]
    );
    assert_eq!(loaded.presets["autonomous"]["final"], Policy::Auto);
    assert_eq!(loaded.presets.len(), 5);
}

#[test]
fn loading_twice_gives_equal_bytes() {
    assert_eq!(load(&code()).unwrap().bytes, load(&code()).unwrap().bytes);
}

#[test]
fn what_is_compiled_in_is_the_folder() {
    let folder = Source::folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("code")).unwrap();
    let names = |source: &Source| source.files.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&folder), names(&code()), "list every file in bundles/src/builtin.rs");
    assert_eq!(folder, code());
}

#[test]
fn a_folder_with_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("bundle.toml")).unwrap();
    let error = Source::folder(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("is not a plain file or folder with a UTF-8 name; bundles hold nothing else"), "{error}");
}

#[test]
fn a_missing_manifest() {
    check_source(
        &Source::default(),
        "bundle.toml: MANIFEST_MISSING: the bundle has no readable manifest; repair: add a bundle.toml in UTF-8",
    );
}

#[test]
fn broken_toml() {
    let mut source = code();
    source.files.insert(MANIFEST.to_string(), b"name = \"code\"\nversion = \n".to_vec());
    let told = load(&source).unwrap_err().to_string();
    assert!(told.starts_with("bundle.toml:2: TOML_SYNTAX: "), "{told}");
}

#[test]
fn an_unknown_key_is_told_its_nearest_name() {
    check(
        MANIFEST,
        "attempts_max = 2",
        "atempts_max = 2",
        "atempts_max",
        "bundle.toml:LINE: KEY_UNKNOWN: `limits.atempts_max` is not a key here; repair: did you mean `attempts_max`?",
    );
    check(
        MANIFEST,
        "edits = false",
        "edits = false\ncolour = \"red\"",
        "colour",
        "bundle.toml:LINE: KEY_UNKNOWN: `flows.question.colour` is not a key here; repair: remove it",
    );
}

#[test]
fn a_missing_key() {
    check(
        MANIFEST,
        "name = \"code\"\n",
        "",
        "",
        "bundle.toml:1: KEY_MISSING: `name` is missing; repair: add `name = …`",
    );
}

#[test]
fn a_value_of_another_type() {
    check(
        MANIFEST,
        "version = 1",
        "version = \"one\"",
        "version",
        "bundle.toml:LINE: VALUE_TYPE: `version` is not a whole number, 0 or more; repair: write a whole number, 0 or more",
    );
}

#[test]
fn an_unknown_policy() {
    check(
        MANIFEST,
        "policy = \"on-blockers\"",
        "policy = \"on-blocker\"",
        "\"on-blocker\"",
        "bundle.toml:LINE: WORD_UNKNOWN: `roles.plan.policy` is `on-blocker`; repair: `on-blockers`? one of human, on-blockers, auto",
    );
}

#[test]
fn a_stage_that_does_two_things() {
    check(
        MANIFEST,
        "spawn = \"responder\"",
        "spawn = \"responder\"\ngate = \"final\"",
        "[[flows.question.stages]]",
        "bundle.toml:LINE: STAGE_KIND: the stage says several things to do; repair: name exactly one of spawn, fanout, gate, checks, finalize",
    );
}

#[test]
fn a_missing_prompt() {
    check(
        MANIFEST,
        "prompts/planner.md",
        "prompts/plannr.md",
        "[agents.planner]",
        "bundle.toml:LINE: PROMPT_MISSING: agent `planner` has prompt `prompts/plannr.md`, which is not there or not UTF-8; repair: add prompts/plannr.md, or did you mean `prompts/planner.md`?",
    );
}

#[test]
fn a_prompt_that_names_what_does_not_exist() {
    check(
        "prompts/planner.md",
        "You plan",
        "{{ tsak }} You plan",
        "",
        "prompts/planner.md + prompts/context.md + prompts/answer.md: PROMPT_INVALID: the prompt of agent `planner` does not render: template line 1: `tsak` is undefined; repair: mend the template",
    );
}

#[test]
fn a_prompt_without_its_schema() {
    check(
        MANIFEST,
        "\"prompts/planner.md\", \"prompts/context.md\", \"prompts/answer.md\"",
        "\"prompts/planner.md\", \"prompts/context.md\"",
        "",
        "prompts/planner.md + prompts/context.md: PROMPT_INCOMPLETE: the prompt of agent `planner` does not show the schema; repair: add {{ data(\"schema\", schema) }}",
    );
}

#[test]
fn a_missing_or_broken_schema() {
    check(
        MANIFEST,
        "schemas/acceptance.json",
        "schemas/none-such.json",
        "[agents.acceptance]",
        "bundle.toml:LINE: SCHEMA_MISSING: agent `acceptance` has schema `schemas/none-such.json`, which is not there or not UTF-8; repair: add schemas/none-such.json",
    );
    let mut source = code();
    source.files.insert("schemas/acceptance.json".to_string(), br#"{"type": "objekt"}"#.to_vec());
    let told = load(&source).unwrap_err().to_string();
    assert!(told.starts_with("schemas/acceptance.json: SCHEMA_INVALID: it is not a JSON Schema: "), "{told}");
}

#[test]
fn a_schema_whose_words_are_not_the_manifests() {
    check(
        MANIFEST,
        "passes = [\"pass\"]",
        "passes = [\"passed\"]",
        "",
        "schemas/acceptance.json: SCHEMA_ANSWER: for agent `acceptance`, the verdict words of schema and manifest differ; repair: set properties.verdict.examples to passes and fails: passed, fail",
    );
    check(
        "schemas/classification.json",
        "\"trivial\",",
        "\"tiny\",",
        "",
        "schemas/classification.json: SCHEMA_ANSWER: for agent `classifier`, the words of `flow` are not the bundle's flows; repair: set properties.flow.enum to flows out of complex, question, simple, standard, trivial",
    );
}

#[test]
fn a_broken_rule_file() {
    check(
        "rules/checks.rules",
        "last list of string",
        "last list of strings",
        "last list of strings",
        "rules/checks.rules:LINE: RULES_INVALID: expected a value's type, found `strings`; repair: one of int, bool, string, bytes",
    );
    check(
        MANIFEST,
        "\"rules/budget.rules\"",
        "\"rules/budgets.rules\"",
        "rules = [",
        "bundle.toml:LINE: RULES_MISSING: rule file `rules/budgets.rules` is not there or not UTF-8; repair: add rules/budgets.rules, or did you mean `rules/budget.rules`?",
    );
}

#[test]
fn a_condition_over_a_fact_that_does_not_exist() {
    check_anywhere(
        "size(facts.open_blockers) > 0",
        "size(facts.open_blocker) > 0",
        "bundle.toml:N: CONDITION: `when` of flow complex, stage adjudicate: there is no fact `open_blocker` above; repair: did you mean `open_blockers`?",
    );
}

#[test]
fn an_unknown_agent() {
    check_anywhere(
        "fanout = [\"reviewer-logic\", \"reviewer-tests\"]",
        "fanout = [\"reviewer-logik\", \"reviewer-logic\", \"reviewer-tests\"]",
        "bundle.toml:N: AGENT_UNKNOWN: flow simple, stage review: there is no agent `reviewer-logik`; repair: declare the agent under [agents], or name another",
    );
}

#[test]
fn an_orphan_stage() {
    check_anywhere(
        "[flows.trivial]",
        "[[flows.question.stages]]\nname = \"late\"\nphase = \"delivery\"\nspawn = \"responder\"\n\n[flows.trivial]",
        "bundle.toml:N: STAGE_ORPHAN: flow question, stage finalize: stages after `finalize` are never reached; move it to the end; repair: let `finalize` be the last stage\n\
         bundle.toml:N: FLOW_OPEN_END: flow question: the last stage is `finalize`; repair: let `finalize` be the last stage",
    );
}

#[test]
fn two_steps_with_one_effect() {
    check_anywhere(
        "[[flows.trivial.stages]]\nname = \"final\"",
        "[[flows.trivial.stages]]\nname = \"again\"\nphase = \"implementation\"\nchecks = [\"test\"]\n\n[[flows.trivial.stages]]\nname = \"final\"",
        "bundle.toml:N: STEP_EFFECT_COLLISION: flow trivial, stage again: check `test` is run by two steps; keep one; repair: let one step run the check",
    );
}

#[test]
fn an_unknown_gate_role() {
    check_anywhere(
        "gate = \"plan\"",
        "gate = \"plans\"",
        "bundle.toml:N: ROLE_UNKNOWN: flow standard, stage plan-gate: there is no gate role `plans`; repair: declare the role under [roles], or name another",
    );
}

#[test]
fn a_flow_that_edits_without_a_final_gate() {
    check(
        MANIFEST,
        "gate = \"final\"",
        "gate = \"plan\"",
        "[flows.trivial]",
        "bundle.toml:LINE: FINAL_GATE_MISSING: flow trivial: a flow that edits has an unconditional gate of role `final` after its last edit; repair: add a stage with gate = \"final\" and no `when` after the last edit",
    );
}

#[test]
fn auto_without_a_floor() {
    let floor = "floor = [\"no-open-blocker\", \"reviewers-ran\", \"final-gate\"]\n";
    let mut source = code();
    let text = source.text(MANIFEST).unwrap().replacen(floor, "", 1).replacen("on-blockers", "auto", 1);
    source.files.insert(MANIFEST.to_string(), text.into_bytes());
    let told = load(&source).unwrap_err().to_string();
    assert_eq!(
        without_lines(&told),
        "bundle.toml:N: AUTO_WITHOUT_FLOOR: role plan: policy `auto` needs a floor: name the rules that make it safe; repair: name rules in `floor`\n\
         bundle.toml:N: AUTO_WITHOUT_FLOOR: preset autonomous makes role plan `auto`, which has no floor; repair: name rules in the role's `floor`\n\
         bundle.toml:N: AUTO_WITHOUT_FLOOR: preset review-final makes role plan `auto`, which has no floor; repair: name rules in the role's `floor`",
    );
}

#[test]
fn a_floor_of_rules_that_do_not_exist_or_cannot_refuse_a_merge() {
    check(
        MANIFEST,
        "\"not-empty\"]",
        "\"not-emtpy\", \"spawns-within-cap\"]",
        "[roles.final]",
        "bundle.toml:LINE: FLOOR_UNKNOWN: the floor of role final names rule `not-emtpy`, which no set has; repair: did you mean `not-empty`?\n\
         bundle.toml:LINE: FLOOR_POWERLESS: the floor of role final names rule `spawns-within-cap`, which cannot refuse a merge; repair: name rules on merge.intended of severity error",
    );
}

#[test]
fn a_preset_of_a_role_that_does_not_exist() {
    check(
        MANIFEST,
        "[presets.autonomous]",
        "[presets.autonomous]\nship = \"auto\"",
        "[presets.autonomous]",
        "bundle.toml:LINE: ROLE_UNKNOWN: preset autonomous sets role `ship`, which is not declared; repair: declare the role under [roles]",
    );
}

#[test]
fn a_check_that_is_not_declared() {
    let flows = ["complex", "simple", "standard", "trivial"];
    let told = flows.map(|flow| {
        format!(
            "bundle.toml:N: CHECK_UNKNOWN: flow {flow} requires check `lint`, which is not declared; \
             repair: add [checks.lint]"
        )
    });
    check_anywhere("[checks.lint]", "[checks.lints]", &told.join("\n"));
}

#[test]
fn a_bundle_that_is_unknown_is_told_with_those_there_are() {
    let unknown = Source::builtin("cook").unwrap_err();
    assert_eq!((unknown.name.as_str(), unknown.known), ("cook", Source::builtin_names()));
    assert_eq!(unknown.to_string(), "there is no bundle `cook`; there are code");
}
