use super::*;
use crate::testing::{at, certificate, der, key};
use candid::{Encode, Nat};
use mains_types::ids::canister_id;
use std::collections::BTreeMap;

fn me() -> Member {
    Member::new(Principal::self_authenticating([1; 32]), None)
}

fn savings() -> Member {
    Member::new(me().owner, Some([9; 32]))
}

fn account(member: &Member) -> ICRC3Value {
    let owner = ICRC3Value::Blob(member.owner.as_slice().to_vec().into());
    let subaccount = member.subaccount.map(|bytes| ICRC3Value::Blob(bytes.to_vec().into()));
    ICRC3Value::Array(std::iter::once(owner).chain(subaccount).collect())
}

/// A block as the ledger writes it; a fee of 10 whenever somebody pays one.
fn block(kind: &str, day: u64, amount: u64, from: Option<&Member>, to: Option<&Member>) -> ICRC3Value {
    let number = |number: u64| ICRC3Value::Nat(Nat::from(number));
    let mut tx = BTreeMap::from([("amt".to_owned(), number(amount))]);
    tx.extend(from.map(|from| ("from".to_owned(), account(from))));
    tx.extend(to.map(|to| ("to".to_owned(), account(to))));
    let mut fields = BTreeMap::from([
        ("btype".to_owned(), ICRC3Value::Text(kind.into())),
        ("ts".to_owned(), number(day * 86_400 * UnixNanos::SECOND)),
        ("tx".to_owned(), ICRC3Value::Map(tx)),
    ]);
    fields.extend(from.map(|_| ("fee".to_owned(), number(10))));
    ICRC3Value::Map(fields)
}

/// Seven blocks of an account on seven days, with the balance after each.
fn blocks() -> Vec<(u64, ICRC3Value, u128)> {
    let (me, other) = (me(), savings());
    vec![
        (3, block("1mint", 1, 10_000, None, Some(&me)), 10_000),
        (4, block("1xfer", 2, 1_000, Some(&me), Some(&other)), 8_990),
        (9, block("1burn", 3, 2_000, Some(&me), None), 6_980),
        (11, block("2xfer", 4, 500, Some(&other), Some(&me)), 7_480),
        (12, block("1xfer", 5, 77, Some(&me), Some(&me)), 7_470),
        (20, block("2approve", 6, 99_999, Some(&me), None), 7_460),
        (21, block("1xfer", 7, 60, Some(&me), Some(&other)), 7_390),
    ]
}

fn rows() -> Vec<MemberRecord> {
    let mut rows = vec![MemberRecord::default()];
    for (index, block, balance) in blocks() {
        rows.push(rows.last().unwrap().next(index, &block.hash(), balance));
    }
    rows
}

/// A certificate of the eighth day over the account and a canister, signed with `key`.
fn proof(row: &MemberRecord, key: u8) -> String {
    let (label, id) = (me().label(), canister_id(3));
    let path: [&[u8]; 4] = [b"state", b"tokens", b"members", &label];
    let canister: [&[u8]; 2] = [b"account", id.as_slice()];
    let account = CanisterAccount { balance: 5, received: 5, ..CanisterAccount::default() };
    let leaves: [(&[&[u8]], Vec<u8>); 2] = [(&path, row.encode()), (&canister, account.encode())];
    let day = Moment { time: UnixNanos(8 * 86_400 * UnixNanos::SECOND), ..at(500) };
    certificate(day, leaves, &testing_key(key))
}

fn testing_key(seed: u8) -> ic_verify_bls_signature::PrivateKey {
    key(seed)
}

/// The bill of the blocks from the `begin`th to before the `end`th.
fn wallet(begin: usize, end: usize) -> Wallet {
    let rows = rows();
    let encoded = proof(rows.last().unwrap(), 7);
    let certificate = Certificate::from_hex(&encoded, &der(&key(7))).unwrap();
    let at = certificate.moment(None).unwrap();
    let certified = read(&certificate, at, &me(), &[canister_id(3)]).unwrap();
    let kept = blocks().into_iter().skip(begin);
    let witnesses = Witnesses {
        before: hex::encode(rows[begin].encode()),
        blocks: kept.map(|(index, block, _)| (index, hex::encode(Encode!(&block).unwrap()))).collect(),
        in_period: end - begin,
    };
    draw(me(), certified, encoded, witnesses).unwrap()
}

#[test]
fn a_members_bill_is_verified_with_nothing_but_the_root_key() {
    for (begin, end) in [(0, 7), (2, 7), (2, 5), (0, 3), (7, 7)] {
        let wallet = wallet(begin, end);
        let read: Wallet = serde_json::from_str(&serde_json::to_string(&wallet).unwrap()).unwrap();
        assert_eq!(read, wallet);
        assert_eq!(verify(&read, &der(&key(7)), None), Ok(()));
        let balances: Vec<u128> = blocks()[begin..end].iter().map(|(_, _, balance)| *balance).collect();
        assert_eq!(wallet.lines.iter().map(|line| line.balance.get()).collect::<Vec<_>>(), balances);
        let Sums { opening, minted, received, sent, burned, fees, closing, .. } = wallet.sums;
        let incoming = opening.get() + minted.get() + received.get();
        assert_eq!(incoming, closing.get() + sent.get() + burned.get() + fees.get());
    }
}

#[test]
fn lines_sums_and_outlook_follow_from_the_blocks() {
    let wallet = wallet(0, 7);
    let kinds: Vec<Kind> = wallet.lines.iter().map(|line| line.kind).collect();
    use Kind::{Approved, Burned, Itself, Minted, Received, Sent};
    assert_eq!(kinds, [Minted, Sent, Burned, Received, Itself, Approved, Sent]);
    assert_eq!(wallet.lines.iter().map(|line| line.fee.get()).collect::<Vec<_>>(), [0, 10, 10, 0, 10, 10, 10]);
    assert!(wallet.lines[3].with.as_ref().unwrap().contains('.'), "an account with a subaccount");
    assert!(wallet.from_the_beginning);
    // 3,110 cycles left in seven days.
    assert_eq!((wallet.sums.spent_per_day, wallet.sums.runway_days), (Cycles(444), Some(16)));
    assert_eq!(wallet.canisters, [Controlled { canister: canister_id(3), balance: Cycles(5), charged: Cycles(0) }]);
}

#[test]
fn forged_figures_missing_blocks_foreign_keys_and_old_certificates_are_refused() {
    type Change = fn(&mut Wallet);
    let changes: [(Change, &str); 11] = [
        (|wallet| wallet.lines[1].amount.0 += 1, "lines 2, amount: stated 1001, proven 1000"),
        (|wallet| wallet.lines[2].kind = Kind::Sent, "lines 3, kind: stated sent, proven burned"),
        (|wallet| wallet.lines.truncate(6), "lines 7: stated no such line"),
        (|wallet| wallet.sums.closing.0 += 1, "sums, closing: stated 7391, proven 7390"),
        (|wallet| wallet.sums.runway_days = Some(99), "sums, runway_days: stated 99, proven 16"),
        (|wallet| wallet.canisters[0].balance.0 = 50, "canisters 1, balance: stated 50, proven 5"),
        (|wallet| wallet.canisters[0].canister = canister_id(4), "does not show a canister's account"),
        (|wallet| wallet.witnesses.blocks.swap(1, 2), "the blocks are not all those"),
        (|wallet| wallet.witnesses.in_period = 6, "lines: stated 7 lines, proven 6 lines"),
        (
            |wallet| wallet.owner = savings().subaccount.map_or(wallet.owner, Principal::self_authenticating),
            "block 3 is none",
        ),
        (|wallet| wallet.subaccount = Some("00".into()), "a subaccount is 32 bytes"),
    ];
    for (change, reason) in changes {
        let mut changed = wallet(0, 7);
        change(&mut changed);
        let error = verify(&changed, &der(&key(7)), None).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}, not {reason}");
    }
    for left_out in 0..7 {
        let mut changed = wallet(0, 7);
        changed.witnesses.blocks.remove(left_out);
        changed.witnesses.in_period -= 1;
        assert!(verify(&changed, &der(&key(7)), None).is_err(), "block {left_out} is missing");
    }
    let wrong = Err(Unproven::Certificate(CertificateError::WrongSignature));
    assert_eq!(verify(&wallet(0, 7), &der(&key(8)), None), wrong, "another network's key");
    let later = UnixNanos(9 * 86_400 * UnixNanos::SECOND);
    assert!(matches!(verify(&wallet(0, 7), &der(&key(7)), Some(later)), Err(Unproven::Stale { .. })));
    // An honest certificate of before the last block.
    let mut older = wallet(0, 7);
    older.certificate = proof(&rows()[6], 7);
    assert_eq!(verify(&older, &der(&key(7)), None), Err(WalletError::Chain.into()));
}

#[test]
fn an_account_that_took_no_part_has_an_empty_bill() {
    let encoded = proof(&MemberRecord::default(), 7);
    let certificate = Certificate::from_hex(&encoded, &der(&key(7))).unwrap();
    let certified = read(&certificate, certificate.moment(None).unwrap(), &savings(), &[]).unwrap();
    let before = hex::encode(MemberRecord::default().encode());
    let wallet = draw(savings(), certified, encoded, Witnesses { before, blocks: Vec::new(), in_period: 0 }).unwrap();
    assert_eq!((wallet.sums.closing, wallet.sums.runway_days), (Cycles(0), None));
    assert_eq!(verify(&wallet, &der(&key(7)), None), Ok(()));
}
