use super::*;
use crate::{Account, Ledger, Moment, Resource};
use mains_types::{CanisterId, Height, UnixNanos, ids::canister_id};

const CREDIT: u128 = 1_000_000_000_000;

fn id() -> CanisterId {
    canister_id(7)
}

fn footprint() -> Footprint {
    Footprint { memory_bytes: 1 << 30, compute_allocation_percent: 0, freezing_threshold_s: 30 * DAY_SECONDS }
}

fn tariff() -> Tariff {
    Tariff::for_nodes(13)
}

/// Charges these amounts in periods one after another, the last of which goes on.
fn books(balance: u128, amounts: &[u128]) -> Ledger {
    let mut ledger = Ledger::genesis(tariff());
    ledger.mint(&Account::Canister(id()), Cycles(balance)).unwrap();
    for (number, amount) in amounts.iter().enumerate() {
        if number > 0 {
            ledger.settle(&[]).unwrap();
        }
        ledger.begin(Moment { height: Height(number as u64 + 1), time: UnixNanos(number as u64 + 1) });
        if *amount > 0 {
            ledger.charge(&id(), Resource::Instructions, *amount).unwrap();
        }
        ledger.check_full().unwrap();
    }
    ledger
}

fn health(ledger: &Ledger) -> Health {
    Health::of(ledger.canister(&id()).unwrap(), ledger.period(), ledger.tariff(), &footprint())
}

#[test]
fn alerts_come_in_time_before_a_canister_freezes() {
    let idle = tariff().idle_cost_per_day(1 << 30, 0).get();
    let limit = tariff().freezing_limit(1 << 30, 0, 30 * DAY_SECONDS).get();
    for (days, expected) in [
        (100, vec![]),
        (LOW_BALANCE_DAYS, vec![]),
        (LOW_BALANCE_DAYS - 1, vec![Alert::LowBalance]),
        (FREEZING_SOON_DAYS, vec![Alert::LowBalance]),
        (FREEZING_SOON_DAYS - 1, vec![Alert::FreezingSoon]),
        (0, vec![Alert::FreezingSoon]),
    ] {
        let health = health(&books(limit + days * idle, &[]));
        assert_eq!((health.runway_days, health.alerts), (Some(days), expected));
    }
    assert_eq!(health(&books(limit - 1, &[])).alerts, [Alert::Frozen]);
}

#[test]
fn what_is_usual_counts_against_the_runway() {
    // A credit a day, of a hundred: a hundred days less what is below the freezing limit.
    let health = health(&books(120 * CREDIT, &[CREDIT; 20]));
    assert!(health.charged_usually.get().abs_diff(CREDIT) < 100, "{health:?}");
    assert_eq!(health.charged, Cycles(CREDIT));
    assert!((90..100).contains(&health.runway_days.unwrap()), "{health:?}");
    assert_eq!(health.alerts, []);
}

#[test]
fn a_burn_unlike_the_usual_one_is_told_and_a_dear_beginning_or_a_trifle_is_not() {
    let unusual = |balance, amounts: &[u128]| health(&books(balance, amounts)).alerts.contains(&Alert::UnusualBurn);
    assert!(unusual(200 * CREDIT, &[CREDIT, CREDIT, CREDIT, 5 * CREDIT]));
    assert!(!unusual(200 * CREDIT, &[CREDIT, CREDIT, CREDIT, 4 * CREDIT]));
    assert!(!unusual(200 * CREDIT, &[5 * CREDIT]), "it has just begun");
    assert!(!unusual(2_000 * CREDIT, &[CREDIT, CREDIT, CREDIT, 5 * CREDIT]), "less than a hundredth of what it has");
    assert!(!unusual(200 * CREDIT, &[CREDIT, CREDIT, 5 * CREDIT, 5 * CREDIT, 5 * CREDIT]), "the new usual");
}

#[test]
fn what_happens_once_is_not_usual() {
    let mut ledger = books(2_000 * CREDIT, &[CREDIT]);
    ledger.charge(&id(), Resource::CanisterCreation, 1).unwrap();
    let installed = ledger.charge(&id(), Resource::CompileInstructions, 500 * CREDIT).unwrap();
    assert!(installed.get() >= 100 * CREDIT);
    for height in 2..4 {
        ledger.settle(&[]).unwrap();
        ledger.begin(Moment { height: Height(height), time: UnixNanos(height) });
        ledger.charge(&id(), Resource::Instructions, CREDIT).unwrap();
    }
    ledger.check_full().unwrap();
    let health = health(&ledger);
    assert!(health.charged_usually.get().abs_diff(CREDIT) < 10 && health.charged == Cycles(CREDIT), "{health:?}");
    assert_eq!(health.alerts, [], "a new canister is not about to freeze");
}

#[test]
fn periods_of_rest_count_whether_the_account_was_looked_at_or_not() {
    let mut resting = books(200 * CREDIT, &[CREDIT, CREDIT]);
    let mut touched = resting.clone();
    for height in 3..8 {
        for (ledger, is_touched) in [(&mut resting, false), (&mut touched, true)] {
            ledger.settle(&[]).unwrap();
            ledger.begin(Moment { height: Height(height), time: UnixNanos(height) });
            if is_touched {
                ledger.mint(&Account::Canister(id()), Cycles(1)).unwrap();
            }
        }
        let (one, other) = (health(&resting), health(&touched));
        assert_eq!((one.charged, one.charged_usually), (other.charged, other.charged_usually));
    }
    assert!(health(&resting).charged_usually.get() < CREDIT / 3);
    (0..1_000).for_each(|_| drop(resting.settle(&[]).unwrap()));
    assert_eq!(health(&resting).charged_usually, Cycles::ZERO);
}

#[test]
fn the_greatest_charges_overflow_nothing() {
    let most = 1 << 126;
    let account =
        CanisterAccount { charged_usually: u128::MAX, charged_before: 5, balance: most, ..Default::default() };
    assert!(account.burn_at(3).1 < u128::MAX);
    Health::of(&account, u64::MAX, &tariff(), &footprint());
}
