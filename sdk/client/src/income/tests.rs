use super::*;
use crate::testing::{at, certificate, der, key};
use ic_verify_bls_signature::PrivateKey;
use mains_ledger::{
    Settlement,
    work::{Earned, NodeWork},
};
use mains_types::Cycles;
use std::collections::BTreeMap;

fn principal(name: u8) -> Principal {
    Principal::self_authenticating([name; 32])
}

fn tariffs() -> Vec<Tariff> {
    let first = Tariff::for_nodes(4);
    let second = Tariff {
        version: 2,
        effective_height: Height(129),
        operators_share: 7_000,
        commons_share: 2_000,
        ..first.clone()
    };
    vec![first, second]
}

/// Four epochs, the last two of another tariff; operators 100 and 101 run two nodes each.
fn settled(epoch: u64) -> Settled {
    let tariff = &tariffs()[usize::from(epoch > 2)];
    let mut nodes = BTreeMap::new();
    for number in 0..4_u8 {
        let work = NodeWork { windows: 9, voted: 9, certified: 9 - u64::from(number), proposed: 99, failed: 0 };
        nodes.insert(principal(number), Earned { operator: principal(100 + number / 2), work, amount: 0 });
    }
    let weights: Vec<_> = nodes.values().map(|earned| earned.work.weighed(earned.operator)).collect();
    let settlement = Settlement::divide(Cycles(u128::from(epoch) * 1_000_003), tariff, &weights).unwrap();
    for (earned, (_, amount)) in nodes.values_mut().zip(&settlement.operators) {
        earned.amount = amount.get();
    }
    let (first, last) = (Height(epoch * 64 - 63), Height(epoch * 64));
    let (began, ended) = (UnixNanos(epoch * 100 - 100), UnixNanos(epoch * 100));
    Settled { epoch, first, last, began, ended, nodes, settlement }
}

fn proof(epochs: &[Settled], tariffs: &[Tariff], height: u64, key: &PrivateKey) -> String {
    let mut leaves: Vec<([Vec<u8>; 2], Vec<u8>)> = Vec::new();
    leaves.extend(
        epochs.iter().map(|settled| ([b"settlement".to_vec(), settled.epoch.to_be_bytes().to_vec()], settled.encode())),
    );
    leaves.extend(
        tariffs.iter().map(|tariff| ([b"tariff".to_vec(), tariff.version.to_be_bytes().to_vec()], tariff.encode())),
    );
    let paths: Vec<[&[u8]; 2]> = leaves.iter().map(|(path, _)| [&path[0][..], &path[1][..]]).collect();
    certificate(at(height), paths.iter().map(|path| &path[..]).zip(leaves.iter().map(|(_, leaf)| leaf.clone())), key)
}

fn income() -> Income {
    let epochs: Vec<Settled> = (1..=4).map(settled).collect();
    let encoded = proof(&epochs, &tariffs(), 300, &key(7));
    let certificate = Certificate::from_hex(&encoded, &der(&key(7))).unwrap();
    draw(principal(100), &certificate, at(300), encoded, 2..=4).unwrap()
}

#[test]
fn an_operators_bill_is_verified_with_nothing_but_the_root_key() {
    let income = income();
    let read: Income = serde_json::from_str(&serde_json::to_string(&income).unwrap()).unwrap();
    assert_eq!(read, income);
    assert_eq!(verify(&read, &der(&key(7)), Some(UnixNanos(300_000))), Ok(()));
    assert_eq!(income.epochs.iter().map(|epoch| epoch.tariff_version).collect::<Vec<_>>(), [1, 2, 2]);
    assert_eq!(income.epochs[0].nodes.len(), 2);
}

#[test]
fn forged_figures_missing_lines_foreign_keys_and_old_certificates_are_refused() {
    type Change = fn(&mut Income);
    let changes: [(Change, &str); 8] = [
        (|income| income.epochs[1].nodes[0].amount.0 += 1, "epochs 2, nodes 1, amount: stated "),
        (|income| income.epochs[2].nodes[1].voted = 8, "epochs 3, nodes 2, voted: stated 8, proven 9"),
        (|income| income.epochs[0].nodes.truncate(1), "epochs 1, nodes 2: stated no such line"),
        (|income| income.epochs.retain(|epoch| epoch.epoch != 3), "epochs 2, from, height: stated 193, proven 129"),
        (|income| income.epochs.truncate(2), "epochs 3: stated no such line"),
        (|income| income.epochs[0].reserve.0 -= 1, "epochs 1, reserve: stated "),
        (|income| income.earned.0 += 1, "earned: stated "),
        (|income| income.to_epoch = 5, "the certificate does not show a settlement of the period"),
    ];
    for (change, reason) in changes {
        let mut changed = income();
        change(&mut changed);
        let error = verify(&changed, &der(&key(7)), None).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    }
    let wrong = Err(Unproven::Certificate(CertificateError::WrongSignature));
    assert_eq!(verify(&income(), &der(&key(8)), None), wrong, "another network's key");
    let stale = Unproven::Stale { certified: 300_000, not_before: 300_001 };
    assert_eq!(verify(&income(), &der(&key(7)), Some(UnixNanos(300_001))), Err(stale));
}

#[test]
fn a_certificate_that_hides_a_tariff_or_a_wrong_settlement_proves_nothing() {
    let mut epochs: Vec<Settled> = (1..=4).map(settled).collect();
    let draw = |epochs: &[Settled], tariffs: &[Tariff]| {
        let encoded = proof(epochs, tariffs, 300, &key(7));
        let certificate = Certificate::from_hex(&encoded, &der(&key(7))).unwrap();
        draw(principal(100), &certificate, at(300), encoded, 1..=4)
    };
    assert!(draw(&epochs, &tariffs()).is_ok());
    // Under the first tariff alone, the third epoch was divided otherwise than it should have been.
    let error = draw(&epochs, &tariffs()[..1]).unwrap_err().to_string();
    assert!(error.starts_with("epoch 3, node "), "{error}");
    epochs[1].settlement.commons.0 += 1;
    let error = draw(&epochs, &tariffs()).unwrap_err().to_string();
    assert!(error.starts_with("epoch 2, commons: "), "{error}");
}
