//! The rule of each incident: checked, with cases; it fires where its page says and nowhere else (MUSEUM-3); loaded live it
//! refuses the same script there (MUSEUM-4).

use super::exhibit::{Exhibit, exhibits, fixtures};
use super::outline::outline;
use super::pages::{fires_at, rules_of_code};
use super::play::Played;
use crate::rig::{Place, Ran, same};
use loom_core::cbor::Decoder;
use loom_core::event::View;
use loom_core::kind::{Event, Refused};
use loom_core::rules::RuleSet;
use loom_core::schema::Class;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn candidate(exhibit: &Exhibit) -> PathBuf {
    exhibit.folder.join("candidate.rules")
}

/// Returns a candidate's one rule as events name it: `set/rule`.
fn rule_of(exhibit: &Exhibit) -> String {
    let set = RuleSet::load(&exhibit.text("candidate.rules")).unwrap();
    let rules: Vec<String> = set.rules().map(|rule| format!("{}/{}", set.name(), rule.name)).collect();
    assert_eq!(rules.len(), 1, "{}: a candidate is one rule", exhibit.name);
    assert_eq!(Some(set.name()), exhibit.name.split_once('-').map(|(_, name)| name), "the set is called as its folder");
    rules.concat()
}

/// Returns the files of all candidates.
fn candidates() -> Vec<PathBuf> {
    exhibits("incidents").iter().map(candidate).collect()
}

/// Judges a folder by these rule files, from the root of the repository.
fn judged(place: &Place, arguments: &str, rules: &[PathBuf]) -> Ran {
    let mut command = place.replay_command("judge");
    command.current_dir(fixtures().join("..")).args(arguments.split_whitespace());
    for file in rules {
        command.arg("--rules").arg(file);
    }
    command.output().unwrap().into()
}

fn judged_json(place: &Place, folder: &str, rules: &[PathBuf]) -> (i32, Value) {
    let ran = judged(place, &format!("{folder} --json --quiet"), rules);
    (ran.code, serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}{}", ran.out, ran.err)))
}

/// Returns the findings as source, rule, sequence, kind, and whether they came after the run would have gone another way.
fn findings(told: &Value) -> Vec<(String, String, u64, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let finding = |found: &Value| {
        let at = |list: &str, index: &Value| &told[list][usize::try_from(index.as_u64().unwrap()).unwrap()];
        let source = text(&at("sources", &at("runs", &found["run"])["source"])["path"]);
        let (sequence, later) = (found["sequence"].as_u64().unwrap(), found["counterfactual"].as_bool().unwrap());
        (source, text(&found["rule"]), sequence, text(&found["kind"]), later)
    };
    told["findings"].as_array().unwrap().iter().map(finding).collect()
}

/// A command of `loom rules` that ends well.
#[track_caller]
fn rules_say(place: &Place, command: &str, file: &Path) -> String {
    let mut words = command.split(' ');
    let mut asked = place.command("rules");
    asked.arg(words.next().unwrap()).arg(file).args(words);
    let ran: Ran = asked.output().unwrap().into();
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{command} {}: {}", file.display(), ran.out);
    ran.out
}

#[test]
fn candidates_are_sound_and_their_cases_notice_every_change() {
    let place = Place::empty();
    for file in candidates() {
        let told = ["check", "test", "mutate --min 100"].map(|command| rules_say(&place, command, &file));
        assert!(!told.concat().contains(": warning "), "{}: {}", file.display(), told.concat());
    }
    let floor = fixtures().join("museum/rules/floor.rules");
    for command in ["check", "test", "mutate --min 100"] {
        rules_say(&place, command, &floor);
    }
}

#[test]
fn a_candidate_fires_where_its_page_says_and_over_no_honest_run() {
    let place = Place::empty();
    let (code, told) = judged_json(&place, "fixtures/incidents", &candidates());
    assert_eq!(code, 4);
    let found = findings(&told);
    for exhibit in exhibits("incidents") {
        let (rule, source) = (rule_of(&exhibit), format!("fixtures/{}/trace.loom", exhibit.name));
        let fired = found.iter().filter(|(at, by, .., later)| *at == source && *by == rule && !later);
        let fired: Vec<(u64, String)> = fired.map(|(_, _, sequence, kind, _)| (*sequence, kind.clone())).collect();
        assert_eq!(fired, [fires_at(&exhibit)], "{}", exhibit.name);
    }
    let (code, told) = judged_json(&place, "fixtures/runs", &candidates());
    assert_eq!((code, findings(&told)), (0, Vec::new()));
    assert_eq!(told["totals"]["runs"].as_u64(), Some(exhibits("runs").len() as u64));
    for rule in told["rules"].as_array().unwrap() {
        assert!(rule["holds"].as_u64() > Some(0), "no honest run comes to {}", rule["rule"]);
    }
}

#[test]
fn the_rules_of_code_refuse_what_the_pages_say_and_no_honest_run() {
    let place = Place::empty();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundles/code/rules");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut rules: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "rules")).collect();
    rules.sort();
    let (_, told) = judged_json(&place, "fixtures/incidents", &rules);
    let found = findings(&told);
    for exhibit in exhibits("incidents") {
        let source = format!("fixtures/{}/trace.loom", exhibit.name);
        let mut refused: Vec<String> = Vec::new();
        refused.extend(found.iter().filter(|(at, .., later)| *at == source && !later).map(|(_, by, ..)| by.clone()));
        let mut named = rules_of_code(&exhibit);
        refused.sort();
        named.sort();
        assert_eq!(named, refused, "{}", exhibit.name);
    }
    let (code, told) = judged_json(&place, "fixtures/runs", &rules);
    assert_eq!((code, findings(&told)), (0, Vec::new()));
}

/// Returns the sequence and kind of the decision that was refused: the last of the proposal.
fn refused_decision(refused: &Refused) -> (u64, String) {
    let mut decoder = Decoder::new(&refused.proposal);
    let count = decoder.array().unwrap();
    let last = (0..count).map(|_| decoder.bytes().unwrap()).last().unwrap();
    let view = View::read(last).unwrap();
    (view.sequence, view.schema.name.to_string())
}

#[test]
fn a_candidate_that_is_loaded_live_refuses_the_same_script_at_the_same_event() {
    needs!("git", "sh", "sed");
    for exhibit in exhibits("incidents") {
        let (rule, (at, kind)) = (rule_of(&exhibit), fires_at(&exhibit));
        let trace = exhibit.trace();
        let fired = View::read(&trace.events[usize::try_from(at).unwrap()].bytes).unwrap();
        // Up to the input of that commit nothing differs.
        let before = outline(&trace.events[..=usize::try_from(fired.input).unwrap()]);
        let played = Played::of(&exhibit, vec![exhibit.text("candidate.rules")]);
        assert!(
            outline(&played.events()).starts_with(&before),
            "{} went another way before it was refused",
            exhibit.name
        );
        let live = played.envelopes();
        let commit: Vec<&Event> =
            live.iter().filter(|event| event.input == fired.input).map(|event| &event.body).collect();
        let answer = commit.iter().find_map(|event| match event {
            Event::Refused(refused) => Some((refused.rules.iter().cloned().collect(), refused_decision(refused))),
            Event::Violation(found) => Some((vec![found.rule.clone()], (found.event, found.kind.clone()))),
            _ => None,
        });
        assert_eq!(answer, Some((vec![rule], (at, kind.clone()))), "{}: {commit:?}", exhibit.name);
        if fired.schema.class == Class::Decision {
            assert!(played.waits() && !played.has_ended(), "{}: a person is asked: {commit:?}", exhibit.name);
            let stands = commit.iter().any(|event| event.schema().name == kind);
            assert!(!stands, "{}: what was refused is not on record: {commit:?}", exhibit.name);
        }
    }
}

/// Compares with a golden file, or writes it where that is asked for.
#[track_caller]
fn is_golden(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/museum").join(file);
    if std::env::var_os("LOOM_UPDATE").is_some() {
        fs::write(&path, found).unwrap();
    }
    same(found, &fs::read_to_string(&path).unwrap_or_default());
}

/// Returns of a judgement what its reader looks for first.
fn gist(told: &Value) -> Value {
    let findings: Vec<Value> = findings(told)
        .into_iter()
        .map(|(source, rule, sequence, kind, later)| json!([source, rule, format!("#{sequence} {kind}"), later]))
        .collect();
    json!({ "loom": told["loom"], "rules": told["rules"], "totals": told["totals"], "findings": findings })
}

#[test]
fn the_museum_is_judged_as_the_golden_files_say() {
    let place = Place::empty();
    let ran = judged(&place, "fixtures/incidents --quiet", &candidates());
    assert_eq!((ran.code, ran.err.as_str()), (4, ""));
    is_golden("judged.golden.txt", &ran.out);
    let (_, told) = judged_json(&place, "fixtures/incidents", &candidates());
    is_golden("judged.golden.json", &format!("{:#}\n", gist(&told)));
}

#[test]
fn the_readme_shows_the_museum_as_it_is_judged() {
    let readme = fs::read_to_string(fixtures().join("../README.md")).unwrap();
    let (_, rest) =
        readme.split_once("$ loom-replay judge fixtures/incidents --rules …\n").expect("the README shows it");
    let (shown, _) = rest.split_once("```").unwrap();
    let ran = judged(&Place::empty(), "fixtures/incidents --quiet", &candidates());
    let mut told = ran.out.lines();
    let mut count = 0;
    for line in shown.lines().filter(|line| *line != "…") {
        assert!(told.any(|found| found == line), "not told, or not in this order: {line}");
        count += 1;
    }
    assert!(count > 5, "{shown}");
}
