//! The store's Merkle tree over event ids: RFC 6962 section 2.1 (RFC 9162 section 2.1), SHA-256.
//!
//! Leaf `n` is the event at position `n` of the store's commit order; its data is the 32-byte event id (TREE-1).
//! Everything here is a function of hashes; who keeps the nodes is the store's affair. Perfect subtrees are named
//! by height and index: `(h, i)` covers the leaves `i * 2^h .. (i + 1) * 2^h`.

use crate::id::EventId;
use alloc::vec::Vec;
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

/// A SHA-256 hash of a leaf or of an inner node.
pub type NodeHash = [u8; 32];

/// Returns the hash of a leaf with this data: `SHA-256(00 || data)`.
pub fn leaf_of(data: &[u8]) -> NodeHash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// Returns the hash of the leaf of an event.
pub fn leaf(id: &EventId) -> NodeHash {
    let mut blocks = [[0; 64]; 1];
    blocks.as_flattened_mut()[1..33].copy_from_slice(&id.0);
    sha256(blocks, 33)
}

/// Returns the hash of an inner node: `SHA-256(01 || left || right)`.
pub fn node(left: &NodeHash, right: &NodeHash) -> NodeHash {
    let mut blocks = [[0; 64]; 2];
    let input = blocks.as_flattened_mut();
    input[0] = 1;
    input[1..33].copy_from_slice(left);
    input[33..65].copy_from_slice(right);
    sha256(blocks, 65)
}

/// The initial hash value of SHA-256 (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Returns the SHA-256 of the first `length` bytes of `blocks`, whose rest is zero and has room for the padding.
///
/// A tree is all short messages of known length: without the library's buffer they take a quarter less time.
fn sha256<const BLOCKS: usize>(mut blocks: [[u8; 64]; BLOCKS], length: usize) -> NodeHash {
    let bits = (length as u64 * 8).to_be_bytes();
    let input = blocks.as_flattened_mut();
    input[length] = 0x80;
    input[BLOCKS * 64 - bits.len()..].copy_from_slice(&bits);
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

/// Returns the root of the tree without leaves: `SHA-256("")`.
pub fn empty_root() -> NodeHash {
    Sha256::digest([]).into()
}

/// The right edge of a growing tree: its perfect subtrees from left to right, each lower than the one before.
///
/// Memory and the time of one push are logarithmic in the number of leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<(u8, NodeHash)>,
}

impl Frontier {
    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf and returns the perfect subtrees that it completes: the leaf itself, then its parents.
    pub fn push(&mut self, leaf: NodeHash) -> impl Iterator<Item = (u8, NodeHash)> {
        self.push_subtree(0, leaf).into_iter()
    }

    /// Appends the `2^height` leaves under `hash` at once and returns what they complete, lowest first.
    ///
    /// The size must be a multiple of `2^height`, else later roots are those of no tree.
    pub fn push_subtree(&mut self, height: u8, hash: NodeHash) -> Vec<(u8, NodeHash)> {
        debug_assert!(self.size.trailing_zeros() >= u32::from(height), "subtrees are appended on their own border");
        let mut completed = Vec::from([(height, hash)]);
        let (mut height, mut hash) = (height, hash);
        self.size += 1 << height;
        while let Some((_, left)) = self.peaks.pop_if(|(peak, _)| *peak == height) {
            hash = node(&left, &hash);
            height += 1;
            completed.push((height, hash));
        }
        self.peaks.push((height, hash));
        completed
    }

    /// Returns the root of the tree so far.
    pub fn root(&self) -> NodeHash {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(last, |right, left| node(&left, &right)),
        }
    }
}

/// Returns the root of the first `size` leaves; `fetch` gives the perfect subtrees it needs.
pub fn root<E>(size: u64, fetch: &mut impl FnMut(u8, u64) -> Result<NodeHash, E>) -> Result<NodeHash, E> {
    if size == 0 { Ok(empty_root()) } else { subtree(0, size, fetch) }
}

/// Returns the proof that leaf `position` is in the tree of `size` leaves, lowest sibling first.
///
/// `None` when the position is not below the size (RFC 6962 section 2.1.1).
pub fn inclusion<E>(
    position: u64,
    size: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<NodeHash, E>,
) -> Result<Option<Vec<NodeHash>>, E> {
    if position >= size {
        return Ok(None);
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if position < middle {
            proof.push(subtree(middle, end, fetch)?);
            end = middle;
        } else {
            proof.push(subtree(start, middle, fetch)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Returns the proof that the tree of `old` leaves is a prefix of the tree of `new` leaves.
///
/// `None` when `old` is 0 or above `new` (RFC 6962 section 2.1.2).
pub fn consistency<E>(
    old: u64,
    new: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<NodeHash, E>,
) -> Result<Option<Vec<NodeHash>>, E> {
    if old == 0 || old > new {
        return Ok(None);
    }
    let (mut start, mut end, mut whole, mut proof) = (0, new, true, Vec::new());
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(subtree(middle, end, fetch)?);
            end = middle;
        } else {
            proof.push(subtree(start, middle, fetch)?);
            start = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(subtree(start, end, fetch)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Whether `proof` shows that `leaf` is at `position` of the tree of `size` leaves with this root.
pub fn verify_inclusion(leaf: &NodeHash, position: u64, size: u64, proof: &[NodeHash], root: &NodeHash) -> bool {
    if position >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (position, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `old` leaves is a prefix of the tree of `new` leaves.
///
/// Trees of equal size need an empty proof and equal roots. A tree without leaves is a prefix of every tree, and
/// its root must be the empty one.
pub fn verify_consistency(old: u64, new: u64, proof: &[NodeHash], old_root: &NodeHash, new_root: &NodeHash) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let mut path = proof.iter().copied();
    let first = if old.is_power_of_two() { Some(*old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let drop = (old - 1).trailing_ones();
    let (mut at, mut last) = ((old - 1).unbounded_shr(drop), (new - 1).unbounded_shr(drop));
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node(&sibling, &old_hash);
            new_hash = node(&sibling, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node(&new_hash, &sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// Returns the greatest power of two below `count`, which is at least 2.
pub(crate) fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

/// Returns the hash over the leaves `start..end`, where `start` lies on the border that RFC 6962 splits at.
pub(crate) fn subtree<E>(
    start: u64,
    end: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<NodeHash, E>,
) -> Result<NodeHash, E> {
    let mut peaks = Vec::new();
    let mut at = start;
    while at < end {
        let step = 63 - (end - at).leading_zeros();
        peaks.push(fetch(step as u8, at >> step)?);
        at += 1 << step;
    }
    let mut peaks = peaks.into_iter().rev();
    let last = peaks.next().unwrap_or_else(empty_root);
    Ok(peaks.fold(last, |right, left| node(&left, &right)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::unhex;
    use core::convert::Infallible;

    /// The leaves of the Certificate Transparency reference tests.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    /// Their roots for the sizes 1 to 8.
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn bytes(text: &str) -> Vec<u8> {
        unhex(text).unwrap()
    }

    fn hash(text: &str) -> NodeHash {
        bytes(text).try_into().unwrap()
    }

    fn published() -> Vec<NodeHash> {
        LEAVES.iter().map(|leaf| leaf_of(&bytes(leaf))).collect()
    }

    /// RFC 6962 section 2.1, word by word.
    fn naive(leaves: &[NodeHash]) -> NodeHash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
                node(&naive(left), &naive(right))
            }
        }
    }

    fn fetch(leaves: &[NodeHash]) -> impl FnMut(u8, u64) -> Result<NodeHash, Infallible> + '_ {
        |height, index| {
            let start = (index as usize) << height;
            Ok(naive(&leaves[start..start + (1 << height)]))
        }
    }

    fn included(leaves: &[NodeHash], position: u64) -> Vec<NodeHash> {
        inclusion(position, leaves.len() as u64, &mut fetch(leaves)).unwrap().unwrap()
    }

    fn consistent(leaves: &[NodeHash], old: u64) -> Vec<NodeHash> {
        consistency(old, leaves.len() as u64, &mut fetch(leaves)).unwrap().unwrap()
    }

    #[test]
    fn roots_are_those_published_for_certificate_transparency() {
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        for (leaf, root) in published().into_iter().zip(ROOTS) {
            let _ = frontier.push(leaf);
            assert_eq!(frontier.root(), hash(root), "size {}", frontier.size());
        }
    }

    #[test]
    fn proofs_are_those_published_for_certificate_transparency() {
        let leaves = published();
        assert_eq!(
            included(&leaves, 5),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
            .map(hash)
        );
        assert_eq!(
            included(&leaves[..3], 2),
            ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"].map(hash)
        );
        assert_eq!(
            consistent(&leaves, 6),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
            .map(hash)
        );
        assert_eq!(consistent(&leaves[..1], 1), Vec::<NodeHash>::new());
    }

    #[test]
    fn frontier_roots_and_proofs_agree_with_the_naive_recursion() {
        let all: Vec<NodeHash> = (0..70u64).map(|n| leaf_of(&n.to_be_bytes())).collect();
        let foreign = leaf_of(b"other");
        let mut frontier = Frontier::default();
        for size in 1..=all.len() as u64 {
            let leaves = &all[..size as usize];
            let whole = naive(leaves);
            let _ = frontier.push(leaves[size as usize - 1]);
            assert_eq!(frontier.root(), whole);
            assert_eq!(root(size, &mut fetch(leaves)).unwrap(), whole);
            for position in 0..size {
                let mut proof = included(leaves, position);
                let leaf = &leaves[position as usize];
                assert!(verify_inclusion(leaf, position, size, &proof, &whole));
                assert!(!verify_inclusion(&foreign, position, size, &proof, &whole));
                let (old, old_root) = (position + 1, naive(&leaves[..=position as usize]));
                let mut link = consistent(leaves, old);
                assert!(verify_consistency(old, size, &link, &old_root, &whole));
                for broken in [&mut proof, &mut link] {
                    broken.first_mut().into_iter().for_each(|hash| hash[0] ^= 1);
                }
                assert!(proof.is_empty() || !verify_inclusion(leaf, position, size, &proof, &whole));
                assert!(link.is_empty() || !verify_consistency(old, size, &link, &old_root, &whole));
                proof.push(whole);
                assert!(!verify_inclusion(leaf, position, size, &proof, &whole));
            }
        }
    }

    #[test]
    fn what_does_not_exist_has_no_proof() {
        let leaves = published();
        assert_eq!(inclusion(8, 8, &mut fetch(&leaves)).unwrap(), None);
        assert_eq!(consistency(0, 8, &mut fetch(&leaves)).unwrap(), None);
        assert_eq!(consistency(9, 8, &mut fetch(&leaves)).unwrap(), None);
        assert!(verify_consistency(0, 8, &[], &empty_root(), &hash(ROOTS[7])));
        assert!(!verify_consistency(u64::MAX, u64::MAX - 1, &[], &empty_root(), &hash(ROOTS[7])));
        assert!(!verify_consistency(u64::MAX - 1, u64::MAX, &[], &empty_root(), &hash(ROOTS[7])));
    }

    #[test]
    fn subtrees_appended_whole_give_the_same_frontier() {
        let all: Vec<NodeHash> = (0..75u64).map(|n| leaf_of(&n.to_be_bytes())).collect();
        for size in 0..all.len() {
            let (mut whole, mut single) = (Frontier::default(), Frontier::default());
            let (tiles, rest) = all[..size].split_at(size / 16 * 16);
            tiles.chunks(16).for_each(|tile| drop(whole.push_subtree(4, naive(tile))));
            rest.iter().for_each(|leaf| drop(whole.push_subtree(0, *leaf)));
            all[..size].iter().for_each(|leaf| drop(single.push_subtree(0, *leaf)));
            assert_eq!(whole, single);
        }
    }
}
