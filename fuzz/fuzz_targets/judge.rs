//! Any rules over any corpus: what judging and asking count is what a plain loop over the whole runs counts.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use loom_core::event::View;
use loom_core::kind::KINDS;
use loom_core::rules::{Outcome, RuleSet, Rules};
use loom_core::schema::Class;
use loom_fuzz::altered::{Altered, Splice, splice};
use loom_fuzz::base::RULES;
use loom_replay::corpus::{Corpus, Filter};
use loom_replay::judge::{self, Options, Place};
use loom_replay::query::{Question, query};
use loom_replay::trace;
use loom_store::StoreError;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// Words of the rule language; names of fields stand behind them.
const WORDS: &[&str] = &[
    "&&",
    "||",
    "!",
    "(",
    ")",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ":",
    ",",
    "[",
    "]",
    "in",
    "true",
    "false",
    "0",
    "1",
    "2",
    "9223372036854775807",
    "\"a\"",
    "b\"a\"",
    "\"**/t*\"",
    "size(",
    "has(",
    "glob(",
    ".startsWith(",
    ".contains(",
    ".all(x,",
    ".exists(x,",
    ".exists_one(x,",
    "x",
    "event.sequence",
    "event.stamp_ms",
    "event.actor",
    "event.actor_class",
    "event.kind",
    "facts.spawns",
    "facts.tokens",
    "facts.accepted",
    "facts.open_blockers",
    "facts.verdict",
    "facts.checks",
];

#[derive(Debug, Arbitrary)]
struct Given {
    runs: Vec<Altered>,
    /// Which set is altered, and how.
    rules: u8,
    splices: Vec<Splice>,
    /// The kinds and the words of the question.
    kinds: Vec<u8>,
    words: Vec<u16>,
    group: Option<u8>,
}

fn words() -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut fields: Vec<String> =
            KINDS.iter().flat_map(|kind| kind.fields).map(|field| format!("event.{}", field.name)).collect();
        fields.sort();
        fields.dedup();
        WORDS.iter().map(ToString::to_string).chain(fields).collect()
    })
}

impl Given {
    fn expression(&self) -> String {
        let mut text = String::new();
        for word in self.words.iter().take(40) {
            write!(text, "{} ", words()[usize::from(*word) % words().len()]).expect("a string takes all");
        }
        text
    }
}

fuzz_target!(|given: Given| {
    let mut text = RULES[usize::from(given.rules) % RULES.len()].as_bytes().to_vec();
    splice(&mut text, &given.splices);
    let Ok(text) = String::from_utf8(text) else { return };
    let kinds: Vec<String> =
        given.kinds.iter().take(4).map(|kind| KINDS[usize::from(*kind) % KINDS.len()].name.to_string()).collect();
    let group = given.group.map(|group| ["kind", "actor_class", "agent", "verdict"][usize::from(group) % 4]);
    let Ok(set) = RuleSet::load(&text) else { return };
    let question = Question::new(&kinds, &given.expression(), Some(&text), group);

    let folder = TempDir::new().expect("a folder can be made");
    let mut runs = Vec::new();
    for (number, run) in given.runs.iter().take(3).enumerate() {
        let Some(file) = run.file() else { continue };
        fs::write(folder.path().join(format!("{number}.trace")), &file).expect("a file can be written");
        runs.push(trace::read(&mut file.as_slice()).ok());
    }
    let corpus = Corpus::find(&[folder.path().to_path_buf()]).expect("the folder is there");
    assert_eq!(corpus.sources.len(), runs.len());
    let broken = runs.iter().filter(|run| run.is_none()).count();
    let whole: Vec<_> = runs.iter().flatten().collect();
    let no_store = |path: &Path| Err(StoreError::Missing(path.to_path_buf()));

    if let Ok(rules) = Rules::new(vec![Arc::new(set)]) {
        let options = Options { threads: 1, verify: true, filter: Filter::default() };
        let judgement = judge::judge(&corpus, &rules, &options, &no_store);
        assert_eq!((judgement.runs.len(), judgement.left_out.len()), (whole.len(), broken));
        for (at, run) in whole.iter().enumerate() {
            assert_eq!((judgement.runs[at].stream, judgement.runs[at].events), (run.stream, run.events.len() as u64));
            let mut facts = rules.facts();
            for event in &run.events {
                let view = View::read(&event.bytes).expect("a whole trace has events");
                let told: Vec<_> = rules
                    .answers(&facts, &view)
                    .into_iter()
                    .filter(|answer| answer.result != Outcome::True)
                    .map(|answer| (answer.rule, answer.result))
                    .collect();
                let is_here = |finding: &&judge::Finding| {
                    finding.run == at && finding.sequence == view.sequence && finding.place == Place::Event
                };
                let found: Vec<_> = judgement
                    .findings
                    .iter()
                    .filter(is_here)
                    .map(|finding| (judgement.rules[finding.rule].name.clone(), finding.outcome.clone()))
                    .collect();
                // Decisions that are never judged are not judged here either (COMMIT-5).
                let is_exempt = view.schema.class == Class::Decision && found.is_empty();
                assert!(found == told || is_exempt, "{found:?} {told:?}");
                rules.fold(&mut facts, &view);
            }
        }
    }

    let Ok(question) = question else { return };
    let answer =
        query(&corpus, &question, &Filter::default(), &no_store, &mut |_, _| ()).expect("there are few groups");
    assert_eq!((answer.runs, answer.left_out.len()), (whole.len() as u64, broken));
    let tallies = answer.groups.values();
    let sums = tallies.fold((0, 0), |sum, tally| (sum.0 + tally.asked, sum.1 + tally.matched));
    assert!(group.is_none() || sums == (answer.total.asked, answer.total.matched), "{answer:?}");
    if kinds.is_empty() {
        assert_eq!(answer.total.asked, whole.len() as u64);
        return;
    }
    let own = format!(
        "{}\n\nrule fuzz-asks on {}\n  require {}\n  message \"m\"\n",
        text.trim_end(),
        sorted(&kinds),
        given.expression()
    );
    // A set that has a rule of this name, or ends inside of a line that goes on, is another question.
    let Ok(set) = RuleSet::load(&own) else { return };
    let name = format!("{}/fuzz-asks", set.name());
    let Ok(rules) = Rules::new(vec![Arc::new(set)]) else { return };
    let mut told = [0u64; 4];
    for run in &whole {
        let mut facts = rules.facts();
        for event in &run.events {
            let view = View::read(&event.bytes).expect("a whole trace has events");
            for result in
                rules.answers(&facts, &view).into_iter().filter(|told| told.rule == name).map(|told| told.result)
            {
                told[match result {
                    Outcome::True => 0,
                    Outcome::False => 1,
                    Outcome::Unknown(_) => 2,
                    Outcome::Error(_) => 3,
                }] += 1;
            }
            rules.fold(&mut facts, &view);
        }
    }
    let total = answer.total;
    assert_eq!([total.matched, total.unknowable, total.failed], [told[0], told[2], told[3]], "{}", given.expression());
    assert_eq!(total.asked, told.iter().sum::<u64>());
});

fn sorted(kinds: &[String]) -> String {
    let mut kinds = kinds.to_vec();
    kinds.sort();
    kinds.dedup();
    kinds.join(", ")
}
