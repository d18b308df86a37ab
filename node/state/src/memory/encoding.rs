//! Page trees as objects: pages and nodes under the digests that they have anyway.
//!
//! In the encoding of a state a tree is the number of its root in the table of memories, from 1; 0 is the empty one.

use super::{
    PAGE_BYTES, Page, PageTree, ZEROES,
    node::{CONTENT_HEAD, Child, FANOUT, FANOUT_BITS, Node},
    page::Held,
};
use crate::{
    blob::ReadError,
    objects::{self, ObjectSink, ObjectSource},
    shared,
};
use mains_types::Digest32;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, sync::Arc};

/// Levels that page indices of 64 bits may need.
const HEIGHT_MAX: u32 = 16;

/// Whole pages at one index that others are held as differences to, after a state was read.
const BASES_MAX: usize = 4;

/// Collects the trees that are encoded.
#[derive(Default)]
pub(crate) struct PagesWriter {
    trees: Vec<PageTree>,
    numbers: BTreeMap<Digest32, u64>,
}

impl PagesWriter {
    /// The number of a tree.
    pub(crate) fn number(&mut self, tree: &PageTree) -> u64 {
        if tree.is_empty() {
            return 0;
        }
        let next = self.trees.len() as u64 + 1;
        let number = *self.numbers.entry(tree.digest()).or_insert(next);
        if number == next {
            self.trees.push(tree.clone());
        }
        number
    }

    /// Puts what of the trees is not kept; returns the table of memories.
    pub(crate) fn write(self, sink: &mut dyn ObjectSink) -> Vec<(u32, Digest32)> {
        let is_complete = sink.is_complete();
        for tree in &self.trees {
            if let Some(root) = &tree.root {
                write_node(root, tree.height, is_complete, sink);
            }
        }
        self.trees.iter().map(|tree| (tree.height, tree.digest())).collect()
    }
}

/// Puts a node after everything below it. Below a node that is kept there is nothing to do.
fn write_node(node: &Node, height: u32, is_complete: bool, sink: &mut dyn ObjectSink) {
    let digest = node.digest(height);
    let is_kept = sink.holds(&digest);
    if is_kept && is_complete {
        return;
    }
    for at in 0..FANOUT {
        match node.child_at(at) {
            Some(Child::Node(child)) => write_node(child, height - 1, is_complete, sink),
            Some(Child::Page(page, digest)) if !sink.holds(&digest) => page.with(|page| sink.put(digest, page)),
            None | Some(Child::Page(..)) => {}
        }
    }
    if !is_kept {
        let (bytes, end) = node.content(height);
        sink.put(digest, &bytes[..end]);
    }
}

/// The children of a node with these bytes: their places and digests.
///
/// # Errors
/// The bytes are not those of a node with so many levels.
pub(crate) fn node_children(bytes: &[u8], height: u32) -> Result<Vec<(usize, Digest32)>, String> {
    let malformed = || Err("a node of a memory has no proper form".into());
    let Some((head, rest)) = bytes.split_at_checked(CONTENT_HEAD) else { return malformed() };
    let present = u16::from_be_bytes([head[1], head[2]]);
    let (digests, odd) = rest.as_chunks::<32>();
    let fits = (1..=HEIGHT_MAX).contains(&height) && u32::from(head[0]) == height;
    if !fits || present == 0 || present.count_ones() as usize != digests.len() || !odd.is_empty() {
        return malformed();
    }
    let places = (0..FANOUT).filter(|at| present >> at & 1 == 1);
    Ok(places.zip(digests.iter().copied()).collect())
}

/// The memories of a state that is decoded.
#[derive(Default)]
pub(crate) struct PagesReader {
    trees: Vec<PageTree>,
    /// Trees met so far.
    met: usize,
}

impl PagesReader {
    /// Builds all memories of a table. What stands in several places is read and held once.
    ///
    /// # Errors
    /// An object is missing, damaged, or not what [`PagesWriter`] puts.
    pub(crate) fn read(table: &[(u32, Digest32)], source: &dyn ObjectSource) -> Result<Self, ReadError> {
        let mut building = Building { source, nodes: BTreeMap::new(), pages: BTreeMap::new(), bases: BTreeMap::new() };
        let mut trees = Vec::with_capacity(table.len());
        for (height, digest) in table {
            let root = building.node(digest, *height, 0)?;
            if root.only_first_child().is_some() {
                return Err(ReadError::Malformed("a memory is higher than it must be".into()));
            }
            trees.push(PageTree { root: Some(root), height: *height });
        }
        Ok(Self { trees, met: 0 })
    }

    /// The tree with this number.
    ///
    /// # Errors
    /// There is none, or numbers do not follow the order in which they are met.
    pub(crate) fn tree(&mut self, number: u64) -> Result<PageTree, &'static str> {
        let Some(number) = number.checked_sub(1).map(|number| number as usize) else { return Ok(PageTree::default()) };
        let tree = self.trees.get(number).filter(|_| number <= self.met);
        let tree = tree.ok_or("a memory is missing or out of order")?.clone();
        self.met = self.met.max(number + 1);
        Ok(tree)
    }

    /// Whether every memory belongs to the state that was decoded.
    pub(crate) fn all_met(&self) -> bool {
        self.met == self.trees.len()
    }
}

struct Building<'a> {
    source: &'a dyn ObjectSource,
    nodes: BTreeMap<(u32, Digest32), Arc<Node>>,
    pages: BTreeMap<Digest32, Held>,
    /// Whole pages by index.
    bases: BTreeMap<u64, Vec<Arc<Page>>>,
}

impl Building<'_> {
    /// The node with this digest, which stands at page index `base`.
    fn node(&mut self, digest: &Digest32, height: u32, base: u64) -> Result<Arc<Node>, ReadError> {
        let bytes = match self.nodes.get(&(height, *digest)) {
            Some(node) => return Ok(node.clone()),
            None => objects::read(self.source, digest).map_err(ReadError::Object)?,
        };
        let mut node = Node::new(height);
        for (at, child) in node_children(&bytes, height).map_err(ReadError::Malformed)? {
            let index = base + ((at as u64) << (FANOUT_BITS * (height - 1)));
            if height == 1 {
                node.put_page(at, self.page(&child, index)?, child);
            } else {
                node.put_node(at, self.node(&child, height - 1, index)?);
            }
        }
        node.know_digest(*digest);
        let node = Arc::new(node);
        self.nodes.insert((height, *digest), node.clone());
        Ok(node)
    }

    fn page(&mut self, digest: &Digest32, index: u64) -> Result<Held, ReadError> {
        if let Some(page) = self.pages.get(digest) {
            return Ok(page.clone());
        }
        let bytes = objects::read(self.source, digest).map_err(ReadError::Object)?;
        let page: &Page =
            bytes[..].try_into().map_err(|_| ReadError::Malformed(format!("a page has {PAGE_BYTES} bytes")))?;
        if *page == ZEROES {
            return Err(ReadError::Malformed("a page of zeroes is absent".into()));
        }
        let bases = self.bases.entry(index).or_default();
        let patched = bases.iter().chain([Held::empty()]).find_map(|base| Held::patched(page, base));
        let held = match patched {
            Some(held) => held,
            None => {
                let page = Arc::new(*page);
                if bases.len() < BASES_MAX {
                    bases.push(page.clone());
                }
                Held::Whole(page)
            }
        };
        self.pages.insert(*digest, held.clone());
        Ok(held)
    }
}

impl Serialize for PageTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shared::memory_number::<S::Error>(self)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PageTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shared::memory(u64::deserialize(deserializer)?)
    }
}
