use super::*;
use crate::{Account, Entry, Ledger, Moment, Resource, Tariff};
use mains_types::{CanisterId, Cycles, Height, UnixNanos, ids::canister_id};

fn id() -> CanisterId {
    canister_id(7)
}

fn at(height: u64) -> Moment {
    Moment { height: Height(height), time: UnixNanos(height * 1_000) }
}

/// Books in which a canister is charged in each of some blocks; a period ends after every third. Returns its readings too.
fn books(blocks: u64) -> (Ledger, Vec<CanisterAccount>) {
    let mut ledger = Ledger::genesis(Tariff::for_nodes(4));
    ledger.mint(&Account::Canister(id()), Cycles(1 << 60)).unwrap();
    let mut readings = Vec::new();
    for height in 1..=blocks {
        ledger.begin(at(height));
        ledger.charge(&id(), Resource::Instructions, u128::from(1_000 + height)).unwrap();
        if height % 3 == 0 {
            ledger.settle(&[]).unwrap();
        }
        ledger.check_full().unwrap();
        for entry in ledger.take_journal() {
            if let Entry::Reading { canister, account } = entry {
                assert_eq!(canister, id());
                readings.push(*account);
            }
        }
    }
    (ledger, readings)
}

#[test]
fn each_period_leaves_one_reading_and_the_account_names_them_all() {
    let (ledger, readings) = books(10);
    let account = ledger.canister(&id()).unwrap();
    assert_eq!(readings.iter().map(|reading| reading.changed.height.get()).collect::<Vec<_>>(), [3, 6, 9]);
    assert_eq!((account.changed, account.period, ledger.period()), (at(10), 3, 3));
    assert_eq!(verify(&readings, account), 3);
    assert_eq!(verify(&readings[1..], account), 2, "the newest can be proven without those before");
    assert_eq!(readings[0].chain, [0; 32], "nothing came before the first");
}

#[test]
fn a_changed_missing_or_foreign_reading_does_not_hold() {
    let (ledger, readings) = books(10);
    let account = ledger.canister(&id()).unwrap();
    let mut changed = readings.clone();
    changed[1].meters[1].reading -= 1;
    assert_eq!(verify(&changed, account), 1);
    assert_eq!(verify(&[readings[0].clone(), readings[2].clone()], account), 1);
    assert_eq!(verify(&readings[..2], account), 0);
    assert_eq!(verify(&readings, &books(7).0.canister(&id()).unwrap().clone()), 0);
}

#[test]
fn an_account_that_rests_has_no_readings_however_many_periods_end() {
    let (mut ledger, readings) = books(3);
    for _ in 0..5 {
        ledger.settle(&[]).unwrap();
    }
    assert!(readings.is_empty() && ledger.take_journal().iter().all(|entry| !matches!(entry, Entry::Reading { .. })));
    ledger.begin(at(9));
    ledger.charge(&id(), Resource::Instructions, 1).unwrap();
    let journal = ledger.take_journal();
    let count = journal.iter().filter(|entry| matches!(entry, Entry::Reading { .. })).count();
    assert_eq!((count, ledger.canister(&id()).unwrap().period), (1, 6));
}

#[test]
fn a_change_of_tariff_ends_a_period_so_that_readings_are_of_one_tariff() {
    let (mut ledger, _) = books(2);
    let next = Tariff { version: 2, effective_height: Height(3), ..Tariff::for_nodes(4) };
    ledger.begin(at(3));
    ledger.adopt_tariff(next, Height(3)).unwrap();
    ledger.charge(&id(), Resource::Instructions, 5).unwrap();
    let reading = ledger.take_journal().into_iter().find_map(|entry| match entry {
        Entry::Reading { account, .. } => Some(*account),
        _ => None,
    });
    let (reading, account) = (reading.unwrap(), ledger.canister(&id()).unwrap());
    assert_eq!((reading.tariff_version, account.tariff_version), (1, 2));
    assert_eq!(verify(&[reading], account), 1);
}

#[test]
fn accounts_survive_the_round_trip_and_nothing_else_decodes() {
    let (ledger, _) = books(10);
    let mut account = ledger.canister(&id()).unwrap().clone();
    (account.received, account.in_calls) = (u128::MAX, 1 << 127);
    let bytes = account.encode();
    assert_eq!(CanisterAccount::decode(&bytes), Some(account));
    for cut in 0..bytes.len() {
        assert_eq!(CanisterAccount::decode(&bytes[..cut]), None);
    }
    assert_eq!(CanisterAccount::decode(&[&bytes[..], &[0]].concat()), None);
    assert_eq!(number(&mut &[0x80, 0x00][..]), None, "only the shortest form");
    assert_eq!(number(&mut &[0xff; 30][..]), None);
}
