//! Inputs that do not fit the run they are put into: each is declined with its reason and leaves nothing.

use super::script::{LENIENT, Opening, World, named, person};
use loom_core::answer::{Change, encode_delta};
use loom_core::commit::Blob;
use loom_core::id::{Actor, Assurance, Digest};
use loom_core::kind::*;
use loom_core::process::Policy;
use loom_core::schema::BYTES_MAX;
use loom_core::state::NOTES_MAX;
use loom_core::step::Input;

const CHECKED: &str = "flow work: implement=spawn w | check=step t | review=fanout a | decide=gate final ->implement | end\nrole final human";

fn open(process: &str) -> World {
    World::open(LENIENT, process, &Opening::default())
}

/// Returns why an input is declined, or that it is taken.
fn said(world: &World, input: Input) -> String {
    loom_core::step(&world.run, input).map_or_else(|declined| declined.to_string(), |_| "taken".to_string())
}

fn finished(input: &mut Input) -> &mut SpawnFinished {
    let Event::SpawnFinished(body) = &mut input.body else { panic!("no spawn has finished") };
    body
}

fn check_finished(input: &mut Input) -> &mut CheckFinished {
    let Event::CheckFinished(body) = &mut input.body else { panic!("no check has finished") };
    body
}

/// Returns what is said of a script's line after its input was altered.
fn altered(world: &mut World, line: &str, alter: impl FnOnce(&mut Input)) -> String {
    let mut input = world.input(line);
    alter(&mut input);
    said(world, input)
}

#[test]
fn outcome_fits_what_was_asked_for() {
    let mut world = open(CHECKED);
    let other = "the outcome speaks of another agent or tree";
    assert_eq!(altered(&mut world, "w: nothing", |input| finished(input).agent = "a".into()), other);
    let elsewhere = altered(&mut world, "w: nothing", |input| {
        finished(input).tree_before = vec![0x71; 20];
        finished(input).tree_after = vec![0x71; 20];
    });
    assert_eq!(elsewhere, other);
    assert_eq!(altered(&mut world, "w: edit", |input| input.blobs.clear()).split(' ').next_back(), Some("it"));
    let spawn = *world.run.state.pending.keys().next().expect("a spawn is under way");
    let mut merged = world.input("orphan w");
    merged.body =
        MergeFinished { merge: spawn, outcome: loom_core::word::MergeOutcome::Done, commit: None, detail: None }.into();
    assert_eq!(said(&world, merged), "the effect is not a merge");

    let spawned = world.input("w: nothing");
    world.play("w: edit");
    let check = *world.run.state.pending.keys().next().expect("a check is under way");
    let other = "the outcome speaks of another check or tree";
    assert_eq!(altered(&mut world, "t: pass", |input| check_finished(input).check = "u".into()), other);
    assert_eq!(altered(&mut world, "t: pass", |input| check_finished(input).tree = vec![0x70; 20]), other);
    let crossed = altered(&mut world, "t: pass", |input| {
        let mut body = spawned.clone();
        finished(&mut body).spawn = check;
        (input.body, input.blobs) = (body.body, body.blobs);
    });
    assert_eq!(crossed, "the effect is not a spawn");
    assert_eq!(
        altered(&mut world, "orphan t", |_| {}),
        "only a spawn can be orphaned; other effects are done again or looked for"
    );
    let checked = world.input("t: pass");
    world.play("t: pass");
    let review = *world.run.state.pending.keys().next().expect("a review is under way");
    let crossed = altered(&mut world, "a: pass", |input| {
        let mut body = checked.clone();
        check_finished(&mut body).request = review;
        input.body = body.body;
    });
    assert_eq!(crossed, "the effect is not a check");
}

#[test]
fn outcome_of_what_has_not_happened_is_no_duplicate() {
    let mut world = open(CHECKED);
    let next = world.run.state.next;
    for effect in [next, next + 1] {
        let expected = format!("event {effect} has not happened");
        assert_eq!(altered(&mut world, "w: nothing", |input| finished(input).spawn = effect), expected);
    }
    let expected = format!("the outcome of effect {} is recorded already", next - 2);
    assert_eq!(altered(&mut world, "w: nothing", |input| finished(input).spawn = next - 2), expected);
    let expected = format!("the outcome of effect {} is recorded already", next - 1);
    world.play("w: edit");
    assert_eq!(altered(&mut world, "t: pass", |input| check_finished(input).request = next - 1), expected);
}

/// A tree that is taken over comes with what changed in it; one that is not, need not.
#[test]
fn taken_tree_comes_with_its_changes() {
    let bare = |input: &mut Input| finished(input).delta = None;
    let flaw = "a changed tree comes with its witnessed changes";
    let mut world = open(CHECKED);
    assert_eq!(altered(&mut world, "w: edit", bare), flaw);
    assert_eq!(altered(&mut world, "w: unparsable +edit", bare), flaw);
    assert_eq!(altered(&mut world, "w: failed +edit", bare), "taken");
    world.play("w: edit\nt: pass");
    assert_eq!(altered(&mut world, "a: pass +edit", bare), "taken");
}

#[test]
fn witnessed_changes_are_canonical_and_their_paths_fit() {
    let mut world = open(CHECKED);
    let mut with = |content: &[u8]| {
        altered(&mut world, "w: edit", |input| {
            let blob = Blob::plain(content);
            finished(input).delta = Some(blob.digest);
            input.blobs.push(blob);
        })
    };
    let path = |length: usize| encode_delta(&[Change { path: vec![b'p'; length], how: "modified".into() }]);
    assert!(with(b"\xff").starts_with("the witnessed changes are not canonical: "));
    assert_eq!(with(&path(1)), "taken");
    assert_eq!(with(&path(BYTES_MAX)), "taken");
    assert_eq!(with(&path(BYTES_MAX + 1)), format!("a path of {} bytes is longer than {BYTES_MAX}", BYTES_MAX + 1));
}

#[test]
fn notes_wait_in_bounded_number_until_a_prompt_has_them() {
    let mut world = open("flow work: implement=spawn w | decide=gate final ->implement | end\nrole final human");
    world.play("w: edit");
    for _ in 1..NOTES_MAX {
        world.play("steer on");
    }
    let mut answer = |alter: fn(&mut World) -> Input| {
        let input = alter(&mut world);
        said(&world, input)
    };
    assert_eq!(answer(|world| world.input("answer revise note mind the gap")), "taken");
    assert_eq!(answer(|world| world.input("steer on")), "taken");
    world.play("steer on");
    let full = |then: &str| format!("{NOTES_MAX} notes wait to be read; {then}");
    assert_eq!(altered(&mut world, "steer on", |_| {}), full("let the run read them first"));
    assert_eq!(altered(&mut world, "answer revise note mind the gap", |_| {}), full("answer without one"));
    world.play("answer revise");
    assert_eq!(world.run.state.notes.len(), NOTES_MAX);
    // All of them were read: a further one takes the place of the oldest.
    world.play("steer mind the gap");
    assert_eq!(world.run.state.notes.len(), NOTES_MAX);
    let unread: Vec<usize> = (0..NOTES_MAX).filter(|place| !world.run.state.notes[*place].read).collect();
    assert_eq!(unread, [NOTES_MAX - 1]);
}

#[test]
fn time_is_not_up_before_its_time() {
    let mut world = open(CHECKED);
    let begun_ms = world.run.state.stamp.ms;
    let early = |world: &mut World, line: &str| {
        let mut input = world.input(line);
        let due_ms = input.stamp.ms;
        assert_eq!(said(world, input.clone()), "taken", "{line}");
        let Event::TimerFired(body) = &input.body else { panic!("`{line}` is no timer") };
        let expected = format!("the time of event {} is not up before {due_ms}", body.subject);
        input.stamp.ms -= 1;
        assert_eq!(said(world, input.clone()), expected, "{line}");
        input.stamp.ms += 2;
        assert_eq!(said(world, input), "taken", "{line}");
        due_ms
    };
    // What the executor may take, and a minute.
    assert_eq!(early(&mut world, "timer w"), begun_ms + 1_000 + 60_000);
    assert!(world.run.state.is_busy());
    world.play("pause");
    assert!(world.run.state.is_busy() && !world.run.state.is_parked(), "what was under way goes on");
    let held_ms = world.run.state.stamp.ms;
    assert_eq!(early(&mut world, "timer hold"), held_ms + 7 * 24 * 3_600_000);
    // Another pause is declined, and the first one is not prolonged.
    world.play("pause");
    assert_eq!(early(&mut world, "timer hold"), held_ms + 7 * 24 * 3_600_000);
    world.play("resume\nw: edit");
    let begun_ms = world.run.state.stamp.ms;
    assert_eq!(early(&mut world, "timer t"), begun_ms + 100 + 60_000);
    world.play("t: pass\na: pass");
    let asked_ms = world.run.state.stamp.ms;
    assert_eq!(early(&mut world, "timer gate"), asked_ms + 500_000);
    let of_nothing = altered(&mut world, "timer gate", |input| input.body = TimerFired { subject: 1 }.into());
    assert_eq!(of_nothing, "nothing waits for the time of event 1");
}

#[test]
fn names_and_fields_of_an_input_are_bounded() {
    let mut world = open(CHECKED);
    let by = |length: usize| Actor::Person { id: "p".repeat(length), assurance: Assurance::Asserted, descends: None };
    assert_eq!(altered(&mut world, "pause", |input| input.actor = by(80)), "taken");
    for length in [81, 500] {
        let long = altered(&mut world, "pause", |input| input.actor = by(length));
        assert_eq!(long, "the actor's name is longer than 80 bytes");
    }
    let asked = |length: usize| RunPaused { request: vec![7; length] }.into();
    assert_eq!(altered(&mut world, "pause", |input| input.body = asked(128)), "taken");
    let long = altered(&mut world, "pause", |input| input.body = asked(129));
    assert_eq!(long, "run.paused.request is longer than it may be");
    let long = altered(&mut world, "w: nothing", |input| finished(input).detail = Some("d".repeat(100_000)));
    assert_eq!(long, "spawn.finished.detail is longer than it may be");
}

#[test]
fn people_ask_and_the_host_observes() {
    let mut world = open(CHECKED);
    let mut by = |line: &str, actor: Actor| altered(&mut world, line, |input| input.actor = actor);
    assert_eq!(by("pause", Actor::Host), "a request comes from a person");
    assert_eq!(by("pause", Actor::Kernel), "a request comes from a person");
    assert_eq!(by("w: nothing", person(None)), "an observation comes from the host");
    assert_eq!(by("w: nothing", Actor::Kernel), "an observation comes from the host");
    let decided = RequestDeclined { reason: "by whom?".into() };
    let derived = altered(&mut world, "pause", |input| input.body = decided.into());
    assert_eq!(derived, "request.declined is not an input");
}

/// SIGNED-2.
#[test]
fn signed_answer_has_signature_key_and_artifact_and_no_other_has_one() {
    let mut world = open("flow work: implement=spawn w | decide=gate final ->implement | end\nrole final human");
    world.play("w: edit");
    let artifact = world.run.state.gate.as_ref().map(|gate| gate.artifact);
    let mut answered = |assurance: Assurance, signature: bool, signer: bool, bound: bool| {
        altered(&mut world, "answer accept", |input| {
            input.actor = Actor::Person { id: "uid:1000".into(), assurance, descends: None };
            let Event::GateAnswered(body) = &mut input.body else { panic!("no answer") };
            body.signature = signature.then_some([1; 64]);
            body.signer = signer.then_some([2; 32]);
            body.artifact = artifact.filter(|_| bound);
        })
    };
    let lacks = "a signed answer has a signature, its key, and the digest that it is bound to";
    let unchecked = "an answer with a signature is to be checked before it is one";
    assert_eq!(answered(Assurance::Signed, true, true, true), "taken");
    for (signature, signer, bound) in [(false, true, true), (true, false, true), (true, true, false)] {
        assert_eq!(answered(Assurance::Signed, signature, signer, bound), lacks);
    }
    for (signature, signer) in [(true, false), (false, true), (true, true)] {
        assert_eq!(answered(Assurance::Asserted, signature, signer, true), unchecked);
    }
    assert_eq!(answered(Assurance::Asserted, false, false, true), "taken");
    assert_eq!(answered(Assurance::Asserted, false, false, false), "taken");
}

#[test]
fn rule_set_is_added_once_and_with_its_text() {
    let mut world = open(CHECKED);
    assert_eq!(
        altered(&mut world, "rules harmless", |input| input.blobs.clear()),
        "the rule set's text did not come with the request"
    );
    world.play("rules harmless");
    assert_eq!(
        altered(&mut world, "rules harmless", |_| {}),
        "the run is judged by this rule set already, or by 32 of them"
    );
}

/// Returns why a run is not opened after its opening was altered, or that it is.
fn opening(alter: impl FnOnce(&mut RunOpened)) -> String {
    let (terms, mut input) = World::opening(LENIENT, CHECKED, &Opening::default()).expect("the terms load");
    let Event::RunOpened(body) = &mut input.body else { panic!("no opening") };
    alter(body);
    World::opened(terms, input).map_or_else(|declined| declined, |_| "taken".to_string())
}

#[test]
fn run_is_opened_by_a_person_under_the_terms_that_it_names() {
    let (terms, input) = World::opening(LENIENT, CHECKED, &Opening::default()).expect("the terms load");
    for actor in [Actor::Host, Actor::Kernel, person(Some(1))] {
        let declined = World::opened(terms.clone(), Input { actor, ..input.clone() }).err();
        assert_eq!(declined.as_deref(), Some("a run is opened by a person"));
    }
    let another = "run.opened names another bundle or other rule sets than the terms";
    assert_eq!(opening(|_| {}), "taken");
    assert_eq!(opening(|body| body.bundle = Digest([3; 32])), another);
    assert_eq!(opening(|body| body.rules = vec![Digest([3; 32])].into()), another);
    let unknown = opening(|body| body.flow = Some("unheard-of".into()));
    assert_eq!(unknown, "the bundle has no flow `unheard-of`; it has work");
}

#[test]
fn opening_is_whole_and_names_what_git_can_name() {
    let slug = "the slug is of the letters a-z, digits and `-`, and not empty: a branch is called after it";
    for (text, expected) in [
        ("a", "taken"),
        ("7", "taken"),
        ("-", "taken"),
        ("a-7", "taken"),
        ("", slug),
        ("A", slug),
        ("a b", slug),
        ("é", slug),
    ] {
        assert_eq!(opening(|body| body.slug = text.into()), expected, "`{text}`");
    }
    let names = "the base commit and tree are git object names of 20 or 32 bytes";
    for (length, expected) in [(20, "taken"), (32, "taken"), (0, names), (21, names), (31, names)] {
        assert_eq!(opening(|body| body.base_tree = vec![7; length]), expected, "{length}");
        assert_eq!(opening(|body| body.base_commit = vec![7; length]), expected, "{length}");
    }
    let caps: [fn(&mut RunOpened) -> &mut u64; 4] = [
        |body| &mut body.cap_spawns,
        |body| &mut body.cap_tokens,
        |body| &mut body.cap_money_micro,
        |body| &mut body.cap_time_ms,
    ];
    for cap in caps {
        assert_eq!(opening(|body| *cap(body) = 0), "every cap is at least 1: without a cap no call is made (BUDGET-1)");
    }
}

#[test]
fn policies_of_an_opening_are_given_once_and_auto_needs_a_floor() {
    let given = |roles: &'static [&'static str], policies: &'static [&'static str]| {
        opening(|body| {
            body.gate_roles = roles.iter().map(ToString::to_string).collect();
            body.gate_policies = policies.iter().map(ToString::to_string).collect();
        })
    };
    assert_eq!(given(&["final"], &["auto"]), "taken");
    assert_eq!(given(&["final"], &[]), "gate roles and policies differ in number");
    assert_eq!(given(&["final", "final"], &["auto", "human"]), "role `final` is given twice");
    let mut bundle = super::text::bundle(CHECKED);
    let role = bundle.roles.get_mut("final").expect("the role");
    role.floor.clear();
    assert_eq!(role.policy, Policy::Human);
    let blob = Blob::plain(&bundle.encode());
    let rules = Blob::plain(LENIENT.trim_start().as_bytes());
    let terms = loom_core::run::Terms::load(&blob, std::slice::from_ref(&rules)).expect("the terms load");
    let terms = std::sync::Arc::new(terms);
    for (policy, expected) in [
        ("auto", Some("role `final` has no floor of rules, so it cannot be `auto`")),
        ("on-blockers", None),
        ("human", None),
    ] {
        let opening = Opening { policies: vec![("final", policy)], ..Opening::default() };
        let (_, mut input) = World::opening(LENIENT, CHECKED, &opening).expect("the terms load");
        let Event::RunOpened(body) = &mut input.body else { panic!("no opening") };
        input.blobs.retain(|other| other.digest != body.bundle);
        input.blobs.push(blob.clone());
        body.bundle = blob.digest;
        assert_eq!(World::opened(terms.clone(), input).err().as_deref(), expected, "{policy}");
    }
}

/// BLOB-4: whoever puts an input in knows by this which blobs must come with it.
#[test]
fn every_blob_that_an_input_names_is_told() {
    let digests: Vec<Digest> = (1..=5).map(|n| Digest([n; 32])).collect();
    let mut world = open(CHECKED);
    let mut told = |line: &str, alter: &dyn Fn(&mut Input)| {
        let mut input = world.input(line);
        alter(&mut input);
        loom_core::step::named_blobs(&input.body)
    };
    let mut blobs = Vec::new();
    let note = named(&mut blobs, b"mind the gap");
    assert_eq!(told("steer mind the gap", &|_| {}), [note]);
    assert_eq!(told("answer accept note mind the gap", &|_| {}), [note]);
    assert_eq!(told("answer accept", &|_| {}), []);
    assert_eq!(told("risk a", &|_| {}), [named(&mut blobs, b"reason")]);
    assert_eq!(told("rules harmless", &|_| {}).len(), 1);
    assert_eq!(told("pause", &|_| {}), []);
    let all = told("w: nothing", &|input| {
        let body = finished(input);
        let places = [&mut body.prompt, &mut body.output, &mut body.answer, &mut body.delta, &mut body.transcript];
        places.into_iter().zip(&digests).for_each(|(place, digest)| *place = Some(*digest));
    });
    assert_eq!(all, digests);
}
