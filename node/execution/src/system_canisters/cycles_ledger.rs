//! The cycles ledger: members' cycles as an ICRC-1/2 token, and canisters made from them.
//!
//! A block index is the number of the transfer in the journal. The fee is the Internet Computer's and goes to the commons.

mod allowances;
mod canisters;
mod types;

use super::{
    icrc::{self, Token},
    transactions::{NotDone, Transaction},
};
use crate::{calls::SystemCall, management::codec};
use allowances::Allowance;
use candid::Nat;
use icrc_ledger_types::{
    icrc1::transfer::{Memo, TransferArg, TransferError},
    icrc2::{
        allowance::{Allowance as IcrcAllowance, AllowanceArgs},
        approve::{ApproveArgs, ApproveError},
        transfer_from::{TransferFromArgs, TransferFromError},
    },
};
use mains_ledger::{Account, Member, TransferId};
use mains_state::State;
use mains_types::{Cycles, Reject, UnixNanos};

/// Cycles that a transfer costs: the Internet Computer's, which tools write into their requests.
const FEE: u128 = 100_000_000;

const TOKEN: Token = Token {
    name: "Cycles",
    symbol: "CYCLES",
    decimals: 12,
    fee: FEE,
    standards: &[
        ("ICRC-1", "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-1"),
        ("ICRC-2", "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-2"),
        ("ICRC-10", "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md"),
    ],
};

/// Answers a method that changes something; `None` for any other.
pub(super) fn call(call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    Some(match call.method {
        "icrc1_transfer" => answer(call, transfer),
        "icrc2_approve" => answer(call, approve),
        "icrc2_transfer_from" => answer(call, transfer_from),
        "create_canister" => answer(call, canisters::create_canister),
        "withdraw" => answer(call, canisters::withdraw),
        "deposit" => canisters::deposit(call),
        _ => return None,
    })
}

/// Answers a query.
pub(super) fn query(state: &State, method: &str, argument: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
    if method == "icrc2_allowance" {
        return Some(allowance(state, argument));
    }
    let balance = |member: Member| balance(state, &member);
    icrc::query(&TOKEN, method, argument, balance, || state.ledger.members_total().get())
}

/// Decodes the argument, does the transaction and encodes `variant { Ok; Err }`. An `Err` leaves the state as it was.
fn answer<A, T, E>(
    call: &mut SystemCall<'_>,
    transact: fn(&mut SystemCall<'_>, A) -> Result<T, E>,
) -> Result<Vec<u8>, Reject>
where
    A: candid::CandidType + for<'de> candid::Deserialize<'de>,
    T: candid::CandidType,
    E: candid::CandidType,
{
    let (argument,) = codec::decode::<(A,)>(call.method, call.argument)?;
    let before = call.state.clone();
    let outcome = transact(call, argument);
    if outcome.is_err() {
        *call.state = before;
    }
    Ok(codec::encode(&outcome))
}

fn transfer(call: &mut SystemCall<'_>, args: TransferArg) -> Result<Nat, TransferError> {
    check_fee(args.fee.as_ref()).map_err(|expected_fee| TransferError::BadFee { expected_fee })?;
    check_memo(args.memo.as_ref())
        .map_err(|message| TransferError::GenericError { error_code: Nat::from(1u8), message })?;
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => TransferError::TooOld,
        NotDone::CreatedInFuture => TransferError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => TransferError::Duplicate { duplicate_of: block.into() },
    })?;
    let from = Member::new(call.sender, args.from_subaccount);
    let block = pay(call.state, &from, &icrc::member(args.to).into(), icrc::amount(&args.amount))
        .map_err(|balance| TransferError::InsufficientFunds { balance })?;
    end(call, transaction, block);
    Ok(block.0.into())
}

fn approve(call: &mut SystemCall<'_>, args: ApproveArgs) -> Result<Nat, ApproveError> {
    let failed = |message: String| ApproveError::GenericError { error_code: Nat::from(1u8), message };
    check_fee(args.fee.as_ref()).map_err(|expected_fee| ApproveError::BadFee { expected_fee })?;
    check_memo(args.memo.as_ref()).map_err(failed)?;
    let now = call.state.time;
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => ApproveError::TooOld,
        NotDone::CreatedInFuture => ApproveError::CreatedInFuture { ledger_time: now.get() },
        NotDone::Duplicate { block, .. } => ApproveError::Duplicate { duplicate_of: block.into() },
    })?;
    let (owner, spender) = (Member::new(call.sender, args.from_subaccount), icrc::member(args.spender));
    if owner.owner == spender.owner {
        return Err(failed("An owner needs no allowance for accounts of their own.".into()));
    }
    if args.expires_at.is_some_and(|expires_at| expires_at <= now.get()) {
        return Err(ApproveError::Expired { ledger_time: now.get() });
    }
    let present = allowances::get(call.state, &owner, &spender).amount;
    if args.expected_allowance.as_ref().is_some_and(|expected| icrc::amount(expected) != present) {
        return Err(ApproveError::AllowanceChanged { current_allowance: present.into() });
    }
    let block = pay_fee(call.state, &owner).map_err(|balance| ApproveError::InsufficientFunds { balance })?;
    let allowance = Allowance { amount: icrc::amount(&args.amount), expires_at: args.expires_at.map(UnixNanos) };
    allowances::set(call.state, &owner, &spender, allowance);
    end(call, transaction, block);
    Ok(block.0.into())
}

fn transfer_from(call: &mut SystemCall<'_>, args: TransferFromArgs) -> Result<Nat, TransferFromError> {
    check_fee(args.fee.as_ref()).map_err(|expected_fee| TransferFromError::BadFee { expected_fee })?;
    check_memo(args.memo.as_ref())
        .map_err(|message| TransferFromError::GenericError { error_code: Nat::from(1u8), message })?;
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => TransferFromError::TooOld,
        NotDone::CreatedInFuture => TransferFromError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => TransferFromError::Duplicate { duplicate_of: block.into() },
    })?;
    let (from, spender) = (icrc::member(args.from), Member::new(call.sender, args.spender_subaccount));
    let amount = icrc::amount(&args.amount);
    if from != spender {
        let mut allowance = allowances::get(call.state, &from, &spender);
        let Some(rest) = amount.checked_add(FEE).and_then(|total| allowance.amount.checked_sub(total)) else {
            return Err(TransferFromError::InsufficientAllowance { allowance: allowance.amount.into() });
        };
        allowance.amount = rest;
        allowances::set(call.state, &from, &spender, allowance);
    }
    let block = pay(call.state, &from, &icrc::member(args.to).into(), amount)
        .map_err(|balance| TransferFromError::InsufficientFunds { balance })?;
    end(call, transaction, block);
    Ok(block.0.into())
}

fn allowance(state: &State, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(AllowanceArgs,)>("icrc2_allowance", argument)?;
    let allowance = allowances::get(state, &icrc::member(args.account), &icrc::member(args.spender));
    Ok(codec::encode(&IcrcAllowance {
        allowance: allowance.amount.into(),
        expires_at: allowance.expires_at.map(UnixNanos::get),
    }))
}

/// Takes `amount` and the fee from a member.
///
/// # Errors
/// The member's balance, which does not suffice; nothing has changed.
fn pay(state: &mut State, from: &Member, to: &Account, amount: u128) -> Result<TransferId, Nat> {
    let available = balance(state, from);
    if amount.checked_add(FEE).is_none_or(|total| total > available) {
        return Err(available.into());
    }
    let block = state.ledger.transfer(&(*from).into(), to, Cycles(amount)).map_err(|_| Nat::from(available))?;
    pay_fee(state, from)?;
    Ok(block)
}

/// Takes the fee from a member; see [`pay`].
fn pay_fee(state: &mut State, from: &Member) -> Result<TransferId, Nat> {
    let paid = state.ledger.transfer(&(*from).into(), &Account::Commons, Cycles(FEE));
    paid.map_err(|_| Nat::from(balance(state, from)))
}

fn balance(state: &State, member: &Member) -> u128 {
    state.ledger.balance(&(*member).into()).get()
}

fn check_fee(fee: Option<&Nat>) -> Result<(), Nat> {
    if fee.is_none_or(|fee| icrc::amount(fee) == FEE) { Ok(()) } else { Err(FEE.into()) }
}

fn check_memo(memo: Option<&Memo>) -> Result<(), String> {
    match memo {
        Some(memo) if memo.0.len() > icrc::MEMO_BYTES_MAX => {
            Err(format!("A memo has at most {} bytes.", icrc::MEMO_BYTES_MAX))
        }
        _ => Ok(()),
    }
}

fn begin(call: &SystemCall<'_>, created_at: Option<u64>) -> Result<Transaction, NotDone> {
    let content = (&call.callee, &call.sender, call.method, call.argument);
    Transaction::begin(&call.state.tokens, call.state.time, created_at, content)
}

fn end(call: &mut SystemCall<'_>, transaction: Transaction, block: TransferId) {
    let now = call.state.time;
    transaction.done(&mut call.state.tokens, now, block.0, None);
}
