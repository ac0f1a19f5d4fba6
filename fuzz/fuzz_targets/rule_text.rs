//! Any text is a rule set, a condition, or errors with places; never a panic. What loads can judge every kind.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loom_core::event::View;
use loom_core::rules::{RuleSet, Rules, canonical};
use std::sync::{Arc, OnceLock};

/// One event of each kind.
fn events() -> &'static [Vec<u8>] {
    static EVENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    EVENTS.get_or_init(|| {
        include_str!("../../specs/vectors/events.jsonl")
            .lines()
            .filter(|line| line.contains("\"id\""))
            .filter_map(|line| line.split("\"bytes\": \"").nth(1)?.split('"').next())
            .filter_map(loom_core::id::unhex)
            .collect()
    })
}

fuzz_target!(|text: &str| {
    if let Ok(print) = canonical(text) {
        assert_eq!(canonical(&print).as_ref(), Ok(&print), "the canonical print is a fixed point (RULE-8)");
    }
    let Ok(set) = RuleSet::load(text) else { return };
    assert_eq!(set.digest(), RuleSet::load(text).expect("it loaded").digest());
    let Ok(rules) = Rules::new(vec![Arc::new(set)]) else { return };
    let mut facts = rules.facts();
    for bytes in events() {
        let view = View::read(bytes).expect("vectors are events");
        let _judgements = rules.judge(&facts, &view);
        rules.fold(&mut facts, &view);
    }
});
