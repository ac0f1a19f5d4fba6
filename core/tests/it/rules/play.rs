//! Events fed to rules, and what each rule said of each. The fuzz target `rules_cel` feeds them too.

use loom_core::event::{Envelope, View};
use loom_core::id::{Actor, EventId, Stamp, StreamId};
use loom_core::kind::{BudgetSettled, Event, FindingRaised};
use loom_core::rules::{Facts, Outcome, Rules};
use loom_core::schema::{Class, List};
use loom_core::word::{Origin, Severity};

/// Returns the canonical bytes of an event.
pub(crate) fn event(sequence: u64, body: impl Into<Event>) -> Vec<u8> {
    event_by(Actor::Kernel, sequence, body)
}

pub(crate) fn event_by(actor: Actor, sequence: u64, body: impl Into<Event>) -> Vec<u8> {
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

pub(crate) fn view(bytes: &[u8]) -> View<'_> {
    View::read(bytes).expect("tests build valid events")
}

/// Feeds events to rules and writes down what each rule said of each event.
pub(crate) struct Play {
    pub(crate) rules: Rules,
    pub(crate) facts: Facts,
    log: String,
    next: u64,
}

impl Play {
    pub(crate) fn new(rules: Rules) -> Self {
        let facts = rules.facts();
        Play { rules, facts, log: String::new(), next: 1 }
    }

    pub(crate) fn feed(&mut self, body: impl Into<Event>) -> &mut Self {
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
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn fact(&self, name: &str) -> String {
        self.facts.get(name).expect("the fact is declared")
    }
}

pub(crate) fn finding(severity: Severity, path: Option<&[u8]>) -> FindingRaised {
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

pub(crate) fn settled(tokens: u64) -> BudgetSettled {
    BudgetSettled { effect: 4, tokens, money_micro: 0, time_ms: 0, known: true }
}

pub(crate) fn tree(name: &str) -> Vec<u8> {
    name.as_bytes().to_vec()
}

pub(crate) fn words(items: &[&str]) -> List<String> {
    items.iter().map(|item| item.to_string()).collect()
}
