//! Keys, checkpoints and receipts from outside: what is proven, and what is told when it does not hold.

use crate::driven::Driven;
use crate::explaining::is_of_its_schema;
use crate::made::{Until, made_answered_run, made_run, origin};
use crate::rig::{Place, Ran};
use loom_core::commit::Head;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Stamp, StreamId};
use loom_core::keys::add;
use loom_core::kind::KeyAdded;
use loom_store::{Append, RedbStore, Store};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const RULES: &str = r#"loom rules 1
set after "Asked of runs that have ended."

fact asked counter
  add gate.answered

rule never-cancelled on run.cancelled
  require false
  message "nobody gives a run up"
  origin "test"

rule asked-once on merge.intended
  require facts.asked == 1
  message "a person is asked once"
  origin "test"
"#;

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err))
}

#[track_caller]
fn ok(place: &Place, arguments: &str) -> Ran {
    let ran = place.loom(arguments);
    assert_eq!(ran.code, 0, "{arguments}: {}{}", ran.out, ran.err);
    ran
}

/// Fails with 6 and this in what is said.
#[track_caller]
fn refused(place: &Place, arguments: &str, told: &str) {
    let ran = place.loom(arguments);
    assert_eq!(ran.code, 6, "{arguments}: {}{}", ran.out, ran.err);
    assert!(ran.err.contains(told), "{arguments}: {}", ran.err);
}

fn key(place: &Place) -> String {
    let listed = json(&ok(place, "keys list --json"));
    listed["keys"].as_array().unwrap().last().unwrap()["key"].as_str().unwrap().to_string()
}

fn key_file(place: &Place) -> PathBuf {
    PathBuf::from(json(&ok(place, "keys list --json"))["file"].as_str().unwrap())
}

fn flipped(from: &Path, to: &Path, at: usize) {
    let mut bytes = fs::read(from).unwrap();
    bytes[at] ^= 1;
    fs::write(to, bytes).unwrap();
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Adds a run to the store, as its driver would.
fn grows(place: &Place, number: u64) {
    let store = RedbStore::open(&place.store_folder()).unwrap();
    made_run(&store, number, Until::End);
    store.catch_up().unwrap();
}

#[test]
fn receipts_of_every_kind_are_checked_without_the_store() {
    let place = Place::with(&[Until::End]);
    let gate = place.first("gate.opened");
    let event = place.first("check.finished");
    ok(&place, "witness seen.checkpoints");
    for (what, name, about) in [("run:last", "run", "run"), (&gate, "gate", "gate"), (&event, "event", "event")] {
        ok(&place, &format!("prove {what} -o {name}.receipt --checkpoint seen.checkpoints"));
        let size = fs::metadata(place.path().join(format!("{name}.receipt"))).unwrap().len();
        assert!(name == "run" || size < 16 * 1024, "{name}: {size}");
        let elsewhere = Place::empty();
        for file in [format!("{name}.receipt"), "seen.checkpoints".to_string()] {
            fs::copy(place.path().join(&file), elsewhere.path().join(&file)).unwrap();
        }
        let verify = format!("verify {name}.receipt");
        let ran = ok(&elsewhere, &verify);
        assert!(ran.out.contains("signed by a key that nobody vouched for"), "{}", ran.out);
        assert!(ran.out.contains("level 2 of 5"), "{}", ran.out);
        let key = key(&place);
        let ran = ok(&elsewhere, &format!("{verify} --key {key} --checkpoint seen.checkpoints --json"));
        let found = json(&ran);
        assert_eq!(found["receipt"]["about"], about);
        assert_eq!(found["receipt"]["pinned"], true);
        let statement = &found["receipt"]["statement"];
        assert_eq!(statement["predicateType"], "urn:loom:receipt:v1");
        // What was checked ran without a fence's name, by hand: no approval is signed.
        assert_eq!(found["level"]["number"], 4, "{}", found["level"]);
        let missing = found["level"]["missing"].as_str().unwrap().to_string();
        assert!(missing.contains("approval"), "{missing}");
        if name == "run" {
            assert_eq!(statement["predicate"]["verdict"], "accepted");
            assert_eq!(statement["predicate"]["merge"]["commit"], "09".repeat(20));
            assert_eq!(statement["subject"][0]["digest"]["gitCommit"], "09".repeat(20));
        }
    }
}

#[test]
fn a_gate_is_proven_with_its_answer_its_decision_and_its_merge() {
    let place = Place::with(&[Until::End]);
    let log = ok(&place, "log --jsonl --kind gate.opened").out;
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let gate = last["id"].as_str().unwrap();
    let proven = json(&ok(&place, &format!("prove {gate} -o gate.receipt --json")));
    let gate = &proven["statement"]["predicate"]["gate"];
    assert_eq!((&gate["outcome"], &gate["by"]), (&"accepted".into(), &"person".into()));
    assert_eq!((&gate["answer"], &gate["assurance"]), (&"accept".into(), &"asserted".into()));
    assert_eq!(proven["statement"]["predicate"]["merge"]["commit"], "09".repeat(20));
    // Its first gate was accepted over a blocker, and that was refused: it was never decided.
    let first = place.first("gate.opened");
    let proven = json(&ok(&place, &format!("prove {first} -o first.receipt --json")));
    assert!(proven["statement"]["predicate"]["gate"]["outcome"].is_null());
    assert!(proven["statement"]["predicate"]["merge"].is_null());
}

#[test]
fn rules_are_judged_again_by_whoever_reads() {
    let place = Place::with(&[Until::End]);
    fs::write(place.path().join("after.rules"), RULES).unwrap();
    let ran = ok(&place, "prove run:last -o run.receipt --rules after.rules");
    assert!(ran.out.contains("after/never-cancelled holds"), "{}", ran.out);
    assert!(ran.out.contains("after/asked-once violated at #"), "{}", ran.out);
    let judged = json(&ok(&place, "verify run.receipt --json"))["receipt"]["judged"].clone();
    assert_eq!((&judged[0]["rule"], &judged[0]["result"]), (&"after/never-cancelled".into(), &"holds".into()));
    assert_eq!(judged[1]["result"], "violated");
    // Another text of the same length: what is claimed of it does not follow.
    let bytes = fs::read(place.path().join("run.receipt")).unwrap();
    let at = bytes.windows(18).position(|found| found == b"facts.asked == 1\n ").unwrap() + 15;
    let mut forged = bytes;
    forged[at] = b'2';
    fs::write(place.path().join("forged.receipt"), forged).unwrap();
    refused(&place, "verify forged.receipt", "RECEIPT-8");
}

#[test]
fn another_store_another_key_and_another_byte_are_told_apart() {
    let place = Place::with(&[Until::End]);
    ok(&place, "prove run:last -o run.receipt");
    let other = Place::with(&[Until::End]);
    ok(&other, "prove run:last -o run.receipt");
    refused(&place, &format!("verify run.receipt --key {}", key(&other)), "KEYS-4");
    refused(&place, &format!("verify run.receipt --origin {}", "0".repeat(32)), "RECEIPT-2");
    let origin = json(&ok(&place, "keys list --json"))["origin"].as_str().unwrap().to_string();
    ok(&place, &format!("verify run.receipt --origin {origin} --key {}", key(&place)));
    assert_eq!(place.loom("verify run.receipt --key nonsense").code, 2);
    let whole = place.path().join("run.receipt");
    let length = fs::metadata(&whole).unwrap().len() as usize;
    for at in (0..length).step_by(length / 40) {
        flipped(&whole, &place.path().join("flipped"), at);
        let ran = place.loom("verify flipped");
        assert_eq!(ran.code, if at == 22 { 9 } else { 6 }, "byte {at}: {}{}", ran.out, ran.err);
    }
    fs::write(place.path().join("cut"), &fs::read(&whole).unwrap()[..length - 1]).unwrap();
    refused(&place, "verify cut", "RECEIPT-1");
}

#[test]
fn a_rotation_is_on_record_and_vouched_for_by_the_old_key() {
    let place = Place::with(&[Until::End]);
    ok(&place, "witness seen/");
    let old = key(&place);
    ok(&place, "prove run:last -o old.receipt");
    ok(&place, "keys rotate");
    let new = key(&place);
    assert_ne!(old, new);
    ok(&place, "prove run:last -o new.receipt");
    ok(&place, &format!("verify new.receipt --key {old}"));
    ok(&place, &format!("verify new.receipt --key {new}"));
    ok(&place, &format!("verify old.receipt --key {old}"));
    refused(&place, &format!("verify old.receipt --key {new}"), "KEYS-4");
    // The old checkpoint is still one of the store's, and proves nothing new.
    ok(&place, "witness seen/");
    ok(&place, "verify --checkpoint seen/");
    assert_eq!(fs::read_dir(place.path().join("seen")).unwrap().count(), 2);
    // Without its private half, the next key stands by itself: the pin does not lead there.
    fs::remove_file(key_file(&place)).unwrap();
    let ran = place.loom("prove run:last -o lost.receipt");
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(ran.err.contains("loom keys rotate"), "{}", ran.err);
    ok(&place, "keys rotate");
    ok(&place, "prove run:last -o alone.receipt");
    refused(&place, &format!("verify alone.receipt --key {new}"), "KEYS-4");
    ok(&place, &format!("verify alone.receipt --key {}", key(&place)));
    let listed = ok(&place, "keys list").out;
    assert!(listed.contains("the one before it did not sign it"), "{listed}");
    ok(&place, "verify");
    ok(&place, "verify store");
}

#[test]
fn a_key_that_others_may_read_or_that_is_another_signs_nothing() {
    let place = Place::with(&[Until::End]);
    ok(&place, "witness seen/");
    let file = key_file(&place);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o077, 0);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let ran = place.loom("prove run:last -o run.receipt");
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(ran.err.contains("chmod 600"), "{}", ran.err);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let own = fs::read(&file).unwrap();
    fs::write(&file, [7; 32]).unwrap();
    let ran = place.loom("prove run:last -o run.receipt");
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(ran.err.contains("is not the one on record"), "{}", ran.err);
    fs::write(&file, [7; 31]).unwrap();
    assert_eq!(place.loom("witness seen/").code, 9);
    fs::write(&file, own).unwrap();
    ok(&place, "prove run:last -o run.receipt");
    assert!(!place.path().join(".loom").join("keys").exists());
}

#[test]
fn a_store_is_told_truncated_forked_or_whole_by_what_was_witnessed() {
    let place = Place::with(&[Until::End]);
    ok(&place, "witness seen.checkpoints");
    let early = place.path().join("early");
    copied(&place.store_folder(), &early);
    grows(&place, 2);
    ok(&place, "witness seen.checkpoints");
    let ran = ok(&place, "verify --checkpoint seen.checkpoints");
    assert!(ran.out.contains("consistent with 2 checkpoints") && ran.out.contains("level 3"), "{}", ran.out);
    ok(&place, "prove run:last -o future.receipt");
    let ran = ok(&place, "witness seen.checkpoints");
    assert!(ran.out.contains("nothing new since"), "{}", ran.out);

    // An older copy is put back.
    fs::remove_dir_all(place.store_folder()).unwrap();
    copied(&early, &place.store_folder());
    for command in ["verify --checkpoint seen.checkpoints", "witness seen.checkpoints"] {
        refused(&place, command, "the store is truncated");
    }
    ok(&place, "verify");
    // It goes on from there, beyond what was witnessed.
    grows(&place, 3);
    grows(&place, 4);
    for command in ["verify --checkpoint seen.checkpoints", "witness seen.checkpoints"] {
        refused(&place, command, "forked or altered");
    }
    ok(&place, "verify");
    let ran = place.loom("prove run:last -o forked.receipt --checkpoint seen.checkpoints");
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.contains("forked or altered"), "{}", ran.err);
}

/// Says how `loom-replay verify` tells the stores and traces of a place: its exit code, and standing, level and checkpoints
/// of each.
fn told(place: &Place, arguments: &str) -> (i32, Vec<(String, u64, Option<u64>)>) {
    let ran = place.replay(&format!("verify {arguments} --json"));
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
    is_of_its_schema(place, &document);
    let source = |source: &Value| {
        let standing = source["standing"].as_str().unwrap().to_string();
        (standing, source["level"]["number"].as_u64().unwrap(), source["held_against"].as_u64())
    };
    (ran.code, document["sources"].as_array().unwrap().iter().map(source).collect())
}

#[test]
fn stores_among_many_sources_are_held_against_what_was_witnessed_of_each() {
    let (place, other) = (Place::with(&[Until::End]), Place::with(&[Until::Gate]));
    ok(&place, "witness seen.checkpoints");
    let early = place.path().join("early");
    copied(&place.store_folder(), &early);
    grows(&place, 2);
    ok(&place, "witness seen.checkpoints");
    ok(&place, "export run:last -o a.trace");
    let of = |standing: &str, level, held| (standing.to_string(), level, held);
    let held = ".loom a.trace --checkpoint seen.checkpoints";
    assert_eq!(told(&place, held), (0, vec![of("whole", 3, Some(2)), of("whole", 2, None)]));
    assert_eq!(told(&place, ".loom a.trace"), (0, vec![of("whole", 2, None), of("whole", 2, None)]));
    let ran = place.replay(&format!("verify {held}"));
    assert!(ran.out.contains("consistent with 2 checkpoints that lie elsewhere\n  level 3 of 5"), "{}", ran.out);
    // What is missing for a trace is no option that it would pass over.
    for out in [ran.out, place.loom("verify a.trace").out] {
        assert!(out.contains("a trace is held against nothing; a receipt of its run is: `loom prove`"), "{out}");
    }

    // An older copy is truncated; one that went on is forked.
    assert_eq!(told(&place, "early --checkpoint seen.checkpoints"), (6, vec![of("truncated", 0, None)]));
    fs::remove_dir_all(place.store_folder()).unwrap();
    copied(&early, &place.store_folder());
    grows(&place, 3);
    grows(&place, 4);
    assert_eq!(told(&place, held), (6, vec![of("forked", 0, None), of("whole", 2, None)]));
    assert_eq!(told(&place, ".loom").0, 0, "by itself it is whole");
    for form in ["text", "json", "junit", "sarif", "html"] {
        let ran = place.replay(&format!("verify {held} --format {form}"));
        assert_eq!(ran.code, 6, "{form}");
        assert!(ran.out.contains("forked") && ran.out.contains("CHECKPOINT-4"), "{form}: {}", ran.out);
    }

    // Of another store nothing lies there; a place that is none is told, and is no store's fault.
    fs::copy(place.path().join("seen.checkpoints"), other.path().join("seen.checkpoints")).unwrap();
    let stranger = other.path().join("seen.checkpoints");
    let text = fs::read_to_string(&stranger).unwrap();
    fs::write(&stranger, "").unwrap();
    assert_eq!(told(&other, ".loom --checkpoint seen.checkpoints"), (8, vec![of("whole", 2, Some(0))]));
    let ran = other.replay("verify .loom --checkpoint seen.checkpoints");
    assert!(ran.out.contains("there is no checkpoint of it at seen.checkpoints"), "{}", ran.out);
    assert_eq!(other.replay("verify .loom --checkpoint nowhere.checkpoints").code, 8);
    fs::write(&stranger, &text[..text.len() - 40]).unwrap();
    let ran = other.replay("verify .loom --checkpoint seen.checkpoints");
    assert!(ran.code == 6 && ran.err.contains("CHECKPOINT-1"), "{}", ran.err);
}

/// Fails with 6 in every reader and form, with this law, and names the record and what depends on it.
#[track_caller]
fn damaged_everywhere(place: &Place, law: &str, sources: &str) {
    for target in sources.split_whitespace().map(|source| if source == ".loom" { "" } else { source }) {
        let ran = place.loom(&format!("verify {target}"));
        assert_eq!(ran.code, 6, "{target}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(law) && ran.out.contains("sequence "), "{target}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains("level 0 of 5"), "{target}: {}", ran.out);
    }
    let document = json(&place.replay(&format!("verify {sources} --json")));
    let text = place.replay(&format!("verify {sources}")).out;
    let lines: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("depends on it: ")).collect();
    assert_eq!(lines.len(), document["sources"].as_array().unwrap().len(), "{text}");
    for (source, line) in document["sources"].as_array().unwrap().iter().zip(&lines) {
        let (found, bad) = (&source["dependents"], &source["first_bad"]);
        if source["kind"] == "trace" {
            assert!(found.is_null() && *line == "everything after it in the file, which was not looked at", "{line}");
            continue;
        }
        let own = json(&place.loom("verify --json"));
        is_of_its_schema(place, &own);
        assert_eq!((&own["dependents"], &own["first_bad"]), (found, bad));
        let later = place.store().size() - bad["position"].as_u64().unwrap() - 1;
        let run = &bad["stream"].as_str().unwrap()[..8];
        assert_eq!(found["later"], later);
        let told = format!("the tree over {later} later event");
        assert!(
            line.starts_with(&told) && line.contains(&format!(" of {run}; by what they say, {} ", found["resting"])),
            "{line}"
        );
    }
    for (form, before) in
        [("html", "<dt>Depends on it</dt><dd>"), ("junit", ">depends on it: "), ("sarif", ". Depends on it: ")]
    {
        let told = place.replay(&format!("verify {sources} --format {form}")).out;
        assert!(lines.iter().all(|line| told.contains(&format!("{before}{line}"))), "{form}: {lines:?} {told}");
    }
    let (code, stood) = told(place, sources);
    let altered = ("altered".to_string(), 0, None);
    assert_eq!((code, stood), (6, vec![altered; sources.split_whitespace().count()]));
    for form in ["text", "json", "junit", "sarif", "html"] {
        let ran = place.replay(&format!("verify {sources} --format {form}"));
        assert_eq!(ran.code, 6, "{form}");
        assert_eq!(ran.out.matches(law).count() % sources.split_whitespace().count(), 0, "{form}: {}", ran.out);
        assert!(ran.out.contains(law), "{form}: {}", ran.out);
    }
}

#[test]
fn a_forged_signature_is_damage_to_every_reader() {
    let place = Place::empty();
    let store = RedbStore::create(&place.store_folder(), &origin()).unwrap();
    made_answered_run(&store, 1, Until::End, &|_, body| {
        (body.signature, body.signer) = (Some([1; 64]), Some([2; 32]));
        Actor::Person { id: "ann".to_string(), assurance: Assurance::Signed, descends: None }
    });
    store.catch_up().unwrap();
    drop(store);
    ok(&place, "export run:last -o forged.trace");
    damaged_everywhere(&place, "SIGNED-2", ".loom forged.trace");
    let ran = place.loom("verify run:last");
    assert!(ran.code == 6 && ran.out.contains("SIGNED-2"), "{}{}", ran.out, ran.err);

    // A key that hands over, and did not sign that.
    let place = Place::with(&[Until::End]);
    let store = RedbStore::open(&place.store_folder()).unwrap();
    for (before, signature, key) in [(None, None, [7; 32]), (Some([7; 32]), Some([1; 64]), [8; 32])] {
        let head: Head = store.head(StreamId::STORE).unwrap();
        let last = store.read(StreamId::STORE, head.next - 1, 1).unwrap().pop().unwrap();
        let stamp = Stamp::after(Envelope::decode(&last.event.bytes).unwrap().stamp, 0);
        let added = add(KeyAdded { key, before, signature }, head, stamp);
        assert!(store.append(vec![Append::from(&added)]).pop().unwrap().is_ok());
    }
    store.catch_up().unwrap();
    drop(store);
    damaged_everywhere(&place, "KEYS-2", ".loom");
}

#[test]
fn a_place_that_was_tampered_with_is_refused_whole() {
    let place = Place::with(&[Until::End]);
    ok(&place, "witness seen.checkpoints");
    grows(&place, 2);
    ok(&place, "witness seen.checkpoints");
    let seen = place.path().join("seen.checkpoints");
    let text = fs::read_to_string(&seen).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let size = lines[1];
    let larger = text.replacen(&format!("\n{size}\n"), &format!("\n{size}0\n"), 1);
    let nameless = text.replacen("loom/", "loom", 2);
    for (what, forged, told) in [
        ("a larger size", larger, "CHECKPOINT-2"),
        ("cut off", text[..text.len() - 40].to_string(), "CHECKPOINT-1"),
        ("another root", text.replacen(&lines[2][..4], "AAAA", 1), "CHECKPOINT-2"),
        ("no checkpoint", "nothing\n".to_string(), "WITNESS-1"),
        ("another line", format!("{text}\nmore\n"), "WITNESS-1"),
        ("a name with a space", nameless.replace("\u{2014} loom", "\u{2014} lo om"), "CHECKPOINT-1"),
    ] {
        fs::write(&seen, &forged).unwrap();
        let ran = place.loom("verify --checkpoint seen.checkpoints");
        assert_eq!(ran.code, 6, "{what}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{what}: {}", ran.err);
        assert_eq!(place.loom("witness seen.checkpoints").code, 6, "{what}");
        assert_eq!(fs::read_to_string(&seen).unwrap(), forged, "{what}: nothing is written");
    }
    fs::write(&seen, &text).unwrap();
    ok(&place, "verify --checkpoint seen.checkpoints");
    assert_eq!(place.loom("verify --checkpoint nowhere.checkpoints").code, 2);
    // A folder's file that is called otherwise than what it holds.
    ok(&place, "witness seen/");
    let folder = place.path().join("seen");
    let name = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let renamed = name.replacen("-00000000000000000", "-10000000000000000", 1);
    fs::rename(folder.join(&name), folder.join(renamed)).unwrap();
    refused(&place, "verify --checkpoint seen/", "WITNESS-1");
}

#[test]
fn a_checkpoint_lies_in_a_note_of_the_users_git() {
    needs!("git", "sh");
    let driven = at_gate();
    for (name, value) in [("user.name", "u"), ("user.email", "u@example.com")] {
        driven.git(&["config", name, value]);
    }
    let ran = driven.loom("witness git-note");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let ran = driven.loom("verify --checkpoint git-note");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("consistent with 1 checkpoints"), "{}", ran.out);
    assert_eq!(driven.loom("verify --checkpoint git-note:other").code, 2);
    assert_eq!(driven.loom("witness git-note:-x").code, 2);
    // A second one stands behind the first in the same note.
    assert_eq!(driven.loom("answer run:last reject").code, 0);
    assert_eq!(driven.loom("witness git-note").code, 0);
    let ran = driven.loom("verify --checkpoint git-note");
    assert!(ran.out.contains("consistent with 2 checkpoints"), "{}{}", ran.out, ran.err);
}

/// A project whose run waits at its final gate.
fn at_gate() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    fs::write(driven.path("model.toml"), loom_providers::demo::SCRIPT).unwrap();
    fs::write(driven.path("task.txt"), format!("{} In earnest.", loom_providers::demo::TASK)).unwrap();
    let path = |name: &str| driven.path(name).display().to_string();
    let run = format!("run --file {} --script {} --policy review-final", path("task.txt"), path("model.toml"));
    let ran = driven.loom(&run);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    driven
}

#[test]
fn a_signed_answer_is_signed_by_the_person_and_checked_by_everybody() {
    needs!("git", "sh");
    let driven = at_gate();
    let ran = driven.loom("answer run:last accept --sign");
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("loom keys person"), "{}", ran.err);
    let made = driven.loom("keys person --json");
    assert_eq!(made.code, 0, "{}", made.err);
    let person = json(&made)["person"].as_str().unwrap().to_string();
    assert_eq!(driven.loom("keys person").code, 2, "a key is never replaced");
    let script = driven.path("model.toml").display().to_string();
    // A rule refuses it over the blocker; what was mended is asked again.
    let ran = driven.loom(&format!("answer run:last accept --sign --script {script}"));
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    let ran = driven.loom(&format!("answer run:last accept --sign --script {script}"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let log = driven.log();
    let answered = log.iter().rev().find(|event| event["kind"] == "gate.answered").unwrap();
    assert_eq!(answered["actor"]["assurance"], "signed", "{answered}");
    assert_eq!(answered["body"]["signer"], person.as_str(), "{answered}");
    assert_eq!(driven.loom("verify --redrive").code, 0);
    let gate = log.iter().rev().find(|event| event["kind"] == "gate.opened").unwrap()["id"].as_str().unwrap();
    let seen = driven.path("seen.checkpoints").display().to_string();
    assert_eq!(driven.loom(&format!("witness {seen}")).code, 0);
    let receipt = driven.path("gate.receipt").display().to_string();
    let ran = driven.loom(&format!("prove {gate} -o {receipt} --checkpoint {seen}"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let key = json(&driven.loom("keys list --json"))["keys"][0]["key"].as_str().unwrap().to_string();
    let verify = format!("verify {receipt} --key {key} --checkpoint {seen} --json");
    let level = |more: &str| json(&driven.loom(&format!("{verify}{more}")))["level"].clone();
    assert_eq!(level("")["number"], 4);
    assert!(level("")["missing"].as_str().unwrap().contains(&person));
    assert_eq!(level(&format!(" --person {person}"))["number"], 5);
    assert_eq!(level(&format!(" --person {key}"))["number"], 4);
    // The run itself was done without a fence, and that is what keeps it from the level.
    let run = driven.path("run.receipt").display().to_string();
    assert_eq!(driven.loom(&format!("prove run:last -o {run} --checkpoint {seen}")).code, 0);
    let found = json(&driven.loom(&format!("verify {run} --key {key} --checkpoint {seen} --person {person} --json")));
    assert_eq!(found["level"]["number"], 3, "{}", found["level"]);
    assert!(found["level"]["missing"].as_str().unwrap().contains("without a fence"), "{}", found["level"]);
}

#[test]
fn no_program_of_a_run_reads_a_key_in_its_fence() {
    needs!("git", "sh");
    let driven = Driven::bare();
    driven.make_project();
    assert_eq!(driven.loom("keys person").code, 0);
    let key = driven.path("data/loom/keys/person.key");
    assert_eq!(fs::read(&key).unwrap().len(), 32);
    let key = key.display();
    // The agent would leave a file behind, the check would fail.
    let script = format!(
        "model = \"m\"\n[[turn]]\nagent = \"implementer\"\nsay = '{{\"summary\": \"done\"}}'\n\
         run = [\"sh\", \"-c\", \"touch tried; if cat '{key}'; then touch leaked; fi\"]\n\
         edit = [{{ write = \"test.sh\", content = \"! cat '{key}'\" }}]\n"
    );
    fs::write(driven.path("model.toml"), script).unwrap();
    fs::write(driven.path("task.txt"), loom_providers::demo::TASK).unwrap();
    let path = |name: &str| driven.path(name).display().to_string();
    let run = format!("run --file {} --script {} --complexity trivial", path("task.txt"), path("model.toml"));
    let ran = driven.loom(&format!("{run} --fence required"));
    if ran.code == 9 {
        crate::missing::skip("a fence", &ran.err);
        return;
    }
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("check test: pass"), "{}", ran.err);
    let changed = driven.loom("diff run:last --name-only").out;
    assert!(changed.contains("tried") && !changed.contains("leaked"), "{changed}");
}

#[test]
fn a_run_that_the_newest_checkpoint_does_not_have_whole_is_of_level_2() {
    let place = Place::with(&[Until::End]);
    ok(&place, "witness seen.checkpoints");
    let first = ok(&place, "verify run:last --checkpoint seen.checkpoints").out;
    assert!(first.contains("level 3 of 5"), "{first}");
    grows(&place, 2);
    let held = "verify run:last --checkpoint seen.checkpoints";
    let ran = ok(&place, held);
    assert!(ran.out.contains("level 2 of 5") && ran.out.contains("a newer checkpoint"), "{}", ran.out);
    assert_eq!(json(&ok(&place, &format!("{held} --json")))["level"]["number"], 2);
    ok(&place, "witness seen.checkpoints");
    let ran = ok(&place, held);
    assert!(ran.out.contains("consistent with 2 checkpoints") && ran.out.contains("level 3 of 5"), "{}", ran.out);
}

#[test]
fn a_pinned_key_that_a_store_has_not_is_6_also_where_it_has_none() {
    let place = Place::with(&[Until::End]);
    let stranger = "11".repeat(32);
    for what in ["", "run:last "] {
        refused(&place, &format!("verify {what}--key {stranger}"), "the store has no key on record (KEYS-4)");
    }
    ok(&place, "witness seen/");
    for what in ["", "run:last "] {
        refused(&place, &format!("verify {what}--key {stranger}"), "did not hand over to (KEYS-4)");
        ok(&place, &format!("verify {what}--key {}", key(&place)));
    }
}

/// CLI-9
#[test]
fn what_can_do_nothing_for_what_is_verified_is_refused() {
    let place = Place::with(&[Until::End]);
    ok(&place, "witness seen/");
    ok(&place, "prove run:last -o run.receipt");
    ok(&place, "export run:last -o run.trace");
    let key = key(&place);
    let origin = json(&ok(&place, "verify run.receipt --json"))["receipt"]["origin"].as_str().unwrap().to_string();
    let other = "0".repeat(32);
    for (option, [of_store, of_run, of_trace, of_receipt]) in [
        ("--blobs".to_string(), [0, 0, 0, 2]),
        ("--redrive".to_string(), [0, 0, 0, 2]),
        ("--checkpoint seen/".to_string(), [0, 0, 2, 0]),
        (format!("--key {key}"), [0, 0, 2, 0]),
        ("--witness nonsense".to_string(), [2, 2, 2, 2]),
        (format!("--person {key}"), [2, 2, 2, 0]),
        ("--person nonsense".to_string(), [2, 2, 2, 2]),
        (format!("--origin {origin}"), [0, 0, 0, 0]),
        (format!("--origin {other}"), [6, 6, 6, 6]),
        ("--threads 1".to_string(), [0, 0, 0, 0]),
    ] {
        for (what, code) in [("", of_store), ("run:last", of_run), ("run.trace", of_trace), ("run.receipt", of_receipt)]
        {
            let ran = place.loom(&format!("verify {what} {option}"));
            assert_eq!(ran.code, code, "{what} {option}: {}{}", ran.out, ran.err);
            let told = ["does not go with a", "is no public key"].iter().any(|told| ran.err.contains(told));
            assert!(code != 2 || told, "{what} {option}: {}", ran.err);
            assert!(code != 6 || ran.err.contains("it is of the store"), "{what} {option}: {}", ran.err);
        }
    }
}

#[test]
fn a_place_in_the_stores_own_folder_is_no_witness() {
    let place = Place::with(&[Until::End]);
    std::os::unix::fs::symlink(".loom", place.path().join("aside")).unwrap();
    ok(&place, "witness seen.checkpoints");
    fs::copy(place.path().join("seen.checkpoints"), place.store_folder().join("x")).unwrap();
    for inside in [".loom/x", ".loom", ".loom/new/", "aside/x", "./.loom/../.loom/x"] {
        for command in ["witness PLACE", "verify --checkpoint PLACE", "prove run:last -o a --checkpoint PLACE"] {
            let ran = place.loom(&command.replace("PLACE", inside));
            assert_eq!(ran.code, 2, "{command} {inside}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains("lies in the store's own folder"), "{command} {inside}: {}", ran.err);
        }
        assert_eq!(place.replay(&format!("verify .loom --checkpoint {inside}")).code, 2, "{inside}");
    }
    assert!(!place.store_folder().join("new").exists());
}

#[test]
fn rules_that_cannot_be_proven_by_are_no_damage() {
    let place = Place::with(&[Until::End]);
    fs::write(place.path().join("after.rules"), RULES).unwrap();
    fs::write(place.path().join("bad.rules"), "nonsense").unwrap();
    let gate = place.first("gate.opened");
    for (arguments, code, told) in [
        ("run:last --rules bad.rules", 1, "bad.rules does not load"),
        ("run:last --rules after.rules --rules after.rules", 1, "after.rules does not load"),
        (&format!("{gate} --rules after.rules"), 2, "--rules does not go with a gate"),
    ] {
        let ran = place.loom(&format!("prove {arguments} -o new.receipt"));
        assert_eq!(ran.code, code, "{arguments}: {}", ran.err);
        assert!(ran.err.contains(told), "{arguments}: {}", ran.err);
        assert!(!place.path().join("new.receipt").exists());
    }
}
