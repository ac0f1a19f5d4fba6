//! One expression of the common subset, evaluated by Loom's rules and by the crate `cel`.
//!
//! Both read the same text, over the same event and facts. What the crate has no notion of (unknown, `glob`, `has` of an
//! empty list, a count under a missing key) is left out of what is generated; it has tests of its own. The properties of
//! `oracle` and the fuzz target `rules_cel` compare by this.

use super::play::*;
use cel::{Context, Program, Value};
use loom_core::kind::{FlowChosen, PathsChanged, VerdictGiven};
use loom_core::rules::{Outcome, RuleSet, Rules, canonical};
use loom_core::word::{ChosenBy, Severity};
use std::collections::HashMap;
use std::sync::Arc;

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    Truth(bool),
    Int(i64),
    Error,
}

/// What differs between runs of one expression.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Whether the event is a `paths.changed`, which has lists, or a `finding.raised`, which has a field that may be absent.
    pub(crate) has_lists: bool,
    pub(crate) round: u64,
    pub(crate) agent: &'static str,
    pub(crate) path: Option<&'static str>,
    pub(crate) tokens: Vec<u64>,
    pub(crate) checks: Vec<&'static str>,
    pub(crate) approver: Option<&'static str>,
}

pub(crate) const WORDS: [&str; 6] = ["", "a", "ab", "ba", "naïve", "\u{1f431}\u{0}"];

const FACTS: &str = "fact n counter\n add budget.settled\n\
    fact largest last int\n add budget.settled: event.tokens\n\
    fact open set of int\n add budget.settled: event.tokens\n\
    fact checks last list of string\n add flow.chosen: event.required_checks\n\
    fact approver last string\n add verdict.given: event.agent\n\
    fact trees last bytes by string\n add verdict.given: event.tree by event.agent\n";

/// Puts an expression together as choices say; without any more it takes the first and simplest.
struct Writer<'c> {
    choices: std::slice::Iter<'c, u8>,
    /// Variables of macros around, with their types.
    variables: Vec<(String, Type)>,
    /// What may be read here.
    guarded: Vec<String>,
}

/// The crate, like cel-go, drops two signs in a row, so that the least integer survives them: see `known_differences_stand`.
fn negated(int: &str) -> String {
    if int.starts_with('-') { format!("-({int})") } else { format!("-{int}") }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Bool,
    Text,
    Bytes,
}

impl Writer<'_> {
    fn choose(&mut self, of: usize) -> usize {
        self.choices.next().map_or(0, |choice| usize::from(*choice) % of)
    }

    fn one<'o>(&mut self, of: &[&'o str]) -> &'o str {
        of[self.choose(of.len())]
    }

    fn value(&mut self, ty: Type, depth: usize) -> String {
        match ty {
            Type::Int => self.int(depth),
            Type::Bool => self.truth(depth),
            Type::Text => self.text(depth),
            Type::Bytes => self.bytes(depth),
        }
    }

    fn variable(&mut self, ty: Type) -> Option<String> {
        let fit: Vec<String> =
            self.variables.iter().filter(|(_, found)| *found == ty).map(|(name, _)| name.clone()).collect();
        if fit.is_empty() { None } else { Some(fit[self.choose(fit.len())].clone()) }
    }

    fn operator(&mut self) -> &'static str {
        ["+", "-", "*", "/", "%"][self.choose(5)]
    }

    fn may_read(&self, read: &str) -> bool {
        self.guarded.iter().any(|guarded| guarded == read)
    }

    fn choice(&mut self, ty: Type, depth: usize) -> String {
        let (test, yes, no) = (self.truth(depth - 1), self.value(ty, depth - 1), self.value(ty, depth - 1));
        format!("({test} ? {yes} : {no})")
    }

    fn int(&mut self, depth: usize) -> String {
        const LEAVES: [&str; 12] = [
            "0",
            "1",
            "2",
            "-1",
            "3",
            "0x10",
            "9223372036854775807",
            "-9223372036854775808",
            "event.round",
            "event.source",
            "facts.n",
            "event.sequence",
        ];
        match if depth == 0 { 0 } else { self.choose(6) } {
            0 => match self.variable(Type::Int) {
                Some(name) if self.choose(2) == 0 => name,
                _ if self.may_read("facts.largest") => "facts.largest".into(),
                _ => self.one(&LEAVES).into(),
            },
            // With and without parentheses: how operators bind is compared too.
            1 => {
                let (left, operator) = (self.int(depth - 1), self.operator());
                format!("({left} {operator} {})", self.int(depth - 1))
            }
            2 => {
                let (a, b, c) = (self.int(depth - 1), self.int(depth - 1), self.int(depth - 1));
                format!("({a} {} {b} {} {})", self.operator(), self.operator(), negated(&c))
            }
            3 => negated(&self.int(depth - 1)),
            4 => match self.choose(3) {
                0 => format!("size({})", self.text(depth - 1)),
                1 => format!("{}.size()", self.bytes(depth - 1)),
                _ => format!("size({})", self.items(depth - 1).0),
            },
            _ => self.choice(Type::Int, depth),
        }
    }

    fn text(&mut self, depth: usize) -> String {
        const LEAVES: [&str; 8] = [
            "event.agent",
            "event.category",
            "\"\"",
            "'a'",
            "r'b\\a'",
            "\"\"\"ab\"\"\"",
            "'na\\u00efve'",
            "'\\x61\\141'",
        ];
        match if depth == 0 { 0 } else { self.choose(3) } {
            0 | 1 => match self.variable(Type::Text) {
                Some(name) if self.choose(2) == 0 => name,
                _ if self.may_read("facts.approver") => "facts.approver".into(),
                _ => self.one(&LEAVES).into(),
            },
            _ => self.choice(Type::Text, depth),
        }
    }

    fn bytes(&mut self, depth: usize) -> String {
        const LEAVES: [&str; 5] = ["event.fingerprint", "b''", "b'a'", "b'\\xff\\000'", "b'na\u{ef}ve'"];
        match if depth == 0 { 0 } else { self.choose(3) } {
            0 | 1 => match self.variable(Type::Bytes) {
                Some(name) if self.choose(2) == 0 => name,
                _ if self.may_read("event.path") => "event.path".into(),
                _ => match self.guarded.iter().rev().find(|read| read.starts_with("facts.trees")) {
                    Some(read) => read.clone(),
                    None => self.one(&LEAVES).into(),
                },
            },
            _ => self.choice(Type::Bytes, depth),
        }
    }

    /// Returns something to go through.
    fn items(&mut self, depth: usize) -> (String, Type) {
        match self.choose(7) {
            0 => ("[0, 1, 2]".into(), Type::Int),
            1 => ("facts.open".into(), Type::Int),
            2 => ("facts.checks".into(), Type::Text),
            3 => ("facts.trees".into(), Type::Text),
            4 => ("[b'a', b'\\xff', b'']".into(), Type::Bytes),
            5 => ("[true, false,]".into(), Type::Bool),
            _ if depth == 0 => ("['a', 'ab']".into(), Type::Text),
            _ => (format!("({} ? [3, 0] : [-1])", self.truth(depth - 1)), Type::Int),
        }
    }

    fn guarded_truth(&mut self, depth: usize) -> String {
        let (guard, read) = [
            ("has(event.path)", "event.path"),
            ("has(facts.largest)", "facts.largest"),
            ("has(facts.approver)", "facts.approver"),
            ("'a' in facts.trees", "facts.trees['a']"),
        ][self.choose(4)];
        let otherwise = self.truth(depth - 1);
        self.guarded.push(read.into());
        let behind = self.truth(depth - 1);
        self.guarded.pop();
        match self.choose(3) {
            0 => format!("({guard} && {behind})"),
            1 => format!("(!({guard}) || {behind})"),
            _ if guard.starts_with("has") => format!("({guard} ? {behind} : {otherwise})"),
            _ => format!("(({guard} && {behind}) || {otherwise})"),
        }
    }

    fn truth(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.variable(Type::Bool) {
                Some(name) => name,
                None => self.one(&["true", "false", "event.round == 1", "1 / 0 == 1", "facts.n > 1"]).into(),
            };
        }
        match self.choose(12) {
            0 => match self.choose(2) {
                0 => self.truth(0),
                _ => {
                    let (a, b, c) = (self.int(depth - 1), self.int(depth - 1), self.truth(0));
                    format!("({a} < {b} == ({c}) != ({c}))")
                }
            },
            1 | 2 => {
                let (left, right) = (self.truth(depth - 1), self.truth(depth - 1));
                let third = if self.choose(2) == 0 { self.truth(depth - 1) } else { "true".into() };
                // Without parentheses: how both bind is compared too.
                match self.choose(4) {
                    0 => format!("({left} && {right})"),
                    1 => format!("({left} || {right})"),
                    2 => format!("({left} && {right} || {third})"),
                    _ => format!("({third} || {left} && {right})"),
                }
            }
            3 => format!("!({})", self.truth(depth - 1)),
            4 => self.choice(Type::Bool, depth),
            5 | 6 => {
                let ty = [Type::Int, Type::Int, Type::Text, Type::Bytes, Type::Bool][self.choose(5)];
                let (left, operator) = (self.value(ty, depth - 1), self.one(&["==", "!=", "<", "<=", ">", ">="]));
                let right = self.value(ty, depth - 1);
                if ty == Type::Int {
                    format!("{left} {operator} {right}")
                } else {
                    format!("({left}) {operator} ({right})")
                }
            }
            7 => {
                let (items, ty) = self.items(depth - 1);
                format!("(({}) in {items})", self.value(ty, depth - 1))
            }
            8 => {
                let (text, method) = (self.text(depth - 1), self.one(&["startsWith", "endsWith", "contains"]));
                format!("{text}.{method}({})", self.text(depth - 1))
            }
            9 => {
                let list = ["facts.checks", "['a', 'ab']", "[]", "['naïve']"];
                let (left, right) = (self.one(&list), self.one(&list));
                format!("({left} {} {right})", self.one(&["==", "!="]))
            }
            10 if self.variables.len() < 2 => {
                let (items, ty) = self.items(depth - 1);
                let name = format!("v{}", self.variables.len());
                // Going through a keyed fact guards each of its keys.
                let guarded = (items == "facts.trees").then(|| format!("facts.trees[{name}]"));
                let guards = self.guarded.len();
                self.guarded.extend(guarded);
                self.variables.push((name.clone(), ty));
                let body = self.truth(depth - 1);
                self.variables.pop();
                self.guarded.truncate(guards);
                format!("{items}.{}({name}, {body})", self.one(&["all", "exists", "exists_one"]))
            }
            _ => self.guarded_truth(depth),
        }
    }
}

/// What stands for the fields of a `finding.raised` where there is a `paths.changed`.
const OVER_LISTS: [(&str, &str); 9] = [
    ("has(event.path)", "has(facts.largest)"),
    ("event.path", "b'p'"),
    ("event.round", "event.spawn"),
    ("event.source", "event.spawn"),
    ("event.agent", "'a'"),
    ("event.category", "'naïve'"),
    ("event.fingerprint", "b''"),
    ("facts.checks", "event.how"),
    ("[b'a', b'\\xff', b'']", "event.paths"),
];

/// Evaluates with Loom's rules; an error where the text does not load.
pub(crate) fn of_loom(expression: &str, setting: &Setting) -> Result<Given, String> {
    let kind = if setting.has_lists { "paths.changed" } else { "finding.raised" };
    let text = format!("loom rules 1\nset s \"\"\n{FACTS}rule r on {kind} require\n {expression}\n message \"m\"\n");
    let set = RuleSet::load(&text).map_err(|errors| errors[0].to_string())?;
    let mut play = Play::new(Rules::new(vec![Arc::new(set)]).expect("one set"));
    for tokens in &setting.tokens {
        play.feed(settled(*tokens));
    }
    play.feed(FlowChosen {
        flow: "work".into(),
        by: ChosenBy::Default,
        required_reviewers: words(&[]),
        required_checks: words(&setting.checks),
        edits: true,
    });
    if let Some(agent) = setting.approver {
        play.feed(VerdictGiven {
            spawn: 1,
            agent: agent.into(),
            word: "approve".into(),
            passed: true,
            tree: tree(agent),
            blocking: 0,
        });
    }
    let bytes = if setting.has_lists {
        let paths = setting.checks.iter().map(|path| path.as_bytes().to_vec()).collect();
        event(9, PathsChanged { spawn: setting.round, paths, how: words(&setting.checks) })
    } else {
        let mut body = finding(Severity::Warn, setting.path.map(str::as_bytes));
        (body.round, body.agent) = (setting.round, setting.agent.into());
        event(9, body)
    };
    let judged = play.rules.judge(&play.facts, &view(&bytes));
    match judged.first().map(|judgement| &judgement.result) {
        None | Some(Outcome::True) => Ok(Given::Truth(true)),
        Some(Outcome::False) => Ok(Given::Truth(false)),
        Some(Outcome::Error(_)) => Ok(Given::Error),
        Some(Outcome::Unknown(missing)) => Err(format!("unknown: {missing}")),
    }
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    entries.into_iter().map(|(name, value)| (name.to_string(), value)).collect::<HashMap<_, _>>().into()
}

fn bytes_of(bytes: &[u8]) -> Value {
    Value::Bytes(Arc::new(bytes.to_vec()))
}

/// Evaluates with the crate; what it cannot parse is told.
pub(crate) fn of_crate(expression: &str, setting: &Setting) -> Result<Given, String> {
    let integer = |value: u64| Value::Int(value as i64);
    let mut event = vec![
        ("round", integer(setting.round)),
        ("source", integer(3)),
        ("sequence", integer(9)),
        ("agent", setting.agent.into()),
        ("category", "naïve".into()),
        ("fingerprint", bytes_of(&[9; 16])),
    ];
    if setting.has_lists {
        let paths: Vec<Value> = setting.checks.iter().map(|path| bytes_of(path.as_bytes())).collect();
        event.extend([
            ("spawn", integer(setting.round)),
            ("how", setting.checks.to_vec().into()),
            ("paths", paths.into()),
        ]);
    }
    event.extend(setting.path.map(|path| ("path", bytes_of(path.as_bytes()))));
    let mut open = setting.tokens.clone();
    open.sort_unstable();
    open.dedup();
    let trees: Vec<(&str, Value)> = setting.approver.iter().map(|agent| (*agent, bytes_of(agent.as_bytes()))).collect();
    let mut facts = vec![
        ("n", integer(setting.tokens.len() as u64)),
        ("open", open.into_iter().map(integer).collect::<Vec<_>>().into()),
        ("checks", setting.checks.to_vec().into()),
        ("trees", map(trees)),
    ];
    facts.extend(setting.tokens.last().map(|tokens| ("largest", integer(*tokens))));
    facts.extend(setting.approver.map(|agent| ("approver", agent.into())));

    match evaluated(expression, &[("event", map(event)), ("facts", map(facts))])? {
        Ok(Value::Bool(value)) => Ok(Given::Truth(value)),
        Ok(Value::Int(value)) => Ok(Given::Int(value)),
        Ok(other) => Err(format!("neither: {other:?}")),
        Err(_) => Ok(Given::Error),
    }
}

/// Returns what the crate gives, or why it does not parse.
fn evaluated(expression: &str, variables: &[(&str, Value)]) -> Result<Result<Value, cel::ExecutionError>, String> {
    let program = Program::compile(expression).map_err(|errors| format!("{errors}"))?;
    let mut context = Context::default();
    for (name, value) in variables {
        context.add_variable_from_value(*name, value.clone());
    }
    Ok(program.execute(&context))
}

/// What only Loom refuses of what is generated: what a literal is compared with cannot be it (RULE-6), it might take
/// too long (RULE-11), a literal's negation has no value (CEL finds that when it evaluates).
const REFUSED: [&str; 3] = ["is not one of its words", "RULE-11", "the integer does not fit in 64 signed bits"];

/// Returns what Loom gives and what the crate gives; nothing where only Loom refuses.
pub(crate) fn given_by_both(expression: &str, is_int: bool, setting: &Setting) -> Option<[Result<Given, String>; 2]> {
    let theirs = of_crate(expression, setting);
    let ours = match theirs {
        // A rule requires a truth.
        Ok(Given::Int(value)) => match of_loom(&format!("({expression}) == ({value})"), setting) {
            Ok(Given::Truth(true)) => Ok(Given::Int(value)),
            other => other,
        },
        Ok(Given::Error) if is_int => of_loom(&format!("({expression}) == 0"), setting),
        Ok(_) | Err(_) => of_loom(expression, setting),
    };
    let refused = |why: &String| REFUSED.iter().any(|known| why.contains(known));
    if ours.as_ref().is_err_and(refused) { None } else { Some([ours, theirs]) }
}

pub(crate) fn written(choices: &[u8], is_int: bool, has_lists: bool) -> String {
    let mut writer = Writer { choices: choices.iter(), variables: Vec::new(), guarded: Vec::new() };
    let written = if is_int { writer.int(4) } else { writer.truth(5) };
    let stand_in: &[(&str, &str)] = if has_lists { &OVER_LISTS } else { &[] };
    stand_in.iter().fold(written, |written, (field, other)| written.replace(field, other))
}

/// Returns Loom's print of a literal, and its print of what the crate reads.
pub(crate) fn read_by_both(literal: &str) -> [Option<String>; 2] {
    let theirs = match evaluated(literal, &[]) {
        Ok(Ok(Value::Int(value))) => Some(value.to_string()),
        Ok(Ok(Value::String(text))) => {
            let escaped: String = text.chars().map(|next| format!("\\U{:08x}", u32::from(next))).collect();
            canonical(&format!("\"{escaped}\"")).ok()
        }
        Ok(Ok(Value::Bytes(bytes))) => {
            let escaped: String = bytes.iter().map(|next| format!("\\x{next:02x}")).collect();
            canonical(&format!("b\"{escaped}\"")).ok()
        }
        Ok(_) | Err(_) => None,
    };
    [canonical(literal).ok(), theirs]
}
