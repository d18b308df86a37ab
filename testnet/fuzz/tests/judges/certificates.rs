//! Certificates: a tree that has the certified root and says something else than the state would be a forgery.

use ic_certification::LookupResult;
use mains_fuzz::{Random, Target, fuzz, mutate};
use mains_tree::Tree;
use mains_wire::{certificate, signature::read_certificate};

const CANISTERS: u64 = 12;

fn label(number: u64) -> Vec<u8> {
    // Lengths differ, and every other label is the beginning of the next.
    let mut label = vec![(number / 2) as u8 * 37];
    if number % 2 == 1 {
        label.resize(2 + (number % 5) as usize, 0);
    }
    label
}

/// A path and the value that stands there, or that none does.
type Fact = (Vec<Vec<u8>>, Option<Vec<u8>>);

fn facts() -> Vec<Fact> {
    let mut facts = vec![(vec![b"time".to_vec()], Some(vec![9; 9]))];
    for number in 0..2 * CANISTERS {
        let present = number < CANISTERS;
        for name in ["controllers", "module_hash"] {
            let path = vec![b"canister".to_vec(), label(number), name.as_bytes().to_vec()];
            facts.push((path, present.then(|| format!("{name} of {number}").into_bytes())));
        }
    }
    facts
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    for (path, value) in facts() {
        if let Some(value) = value {
            tree.insert(&path, value);
        }
    }
    tree
}

struct Certificates;

impl Target for Certificates {
    const NAME: &'static str = "a_certificate_says_what_the_state_says_or_has_another_root";
    const CORPUS: &'static str = "certificates";

    /// A certificate of some of the facts, most of the time with changes.
    fn input(&self, random: &mut Random, entries: &[Vec<u8>]) -> Vec<u8> {
        if random.one_in(3) {
            return mutate(random, entries);
        }
        let (tree, facts) = (tree(), facts());
        let paths: Vec<Vec<Vec<u8>>> = (0..=random.below(4)).map(|_| random.pick(&facts).0.clone()).collect();
        let whole = certificate(&tree.witness(&paths), &[5; 48]);
        if random.one_in(4) { whole } else { mutate(random, &[whole]) }
    }

    fn beginnings(&self) -> Vec<Vec<u8>> {
        let paths: Vec<Vec<Vec<u8>>> = facts().into_iter().map(|(path, _)| path).collect();
        [&paths[..1], &paths[3..9], &paths[..]].map(|paths| certificate(&tree().witness(paths), &[5; 48])).to_vec()
    }

    fn check(&self, input: &[u8]) -> bool {
        let Ok(read) = read_certificate(input) else { return false };
        if read.tree.digest() != tree().digest() {
            return false;
        }
        for (path, value) in facts() {
            match (read.tree.lookup_path(&path), value) {
                (LookupResult::Found(found), Some(value)) => assert_eq!(found, value, "{path:?}"),
                (LookupResult::Found(found), None) => panic!("{found:?} at {path:?}, where nothing is"),
                (LookupResult::Absent, Some(_)) => panic!("nothing at {path:?}, where something is"),
                (LookupResult::Error, _) => panic!("{path:?} is no place in a tree with the right root"),
                (LookupResult::Absent | LookupResult::Unknown, _) => {}
            }
        }
        true
    }
}

#[test]
fn a_certificate_says_what_the_state_says_or_has_another_root() {
    fuzz(&Certificates);
}
