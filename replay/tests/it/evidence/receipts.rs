//! `specs/vectors/receipts.jsonl`: receipts that every verifier accepts, with the level that the pins beside them give,
//! and those that every verifier refuses, with a law that is broken.

use super::forge::*;
use crate::made::{ORIGIN, Until, made_answered_run, made_run, origin};
use crate::plain::hex;
use crate::vectors::generated;
use data_encoding::BASE64;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Digest, EventHasher, StreamId};
use loom_core::keys::answer;
use loom_core::kind::{Event, GateAnswered, KeyAdded};
use loom_core::multiproof::nodes_beside;
use loom_core::tree::{NodeHash, leaf, node};
use loom_core::word::{Answer, DecidedBy, GateOutcome};
use loom_replay::evidence::{
    About, Checkpoint, EvidenceError, Pins, Receipt, Subject, Verifier, prove, sign_checkpoint, verify,
};
use loom_store::{MemoryStore, Store};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::cell::Cell;

const RULES: &str = "loom rules 1\nset calm \"s\"\n\nrule asked on stage.entered\n  require event.round == 1\n  \
    message \"m\"\n  origin \"o\"\n\nrule never-cancelled on run.cancelled\n  require false\n  message \"m\"\n  origin \"o\"\n";
const FACTS: &str = "loom rules 1\nset counted \"s\"\n\nfact spawns counter\n  add spawn.requested\n";
const TYPE: &str = "application/vnd.in-toto+json";

/// Seals a payload by hand, as RECEIPT-7 says.
fn sealed(payload: &str, by: u8) -> String {
    let pae = format!("DSSEv1 {} {TYPE} {} {payload}", TYPE.len(), payload.len());
    let (payload, signature) = (BASE64.encode(payload.as_bytes()), BASE64.encode(&sign(by)(pae.as_bytes())));
    let key = hex(&public(by));
    format!(
        r#"{{"payload":"{payload}","payloadType":"{TYPE}","signatures":[{{"keyid":"{key}","sig":"{signature}"}}]}}"#
    )
}

fn payload(receipt: &Receipt) -> String {
    let envelope: Value = serde_json::from_str(&receipt.envelope).unwrap();
    String::from_utf8(BASE64.decode(envelope["payload"].as_str().unwrap().as_bytes()).unwrap()).unwrap()
}

fn signed_by(store: &dyn Store, by: u8) -> String {
    let (size, root) = store.tree_head().unwrap();
    sign_checkpoint(&ORIGIN, size, &root, public(by), &sign(by))
}

/// Returns the witness' verifier key and its line under a checkpoint, by hand.
fn cosigned(checkpoint: &str, by: u8) -> (String, String) {
    let text = checkpoint.split("\n\n").next().unwrap().to_string() + "\n";
    let name = "witness.example/w1";
    let id = Sha256::digest([name.as_bytes(), b"\n\x04", &public(by)].concat());
    let seconds = 1_795_000_000u64;
    let signature = sign(by)(format!("cosignature/v1\ntime {seconds}\n{text}").as_bytes());
    let line = BASE64.encode(&[&id[..4], &seconds.to_be_bytes(), &signature].concat());
    let key = BASE64.encode(&[&[4][..], &public(by)].concat());
    (format!("{name}+{}+{key}", hex(&id[..4])), format!("{checkpoint}\u{2014} {name} {line}\n"))
}

/// A receipt of these events with a new checkpoint and a sibling's statement: nothing of it is looked at while it is made.
fn by_hand(store: &dyn Store, sibling: &Receipt, about: About, positions: &[u64], subject: u64, by: u8) -> Receipt {
    let nodes = nodes_beside(positions, store.size(), &mut |height, index| store.tree_node(height, index)).unwrap();
    let event = |position: &u64| (*position, store.events(*position, 1).unwrap().remove(0).event.bytes);
    Receipt {
        about,
        origin: ORIGIN,
        subject,
        checkpoint: signed_by(store, by),
        events: positions.iter().map(event).collect(),
        nodes,
        rules: Vec::new(),
        envelope: sealed(&payload(sibling), by),
    }
}

fn positions(receipt: &Receipt) -> Vec<u64> {
    receipt.events.iter().map(|(position, _)| *position).collect()
}

/// A store whose answers are signed by hand 5; `alter` changes the signature afterwards.
fn signed(alter: impl Fn(&mut GateAnswered)) -> MemoryStore {
    let store = MemoryStore::create(&origin());
    add_key(&store, KeyAdded { key: public(1), before: None, signature: None });
    made_answered_run(&store, 1, Until::End, &|stream, body| {
        let message = answer(&stream, body.gate, body.answer, &body.artifact.unwrap());
        (body.signature, body.signer) = (Some(sign(5)(&message)), Some(public(5)));
        alter(body);
        Actor::Person { id: "ann".into(), assurance: Assurance::Signed, descends: None }
    });
    store
}

/// A store whose first answer asks for a revision and is signed by nobody; hand 5 signs the others.
fn revised_unsigned() -> MemoryStore {
    let store = MemoryStore::create(&origin());
    add_key(&store, KeyAdded { key: public(1), before: None, signature: None });
    let is_first = Cell::new(true);
    made_answered_run(&store, 1, Until::End, &|stream, body| {
        if is_first.replace(false) {
            body.answer = Answer::Revise;
            return Actor::Person { id: "ann".into(), assurance: Assurance::Asserted, descends: None };
        }
        let message = answer(&stream, body.gate, body.answer, &body.artifact.unwrap());
        (body.signature, body.signer) = (Some(sign(5)(&message)), Some(public(5)));
        Actor::Person { id: "ann".into(), assurance: Assurance::Signed, descends: None }
    });
    store
}

fn subtree(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(&subtree(left), &subtree(right))
        }
    }
}

/// The sibling's receipt over a history in its place, with a statement that is changed beside what names the history.
fn over(log: &[Vec<u8>], sibling: &Receipt, positions: &[u64], say: impl Fn(String) -> String) -> Receipt {
    let hasher = EventHasher::default();
    let leaves: Vec<_> = log.iter().map(|bytes| leaf(&hasher.id(bytes))).collect();
    let size = leaves.len() as u64;
    let mut node_at = |height: u8, index: u64| {
        let (start, count) = ((index << height) as usize, 1 << height);
        Ok::<_, EvidenceError>(subtree(&leaves[start..start + count]))
    };
    let nodes = nodes_beside(positions, size, &mut node_at).unwrap();
    let (root, id) = (subtree(&leaves), hasher.id(&log[sibling.subject as usize]));
    let old = sibling.events.iter().find(|(position, _)| *position == sibling.subject).unwrap();
    let old_root = Checkpoint::parse(&sibling.checkpoint).unwrap().root;
    let said = payload(sibling).replace(&hex(&old_root), &hex(&root)).replace(&hex(&hasher.id(&old.1).0), &hex(&id.0));
    Receipt {
        checkpoint: sign_checkpoint(&ORIGIN, size, &root, public(1), &sign(1)),
        events: positions.iter().map(|position| (*position, log[*position as usize].clone())).collect(),
        nodes,
        envelope: sealed(&say(said), 1),
        ..sibling.clone()
    }
}

/// What hand 5 signs as an answer, in the place of what is signed.
fn answer_anew(envelope: &mut Envelope, alter: impl Fn(&mut GateAnswered)) {
    if let Event::GateAnswered(body) = &mut envelope.body {
        alter(body);
        let message = answer(&envelope.stream, body.gate, body.answer, &body.artifact.unwrap());
        body.signature = Some(sign(5)(&message));
    }
}

/// Histories that who holds the store's key writes around a person's signatures: each is proven, witnessed, and not
/// what the person said.
fn reused() -> Vec<Case> {
    let store = signed(|_| {});
    let honest = gate(&store, 1);
    let stream = runs(&store)[0];
    let events: Vec<_> = store.read(stream, 0, usize::MAX).unwrap();
    let events: Vec<_> = events.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap()).collect();
    let gates = events.iter().filter_map(|event| match &event.body {
        Event::GateOpened(opened) => Some((event.sequence, opened.artifact)),
        _ => None,
    });
    let gates: Vec<_> = gates.collect();
    let [(earlier, earlier_artifact), .., (last, _)] = gates[..] else { panic!("two gates") };
    let answered = find(&store, stream, |event| matches!(event, Event::GateAnswered(_)));
    let merge = find(&store, stream, |event| matches!(event, Event::MergeIntended(_)));
    let opened_by = events[last as usize].input;
    let is = |event: &Envelope, sequence| event.stream == stream && event.sequence == sequence;
    let mut cases = Vec::new();
    let mut case = |name, expected, log: Vec<Vec<u8>>, positions: &[u64], say: &dyn Fn(String) -> String| {
        let receipt = over(&log, &honest, positions, say);
        let pins = json!({"key": hex(&public(1)), "persons": [hex(&public(5))], "checkpoints": [receipt.checkpoint]});
        cases.push(Case { name, receipt: receipt.write(), pins, expected });
    };
    let (all, same) = (positions(&honest), |said: String| said);
    let rejected = altered(&store, |event| {
        if is(event, answered) {
            answer_anew(event, |body| body.answer = Answer::Reject);
        }
    });
    let rejects = |said: String| said.replace("\"answer\":\"accept\"", "\"answer\":\"reject\"");
    case("a gate with a signed rejection that is decided as accepted", Ok(4), rejected, &all, &rejects);
    let of_another = altered(&store, |event| {
        if is(event, answered) {
            answer_anew(event, |body| (body.gate, body.artifact) = (earlier, Some(earlier_artifact)));
        }
    });
    case("a gate with a signed answer to another gate", Ok(4), of_another, &all, &same);
    let of_other_work = altered(&store, |event| {
        if is(event, answered) {
            answer_anew(event, |body| body.artifact = Some(Digest([7; 32])));
        }
    });
    case("a gate with a signed answer about another artifact", Ok(4), of_other_work, &all, &same);
    let opened_with_another = altered(&store, |event| match &mut event.body {
        Event::GateOpened(opened) if event.sequence == last => opened.artifact = Digest([7; 32]),
        _ => {}
    });
    let opens = |said: String| {
        let (before, rest) = said.split_once("\"artifact\":\"").unwrap();
        format!("{before}\"artifact\":\"{}{}", "07".repeat(32), &rest[64..])
    };
    case("a gate that was opened with another artifact than was signed", Ok(4), opened_with_another, &all, &opens);
    let decided_on_another = altered(&store, |event| match &mut event.body {
        Event::GateDecided(decided) => decided.artifact = Digest([7; 32]),
        Event::MergeIntended(merge) => merge.artifact = Digest([7; 32]),
        _ => {}
    });
    case("a gate that was decided on another artifact than was signed", Ok(4), decided_on_another, &all, &same);
    let merges_another = altered(&store, |event| {
        if let Event::MergeIntended(merge) = &mut event.body {
            merge.artifact = Digest([7; 32]);
        }
    });
    case("a merge of another artifact than was approved", Ok(4), merges_another, &all, &same);
    let by_policy = altered(&store, |event| {
        if let Event::GateDecided(decided) = &mut event.body {
            decided.by = DecidedBy::Policy;
        }
    });
    let says_policy = |said: String| said.replace("\"by\":\"person\"", "\"by\":\"policy\"");
    case("a gate that a policy accepted behind a signed answer", Ok(4), by_policy, &all, &says_policy);
    let unfinished: Vec<u64> = all[..all.len() - 1].to_vec();
    let for_the_merge = altered(&store, |event| match &mut event.body {
        Event::SpawnFinished(body) if event.sequence == opened_by => body.spawn = merge,
        _ => {}
    });
    let without_merge = |said: String| {
        let cut = |said: &str, from: &str, to: &str| {
            let (before, rest) = said.split_once(from).unwrap();
            before.to_string() + rest.split_once(to).unwrap().1
        };
        let said = cut(&said, "\"merge\":{", "},");
        let said = cut(&said, "\"digest\":{\"gitCommit\"", "\"},{");
        let (count, less) = (honest.events.len() - 2, honest.events.len() - 3);
        said.replace(&format!("\"events\":{count},"), &format!("\"events\":{less},"))
    };
    case("a merge whose outcome is a spawn's", Ok(3), for_the_merge, &unfinished, &without_merge);
    let descends = altered(&store, |event| {
        if let (true, Actor::Person { descends, .. }) = (is(event, answered), &mut event.actor) {
            *descends = Some(4711);
        }
    });
    case("a gate with an answer of who descends from a spawn", Err("RECEIPT-6"), descends, &all, &same);
    let by_host = altered(&store, |event| {
        if let (true, Event::GateAnswered(body)) = (is(event, answered), &mut event.body) {
            (body.signature, body.signer, event.actor) = (None, None, Actor::Host);
        }
    });
    case("a gate with an answer of the host", Err("RECEIPT-6"), by_host, &all, &same);
    let check = find(&store, stream, |event| matches!(event, Event::CheckFinished(_)));
    let merged = events.iter().find(|event| matches!(event.body, Event::MergeFinished(_))).unwrap();
    let merged_twice = altered(&store, |event| {
        if is(event, check) {
            event.body = merged.body.clone();
        }
    });
    let mut two = all.clone();
    two.push(store.read(stream, check, 1).unwrap()[0].position);
    two.sort_unstable();
    case("a merge with two outcomes", Err("RECEIPT-6"), merged_twice, &two, &same);

    let outcome = made(&store, Subject { about: About::Event, stream, sequence: check }, &[], 1);
    let by_person = altered(&store, |event| {
        if is(event, check) {
            event.actor = Actor::Person { id: "ann".into(), assurance: Assurance::Asserted, descends: None };
        }
    });
    let receipt = over(&by_person, &outcome, &positions(&outcome), same);
    let pins = json!({"key": hex(&public(1))});
    cases.push(Case {
        name: "an outcome that a person tells",
        receipt: receipt.write(),
        pins: pins.clone(),
        expected: Err("RECEIPT-6"),
    });
    let run = made(&store, whole_run(&store, stream), &[], 1);
    let descends = altered(&store, |event| {
        if let (true, Actor::Person { descends, .. }) = (is(event, answered), &mut event.actor) {
            *descends = Some(4711);
        }
    });
    let receipt = over(&descends, &run, &positions(&run), same);
    let name = "a run with an answer of who descends from a spawn";
    cases.push(Case { name, receipt: receipt.write(), pins, expected: Err("RECEIPT-6") });
    cases
}

struct Case {
    name: &'static str,
    receipt: Vec<u8>,
    pins: Value,
    expected: Result<u8, &'static str>,
}

fn accepted() -> Vec<Case> {
    let store = store();
    let [ended, begun] = runs(&store)[..] else { panic!("two runs") };
    let key = json!({"key": hex(&public(1))});
    let mut cases = Vec::new();
    let mut case = |name, receipt: &Receipt, pins: &Value, level| {
        cases.push(Case { name, receipt: receipt.write(), pins: pins.clone(), expected: Ok(level) });
    };
    let last_gate = gate(&store, 1);
    case("a gate", &last_gate, &json!({}), 2);
    case("a gate under a pinned key", &last_gate, &key, 2);
    let at = json!({"key": hex(&public(1)), "checkpoints": [last_gate.checkpoint]});
    case("a gate under a checkpoint from elsewhere", &last_gate, &at, 4);
    let (witness, text) = cosigned(&signed_by(&store, 1), 3);
    let sequence = find(&store, ended, |event| matches!(event, Event::GateOpened(_)));
    let subject = Subject { about: About::Gate, stream: ended, sequence };
    let under = prove(&store, subject, Vec::new(), Some(text), public(1), &sign(1)).unwrap();
    case("a cosigned gate", &under, &json!({"key": hex(&public(1)), "witnesses": [witness]}), 4);
    case("a cosigned gate, the witness unknown", &under, &key, 2);
    let mut named = last_gate.clone();
    named.checkpoint.push_str("\u{2014} a\u{200b}b AAAAAAA=\n");
    case("a signature line of a name with a space of no width", &named, &key, 2);
    let first = store
        .read(ended, 0, usize::MAX)
        .unwrap()
        .iter()
        .position(|stored| matches!(Envelope::decode(&stored.event.bytes).unwrap().body, Event::GateOpened(_)));
    let undecided = Subject { sequence: first.unwrap() as u64, ..subject };
    case("a gate whose answer was refused", &made(&store, undecided, &[], 1), &key, 2);
    let check = find(&store, ended, |event| matches!(event, Event::CheckFinished(_)));
    let event = Subject { about: About::Event, stream: ended, sequence: check };
    case("an outcome", &made(&store, event, &[], 1), &key, 2);
    case("an outcome, witnessed", &made(&store, event, &[], 1), &at, 4);
    let first = made(&store, Subject { sequence: 0, ..event }, &[], 1);
    case("the first event of a run", &first, &key, 2);
    case("the first event of a run, witnessed: there is no effect", &first, &at, 3);
    let own = Subject { about: About::Event, stream: StreamId::STORE, sequence: 1 };
    case("an event of the store's own", &made(&store, own, &[], 1), &key, 2);
    let run = made(&store, whole_run(&store, begun), &[], 1);
    case("a run that has begun", &run, &key, 2);
    let at = json!({"key": hex(&public(1)), "checkpoints": [run.checkpoint]});
    case("a run that has not ended, witnessed", &run, &at, 3);
    case("a run with a set of facts alone", &made(&store, whole_run(&store, begun), &[FACTS], 1), &key, 2);
    let beside = made(&store, whole_run(&store, begun), &[FACTS, RULES], 1);
    case("a run with rules beside a set of facts alone", &beside, &key, 2);
    case("a run with rules that hold", &made(&store, whole_run(&store, begun), &[RULES], 1), &key, 2);
    case("a whole run with a rule that is violated", &made(&store, whole_run(&store, ended), &[RULES], 1), &key, 2);
    let by_person = signed(|_| {});
    let approved = gate(&by_person, 1);
    let mut pins = json!({"key": hex(&public(1)), "checkpoints": [approved.checkpoint]});
    case("a gate with a signed answer", &approved, &pins, 4);
    pins["persons"] = json!([hex(&public(5))]);
    case("a gate with a signed answer of a known person", &approved, &pins, 5);
    let run = made(&by_person, whole_run(&by_person, runs(&by_person)[0]), &[], 1);
    pins["checkpoints"] = json!([run.checkpoint]);
    case("a whole run whose answers are signed", &run, &pins, 5);
    let revised = revised_unsigned();
    let run = made(&revised, whole_run(&revised, runs(&revised)[0]), &[], 1);
    pins["checkpoints"] = json!([run.checkpoint]);
    case("a whole run with a revision that is not signed", &run, &pins, 4);
    rotate(&store, 1, 2, Some(1));
    let handed_over = gate(&store, 2);
    case("a gate under a key that was handed over to, the old one pinned", &handed_over, &key, 2);
    case("a gate under a key that was handed over to", &handed_over, &json!({"key": hex(&public(2))}), 2);
    rotate(&store, 2, 4, None);
    case("a gate under a key that stands by itself", &gate(&store, 4), &json!({"key": hex(&public(4))}), 2);
    cases
}

fn refused() -> Vec<Case> {
    let store = store();
    let [ended, begun] = runs(&store)[..] else { panic!("two runs") };
    let good = gate(&store, 1);
    let run = made(&store, whole_run(&store, begun), &[], 1);
    let mut cases = Vec::new();
    let mut bytes = |name, law, receipt: Vec<u8>, pins: Value| {
        cases.push(Case { name, receipt, pins, expected: Err(law) });
    };
    let plain = good.write();
    bytes("another magic", "RECEIPT-1", [b"loom-receipt ", &plain[13..]].concat(), json!({}));
    bytes("a newer format", "RECEIPT-1", [&plain[..14], &[2], &plain[15..]].concat(), json!({}));
    bytes("a byte more", "RECEIPT-1", [&plain[..], &[0]].concat(), json!({}));
    bytes("a byte less", "RECEIPT-1", plain[..plain.len() - 1].to_vec(), json!({}));
    bytes("a format in two bytes", "RECEIPT-1", [&plain[..14], &[0x18, 1], &plain[15..]].concat(), json!({}));
    bytes("about nothing that is known", "RECEIPT-1", [&plain[..16], b"gaze", &plain[20..]].concat(), json!({}));
    let origin = json!({"origin": hex(&[0; 16])});
    bytes("another store than asked for", "RECEIPT-2", plain.clone(), origin);
    bytes("another key than pinned", "KEYS-4", plain, json!({"key": hex(&public(9))}));
    let mut case = |name, law, change: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        change(&mut receipt);
        bytes(name, law, receipt.write(), json!({}));
    };
    let (size, root) = store.tree_head().unwrap();
    let again = |size, root, by| sign_checkpoint(&ORIGIN, size, &root, public(by), &sign(by));
    case("a checkpoint of another store", "CHECKPOINT-1", &|r| {
        r.checkpoint = sign_checkpoint(&[7; 16], size, &root, public(1), &sign(1));
    });
    case("a checkpoint without a signature", "CHECKPOINT-1", &|r| {
        r.checkpoint = r.checkpoint.split_inclusive("\n\n").next().unwrap().to_string();
    });
    case("a size with a leading zero", "CHECKPOINT-1", &|r| {
        r.checkpoint = r.checkpoint.replacen(&format!("\n{size}\n"), &format!("\n0{size}\n"), 1);
    });
    case("a size of 5,000 digits", "CHECKPOINT-1", &|r| {
        r.checkpoint = r.checkpoint.replacen(&format!("\n{size}\n"), &format!("\n{}\n", "1".repeat(5000)), 1);
    });
    for (name, space) in [
        ("a signature line of a name with a no-break space", '\u{a0}'),
        ("a signature line of a name with a next line", '\u{85}'),
        ("a signature line of a name with a line separator", '\u{2028}'),
        ("a signature line of a name with an ideographic space", '\u{3000}'),
        ("a signature line of a name with a plus", '+'),
    ] {
        case(name, "CHECKPOINT-1", &|r| r.checkpoint.push_str(&format!("\u{2014} a{space}b AAAAAAA=\n")));
    }
    case("a stranger's checkpoint", "CHECKPOINT-2", &|r| r.checkpoint = again(size, root, 9));
    case("a checkpoint that was signed twice", "CHECKPOINT-2", &|r| {
        let line = r.checkpoint.lines().last().unwrap().to_string();
        r.checkpoint.push_str(&format!("{line}\n"));
    });
    case("a checkpoint of more events", "RECEIPT-8", &|r| r.checkpoint = again(size + 1, root, 1));
    case("a checkpoint of fewer events", "RECEIPT-8", &|r| r.checkpoint = again(size - 1, root, 1));
    case("a checkpoint of another root", "RECEIPT-3", &|r| r.checkpoint = again(size, [7; 32], 1));
    case("an altered size", "CHECKPOINT-2", &|r| {
        r.checkpoint = r.checkpoint.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size - 1), 1);
    });
    case("a node less", "RECEIPT-3", &|r| r.nodes.truncate(r.nodes.len() - 1));
    case("a node more", "RECEIPT-3", &|r| r.nodes.push([0; 32]));
    case("an altered node", "RECEIPT-3", &|r| r.nodes[0][0] ^= 1);
    case("nodes in another order", "RECEIPT-3", &|r| r.nodes.swap(0, 1));
    case("an event left out", "RECEIPT-3", &|r| drop(r.events.remove(3)));
    case("an event twice", "RECEIPT-3", &|r| r.events.insert(3, r.events[3].clone()));
    case("events in another order", "RECEIPT-3", &|r| r.events.swap(2, 3));
    case("an event at another position", "RECEIPT-3", &|r| r.events[3].0 += 1);
    case("an altered event", "RECEIPT-3", &|r| *r.events[3].1.last_mut().unwrap() ^= 1);
    case("an event that is none", "RECEIPT-3", &|r| r.events[3].1 = vec![0xa0]);
    case("no event", "RECEIPT-3", &|r| r.events.clear());
    case("another origin", "RECEIPT-4", &|r| r.origin[0] ^= 1);
    case("another subject that is covered", "RECEIPT-6", &|r| r.subject = positions(r)[r.events.len() - 2]);
    case("a subject that is not covered", "RECEIPT-6", &|r| r.subject += 1);
    case("a gate as an event", "RECEIPT-6", &|r| r.about = About::Event);
    case("a gate as a run", "RECEIPT-6", &|r| r.about = About::Run);
    case("rules of a gate", "RECEIPT-9", &|r| r.rules.push(RULES.to_string()));
    case("a space in the envelope", "RECEIPT-7", &|r| r.envelope = r.envelope.replacen(':', ": ", 1));
    case("another payload type", "RECEIPT-7", &|r| r.envelope = r.envelope.replace("in-toto+json", "in-toto-json"));
    case("an envelope that names another key", "RECEIPT-7", &|r| {
        r.envelope = r.envelope.replace(&hex(&public(1)), &hex(&public(9)));
    });
    case("a stranger's envelope", "RECEIPT-7", &|r| r.envelope = sealed(&payload(r), 9));
    case("a signature of something else", "RECEIPT-7", &|r| {
        let other = sealed("{}", 1);
        let (to, from) = (r.envelope.find("\"signatures\"").unwrap(), other.find("\"signatures\"").unwrap());
        r.envelope = r.envelope[..to].to_string() + &other[from..];
    });
    case("no envelope", "RECEIPT-7", &|r| r.envelope.clear());
    for (name, from, to) in [
        ("a statement of another outcome", "\"outcome\":\"accepted\"", "\"outcome\":\"rejected\""),
        ("a statement of a signed answer", "\"assurance\":\"asserted\"", "\"assurance\":\"signed\""),
        ("a statement of another decider", "\"decider\":\"ann\"", "\"decider\":\"bob\""),
        ("a statement of another commit", "0909", "0908"),
        ("a statement with a space", ",", ", "),
        ("a statement that claims more", "\"about\":\"gate\"", "\"about\":\"gate\",\"calm\":true"),
    ] {
        case(name, "RECEIPT-8", &|r| {
            let changed = payload(r).replace(from, to);
            assert_ne!(changed, payload(r), "{name}");
            r.envelope = sealed(&changed, 1);
        });
    }

    let first_gate = positions(&good);
    let mut hand = |name, law, about, positions: &[u64], subject, sibling: &Receipt| {
        let receipt = by_hand(&store, sibling, about, positions, subject, 1);
        bytes(name, law, receipt.write(), json!({}));
    };
    let without = |at: usize| [&first_gate[..at], &first_gate[at + 1..]].concat();
    hand("the store's first event is missing", "RECEIPT-4", About::Gate, &without(0), good.subject, &good);
    let of_key = good.events.iter().position(|(position, _)| {
        let body = Envelope::decode(&store.events(*position, 1).unwrap()[0].event.bytes).unwrap().body;
        matches!(body, Event::KeyAdded(_))
    });
    let of_key = of_key.unwrap();
    let own_key = first_gate[of_key];
    hand("the key is not on record", "CHECKPOINT-2", About::Gate, &without(of_key), good.subject, &good);
    hand("the run's first event is missing", "RECEIPT-5", About::Gate, &without(1), good.subject, &good);
    hand("the gate is missing", "RECEIPT-6", About::Gate, &without(3), first_gate[3], &good);
    let position_of = |sequence| store.read(ended, sequence, 1).unwrap()[0].position;
    let decided = find(
        &store,
        ended,
        |event| matches!(event, Event::GateDecided(decided) if decided.outcome == GateOutcome::Accepted),
    );
    let place = first_gate.iter().position(|position| *position == position_of(decided) - 1).unwrap();
    hand("the answer is missing", "RECEIPT-6", About::Gate, &without(place), good.subject, &good);
    let mut more = first_gate.clone();
    more.insert(2, 2);
    hand("an event beside what it is about", "RECEIPT-6", About::Gate, &more, good.subject, &good);
    let mut stranger = first_gate.clone();
    let of_other = store.read(begun, 0, 1).unwrap()[0].position;
    stranger.push(of_other);
    hand("an event of another run", "RECEIPT-5", About::Gate, &stranger, good.subject, &good);
    let whole = positions(&run);
    let own = |number: usize| store.read(begun, number as u64, 1).unwrap()[0].position;
    let gap: Vec<u64> = whole.iter().copied().filter(|position| *position != own(1)).collect();
    hand("a run with a gap", "RECEIPT-6", About::Run, &gap, run.subject, &run);
    let cut: Vec<u64> = whole.iter().copied().filter(|position| *position != run.subject).collect();
    hand("a run that is cut off inside a commit", "RECEIPT-6", About::Run, &cut, *cut.last().unwrap(), &run);
    let check = position_of(find(&store, ended, |event| matches!(event, Event::CheckFinished(_))));
    hand("a check as a gate", "RECEIPT-6", About::Gate, &[0, position_of(0), check, own_key], check, &good);
    hand("the store's own stream as a run", "RECEIPT-6", About::Run, &[0, own_key], 0, &good);

    let holds = made(&store, whole_run(&store, begun), &[RULES], 1);
    let ruled = |name,
                 law,
                 change: &dyn Fn(&mut Receipt),
                 bytes: &mut dyn FnMut(&'static str, &'static str, Vec<u8>, Value)| {
        let mut receipt = holds.clone();
        change(&mut receipt);
        bytes(name, law, receipt.write(), json!({}));
    };
    ruled("rules that do not load", "RECEIPT-9", &|r| r.rules[0] = "loom rules 9".into(), &mut bytes);
    ruled(
        "rules with a number of 5,000 digits",
        "RECEIPT-9",
        &|r| r.rules[0] = RULES.replace("== 1", &format!("== {}", "1".repeat(5000))),
        &mut bytes,
    );
    ruled("a rule set twice", "RECEIPT-9", &|r| r.rules.push(RULES.into()), &mut bytes);
    ruled("other rules than judged", "RECEIPT-8", &|r| r.rules[0] = RULES.replace("== 1", "== 2"), &mut bytes);
    ruled("rules left out", "RECEIPT-8", &|r| r.rules.clear(), &mut bytes);
    ruled(
        "a rule that holds, claimed violated",
        "RECEIPT-8",
        &|r| {
            r.envelope = sealed(&payload(r).replacen("\"holds\"", "\"violated\"", 1), 1);
        },
        &mut bytes,
    );

    for (name, store) in [
        (
            "a signed answer whose signature does not fit",
            signed(|body| body.signature = Some(sign(5)(b"something else"))),
        ),
        ("a signed answer under another key", signed(|body| body.signer = Some(public(6)))),
        (
            "a signed answer of small order",
            signed(|body| (body.signature, body.signer) = (Some([0; 64]), Some([0; 32]))),
        ),
        (
            "a signature of another answer",
            signed(|body| {
                let stream = StreamId::of_run(&ORIGIN, b"made 1");
                let message = answer(&stream, body.gate, Answer::Reject, &body.artifact.unwrap());
                body.signature = Some(sign(5)(&message));
            }),
        ),
    ] {
        bytes(name, "SIGNED-2", gate(&store, 1).write(), json!({}));
    }

    let unsigned = super::forge::store();
    rotate(&unsigned, 1, 2, None);
    let receipt = gate(&unsigned, 2);
    bytes("a key that the pinned one did not sign", "KEYS-4", receipt.write(), json!({"key": hex(&public(1))}));
    let mut retired = receipt.clone();
    retired.checkpoint = signed_by(&unsigned, 1);
    retired.envelope = sealed(&payload(&receipt), 1);
    bytes("a checkpoint of a retired key", "CHECKPOINT-3", retired.write(), json!({}));
    let forged = super::forge::store();
    rotate(&forged, 1, 2, Some(9));
    let all = [positions(&good), vec![forged.size() - 2, forged.size() - 1]].concat();
    let receipt = by_hand(&forged, &good, About::Gate, &all, good.subject, 2);
    bytes("a hand-over that a stranger signed", "KEYS-2", receipt.write(), json!({}));
    let forged = super::forge::store();
    add_key(&forged, KeyAdded { key: public(2), before: None, signature: None });
    let all = [positions(&good), vec![forged.size() - 1]].concat();
    let receipt = by_hand(&forged, &good, About::Gate, &all, good.subject, 2);
    bytes("a second first key", "KEYS-1", receipt.write(), json!({}));
    let forged = super::forge::store();
    rotate(&forged, 9, 2, Some(9));
    let all = [positions(&good), vec![forged.size() - 2, forged.size() - 1]].concat();
    let receipt = by_hand(&forged, &good, About::Gate, &all, good.subject, 2);
    bytes("a key that follows a stranger's", "KEYS-1", receipt.write(), json!({}));
    cases
}

fn pins(from: &Value) -> Pins {
    let bytes = |value: &Value| loom_core::id::unhex(value.as_str().unwrap()).unwrap();
    let list = |name: &str| from[name].as_array().cloned().unwrap_or_default();
    Pins {
        origin: from.get("origin").map(|value| bytes(value).try_into().unwrap()),
        key: from.get("key").map(|value| bytes(value).try_into().unwrap()),
        witnesses: list("witnesses").iter().map(|text| Verifier::parse(text.as_str().unwrap()).unwrap()).collect(),
        checkpoints: list("checkpoints").iter().map(|text| text.as_str().unwrap().to_string()).collect(),
        persons: list("persons").iter().map(|value| bytes(value).try_into().unwrap()).collect(),
    }
}

#[test]
fn every_receipt_holds_or_is_refused_as_it_says() {
    let (mut lines, mut wrong) = (String::new(), Vec::new());
    for Case { name, receipt, pins: vouched, expected } in accepted().into_iter().chain(reused()).chain(refused()) {
        let read = Receipt::read(&receipt).and_then(|receipt| verify(&receipt, &pins(&vouched)));
        let found = read.map(|checked| checked.level.number);
        let fits = match (&found, expected) {
            (Ok(level), Ok(wanted)) => *level == wanted,
            (Err(error), Err(law)) => error.law() == Some(law),
            _ => false,
        };
        if !fits {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
        let outcome = match expected {
            Ok(level) => format!("\"level\": {level}"),
            Err(law) => format!("\"refused\": \"{law}\""),
        };
        lines +=
            &format!("{{\"name\": \"{name}\", \"receipt\": \"{}\", \"pins\": {vouched}, {outcome}}}\n", hex(&receipt));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    generated("receipts.jsonl", &lines);
}

#[test]
fn nothing_is_proven_under_what_does_not_cover_it() {
    let store = store();
    let [ended, begun] = runs(&store)[..] else { panic!("two runs") };
    let early = signed_by(&store, 1);
    let stream = made_run(&store, 3, Until::Spawned);
    let subject = whole_run(&store, stream);
    let refused =
        |subject, text: &str| prove(&store, subject, Vec::new(), Some(text.into()), public(1), &sign(1)).unwrap_err();
    assert!(matches!(refused(subject, &early), EvidenceError::Unprovable(_)));
    assert!(matches!(
        refused(Subject { sequence: 99, ..whole_run(&store, begun) }, &early),
        EvidenceError::Unprovable(_)
    ));
    let future = sign_checkpoint(&ORIGIN, store.size() + 1, &[0; 32], public(1), &sign(1));
    assert!(matches!(refused(whole_run(&store, ended), &future), EvidenceError::Truncated { .. }));
    let forked = sign_checkpoint(&ORIGIN, store.size(), &[0; 32], public(1), &sign(1));
    assert!(matches!(refused(whole_run(&store, ended), &forked), EvidenceError::Forked { .. }));
}
