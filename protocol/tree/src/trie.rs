//! One level of the tree: a persistent crit-bit trie whose in-order walk is the lexicographic order of its labels.
//!
//! A label is read as bits: before each byte a 1 ("there is more"), then its eight bits from the most significant on;
//! behind the last byte a 0. So a label sorts before every longer one it is a prefix of. A branch names the first bit
//! in which the labels below it differ. Nodes with one owner are changed in place, shared ones are copied.

use crate::{Node, Tree, hash};
use mains_types::Digest32;
use std::sync::{Arc, OnceLock};

const BITS_PER_BYTE: u64 = 9;

/// A part of a trie: never empty.
#[derive(Clone)]
pub(crate) enum Link {
    Branch(Arc<Branch>),
    Entry(Arc<Entry>),
}

/// Two parts whose labels agree before bit `position` and differ in it.
#[derive(Clone)]
pub(crate) struct Branch {
    position: u64,
    pub(crate) zero: Link,
    pub(crate) one: Link,
    digest: OnceLock<Digest32>,
}

/// A label and what stands at it.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) label: Arc<[u8]>,
    pub(crate) node: Node,
    content: OnceLock<Digest32>,
}

impl Branch {
    /// Whether a label belongs to the part `one`.
    pub(crate) fn goes_to_one(&self, label: &[u8]) -> bool {
        bit(label, self.position)
    }

    fn towards(&self, label: &[u8]) -> &Link {
        if self.goes_to_one(label) { &self.one } else { &self.zero }
    }

    fn towards_mut(&mut self, label: &[u8]) -> &mut Link {
        if self.goes_to_one(label) { &mut self.one } else { &mut self.zero }
    }
}

impl Entry {
    /// The hash of what stands at the label. Cached: a value may be megabytes long and is asked for again when it is
    /// pruned from a witness.
    pub(crate) fn content_digest(&self) -> Digest32 {
        *self.content.get_or_init(|| self.node.digest())
    }
}

impl Link {
    /// The hash of this part.
    pub(crate) fn digest(&self) -> Digest32 {
        match self {
            Self::Branch(branch) => {
                *branch.digest.get_or_init(|| hash::fork(&branch.zero.digest(), &branch.one.digest()))
            }
            Self::Entry(entry) => hash::labelled(&entry.label, &entry.content_digest()),
        }
    }

    fn branches_before(&self, position: u64) -> bool {
        matches!(self, Self::Branch(branch) if branch.position < position)
    }

    /// The entry with the smallest label.
    fn first(&self) -> &Entry {
        let mut link = self;
        loop {
            match link {
                Self::Branch(branch) => link = &branch.zero,
                Self::Entry(entry) => return entry,
            }
        }
    }

    /// The entry with the greatest label.
    fn last(&self) -> &Entry {
        let mut link = self;
        loop {
            match link {
                Self::Branch(branch) => link = &branch.one,
                Self::Entry(entry) => return entry,
            }
        }
    }

    /// The entry at which following a label's bits ends: it agrees with the label in more bits than any other or as many.
    fn nearest(&self, label: &[u8]) -> &Entry {
        let mut link = self;
        loop {
            match link {
                Self::Branch(branch) => link = branch.towards(label),
                Self::Entry(entry) => return entry,
            }
        }
    }
}

/// What stands at a label.
pub(crate) fn find<'a>(root: &'a Option<Link>, label: &[u8]) -> Option<&'a Node> {
    let entry = root.as_ref()?.nearest(label);
    (*entry.label == *label).then_some(&entry.node)
}

/// The place of a label for writing, made with an empty subtree in it if there was none. Whoever calls must leave no
/// empty subtree there.
pub(crate) fn slot<'a>(root: &'a mut Option<Link>, label: &[u8]) -> &'a mut Node {
    let Some(nearest) = root.as_ref().map(|link| link.nearest(label)) else {
        return entry_mut(root.insert(new_entry(label)));
    };
    let position = critical_position(label, &nearest.label);
    let mut link = root.as_mut().expect("not empty: the label has a nearest entry");
    while link.branches_before(position.unwrap_or(u64::MAX)) {
        let Link::Branch(branch) = link else { unreachable!("only a branch has a position") };
        let branch = Arc::make_mut(branch);
        branch.digest.take();
        link = branch.towards_mut(label);
    }
    let Some(position) = position else { return entry_mut(link) };
    let (zero, one) =
        if bit(label, position) { (link.clone(), new_entry(label)) } else { (new_entry(label), link.clone()) };
    *link = Link::Branch(Arc::new(Branch { position, zero, one, digest: OnceLock::new() }));
    let Link::Branch(branch) = link else { unreachable!("just made a branch") };
    entry_mut(Arc::make_mut(branch).towards_mut(label))
}

/// Takes a label and what stands at it away; `None` and no change if it is absent.
pub(crate) fn remove(root: &mut Option<Link>, label: &[u8]) -> Option<Node> {
    find(root, label)?;
    if let Some(Link::Entry(_)) = root {
        let Some(Link::Entry(entry)) = root.take() else { unreachable!("looked just above") };
        return Some(entry.node.clone());
    }
    let mut link = root.as_mut()?;
    loop {
        let Link::Branch(branch) = &*link else { unreachable!("an entry ends the loop one branch earlier") };
        if let Link::Entry(entry) = branch.towards(label) {
            let removed = entry.node.clone();
            *link = if branch.goes_to_one(label) { branch.zero.clone() } else { branch.one.clone() };
            return Some(removed);
        }
        let Link::Branch(branch) = link else { unreachable!("looked just above") };
        let branch = Arc::make_mut(branch);
        branch.digest.take();
        link = branch.towards_mut(label);
    }
}

/// The labels just before and just after an absent label. Both `None` only if the trie is empty.
pub(crate) fn neighbours<'a>(root: &'a Option<Link>, absent: &[u8]) -> (Option<&'a Entry>, Option<&'a Entry>) {
    let Some(mut link) = root.as_ref() else { return (None, None) };
    let Some(position) = critical_position(absent, &link.nearest(absent).label) else {
        unreachable!("asked only for labels that are absent")
    };
    let (mut before, mut after) = (None, None);
    while let Link::Branch(branch) = link
        && branch.position < position
    {
        if branch.goes_to_one(absent) {
            before = Some(&branch.zero);
        } else {
            after = Some(&branch.one);
        }
        link = branch.towards(absent);
    }
    // All labels below `link` agree with the absent one before `position`, and none does in it.
    if bit(absent, position) {
        (Some(link.last()), after.map(Link::first))
    } else {
        (before.map(Link::last), Some(link.first()))
    }
}

/// The entries in the order of their labels.
pub(crate) fn iter(root: &Option<Link>) -> impl Iterator<Item = (&[u8], &Node)> {
    let mut pending: Vec<&Link> = root.iter().collect();
    std::iter::from_fn(move || {
        let mut link = pending.pop()?;
        loop {
            match link {
                Link::Branch(branch) => {
                    pending.push(&branch.one);
                    link = &branch.zero;
                }
                Link::Entry(entry) => return Some((&*entry.label, &entry.node)),
            }
        }
    })
}

fn new_entry(label: &[u8]) -> Link {
    Link::Entry(Arc::new(Entry { label: label.into(), node: Node::Tree(Tree::new()), content: OnceLock::new() }))
}

fn entry_mut(link: &mut Link) -> &mut Node {
    let Link::Entry(entry) = link else { unreachable!("following a label's bits ends at an entry") };
    let entry = Arc::make_mut(entry);
    entry.content.take();
    &mut entry.node
}

/// The first bit in which two labels differ; `None` if they are equal.
fn critical_position(a: &[u8], b: &[u8]) -> Option<u64> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let start = common as u64 * BITS_PER_BYTE;
    match (a.get(common), b.get(common)) {
        (None, None) => None,
        (Some(a), Some(b)) => Some(start + 1 + u64::from((a ^ b).leading_zeros())),
        _ => Some(start),
    }
}

fn bit(label: &[u8], position: u64) -> bool {
    match (label.get((position / BITS_PER_BYTE) as usize), position % BITS_PER_BYTE) {
        (None, _) => false,
        (Some(_), 0) => true,
        (Some(byte), offset) => byte >> (8 - offset) & 1 == 1,
    }
}
