//! Mutants of a rule set: small changes of its text, and which of them its cases notice.
//!
//! A mutant that its cases notice is killed. One that does not load is none; one that is proven to decide alike
//! (PROVE-1) is counted apart. What is left survives: a rule could be changed so, and no case would tell (MUTATE-1).

use crate::cases::{CaseReport, Cases, cases_of, test_rules};
use loom_core::rules::syntax::{Action, Clause, Expr, Name, Node, Operator};
use loom_core::rules::{Place, RuleSet, parse};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// What became of a mutant that loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A case notices.
    Killed,
    /// No case notices.
    Survived,
    /// It is proven to decide alike.
    Alike,
}

impl Fate {
    /// Returns the word that people and documents use.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Killed => "killed",
            Fate::Survived => "survived",
            Fate::Alike => "alike",
        }
    }
}

/// One change of a rule set's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// Name of the rule or fact.
    pub of: String,
    /// Where it is changed.
    pub place: Place,
    /// What is changed: a lowercase fragment.
    pub what: String,
    /// The text that is changed.
    pub from: String,
    /// What it is changed into; empty where it is dropped.
    pub to: String,
    /// What became of it.
    pub fate: Fate,
}

/// What came of the mutants of one rule set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutationReport {
    /// Name of the set.
    pub set: String,
    /// Every mutant that loads, in the order of the file.
    pub mutants: Vec<Mutant>,
}

impl MutationReport {
    /// Returns how many mutants ended so.
    pub fn count(&self, fate: Fate) -> usize {
        self.mutants.iter().filter(|mutant| mutant.fate == fate).count()
    }
}

/// Makes the mutants of a rule set and runs its cases on each. `file` names the rule file to people.
///
/// # Errors
/// What is wrong with the files: only what its cases hold for can be mutated.
pub fn mutate_rules(file: &str, rule_text: &str, cases_text: &str) -> Result<MutationReport, CaseReport> {
    let report = test_rules(file, rule_text, cases_text);
    let (cases, _) = Cases::read(&cases_of(file), cases_text);
    let (Ok(set), true) = (RuleSet::load(rule_text), report.is_ok()) else { return Err(report) };
    let mut seen = BTreeSet::from([rule_text.to_string()]);
    let mut mutants = Vec::new();
    for Edit { of, place, span, to, what } in edits(rule_text) {
        let (Some(before), Some(from), Some(after)) =
            (rule_text.get(..span.start), rule_text.get(span.clone()), rule_text.get(span.end..))
        else {
            continue;
        };
        let text = format!("{before}{to}{after}");
        let Ok(changed) = RuleSet::load(&text).map(Arc::new) else { continue };
        if !seen.insert(text) {
            continue;
        }
        let fate = match cases.hold(&changed) {
            false => Fate::Killed,
            true if set.is_alike(&changed) => Fate::Alike,
            true => Fate::Survived,
        };
        mutants.push(Mutant { of, place, what: what.to_string(), from: from.to_string(), to, fate });
    }
    Ok(MutationReport { set: report.set, mutants })
}

/// A change: these bytes become that.
struct Edit {
    of: String,
    place: Place,
    span: Range<usize>,
    to: String,
    what: &'static str,
}

/// Returns every change, in the order of the file; nothing of a text that does not parse.
fn edits(text: &str) -> Vec<Edit> {
    let Ok(file) = parse(text) else { return Vec::new() };
    let mut edits = Vec::new();
    for fact in &file.facts {
        let mut maker = Maker { text, of: &fact.name.text, edits: &mut edits };
        for clause in &fact.clauses {
            maker.clause(clause);
        }
    }
    for rule in &file.rules {
        let mut maker = Maker { text, of: &rule.name.text, edits: &mut edits };
        maker.kinds(&rule.kinds);
        maker.expr(&rule.require);
    }
    edits
}

struct Maker<'t> {
    text: &'t str,
    of: &'t str,
    edits: &'t mut Vec<Edit>,
}

impl Maker<'_> {
    fn push(&mut self, place: Place, span: Range<usize>, to: impl Into<String>, what: &'static str) {
        self.edits.push(Edit { of: self.of.to_string(), place, span, to: to.into(), what });
    }

    fn source(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }

    /// Returns an expression as it stands, so that it can be an operand of anything.
    fn operand(&self, expr: &Expr) -> String {
        let source = self.source(expr.span.clone());
        match &expr.node {
            Node::Not(_) | Node::Negate(_) | Node::Binary(..) | Node::And(_) | Node::Or(_) | Node::If(_) => {
                format!("({source})")
            }
            _ => source.to_string(),
        }
    }

    fn clause(&mut self, clause: &Clause) {
        let dropped = match clause.action {
            Action::Add => "the clause is dropped",
            Action::Remove => "what takes it back is dropped",
            Action::Reset => "what forgets it is dropped",
        };
        self.push(clause.place, clause.span.clone(), "", dropped);
        self.kinds(&clause.kinds);
        if let Some(when) = &clause.when {
            let before = self.source(clause.span.start..when.span.start);
            if let Some(at) = before.rfind("if") {
                let start = clause.span.start + before[..at].trim_end().len();
                self.push(when.place, start..clause.span.end, "", "the condition is dropped");
            }
        }
        for expr in clause.value.iter().chain(&clause.key).chain(&clause.when) {
            self.expr(expr);
        }
    }

    fn kinds(&mut self, kinds: &[Name]) {
        let (Some(first), Some(last)) = (kinds.first(), kinds.last()) else { return };
        if kinds.len() < 2 {
            return;
        }
        for (at, kind) in kinds.iter().enumerate() {
            let rest = kinds.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, kind)| kind.text.as_str());
            let rest = rest.collect::<Vec<_>>().join(", ");
            self.push(kind.place, first.span.start..last.span.end, rest, "a kind is dropped");
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let (place, span) = (expr.place, expr.span.clone());
        match &expr.node {
            Node::Int(value) => {
                for value in [value.checked_add(1), value.checked_sub(1)].into_iter().flatten() {
                    // In parentheses, so that a sign before it stays what it was.
                    let to = if value < 0 { format!("({value})") } else { value.to_string() };
                    self.push(place, span.clone(), to, "a number is one off");
                }
            }
            Node::Bool(value) => self.push(place, span, (!value).to_string(), "a truth is turned"),
            Node::Text(_) | Node::Bytes(_) | Node::Name(_) | Node::List(_) => {}
            Node::Select(..) => {}
            Node::Index(target, key) => {
                self.expr(target);
                self.expr(key);
            }
            Node::Call(target, name, arguments) => self.call(expr, target.as_deref(), name, arguments),
            Node::Not(operand) => {
                let to = self.operand(operand);
                self.push(place, span, to, "`!` is dropped");
                self.expr(operand);
            }
            Node::Negate(operand) => {
                let to = self.operand(operand);
                self.push(place, span, to, "`-` is dropped");
                self.expr(operand);
            }
            Node::Binary(operator, left, right) => {
                let between = left.span.end..right.span.start;
                if let Some(at) = self.source(between.clone()).find(operator.word()) {
                    let start = between.start + at;
                    for other in others(*operator) {
                        self.push(place, start..start + operator.word().len(), *other, "an operator is another");
                    }
                }
                if *operator == Operator::In {
                    let to = format!("!({})", self.source(span.clone()));
                    self.push(place, span, to, "a condition is negated");
                }
                self.expr(left);
                self.expr(right);
            }
            Node::And(operands) => self.connective(expr, operands, ["&&", "||"]),
            Node::Or(operands) => self.connective(expr, operands, ["||", "&&"]),
            Node::If(parts) => {
                let [test, yes, no] = &**parts;
                let [test_text, yes_text, no_text] = [test, yes, no].map(|part| self.operand(part));
                self.push(place, span, format!("{test_text} ? {no_text} : {yes_text}"), "the branches are swapped");
                parts.iter().for_each(|part| self.expr(part));
            }
        }
    }

    fn call(&mut self, expr: &Expr, target: Option<&Expr>, name: &str, arguments: &[Expr]) {
        let (place, span) = (expr.place, expr.span.clone());
        let other = match name {
            "all" => Some("exists"),
            "exists" => Some("all"),
            "exists_one" => Some("exists"),
            "startsWith" => Some("endsWith"),
            "endsWith" => Some("startsWith"),
            "contains" => Some("startsWith"),
            _ => None,
        };
        if let (Some(target), Some(other)) = (target, other) {
            let after = self.source(target.span.end..span.end);
            if let Some(at) = after.find(name) {
                let start = target.span.end + at;
                self.push(place, start..start + name.len(), other, "a macro or method is another");
            }
        }
        if name != "size" {
            let to = format!("!{}", self.source(span.clone()));
            self.push(place, span, to, "a condition is negated");
        }
        target.into_iter().chain(arguments).for_each(|part| self.expr(part));
    }

    fn connective(&mut self, expr: &Expr, operands: &[Expr], [sign, other]: [&str; 2]) {
        let texts: Vec<String> = operands
            .iter()
            .map(|operand| match operand.node {
                Node::And(_) | Node::Or(_) | Node::If(_) => self.operand(operand),
                _ => self.source(operand.span.clone()).to_string(),
            })
            .collect();
        let join = |texts: &[String], sign: &str| texts.join(&format!(" {sign} "));
        self.push(expr.place, expr.span.clone(), join(&texts, other), "`&&` and `||` are swapped");
        for (at, operand) in operands.iter().enumerate() {
            let mut rest = texts.clone();
            rest.remove(at);
            self.push(operand.place, expr.span.clone(), join(&rest, sign), "a condition is dropped");
        }
        operands.iter().for_each(|operand| self.expr(operand));
    }
}

/// Returns the operators that one is changed into.
fn others(operator: Operator) -> &'static [&'static str] {
    match operator {
        Operator::Equal => &["!="],
        Operator::NotEqual => &["=="],
        Operator::Less => &["<=", ">="],
        Operator::LessEqual => &["<", ">"],
        Operator::Greater => &[">=", "<="],
        Operator::GreaterEqual => &[">", "<"],
        Operator::In => &[],
        Operator::Add => &["-"],
        Operator::Subtract => &["+"],
        Operator::Multiply => &["/"],
        Operator::Divide | Operator::Remainder => &["*"],
    }
}
