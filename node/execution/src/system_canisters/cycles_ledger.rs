//! The cycles ledger: members' cycles as an ICRC-1/2/3 token, and canisters made from them.
//!
//! Every transaction is a block of the log (`system_canisters/blocks.rs`). The fee is the Internet Computer's and goes to the
//! commons. A transaction that fails has changed nothing: no fee, no refund, no block.

mod canisters;
mod types;

use super::{
    blocks::{self, Entry},
    icrc::{self, Token},
    transfers::{self, Book, Done, Kind, answer},
};
use crate::calls::SystemCall;
use candid::Nat;
use icrc_ledger_types::icrc1::transfer::Memo;
use mains_ledger::{Account, Member};
use mains_state::{State, Table};
use mains_types::{Cycles, Digest32, Principal, Reject};

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
        ("ICRC-3", "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-3"),
        ("ICRC-10", "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md"),
    ],
};

const BOOK: Book = Book {
    fee: FEE,
    allowances: Table::Allowances,
    pay: |state, from, to, amount| pay(state, from, &(*to).into(), amount),
    pay_fee,
    log,
};

/// Answers a method that changes something; `None` for any other.
pub(super) fn call(call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    Some(match call.method {
        "create_canister" => answer(call, canisters::create_canister),
        "create_canister_from" => answer(call, canisters::create_canister_from),
        "withdraw" => answer(call, canisters::withdraw),
        "withdraw_from" => answer(call, canisters::withdraw_from),
        "deposit" => canisters::deposit(call),
        _ => return transfers::call(&BOOK, call),
    })
}

/// Answers a query.
pub(super) fn query(
    state: &State,
    certificate: Option<&[u8]>,
    method: &str,
    argument: &[u8],
) -> Option<Result<Vec<u8>, Reject>> {
    if method == "icrc2_allowance" {
        return Some(transfers::allowance(&BOOK, state, argument));
    }
    if let Some(answer) = blocks::query(state, certificate, method, argument) {
        return Some(answer);
    }
    let balance = |member: Member| balance(state, &member);
    icrc::query(&TOKEN, method, argument, balance, || state.ledger.members_total().get())
}

/// Logs what members have from genesis, so that whoever follows the log from its beginning knows all balances.
pub(crate) fn log_genesis(state: &mut State) {
    let members: Vec<(Member, Cycles)> = state.ledger.members().map(|(member, amount)| (*member, amount)).collect();
    for (member, amount) in members {
        blocks::append(state, Entry::new("1mint", amount.get()).member("to", &member));
    }
}

/// Creates cycles in a member's account, on test networks; returns the block. There are never too many.
pub(super) fn mint(state: &mut State, to: &Member, amount: Cycles) -> Option<u64> {
    state.ledger.mint(&(*to).into(), amount).ok()?;
    Some(blocks::append(state, Entry::new("1mint", amount.get()).member("to", to)))
}

/// Pays an operator what it earned in the epoch whose settlement has `digest`: from then on it is a member's money. The block
/// names the settlement in its memo.
pub(crate) fn pay_out(state: &mut State, operator: &Principal, amount: Cycles, digest: &Digest32) {
    let to = Member::new(*operator, None);
    let paid = state.ledger.transfer(&Account::Operator(*operator), &to.into(), amount);
    paid.expect("an operator has what the ledger says it has");
    let memo = Memo(digest.to_vec().into());
    blocks::append(state, Entry::new("1mint", amount.get()).member("to", &to).memo(Some(&memo)));
}

/// What a member has.
pub(super) fn balance(state: &State, member: &Member) -> u128 {
    state.ledger.balance(&(*member).into()).get()
}

/// Takes `amount` and the fee from a member.
///
/// # Errors
/// The member's balance, which does not suffice; nothing has changed.
fn pay(state: &mut State, from: &Member, to: &Account, amount: u128) -> Result<(), Nat> {
    let available = balance(state, from);
    if amount.checked_add(FEE).is_none_or(|total| total > available) {
        return Err(available.into());
    }
    state.ledger.transfer(&(*from).into(), to, Cycles(amount)).map_err(|_| Nat::from(available))?;
    pay_fee(state, from)
}

/// Takes the fee from a member; see [`pay`].
fn pay_fee(state: &mut State, from: &Member) -> Result<(), Nat> {
    let paid = state.ledger.transfer(&(*from).into(), &Account::Commons, Cycles(FEE));
    paid.map(drop).map_err(|_| Nat::from(balance(state, from)))
}

fn log(state: &mut State, done: &Done) -> u64 {
    let entry = match &done.kind {
        Kind::Transfer(to) => Entry::new("1xfer", done.amount).member("to", to),
        Kind::Approve(spender, expected, expires_at) => Entry::new("2approve", done.amount)
            .member("spender", spender)
            .number("expected_allowance", expected.clone())
            .number("expires_at", *expires_at),
        Kind::TransferFrom(to, spender) => Entry::new("2xfer", done.amount).member("to", to).member("spender", spender),
    };
    let entry = entry.member("from", &done.from).fee(done.names_fee, FEE).memo(done.memo.as_ref());
    blocks::append(state, entry.number("ts", done.created_at))
}
