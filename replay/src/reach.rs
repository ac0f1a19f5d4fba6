//! Which kinds of events the process of a bundle comes to: random walks through its runs, by core itself.
//!
//! A rule about a kind that no walk comes to is asked never, or seldom. That is a sign and no proof (PROVE-4). Equal
//! arguments walk the same ways.

use crate::moves::{Repertoire, all, ends_a_run, input, person, tree};
use loom_bundles::LoadedBundle;
use loom_core::commit::{Blob, Checked};
use loom_core::event::View;
use loom_core::id::{Stamp, StreamId};
use loom_core::kind::RunOpened;
use loom_core::run::{Run, Terms};
use loom_core::step::Input;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most walks through one bundle.
const WALKS: u64 = 400;
/// Of so many moves, one that ends the run is let be made.
const ENDS: usize = 32;
/// What the walks add to a run under way: a set that asks nothing of any event that they make.
const MORE: &str = "loom rules 1\nset added-on-the-way \"Added to a run under way.\"\nfact seen counter\n  add run.opened\nrule \
                    seen-once on run.opened\n  require facts.seen == 0\n  message \"a run is opened once\"\n";

/// Returns which of the kinds `wanted` no walk of at most `depth` moves comes to.
///
/// # Errors
/// A sentence, where the bundle's terms do not load or a run of it cannot be opened.
pub fn unreached(
    bundle: &LoadedBundle,
    wanted: &BTreeSet<&'static str>,
    depth: usize,
) -> Result<BTreeSet<&'static str>, String> {
    let mut missing = wanted.clone();
    let blob = bundle.blob();
    let terms = Terms::load(&blob, &bundle.rule_blobs()).map_err(|error| error.to_string())?;
    let terms = Arc::new(terms);
    for walk in 0..WALKS {
        if missing.is_empty() {
            break;
        }
        let mut chance = Chance(walk);
        // Without a classifier a run is of the default flow; with one half of them choose.
        let flows: Vec<&String> = bundle.bundle.flows.keys().collect();
        let flow = (walk % 2 == 0).then(|| flows[chance.below(flows.len())].clone());
        let opened = open(bundle, &terms, flow, walk)?;
        notice(&opened, &mut missing);
        let mut run = opened.into_next();
        for _ in 0..depth {
            if run.state.closed.is_some() || missing.is_empty() {
                break;
            }
            let repertoire = Repertoire { every_end: walk % 3 == 0, more: Some(MORE) };
            let mut moves = all(&run, repertoire);
            if chance.below(ENDS) != 0 {
                moves.retain(|one| !ends_a_run(&run, one));
            }
            if moves.is_empty() {
                break;
            }
            let one = moves.swap_remove(chance.below(moves.len()));
            // What is declined changes nothing; the next move is another one.
            if let Ok(checked) = loom_core::step(&run, input(&run, &one)) {
                notice(&checked, &mut missing);
                run = checked.into_next();
            }
        }
    }
    Ok(missing)
}

fn notice(checked: &Checked<Run>, missing: &mut BTreeSet<&'static str>) {
    for event in checked.events() {
        if let Ok(view) = View::read(&event.bytes) {
            missing.remove(view.schema.name);
        }
    }
}

fn open(bundle: &LoadedBundle, terms: &Arc<Terms>, flow: Option<String>, number: u64) -> Result<Checked<Run>, String> {
    let task = Blob::salted([7; 16], b"walk");
    let (rules, limits) = (bundle.rule_blobs(), &bundle.bundle.limits);
    let request = number.to_be_bytes().to_vec();
    let opened = RunOpened {
        request: request.clone(),
        task: task.digest,
        slug: "walk".into(),
        bundle: bundle.digest,
        bundle_name: bundle.title(),
        rules: rules.iter().map(|blob| blob.digest).collect(),
        base_commit: vec![0xc0; 20],
        base_tree: tree(0),
        flow,
        gate_roles: Vec::new().into(),
        gate_policies: Vec::new().into(),
        checks_found: bundle.checks.iter().map(|check| check.name.clone()).collect(),
        checks_waived: Vec::new().into(),
        cap_spawns: limits.spawns,
        cap_tokens: limits.tokens,
        cap_money_micro: limits.money_micro,
        cap_time_ms: limits.time_ms,
        owner: "uid:1000".into(),
        loom: env!("CARGO_PKG_VERSION").into(),
        checks: None,
    };
    let blobs = [vec![task, bundle.blob()], rules].concat();
    let input = Input { stamp: Stamp { ms: 1_000, counter: 0 }, actor: person(), body: opened.into(), blobs };
    loom_core::open(terms.clone(), StreamId::of_run(b"walk", &request), input).map_err(|declined| declined.to_string())
}

/// Chance by a seed: SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    /// Returns a number below `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
