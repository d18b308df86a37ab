//! The cycles ledger's transactions as ICRC-3 blocks: a log whose blocks name the hash of the one before, of which the latest
//! are kept. The canister certifies index and hash of the last one.

pub(super) mod members;

use crate::management::codec;
use candid::{CandidType, Decode, Deserialize, Encode, Nat};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::transfer::Memo,
    icrc3::blocks::{BlockWithId, GetBlocksRequest, GetBlocksResult, ICRC3DataCertificate, SupportedBlockType},
};
use mains_ledger::Member;
use mains_state::{State, Table, state::leb128};
use mains_tree::Tree;
use mains_types::{Digest32, Reject, ids::cycles_ledger_id, limits};
use std::collections::BTreeMap;

/// Blocks that one answer holds at most.
const ANSWER_MAX: u64 = 100;
/// Ranges that one question may have.
const RANGES_MAX: usize = 100;

/// Kinds of blocks, with the standard that says what is in them.
const KINDS: [(&str, &str); 5] = [
    ("1mint", ICRC1_SCHEMA),
    ("1burn", ICRC1_SCHEMA),
    ("1xfer", ICRC1_SCHEMA),
    ("2approve", ICRC2_SCHEMA),
    ("2xfer", ICRC2_SCHEMA),
];
const ICRC1_SCHEMA: &str = "https://github.com/dfinity/ICRC-1/blob/main/standards/ICRC-1/README.md";
const ICRC2_SCHEMA: &str = "https://github.com/dfinity/ICRC-1/blob/main/standards/ICRC-2/README.md";

/// A transaction about to be logged: the fields of its `tx`.
pub(super) struct Entry {
    kind: &'static str,
    /// What the ledger took, if the transaction does not name it.
    fee: Option<u128>,
    tx: BTreeMap<String, ICRC3Value>,
    /// Whose money it moves, each once.
    parties: Vec<Member>,
}

impl Entry {
    /// A transaction of a kind that [`KINDS`] lists.
    pub(super) fn new(kind: &'static str, amount: u128) -> Self {
        let tx = BTreeMap::from([("amt".to_owned(), ICRC3Value::Nat(amount.into()))]);
        Self { kind, fee: None, tx, parties: Vec::new() }
    }

    /// With a member as `from`, `to` or `spender`.
    pub(super) fn member(mut self, role: &str, member: &Member) -> Self {
        let owner = ICRC3Value::Blob(member.owner.as_slice().to_vec().into());
        let subaccount = member.subaccount.map(|subaccount| ICRC3Value::Blob(subaccount.to_vec().into()));
        // A spender's own money stays where it is.
        if role != "spender" && !self.parties.contains(member) {
            self.parties.push(*member);
        }
        self.tx.insert(role.into(), ICRC3Value::Array(std::iter::once(owner).chain(subaccount).collect()));
        self
    }

    /// With a number, if it was given.
    pub(super) fn number(mut self, name: &str, value: Option<impl Into<Nat>>) -> Self {
        self.tx.extend(value.map(|value| (name.to_owned(), ICRC3Value::Nat(value.into()))));
        self
    }

    /// With the memo, if one was given.
    pub(super) fn memo(mut self, memo: Option<&Memo>) -> Self {
        self.tx.extend(memo.map(|memo| ("memo".to_owned(), ICRC3Value::Blob(memo.0.clone()))));
        self
    }

    /// With the fee: in the transaction if the caller named it, else beside it.
    pub(super) fn fee(mut self, named: bool, fee: u128) -> Self {
        if !named {
            self.fee = Some(fee);
            return self;
        }
        self.number("fee", Some(fee))
    }
}

/// Where the log stands.
#[derive(CandidType, Deserialize, Default)]
struct Tip {
    /// The oldest block that is kept.
    first: u64,
    /// The next block's index.
    next: u64,
    /// The last block's hash; meaningless while there is none.
    hash: Digest32,
}

/// Logs a transaction; returns its block's index.
pub(super) fn append(state: &mut State, entry: Entry) -> u64 {
    let Tip { mut first, next, hash } = tip(state);
    let mut block = BTreeMap::from([
        ("btype".to_owned(), ICRC3Value::Text(entry.kind.into())),
        ("ts".to_owned(), ICRC3Value::Nat(state.time.get().into())),
        ("tx".to_owned(), ICRC3Value::Map(entry.tx)),
    ]);
    block.extend(entry.fee.map(|fee| ("fee".to_owned(), ICRC3Value::Nat(fee.into()))));
    if next > 0 {
        block.insert("phash".into(), ICRC3Value::Blob(hash.to_vec().into()));
    }
    let block = ICRC3Value::Map(block);
    state.tokens.put(Table::CyclesBlocks, &next.to_be_bytes(), encode(&block));
    let hash = block.hash();
    entry.parties.iter().for_each(|member| members::append(state, member, next, &hash));
    while next - first >= limits::LEDGER_BLOCKS_MAX {
        members::forget(state, first);
        state.tokens.remove(Table::CyclesBlocks, &first.to_be_bytes());
        first += 1;
    }
    let tip = Tip { first, next: next + 1, hash };
    state.tokens.put(Table::CertifiedData, cycles_ledger_id().as_slice(), certified(&tip).digest().to_vec());
    state.tokens.put(Table::CyclesTip, b"tip", encode(&tip));
    next
}

/// Answers a query about blocks; `None` for any other method.
pub(super) fn query(
    state: &State,
    certificate: Option<&[u8]>,
    method: &str,
    argument: &[u8],
) -> Option<Result<Vec<u8>, Reject>> {
    Some(match method {
        "icrc3_get_blocks" => codec::decode::<(Vec<GetBlocksRequest>,)>(method, argument)
            .map(|(ranges,)| codec::encode(&get_blocks(state, &ranges))),
        "icrc3_get_archives" => {
            codec::decode::<(GetArchivesArgs,)>(method, argument).map(|_| codec::encode(&Vec::<ArchiveInfo>::new()))
        }
        "icrc3_get_tip_certificate" => Ok(codec::encode(&tip_certificate(state, certificate))),
        "icrc3_supported_block_types" => {
            let kinds = KINDS.map(|(kind, url)| SupportedBlockType { block_type: kind.into(), url: url.into() });
            Ok(codec::encode(&kinds.as_slice()))
        }
        _ => return None,
    })
}

#[derive(CandidType, Deserialize)]
struct GetArchivesArgs {
    #[allow(dead_code, reason = "there are no archives, from wherever")]
    from: Option<candid::Principal>,
}

#[derive(CandidType)]
struct ArchiveInfo {
    canister_id: candid::Principal,
    start: Nat,
    end: Nat,
}

/// The blocks that are kept, of those asked for.
fn get_blocks(state: &State, ranges: &[GetBlocksRequest]) -> GetBlocksResult {
    let Tip { first, next, .. } = tip(state);
    let number = |value: &Nat| u64::try_from(&value.0).unwrap_or(u64::MAX);
    let mut blocks = Vec::new();
    let mut left = ANSWER_MAX;
    for GetBlocksRequest { start, length } in ranges.iter().take(RANGES_MAX) {
        let start = number(start).max(first);
        let end = start.saturating_add(number(length).min(left)).min(next);
        for index in start..end {
            let block = state.tokens.get(Table::CyclesBlocks, &index.to_be_bytes());
            if let Some(block) = block.and_then(|bytes| Decode!(bytes, ICRC3Value).ok()) {
                blocks.push(BlockWithId { id: index.into(), block });
            }
        }
        left = left.saturating_sub(end.saturating_sub(start));
    }
    GetBlocksResult { log_length: next.into(), blocks, archived_blocks: Vec::new() }
}

/// What proves the last block, if there is one and the answer can be certified.
fn tip_certificate(state: &State, certificate: Option<&[u8]>) -> Option<ICRC3DataCertificate> {
    let tip = tip(state);
    let certificate = certificate.filter(|_| tip.next > 0)?.to_vec().into();
    let paths: [[&[u8]; 1]; 2] = [[b"last_block_hash"], [b"last_block_index"]];
    let hash_tree = mains_wire::encode(&certified(&tip).witness(&paths)).into();
    Some(ICRC3DataCertificate { certificate, hash_tree })
}

/// The tree whose root the canister certifies.
fn certified(tip: &Tip) -> Tree {
    let mut tree = Tree::new();
    tree.insert(&[b"last_block_hash"], tip.hash.to_vec());
    tree.insert(&[b"last_block_index"], leb128(u128::from(tip.next.saturating_sub(1))));
    tree
}

fn tip(state: &State) -> Tip {
    state.tokens.get(Table::CyclesTip, b"tip").and_then(|bytes| Decode!(bytes, Tip).ok()).unwrap_or_default()
}

fn encode<T: CandidType>(value: &T) -> Vec<u8> {
    Encode!(value).expect("its type is known to candid")
}
