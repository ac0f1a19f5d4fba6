//! The exit codes, frozen: scripts depend on them (CLI-2). One table maps what happened to its code.

use crate::error::CliError;
use loom_core::word::Verdict;
use loom_host::HostError;
use loom_host::keys::KeysError;
use loom_host::projects::ProjectsError;
use loom_host::secrets::SecretsError;
use loom_host::settings::EditError;
use loom_providers::NoProvider;
use loom_replay::ReplayError;
use loom_replay::evidence::EvidenceError;
use loom_replay::what_if::WhatIfError;
use loom_store::{AppendError, StoreError};
use loom_tools::Error as ToolError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// How the process ends. Signals end it with 130 and 143 by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Accepted, or done.
    Ok = 0,
    /// Rejected or failed.
    Failed = 1,
    /// The command line, or what it names, is wrong.
    Usage = 2,
    /// The run waits at a gate.
    Parked = 3,
    /// A rule refused what an answer would have decided.
    Refused = 4,
    /// A budget is exhausted.
    Exhausted = 5,
    /// The log is damaged.
    Damaged = 6,
    /// A run came out otherwise than it is on record.
    Diverged = 7,
    /// It cannot be known: facts are missing.
    Unknowable = 8,
    /// Something around Loom is not available; trying again may help.
    Unavailable = 9,
    /// A person cancelled it.
    Cancelled = 10,
}

impl Exit {
    /// Returns the exit of a run that ended so.
    pub(crate) fn of_verdict(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Accepted | Verdict::Answered => Exit::Ok,
            Verdict::Rejected | Verdict::Failed | Verdict::Abandoned => Exit::Failed,
            Verdict::Cancelled => Exit::Cancelled,
            Verdict::Exhausted => Exit::Exhausted,
        }
    }

    /// Returns the exit of an error.
    pub(crate) fn of_error(error: &CliError) -> Exit {
        match error {
            // Nobody reads any more: that is not ours to complain about.
            CliError::ClosedPipe => Exit::Ok,
            CliError::NoStore { .. }
            | CliError::NotAnId { .. }
            | CliError::Unknown { .. }
            | CliError::Ambiguous { .. }
            | CliError::NotARun { .. }
            | CliError::NoGate { .. }
            | CliError::NotADigest { .. }
            | CliError::TaskNotText
            | CliError::NotAllowed { .. }
            | CliError::Refused { .. }
            | CliError::NoRuns
            | CliError::Kind { .. }
            | CliError::Since { .. }
            | CliError::NoRuleSet { .. }
            | CliError::NoCases { .. }
            | CliError::BundleUnknown(_)
            | CliError::NoSuchProvider { .. }
            | CliError::NotInBundle { .. }
            | CliError::Settings(_)
            | CliError::NoKey { .. }
            | CliError::NotSet { .. }
            | CliError::NoProject { .. }
            | CliError::NoValue
            | CliError::FileExists { .. }
            | CliError::NotAFile { .. }
            | CliError::NotRegular { .. }
            | CliError::Folder { .. }
            | CliError::Unfitting { .. }
            | CliError::PlaceInside { .. }
            | CliError::NoSuchRule { .. }
            | CliError::NotEmpty { .. }
            | CliError::NoPage { .. }
            | CliError::NoSchema { .. }
            | CliError::NoCommand { .. }
            | CliError::NotConfirmed
            | CliError::NotAPublicKey { .. }
            | CliError::NoCheckpoint { .. }
            | CliError::NotOneRun { .. }
            | CliError::Query(_)
            | CliError::NotASpawn { .. } => Exit::Usage,
            CliError::WhatIf(error) => match error {
                WhatIfError::Replay(error) => Exit::of_replay(error),
                WhatIfError::NoEvent { .. } | WhatIfError::NotHere { .. } | WhatIfError::Declined { .. } => Exit::Usage,
                WhatIfError::Diverged { .. } => Exit::Diverged,
                WhatIfError::Unknowable { .. } => Exit::Unknowable,
            },
            CliError::Store(error) => Exit::of_store(error),
            CliError::Replay(error) => Exit::of_replay(error),
            CliError::Unrecorded { source, .. } => match source.as_ref() {
                AppendError::Store(error) => Exit::of_store(error),
                AppendError::HeadMoved { .. } => Exit::Unavailable,
            },
            CliError::Host(error) => Exit::of_host(error),
            // The file that was named is not there, or is not what it should be.
            CliError::File { source, .. } if is_named_wrongly(source) => Exit::Usage,
            CliError::NoProvider(NoProvider::Unknown { .. }) => Exit::Usage,
            // The process ends by the signal itself, where it can.
            CliError::Interrupted { .. }
            | CliError::WatchEnded { .. }
            | CliError::WatchUnheard { .. }
            | CliError::Output(_)
            | CliError::File { .. }
            | CliError::Unheard { .. }
            | CliError::DrivenOtherwise { .. }
            | CliError::NoProvider(NoProvider::NotSetUp(_)) => Exit::Unavailable,
            CliError::Edit(EditError::File { .. }) | CliError::Projects(ProjectsError::File { .. }) => {
                Exit::Unavailable
            }
            CliError::Edit(_) | CliError::Projects(_) => Exit::Usage,
            CliError::Secrets(error) => Exit::of_secrets(error),
            CliError::Keys(error) => Exit::of_keys(error),
            CliError::Evidence(error) => Exit::of_evidence(error),
            CliError::Bundle(_)
            | CliError::BundleFolder(_)
            | CliError::Rules { .. }
            | CliError::OfSpawn { .. }
            | CliError::NotArmed { .. }
            | CliError::NotRedacted { .. }
            | CliError::NothingToShrink { .. }
            | CliError::TreesGone { .. }
            | CliError::NotAccepted { .. } => Exit::Failed,
            CliError::Event { .. } | CliError::NotABackup { .. } => Exit::Damaged,
        }
    }

    /// Returns the exit of a command that was about two things: what waits goes before what went wrong.
    pub(crate) fn and(self, other: Exit) -> Exit {
        match (self, other) {
            (Exit::Parked, _) | (_, Exit::Parked) => Exit::Parked,
            (Exit::Ok, other) => other,
            (own, _) => own,
        }
    }

    fn of_host(error: &HostError) -> Exit {
        match error {
            HostError::Store(error) | HostError::Append(AppendError::Store(error)) => Exit::of_store(error),
            HostError::Event(_)
            | HostError::Blob(_)
            | HostError::EventMissing { .. }
            | HostError::BlobMissing { .. } => Exit::Damaged,
            HostError::Declined(_)
            | HostError::SignatureUnfit
            | HostError::RequestReused { .. }
            | HostError::RunUnknown
            | HostError::TooLong { .. }
            | HostError::TextUnusable { .. }
            | HostError::StoreForeign { .. }
            | HostError::StoreElsewhere { .. }
            | HostError::StateForeign { .. }
            | HostError::Policy(_)
            | HostError::Checks(_)
            | HostError::SecretInCheck { .. }
            | HostError::Tool(
                ToolError::NotARepository { .. }
                | ToolError::Bare { .. }
                | ToolError::Empty { .. }
                | ToolError::RemoteMissing { .. },
            ) => Exit::Usage,
            HostError::Secrets(error) => Exit::of_secrets(error),
            HostError::Terms(_)
            | HostError::Tool(
                ToolError::TargetDirty { .. }
                | ToolError::NotOnBranch { .. }
                | ToolError::Conflicts { .. }
                | ToolError::CommitElsewhere { .. }
                | ToolError::CommitRefused { .. }
                | ToolError::NothingToShip { .. }
                | ToolError::NotPutBack { .. },
            ) => Exit::Failed,
            HostError::Append(AppendError::HeadMoved { .. })
            | HostError::Tool(_)
            | HostError::ObjectName
            | HostError::File { .. } => Exit::Unavailable,
        }
    }

    /// Returns the exit of what went wrong with the user's secrets.
    pub(crate) fn of_secrets(error: &SecretsError) -> Exit {
        match error {
            SecretsError::Name(_) | SecretsError::Value { .. } | SecretsError::Unknown(_) => Exit::Usage,
            SecretsError::Form { .. }
            | SecretsError::KeyGone { .. }
            | SecretsError::KeyOpen { .. }
            | SecretsError::Sealed { .. }
            | SecretsError::Random
            | SecretsError::File { .. } => Exit::Unavailable,
        }
    }

    /// Returns the exit of what went wrong with a key.
    fn of_keys(error: &KeysError) -> Exit {
        match error {
            KeysError::Store(error) => Exit::of_store(error),
            KeysError::Event(_) | KeysError::Nameless => Exit::Damaged,
            KeysError::NoPerson { .. } | KeysError::Exists { .. } => Exit::Usage,
            KeysError::Open { .. }
            | KeysError::Wrong { .. }
            | KeysError::Gone { .. }
            | KeysError::Unfit(_)
            | KeysError::Unheard(_)
            | KeysError::Random
            | KeysError::File { .. } => Exit::Unavailable,
        }
    }

    /// Returns the exit of evidence that does not hold, or cannot be made.
    fn of_evidence(error: &EvidenceError) -> Exit {
        match error {
            EvidenceError::Store(error) => Exit::of_store(error),
            EvidenceError::Replay(error) => Exit::of_replay(error),
            EvidenceError::Newer { .. } => Exit::Unavailable,
            EvidenceError::Unprovable(_) => Exit::Usage,
            EvidenceError::NotAReceipt
            | EvidenceError::Broken { .. }
            | EvidenceError::OtherStore { .. }
            | EvidenceError::OtherKey { .. }
            | EvidenceError::Truncated { .. }
            | EvidenceError::Forked { .. } => Exit::Damaged,
        }
    }

    fn of_store(error: &StoreError) -> Exit {
        match error {
            StoreError::Damaged(_) => Exit::Damaged,
            StoreError::Missing(_) | StoreError::Exists(_) => Exit::Usage,
            // A backup that was named is not there.
            StoreError::Io { source, .. } if is_named_wrongly(source) => Exit::Usage,
            StoreError::Held { .. }
            | StoreError::Newer { .. }
            | StoreError::NewerEvent { .. }
            | StoreError::Full
            | StoreError::Io { .. }
            | StoreError::Broken
            | StoreError::ReadOnly => Exit::Unavailable,
        }
    }

    fn of_replay(error: &ReplayError) -> Exit {
        match error {
            ReplayError::Store(error) => Exit::of_store(error),
            ReplayError::Damaged(_) | ReplayError::NotATrace => Exit::Damaged,
            ReplayError::NoRun(_) | ReplayError::Source { .. } => Exit::Usage,
            ReplayError::Newer { .. }
            | ReplayError::NewerEvent { .. }
            | ReplayError::TooMany { .. }
            | ReplayError::Io { .. } => Exit::Unavailable,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Whether what was named is not there, or is something else than it should be.
fn is_named_wrongly(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::InvalidData
            | ErrorKind::AlreadyExists
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_code() {
        let codes = Verdict::ALL.iter().map(|verdict| (verdict.word(), Exit::of_verdict(*verdict) as u8));
        let wanted = [
            ("accepted", 0),
            ("answered", 0),
            ("rejected", 1),
            ("failed", 1),
            ("abandoned", 1),
            ("cancelled", 10),
            ("exhausted", 5),
        ];
        assert!(codes.eq(wanted));
    }

    #[test]
    fn what_waits_goes_before_what_went_wrong() {
        assert_eq!(Exit::Ok.and(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Failed.and(Exit::Exhausted), Exit::Failed);
        assert_eq!(Exit::Failed.and(Exit::Parked).and(Exit::Ok), Exit::Parked);
    }
}
