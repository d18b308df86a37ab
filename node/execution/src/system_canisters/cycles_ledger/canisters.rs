//! Between members' cycles and canisters': create, withdraw, deposit.

use super::{
    BOOK, FEE, balance, pay,
    types::{
        CreateCanisterArgs, CreateCanisterError, CreateCanisterFromArgs, CreateCanisterFromError,
        CreateCanisterSuccess, CreationArgs, DepositArgs, DepositResult, RejectionCode, SubnetSelection, WithdrawArgs,
        WithdrawError, WithdrawFromArgs, WithdrawFromError,
    },
};
use crate::{
    calls::SystemCall,
    management::{codec, lifecycle, refusal},
    system_canisters::{
        blocks::{self, Entry},
        icrc,
        transactions::NotDone,
        transfers::{begin, end, spend_allowance},
    },
};
use candid::Nat;
use icrc_ledger_types::icrc1::transfer::Memo;
use mains_ledger::{Account, Member};
use mains_state::{CallOrigin, State};
use mains_types::{CanisterId, Cycles, Reject, RejectCode};

/// `create_canister`: a canister with these cycles, less what its creation costs.
pub(super) fn create_canister(
    call: &mut SystemCall<'_>,
    args: CreateCanisterArgs,
) -> Result<CreateCanisterSuccess, CreateCanisterError> {
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => CreateCanisterError::TooOld,
        NotDone::CreatedInFuture => CreateCanisterError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, canister } => {
            CreateCanisterError::Duplicate { duplicate_of: block.into(), canister_id: canister }
        }
    })?;
    let from = Member::new(call.sender, args.from_subaccount);
    let amount = icrc::amount(&args.amount);
    let canister_id = create(call, &from, amount, args.creation_args).map_err(|error| match error {
        NotPaid::Funds(balance) => CreateCanisterError::InsufficientFunds { balance },
        NotPaid::Rejected(reject) => {
            CreateCanisterError::FailedToCreate { fee_block: None, refund_block: None, error: reject.message }
        }
    })?;
    let entry = Entry::new("1burn", amount).member("from", &from).fee(false, FEE).number("ts", args.created_at_time);
    let block = blocks::append(call.state, entry);
    end(call, transaction, block, Some(&canister_id));
    Ok(CreateCanisterSuccess { block_id: block.into(), canister_id })
}

/// `create_canister_from`: the same from what another member allows.
pub(super) fn create_canister_from(
    call: &mut SystemCall<'_>,
    args: CreateCanisterFromArgs,
) -> Result<CreateCanisterSuccess, CreateCanisterFromError> {
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => CreateCanisterFromError::TooOld,
        NotDone::CreatedInFuture => CreateCanisterFromError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, canister } => {
            CreateCanisterFromError::Duplicate { duplicate_of: block.into(), canister_id: canister }
        }
    })?;
    let (from, spender) = (icrc::member(args.from), Member::new(call.sender, args.spender_subaccount));
    let amount = icrc::amount(&args.amount);
    spend_allowance(&BOOK, call.state, &from, &spender, amount)
        .map_err(|allowance| CreateCanisterFromError::InsufficientAllowance { allowance })?;
    let canister_id = create(call, &from, amount, args.creation_args).map_err(|error| match error {
        NotPaid::Funds(balance) => CreateCanisterFromError::InsufficientFunds { balance },
        NotPaid::Rejected(reject) => CreateCanisterFromError::FailedToCreateFrom {
            create_from_block: None,
            refund_block: None,
            approval_refund_block: None,
            rejection_code: rejection_code(&reject),
            rejection_reason: reject.message,
        },
    })?;
    let entry = Entry::new("1burn", amount)
        .member("from", &from)
        .member("spender", &spender)
        .fee(false, FEE)
        .number("ts", args.created_at_time);
    let block = blocks::append(call.state, entry);
    end(call, transaction, block, Some(&canister_id));
    Ok(CreateCanisterSuccess { block_id: block.into(), canister_id })
}

/// `withdraw`: a member's cycles become a canister's.
pub(super) fn withdraw(call: &mut SystemCall<'_>, args: WithdrawArgs) -> Result<Nat, WithdrawError> {
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => WithdrawError::TooOld,
        NotDone::CreatedInFuture => WithdrawError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => WithdrawError::Duplicate { duplicate_of: block.into() },
    })?;
    let from = Member::new(call.sender, args.from_subaccount);
    let amount = icrc::amount(&args.amount);
    give(call.state, &from, &args.to, amount).map_err(|error| match error {
        NotPaid::Funds(balance) => WithdrawError::InsufficientFunds { balance },
        NotPaid::Rejected(reject) => WithdrawError::FailedToWithdraw {
            fee_block: None,
            rejection_code: rejection_code(&reject),
            rejection_reason: reject.message,
        },
    })?;
    let entry = Entry::new("1burn", amount).member("from", &from).fee(false, FEE).number("ts", args.created_at_time);
    let block = blocks::append(call.state, entry);
    end(call, transaction, block, None);
    Ok(block.into())
}

/// `withdraw_from`: the same from what another member allows.
pub(super) fn withdraw_from(call: &mut SystemCall<'_>, args: WithdrawFromArgs) -> Result<Nat, WithdrawFromError> {
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => WithdrawFromError::TooOld,
        NotDone::CreatedInFuture => WithdrawFromError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => WithdrawFromError::Duplicate { duplicate_of: block.into() },
    })?;
    let (from, spender) = (icrc::member(args.from), Member::new(call.sender, args.spender_subaccount));
    let amount = icrc::amount(&args.amount);
    spend_allowance(&BOOK, call.state, &from, &spender, amount)
        .map_err(|allowance| WithdrawFromError::InsufficientAllowance { allowance })?;
    give(call.state, &from, &args.to, amount).map_err(|error| match error {
        NotPaid::Funds(balance) => WithdrawFromError::InsufficientFunds { balance },
        NotPaid::Rejected(reject) => WithdrawFromError::FailedToWithdrawFrom {
            withdraw_from_block: None,
            refund_block: None,
            approval_refund_block: None,
            rejection_code: rejection_code(&reject),
            rejection_reason: reject.message,
        },
    })?;
    let entry = Entry::new("1burn", amount)
        .member("from", &from)
        .member("spender", &spender)
        .fee(false, FEE)
        .number("ts", args.created_at_time);
    let block = blocks::append(call.state, entry);
    end(call, transaction, block, None);
    Ok(block.into())
}

/// `deposit`: a canister's attached cycles become a member's.
pub(super) fn deposit(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(DepositArgs,)>(call.method, call.argument)?;
    if matches!(call.origin, CallOrigin::Ingress { .. }) {
        return Err(refusal::canisters_only(call.method));
    }
    if call.cycles < Cycles(FEE) {
        return Err(refusal::payload(format!("A deposit has at least {FEE} cycles.")));
    }
    let memo = args.memo.map(Memo);
    if memo.as_ref().is_some_and(|memo| memo.0.len() > icrc::MEMO_BYTES_MAX) {
        return Err(refusal::payload(format!("A memo has at most {} bytes.", icrc::MEMO_BYTES_MAX)));
    }
    let member = icrc::member(args.to);
    let amount = call.accept(&member.into(), Cycles::MAX).get();
    let block = blocks::append(call.state, Entry::new("1mint", amount).member("to", &member).memo(memo.as_ref()));
    let balance = balance(call.state, &member);
    Ok(codec::encode(&DepositResult { balance: balance.into(), block_index: block.into() }))
}

/// Why cycles did not leave a member's account.
enum NotPaid {
    /// The member has only this.
    Funds(Nat),
    /// What they were for is not possible.
    Rejected(Reject),
}

/// A canister of the sender's, from a member's cycles.
fn create(
    call: &mut SystemCall<'_>,
    from: &Member,
    amount: u128,
    args: Option<CreationArgs>,
) -> Result<CanisterId, NotPaid> {
    let CreationArgs { subnet_selection, settings } = args.unwrap_or_default();
    check_subnet(call.state, subnet_selection).map_err(NotPaid::Rejected)?;
    let settings = settings.unwrap_or_default();
    let id = lifecycle::new_canister(call.state, (call.sender, None), settings, None).map_err(NotPaid::Rejected)?;
    pay(call.state, from, &Account::Canister(id), amount).map_err(NotPaid::Funds)?;
    lifecycle::charge_creation(call.state, &id).map_err(NotPaid::Rejected)?;
    Ok(id)
}

/// A member's cycles for a canister.
fn give(state: &mut State, from: &Member, to: &CanisterId, amount: u128) -> Result<(), NotPaid> {
    if state.canister(to).is_none() {
        return Err(NotPaid::Rejected(refusal::not_found(to)));
    }
    pay(state, from, &Account::Canister(*to), amount).map_err(NotPaid::Funds)
}

fn rejection_code(reject: &Reject) -> RejectionCode {
    match reject.code {
        RejectCode::SysFatal => RejectionCode::SysFatal,
        RejectCode::SysTransient => RejectionCode::SysTransient,
        RejectCode::DestinationInvalid => RejectionCode::DestinationInvalid,
        RejectCode::CanisterReject => RejectionCode::CanisterReject,
        RejectCode::CanisterError => RejectionCode::CanisterError,
        RejectCode::SysUnknown => RejectionCode::Unknown,
    }
}

/// There is one subnet: any wish that names another cannot be met.
fn check_subnet(state: &State, selection: Option<SubnetSelection>) -> Result<(), Reject> {
    match selection {
        None | Some(SubnetSelection::Filter { subnet_type: None }) => Ok(()),
        Some(SubnetSelection::Subnet { subnet }) if subnet == state.subnet.id => Ok(()),
        Some(SubnetSelection::Filter { subnet_type: Some(kind) }) if kind == "application" => Ok(()),
        Some(SubnetSelection::Subnet { subnet }) => {
            Err(refusal::payload(format!("This network has no subnet {subnet}.")))
        }
        Some(SubnetSelection::Filter { subnet_type: Some(kind) }) => {
            Err(refusal::payload(format!("This network has no subnet of type {kind:?}.")))
        }
    }
}
