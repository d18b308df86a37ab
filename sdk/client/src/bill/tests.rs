use super::*;
use crate::testing::{self, at, der, key};
use ic_verify_bls_signature::PrivateKey;
use mains_ledger::{
    Account, Entry, Ledger, Resource,
    bill::{Bound, Witnesses},
};
use mains_types::{CanisterId, Cycles, Height, ids::canister_id};

fn id() -> CanisterId {
    canister_id(3)
}

/// What a subnet whose books are these certifies at a height, signed with `key`.
fn certificate(ledger: &Ledger, footprint: &Footprint, at: Moment, key: &PrivateKey) -> String {
    let id = id();
    let account: [&[u8]; 2] = [b"account", id.as_slice()];
    let footprint_path: [&[u8]; 2] = [b"footprint", id.as_slice()];
    let versions: Vec<[u8; 4]> = ledger.tariffs().map(|tariff| tariff.version.to_be_bytes()).collect();
    let tariff_paths: Vec<[&[u8]; 2]> = versions.iter().map(|version| [&b"tariff"[..], version]).collect();
    let mut leaves: Vec<(&[&[u8]], Vec<u8>)> =
        vec![(&account, ledger.canister(&id).unwrap().encode()), (&footprint_path, footprint.encode().to_vec())];
    leaves.extend(tariff_paths.iter().map(|path| &path[..]).zip(ledger.tariffs().map(Tariff::encode)));
    testing::certificate(at, leaves, key)
}

const FOOTPRINT: Footprint =
    Footprint { memory_bytes: 1 << 24, compute_allocation_percent: 0, freezing_threshold_s: 2_592_000 };

/// Books with a settlement after every second of twelve blocks and a dearer tariff from the seventh on, and all readings.
fn books() -> (Ledger, Vec<CanisterAccount>) {
    let mut ledger = Ledger::genesis(Tariff::for_nodes(4));
    let mut readings = Vec::new();
    for height in 1..=12 {
        ledger.begin(at(height));
        if height == 1 {
            ledger.mint(&Account::Canister(id()), Cycles(1 << 60)).unwrap();
        }
        if height == 7 {
            let dearer = Tariff { version: 2, effective_height: Height(7), ..Tariff::for_nodes(5) };
            ledger.adopt_tariff(dearer, Height(7)).unwrap();
        }
        ledger.charge(&id(), Resource::Instructions, 1_000_000 + u128::from(height)).unwrap();
        if height % 2 == 0 {
            ledger.settle(&[]).unwrap();
        }
        readings.extend(ledger.take_journal().into_iter().filter_map(|entry| match entry {
            Entry::Reading { account, .. } => Some(*account),
            _ => None,
        }));
    }
    (ledger, readings)
}

fn bill(certified_at: u64, from: Option<u64>, to: Option<u64>) -> Bill {
    let (ledger, readings) = books();
    let account = ledger.canister(&id()).unwrap().clone();
    let bound = |height: Option<u64>| height.map(|height| Bound::Height(Height(height)));
    let witnesses = Witnesses::select(readings, &account, bound(from), bound(to)).unwrap();
    let at = at(certified_at);
    let tariffs = ledger.tariffs().cloned().collect();
    let certified = Certified { at, account, footprint: FOOTPRINT, tariffs };
    Bill::draw(id(), &certified, certificate(&ledger, &FOOTPRINT, at, &key(7)), witnesses).unwrap()
}

#[test]
fn a_bill_is_verified_with_nothing_but_the_root_key() {
    for (from, to) in [(None, None), (Some(4), None), (Some(4), Some(10)), (None, Some(6))] {
        let bill = bill(20, from, to);
        let read: Bill = parse(&serde_json::to_string_pretty(&bill).unwrap()).unwrap();
        assert_eq!(read, bill);
        let certified = verify(&read, &der(&key(7)), None).unwrap();
        assert_eq!((certified.at, certified.footprint), (at(20), FOOTPRINT));
    }
}

#[test]
fn the_root_key_may_be_written_in_two_forms() {
    let key = key(7).public_key().serialize();
    let der = root_key(&key).unwrap();
    assert_eq!(root_key(&der), Ok(der));
    for wrong in [&key[1..], &[0; 133], b""] {
        assert_eq!(root_key(wrong), Err(CertificateError::MalformedRootKey));
    }
}

#[test]
fn a_foreign_root_key_a_changed_certificate_and_garbage_are_refused() {
    let good = bill(20, None, None);
    let wrong = Err(Unproven::Certificate(CertificateError::WrongSignature));
    assert_eq!(verify(&good, &der(&key(8)), None), wrong, "another network's key");
    let mut foreign = good.clone();
    foreign.certificate = certificate(&books().0, &FOOTPRINT, at(20), &key(8));
    assert_eq!(verify(&foreign, &der(&key(7)), None), wrong, "another network's certificate");
    for place in (0..good.certificate.len()).step_by(7) {
        let mut changed = good.clone();
        let digit = if changed.certificate.as_bytes()[place] == b'0' { "1" } else { "0" };
        changed.certificate.replace_range(place..=place, digit);
        assert!(verify(&changed, &der(&key(7)), None).is_err(), "digit {place} of the certificate");
    }
    assert!(matches!(parse::<Bill>("{}"), Err(Unproven::Malformed(_))));
}

#[test]
fn a_stale_certificate_is_refused() {
    let root_key = der(&key(7));
    let good = bill(20, None, None);
    assert!(verify(&good, &root_key, Some(UnixNanos(20_000))).is_ok());
    let stale = Unproven::Stale { certified: 20_000, not_before: 20_001 };
    assert_eq!(verify(&good, &root_key, Some(UnixNanos(20_001))), Err(stale));
    // A statement up to height 20 with an honest certificate of an older state.
    let mut older = good.clone();
    older.certificate = bill(15, None, None).certificate;
    let error = verify(&older, &root_key, None).unwrap_err().to_string();
    assert_eq!(error, "the certificate is stale: it is of 15, the statement ends at 20");
}

#[test]
fn forged_figures_missing_lines_and_swapped_tariffs_are_named() {
    type Change = fn(&mut Bill);
    let changes: [(Change, &str); 6] = [
        (|bill| bill.statements[1].lines[1].amount.0 -= 1, "statement 2, instructions, amount"),
        (|bill| bill.statements[0].lines.truncate(10), "statement 1, stream_bytes: stated no such line"),
        (|bill| bill.statements[1].closing.0 += 1, "statement 2, closing"),
        (|bill| bill.witnesses.readings.truncate(4), "is not the one that the next one"),
        (|bill| bill.statements[1].tariff_version = 1, "statement 2, tariff: stated 1, proven 2"),
        (|bill| bill.statements[1].nodes = 4, "statement 2, nodes"),
    ];
    for (change, reason) in changes {
        let mut bill = bill(20, None, None);
        change(&mut bill);
        let error = verify(&bill, &der(&key(7)), None).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    // Another subnet's tariff under the same version: signed by nobody that counts.
    let (mut ledger, _) = books();
    let cheap = Tariff { version: 3, effective_height: Height(13), ..Tariff::for_nodes(1) };
    ledger.adopt_tariff(cheap, Height(13)).unwrap();
    let mut swapped = bill(20, None, None);
    swapped.certificate = certificate(&ledger, &FOOTPRINT, at(20), &key(9));
    assert!(verify(&swapped, &der(&key(7)), None).is_err());
}
