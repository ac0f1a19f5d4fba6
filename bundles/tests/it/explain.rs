//! The shipped rules in plain words, against a golden file; `LOOM_UPDATE=1` writes it anew, to be read aloud.

use loom_bundles::{Source, explain_rules};
use std::fmt::Write;

#[test]
fn the_shipped_rules_read_as_they_are() {
    let source = Source::builtin("code").unwrap();
    let mut text = String::new();
    for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
        let told = explain_rules(source.text(path).unwrap()).unwrap();
        writeln!(text, "{}: {}", told.set, told.about).unwrap();
        for (name, sentences) in &told.facts {
            writeln!(text, "\nfact {name}\n  {}", sentences.join("\n  ")).unwrap();
        }
        for (name, sentences, facts) in &told.rules {
            writeln!(text, "\nrule {name}, reads {}\n  {}", facts.join(", "), sentences.join("\n  ")).unwrap();
        }
        text.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/explain.golden.txt");
    if std::env::var_os("LOOM_UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text, "write it anew with LOOM_UPDATE=1 and read it");
}
