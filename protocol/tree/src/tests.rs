use crate::{Node, Tree, hash};
use ic_certification::{HashTree, LookupResult, SubtreeLookupResult};
use std::collections::BTreeMap;

/// A small generator with a seed: tests must not depend on entropy.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Labels over a tiny alphabet, so that many are prefixes of others; also the empty one.
    fn label(&mut self) -> Vec<u8> {
        (0..self.below(5)).map(|_| [0, 1, 0x7f, 0x80, 0xff][self.below(5) as usize]).collect()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

fn path(labels: &[&str]) -> Vec<Vec<u8>> {
    labels.iter().map(|label| label.as_bytes().to_vec()).collect()
}

fn sample() -> Tree {
    let mut tree = Tree::new();
    tree.insert(&["a", "x"], *b"hello");
    tree.insert(&["a", "y"], *b"world");
    tree.insert(&["b"], *b"good");
    tree.insert(&["d"], *b"morning");
    tree.insert(&["time"], *b"\x01");
    tree
}

fn found<'a>(witness: &'a HashTree, labels: &[&str]) -> Option<&'a [u8]> {
    match witness.lookup_path(labels.iter().map(|label| label.as_bytes())) {
        LookupResult::Found(bytes) => Some(bytes),
        _ => None,
    }
}

#[test]
fn the_hashes_of_the_specification_example_come_out() {
    let labelled_leaf = |label: &[u8], value: &[u8]| hash::labelled(label, &hash::leaf(value));
    let a = hash::fork(&hash::fork(&labelled_leaf(b"x", b"hello"), &hash::empty()), &labelled_leaf(b"y", b"world"));
    let left = hash::fork(&hash::labelled(b"a", &a), &labelled_leaf(b"b", b"good"));
    let right = hash::fork(&hash::labelled(b"c", &hash::empty()), &labelled_leaf(b"d", b"morning"));
    let root: String = hash::fork(&left, &right).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(root, "eb5c5b2195e62d996b84c9bcc8259d19a83786a2f59e0878cec84c811f669aa0");
}

#[test]
fn an_empty_tree_proves_every_absence() {
    let tree = Tree::new();
    let witness = tree.witness(&[path(&["a", "b"])]);
    assert_eq!(witness.digest(), tree.digest());
    assert_eq!(witness.lookup_path([b"a"]), LookupResult::Absent);
}

#[test]
fn values_are_found_where_they_were_put() {
    let tree = sample();
    assert_eq!(tree.leaf(&["a", "x"]), Some(&b"hello"[..]));
    assert_eq!(tree.leaf(&["a"]), None);
    assert!(tree.get(&["a"]).unwrap().tree().is_some());
    assert_eq!(tree.get(&["a", "x", "deeper"]), None);
    assert_eq!(tree.get::<&str>(&[]), None);
    let labels: Vec<_> = tree.iter().map(|(label, _)| label).collect();
    assert_eq!(labels, [&b"a"[..], b"b", b"d", b"time"]);
}

#[test]
fn a_path_through_a_value_replaces_it() {
    let mut tree = sample();
    tree.insert(&["b", "deep", "er"], *b"1");
    assert_eq!(tree.leaf(&["b"]), None);
    assert_eq!(tree.leaf(&["b", "deep", "er"]), Some(&b"1"[..]));
}

#[test]
fn no_empty_subtree_is_left_behind() {
    let mut tree = sample();
    let before = tree.digest();
    tree.insert(&["p", "q", "r"], *b"1");
    assert_ne!(tree.digest(), before);
    assert_eq!(tree.remove(&["p", "q", "r"]), Some(Node::Leaf((*b"1").into())));
    assert_eq!(tree.get(&["p"]), None);
    assert_eq!(tree.digest(), before);
    tree.insert(&["p", "q"], *b"1");
    tree.insert_tree(&["p", "q"], Tree::new());
    assert_eq!(tree.digest(), before);
    assert_eq!(tree.remove(&["a", "z"]), None);
    assert_eq!(tree.digest(), before);
}

#[test]
fn a_subtree_counts_as_its_content() {
    let mut below = Tree::new();
    below.insert(&["x"], *b"hello");
    below.insert(&["y"], *b"world");
    let mut tree = sample();
    tree.remove(&["a"]);
    tree.insert_tree(&["a"], below);
    assert_eq!(tree, sample());
}

#[test]
fn older_versions_stay_as_they_were() {
    let old = sample();
    let digest = old.digest();
    let mut new = old.clone();
    new.insert(&["a", "x"], *b"bye");
    new.remove(&["b"]);
    assert_eq!(old.digest(), digest);
    assert_eq!(old.leaf(&["a", "x"]), Some(&b"hello"[..]));
    assert_eq!(old.witness(&[path(&["b"])]).digest(), digest);
    assert_ne!(new.digest(), digest);
}

#[test]
fn a_witness_reveals_only_what_was_asked_for() {
    let tree = sample();
    let witness = tree.witness(&[path(&["a", "x"]), path(&["time"])]);
    assert_eq!(witness.digest(), tree.digest());
    assert_eq!(found(&witness, &["a", "x"]), Some(&b"hello"[..]));
    assert_eq!(found(&witness, &["time"]), Some(&b"\x01"[..]));
    assert_eq!(witness.lookup_path(["a", "y"]), LookupResult::Unknown);
    assert_eq!(witness.lookup_path(["d"]), LookupResult::Unknown);
    assert_eq!(witness.list_paths().len(), 2);
}

#[test]
fn a_path_reveals_the_whole_subtree_below_it() {
    let tree = sample();
    let witness = tree.witness(&[path(&["a"]), path(&["a", "x"])]);
    assert_eq!(found(&witness, &["a", "y"]), Some(&b"world"[..]));
    assert_eq!(tree.witness(&[path(&[])]).list_paths().len(), 5);
}

#[test]
fn no_path_reveals_nothing() {
    let tree = sample();
    let witness = tree.witness::<Vec<Vec<u8>>, Vec<u8>>(&[]);
    assert_eq!(witness, ic_certification::hash_tree::pruned(tree.digest()));
}

#[test]
fn absence_is_proved_by_neighbours_whose_content_stays_hidden() {
    let tree = sample();
    for absent in [&["c"][..], &["", "x"], &["zz"], &["a", "xx"], &["b", "x"], &["tim"], &["time "]] {
        let witness = tree.witness(&[path(absent)]);
        assert_eq!(witness.digest(), tree.digest());
        assert_eq!(witness.lookup_path(absent.iter().map(|l| l.as_bytes())), LookupResult::Absent, "{absent:?}");
    }
    let witness = tree.witness(&[path(&["c"])]);
    assert_eq!(witness.lookup_path(["b"]), LookupResult::Unknown);
    assert_eq!(witness.lookup_path(["a", "x"]), LookupResult::Unknown);
    let shown = tree.witness(&[path(&["c"]), path(&["b"])]);
    assert_eq!(found(&shown, &["b"]), Some(&b"good"[..]));
}

#[test]
fn any_order_of_insertions_and_removals_gives_the_same_root() {
    let mut random = Lcg(7);
    for round in 0..60 {
        let mut content: BTreeMap<Vec<Vec<u8>>, Vec<u8>> = BTreeMap::new();
        for _ in 0..=random.below(60) {
            // Two levels, so that no path leads through another's value.
            content.insert(vec![random.label(), random.label()], random.label());
        }
        let mut one = Tree::new();
        for (path, value) in &content {
            one.insert(path, value.clone());
        }
        let mut order: Vec<_> = content.iter().collect();
        random.shuffle(&mut order);
        let mut two = Tree::new();
        for (path, value) in order {
            let extra = vec![random.label(), b"never in the content".to_vec()];
            two.insert(&extra, *b"passing by");
            two.digest();
            let version = two.clone();
            two.insert(path, value.clone());
            two.remove(&extra);
            drop(version);
        }
        assert_eq!(one.digest(), two.digest(), "round {round}");
        let walked: Vec<_> = two
            .iter()
            .flat_map(|(a, node)| node.tree().unwrap().iter().map(move |(b, _)| vec![a.to_vec(), b.to_vec()]))
            .collect();
        assert_eq!(walked, content.keys().cloned().collect::<Vec<_>>());
    }
}

#[test]
fn every_witness_answers_as_the_tree_does() {
    let mut random = Lcg(11);
    for _ in 0..60 {
        let mut tree = Tree::new();
        for _ in 0..=random.below(50) {
            tree.insert(&[random.label(), random.label()], random.label());
        }
        let asked: Vec<Vec<Vec<u8>>> =
            (0..=random.below(6)).map(|_| (0..=random.below(3)).map(|_| random.label()).collect()).collect();
        let witness = tree.witness(&asked);
        assert_eq!(witness.digest(), tree.digest());
        for path in asked {
            match tree.get(&path) {
                None => assert_eq!(witness.lookup_path(&path), LookupResult::Absent),
                Some(Node::Leaf(bytes)) => assert_eq!(witness.lookup_path(&path), LookupResult::Found(bytes)),
                Some(Node::Tree(tree)) => {
                    let SubtreeLookupResult::Found(part) = witness.lookup_subtree(&path) else {
                        panic!("not revealed")
                    };
                    assert_eq!(part.digest(), tree.digest());
                    assert_eq!(part.list_paths().len(), tree.iter().count());
                }
            }
        }
    }
}

#[test]
fn hostile_labels_cannot_make_the_tree_deeper_than_their_bits() {
    let mut tree = Tree::new();
    let chain: Vec<Vec<u8>> = (0..2_000).map(|length| vec![0xff; length]).collect();
    for label in &chain {
        tree.insert(&[label], *b"");
    }
    let witness = tree.witness(&[[chain[1_999].clone()]]);
    assert_eq!(witness.digest(), tree.digest());
    for label in &chain {
        assert!(tree.remove(&[label]).is_some());
    }
    assert!(tree.is_empty());
}

#[test]
fn trees_may_be_shared_between_threads() {
    fn shareable<T: Send + Sync + 'static>() {}
    shareable::<Tree>();
}
