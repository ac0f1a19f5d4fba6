//! The closed vocabularies of event fields. In bytes and in rules each value is its word.

use crate::cbor::{CborError, Decoder, Encoder, Problem};
use crate::schema::{FieldValue, Scalar, Type};
use rkyv::{Archive, Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $Name:ident { $($(#[$word_doc:meta])* $Word:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
        pub enum $Name {
            $($(#[$word_doc])* $Word,)*
        }

        impl $Name {
            /// Every word, in declaration order.
            pub const ALL: &'static [$Name] = &[$($Name::$Word,)*];

            /// Returns the word.
            pub fn word(self) -> &'static str {
                match self {
                    $($Name::$Word => $word,)*
                }
            }

            /// Returns the value of a word; `None` for a word that is not in the vocabulary.
            pub fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($Name::$Word),)*
                    _ => None,
                }
            }
        }

        impl FieldValue for $Name {
            const TYPE: Type = Type::One(Scalar::Text);
            const WORDS: Option<&'static [&'static str]> = Some(&[$($word,)*]);
            fn put(&self, encoder: &mut Encoder) {
                encoder.text(self.word());
            }
            fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
                let offset = decoder.offset();
                Self::of(decoder.text()?)
                    .ok_or(CborError { offset, problem: Problem::Expected("word of the vocabulary") })
            }
            fn fits(&self, _: usize, _: usize) -> bool {
                true
            }
        }
    )*};
}

words! {
    /// How bad a finding is.
    Severity {
        /// The work must not be accepted while it stands.
        Blocking = "blocking",
        /// Worth a person's look.
        Warn = "warn",
        /// For the record.
        Info = "info",
    }
    /// Who raised a finding.
    Origin {
        /// An agent, in its answer.
        Agent = "agent",
        /// A deterministic check.
        Check = "check",
        /// Loom's machinery: an answer that could not be used, a spawn that failed.
        Harness = "harness",
    }
    /// An answer to a gate.
    Answer {
        /// Go on with exactly what was shown.
        Accept = "accept",
        /// End the run, rejected.
        Reject = "reject",
        /// Walk back and do it again.
        Revise = "revise",
        /// End the run without a verdict on the work.
        Abandon = "abandon",
    }
    /// What was decided at a gate.
    GateOutcome {
        /// It goes on.
        Accepted = "accepted",
        /// It is done again.
        Revised = "revised",
        /// The run ends rejected.
        Rejected = "rejected",
        /// The run ends without a verdict on the work.
        Abandoned = "abandoned",
    }
    /// Who decided a gate.
    DecidedBy {
        /// A person's answer.
        Person = "person",
        /// The policy of the gate's role.
        Policy = "policy",
        /// The deadline passed and the default applied.
        Deadline = "deadline",
    }
    /// A way out of a run that is stuck.
    Recovery {
        /// End it without a verdict.
        Abandon = "abandon",
        /// End it as failed.
        ForceClose = "force-close",
        /// Enter the present stage again.
        Retry = "retry",
        /// Request the named spawns again.
        RetryFailed = "retry-failed",
        /// Give up what is under way and ask a person.
        CancelPending = "cancel-pending",
    }
    /// How a spawn ended.
    SpawnOutcome {
        /// With an answer of the agent's schema.
        Ok = "ok",
        /// With an answer that is not of the schema.
        Unparsable = "unparsable",
        /// With an error that trying again may mend.
        Failed = "failed",
        /// With an error that trying again cannot mend.
        Broken = "broken",
        /// By its time limit.
        TimedOut = "timed-out",
        /// Turned away by a rate limit; nothing was done.
        Limited = "limited",
        /// Because Loom ended it.
        Cancelled = "cancelled",
    }
    /// What was witnessed of a check.
    CheckOutcome {
        /// It exited 0.
        Pass = "pass",
        /// It exited otherwise.
        Fail = "fail",
        /// Its time limit ended it.
        TimedOut = "timed-out",
        /// It could not be started or read.
        Unusable = "unusable",
        /// No command was found or declared for it.
        Absent = "absent",
    }
    /// How a merge ended.
    MergeOutcome {
        /// The branch names the commit.
        Done = "done",
        /// It does not.
        Failed = "failed",
    }
    /// Who chose the flow.
    ChosenBy {
        /// The request pinned it.
        Pin = "pin",
        /// The classifier's answer.
        Classifier = "classifier",
        /// The bundle's default, because the classifier gave no usable answer.
        Default = "default",
    }
    /// Why a finding no longer stands.
    Resolution {
        /// Its phase began again; the next round speaks for itself.
        Superseded = "superseded",
        /// A later check of the same name passed.
        Cleared = "cleared",
    }
    /// How a run ended.
    Verdict {
        /// The final gate accepted it and its branch exists.
        Accepted = "accepted",
        /// A question was answered; nothing was changed.
        Answered = "answered",
        /// A person or policy rejected it.
        Rejected = "rejected",
        /// It could not go on.
        Failed = "failed",
        /// It was given up without a verdict.
        Abandoned = "abandoned",
        /// A person cancelled it.
        Cancelled = "cancelled",
        /// A budget was exhausted.
        Exhausted = "exhausted",
    }
}
