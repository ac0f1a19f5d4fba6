//! Prompts: a template and what stands in a recipe become text.
//!
//! Templates are minijinja with strict undefined names, bounded work and no way to load anything. Whatever came
//! from a person, an agent or a project is data: `data(label, text)` fences it so that it cannot close the fence
//! (PROMPT-1).

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

/// Most steps that rendering one prompt may take.
const FUEL: u64 = 1_000_000;
/// Longest prompt, in bytes.
pub(crate) const PROMPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a prompt is made of.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PromptParts {
    /// The task's text.
    pub task: String,
    /// Notes of people, oldest first.
    pub notes: Vec<String>,
    /// What advisers said: agent and text.
    pub advice: Vec<(String, String)>,
    /// Findings to mend or to judge.
    pub findings: Vec<Finding>,
    /// The change so far, for those who judge it.
    pub diff: Option<String>,
    /// What checks printed: name, outcome word, output.
    pub checks: Vec<(String, String, String)>,
    /// The try before, when its answer could not be used.
    pub repair: Option<Repair>,
    /// The JSON Schema of the answer.
    pub schema: String,
}

/// A finding as prompts show it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Finding {
    /// Severity word.
    pub severity: String,
    /// Category.
    pub category: String,
    /// File, readable.
    pub path: Option<String>,
    /// Line.
    pub line: Option<u64>,
    /// One sentence.
    pub summary: String,
    /// What it was seen in.
    pub evidence: Option<String>,
    /// Who raised it.
    pub agent: String,
}

/// An answer that could not be used.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Repair {
    /// What was answered.
    pub output: String,
    /// Why it could not be used.
    pub problem: String,
}

/// Why a template gives no prompt.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The template is wrong.
    #[error("template line {}: {}", .line.unwrap_or(0), .what)]
    Template {
        /// The line, from 1, where known.
        line: Option<usize>,
        /// What is wrong.
        what: String,
        /// minijinja's own words.
        #[source]
        source: Box<Error>,
    },
    /// The prompt would be too long to send.
    #[error("the prompt has {0} bytes; at most {PROMPT_BYTES_MAX} are sent")]
    TooLong(usize),
}

/// Renders a prompt.
pub fn render(template: &str, parts: &PromptParts) -> Result<String, PromptError> {
    let prompt = environment().render_str(template, Serde(parts)).map_err(|error| PromptError::Template {
        line: error.line(),
        what: error.detail().map_or_else(|| error.kind().to_string(), str::to_string),
        source: Box::new(error),
    })?;
    if prompt.len() > PROMPT_BYTES_MAX { Err(PromptError::TooLong(prompt.len())) } else { Ok(prompt) }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    // Block tags stand on lines of their own and leave none behind.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.add_function("data", data);
    environment
}

/// Fences a text as data. The fence is longer than any run of backticks inside.
fn data(label: &str, text: &str) -> Result<String, Error> {
    if label.is_empty() || !label.chars().all(|c| c.is_ascii_alphanumeric() || "-_ .:".contains(c)) {
        return Err(Error::new(ErrorKind::InvalidOperation, "the label of data is letters, digits and - _ . : only"));
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(3) + 1);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{fence}{label}\n{text}{end}{fence}"))
}
