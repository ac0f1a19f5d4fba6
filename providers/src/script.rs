//! A script: what each agent does and says, turn by turn, written down beforehand (format in `specs/bundle.md`).
//!
//! Turns are keyed by agent and round, never counted in memory: a spawn that is issued again after a crash gets
//! the same turn (SCRIPT-1).

use serde::Deserialize;

/// A recorded model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What the model is called.
    pub model: String,
    /// The turns.
    #[serde(rename = "turn", default)]
    pub turns: Vec<Turn>,
}

/// What an agent does and says in one spawn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The agent.
    pub agent: String,
    /// The round it serves, and later ones that have no turn of their own; from 1.
    #[serde(default = "one")]
    pub round: u64,
    /// The try it serves; every try where absent.
    pub attempt: Option<u64>,
    /// The model, where it is another than the script's.
    pub model: Option<String>,
    /// The session it claims to be.
    pub session: Option<String>,
    /// Tokens read; unknown where absent.
    pub tokens_in: Option<u64>,
    /// Tokens written; unknown where absent.
    pub tokens_out: Option<u64>,
    /// Cost in micro-units; unknown where absent.
    pub money_micro: Option<u64>,
    /// Its raw output.
    #[serde(default)]
    pub say: String,
    /// What it does to the files, in order.
    #[serde(rename = "edit", default)]
    pub edits: Vec<Edit>,
    /// A program that it runs after its edits, in its folder: really, as an agent program would be run. What it prints
    /// comes before `say` in the raw output.
    #[serde(default)]
    pub run: Vec<String>,
    /// How it misbehaves, in order, after its edits.
    #[serde(default)]
    pub trouble: Vec<Trouble>,
    /// For `limited`: how long to wait, in milliseconds.
    pub wake_ms: Option<u64>,
    /// For `garbage`: how many bytes.
    #[serde(default)]
    pub garbage_bytes: usize,
}

/// One edit; exactly one of `write`, `append`, `delete` names the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The file to write; its folders are made.
    pub write: Option<String>,
    /// The file to append to.
    pub append: Option<String>,
    /// The file or folder to delete; nothing happens when it is not there.
    pub delete: Option<String>,
    /// What is written or appended.
    #[serde(default)]
    pub content: String,
}

/// A way in which an agent misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// Does not end until it is cancelled or its time is over.
    Hang,
    /// Prints bytes that are no text instead of its answer.
    Garbage,
    /// Fails in a way that trying again may mend.
    Fail,
    /// Fails in a way that trying again cannot mend.
    Break,
    /// Is turned away by a rate limit.
    Limited,
    /// Empties the folder it works in, version control and all.
    DeleteWorkspace,
    /// Leaves a process behind that outlives it.
    SpawnChild,
    /// Tells git to look away from what it changed.
    IndexFlags,
}

/// Why a text is not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It is not TOML of the script's form.
    #[error("the script is not of its form: {0}")]
    Form(String),
    /// A turn contradicts itself or another.
    #[error("turn {turn} ({agent}): {what}")]
    Turn {
        /// Place in the script, from 1.
        turn: usize,
        /// The agent.
        agent: String,
        /// What is wrong.
        what: &'static str,
    },
}

fn one() -> u64 {
    1
}

impl Script {
    /// Reads a script.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let script: Script = toml::from_str(text).map_err(|error| ScriptError::Form(error.to_string()))?;
        for (index, turn) in script.turns.iter().enumerate() {
            let wrong = |what| Err(ScriptError::Turn { turn: index + 1, agent: turn.agent.clone(), what });
            let same =
                |other: &Turn| other.agent == turn.agent && other.round == turn.round && other.attempt == turn.attempt;
            if turn.round == 0 || turn.attempt == Some(0) {
                return wrong("rounds and attempts begin at 1");
            }
            if script.turns[..index].iter().any(same) {
                return wrong("an earlier turn has the same agent, round and attempt");
            }
            if turn.edits.iter().any(|edit| edit.files().count() != 1) {
                return wrong("an edit names exactly one of write, append, delete");
            }
        }
        Ok(script)
    }

    /// Returns the turn of an agent: of the latest round that is not after this one, and there rather one for
    /// exactly this try.
    pub fn turn(&self, agent: &str, round: u64, attempt: u64) -> Option<&Turn> {
        self.turns
            .iter()
            .filter(|turn| turn.agent == agent && turn.round <= round)
            .filter(|turn| turn.attempt.is_none_or(|only| only == attempt))
            .max_by_key(|turn| (turn.round, turn.attempt))
    }
}

impl Edit {
    fn files(&self) -> impl Iterator<Item = &String> {
        [&self.write, &self.append, &self.delete].into_iter().flatten()
    }
}
