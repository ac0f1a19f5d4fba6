//! What the host is asked to begin and to end, commit by commit.

use super::script::{LENIENT, Opening, World};
use loom_core::effect::{Effect, Nature, pending};
use loom_core::state::Asked;

const CHECKED: &str = "flow work: implement=spawn w | check=step t | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

fn told(effects: &[Effect]) -> Vec<String> {
    let name = |what: &Asked| match what {
        Asked::Spawn { agent, .. } => agent.clone(),
        Asked::Check { check, .. } => check.clone(),
        Asked::Merge { .. } => "merge".to_string(),
    };
    let told = |effect: &Effect| match effect {
        Effect::Start { id, what, time_ms } => format!("start {id} {} for {time_ms}", name(what)),
        Effect::Stop { id } => format!("stop {id}"),
    };
    effects.iter().map(told).collect()
}

/// Plays a script and returns what each of its lines leads to; a crash afterwards would begin again what is pending.
fn effects(script: &str) -> String {
    let mut world = World::open(LENIENT, CHECKED, &Opening::default());
    let mut text = format!("open: {}\n", told(&world.effects).join(", "));
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        world.play(line);
        text += &format!("{line}: {}\n", told(&world.effects).join(", "));
    }
    text + &format!("pending: {}", told(&pending(&world.run.state)).join(", "))
}

#[track_caller]
fn check(script: &str, expected: &str) {
    let plain = |text: &str| text.lines().map(str::trim).filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n");
    assert_eq!(plain(&effects(script)), plain(expected));
}

#[test]
fn each_step_begins_what_it_asks_for() {
    check(
        "w: edit
        t: pass
        a: pass
        b: pass",
        "open: start 3 w for 1000
        w: edit: start 8 t for 100
        t: pass: start 12 a for 1000, start 13 b for 1000
        a: pass:
        b: pass: start 23 merge for 0
        pending: start 23 merge for 0",
    );
}

#[test]
fn what_is_given_up_is_ended() {
    check(
        "w: edit
        t: pass
        recover retry-failed a
        cancel",
        "open: start 3 w for 1000
        w: edit: start 8 t for 100
        t: pass: start 12 a for 1000, start 13 b for 1000
        recover retry-failed a: stop 12, start 16 a for 1000
        cancel: stop 13, stop 16
        pending:",
    );
}

/// PAUSE-1: what is under way goes on, what is asked for during a hold begins when it ends.
#[test]
fn what_a_hold_keeps_back_begins_when_it_ends() {
    check(
        "pause
        w: edit
        resume",
        "open: start 3 w for 1000
        pause:
        w: edit:
        resume: start 9 t for 100
        pending: start 9 t for 100",
    );
    check(
        "w: edit
        t: pass
        pause
        a: pass
        b: pass",
        "open: start 3 w for 1000
        w: edit: start 8 t for 100
        t: pass: start 12 a for 1000, start 13 b for 1000
        pause:
        a: pass:
        b: pass:
        pending:",
    );
}

#[test]
fn merge_that_a_hold_keeps_back_begins_when_its_time_is_up() {
    check(
        "w: edit
        t: pass
        a: pass
        pause
        b: pass
        timer hold",
        "open: start 3 w for 1000
        w: edit: start 8 t for 100
        t: pass: start 12 a for 1000, start 13 b for 1000
        a: pass:
        pause:
        b: pass:
        timer hold: start 24 merge for 0
        pending: start 24 merge for 0",
    );
}

/// What was held back has its whole time from then on.
#[test]
fn deadline_of_what_was_held_back_counts_from_the_end_of_the_hold() {
    let mut world = World::open(LENIENT, CHECKED, &Opening::default());
    world.play("pause\nw: edit");
    assert_eq!(world.run.state.deadlines().count(), 1, "a hold alone has a deadline");
    let mut input = world.input("resume");
    input.stamp.ms += 3_600_000;
    world.put("resume an hour later", input);
    let due: Vec<u64> = world.run.state.deadlines().map(|(due_ms, _)| due_ms).collect();
    assert_eq!(due, [world.run.state.stamp.ms + 100 + 60_000]);
}

/// EFFECT-2.
#[test]
fn only_a_check_is_done_again_unasked() {
    let mut world = World::open(LENIENT, CHECKED, &Opening::default());
    let mut natures = Vec::new();
    for line in ["w: edit", "t: pass", "a: pass", "b: pass", "merge: done"] {
        natures.extend(world.run.state.pending.values().next().map(|found| found.what.nature()));
        world.play(line);
    }
    use Nature::{Ask, Checkable, Idempotent};
    assert_eq!(natures, [Ask, Idempotent, Ask, Ask, Checkable]);
}
