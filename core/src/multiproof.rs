//! A proof that several leaves are in one tree: each hash that the root needs once (RECEIPT-3).
//!
//! ```text
//! R(s, e) = a given node                              where none of the leaves is in s .. e
//!           the leaf                                  where e - s = 1
//!           node(R(s, s + k), R(s + k, e))            else, k the greatest power of two below e - s
//! ```

use crate::tree::{NodeHash, node, split, subtree};
use alloc::vec::Vec;

/// Returns the nodes beside the leaves at `positions`, which ascend and are below `size`, in the order in which
/// [`root_of`] takes them.
pub fn nodes_beside<E>(
    positions: &[u64],
    size: u64,
    fetch: &mut impl FnMut(u8, u64) -> Result<NodeHash, E>,
) -> Result<Vec<NodeHash>, E> {
    let mut nodes = Vec::new();
    beside((0, size), positions, fetch, &mut nodes)?;
    Ok(nodes)
}

fn beside<E>(
    (start, end): (u64, u64),
    positions: &[u64],
    fetch: &mut impl FnMut(u8, u64) -> Result<NodeHash, E>,
    nodes: &mut Vec<NodeHash>,
) -> Result<(), E> {
    if positions.is_empty() {
        nodes.push(subtree(start, end, fetch)?);
        return Ok(());
    }
    if end - start < 2 {
        return Ok(());
    }
    let middle = start + split(end - start);
    let (left, right) = positions.split_at(positions.partition_point(|position| *position < middle));
    beside((start, middle), left, fetch, nodes)?;
    beside((middle, end), right, fetch, nodes)
}

/// Returns the root of the tree of `size` leaves that these leaves and nodes make; `None` where positions do not ascend
/// below the size, or nodes are missing or left over.
pub fn root_of(leaves: &[(u64, NodeHash)], size: u64, nodes: &[NodeHash]) -> Option<NodeHash> {
    let ascend = leaves.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let below = leaves.last().is_some_and(|(last, _)| *last < size);
    let mut left = nodes.iter();
    let root = if ascend && below { over((0, size), leaves, &mut left) } else { None };
    root.filter(|_| left.next().is_none())
}

fn over(
    (start, end): (u64, u64),
    leaves: &[(u64, NodeHash)],
    nodes: &mut core::slice::Iter<'_, NodeHash>,
) -> Option<NodeHash> {
    match leaves {
        [] => nodes.next().copied(),
        [(_, leaf)] if end - start == 1 => Some(*leaf),
        leaves => {
            let middle = start + split(end - start);
            let (left, right) = leaves.split_at(leaves.partition_point(|(position, _)| *position < middle));
            let left = over((start, middle), left, nodes)?;
            Some(node(&left, &over((middle, end), right, nodes)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{leaf_of, root};
    use core::convert::Infallible;

    #[test]
    fn every_set_of_leaves_of_a_small_tree_proves_its_root_and_no_other() {
        let all: Vec<NodeHash> = (0..11u64).map(|n| leaf_of(&n.to_be_bytes())).collect();
        let mut fetch = |height: u8, index: u64| -> Result<NodeHash, Infallible> {
            let start = (index as usize) << height;
            let mut level = all[start..start + (1 << height)].to_vec();
            while level.len() > 1 {
                level = level.chunks(2).map(|pair| node(&pair[0], &pair[1])).collect();
            }
            Ok(level[0])
        };
        for size in 1..=11u64 {
            let whole = root(size, &mut fetch).unwrap();
            for set in 1..1u64 << size {
                let positions: Vec<u64> = (0..size).filter(|position| set >> position & 1 == 1).collect();
                let mut leaves: Vec<_> =
                    positions.iter().map(|position| (*position, all[*position as usize])).collect();
                let mut nodes = nodes_beside(&positions, size, &mut fetch).unwrap();
                assert_eq!(root_of(&leaves, size, &nodes), Some(whole));
                leaves[0].1[0] ^= 1;
                assert_ne!(root_of(&leaves, size, &nodes), Some(whole));
                leaves[0].1[0] ^= 1;
                nodes.push(whole);
                assert_eq!(root_of(&leaves, size, &nodes), None);
            }
        }
        assert_eq!(root_of(&[(3, all[3])], 3, &[]), None);
        assert_eq!(root_of(&[], 3, &[]), None);
    }
}
