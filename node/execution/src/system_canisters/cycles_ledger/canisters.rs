//! Between members' cycles and canisters': create, withdraw, deposit.

use super::{
    FEE, balance, begin, end, pay,
    types::{
        CreateCanisterArgs, CreateCanisterError, CreateCanisterSuccess, CreationArgs, DepositArgs, DepositResult,
        RejectionCode, SubnetSelection, WithdrawArgs, WithdrawError,
    },
};
use crate::{
    calls::SystemCall,
    management::{codec, lifecycle, refusal},
    system_canisters::{icrc, transactions::NotDone},
};
use candid::Nat;
use mains_ledger::{Account, Member};
use mains_state::{CallOrigin, State};
use mains_types::{Cycles, Reject};

/// `create_canister`: a canister with these cycles, less what its creation costs.
pub(super) fn create_canister(
    call: &mut SystemCall<'_>,
    args: CreateCanisterArgs,
) -> Result<CreateCanisterSuccess, CreateCanisterError> {
    let failed = |error: Reject| CreateCanisterError::FailedToCreate {
        fee_block: None,
        refund_block: None,
        error: error.message,
    };
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => CreateCanisterError::TooOld,
        NotDone::CreatedInFuture => CreateCanisterError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, canister } => {
            CreateCanisterError::Duplicate { duplicate_of: block.into(), canister_id: canister }
        }
    })?;
    let CreationArgs { subnet_selection, settings } = args.creation_args.unwrap_or_default();
    check_subnet(call.state, subnet_selection).map_err(failed)?;
    let canister_id =
        lifecycle::new_canister(call.state, (call.sender, None), settings.unwrap_or_default(), None).map_err(failed)?;
    let from = Member::new(call.sender, args.from_subaccount);
    let block = pay(call.state, &from, &Account::Canister(canister_id), icrc::amount(&args.amount))
        .map_err(|balance| CreateCanisterError::InsufficientFunds { balance })?;
    lifecycle::charge_creation(call.state, &canister_id).map_err(failed)?;
    let now = call.state.time;
    transaction.done(&mut call.state.tokens, now, block.0, Some(&canister_id));
    Ok(CreateCanisterSuccess { block_id: block.0.into(), canister_id })
}

/// `withdraw`: a member's cycles become a canister's.
pub(super) fn withdraw(call: &mut SystemCall<'_>, args: WithdrawArgs) -> Result<Nat, WithdrawError> {
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => WithdrawError::TooOld,
        NotDone::CreatedInFuture => WithdrawError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => WithdrawError::Duplicate { duplicate_of: block.into() },
    })?;
    if call.state.canister(&args.to).is_none() {
        return Err(WithdrawError::FailedToWithdraw {
            fee_block: None,
            rejection_code: RejectionCode::DestinationInvalid,
            rejection_reason: refusal::not_found(&args.to).message,
        });
    }
    let from = Member::new(call.sender, args.from_subaccount);
    let block = pay(call.state, &from, &Account::Canister(args.to), icrc::amount(&args.amount))
        .map_err(|balance| WithdrawError::InsufficientFunds { balance })?;
    end(call, transaction, block);
    Ok(block.0.into())
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
    if args.memo.is_some_and(|memo| memo.len() > icrc::MEMO_BYTES_MAX) {
        return Err(refusal::payload(format!("A memo has at most {} bytes.", icrc::MEMO_BYTES_MAX)));
    }
    let member = icrc::member(args.to);
    let block_index = call.state.ledger.next_transfer().0;
    call.accept(&member.into(), Cycles::MAX);
    let balance = balance(call.state, &member);
    Ok(codec::encode(&DepositResult { balance: balance.into(), block_index: block_index.into() }))
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
