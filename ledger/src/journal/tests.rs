use super::*;
use crate::testing::{Seed, funded};
use mains_types::UnixNanos;

/// The journal of some blocks of random work, by height, and the ledger's head after each.
fn journal(seed: u64) -> Vec<(Height, Vec<Entry>, Digest32)> {
    let (mut seed, mut ledger) = (Seed(seed), funded(1_000_000_000));
    ledger.take_journal();
    let block = |height: u64| {
        let height = Height(height);
        ledger.begin(crate::Moment { height, time: UnixNanos(height.get()) });
        for _ in 0..seed.below(6) {
            let (canister, other, amount) = (seed.canister(), seed.account(), Cycles(seed.magnitude(16)));
            drop(ledger.charge(&canister, seed.resource(), seed.magnitude(16)));
            drop(ledger.transfer(&Account::Canister(canister), &other, amount));
            drop(ledger.reserve(&canister, amount));
        }
        if seed.below(3) == 0 {
            ledger.settle(&[]).unwrap();
        }
        // Whoever certifies the head does so before the entries are taken.
        ledger.close_journal();
        let head = ledger.journal_head();
        let entries = ledger.take_journal();
        assert_eq!(ledger.journal_head(), head, "taking the entries changes nothing");
        (height, entries, head)
    };
    (1..30).map(block).collect()
}

#[test]
fn the_ledger_s_head_is_the_chain_over_all_entries() {
    for seed in 0..20 {
        let blocks = journal(seed);
        let mut ledger = funded(1_000_000_000);
        ledger.take_journal();
        let mut head = ledger.journal_head();
        for (height, entries, expected) in &blocks {
            assert_eq!(entries.is_empty(), head == *expected);
            head = append(&head, *height, entries);
            assert_eq!(head, *expected);
        }
    }
}

#[test]
fn an_entry_changed_missing_doubled_or_moved_gives_another_head() {
    let head = [3; 32];
    let (height, entries, _) = journal(1).into_iter().max_by_key(|(_, entries, _)| entries.len()).unwrap();
    let right = append(&head, height, &entries);
    let mut others = vec![entries[1..].to_vec(), [entries.clone(), vec![entries[0].clone()]].concat()];
    others.push(entries.iter().rev().cloned().collect());
    let mut changed = entries.clone();
    for entry in &mut changed {
        if let Entry::Charge { amount, .. } = entry {
            amount.0 += 1;
        }
    }
    others.push(changed);
    for other in others {
        assert_ne!(append(&head, height, &other), right);
    }
    assert_ne!(append(&head, height.next(), &entries), right);
    assert_ne!(append(&[4; 32], height, &entries), right);
}

#[test]
fn entries_survive_the_round_trip_and_nothing_else_decodes() {
    for (_, entries, _) in journal(2) {
        for entry in entries {
            let bytes = entry.encode();
            assert_eq!(Entry::decode(&bytes).as_ref(), Some(&entry));
            assert_eq!(Entry::decode(&[&bytes[..], &[0]].concat()), None);
            assert!((0..bytes.len()).all(|cut| Entry::decode(&bytes[..cut]) != Some(entry.clone())));
        }
    }
}
