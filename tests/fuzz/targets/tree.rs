//! Trees and their proofs: those of a tree that is worked out word for word, and no others.

use std::convert::Infallible;

use bewaard::audit::tree::{
    Frontier, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, verify_consistency,
    verify_inclusion,
};
use bewaard::domain::digest::Digest;

use super::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let count = input.below(80);
    let leaves: Vec<Digest> = (0..count).map(|n| leaf_hash(&[7, u8::try_from(n).unwrap_or(0)])).collect();
    let mut frontier = Frontier::default();
    for leaf in &leaves {
        frontier.push(*leaf);
    }
    assert_eq!(frontier.root(), root(&leaves));
    if input.flag() { inclusion(&leaves, &mut input) } else { consistency(&leaves, &mut input) }
}

/// RFC 6962, section 2.1, word for word.
pub(super) fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = halves(leaves);
            node_hash(&root(left), &root(right))
        }
    }
}

fn halves(leaves: &[Digest]) -> (&[Digest], &[Digest]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

/// RFC 6962, section 2.1.1.
fn path(index: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = halves(leaves);
    let (mut path, sibling) = if index < left.len() {
        (path(index, left), root(right))
    } else {
        (path(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}

/// RFC 6962, section 2.1.2.
fn growth(old: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = halves(leaves);
    let (mut proof, sibling) = if old <= left.len() {
        (growth(old, left, whole), root(right))
    } else {
        (growth(old - left.len(), right, false), root(left))
    };
    proof.push(sibling);
    proof
}

fn reader(leaves: &[Digest]) -> impl FnMut(u8, u64) -> Result<Digest, Infallible> + '_ {
    |level, place| {
        let from = usize::try_from(place << level).unwrap_or(usize::MAX);
        Ok(root(&leaves[from..from + (1 << level)]))
    }
}

fn inclusion(leaves: &[Digest], input: &mut Input<'_>) {
    let (size, index) = (leaves.len(), input.below(leaves.len()));
    let Some(leaf) = leaves.get(index) else { return };
    let (root, at, of) = (root(leaves), index as u64, size as u64);
    let proof = inclusion_proof(at, of, reader(leaves)).unwrap_or_else(|never| match never {});
    assert_eq!(proof, path(index, leaves));
    assert!(verify_inclusion(leaf, at, of, &proof, &root));
    let altered = altered(&proof, leaves, input);
    assert_eq!(verify_inclusion(leaf, at, of, &altered, &root), altered == proof, "an altered proof");
    let other = input.below(size);
    assert_eq!(verify_inclusion(&leaves[other], at, of, &proof, &root), other == index, "another entry");
    assert_eq!(verify_inclusion(leaf, other as u64, of, &proof, &root), other == index, "another place");
    let far = u64::from(input.number()) << input.below(33);
    assert_eq!(verify_inclusion(leaf, far, of, &proof, &root), far == at, "a place far away");
    // Sizes come from signed checkpoints, with the root that belongs to them; any other may only be refused or read.
    verify_inclusion(leaf, at, u64::MAX - far, &altered, &root);
}

fn consistency(leaves: &[Digest], input: &mut Input<'_>) {
    let (size, old) = (leaves.len(), input.below(leaves.len() + 1));
    let (was, is) = (old as u64, size as u64);
    let (before, after) = (root(&leaves[..old]), root(leaves));
    let proof = consistency_proof(was, is, reader(leaves)).unwrap_or_else(|never| match never {});
    if old > 0 && old < size {
        assert_eq!(proof, growth(old, leaves, true));
    }
    assert!(verify_consistency(was, &before, is, &after, &proof));
    let altered = altered(&proof, leaves, input);
    assert_eq!(verify_consistency(was, &before, is, &after, &altered), altered == proof, "an altered proof");
    // Another history of the same length.
    let mut other = leaves[..old].to_vec();
    if let Some(leaf) = other.last_mut() {
        *leaf = leaf_hash(b"another");
        assert!(!verify_consistency(was, &root(&other), is, &after, &altered), "another history");
    }
    let far = u64::from(input.number()) << input.below(33);
    verify_consistency(far, &before, is, &after, &altered);
    verify_consistency(was, &before, u64::MAX - far, &after, &altered);
}

/// A proof as somebody without the tree, or with all of it, may alter it.
fn altered(proof: &[Digest], leaves: &[Digest], input: &mut Input<'_>) -> Vec<Digest> {
    let mut proof = proof.to_vec();
    for _ in 0..input.byte() % 4 {
        let at = input.below(proof.len());
        let from = input.below(leaves.len() + 1);
        let hash = root(&leaves[from..(from + input.below(9)).min(leaves.len())]);
        match input.byte() % 5 {
            0 if !proof.is_empty() => proof[at].0[input.below(32)] ^= input.byte(),
            1 if !proof.is_empty() => drop(proof.remove(at)),
            2 => proof.insert(at, hash),
            3 if !proof.is_empty() => proof[at] = hash,
            4 if !proof.is_empty() => proof.rotate_left(at),
            _ => {}
        }
    }
    proof
}
