//! The ICP ledger's surface on test networks: play money that tools move before they turn it into cycles.

pub(super) mod blocks;

use super::{
    icrc::{self, Token},
    transactions::NotDone,
    transfers::{self, Book, Done, Kind, begin, end},
};
use crate::{
    calls::SystemCall,
    management::{codec, refusal},
};
use blocks::{Operation, Transaction};
use candid::{CandidType, Deserialize, Int, Nat, Principal};
use icrc_ledger_types::icrc1::account::{Account as IcrcAccount, Subaccount};
use mains_ledger::Member;
use mains_state::{State, Table};
use mains_types::{Reject, UnixNanos, ids::icp_ledger_id};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha224};

/// What a transfer costs, in 10^-8 ICP.
const FEE: u64 = 10_000;
/// All there is, the anonymous principal's at the beginning: 10^9 ICP.
const SUPPLY: u64 = 100_000_000_000_000_000;
/// How long a transaction may be under way: what `TxTooOld` tells.
const WINDOW_NANOS: u64 = 24 * 60 * 60 * UnixNanos::SECOND;

const TOKEN: Token = Token {
    name: "Internet Computer (test)",
    symbol: "ICP",
    decimals: 8,
    fee: FEE as u128,
    standards: &[
        ("ICRC-1", "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-1"),
        ("ICRC-2", "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-2"),
        ("ICRC-10", "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md"),
    ],
};

const BOOK: Book = Book {
    fee: FEE as u128,
    allowances: Table::IcpAllowances,
    pay: |state, from, to, amount| {
        let amount = u64::try_from(amount).unwrap_or(u64::MAX);
        pay(state, &account_identifier(from), &account_identifier(to), amount).map_err(Nat::from)
    },
    pay_fee: |state, from| take_fee(state, &account_identifier(from)).map_err(Nat::from),
    log,
};

/// CRC-32 of the hash, then the hash.
pub(super) type AccountIdentifier = [u8; 32];

#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
pub(super) struct Tokens {
    pub(super) e8s: u64,
}

#[derive(CandidType, Deserialize)]
pub(super) struct Timestamp {
    timestamp_nanos: u64,
}

#[derive(CandidType, Deserialize)]
struct TransferArgs {
    memo: u64,
    amount: Tokens,
    fee: Tokens,
    from_subaccount: Option<Subaccount>,
    to: ByteBuf,
    created_at_time: Option<Timestamp>,
}

#[derive(CandidType, Deserialize, Debug)]
enum TransferError {
    BadFee { expected_fee: Tokens },
    InsufficientFunds { balance: Tokens },
    TxTooOld { allowed_window_nanos: u64 },
    TxCreatedInFuture,
    TxDuplicate { duplicate_of: u64 },
}

#[derive(CandidType, Deserialize)]
struct BalanceArgs {
    account: ByteBuf,
}

/// Answers a method that changes something; `None` for any other.
pub(super) fn call(call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    if call.method != "transfer" {
        return transfers::call(&BOOK, call);
    }
    Some(codec::decode(call.method, call.argument).and_then(|(args,)| {
        let to = account_bytes(&args)?;
        Ok(codec::encode(&transfer(call, &args, to)))
    }))
}

/// Answers a query.
pub(super) fn query(state: &State, method: &str, argument: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
    match method {
        "account_balance" => Some(codec::decode(method, argument).map(|(BalanceArgs { account },)| {
            let e8s = AccountIdentifier::try_from(account.as_slice()).map_or(0, |account| balance(state, &account));
            codec::encode(&Tokens { e8s })
        })),
        "account_identifier" => Some(codec::decode::<(IcrcAccount,)>(method, argument).map(|(account,)| {
            let identifier = account_identifier(&icrc::member(account));
            codec::encode(&ByteBuf::from(identifier))
        })),
        "name" => Some(Ok(codec::encode(&Name { name: TOKEN.name }))),
        "symbol" => Some(Ok(codec::encode(&Symbol { symbol: TOKEN.symbol }))),
        "decimals" => Some(Ok(codec::encode(&Decimals { decimals: u32::from(TOKEN.decimals) }))),
        "transfer_fee" => Some(Ok(codec::encode(&TransferFee { transfer_fee: Tokens { e8s: FEE } }))),
        "icrc2_allowance" => Some(transfers::allowance(&BOOK, state, argument)),
        _ => blocks::query(state, method, argument).or_else(|| {
            let balance = |member: Member| u128::from(balance(state, &account_identifier(&member)));
            icrc::query(&TOKEN, method, argument, balance, || u128::from(SUPPLY))
        }),
    }
}

#[derive(CandidType)]
struct Name {
    name: &'static str,
}

#[derive(CandidType)]
struct Symbol {
    symbol: &'static str,
}

#[derive(CandidType)]
struct Decimals {
    decimals: u32,
}

#[derive(CandidType)]
struct TransferFee {
    transfer_fee: Tokens,
}

fn transfer(call: &mut SystemCall<'_>, args: &TransferArgs, to: AccountIdentifier) -> Result<u64, TransferError> {
    if args.fee.e8s != FEE {
        return Err(TransferError::BadFee { expected_fee: Tokens { e8s: FEE } });
    }
    let created_at = args.created_at_time.as_ref().map(|time| time.timestamp_nanos);
    let transaction = begin(call, created_at).map_err(|error| match error {
        NotDone::TooOld => TransferError::TxTooOld { allowed_window_nanos: WINDOW_NANOS },
        NotDone::CreatedInFuture => TransferError::TxCreatedInFuture,
        NotDone::Duplicate { block, .. } => TransferError::TxDuplicate { duplicate_of: block },
    })?;
    let from = account_identifier(&Member::new(call.sender, args.from_subaccount));
    pay(call.state, &from, &to, args.amount.e8s)
        .map_err(|e8s| TransferError::InsufficientFunds { balance: Tokens { e8s } })?;
    let logged = Transaction {
        memo: args.memo,
        icrc1_memo: None,
        operation: Some(blocks::transfer(&from, &to, args.amount.e8s, None)),
        created_at_time: Timestamp { timestamp_nanos: created_at.unwrap_or(call.state.time.get()) },
    };
    let block = blocks::append(call.state, logged);
    end(call, transaction, block, None);
    Ok(block)
}

fn log(state: &mut State, done: &Done) -> u64 {
    let e8s = u64::try_from(done.amount).unwrap_or(u64::MAX);
    let from = account_identifier(&done.from);
    let operation = match &done.kind {
        Kind::Transfer(to) => blocks::transfer(&from, &account_identifier(to), e8s, None),
        Kind::TransferFrom(to, spender) => {
            blocks::transfer(&from, &account_identifier(to), e8s, Some(account_identifier(spender)))
        }
        Kind::Approve(spender, expected, expires_at) => Operation::Approve {
            from: from.to_vec().into(),
            spender: account_identifier(spender).to_vec().into(),
            allowance_e8s: Int::from(done.amount),
            allowance: Tokens { e8s },
            fee: Tokens { e8s: FEE },
            expires_at: expires_at.map(|timestamp_nanos| Timestamp { timestamp_nanos }),
            expected_allowance: expected
                .as_ref()
                .map(|expected| Tokens { e8s: u64::try_from(&expected.0).unwrap_or(u64::MAX) }),
        },
    };
    let transaction = Transaction {
        memo: 0,
        icrc1_memo: done.memo.as_ref().map(|memo| memo.0.clone()),
        operation: Some(operation),
        created_at_time: Timestamp { timestamp_nanos: done.created_at.unwrap_or(state.time.get()) },
    };
    blocks::append(state, transaction)
}

/// Moves tokens; the fee goes to the ledger's own account, so that the supply stays.
///
/// # Errors
/// The balance, which does not suffice; nothing has changed.
fn pay(state: &mut State, from: &AccountIdentifier, to: &AccountIdentifier, amount: u64) -> Result<(), u64> {
    let available = balance(state, from);
    if amount.checked_add(FEE).is_none_or(|total| total > available) {
        return Err(available);
    }
    take_fee(state, from)?;
    give(state, from, to, amount)
}

fn take_fee(state: &mut State, from: &AccountIdentifier) -> Result<(), u64> {
    give(state, from, &account_identifier(&Member::new(icp_ledger_id(), None)), FEE)
}

/// Moves tokens without a fee.
///
/// # Errors
/// The balance, which does not suffice; nothing has changed.
pub(super) fn give(
    state: &mut State,
    from: &AccountIdentifier,
    to: &AccountIdentifier,
    amount: u64,
) -> Result<(), u64> {
    let available = balance(state, from);
    let rest = available.checked_sub(amount).ok_or(available)?;
    set_balance(state, from, rest);
    let before = balance(state, to);
    set_balance(state, to, before + amount);
    Ok(())
}

fn balance(state: &State, account: &AccountIdentifier) -> u64 {
    match state.tokens.get(Table::Icp, account) {
        Some(bytes) => number(bytes),
        None if *account == account_identifier(&Member::new(Principal::anonymous(), None)) => SUPPLY,
        None => 0,
    }
}

fn set_balance(state: &mut State, account: &AccountIdentifier, e8s: u64) {
    state.tokens.put(Table::Icp, account, e8s.to_be_bytes().to_vec());
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn account_bytes(args: &TransferArgs) -> Result<AccountIdentifier, Reject> {
    let account = AccountIdentifier::try_from(args.to.as_slice()).ok();
    account.filter(|account| account[..4] == checksum(&account[4..])).ok_or_else(|| {
        refusal::payload("The account identifier in the field to is not valid: 4 bytes of CRC-32, then 28 bytes.")
    })
}

/// How ICP ledgers name an account.
pub(super) fn account_identifier(member: &Member) -> AccountIdentifier {
    let mut hasher = Sha224::new();
    hasher.update(b"\x0Aaccount-id");
    hasher.update(member.owner.as_slice());
    hasher.update(member.subaccount.unwrap_or_default());
    let hash = hasher.finalize();
    let mut identifier = [0; 32];
    identifier[..4].copy_from_slice(&checksum(&hash));
    identifier[4..].copy_from_slice(&hash);
    identifier
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}
