use super::*;
use crate::{Memo, objects::Kept, shared};
use std::collections::BTreeMap;

fn page(fill: u8) -> Page {
    [fill; PAGE_BYTES]
}

/// A small deterministic generator (xorshift).
struct Dice(u64);
impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn check(tree: &PageTree, model: &BTreeMap<u64, u8>) {
    assert_eq!(tree.len(), model.len() as u64);
    let listed: Vec<_> = tree.iter().map(|(index, page)| (index, page[0])).collect();
    assert_eq!(listed, model.iter().map(|(index, fill)| (*index, *fill)).collect::<Vec<_>>());
}

#[test]
fn a_tree_behaves_like_a_map_and_its_digest_follows_from_content_alone() {
    let mut dice = Dice(7);
    for span in [3, 20, 300, 5_000, 1 << 22, 1 << 60] {
        let (mut tree, mut model) = (PageTree::default(), BTreeMap::new());
        for step in 0..600 {
            let index = dice.roll(span);
            match dice.roll(10) {
                0..=5 => {
                    let fill = 1 + dice.roll(3) as u8;
                    tree.set(index, &page(fill));
                    model.insert(index, fill);
                }
                6..=8 => {
                    tree.set(index, &page(0));
                    model.remove(&index);
                }
                _ if step % 50 == 0 => {
                    tree.truncate(index);
                    model.split_off(&index);
                }
                _ => assert_eq!(tree.get(index).map(|page| page[0]), model.get(&index).copied()),
            }
        }
        check(&tree, &model);
        let mut again = PageTree::default();
        for (index, fill) in model.iter().rev() {
            again.set(*index, &page(*fill));
        }
        assert_eq!(again.digest(), tree.digest());
        assert_eq!(again.height, tree.height);
    }
}

#[test]
fn a_diff_lists_exactly_what_changed_even_across_heights() {
    let mut dice = Dice(11);
    for _ in 0..60 {
        let span = 1 << dice.roll(24);
        let mut old = PageTree::default();
        for _ in 0..dice.roll(80) {
            old.set(dice.roll(span), &page(1 + dice.roll(4) as u8));
        }
        let mut new = old.clone();
        for _ in 0..dice.roll(20) {
            new.set(dice.roll(span * 16), &page(dice.roll(4) as u8));
        }
        if dice.roll(3) == 0 {
            new.truncate(dice.roll(span));
        }
        let mut patched = old.clone();
        let mut last = None;
        new.diff(&old, &mut |index, page| {
            assert!(last < Some(index), "in order");
            last = Some(index);
            patched.set(index, page.unwrap_or(&ZEROES));
        });
        assert_eq!(patched.digest(), new.digest());
        let mut none = 0;
        new.diff(&new.clone(), &mut |_, _| none += 1);
        assert_eq!(none, 0);
    }
}

#[test]
fn a_change_of_one_page_leaves_the_others_shared() {
    let mut tree = PageTree::default();
    for index in 0..1_000 {
        tree.set(index, &page(9));
    }
    let before = tree.clone();
    tree.set(500, &page(8));
    assert!(Arc::ptr_eq(&before.get(499).unwrap(), &tree.get(499).unwrap()));
    assert_eq!(before.get(500).unwrap()[0], 9);
    assert!(!before.same(&tree) && before.same(&before.clone()));
    tree.set(500, &page(9));
    assert_eq!(before, tree);
}

#[test]
fn bytes_cross_page_borders_and_absent_pages_read_as_zeroes() {
    let mut tree = PageTree::default();
    let text: Vec<u8> = (0..10_000u32).map(|i| i as u8 | 1).collect();
    tree.write(4_000, &text);
    let mut back = vec![7; 12_000];
    tree.read(3_000, &mut back);
    assert_eq!(&back[..1_000], &[0; 1_000][..]);
    assert_eq!(&back[1_000..11_000], &text[..]);
    assert_eq!(&back[11_000..], &[0; 1_000][..]);
}

#[test]
fn trees_survive_encoding_and_share_what_is_equal_afterwards() {
    let mut dice = Dice(5);
    let mut first = PageTree::default();
    for _ in 0..200 {
        first.set(dice.roll(100_000), &page(1 + dice.roll(250) as u8));
    }
    let trees: Vec<PageTree> = (0..50u8)
        .map(|count| {
            // Built anew, so that nothing is shared before.
            let mut tree = PageTree::default();
            first.iter().for_each(|(index, page)| tree.set(index, &page));
            tree.set(70_000 + u64::from(count % 3), &page(255));
            tree
        })
        .chain([PageTree::default()])
        .collect();
    let mut kept = Kept::default();
    let (body, tables) = shared::write(&trees, &mut Memo::default(), &mut kept).unwrap();
    let again: Vec<PageTree> = shared::read(&body, &tables, &kept).unwrap();
    assert!(kept.bytes() < 1_200_000);
    for (tree, again) in trees.iter().zip(&again) {
        assert_eq!((tree.digest(), tree.len(), tree.height), (again.digest(), again.len(), again.height));
    }
    assert!(again[0].same(&again[3]) && !again[0].same(&again[1]));
    let ((index, page), _) = (again[0].iter().next().unwrap(), ());
    assert!(Arc::ptr_eq(&page, &again[1].get(index).unwrap()));
    assert_eq!(shared::write(&again, &mut Memo::default(), &mut Kept::default()).unwrap(), (body, tables));
    assert!(postcard::to_stdvec(&first).is_err(), "a tree alone has no encoding");
}

#[test]
fn sharing_changes_nothing_but_what_is_held_twice() {
    let mut dice = Dice(13);
    for _ in 0..40 {
        let span = 1 + dice.roll(5_000);
        let (mut one, mut two) = (PageTree::default(), PageTree::default());
        for _ in 0..60 {
            let (index, fill) = (dice.roll(span), 1 + dice.roll(2) as u8);
            one.set(index, &page(fill));
            two.set(index, &page(if dice.roll(9) == 0 { 3 } else { fill }));
        }
        let digest = two.digest();
        two.share_with(&one);
        assert_eq!(two.digest(), digest);
        let rebuilt = two.iter().fold(PageTree::default(), |mut tree, (index, page)| {
            tree.set(index, &page);
            tree
        });
        assert_eq!(rebuilt.digest(), digest);
        if one.height == two.height {
            for (index, page) in two.iter() {
                let other = one.get(index).filter(|other| *other == page);
                assert!(
                    other.is_none_or(|other| one.held(index).unwrap().is(two.held(index).unwrap()) && *other == *page),
                    "an equal page in the same place is held once"
                );
            }
        }
        let mut equal = two.iter().fold(PageTree::default(), |mut tree, (index, page)| {
            tree.set(index, &page);
            tree
        });
        equal.share_with(&two);
        assert!(equal.same(&two));
    }
}

#[test]
fn a_page_that_differs_little_is_held_as_the_difference_and_reads_the_same() {
    let mut dice = Dice(17);
    let mut image = PageTree::default();
    (0..40).for_each(|index| image.set(index, &std::array::from_fn(|at| (at as u64 * (index + 3)) as u8 | 1)));
    let mut canisters: Vec<PageTree> = (0..30).map(|_| image.clone()).collect();
    let mut models: Vec<BTreeMap<u64, Page>> =
        canisters.iter().map(|tree| tree.iter().map(|(index, page)| (index, *page)).collect()).collect();
    for _ in 0..600 {
        let which = dice.roll(30) as usize;
        let index = dice.roll(40);
        let page = models[which].get_mut(&index).unwrap();
        // Mostly a few bytes, sometimes much, sometimes back to what it was.
        match dice.roll(12) {
            0 => page.fill(1 + dice.roll(200) as u8),
            1 => *page = *image.get(index).unwrap(),
            _ => (0..1 + dice.roll(6)).for_each(|_| page[dice.roll(4_096) as usize] = dice.roll(256) as u8),
        }
        canisters[which].set(index, page);
        let (from, length) = (dice.roll(4_000) as usize, dice.roll(96) as usize);
        let mut read = vec![0; length];
        canisters[which].read(index * 4_096 + from as u64, &mut read);
        assert_eq!(read, page[from..from + length]);
    }
    for (tree, model) in canisters.iter().zip(&models) {
        assert_eq!(tree.iter().map(|(index, page)| (index, *page)).collect::<BTreeMap<_, _>>(), *model);
        let mut again = PageTree::default();
        model.iter().rev().for_each(|(index, page)| again.set(*index, page));
        assert_eq!(again.digest(), tree.digest());
        again.share_with(&image);
        assert_eq!(again.digest(), tree.digest());
    }
    let patched = canisters.iter().flat_map(|tree| (0..40).filter_map(|index| tree.held(index)));
    assert!(patched.filter(|page| matches!(page, Held::Patched { .. })).count() > 100);
    // Whatever form pages have, their encoding follows from their content.
    let mut kept = Kept::default();
    let written = shared::write(&canisters, &mut Memo::default(), &mut kept).unwrap();
    let rebuilt: Vec<PageTree> = models
        .iter()
        .map(|model| {
            let mut tree = PageTree::default();
            model.iter().for_each(|(index, page)| tree.set(*index, page));
            tree
        })
        .collect();
    assert_eq!(shared::write(&rebuilt, &mut Memo::default(), &mut Kept::default()).unwrap(), written);
    let again: Vec<PageTree> = shared::read(&written.0, &written.1, &kept).unwrap();
    assert_eq!(again, canisters);
    let patched = again.iter().flat_map(|tree| (0..40).filter_map(|index| tree.held(index)));
    assert!(patched.filter(|page| matches!(page, Held::Patched { .. })).count() > 100, "after reading too");
}
