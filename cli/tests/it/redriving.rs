//! `loom-replay redrive --bundle`, from outside: recorded runs under their bundle as it is, and as it is changed in a folder.

use crate::explaining::is_of_its_schema;
use crate::rig::Place;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copied(&from, &to),
            false => drop(fs::copy(&from, &to).unwrap()),
        }
    }
}

/// Returns a place with the bundle of the recorded runs in the folder `museum`, one of its files changed.
pub(crate) fn place(file: &str, change: impl Fn(String) -> String) -> Place {
    let place = Place::empty();
    copied(&fixtures().join("museum"), &place.path().join("museum"));
    let file = place.path().join("museum").join(file);
    let text = fs::read_to_string(&file).unwrap();
    let changed = change(text.clone());
    fs::write(&file, changed).unwrap();
    place
}

/// Drives all recorded runs again under the bundle in the folder `museum`.
fn driven(place: &Place) -> (i32, Value, String) {
    let of = |arguments: &[&str]| {
        let mut command = place.replay_command("redrive --quiet --bundle museum");
        let ran = command.args(arguments).arg(fixtures().join("runs")).arg(fixtures().join("incidents"));
        crate::rig::Ran::from(ran.output().unwrap())
    };
    let (told, text) = (of(&["--json"]), of(&[]));
    assert_eq!((told.code, told.err.as_str()), (text.code, text.err.as_str()));
    let document: Value = serde_json::from_str(&told.out).unwrap_or_else(|error| panic!("{error}: {}", told.out));
    is_of_its_schema(place, &document);
    (told.code, document, text.out)
}

fn runs(document: &Value) -> &[Value] {
    document["runs"].as_array().unwrap()
}

fn last(text: &str) -> &str {
    text.lines().last().unwrap()
}

#[test]
fn every_recorded_run_goes_the_same_way_under_its_bundle_and_where_only_digests_differ() {
    let same = |name: &str, (code, document, text): (i32, Value, String), title: &str| {
        let all = runs(&document).len();
        assert!(all > 30, "{name}: {all}");
        assert_eq!((code, &document["same"], &document["bundle"]["title"]), (0, &all.into(), &title.into()), "{text}");
        assert_eq!(last(&text), format!("{all} of {all} runs go the same way under {title} as it is now"), "{name}");
        runs(&document).iter().map(|run| run["otherwise_asked"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(same("as it is", driven(&place("bundle.toml", |text| text)), "museum 1"), 0);
    let version = place("bundle.toml", |text| text.replace("version = 1", "version = 2"));
    assert_eq!(same("another version", driven(&version), "museum 2"), 0);
    // The digest of a rule set is in what people approve: their answers are bound to it (REDRIVE-4).
    let comment = place("rules/floor.rules", |text| text + "\n# Looked at again.\n");
    assert_eq!(same("another text of a rule set", driven(&comment), "museum 1"), 0);
    // What agents would have answered to another prompt nobody knows: it is counted.
    let prompt = place("prompts/agent.md", |text| text + "\nBe brief.\n");
    assert!(same("another prompt", driven(&prompt), "museum 1") > 32);
}

#[test]
fn a_stage_more_is_bundle_drift_where_it_would_have_been_entered() {
    let tidy = "[[flows.simple.stages]]\nname = \"tidy\"\nphase = \"implementation\"\nspawn = \"formatter\"\n\n";
    let review = "[[flows.simple.stages]]\nname = \"review\"";
    let place = place("bundle.toml", |text| text.replacen(review, &format!("{tidy}{review}"), 1));
    let (code, document, text) = driven(&place);
    assert_eq!(code, 7);
    let diverged: Vec<&Value> = runs(&document).iter().filter(|run| run["result"] == "diverged").collect();
    assert!(diverged.len() > 5 && diverged.len() < runs(&document).len(), "{}", diverged.len());
    for run in diverged {
        assert_eq!(run["drift"], "bundle", "{run}");
        assert_eq!(run["because"], "the run was opened under museum 1, and what museum 1 is now leads elsewhere");
        assert!(run["what"].as_str().unwrap().ends_with("stage.entered at tidy, round 1 comes out"), "{run}");
        assert!(run["sequence"].as_u64() > Some(5), "{run}");
    }
    assert!(text.contains("stage.entered at review, round 1 is on record, stage.entered at tidy, round 1 comes out"));
}

#[test]
fn another_deadline_or_reserve_says_something_else_in_the_same_place() {
    let deadline = place("bundle.toml", |text| text.replace("deadline_ms = 86_400_000", "deadline_ms = 3_600_000"));
    let (code, document, text) = driven(&deadline);
    assert_eq!(code, 7);
    assert!(text.contains("gate.opened of final at final, round 1 says something else: deadline_ms: "), "{text}");
    assert!(runs(&document).iter().all(|run| run["result"] == "same" || run["drift"] == "bundle"), "{text}");
    // Without a flow that runs name, or with a role less, they are not opened at all, or go elsewhere from the first stage on.
    let role =
        place("bundle.toml", |text| text.replace("\"plan\"", "\"plans\"").replace("roles.plan]", "roles.plans]"));
    let (_, document, _) = driven(&role);
    assert!(runs(&document).iter().all(|run| run["result"] == "same" || run["drift"] == "bundle"), "{document}");
}

#[test]
fn a_rule_that_refuses_what_stood_is_rule_drift_at_the_refusal() {
    let rule = "\nfact spawns counter\n  add spawn.requested\n\nrule few-spawns on spawn.requested\n  require facts.spawns < 2\n  \
                message \"too many spawns\"\n";
    let (code, document, text) = driven(&place("rules/floor.rules", |text| text + rule));
    assert_eq!(code, 7);
    let mut found = 0;
    for run in runs(&document).iter().filter(|run| run["result"] == "diverged") {
        found += 1;
        assert_eq!(
            (&run["drift"], &run["because"]),
            (&"rule".into(), &"rule sets are not those of the run: floor".into())
        );
        let what = run["what"].as_str().unwrap();
        assert!(what.contains("is on record, refused of ") && what.ends_with(" comes out"), "{what}");
    }
    assert!(found > 10 && text.contains("  rule drift: "), "{text}");
}

#[test]
fn a_run_of_another_bundle_is_not_driven_and_a_bundle_that_cannot_be_used_is_told() {
    let renamed = place("bundle.toml", |text| text.replace("name = \"museum\"", "name = \"gallery\""));
    let (code, document, text) = driven(&renamed);
    assert_eq!((code, runs(&document).len()), (8, 0));
    let all = document["other_bundles"]["museum"].as_u64().unwrap();
    assert!(all > 30 && text.contains(&format!("{all} runs under the bundle museum were not driven")), "{text}");

    let runs = fixtures().join("runs").display().to_string();
    let code = |place: &Place, bundle: &str| place.replay(&format!("redrive --quiet --bundle {bundle} {runs}")).code;
    assert_eq!(code(&renamed, "code"), 8);
    assert_eq!(code(&renamed, "nowhere"), 2);
    assert_eq!(code(&renamed, "./nowhere"), 2);
    let broken = place("bundle.toml", |text| text.replace("version = 1", "version = \"one\""));
    assert_eq!(code(&broken, "museum"), 1);
    let linked = place("bundle.toml", |text| text);
    std::os::unix::fs::symlink("/dev/null", linked.path().join("museum/rules/more.rules")).unwrap();
    let ran = linked.replay(&format!("redrive --quiet --bundle museum {runs}"));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("is not a plain file or folder with a UTF-8 name"), "{}", ran.err);
}
