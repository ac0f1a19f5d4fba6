//! A question: an expression of the rule language, typed against the kinds and facts that it is about.

use loom_bundles::nearest;
use loom_core::event::View;
use loom_core::id::Actor;
use loom_core::kind::{KINDS, schema_named};
use loom_core::rules::{Condition, Facts, Outcome, Place, RuleError, RuleSet, Rules, canonical};
use loom_core::schema::KindSchema;
use std::sync::Arc;

/// A file of facts that comes with Loom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub name: &'static str,
    /// Its text: a rule set without rules.
    pub text: &'static str,
}

/// The files of facts that come with Loom.
pub const READY_MADE: &[Ready] = &[
    Ready { name: "runs", text: include_str!("../../facts/runs.rules") },
    Ready { name: "spending", text: include_str!("../../facts/spending.rules") },
];

/// What a line of an expression begins with where it stands in a rule: it must not stand in the first column.
const INDENT: &str = "  require ";
/// The same, of its opposite.
const INDENT_NOT: &str = "  require !(";
/// What groups may be made by beside fields.
const ENVELOPE: [&str; 3] = ["kind", "actor", "actor_class"];

/// Why a question cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The expression, or a kind, is wrong; places count in the expression.
    #[error("the expression does not load: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Expression(Vec<RuleError>),
    /// The facts are wrong; places count in their file.
    #[error("the facts do not load: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Facts(Vec<RuleError>),
    /// There is no such kind.
    #[error("there is no event kind `{kind}`{}", .near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Kind {
        /// What was named.
        kind: String,
        /// The nearest one.
        near: Option<&'static str>,
    },
    /// There is nothing of this name to group by.
    #[error("there is no {what} `{name}` to group by{}", .near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Group {
        /// Field or fact.
        what: &'static str,
        /// What was named.
        name: String,
        /// The nearest one.
        near: Option<String>,
    },
    /// Neither kinds nor facts were named.
    #[error("name the events that it is about with --on, or the facts of whole runs with --facts")]
    AboutNothing,
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Events.
    Events,
    /// Runs, at their end.
    Runs,
}

/// A question, typed and ready.
#[derive(Debug)]
pub struct Question {
    rules: Rules,
    about: About,
    group: Option<String>,
    /// The names of the facts that the expression may read.
    read: Vec<String>,
}

#[derive(Debug)]
enum About {
    /// Kinds by number, and the rule that says the opposite of the expression.
    Events(Vec<&'static KindSchema>, String),
    Runs(Condition),
}

impl Question {
    /// Types a question: about events of these kinds, or without any about runs. `facts` is the text of a rule set, whose own rules are not
    /// asked.
    ///
    /// # Errors
    /// [`QueryError`], with places.
    pub fn new(
        on: &[String],
        expression: &str,
        facts: Option<&str>,
        group: Option<&str>,
    ) -> Result<Question, QueryError> {
        let one = |error| QueryError::Expression(vec![error]);
        canonical(expression).map_err(one)?;
        let set = facts.map(|text| RuleSet::load(text).map_err(QueryError::Facts)).transpose()?;
        let mut kinds = Vec::new();
        for kind in on {
            let near = || nearest(kind, KINDS.iter().map(|known| known.name));
            kinds.push(schema_named(kind).ok_or_else(|| QueryError::Kind { kind: kind.clone(), near: near() })?);
        }
        kinds.sort_by_key(|kind| kind.code);
        kinds.dedup_by_key(|kind| kind.code);
        let (rules, about) = match (kinds.is_empty(), set) {
            (true, None) => return Err(QueryError::AboutNothing),
            (true, Some(set)) => {
                let rules = Rules::new(vec![Arc::new(set)]).map_err(one)?;
                let condition = rules.condition(expression).map_err(one)?;
                (rules, About::Runs(condition))
            }
            (false, set) => {
                let text = facts.unwrap_or("loom rules 1\nset query \"A question.\"\n");
                let name = free_name(set.as_ref());
                let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
                // As it is, for its errors; then its opposite, which says something of what it holds for alone.
                load(text, &name, &names, INDENT, expression, "")?;
                let set = load(text, &name, &names, INDENT_NOT, expression, "\n  )")?;
                let name = format!("{}/{name}", set.name());
                (Rules::new(vec![Arc::new(set)]).map_err(one)?, About::Events(kinds, name))
            }
        };
        let read =
            rules.facts().all().map(|(name, _)| name.to_string()).filter(|name| reads(expression, name)).collect();
        let question = Question { rules, about, group: group.map(str::to_string), read };
        question.check_group()?;
        Ok(question)
    }

    /// Returns what it is about.
    pub fn mode(&self) -> Mode {
        match &self.about {
            About::Events(..) => Mode::Events,
            About::Runs(_) => Mode::Runs,
        }
    }

    /// Whether there are groups.
    pub fn is_grouped(&self) -> bool {
        self.group.is_some()
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether an event of the kind with this number is read at all.
    pub(super) fn wants(&self, code: u64) -> bool {
        self.rules.names(code) || self.is_about(code)
    }

    fn is_about(&self, code: u64) -> bool {
        matches!(&self.about, About::Events(kinds, _) if kinds.iter().any(|kind| kind.code == code))
    }

    /// Asks about an event, with the facts before it; `None` for one that it is not about.
    pub(super) fn of_event(&self, facts: &Facts, view: &View<'_>) -> Option<(Outcome, Vec<(String, String)>)> {
        let About::Events(_, name) = &self.about else { return None };
        if !self.is_about(view.schema.code) {
            return None;
        }
        // Of rules that come with the facts nothing is wanted.
        let opposite = self.rules.judge(facts, view).into_iter().find(|judgement| judgement.rule == *name);
        Some(match opposite {
            None => (Outcome::False, Vec::new()),
            Some(judgement) => {
                let outcome = match judgement.result {
                    Outcome::False => Outcome::True,
                    other => other,
                };
                (outcome, judgement.facts.into_iter().chain(judgement.fields).collect())
            }
        })
    }

    /// Asks about a run, with the facts at its end; `None` where it is about events.
    pub(super) fn of_run(&self, facts: &Facts) -> Option<(Outcome, Vec<(String, String)>)> {
        let About::Runs(condition) = &self.about else { return None };
        let read = facts.all().filter(|(name, _)| self.read.iter().any(|read| read == name));
        let read = read.map(|(name, value)| (name.to_string(), value)).collect();
        Some((self.rules.evaluate(condition, facts), read))
    }

    /// Returns the group of an event or, without one, of a run.
    pub(super) fn group(&self, facts: &Facts, view: Option<&View<'_>>) -> Option<String> {
        let name = self.group.as_ref()?;
        let absent = || "absent".to_string();
        let Some(view) = view else { return Some(facts.get(name).unwrap_or_else(absent)) };
        let actor = || view.actor().unwrap_or(Actor::Kernel);
        Some(match name.as_str() {
            "kind" => view.schema.name.to_string(),
            "actor" => actor().id().to_string(),
            "actor_class" => actor().class().to_string(),
            name => view.schema.field(name).and_then(|field| crate::field::text(view, field)).unwrap_or_else(absent),
        })
    }

    fn check_group(&self) -> Result<(), QueryError> {
        let Some(name) = &self.group else { return Ok(()) };
        let (what, known): (_, Vec<String>) = match &self.about {
            About::Events(kinds, _) => {
                let fields = kinds.iter().flat_map(|kind| kind.fields).map(|field| field.name);
                ("field", fields.chain(ENVELOPE).map(str::to_string).collect())
            }
            About::Runs(_) => {
                let facts = self.rules.facts();
                let names =
                    facts.all().map(|(name, _)| name.split_once('/').map_or(name, |(_, fact)| fact).to_string());
                ("fact", names.collect())
            }
        };
        if known.contains(name) {
            return Ok(());
        }
        let near = nearest(name, known.iter().map(String::as_str)).map(str::to_string);
        Err(QueryError::Group { what, name: name.clone(), near })
    }
}

/// Returns a name that no rule of the set has.
fn free_name(set: Option<&RuleSet>) -> String {
    let is_taken = |name: &str| set.is_some_and(|set| set.rules().any(|rule| rule.name == name));
    let mut name = "query".to_string();
    while is_taken(&name) {
        name.push_str("-x");
    }
    name
}

/// Loads the facts with one rule more; errors are told by their places in the expression.
fn load(
    facts: &str,
    name: &str,
    kinds: &[&str],
    indent: &str,
    expression: &str,
    end: &str,
) -> Result<RuleSet, QueryError> {
    let before = format!("{}\n\nrule {name} on {}\n", facts.trim_end(), kinds.join(", "));
    let first = before.lines().count() as u32 + 1;
    let width = indent.chars().count() as u32;
    let mut text = before;
    for (index, line) in expression.lines().enumerate() {
        text.push_str(if index == 0 { indent } else { "            " });
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!("{end}\n  message \"asked\"\n"));
    let last = first + expression.lines().count().max(1) as u32;
    RuleSet::load(&text).map_err(|errors| {
        let moved = |error: RuleError| {
            let Place { line, column } = error.place;
            let column = if line == first { column.saturating_sub(width) } else { column.saturating_sub(12) };
            let is_within = (first..=last).contains(&line);
            let place = if is_within {
                Place { line: line - first + 1, column: column.max(1) }
            } else {
                Place { line: 1, column: 1 }
            };
            RuleError { place, ..error }
        };
        QueryError::Expression(errors.into_iter().map(moved).collect())
    })
}

/// Whether an expression has the name of a fact (`set/fact`) as a word after `facts.`.
fn reads(expression: &str, name: &str) -> bool {
    let fact = name.split_once('/').map_or(name, |(_, fact)| fact);
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    expression.split("facts.").skip(1).any(|rest| rest.strip_prefix(fact).is_some_and(ends))
}
