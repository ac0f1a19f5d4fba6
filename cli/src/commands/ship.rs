//! `loom ship RUN`: brings an accepted run to where people want it: onto their branch, to a remote, into a pull request.
//!
//! What lands on the user's branch or remote is the user's act, made by their own git (decision 0009). Only what was
//! accepted is shipped: the commit that the log names, whatever else the branch says by then.

use crate::account::Account;
use crate::app::Global;
use crate::commands::diff::root;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::{FAINT, GOOD, Output, note};
use crate::project;
use crate::pull_request;
use crate::text::{clean, run8};
use loom_core::id::{StreamId, hex};
use loom_core::word::Verdict;
use loom_host::HostError;
use loom_host::environment::Environment;
use loom_host::trees::{Difference, Trees};
use loom_tools::{CommitId, Form, UserGit};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Ships an accepted run: as one commit on your branch, to a remote, or as the text of a pull request.
///
/// --squash and --push are done by your own git: with your name, hooks, signing and credentials. Nothing is forced, and
/// the work tree is touched only when all of the change applies.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("way").required(true).args(["squash", "push", "pr_body"])))]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Applies the run's branch as one commit onto the branch that you are on.
    #[arg(long)]
    squash: bool,
    /// With --squash: the branch that you mean to be on; refused on another one.
    #[arg(long, value_name = "BRANCH", requires = "squash")]
    onto: Option<String>,
    /// Pushes the run's branch to a remote, never by force.
    #[arg(long, value_name = "REMOTE", num_args = 0..=1, default_missing_value = "origin")]
    push: Option<String>,
    /// Prints what a reviewer of a pull request wants to know, as Markdown.
    #[arg(long)]
    pr_body: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    run: String,
    /// `squash`, `push` or `pr-body`.
    way: &'static str,
    /// The run's branch and the accepted commit.
    branch: String,
    commit: String,
    /// With `squash`: the branch it is on now, the new commit, and whether a hook changed it.
    onto: Option<String>,
    squashed: Option<String>,
    altered_by_hooks: Option<bool>,
    /// With `push`: the remote.
    remote: Option<String>,
    /// With `pr-body`: the text.
    body: Option<String>,
}

/// Answers `loom ship`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    if let (Some(spawn), false) = (environment.descends, arguments.pr_body) {
        return Err(CliError::OfSpawn { spawn, what: "shipping" });
    }
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let stream = identify::run(store, &arguments.run)?;
    if stream == StreamId::STORE {
        return Err(CliError::NotARun { text: arguments.run.clone() });
    }
    let account = Account::read(store, stream)?;
    let commit = match (&account.ended, &account.commit) {
        (Some((Verdict::Accepted, ..)), Some(commit)) => commit.clone(),
        _ => return Err(CliError::NotAccepted { run: run8(&stream), state: account.word() }),
    };
    let branch = account.state.branch();
    let accepted = CommitId::from_bytes(&commit).ok_or(HostError::ObjectName)?;
    let mut document = Document {
        loom: "ship/1",
        run: hex(&stream.0),
        way: "pr-body",
        branch: branch.clone(),
        commit: hex(&commit),
        onto: None,
        squashed: None,
        altered_by_hooks: None,
        remote: None,
        body: None,
    };
    if arguments.pr_body {
        let trees = Trees::open(&environment, root(&opened.folder), store, stream)?;
        let (base, tree) = (&account.state.opened.base_tree, &account.state.tree);
        let difference: Option<Difference> = trees.difference(base, tree, Form::Stat)?;
        let body = pull_request::body(stream, &account, difference.as_ref());
        if output.json {
            document.body = Some(body);
            output.document(&document)?;
        } else {
            write!(output.out, "{body}")?;
        }
        return Ok(Exit::Ok);
    }
    let may_ask = !global.no_input && std::io::stdin().is_terminal();
    let git = UserGit::of(root(&opened.folder), may_ask);
    git.is_at(&branch, accepted)?;
    match &arguments.push {
        Some(remote) => {
            git.push(accepted, &branch, remote)?;
            document.way = "push";
            document.remote = Some(remote.clone());
            if !output.json {
                writeln!(output.out, "{GOOD}pushed{GOOD:#} {} to {}", clean(&branch), clean(remote))?;
            }
        }
        None => {
            let shipped = git.squash(accepted, arguments.onto.as_deref(), &message(stream, &account))?;
            if shipped.is_altered && !global.quiet {
                note("a hook changed the commit: its tree is not the one that was merged");
            }
            if !output.json {
                let (onto, made) = (clean(&shipped.onto), shipped.commit);
                writeln!(output.out, "{GOOD}committed{GOOD:#} on {onto} as {made}")?;
                writeln!(output.out, "{FAINT}{} stays as it was accepted{FAINT:#}", clean(&branch))?;
            }
            document.way = "squash";
            document.onto = Some(shipped.onto);
            document.squashed = Some(shipped.commit.to_string());
            document.altered_by_hooks = Some(shipped.is_altered);
        }
    }
    if output.json {
        output.document(&document)?;
    }
    Ok(Exit::Ok)
}

/// Most characters of a commit's first line.
const SUBJECT: usize = 72;

/// Returns the message of the one commit: the task in the user's own words, and the trailers that lead back to the log.
fn message(stream: StreamId, account: &Account) -> String {
    let task = account.task.as_deref().unwrap_or(&account.state.opened.slug).replace('\0', "");
    let (first, rest) = task.trim().split_once('\n').unwrap_or((task.trim(), ""));
    let first = first.trim();
    let (subject, rest) = match first.chars().count() > SUBJECT {
        true => (crate::text::clip(first, SUBJECT), task.trim().to_string()),
        false => (first.to_string(), rest.trim().to_string()),
    };
    let body = if rest.is_empty() { String::new() } else { format!("{rest}\n\n") };
    let head = account.head.map(|head| format!("Loom-Head: {}\n", hex(&head.0))).unwrap_or_default();
    format!("{subject}\n\n{body}Loom-Run: {}\n{head}", hex(&stream.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_task(task: &str) -> String {
        let account = Account { task: Some(task.to_string()), ..Account::default() };
        message(StreamId::STORE, &account)
    }

    #[test]
    fn the_message_is_the_task_and_its_trailers() {
        let run = hex(&StreamId::STORE.0);
        assert_eq!(of_task("add a limit\n"), format!("add a limit\n\nLoom-Run: {run}\n"));
        assert_eq!(of_task("add a limit\n\nto logins\n"), format!("add a limit\n\nto logins\n\nLoom-Run: {run}\n"));
        let long = "x".repeat(100);
        let told = of_task(&long);
        assert!(told.lines().next().is_some_and(|line| line.chars().count() == SUBJECT && line.ends_with('…')));
        assert!(told.contains(&format!("\n\n{long}\n\nLoom-Run: ")));
    }
}
