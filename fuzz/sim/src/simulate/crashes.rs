//! Every crash of a seed: one simulation without any, to count its points; one for each point, with a death there; and
//! a sample of pairs, most of them close together, so that the second death finds recovery under way.

use super::chance::Chance;
use super::play::{Failure, Report, Setup, simulate};

/// Every so many points have a pair.
const PAIR_EVERY: u64 = 4;
/// How soon the second death of a pair comes, in points; every other pair has it anywhere.
const SOON: u64 = 40;

/// What the crashes of a seed saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crashes {
    /// Points of the seed.
    pub points: u64,
    /// Simulations with one death.
    pub single: u64,
    /// Simulations with two.
    pub pairs: u64,
    /// What all simulations saw together.
    pub total: Report,
}

impl Crashes {
    /// Adds what another seed saw.
    pub fn add(&mut self, other: &Crashes) {
        self.points += other.points;
        self.single += other.single;
        self.pairs += other.pairs;
        self.total.add(&other.total);
    }
}

/// Returns `setup` for the crashes of this seed: every other one has its store on a disk.
pub(crate) fn of_seed(setup: &Setup, seed: u64, points: Vec<u64>) -> Setup {
    let setup = setup.clone().dying_at(points);
    if seed % 2 == 1 { setup.on_disk() } else { setup }
}

/// Plays a seed with a death at every `every`th of its points, and at pairs of them.
pub fn crashes(seed: u64, every: u64, setup: &Setup) -> Result<Crashes, Box<Failure>> {
    let plain = of_seed(setup, seed, Vec::new());
    let points = simulate(seed, &plain)?.points;
    let mut seen = Crashes { points, ..Crashes::default() };
    let mut chance = Chance::new(!seed);
    let first = chance.below(every.max(1));
    for point in (first..points).step_by(every.max(1) as usize) {
        let report = simulate(seed, &plain.clone().dying_at(vec![point]))?;
        seen.single += 1;
        if chance.below(PAIR_EVERY) == 0 {
            // After the first death there are other points than before.
            let reach = if chance.happens(500) { SOON } else { report.points.saturating_sub(point).max(1) };
            let then = point + 1 + chance.below(reach);
            seen.total.add(&simulate(seed, &plain.clone().dying_at(vec![point, then]))?);
            seen.pairs += 1;
        }
        seen.total.add(&report);
    }
    Ok(seen)
}
