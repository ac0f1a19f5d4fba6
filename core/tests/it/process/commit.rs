//! What is declined before it becomes a commit, and what a refused commit keeps.

use super::script::{FLOOR, LENIENT, Opening, World};
use loom_core::cbor::Decoder;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::kind::Event;
use loom_core::process::REPLANS_CEILING;

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement | end\nrole final human";

#[test]
fn stamp_that_does_not_grow_is_declined() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
    let mut input = world.input("steer on");
    input.stamp = world.run.state.stamp;
    let declined = loom_core::step(&world.run, input).expect_err("the stamp is not after the last one");
    assert!(declined.to_string().contains("STAMP-1"), "{declined}");
}

#[test]
fn refused_commit_keeps_the_rules_the_facts_and_the_dropped_proposal() {
    let mut world = World::open(FLOOR, REVIEWED, &Opening::default());
    world.play("w: edit\na: fail high@1");
    let input = world.input("answer accept");
    let checked = loom_core::step(&world.run, input).expect("it commits");
    let refused = checked
        .events()
        .iter()
        .find_map(|event| match Envelope::decode(&event.bytes).expect("what step writes decodes").body {
            Event::Refused(body) => Some(body),
            _ => None,
        })
        .expect("the acceptance is refused");
    assert_eq!(refused.kind, "merge.intended");
    assert_eq!(refused.rules.0, ["floor/no-open-blocker"]);
    assert_eq!(refused.messages.0, ["a blocking finding stands"]);
    assert!(refused.facts.iter().any(|fact| fact.contains("open_blockers")), "{:?}", refused.facts);
    let mut proposal = Decoder::new(&refused.proposal);
    let kinds: Vec<&str> = (0..proposal.array().expect("an array"))
        .map(|_| {
            let dropped = Envelope::decode(proposal.bytes().expect("an envelope")).expect("it decodes");
            dropped.body.schema().name
        })
        .collect();
    assert_eq!(kinds, ["gate.decided", "stage.entered", "merge.intended"]);
}

/// A rule that cannot be judged says with its message what kept it from being judged.
#[test]
fn refusal_and_violation_tell_why_a_rule_could_not_be_judged() {
    let rules = "loom rules 1\nset blind \"\"\nfact sum sum\n add run.opened: 1 / (event.cap_spawns - event.cap_spawns)\n\
        rule seen on spawn.finished require facts.sum > 0 message \"the sum is good\"\n\
        rule kept on paths.changed, gate.decided require facts.sum > 0 message \"the sum is good\"\n";
    let mut world = World::open(rules, REVIEWED, &Opening::default());
    let mut told = Vec::new();
    for line in ["w: edit", "a: pass", "answer accept"] {
        let input = world.input(line);
        let checked = loom_core::step(&world.run, input).expect("it commits");
        for event in checked.events() {
            match Envelope::decode(&event.bytes).expect("what step writes decodes").body {
                Event::Violation(body) => told.push(format!("{}: {}", body.rule, body.message)),
                Event::Refused(body) => told.extend(body.messages.0),
                _ => {}
            }
        }
        world.play(line);
    }
    let why = "the sum is good (unknown: blind/sum (at event 0: division by zero))";
    assert_eq!(
        told,
        [format!("blind/seen: {why}"), format!("blind/kept: {why}"), format!("blind/seen: {why}"), why.to_string()]
    );
}

/// An acceptance stands for the work as it was then: whoever sends it back voids it.
#[test]
fn approval_does_not_outlive_a_walk_back() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
    world.play("w: edit\na: pass\nanswer accept\nmerge: failed");
    assert!(world.run.state.approval.is_some(), "{}", world.transcript);
    world.play("answer revise");
    assert_eq!((world.run.state.approval.as_ref(), world.run.state.stage.as_str()), (None, "implement"));
}

/// What was merged is what the final gate decided; who is asked again afterwards decides nothing anew.
#[test]
fn merge_names_the_decision_of_the_final_gate() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
    world.play("w: edit\na: pass");
    let mut decisions = Vec::new();
    for line in ["answer accept", "merge: failed", "answer accept"] {
        let input = world.input(line);
        let checked = loom_core::step(&world.run, input).expect("it commits");
        for event in checked.events() {
            let event = Envelope::decode(&event.bytes).expect("what step writes decodes");
            match event.body {
                Event::GateDecided(body) => decisions.push((body.role, event.sequence)),
                Event::MergeIntended(body) => decisions.push(("merge".into(), body.decision)),
                _ => {}
            }
        }
        world.play(line);
    }
    let roles: Vec<&str> = decisions.iter().map(|(role, _)| role.as_str()).collect();
    assert_eq!(roles, ["final", "merge", "ask", "merge"]);
    assert_eq!((decisions[1].1, decisions[3].1), (decisions[0].1, decisions[0].1));
}

#[test]
fn run_without_a_rule_set_is_refused() {
    let bundle = Blob::plain(&super::text::bundle(REVIEWED).encode());
    let refused = loom_core::run::Terms::load(&bundle, &[]).expect_err("there is no rule set");
    assert!(refused.to_string().contains("no rule set"), "{refused}");
}

#[test]
fn policy_auto_without_a_floor_is_refused_at_load() {
    let mut bundle = super::text::bundle(REVIEWED);
    bundle.roles.get_mut("final").expect("the role").policy = loom_core::process::Policy::Auto;
    bundle.roles.get_mut("final").expect("the role").floor.clear();
    let codes: Vec<&str> = bundle.flaws().iter().map(|flaw| flaw.code).collect();
    assert_eq!(codes, ["AUTO_WITHOUT_FLOOR"]);
}

/// LOOP-2: the most that a bundle may say is what the kernel holds to.
#[test]
fn more_automatic_walk_backs_than_the_kernel_makes_are_refused_at_load() {
    let codes = |replans: u64| {
        let bundle = super::text::bundle(&format!("{REVIEWED}\nreplans {replans}"));
        bundle.flaws().iter().map(|flaw| flaw.code).collect::<Vec<_>>()
    };
    assert_eq!(REPLANS_CEILING, 10);
    assert_eq!(codes(10), [""; 0]);
    assert_eq!(codes(11), ["LIMIT_RANGE"]);
    let refused = World::try_open(LENIENT, &format!("{REVIEWED}\nreplans 11"), &Opening::default());
    let refused = refused.err().expect("a bundle with a flaw is refused");
    assert!(refused.contains("LIMIT_RANGE"), "{refused}");
}

#[test]
fn unknown_policy_or_role_of_a_request_is_declined() {
    for (role, policy, why) in [("final", "sometimes", "is no policy"), ("last", "human", "no gate role")] {
        let opening = Opening { policies: vec![(role, policy)], ..Opening::default() };
        let declined = World::try_open(LENIENT, REVIEWED, &opening).err().expect("it is declined");
        assert!(declined.contains(why), "{declined}");
    }
}
