//! What goes over the socket.
//!
//! Answers are JSON, with bytes in hexadecimal; events go as they are stored, each behind its position and length
//! (eight and four bytes, big-endian), because a reader hashes exactly those bytes.

use loom_core::id::{Digest, Stamp, StreamId, hex, unhex};
use loom_core::state::Amount;
use loom_core::word::{Answer, Recovery, Verdict};
use loom_host::driver::{Manner, Named};
use loom_host::keys::Signed;
use loom_host::request::Ask;
use loom_store::{Answered, Damage, Gate, Health, Resolution, Run, RunState, StoreError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Most events of one answer.
pub(crate) const EVENTS_MAX: usize = 8192;
/// An answer ends after the event that takes it beyond so many bytes.
pub(crate) const BYTES_MAX: usize = 4 << 20;
/// Length of the header before each event.
const FRAME_HEAD: usize = 12;

/// Adds an event to an answer.
pub(crate) fn put_frame(out: &mut Vec<u8>, position: u64, event: &[u8]) {
    out.extend_from_slice(&position.to_be_bytes());
    out.extend_from_slice(&(event.len() as u32).to_be_bytes());
    out.extend_from_slice(event);
}

/// Reads the events of an answer; `None` where it was cut.
pub(crate) fn frames(mut bytes: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(FRAME_HEAD)?;
        let position = u64::from_be_bytes(head[..8].try_into().ok()?);
        let length = u32::from_be_bytes(head[8..].try_into().ok()?);
        let (event, rest) = rest.split_at_checked(length as usize)?;
        found.push((position, event));
        bytes = rest;
    }
    Some(found)
}

/// Bytes of a fixed length, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hex<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Hex<N> {
    /// Reads hexadecimal digits of just this length.
    pub(crate) fn read(text: &str) -> Option<Self> {
        unhex(text)?.try_into().ok().map(Hex)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hex::read(&text).ok_or_else(|| D::Error::custom(format!("not {N} bytes in hexadecimal")))
    }
}

/// How many events there are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SizeWire {
    pub(crate) size: u64,
}

/// Where a stream ends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HeadWire {
    pub(crate) next: u64,
    pub(crate) last: Hex<32>,
}

/// The tree, or one of its nodes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TreeWire {
    pub(crate) size: u64,
    pub(crate) root: Hex<32>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct StampWire {
    ms: u64,
    counter: u64,
}

impl From<Stamp> for StampWire {
    fn from(stamp: Stamp) -> Self {
        StampWire { ms: stamp.ms, counter: stamp.counter }
    }
}

impl From<StampWire> for Stamp {
    fn from(stamp: StampWire) -> Self {
        Stamp { ms: stamp.ms, counter: stamp.counter }
    }
}

/// What a prefix names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResolutionWire {
    None,
    One { position: u64, id: Hex<32> },
    Many(Vec<Hex<32>>),
}

impl From<Resolution> for ResolutionWire {
    fn from(found: Resolution) -> Self {
        match found {
            Resolution::None => ResolutionWire::None,
            Resolution::One { position, id } => ResolutionWire::One { position, id: Hex(id.0) },
            Resolution::Many(ids) => ResolutionWire::Many(ids.into_iter().map(|id| Hex(id.0)).collect()),
        }
    }
}

impl From<ResolutionWire> for Resolution {
    fn from(found: ResolutionWire) -> Self {
        match found {
            ResolutionWire::None => Resolution::None,
            ResolutionWire::One { position, id } => Resolution::One { position, id: Digest(id.0) },
            ResolutionWire::Many(ids) => Resolution::Many(ids.into_iter().map(|id| Digest(id.0)).collect()),
        }
    }
}

/// The input that a request became.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnsweredWire {
    position: u64,
    sequence: u64,
    id: Hex<32>,
}

impl From<Answered> for AnsweredWire {
    fn from(found: Answered) -> Self {
        AnsweredWire { position: found.position, sequence: found.sequence, id: Hex(found.id.0) }
    }
}

impl From<AnsweredWire> for Answered {
    fn from(found: AnsweredWire) -> Self {
        Answered { position: found.position, sequence: found.sequence, id: Digest(found.id.0) }
    }
}

/// One line of the list of runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunWire {
    stream: Hex<16>,
    position: u64,
    slug: String,
    /// `open`, `waiting` or the verdict.
    state: String,
    opened: StampWire,
    last: StampWire,
    events: u64,
}

impl From<Run> for RunWire {
    fn from(run: Run) -> Self {
        let state = match run.state {
            RunState::Open => "open",
            RunState::Waiting => "waiting",
            RunState::Closed(verdict) => verdict.word(),
        };
        RunWire {
            stream: Hex(run.stream.0),
            position: run.position,
            slug: run.slug,
            state: state.to_string(),
            opened: run.opened.into(),
            last: run.last.into(),
            events: run.events,
        }
    }
}

impl RunWire {
    /// Returns the run; `None` where this Loom does not know its state.
    pub(crate) fn run(self) -> Option<Run> {
        let state = match self.state.as_str() {
            "open" => RunState::Open,
            "waiting" => RunState::Waiting,
            word => RunState::Closed(Verdict::of(word)?),
        };
        Some(Run {
            stream: StreamId(self.stream.0),
            position: self.position,
            slug: self.slug,
            state,
            opened: self.opened.into(),
            last: self.last.into(),
            events: self.events,
        })
    }
}

/// A gate that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GateWire {
    stream: Hex<16>,
    sequence: u64,
    position: u64,
    opened: StampWire,
    role: String,
    owner: String,
    deadline_ms: u64,
}

impl From<Gate> for GateWire {
    fn from(gate: Gate) -> Self {
        GateWire {
            stream: Hex(gate.stream.0),
            sequence: gate.sequence,
            position: gate.position,
            opened: gate.opened.into(),
            role: gate.role,
            owner: gate.owner,
            deadline_ms: gate.deadline_ms,
        }
    }
}

impl From<GateWire> for Gate {
    fn from(gate: GateWire) -> Self {
        Gate {
            stream: StreamId(gate.stream.0),
            sequence: gate.sequence,
            position: gate.position,
            opened: gate.opened.into(),
            role: gate.role,
            owner: gate.owner,
            deadline_ms: gate.deadline_ms,
        }
    }
}

/// How the store is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HealthWire {
    events: u64,
    commits: u64,
    streams: u64,
    encoded_bytes: u64,
    file_bytes: u64,
    index_lag: u64,
    durable_commits: u64,
    format: u64,
}

impl From<Health> for HealthWire {
    fn from(health: Health) -> Self {
        let Health { events, commits, streams, encoded_bytes, file_bytes, index_lag, durable_commits, format } = health;
        HealthWire { events, commits, streams, encoded_bytes, file_bytes, index_lag, durable_commits, format }
    }
}

impl From<HealthWire> for Health {
    fn from(health: HealthWire) -> Self {
        let HealthWire { events, commits, streams, encoded_bytes, file_bytes, index_lag, durable_commits, format } =
            health;
        Health { events, commits, streams, encoded_bytes, file_bytes, index_lag, durable_commits, format }
    }
}

/// How the holder drives.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DriverWire {
    process: u32,
    fence: String,
    why: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    script: Option<Hex<32>>,
}

impl From<Manner> for DriverWire {
    fn from(Manner { process, fence, why, named }: Manner) -> Self {
        let Named { provider, model, script } = named;
        DriverWire { process, fence, why, provider, model, script: script.map(|script| Hex(script.0)) }
    }
}

impl From<DriverWire> for Manner {
    fn from(DriverWire { process, fence, why, provider, model, script }: DriverWire) -> Self {
        let named = Named { provider, model, script: script.map(|script| Digest(script.0)) };
        Manner { process, fence, why, named }
    }
}

/// What is asked of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum AskWire {
    /// Decide a gate.
    Answer {
        gate: u64,
        answer: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// What was shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        artifact: Option<Hex<32>>,
        /// A signature over it, and the public key that it fits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Hex<64>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signer: Option<Hex<32>>,
    },
    Steer {
        note: String,
    },
    Recover {
        choice: String,
        #[serde(default)]
        spawns: Vec<u64>,
    },
    AcceptRisk {
        finding: u64,
        reason: String,
    },
    AddRules {
        text: String,
    },
    Pause,
    Resume,
    Cancel {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// A request, with its id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestWire {
    /// Unique in the stream for ever, in hexadecimal.
    pub(crate) id: String,
    pub(crate) ask: AskWire,
}

/// A run to be opened.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpeningWire {
    /// Unique for ever, in hexadecimal; the run's stream derives from it.
    pub(crate) id: String,
    pub(crate) task: String,
    /// The name of a bundle that the holder has.
    pub(crate) bundle: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) flow: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policies: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) caps: Option<CapsWire>,
    #[serde(default)]
    pub(crate) rules: Vec<String>,
}

/// A key that the store signs with from now on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyWire {
    /// Its public half.
    pub(crate) key: Hex<32>,
    /// The one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Hex<32>>,
    /// The signature of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<Hex<64>>,
}

/// A request about armed rule sets: one of both.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesWire {
    /// The request id, in hexadecimal.
    pub(crate) id: String,
    /// The text of the set to arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) arm: Option<String>,
    /// The name of the set to retire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retire: Option<String>,
}

/// A request to erase blobs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedactionWire {
    /// The request id, in hexadecimal.
    pub(crate) id: String,
    /// The blobs' digests.
    pub(crate) blobs: Vec<Hex<32>>,
    /// Why they are erased.
    pub(crate) why: String,
}

/// Caps of a run.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapsWire {
    spawns: u64,
    tokens: u64,
    money_micro: u64,
    time_ms: u64,
}

impl From<Amount> for CapsWire {
    fn from(Amount { spawns, tokens, money_micro, time_ms }: Amount) -> Self {
        CapsWire { spawns, tokens, money_micro, time_ms }
    }
}

impl From<CapsWire> for Amount {
    fn from(CapsWire { spawns, tokens, money_micro, time_ms }: CapsWire) -> Self {
        Amount { spawns, tokens, money_micro, time_ms }
    }
}

/// A run that is on record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OpenedWire {
    pub(crate) stream: Hex<16>,
    pub(crate) again: bool,
}

/// An event that is told as it comes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventWire {
    pub(crate) position: u64,
    pub(crate) stream: Hex<16>,
    pub(crate) sequence: u64,
    /// Its canonical bytes, in hexadecimal.
    pub(crate) bytes: String,
}

/// What a spawn does just now.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LiveWire {
    pub(crate) spawn: u64,
    pub(crate) line: String,
    pub(crate) model: Option<String>,
    pub(crate) tokens_in: Option<u64>,
    pub(crate) tokens_out: Option<u64>,
}

/// A request that is on record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedWire {
    pub(crate) sequence: u64,
    pub(crate) again: bool,
}

impl From<&Ask> for AskWire {
    fn from(ask: &Ask) -> Self {
        match ask.clone() {
            Ask::Answer { gate, answer, note, artifact, signed } => AskWire::Answer {
                gate,
                answer: answer.word().to_string(),
                note,
                artifact: artifact.map(|artifact| Hex(artifact.0)),
                signature: signed.as_ref().map(|signed| Hex(signed.signature)),
                signer: signed.map(|signed| Hex(signed.signer)),
            },
            Ask::Steer { note } => AskWire::Steer { note },
            Ask::Recover { choice, spawns } => AskWire::Recover { choice: choice.word().to_string(), spawns },
            Ask::AcceptRisk { finding, reason } => AskWire::AcceptRisk { finding, reason },
            Ask::AddRules { text } => AskWire::AddRules { text },
            Ask::Pause => AskWire::Pause,
            Ask::Resume => AskWire::Resume,
            Ask::Cancel { reason } => AskWire::Cancel { reason },
        }
    }
}

impl TryFrom<AskWire> for Ask {
    type Error = String;

    /// Errors with a sentence where a word is none of the vocabulary.
    fn try_from(ask: AskWire) -> Result<Self, String> {
        Ok(match ask {
            AskWire::Answer { gate, answer, note, artifact, signature, signer } => Ask::Answer {
                gate,
                answer: Answer::of(&answer).ok_or_else(|| format!("`{answer}` is no answer"))?,
                note,
                artifact: artifact.map(|artifact| Digest(artifact.0)),
                signed: match (signature, signer) {
                    (None, None) => None,
                    (Some(signature), Some(signer)) => {
                        Some(Box::new(Signed { signature: signature.0, signer: signer.0 }))
                    }
                    _ => return Err("a signature comes with its key".to_string()),
                },
            },
            AskWire::Steer { note } => Ask::Steer { note },
            AskWire::Recover { choice, spawns } => Ask::Recover {
                choice: Recovery::of(&choice).ok_or_else(|| format!("`{choice}` is no way out"))?,
                spawns,
            },
            AskWire::AcceptRisk { finding, reason } => Ask::AcceptRisk { finding, reason },
            AskWire::AddRules { text } => Ask::AddRules { text },
            AskWire::Pause => Ask::Pause,
            AskWire::Resume => Ask::Resume,
            AskWire::Cancel { reason } => Ask::Cancel { reason },
        })
    }
}

/// Why there is no answer. What callers tell apart keeps its place, everything else is a sentence.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorWire {
    pub(crate) error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    damage: Option<DamageWire>,
}

#[derive(Debug, Serialize, Deserialize)]
struct DamageWire {
    position: Option<u64>,
    stream: Option<Hex<16>>,
    sequence: Option<u64>,
    what: String,
}

impl ErrorWire {
    /// Returns an error that is a sentence only.
    pub(crate) fn sentence(error: impl Into<String>) -> Self {
        ErrorWire { error: error.into(), damage: None }
    }

    /// Returns the store's error, as seen from the client's side.
    pub(crate) fn into_store(self) -> StoreError {
        match self.damage {
            Some(damage) => StoreError::Damaged(Damage {
                position: damage.position,
                stream: damage.stream.map(|stream| StreamId(stream.0)),
                sequence: damage.sequence,
                what: damage.what,
            }),
            None => StoreError::Io {
                what: "the store's holder could not answer".to_string(),
                source: Arc::new(std::io::Error::other(self.error)),
            },
        }
    }
}

impl From<&StoreError> for ErrorWire {
    fn from(error: &StoreError) -> Self {
        let damage = match error {
            StoreError::Damaged(damage) => Some(DamageWire {
                position: damage.position,
                stream: damage.stream.map(|stream| Hex(stream.0)),
                sequence: damage.sequence,
                what: damage.what.clone(),
            }),
            _ => None,
        };
        ErrorWire { error: error.to_string(), damage }
    }
}
