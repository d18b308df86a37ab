//! Page trees in the encoding of a state: every distinct page and every distinct node stands in a table once.
//!
//! A tree is the number of its root, from 1; 0 is the empty one. A node comes after its children. A page that differs little
//! from one of the first whole pages that were met at its index, or from zeroes, stands as the difference: whether it does
//! follows from the content alone.

use super::{
    PAGE_BYTES, Page, PageTree, ZEROES,
    node::{Child, FANOUT, FANOUT_BITS, Node},
    page::{self, Held},
};
use crate::shared;
use mains_types::Digest32;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// Levels that page indices of 64 bits may need.
const HEIGHT_MAX: u32 = 16;

/// Whole pages at one index that later ones are compared with.
const BASES_MAX: usize = 4;

/// The tables as they are encoded.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct PagesTable<'a> {
    #[serde(borrow)]
    pages: Vec<PageRecord<'a>>,
    nodes: Vec<NodeRecord>,
}

#[derive(Serialize, Deserialize)]
enum PageRecord<'a> {
    #[serde(borrow)]
    Whole(&'a Bytes),
    /// Number from 1 of a whole page before it, 0 for none, and what lies over that.
    Patched(u64, &'a Bytes),
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct NodeRecord {
    height: u32,
    /// Where each child stands and its number among pages (height 1) or nodes.
    children: Vec<(u8, u64)>,
}

/// Collects the pages and nodes of the trees that are encoded.
#[derive(Default)]
pub(crate) struct PagesWriter {
    pages: Vec<Form>,
    /// Numbers of whole pages by index.
    bases: BTreeMap<u64, Vec<u64>>,
    page_numbers: BTreeMap<Digest32, u64>,
    nodes: Vec<NodeRecord>,
    node_numbers: BTreeMap<Digest32, u64>,
}

enum Form {
    Whole(Arc<Page>),
    Patched(u64, Vec<u8>),
}

impl Form {
    fn record(&self) -> PageRecord<'_> {
        match self {
            Self::Whole(page) => PageRecord::Whole(Bytes::new(&page[..])),
            Self::Patched(base, patches) => PageRecord::Patched(*base, Bytes::new(patches)),
        }
    }
}

impl PagesWriter {
    /// What was collected.
    pub(crate) fn table(&self) -> PagesTable<'_> {
        PagesTable { pages: self.pages.iter().map(Form::record).collect(), nodes: self.nodes.clone() }
    }

    fn tree(&mut self, tree: &PageTree) -> u64 {
        tree.root.as_ref().map_or(0, |root| self.node(root, tree.height, 0) + 1)
    }

    fn node(&mut self, node: &Node, height: u32, base: u64) -> u64 {
        let digest = node.digest(height);
        if let Some(number) = self.node_numbers.get(&digest) {
            return *number;
        }
        let mut children = Vec::new();
        for at in 0..FANOUT {
            let index = base + ((at as u64) << (FANOUT_BITS * (height - 1)));
            let number = match node.child_at(at) {
                None => continue,
                Some(Child::Node(child)) => self.node(child, height - 1, index),
                Some(Child::Page(page, digest)) => self.page(page, digest, index),
            };
            children.push((at as u8, number));
        }
        let number = self.nodes.len() as u64;
        self.nodes.push(NodeRecord { height, children });
        self.node_numbers.insert(digest, number);
        number
    }

    fn page(&mut self, page: &Held, digest: Digest32, index: u64) -> u64 {
        let next = self.pages.len() as u64;
        let number = *self.page_numbers.entry(digest).or_insert(next);
        if number == next {
            let form = page.with(|content| self.form(content, index)).unwrap_or_else(|| {
                let bases = self.bases.entry(index).or_default();
                if bases.len() < BASES_MAX {
                    bases.push(next);
                }
                Form::Whole(page.whole())
            });
            self.pages.push(form);
        }
        number
    }

    /// A page as a difference to the first base that it differs little from.
    fn form(&self, page: &Page, index: u64) -> Option<Form> {
        let over = |number: &u64| match &self.pages[*number as usize] {
            Form::Whole(base) => Some(Form::Patched(number + 1, page::difference(page, base)?)),
            Form::Patched(..) => None,
        };
        let based = self.bases.get(&index).and_then(|bases| bases.iter().find_map(over));
        based.or_else(|| Some(Form::Patched(0, page::difference(page, Held::empty())?)))
    }
}

/// The nodes of the trees that are decoded.
#[derive(Default)]
pub(crate) struct PagesReader {
    nodes: Vec<(u32, Arc<Node>)>,
    /// Nodes met so far.
    met: usize,
}

impl PagesReader {
    /// Builds all nodes, each of children that stand before it.
    ///
    /// # Errors
    /// What is not as [`PagesWriter`] makes it.
    pub(crate) fn new(table: &PagesTable<'_>) -> Result<Self, String> {
        let mut pages = Vec::with_capacity(table.pages.len());
        for record in &table.pages {
            pages.push(held(record, &pages)?);
        }
        let mut reader = Self { nodes: Vec::with_capacity(table.nodes.len()), met: 0 };
        let mut pages_met = 0;
        for record in &table.nodes {
            let node = reader.build(record, &pages, &mut pages_met)?;
            reader.nodes.push((record.height, Arc::new(node)));
        }
        if pages_met == pages.len() { Ok(reader) } else { Err("a page belongs to no memory".into()) }
    }

    /// Whether every node belongs to a tree that was decoded.
    pub(crate) fn all_met(&self) -> bool {
        self.met == self.nodes.len()
    }

    fn build(&self, record: &NodeRecord, pages: &[Held], pages_met: &mut usize) -> Result<Node, String> {
        let ascends = record.children.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let fits = record.children.last().is_some_and(|(at, _)| usize::from(*at) < FANOUT);
        if !ascends || !fits || !(1..=HEIGHT_MAX).contains(&record.height) {
            return Err("a node of a memory has no proper form".into());
        }
        let mut node = Node::new(record.height);
        for (at, number) in &record.children {
            let (at, number) = (usize::from(*at), *number as usize);
            if record.height == 1 {
                let page =
                    pages.get(number).filter(|_| number <= *pages_met).ok_or("a page is missing or out of order")?;
                *pages_met = (*pages_met).max(number + 1);
                node.put_page(at, page.clone());
            } else {
                let child = self.nodes.get(number).filter(|(height, _)| height + 1 == record.height);
                node.put_node(at, child.ok_or("a part of a memory is missing")?.1.clone());
            }
        }
        Ok(node)
    }

    fn tree(&mut self, number: u64) -> Result<PageTree, &'static str> {
        let Some(number) = number.checked_sub(1).map(|number| number as usize) else { return Ok(PageTree::default()) };
        let (height, root) = self.nodes.get(number).ok_or("a memory is missing")?;
        if root.only_first_child().is_some() {
            return Err("a memory is higher than it must be");
        }
        self.met = self.met.max(number + 1);
        Ok(PageTree { root: Some(root.clone()), height: *height })
    }
}

fn held(record: &PageRecord<'_>, before: &[Held]) -> Result<Held, String> {
    let page = match record {
        PageRecord::Whole(bytes) => {
            let page: Page = bytes[..].try_into().map_err(|_| format!("a page has {PAGE_BYTES} bytes"))?;
            Held::Whole(Arc::new(page))
        }
        PageRecord::Patched(base, patches) => {
            let base = match base.checked_sub(1).map(|number| before.get(number as usize)) {
                None => Held::empty(),
                Some(Some(Held::Whole(base))) => base,
                Some(_) => return Err("a page lies over none".into()),
            };
            if !page::is_difference(patches, base) {
                return Err("what lies over a page has no proper form".into());
            }
            Held::Patched { base: base.clone(), patches: patches[..].into() }
        }
    };
    if page.equals(&ZEROES) { Err("a page of zeroes is absent".into()) } else { Ok(page) }
}

impl Serialize for PageTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shared::with_pages_writer(|writer| writer.tree(self))?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PageTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        shared::with_pages_reader(|reader| reader.tree(number))?.map_err(D::Error::custom)
    }
}
