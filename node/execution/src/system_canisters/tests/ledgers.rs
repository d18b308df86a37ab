//! Blocks of the ledgers, ICP that becomes cycles, and what is done from allowances.

use super::{FEE, account, balance, create, create_args, transfer, transfer_arg};
use crate::{
    calls::Outcome,
    management::bench::{Bench, CREDIT, alice, bob, codec, decode, reply},
    system_canisters::icp_ledger::account_identifier,
};
use candid::{CandidType, Deserialize, Nat, Principal};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::{
        account::Account as IcrcAccount,
        transfer::{Memo, TransferArg, TransferError},
    },
    icrc2::{
        approve::{ApproveArgs, ApproveError},
        transfer_from::{TransferFromArgs, TransferFromError},
    },
    icrc3::blocks::{GetBlocksRequest, GetBlocksResult, ICRC3DataCertificate, SupportedBlockType},
};
use mains_ledger::{Account, Member};
use mains_state::{State, Table};
use mains_types::{
    CanisterId, Cycles, Height, UnixNanos,
    ids::{cycles_ledger_id, cycles_minting_id, icp_ledger_id},
    limits,
};
use std::collections::BTreeMap;

fn approve(bench: &mut Bench, ledger: CanisterId, owner: Principal, spender: Principal, amount: u128) -> Nat {
    let args = ApproveArgs {
        from_subaccount: None,
        spender: account(spender),
        amount: amount.into(),
        expected_allowance: None,
        expires_at: None,
        fee: None,
        memo: None,
        created_at_time: None,
    };
    decode::<Result<Nat, ApproveError>>(&reply(bench.call(owner, ledger, "icrc2_approve", &args))).unwrap()
}

fn blocks(bench: &Bench, ranges: &[(u64, u64)]) -> GetBlocksResult {
    let ranges: Vec<_> = ranges
        .iter()
        .map(|(start, length)| GetBlocksRequest { start: (*start).into(), length: (*length).into() })
        .collect();
    decode(&bench.query(bob(), cycles_ledger_id(), "icrc3_get_blocks", &ranges).unwrap())
}

fn fields(block: &ICRC3Value) -> &BTreeMap<String, ICRC3Value> {
    match block {
        ICRC3Value::Map(fields) => fields,
        other => panic!("no map: {other:?}"),
    }
}

#[test]
fn every_transaction_is_a_block_that_names_the_one_before() {
    let mut bench = Bench::new();
    let arg = TransferArg {
        memo: Some(Memo::from(vec![7; 32])),
        fee: Some(FEE.into()),
        created_at_time: Some(bench.state.time.get()),
        ..transfer_arg(bob(), 5 * CREDIT)
    };
    assert_eq!(transfer(&mut bench, alice(), &arg), Ok(Nat::from(0u8)));
    assert_eq!(approve(&mut bench, cycles_ledger_id(), alice(), bob(), CREDIT * 2), Nat::from(1u8));
    let spend = TransferFromArgs {
        spender_subaccount: None,
        from: account(alice()),
        to: account(bob()),
        amount: CREDIT.into(),
        fee: None,
        memo: None,
        created_at_time: None,
    };
    let spent: Result<Nat, TransferFromError> =
        decode(&reply(bench.call(bob(), cycles_ledger_id(), "icrc2_transfer_from", &spend)));
    assert_eq!(spent, Ok(Nat::from(2u8)));
    let made = create(&mut bench, &create_args(2 * CREDIT)).unwrap();
    assert_eq!(made.block_id, 3u8);
    assert!(transfer(&mut bench, bob(), &transfer_arg(alice(), 900 * CREDIT)).is_err());

    let result = blocks(&bench, &[(0, 2), (2, 100), (50, 1)]);
    assert_eq!((result.log_length, result.blocks.len()), (Nat::from(4u8), 4), "what failed is no block");
    let kinds: Vec<_> = result.blocks.iter().map(|block| fields(&block.block)["btype"].clone()).collect();
    let expected = ["1xfer", "2approve", "2xfer", "1burn"].map(|kind| ICRC3Value::Text(kind.into()));
    assert_eq!(kinds, expected);
    for pair in result.blocks.windows(2) {
        let hash = ICRC3Value::Blob(pair[0].block.clone().hash().to_vec().into());
        assert_eq!(fields(&pair[1].block)["phash"], hash);
    }
    assert!(!fields(&result.blocks[0].block).contains_key("phash"));
    let tx = fields(&fields(&result.blocks[0].block)["tx"]);
    let principal = |owner: Principal| ICRC3Value::Array(vec![ICRC3Value::Blob(owner.as_slice().to_vec().into())]);
    assert_eq!((&tx["from"], &tx["to"]), (&principal(alice()), &principal(bob())));
    assert_eq!((&tx["amt"], &tx["fee"]), (&ICRC3Value::Nat((5 * CREDIT).into()), &ICRC3Value::Nat(FEE.into())));
    assert_eq!(tx["memo"], ICRC3Value::Blob(vec![7; 32].into()));
    assert_eq!(
        fields(&result.blocks[2].block)["fee"],
        ICRC3Value::Nat(FEE.into()),
        "not named: beside the transaction"
    );
    let kinds: Vec<SupportedBlockType> =
        decode(&bench.query(bob(), cycles_ledger_id(), "icrc3_supported_block_types", &()).unwrap());
    assert_eq!(kinds.len(), 5);
}

#[test]
fn the_last_block_is_certified() {
    let mut bench = Bench::new();
    let ask = |bench: &Bench| -> Option<ICRC3DataCertificate> {
        decode(&bench.query(bob(), cycles_ledger_id(), "icrc3_get_tip_certificate", &()).unwrap())
    };
    assert!(ask(&bench).is_none(), "there is none");
    transfer(&mut bench, alice(), &transfer_arg(bob(), CREDIT)).unwrap();
    transfer(&mut bench, alice(), &transfer_arg(bob(), CREDIT)).unwrap();
    let proof = ask(&bench).unwrap();
    assert_eq!(&proof.certificate[..], b"certificate");
    bench.state.seal(Height(1), bench.state.time, [1; 32]);
    let ledger = cycles_ledger_id();
    let path = [b"canister".as_slice(), ledger.as_slice(), b"certified_data"];
    let certified = bench.state.tree().leaf(&path).unwrap().to_vec();
    // The root hash of the two leaves, by the rules of the interface specification.
    let hash = blocks(&bench, &[(1, 1)]).blocks[0].block.clone().hash();
    let mut tree = mains_tree::Tree::new();
    tree.insert(&[b"last_block_hash"], hash.to_vec());
    tree.insert(&[b"last_block_index"], vec![1]);
    assert_eq!(certified, tree.digest());
    assert!(proof.hash_tree.windows(32).any(|window| window == hash));
    let again = State::decode(&bench.state.encode()).unwrap();
    assert_eq!(again.root(), bench.state.root());
}

#[test]
fn the_log_keeps_the_latest_blocks() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        transfer(&mut bench, alice(), &transfer_arg(bob(), CREDIT)).unwrap();
    }
    // As if there had been as many as are kept.
    let tip = bench.state.tokens.get(Table::CyclesTip, b"tip").unwrap().to_vec();
    let (first, _, hash): (u64, u64, [u8; 32]) = {
        #[derive(CandidType, Deserialize)]
        struct Tip {
            first: u64,
            next: u64,
            hash: [u8; 32],
        }
        let tip: Tip = decode(&tip);
        let moved = Tip { first: 0, next: limits::LEDGER_BLOCKS_MAX, hash: tip.hash };
        bench.state.tokens.put(Table::CyclesTip, b"tip", codec(&moved));
        (tip.first, tip.next, tip.hash)
    };
    assert_eq!((first, hash.len()), (0, 32));
    transfer(&mut bench, alice(), &transfer_arg(bob(), CREDIT)).unwrap();
    let result = blocks(&bench, &[(0, 3), (limits::LEDGER_BLOCKS_MAX, 1)]);
    let ids: Vec<_> = result.blocks.iter().map(|block| block.id.clone()).collect();
    assert_eq!(ids, [1, 2, limits::LEDGER_BLOCKS_MAX].map(Nat::from));
}

#[derive(CandidType, Deserialize, Debug)]
enum FromError {
    InsufficientAllowance { allowance: Nat },
    FailedToWithdrawFrom { rejection_reason: String },
    FailedToCreateFrom { rejection_reason: String },
}

#[test]
fn a_spender_creates_and_tops_up_canisters_from_an_allowance() {
    #[derive(CandidType)]
    struct CreateFrom {
        from: IcrcAccount,
        amount: Nat,
    }
    #[derive(CandidType, Deserialize, Debug)]
    struct Created {
        canister_id: Principal,
    }
    #[derive(CandidType)]
    struct WithdrawFrom {
        from: IcrcAccount,
        amount: Nat,
        to: Principal,
    }
    let mut bench = Bench::new();
    approve(&mut bench, cycles_ledger_id(), alice(), bob(), 4 * CREDIT);
    let args = CreateFrom { from: account(alice()), amount: (2 * CREDIT).into() };
    let created: Result<Created, FromError> =
        decode(&reply(bench.call(bob(), cycles_ledger_id(), "create_canister_from", &args)));
    let id = created.unwrap().canister_id;
    assert_eq!(bench.state.canister(&id).unwrap().settings.controllers, [bob()].into());
    let before = bench.state.ledger.canister_balance(&id);
    let withdraw = |bench: &mut Bench, to, amount: u128| -> Result<Nat, FromError> {
        let args = WithdrawFrom { from: account(alice()), amount: amount.into(), to };
        decode(&reply(bench.call(bob(), cycles_ledger_id(), "withdraw_from", &args)))
    };
    assert!(matches!(withdraw(&mut bench, bob(), CREDIT), Err(FromError::FailedToWithdrawFrom { .. })));
    withdraw(&mut bench, id, CREDIT).unwrap();
    assert_eq!(bench.state.ledger.canister_balance(&id), before.saturating_add(Cycles(CREDIT)));
    let left = CREDIT - 2 * FEE;
    let Err(FromError::InsufficientAllowance { allowance }) = withdraw(&mut bench, id, CREDIT) else { panic!("taken") };
    assert_eq!(allowance, left, "the failed one took nothing");
    assert_eq!(balance(&bench, alice()), 997 * CREDIT - 3 * FEE);
}

#[derive(CandidType)]
struct Notify {
    block_index: u64,
    canister_id: Principal,
    controller: Principal,
}

#[derive(CandidType, Deserialize, Debug)]
enum NotifyError {
    Refunded { reason: String },
    InvalidTransaction(String),
}

/// Pays ICP into the minting canister's account of a principal; returns the block.
fn pay_icp(bench: &mut Bench, beneficiary: Principal, memo: &[u8], e8s: u64) -> u64 {
    let mut subaccount = [0; 32];
    let bytes = beneficiary.as_slice();
    subaccount[0] = bytes.len() as u8;
    subaccount[1..=bytes.len()].copy_from_slice(bytes);
    let arg = TransferArg {
        from_subaccount: None,
        to: IcrcAccount { owner: cycles_minting_id(), subaccount: Some(subaccount) },
        fee: None,
        created_at_time: None,
        memo: Some(Memo::from(memo.to_vec())),
        amount: e8s.into(),
    };
    let sent: Result<Nat, TransferError> =
        decode(&reply(bench.call(Principal::anonymous(), icp_ledger_id(), "icrc1_transfer", &arg)));
    sent.unwrap().0.try_into().unwrap()
}

#[test]
fn icp_becomes_cycles_once() {
    let mut bench = Bench::new();
    let icp = 100_000_000;
    let block = pay_icp(&mut bench, bob(), &0x4145_5243u64.to_le_bytes(), 3 * icp);
    let arg = Notify { block_index: block, canister_id: bob(), controller: bob() };
    let create = |bench: &mut Bench| -> Result<Principal, NotifyError> {
        decode(&reply(bench.call(bob(), cycles_minting_id(), "notify_create_canister", &arg)))
    };
    let stolen: Result<Principal, NotifyError> =
        decode(&reply(bench.call(alice(), cycles_minting_id(), "notify_create_canister", &arg)));
    assert!(matches!(stolen, Err(NotifyError::InvalidTransaction(_))), "only for oneself");
    let id = create(&mut bench).unwrap();
    assert_eq!(create(&mut bench).unwrap(), id, "the same answer again");
    let had = bench.state.ledger.canister_balance(&id);
    assert!(had > Cycles(2 * CREDIT) && had < Cycles(3 * CREDIT));

    let block = pay_icp(&mut bench, id, &0x5055_5054u64.to_le_bytes(), icp);
    let top_up = |bench: &mut Bench, canister_id| -> Result<Nat, NotifyError> {
        let arg = Notify { block_index: block, canister_id, controller: bob() };
        decode(&reply(bench.call(alice(), cycles_minting_id(), "notify_top_up", &arg)))
    };
    assert!(matches!(top_up(&mut bench, bob()), Err(NotifyError::InvalidTransaction(_))), "another's account");
    assert_eq!(top_up(&mut bench, id).unwrap(), CREDIT);
    top_up(&mut bench, id).unwrap();
    assert_eq!(bench.state.ledger.canister_balance(&id), had.saturating_add(Cycles(CREDIT)));
    assert!(matches!(create(&mut bench), Ok(same) if same == id));

    let missing = pay_icp(&mut bench, alice(), &0x5055_5054u64.to_le_bytes(), icp);
    let arg = Notify { block_index: missing, canister_id: alice(), controller: bob() };
    let refunded: Result<Nat, NotifyError> =
        decode(&reply(bench.call(alice(), cycles_minting_id(), "notify_top_up", &arg)));
    assert!(matches!(refunded, Err(NotifyError::Refunded { .. })), "{refunded:?}");

    #[derive(CandidType, Deserialize, Debug)]
    struct Minted {
        minted: Nat,
        balance: Nat,
    }
    let block = pay_icp(&mut bench, bob(), &0x544e_494du64.to_le_bytes(), 2 * icp);
    let arg = Notify { block_index: block, canister_id: bob(), controller: bob() };
    let minted: Result<Minted, NotifyError> =
        decode(&reply(bench.call(bob(), cycles_minting_id(), "notify_mint_cycles", &arg)));
    let minted = minted.unwrap();
    assert_eq!((minted.minted, minted.balance), ((2 * CREDIT).into(), (2 * CREDIT).into()));
    assert_eq!(balance(&bench, bob()), 2 * CREDIT);
}

#[test]
fn icp_blocks_and_allowances_are_those_of_an_icrc_ledger() {
    #[derive(CandidType)]
    struct Range {
        start: u64,
        length: u64,
    }
    #[derive(CandidType, Deserialize, Debug)]
    struct Answer {
        chain_length: u64,
        first_block_index: u64,
        blocks: Vec<Block>,
    }
    #[derive(CandidType, Deserialize, Debug)]
    struct Block {
        transaction: Transaction,
    }
    #[derive(CandidType, Deserialize, Debug)]
    struct Transaction {
        memo: u64,
        operation: Option<Operation>,
    }
    #[derive(CandidType, Deserialize, Debug)]
    enum Operation {
        Transfer { to: serde_bytes::ByteBuf, spender: Option<serde_bytes::ByteBuf> },
        Approve { from: serde_bytes::ByteBuf },
    }
    let mut bench = Bench::new();
    let anonymous = Principal::anonymous();
    approve(&mut bench, icp_ledger_id(), anonymous, bob(), 1_000_000);
    let spend = |amount: u64| TransferFromArgs {
        spender_subaccount: None,
        from: account(anonymous),
        to: account(alice()),
        amount: amount.into(),
        fee: None,
        memo: None,
        created_at_time: None,
    };
    let take = |bench: &mut Bench, amount| -> Result<Nat, TransferFromError> {
        decode(&reply(bench.call(bob(), icp_ledger_id(), "icrc2_transfer_from", &spend(amount))))
    };
    assert_eq!(take(&mut bench, 900_000), Ok(Nat::from(1u8)));
    let left = Nat::from(90_000u32);
    assert_eq!(take(&mut bench, 90_000), Err(TransferFromError::InsufficientAllowance { allowance: left }));
    let range = Range { start: 0, length: 10 };
    let answer: Answer = decode(&bench.query(bob(), icp_ledger_id(), "query_blocks", &range).unwrap());
    assert_eq!((answer.chain_length, answer.first_block_index, answer.blocks.len()), (2, 0, 2));
    let transaction = &answer.blocks[1].transaction;
    let Some(Operation::Transfer { to, spender }) = &transaction.operation else { panic!("{answer:?}") };
    assert_eq!((&to[..], transaction.memo), (&account_identifier(&Member::new(alice(), None))[..], 0));
    assert!(spender.is_some() && matches!(answer.blocks[0].transaction.operation, Some(Operation::Approve { .. })));
    assert_eq!(bench.state.ledger.balance(&Account::Commons), Cycles::ZERO, "ICP is not cycles");
    assert!(matches!(bench.call(bob(), icp_ledger_id(), "mint", &()), Outcome::Reject(_)));
    assert!(bench.state.time > UnixNanos(0));
}
