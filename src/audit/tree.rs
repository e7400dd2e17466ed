//! The Merkle tree of RFC 6962, section 2.1: roots, proofs of inclusion and of consistency. Pure.
//!
//! A leaf's hash is SHA-256(0x00 || entry), a node's SHA-256(0x01 || left || right). A node is named by its level
//! (0 for leaves) and its place on that level; only complete subtrees are ever read.

use ring::digest;

use crate::domain::digest::Digest;

/// The root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// The hash of an entry.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0x00]);
    context.update(entry);
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    Digest(out)
}

/// The hash of two subtrees.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0x01; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Digest::of(&bytes)
}

/// What it takes to grow a tree and to know its root: the roots of its complete subtrees, the largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Digest>,
}

impl Frontier {
    /// A frontier as it was stored: `size`, and one node for each bit set in it. `None` if the numbers don't agree.
    pub fn from_nodes(size: u64, nodes: Vec<Digest>) -> Option<Self> {
        (nodes.len() == size.count_ones() as usize).then_some(Self { size, nodes })
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    pub fn nodes(&self) -> &[Digest] {
        &self.nodes
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Digest) {
        self.grow(leaf, |_, _| {});
    }

    /// Adds a leaf, and tells of each subtree that is complete with it: its level, from 0 for the leaf, and its root.
    pub fn grow(&mut self, leaf: Digest, mut complete: impl FnMut(usize, &Digest)) {
        let mut node = leaf;
        let mut size = self.size;
        let mut level = 0;
        complete(level, &node);
        while size & 1 == 1 {
            if let Some(left) = self.nodes.pop() {
                node = node_hash(&left, &node);
            }
            size >>= 1;
            level += 1;
            complete(level, &node);
        }
        self.nodes.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    pub fn root(&self) -> Digest {
        fold(&self.nodes).unwrap_or_else(empty_root)
    }
}

/// Joins the roots of neighbouring complete subtrees, the largest first.
fn fold(nodes: &[Digest]) -> Option<Digest> {
    let (last, rest) = nodes.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// The root over the leaves `from..to`, read from complete subtrees. `from` is a multiple of the largest power of two
/// below `to - from`, as it is for every node of the tree.
pub fn range_root<E>(from: u64, to: u64, read: &mut impl FnMut(u8, u64) -> Result<Digest, E>) -> Result<Digest, E> {
    let mut nodes = Vec::new();
    let mut at = from;
    while at < to {
        let level = (to - at).ilog2();
        #[expect(clippy::cast_possible_truncation, reason = "a level is below 64")]
        nodes.push(read(level as u8, at >> level)?);
        at += 1 << level;
    }
    Ok(fold(&nodes).unwrap_or_else(empty_root))
}

/// The largest power of two below `size`, for `size` of at least 2.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The proof that the entry at `index` is in the tree of `size` leaves: the siblings from the leaf up. Empty where
/// `index` is not below `size`.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut read: impl FnMut(u8, u64) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let (mut from, mut to) = (0, size);
    let mut siblings = Vec::new();
    while index < size && to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            siblings.push((middle, to));
            to = middle;
        } else {
            siblings.push((from, middle));
            from = middle;
        }
    }
    siblings.iter().rev().map(|(from, to)| range_root(*from, *to, &mut read)).collect()
}

/// Whether the proof shows that the leaf stands at `index` in the tree with this size and root (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut node = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            node = node_hash(sibling, &node);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}

/// The proof that the tree of `new` leaves begins with the tree of `old` leaves. Empty where `old` is 0 or not below
/// `new`.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    mut read: impl FnMut(u8, u64) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    let (mut from, mut to) = (0, new);
    let mut parts = Vec::new();
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            parts.push((middle, to));
            to = middle;
        } else {
            parts.push((from, middle));
            from = middle;
        }
    }
    if from != 0 {
        parts.push((from, to));
    }
    parts.iter().rev().map(|(from, to)| range_root(*from, *to, &mut read)).collect()
}

/// Whether the proof shows that the second tree begins with the first (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: u64, old_root: &Digest, new: u64, new_root: &Digest, proof: &[Digest]) -> bool {
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    if old > new {
        return false;
    }
    let mut path = proof.iter();
    let start = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(start) = start else { return false };
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut first, mut second) = (*start, *start);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            first = node_hash(sibling, &first);
            second = node_hash(sibling, &second);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            second = node_hash(&second, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && first == *old_root && second == *new_root
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// RFC 6962, section 2.1, word for word.
    fn naive(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&naive(left), &naive(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    fn reader(leaves: &[Digest]) -> impl FnMut(u8, u64) -> Result<Digest, Infallible> + '_ {
        |level, place| {
            let from = usize::try_from(place << level).unwrap();
            Ok(naive(&leaves[from..from + (1 << level)]))
        }
    }

    #[test]
    fn the_frontier_gives_the_root_of_the_naive_tree() {
        let leaves = leaves(130);
        let mut frontier = Frontier::default();
        assert_eq!(
            frontier.root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "the empty tree"
        );
        for (n, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            assert_eq!(frontier.root(), naive(&leaves[..=n]));
            assert_eq!(Frontier::from_nodes(frontier.size(), frontier.nodes().to_vec()), Some(frontier.clone()));
        }
        assert_eq!(Frontier::from_nodes(3, leaves[..3].to_vec()), None);
    }

    #[test]
    fn inclusion_is_proved_for_every_leaf_and_for_no_other() {
        let leaves = leaves(70);
        for size in 1..=70 {
            let root = naive(&leaves[..size]);
            for index in 0..size {
                let (at, of) = (index as u64, size as u64);
                let proof = inclusion_proof(at, of, reader(&leaves)).unwrap();
                assert!(verify_inclusion(&leaves[index], at, of, &proof, &root), "{index} of {size}");
                assert!(!verify_inclusion(&leaves[(index + 1) % 70], at, of, &proof, &root));
                assert!(!verify_inclusion(&leaves[index], at + 1, of, &proof, &root));
                assert!(!verify_inclusion(&leaves[index], at, of, &proof, &empty_root()));
                if let Some((_, short)) = proof.split_last() {
                    assert!(!verify_inclusion(&leaves[index], at, of, short, &root));
                }
                let long = [&proof[..], &[root]].concat();
                assert!(!verify_inclusion(&leaves[index], at, of, &long, &root));
            }
        }
    }

    #[test]
    fn consistency_is_proved_for_every_prefix_and_for_no_other() {
        let leaves = leaves(70);
        for new in 0..=70 {
            let new_root = naive(&leaves[..new]);
            for old in 0..=new {
                let (old_root, was, is) = (naive(&leaves[..old]), old as u64, new as u64);
                let proof = consistency_proof(was, is, reader(&leaves)).unwrap();
                assert!(verify_consistency(was, &old_root, is, &new_root, &proof), "{old} to {new}");
                if old != new {
                    assert!(!verify_consistency(was, &leaf_hash(b"x"), is, &new_root, &proof));
                    assert!(!verify_consistency(is, &new_root, was, &old_root, &proof));
                }
                if old != new && old != 0 {
                    assert!(!verify_consistency(was, &old_root, is, &leaf_hash(b"x"), &proof));
                }
            }
        }
    }
}
