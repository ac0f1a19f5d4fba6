//! The shipped process and its rules, driven through the kernel by hand: what a run of each sort comes to.

use loom_bundles::{LoadedBundle, Source, load};
use loom_core::answer::{Change, Claim, Found, Recipe, encode_delta};
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Digest, Stamp, StreamId};
use loom_core::kind::*;
use loom_core::process::AgentKind;
use loom_core::run::{Run, Terms};
use loom_core::schema::List;
use loom_core::state::Asked;
use loom_core::step::{Input, open, step};
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, SpawnOutcome, Verdict};
use std::sync::Arc;

/// What the agents of a run do: everything but this goes well.
struct World {
    flow: Option<&'static str>,
    policies: &'static [(&'static str, &'static str)],
    /// What the implementer touches.
    touches: &'static str,
    /// Whether it changes anything.
    works: bool,
    /// The reviewers that block, each with the round.
    blocks: &'static [(&'static str, u64)],
    /// What checks come to.
    checks: CheckOutcome,
    waived: &'static [&'static str],
    /// The person's answers, in order; then the run is left waiting.
    answers: &'static [Answer],
}

impl Default for World {
    fn default() -> Self {
        World {
            flow: Some("standard"),
            policies: &[],
            touches: "src/lib.rs",
            works: true,
            blocks: &[],
            checks: CheckOutcome::Pass,
            waived: &[],
            answers: &[],
        }
    }
}

struct Driven {
    run: Run,
    bundle: LoadedBundle,
    told: Vec<String>,
    /// Sequences of the findings.
    raised: Vec<u64>,
    /// What each agent was given.
    recipes: Vec<(String, Recipe)>,
    clock: u64,
}

const BASE: [u8; 20] = [7; 20];

fn person() -> Actor {
    Actor::Person { id: "uid:1000".to_string(), assurance: Assurance::Asserted, descends: None }
}

fn drive(world: &World) -> Driven {
    let bundle = load(&Source::builtin("code").unwrap()).unwrap();
    let terms = Arc::new(Terms::load(&bundle.blob(), &bundle.rule_blobs()).unwrap());
    let task = Blob::plain(b"task");
    let limits = &bundle.bundle.limits;
    let opened = RunOpened {
        request: b"r1".to_vec(),
        task: task.digest,
        slug: "task".to_string(),
        bundle: bundle.digest,
        bundle_name: bundle.title(),
        rules: terms.rule_digests().to_vec().into(),
        base_commit: BASE.to_vec(),
        base_tree: BASE.to_vec(),
        flow: world.flow.map(str::to_string),
        gate_roles: world.policies.iter().map(|(role, _)| (*role).to_string()).collect(),
        gate_policies: world.policies.iter().map(|(_, policy)| (*policy).to_string()).collect(),
        checks_found: Vec::new().into(),
        checks_waived: world.waived.iter().map(|check| (*check).to_string()).collect(),
        cap_spawns: limits.spawns,
        cap_tokens: limits.tokens,
        cap_money_micro: limits.money_micro,
        cap_time_ms: limits.time_ms,
        owner: "uid:1000".to_string(),
        loom: "test".to_string(),
        checks: None,
    };
    let mut blobs = vec![task];
    blobs.extend(bundle.blobs.iter().cloned());
    let input = Input { stamp: Stamp { ms: 1, counter: 0 }, actor: person(), body: opened.into(), blobs };
    let checked = open(terms, StreamId([1; 16]), input).unwrap();
    let mut driven = Driven {
        run: Run::new(checked.next().terms.clone()),
        bundle,
        told: Vec::new(),
        raised: Vec::new(),
        recipes: Vec::new(),
        clock: 1,
    };
    driven.take(checked);
    let mut answers = world.answers.iter();
    for _ in 0..100 {
        if driven.run.state.closed.is_some() {
            break;
        }
        let next = driven.run.state.pending.iter().next().map(|(id, pending)| (*id, pending.what.clone()));
        match next {
            Some((id, asked)) => driven.act(world, id, &asked),
            None => match (driven.run.state.gate.clone(), answers.next()) {
                (Some(gate), Some(answer)) => {
                    let request = format!("answer {}", gate.sequence).into_bytes();
                    let answered = GateAnswered {
                        request,
                        gate: gate.sequence,
                        answer: *answer,
                        note: None,
                        artifact: None,
                        signature: None,
                        signer: None,
                    };
                    driven.input(person(), answered.into(), Vec::new());
                }
                (gate, _) => {
                    driven.told.push(format!("waits at {}", gate.map_or("nothing".to_string(), |gate| gate.role)));
                    break;
                }
            },
        }
    }
    driven
}

impl Driven {
    fn input(&mut self, actor: Actor, body: Event, blobs: Vec<Blob>) {
        self.clock += 1;
        let stamp = Stamp { ms: self.clock, counter: 0 };
        let checked = step(&self.run, Input { stamp, actor, body, blobs }).unwrap();
        self.take(checked);
    }

    /// Writes down what a person would tell of the run.
    fn take(&mut self, checked: loom_core::commit::Checked<Run>) {
        for event in checked.events() {
            let event = Envelope::decode(&event.bytes).unwrap();
            let line = match event.body {
                Event::SpawnRequested(body) => {
                    let recipe = checked.blobs().iter().find(|blob| blob.digest == body.recipe).unwrap();
                    let recipe = Recipe::decode(Blob::content(&recipe.bytes).unwrap()).unwrap();
                    self.recipes.push((body.agent.clone(), recipe));
                    format!("spawn {}", body.agent)
                }
                Event::FindingRaised(_) => {
                    self.raised.push(event.sequence);
                    continue;
                }
                Event::CheckRequested(body) => format!("check {}", body.check),
                Event::GateOpened(body) => format!("gate {} opened: {}", body.role, body.reason),
                Event::GateDecided(body) => {
                    format!("gate {} {} by {}", body.role, body.outcome.word(), body.by.word())
                }
                Event::Refused(body) => format!("refused: {}", body.rules.join(", ")),
                Event::WalkedBack(body) => format!("back to {}", body.to),
                Event::MergeIntended(_) => "merge".to_string(),
                Event::RunClosed(body) => format!("closed: {}", body.verdict.word()),
                _ => continue,
            };
            self.told.push(line);
        }
        self.run = checked.into_next();
    }

    fn act(&mut self, world: &World, id: u64, asked: &Asked) {
        match asked {
            Asked::Spawn { agent, round, tree, edits, .. } => self.spawn(world, id, agent, *round, tree, *edits),
            Asked::Check { check, tree } => {
                let finished = CheckFinished {
                    request: id,
                    check: check.clone(),
                    outcome: world.checks,
                    exit_code: None,
                    tree: tree.clone(),
                    output: None,
                    duration_ms: 10,
                    fence: None,
                    enforced: List::default(),
                };
                self.input(Actor::Host, finished.into(), Vec::new());
            }
            Asked::Merge { .. } => {
                let finished =
                    MergeFinished { merge: id, outcome: MergeOutcome::Done, commit: Some(vec![9; 20]), detail: None };
                self.input(Actor::Host, finished.into(), Vec::new());
            }
        }
    }

    fn spawn(&mut self, world: &World, id: u64, agent: &str, round: u64, tree: &[u8], edits: bool) {
        let known = self.bundle.bundle.agents[agent].clone();
        let blocks = world.blocks.contains(&(agent, round));
        let found = Found {
            severity: "blocking".to_string(),
            category: "path-escape".to_string(),
            summary: "it leads out".to_string(),
            ..Found::default()
        };
        let word = |words: &[String]| words.first().cloned();
        let claim = Claim {
            flow: (known.kind == AgentKind::Classifier).then(|| "standard".to_string()),
            verdict: if blocks { word(&known.fails) } else { word(&known.passes) },
            findings: if blocks { vec![found] } else { Vec::new() },
            summary: "said".to_string(),
        };
        let mut after = tree.to_vec();
        let mut delta = None;
        if edits && world.works {
            after[0] = after[0].wrapping_add(1);
            delta = Some(encode_delta(&[Change { path: world.touches.into(), how: "modified".to_string() }]));
        }
        let blobs: Vec<Blob> =
            [Some(claim.encode()), delta.clone()].into_iter().flatten().map(|bytes| Blob::plain(&bytes)).collect();
        let digest = |bytes: &[u8]| -> Option<Digest> { Some(Blob::plain(bytes).digest) };
        let finished = SpawnFinished {
            spawn: id,
            outcome: SpawnOutcome::Ok,
            agent: agent.to_string(),
            prompt: None,
            output: None,
            answer: digest(&claim.encode()),
            delta: delta.as_deref().and_then(digest),
            tree_before: tree.to_vec(),
            tree_after: after,
            tokens_in: Some(1000),
            tokens_out: Some(100),
            money_micro: Some(1000),
            duration_ms: 10,
            model: None,
            session: None,
            detail: None,
            wake_ms: None,
            provider: None,
            chosen: None,
            requests: None,
            transcript: None,
            fence: None,
            enforced: List::default(),
        };
        self.input(Actor::Host, finished.into(), blobs);
    }
}

#[track_caller]
fn check(world: &World, wanted: &str) {
    let told = drive(world).told.join("\n");
    let wanted: Vec<&str> = wanted.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted, "\n{told}\n");
}

const TO_REVIEW: &str = "check lint\ncheck type-check\ncheck test\nspawn reviewer-logic\nspawn reviewer-security\n\
                         spawn reviewer-tests\nspawn reviewer-style\nspawn acceptance\n";

#[test]
fn a_clean_standard_run_merges_by_policy() {
    check(
        &World { flow: None, ..World::default() },
        &format!(
            "spawn classifier\nspawn planner\ngate plan accepted by policy\nspawn implementer\n{TO_REVIEW}\
             gate final accepted by policy\nmerge\nclosed: accepted"
        ),
    );
}

#[test]
fn accept_over_a_blocker_is_refused_and_the_run_walks_back() {
    check(
        &World {
            touches: "tests/it.rs",
            blocks: &[("reviewer-security", 1)],
            answers: &[Answer::Accept, Answer::Accept],
            ..World::default()
        },
        &format!(
            "spawn planner\ngate plan accepted by policy\nspawn implementer\n{TO_REVIEW}\
             gate final opened: 1 blocking finding(s) stand\n\
             refused: findings/no-open-blocker\nback to implement\nspawn implementer\n\
             check lint\ncheck type-check\ncheck test\nspawn reviewer-security\n\
             spawn reviewer-logic\nspawn reviewer-tests\nspawn reviewer-style\nspawn acceptance\n\
             refused: gates/tests-need-person\n\
             gate final opened: a rule refused what was decided at `final`\n\
             gate final accepted by person\nmerge\nclosed: accepted"
        ),
    );
}

#[test]
fn full_autonomy_with_an_absent_check_asks_a_person() {
    check(
        &World {
            flow: Some("trivial"),
            policies: &[("final", "auto")],
            checks: CheckOutcome::Absent,
            ..World::default()
        },
        "spawn implementer\ncheck lint\ncheck type-check\ncheck test\nrefused: checks/fresh-checks\n\
         gate final opened: a rule refused what was decided at `final`\nwaits at final",
    );
}

#[test]
fn full_autonomy_without_checks_needs_them_declared_not_applicable() {
    check(
        &World {
            flow: Some("trivial"),
            policies: &[("final", "auto")],
            waived: &["lint", "test", "type-check"],
            ..World::default()
        },
        "spawn implementer\ngate final accepted by policy\nmerge\nclosed: accepted",
    );
}

/// Plays every flow that edits, with an edit of this path and no person asked: the rule stops each at its final gate.
fn needs_person(touches: &'static str, rule: &str) {
    let bundle = load(&Source::builtin("code").unwrap()).unwrap();
    for (name, _) in bundle.bundle.flows.iter().filter(|(_, flow)| flow.edits) {
        let name: &'static str = name.clone().leak();
        let policies = &[("plan", "auto"), ("final", "auto")];
        let told = drive(&World { flow: Some(name), policies, touches, ..World::default() }).told;
        assert!(told.contains(&format!("refused: {rule}")), "{name}: {told:?}");
        assert_eq!(told.last().map(String::as_str), Some("waits at final"), "{name}");
    }
}

#[test]
fn touched_tests_need_a_person_in_every_flow_that_edits() {
    needs_person("src/limit_test.rs", "gates/tests-need-person");
}

/// The checks pass by what the agent wrote, so that they do says nothing.
#[test]
fn a_touched_runner_of_checks_needs_a_person_in_every_flow_that_edits() {
    needs_person("check.sh", "gates/runners-need-person");
}

#[test]
fn the_adjudicator_works_only_while_a_blocker_stands() {
    let blocked: [(&[_], bool); 2] = [(&[], false), (&[("reviewer-logic", 1)], true)];
    for (blocks, works) in blocked {
        let told = drive(&World { flow: Some("complex"), blocks, ..World::default() }).told;
        assert_eq!(told.contains(&"spawn adjudicator".to_string()), works, "{told:?}");
    }
}

/// LOOP-4.
#[test]
fn the_stronger_implementer_works_after_two_blocked_rounds_and_is_told_what_blocked() {
    let driven = drive(&World {
        flow: Some("simple"),
        policies: &[("final", "auto")],
        blocks: &[("reviewer-logic", 1), ("reviewer-tests", 2)],
        ..World::default()
    });
    let told = driven.told.join("\n");
    assert_eq!(
        told,
        "spawn planner\nspawn implementer\n\
         check lint\ncheck type-check\ncheck test\nspawn reviewer-logic\nspawn reviewer-tests\n\
         gate final revised by policy\nback to implement\n\
         spawn implementer\n\
         check lint\ncheck type-check\ncheck test\nspawn reviewer-logic\nspawn reviewer-tests\n\
         gate final revised by policy\nback to implement\n\
         spawn implementer-escalated\n\
         check lint\ncheck type-check\ncheck test\nspawn reviewer-tests\nspawn reviewer-logic\n\
         gate final accepted by policy\nmerge\nclosed: accepted"
    );
    let (_, recipe) = driven.recipes.iter().find(|(agent, _)| agent == "implementer-escalated").expect("it was asked");
    assert_eq!(recipe.findings, driven.raised[1..], "the blocker of the round before");
}

#[test]
fn the_adjudicator_is_told_the_blockers_that_stand() {
    let driven = drive(&World { flow: Some("complex"), blocks: &[("reviewer-logic", 1)], ..World::default() });
    let (_, recipe) = driven.recipes.iter().find(|(agent, _)| agent == "adjudicator").expect("it was asked");
    assert_eq!(recipe.findings, driven.raised[..1], "the blocker that stands");
}

#[test]
fn failed_checks_walk_back_and_then_ask_a_person() {
    let told = drive(&World { flow: Some("trivial"), checks: CheckOutcome::Fail, ..World::default() }).told;
    assert!(told.contains(&"back to implement".to_string()), "{told:?}");
    assert!(!told.contains(&"merge".to_string()), "{told:?}");
    assert!(told.last().unwrap().starts_with("waits at "), "{told:?}");
}

#[test]
fn an_implementer_that_changes_nothing_is_not_merged() {
    let driven = drive(&World { flow: Some("trivial"), works: false, ..World::default() });
    assert!(!driven.told.contains(&"merge".to_string()), "{:?}", driven.told);
    assert_ne!(driven.run.state.closed, Some(Verdict::Accepted));
}

#[test]
fn a_question_is_answered_without_a_gate() {
    check(&World { flow: Some("question"), ..World::default() }, "spawn responder\nclosed: answered");
}
