//! Each invariant broken on its own, and found at the height that broke it.

use super::*;
use crate::testing::{funded, operator};
use mains_types::{UnixNanos, ids::canister_id};

const MEMBER: u128 = 1_000_000;

fn member() -> Member {
    Member::new(Principal::self_authenticating([5; 32]), None)
}

/// Books in the middle of a block in which canisters, a member and meters changed, the journal written up.
fn books() -> Ledger {
    let mut ledger = funded(1 << 60);
    ledger.take_journal();
    ledger.begin(Moment { height: Height(1), time: UnixNanos(1) });
    ledger.mint(&member().into(), Cycles(MEMBER)).unwrap();
    let id = canister_id(1);
    ledger.transfer(&member().into(), &Account::Canister(id), Cycles(MEMBER / 2)).unwrap();
    ledger.charge(&id, Resource::IngressBytes, 7).unwrap();
    ledger.reserve(&id, Cycles(5_000)).unwrap();
    ledger.charge_reserved(&id, Resource::Instructions, 100);
    ledger.close_journal();
    ledger
}

fn account(ledger: &mut Ledger) -> &mut CanisterAccount {
    Arc::make_mut(ledger.canisters.get_mut(&canister_id(1)).unwrap())
}

#[test]
fn every_invariant_that_breaks_is_found_at_its_height_and_named() {
    assert_eq!(books().check_height(), Ok(()));
    type Break = fn(&mut Ledger);
    assert_eq!(Resource::IngressBytes.index(), 3, "the meter that is broken below");
    let breaks: [(&str, Break, &str); 12] = [
        ("money appears", |ledger| ledger.reserve += 1, "accounts hold"),
        ("money vanishes in flight", |ledger| ledger.in_flight -= 1, "accounts hold"),
        ("more is redeemed than was issued", |ledger| ledger.redeemed = ledger.issued + 1, "cycles redeemed of"),
        (
            "too much exists",
            |ledger| {
                ledger.issued += SUPPLY_MAX;
                ledger.commons += SUPPLY_MAX;
            },
            "at most",
        ),
        (
            "a canister's balance follows nothing",
            |ledger| {
                account(ledger).balance += 1;
                ledger.canisters_total += 1;
                ledger.in_flight -= 1;
            },
            "its turnover says otherwise",
        ),
        (
            "the canisters' total is not that of their accounts",
            |ledger| {
                ledger.canisters_total += 1;
                ledger.members_total -= 1;
            },
            "canisters' accounts moved their total",
        ),
        (
            "the members' total is not that of their accounts",
            |ledger| {
                *ledger.members.get_mut(&member()).unwrap() += 1;
            },
            "members' accounts moved their total",
        ),
        (
            "a meter falls",
            |ledger| {
                let mut before = account(ledger).clone();
                before.meters[3].reading += 1_000;
                ledger.touched_canisters.get_mut(&canister_id(1)).unwrap().digested = Some(Arc::new(before));
            },
            "the meter of ingress_bytes fell",
        ),
        ("more is metered than was charged for", |ledger| account(ledger).meters[3].reading += 1, "not the price"),
        ("a whole cycle is carried", |ledger| account(ledger).meters[3].carry += 1 << 40, "carries a whole cycle"),
        ("a transfer has no number of its own", |ledger| ledger.next_transfer += 1, "transfers were numbered"),
        ("income is not what meters charged", |ledger| ledger.charged[3] += 1, "meters charged for ingress_bytes"),
    ];
    for (name, break_it, reason) in breaks {
        let mut ledger = books();
        break_it(&mut ledger);
        let broken = ledger.check_height().expect_err(name);
        assert!(broken.contains(reason), "{name}: {broken}");
    }
}

#[test]
fn a_number_given_twice_and_an_account_that_is_just_gone_are_found() {
    let mut twice = books();
    let entry = twice.entries.iter().find(|entry| matches!(entry, Entry::Transfer { .. })).cloned().unwrap();
    twice.entries.push_back(entry);
    assert!(twice.check_height().unwrap_err().contains("the next transfer's number"));
    let mut gone = books();
    // The account was there when the block began.
    let id = canister_id(1);
    let account = gone.canisters.remove(&id).unwrap();
    gone.touched_canisters.get_mut(&id).unwrap().digested = Some(account.clone());
    gone.canisters_total -= account.balance;
    gone.reserve += account.balance;
    assert!(gone.check_height().unwrap_err().contains("was never closed"));
}

#[test]
fn a_settlement_that_brings_a_tariff_a_closed_account_and_one_opened_again_add_up() {
    let mut ledger = books();
    let id = canister_id(1);
    ledger.release(&Account::Canister(id), ledger.balance(&Account::InFlight));
    let dearer = Tariff { version: 2, effective_height: Height(2), ..Tariff::for_nodes(9) };
    ledger.settle(&[]).unwrap();
    ledger.adopt_tariff(dearer, Height(2)).unwrap();
    ledger.close_journal();
    assert_eq!(ledger.check_height(), Ok(()));
    ledger.take_journal();
    ledger.begin(Moment { height: Height(2), time: UnixNanos(2) });
    ledger.charge(&id, Resource::IngressBytes, 9).unwrap();
    ledger.close_canister(&id, &Account::Operator(operator(1))).unwrap();
    ledger.mint(&Account::Canister(id), Cycles(1 << 40)).unwrap();
    ledger.charge(&id, Resource::IngressBytes, 3).unwrap();
    ledger.close_journal();
    assert_eq!(ledger.check_height(), Ok(()));
    assert_eq!(ledger.check_full(), Ok(()));
}

#[test]
fn a_tariff_that_comes_with_a_settlement_leaves_what_is_usual_as_it_was() {
    let mut ledger = books();
    let period = ledger.period();
    ledger.settle(&[]).unwrap();
    let dearer = Tariff { version: 2, effective_height: Height(2), ..Tariff::for_nodes(9) };
    ledger.adopt_tariff(dearer, Height(2)).unwrap();
    assert_eq!(ledger.period(), period + 1, "one period ended, not two");
    let third = Tariff { version: 3, effective_height: Height(2), ..Tariff::for_nodes(9) };
    ledger.begin(Moment { height: Height(2), time: UnixNanos(2) });
    ledger.adopt_tariff(third, Height(2)).unwrap();
    assert_eq!(ledger.period(), period + 2);
}
