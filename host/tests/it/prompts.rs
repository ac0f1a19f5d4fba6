//! What stands in the next prompt: it is read back from the log, as the model got it.

use crate::project::{Going, Project, by_person, code, scripted};
use loom_core::commit::Blob;
use loom_core::word::Answer;
use loom_host::request::Ask;
use loom_tools::Guard;
use std::sync::Arc;

/// The first change does not pass the check; the second does, and a reviewer blocks it; then a stronger agent takes over.
const TURNS: &str = r#"
[[turn]]
agent = "planner"
say = '{"summary": "first the plan, then the note"}'

[[turn]]
agent = "implementer"
say = '{"summary": "done"}'
edit = [{ append = "notes.txt", content = "one\n" }]

[[turn]]
agent = "implementer"
round = 2
say = '{"summary": "done"}'
edit = [{ append = "notes.txt", content = "more\n" }]

[[turn]]
agent = "implementer-escalated"
say = '{"summary": "done"}'
edit = [{ append = "notes.txt", content = "remark\n" }]

[[turn]]
agent = "reviewer-logic"
say = '''{"verdict": "request-changes", "summary": "no", "findings": [{"severity": "blocking", "category": "bug",
"path": "notes.txt", "line": 2, "summary": "the second line says one"}]}'''

[[turn]]
agent = "reviewer-tests"
say = '{"verdict": "approve", "summary": "good", "findings": []}'
"#;

/// Returns agent and prompt of each implementer's spawn, in order.
fn prompts(going: &Going) -> Vec<(String, String)> {
    let spawns = going.spawns().into_iter().filter(|spawn| spawn.agent.starts_with("implementer"));
    let read = |digest| going.session.engine().store().blob(&digest).unwrap().unwrap();
    let text = |stored: Vec<u8>| String::from_utf8(Blob::content(&stored).unwrap().to_vec()).unwrap();
    spawns.map(|spawn| (spawn.agent, text(read(spawn.prompt.unwrap())))).collect()
}

#[test]
fn notes_advice_findings_and_the_output_of_checks_stand_in_the_next_prompt() {
    needs!("git", "sh");
    let project = Project::new();
    project.write("check.sh", "grep more notes.txt || { echo there is no more; exit 1; }\n");
    project.commit();
    let mut going = project.go_with(Arc::new(scripted(TURNS)), Guard::None, code(), by_person("simple"));
    let gate = going.gate().unwrap();
    assert_eq!(gate.role, "final", "{}", going.why());
    let note = "call it a remark".to_string();
    let ask = Ask::Answer {
        gate: gate.sequence,
        answer: Answer::Revise,
        note: Some(note),
        artifact: Some(gate.artifact),
        signed: None,
    };
    going.ask(ask).unwrap();
    let (agents, prompts): (Vec<String>, Vec<String>) = prompts(&going).into_iter().unzip();
    assert_eq!(agents[..3], ["implementer", "implementer", "implementer-escalated"]);
    for (part, wanted) in [
        ("Write a note", [true, true, true]),
        ("first the plan, then the note", [true, true, true]),
        ("Check test: fail", [false, true, false]),
        ("there is no more", [false, true, false]),
        ("the second line says one", [false, false, true]),
        ("call it a remark", [false, false, true]),
    ] {
        let found: Vec<bool> = prompts[..3].iter().map(|prompt| prompt.contains(part)).collect();
        assert_eq!(found, wanted, "{part}");
    }
}
