//! The rules language, from outside: rule files and events in, text out.

mod conformance;
mod expression;
mod fact;
mod file;
mod oracle;
mod proof;
mod property;
mod worked;

use loom_core::event::{Envelope, View};
use loom_core::id::{Actor, Assurance, Digest, EventId, Stamp, StreamId};
use loom_core::kind::*;
use loom_core::rules::{Facts, Outcome, RuleSet, Rules};
use loom_core::schema::{Class, List};
use loom_core::word::*;
use std::sync::Arc;

/// Returns the canonical bytes of an event.
fn event(sequence: u64, body: impl Into<Event>) -> Vec<u8> {
    event_by(Actor::Kernel, sequence, body)
}

fn event_by(actor: Actor, sequence: u64, body: impl Into<Event>) -> Vec<u8> {
    let body = body.into();
    let is_input = body.schema().class == Class::Input;
    Envelope {
        stream: StreamId([7; 16]),
        sequence,
        previous: EventId::default(),
        stamp: Stamp { ms: 1_000 + sequence, counter: 0 },
        actor,
        input: if is_input { sequence } else { 0 },
        count: is_input.then_some(1),
        body,
    }
    .encode()
}

fn person(id: &str, descends: Option<u64>) -> Actor {
    Actor::Person { id: id.into(), assurance: Assurance::Asserted, descends }
}

fn view(bytes: &[u8]) -> View<'_> {
    View::read(bytes).expect("tests build valid events")
}

fn set(text: &str) -> Arc<RuleSet> {
    match RuleSet::load(text) {
        Ok(set) => Arc::new(set),
        Err(errors) => panic!("{}\n{text}", errors.iter().map(|error| format!("{error}\n")).collect::<String>()),
    }
}

fn rules(text: &str) -> Rules {
    Rules::new(vec![set(text)]).expect("one set is enough")
}

/// Returns the errors of a file, one a line.
fn errors(text: &str) -> String {
    match RuleSet::load(text) {
        Ok(_) => "loads".into(),
        Err(errors) => errors.iter().map(|error| error.to_string()).collect::<Vec<_>>().join("\n"),
    }
}

/// Feeds events to rules and writes down what each rule said of each event.
struct Play {
    rules: Rules,
    facts: Facts,
    log: String,
    next: u64,
}

impl Play {
    fn new(rules: Rules) -> Self {
        let facts = rules.facts();
        Play { rules, facts, log: String::new(), next: 1 }
    }

    fn feed(&mut self, body: impl Into<Event>) -> &mut Self {
        let bytes = event(self.next, body);
        let view = view(&bytes);
        let judged = self.rules.judge(&self.facts, &view);
        let mut answers = self.rules.answers(&self.facts, &view);
        answers.retain(|answer| answer.result != Outcome::True);
        assert_eq!(answers, judged, "who is asked for every answer gets the same, and the satisfied ones");
        for judgement in judged {
            let result = match judgement.result {
                Outcome::False => "refused".to_string(),
                other => other.to_string(),
            };
            self.log += &format!("{} {} {}: {result}\n", view.sequence, view.schema.name, judgement.rule);
        }
        self.rules.fold(&mut self.facts, &view);
        self.next += 1;
        self
    }

    /// Feeds an event that must not be refused, and returns its sequence.
    fn take(&mut self) -> String {
        std::mem::take(&mut self.log)
    }

    fn fact(&self, name: &str) -> String {
        self.facts.get(name).expect("the fact is declared")
    }
}

fn finding(severity: Severity, path: Option<&[u8]>) -> FindingRaised {
    FindingRaised {
        source: 3,
        agent: "critic".into(),
        origin: Origin::Agent,
        severity,
        category: "naïve".into(),
        path: path.map(Vec::from),
        line: None,
        summary: "it leaks".into(),
        evidence: None,
        fingerprint: [9; 16],
        phase: "review".into(),
        round: 2,
    }
}

fn paths(paths: &[&str]) -> PathsChanged {
    PathsChanged {
        spawn: 3,
        paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
        how: paths.iter().map(|_| "modified".to_string()).collect(),
    }
}

fn settled(tokens: u64) -> BudgetSettled {
    BudgetSettled { effect: 4, tokens, money_micro: 0, time_ms: 0, known: true }
}

fn walked_back() -> WalkedBack {
    WalkedBack {
        from: "review".into(),
        to: "implement".into(),
        phase: "implement".into(),
        reason: "a blocker stands".into(),
        automatic: true,
    }
}

fn tree(name: &str) -> Vec<u8> {
    name.as_bytes().to_vec()
}

fn words(items: &[&str]) -> List<String> {
    items.iter().map(|item| item.to_string()).collect()
}

fn artifact(name: u8) -> Digest {
    Digest([name; 32])
}
