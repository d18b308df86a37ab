//! Memory as a tree of pages against the plainest model there is.

use mains_fuzz::{Random, Target, fuzz};
use mains_state::{PAGE_BYTES, PageTree, memory::Page};
use std::collections::BTreeMap;

/// What memory is, without sharing, hashes or depth.
type Model = BTreeMap<u64, Page>;

/// Versions kept to compare with.
const VERSIONS: usize = 4;

struct Pages;

impl Target for Pages {
    const NAME: &'static str = "a_tree_of_pages_is_a_map_of_pages";
    const CORPUS: &'static str = "pages";

    fn input(&self, random: &mut Random, entries: &[Vec<u8>]) -> Vec<u8> {
        let count = 200 + random.below(1_500);
        if random.one_in(4) { mains_fuzz::mutate(random, entries) } else { random.bytes(count) }
    }

    fn check(&self, input: &[u8]) -> bool {
        let mut bytes = input.iter().copied();
        let mut next = || bytes.next();
        let mut versions = vec![(PageTree::default(), Model::new()); VERSIONS];
        let mut steps = 0;
        while let (Some(operation), Some(index), Some(value)) = (next(), next(), next()) {
            let version = usize::from(operation >> 6) % VERSIONS;
            // Near and far pages: the tree's height changes.
            let index = u64::from(index & 0x3f) << (4 * u32::from(index >> 6) * u32::from(operation & 8 != 0));
            step(&mut versions, version, operation & 7, index, value);
            steps += 1;
        }
        for (tree, model) in &versions {
            agree(tree, model);
        }
        for (one, _) in &versions {
            for (other, _) in &versions {
                assert_eq!(one.digest() == other.digest(), content(one) == content(other));
            }
        }
        steps > 0
    }
}

fn step(versions: &mut [(PageTree, Model)], version: usize, operation: u8, index: u64, value: u8) {
    let (tree, model) = &mut versions[version];
    let page = [value; PAGE_BYTES];
    match operation {
        0 | 1 => {
            tree.set(index, &page);
            put(model, index, page);
        }
        2 => {
            tree.truncate(index);
            model.retain(|at, _| *at < index);
        }
        3 => {
            // Over the edge of a page.
            let bytes = vec![value; usize::from(value) * 20];
            let start = index * PAGE_BYTES as u64 + u64::from(value) * 16;
            tree.write(start, &bytes);
            for at in start..start + bytes.len() as u64 {
                let mut page = model.get(&(at / PAGE_BYTES as u64)).copied().unwrap_or([0; PAGE_BYTES]);
                page[(at % PAGE_BYTES as u64) as usize] = value;
                put(model, at / PAGE_BYTES as u64, page);
            }
        }
        4 => {
            let copy = versions[version].clone();
            versions[usize::from(value) % VERSIONS] = copy;
        }
        5 => {
            let mut read = vec![0xee; PAGE_BYTES * 2];
            tree.read(index * PAGE_BYTES as u64 + u64::from(value), &mut read);
            let byte = |at: u64| {
                model.get(&(at / PAGE_BYTES as u64)).map_or(0, |page| page[(at % PAGE_BYTES as u64) as usize])
            };
            let expected: Vec<u8> =
                (0..read.len() as u64).map(|at| byte(index * PAGE_BYTES as u64 + u64::from(value) + at)).collect();
            assert_eq!(read, expected);
        }
        6 => {
            let ((tree, model), (other, other_model)) = (&versions[version], &versions[usize::from(value) % VERSIONS]);
            let mut found = BTreeMap::new();
            tree.diff(other, &mut |index, page| {
                assert!(found.insert(index, page.copied()).is_none(), "page {index} twice");
            });
            let indices = model.keys().chain(other_model.keys());
            let differ = indices.filter(|index| model.get(index) != other_model.get(index));
            let expected: BTreeMap<_, _> = differ.map(|index| (*index, model.get(index).copied())).collect();
            assert!(found == expected, "a difference is not what differs");
        }
        7 if value % 2 == 1 => {
            let other = versions[usize::from(value >> 1) % VERSIONS].0.clone();
            versions[version].0.share_with(&other);
        }
        _ => {
            // Hashing in between, so that cached digests are there to go stale.
            tree.digest();
        }
    }
}

fn put(model: &mut Model, index: u64, page: Page) {
    if page == [0; PAGE_BYTES] {
        model.remove(&index);
    } else {
        model.insert(index, page);
    }
}

fn content(tree: &PageTree) -> Vec<(u64, Page)> {
    tree.iter().map(|(index, page)| (index, *page)).collect()
}

fn agree(tree: &PageTree, model: &Model) {
    let expected: Vec<(u64, Page)> = model.iter().map(|(index, page)| (*index, *page)).collect();
    assert!(content(tree) == expected, "pages differ");
    assert_eq!((tree.len(), tree.is_empty()), (model.len() as u64, model.is_empty()));
    let mut fresh = PageTree::default();
    for (index, page) in model.iter().rev() {
        fresh.set(*index, page);
    }
    assert_eq!(fresh.digest(), tree.digest(), "the digest depends on the way here");
}

#[test]
fn a_tree_of_pages_is_a_map_of_pages() {
    fuzz(&Pages);
}
