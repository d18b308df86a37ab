//! Cuts out of a tree what proves the answers to some paths.

use crate::{
    Node, Tree,
    trie::{self, Entry, Link},
};
use ic_certification::{HashTree, empty, fork, labeled, leaf, pruned};
use std::collections::BTreeMap;

/// What a reader asked for at one level: paths merged by their labels.
#[derive(Default)]
struct Selection<'a> {
    everything: bool,
    labels: BTreeMap<&'a [u8], Selection<'a>>,
}

impl<'a> Selection<'a> {
    fn of<P: AsRef<[L]>, L: AsRef<[u8]> + 'a>(paths: &'a [P]) -> Self {
        let mut root = Self::default();
        for path in paths {
            let mut selection = &mut root;
            for label in path.as_ref() {
                selection = selection.labels.entry(label.as_ref()).or_default();
            }
            selection.everything = true;
        }
        root
    }
}

/// A label to reveal, and what of its content (`None`: only its hash).
type Revealed<'a> = (&'a [u8], Option<&'a Selection<'a>>);

pub(crate) fn witness<P: AsRef<[L]>, L: AsRef<[u8]>>(tree: &Tree, paths: &[P]) -> HashTree {
    tree_part(tree, &Selection::of(paths))
}

fn tree_part(tree: &Tree, selection: &Selection<'_>) -> HashTree {
    let Some(root) = &tree.root else { return empty() };
    if selection.everything {
        return whole(root);
    }
    let mut revealed: BTreeMap<&[u8], Option<&Selection<'_>>> = BTreeMap::new();
    for (label, below) in &selection.labels {
        if trie::find(&tree.root, label).is_some() {
            revealed.insert(label, Some(below));
            continue;
        }
        let (before, after) = trie::neighbours(&tree.root, label);
        for entry in before.into_iter().chain(after) {
            revealed.entry(&entry.label).or_insert(None);
        }
    }
    link_part(root, &revealed.into_iter().collect::<Vec<_>>())
}

/// `revealed` holds, in order, labels that are all below `link`.
fn link_part(link: &Link, revealed: &[Revealed<'_>]) -> HashTree {
    if revealed.is_empty() {
        return pruned(link.digest());
    }
    match link {
        Link::Branch(branch) => {
            let (zero, one) = revealed.split_at(revealed.partition_point(|(label, _)| !branch.goes_to_one(label)));
            fork(link_part(&branch.zero, zero), link_part(&branch.one, one))
        }
        Link::Entry(entry) => labeled(&*entry.label, content_part(entry, revealed[0].1)),
    }
}

fn content_part(entry: &Entry, selection: Option<&Selection<'_>>) -> HashTree {
    match (selection, &entry.node) {
        (None, _) => pruned(entry.content_digest()),
        // A path that leads through a value proves by it that nothing stands below.
        (Some(_), Node::Leaf(bytes)) => leaf(&**bytes),
        (Some(selection), Node::Tree(tree)) => tree_part(tree, selection),
    }
}

fn whole(link: &Link) -> HashTree {
    match link {
        Link::Branch(branch) => fork(whole(&branch.zero), whole(&branch.one)),
        Link::Entry(entry) => {
            let content = match &entry.node {
                Node::Leaf(bytes) => leaf(&**bytes),
                Node::Tree(tree) => tree.root.as_ref().map_or_else(empty, whole),
            };
            labeled(&*entry.label, content)
        }
    }
}
