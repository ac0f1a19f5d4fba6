//! What became of the attacks: a row for each target, attacker and class.

use super::attack::{BYS, CLASSES, TARGETS};
use super::detect::Outcome;
use std::collections::BTreeMap;
use std::fmt;

/// Target, attacker and class, by their places in the lists.
type Row = (usize, usize, usize);

/// How many attacks of each row had which outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    rows: BTreeMap<Row, BTreeMap<Outcome, u64>>,
}

impl Table {
    pub(super) fn add(&mut self, row: Row, outcome: Outcome) {
        *self.rows.entry(row).or_default().entry(outcome).or_default() += 1;
    }

    /// Returns how many attacks nobody noticed.
    pub fn unseen(&self) -> u64 {
        self.count(|outcome| *outcome == Outcome::Unseen)
    }

    /// Returns how many attacks were made.
    pub fn attacks(&self) -> u64 {
        self.count(|_| true)
    }

    fn count(&self, is_wanted: impl Fn(&Outcome) -> bool) -> u64 {
        let all = self.rows.values().flatten();
        all.filter(|(outcome, _)| is_wanted(outcome)).map(|(_, count)| count).sum()
    }

    /// Writes the state of a campaign.
    pub(super) fn written(&self, name: &str, next: u64) -> String {
        let mut text = format!("{name}\n{next}\n");
        for ((target, by, class), outcomes) in &self.rows {
            for (outcome, count) in outcomes {
                let word = match outcome {
                    Outcome::Caught { level, law } => format!("{level} {law}"),
                    Outcome::Same => "same".to_string(),
                    Outcome::True => "true".to_string(),
                    Outcome::Unseen => "unseen".to_string(),
                };
                text.push_str(&format!("{target} {by} {class} {count} {word}\n"));
            }
        }
        text
    }

    /// Reads the state of this campaign: what is known, and the number of the next attack.
    pub(super) fn read(text: &str, name: &str) -> Option<(Self, u64)> {
        let mut lines = text.lines();
        (lines.next()? == name).then_some(())?;
        let next = lines.next()?.parse().ok()?;
        let mut table = Table::default();
        for line in lines {
            let mut words = line.splitn(5, ' ');
            let mut number = || words.next()?.parse::<u64>().ok();
            let (row, count) = ((number()? as usize, number()? as usize, number()? as usize), number()?);
            let outcome = match words.next()? {
                "same" => Outcome::Same,
                "true" => Outcome::True,
                "unseen" => Outcome::Unseen,
                caught => {
                    let (level, law) = caught.split_once(' ')?;
                    Outcome::Caught { level: level.parse().ok()?, law: law.to_string() }
                }
            };
            table.rows.entry(row).or_default().insert(outcome, count);
        }
        Some((table, next))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:8} {:7} {:16} {:>7} {:>7} {:>7} {:>7} {:>7} {:>6} {:>6} {:>6}  caught by  laws",
            "of", "by", "class", "made", "L1", "L2", "L3", "L5", "same", "true", "unseen"
        )?;
        let mut beyond = Vec::new();
        for ((target, by, class), outcomes) in &self.rows {
            let (target, by, class) = (TARGETS[*target].1, BYS[*by].1, CLASSES[*class]);
            let (mut levels, mut laws) = ([0; 6], BTreeMap::new());
            for (outcome, count) in outcomes {
                if let Outcome::Caught { level, law } = outcome {
                    levels[usize::from(*level).min(5)] += count;
                    *laws.entry(law.as_str()).or_insert(0) += count;
                }
            }
            let of = |wanted: Outcome| outcomes.get(&wanted).copied().unwrap_or_default();
            let (same, kept, unseen) = (of(Outcome::Same), of(Outcome::True), of(Outcome::Unseen));
            let made: u64 = outcomes.values().sum();
            let by_level = match (unseen, levels) {
                (0, [_, 0, 0, 0, 0, 0]) => "-",
                (0, [_, _, 0, 0, 0, 0]) => "L1",
                (0, [_, _, _, 0, 0, 0]) => "L2",
                (0, [.., 0, 0]) => "L3",
                (0, _) => "L5",
                _ => "nothing",
            };
            if levels[3..].iter().any(|count| *count > 0) {
                beyond.push(format!("{class} of a {target} by {by}"));
            }
            let laws: Vec<_> = laws.into_keys().collect();
            writeln!(
                f,
                "{target:8} {by:7} {class:16} {made:>7} {:>7} {:>7} {:>7} {:>7} {same:>6} {kept:>6} {unseen:>6}  {by_level:9}  {}",
                levels[1],
                levels[2],
                levels[3],
                levels[5],
                laws.join(" ")
            )?;
        }
        let counts = |level: u8| {
            self.count(|outcome| matches!(outcome, Outcome::Caught { level: found, .. } if *found == level))
        };
        writeln!(
            f,
            "\n{} attacks: {} caught by L1, {} by L2, {} by L3, {} by L5; {} changed nothing that is read, {} left what is still true, {} unseen",
            self.attacks(),
            counts(1),
            counts(2),
            counts(3),
            counts(5),
            self.count(|outcome| *outcome == Outcome::Same),
            self.count(|outcome| *outcome == Outcome::True),
            self.unseen()
        )?;
        writeln!(f, "a bare chain does not catch all of:")?;
        beyond.iter().try_for_each(|row| writeln!(f, "  {row}"))
    }
}
