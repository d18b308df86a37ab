use super::*;
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
            patched.set(index, page.map_or(&ZEROES, |page| page));
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
    assert!(Arc::ptr_eq(before.get(499).unwrap(), tree.get(499).unwrap()));
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
fn a_tree_survives_encoding_and_a_bad_encoding_is_refused() {
    let mut tree = PageTree::default();
    for index in [0, 3, 17, 70_000] {
        tree.set(index, &page(index as u8 | 1));
    }
    let bytes = postcard::to_stdvec(&tree).unwrap();
    let back: PageTree = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(back.digest(), tree.digest());
    let unordered = vec![(3u64, serde_bytes::ByteBuf::from(page(1))), (2, serde_bytes::ByteBuf::from(page(1)))];
    assert!(postcard::from_bytes::<PageTree>(&postcard::to_stdvec(&unordered).unwrap()).is_err());
    let short = vec![(3u64, serde_bytes::ByteBuf::from(vec![1; 5]))];
    assert!(postcard::from_bytes::<PageTree>(&postcard::to_stdvec(&short).unwrap()).is_err());
}
