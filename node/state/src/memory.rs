//! Memory as a persistent 16-ary Merkle tree of 4 KiB pages, and a heap: such a tree plus globals.
//!
//! A page that was never written is absent and reads as zeroes. Clones share pages; [`PageTree::diff`] visits only what
//! differs. The digest depends on content and never on the order of writes.

use mains_types::Digest32;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of one page of a [`PageTree`].
pub const PAGE_BYTES: usize = 4096;

/// One page.
pub type Page = [u8; PAGE_BYTES];

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

/// PLACEHOLDER replaced by the state room: persistent page map.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PageTree {}

#[allow(unused_variables)]
impl PageTree {
    /// The page at `index`, or `None` if it is all zeroes.
    pub fn get(&self, index: u64) -> Option<&Arc<Page>> {
        None
    }
    /// Puts a page; a page of zeroes removes the entry.
    pub fn set(&mut self, index: u64, page: &Page) {}
    /// Removes all pages from `index` on.
    pub fn truncate(&mut self, index: u64) {}
    /// Number of pages present.
    pub fn len(&self) -> u64 {
        0
    }
    /// Whether no page is present.
    pub fn is_empty(&self) -> bool {
        true
    }
    /// Whether both are the same tree in memory (cheap, may answer no for equal trees).
    pub fn same(&self, other: &Self) -> bool {
        false
    }
    /// Calls `visit(index, page)` for every page where `self` differs from `other`, in order; `None` means zeroes in `self`.
    pub fn diff(&self, other: &Self, visit: &mut dyn FnMut(u64, Option<&Arc<Page>>)) {}
    /// Pages present, in order.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (u64, &Arc<Page>)> + '_> {
        Box::new(std::iter::empty())
    }
    /// BLAKE3 root over index and content of every page; cached per node.
    pub fn digest(&self) -> Digest32 {
        [0; 32]
    }
}
