//! Reads tokens into statements and expressions.
//!
//! A statement begins in the first column, and whatever is indented below belongs to it; so one broken statement
//! does not hide the errors of the next. Expressions bind as in CEL. Recursion follows nesting only, and nesting
//! is bounded (RULE-7).

use super::error::{Place, RuleError};
use super::lexer::{Tok, Token, tokens};
use super::set::Severity;
use super::syntax::{Action, Clause, Expr, Fact, File, HEIGHT_MAX, Name, Node, Operator, Rule, too_deep};
use super::types::FactType;
use crate::schema::Scalar;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Words that CEL reserves; they name nothing in an expression.
const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "var",
    "void",
    "while",
    "by",
];

struct Parser<'p, 't> {
    text: &'t str,
    tokens: &'p [Token<'t>],
    at: usize,
    end: Token<'t>,
    depth: usize,
}

/// Parses a rule file; every statement that is wrong gives an error. Nothing is resolved or typed yet.
pub fn file(text: &str) -> Result<File, Vec<RuleError>> {
    let tokens = tokens(text).map_err(|error| vec![error])?;
    let (mut header, mut set, mut facts, mut rules, mut errors) = (false, None, Vec::new(), Vec::new(), Vec::new());
    let mut rest = &tokens[..tokens.len() - 1];
    while let Some(first) = rest.first() {
        let length = rest.iter().skip(1).position(|token| token.place.column == 1).map_or(rest.len(), |at| at + 1);
        let end = tokens[tokens.len() - rest.len() - 1 + length].clone();
        let mut parser = Parser { text, tokens: &rest[..length], at: 0, end: Token { tok: Tok::End, ..end }, depth: 0 };
        let wrong = if first.place.column != 1 {
            Err(RuleError::new(first.place, "a statement begins in the first column").hint("remove the indentation"))
        } else if !header {
            header = true;
            parser.header()
        } else if set.is_none() {
            parser.set().map(|parsed| set = Some(parsed))
        } else {
            parser.statement(&mut facts, &mut rules)
        };
        let wrong = wrong.and_then(|()| parser.done());
        if let Err(error) = wrong {
            errors.push(error);
            if set.is_none() {
                return Err(errors);
            }
        }
        rest = &rest[length..];
    }
    match set {
        Some((name, about)) if errors.is_empty() => Ok(File { name, about, facts, rules }),
        Some(_) => Err(errors),
        None => {
            let place = tokens.last().map_or(Place { line: 1, column: 1 }, |token| token.place);
            Err(vec![
                RuleError::new(place, "the file ends before its `set` line")
                    .hint("begin with `loom rules 1` and `set NAME \"what it is for\"`"),
            ])
        }
    }
}

/// Parses one expression, which must be the whole text.
pub(crate) fn expression(text: &str) -> Result<Expr, RuleError> {
    let tokens = tokens(text)?;
    let (end, tokens) = tokens.split_last().ok_or(RuleError::new(Place::default(), "there is no expression"))?;
    let mut parser = Parser { text, tokens, at: 0, end: end.clone(), depth: 0 };
    let expr = parser.expr()?;
    parser.done()?;
    Ok(expr)
}

/// Returns an expression in its canonical print: equal for equal trees, and a fixed point (RULE-8).
pub fn canonical(text: &str) -> Result<String, RuleError> {
    expression(text).map(|expr| expr.to_string())
}

impl<'t> Parser<'_, 't> {
    fn token(&self) -> &Token<'t> {
        self.tokens.get(self.at).unwrap_or(&self.end)
    }

    fn place(&self) -> Place {
        self.token().place
    }

    /// Returns where something begins: its place and first byte.
    fn from(&self) -> (Place, usize) {
        (self.token().place, self.token().start)
    }

    /// Returns the bytes from `start` to the end of the token before this one.
    fn span(&self, start: usize) -> Range<usize> {
        start..self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(start, |token| token.end)
    }

    fn node(&self, (place, start): (Place, usize), node: Node) -> Result<Expr, RuleError> {
        Expr::new(place, self.span(start), node)
    }

    fn error(&self, message: impl Into<String>) -> RuleError {
        RuleError::new(self.place(), message)
    }

    /// Returns the error of a token that does not fit here.
    fn expected(&self, what: &str) -> RuleError {
        let found = match &self.token().tok {
            Tok::Word(word) => format!("`{word}`"),
            Tok::Int(value) => format!("{value}"),
            Tok::Text(_) => "a string".to_string(),
            Tok::Bytes(_) => "a bytes literal".to_string(),
            Tok::Mark(mark) => format!("`{mark}`"),
            Tok::End => "the end of the statement".to_string(),
        };
        self.error(format!("expected {what}, found {found}"))
    }

    fn is_mark(&self, mark: &str) -> bool {
        matches!(&self.token().tok, Tok::Mark(found) if *found == mark)
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, mark: &str) -> Result<(), RuleError> {
        if self.mark(mark) { Ok(()) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token().tok, Tok::Word(found) if *found == word)
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn need_word(&mut self, word: &str) -> Result<(), RuleError> {
        if self.word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    fn text(&mut self, what: &str) -> Result<String, RuleError> {
        match &self.token().tok {
            Tok::Text(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            Tok::Word(_) | Tok::Int(_) | Tok::Bytes(_) | Tok::Mark(_) | Tok::End => Err(self.expected(what)),
        }
    }

    fn done(&self) -> Result<(), RuleError> {
        if self.at >= self.tokens.len() {
            return Ok(());
        }
        Err(self.expected("the end of the statement").hint("operators are `&& || ! ?: in == != < <= > >= + - * / %`"))
    }

    // ---- statements

    fn header(&mut self) -> Result<(), RuleError> {
        let hint = format!("the first line is `loom rules {}`", super::LANGUAGE);
        self.need_word("loom").and_then(|()| self.need_word("rules")).map_err(|error| error.hint(hint))?;
        match self.token().tok {
            Tok::Int(version) if version == super::LANGUAGE => {
                self.at += 1;
                Ok(())
            }
            Tok::Int(version) => Err(self.error(format!(
                "rules language {version} is not read by this loom (language {}); a newer loom can read it",
                super::LANGUAGE
            ))),
            Tok::Word(_) | Tok::Text(_) | Tok::Bytes(_) | Tok::Mark(_) | Tok::End => {
                Err(self.expected("the language version"))
            }
        }
    }

    fn set(&mut self) -> Result<(Name, String), RuleError> {
        self.need_word("set").map_err(|error| error.hint("the second statement is `set NAME \"what it is for\"`"))?;
        Ok((self.dashed("the set's name")?, self.text("a string that says what the set is for")?))
    }

    fn statement(&mut self, facts: &mut Vec<Fact>, rules: &mut Vec<Rule>) -> Result<(), RuleError> {
        if self.word("fact") {
            facts.push(self.fact()?);
            Ok(())
        } else if self.word("rule") {
            rules.push(self.rule()?);
            Ok(())
        } else {
            Err(self.expected("`fact` or `rule`").hint("what belongs to the line above is indented"))
        }
    }

    fn fact(&mut self) -> Result<Fact, RuleError> {
        let name = self.plain("the fact's name")?;
        let ty = self.fact_type()?;
        let mut clauses = Vec::new();
        loop {
            let (place, start) = self.from();
            let action = if self.word("add") {
                Action::Add
            } else if self.word("remove") {
                Action::Remove
            } else if self.word("reset") {
                Action::Reset
            } else if self.at >= self.tokens.len() {
                break;
            } else {
                return Err(self.expected("`add`, `remove` or `reset`"));
            };
            let kinds = self.kinds()?;
            let value = if self.mark(":") { Some(self.expr()?) } else { None };
            let key = if self.word("by") { Some(self.expr()?) } else { None };
            let when = if self.word("if") { Some(self.expr()?) } else { None };
            clauses.push(Clause { place, span: self.span(start), action, kinds, value, key, when });
        }
        if !clauses.iter().any(|clause| clause.action == Action::Add) {
            return Err(RuleError::new(name.place, format!("nothing is ever added to fact `{}`", name.text))
                .hint("give it a clause `add KIND: EXPRESSION`"));
        }
        Ok(Fact { name, ty, clauses })
    }

    fn fact_type(&mut self) -> Result<FactType, RuleError> {
        if self.word("flag") {
            return Ok(FactType::Flag);
        }
        if self.word("set") {
            self.need_word("of")?;
            return Ok(FactType::Set(self.scalar()?));
        }
        if self.word("counter") {
            return Ok(self.keyed()?.map_or(FactType::Counter, FactType::CounterBy));
        }
        if self.word("sum") {
            return Ok(self.keyed()?.map_or(FactType::Sum, FactType::SumBy));
        }
        if !self.word("last") {
            return Err(self.expected("a fact's type").hint(
                "types are counter, sum, flag, set of T, last T, last list of T; counter, sum and last T may be followed by `by T`",
            ));
        }
        if self.word("list") {
            self.need_word("of")?;
            return Ok(FactType::LastList(self.scalar()?));
        }
        let value = self.scalar()?;
        Ok(self.keyed()?.map_or(FactType::Last(value), |key| FactType::LastBy(value, key)))
    }

    fn keyed(&mut self) -> Result<Option<Scalar>, RuleError> {
        if self.word("by") { self.scalar().map(Some) } else { Ok(None) }
    }

    fn scalar(&mut self) -> Result<Scalar, RuleError> {
        let found = [Scalar::Int, Scalar::Bool, Scalar::Text, Scalar::Bytes]
            .into_iter()
            .find(|scalar| self.is_word(super::types::scalar_word(*scalar)));
        self.at += usize::from(found.is_some());
        found.ok_or_else(|| self.expected("a value's type").hint("one of int, bool, string, bytes"))
    }

    fn rule(&mut self) -> Result<Rule, RuleError> {
        let name = self.dashed("the rule's name")?;
        self.need_word("on")?;
        let kinds = self.kinds()?;
        self.need_word("require")?;
        let start = self.token().start;
        let require = self.expr()?;
        let written = self.span(start);
        let (mut message, mut severity, mut origin) = (None, None, None);
        while self.at < self.tokens.len() {
            let place = self.place();
            let twice = if self.word("message") {
                message.replace(self.text("the message, a string")?).is_some()
            } else if self.word("origin") {
                origin.replace(self.text("the origin, a string")?).is_some()
            } else if self.word("severity") {
                let found = if self.word("error") {
                    Severity::Error
                } else if self.word("warn") {
                    Severity::Warn
                } else {
                    return Err(self.expected("`error` or `warn`"));
                };
                severity.replace(found).is_some()
            } else {
                return Err(self.expected("an operator, `message`, `severity` or `origin`"));
            };
            if twice {
                return Err(RuleError::new(place, "this is given twice").hint("keep one"));
            }
        }
        let message = message.ok_or_else(|| {
            RuleError::new(name.place, format!("rule `{}` has no message", name.text))
                .hint("add `message \"…\"`: what a person reads when it refuses")
        })?;
        Ok(Rule {
            name,
            kinds,
            require,
            expression: String::from(self.text.get(written).unwrap_or("")),
            message,
            severity: severity.unwrap_or(Severity::Error),
            origin,
        })
    }

    fn kinds(&mut self) -> Result<Vec<Name>, RuleError> {
        let mut kinds = Vec::new();
        loop {
            let mut kind = self.plain("an event kind")?;
            while self.mark(".") {
                kind.text.push('.');
                let rest = self.plain("the rest of the kind's name")?;
                kind.text.push_str(&rest.text);
                kind.span.end = rest.span.end;
            }
            kinds.push(kind);
            if !self.mark(",") {
                return Ok(kinds);
            }
        }
    }

    fn plain(&mut self, what: &str) -> Result<Name, RuleError> {
        match self.token().tok {
            Tok::Word(word) => {
                let Token { start, end, .. } = *self.token();
                let name = Name { place: self.place(), span: start..end, text: String::from(word) };
                self.at += 1;
                Ok(name)
            }
            Tok::Int(_) | Tok::Text(_) | Tok::Bytes(_) | Tok::Mark(_) | Tok::End => Err(self.expected(what)),
        }
    }

    /// Reads a name that may have dashes inside, written without blanks.
    fn dashed(&mut self, what: &str) -> Result<Name, RuleError> {
        let mut name = self.plain(what)?;
        loop {
            let at = self.at;
            let joined = |left: usize| {
                let (left, right) = (self.tokens.get(left)?, self.tokens.get(left + 1)?);
                (left.end == right.start).then_some(right)
            };
            let (Some(dash), Some(part)) = (at.checked_sub(1).and_then(joined), joined(at)) else {
                return Ok(name);
            };
            if dash.tok != Tok::Mark("-") || !matches!(part.tok, Tok::Word(_) | Tok::Int(_)) {
                return Ok(name);
            }
            name.text.push('-');
            name.text.push_str(self.text.get(part.start..part.end).unwrap_or(""));
            name.span.end = part.end;
            self.at += 2;
        }
    }

    // ---- expressions

    fn expr(&mut self) -> Result<Expr, RuleError> {
        if self.depth >= HEIGHT_MAX {
            return Err(too_deep(self.place()));
        }
        self.depth += 1;
        let from = self.from();
        let test = self.binary(0)?;
        let expr = if self.mark("?") {
            let yes = self.binary(0)?;
            self.need(":")?;
            let no = self.expr()?;
            self.node(from, Node::If(Box::new([test, yes, no])))
        } else {
            Ok(test)
        };
        self.depth -= 1;
        expr
    }

    /// Returns the operator here, if it binds at `level`: 0 `||`, 1 `&&`, 2 relations, 3 sums, 4 products.
    fn operator(&self, level: usize) -> Option<Operator> {
        let mark = match &self.token().tok {
            Tok::Mark(mark) => *mark,
            Tok::Word("in") => "in",
            Tok::Word(_) | Tok::Int(_) | Tok::Text(_) | Tok::Bytes(_) | Tok::End => return None,
        };
        match (level, mark) {
            (2, "==") => Some(Operator::Equal),
            (2, "!=") => Some(Operator::NotEqual),
            (2, "<") => Some(Operator::Less),
            (2, "<=") => Some(Operator::LessEqual),
            (2, ">") => Some(Operator::Greater),
            (2, ">=") => Some(Operator::GreaterEqual),
            (2, "in") => Some(Operator::In),
            (3, "+") => Some(Operator::Add),
            (3, "-") => Some(Operator::Subtract),
            (4, "*") => Some(Operator::Multiply),
            (4, "/") => Some(Operator::Divide),
            (4, "%") => Some(Operator::Remainder),
            _ => None,
        }
    }

    fn binary(&mut self, level: usize) -> Result<Expr, RuleError> {
        let from = self.from();
        if level < 2 {
            let first = self.binary(level + 1)?;
            let mark = if level == 0 { "||" } else { "&&" };
            if !self.is_mark(mark) {
                return Ok(first);
            }
            let mut operands = vec![first];
            while self.mark(mark) {
                operands.push(self.binary(level + 1)?);
            }
            return self.node(from, if level == 0 { Node::Or(operands) } else { Node::And(operands) });
        }
        let operand = |parser: &mut Self| if level == 4 { parser.unary() } else { parser.binary(level + 1) };
        let mut left = operand(self)?;
        while let Some(operator) = self.operator(level) {
            self.at += 1;
            let right = operand(self)?;
            left = self.node(from, Node::Binary(operator, Box::new(left), Box::new(right)))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, RuleError> {
        let mut signs = Vec::new();
        while self.is_mark("!") || self.is_mark("-") {
            signs.push((self.from(), self.is_mark("!")));
            self.at += 1;
        }
        let literal = match (signs.last(), &self.token().tok) {
            (Some((from, false)), Tok::Int(value)) => Some((*from, *value)),
            _ => None,
        };
        let mut expr = match literal {
            Some((from, value)) => {
                signs.pop();
                self.at += 1;
                let value = 0i64.checked_sub_unsigned(value).ok_or_else(|| out_of_range(from.0))?;
                self.node(from, Node::Int(value))?
            }
            None => self.member()?,
        };
        while let Some((from, not)) = signs.pop() {
            let node = match expr.node {
                _ if not => Node::Not(Box::new(expr)),
                // A literal has one spelling, however many signs it was written with.
                Node::Int(value) => Node::Int(value.checked_neg().ok_or_else(|| out_of_range(from.0))?),
                _ => Node::Negate(Box::new(expr)),
            };
            expr = self.node(from, node)?;
        }
        Ok(expr)
    }

    fn member(&mut self) -> Result<Expr, RuleError> {
        let start = self.token().start;
        let mut expr = self.primary()?;
        loop {
            let from = (expr.place, start);
            if self.mark(".") {
                let name = self.plain("a name after the dot")?.text;
                let target = Box::new(expr);
                expr = if self.mark("(") {
                    let arguments = self.list(")")?;
                    self.node(from, Node::Call(Some(target), name, arguments))?
                } else {
                    self.node(from, Node::Select(target, name))?
                };
            } else if self.mark("[") {
                let key = self.expr()?;
                self.need("]")?;
                expr = self.node(from, Node::Index(Box::new(expr), Box::new(key)))?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, RuleError> {
        let token = self.token().clone();
        let from = self.from();
        let node = match token.tok {
            Tok::Int(value) => Node::Int(i64::try_from(value).map_err(|_| out_of_range(token.place))?),
            Tok::Text(text) => Node::Text(text),
            Tok::Bytes(bytes) => Node::Bytes(bytes),
            Tok::Word("true") => Node::Bool(true),
            Tok::Word("false") => Node::Bool(false),
            Tok::Word(word) if RESERVED.contains(&word) => return Err(self.expected("an expression")),
            Tok::Word(word) => {
                self.at += 1;
                let node = if self.mark("(") {
                    Node::Call(None, String::from(word), self.list(")")?)
                } else {
                    Node::Name(String::from(word))
                };
                return self.node(from, node);
            }
            Tok::Mark("(") => {
                self.at += 1;
                let expr = self.expr()?;
                self.need(")")?;
                return Ok(expr);
            }
            Tok::Mark("[") => {
                self.at += 1;
                let items = self.list("]")?;
                return self.node(from, Node::List(items));
            }
            Tok::Mark(_) | Tok::End => return Err(self.expected("an expression")),
        };
        self.at += 1;
        self.node(from, node)
    }

    /// Reads expressions up to the closing mark.
    fn list(&mut self, close: &str) -> Result<Vec<Expr>, RuleError> {
        let mut items = Vec::new();
        if self.mark(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expr()?);
            if !self.mark(",") {
                self.need(close)?;
                return Ok(items);
            }
            if close == "]" && self.mark(close) {
                return Ok(items);
            }
        }
    }
}

fn out_of_range(place: Place) -> RuleError {
    RuleError::new(place, "the integer does not fit in 64 signed bits")
}
