//! Who may spend how much of whose tokens.

use mains_ledger::Member;
use mains_state::{State, Table};
use mains_types::UnixNanos;

/// What a spender may still take, fees included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) amount: u128,
    pub(super) expires_at: Option<UnixNanos>,
}

/// The allowance in force, of the ledger that keeps its allowances in `table`; none if it has expired.
pub(super) fn get(state: &State, table: Table, owner: &Member, spender: &Member) -> Allowance {
    let allowance = state.tokens.get(table, &key(owner, spender)).and_then(decode).unwrap_or_default();
    match allowance.expires_at {
        Some(expires_at) if expires_at <= state.time => Allowance::default(),
        _ => allowance,
    }
}

/// Sets an allowance; one of nothing is forgotten.
pub(super) fn set(state: &mut State, table: Table, owner: &Member, spender: &Member, allowance: Allowance) {
    let key = key(owner, spender);
    if allowance.amount == 0 {
        state.tokens.remove(table, &key);
    } else {
        state.tokens.put(table, &key, encode(allowance));
    }
}

fn key(owner: &Member, spender: &Member) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    for member in [owner, spender] {
        let principal = member.owner.as_slice();
        key.push(principal.len() as u8);
        key.extend_from_slice(principal);
        key.extend_from_slice(&member.subaccount.unwrap_or_default());
    }
    key
}

fn encode(allowance: Allowance) -> Vec<u8> {
    let mut bytes = allowance.amount.to_be_bytes().to_vec();
    if let Some(expires_at) = allowance.expires_at {
        bytes.extend_from_slice(&expires_at.get().to_be_bytes());
    }
    bytes
}

fn decode(bytes: &[u8]) -> Option<Allowance> {
    let (amount, rest) = bytes.split_first_chunk()?;
    let expires_at = rest.first_chunk().map(|bytes| UnixNanos(u64::from_be_bytes(*bytes)));
    Some(Allowance { amount: u128::from_be_bytes(*amount), expires_at })
}
