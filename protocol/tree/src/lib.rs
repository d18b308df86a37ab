//! A persistent labelled hash tree: what a certificate signs, and the only place that decides its shape.
//!
//! Each level is a crit-bit trie over its labels, so the shape, and with it the root hash, is a function of the content
//! alone and never of the order of insertions: a replica that rebuilds the tree after a restart signs the same root.
//! Nodes are shared between versions (`Clone` is O(1)); a digest is computed when somebody first asks for it, and only
//! for nodes that are new. Never does I/O. Spec: `specs/state.md`; hashing and lookup: IC interface specification,
//! "Certificate" and "Lookup".
//!
//! A trie of `n` labels of at most `b` bytes is at most `min(n - 1, 9 * b)` forks deep, which bounds every recursion
//! here; random ids make it about `log2(n) + 5`. The certificates of stock clients may nest 128 deep.

mod hash;
mod trie;
mod witness;

#[cfg(test)]
mod tests;

use mains_types::Digest32;
use std::{fmt, sync::Arc};
use trie::Link;

/// What stands at a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A value.
    Leaf(Arc<[u8]>),
    /// More labels.
    Tree(Tree),
}

impl Node {
    /// The value, or `None` if this is a subtree.
    pub fn leaf(&self) -> Option<&[u8]> {
        match self {
            Self::Leaf(bytes) => Some(bytes),
            Self::Tree(_) => None,
        }
    }

    /// The subtree, or `None` if this is a value.
    pub fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Leaf(_) => None,
            Self::Tree(tree) => Some(tree),
        }
    }

    fn digest(&self) -> Digest32 {
        match self {
            Self::Leaf(bytes) => hash::leaf(bytes),
            Self::Tree(tree) => tree.digest(),
        }
    }
}

/// A map from labels to values and further maps, with a hash over everything in it.
///
/// Holds no empty subtrees: one that would become empty is removed with its label, so that equal content always has
/// an equal digest. Equality compares digests.
#[derive(Clone, Default)]
pub struct Tree {
    root: Option<Link>,
}

impl Tree {
    /// A tree with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// What stands at `path`; `None` if nothing does or the path is empty.
    pub fn get<L: AsRef<[u8]>>(&self, path: &[L]) -> Option<&Node> {
        let (last, parents) = path.split_last()?;
        let mut tree = self;
        for label in parents {
            tree = trie::find(&tree.root, label.as_ref())?.tree()?;
        }
        trie::find(&tree.root, last.as_ref())
    }

    /// The value at `path`; `None` if nothing or a subtree stands there.
    pub fn leaf<L: AsRef<[u8]>>(&self, path: &[L]) -> Option<&[u8]> {
        self.get(path)?.leaf()
    }

    /// The children in the order of their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        trie::iter(&self.root)
    }

    /// Puts a value at `path`, replacing what is there and making the subtrees that lead to it.
    ///
    /// # Panics
    /// If the path is empty: a value needs a label.
    pub fn insert<L: AsRef<[u8]>>(&mut self, path: &[L], leaf: impl Into<Arc<[u8]>>) {
        self.put(path, Node::Leaf(leaf.into()));
    }

    /// Puts a subtree at `path`, replacing what is there. An empty one removes what is there.
    ///
    /// # Panics
    /// If the path is empty.
    pub fn insert_tree<L: AsRef<[u8]>>(&mut self, path: &[L], tree: Tree) {
        if tree.is_empty() {
            self.remove(path);
        } else {
            self.put(path, Node::Tree(tree));
        }
    }

    /// Takes away what stands at `path`, and every parent that has become empty by it. `None` and no change if nothing
    /// stands there.
    pub fn remove<L: AsRef<[u8]>>(&mut self, path: &[L]) -> Option<Node> {
        self.get(path)?;
        self.remove_present(path)
    }

    /// The root hash. Costs a few hashes per node that is new since it was last asked for, on any version.
    pub fn digest(&self) -> Digest32 {
        self.root.as_ref().map_or_else(hash::empty, Link::digest)
    }

    /// The part of this tree that proves what stands, or that nothing stands, at each of `paths`; the rest is pruned to
    /// digests. The result has this tree's root hash.
    ///
    /// A path reveals everything below it. For a label that is absent the two neighbouring labels are revealed without
    /// their content, which is what an absence proof needs. The caller decides who may see what.
    pub fn witness<P, L>(&self, paths: &[P]) -> ic_certification::HashTree
    where
        P: AsRef<[L]>,
        L: AsRef<[u8]>,
    {
        witness::witness(self, paths)
    }

    fn put<L: AsRef<[u8]>>(&mut self, path: &[L], node: Node) {
        let (last, parents) = path.split_last().expect("a value needs a label");
        let mut tree = self;
        for label in parents {
            let slot = trie::slot(&mut tree.root, label.as_ref());
            if let Node::Leaf(_) = slot {
                *slot = Node::Tree(Tree::new());
            }
            let Node::Tree(below) = slot else { unreachable!("made a subtree just above") };
            tree = below;
        }
        *trie::slot(&mut tree.root, last.as_ref()) = node;
    }

    fn remove_present<L: AsRef<[u8]>>(&mut self, path: &[L]) -> Option<Node> {
        let (label, rest) = path.split_first()?;
        if rest.is_empty() {
            return trie::remove(&mut self.root, label.as_ref());
        }
        let Node::Tree(below) = trie::slot(&mut self.root, label.as_ref()) else { return None };
        let removed = below.remove_present(rest);
        if below.is_empty() {
            trie::remove(&mut self.root, label.as_ref());
        }
        removed
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Tree {}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(label, node)| (label.escape_ascii().to_string(), node))).finish()
    }
}
