//! One node of a page tree: sixteen children, each a node or (on the lowest level) a page.

use super::{Page, page::Held};
use mains_types::Digest32;
use std::sync::{Arc, OnceLock};

/// Children of a node.
pub(super) const FANOUT: usize = 16;
/// Bits of the index that one level consumes.
pub(super) const FANOUT_BITS: u32 = 4;
/// Bytes before the children's digests, and with all of them.
pub(super) const CONTENT_HEAD: usize = 3;
pub(super) const CONTENT_MAX: usize = CONTENT_HEAD + FANOUT * 32;

/// A subtree with the number of its levels, or nothing.
pub(super) type View<'a> = Option<(&'a Node, u32)>;

#[derive(Clone)]
pub(super) struct Node {
    children: Children,
    /// Pages below.
    count: u64,
    /// Set once the digest was asked for; cleared by every change.
    digest: OnceLock<Digest32>,
}

#[derive(Clone)]
enum Children {
    Pages(Box<[Option<Leaf>; FANOUT]>),
    Nodes([Option<Arc<Node>>; FANOUT]),
}

#[derive(Clone)]
struct Leaf {
    page: Held,
    digest: OnceLock<Digest32>,
}

impl Node {
    /// An empty node with `height` levels below and including it.
    pub(super) fn new(height: u32) -> Self {
        let children =
            if height <= 1 { Children::Pages(Box::default()) } else { Children::Nodes(<[_; FANOUT]>::default()) };
        Self { children, count: 0, digest: OnceLock::new() }
    }

    /// The node whose first child is `child`.
    pub(super) fn above(child: Arc<Node>) -> Self {
        let mut nodes = <[_; FANOUT]>::default();
        let count = child.count;
        nodes[0] = Some(child);
        Self { children: Children::Nodes(nodes), count, digest: OnceLock::new() }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn get(&self, index: u64, height: u32) -> Option<&Held> {
        let slot = slot(index, height);
        match &self.children {
            Children::Pages(leaves) => leaves[slot].as_ref().map(|leaf| &leaf.page),
            Children::Nodes(nodes) => nodes[slot].as_ref()?.get(index, height - 1),
        }
    }

    /// Puts a page; tells whether there was none before.
    pub(super) fn set(&mut self, index: u64, page: &Page, height: u32) -> bool {
        self.digest = OnceLock::new();
        let slot = slot(index, height);
        let is_new = match &mut self.children {
            Children::Pages(leaves) => {
                let page = Held::new(page, leaves[slot].as_ref().map(|leaf| &leaf.page));
                leaves[slot].replace(Leaf { page, digest: OnceLock::new() }).is_none()
            }
            Children::Nodes(nodes) => {
                let child = nodes[slot].get_or_insert_with(|| Arc::new(Node::new(height - 1)));
                Arc::make_mut(child).set(index, page, height - 1)
            }
        };
        self.count += u64::from(is_new);
        is_new
    }

    /// Removes a page that is present.
    pub(super) fn remove(&mut self, index: u64, height: u32) {
        self.digest = OnceLock::new();
        self.count -= 1;
        let slot = slot(index, height);
        match &mut self.children {
            Children::Pages(leaves) => leaves[slot] = None,
            Children::Nodes(nodes) => {
                if let Some(child) = &mut nodes[slot] {
                    Arc::make_mut(child).remove(index, height - 1);
                    if child.count == 0 {
                        nodes[slot] = None;
                    }
                }
            }
        }
    }

    /// Removes the pages from `index` on.
    pub(super) fn truncate(&mut self, index: u64, height: u32) {
        self.digest = OnceLock::new();
        let first = slot(index, height);
        match &mut self.children {
            Children::Pages(leaves) => {
                leaves[first..].fill_with(|| None);
                self.count = leaves.iter().flatten().count() as u64;
            }
            Children::Nodes(nodes) => {
                nodes[first + 1..].fill_with(|| None);
                if let Some(child) = &mut nodes[first] {
                    Arc::make_mut(child).truncate(index, height - 1);
                    if child.count == 0 {
                        nodes[first] = None;
                    }
                }
                self.count = nodes.iter().flatten().map(|node| node.count).sum();
            }
        }
    }

    /// The first child, if it is a node and the only one.
    pub(super) fn only_first_child(&self) -> Option<Arc<Node>> {
        match &self.children {
            Children::Nodes(nodes) => nodes[0].as_ref().filter(|child| child.count == self.count).cloned(),
            Children::Pages(_) => None,
        }
    }

    pub(super) fn iter(&self, base: u64, height: u32) -> Box<dyn Iterator<Item = (u64, &Held)> + '_> {
        match &self.children {
            Children::Pages(leaves) => Box::new(
                leaves.iter().enumerate().filter_map(move |(at, leaf)| Some((base + at as u64, &leaf.as_ref()?.page))),
            ),
            Children::Nodes(nodes) => Box::new(
                nodes
                    .iter()
                    .enumerate()
                    .filter_map(|(at, node)| Some((at, node.as_ref()?)))
                    .flat_map(move |(at, node)| node.iter(child_base(base, at, height), height - 1)),
            ),
        }
    }

    /// BLAKE3 over the node's height, which children are present, and their digests.
    pub(super) fn digest(&self, height: u32) -> Digest32 {
        *self.digest.get_or_init(|| {
            let (bytes, end) = self.content(height);
            *blake3::hash(&bytes[..end]).as_bytes()
        })
    }

    /// The bytes that the digest is of: height, which children are present, their digests; and how many they are.
    pub(super) fn content(&self, height: u32) -> ([u8; CONTENT_MAX], usize) {
        let mut present = 0u16;
        let mut bytes = [0u8; CONTENT_MAX];
        let mut end = CONTENT_HEAD;
        for at in 0..FANOUT {
            let digest = match &self.children {
                Children::Pages(leaves) => leaves[at].as_ref().map(Leaf::digest),
                Children::Nodes(nodes) => nodes[at].as_ref().map(|node| node.digest(height - 1)),
            };
            if let Some(digest) = digest {
                present |= 1 << at;
                bytes[end..end + 32].copy_from_slice(&digest);
                end += 32;
            }
        }
        bytes[0] = height as u8;
        bytes[1..3].copy_from_slice(&present.to_be_bytes());
        (bytes, end)
    }

    /// What stands in a place, a page with its digest.
    pub(super) fn child_at(&self, at: usize) -> Option<Child<'_>> {
        match &self.children {
            Children::Pages(leaves) => leaves[at].as_ref().map(|leaf| Child::Page(&leaf.page, leaf.digest())),
            Children::Nodes(nodes) => nodes[at].as_deref().map(Child::Node),
        }
    }

    /// Puts a page with its digest into an empty place of a node that is being built.
    pub(super) fn put_page(&mut self, at: usize, page: Held, digest: Digest32) {
        if let Children::Pages(leaves) = &mut self.children {
            leaves[at] = Some(Leaf { page, digest: digest.into() });
            self.count += 1;
        }
    }

    /// Puts a node into an empty place of a node that is being built.
    pub(super) fn put_node(&mut self, at: usize, node: Arc<Node>) {
        if let Children::Nodes(nodes) = &mut self.children {
            self.count += node.count;
            nodes[at] = Some(node);
        }
    }

    /// Tells a node that was built from its content the digest of that.
    pub(super) fn know_digest(&mut self, digest: Digest32) {
        self.digest = digest.into();
    }

    fn child(&self, at: usize) -> Option<&Node> {
        match &self.children {
            Children::Nodes(nodes) => nodes[at].as_deref(),
            Children::Pages(_) => None,
        }
    }

    fn page(&self, at: usize) -> Option<&Held> {
        match &self.children {
            Children::Pages(leaves) => leaves[at].as_ref().map(|leaf| &leaf.page),
            Children::Nodes(_) => None,
        }
    }
}

/// What a node holds in one place.
pub(super) enum Child<'a> {
    Node(&'a Node),
    Page(&'a Held, Digest32),
}

/// Replaces parts of `node` by equal ones of `other`; both have `height` levels.
pub(super) fn share(node: &mut Arc<Node>, other: &Arc<Node>, height: u32) {
    if Arc::ptr_eq(node, other) {
        return;
    }
    if node.digest(height) == other.digest(height) {
        *node = other.clone();
        return;
    }
    match (&mut Arc::make_mut(node).children, &other.children) {
        (Children::Pages(leaves), Children::Pages(others)) => {
            for (leaf, other) in leaves.iter_mut().zip(others.iter()) {
                let (Some(leaf), Some(other)) = (leaf, other) else { continue };
                if leaf.digest() == other.digest() {
                    *leaf = other.clone();
                } else if let Some(page) = leaf.page.with(|page| Held::patched(page, other.page.base())) {
                    leaf.page = page;
                }
            }
        }
        (Children::Nodes(nodes), Children::Nodes(others)) => {
            for (node, other) in nodes.iter_mut().zip(others) {
                if let (Some(node), Some(other)) = (node, other) {
                    share(node, other, height - 1);
                }
            }
        }
        _ => {}
    }
}

impl Leaf {
    fn digest(&self) -> Digest32 {
        *self.digest.get_or_init(|| self.page.with(|page| *blake3::hash(page).as_bytes()))
    }
}

/// Visits where `new` differs from `old`, both seen as subtrees of `height` levels that begin at page `base`.
pub(super) fn diff(new: View<'_>, old: View<'_>, height: u32, base: u64, visit: &mut dyn FnMut(u64, Option<&Page>)) {
    match (new, old) {
        (None, None) => return,
        (Some((a, _)), Some((b, _))) if std::ptr::eq(a, b) => return,
        _ => {}
    }
    for at in 0..FANOUT {
        if height > 1 {
            diff(below(new, at, height), below(old, at, height), height - 1, child_base(base, at, height), visit);
            continue;
        }
        let (now, before) = (new.and_then(|(node, _)| node.page(at)), old.and_then(|(node, _)| node.page(at)));
        let is_equal = match (now, before) {
            (Some(a), Some(b)) => a.is(b) || a.with(|page| b.equals(page)),
            (None, None) => true,
            _ => false,
        };
        let index = base + at as u64;
        match now {
            _ if is_equal => {}
            Some(page) => page.with(|page| visit(index, Some(page))),
            None => visit(index, None),
        }
    }
}

/// The child of a subtree seen at `height`; a tree with fewer levels stands in the first place.
fn below(view: View<'_>, at: usize, height: u32) -> View<'_> {
    let (node, own) = view?;
    if own < height {
        return (at == 0).then_some((node, own));
    }
    node.child(at).map(|child| (child, own - 1))
}

fn slot(index: u64, height: u32) -> usize {
    ((index >> (FANOUT_BITS * (height - 1))) & (FANOUT as u64 - 1)) as usize
}

fn child_base(base: u64, at: usize, height: u32) -> u64 {
    base + ((at as u64) << (FANOUT_BITS * (height - 1)))
}
