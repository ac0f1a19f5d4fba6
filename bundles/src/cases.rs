//! Cases beside rules: events in readable form, and which rule refuses which of them.
//!
//! Every rule has a case that passes, one that it refuses, and the incident or promise it comes from; a rule that
//! lacks one is told as a problem (CASES-1). Events go through the real codec and the real evaluator.

use crate::table::{self, Section};
use loom_core::cbor::{Decoder, Encoder};
use loom_core::commit::Head;
use loom_core::event::{Envelope, Recorded, View};
use loom_core::id::{Actor, Assurance, EventHasher, Stamp, StreamId, unhex};
use loom_core::kind::{Event, schema_named};
use loom_core::rules::{RuleError, RuleSet, Rules};
use loom_core::schema::{Class, Field, KindSchema, Scalar, Type};
use std::fmt;
use std::sync::Arc;
use toml::de::DeValue;

/// What came of the cases of one rule set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CaseReport {
    /// Name of the set.
    pub set: String,
    /// The cases, in the order of the file.
    pub cases: Vec<CaseResult>,
    /// What is wrong with the files, or missing from them; each begins with the file.
    pub problems: Vec<String>,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// The rule.
    pub rule: String,
    /// Name of the case.
    pub name: String,
    /// Whether the rule did what the case expects.
    pub ok: bool,
    /// What it did.
    pub told: String,
}

impl CaseReport {
    /// Whether every case held and nothing is missing.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty() && self.cases.iter().all(|case| case.ok)
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            let mark = if case.ok { "ok  " } else { "FAIL" };
            writeln!(f, "{mark} {}/{}: {} ({})", self.set, case.rule, case.name, case.told)?;
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "FAIL {problem}"))
    }
}

/// A case as written.
#[derive(Debug)]
struct Case {
    rule: String,
    name: String,
    /// `None`: the rule lets everything pass. Else the place of the event that it refuses.
    refused: Option<usize>,
    events: Vec<Recorded>,
    line: u64,
}

/// An event as written, typed.
#[derive(Debug, Clone)]
struct Given {
    actor: Actor,
    /// When it happens, where the case says so.
    stamp_ms: Option<u64>,
    body: Event,
}

/// Returns the name of the file in which the cases of a rule file stand.
pub fn cases_of(rule_file: &str) -> String {
    format!("{}.cases.toml", rule_file.strip_suffix(".rules").unwrap_or(rule_file))
}

/// Runs the cases of a rule set. `file` names the rule file to people.
pub fn test_rules(file: &str, rule_text: &str, cases_text: &str) -> CaseReport {
    let cases_file = cases_of(file);
    let mut report = CaseReport::default();
    let set = match RuleSet::load(rule_text) {
        Ok(set) => Arc::new(set),
        Err(errors) => {
            report.problems = errors.iter().map(|error| format!("{file}:{error}")).collect();
            return report;
        }
    };
    report.set = set.name().to_string();
    let (cases, errors) = Cases::read(&cases_file, cases_text);
    report.problems.extend(errors);
    for case in cases.0.iter().filter(|case| !has_rule(&set, &case.rule)) {
        report.problems.push(format!("{cases_file}:{}: there is no rule `{}` in the set", case.line, case.rule));
    }
    match cases.run(&set) {
        Ok(results) => report.cases = results,
        Err(error) => {
            report.problems.push(format!("{file}: {}", error.message));
            return report;
        }
    }
    for rule in set.rules() {
        let mut lack =
            |file: &str, what: &str| report.problems.push(format!("{file}: rule `{}` has no {what}", rule.name));
        if rule.origin.as_ref().is_none_or(|origin| origin.trim().is_empty()) {
            lack(file, "origin: add `origin \"…\"`");
        }
        if !cases.0.iter().any(|case| case.rule == rule.name && case.refused.is_none()) {
            lack(&cases_file, &format!("case that passes: add [[rule.{}.passes]]", rule.name));
        }
        if !cases.0.iter().any(|case| case.rule == rule.name && case.refused.is_some()) {
            lack(&cases_file, &format!("case that it refuses: add [[rule.{}.refuses]]", rule.name));
        }
    }
    report
}

fn has_rule(set: &RuleSet, name: &str) -> bool {
    set.rules().any(|rule| rule.name == name)
}

/// The cases of a file, their events on record.
#[derive(Debug)]
pub(crate) struct Cases(Vec<Case>);

impl Cases {
    /// Reads them; what is wrong with the file begins with it.
    pub(crate) fn read(cases_file: &str, text: &str) -> (Cases, Vec<String>) {
        let (cases, errors) = table::read(cases_file, text, read_cases);
        (Cases(cases), errors.iter().map(ToString::to_string).collect())
    }

    /// Runs those of the set's rules, in order.
    ///
    /// # Errors
    /// The set cannot judge a run.
    pub(crate) fn run(&self, set: &Arc<RuleSet>) -> Result<Vec<CaseResult>, RuleError> {
        let rules = Rules::new(vec![set.clone()])?;
        Ok(self.0.iter().filter(|case| has_rule(set, &case.rule)).map(|case| run(&rules, set.name(), case)).collect())
    }

    /// Whether every case of the set holds; ends at the first that does not.
    pub(crate) fn hold(&self, set: &Arc<RuleSet>) -> bool {
        let Ok(rules) = Rules::new(vec![set.clone()]) else { return false };
        self.0.iter().all(|case| has_rule(set, &case.rule) && run(&rules, set.name(), case).ok)
    }
}

fn run(rules: &Rules, set: &str, case: &Case) -> CaseResult {
    let name = format!("{set}/{}", case.rule);
    let mut facts = rules.facts();
    let (mut refused, mut asked) = (None, false);
    for (index, event) in case.events.iter().enumerate() {
        // The bytes come from our own encoder; a view of them exists.
        let Ok(view) = View::read(&event.bytes) else { continue };
        asked |= rules
            .sets()
            .iter()
            .flat_map(|set| set.rules())
            .any(|rule| rule.name == case.rule && rule.kinds.contains(&view.schema.name));
        let found = rules.judge(&facts, &view).into_iter().find(|judgement| judgement.rule == name);
        if let (None, Some(judgement)) = (refused, found) {
            refused = Some(index);
            if case.refused.is_none() {
                let told = format!("refused event {} of the case: {}", index + 1, judgement.result);
                return CaseResult { rule: case.rule.clone(), name: case.name.clone(), ok: false, told };
            }
        }
        rules.fold(&mut facts, &view);
    }
    let (ok, told) = match (case.refused, refused) {
        (None, None) if asked => (true, "passes".to_string()),
        (_, None) if !asked => (false, "no event of the case is judged by the rule".to_string()),
        (Some(wanted), Some(at)) if wanted == at => (true, format!("refused at event {}", at + 1)),
        (Some(wanted), Some(at)) => (false, format!("refused at event {}, not {}", at + 1, wanted + 1)),
        (Some(wanted), None) => (false, format!("was not refused at event {}", wanted + 1)),
        (None, None | Some(_)) => (true, "passes".to_string()),
    };
    CaseResult { rule: case.rule.clone(), name: case.name.clone(), ok, told }
}

/// Chains the events of a case in a stream of their own.
fn record(events: &[Given]) -> Vec<Recorded> {
    let hasher = EventHasher::default();
    let class = |event: &Given| event.body.schema().class;
    let (mut head, mut input, mut now_ms) = (Head::default(), 0, 1_000_000);
    let mut recorded = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let is_input = class(event) == Class::Input;
        if is_input {
            input = head.next;
        }
        let followers = events[index + 1..].iter().take_while(|event| class(event) != Class::Input).count();
        // A millisecond later, or when the case says; never earlier.
        now_ms = event.stamp_ms.unwrap_or(now_ms + 1).max(now_ms + 1);
        let envelope = Envelope {
            stream: StreamId([1; 16]),
            sequence: head.next,
            previous: head.last,
            stamp: Stamp { ms: now_ms, counter: 0 },
            actor: event.actor.clone(),
            input,
            count: is_input.then_some(1 + followers as u64),
            body: event.body.clone(),
        };
        let event = Recorded::of(&envelope, &hasher);
        head = Head { next: head.next + 1, last: event.id };
        recorded.push(event);
    }
    recorded
}

fn read_cases(root: &Section<'_>) -> Vec<Case> {
    let given = events(&root.list("given"));
    if given.first().is_none_or(|first| first.body.schema().class != Class::Input) {
        root.flaw(
            "CASE_GIVEN",
            "`given` does not begin with an input".to_string(),
            "begin with [[given]] kind = \"run.opened\"".to_string(),
        );
        return Vec::new();
    }
    let mut cases = Vec::new();
    for (rule, section) in root.named("rule") {
        for (key, refuses) in [("passes", false), ("refuses", true)] {
            for case in section.list(key) {
                let mut all = given.clone();
                let own = events(&case.list("events"));
                all.extend(own);
                let last = all.len() - 1;
                let at = if refuses { case.number("at") } else { None };
                let at = at.map_or(last, |at| usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(1));
                cases.push(Case {
                    rule: rule.clone(),
                    name: case.need_text("name"),
                    refused: refuses.then_some(at),
                    events: record(&all),
                    line: case.line,
                });
                case.finish();
            }
        }
        section.finish();
    }
    cases
}

fn events(sections: &[Section<'_>]) -> Vec<Given> {
    sections.iter().filter_map(event).collect()
}

fn event(section: &Section<'_>) -> Option<Given> {
    let entries = section.entries();
    let text = |key: &str| entries.iter().find(|(name, _, _)| name == key).and_then(|(_, _, value)| value.as_str());
    let told = |what: String, repair: &str| {
        section.flaw("CASE_EVENT", what, repair.to_string());
        None
    };
    let Some(kind) = text("kind") else {
        return told("the event has no kind".to_string(), "add kind = \"…\"");
    };
    let Some(schema) = schema_named(kind) else {
        return told(format!("there is no event kind `{kind}`"), "see specs/events.md");
    };
    let Some(actor) = actor(text("actor"), schema) else {
        return told("the actor is not understood".to_string(), "one of kernel, host, person:NAME, spawn:NAME");
    };
    let mut given = Vec::new();
    for (name, line, value) in &entries {
        match schema.field(name) {
            Some(field) => given.push((field, *value)),
            None if ["kind", "actor", "stamp_ms"].contains(&name.as_str()) => {}
            None => {
                let names: Vec<&str> = schema.fields.iter().map(|field| field.name).collect();
                let repair = format!("one of {}", names.join(", "));
                section.flaw_at("CASE_EVENT", *line, format!("{kind} has no field `{name}`"), repair);
                return None;
            }
        }
    }
    match body(schema, &given) {
        Ok(body) => Some(Given { actor, stamp_ms: section.number("stamp_ms"), body }),
        Err(what) => told(format!("{kind}: {what}"), "write a value of the field's type and vocabulary"),
    }
}

/// By default requests come from a person, observations from the host, the rest from the kernel.
fn actor(text: Option<&str>, schema: &KindSchema) -> Option<Actor> {
    let person =
        |name: &str, descends| Actor::Person { id: name.to_string(), assurance: Assurance::Asserted, descends };
    match text {
        None if schema.class != Class::Input => Some(Actor::Kernel),
        None if schema.field("request").is_some_and(|field| field.ty == Type::One(Scalar::Bytes)) => {
            Some(person("uid:1000", None))
        }
        None | Some("host") => Some(Actor::Host),
        Some("kernel") => Some(Actor::Kernel),
        Some(text) => match text.split_once(':') {
            Some(("person", name)) => Some(person(name, None)),
            Some(("spawn", name)) => Some(person(name, Some(1))),
            Some(_) | None => None,
        },
    }
}

/// Lengths that a byte string is tried with: as written, then filled with zeros as fingerprint and as digest.
const LENGTHS: [usize; 3] = [0, 16, 32];

/// Builds a body through the real codec: what is not given is 0, false, empty or the first word; optional fields
/// and lists are absent.
fn body(schema: &'static KindSchema, given: &[(&'static Field, &DeValue<'_>)]) -> Result<Event, String> {
    let fields: Vec<(&Field, Option<&DeValue<'_>>)> = schema
        .fields
        .iter()
        .map(|field| (field, given.iter().find(|(found, _)| found.key == field.key).map(|(_, value)| *value)))
        .filter(|(field, value)| value.is_some() || !(field.optional || matches!(field.ty, Type::List(_))))
        .collect();
    let mut fill = vec![0; fields.len()];
    loop {
        let mut encoder = Encoder::default();
        encoder.map(fields.len());
        let mut bytes = encoder.finish();
        let mut starts = Vec::new();
        for ((field, value), fill) in fields.iter().zip(&fill) {
            starts.push(bytes.len());
            let mut encoder = Encoder::default();
            encoder.uint(field.key);
            put(&mut encoder, field, *value, LENGTHS[*fill]).map_err(|what| format!("{}: {what}", field.name))?;
            bytes.extend(encoder.finish());
        }
        let mut decoder = Decoder::new(&bytes);
        let error = match Event::decode(schema.code, &mut decoder) {
            Some(Ok(event)) => return Ok(event),
            Some(Err(error)) => error,
            None => return Err("the kind cannot be read".to_string()),
        };
        let wrong = starts.iter().rposition(|start| *start <= error.offset).unwrap_or(0);
        match fields.get(wrong) {
            Some((field, _)) if is_bytes(field) && fill[wrong] + 1 < LENGTHS.len() => fill[wrong] += 1,
            Some((field, _)) => return Err(format!("{}: {error}", field.name)),
            None => return Err(error.to_string()),
        }
    }
}

fn is_bytes(field: &Field) -> bool {
    matches!(field.ty, Type::One(Scalar::Bytes) | Type::List(Scalar::Bytes))
}

fn put(encoder: &mut Encoder, field: &Field, value: Option<&DeValue<'_>>, fill: usize) -> Result<(), String> {
    match (field.ty, value) {
        (Type::One(scalar), value) => put_scalar(encoder, scalar, field, value, fill),
        (Type::List(scalar), Some(DeValue::Array(items))) if !items.is_empty() => {
            encoder.array(items.len());
            items.iter().try_for_each(|item| put_scalar(encoder, scalar, field, Some(item.get_ref()), fill))
        }
        (Type::List(_), _) => Err("write a list with items, or leave it out".to_string()),
    }
}

fn put_scalar(
    encoder: &mut Encoder,
    scalar: Scalar,
    field: &Field,
    value: Option<&DeValue<'_>>,
    fill: usize,
) -> Result<(), String> {
    match (scalar, value) {
        (Scalar::Int, None) => encoder.uint(0),
        (Scalar::Int, Some(DeValue::Integer(number))) => {
            encoder.uint(u64::from_str_radix(number.as_str(), number.radix()).map_err(|error| error.to_string())?);
        }
        (Scalar::Bool, None) => encoder.bool(false),
        (Scalar::Bool, Some(DeValue::Boolean(flag))) => encoder.bool(*flag),
        (Scalar::Text, None) => encoder.text(field.words.and_then(|words| words.first()).unwrap_or(&"")),
        (Scalar::Text, Some(DeValue::String(text))) => encoder.text(text),
        (Scalar::Bytes, None) => encoder.bytes(&vec![0; fill]),
        (Scalar::Bytes, Some(DeValue::String(text))) => {
            let mut bytes = match text.strip_prefix("0x") {
                Some(digits) => unhex(digits).ok_or("hexadecimal digits come in pairs")?,
                None => text.as_bytes().to_vec(),
            };
            if fill > 0 {
                bytes.resize(fill.max(bytes.len()), 0);
            }
            encoder.bytes(&bytes);
        }
        (Scalar::Int | Scalar::Bool | Scalar::Text | Scalar::Bytes, Some(_)) => {
            return Err("the value is of another type".to_string());
        }
    }
    Ok(())
}
