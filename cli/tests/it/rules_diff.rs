//! `loom rules diff`: what two rule sets decide differently over recorded runs, from outside.

use crate::explaining::is_of_its_schema;
use crate::made::{RULES, Until};
use crate::replaying::LATER;
use crate::rig::Place;
use serde_json::{Value, json};
use std::fs;

/// A made store, and rule files beside it: the recorded one and others.
fn place(runs: &[Until]) -> Place {
    let place = Place::with(runs);
    let write = |name: &str, text: String| fs::write(place.path().join(name), text).unwrap();
    write("floor.rules", RULES.to_string());
    write("weak.rules", RULES.replace("size(facts.blockers) == 0", "size(facts.blockers) < 9"));
    write("later.rules", LATER.to_string());
    write("fewer.rules", LATER.replace("facts.spawns < 100", "facts.spawns < 3").replace("set later", "set fewer"));
    let huge = |name: &str, factor: &str| {
        format!(
            "loom rules 1\nset {name} \"What is reserved.\"\n\nfact huge sum\n  add spawn.requested: event.reserve_tokens * {factor}\n\n\
             rule reserved on spawn.requested\n  require facts.huge >= 0\n  message \"too much is reserved\"\n"
        )
    };
    write("huge.rules", huge("huge", "4000000000000000"));
    write("small.rules", huge("small", "4"));
    place
}

fn told(place: &Place, arguments: &str) -> (i32, Value) {
    let ran = place.loom(&format!("rules diff {arguments} --json"));
    let document: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err));
    is_of_its_schema(place, &document);
    (ran.code, document)
}

#[test]
fn equal_sets_decide_alike_by_file_and_by_name() {
    let place = place(&[Until::End, Until::Gate]);
    for arguments in ["floor.rules floor.rules", "floor.rules floor", "later.rules later.rules .loom"] {
        let (code, document) = told(&place, arguments);
        assert_eq!((code, &document["loom"], &document["equal"]), (0, &"rules-diff/1".into(), &true.into()));
        assert_eq!((&document["runs"], &document["sources"]), (&2.into(), &1.into()));
        assert_eq!(document["sets"][0]["asked"], document["sets"][1]["asked"]);
        let ran = place.loom(&format!("rules diff {arguments}"));
        assert_eq!((ran.code, ran.err.as_str(), ran.out.lines().last()), (0, "", Some("both decide alike")));
    }
    // A set is found by its digest, too, where its name is that of several.
    let listed: Value = serde_json::from_str(&place.loom("rules list --json").out).unwrap();
    let floor = listed["sets"].as_array().unwrap().iter().find(|set| set["set"] == "floor").unwrap();
    let digest = &floor["digest"].as_str().unwrap()[..12];
    assert_eq!(told(&place, &format!("{digest} floor.rules")).0, 0);
}

#[test]
fn what_one_refuses_and_the_other_passes_is_told_with_its_place_and_what_was_read() {
    let place = place(&[Until::End]);
    let (code, document) = told(&place, "floor weak.rules");
    assert_eq!(code, 1);
    assert_eq!(document["partings"], json!({ "gained": 0, "lost": 1, "unknowable": 0, "counterfactual": 0 }));
    let finding = &document["findings"][0];
    assert_eq!((&finding["place"], &finding["kind"]), (&"proposal".into(), &"merge.intended".into()));
    assert_eq!((&finding["one"]["says"], &finding["other"]["says"]), (&"violated".into(), &"passes".into()));
    assert_eq!(finding["one"]["read"][0]["name"], "floor/blockers");
    // The other way round it is the other that is violated.
    let (code, turned) = told(&place, "weak.rules floor");
    assert_eq!((code, &turned["partings"]["gained"], &turned["partings"]["lost"]), (1, &1.into(), &0.into()));

    // What comes after one of them would have refused a spawn is counterfactual, and counted apart.
    let (code, document) = told(&place, "later.rules fewer.rules");
    assert_eq!(code, 1);
    let found = document["findings"].as_array().unwrap();
    assert_eq!((&document["partings"]["gained"], &found[0]["counterfactual"]), (&1.into(), &false.into()));
    assert!(found.len() > 1 && found[1..].iter().all(|finding| finding["counterfactual"] == true), "{document}");
    assert_eq!(document["partings"]["counterfactual"], found.len() - 1);
    assert!(found.iter().all(|finding| finding["rule"] == "few-spawns"), "rules of one name, whatever their sets are");

    let ran = place.loom("rules diff later.rules fewer.rules");
    for line in [
        "spawn.requested of task-1",
        "  few-spawns: A passes, B violated\n",
        "  B: fewer/spawns = 3",
        ", counterfactual",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    let end = format!("they part {} times\n", found.len());
    assert!(ran.code == 1 && ran.out.ends_with(&end), "{}", ran.out);
}

#[test]
fn what_cannot_be_known_in_one_alone_is_counted_apart() {
    let place = place(&[Until::End]);
    let (code, document) = told(&place, "huge.rules small.rules");
    assert_eq!(code, 1);
    assert!(document["partings"]["unknowable"].as_u64() > Some(0), "{document}");
    assert_eq!((&document["partings"]["gained"], &document["partings"]["lost"]), (&0.into(), &0.into()));
    let finding = &document["findings"][0];
    assert_eq!((&finding["one"]["says"], &finding["other"]["says"]), (&"unknowable".into(), &"passes".into()));
    assert!(finding["one"]["why"].is_string(), "{finding}");
    assert_eq!(told(&place, "huge.rules huge.rules").0, 0);
    // A rule that the other set does not have is none that it was asked about.
    let (_, document) = told(&place, "floor small.rules");
    assert_eq!(
        (&document["rules"][0]["asked_by_other"], &document["rules"][1]["asked_by_one"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_corpus_is_needed_and_what_is_damaged_is_left_out_and_told() {
    let place = place(&[Until::End]);
    assert_eq!(place.loom("export run:last -o good.trace").code, 0);
    let mut bytes = fs::read(place.path().join("good.trace")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(place.path().join("bad.trace"), bytes).unwrap();
    let (code, document) = told(&place, "floor weak.rules good.trace bad.trace");
    assert_eq!((code, &document["runs"], &document["partings"]["lost"]), (6, &1.into(), &1.into()));
    assert_eq!((&document["left_out"][0]["why"], &document["sources"]), (&"damaged".into(), &2.into()));
    // A store and its exported run give the same.
    let of = |source: &str| told(&place, &format!("later.rules fewer.rules {source}")).1["partings"].clone();
    assert_eq!(of("good.trace"), of(".loom"));

    let nothing = told(&place, "floor.rules weak.rules --since 2099-01-01");
    assert_eq!((nothing.0, &nothing.1["equal"], &nothing.1["unwanted_runs"]), (8, &true.into(), &1.into()));
    for (arguments, wanted) in [
        ("floor.rules", 2),
        ("floor.rules nothing", 2),
        ("floor.rules weak.rules nowhere", 2),
        ("floor.rules bad.trace", 2),
    ] {
        assert_eq!(place.loom(&format!("rules diff {arguments}")).code, wanted, "{arguments}");
    }
    let elsewhere = Place::empty();
    fs::write(elsewhere.path().join("floor.rules"), RULES).unwrap();
    let ran = elsewhere.loom("rules diff floor.rules floor.rules");
    assert_eq!(ran.code, 2);
    assert!(ran.err.starts_with("error: there is no loom store in "), "{}", ran.err);
    fs::write(elsewhere.path().join("wrong.rules"), RULES.replace("size(", "sise(")).unwrap();
    let ran = elsewhere.loom("rules diff floor.rules wrong.rules");
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: wrong.rules does not load: "), "{}", ran.err);
}
