//! The built-in canisters from outside, as wallets and `icp` call them.

mod abuse;
mod follower;
mod ledgers;

use super::icp_ledger::account_identifier;
use crate::{
    calls::Outcome,
    management::bench::{Bench, CREDIT, alice, bob, decode, reply},
};
use candid::{CandidType, Deserialize, Nat, Principal};
use ic_management_canister_types as ic;
use icrc_ledger_types::{
    icrc::generic_metadata_value::MetadataValue,
    icrc1::{
        account::Account as IcrcAccount,
        transfer::{TransferArg, TransferError},
    },
    icrc2::{
        allowance::{Allowance, AllowanceArgs},
        approve::{ApproveArgs, ApproveError},
        transfer_from::{TransferFromArgs, TransferFromError},
    },
};
use mains_ledger::{Account, Member, Resource};
use mains_state::NetworkKind;
use mains_types::{
    CanisterId, Cycles, UnixNanos,
    ids::{canister_id, cycles_ledger_id, cycles_minting_id, icp_ledger_id},
};

const FEE: u128 = 100_000_000;
const DAY: u64 = 24 * 60 * 60 * UnixNanos::SECOND;

// As the clients write them, independent of the types under test.
#[derive(CandidType)]
struct CreateArgs {
    amount: Nat,
    created_at_time: Option<u64>,
    creation_args: Option<Creation>,
}

#[derive(CandidType)]
struct Creation {
    subnet_selection: Option<Selection>,
    settings: Option<ic::CanisterSettings>,
}

#[derive(CandidType)]
enum Selection {
    Subnet { subnet: Principal },
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
struct Created {
    block_id: Nat,
    canister_id: Principal,
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
enum CreateError {
    InsufficientFunds { balance: Nat },
    TooOld,
    CreatedInFuture { ledger_time: u64 },
    Duplicate { duplicate_of: Nat, canister_id: Option<Principal> },
    FailedToCreate { error: String },
}

#[derive(CandidType)]
struct Withdraw {
    amount: Nat,
    to: Principal,
}

#[derive(CandidType, Deserialize, Debug)]
enum WithdrawError {
    FailedToWithdraw { rejection_reason: String },
    InsufficientFunds { balance: Nat },
}

fn account(owner: Principal) -> IcrcAccount {
    IcrcAccount { owner, subaccount: None }
}

fn transfer_arg(to: Principal, amount: u128) -> TransferArg {
    TransferArg {
        from_subaccount: None,
        to: account(to),
        fee: None,
        created_at_time: None,
        memo: None,
        amount: amount.into(),
    }
}

fn balance(bench: &Bench, owner: Principal) -> u128 {
    let reply = bench.query(owner, cycles_ledger_id(), "icrc1_balance_of", &account(owner)).unwrap();
    decode::<Nat>(&reply).0.try_into().unwrap()
}

fn transfer(bench: &mut Bench, from: Principal, arg: &TransferArg) -> Result<Nat, TransferError> {
    decode(&reply(bench.call(from, cycles_ledger_id(), "icrc1_transfer", arg)))
}

fn create(bench: &mut Bench, args: &CreateArgs) -> Result<Created, CreateError> {
    decode(&reply(bench.call(alice(), cycles_ledger_id(), "create_canister", args)))
}

fn create_args(amount: u128) -> CreateArgs {
    CreateArgs { amount: amount.into(), created_at_time: None, creation_args: None }
}

#[test]
fn the_cycles_ledger_is_a_token_that_wallets_know() {
    let bench = Bench::new();
    let ask = |method| bench.query(bob(), cycles_ledger_id(), method, &()).unwrap();
    assert_eq!(decode::<String>(&ask("icrc1_symbol")), "CYCLES");
    assert_eq!(decode::<u8>(&ask("icrc1_decimals")), 12);
    assert_eq!(decode::<Nat>(&ask("icrc1_fee")), FEE);
    assert_eq!(decode::<Nat>(&ask("icrc1_total_supply")), 1_000 * CREDIT);
    assert_eq!(decode::<Option<IcrcAccount>>(&ask("icrc1_minting_account")), None);
    assert!(decode::<Vec<(String, MetadataValue)>>(&ask("icrc1_metadata")).iter().any(|(key, _)| key == "icrc1:fee"));
    let interface = decode::<String>(&ask("__get_candid_interface_tmp_hack"));
    assert!(interface.contains("create_canister"));
    assert!(bench.query(bob(), cycles_ledger_id(), "http_request", &()).is_err());
}

#[test]
fn a_transfer_costs_the_fee_and_is_refused_whole() {
    let mut bench = Bench::new();
    let block = transfer(&mut bench, alice(), &transfer_arg(bob(), 5 * CREDIT)).unwrap();
    assert_eq!(balance(&bench, bob()), 5 * CREDIT);
    assert_eq!(balance(&bench, alice()), 995 * CREDIT - FEE);
    assert_eq!(bench.state.ledger.balance(&Account::Commons), Cycles(FEE));
    assert!(transfer(&mut bench, alice(), &transfer_arg(bob(), CREDIT)).unwrap() > block);

    let have = 6 * CREDIT;
    let too_much = transfer(&mut bench, bob(), &transfer_arg(alice(), have));
    assert_eq!(too_much, Err(TransferError::InsufficientFunds { balance: have.into() }), "the fee comes on top");
    let bad_fee = TransferArg { fee: Some(Nat::from(1u8)), ..transfer_arg(alice(), 1) };
    assert_eq!(transfer(&mut bench, bob(), &bad_fee), Err(TransferError::BadFee { expected_fee: FEE.into() }));
    let huge = TransferArg { amount: Nat::from(u128::MAX) * Nat::from(9u8), ..transfer_arg(alice(), 1) };
    assert!(matches!(transfer(&mut bench, bob(), &huge), Err(TransferError::InsufficientFunds { .. })));
    assert_eq!(balance(&bench, bob()), have);
}

#[test]
fn a_transaction_with_a_time_is_done_once() {
    let mut bench = Bench::new();
    let now = bench.state.time.get();
    let arg = TransferArg { created_at_time: Some(now), ..transfer_arg(bob(), CREDIT) };
    let block = transfer(&mut bench, alice(), &arg).unwrap();
    assert_eq!(transfer(&mut bench, alice(), &arg), Err(TransferError::Duplicate { duplicate_of: block }));
    assert_eq!(balance(&bench, bob()), CREDIT);
    let early = TransferArg { created_at_time: Some(now + DAY), ..arg.clone() };
    assert_eq!(transfer(&mut bench, alice(), &early), Err(TransferError::CreatedInFuture { ledger_time: now }));

    bench.state.time = UnixNanos(now + 2 * DAY);
    assert_eq!(transfer(&mut bench, alice(), &arg), Err(TransferError::TooOld));
    let late = TransferArg { created_at_time: Some(now + 2 * DAY), ..arg };
    transfer(&mut bench, alice(), &late).unwrap();
    let kept = bench.state.tokens.first_key(mains_state::Table::Transactions).unwrap();
    assert_eq!(kept[..8], (now + 2 * DAY).to_be_bytes(), "what is outdated is forgotten");
}

#[test]
fn an_allowance_is_spent_with_fees_and_ends() {
    let mut bench = Bench::new();
    let ledger = cycles_ledger_id();
    let now = bench.state.time.get();
    let approve = ApproveArgs {
        from_subaccount: None,
        spender: account(bob()),
        amount: (3 * CREDIT).into(),
        expected_allowance: Some(Nat::from(0u8)),
        expires_at: Some(now + 10),
        fee: None,
        memo: None,
        created_at_time: None,
    };
    let approved: Result<Nat, ApproveError> = decode(&reply(bench.call(alice(), ledger, "icrc2_approve", &approve)));
    approved.unwrap();
    let again: Result<Nat, ApproveError> = decode(&reply(bench.call(alice(), ledger, "icrc2_approve", &approve)));
    assert_eq!(again, Err(ApproveError::AllowanceChanged { current_allowance: (3 * CREDIT).into() }));

    let spend = |amount: u128| TransferFromArgs {
        spender_subaccount: None,
        from: account(alice()),
        to: account(bob()),
        amount: amount.into(),
        fee: None,
        memo: None,
        created_at_time: None,
    };
    let take = |bench: &mut Bench, amount| -> Result<Nat, TransferFromError> {
        decode(&reply(bench.call(bob(), ledger, "icrc2_transfer_from", &spend(amount))))
    };
    take(&mut bench, 2 * CREDIT).unwrap();
    assert_eq!(balance(&bench, bob()), 2 * CREDIT);
    let left = CREDIT - FEE;
    assert_eq!(take(&mut bench, CREDIT), Err(TransferFromError::InsufficientAllowance { allowance: left.into() }));
    let ask = AllowanceArgs { account: account(alice()), spender: account(bob()) };
    let allowance: Allowance = decode(&bench.query(bob(), ledger, "icrc2_allowance", &ask).unwrap());
    assert_eq!(allowance, Allowance { allowance: left.into(), expires_at: Some(now + 10) });
    bench.state.time = UnixNanos(now + 10);
    assert!(take(&mut bench, 1).is_err(), "it has expired");
}

#[test]
fn a_canister_is_created_from_a_members_cycles() {
    let mut bench = Bench::new();
    let fee = bench.state.ledger.tariff().cost(Resource::CanisterCreation, 1).get();
    let args = CreateArgs {
        creation_args: Some(Creation {
            subnet_selection: Some(Selection::Subnet { subnet: bench.state.subnet.id }),
            settings: Some(ic::CanisterSettings { controllers: Some(vec![alice(), bob()]), ..Default::default() }),
        }),
        created_at_time: Some(bench.state.time.get()),
        ..create_args(2 * CREDIT)
    };
    let made = create(&mut bench, &args).unwrap();
    assert_eq!(bench.state.canister(&made.canister_id).unwrap().settings.controllers.len(), 2);
    let owned = bench.state.ledger.canister_balance(&made.canister_id).get();
    assert!((2 * CREDIT - fee..=2 * CREDIT - fee + 1).contains(&owned));
    assert_eq!(balance(&bench, alice()), 998 * CREDIT - FEE);
    let again = create(&mut bench, &args);
    assert_eq!(again, Err(CreateError::Duplicate { duplicate_of: made.block_id, canister_id: Some(made.canister_id) }));
}

#[test]
fn a_canister_that_cannot_be_created_costs_nothing() {
    let mut bench = Bench::new();
    let elsewhere = Some(Creation { subnet_selection: Some(Selection::Subnet { subnet: bob() }), settings: None });
    let bad_settings = ic::CanisterSettings { compute_allocation: Some(Nat::from(101u8)), ..Default::default() };
    let refused = Some(Creation { subnet_selection: None, settings: Some(bad_settings) });
    for creation_args in [elsewhere, refused] {
        let outcome = create(&mut bench, &CreateArgs { creation_args, ..create_args(2 * CREDIT) });
        assert!(matches!(outcome, Err(CreateError::FailedToCreate { .. })), "{outcome:?}");
    }
    assert!(
        matches!(create(&mut bench, &create_args(1)), Err(CreateError::FailedToCreate { .. })),
        "less than creation"
    );
    let poor = create(&mut bench, &create_args(2_000 * CREDIT));
    assert_eq!(poor, Err(CreateError::InsufficientFunds { balance: (1_000 * CREDIT).into() }));
    assert_eq!(balance(&bench, alice()), 1_000 * CREDIT);
    assert_eq!(bench.state.canisters_count(), 0);
}

#[test]
fn cycles_go_to_a_canister_and_come_back() {
    let mut bench = Bench::new();
    let id = create(&mut bench, &create_args(2 * CREDIT)).unwrap().canister_id;
    let before = bench.state.ledger.canister_balance(&id);
    let withdraw = |bench: &mut Bench, amount: u128, to: CanisterId| -> Result<Nat, WithdrawError> {
        decode(&reply(bench.call(alice(), cycles_ledger_id(), "withdraw", &Withdraw { amount: amount.into(), to })))
    };
    withdraw(&mut bench, CREDIT, id).unwrap();
    assert_eq!(bench.state.ledger.canister_balance(&id), before.saturating_add(Cycles(CREDIT)));
    assert!(matches!(withdraw(&mut bench, CREDIT, canister_id(0x999)), Err(WithdrawError::FailedToWithdraw { .. })));

    #[derive(CandidType)]
    struct Deposit {
        to: IcrcAccount,
    }
    #[derive(CandidType, Deserialize)]
    struct Deposited {
        balance: Nat,
        block_index: Nat,
    }
    let arg = Deposit { to: account(bob()) };
    let deposited: Deposited = decode(&reply(bench.call_from(id, CREDIT, cycles_ledger_id(), "deposit", &arg)));
    assert_eq!((deposited.balance, balance(&bench, bob())), (CREDIT.into(), CREDIT));
    assert_eq!(deposited.block_index, 2u8, "after the creation and the withdrawal");
    assert!(matches!(bench.call(bob(), cycles_ledger_id(), "deposit", &arg), Outcome::Reject(_)));
}

#[test]
fn the_minting_canister_tells_the_subnet_and_takes_no_icp_where_there_is_none() {
    #[derive(CandidType)]
    struct Notify {
        block_index: u64,
        controller: Principal,
    }
    #[derive(CandidType, Deserialize, Debug)]
    enum NotifyError {
        InvalidTransaction(String),
    }
    let mut bench = Bench::of(NetworkKind::Public);
    let subnets = bench.query(bob(), cycles_minting_id(), "get_default_subnets", &()).unwrap();
    assert_eq!(decode::<Vec<Principal>>(&subnets), vec![bench.state.subnet.id]);
    bench.query(bob(), cycles_minting_id(), "get_icp_xdr_conversion_rate", &()).unwrap();
    let arg = Notify { block_index: 1, controller: bob() };
    let answer: Result<Principal, NotifyError> =
        decode(&reply(bench.call(bob(), cycles_minting_id(), "notify_create_canister", &arg)));
    let Err(NotifyError::InvalidTransaction(text)) = answer else { panic!("minted") };
    assert!(text.contains("um5iw"));
}

#[test]
fn the_minting_canister_creates_for_canisters_and_refunds_what_fails() {
    #[derive(CandidType)]
    struct Create {
        settings: Option<ic::CanisterSettings>,
    }
    #[derive(CandidType, Deserialize, Debug)]
    enum CreateError {
        Refunded { refund_amount: Nat, create_error: String },
    }
    let mut bench = Bench::new();
    let parent = create(&mut bench, &create_args(5 * CREDIT)).unwrap().canister_id;
    let before = bench.state.ledger.canister_balance(&parent);
    let arg = Create { settings: None };
    let poor: Result<Principal, CreateError> =
        decode(&reply(bench.call_from(parent, 5, cycles_minting_id(), "create_canister", &arg)));
    let Err(CreateError::Refunded { refund_amount, create_error }) = poor else { panic!("created for nothing") };
    assert_eq!(refund_amount, 5u8);
    assert!(create_error.contains("cycles"));
    assert_eq!(bench.state.ledger.canister_balance(&parent), before);
    let made: Result<Principal, CreateError> =
        decode(&reply(bench.call_from(parent, CREDIT, cycles_minting_id(), "create_canister", &arg)));
    assert_eq!(bench.state.canister(&made.unwrap()).unwrap().settings.controllers, [parent].into());
}

#[test]
fn the_icp_ledger_moves_play_money_on_test_networks_only() {
    #[derive(CandidType, Deserialize, Debug, PartialEq)]
    struct E8s {
        e8s: u64,
    }
    #[derive(CandidType)]
    struct Transfer {
        memo: u64,
        amount: E8s,
        fee: E8s,
        to: serde_bytes::ByteBuf,
    }
    #[derive(CandidType)]
    struct Balance {
        account: serde_bytes::ByteBuf,
    }
    #[derive(CandidType, Deserialize, Debug, PartialEq)]
    enum TransferError {
        BadFee { expected_fee: E8s },
        InsufficientFunds { balance: E8s },
    }
    let mut bench = Bench::new();
    let to = account_identifier(&Member::new(bob(), None)).to_vec();
    let arg = Transfer { memo: 0, amount: E8s { e8s: 500 }, fee: E8s { e8s: 10_000 }, to: to.clone().into() };
    let sent: Result<u64, TransferError> =
        decode(&reply(bench.call(Principal::anonymous(), icp_ledger_id(), "transfer", &arg)));
    assert_eq!(sent, Ok(0));
    let ask = Balance { account: to.into() };
    let have: E8s = decode(&bench.query(bob(), icp_ledger_id(), "account_balance", &ask).unwrap());
    assert_eq!(have, E8s { e8s: 500 });
    let icrc = bench.query(bob(), icp_ledger_id(), "icrc1_balance_of", &account(bob())).unwrap();
    assert_eq!(decode::<Nat>(&icrc), 500u32);
    let poor: Result<u64, TransferError> = decode(&reply(bench.call(alice(), icp_ledger_id(), "transfer", &arg)));
    assert_eq!(poor, Err(TransferError::InsufficientFunds { balance: E8s { e8s: 0 } }));
    let mut damaged = arg;
    damaged.to[0] ^= 1;
    assert!(matches!(bench.call(Principal::anonymous(), icp_ledger_id(), "transfer", &damaged), Outcome::Reject(_)));

    let public = Bench::of(NetworkKind::Public);
    assert!(!super::is_built_in(&public.state, &icp_ledger_id()));
    assert!(super::is_built_in(&public.state, &cycles_ledger_id()));
    assert!(public.query(bob(), icp_ledger_id(), "icrc1_name", &()).is_err());
}

#[test]
fn account_identifiers_are_those_of_the_internet_computer() {
    // The anonymous principal's default account, as ledgers print it.
    let identifier = account_identifier(&Member::new(Principal::anonymous(), None));
    let text: String = identifier.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, "1c7a48ba6a562aa9eaa2481a9049cdf0433b9738c992d698c31d8abf89cadc79");
}
