//! One step: an input goes in, a judged commit comes out. Nothing else moves a run.
//!
//! ```text
//! open(terms, input)        -> Checked<Run>     the first commit of a stream
//! step(run, input)          -> Checked<Run>     every other one
//! ```

use crate::answer::{Claim, decode_delta};
use crate::commit::{Blob, Checked};
use crate::draft::{self, Draft};
use crate::event::Envelope;
use crate::id::{Actor, Assurance, Digest, Stamp, StreamId};
use crate::kind::{Event, GateAnswered, RequestRefused, RunOpened, SpawnFinished, derived};
use crate::outcome::Brought;
use crate::planted::planted;
use crate::process::Policy;
use crate::run::{Run, Terms, TermsError};
use crate::schema::{BYTES_MAX, Class};
use crate::stage::Driver;
use crate::state::{Asked, NOTES_MAX, State};
use crate::word::SpawnOutcome;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An input: an event of class input, who it comes from, when, and the blobs it names.
#[derive(Debug, Clone)]
pub struct Input {
    /// The stamp of the commit; after every earlier one of the stream (STAMP-1).
    pub stamp: Stamp,
    /// Who it comes from.
    pub actor: Actor,
    /// What it says.
    pub body: Event,
    /// The blobs it names.
    pub blobs: Vec<Blob>,
}

/// Why an input leaves no commit: it is malformed, and answered and forgotten.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// The input is not well formed.
    #[error("{0}")]
    Malformed(String),
    /// The outcome of this effect is recorded already: the first answer stands.
    #[error("the outcome of effect {0} is recorded already")]
    Duplicate(u64),
    /// The terms that the input names do not load.
    #[error(transparent)]
    Terms(#[from] TermsError),
}

fn malformed<T>(why: impl Into<String>) -> Result<T, Declined> {
    Err(Declined::Malformed(why.into()))
}

/// Opens a run in `stream` under `terms`.
pub fn open(terms: Arc<Terms>, stream: StreamId, input: Input) -> Result<Checked<Run>, Declined> {
    let Event::RunOpened(body) = &input.body else { return malformed("a run begins with run.opened") };
    check_bounds(&input)?;
    check_opening(&terms, body)?;
    if !matches!(input.actor, Actor::Person { descends: None, .. }) {
        return malformed("a run is opened by a person");
    }
    let mut run = Run::new(terms);
    run.state.stream = stream;
    let (input, blobs) = envelope(&run, input);
    let mut driver = Driver::new(Draft::begin(&run, &input, blobs));
    driver.settle(Driver::set_out);
    Ok(driver.draft.finish())
}

/// Moves a run by one input.
pub fn step(run: &Run, input: Input) -> Result<Checked<Run>, Declined> {
    let state = &run.state;
    if input.stamp <= state.stamp && !planted(10) {
        return malformed("the stamp is not after the last one of the stream (STAMP-1)");
    }
    check_bounds(&input)?;
    let now_ms = input.stamp.ms;
    let request = request_of(&input.body);
    match (&input.actor, request) {
        (Actor::Person { descends: None, .. }, Some(_)) | (Actor::Host, None) => {}
        (Actor::Person { descends: Some(_), .. }, Some(request)) => {
            let refused = refused(input.body.schema().name, request).into();
            let (input, blobs) = envelope(run, Input { body: refused, blobs: Vec::new(), ..input });
            return Ok(Draft::begin(run, &input, blobs).finish());
        }
        (Actor::Kernel | Actor::Host, Some(_)) => return malformed("a request comes from a person"),
        (Actor::Kernel | Actor::Person { .. }, None) => return malformed("an observation comes from the host"),
    }
    let is_request = request.is_some();
    let (input, blobs) = envelope(run, input);
    let begin = |blobs: Vec<Blob>| Driver::new(Draft::begin(run, &input, blobs));
    if is_request && state.closed.is_some() {
        // On record, `rules.added` means that the terms changed; those of a run that has ended do not.
        if matches!(input.body, Event::RulesAdded(_)) {
            return malformed("the run has ended; rules can be asked about it by replay");
        }
        let mut driver = begin(blobs);
        driver.decline("the run has ended");
        return Ok(driver.draft.finish());
    }

    let actor = &input.actor;
    let driver = match &input.body {
        Event::GateAnswered(body) => {
            if body.note.is_some() && notes_are_full(state) {
                return malformed(format!("{NOTES_MAX} notes wait to be read; answer without one"));
            }
            if let Some(flaw) = signature_flaw(body, actor) {
                return malformed(flaw);
            }
            let mut driver = begin(blobs);
            driver.gate_answered(body, actor);
            driver
        }
        Event::RunSteered(_) => {
            if notes_are_full(state) {
                return malformed(format!("{NOTES_MAX} notes wait to be read; let the run read them first"));
            }
            begin(blobs)
        }
        Event::RecoveryRequested(body) => {
            let mut driver = begin(blobs);
            driver.recover(body, actor);
            driver
        }
        Event::RiskAccepted(body) => {
            let mut driver = begin(blobs);
            driver.risk_accepted(body, actor);
            driver
        }
        Event::RulesAdded(body) => {
            let Some(blob) = blobs.iter().find(|blob| blob.digest == body.rules) else {
                return malformed("the rule set's text did not come with the request");
            };
            if run.terms.rule_digests().contains(&blob.digest) || run.terms.rule_digests().len() >= 32 {
                return malformed("the run is judged by this rule set already, or by 32 of them");
            }
            let terms = Arc::new(run.terms.extended(blob)?);
            let mut wider = run.clone();
            wider.facts = wider.facts.extended(terms.rules());
            wider.terms = terms;
            let mut driver = Driver::new(Draft::begin(&wider, &input, blobs));
            driver.rules_added();
            return Ok(driver.draft.finish());
        }
        Event::RunPaused(_) => {
            let mut driver = begin(blobs);
            if state.hold.is_some() {
                driver.decline("the run is held already");
            }
            driver
        }
        Event::RunResumed(_) => {
            let mut driver = begin(blobs);
            if state.hold.is_none() {
                driver.decline("the run is not held");
            }
            driver
        }
        Event::RunCancelled(_) => {
            let mut driver = begin(blobs);
            driver.cancel(actor);
            driver
        }
        Event::SpawnFinished(body) => {
            let brought = brought(body, &blobs)?;
            match state.pending.get(&body.spawn) {
                Some(was) => {
                    let taken = matches!(body.outcome, SpawnOutcome::Ok | SpawnOutcome::Unparsable)
                        && matches!(was.what, Asked::Spawn { edits: true, .. });
                    if taken && body.tree_after != body.tree_before && body.delta.is_none() {
                        return malformed("a changed tree comes with its witnessed changes");
                    }
                    match &was.what {
                        Asked::Spawn { agent, tree, .. } if *agent == body.agent && *tree == body.tree_before => {}
                        Asked::Spawn { .. } => return malformed("the outcome speaks of another agent or tree"),
                        Asked::Check { .. } | Asked::Merge { .. } => return malformed("the effect is not a spawn"),
                    }
                    let mut driver = begin(blobs);
                    driver.spawn_finished(body, was, brought);
                    driver
                }
                None => {
                    late(run, body.spawn)?;
                    let mut driver = begin(blobs);
                    driver.spawn_late(body, &brought.changes);
                    driver
                }
            }
        }
        Event::CheckFinished(body) => match state.pending.get(&body.request) {
            Some(was) => {
                match &was.what {
                    Asked::Check { check, tree } if *check == body.check && *tree == body.tree => {}
                    Asked::Check { .. } => return malformed("the outcome speaks of another check or tree"),
                    Asked::Spawn { .. } | Asked::Merge { .. } => return malformed("the effect is not a check"),
                }
                let mut driver = begin(blobs);
                driver.check_finished(body);
                driver
            }
            None => {
                late(run, body.request)?;
                begin(blobs)
            }
        },
        Event::MergeFinished(body) => {
            match state.pending.get(&body.merge).map(|was| &was.what) {
                Some(Asked::Merge { .. }) => {}
                Some(Asked::Spawn { .. } | Asked::Check { .. }) => return malformed("the effect is not a merge"),
                None => return Err(Declined::Duplicate(body.merge)),
            }
            let mut driver = begin(blobs);
            driver.merge_finished(body);
            driver
        }
        Event::TimerFired(body) => {
            let Some((due_ms, _)) = state.deadlines().find(|(_, subject)| *subject == body.subject) else {
                return malformed(format!("nothing waits for the time of event {}", body.subject));
            };
            if now_ms < due_ms {
                return malformed(format!("the time of event {} is not up before {due_ms}", body.subject));
            }
            let mut driver = begin(blobs);
            fire(&mut driver, run, body.subject);
            driver
        }
        Event::EffectOrphaned(body) => {
            let Some(was) = state.pending.get(&body.effect) else { return Err(Declined::Duplicate(body.effect)) };
            if !matches!(was.what, Asked::Spawn { .. }) {
                return malformed("only a spawn can be orphaned; other effects are done again or looked for");
            }
            let mut driver = begin(blobs);
            driver.effect_lost(body.effect, was, "lost its driver");
            driver
        }
        Event::RequestRefused(_) => begin(blobs),
        Event::RunOpened(_) | Event::StoreCreated(_) => return malformed("the stream has begun already"),
        Event::KeyAdded(_) => return malformed("a run has no keys of the store"),
        Event::RulesArmed(_) | Event::RulesRetired(_) => return malformed("rules are armed in the store's stream"),
        Event::BlobsRedacted(_) => return malformed("blobs are erased by the store's stream"),
        derived!() => return malformed("what is derived is no input"),
    };
    Ok(driver.draft.finish())
}

/// Returns why an answer's actor and signature do not belong together (SIGNED-2); whether it fits is the host's to check.
fn signature_flaw(body: &GateAnswered, actor: &Actor) -> Option<&'static str> {
    let is_signed = matches!(actor, Actor::Person { assurance: Assurance::Signed, .. });
    match (is_signed, body.signature, body.signer, body.artifact) {
        (false, None, None, _) | (true, Some(_), Some(_), Some(_)) => None,
        (true, ..) => Some("a signed answer has a signature, its key, and the digest that it is bound to"),
        (false, ..) => Some("an answer with a signature is to be checked before it is one"),
    }
}

/// Reads the blobs of a spawn's outcome that decide. Witnessed changes that cannot be recorded decline the outcome: left
/// out, they would hide what rules ask about.
fn brought(body: &SpawnFinished, blobs: &[Blob]) -> Result<Brought, Declined> {
    let content = |digest: Option<Digest>| {
        let Some(digest) = digest else { return Ok(None) };
        let blob = blobs.iter().find(|blob| blob.digest == digest);
        match blob.and_then(|blob| Blob::content(&blob.bytes)) {
            Some(content) => Ok(Some(content)),
            None => malformed(format!("blob {digest} did not come with the outcome that names it")),
        }
    };
    let (answer, delta) = (content(body.answer)?, content(body.delta)?);
    let changes = match delta.map(decode_delta).transpose() {
        Ok(changes) => changes.unwrap_or_default(),
        Err(error) => return malformed(format!("the witnessed changes are not canonical: {error}")),
    };
    if let Some(long) = changes.iter().find(|change| change.path.len() > BYTES_MAX) {
        return malformed(format!("a path of {} bytes is longer than {BYTES_MAX}", long.path.len()));
    }
    let is_read = body.outcome == SpawnOutcome::Ok;
    Ok(Brought { claim: answer.filter(|_| is_read).and_then(|answer| Claim::decode(answer).ok()), changes })
}

fn notes_are_full(state: &State) -> bool {
    state.notes.iter().filter(|note| !note.read).count() >= NOTES_MAX
}

fn fire(driver: &mut Driver, run: &Run, subject: u64) {
    if run.state.gate.as_ref().is_some_and(|gate| gate.sequence == subject) {
        let under_way = driver.under_way();
        driver.give_up(&under_way);
        driver.gate_expired();
    } else if run.state.hold.is_some_and(|hold| hold.since == subject) {
        driver.hold_expired();
    } else if let Some(was) = run.state.pending.get(&subject) {
        driver.effect_lost(subject, was, "gave no sign until its deadline");
    } else if let Some(timer) = run.state.timers.get(&subject)
        && run.state.gate.is_none()
    {
        let again = [(timer.agent.clone(), timer.attempt)];
        driver.settle(|driver| driver.spawn_all(&again, None));
    }
}

/// An outcome of something that is not under way: late if it was given up, else a duplicate.
fn late(run: &Run, effect: u64) -> Result<(), Declined> {
    if run.state.given_up.contains(&effect) {
        Ok(())
    } else if effect < run.state.next {
        Err(Declined::Duplicate(effect))
    } else {
        malformed(format!("event {effect} has not happened"))
    }
}

/// Returns the id of a request to a run; `None` for what is none.
fn request_of(body: &Event) -> Option<&[u8]> {
    match body {
        Event::GateAnswered(body) => Some(&body.request),
        Event::RunSteered(body) => Some(&body.request),
        Event::RecoveryRequested(body) => Some(&body.request),
        Event::RiskAccepted(body) => Some(&body.request),
        Event::RulesAdded(body) => Some(&body.request),
        Event::RunCancelled(body) => Some(&body.request),
        Event::RunPaused(body) => Some(&body.request),
        Event::RunResumed(body) => Some(&body.request),
        Event::SpawnFinished(_)
        | Event::CheckFinished(_)
        | Event::MergeFinished(_)
        | Event::TimerFired(_)
        | Event::EffectOrphaned(_)
        | Event::RequestRefused(_)
        | Event::RunOpened(_)
        | Event::StoreCreated(_)
        | Event::KeyAdded(_)
        | Event::RulesArmed(_)
        | Event::RulesRetired(_)
        | Event::BlobsRedacted(_)
        | derived!() => None,
    }
}

/// A request from somebody who may not make it stays on record as refused (COMMIT-6).
fn refused(what: &str, request: &[u8]) -> RequestRefused {
    RequestRefused {
        request: request.to_vec(),
        what: what.to_string(),
        reason: "whoever asks descends from a spawn of this run".to_string(),
    }
}

/// Returns an input as the run's next event, and the blobs that came with it.
fn envelope(run: &Run, input: Input) -> (Envelope, Vec<Blob>) {
    let Input { stamp, actor, body, blobs } = input;
    (draft::envelope(run, run.state.next, stamp, actor, body), blobs)
}

fn check_bounds(input: &Input) -> Result<(), Declined> {
    let schema = input.body.schema();
    if schema.class != Class::Input {
        return malformed(format!("{} is not an input", schema.name));
    }
    if input.actor.id().len() > 80 {
        return malformed("the actor's name is longer than 80 bytes");
    }
    match input.body.misfit() {
        None => Ok(()),
        Some(key) => {
            let name = schema.fields.iter().find(|field| field.key == key).map_or("?", |field| field.name);
            malformed(format!("{}.{name} is longer than it may be", schema.name))
        }
    }
}

fn check_opening(terms: &Terms, body: &RunOpened) -> Result<(), Declined> {
    let bundle = terms.bundle();
    if body.bundle != terms.bundle_digest() || body.rules[..] != *terms.rule_digests() {
        return malformed("run.opened names another bundle or other rule sets than the terms");
    }
    if body.rules.is_empty() {
        return malformed("a run without a rule set is refused (RULE-2)");
    }
    if let Some(flow) = &body.flow
        && !bundle.flows.contains_key(flow)
    {
        let known: Vec<&str> = bundle.flows.keys().map(String::as_str).collect();
        return malformed(format!("the bundle has no flow `{flow}`; it has {}", known.join(", ")));
    }
    if body.gate_roles.len() != body.gate_policies.len() {
        return malformed("gate roles and policies differ in number");
    }
    let mut seen = BTreeSet::new();
    for (role, policy) in body.gate_roles.iter().zip(body.gate_policies.iter()) {
        let Some(found) = bundle.roles.get(role) else {
            let known: Vec<&str> = bundle.roles.keys().map(String::as_str).collect();
            return malformed(format!("the bundle has no gate role `{role}`; it has {}", known.join(", ")));
        };
        match Policy::of(policy) {
            None => return malformed(format!("`{policy}` is no policy; there are human, on-blockers and auto")),
            Some(Policy::Auto) if found.floor.is_empty() => {
                return malformed(format!("role `{role}` has no floor of rules, so it cannot be `auto`"));
            }
            Some(Policy::Auto | Policy::OnBlockers | Policy::Human) => {}
        }
        if !seen.insert(role) {
            return malformed(format!("role `{role}` is given twice"));
        }
    }
    if [body.cap_spawns, body.cap_tokens, body.cap_money_micro, body.cap_time_ms].contains(&0) {
        return malformed("every cap is at least 1: without a cap no call is made (BUDGET-1)");
    }
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if body.slug.is_empty() || !body.slug.chars().all(plain) {
        return malformed("the slug is of the letters a-z, digits and `-`, and not empty: a branch is called after it");
    }
    if !matches!(body.base_tree.len(), 20 | 32) || !matches!(body.base_commit.len(), 20 | 32) {
        return malformed("the base commit and tree are git object names of 20 or 32 bytes");
    }
    Ok(())
}

/// Returns the digests of blobs that an input names and that must come with it (BLOB-4).
pub fn named_blobs(body: &Event) -> Vec<Digest> {
    match body {
        Event::RunOpened(body) => core::iter::once(body.task).chain(core::iter::once(body.bundle)).collect(),
        Event::GateAnswered(body) => body.note.into_iter().collect(),
        Event::RunSteered(body) => alloc::vec![body.note],
        Event::RiskAccepted(body) => alloc::vec![body.reason],
        Event::RulesAdded(body) => alloc::vec![body.rules],
        Event::RunCancelled(body) => body.reason.into_iter().collect(),
        Event::SpawnFinished(body) => {
            [body.prompt, body.output, body.answer, body.delta, body.transcript].into_iter().flatten().collect()
        }
        Event::CheckFinished(body) => body.output.into_iter().collect(),
        Event::RecoveryRequested(_)
        | Event::RequestRefused(_)
        | Event::RunPaused(_)
        | Event::RunResumed(_)
        | Event::MergeFinished(_)
        | Event::TimerFired(_)
        | Event::EffectOrphaned(_)
        | Event::StoreCreated(_)
        | Event::KeyAdded(_)
        | Event::RulesArmed(_)
        | Event::RulesRetired(_)
        | Event::BlobsRedacted(_)
        | derived!() => Vec::new(),
    }
}
