use super::*;
use crate::{
    account::Account,
    ledger::Ledger,
    testing::{Seed, funded},
};
use mains_types::ids::canister_id;

const BILLION: u128 = 1_000_000_000;
const FOOTPRINT: Footprint =
    Footprint { memory_bytes: 1 << 20, compute_allocation_percent: 0, freezing_threshold_s: 2_592_000 };

fn moment(height: u64) -> Moment {
    Moment { height: Height(height), time: UnixNanos(height * 1_000) }
}

/// A block of random work; reservations end in it or stay open.
fn work(ledger: &mut Ledger, seed: &mut Seed) {
    for _ in 0..20 {
        let (canister, other) = (seed.canister(), seed.canister());
        let (resource, quantity) = (seed.resource(), seed.magnitude(16));
        match seed.below(4) {
            0 => drop(ledger.charge(&canister, resource, quantity)),
            1 => drop(ledger.transfer(&Account::Canister(canister), &Account::Canister(other), Cycles(quantity))),
            2 => drop(ledger.reserve(&canister, Cycles(quantity))),
            _ => {
                let cost = ledger.tariff().cost(resource, quantity);
                if ledger.reserve(&canister, cost).is_ok() {
                    let rest = cost.get() - ledger.charge_reserved(&canister, resource, quantity).get();
                    ledger.release(&Account::Canister(other), Cycles(rest));
                }
            }
        }
    }
}

fn sample() -> (Statement, Tariff) {
    let mut ledger = funded(BILLION);
    let canister = canister_id(1);
    ledger.charge(&canister, Resource::Instructions, 3).unwrap();
    let since = ledger.reading(&canister, moment(5)).unwrap();
    ledger.charge(&canister, Resource::Instructions, 1_000_000).unwrap();
    ledger.charge(&canister, Resource::Execution, 2).unwrap();
    ledger.transfer(&Account::Canister(canister_id(2)), &Account::Canister(canister), Cycles(70)).unwrap();
    ledger.transfer(&Account::Canister(canister), &Account::Commons, Cycles(30)).unwrap();
    let statement = ledger.statement(&canister, Some(&since), moment(9), &FOOTPRINT).unwrap();
    (statement, ledger.tariff().clone())
}

#[test]
fn a_statement_has_readings_amounts_and_a_balance() {
    let (statement, tariff) = sample();
    let line = &statement.lines[Resource::Instructions.index()];
    assert_eq!((line.previous, line.present, line.quantity), (3, 1_000_003, 1_000_000));
    // 3 * 4/13 were carried: less than a cycle then, due now.
    assert_eq!((line.carried, line.amount), (12, Cycles(307_693)));
    assert_eq!((statement.opening, statement.received, statement.sent), (Cycles(BILLION), Cycles(70), Cycles(30)));
    assert_eq!(statement.closing.get(), BILLION + 40 - statement.charged.get());
    verify(&statement, &tariff).unwrap();
}

#[test]
fn every_statement_of_random_work_balances_and_verifies() {
    for seed in 0..40 {
        let (mut seed, mut ledger) = (Seed(seed), funded(BILLION));
        let mut since = None;
        for height in 1..10 {
            work(&mut ledger, &mut seed);
            let canister = canister_id(2);
            let statement = ledger.statement(&canister, since.as_ref(), moment(height), &FOOTPRINT).unwrap();
            assert!(statement.balances());
            verify(&statement, ledger.tariff()).unwrap();
            assert_eq!(statement.closing, ledger.canister_balance(&canister));
            if seed.below(2) == 0 {
                since = ledger.reading(&canister, moment(height));
            }
        }
    }
}

#[test]
fn a_reading_can_be_recovered_from_a_later_one_and_the_journal() {
    for seed in 0..40 {
        let (mut seed, mut ledger) = (Seed(seed), funded(BILLION));
        work(&mut ledger, &mut seed);
        ledger.take_journal();
        let earlier: Vec<_> = (0..6).map(|index| ledger.reading(&canister_id(index), moment(1)).unwrap()).collect();
        let mut journal = Vec::new();
        for _ in 0..5 {
            work(&mut ledger, &mut seed);
            journal.extend(ledger.take_journal());
        }
        for (index, earlier) in earlier.iter().enumerate() {
            let canister = canister_id(index as u64);
            let later = ledger.reading(&canister, moment(6)).unwrap();
            let recovered = later.rewind(&canister, &journal, moment(1), ledger.tariff());
            assert_eq!(recovered.as_ref(), Some(earlier));
        }
    }
}

#[test]
fn a_journal_that_does_not_fit_recovers_nothing() {
    let ledger = funded(BILLION);
    let (canister, resource) = (canister_id(0), Resource::Instructions);
    let reading = ledger.reading(&canister, moment(1)).unwrap();
    let charge = |quantity, amount| Entry::Charge { canister, resource, quantity, amount, reading: 0 };
    for entry in [charge(1, Cycles(1)), charge(0, Cycles(1)), charge(u128::MAX, Cycles::MAX)] {
        assert_eq!(reading.rewind(&canister, &[entry], moment(0), ledger.tariff()), None);
    }
}

#[test]
fn json_carries_amounts_as_text_and_comes_back_equal() {
    let (mut statement, _) = sample();
    statement.opening = Cycles(u128::MAX);
    let json = serde_json::to_string(&statement).unwrap();
    assert!(json.contains("\"opening\":\"340282366920938463463374607431768211455\""), "{json}");
    assert_eq!(serde_json::from_str::<Statement>(&json).unwrap(), statement);
    let bytes = postcard::to_allocvec(&statement).unwrap();
    assert_eq!(postcard::from_bytes::<Statement>(&bytes).unwrap(), statement);
}

#[test]
fn amounts_have_one_written_form() {
    let (statement, _) = sample();
    let json = serde_json::to_string(&statement).unwrap();
    for wrong in
        ["\"+70\"", "\"070\"", "\"-70\"", "\"7e1\"", "\"\"", "70", "\"340282366920938463463374607431768211456\""]
    {
        let json = json.replace("\"received\":\"70\"", &format!("\"received\":{wrong}"));
        assert!(serde_json::from_str::<Statement>(&json).is_err(), "{wrong}");
    }
}

#[test]
fn whatever_is_changed_in_a_statement_is_found() {
    let (good, tariff) = sample();
    type Change = fn(&mut Statement);
    let changes: [(Change, &str); 18] = [
        (|it| it.lines[1].quantity += 1, "difference"),
        (|it| it.lines[1].present += 1, "difference"),
        (|it| it.lines[1].present = 0, "difference"),
        (|it| it.lines[1].price.numerator += 1, "price"),
        (|it| it.lines[1].price.denominator = 0, "price"),
        (|it| it.lines[1].carried = 13, "price"),
        (|it| it.lines[1].amount = Cycles(1), "quantity times price"),
        (|it| it.lines[1].amount = Cycles::MAX, "quantity times price"),
        (|it| it.lines.truncate(3), "line 3 should be ingress_bytes"),
        (|it| it.lines.swap(0, 1), "line 0 should be execution"),
        (|it| it.lines.push(it.lines[0].clone()), "12 lines"),
        (|it| it.charged = Cycles(0), "sum up"),
        (|it| it.closing = Cycles::MAX, "is not closing"),
        (|it| it.paid_to.operators.0 += 1, "where the charged cycles went"),
        (|it| it.outlook.as_mut().unwrap().footprint.memory_bytes /= 2, "runway"),
        (|it| it.outlook.as_mut().unwrap().runway_days = None, "runway"),
        (|it| it.tariff_version = 2, "tariff versions 1 to 2"),
        (|it| it.to.height = Height(0), "before it begins"),
    ];
    for (change, reason) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let error = verify(&bad, &tariff).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let other = Tariff { version: 2, ..tariff };
    assert!(matches!(verify(&good, &other), Err(StatementError::OtherTariff { .. })));
}

#[test]
fn the_runway_counts_the_days_until_it_is_frozen() {
    let ledger = funded(BILLION);
    let statement = |footprint| ledger.statement(&canister_id(0), None, moment(1), &footprint).unwrap();
    let idle = ledger.tariff().idle_cost_per_day(FOOTPRINT.memory_bytes, 0).get();
    let frozen = ledger.tariff().freezing_limit(FOOTPRINT.memory_bytes, 0, FOOTPRINT.freezing_threshold_s).get();
    let runway = |footprint| statement(footprint).outlook.unwrap().runway_days;
    assert_eq!(runway(FOOTPRINT), Some((BILLION - frozen) / idle));
    assert_eq!(runway(Footprint::default()), None);
    let huge = Footprint { memory_bytes: u64::MAX, ..FOOTPRINT };
    assert_eq!(runway(huge), Some(0));
    assert!(ledger.statement(&canister_id(99), None, moment(1), &FOOTPRINT).is_none());
}

#[test]
fn text_stands_in_aligned_columns() {
    let text = render_text(&sample().0);
    let expected = "\
canister   rrkah-fqaaa-aaaaa-aaaaq-cai
period     height 5 to 9
tariff     version 1, 4 nodes

resource      previous    present   quantity                          price     cycles
execution            0          2          2  1,538,461.538461538 / message  3,076,923
instructions         3  1,000,003  1,000,000      0.307692307 / instruction    307,693

opening balance    1,000,000,000
+ received                    70
- sent                        30
- charged              3,384,616
= closing balance    996,615,424
to operators           2,707,692
to the reserve           338,461
to the commons           338,461
idle cost per day      3,297,116
frozen below          98,913,462
runway                  272 days
";
    assert_eq!(text, expected);
}
