//! The in-toto statement of a receipt, derived from its events alone, and the DSSE envelope around it (RECEIPT-7,
//! RECEIPT-8).

use super::checkpoint::Checkpoint;
use super::cover::{Part, decision_of};
use super::error::{EvidenceError, broken};
use super::judging::Judged;
use super::note::{PublicKey, Sign, is_signed};
use super::receipt::About;
use data_encoding::BASE64;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Digest, hex};
use loom_core::kind::Event;
use loom_core::word::MergeOutcome;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The type of the payload.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The type of the predicate.
const PREDICATE_TYPE: &str = "urn:loom:receipt:v1";

/// What a statement is derived from.
pub(super) struct Grounds<'r> {
    pub(super) about: About,
    pub(super) origin: [u8; 16],
    pub(super) checkpoint: &'r Checkpoint,
    /// The subject's stream.
    pub(super) part: &'r Part<'r>,
    /// Sequence of the subject.
    pub(super) subject: u64,
    pub(super) judged: &'r [Judged],
}

impl Grounds<'_> {
    /// Returns the payload.
    pub(super) fn payload(&self) -> Result<String, EvidenceError> {
        let subject = self.part.get(&self.subject).ok_or_else(|| broken("RECEIPT-6", "the subject is missing"))?;
        let stream = subject.envelope.stream;
        let merge = self.merge();
        let mut subjects = Vec::new();
        if let Some((branch, commit, _)) = &merge {
            subjects.push(json!({"name": branch, "digest": {"gitCommit": commit}}));
        }
        let name = format!("{}#{}", hex(&stream.0), self.subject);
        subjects.push(json!({"name": name, "digest": {"loomEvent": hex(&subject.id.0)}}));
        let mut predicate = Map::new();
        let mut put = |name: &str, value: Value| drop(predicate.insert(name.to_string(), value));
        put("about", json!(self.about.word()));
        put("origin", json!(hex(&self.origin)));
        put("checkpoint", json!({"root": hex(&self.checkpoint.root), "size": self.checkpoint.size}));
        put("events", json!(self.part.len()));
        if let Some(Event::RunOpened(opened)) = self.part.get(&0).map(|first| &first.envelope.body) {
            let rules: Vec<String> = opened.rules.iter().map(Digest::to_string).collect();
            put("run", json!(hex(&stream.0)));
            put(
                "terms",
                json!({"base": hex(&opened.base_commit), "bundle": opened.bundle.to_string(), "rules": rules}),
            );
        }
        if self.about == About::Gate {
            put("gate", self.gate(&subject.envelope));
        }
        if let Some((branch, commit, tree)) = merge {
            put("merge", json!({"branch": branch, "commit": commit, "tree": tree}));
        }
        for covered in self.part.values() {
            if let Event::RunClosed(closed) = &covered.envelope.body {
                put("verdict", json!(closed.verdict.word()));
            }
        }
        if !self.judged.is_empty() {
            put("judged", self.judged.iter().map(told).collect());
        }
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
            "subject": subjects,
        });
        Ok(written(&statement))
    }

    fn gate(&self, subject: &Envelope) -> Value {
        let mut gate = Map::new();
        let mut put = |name: &str, value: String| drop(gate.insert(name.to_string(), json!(value)));
        match &subject.body {
            Event::GateOpened(opened) => {
                put("role", opened.role.clone());
                put("artifact", opened.artifact.to_string());
                put("tree", hex(&opened.tree));
            }
            Event::GateDecided(decided) => {
                put("role", decided.role.clone());
                put("artifact", decided.artifact.to_string());
                put("tree", hex(&decided.tree));
            }
            _ => {}
        }
        if let Some((sequence, decided)) = decision_of(self.part, self.subject) {
            put("outcome", decided.outcome.word().to_string());
            put("by", decided.by.word().to_string());
            put("decider", decided.decider.clone());
            if let Some(answer) = answer_of(self.part, sequence)
                && let (Event::GateAnswered(answered), Actor::Person { assurance, .. }) = (&answer.body, &answer.actor)
            {
                put("answer", answered.answer.word().to_string());
                put("assurance", assurance.word().to_string());
                if let Some(signer) = answered.signer {
                    put("signer", hex(&signer));
                }
            }
        }
        Value::Object(gate)
    }

    /// Returns branch, commit and tree of the last merge that was done.
    fn merge(&self) -> Option<(String, String, String)> {
        self.part.values().rev().find_map(|covered| {
            let Event::MergeFinished(finished) = &covered.envelope.body else { return None };
            let commit = finished.commit.as_ref().filter(|_| finished.outcome == MergeOutcome::Done)?;
            match &self.part.get(&finished.merge)?.envelope.body {
                Event::MergeIntended(merge) => Some((merge.branch.clone(), hex(commit), hex(&merge.tree))),
                _ => None,
            }
        })
    }
}

/// Returns the answer that a decision follows from, where a person's answer is its input.
pub(super) fn answer_of<'p>(part: &'p Part<'_>, decision: u64) -> Option<&'p Envelope> {
    let input = part.get(&part.get(&decision)?.envelope.input)?;
    matches!(input.envelope.body, Event::GateAnswered(_)).then_some(&input.envelope)
}

fn told(judged: &Judged) -> Value {
    let mut told = json!({
        "rule": judged.rule,
        "rules": judged.rules.to_string(),
        "result": judged.finding.word(),
    });
    if let (Some(sequence), Some(told)) = (judged.finding.sequence(), told.as_object_mut()) {
        told.insert("sequence".to_string(), json!(sequence));
    }
    told
}

/// Writes JSON in the one form of RECEIPT-8, whatever order a library keeps members in.
fn written(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members = sorted.into_iter().map(|(name, value)| format!("{}:{}", json!(name), written(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// Returns the bytes that a DSSE signature is over.
fn pae(payload: &str) -> Vec<u8> {
    format!("DSSEv1 {} {PAYLOAD_TYPE} {} {payload}", PAYLOAD_TYPE.len(), payload.len()).into_bytes()
}

/// Returns the envelope of a payload.
pub(super) fn seal(payload: &str, key: &PublicKey, sign: &Sign<'_>) -> String {
    envelope(payload, key, &sign(&pae(payload)))
}

fn envelope(payload: &str, key: &PublicKey, signature: &[u8; 64]) -> String {
    format!(
        r#"{{"payload":"{}","payloadType":"{PAYLOAD_TYPE}","signatures":[{{"keyid":"{}","sig":"{}"}}]}}"#,
        BASE64.encode(payload.as_bytes()),
        hex(key),
        BASE64.encode(signature)
    )
}

/// Checks an envelope's form and signature (RECEIPT-7), then that its payload is what was derived (RECEIPT-8).
pub(super) fn check_envelope(text: &str, payload: &str, key: &PublicKey) -> Result<(), EvidenceError> {
    let wrong = |what: &str| broken("RECEIPT-7", format!("the envelope is not of its form: {what}"));
    let parts = || {
        let rest = text.strip_prefix(r#"{"payload":""#)?;
        let (payload, rest) = rest.split_once('"')?;
        let signature = rest.strip_suffix(r#""}]}"#)?.rsplit_once('"')?.1;
        let payload = String::from_utf8(BASE64.decode(payload.as_bytes()).ok()?).ok()?;
        Some((payload, <[u8; 64]>::try_from(BASE64.decode(signature.as_bytes()).ok()?).ok()?))
    };
    let (found, signature) = parts().ok_or_else(|| wrong("its parts cannot be read"))?;
    if envelope(&found, key, &signature) != text {
        return Err(wrong("it is spelled otherwise, or names another key than the checkpoint's"));
    }
    if !is_signed(key, &pae(&found), &signature) {
        return Err(broken("RECEIPT-7", "the signature of the statement does not fit"));
    }
    if found != payload {
        return Err(broken("RECEIPT-8", "the statement is not what follows from the events"));
    }
    Ok(())
}
