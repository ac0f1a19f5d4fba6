//! Rules in plain words, made from what was parsed: what each fact holds, and what each rule asks for.
//!
//! A sentence says what the expression says, no less: negations go inwards, nothing is summed up.

use loom_core::kind::schema_named;
use loom_core::rules::syntax::{Action, Clause, Expr, Fact, FactType, File, Name, Node, Operator, Rule};
use loom_core::rules::{RuleError, Severity, parse};
use loom_core::schema::{Class, Type};

/// A rule set in plain words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Name of the set.
    pub set: String,
    /// What it says it is for.
    pub about: String,
    /// Each fact's name, with its sentences.
    pub facts: Vec<(String, Vec<String>)>,
    /// Each rule's name, with its sentences, and the facts that it reads, those of their clauses included.
    pub rules: Vec<(String, Vec<String>, Vec<String>)>,
}

/// Says in plain words what a rule set means. The text is one that loads.
///
/// # Errors
/// It does not parse.
pub fn explain_rules(text: &str) -> Result<Explained, Vec<RuleError>> {
    let file = parse(text)?;
    let words = Words { file: &file };
    Ok(Explained {
        set: file.name.text.clone(),
        about: file.about.clone(),
        facts: file.facts.iter().map(|fact| (fact.name.text.clone(), words.fact(fact))).collect(),
        rules: file
            .rules
            .iter()
            .map(|rule| (rule.name.text.clone(), words.rule(rule), words.read(&rule.require)))
            .collect(),
    })
}

struct Words<'f> {
    file: &'f File,
}

impl Words<'_> {
    fn fact_type(&self, name: &str) -> Option<FactType> {
        self.file.facts.iter().find(|fact| fact.name.text == name).map(|fact| fact.ty)
    }

    /// Returns the facts that an expression reads, and those that these read, in the order of the file.
    fn read(&self, expr: &Expr) -> Vec<String> {
        let mut named = Vec::new();
        facts_of(expr, &mut named);
        for fact in self.file.facts.iter().rev().filter(|fact| !fact.clauses.is_empty()) {
            if named.contains(&fact.name.text) {
                for clause in &fact.clauses {
                    clause
                        .value
                        .iter()
                        .chain(&clause.key)
                        .chain(&clause.when)
                        .for_each(|expr| facts_of(expr, &mut named));
                }
            }
        }
        let facts = self.file.facts.iter().map(|fact| fact.name.text.clone());
        facts.filter(|name| named.contains(name)).collect()
    }

    // ---- facts

    fn fact(&self, fact: &Fact) -> Vec<String> {
        let name = &fact.name.text;
        let opening = match fact.ty {
            FactType::Counter => format!("`{name}` is a count; it begins at 0."),
            FactType::Sum => format!("`{name}` is a sum; it begins at 0."),
            FactType::Flag => format!("`{name}` is true or false; it begins as false."),
            FactType::Set(_) => format!("`{name}` is a set of values; it begins empty."),
            FactType::Last(_) => format!("`{name}` is one value, the latest; until there is one it is not set."),
            FactType::LastList(_) => {
                format!("`{name}` is a list, the latest; until there is one it is empty and not set.")
            }
            FactType::CounterBy(_) => format!("`{name}` is a count for each key; each begins at 0."),
            FactType::SumBy(_) => format!("`{name}` is a sum for each key; each begins at 0."),
            FactType::LastBy(..) => format!("`{name}` is one value for each key, the latest; it begins without any."),
        };
        std::iter::once(opening).chain(fact.clauses.iter().map(|clause| self.clause(fact.ty, clause))).collect()
    }

    fn clause(&self, ty: FactType, clause: &Clause) -> String {
        let when = kinds(&clause.kinds, clause.when.as_ref().map(|when| self.says(when, true)));
        let value = clause.value.as_ref().map(|value| self.value(value)).unwrap_or_default();
        let key = clause.key.as_ref().map(|key| self.value(key)).unwrap_or_default();
        let does = match (clause.action, ty) {
            (Action::Reset, FactType::Counter | FactType::Sum) => "it is 0 again".to_string(),
            (Action::Reset, FactType::Flag) => "it is false again".to_string(),
            (Action::Reset, FactType::Set(_)) => "it is empty again".to_string(),
            (Action::Reset, FactType::Last(_) | FactType::LastList(_)) => "it is forgotten".to_string(),
            (Action::Reset, _) => "all of it is forgotten".to_string(),
            (Action::Add, FactType::Counter) => "it is one more".to_string(),
            (Action::Remove, FactType::Counter) => "it is one less".to_string(),
            (Action::Add, FactType::CounterBy(_)) => format!("the count of {key} is one more"),
            (Action::Remove, FactType::CounterBy(_)) => format!("the count of {key} is one less"),
            (Action::Add, FactType::Sum) => format!("{value} is added to it"),
            (Action::Remove, FactType::Sum) => format!("{value} is taken from it"),
            (Action::Add, FactType::SumBy(_)) => format!("{value} is added to the sum of {key}"),
            (Action::Remove, FactType::SumBy(_)) => format!("{value} is taken from the sum of {key}"),
            (Action::Add, FactType::Flag) => "it becomes true".to_string(),
            (Action::Remove, FactType::Flag) => "it becomes false".to_string(),
            (Action::Add, FactType::Set(_)) => format!("{value} is put into it"),
            (Action::Remove, FactType::Set(_)) => format!("{value} is taken out of it"),
            (Action::Add, FactType::LastBy(..)) => format!("{value} is kept for {key}"),
            (Action::Remove, FactType::LastBy(..)) => format!("what is kept for {key} is forgotten"),
            (_, FactType::Last(_) | FactType::LastList(_)) => format!("it becomes {value}"),
        };
        format!("When {when}: {does}.")
    }

    // ---- rules

    fn rule(&self, rule: &Rule) -> Vec<String> {
        let mut told = vec![
            format!("It is asked when {}.", kinds(&rule.kinds, None)),
            format!("It holds where {}.", self.says(&rule.require, true)),
        ];
        let of = |class: Class| -> Vec<Name> {
            let is = |kind: &&Name| schema_named(&kind.text).is_some_and(|schema| schema.class == class);
            rule.kinds.iter().filter(is).cloned().collect()
        };
        let (decisions, others) = (of(Class::Decision), [of(Class::Input), of(Class::Record)].concat());
        let only = |kinds: &[Name]| {
            if kinds.len() == rule.kinds.len() {
                String::new()
            } else {
                format!(" on {}", kinds.iter().map(|kind| kind.text.as_str()).collect::<Vec<_>>().join(", "))
            }
        };
        if !decisions.is_empty() {
            let on = only(&decisions);
            told.push(match rule.severity {
                Severity::Error => {
                    format!(
                        "Where it does not hold{on}, or cannot be known, the decision is refused: \"{}\".",
                        rule.message
                    )
                }
                Severity::Warn => {
                    format!("Where it does not hold{on}, nothing is refused: it is a warning, \"{}\".", rule.message)
                }
            });
        }
        if !others.is_empty() {
            let on = only(&others);
            told.push(format!(
                "Where it does not hold{on}, the event stands and a violation is put on record: \"{}\".",
                rule.message
            ));
        }
        told.extend(rule.origin.as_ref().map(|origin| format!("It is from: {origin}.")));
        told
    }

    // ---- expressions

    /// Says that an expression is true, or with `wanted` false that it is not.
    fn says(&self, expr: &Expr, wanted: bool) -> String {
        let yes_no = |yes: &'static str, no: &'static str| if wanted { yes } else { no };
        match &expr.node {
            Node::Bool(value) => if *value == wanted { "in any case" } else { "in no case" }.to_string(),
            Node::Not(operand) => self.says(operand, !wanted),
            Node::And(operands) => self.joined(operands, wanted, wanted),
            Node::Or(operands) => self.joined(operands, !wanted, wanted),
            Node::If(parts) => {
                let [test, yes, no] = &**parts;
                let (test, yes, no) = (self.says(test, true), self.says(yes, wanted), self.says(no, wanted));
                format!("if {test}, then {yes}, and otherwise {no}")
            }
            Node::Binary(operator, left, right) => self.compares(*operator, left, right, wanted),
            Node::Call(target, name, arguments) => self.calls(target.as_deref(), name, arguments, wanted),
            _ => format!("{} is {}", self.value(expr), yes_no("true", "false")),
        }
    }

    /// Joins operands by "and" (`all`) or "or"; what is joined inside of them stands in parentheses.
    fn joined(&self, operands: &[Expr], all: bool, wanted: bool) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (at, operand) in operands.iter().enumerate() {
            // Asking whether something is there only guards what follows it, where that says so itself.
            if wanted && all && operands.get(at + 1).is_some_and(|next| self.is_guard(operand, next)) {
                continue;
            }
            let says = self.says(operand, wanted);
            let bare = if let Node::Not(inner) = &operand.node { inner } else { operand };
            let is_compound = match &bare.node {
                Node::If(_) => true,
                Node::And(_) | Node::Or(_) => says.contains(", and ") || says.contains(", or "),
                _ => false,
            };
            parts.push(if is_compound && operands.len() > 1 { format!("({says})") } else { says });
        }
        match (parts.len(), all) {
            (1, _) => parts.concat(),
            (_, true) => parts.join(", and "),
            (_, false) => format!("either {}", parts.join(", or ")),
        }
    }

    /// Whether one operand only asks that what the next one compares for equality is there: "is X" says that as well.
    fn is_guard(&self, guard: &Expr, next: &Expr) -> bool {
        let guarded = match &guard.node {
            Node::Call(None, name, arguments) if name == "has" => arguments.first().map(ToString::to_string),
            Node::Binary(Operator::In, key, facts) => Some(format!("{facts}[{key}]")),
            _ => None,
        };
        let Node::Binary(Operator::Equal, left, right) = &next.node else { return false };
        guarded.is_some_and(|guarded| left.to_string() == guarded || right.to_string() == guarded)
    }

    fn compares(&self, operator: Operator, left: &Expr, right: &Expr, wanted: bool) -> String {
        let zero = matches!(right.node, Node::Int(0));
        if let (Some(sized), true) = (sized(left), zero) {
            let empty = match operator {
                Operator::Equal | Operator::LessEqual => Some(wanted),
                Operator::NotEqual | Operator::Greater => Some(!wanted),
                _ => None,
            };
            if let Some(empty) = empty {
                return format!("{} is {}", self.value(sized), if empty { "empty" } else { "not empty" });
            }
        }
        if operator == Operator::In && matches!(&right.node, Node::Select(root, _) if is_root(root, "facts")) {
            let is_keyed = matches!(&right.node, Node::Select(_, name) if self.fact_type(name).is_some_and(|ty| ty.key().is_some()));
            let (left, right) = (self.value(left), self.value(right));
            return match (is_keyed, wanted) {
                (true, true) => format!("{right} has an entry for {left}"),
                (true, false) => format!("{right} has no entry for {left}"),
                (false, true) => format!("{left} is in {right}"),
                (false, false) => format!("{left} is not in {right}"),
            };
        }
        let relation = match (operator, wanted) {
            (Operator::Equal, true) | (Operator::NotEqual, false) => "is",
            (Operator::NotEqual, true) | (Operator::Equal, false) => "is not",
            (Operator::Less, true) | (Operator::GreaterEqual, false) => "is less than",
            (Operator::LessEqual, true) | (Operator::Greater, false) => "is at most",
            (Operator::Greater, true) | (Operator::LessEqual, false) => "is more than",
            (Operator::GreaterEqual, true) | (Operator::Less, false) => "is at least",
            (Operator::In, true) => "is one of",
            (Operator::In, false) => "is none of",
            (Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder, _) => {
                "is"
            }
        };
        format!("{} {relation} {}", self.value(left), self.value(right))
    }

    fn calls(&self, target: Option<&Expr>, name: &str, arguments: &[Expr], wanted: bool) -> String {
        let not = if wanted { "" } else { "not " };
        match (target, name, arguments) {
            (None, "has", [operand]) => match &operand.node {
                Node::Select(root, field) if is_root(root, "event") => {
                    format!("the event has {} `{field}`", if wanted { "a" } else { "no" })
                }
                Node::Index(facts, key) => {
                    let (facts, key) = (self.value(facts), self.value(key));
                    format!("{facts} has {} entry for {key}", if wanted { "an" } else { "no" })
                }
                _ => format!("{} is {not}set", self.value(operand)),
            },
            (None, "glob", [path, pattern]) => {
                let matches = if wanted { "matches" } else { "does not match" };
                format!("{} {matches} {}", self.value(path), self.value(pattern))
            }
            (Some(text), "startsWith" | "endsWith" | "contains", [part]) => {
                let verb = match (name, wanted) {
                    ("startsWith", true) => "begins with",
                    ("startsWith", false) => "does not begin with",
                    ("endsWith", true) => "ends with",
                    ("endsWith", false) => "does not end with",
                    (_, true) => "contains",
                    (_, false) => "does not contain",
                };
                format!("{} {verb} {}", self.value(text), self.value(part))
            }
            (Some(items), _, [variable, body]) => {
                let (items, variable) = (self.value(items), variable.to_string());
                match (name, wanted) {
                    ("all", true) => format!("for every `{variable}` of {items}: {}", self.says(body, true)),
                    ("all", false) => format!("for some `{variable}` of {items}: {}", self.says(body, false)),
                    ("exists", true) => format!("for some `{variable}` of {items}: {}", self.says(body, true)),
                    ("exists", false) => format!("for every `{variable}` of {items}: {}", self.says(body, false)),
                    (_, true) => format!("for exactly one `{variable}` of {items}: {}", self.says(body, true)),
                    (_, false) => {
                        format!("not for exactly one `{variable}` of {items}: {}", self.says(body, true))
                    }
                }
            }
            _ => format!("{name} is {}", if wanted { "true" } else { "false" }),
        }
    }

    fn value(&self, expr: &Expr) -> String {
        match &expr.node {
            Node::Int(_) | Node::Bool(_) | Node::Text(_) | Node::Bytes(_) => expr.to_string(),
            Node::List(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Node::Name(name) => format!("`{name}`"),
            Node::Select(root, name) if is_root(root, "event") => match name.as_str() {
                "actor" => "who caused the event".to_string(),
                "actor_class" => "the class of who caused the event".to_string(),
                "stamp_ms" => "the event's time in milliseconds".to_string(),
                name => format!("the event's `{name}`"),
            },
            Node::Select(_, name) => format!("`{name}`"),
            Node::Index(facts, key) => format!("{} for {}", self.value(facts), self.value(key)),
            Node::Call(..) => match sized(expr) {
                Some(items) if self.is_many(items) => format!("the number of {}", self.value(items)),
                Some(text) => format!("the length of {}", self.value(text)),
                None => format!("whether {}", self.says(expr, true)),
            },
            Node::Negate(operand) => format!("minus {}", self.operand(operand)),
            Node::Binary(operator, left, right) => {
                let word = match operator {
                    Operator::Add => "plus",
                    Operator::Subtract => "minus",
                    Operator::Multiply => "times",
                    Operator::Divide => "divided by",
                    Operator::Remainder => "modulo",
                    _ => return format!("whether {}", self.says(expr, true)),
                };
                format!("{} {word} {}", self.operand(left), self.operand(right))
            }
            Node::If(parts) if !is_truth(&parts[1]) => {
                let [test, yes, no] = &**parts;
                format!("{} if {}, and otherwise {}", self.value(yes), self.says(test, true), self.value(no))
            }
            Node::Not(_) | Node::And(_) | Node::Or(_) | Node::If(_) => format!("whether {}", self.says(expr, true)),
        }
    }

    fn operand(&self, expr: &Expr) -> String {
        match expr.node {
            Node::Binary(..) | Node::If(_) => format!("({})", self.value(expr)),
            _ => self.value(expr),
        }
    }

    /// Whether this is a list, set or keyed fact, and no text.
    fn is_many(&self, expr: &Expr) -> bool {
        match &expr.node {
            Node::Select(root, name) if is_root(root, "facts") => self.fact_type(name).is_some(),
            Node::Select(_, name) => {
                let kinds = self.file.facts.iter().flat_map(|fact| &fact.clauses).flat_map(|clause| &clause.kinds);
                let mut kinds = kinds.chain(self.file.rules.iter().flat_map(|rule| &rule.kinds));
                kinds.any(|kind| {
                    let field = schema_named(&kind.text).and_then(|schema| schema.field(name));
                    field.is_some_and(|field| matches!(field.ty, Type::List(_)))
                })
            }
            Node::List(_) => true,
            _ => false,
        }
    }
}

fn is_truth(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Not(_) | Node::And(_) | Node::Or(_) | Node::Bool(_) | Node::Call(..))
}

fn is_root(expr: &Expr, root: &str) -> bool {
    matches!(&expr.node, Node::Name(name) if name == root)
}

/// Returns what an expression takes the size of.
fn sized(expr: &Expr) -> Option<&Expr> {
    match &expr.node {
        Node::Call(None, name, arguments) if name == "size" => arguments.first(),
        Node::Call(Some(target), name, arguments) if name == "size" && arguments.is_empty() => Some(target),
        _ => None,
    }
}

/// Returns the facts that an expression names.
fn facts_of(expr: &Expr, named: &mut Vec<String>) {
    let mut all = |items: &[Expr]| items.iter().for_each(|item| facts_of(item, named));
    match &expr.node {
        Node::Int(_) | Node::Bool(_) | Node::Text(_) | Node::Bytes(_) | Node::Name(_) => {}
        Node::List(items) | Node::And(items) | Node::Or(items) => all(items),
        Node::If(parts) => all(&parts[..]),
        Node::Select(root, name) if is_root(root, "facts") => named.push(name.clone()),
        Node::Select(target, _) | Node::Not(target) | Node::Negate(target) => facts_of(target, named),
        Node::Index(left, right) | Node::Binary(_, left, right) => {
            facts_of(left, named);
            facts_of(right, named);
        }
        Node::Call(target, _, arguments) => {
            all(arguments);
            target.iter().for_each(|target| facts_of(target, named));
        }
    }
}

/// Says when events of these kinds happen, under a condition.
fn kinds(kinds: &[Name], condition: Option<String>) -> String {
    let phrases: Vec<String> = kinds.iter().map(|kind| phrase(&kind.text)).collect();
    let when = phrases.join(", or ");
    match condition {
        None => when,
        Some(condition) if kinds.len() > 1 => format!("{when}; and {condition}"),
        Some(condition) => format!("{when}, and {condition}"),
    }
}

/// Says that an event of a kind happens.
fn phrase(kind: &str) -> String {
    let phrase = match kind {
        "run.opened" => "the run is opened",
        "gate.answered" => "a gate is answered",
        "run.steered" => "somebody gives the run a note",
        "recovery.requested" => "somebody asks for a way out",
        "risk.accepted" => "somebody takes the risk of a finding",
        "rules.added" => "a rule set is added",
        "run.cancelled" => "somebody cancels the run",
        "request.refused" => "a request is refused",
        "run.paused" => "somebody holds the run",
        "run.resumed" => "somebody lets the run go on",
        "spawn.finished" => "a spawn has finished",
        "check.finished" => "a check has finished",
        "merge.finished" => "a merge has finished",
        "timer.fired" => "a timer fires",
        "effect.orphaned" => "an effect has lost its driver",
        "finding.raised" => "a finding is raised",
        "verdict.given" => "a verdict is given",
        "paths.changed" => "paths have changed",
        "budget.settled" => "a reservation is settled",
        "refused" => "decisions are refused",
        "violation" => "a rule is violated",
        "request.declined" => "a request is declined",
        "flow.chosen" => "the flow is chosen",
        "stage.entered" => "a stage is entered",
        "spawn.requested" => "a spawn is requested",
        "check.requested" => "a check is requested",
        "gate.opened" => "a gate is opened",
        "gate.withdrawn" => "a gate is withdrawn",
        "gate.decided" => "a gate is decided",
        "finding.resolved" => "a finding is resolved",
        "finding.waived" => "a finding is waived",
        "walked.back" => "the run walks back",
        "agent.escalated" => "another agent takes over",
        "timer.set" => "a timer is set",
        "merge.intended" => "a merge is intended",
        "run.closed" => "the run is closed",
        other => return format!("there is a {other}"),
    };
    phrase.to_string()
}
