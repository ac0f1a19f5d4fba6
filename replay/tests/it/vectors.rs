//! `specs/vectors/streams.jsonl` and `specs/vectors/traces.jsonl`: whole streams and whole traces, written by hand from
//! `events.md` and `trace.md`, that every verifier accepts or refuses, with the law that is broken.

use crate::plain::{array, boolean, bytes, derived, hex, map, text, uint};
use ed25519_dalek::{Signer, SigningKey};
use loom_core::event::{Recorded, View};
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_replay::{Records, ReplayError, trace, verify_run};
use std::fmt::Write;
use std::fs;
use std::path::Path;

const ORIGIN: [u8; 16] = [9; 16];
const REQUEST: &[u8] = b"open";

/// One event before it is linked.
#[derive(Clone)]
pub(crate) struct Draft {
    sequence: u64,
    stamp: (u64, u64),
    input: u64,
    kind: u64,
    body: Vec<u8>,
    count: Option<u64>,
    /// The previous id, where it is not that of the event before.
    previous: Option<[u8; 32]>,
    stream: [u8; 16],
    /// Whether a person who signed is the actor.
    is_signed: bool,
}

pub(crate) fn stream() -> [u8; 16] {
    let length = (ORIGIN.len() as u64).to_be_bytes();
    let whole = derived("loom 2026-11 run stream v1", &[&length, &ORIGIN, REQUEST]);
    whole[..16].try_into().unwrap()
}

pub(crate) fn draft(
    sequence: u64,
    ms: u64,
    input: u64,
    kind: u64,
    body: &[(u64, Vec<u8>)],
    count: Option<u64>,
) -> Draft {
    Draft {
        sequence,
        stamp: (ms, 0),
        input,
        kind,
        body: map(body),
        count,
        previous: None,
        stream: stream(),
        is_signed: false,
    }
}

/// The blobs that the stream's opening names: task, bundle, rules.
fn blobs() -> [Vec<u8>; 3] {
    let salted = [&[1; 17][..], b"Do it."].concat();
    [salted, b"\0no bundle that core could read".to_vec(), b"\0loom rules 1".to_vec()]
}

fn digest_of(blob: &[u8]) -> Vec<u8> {
    bytes(&derived("loom 2026-11 blob digest v1", &[blob]))
}

/// The body of the event that opens the run.
pub(crate) fn opened_body() -> Vec<(u64, Vec<u8>)> {
    let [task, bundle, rules] = blobs().map(|blob| digest_of(&blob));
    vec![
        (0, bytes(REQUEST)),
        (1, task),
        (2, text("do-it")),
        (3, bundle),
        (4, text("made 1")),
        (5, array(&[rules])),
        (6, bytes(&[1; 20])),
        (7, bytes(&[2; 20])),
        (13, uint(20)),
        (14, uint(1000)),
        (15, uint(1000)),
        (16, uint(1000)),
        (17, text("ann")),
        (18, text("0.1.0")),
    ]
}

/// Two commits: a run is opened and enters a stage; a timer fires, a budget is settled, a gate withdrawn.
fn drafts() -> Vec<Draft> {
    let opened = opened_body();
    let entered = [(0, text("implement")), (1, text("build")), (2, uint(1))];
    let settled = [(0, uint(1)), (1, uint(0)), (2, uint(0)), (3, uint(0)), (4, boolean(true))];
    let withdrawn = [(0, uint(1)), (1, text("nobody waits"))];
    vec![
        draft(0, 1000, 0, 1, &opened, Some(2)),
        draft(1, 1000, 0, 49, &entered, None),
        draft(2, 2000, 2, 19, &[(0, uint(1))], Some(3)),
        draft(3, 2000, 2, 35, &settled, None),
        draft(4, 2000, 2, 53, &withdrawn, None),
    ]
}

/// A person's note with this request id, as a commit of its own.
fn steered(sequence: u64, ms: u64, request: &[u8]) -> Draft {
    draft(sequence, ms, sequence, 3, &[(0, bytes(request)), (1, digest_of(&blobs()[0]))], Some(1))
}

/// The store's own stream: it begins, and a person has blobs erased.
fn erasing(erased: &[u8], lengths: &[u64]) -> Vec<Draft> {
    let digests: Vec<_> = erased.iter().map(|byte| bytes(&[*byte; 32])).collect();
    let lengths: Vec<_> = lengths.iter().map(|length| uint(*length)).collect();
    let lists = [(1, digests), (2, lengths)].into_iter().filter(|(_, items)| !items.is_empty());
    let lists = lists.map(|(key, items)| (key, array(&items)));
    let body = [vec![(0, bytes(b"erase"))], lists.collect(), vec![(3, digest_of(&blobs()[0]))]].concat();
    let begun = [(0, bytes(&ORIGIN)), (1, text("0.1.0"))];
    let mut drafts = vec![draft(0, 1000, 0, 80, &begun, Some(1)), draft(1, 2000, 1, 98, &body, Some(1))];
    drafts.iter_mut().for_each(|draft| draft.stream = [0; 16]);
    drafts
}

/// Whose hand signs: equal numbers are equal keys.
fn hand(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn key(number: u8) -> Vec<u8> {
    bytes(hand(number).verifying_key().as_bytes())
}

/// What is wrong with a signed answer, or a hand-over.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// One bit of the signature.
    Bit,
    /// Somebody else signed.
    Hand,
    /// Something else was signed.
    Over,
    /// There is no signature, and all the same somebody signed.
    Missing,
    /// There is one, and nobody signed.
    Unsaid,
}

fn signature(by: u8, over: &[u8], wrong: Wrong) -> Vec<u8> {
    let by = if wrong == Wrong::Hand { by + 1 } else { by };
    let mut signature = hand(by).sign(over).to_bytes();
    signature[9] ^= u8::from(wrong == Wrong::Bit);
    bytes(&signature)
}

/// A run whose gate 4 a person accepts, and signs that.
fn answered(wrong: Wrong) -> Vec<Draft> {
    let said = if wrong == Wrong::Over { "reject" } else { "accept" };
    let over = array(&[bytes(&stream()), uint(4), text(said), bytes(&[5; 32])]);
    let over = [&b"loom 2026-11 signed answer v1\n"[..], &over].concat();
    let mut body = vec![(0, bytes(b"answer")), (1, uint(4)), (2, text("accept")), (4, bytes(&[5; 32]))];
    if wrong != Wrong::Missing {
        body.extend([(5, signature(1, &over, wrong)), (6, key(1))]);
    }
    let mut answered = draft(5, 3000, 5, 2, &body, Some(1));
    answered.is_signed = wrong != Wrong::Unsaid;
    [drafts(), vec![answered]].concat()
}

/// The store's own stream: it begins, a key comes, and hands over to the next.
fn handed_over(wrong: Wrong) -> Vec<Draft> {
    let to = if wrong == Wrong::Over { 9 } else { 2 };
    let [old, new] = [1, to].map(|number| hand(number).verifying_key().to_bytes());
    let over = [&b"loom 2026-11 key handover v1\n"[..], &ORIGIN, &old, &new].concat();
    let added = [(0, key(2)), (1, key(1)), (2, signature(1, &over, wrong))];
    let retired = [(0, key(1)), (1, boolean(wrong != Wrong::Unsaid))];
    let mut drafts = vec![
        draft(0, 1000, 0, 80, &[(0, bytes(&ORIGIN)), (1, text("0.1.0"))], Some(1)),
        draft(1, 2000, 1, 81, &[(0, key(1))], Some(1)),
        draft(2, 3000, 2, 81, &added, Some(2)),
        draft(3, 3000, 2, 82, &retired, None),
    ];
    drafts.iter_mut().for_each(|draft| draft.stream = [0; 16]);
    drafts
}

/// Links the events and writes their bytes.
pub(crate) fn written(drafts: &[Draft]) -> Vec<Vec<u8>> {
    let mut last = [0; 32];
    let mut events = Vec::new();
    for draft in drafts {
        let actor = match draft.kind {
            _ if draft.is_signed => array(&[uint(2), text("uid:1000"), uint(2)]),
            1..=3 | 98 => array(&[uint(2), text("uid:1000"), uint(0)]),
            4..32 => array(&[uint(1)]),
            _ if draft.count.is_some() => array(&[uint(1)]),
            _ => array(&[uint(0)]),
        };
        let mut entries = vec![
            (0, uint(1)),
            (1, bytes(&draft.stream)),
            (2, uint(draft.sequence)),
            (3, bytes(&draft.previous.unwrap_or(last))),
            (4, array(&[uint(draft.stamp.0), uint(draft.stamp.1)])),
            (5, actor),
            (6, uint(draft.input)),
            (7, uint(draft.kind)),
            (8, uint(1)),
            (9, draft.body.clone()),
        ];
        entries.extend(draft.count.map(|count| (10, uint(count))));
        let event = map(&entries);
        last = derived("loom 2026-11 event id v1", &[&event]);
        events.push(event);
    }
    events
}

/// A stream in memory.
struct Held(Vec<Vec<u8>>);

impl Records for Held {
    fn stream(&self) -> StreamId {
        View::read(&self.0[0]).map_or(StreamId(stream()), |first| first.stream)
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        let hasher = EventHasher::default();
        let events = self.0.iter().skip(sequence as usize).take(max);
        Ok(events.map(|bytes| Recorded { id: hasher.id(bytes), bytes: bytes.clone() }).collect())
    }
    fn blob(&self, _: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(None)
    }
}

/// Compares a generated file with what is in the tree, or writes it.
#[track_caller]
pub(crate) fn generated(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/vectors").join(name);
    if std::env::var_os("LOOM_UPDATE").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "specs/vectors/{name} is not what the test says; write it anew with LOOM_UPDATE=1");
}

type Case = (&'static str, &'static str, Vec<Vec<u8>>);

const UNSIGNED: [(&str, Wrong); 5] = [
    ("an answer whose signature does not fit", Wrong::Bit),
    ("an answer that another key signed", Wrong::Hand),
    ("an answer under the signature of another", Wrong::Over),
    ("an answer that is signed and has no signature", Wrong::Missing),
    ("an answer with a signature that nobody made", Wrong::Unsaid),
];

fn refused_streams() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut case = |name, law, change: &dyn Fn(&mut Vec<Draft>)| {
        let mut drafts = drafts();
        change(&mut drafts);
        cases.push((name, law, written(&drafts)));
    };
    case("a sequence is left out", "CHAIN-1", &|drafts| drafts[2..].iter_mut().for_each(|draft| shift(draft, 1)));
    case("a sequence is left out inside a commit", "CHAIN-1", &|drafts| drafts[4].sequence = 5);
    case("the first event is not number 0", "CHAIN-1", &|drafts| drop(drafts.drain(..2)));
    case("the first event has one before it", "CHAIN-1", &|drafts| drafts[0].previous = Some([7; 32]));
    case("a commit follows another event", "CHAIN-1", &|drafts| drafts[2].previous = Some([0; 32]));
    case("an event follows another one", "CHAIN-1", &|drafts| drafts[4].previous = Some([7; 32]));
    case("an event is there twice", "CHAIN-1", &|drafts| drafts.insert(4, drafts[3].clone()));
    case("an event of another stream", "CHAIN-1", &|drafts| drafts[3].stream = [7; 16]);
    case("equal stamps", "STAMP-1", &|drafts| drafts[2..].iter_mut().for_each(|draft| draft.stamp = (1000, 0)));
    case("a stamp that goes back", "STAMP-1", &|drafts| {
        drafts[2..].iter_mut().for_each(|draft| draft.stamp = (999, 9))
    });
    case("two stamps in a commit", "STAMP-1", &|drafts| drafts[4].stamp = (2000, 1));
    case("a record after a decision", "COMMIT-1", &|drafts| {
        let (kind, body) = (drafts[3].kind, drafts[3].body.clone());
        (drafts[3].kind, drafts[3].body) = (drafts[4].kind, drafts[4].body.clone());
        (drafts[4].kind, drafts[4].body) = (kind, body);
    });
    case("a commit with more events than stated", "COMMIT-1", &|drafts| drafts[2].count = Some(2));
    case("a commit with fewer events than stated", "COMMIT-1", &|drafts| drafts[0].count = Some(3));
    case("a stream that ends inside a commit", "COMMIT-1", &|drafts| drafts.truncate(4));
    case("a stream that begins inside a commit", "COMMIT-1", &|drafts| drop(drafts.remove(0)));
    case("a request id twice", "LEDGER-1", &|drafts| drafts.push(steered(5, 3000, REQUEST)));
    for (name, erased, lengths) in [
        ("a redaction without a blob", &[][..], &[][..]),
        ("a redaction without the lengths", &[1, 2], &[]),
        ("a redaction with a length too few", &[1, 2], &[9]),
        ("a redaction whose blobs do not ascend", &[2, 1], &[9, 9]),
        ("a redaction with a blob twice", &[2, 2], &[9, 9]),
    ] {
        cases.push((name, "ERASE-1", written(&erasing(erased, lengths))));
    }
    let mut elsewhere = erasing(&[1], &[9]).remove(1);
    (elsewhere.stream, elsewhere.sequence, elsewhere.input) = (stream(), 5, 5);
    elsewhere.stamp = (3000, 0);
    cases.push(("a redaction in a run's stream", "KIND-1", written(&[drafts(), vec![elsewhere]].concat())));
    for (name, wrong) in UNSIGNED {
        cases.push((name, "SIGNED-2", written(&answered(wrong))));
    }
    for (name, law, wrong) in [
        ("a hand-over whose signature does not fit", "KEYS-2", Wrong::Bit),
        ("a hand-over that another key signed", "KEYS-2", Wrong::Hand),
        ("a hand-over of another key", "KEYS-2", Wrong::Over),
        ("a hand-over that is said to be none", "KEYS-1", Wrong::Unsaid),
    ] {
        cases.push((name, law, written(&handed_over(wrong))));
    }
    let mut alone = handed_over(Wrong::Nothing);
    alone.truncate(3);
    alone[2].count = Some(1);
    cases.push(("a key that is followed by another and not retired", "KEYS-1", written(&alone)));
    let mut altered = written(&drafts());
    let length = altered[3].len();
    altered[3][length - 1] ^= 1;
    cases.push(("an altered event", "CHAIN-1", altered));
    cases
}

/// Moves an event and the input that it names.
fn shift(draft: &mut Draft, by: u64) {
    draft.sequence += by;
    draft.input += by;
}

#[test]
fn every_stream_is_whole_or_broken_as_it_says() {
    let mut lines = String::new();
    let mut line = |name: &str, events: &[Vec<u8>], refused: &str| {
        let events = events.iter().map(|event| format!("\"{}\"", hex(event))).collect::<Vec<_>>().join(", ");
        writeln!(lines, r#"{{"name": "{name}", "events": [{events}]{refused}}}"#).unwrap();
    };
    let more = |draft: Draft| [drafts(), vec![draft]].concat();
    let mut counted = steered(5, 2000, b"note");
    counted.stamp.1 = 1;
    for (name, good) in [
        ("one commit", drafts()[..2].to_vec()),
        ("two commits of several events", drafts()),
        ("a request after them", more(steered(5, 3000, b"note"))),
        ("the same millisecond, counted", more(counted)),
        ("a signed answer", answered(Wrong::Nothing)),
        ("a key that hands over to the next", handed_over(Wrong::Nothing)),
        ("a redaction of one blob", erasing(&[1], &[9])),
        ("a redaction of three blobs", erasing(&[1, 2, 255], &[9, 0, u64::MAX])),
    ] {
        let events = written(&good);
        let report = verify_run(&Held(events.clone()), false).unwrap();
        // Nothing holds blobs here, and nobody asked for them.
        let bad = report.first_bad.filter(|bad| !bad.what.ends_with("is missing"));
        assert_eq!(bad, None, "{name}");
        line(name, &events, "");
    }
    for (name, law, events) in refused_streams() {
        let bad = verify_run(&Held(events.clone()), false).unwrap().first_bad;
        let bad = bad.unwrap_or_else(|| panic!("{name} was accepted"));
        assert!(bad.what.contains(law), "{name}: {bad}");
        line(name, &events, &format!(r#", "refused": "{law}""#));
    }
    generated("streams.jsonl", &lines);
}

fn item(kind: u64, fields: &[Vec<u8>]) -> Vec<u8> {
    array(&[&[uint(kind)][..], fields].concat())
}

pub(crate) fn header(format: u64, stream: [u8; 16]) -> Vec<u8> {
    item(0, &[uint(format), bytes(&ORIGIN), bytes(&stream), boolean(false)])
}

pub(crate) fn event_items(events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    events.iter().map(|event| item(2, &[bytes(event)])).collect()
}

fn blob_items() -> Vec<Vec<u8>> {
    blobs().iter().map(|blob| item(1, &[bytes(blob)])).collect()
}

/// Ends a trace as its writer would: counts, last id, digest of what stands before.
pub(crate) fn ended(items: &[Vec<u8>], events: &[Vec<u8>], blobs: u64) -> Vec<u8> {
    let before = [&b"loom-trace\n"[..], &items.concat()].concat();
    let last = events.last().map_or([0; 32], |event| derived("loom 2026-11 event id v1", &[event]));
    let digest = derived("loom 2026-11 trace v1", &[&before]);
    let end = item(3, &[uint(events.len() as u64), uint(blobs), bytes(&last), bytes(&digest)]);
    [before, end].concat()
}

fn whole() -> Vec<u8> {
    let events = written(&drafts());
    let items = [vec![header(1, stream())], blob_items(), event_items(&events)].concat();
    ended(&items, &events, 3)
}

fn refused_traces() -> Vec<Case> {
    let events = written(&drafts());
    let plain = whole();
    let with = |header: Vec<u8>, middle: Vec<Vec<u8>>, events: &[Vec<u8>], blobs: u64| {
        ended(&[vec![header], middle, event_items(events)].concat(), events, blobs)
    };
    let flipped = |at: usize| {
        let mut bytes = plain.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut renamed = drafts();
    renamed.iter_mut().for_each(|draft| draft.stream = [7; 16]);
    let renamed = written(&renamed);
    let mut stranger = drafts();
    stranger[2..].iter_mut().for_each(|draft| draft.stream = [7; 16]);
    let stranger = written(&stranger);
    let mut altered = events.clone();
    let length = altered[3].len();
    altered[3][length - 1] ^= 1;
    let foreign = [blob_items(), vec![item(1, &[bytes(b"\0nobody names this")])]].concat();
    let twice = [blob_items(), blob_items()[..1].to_vec()].concat();
    let odd = [blob_items(), vec![item(4, &[uint(0)])]].concat();
    let endless = vec![[&[0x82, 1, 0x5a][..], &(257u32 << 20).to_be_bytes()].concat()];
    let head = || header(1, stream());
    let one = |bytes: Vec<u8>| vec![bytes];
    let with_blob = |from: usize, to: &[u8]| {
        let mut items = blob_items();
        items[from] = item(1, &[bytes(to)]);
        items
    };
    let mut late = event_items(&events);
    late.insert(1, blob_items().remove(2));
    let late = ended(&[vec![head()], blob_items()[..2].to_vec(), late].concat(), &events, 3);
    let mut newer = events.clone();
    let version = newer[0].windows(5).position(|part| part == [7, 1, 8, 1, 9]).unwrap() + 3;
    newer[0][version] = 2;
    let forged = written(&answered(Wrong::Bit));
    vec![
        ("another magic", "TRACE-8", one(flipped(0))),
        ("a newer format", "TRACE-1", one(with(header(2, stream()), blob_items(), &events, 3))),
        ("cut off inside an event", "TRACE-2", one(plain[..plain.len() - 100].to_vec())),
        (
            "cut off before the end item",
            "TRACE-2",
            one([&b"loom-trace\n"[..], &head(), &blob_items().concat()].concat()),
        ),
        ("a byte after the end", "TRACE-2", one([&plain[..], &[0]].concat())),
        ("an altered byte of the end's digest", "TRACE-3", one(flipped(plain.len() - 1))),
        ("a slim trace that holds the task", "TRACE-6", one(flipped(48))),
        ("another number of blobs", "TRACE-3", one(with(head(), blob_items(), &events, 4))),
        ("a blob that nobody names", "TRACE-4", one(with(head(), foreign, &events, 4))),
        ("a blob after the event that names it", "TRACE-4", one(late)),
        ("a newer event", "TRACE-1", one(with(head(), blob_items(), &newer, 3))),
        ("a blob twice", "TRACE-4", one(with(head(), twice, &events, 4))),
        ("an altered blob", "TRACE-4", one(with(head(), with_blob(1, b"\0another bundle"), &events, 3))),
        ("a blob that is too long", "TRACE-5", one(with(head(), endless, &events, 1))),
        ("an item of no kind", "TRACE-8", one(with(head(), odd, &events, 3))),
        ("an altered event, everything after it as it was", "CHAIN-1", one(with(head(), blob_items(), &altered, 3))),
        ("a stream that its request does not name", "ID-4", one(with(header(1, [7; 16]), blob_items(), &renamed, 3))),
        ("an event of another stream", "TRACE-8", one(with(head(), blob_items(), &stranger, 3))),
        ("a run that ends inside a commit", "COMMIT-1", one(with(head(), blob_items(), &events[..4], 3))),
        ("an answer whose signature does not fit", "SIGNED-2", one(with(head(), blob_items(), &forged, 3))),
        ("no event at all", "TRACE-8", one(with(head(), Vec::new(), &[], 0))),
    ]
}

#[test]
fn what_looks_newer_in_a_file_that_was_altered_is_damage() {
    let mut bytes = whole();
    let version = bytes.windows(5).position(|part| part == [7, 1, 8, 1, 9]).unwrap() + 3;
    bytes[version] = 3;
    assert!(matches!(trace::read(&mut bytes.as_slice()), Err(ReplayError::Damaged(_))));
}

#[test]
fn every_trace_is_whole_or_broken_as_it_says() {
    let mut lines = String::new();
    let mut line = |name: &str, trace: &[u8], refused: &str| {
        writeln!(lines, r#"{{"name": "{name}", "trace": "{}"{refused}}}"#, hex(trace)).unwrap();
    };
    let good = whole();
    let read = trace::read(&mut good.as_slice()).unwrap();
    assert_eq!((read.events.len(), read.blobs.len(), read.absent.len()), (5, 3, 0));
    line("two commits and the blobs they name", &good, "");
    let events = written(&answered(Wrong::Nothing));
    let signed = ended(&[vec![header(1, stream())], blob_items(), event_items(&events)].concat(), &events, 3);
    assert_eq!(trace::read(&mut signed.as_slice()).unwrap().events.len(), 6);
    line("a signed answer", &signed, "");
    for (name, law, parts) in refused_traces() {
        let bytes = parts.concat();
        let error = match trace::read(&mut bytes.as_slice()) {
            Err(error) => error,
            Ok(_) => panic!("{name} was accepted"),
        };
        let told = match (&error, law) {
            (ReplayError::Newer { .. } | ReplayError::NewerEvent { .. }, "TRACE-1") => true,
            (error, law) => error.to_string().contains(law),
        };
        assert!(told, "{name} breaks {law}: {error}");
        line(name, &bytes, &format!(r#", "refused": "{law}""#));
    }
    generated("traces.jsonl", &lines);
}
