//! A script: what the model says in each turn of a conversation, and how the service fails at it.
//!
//! A request's turn is the number of messages in it that the model has spoken, from 0.

use serde_json::Value;
use std::time::Duration;

/// What a model says, turn by turn.
#[derive(Debug, Clone, Default)]
pub struct Script {
    turns: Vec<Vec<Answer>>,
    endless: bool,
    plain: bool,
}

impl Script {
    /// Returns a script without a turn.
    pub fn new() -> Self {
        Script::default()
    }

    /// Adds a turn that is answered so, each time it is asked for.
    pub fn then(self, answer: impl Into<Answer>) -> Self {
        self.tries([answer.into()])
    }

    /// Adds a turn whose first request gets the first answer, the next one the next; the last answer stays.
    pub fn tries(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.turns.push(answers.into_iter().collect());
        self
    }

    /// Lets the last turn serve every later one too.
    pub fn for_ever(self) -> Self {
        Script { endless: true, ..self }
    }

    /// Lets the endpoint refuse a chat completion that is to fit a schema, as old or small ones do.
    pub fn plain(self) -> Self {
        Script { plain: true, ..self }
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Returns the answer of a turn to its request number `asked`, from 0.
    pub(crate) fn answer(&self, turn: usize, asked: usize) -> Option<&Answer> {
        let tries = self.turns.get(turn).or_else(|| self.turns.last().filter(|_| self.endless))?;
        tries.get(asked).or(tries.last())
    }
}

/// What comes back for one request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A whole reply.
    Say(Reply),
    /// An error of the service.
    Status {
        /// The status code.
        code: u16,
        /// The header `retry-after`, in seconds.
        retry_after_s: Option<u64>,
    },
    /// An error of the service that says by these headers how long to wait.
    Wait {
        /// The status code.
        code: u16,
        /// The headers, names in lower case.
        headers: Vec<(&'static str, String)>,
    },
    /// The first half of a reply's events.
    Cut {
        /// The reply.
        reply: Reply,
        /// Whether the body ends as HTTP wants it; else the connection just closes.
        clean: bool,
    },
    /// No byte, until the client goes.
    Silence,
    /// The first half of a reply's events, then no byte more until the client goes.
    Stall(Reply),
    /// A whole reply, an event at a time.
    Drip {
        /// The reply.
        reply: Reply,
        /// The time between two events.
        gap: Duration,
    },
    /// A body that is none of the protocol's, as if it were a reply.
    Garbage,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer::Say(reply)
    }
}

/// One message of the model.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What it consists of.
    pub blocks: Vec<Block>,
    /// Why it ended.
    pub stop: &'static str,
    /// Tokens read, as the service counts them.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
}

impl Reply {
    /// Returns a final message of text.
    pub fn text(text: impl Into<String>) -> Self {
        Reply { blocks: vec![Block::Text(text.into())], stop: "end_turn", tokens_in: 100, tokens_out: 20 }
    }

    /// Returns a call of a tool.
    pub fn call(tool: &str, input: Value) -> Self {
        Self::raw_call(tool, &input.to_string())
    }

    /// Returns a call of a tool whose input is this text, JSON or not: there are tools that are called with free text.
    pub fn raw_call(tool: &str, input: &str) -> Self {
        let call = Block::Call { tool: tool.to_string(), input: input.to_string() };
        Reply { blocks: vec![call], stop: "tool_use", tokens_in: 100, tokens_out: 20 }
    }

    /// Returns a message without content.
    pub fn empty() -> Self {
        Reply { blocks: Vec::new(), stop: "end_turn", tokens_in: 100, tokens_out: 1 }
    }

    /// Returns the reply with another reason to stop.
    pub fn stopping(self, stop: &'static str) -> Self {
        Reply { stop, ..self }
    }

    /// Returns the reply with another count of tokens.
    pub fn using(self, tokens_in: u64, tokens_out: u64) -> Self {
        Reply { tokens_in, tokens_out, ..self }
    }
}

/// A part of a message.
#[derive(Debug, Clone)]
pub enum Block {
    /// Words.
    Text(String),
    /// A call of a tool.
    Call {
        /// Its name.
        tool: String,
        /// The text of its input.
        input: String,
    },
}
