//! Who descends from a spawn is known for it, however the mark was dropped, and decides nothing.

use crate::project::{Going, Project, by_person, code, guard, scripted};
use loom_core::commit::Blob;
use loom_core::id::Actor;
use loom_core::word::Answer;
use loom_host::environment::Environment;
use loom_host::request::{Ask, Request};
use loom_host::session::{local_actor, request_id};
use std::process::Command;
use std::sync::Arc;

/// Not a test by itself: says who a request of this process would come from.
#[test]
fn asker() {
    println!("asks as {:?}", local_actor(&Environment::read()));
}

/// The arguments that make this test binary [`asker`].
const ASKER: [&str; 4] = ["descent::asker", "--exact", "--nocapture", "--test-threads=1"];

/// Returns what [`asker`] said in this output.
fn said(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find_map(|line| line.split_once("asks as ")).unwrap_or_else(|| panic!("{text}"));
    line.1.to_string()
}

/// Drives a run whose agent runs this script, in which `ASKER` stands for the asking program; returns what that said.
fn asked_in_a_spawn(project: &Project, script: &str) -> Option<(Going, String)> {
    let asker = format!("{} {}", std::env::current_exe().unwrap().display(), ASKER.join(" "));
    let turn = format!(
        "[[turn]]\nagent = 'implementer'\nsay = '{{\"summary\": \"done\"}}'\n\
         edit = [{{ append = 'notes.txt', content = 'more' }}]\nrun = ['sh', '-c', '''\n{}\n''']\n",
        script.replace("ASKER", &asker)
    );
    let going = project.go_with(Arc::new(scripted(&turn)), guard()?, code(), by_person("trivial"));
    let output = going.session.engine().store().blob(&going.spawns()[0].output.unwrap()).unwrap().unwrap();
    let said = said(Blob::content(&output).unwrap());
    Some((going, said))
}

/// Returns how [`asker`] names somebody who descends from this spawn.
fn descendant(spawn: Option<u64>) -> String {
    let Actor::Person { id, assurance, .. } = local_actor(&Environment::read()) else { unreachable!() };
    format!("{:?}", Actor::Person { id, assurance, descends: spawn })
}

#[test]
fn who_descends_from_a_spawn_is_known_for_it_even_when_the_mark_was_dropped() {
    needs!("git", "sh", "setsid");
    let outside = Command::new(std::env::current_exe().unwrap()).args(ASKER).output().unwrap();
    assert_eq!(said(&outside.stdout), descendant(None), "who was not started by Loom does not descend from it");
    for script in [
        "exec ASKER",
        // In its place, below it, further below, in a session of its own, and after its parent has ended.
        "unset LOOM_SPAWN; exec ASKER",
        "unset LOOM_SPAWN; ASKER; :",
        "unset LOOM_SPAWN; sh -c \"sh -c 'ASKER; :'; :\"; :",
        "unset LOOM_SPAWN; setsid -w ASKER; :",
        "unset LOOM_SPAWN; (sh -c 'ASKER > said.new; mv said.new said' &)
         while ! test -e said; do :; done; cat said; rm said",
    ] {
        let project = Project::new();
        let Some((going, said)) = asked_in_a_spawn(&project, script) else { return };
        assert_eq!(said, descendant(Some(going.spawns()[0].spawn)), "{script}");
    }
}

#[test]
fn an_answer_from_below_a_spawn_is_refused_and_the_gate_waits_on() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let Some((mut going, said)) = asked_in_a_spawn(&project, "ASKER") else { return };
    let spawn = going.spawns()[0].spawn;
    let actor = local_actor(&Environment { descends: Some(spawn), ..project.environment() });
    assert_eq!(said, format!("{actor:?}"));
    let gate = going.gate().unwrap();
    let ask = Ask::Answer {
        gate: gate.sequence,
        answer: Answer::Accept,
        note: None,
        artifact: Some(gate.artifact),
        signed: None,
    };
    let request = Request { stream: going.stream, id: request_id(), actor, ask };
    going.session.request(request).unwrap();
    going.drive();
    assert_eq!((going.count("request.refused"), going.count("gate.answered")), (1, 0));
    assert_eq!(going.gate(), Some(gate));
    before.assert_kept(&project.footprint(), None);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
}
