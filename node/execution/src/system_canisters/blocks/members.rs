//! Each member's own blocks of the cycles ledger: a certified row with its balance and the chain over them, and for each block
//! that is kept the row before it, so that they are found from the last one backwards.

use crate::system_canisters::icrc;
use candid::{CandidType, Decode, Deserialize};
use icrc_ledger_types::{icrc::generic_value::ICRC3Value, icrc1::account::Account as IcrcAccount};
use mains_ledger::{Member, wallet::MemberRecord};
use mains_state::{State, Table};
use mains_types::{Digest32, Principal};
use serde_bytes::ByteBuf;

/// Blocks that one answer holds at most.
const ANSWER_MAX: usize = 100;

/// A block was appended that moved the member's money.
pub(super) fn append(state: &mut State, member: &Member, block: u64, hash: &Digest32) {
    let label = member.label();
    let before = record(state, &label);
    state.tokens.put(Table::MembersBefore, &key(&label, block), before.encode());
    let balance = state.ledger.balance(&(*member).into()).get();
    state.tokens.put(Table::Members, &label, before.next(block, hash, balance).encode());
}

/// A block is about to be forgotten; the chains stay as they are.
pub(super) fn forget(state: &mut State, block: u64) {
    let bytes = state.tokens.get(Table::CyclesBlocks, &block.to_be_bytes());
    let parties = bytes.and_then(|bytes| Decode!(bytes, ICRC3Value).ok()).map(parties).unwrap_or_default();
    for member in parties {
        state.tokens.remove(Table::MembersBefore, &key(&member.label(), block));
    }
}

fn parties(block: ICRC3Value) -> Vec<Member> {
    let ICRC3Value::Map(mut fields) = block else { return Vec::new() };
    let Some(ICRC3Value::Map(tx)) = fields.remove("tx") else { return Vec::new() };
    let member = |role: &str| {
        let Some(ICRC3Value::Array(parts)) = tx.get(role) else { return None };
        let Some(ICRC3Value::Blob(owner)) = parts.first() else { return None };
        let subaccount = match parts.get(1) {
            Some(ICRC3Value::Blob(bytes)) => bytes.as_slice().try_into().ok(),
            _ => None,
        };
        Some(Member::new(Principal::try_from_slice(owner).ok()?, subaccount))
    };
    [member("from"), member("to")].into_iter().flatten().collect()
}

fn record(state: &State, label: &[u8]) -> MemberRecord {
    let bytes = state.tokens.get(Table::Members, label);
    bytes.and_then(MemberRecord::decode).unwrap_or_default()
}

fn key(label: &[u8], block: u64) -> Vec<u8> {
    [label, &block.to_be_bytes()].concat()
}

/// Whose blocks, from which one of its own backwards.
#[derive(CandidType, Deserialize)]
pub(in crate::system_canisters) struct BlocksArgument {
    account: IcrcAccount,
    from_block: Option<u64>,
    count: Option<u32>,
}

/// One of a member's blocks.
#[derive(CandidType, Deserialize)]
pub(in crate::system_canisters) struct BlockReply {
    index: u64,
    /// The member's row before it.
    before: ByteBuf,
    /// The block: Candid of an ICRC-3 value.
    block: ByteBuf,
}

/// A member's blocks that are kept, newest first.
pub(in crate::system_canisters) fn member_blocks(state: &State, args: &BlocksArgument) -> Vec<BlockReply> {
    let label = icrc::member(args.account).label();
    let newest = record(state, &label);
    let count = args.count.map_or(ANSWER_MAX, |count| count as usize).min(ANSWER_MAX);
    let mut next = (newest.count > 0).then(|| args.from_block.unwrap_or(newest.last));
    let mut blocks = Vec::new();
    while let Some(index) = next.filter(|_| blocks.len() < count) {
        let before = state.tokens.get(Table::MembersBefore, &key(&label, index));
        let block = state.tokens.get(Table::CyclesBlocks, &index.to_be_bytes());
        let Some((before, block)) = before.zip(block) else { break };
        next = MemberRecord::decode(before).filter(|before| before.count > 0).map(|before| before.last);
        blocks.push(BlockReply { index, before: before.to_vec().into(), block: block.to_vec().into() });
    }
    blocks
}
