//! Broken bundles are refused with code, file, line and repair; all flaws at once, in a pinned order.
//!
//! Every broken bundle is written to a folder and read from there.

use loom_bundles::{LoadErrors, LoadedBundle, Source, discover, load, test_rules};
use loom_core::commit::Blob;
use loom_core::process::{Bundle, Policy};
use loom_core::run::Terms;
use std::collections::BTreeSet;
use std::path::Path;

fn code() -> Source {
    Source::builtin("code").unwrap()
}

/// Writes a bundle to a folder and loads it from there.
fn load_from_files(source: &Source) -> Result<LoadedBundle, LoadErrors> {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in &source.files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let read = Source::folder(folder.path()).unwrap();
    assert_eq!(read, *source);
    load(&read)
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
    assert_eq!(without_lines(&load_from_files(&source).unwrap_err().to_string()), wanted);
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
    let told = load_from_files(source).map(|_| "it loads".to_string()).unwrap_or_else(|errors| errors.to_string());
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
    let told = load_from_files(&source).unwrap_err().to_string();
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
    let told = load_from_files(&source).unwrap_err().to_string();
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
    let told = load_from_files(&source).unwrap_err().to_string();
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

/// Changes the first of a text in a file.
#[track_caller]
fn change(source: &mut Source, file: &str, from: &str, to: &str) {
    let text = source.text(file).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    let text = text.replacen(from, to, 1);
    source.files.insert(file.to_string(), text.into_bytes());
}

/// Takes away a text of the manifest, from its first words to just before others.
#[track_caller]
fn cut(source: &mut Source, from: &str, until: &str) {
    let text = source.text(MANIFEST).unwrap();
    let begin = text.find(from).unwrap();
    let end = if until.is_empty() { text.len() } else { begin + text[begin..].find(until).unwrap() };
    let text = [&text[..begin], &text[end..]].concat();
    source.files.insert(MANIFEST.to_string(), text.into_bytes());
}

/// A way to break the shipped bundle, and what is told of it after file, line and code.
type Flaw = (&'static str, fn(&mut Source), &'static str);

const TRIVIAL_FINAL: &str = "gate = \"final\"\nrevise_to = \"implement\"\non_refused = \"walk-back\"\n";

/// Every code that a bundle can be refused with, at least once (PROCESS-1, BUNDLE-1).
const FLAWS: &[Flaw] = &[
    (
        "MANIFEST_MISSING",
        |it| drop(it.files.remove(MANIFEST)),
        "the bundle has no readable manifest; repair: add a bundle.toml in UTF-8",
    ),
    ("TOML_SYNTAX", |it| change(it, MANIFEST, "version = 1", "version = "), "; repair: write valid TOML"),
    ("KEY_MISSING", |it| change(it, MANIFEST, "version = 1", ""), "`version` is missing; repair: add `version = …`"),
    (
        "KEY_UNKNOWN",
        |it| change(it, MANIFEST, "edits = false", "edit = false"),
        "`flows.question.edit` is not a key here; repair: did you mean `edits`?",
    ),
    (
        "VALUE_TYPE",
        |it| change(it, MANIFEST, "edits = false", "edits = 0"),
        "`flows.question.edits` is not true or false; repair: write true or false",
    ),
    (
        "WORD_UNKNOWN",
        |it| change(it, MANIFEST, "kind = \"classifier\"", "kind = \"judge\""),
        "`agents.classifier.kind` is `judge`; repair: one of classifier, adviser, worker, reviewer",
    ),
    (
        "WORD_UNKNOWN",
        |it| change(it, MANIFEST, "plan = \"human\"", "plan = \"humane\""),
        "role `plan` has no known policy; repair: one of human, on-blockers, auto",
    ),
    (
        "STAGE_KIND",
        |it| change(it, MANIFEST, "finalize = true", "finalize = false"),
        "the stage says no things to do; repair: name exactly one of spawn, fanout, gate, checks, finalize",
    ),
    (
        "PROMPT_MISSING",
        |it| drop(it.files.remove("prompts/planner.md")),
        "agent `planner` has prompt `prompts/planner.md`, which is not there or not UTF-8; \
         repair: add prompts/planner.md, or did you mean `prompts/answer.md`?",
    ),
    (
        "PROMPT_INVALID",
        |it| change(it, "prompts/planner.md", "You plan", "{{ tsak }} You plan"),
        "the prompt of agent `planner` does not render: template line 1: `tsak` is undefined; repair: mend the template",
    ),
    (
        "PROMPT_INCOMPLETE",
        |it| change(it, MANIFEST, "\"prompts/planner.md\", \"prompts/context.md\"", "\"prompts/planner.md\""),
        "the prompt of agent `planner` does not show the task; repair: add {{ data(\"task\", task) }}",
    ),
    (
        "SCHEMA_MISSING",
        |it| drop(it.files.insert("schemas/text.json".to_string(), b"\xff".to_vec())),
        "agent `planner` has schema `schemas/text.json`, which is not there or not UTF-8; repair: write schemas/text.json in UTF-8",
    ),
    (
        "SCHEMA_INVALID",
        |it| change(it, "schemas/text.json", "\"object\"", "\"objekt\""),
        "; repair: write a JSON Schema (draft 2020-12)",
    ),
    (
        "SCHEMA_ANSWER",
        |it| change(it, "schemas/text.json", "\"required\": [\n    \"summary\"\n  ]", "\"required\": []"),
        "for agent `planner`, `summary` is not required; repair: add `summary` to `required`",
    ),
    (
        "SCHEMA_ANSWER",
        |it| change(it, "schemas/acceptance.json", "\"examples\"", "\"enum\": [\"pass\"],\n      \"examples\""),
        "for agent `acceptance`, `verdict` has an enum, so an unknown word is tried again instead of counting as a \
         failure; repair: use `examples` in its place",
    ),
    (
        "RULES_MISSING",
        |it| drop(it.files.remove("rules/budget.rules")),
        "rule file `rules/budget.rules` is not there or not UTF-8; \
         repair: add rules/budget.rules, or did you mean `rules/gates.rules`?",
    ),
    (
        "RULES_INVALID",
        |it| change(it, "rules/budget.rules", "facts.spawns < facts.cap_spawns", "facts.spawns <"),
        "; repair: see specs/rules.md",
    ),
    (
        "RULE_VACUOUS",
        |it| change(it, "rules/budget.rules", "has(facts.cap_spawns) && facts.spawns < facts.cap_spawns", "1 == 1"),
        "rule `spawns-within-cap` is proven to never refuse: no spawn.requested makes it false; repair: require something \
         that an event can make false, or remove the rule",
    ),
    (
        "RULE_FIRES",
        |it| change(it, "rules/budget.rules", "has(facts.cap_spawns) && facts.spawns < facts.cap_spawns", "1 == 2"),
        "rule `spawns-within-cap` is proven to always refuse: no spawn.requested makes it true; repair: require something \
         that an event can make true, or leave out spawn.requested",
    ),
    (
        "CLAUSE_DEAD",
        |it| change(it, "rules/budget.rules", "event.outcome == \"limited\"", "1 == 2"),
        "this clause of fact `spawns` is proven to never apply: no spawn.finished makes its condition true; \
         repair: mend the condition, or remove the clause",
    ),
    (
        "RULES_NONE",
        |it| cut(it, "rules = [", "[limits]"),
        "no rule set is loaded (RULE-2); repair: a run is judged by at least one rule set",
    ),
    (
        "RULES_NONE",
        |it| change(it, MANIFEST, "rules = [", "rules = [\"rules/budget.rules\","),
        "there are two rule sets `budget` (RULE-2); repair: mend `rules`",
    ),
    (
        "CONDITION",
        |it| change(it, MANIFEST, "size(facts.open_blockers) > 0", "size(facts.open_blockers)"),
        "; repair: write a condition over facts of the rule sets",
    ),
    (
        "PROCESS_EMPTY",
        |it| cut(it, "[flows.question]", ""),
        "bundle: it has no flow; add one under flows; repair: add a flow",
    ),
    (
        "FLOW_UNKNOWN",
        |it| change(it, MANIFEST, "default_flow = \"standard\"", "default_flow = \"standart\""),
        "default_flow: there is no flow `standart`; repair: mend it as told",
    ),
    (
        "AGENT_UNKNOWN",
        |it| change(it, MANIFEST, "classifier = \"classifier\"", "classifier = \"nobody\""),
        "classifier: there is no agent `nobody`; repair: declare the agent under [agents], or name another",
    ),
    (
        "AGENT_UNKNOWN",
        |it| change(it, MANIFEST, "escalate = \"implementer-escalated\"", "escalate = \"nobody\""),
        "flow trivial, stage implement: there is no agent `nobody`; \
         repair: declare the agent under [agents], or name another",
    ),
    (
        "AGENT_KIND",
        |it| change(it, MANIFEST, "classifier = \"classifier\"", "classifier = \"planner\""),
        "classifier: agent `planner` is not a classifier; \
         repair: spawn takes advisers and workers, fanout takes reviewers, the classifier is one",
    ),
    (
        "AGENT_KIND",
        |it| change(it, MANIFEST, "spawn = \"responder\"", "spawn = \"acceptance\""),
        "flow question, stage respond: agent `acceptance` is of a kind that does not work here; \
         repair: spawn takes advisers and workers, fanout takes reviewers, the classifier is one",
    ),
    (
        "AGENT_KIND",
        |it| change(it, MANIFEST, "fanout = [\"acceptance\"]", "fanout = [\"implementer\"]"),
        "flow standard, stage acceptance: agent `implementer` is of a kind that does not work here; \
         repair: spawn takes advisers and workers, fanout takes reviewers, the classifier is one",
    ),
    (
        "AGENT_UNUSED",
        |it| change(it, MANIFEST, "spawn = \"responder\"", "spawn = \"planner\""),
        "agent responder: no stage uses it; remove it or name it in a stage; \
         repair: remove the agent or give it a stage",
    ),
    (
        "NAME_RANGE",
        |it| change(it, MANIFEST, "phase = \"answering\"", "phase = \"\""),
        "name ``: a name has 1 to 40 bytes; repair: mend it as told",
    ),
    (
        "NAME_RANGE",
        |it| change(it, MANIFEST, "phase = \"answering\"", "phase = \"answering-answering-answering-answering-a\""),
        "name `answering-answering-answering-answering-a`: a name has 1 to 40 bytes; repair: mend it as told",
    ),
    (
        "REQUIRED_RANGE",
        |it| change(it, MANIFEST, "[\"reviewer-logic\",", &format!("[{}", "\"reviewer-logic\",".repeat(32))),
        "flow simple: a flow requires at most 32 reviewers and as many checks; repair: mend it as told",
    ),
    (
        "REQUIRED_RANGE",
        |it| change(it, MANIFEST, "[\"lint\",", &format!("[{}", "\"lint\",".repeat(31))),
        "flow trivial: a flow requires at most 32 reviewers and as many checks; repair: mend it as told",
    ),
    (
        "DEADLINE_RANGE",
        |it| change(it, MANIFEST, "\ndeadline_ms = 604_800_000", "\ndeadline_ms = 0"),
        "role plan: a person has at least a millisecond and at most a year; repair: mend it as told",
    ),
    (
        "DEADLINE_RANGE",
        |it| change(it, MANIFEST, "ask_deadline_ms = 604_800_000", "ask_deadline_ms = 31_622_400_001"),
        "limits, ask_deadline_ms: a person has at least a millisecond and at most a year; repair: mend it as told",
    ),
    (
        "LIMIT_RANGE",
        |it| change(it, MANIFEST, "replans_max = 3", "replans_max = 11"),
        "limits: attempts_max is at least 1 and replans_max at most 10; repair: mend it as told",
    ),
    (
        "LIMIT_RANGE",
        |it| change(it, MANIFEST, "attempts_max = 2", "attempts_max = 0"),
        "limits: attempts_max is at least 1 and replans_max at most 10; repair: mend it as told",
    ),
    (
        "ROLE_RESERVED",
        |it| {
            let role = "[roles.ask]\npolicy = \"human\"\ndeadline_ms = 1\ndefault = \"rejected\"\n\n[roles.plan]";
            change(it, MANIFEST, "[roles.plan]", role);
        },
        "role ask: `ask` is the kernel's own gate; use another name; repair: mend it as told",
    ),
    (
        "ROLE_DEFAULT",
        |it| change(it, MANIFEST, "default = \"abandoned\"", "default = \"accepted\""),
        "role plan: the default is `rejected` or `abandoned`, never an acceptance; repair: mend it as told",
    ),
    (
        "ROLE_DEFAULT",
        |it| change(it, MANIFEST, "default = \"abandoned\"", "default = \"revised\""),
        "role plan: the default is `rejected` or `abandoned`, never an acceptance; repair: mend it as told",
    ),
    (
        "ROLE_UNKNOWN",
        |it| change(it, MANIFEST, "gate = \"plan\"", "gate = \"plans\""),
        "flow standard, stage plan-gate: there is no gate role `plans`; \
         repair: declare the role under [roles], or name another",
    ),
    (
        "ROLE_UNKNOWN",
        |it| change(it, MANIFEST, "[presets.autonomous]", "[presets.autonomous]\nship = \"auto\""),
        "preset autonomous sets role `ship`, which is not declared; repair: declare the role under [roles]",
    ),
    (
        "AUTO_WITHOUT_FLOOR",
        |it| {
            change(it, MANIFEST, "policy = \"on-blockers\"", "policy = \"auto\"");
            change(it, MANIFEST, "floor = [\"no-open-blocker\", \"reviewers-ran\", \"final-gate\"]\n", "");
        },
        "role plan: policy `auto` needs a floor: name the rules that make it safe; repair: name rules in `floor`",
    ),
    (
        "FLOOR_UNKNOWN",
        |it| change(it, MANIFEST, "\"not-empty\"]", "\"nothing-of-the-sort\"]"),
        "the floor of role final names rule `nothing-of-the-sort`, which no set has; \
         repair: name a rule of the bundle's rule files",
    ),
    (
        "FLOOR_POWERLESS",
        |it| change(it, MANIFEST, "\"not-empty\"]", "\"spawns-within-cap\"]"),
        "the floor of role final names rule `spawns-within-cap`, which cannot refuse a merge; \
         repair: name rules on merge.intended of severity error",
    ),
    (
        "STAGE_DUPLICATE",
        |it| change(it, MANIFEST, "name = \"finalize\"", "name = \"respond\""),
        "flow question, stage respond: the name is taken; stage names are unique in a flow; repair: rename the stage",
    ),
    (
        "STAGE_DUPLICATE",
        |it| change(it, MANIFEST, "name = \"finalize\"", "name = \"classify\""),
        "flow question, stage classify: the name is taken; stage names are unique in a flow; repair: rename the stage",
    ),
    (
        "STAGE_EMPTY",
        |it| change(it, MANIFEST, "fanout = [\"reviewer-logic\", \"reviewer-tests\"]", "fanout = []"),
        "flow simple, stage review: a fanout names at least one agent; repair: mend it as told",
    ),
    (
        "STEP_EFFECT_COLLISION",
        |it| change(it, MANIFEST, "\nchecks = [\"lint\",", "\nchecks = [\"lint\", \"lint\","),
        "flow trivial, stage checks: check `lint` is run by two steps; keep one; \
         repair: let one step run the check",
    ),
    (
        "STAGE_ORPHAN",
        |it| {
            let late = "[[flows.question.stages]]\nname = \"late\"\nphase = \"late\"\nspawn = \"responder\"\n\n[flows.trivial]";
            change(it, MANIFEST, "[flows.trivial]", late);
        },
        "flow question, stage finalize: stages after `finalize` are never reached; move it to the end; \
         repair: let `finalize` be the last stage",
    ),
    (
        "FLOW_OPEN_END",
        |it| {
            let end = "[[flows.question.stages]]\nname = \"finalize\"\nphase = \"delivery\"\nfinalize = true\n";
            change(it, MANIFEST, end, "");
        },
        "flow question: the last stage is `finalize`; repair: let `finalize` be the last stage",
    ),
    (
        "WALK_FORWARD",
        |it| change(it, MANIFEST, "revise_to = \"implement\"", "revise_to = \"final\""),
        "flow trivial, stage checks: `final` is not an earlier stage; repair: let revise_to name an earlier stage",
    ),
    (
        "STAGE_UNKNOWN",
        |it| change(it, MANIFEST, "revise_to = \"implement\"", "revise_to = \"implemant\""),
        "flow trivial, stage checks: there is no stage `implemant` to walk back to; \
         repair: let revise_to name an earlier stage",
    ),
    (
        "STAGE_UNKNOWN",
        |it| change(it, MANIFEST, TRIVIAL_FINAL, "gate = \"final\"\non_refused = \"walk-back\"\n"),
        "flow trivial, stage final: on_refused walks back, but revise_to is missing; \
         repair: let revise_to name an earlier stage",
    ),
    (
        "FLOW_READ_ONLY",
        |it| change(it, MANIFEST, "spawn = \"responder\"", "spawn = \"implementer\""),
        "flow question, stage respond: agent `implementer` changes the tree, but the flow does not say `edits`; \
         repair: mend it as told",
    ),
    (
        "FINAL_GATE_MISSING",
        |it| change(it, MANIFEST, "gate = \"final\"", "gate = \"plan\""),
        "flow trivial: a flow that edits has an unconditional gate of role `final` after its last edit; \
         repair: add a stage with gate = \"final\" and no `when` after the last edit",
    ),
    (
        "FINAL_GATE_MISSING",
        |it| change(it, MANIFEST, "gate = \"final\"", "gate = \"final\"\nwhen = \"size(facts.open_blockers) > 0\""),
        "flow trivial: a flow that edits has an unconditional gate of role `final` after its last edit; \
         repair: add a stage with gate = \"final\" and no `when` after the last edit",
    ),
    (
        "FINAL_GATE_MISSING",
        |it| {
            let more = "[[flows.trivial.stages]]\nname = \"more\"\nphase = \"more\"\nspawn = \"implementer\"\n\n";
            let end = "[[flows.trivial.stages]]\nname = \"finalize\"";
            change(it, MANIFEST, end, &format!("{more}{end}"));
        },
        "flow trivial: a flow that edits has an unconditional gate of role `final` after its last edit; \
         repair: add a stage with gate = \"final\" and no `when` after the last edit",
    ),
    (
        "REVIEWER_ABSENT",
        |it| change(it, MANIFEST, "required_reviewers = [", "required_reviewers = [\"reviewer-style\", "),
        "flow simple: required reviewer `reviewer-style` is in no fanout; repair: mend it as told",
    ),
    (
        "CHECK_ABSENT",
        |it| change(it, MANIFEST, "\nchecks = [\"lint\",", "\nchecks = ["),
        "flow trivial: required check `lint` is in no step; repair: mend it as told",
    ),
    (
        "CHECK_UNKNOWN",
        |it| change(it, MANIFEST, "[checks.lint]", "[checks.lints]"),
        "flow trivial requires check `lint`, which is not declared; repair: add [checks.lint]",
    ),
];

#[test]
fn every_flaw_is_told_with_its_code_and_repair() {
    let mut missed = Vec::new();
    for (name, breaks, wanted) in FLAWS {
        let mut source = code();
        breaks(&mut source);
        let told = load_from_files(&source).map(|_| "it loads".to_string()).unwrap_or_else(|errors| errors.to_string());
        let mark = format!(": {name}: ");
        if !told.lines().any(|line| line.contains(&mark) && line.ends_with(wanted)) {
            missed.push(format!("{name}: {wanted}\n  {told}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Codes of what stands beside a bundle: cases of its rules, and a project's declaration of its checks.
fn codes_beside() -> [(&'static str, String); 3] {
    let rules = code().text("rules/budget.rules").unwrap().to_string();
    let problems = |cases: &str| test_rules("budget.rules", &rules, cases).problems.join("\n");
    let declared = discover(&|path| (path == "loom.toml").then(|| b"[checks]\ntest = 1\n".to_vec())).unwrap_err();
    [
        ("CASE_GIVEN", problems("[[given]]\nkind = \"gate.opened\"\n")),
        ("CASE_EVENT", problems("[[given]]\nkind = \"run.opend\"\n")),
        ("CHECKS_DECLARATION", declared[0].to_string()),
    ]
}

/// Returns the codes in a source text: whole string literals of capitals and underscores.
fn codes_in(text: &str) -> BTreeSet<String> {
    let is_code = |word: &&str| word.len() > 4 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    text.split('"').filter(is_code).map(str::to_string).collect()
}

#[test]
fn every_code_that_the_source_can_give_is_tested() {
    let mut tested: BTreeSet<String> = FLAWS.iter().map(|(code, _, _)| (*code).to_string()).collect();
    for (code, told) in codes_beside() {
        assert!(told.contains(&format!(": {code}: ")), "{code}: {told}");
        tested.insert(code.to_string());
    }
    tested.extend(crate::flaws::FLAWS.iter().map(|(code, _, _)| (*code).to_string()));
    let room = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![room.join("../core/src/process.rs")];
    files.extend(std::fs::read_dir(room.join("src")).unwrap().map(|entry| entry.unwrap().path()));
    let given: BTreeSet<String> =
        files.iter().flat_map(|file| codes_in(&std::fs::read_to_string(file).unwrap())).collect();
    assert_eq!(given, tested);
}

#[test]
fn a_bundle_that_is_unknown_is_told_with_those_there_are() {
    let unknown = Source::builtin("cook").unwrap_err();
    assert_eq!((unknown.name.as_str(), unknown.known), ("cook", Source::builtin_names()));
    assert_eq!(unknown.to_string(), "there is no bundle `cook`; there are code");
}
