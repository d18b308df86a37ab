use super::*;
use crate::work::NodeWork;
use mains_types::{Height, UnixNanos};
use std::collections::BTreeMap;

fn principal(name: u8) -> Principal {
    Principal::self_authenticating([name; 32])
}

fn work(windows: u64, seen: u64, failed: u64) -> NodeWork {
    NodeWork { windows, voted: seen, certified: seen, proposed: 100, failed }
}

/// An epoch in which operators 100 and 101 ran two nodes each, one of which lost views and one was away for a while.
fn settled(epoch: u64, income: u128, tariff: &Tariff) -> Settled {
    let works = [work(10, 10, 0), work(10, 7, 0), work(10, 10, 40), work(10, 10, 1)];
    let mut nodes: BTreeMap<NodeId, Earned> = BTreeMap::new();
    for (number, work) in (0..).zip(works) {
        nodes.insert(principal(number), Earned { operator: principal(100 + number / 2), work, amount: 0 });
    }
    let weights: Vec<_> = nodes.values().map(|earned| earned.work.weighed(earned.operator)).collect();
    let settlement = Settlement::divide(Cycles(income), tariff, &weights).unwrap();
    for (earned, (_, amount)) in nodes.values_mut().zip(&settlement.operators) {
        earned.amount = amount.get();
    }
    let height = |number: u64| Height(number * 64);
    let (began, ended) = (UnixNanos(epoch * 10), UnixNanos(epoch * 10 + 10));
    Settled { epoch, first: height(epoch - 1).next(), last: height(epoch), began, ended, nodes, settlement }
}

fn at() -> Moment {
    Moment { height: Height(1_000), time: UnixNanos(1_000) }
}

fn draw(settled: &[Settled], tariffs: &[Tariff]) -> Result<Income, IncomeError> {
    Income::draw(principal(100), at(), String::new(), settled, tariffs)
}

#[test]
fn an_operators_bill_shows_facts_formula_and_where_the_rest_went() {
    let tariff = Tariff::for_nodes(4);
    let income = draw(&[settled(1, 1_000_003, &tariff), settled(2, 77, &tariff)], &[tariff]).unwrap();
    assert_eq!((income.from_epoch, income.to_epoch, income.epochs.len()), (1, 2, 2));
    let epoch = &income.epochs[0];
    assert_eq!((epoch.pool, epoch.weight_max), (Cycles(800_002), 800_000));
    let mut amounts: Vec<_> = epoch.nodes.iter().map(|node| (node.weight, node.amount.get())).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [(140_000, 140_000), (200_000, 200_000)]);
    assert_eq!(epoch.earned, Cycles(340_000));
    assert_eq!(epoch.earned_max(), Cycles(400_001));
    let parts = [epoch.earned, epoch.others, epoch.reserve, epoch.commons, epoch.rounding];
    assert_eq!(parts.iter().map(|part| part.get()).sum::<u128>(), epoch.income.get());
    assert_eq!(income.earned.get(), income.epochs.iter().map(|epoch| epoch.earned.get()).sum::<u128>());
}

#[test]
fn each_epoch_is_of_the_tariff_that_was_in_force_at_its_end() {
    let first = Tariff::for_nodes(4);
    let second = Tariff {
        version: 2,
        effective_height: Height(65),
        operators_share: 7_000,
        commons_share: 2_000,
        ..first.clone()
    };
    let epochs = [settled(1, 1_000, &first), settled(2, 1_000, &second)];
    let income = draw(&epochs, &[first.clone(), second.clone()]).unwrap();
    assert_eq!(income.epochs.iter().map(|epoch| epoch.tariff_version).collect::<Vec<_>>(), [1, 2]);
    let error = draw(&epochs, &[first]).unwrap_err();
    assert!(matches!(error, IncomeError::Divided { epoch: 2, .. }), "{error}");
    assert_eq!(draw(&epochs[..1], &[second]), Err(IncomeError::NoTariff { epoch: 1 }));
}

#[test]
fn a_settlement_off_the_formula_is_named() {
    let tariff = Tariff::for_nodes(4);
    type Change = fn(&mut Settled);
    let changes: [(Change, &str); 5] = [
        (|settled| settled.nodes.values_mut().next().unwrap().amount += 1, "node "),
        (|settled| settled.nodes.values_mut().next().unwrap().work.windows += 1, "node "),
        (|settled| settled.settlement.reserve.0 -= 1, "reserve"),
        (|settled| settled.settlement.commons.0 += 1, "commons"),
        (|settled| settled.settlement.rounding.0 += 1, "rounding"),
    ];
    for (change, line) in changes {
        let mut epochs = [settled(1, 1_000_003, &tariff), settled(2, 1_000_003, &tariff)];
        change(&mut epochs[1]);
        match draw(&epochs, std::slice::from_ref(&tariff)) {
            Err(IncomeError::Divided { epoch: 2, line: named, .. }) => assert!(named.starts_with(line), "{named}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn a_gap_nothing_and_a_stranger_have_no_bill() {
    let tariff = Tariff::for_nodes(4);
    let epochs = [settled(1, 5, &tariff), settled(3, 5, &tariff)];
    let tariffs = [tariff];
    assert_eq!(draw(&epochs, &tariffs), Err(IncomeError::Gap { epoch: 2 }));
    assert_eq!(draw(&[], &tariffs), Err(IncomeError::Nothing { operator: principal(100) }));
    let stranger = principal(7);
    let error = Income::draw(stranger, at(), String::new(), &epochs[..1], &tariffs);
    assert_eq!(error, Err(IncomeError::Nothing { operator: stranger }));
}

#[test]
fn a_settlements_bytes_are_read_back_and_nothing_else_is() {
    let settled = settled(9, 123_456, &Tariff::for_nodes(4));
    let bytes = settled.encode();
    assert_eq!(Settled::decode(&bytes), Some(settled));
    for length in 0..bytes.len() {
        assert_eq!(Settled::decode(&bytes[..length]), None);
    }
    assert_eq!(Settled::decode(&[bytes, vec![0]].concat()), None);
}
