//! The ICP ledger's latest blocks, in the form in which `query_blocks` tells them.

use super::{AccountIdentifier, FEE, Timestamp, Tokens};
use crate::management::codec;
use candid::{CandidType, Decode, Deserialize, Encode, Int, Principal};
use icrc_ledger_types::icrc3::archive::QueryArchiveFn;
use mains_state::{State, Table};
use mains_types::{Reject, limits};
use serde_bytes::ByteBuf;

/// Blocks that one answer holds at most.
const ANSWER_MAX: u64 = 100;
/// Where the number of the next block stands.
const NEXT: &[u8] = b"next";

#[derive(CandidType, Deserialize)]
pub(in crate::system_canisters) struct Block {
    /// Never told: hashes of ICP blocks are made of an encoding that this ledger does not have.
    parent_hash: Option<ByteBuf>,
    pub(in crate::system_canisters) transaction: Transaction,
    timestamp: Timestamp,
}

#[derive(CandidType, Deserialize)]
pub(in crate::system_canisters) struct Transaction {
    pub(in crate::system_canisters) memo: u64,
    pub(in crate::system_canisters) icrc1_memo: Option<ByteBuf>,
    pub(in crate::system_canisters) operation: Option<Operation>,
    pub(super) created_at_time: Timestamp,
}

#[derive(CandidType, Deserialize)]
pub(in crate::system_canisters) enum Operation {
    Transfer {
        from: ByteBuf,
        to: ByteBuf,
        amount: Tokens,
        fee: Tokens,
        spender: Option<ByteBuf>,
    },
    Approve {
        from: ByteBuf,
        spender: ByteBuf,
        allowance_e8s: Int,
        allowance: Tokens,
        fee: Tokens,
        expires_at: Option<Timestamp>,
        expected_allowance: Option<Tokens>,
    },
}

/// A transfer.
pub(super) fn transfer(
    from: &AccountIdentifier,
    to: &AccountIdentifier,
    e8s: u64,
    spender: Option<AccountIdentifier>,
) -> Operation {
    Operation::Transfer {
        from: from.to_vec().into(),
        to: to.to_vec().into(),
        amount: Tokens { e8s },
        fee: Tokens { e8s: FEE },
        spender: spender.map(|spender| spender.to_vec().into()),
    }
}

/// Logs a transaction; returns its block's number.
pub(super) fn append(state: &mut State, transaction: Transaction) -> u64 {
    let number = next(state);
    let timestamp = Timestamp { timestamp_nanos: state.time.get() };
    let block = Block { parent_hash: None, transaction, timestamp };
    let bytes = Encode!(&block).expect("a block's type is known to candid");
    state.tokens.put(Table::IcpBlocks, &number.to_be_bytes(), bytes);
    if let Some(outdated) = number.checked_sub(limits::LEDGER_BLOCKS_MAX) {
        state.tokens.remove(Table::IcpBlocks, &outdated.to_be_bytes());
    }
    state.tokens.put(Table::IcpBlocks, NEXT, (number + 1).to_be_bytes().to_vec());
    number
}

/// A block that is kept.
pub(in crate::system_canisters) fn find(state: &State, number: u64) -> Option<Block> {
    let bytes = state.tokens.get(Table::IcpBlocks, &number.to_be_bytes())?;
    Decode!(bytes, Block).ok()
}

#[derive(CandidType, Deserialize)]
struct GetBlocksArgs {
    start: u64,
    length: u64,
}

#[derive(CandidType)]
struct BlockRange {
    blocks: Vec<Block>,
}

#[derive(CandidType)]
struct ArchivedRange {
    start: u64,
    length: u64,
    callback: QueryArchiveFn<GetBlocksArgs, Result<BlockRange, String>>,
}

#[derive(CandidType)]
struct QueryBlocksResponse {
    chain_length: u64,
    certificate: Option<ByteBuf>,
    blocks: Vec<Block>,
    first_block_index: u64,
    archived_blocks: Vec<ArchivedRange>,
}

#[derive(CandidType)]
struct Archives {
    archives: Vec<Archive>,
}

#[derive(CandidType)]
struct Archive {
    canister_id: Principal,
}

/// Answers a query about blocks; `None` for any other method.
pub(super) fn query(state: &State, method: &str, argument: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
    Some(match method {
        "query_blocks" => codec::decode::<(GetBlocksArgs,)>(method, argument).map(|(args,)| {
            let chain_length = next(state);
            let first = args.start.max(chain_length.saturating_sub(limits::LEDGER_BLOCKS_MAX));
            let end = first.saturating_add(args.length.min(ANSWER_MAX)).min(chain_length);
            codec::encode(&QueryBlocksResponse {
                chain_length,
                certificate: None,
                blocks: (first..end).filter_map(|number| find(state, number)).collect(),
                first_block_index: first,
                archived_blocks: Vec::new(),
            })
        }),
        "archives" => Ok(codec::encode(&Archives { archives: Vec::new() })),
        _ => return None,
    })
}

fn next(state: &State) -> u64 {
    state.tokens.get(Table::IcpBlocks, NEXT).map_or(0, super::number)
}
