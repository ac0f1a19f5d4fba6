//! `loom rules check`, `mutate`, `add` and `retire`, from outside.

use crate::driven::{Driven, until};
use crate::rig::{Place, same};
use loom_providers::demo;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;

const RULES: &str = "loom rules 1\nset calm \"At most three spawns.\"\nfact spawns counter\n  add spawn.requested\n\
    rule few-spawns on spawn.requested\n  require facts.spawns < 300\n  message \"too many\"\n  origin \"promise: for a test\"\n";

fn project() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    fs::write(driven.path("model.toml"), demo::SCRIPT).unwrap();
    fs::write(driven.path("task.txt"), demo::TASK).unwrap();
    fs::write(driven.path("calm.rules"), RULES).unwrap();
    driven
}

fn run(driven: &Driven, name: &str) {
    let path = |name: &str| driven.path(name).display().to_string();
    let (task, script) = (path("task.txt"), path("model.toml"));
    let ran = driven.loom(&format!("run --file {task} --script {script} --policy review-final --request-id {name}"));
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
}

/// Returns how many rule sets each run names in its first event.
fn judged_by(driven: &Driven) -> Vec<usize> {
    let opened = driven.log().into_iter().filter(|event| event["kind"] == "run.opened");
    opened.map(|event| event["body"]["rules"].as_array().unwrap().len()).collect()
}

#[test]
fn an_armed_set_judges_the_runs_that_are_opened_afterwards_and_no_others() {
    needs!("git", "sh");
    let driven = project();
    run(&driven, "first");
    let file = driven.path("calm.rules").display().to_string();
    let armed: Value = serde_json::from_str(&driven.loom(&format!("rules add {file} --json")).out).unwrap();
    assert_eq!((&armed["loom"], &armed["set"]), (&"rules-add/1".into(), &"calm".into()));
    // What becomes of the file changes nothing.
    fs::write(driven.path("calm.rules"), RULES.replace("300", "0")).unwrap();
    run(&driven, "second");
    run(&driven, "first");
    let listed = driven.loom("rules list").out;
    assert!(listed.contains("calm            1 rules, 1 runs\n"), "{listed}");
    assert!(listed.contains("armed for new runs by uid:"), "{listed}");
    let again = driven.loom(&format!("rules add {file}"));
    assert_eq!(again.code, 1, "{}", again.out);
    let retired = driven.loom("rules retire calm");
    assert_eq!(retired.code, 0, "{}", retired.err);
    assert_eq!(driven.loom("rules retire calm").code, 1);
    run(&driven, "third");
    run(&driven, "second");
    assert_eq!(judged_by(&driven), [5, 6, 5]);
    assert!(!driven.loom("rules list").out.contains("armed for new runs"));
    driven.is_whole();
}

#[test]
fn a_run_that_a_watch_opens_is_judged_by_what_was_armed_through_it() {
    needs!("git", "sh");
    let driven = project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    let script = driven.path("model.toml").display().to_string();
    let mut command = driven.command(&format!("watch --script {script}"));
    command.env("LOOM_RUN_POLICY", "review-final");
    let mut driver = driven.follows(command);
    driver.reads_until("watching");
    let added = driven.loom(&format!("rules add {}", driven.path("calm.rules").display()));
    assert_eq!(added.code, 0, "{}", added.err);
    assert!(driven.loom("rules list").out.contains("armed for new runs"));
    let queued = driven.loom(&format!("queue add --file {}", driven.path("task.txt").display()));
    assert_eq!(queued.code, 0, "{}", queued.err);
    assert!(until(|| driven.loom("gates").out.contains("final")));
    assert_eq!(judged_by(&driven), [6]);
    run(&driven, "through-the-watch");
    assert_eq!(judged_by(&driven), [6, 6], "a run that another process asks for");
    let refused = driven.loom(&format!("rules add {}", driven.path("calm.rules").display()));
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("a set `calm` is armed already"), "{}", refused.err);
    driver.kill();
}

#[test]
fn what_cannot_be_armed_is_told() {
    needs!("git", "sh");
    let driven = project();
    run(&driven, "first");
    let write = |name: &str, text: &str| {
        let path = driven.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let below = write("state/scratch/agent.rules", RULES);
    let link = driven.path("link.rules");
    symlink(&below, &link).unwrap();
    let beside = driven.store_folder().join("mine.rules");
    fs::write(&beside, RULES).unwrap();
    for (file, code, told) in [
        (below, 1, "where agents can write"),
        (link.display().to_string(), 1, "where agents can write"),
        (beside.display().to_string(), 1, "where agents can write"),
        (write("idle.rules", &RULES.replace("< 300", ">= 0")), 1, "5:6: error RULE_VACUOUS: rule `few-spawns`"),
        (write("odd.rules", "loom rules 1\nset\n"), 1, "RULES_INVALID"),
        (write("gates.rules", &RULES.replace("set calm", "set gates")), 1, "bundle `code` has a set `gates`"),
        (driven.path("none.rules").display().to_string(), 2, "none.rules"),
    ] {
        let ran = driven.loom(&format!("rules add {file}"));
        assert_eq!(ran.code, code, "{file}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{file}: {}", ran.err);
    }
    let mut command = driven.command(&format!("rules add {}", driven.path("calm.rules").display()));
    let ran = command.env("LOOM_SPAWN", "7").output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("descends from spawn or check 7"), "{ran:?}");
    assert_eq!(driven.log().iter().filter(|event| event["kind"] == "rules.armed").count(), 0);
}

#[test]
fn files_are_checked_with_place_and_repair() {
    let place = Place::empty();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("calm.rules", RULES);
    write("idle.rules", &RULES.replace("< 300", ">= 0"));
    same(&place.says("rules check calm.rules"), "\n1 files, 0 errors, 0 warnings\n");
    let ran = place.loom("rules check calm.rules idle.rules");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    same(
        &ran.out,
        "
idle.rules:5:6: error RULE_VACUOUS: rule `few-spawns` is proven to never refuse: no spawn.requested makes it false
    require something that an event can make false, or remove the rule
2 files, 1 errors, 0 warnings
",
    );
    assert!(place.says("rules check").ends_with("5 files, 0 errors, 0 warnings\n"));
}

#[test]
fn a_rule_that_no_walk_comes_to_is_warned_of() {
    let place = Place::empty();
    let rule = |name: &str, kind: &str| {
        let asked = "require facts.opened == 1\n  message \"m\"\n  origin \"o\"";
        format!("rule {name} on {kind}\n  {asked}\n")
    };
    let rules = ["late", "merge.intended", "first", "spawn.requested", "never", "key.added"];
    let rules: String = rules.chunks(2).map(|pair| rule(pair[0], pair[1])).collect();
    let head = "loom rules 1\nset walked \"What walks come to.\"\nfact opened counter\n  add run.opened\n";
    fs::write(place.path().join("walked.rules"), format!("{head}{rules}")).unwrap();
    let warned = |arguments: &str| -> Vec<String> {
        let ran = place.loom(&format!("rules check walked.rules {arguments}"));
        assert_eq!(ran.code, 0, "a warning is no error: {}{}", ran.out, ran.err);
        let lines = ran.out.lines().filter(|line| line.contains("RULE_UNREACHED"));
        lines.map(|line| line.split('`').nth(1).unwrap().to_string()).collect()
    };
    assert_eq!(warned("--depth 2"), ["late", "never"]);
    assert_eq!(warned(""), ["never"], "no run has a key");
    assert_eq!(warned(""), ["never"]);
}

#[test]
fn hostile_rule_files_are_refused_with_their_bound_and_place() {
    let place = Place::empty();
    let rule = |require: &str| {
        format!(
            "loom rules 1\nset s \"\"\nfact open set of int\n  add finding.raised: event.sequence\n\
             rule r on paths.changed\n  require {require}\n  message \"m\"\n"
        )
    };
    let nested = "facts.open.all(a, facts.open.exists(b, facts.open.exists(c, a + b == c)))";
    let list = format!("size(event.paths) in [{}]", "1,".repeat(600_000));
    for (text, told) in [
        (rule("event.paths == 3"), "hostile.rules:6:11: error RULES_INVALID: `==` compares a list of bytes with int"),
        (rule("event.pahts == 3"), "paths.changed has no field `pahts`\n    did you mean `paths`?"),
        (rule(&format!("{}true{}", "(".repeat(70), ")".repeat(70))), "nested deeper than 64 (RULE-7)"),
        (rule(&format!("{}true", "!".repeat(100_000))), "nested deeper than 64 (RULE-7)"),
        (rule(nested), "at most 10000000 is allowed (RULE-11)"),
        (rule(&list), "at most 1048576 are read"),
        ("x".repeat(64 << 20), "at most 1048576 are read"),
        (rule("9223372036854775808 > 0"), "the integer does not fit in 64 signed bits"),
        (rule("glob(event.paths, \"{a,b}{c,d}{e,f}{g,h}{i,j}{k,l}\")"), "RULES_INVALID"),
        (rule("\"unclosed"), "6:11: error RULES_INVALID: the string is not closed"),
        (String::new(), "error RULES_INVALID: the file ends before its `set` line"),
    ] {
        fs::write(place.path().join("hostile.rules"), text).unwrap();
        let ran = place.loom("rules check hostile.rules");
        assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{told}");
        assert!(ran.out.contains(told), "{told}: {}", &ran.out[..ran.out.len().min(600)]);
    }
    fs::write(place.path().join("hostile.rules"), b"loom rules 1\n\xff").unwrap();
    assert_eq!(place.loom("rules check hostile.rules").code, 2);
}

#[test]
fn mutants_that_no_case_notices_are_listed_and_counted() {
    let place = Place::empty();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write("calm.rules", &RULES.replace("300", "1"));
    let cases = "[[given]]\nkind = \"run.opened\"\n[[rule.few-spawns.passes]]\nname = \"one\"\n\
        events = [{ kind = \"spawn.requested\" }]\n[[rule.few-spawns.refuses]]\nname = \"two\"\n\
        events = [{ kind = \"spawn.requested\" }, { kind = \"spawn.requested\" }]\n";
    write("calm.cases.toml", &format!("{cases}at = 2\n"));
    let ran = place.loom("rules mutate calm.rules");
    assert_eq!(ran.code, 1, "what the cases do not hold for is not mutated: {}", ran.out);
    assert!(ran.out.contains("refused at event 3, not 2"), "{}", ran.out);
    write("calm.cases.toml", cases);
    same(
        &place.says("rules mutate calm.rules"),
        "
4 killed, 0 survived, 100 %; 0 decide alike
",
    );
    write("calm.rules", &RULES.replace("300", "1").replace("rule few", "  reset walked.back\nrule few"));
    let ran = place.loom("rules mutate calm.rules --min 90");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    same(
        &ran.out,
        "
calm.rules:5:3: spawns: what forgets it is dropped, and no case notices
    - reset walked.back
    +
4 killed, 1 survived, 80 %; 0 decide alike
",
    );
    let document: Value = serde_json::from_str(&place.says("rules mutate --min 98 --json")).unwrap();
    assert_eq!((&document["ok"], &document["survived"]), (&true.into(), &2.into()));
}
