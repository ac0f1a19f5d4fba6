//! Every kind of event, once: its number, name, class, version and fields.
//!
//! From this table come the body types, their codec, the [`Event`] enum that fold and step match over, and the
//! schema that rules are typed against. Kinds are added at the end of their range; a number or key is never
//! reused (KIND-1). Inputs 1–31, records 32–47, decisions 48–79, the store's own stream from 80.

use crate::cbor::{CborError, Decoder, Encoder, MapReader, Problem};
use crate::id::Digest;
use crate::schema::{BYTES_MAX, Bytes, Class, Field, FieldValue, ITEMS_MAX, KindSchema, List};
use crate::word::*;
use alloc::string::String;

macro_rules! or {
    ($default:expr;) => {
        $default
    };
    ($default:expr; $given:expr) => {
        $given
    };
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $code:literal $Kind:ident = $name:literal $class:ident v $version:literal {
        $($(#[$field_doc:meta])* $key:literal $field:ident: $ty:ty $([max $max:expr])? $([items $items:expr])?,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Kind {
                $($(#[$field_doc])* pub $field: $ty,)*
            }

            impl $Kind {
                /// The kind's schema.
                pub const SCHEMA: KindSchema = KindSchema {
                    code: $code,
                    name: $name,
                    class: Class::$class,
                    version: $version,
                    fields: &[$(Field {
                        key: $key,
                        name: stringify!($field),
                        ty: <$ty as FieldValue>::TYPE,
                        optional: <$ty as FieldValue>::OPTIONAL,
                        bytes_max: or!(BYTES_MAX; $($max)?),
                        size: <$ty as FieldValue>::SIZE,
                        items_max: or!(ITEMS_MAX; $($items)?),
                        words: <$ty as FieldValue>::WORDS,
                        since: 1,
                    },)*],
                };

                fn encode(&self, encoder: &mut Encoder) {
                    encoder.map(0 $(+ usize::from(self.$field.is_present()))*);
                    $(if self.$field.is_present() {
                        encoder.uint($key);
                        self.$field.put(encoder);
                    })*
                }

                fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
                    $(let mut $field: Option<$ty> = None;)*
                    let mut map = MapReader::new(decoder)?;
                    while let Some(key) = map.key()? {
                        match key {
                            $($key => $field = Some(<$ty as FieldValue>::get(map.value())?),)*
                            unknown => return Err(map.value().error(Problem::UnknownKey(unknown))),
                        }
                    }
                    let body = $Kind {
                        $($field: $field
                            .or_else(<$ty as FieldValue>::absent)
                            .ok_or_else(|| decoder.error(Problem::MissingKey($key)))?,)*
                    };
                    match body.misfit() {
                        None => Ok(body),
                        Some(key) => Err(decoder.error(Problem::Range(key))),
                    }
                }

                /// Returns the key of the first field that is out of its bounds.
                pub fn misfit(&self) -> Option<u64> {
                    $(if !self.$field.fits(or!(BYTES_MAX; $($max)?), or!(ITEMS_MAX; $($items)?)) {
                        return Some($key);
                    })*
                    None
                }
            }

            impl From<$Kind> for Event {
                fn from(body: $Kind) -> Event {
                    Event::$Kind(body)
                }
            }
        )*

        /// The body of an event, of whatever kind.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $Kind($Kind),)*
        }

        /// Every kind, by ascending number.
        pub static KINDS: &[KindSchema] = &[$($Kind::SCHEMA,)*];

        impl Event {
            /// Returns the schema of this event's kind.
            pub fn schema(&self) -> &'static KindSchema {
                match self {
                    $(Event::$Kind(_) => const { &$Kind::SCHEMA },)*
                }
            }

            /// Returns the key of the first field that is out of its bounds.
            pub fn misfit(&self) -> Option<u64> {
                match self {
                    $(Event::$Kind(body) => body.misfit(),)*
                }
            }

            /// Writes the body as canonical CBOR.
            pub fn encode(&self, encoder: &mut Encoder) {
                match self {
                    $(Event::$Kind(body) => body.encode(encoder),)*
                }
            }

            /// Reads the body of the kind numbered `code`; `None` for a number this Loom does not know.
            pub fn decode(code: u64, decoder: &mut Decoder<'_>) -> Option<Result<Event, CborError>> {
                match code {
                    $($code => Some($Kind::decode(decoder).map(Event::$Kind)),)*
                    _ => None,
                }
            }
        }
    };
}

/// Everything that is derived: no kind of input is left out of a match that has this beside them.
macro_rules! derived {
    () => {
        Event::FindingRaised(_)
            | Event::VerdictGiven(_)
            | Event::PathsChanged(_)
            | Event::BudgetSettled(_)
            | Event::Refused(_)
            | Event::Violation(_)
            | Event::RequestDeclined(_)
            | Event::FlowChosen(_)
            | Event::StageEntered(_)
            | Event::SpawnRequested(_)
            | Event::CheckRequested(_)
            | Event::GateOpened(_)
            | Event::GateWithdrawn(_)
            | Event::GateDecided(_)
            | Event::FindingResolved(_)
            | Event::FindingWaived(_)
            | Event::WalkedBack(_)
            | Event::AgentEscalated(_)
            | Event::TimerSet(_)
            | Event::MergeIntended(_)
            | Event::RunClosed(_)
            | Event::KeyRetired(_)
    };
}
pub(crate) use derived;

/// Returns the schema of the kind with this number.
pub fn schema_of(code: u64) -> Option<&'static KindSchema> {
    let index = usize::from(*INDEX.get(usize::try_from(code).ok()?)?);
    KINDS.get(index)
}

/// Where the kind of each number stands among [`KINDS`]; out of range for numbers that are no kind.
static INDEX: [u8; 128] = index();

const fn index() -> [u8; 128] {
    let mut table = [u8::MAX; 128];
    let mut at = 0;
    while at < KINDS.len() {
        table[KINDS[at].code as usize] = at as u8;
        at += 1;
    }
    table
}

/// Returns the schema of the kind with this name.
pub fn schema_named(name: &str) -> Option<&'static KindSchema> {
    KINDS.iter().find(|kind| kind.name == name)
}

kinds! {
    // ---- inputs: requests

    /// A run begins: what it was asked, on which commit, under which bundle, rules and limits.
    1 RunOpened = "run.opened" Input v 1 {
        /// Request id, unique per stream for ever; the stream's id derives from it.
        0 request: Bytes [max 128],
        /// The task's text (salted blob).
        1 task: Digest,
        /// What the branch is called after: `[a-z0-9-]`, at most 40 bytes.
        2 slug: String [max 40],
        /// The bundle as data (blob).
        3 bundle: Digest,
        /// The bundle's name and version, e.g. `code 1`.
        4 bundle_name: String [max 80],
        /// The rule sets that judge this run (blobs of their text); never empty.
        5 rules: List<Digest> [items 32],
        /// The project's commit that the run starts from.
        6 base_commit: Bytes [max 32],
        /// The tree of that commit.
        7 base_tree: Bytes [max 32],
        /// The flow, where the request pins it.
        8 flow: Option<String> [max 40],
        /// Gate roles whose policy the request sets.
        9 gate_roles: List<String> [max 40] [items 16],
        /// The policies of those roles, in the same order.
        10 gate_policies: List<String> [max 40] [items 16],
        /// Checks that the host found a command for.
        11 checks_found: List<String> [max 40] [items 32],
        /// Checks declared not applicable.
        12 checks_waived: List<String> [max 40] [items 32],
        /// Most spawns.
        13 cap_spawns: u64,
        /// Most tokens, in and out together.
        14 cap_tokens: u64,
        /// Most money, in micro-units.
        15 cap_money_micro: u64,
        /// Most time of spawns and checks together, in milliseconds.
        16 cap_time_ms: u64,
        /// Who owns the waits of this run.
        17 owner: String [max 80],
        /// Version of the Loom that opened the run.
        18 loom: String [max 40],
        /// The commands of the checks that were found (blob), where there are any.
        19 checks: Option<Digest>,
    }
    /// Somebody answers a gate.
    2 GateAnswered = "gate.answered" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// Sequence of the gate's `gate.opened`.
        1 gate: u64,
        /// The answer.
        2 answer: Answer,
        /// What they said with it (salted blob).
        3 note: Option<Digest>,
        /// Digest of what they were shown, where the channel carries it.
        4 artifact: Option<Digest>,
        /// A person's signature over gate, answer and artifact (SIGNED-1).
        5 signature: Option<[u8; 64]>,
        /// The public key that it fits.
        6 signer: Option<[u8; 32]>,
    }
    /// A person's note for the next prompts.
    3 RunSteered = "run.steered" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// The note (salted blob).
        1 note: Digest,
    }
    /// A person asks for a way out of a run that is stuck.
    4 RecoveryRequested = "recovery.requested" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// Which way.
        1 choice: Recovery,
        /// For `retry-failed`: the spawns, by sequence of their `spawn.requested`.
        2 spawns: List<u64>,
    }
    /// A named person takes the risk of a finding.
    5 RiskAccepted = "risk.accepted" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// Sequence of the `finding.raised`.
        1 finding: u64,
        /// Why (salted blob).
        2 reason: Digest,
    }
    /// A further rule set judges the rest of the run.
    6 RulesAdded = "rules.added" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// The rule set's text (blob).
        1 rules: Digest,
    }
    /// A person ends the run.
    7 RunCancelled = "run.cancelled" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// Why (salted blob).
        1 reason: Option<Digest>,
    }
    /// A request came from somebody who may not make it.
    8 RequestRefused = "request.refused" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// Kind of the request.
        1 what: String [max 40],
        /// Why it was refused.
        2 reason: String [max 400],
    }
    /// A person holds the run: nothing new begins until it goes on.
    9 RunPaused = "run.paused" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
    }
    /// A person lets a held run go on.
    10 RunResumed = "run.resumed" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
    }

    // ---- inputs: observations

    /// An agent's execution ended.
    16 SpawnFinished = "spawn.finished" Input v 1 {
        /// Sequence of the `spawn.requested`.
        0 spawn: u64,
        /// How it ended.
        1 outcome: SpawnOutcome,
        /// The agent that was asked.
        2 agent: String [max 40],
        /// The rendered prompt (salted blob).
        3 prompt: Option<Digest>,
        /// The raw output (salted blob).
        4 output: Option<Digest>,
        /// The typed answer in canonical bytes (salted blob), where the output had one.
        5 answer: Option<Digest>,
        /// The witnessed changes in canonical bytes (blob), where there are any.
        6 delta: Option<Digest>,
        /// The workspace's tree before.
        7 tree_before: Bytes [max 32],
        /// The workspace's tree after.
        8 tree_after: Bytes [max 32],
        /// Tokens read, where the provider reports them.
        9 tokens_in: Option<u64>,
        /// Tokens written, where the provider reports them.
        10 tokens_out: Option<u64>,
        /// Cost in micro-units, where known.
        11 money_micro: Option<u64>,
        /// Time it took, in milliseconds.
        12 duration_ms: u64,
        /// The model that answered, as the provider names it.
        13 model: Option<String> [max 120],
        /// The provider's or harness' session.
        14 session: Option<String> [max 120],
        /// What went wrong, in words.
        15 detail: Option<String> [max 2000],
        /// For `limited`: when to try again, milliseconds since the epoch.
        16 wake_ms: Option<u64>,
        /// Who executed it: provider or harness, with its version where that is known.
        17 provider: Option<String> [max 120],
        /// Why that provider was chosen, in words.
        18 chosen: Option<String> [max 400],
        /// Requests to a model, where Loom stood between and counted them.
        19 requests: Option<u64>,
        /// What a harness printed while it worked (salted blob).
        20 transcript: Option<Digest>,
        /// The fence that its programs ran in; absent where none was run.
        21 fence: Option<String> [max 40],
        /// What that fence was measured to enforce, from inside.
        22 enforced: List<String> [max 40] [items 32],
    }
    /// A deterministic check ended.
    17 CheckFinished = "check.finished" Input v 1 {
        /// Sequence of the `check.requested`.
        0 request: u64,
        /// Name of the check.
        1 check: String [max 40],
        /// What was witnessed.
        2 outcome: CheckOutcome,
        /// Exit code, where the process exited.
        3 exit_code: Option<u64>,
        /// The tree it ran on.
        4 tree: Bytes [max 32],
        /// Its output (salted blob).
        5 output: Option<Digest>,
        /// Time it took, in milliseconds.
        6 duration_ms: u64,
        /// The fence that it ran in; absent where nothing was run.
        7 fence: Option<String> [max 40],
        /// What that fence was measured to enforce, from inside.
        8 enforced: List<String> [max 40] [items 32],
    }
    /// The merge of an intent ended.
    18 MergeFinished = "merge.finished" Input v 1 {
        /// Sequence of the `merge.intended`.
        0 merge: u64,
        /// How it ended.
        1 outcome: MergeOutcome,
        /// The commit that the branch names.
        2 commit: Option<Bytes> [max 32],
        /// What went wrong, in words.
        3 detail: Option<String> [max 2000],
    }
    /// A deadline or wake time passed.
    19 TimerFired = "timer.fired" Input v 1 {
        /// Sequence of the event whose time is up.
        0 subject: u64,
    }
    /// An effect was under way when its driver died; its outcome is lost.
    20 EffectOrphaned = "effect.orphaned" Input v 1 {
        /// Sequence of the event that asked for the effect.
        0 effect: u64,
    }

    // ---- records

    /// An agent, a check or the machinery found something.
    32 FindingRaised = "finding.raised" Record v 1 {
        /// Sequence of the spawn's or check's request.
        0 source: u64,
        /// The agent or check.
        1 agent: String [max 40],
        /// Who raised it: agent, check, or harness (the machinery itself).
        2 origin: Origin,
        /// How bad it is.
        3 severity: Severity,
        /// What sort of thing it is.
        4 category: String [max 60],
        /// The file, if it names one.
        5 path: Option<Bytes>,
        /// The line in that file.
        6 line: Option<u64>,
        /// One sentence.
        7 summary: String [max 2000],
        /// What it was seen in.
        8 evidence: Option<String> [max 2000],
        /// Digest of agent, category and place: recognises it after a walk-back (ID-6).
        9 fingerprint: [u8; 16],
        /// The phase it speaks of.
        10 phase: String [max 40],
        /// The round of that phase.
        11 round: u64,
    }
    /// A reviewer judged a tree.
    33 VerdictGiven = "verdict.given" Record v 1 {
        /// Sequence of the `spawn.requested`.
        0 spawn: u64,
        /// The agent.
        1 agent: String [max 40],
        /// The word it used.
        2 word: String [max 40],
        /// Whether the vocabulary counts that word as a pass; unknown words do not.
        3 passed: bool,
        /// The tree it judged.
        4 tree: Bytes [max 32],
        /// Blocking findings it raised.
        5 blocking: u64,
    }
    /// The witnessed changes of a spawn, at most 256 a record.
    34 PathsChanged = "paths.changed" Record v 1 {
        /// Sequence of the `spawn.requested`.
        0 spawn: u64,
        /// Paths as byte strings, from the root of the repository.
        1 paths: List<Bytes>,
        /// What happened to each, in the same order.
        2 how: List<String> [max 12],
    }
    /// A reservation was settled by what was used.
    35 BudgetSettled = "budget.settled" Record v 1 {
        /// Sequence of the request that reserved.
        0 effect: u64,
        /// Tokens used.
        1 tokens: u64,
        /// Money used, in micro-units.
        2 money_micro: u64,
        /// Time used, in milliseconds.
        3 time_ms: u64,
        /// False where the use is unknown and the reserved worst case stands for it.
        4 known: bool,
    }
    /// Rules refused the decisions of this commit.
    36 Refused = "refused" Record v 1 {
        /// Every rule that refused.
        0 rules: List<String> [max 120],
        /// Their messages, in the same order.
        1 messages: List<String> [max 1000],
        /// The facts they read, `name = value` each.
        2 facts: List<String> [max 1000] [items 128],
        /// The first decision that was refused.
        3 kind: String [max 40],
        /// The dropped decisions: a canonical array of their envelopes.
        4 proposal: Bytes [max 1_048_576],
    }
    /// A rule that names an input or record was broken by one.
    37 Violation = "violation" Record v 1 {
        /// The rule.
        0 rule: String [max 120],
        /// Its message.
        1 message: String [max 1000],
        /// Kind of the event that broke it.
        2 kind: String [max 40],
        /// Sequence of the event that broke it.
        3 event: u64,
    }
    /// A request came too late or does not apply; nothing follows from it.
    38 RequestDeclined = "request.declined" Record v 1 {
        /// Why, in words.
        0 reason: String [max 400],
    }

    // ---- decisions

    /// The run's flow is settled.
    48 FlowChosen = "flow.chosen" Decision v 1 {
        /// Name of the flow.
        0 flow: String [max 40],
        /// Who chose it.
        1 by: ChosenBy,
        /// Reviewers whose verdict on the final tree is required.
        2 required_reviewers: List<String> [max 40] [items 32],
        /// Checks that are required; those declared not applicable are not in it.
        3 required_checks: List<String> [max 40] [items 32],
        /// Whether the flow may change the tree.
        4 edits: bool,
    }
    /// The run is at this stage now.
    49 StageEntered = "stage.entered" Decision v 1 {
        /// Name of the stage.
        0 stage: String [max 40],
        /// Its phase.
        1 phase: String [max 40],
        /// How often the phase was begun, from 1.
        2 round: u64,
    }
    /// An agent is to be executed.
    50 SpawnRequested = "spawn.requested" Decision v 1 {
        /// The agent.
        0 agent: String [max 40],
        /// The stage it works for.
        1 stage: String [max 40],
        /// 1 for the first try of this agent in this round.
        2 attempt: u64,
        /// The prompt's recipe: template and parts by digest (blob).
        3 recipe: Digest,
        /// The tree it starts from.
        4 tree: Bytes [max 32],
        /// Whether it may change the tree.
        5 edits: bool,
        /// Tokens reserved.
        6 reserve_tokens: u64,
        /// Money reserved, in micro-units.
        7 reserve_money_micro: u64,
        /// Time reserved, in milliseconds; its deadline is that long after this event's stamp.
        8 reserve_time_ms: u64,
    }
    /// A deterministic check is to run.
    51 CheckRequested = "check.requested" Decision v 1 {
        /// Name of the check.
        0 check: String [max 40],
        /// The stage it runs for.
        1 stage: String [max 40],
        /// The tree to check.
        2 tree: Bytes [max 32],
        /// Time reserved, in milliseconds.
        3 reserve_time_ms: u64,
    }
    /// A point that a policy or a person decides.
    52 GateOpened = "gate.opened" Decision v 1 {
        /// Role of the gate; `ask` is the kernel's own.
        0 role: String [max 40],
        /// The stage it stands at.
        1 stage: String [max 40],
        /// Digest of exactly what is to be approved: artifact, base and rules (ID-5).
        2 artifact: Digest,
        /// The policy that sent it to a person.
        3 policy: String [max 40],
        /// Who is to answer.
        4 owner: String [max 80],
        /// When the default applies, milliseconds since the epoch.
        5 deadline_ms: u64,
        /// What happens then; never an acceptance.
        6 default: GateOutcome,
        /// Why a person is asked.
        7 reason: String [max 1000],
        /// Open blocking findings, by sequence.
        8 blockers: List<u64>,
        /// The tree it speaks of.
        9 tree: Bytes [max 32],
    }
    /// A gate is void before anybody answered it.
    53 GateWithdrawn = "gate.withdrawn" Decision v 1 {
        /// Sequence of the `gate.opened`.
        0 gate: u64,
        /// Why.
        1 reason: String [max 400],
    }
    /// A gate was decided.
    54 GateDecided = "gate.decided" Decision v 1 {
        /// Sequence of the `gate.opened`; absent when a policy decided without opening one.
        0 gate: Option<u64>,
        /// Role of the gate.
        1 role: String [max 40],
        /// What was decided.
        2 outcome: GateOutcome,
        /// Who decided.
        3 by: DecidedBy,
        /// Name of the person or policy.
        4 decider: String [max 120],
        /// Digest of exactly what was decided on (ID-5).
        5 artifact: Digest,
        /// The tree it speaks of.
        6 tree: Bytes [max 32],
    }
    /// A finding no longer stands.
    55 FindingResolved = "finding.resolved" Decision v 1 {
        /// Sequence of the `finding.raised`.
        0 finding: u64,
        /// Its fingerprint.
        1 fingerprint: [u8; 16],
        /// How.
        2 how: Resolution,
    }
    /// A finding stands, and a named person took its risk.
    56 FindingWaived = "finding.waived" Decision v 1 {
        /// Sequence of the `finding.raised`.
        0 finding: u64,
        /// Its fingerprint: the waiver is bound to it.
        1 fingerprint: [u8; 16],
        /// Who took the risk.
        2 person: String [max 120],
    }
    /// The run goes back to an earlier stage.
    57 WalkedBack = "walked.back" Decision v 1 {
        /// The stage it leaves.
        0 from: String [max 40],
        /// The stage it goes back to.
        1 to: String [max 40],
        /// The phase that begins again.
        2 phase: String [max 40],
        /// Why.
        3 reason: String [max 400],
        /// Whether Loom did it by itself (such walk-backs are capped).
        4 automatic: bool,
    }
    /// Another agent takes over an agent's work.
    58 AgentEscalated = "agent.escalated" Decision v 1 {
        /// The stage.
        0 stage: String [max 40],
        /// The agent that was blocked.
        1 from: String [max 40],
        /// The agent that takes over.
        2 to: String [max 40],
    }
    /// The run waits until a point in time.
    59 TimerSet = "timer.set" Decision v 1 {
        /// Sequence of the request that is to be repeated then.
        0 subject: u64,
        /// When, milliseconds since the epoch.
        1 due_ms: u64,
        /// The agent to spawn again then.
        2 agent: String [max 40],
        /// The attempt it will be: a wait costs none.
        3 attempt: u64,
    }
    /// The accepted tree is to become a branch.
    60 MergeIntended = "merge.intended" Decision v 1 {
        /// Sequence of the `gate.decided` it rests on.
        0 decision: u64,
        /// The approved artifact.
        1 artifact: Digest,
        /// The tree to merge.
        2 tree: Bytes [max 32],
        /// The commit it is based on.
        3 base: Bytes [max 32],
        /// The branch, `loom/<slug>-<run8>`.
        4 branch: String [max 80],
    }
    /// The run has ended.
    61 RunClosed = "run.closed" Decision v 1 {
        /// How.
        0 verdict: Verdict,
        /// Why, in words.
        1 reason: String [max 400],
    }

    // ---- the store's own stream

    /// The store begins.
    80 StoreCreated = "store.created" Input v 1 {
        /// 16 random bytes that name the store.
        0 origin: [u8; 16],
        /// Version of the Loom that made it.
        1 loom: String [max 40],
    }
    /// The store signs with this key from here on (KEYS-1).
    81 KeyAdded = "key.added" Input v 1 {
        /// Its Ed25519 public key.
        0 key: [u8; 32],
        /// The key before it.
        1 before: Option<[u8; 32]>,
        /// The signature of the key before it, where that was still there (KEYS-2).
        2 signature: Option<[u8; 64]>,
    }
    /// The store signs with this key no more.
    82 KeyRetired = "key.retired" Record v 1 {
        /// The public key.
        0 key: [u8; 32],
        /// Whether it signed its successor.
        1 handed_over: bool,
    }
    /// A person arms a rule set: runs that are opened from now on are judged by it too.
    96 RulesArmed = "rules.armed" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// The rule set's text (blob).
        1 rules: Digest,
        /// The set's name.
        2 name: String [max 120],
    }
    /// A person retires an armed rule set: runs that are opened from now on are not judged by it.
    97 RulesRetired = "rules.retired" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// The rule set's text (blob).
        1 rules: Digest,
        /// The set's name.
        2 name: String [max 120],
    }
    /// A person has blobs erased: their bytes go, everything else stays (ERASE-1).
    98 BlobsRedacted = "blobs.redacted" Input v 1 {
        /// Request id.
        0 request: Bytes [max 128],
        /// The blobs, ascending.
        1 erased: List<Digest>,
        /// How many bytes were stored of each, in the same order.
        2 lengths: List<u64>,
        /// Why (salted blob).
        3 why: Digest,
    }
}
