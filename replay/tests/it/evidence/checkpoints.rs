//! `specs/vectors/checkpoints.jsonl`: checkpoints under a store's keys, accepted, or refused with their law.

use super::forge::{public, sign};
use crate::made::ORIGIN;
use crate::plain::hex;
use crate::vectors::generated;
use loom_replay::evidence::{Checkpoint, EvidenceError, History, KeyOnRecord, read_all, sign_checkpoint};

const ROOT: [u8; 32] = [0xab; 32];

/// Hand 1 from position 1 on, hand 2 from 10 on; hand 1 was retired at 11.
fn history() -> History {
    let key = |number, position, retired| KeyOnRecord { key: public(number), position, is_handed_over: true, retired };
    History { origin: ORIGIN, keys: vec![key(1, 1, Some(11)), key(2, 10, None)] }
}

fn signed(size: u64, by: u8) -> String {
    sign_checkpoint(&ORIGIN, size, &ROOT, public(by), &sign(by))
}

/// Signs a text whatever it says.
fn noted(text: &str, by: u8) -> String {
    let whole = signed(20, by);
    let of = |text: &str| -> String {
        let bytes = data_encoding::BASE64.decode(whole.rsplit(' ').next().unwrap().trim_end().as_bytes()).unwrap();
        let name = format!("loom/{}", hex(&ORIGIN));
        let line = data_encoding::BASE64.encode(&[&bytes[..4], &sign(by)(text.as_bytes())].concat());
        format!("\u{2014} {name} {line}\n")
    };
    format!("{text}\n{}", of(text))
}

#[test]
fn every_checkpoint_is_the_stores_or_refused_as_it_says() {
    let (name, root) = (format!("loom/{}", hex(&ORIGIN)), data_encoding::BASE64.encode(&ROOT));
    let good = signed(20, 2);
    let line = good.lines().last().unwrap().to_string();
    let stranger = signed(20, 9).lines().last().unwrap().to_string();
    let foreign = line.replace(&name, "other.example/log");
    let text = format!("{name}\n20\n{root}\n");
    let with = |from: &str, to: &str| good.replacen(from, to, 1);
    let cases: Vec<(&str, String, Option<&str>)> = vec![
        ("under the present key", good.clone(), None),
        ("under the first key, in its time", signed(11, 1), None),
        ("of the first event after its key", signed(2, 1), None),
        ("with a line of another log", format!("{good}{foreign}\n"), None),
        ("with a line of a stranger before it", format!("{text}\n{stranger}\n{line}\n"), None),
        ("with a further line of text", noted(&format!("{text}more\n"), 2), None),
        ("of the greatest size", signed(u64::MAX, 2), None),
        ("a size with a leading zero", noted(&format!("{name}\n020\n{root}\n"), 2), Some("CHECKPOINT-1")),
        ("a size with a sign", noted(&format!("{name}\n+20\n{root}\n"), 2), Some("CHECKPOINT-1")),
        ("a size beyond 64 bits", noted(&format!("{name}\n18446744073709551616\n{root}\n"), 2), Some("CHECKPOINT-1")),
        ("no size", noted(&format!("{name}\n{root}\n"), 2), Some("CHECKPOINT-1")),
        (
            "a root of 31 bytes",
            noted(&format!("{name}\n20\n{}\n", data_encoding::BASE64.encode(&ROOT[1..])), 2),
            Some("CHECKPOINT-1"),
        ),
        (
            "a root without padding",
            noted(&format!("{name}\n20\n{}\n", root.trim_end_matches('=')), 2),
            Some("CHECKPOINT-1"),
        ),
        ("an empty first line", noted(&format!("\n20\n{root}\n"), 2), Some("CHECKPOINT-1")),
        ("of another store", with(&name[5..], &hex(&[7; 16])), Some("CHECKPOINT-1")),
        ("in upper case", noted(&text.replace(&name, &name.to_uppercase()), 2), Some("CHECKPOINT-1")),
        ("no signature", format!("{text}\n"), Some("CHECKPOINT-1")),
        ("no empty line", format!("{text}{line}\n"), Some("CHECKPOINT-1")),
        ("no last line feed", good.trim_end().to_string(), Some("CHECKPOINT-1")),
        ("a line feed more", format!("{good}\n"), Some("CHECKPOINT-1")),
        ("a carriage return", with("\n20\n", "\r\n20\n"), Some("CHECKPOINT-1")),
        ("a hyphen for the dash", with("\u{2014}", "-"), Some("CHECKPOINT-1")),
        ("a signature of four bytes", format!("{text}\n\u{2014} {name} AAAAAA==\n"), Some("CHECKPOINT-1")),
        ("a hundred and one lines", format!("{text}\n{}", format!("{foreign}\n").repeat(101)), Some("CHECKPOINT-1")),
        ("more than 16 KiB", noted(&format!("{text}{}\n", "x".repeat(17_000)), 2), Some("CHECKPOINT-1")),
        ("under a stranger's key", signed(20, 9), Some("CHECKPOINT-2")),
        ("under another name", with(&format!("\u{2014} {name}"), "\u{2014} loom/other"), Some("CHECKPOINT-2")),
        ("another size than signed", with("\n20\n", "\n21\n"), Some("CHECKPOINT-2")),
        ("another root than signed", with(&root[..4], "AAAA"), Some("CHECKPOINT-2")),
        ("signed twice", format!("{good}{line}\n"), Some("CHECKPOINT-2")),
        (
            "signed by two keys of the store",
            format!("{good}{}\n", signed(20, 1).lines().last().unwrap()),
            Some("CHECKPOINT-2"),
        ),
        ("under a key that came later", signed(10, 2), Some("CHECKPOINT-3")),
        ("under a key that was retired", signed(12, 1), Some("CHECKPOINT-3")),
    ];
    let keys = r#"[{"key": "KEY1", "position": 1, "retired": 11}, {"key": "KEY2", "position": 10}]"#;
    let keys = keys.replace("KEY1", &hex(&public(1))).replace("KEY2", &hex(&public(2)));
    let mut lines = String::new();
    for (what, text, refused) in cases {
        let read = Checkpoint::parse(&text).and_then(|found| found.signer(&history()).map(|signer| signer.key));
        match (&read, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(law)) => assert_eq!(error.law(), Some(law), "{what}: {error}"),
            _ => panic!("{what}: {read:?}"),
        }
        let outcome = refused.map_or_else(String::new, |law| format!(", \"refused\": \"{law}\""));
        let text = serde_json::to_string(&text).unwrap();
        let origin = hex(&ORIGIN);
        lines += &format!(
            "{{\"name\": \"{what}\", \"checkpoint\": {text}, \"origin\": \"{origin}\", \"keys\": {keys}{outcome}}}\n"
        );
    }
    generated("checkpoints.jsonl", &lines);
}

#[test]
fn a_file_has_checkpoints_with_an_empty_line_between_two() {
    let [one, two] = [signed(5, 1), signed(20, 2)];
    let sizes = |text: &str| read_all(text).map(|found| found.iter().map(|found| found.size).collect::<Vec<_>>());
    assert!(sizes("").unwrap().is_empty());
    assert_eq!(sizes(&one).unwrap(), [5]);
    assert_eq!(sizes(&format!("{one}\n{two}")).unwrap(), [5, 20]);
    for broken in
        [format!("{one}{two}"), format!("{one}\n\n{two}"), format!("{one}\n"), format!("{one}\nx"), "x".into()]
    {
        let error: EvidenceError = read_all(&broken).unwrap_err();
        assert!(matches!(error.law(), Some("WITNESS-1" | "CHECKPOINT-1")), "{error}");
    }
}
