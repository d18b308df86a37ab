//! Transfers, allowances and transfers from allowances, as ICRC-1 and ICRC-2 ledgers do them. What an account is and how a
//! transaction is logged is the ledger's own ([`Book`]).

use super::{
    allowances::{self, Allowance},
    icrc,
    transactions::{NotDone, Transaction},
};
use crate::{calls::SystemCall, management::codec};
use candid::Nat;
use icrc_ledger_types::{
    icrc1::transfer::{Memo, TransferArg, TransferError},
    icrc2::{
        allowance::{Allowance as IcrcAllowance, AllowanceArgs},
        approve::{ApproveArgs, ApproveError},
        transfer_from::{TransferFromArgs, TransferFromError},
    },
};
use mains_ledger::Member;
use mains_state::{State, Table};
use mains_types::{CanisterId, Reject, UnixNanos};

/// One ledger.
pub(super) struct Book {
    /// What a transaction costs.
    pub(super) fee: u128,
    /// Where its allowances are.
    pub(super) allowances: Table,
    /// Takes an amount and the fee from one member for another. Fails with the balance that does not suffice.
    pub(super) pay: fn(&mut State, &Member, &Member, u128) -> Result<(), Nat>,
    /// Takes the fee alone. Fails likewise.
    pub(super) pay_fee: fn(&mut State, &Member) -> Result<(), Nat>,
    /// Logs what was done; returns its block.
    pub(super) log: fn(&mut State, &Done) -> u64,
}

/// What was done.
pub(super) enum Kind {
    /// To this member.
    Transfer(Member),
    /// This spender may take what is allowed, if nothing else was expected and until then.
    Approve(Member, Option<Nat>, Option<u64>),
    /// To the first, by the second.
    TransferFrom(Member, Member),
}

/// A transaction that was done.
pub(super) struct Done {
    pub(super) kind: Kind,
    pub(super) from: Member,
    pub(super) amount: u128,
    /// Whether the caller named the fee.
    pub(super) names_fee: bool,
    pub(super) memo: Option<Memo>,
    pub(super) created_at: Option<u64>,
}

/// Answers an ICRC-1 or ICRC-2 method that changes something; `None` for any other.
pub(super) fn call(book: &Book, call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    Some(match call.method {
        "icrc1_transfer" => answer(call, |call, args| transfer(book, call, args)),
        "icrc2_approve" => answer(call, |call, args| approve(book, call, args)),
        "icrc2_transfer_from" => answer(call, |call, args| transfer_from(book, call, args)),
        _ => return None,
    })
}

/// Answers `icrc2_allowance`.
pub(super) fn allowance(book: &Book, state: &State, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(AllowanceArgs,)>("icrc2_allowance", argument)?;
    let (owner, spender) = (icrc::member(args.account), icrc::member(args.spender));
    let allowance = allowances::get(state, book.allowances, &owner, &spender);
    Ok(codec::encode(&IcrcAllowance {
        allowance: allowance.amount.into(),
        expires_at: allowance.expires_at.map(UnixNanos::get),
    }))
}

/// Decodes the argument, does the transaction and encodes `variant { Ok; Err }`. An `Err` leaves the state as it was.
pub(super) fn answer<A, T, E>(
    call: &mut SystemCall<'_>,
    transact: impl FnOnce(&mut SystemCall<'_>, A) -> Result<T, E>,
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

/// Takes `amount` and the fee from what a spender may take of a member's tokens; members need no allowance of their own.
///
/// # Errors
/// The allowance, which does not suffice; nothing has changed.
pub(super) fn spend_allowance(
    book: &Book,
    state: &mut State,
    from: &Member,
    spender: &Member,
    amount: u128,
) -> Result<(), Nat> {
    if from == spender {
        return Ok(());
    }
    let mut allowance = allowances::get(state, book.allowances, from, spender);
    let rest = amount.checked_add(book.fee).and_then(|total| allowance.amount.checked_sub(total));
    allowance.amount = rest.ok_or_else(|| Nat::from(allowance.amount))?;
    allowances::set(state, book.allowances, from, spender, allowance);
    Ok(())
}

/// Checks that a transaction is new and its time near.
pub(super) fn begin(call: &SystemCall<'_>, created_at: Option<u64>) -> Result<Transaction, NotDone> {
    let content = (&call.callee, &call.sender, call.method, call.argument);
    Transaction::begin(&call.state.tokens, call.state.time, created_at, content)
}

/// Remembers the block of a transaction that was done, and what it created.
pub(super) fn end(call: &mut SystemCall<'_>, transaction: Transaction, block: u64, created: Option<&CanisterId>) {
    let now = call.state.time;
    transaction.done(&mut call.state.tokens, now, block, created);
}

fn transfer(book: &Book, call: &mut SystemCall<'_>, args: TransferArg) -> Result<Nat, TransferError> {
    check_fee(book, args.fee.as_ref()).map_err(|expected_fee| TransferError::BadFee { expected_fee })?;
    check_memo(args.memo.as_ref())
        .map_err(|message| TransferError::GenericError { error_code: Nat::from(1u8), message })?;
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => TransferError::TooOld,
        NotDone::CreatedInFuture => TransferError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => TransferError::Duplicate { duplicate_of: block.into() },
    })?;
    let (from, to) = (Member::new(call.sender, args.from_subaccount), icrc::member(args.to));
    let amount = icrc::amount(&args.amount);
    (book.pay)(call.state, &from, &to, amount).map_err(|balance| TransferError::InsufficientFunds { balance })?;
    let done = Done {
        kind: Kind::Transfer(to),
        from,
        amount,
        names_fee: args.fee.is_some(),
        memo: args.memo,
        created_at: args.created_at_time,
    };
    Ok(log(book, call, transaction, &done))
}

fn approve(book: &Book, call: &mut SystemCall<'_>, args: ApproveArgs) -> Result<Nat, ApproveError> {
    let failed = |message: String| ApproveError::GenericError { error_code: Nat::from(1u8), message };
    check_fee(book, args.fee.as_ref()).map_err(|expected_fee| ApproveError::BadFee { expected_fee })?;
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
    let present = allowances::get(call.state, book.allowances, &owner, &spender).amount;
    if args.expected_allowance.as_ref().is_some_and(|expected| icrc::amount(expected) != present) {
        return Err(ApproveError::AllowanceChanged { current_allowance: present.into() });
    }
    (book.pay_fee)(call.state, &owner).map_err(|balance| ApproveError::InsufficientFunds { balance })?;
    let allowance = Allowance { amount: icrc::amount(&args.amount), expires_at: args.expires_at.map(UnixNanos) };
    allowances::set(call.state, book.allowances, &owner, &spender, allowance);
    let done = Done {
        kind: Kind::Approve(spender, args.expected_allowance, args.expires_at),
        from: owner,
        amount: allowance.amount,
        names_fee: args.fee.is_some(),
        memo: args.memo,
        created_at: args.created_at_time,
    };
    Ok(log(book, call, transaction, &done))
}

fn transfer_from(book: &Book, call: &mut SystemCall<'_>, args: TransferFromArgs) -> Result<Nat, TransferFromError> {
    check_fee(book, args.fee.as_ref()).map_err(|expected_fee| TransferFromError::BadFee { expected_fee })?;
    check_memo(args.memo.as_ref())
        .map_err(|message| TransferFromError::GenericError { error_code: Nat::from(1u8), message })?;
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => TransferFromError::TooOld,
        NotDone::CreatedInFuture => TransferFromError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => TransferFromError::Duplicate { duplicate_of: block.into() },
    })?;
    let (from, spender) = (icrc::member(args.from), Member::new(call.sender, args.spender_subaccount));
    let (to, amount) = (icrc::member(args.to), icrc::amount(&args.amount));
    spend_allowance(book, call.state, &from, &spender, amount)
        .map_err(|allowance| TransferFromError::InsufficientAllowance { allowance })?;
    (book.pay)(call.state, &from, &to, amount).map_err(|balance| TransferFromError::InsufficientFunds { balance })?;
    let done = Done {
        kind: Kind::TransferFrom(to, spender),
        from,
        amount,
        names_fee: args.fee.is_some(),
        memo: args.memo,
        created_at: args.created_at_time,
    };
    Ok(log(book, call, transaction, &done))
}

fn log(book: &Book, call: &mut SystemCall<'_>, transaction: Transaction, done: &Done) -> Nat {
    let block = (book.log)(call.state, done);
    end(call, transaction, block, None);
    block.into()
}

fn check_fee(book: &Book, fee: Option<&Nat>) -> Result<(), Nat> {
    if fee.is_none_or(|fee| icrc::amount(fee) == book.fee) { Ok(()) } else { Err(book.fee.into()) }
}

fn check_memo(memo: Option<&Memo>) -> Result<(), String> {
    match memo {
        Some(memo) if memo.0.len() > icrc::MEMO_BYTES_MAX => {
            Err(format!("A memo has at most {} bytes.", icrc::MEMO_BYTES_MAX))
        }
        _ => Ok(()),
    }
}
