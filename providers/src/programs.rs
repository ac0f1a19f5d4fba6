//! The agent programs that Loom can drive: what each is called, which variables its credential may stand in.
//!
//! For whoever says what is set up. It never reads a value.

use crate::backends::CLAUDE_CREDENTIALS;

/// An agent's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentProgram {
    /// Name of the provider, and of the program on the search path.
    pub name: &'static str,
    /// The variables that may hold its credential.
    pub credentials: &'static [&'static str],
    /// The command that installs it.
    pub install: &'static str,
}

/// Every agent program.
pub const PROGRAMS: &[AgentProgram] = &[
    AgentProgram {
        name: "claude",
        credentials: CLAUDE_CREDENTIALS,
        install: "npm install -g @anthropic-ai/claude-code",
    },
    AgentProgram { name: "codex", credentials: &["OPENAI_API_KEY"], install: "npm install -g @openai/codex" },
];
