//! An index that knows nothing but the log: it follows `icrc3_get_blocks` from 0 with the stock types, checks hashes and the
//! certified tip, and has every balance that the ledger has.

use super::{FEE, account, create_args, transfer, transfer_arg};
use crate::{
    calls::Outcome,
    management::bench::{Bench, CREDIT, alice, bob, decode, reply},
    system_canisters::{cycles_ledger, icrc},
};
use candid::{CandidType, Decode, Deserialize, Nat, Principal};
use ic_certification::{HashTree, LookupResult};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::{account::Account as IcrcAccount, transfer::TransferArg},
    icrc2::{approve::ApproveArgs, transfer_from::TransferFromArgs},
    icrc3::blocks::{GetBlocksRequest, GetBlocksResult, ICRC3DataCertificate},
};
use mains_ledger::wallet::MemberRecord;
use mains_state::Table;
use mains_types::{
    Height, UnixNanos,
    ids::{canister_id, cycles_ledger_id, utility_id},
};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// Blocks that it asks for at a time: fewer than one answer may hold.
const PAGE: u64 = 7;

/// What an index keeps.
#[derive(Default)]
struct Follower {
    next: u64,
    last: Option<[u8; 32]>,
    balances: BTreeMap<IcrcAccount, u128>,
}

impl Follower {
    /// Reads on to the end of the log and checks the end against the certificate.
    fn follow(&mut self, bench: &mut Bench) {
        let height = bench.state.height.next();
        bench.state.seal(height, UnixNanos(bench.state.time.get() + 1), [1; 32]);
        loop {
            let range = vec![GetBlocksRequest { start: self.next.into(), length: PAGE.into() }];
            let answer = bench.query(bob(), cycles_ledger_id(), "icrc3_get_blocks", &range).unwrap();
            let answer: GetBlocksResult = decode(&answer);
            assert!(answer.archived_blocks.is_empty());
            if answer.blocks.is_empty() {
                assert_eq!(answer.log_length, self.next);
                break;
            }
            for block in answer.blocks {
                assert_eq!(block.id, self.next, "without gaps");
                self.take(&block.block);
                self.next += 1;
            }
        }
        self.check_tip(bench);
    }

    fn take(&mut self, block: &ICRC3Value) {
        let fields = map(block);
        let named = fields.get("phash").map(|hash| <[u8; 32]>::try_from(blob(hash)).unwrap());
        assert_eq!(named, self.last, "each block names the one before");
        self.last = Some(block.clone().hash());
        let tx = map(&fields["tx"]);
        let amount = nat(&tx["amt"]);
        let fee = tx.get("fee").or(fields.get("fee")).map_or(0, nat);
        let (from, to) = (tx.get("from").map(party), tx.get("to").map(party));
        let ICRC3Value::Text(kind) = &fields["btype"] else { panic!("no kind") };
        let (taken, given) = match kind.as_str() {
            "1mint" => (0, amount),
            "1burn" => (amount + fee, 0),
            "1xfer" | "2xfer" => (amount + fee, amount),
            "2approve" => (fee, 0),
            other => panic!("a block of kind {other}"),
        };
        assert_eq!((from.is_none(), to.is_none()), (kind == "1mint", kind == "1burn" || kind == "2approve"));
        if let Some(from) = from {
            let balance = self.balances.entry(from).or_default();
            *balance = balance.checked_sub(taken).expect("nobody pays what they have not got");
        }
        if let Some(to) = to {
            *self.balances.entry(to).or_default() += given;
        }
    }

    /// The last block is the one that the canister's certified data commit to.
    fn check_tip(&self, bench: &Bench) {
        let answer = bench.query(bob(), cycles_ledger_id(), "icrc3_get_tip_certificate", &()).unwrap();
        let proof: Option<ICRC3DataCertificate> = decode(&answer);
        let proof = proof.expect("there are blocks");
        assert_eq!(&proof.certificate[..], b"certificate", "the replica's, which shows the certified data");
        let tree: HashTree = mains_wire::decode(&proof.hash_tree).unwrap();
        let ledger = cycles_ledger_id();
        let path = [b"canister".as_slice(), ledger.as_slice(), b"certified_data"];
        assert_eq!(bench.state.tree().leaf(&path).unwrap(), tree.digest());
        let hash = self.last.unwrap();
        let found = |name: &[u8]| match tree.lookup_path(&[name][..]) {
            LookupResult::Found(value) => value.to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(b"last_block_hash"), hash);
        assert_eq!(found(b"last_block_index"), mains_state::state::leb128(u128::from(self.next - 1)));
    }

    /// It has what the ledger has, account by account, and knows every account.
    fn check_balances(&self, bench: &Bench) {
        let balance = |account: &IcrcAccount| {
            let answer = bench.query(bob(), cycles_ledger_id(), "icrc1_balance_of", account).unwrap();
            u128::try_from(decode::<Nat>(&answer).0).unwrap()
        };
        for (account, amount) in &self.balances {
            assert_eq!(balance(account), *amount, "{account}");
        }
        for (account, amount) in &self.balances {
            let label = icrc::member(*account).label();
            let row = bench.state.tokens.get(Table::Members, &label).and_then(MemberRecord::decode).unwrap();
            assert_eq!(row.balance, *amount, "the certified row of {account}");
        }
        let known: u128 = self.balances.values().sum();
        assert_eq!(known, bench.state.ledger.members_total().get(), "no account is missing");
        let supply = bench.query(bob(), cycles_ledger_id(), "icrc1_total_supply", &()).unwrap();
        assert_eq!(decode::<Nat>(&supply), known);
    }
}

fn map(value: &ICRC3Value) -> &BTreeMap<String, ICRC3Value> {
    match value {
        ICRC3Value::Map(fields) => fields,
        other => panic!("no map: {other:?}"),
    }
}

fn blob(value: &ICRC3Value) -> &[u8] {
    match value {
        ICRC3Value::Blob(bytes) => bytes,
        other => panic!("no bytes: {other:?}"),
    }
}

fn nat(value: &ICRC3Value) -> u128 {
    match value {
        ICRC3Value::Nat(number) => u128::try_from(&number.0).unwrap(),
        other => panic!("no number: {other:?}"),
    }
}

fn party(value: &ICRC3Value) -> IcrcAccount {
    let ICRC3Value::Array(parts) = value else { panic!("no account: {value:?}") };
    let subaccount = parts.get(1).map(|bytes| <[u8; 32]>::try_from(blob(bytes)).unwrap());
    IcrcAccount { owner: Principal::from_slice(blob(&parts[0])), subaccount }
}

#[derive(CandidType)]
struct Withdraw {
    amount: Nat,
    to: Principal,
}

#[derive(CandidType)]
struct Deposit {
    to: IcrcAccount,
}

#[derive(CandidType)]
struct FromMember {
    from: IcrcAccount,
    amount: Nat,
    to: Principal,
}

/// Calls that may fail: then they have left no block and moved nothing, which the follower sees.
fn attempt<A: CandidType>(bench: &mut Bench, sender: Principal, method: &str, argument: &A) {
    assert!(matches!(bench.call(sender, cycles_ledger_id(), method, argument), Outcome::Reply(_)), "{method}");
}

#[test]
fn an_index_that_follows_the_log_from_its_beginning_has_every_balance() {
    let mut bench = Bench::new();
    cycles_ledger::log_genesis(&mut bench.state);
    let mut follower = Follower::default();
    follower.follow(&mut bench);
    follower.check_balances(&bench);
    assert_eq!(follower.balances[&account(alice())], 1_000 * CREDIT, "known from genesis");

    let savings = IcrcAccount { owner: bob(), subaccount: Some([7; 32]) };
    let canister = super::create(&mut bench, &create_args(20 * CREDIT)).unwrap().canister_id;
    for round in 0..6u128 {
        let named = TransferArg { fee: Some(FEE.into()), ..transfer_arg(bob(), (9 + round) * CREDIT) };
        transfer(&mut bench, alice(), &named).unwrap();
        let to_savings = TransferArg { to: savings, ..transfer_arg(bob(), CREDIT) };
        transfer(&mut bench, bob(), &to_savings).unwrap();
        transfer(&mut bench, bob(), &transfer_arg(bob(), CREDIT)).unwrap();
        assert!(transfer(&mut bench, bob(), &transfer_arg(alice(), 5_000 * CREDIT)).is_err());
        let approve = ApproveArgs {
            from_subaccount: None,
            spender: account(bob()),
            amount: (9 * CREDIT).into(),
            expected_allowance: None,
            expires_at: None,
            fee: None,
            memo: None,
            created_at_time: None,
        };
        attempt(&mut bench, alice(), "icrc2_approve", &approve);
        let spend = TransferFromArgs {
            spender_subaccount: None,
            from: account(alice()),
            to: savings,
            amount: (2 * CREDIT).into(),
            fee: None,
            memo: None,
            created_at_time: None,
        };
        attempt(&mut bench, bob(), "icrc2_transfer_from", &spend);
        // One that is there and one that is not; one that can be paid and one that cannot.
        for (to, credits) in [(canister, 1), (canister_id(0x999), 1), (canister, 90_000)] {
            attempt(&mut bench, alice(), "withdraw", &Withdraw { amount: (credits * CREDIT).into(), to });
            let from = FromMember { from: account(alice()), amount: (credits * CREDIT).into(), to };
            attempt(&mut bench, bob(), "withdraw_from", &from);
        }
        super::create(&mut bench, &create_args(2 * CREDIT)).unwrap();
        assert!(super::create(&mut bench, &create_args(5)).is_err(), "less than creation");
        let deposited =
            bench.call_from(canister, CREDIT + round, cycles_ledger_id(), "deposit", &Deposit { to: savings });
        reply(deposited);
        follower.follow(&mut bench);
        follower.check_balances(&bench);
    }
    assert!(follower.next > 50, "{} blocks", follower.next);
    assert_eq!(bench.state.height, Height(7));
}

#[derive(CandidType)]
struct OfMember {
    account: IcrcAccount,
    from_block: Option<u64>,
    count: Option<u32>,
}

#[derive(CandidType, Deserialize)]
struct MemberBlock {
    index: u64,
    before: ByteBuf,
    block: ByteBuf,
}

#[test]
fn an_accounts_own_blocks_lead_from_its_certified_row_to_its_beginning() {
    let mut bench = Bench::new();
    cycles_ledger::log_genesis(&mut bench.state);
    for round in 0..150u128 {
        transfer(&mut bench, alice(), &transfer_arg(bob(), (1 + round % 2) * CREDIT)).unwrap();
        if round % 3 == 0 {
            transfer(&mut bench, bob(), &transfer_arg(bob(), CREDIT / 2)).unwrap();
        }
    }
    let label = icrc::member(account(bob())).label();
    let certified = bench.state.tokens.get(Table::Members, &label).and_then(MemberRecord::decode).unwrap();
    let (mut newest_first, mut row, mut pages) = (Vec::new(), certified, 0);
    while row.count > 0 {
        let asked = OfMember { account: account(bob()), from_block: Some(row.last), count: None };
        let answer = bench.query(alice(), utility_id(), "member_blocks", &asked).unwrap();
        let page: Vec<MemberBlock> = decode(&answer);
        assert_eq!(page[0].index, row.last);
        row = MemberRecord::decode(&page.last().unwrap().before).unwrap();
        newest_first.extend(page);
        pages += 1;
    }
    assert_eq!((row, pages), (MemberRecord::default(), 2));
    assert_eq!(newest_first.len() as u64, certified.count);
    assert!(certified.count >= 200);
    let mut row = MemberRecord::default();
    for MemberBlock { index, before, block } in newest_first.iter().rev() {
        assert_eq!(MemberRecord::decode(before), Some(row));
        let block = Decode!(block, ICRC3Value).unwrap();
        let fields = map(&block);
        let tx = map(&fields["tx"]);
        let fee = tx.get("fee").or(fields.get("fee")).map_or(0, nat);
        let is_own = |role: &str| tx.get(role).map(party) == Some(account(bob()));
        let taken = if is_own("from") { nat(&tx["amt"]) + fee } else { 0 };
        let balance = row.balance + if is_own("to") { nat(&tx["amt"]) } else { 0 } - taken;
        row = row.next(*index, &block.hash(), balance);
    }
    assert_eq!(row, certified);
    let nobody = OfMember { account: account(Principal::management_canister()), from_block: None, count: None };
    let answer = bench.query(alice(), utility_id(), "member_blocks", &nobody).unwrap();
    assert!(decode::<Vec<MemberBlock>>(&answer).is_empty());
}
