//! What every ICRC-1 ledger answers alike.

use crate::management::codec;
use candid::{CandidType, Nat};
use icrc_ledger_types::{icrc::generic_metadata_value::MetadataValue, icrc1::account::Account as IcrcAccount};
use mains_ledger::Member;
use mains_types::Reject;

/// Bytes of a memo.
pub(super) const MEMO_BYTES_MAX: usize = 32;

/// A token as wallets show it.
pub(super) struct Token {
    pub(super) name: &'static str,
    pub(super) symbol: &'static str,
    pub(super) decimals: u8,
    /// The fee of a transfer.
    pub(super) fee: u128,
    /// Names and places of the standards it follows.
    pub(super) standards: &'static [(&'static str, &'static str)],
}

#[derive(CandidType)]
struct Standard {
    name: &'static str,
    url: &'static str,
}

/// Answers a query that needs nothing but the token, a balance and the supply; `None` for any other method.
pub(super) fn query(
    token: &Token,
    method: &str,
    argument: &[u8],
    balance: impl FnOnce(Member) -> u128,
    supply: impl FnOnce() -> u128,
) -> Option<Result<Vec<u8>, Reject>> {
    Some(Ok(match method {
        "icrc1_name" => codec::encode(&token.name),
        "icrc1_symbol" => codec::encode(&token.symbol),
        "icrc1_decimals" => codec::encode(&token.decimals),
        "icrc1_fee" => codec::encode(&Nat::from(token.fee)),
        "icrc1_metadata" => codec::encode(&metadata(token)),
        "icrc1_minting_account" => codec::encode(&None::<IcrcAccount>),
        "icrc1_total_supply" => codec::encode(&Nat::from(supply())),
        "icrc1_supported_standards" | "icrc10_supported_standards" => {
            codec::encode(&token.standards.iter().map(|(name, url)| Standard { name, url }).collect::<Vec<_>>())
        }
        "icrc1_balance_of" => {
            return Some(
                codec::decode::<(IcrcAccount,)>(method, argument)
                    .map(|(account,)| codec::encode(&Nat::from(balance(member(account))))),
            );
        }
        _ => return None,
    }))
}

/// An account as wallets name it -> a member's account.
pub(super) fn member(account: IcrcAccount) -> Member {
    Member::new(account.owner, account.subaccount)
}

/// A `nat` that counts tokens; more than 128 bits is more than anybody owns.
pub(super) fn amount(value: &Nat) -> u128 {
    u128::try_from(&value.0).unwrap_or(u128::MAX)
}

fn metadata(token: &Token) -> Vec<(&'static str, MetadataValue)> {
    vec![
        ("icrc1:name", MetadataValue::from(token.name)),
        ("icrc1:symbol", MetadataValue::from(token.symbol)),
        ("icrc1:decimals", MetadataValue::from(u64::from(token.decimals))),
        ("icrc1:fee", MetadataValue::from(token.fee)),
        ("icrc1:max_memo_length", MetadataValue::from(MEMO_BYTES_MAX as u64)),
    ]
}
