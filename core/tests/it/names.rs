//! `specs/vectors/names.jsonl`: what each sort of thing is named by, computed from the words of `events.md` and
//! `rules.md` with BLAKE3 alone, and held against core.

use crate::cddl::generated;
use crate::plain::{array, boolean, derived, hex, text, uint};
use loom_core::answer::{artifact, fingerprint};
use loom_core::commit::Blob;
use loom_core::id::{Digest, StreamId};
use loom_core::rules::RuleSet;
use std::fmt::Write;

/// A rule file that names one kind, a field that it has and one that it lacks.
const RULES: &str = "loom rules 1\nset one \"One rule.\"\n\nrule closed on run.closed\n  require event.verdict != \"failed\" || event.reason != \"\"\n  message \"a failure without a reason\"\n  origin \"an example\"\n";

fn length(part: &[u8]) -> [u8; 8] {
    (part.len() as u64).to_be_bytes()
}

#[test]
fn every_name_is_the_hash_that_the_law_says() {
    let mut lines = String::new();
    let mut line = |text: String| writeln!(lines, "{{{text}}}").expect("a string takes all");
    for (name, content, salt) in [
        ("empty", &b""[..], None),
        ("plain", b"Do it.", None),
        ("salted", b"Do it.", Some([7; 16])),
        ("salted and empty", b"", Some([0xff; 16])),
    ] {
        let stored = match salt {
            None => [&[0], content].concat(),
            Some(salt) => [&[1], &salt[..], content].concat(),
        };
        let found = derived("loom 2026-11 blob digest v1", &[&stored]);
        let blob = salt.map_or_else(|| Blob::plain(content), |salt| Blob::salted(salt, content));
        assert_eq!((blob.digest.0, &blob.bytes), (found, &stored));
        assert_eq!(Blob::content(&stored), Some(content));
        line(format!(
            r#""law": "ID-3", "name": "{name}", "stored": "{}", "content": "{}", "digest": "{}""#,
            hex(&stored),
            hex(content),
            hex(&found)
        ));
    }
    for (name, stored) in
        [("without a mark", &b""[..]), ("with another mark", b"\x02Do it."), ("cut in its salt", &[1; 16])]
    {
        assert_eq!(Blob::content(stored), None, "{name}");
        line(format!(r#""name": "{name}", "stored": "{}", "refused": "BLOB-1""#, hex(stored)));
    }
    for (origin, request) in [(&[9; 16][..], &b"open"[..]), (b"a store for test", b"made 1"), (&[0; 16], b"")] {
        let found = derived("loom 2026-11 run stream v1", &[&length(origin), origin, request]);
        assert_eq!(StreamId::of_run(origin, request).0, found[..16]);
        line(format!(
            r#""law": "ID-4", "origin": "{}", "request": "{}", "stream": "{}""#,
            hex(origin),
            hex(request),
            hex(&found[..16])
        ));
    }
    let (base, tree, rules, answer) = ([1; 20], [2; 20], [3; 32], [4; 32]);
    for (rules, advice) in [
        (vec![rules], Vec::new()),
        (vec![rules, [5; 32]], vec![("architect", answer)]),
        (vec![[5; 32], rules], vec![("architect", answer), ("planner", [6; 32])]),
    ] {
        let mut parts = vec![base.to_vec(), tree.to_vec()];
        parts.extend(rules.iter().map(|digest| digest.to_vec()));
        advice.iter().for_each(|(agent, answer)| parts.extend([agent.as_bytes().to_vec(), answer.to_vec()]));
        let whole: Vec<u8> = parts.iter().flat_map(|part| [&length(part)[..], part].concat()).collect();
        let found = derived("loom 2026-11 artifact v1", &[&whole]);
        let digests: Vec<Digest> = rules.iter().copied().map(Digest).collect();
        let answers: Vec<(&str, Digest)> = advice.iter().map(|(agent, answer)| (*agent, Digest(*answer))).collect();
        let by_core = artifact(&base, &tree, &digests, answers.iter().map(|(agent, answer)| (*agent, answer)));
        assert_eq!(by_core.0, found);
        let list = |items: Vec<String>| items.join(", ");
        line(format!(
            r#""law": "ID-5", "base_commit": "{}", "tree": "{}", "rules": [{}], "advice": [{}], "artifact": "{}""#,
            hex(&base),
            hex(&tree),
            list(rules.iter().map(|digest| format!("\"{}\"", hex(digest))).collect()),
            list(advice.iter().map(|(agent, answer)| format!(r#"["{agent}", "{}"]"#, hex(answer))).collect()),
            hex(&found)
        ));
    }
    for (agent, category, path, at) in [
        ("logic", "off-by-one", Some(&b"src/\xff.rs"[..]), Some(7)),
        ("logic", "off-by-one", Some(b"src/\xff.rs"), None),
        ("logic", "off-by-one", None, Some(0)),
        ("test", "check-failed", None, None),
        ("logicoff", "-by-one", None, None),
        ("logic", "far", None, Some(u64::MAX)),
    ] {
        let place = path.unwrap_or_default();
        let number = at.map_or(0, |line: u64| line.saturating_add(1)).to_be_bytes();
        let lengths = [length(agent.as_bytes()), length(category.as_bytes()), length(place)].concat();
        let found = derived(
            "loom 2026-11 finding fingerprint v1",
            &[&lengths, agent.as_bytes(), category.as_bytes(), place, &number],
        );
        assert_eq!(fingerprint(agent, category, path, at), found[..16]);
        let path = path.map_or(String::new(), |path| format!(r#" "path": "{}","#, hex(path)));
        let at = at.map_or(String::new(), |at| format!(r#" "line": {at},"#));
        line(format!(
            r#""law": "ID-6", "agent": "{agent}", "category": "{category}",{path}{at} "fingerprint": "{}""#,
            hex(&found[..16])
        ));
    }
    let words = ["accepted", "answered", "rejected", "failed", "abandoned", "cancelled", "exhausted"].map(text);
    let field = |name: &str, key: u64, bytes_max: u64, items_max: u64, words: &[Vec<u8>]| {
        let head = [text(name), uint(key), boolean(false), uint(2), boolean(false)];
        array(&[&head[..], &[uint(bytes_max), uint(items_max), uint(1), array(words)]].concat())
    };
    let fields = array(&[field("reason", 1, 400, 256, &[]), field("verdict", 0, 4096, 256, &words)]);
    let kinds = array(&[array(&[text("run.closed"), uint(61), text("decision"), fields])]);
    let named = array(&[uint(1), text(RULES), kinds]);
    let found = derived("loom 2026-11 rule set v1", &[&named]);
    assert_eq!(RuleSet::load(RULES).expect("the example loads").digest().0, found);
    line(format!(
        r#""law": "RULE-13", "text": "{}", "over": "{}", "digest": "{}""#,
        RULES.replace('"', "\\\"").replace('\n', "\\n"),
        hex(&named),
        hex(&found)
    ));
    generated("vectors/names.jsonl", &lines);
}
