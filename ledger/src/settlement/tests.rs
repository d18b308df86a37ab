use super::*;
use crate::{
    journal::Entry,
    testing::{Seed, funded, operator},
};
use mains_types::ids::canister_id;

const BILLION: u128 = 1_000_000_000;

fn earned(amount: u128) -> Ledger {
    let mut ledger = funded(BILLION);
    // 13 instructions cost 4 cycles, 10 more cost 3 and a fraction.
    ledger.charge(&canister_id(0), Resource::Instructions, amount * 13 / 4).unwrap();
    ledger.charge(&canister_id(1), Resource::IngressBytes, 1).unwrap();
    ledger
}

fn weight(number: u8, weight: u64, weight_max: u64) -> OperatorWeight {
    OperatorWeight { operator: operator(number), weight, weight_max }
}

#[test]
fn eighty_ten_ten_and_every_income_account_is_closed() {
    let mut ledger = earned(1_000_000);
    let settlement = ledger.settle(&[weight(1, 10, 10), weight(2, 10, 10)]).unwrap();
    let income = 1_000_000 + 2_000 * 4 / 13;
    assert_eq!(settlement.income, Cycles(income));
    let pool = income * 8 / 10;
    assert_eq!(settlement.operators, [(operator(1), Cycles(pool / 2)), (operator(2), Cycles(pool / 2))]);
    assert_eq!(settlement.reserve, Cycles(income / 10));
    assert_eq!(settlement.commons, Cycles(income / 10));
    assert!(settlement.rounding < Cycles(4));
    for resource in Resource::ALL {
        assert_eq!(ledger.balance(&Account::Income(resource)), Cycles::ZERO);
    }
    assert_eq!(ledger.balance(&Account::Operator(operator(1))), Cycles(pool / 2));
    assert_eq!(ledger.balance(&Account::Rounding), settlement.rounding);
    ledger.check_full().unwrap();
}

#[test]
fn what_a_node_did_not_earn_goes_to_the_reserve_and_never_to_its_neighbour() {
    let pay = |lazy: u64| {
        let settlement = earned(1_000_000).settle(&[weight(1, 10, 10), weight(2, lazy, 10)]).unwrap();
        (settlement.operators[0].1, settlement.operators[1].1, settlement.reserve)
    };
    let (diligent, full, reserve) = pay(10);
    let (diligent_still, nothing, larger_reserve) = pay(0);
    assert_eq!(diligent, diligent_still);
    assert_eq!(nothing, Cycles::ZERO);
    assert_eq!(larger_reserve, reserve.saturating_add(full));
}

#[test]
fn an_operator_of_several_nodes_is_paid_for_each() {
    let mut ledger = earned(1_000_000);
    ledger.settle(&[weight(1, 1, 1), weight(2, 1, 1), weight(1, 1, 1)]).unwrap();
    let pay = |number| ledger.balance(&Account::Operator(operator(number))).get();
    assert_eq!(pay(1), 2 * pay(2));
}

#[test]
fn without_operators_the_reserve_keeps_their_share() {
    for weights in [vec![], vec![weight(1, 0, 0)]] {
        let mut ledger = earned(1_000_000);
        let settlement = ledger.settle(&weights).unwrap();
        assert!(settlement.reserve.get() >= settlement.income.get() * 9 / 10 - 1);
        ledger.check_full().unwrap();
    }
}

#[test]
fn settling_without_income_pays_nobody_and_writes_nothing() {
    let mut ledger = funded(BILLION);
    ledger.take_journal();
    let settlement = ledger.settle(&[weight(1, 1, 1)]).unwrap();
    assert_eq!(settlement.income, Cycles::ZERO);
    assert_eq!(ledger.take_journal(), []);
}

#[test]
fn weights_that_make_no_sense_are_refused_and_nothing_is_changed() {
    for weights in [vec![weight(1, 2, 1)], vec![weight(1, 1, u64::MAX), weight(2, 1, 1)]] {
        let mut ledger = earned(1_000);
        let digest = ledger.digest();
        assert!(matches!(ledger.settle(&weights), Err(LedgerError::WeightInvalid { .. })));
        assert_eq!(ledger.digest(), digest);
    }
}

#[test]
fn the_journal_shows_every_cycle_from_income_to_its_receiver() {
    let mut ledger = earned(1_000_000);
    ledger.take_journal();
    let settlement = ledger.settle(&[weight(1, 3, 7), weight(2, 5, 7)]).unwrap();
    let mut sum = Cycles::ZERO;
    for entry in ledger.take_journal() {
        let Entry::Transfer { from: Account::Income(_), to, amount, .. } = entry else {
            panic!("{entry:?} is no part of a settlement");
        };
        assert!(!matches!(to, Account::Income(_)) && amount > Cycles::ZERO);
        sum = sum.saturating_add(amount);
    }
    assert_eq!(sum, settlement.income);
}

#[test]
fn the_parts_always_make_the_whole_and_nobody_gets_more_than_a_fair_share() {
    let mut seed = Seed(1);
    for _ in 0..500 {
        let mut ledger = funded(1 << 60);
        ledger.charge(&canister_id(0), Resource::Instructions, seed.magnitude(60)).unwrap();
        let weights: Vec<_> = (0..seed.below(9) as u8)
            .map(|number| {
                let max = seed.magnitude(50) as u64;
                weight(number, seed.below(max + 1), max)
            })
            .collect();
        let settlement = ledger.settle(&weights).unwrap();
        ledger.check_full().unwrap();
        let paid: u128 = settlement.operators.iter().map(|(_, amount)| amount.get()).sum();
        let parts = paid + settlement.reserve.get() + settlement.commons.get() + settlement.rounding.get();
        assert_eq!(parts, settlement.income.get());
        assert!(settlement.rounding.get() <= weights.len() as u128 + 4);
        assert!(paid <= settlement.income.get() * 8 / 10);
    }
}

#[test]
fn proportions_are_exact_for_every_amount() {
    assert_eq!(proportion(u128::MAX, u64::MAX, u64::MAX), u128::MAX);
    assert_eq!(proportion(u128::MAX, 1, 2), u128::MAX / 2);
    assert_eq!(proportion(10, 1, 3), 3);
    assert_eq!(proportion(0, 1, 3), 0);
}
