//! Memory as a persistent 16-ary Merkle tree of 4 KiB pages, and a heap: such a tree plus globals.
//!
//! A page that was never written is absent and reads as zeroes. Clones share pages; [`PageTree::diff`] visits only what
//! differs. The digest depends on content and never on the order of writes. Spec: `specs/state.md`, "Pages".

pub(crate) mod encoding;
mod node;
mod page;
#[cfg(test)]
mod tests;

use mains_types::Digest32;
use node::{FANOUT, FANOUT_BITS, Node, View};
use page::Held;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Bytes of one page of a [`PageTree`].
pub const PAGE_BYTES: usize = 4096;

/// One page.
pub type Page = [u8; PAGE_BYTES];

const ZEROES: Page = [0; PAGE_BYTES];

/// A heap between messages: content, size and globals. Everything a live instance has that a fresh one must get.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Heap {
    /// Content; pages beyond `bytes` are absent.
    pub pages: PageTree,
    /// Size in bytes, a multiple of 64 KiB.
    pub bytes: u64,
    /// The mutable globals in the order of their indices, as raw bits (v128 takes two words, low first).
    pub globals: Vec<u64>,
}

/// A memory's content: pages by index. Clone is O(1), a change O(depth), equal content means equal digest.
#[derive(Clone, Default)]
pub struct PageTree {
    root: Option<Arc<Node>>,
    /// Levels of nodes above the pages; the least (from 1) that fits the greatest index, 0 if empty.
    height: u32,
}

impl PageTree {
    /// The page at `index`, or `None` if it is all zeroes.
    pub fn get(&self, index: u64) -> Option<Arc<Page>> {
        self.held(index).map(Held::whole)
    }

    fn held(&self, index: u64) -> Option<&Held> {
        if !fits(index, self.height) {
            return None;
        }
        self.root.as_deref()?.get(index, self.height)
    }

    /// Puts a page; a page of zeroes removes the entry. Writing what is there already changes nothing.
    pub fn set(&mut self, index: u64, page: &Page) {
        if *page == ZEROES {
            self.remove(index);
        } else if self.held(index).is_none_or(|old| !old.equals(page)) {
            self.put(index, page);
        }
    }

    /// Removes all pages from `index` on.
    pub fn truncate(&mut self, index: u64) {
        if fits(index, self.height)
            && let Some(root) = &mut self.root
        {
            Arc::make_mut(root).truncate(index, self.height);
            self.normalise();
        }
    }

    /// Number of pages present.
    pub fn len(&self) -> u64 {
        self.root.as_ref().map_or(0, |root| root.count())
    }

    /// Whether no page is present.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Takes over the parts of `other` that are equal, so that they are held once. Content stays as it is.
    pub fn share_with(&mut self, other: &Self) {
        if let (Some(root), Some(shared)) = (&mut self.root, &other.root)
            && self.height == other.height
        {
            node::share(root, shared, self.height);
        }
    }

    /// Whether both are the same tree in memory (cheap, may answer no for equal trees).
    pub fn same(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (None, None) => true,
            (Some(a), Some(b)) => self.height == other.height && Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// Calls `visit(index, page)` for every page where `self` differs from `other`, in order; `None` means zeroes in `self`.
    ///
    /// Costs O(changes x depth) when one tree was derived from the other.
    pub fn diff(&self, other: &Self, visit: &mut dyn FnMut(u64, Option<&Page>)) {
        node::diff(self.view(), other.view(), self.height.max(other.height), 0, visit);
    }

    /// Pages present, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Arc<Page>)> {
        let root = self.root.as_ref().map(|root| root.iter(0, self.height));
        root.into_iter().flatten().map(|(index, page)| (index, page.whole()))
    }

    /// BLAKE3 root over index and content of every page; cached per node. All zeroes for the empty tree.
    pub fn digest(&self) -> Digest32 {
        self.root.as_ref().map_or([0; 32], |root| root.digest(self.height))
    }

    /// Copies the bytes from `offset` on into `target`; bytes of absent pages are zeroes.
    pub fn read(&self, offset: u64, target: &mut [u8]) {
        let (mut at, mut rest) = (offset, target);
        while !rest.is_empty() {
            let within = (at % PAGE_BYTES as u64) as usize;
            let (part, tail) = rest.split_at_mut((PAGE_BYTES - within).min(rest.len()));
            match self.held(at / PAGE_BYTES as u64) {
                Some(page) => page.read(within, part),
                None => part.fill(0),
            }
            at += part.len() as u64;
            rest = tail;
        }
    }

    /// Writes `source` from `offset` on.
    pub fn write(&mut self, offset: u64, source: &[u8]) {
        let (mut at, mut rest) = (offset, source);
        while !rest.is_empty() {
            let (index, within) = (at / PAGE_BYTES as u64, (at % PAGE_BYTES as u64) as usize);
            let (part, tail) = rest.split_at((PAGE_BYTES - within).min(rest.len()));
            let mut page = self.held(index).map_or(ZEROES, |page| page.with(|page| *page));
            page[within..within + part.len()].copy_from_slice(part);
            self.set(index, &page);
            at += part.len() as u64;
            rest = tail;
        }
    }

    fn put(&mut self, index: u64, page: &Page) {
        while !fits(index, self.height) {
            self.root = self.root.take().map(|root| Arc::new(Node::above(root)));
            self.height += 1;
        }
        let root = self.root.get_or_insert_with(|| Arc::new(Node::new(self.height)));
        Arc::make_mut(root).set(index, page, self.height);
    }

    fn remove(&mut self, index: u64) {
        if self.held(index).is_some()
            && let Some(root) = &mut self.root
        {
            Arc::make_mut(root).remove(index, self.height);
            self.normalise();
        }
    }

    /// Drops an empty root and levels that hold nothing but their first child: the shape follows from the content.
    fn normalise(&mut self) {
        if self.root.as_ref().is_some_and(|root| root.count() == 0) {
            self.root = None;
        }
        while let Some(child) = self.root.as_ref().and_then(|root| root.only_first_child()) {
            self.root = Some(child);
            self.height -= 1;
        }
        if self.root.is_none() {
            self.height = 0;
        }
    }

    fn view(&self) -> View<'_> {
        self.root.as_deref().map(|node| (node, self.height))
    }
}

/// Whether a tree of this height has room for `index`.
fn fits(index: u64, height: u32) -> bool {
    height > 0 && index.checked_shr(FANOUT_BITS * height).unwrap_or(0) == 0
}

impl fmt::Debug for PageTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageTree({} pages)", self.len())
    }
}

impl PartialEq for PageTree {
    fn eq(&self, other: &Self) -> bool {
        self.same(other) || self.digest() == other.digest()
    }
}

impl Eq for PageTree {}

const _: () = assert!(FANOUT == 1 << FANOUT_BITS);
