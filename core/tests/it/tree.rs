//! `specs/vectors/tree.jsonl`: roots and proofs of the tree, computed by the recursive definitions of RFC 6962 section
//! 2.1, and held against core; and proofs that prove nothing (TREE-1).

use crate::cddl::generated;
use crate::plain::hex;
use loom_core::id::Digest;
use loom_core::tree::{Frontier, NodeHash, consistency, inclusion, leaf, verify_consistency, verify_inclusion};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fmt::Write;

fn hash(mark: u8, parts: &[&[u8]]) -> NodeHash {
    let mut hasher = Sha256::new().chain_update([mark]);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// MTH: the root over leaves.
fn root(leaves: &[NodeHash]) -> NodeHash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(middle(more.len()));
            hash(1, &[&root(left), &root(right)])
        }
    }
}

/// The largest power of two below a number.
fn middle(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// PATH: lowest sibling first.
fn path(at: usize, leaves: &[NodeHash]) -> Vec<NodeHash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(middle(leaves.len()));
    let (mut below, sibling) = match at < left.len() {
        true => (path(at, left), root(right)),
        false => (path(at - left.len(), right), root(left)),
    };
    below.push(sibling);
    below
}

/// SUBPROOF.
fn subproof(old: usize, leaves: &[NodeHash], is_whole: bool) -> Vec<NodeHash> {
    if old == leaves.len() {
        return if is_whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(middle(leaves.len()));
    let (mut below, sibling) = match old <= left.len() {
        true => (subproof(old, left, is_whole), root(right)),
        false => (subproof(old - left.len(), right, false), root(left)),
    };
    below.push(sibling);
    below
}

fn list(hashes: &[NodeHash]) -> String {
    hashes.iter().map(|hash| format!("\"{}\"", hex(hash))).collect::<Vec<_>>().join(", ")
}

#[test]
fn every_root_and_proof_is_that_of_the_definition() {
    let mut lines = String::new();
    let mut line = |text: String| writeln!(lines, "{{{text}}}").expect("a string takes all");
    // The id of leaf n is 32 bytes of n.
    let leaves: Vec<NodeHash> = (0..14).map(|n: u8| hash(0, &[&[n; 32]])).collect();
    let whole = |size: usize| root(&leaves[..size]);
    let mut fetch =
        |height: u8, index: u64| Ok::<_, Infallible>(whole_subtree(&leaves, index as usize, 1usize << height));
    let mut frontier = Frontier::default();
    for size in 0..=leaves.len() {
        assert_eq!(frontier.root(), whole(size));
        line(format!(r#""leaves": {size}, "root": "{}""#, hex(&whole(size))));
        if let Some(next) = leaves.get(size) {
            assert_eq!(leaf(&Digest([size as u8; 32])), *next);
            frontier.push_subtree(0, *next);
        }
    }
    for size in [1, 2, 3, 5, 8, 13] {
        for at in 0..size {
            let proof = path(at, &leaves[..size]);
            let Ok(by_core) = inclusion(at as u64, size as u64, &mut fetch);
            assert_eq!(by_core.as_ref(), Some(&proof));
            assert!(verify_inclusion(&leaves[at], at as u64, size as u64, &proof, &whole(size)));
            line(format!(r#""leaves": {size}, "position": {at}, "inclusion": [{}]"#, list(&proof)));
        }
        for old in 1..=size {
            let proof = subproof(old, &leaves[..size], true);
            let Ok(by_core) = consistency(old as u64, size as u64, &mut fetch);
            assert_eq!(by_core.as_ref(), Some(&proof));
            assert!(verify_consistency(old as u64, size as u64, &proof, &whole(old), &whole(size)));
            line(format!(r#""leaves": {size}, "old": {old}, "consistency": [{}]"#, list(&proof)));
        }
    }
    let (good, last) = (path(4, &leaves[..13]), whole(13));
    let longer = [&good[..], &[last]].concat();
    let mut other = good.clone();
    other[1][0] ^= 1;
    for (name, at, size, proof) in [
        ("another position", 5, 13, &good[..]),
        ("another size", 4, 5, &good),
        ("a position beyond the end", 13, 13, &good),
        ("a proof cut short", 4, 13, &good[..good.len() - 1]),
        ("a proof with a hash too many", 4, 13, &longer),
        ("an altered sibling", 4, 13, &other),
    ] {
        assert!(!verify_inclusion(&leaves[4], at, size, proof, &last), "{name}");
        line(format!(
            r#""name": "{name}", "leaf": 4, "leaves": {size}, "position": {at}, "inclusion": [{}], "root": "{}", "refused": "TREE-1""#,
            list(proof),
            hex(&last)
        ));
    }
    let good = subproof(5, &leaves[..13], true);
    let mut other = good.clone();
    other[0][31] ^= 1;
    for (name, old, proof, old_root) in [
        ("another old root", 5, &good[..], whole(4)),
        ("another old size", 6, &good, whole(5)),
        ("an older tree that is larger", 14, &good, whole(5)),
        ("a proof cut short", 5, &good[1..], whole(5)),
        ("an altered node", 5, &other, whole(5)),
        ("no proof", 5, &[], whole(5)),
    ] {
        assert!(!verify_consistency(old, 13, proof, &old_root, &last), "{name}");
        line(format!(
            r#""name": "{name}", "leaves": 13, "old": {old}, "consistency": [{}], "old_root": "{}", "root": "{}", "refused": "TREE-1""#,
            list(proof),
            hex(&old_root),
            hex(&last)
        ));
    }
    generated("vectors/tree.jsonl", &lines);
}

fn whole_subtree(leaves: &[NodeHash], index: usize, width: usize) -> NodeHash {
    root(&leaves[index * width..(index + 1) * width])
}
