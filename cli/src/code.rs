//! A stable code for every error that people see, and the page that explains it.
//!
//! Numbers are never reused: a code that nothing gives any more keeps its number and its page (CLI-5). The match names
//! every variant, so that a new error stops the build here, where it must be thought of.

use crate::error::CliError;
use loom_host::HostError;
use loom_replay::ReplayError;
use loom_replay::evidence::EvidenceError;
use loom_store::{AppendError, StoreError};
use loom_tools::Error as ToolError;
use std::fmt;

/// The code of an error, written `LOOM-E042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code(u16);

/// What stands in a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// The code, as people write it.
    pub(crate) code: &'static str,
    /// What happened, as a heading.
    pub(crate) title: &'static str,
    /// What happened and why, what to do, an example.
    pub(crate) text: &'static str,
}

/// The pages, by what they are about: what was asked, the history, the project, shipping, settings,
/// evidence, asking recorded runs.
const PAGES: [&str; 7] = [
    include_str!("pages/asking.md"),
    include_str!("pages/history.md"),
    include_str!("pages/project.md"),
    include_str!("pages/shipping.md"),
    include_str!("pages/settings.md"),
    include_str!("pages/evidence.md"),
    include_str!("pages/replaying.md"),
];

/// Returns every page, in the order of the codes.
pub(crate) fn pages() -> impl Iterator<Item = Page> {
    let texts = PAGES.iter().flat_map(|file| file.split("## ").skip(1));
    texts.map(|text| {
        let (heading, text) = text.split_once('\n').unwrap_or((text, ""));
        let (code, title) = heading.split_once(' ').unwrap_or((heading, ""));
        Page { code, title, text: text.trim_matches('\n') }
    })
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LOOM-E{:03}", self.0)
    }
}

impl Code {
    /// The command line is not understood.
    pub(crate) const USAGE: Code = Code(1);

    /// Returns the code of an error.
    pub(crate) fn of(error: &CliError) -> Code {
        Code(match error {
            CliError::NoCommand { .. } | CliError::Unfitting { .. } => Code::USAGE.0,
            CliError::NoStore { .. } => 2,
            CliError::NotAnId { .. } => 3,
            CliError::Unknown { .. } => 4,
            CliError::Ambiguous { .. } => 5,
            CliError::NotARun { .. } => 6,
            CliError::NoRuns => 7,
            CliError::Kind { .. } => 8,
            CliError::Since { .. } => 9,
            CliError::NoRuleSet { .. } | CliError::NoSuchRule { .. } => 10,
            CliError::Rules { .. } => 11,
            CliError::NoCases { .. } => 12,
            CliError::FileExists { .. } => 13,
            CliError::NotAFile { .. } | CliError::NotRegular { .. } | CliError::Folder { .. } => 14,
            CliError::NotEmpty { .. } => 15,
            CliError::File { .. } => 16,
            CliError::Output(_) | CliError::ClosedPipe => 17,
            CliError::TaskNotText => 18,
            CliError::NoProvider(_) => 19,
            CliError::NoGate { .. } => 20,
            CliError::NotADigest { .. } => 21,
            CliError::Refused { .. } => 22,
            CliError::Unheard { .. } => 23,
            CliError::NoPage { .. } => 25,
            CliError::NoSchema { .. } => 26,
            CliError::NotConfirmed => 27,
            CliError::OfSpawn { .. } => 28,
            CliError::NotArmed { .. } => 29,
            CliError::NotRedacted { .. } => 30,
            CliError::DrivenOtherwise { .. } => 31,
            CliError::Event { .. } => 40,
            CliError::Unrecorded { .. } => 41,
            CliError::NotABackup { .. } => 42,
            CliError::BundleUnknown(_) => 60,
            CliError::Bundle(_) | CliError::BundleFolder(_) => 61,
            CliError::TreesGone { .. } => 90,
            CliError::NotASpawn { .. } => 91,
            CliError::NotAccepted { .. } => 92,
            CliError::Settings(_) => 110,
            CliError::Edit(_) | CliError::NoKey { .. } | CliError::NotSet { .. } => 111,
            CliError::Secrets(_) | CliError::NoValue => 112,
            CliError::Projects(_) => 113,
            CliError::NoSuchProvider { .. } | CliError::NotInBundle { .. } => 114,
            CliError::NoProject { .. } => 115,
            CliError::NotAllowed { .. } => 117,
            CliError::WatchEnded { .. } => 118,
            CliError::WatchUnheard { .. } => 121,
            CliError::Interrupted { .. } => 119,
            CliError::Keys(_) => 122,
            CliError::Evidence(error) => return Code::of_evidence(error),
            CliError::NotAPublicKey { .. } => 125,
            CliError::NoCheckpoint { .. } | CliError::PlaceInside { .. } => 126,
            CliError::NotOneRun { .. } => 127,
            CliError::WhatIf(_) => 128,
            CliError::Query(_) => 129,
            CliError::NothingToShrink { .. } => 130,
            CliError::Store(error) => return Code::of_store(error),
            CliError::Replay(error) => return Code::of_replay(error),
            CliError::Host(error) => return Code::of_host(error),
        })
    }

    fn of_store(error: &StoreError) -> Code {
        Code(match error {
            StoreError::Missing(_) => 43,
            StoreError::Exists(_) => 44,
            StoreError::Held { .. } => 45,
            StoreError::Newer { .. } | StoreError::NewerEvent { .. } => 46,
            StoreError::Damaged(_) => 47,
            StoreError::Full => 48,
            StoreError::Io { .. } => 49,
            StoreError::Broken => 50,
            StoreError::ReadOnly => 51,
        })
    }

    fn of_replay(error: &ReplayError) -> Code {
        Code(match error {
            ReplayError::Store(error) => return Code::of_store(error),
            ReplayError::Source { .. } => 16,
            ReplayError::TooMany { .. } => 58,
            ReplayError::NoRun(_) => 53,
            ReplayError::Damaged(_) => 54,
            ReplayError::NotATrace => 55,
            ReplayError::Newer { .. } | ReplayError::NewerEvent { .. } => 46,
            ReplayError::Io { .. } => 56,
        })
    }

    fn of_evidence(error: &EvidenceError) -> Code {
        Code(match error {
            EvidenceError::Store(error) => return Code::of_store(error),
            EvidenceError::Replay(error) => return Code::of_replay(error),
            EvidenceError::Newer { .. } => 46,
            EvidenceError::Unprovable(_) => 124,
            EvidenceError::NotAReceipt
            | EvidenceError::Broken { .. }
            | EvidenceError::OtherStore { .. }
            | EvidenceError::OtherKey { .. }
            | EvidenceError::Truncated { .. }
            | EvidenceError::Forked { .. } => 123,
        })
    }

    fn of_host(error: &HostError) -> Code {
        Code(match error {
            HostError::Store(error) | HostError::Append(AppendError::Store(error)) => return Code::of_store(error),
            HostError::Tool(error) => return Code::of_tool(error),
            HostError::Append(AppendError::HeadMoved { .. }) => 52,
            HostError::Event(_) => 40,
            HostError::Blob(_)
            | HostError::EventMissing { .. }
            | HostError::BlobMissing { .. }
            | HostError::ObjectName => 57,
            HostError::Terms(_) => 64,
            HostError::Declined(_) | HostError::SignatureUnfit => 22,
            HostError::RequestReused { .. } => 24,
            HostError::RunUnknown => 53,
            HostError::TooLong { .. } | HostError::TextUnusable { .. } => 18,
            HostError::StoreForeign { .. } => 65,
            HostError::StoreElsewhere { .. } => 66,
            HostError::StateForeign { .. } => 67,
            HostError::Policy(_) => 62,
            HostError::Checks(_) => 63,
            HostError::File { .. } => 16,
            HostError::Secrets(_) => 112,
            HostError::SecretInCheck { .. } => 116,
        })
    }

    fn of_tool(error: &ToolError) -> Code {
        Code(match error {
            ToolError::File { .. } => 16,
            ToolError::ProgramMissing { .. } | ToolError::Start { .. } => 70,
            ToolError::GitTooOld { .. } => 71,
            ToolError::Git { .. } | ToolError::GitAnswer { .. } => 72,
            ToolError::NotARepository { .. } => 73,
            ToolError::Bare { .. } => 74,
            ToolError::Empty { .. } => 75,
            ToolError::RefFormat { .. } => 76,
            ToolError::BranchInvalid { .. } | ToolError::BranchExists { .. } => 77,
            ToolError::WorkspaceExists { .. } | ToolError::Deleted { .. } => 78,
            ToolError::FileTooLarge { .. } | ToolError::TreeTooLarge { .. } | ToolError::TooManyFiles { .. } => 79,
            ToolError::CommitText { .. } => 80,
            ToolError::TargetDirty { .. } => 93,
            ToolError::NotOnBranch { .. } => 94,
            ToolError::Conflicts { .. } => 95,
            ToolError::CommitElsewhere { .. } => 96,
            ToolError::RemoteMissing { .. } => 97,
            ToolError::PushFailed { .. } => 98,
            ToolError::CommitRefused { .. } => 99,
            ToolError::NothingToShip { .. } => 100,
            ToolError::NotPutBack { .. } => 101,
            ToolError::FenceMissing { .. } | ToolError::Fence { .. } => 120,
            // What the machine refused in general, and whatever that room adds before it has a page.
            _ => 81,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every code that this file gives, read from its own text: the match arms are the only numbers.
    fn given() -> BTreeSet<u16> {
        let text = include_str!("code.rs");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let arms = text.lines().filter_map(|line| line.split("=> ").nth(1)?.trim_end_matches(',').parse().ok());
        arms.chain([Code::USAGE.0]).collect()
    }

    #[test]
    fn every_code_has_one_page_and_every_page_one_code() {
        let codes: Vec<String> = pages().map(|page| page.code.to_string()).collect();
        let given: Vec<String> = given().into_iter().map(|number| Code(number).to_string()).collect();
        assert_eq!(codes, given, "pages stand in the order of their codes");
    }

    /// A code stays what it is for ever: lines are added here, never changed or removed.
    #[test]
    fn codes_are_frozen() {
        let listed: Vec<String> = pages().map(|page| format!("{} {}", page.code, page.title)).collect();
        let frozen: Vec<&str> = include_str!("pages/codes.txt").lines().collect();
        assert_eq!(listed, frozen);
    }

    #[test]
    fn pages_are_short_and_say_what_to_do() {
        for page in pages() {
            let lines = page.text.lines().count();
            assert!((5..=15).contains(&lines), "{}: {lines} lines", page.code);
            assert!(
                page.text.contains("\nDo: ") && page.text.contains("\n    "),
                "{}: no repair or example",
                page.code
            );
            assert!(page.text.lines().all(|line| line.chars().count() <= 120), "{}: a long line", page.code);
        }
    }
}
