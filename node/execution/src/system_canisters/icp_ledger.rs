//! The ICP ledger's surface on test networks: play money that tools move before they create canisters. It buys nothing.

use super::{
    icrc::{self, Token},
    transactions::{NotDone, Transaction},
};
use crate::{calls::SystemCall, management::codec};
use candid::{CandidType, Deserialize, Nat, Principal};
use icrc_ledger_types::icrc1::{
    account::Subaccount,
    transfer::{TransferArg, TransferError as IcrcTransferError},
};
use mains_ledger::Member;
use mains_state::{State, Table};
use mains_types::{Reject, UnixNanos, ids::icp_ledger_id};
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
    standards: &[("ICRC-1", "https://github.com/dfinity/ICRC-1/tree/main/standards/ICRC-1")],
};

/// CRC-32 of the hash, then the hash.
type AccountIdentifier = [u8; 32];

#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
struct Tokens {
    e8s: u64,
}

#[derive(CandidType, Deserialize)]
struct Timestamp {
    timestamp_nanos: u64,
}

#[derive(CandidType, Deserialize)]
struct TransferArgs {
    #[allow(dead_code, reason = "part of the transaction's hash through the argument")]
    memo: u64,
    amount: Tokens,
    fee: Tokens,
    from_subaccount: Option<Subaccount>,
    to: serde_bytes::ByteBuf,
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
    account: serde_bytes::ByteBuf,
}

/// Answers a method that changes something; `None` for any other.
pub(super) fn call(call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    match call.method {
        "transfer" => Some(codec::decode(call.method, call.argument).and_then(|(args,)| {
            let to = account_bytes(&args)?;
            Ok(codec::encode(&transfer(call, &args, to)))
        })),
        "icrc1_transfer" => {
            Some(codec::decode(call.method, call.argument).map(|(args,)| codec::encode(&icrc1_transfer(call, args))))
        }
        _ => None,
    }
}

/// Answers a query.
pub(super) fn query(state: &State, method: &str, argument: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
    match method {
        "account_balance" => Some(codec::decode(method, argument).map(|(BalanceArgs { account },)| {
            let e8s = AccountIdentifier::try_from(account.as_slice()).map_or(0, |account| balance(state, &account));
            codec::encode(&Tokens { e8s })
        })),
        "symbol" => Some(Ok(codec::encode(&Named { symbol: TOKEN.symbol }))),
        "decimals" => Some(Ok(codec::encode(&Decimals { decimals: u32::from(TOKEN.decimals) }))),
        "transfer_fee" => Some(Ok(codec::encode(&TransferFee { transfer_fee: Tokens { e8s: FEE } }))),
        _ => {
            let balance = |member: Member| u128::from(balance(state, &account_identifier(&member)));
            icrc::query(&TOKEN, method, argument, balance, || u128::from(SUPPLY))
        }
    }
}

#[derive(CandidType)]
struct Named {
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
    let block = pay(call.state, &from, &to, args.amount.e8s)
        .map_err(|e8s| TransferError::InsufficientFunds { balance: Tokens { e8s } })?;
    end(call, transaction, block);
    Ok(block)
}

fn icrc1_transfer(call: &mut SystemCall<'_>, args: TransferArg) -> Result<Nat, IcrcTransferError> {
    if args.fee.is_some_and(|fee| fee != FEE) {
        return Err(IcrcTransferError::BadFee { expected_fee: FEE.into() });
    }
    let transaction = begin(call, args.created_at_time).map_err(|error| match error {
        NotDone::TooOld => IcrcTransferError::TooOld,
        NotDone::CreatedInFuture => IcrcTransferError::CreatedInFuture { ledger_time: call.state.time.get() },
        NotDone::Duplicate { block, .. } => IcrcTransferError::Duplicate { duplicate_of: block.into() },
    })?;
    let from = account_identifier(&Member::new(call.sender, args.from_subaccount));
    let amount = u64::try_from(&args.amount.0).unwrap_or(u64::MAX);
    let block = pay(call.state, &from, &account_identifier(&icrc::member(args.to)), amount)
        .map_err(|balance| IcrcTransferError::InsufficientFunds { balance: balance.into() })?;
    end(call, transaction, block);
    Ok(block.into())
}

/// Moves tokens; the fee goes to the ledger's own account, so that the supply stays.
///
/// # Errors
/// The balance, which does not suffice; nothing has changed.
fn pay(state: &mut State, from: &AccountIdentifier, to: &AccountIdentifier, amount: u64) -> Result<u64, u64> {
    let available = balance(state, from);
    let rest = amount.checked_add(FEE).and_then(|total| available.checked_sub(total)).ok_or(available)?;
    set_balance(state, from, rest);
    for (account, gained) in [(*to, amount), (account_identifier(&Member::new(icp_ledger_id(), None)), FEE)] {
        let before = balance(state, &account);
        set_balance(state, &account, before + gained);
    }
    let block = state.tokens.get(Table::IcpBlocks, b"next").map_or(0, number);
    state.tokens.put(Table::IcpBlocks, b"next", (block + 1).to_be_bytes().to_vec());
    Ok(block)
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
        crate::management::refusal::payload(
            "The account identifier in the field to is not valid: 4 bytes of CRC-32, then 28 bytes.",
        )
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

fn begin(call: &SystemCall<'_>, created_at: Option<u64>) -> Result<Transaction, NotDone> {
    let content = (&call.callee, &call.sender, call.method, call.argument);
    Transaction::begin(&call.state.tokens, call.state.time, created_at, content)
}

fn end(call: &mut SystemCall<'_>, transaction: Transaction, block: u64) {
    let now = call.state.time;
    transaction.done(&mut call.state.tokens, now, block, None);
}
