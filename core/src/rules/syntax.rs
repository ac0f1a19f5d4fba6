//! The syntax tree of expressions and files, and the canonical way to print an expression.
//!
//! Trees are at most `HEIGHT_MAX` high, so every walk over one may recurse. Printing puts every compound operand
//! in parentheses; printing what parsing gives is a fixed point (RULE-8).
//!
//! Who explains or mutates rules reads these trees; a judge reads the typed form alone. Spans are bytes of the text.

pub use super::types::FactType;

use super::error::{Place, RuleError};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// Highest syntax tree, and deepest nesting that the parser follows.
pub(crate) const HEIGHT_MAX: usize = 64;

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub struct Expr {
    /// Where it begins.
    pub place: Place,
    /// The bytes that it covers; parentheses around it are none of them.
    pub span: Range<usize>,
    pub(crate) height: usize,
    /// What it is.
    pub node: Node,
}

/// Operators with two operands and no absorption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `in`
    In,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl Operator {
    /// Returns the operator as written.
    pub fn word(self) -> &'static str {
        match self {
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Less => "<",
            Operator::LessEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterEqual => ">=",
            Operator::In => "in",
            Operator::Add => "+",
            Operator::Subtract => "-",
            Operator::Multiply => "*",
            Operator::Divide => "/",
            Operator::Remainder => "%",
        }
    }
}

/// What an expression is.
#[derive(Debug, Clone)]
pub enum Node {
    /// A literal.
    Int(i64),
    /// A literal.
    Bool(bool),
    /// A literal.
    Text(String),
    /// A literal.
    Bytes(Vec<u8>),
    /// `[item, …]`
    List(Vec<Expr>),
    /// A macro's variable, `event` or `facts`.
    Name(String),
    /// `target.name`
    Select(Box<Expr>, String),
    /// `target[key]`
    Index(Box<Expr>, Box<Expr>),
    /// `name(arguments)` or `target.name(arguments)`
    Call(Option<Box<Expr>>, String, Vec<Expr>),
    /// `!operand`
    Not(Box<Expr>),
    /// `-operand`
    Negate(Box<Expr>),
    /// `left operator right`
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// Two or more operands.
    And(Vec<Expr>),
    /// Two or more operands.
    Or(Vec<Expr>),
    /// `test ? yes : no`
    If(Box<[Expr; 3]>),
}

impl Expr {
    /// Returns the expression, unless the tree would be too high.
    pub(crate) fn new(place: Place, span: Range<usize>, node: Node) -> Result<Expr, RuleError> {
        let highest = |items: &[Expr]| items.iter().map(|item| item.height).max().unwrap_or(0);
        let below = match &node {
            Node::Int(_) | Node::Bool(_) | Node::Text(_) | Node::Bytes(_) | Node::Name(_) => 0,
            Node::List(items) | Node::And(items) | Node::Or(items) => highest(items),
            Node::Select(target, _) => target.height,
            Node::Index(left, right) | Node::Binary(_, left, right) => left.height.max(right.height),
            Node::Call(target, _, items) => highest(items).max(target.as_ref().map_or(0, |target| target.height)),
            Node::Not(operand) | Node::Negate(operand) => operand.height,
            Node::If(parts) => highest(&parts[..]),
        };
        if below >= HEIGHT_MAX {
            return Err(too_deep(place));
        }
        Ok(Expr { place, span, height: below + 1, node })
    }
}

/// Returns the error of an expression nested too deeply.
pub(crate) fn too_deep(place: Place) -> RuleError {
    RuleError::new(place, format!("the expression is nested deeper than {HEIGHT_MAX} (RULE-7)"))
        .hint("split it into facts or rules")
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Int(value) => write!(f, "{value}"),
            Node::Bool(value) => write!(f, "{value}"),
            Node::Text(value) => quote(f, value),
            Node::Bytes(value) => quote_bytes(f, value),
            Node::List(items) => {
                f.write_str("[")?;
                separated(f, items, ", ")?;
                f.write_str("]")
            }
            Node::Name(name) => f.write_str(name),
            Node::Select(target, name) => write!(f, "{}.{name}", Operand(target)),
            Node::Index(target, key) => write!(f, "{}[{key}]", Operand(target)),
            Node::Call(target, name, items) => {
                if let Some(target) = target {
                    write!(f, "{}.", Operand(target))?;
                }
                write!(f, "{name}(")?;
                separated(f, items, ", ")?;
                f.write_str(")")
            }
            Node::Not(operand) => write!(f, "!{}", Operand(operand)),
            Node::Negate(operand) => write!(f, "-{}", Operand(operand)),
            Node::Binary(operator, left, right) => {
                write!(f, "{} {} {}", Operand(left), operator.word(), Operand(right))
            }
            Node::And(items) => operands(f, items, " && "),
            Node::Or(items) => operands(f, items, " || "),
            Node::If(parts) => {
                let [test, yes, no] = &**parts;
                write!(f, "{} ? {} : {}", Operand(test), Operand(yes), Operand(no))
            }
        }
    }
}

/// Prints an operand, in parentheses unless it binds tightest anyway.
struct Operand<'e>(&'e Expr);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.node {
            Node::Int(value) if *value < 0 => write!(f, "({value})"),
            Node::Int(_)
            | Node::Bool(_)
            | Node::Text(_)
            | Node::Bytes(_)
            | Node::List(_)
            | Node::Name(_)
            | Node::Select(..)
            | Node::Index(..)
            | Node::Call(..) => write!(f, "{}", self.0),
            Node::Not(_) | Node::Negate(_) | Node::Binary(..) | Node::And(_) | Node::Or(_) | Node::If(_) => {
                write!(f, "({})", self.0)
            }
        }
    }
}

fn separated(f: &mut fmt::Formatter<'_>, items: &[Expr], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { between })?;
        write!(f, "{item}")?;
    }
    Ok(())
}

fn operands(f: &mut fmt::Formatter<'_>, items: &[Expr], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { between })?;
        write!(f, "{}", Operand(item))?;
    }
    Ok(())
}

/// Writes text as a literal.
pub(crate) fn quote(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            other if other.is_control() => write!(f, "\\u{:04x}", other as u32)?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

/// Writes bytes as a literal; what is not printable ASCII as `\x`.
pub(crate) fn quote_bytes(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    f.write_str("b\"")?;
    for byte in bytes {
        match byte {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b' '..=b'~' => f.write_char(*byte as char)?,
            other => write!(f, "\\x{other:02x}")?,
        }
    }
    f.write_char('"')
}

/// A name and where it stands.
#[derive(Debug, Clone)]
pub struct Name {
    /// Where it begins.
    pub place: Place,
    /// The bytes that it covers.
    pub span: Range<usize>,
    /// The name.
    pub text: String,
}

/// A parsed file.
#[derive(Debug, Clone)]
pub struct File {
    /// The set's name.
    pub name: Name,
    /// What it is for.
    pub about: String,
    /// Its facts, in order.
    pub facts: Vec<Fact>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// A parsed fact: what folds into it.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Name within the set.
    pub name: Name,
    /// What it holds.
    pub ty: FactType,
    /// Its clauses, in order.
    pub clauses: Vec<Clause>,
}

/// What a clause does to its register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Counts, sets, puts in.
    Add,
    /// Takes back what `add` did.
    Remove,
    /// Makes it unset.
    Reset,
}

/// A parsed clause of a fact.
#[derive(Debug, Clone)]
pub struct Clause {
    /// Where it begins.
    pub place: Place,
    /// The bytes that it covers.
    pub span: Range<usize>,
    /// What it does.
    pub action: Action,
    /// On which kinds.
    pub kinds: Vec<Name>,
    /// What is added or removed.
    pub value: Option<Expr>,
    /// Under which key.
    pub key: Option<Expr>,
    /// Only where this is true.
    pub when: Option<Expr>,
}

/// A parsed rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Name within the set.
    pub name: Name,
    /// The kinds that it judges.
    pub kinds: Vec<Name>,
    /// What has to be true.
    pub require: Expr,
    /// The same as written.
    pub expression: String,
    /// What a person reads when it refuses.
    pub message: String,
    /// What it means that it is broken.
    pub severity: super::set::Severity,
    /// The incident or promise it comes from.
    pub origin: Option<String>,
}
