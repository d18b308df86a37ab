//! A member's bill from a node: the certified rows, then the account's blocks from the newest backwards.

use super::{Wallet, Witnesses, draw, lies_before, read};
use crate::{Certificate, Client, ClientError};
use candid::{CandidType, Decode, Encode};
use ic_agent::hash_tree::Label;
use icrc_ledger_types::{icrc::generic_value::ICRC3Value, icrc1::account::Account};
use mains_ledger::{
    Member,
    bill::Bound,
    wallet::{MemberRecord, PATH},
};
use mains_types::{CanisterId, ids::utility_id};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// Canisters that a bill lists: as many paths fit one question.
const CANISTERS_MAX: usize = 500;

#[derive(CandidType)]
struct BlocksArgument {
    account: Account,
    from_block: Option<u64>,
    count: Option<u32>,
}

#[derive(CandidType, Deserialize)]
struct BlockReply {
    index: u64,
    before: ByteBuf,
    block: ByteBuf,
}

impl Client {
    /// What came into `member`'s account in the cycles ledger and left it between two times, with what proves it; verified.
    /// Blocks that the ledger has forgotten cannot be billed: then the bill begins with the oldest that is kept.
    ///
    /// # Errors
    /// A height as a bound, no answer, or one that does not hold.
    pub async fn wallet(&self, member: Member, from: Option<Bound>, to: Option<Bound>) -> Result<Wallet, ClientError> {
        if [from, to].iter().flatten().any(|bound| matches!(bound, Bound::Height(_))) {
            return Err(self.unexpected("a wallet's period has dates: blocks of the cycles ledger have no height"));
        }
        let canisters = self.controlled_by(&member).await?;
        let encoded = self.certificate_of(paths(&member, &canisters)).await?;
        let wrong = |error: crate::bill::Unproven| self.unexpected(error);
        let certificate = Certificate::from_hex(&encoded, self.root_key()).map_err(|error| self.unexpected(error))?;
        let at = certificate.moment(None).map_err(wrong)?;
        let certified = read(&certificate, at, &member, &canisters).map_err(wrong)?;
        let witnesses = self.blocks(&member, certified.row, from, to).await?;
        draw(member, certified, encoded, witnesses).map_err(wrong)
    }

    /// Canisters that the node says the owner controls.
    async fn controlled_by(&self, member: &Member) -> Result<Vec<CanisterId>, ClientError> {
        let owner = member.owner.to_text();
        let all = self.canisters().await?;
        let own = all.iter().filter(|canister| canister.controllers.contains(&owner));
        Ok(own.filter_map(|canister| CanisterId::from_text(&canister.id).ok()).take(CANISTERS_MAX).collect())
    }

    /// The account's blocks from `row` backwards to the beginning of the period.
    async fn blocks(
        &self,
        member: &Member,
        row: MemberRecord,
        from: Option<Bound>,
        to: Option<Bound>,
    ) -> Result<Witnesses, ClientError> {
        let account = Account { owner: member.owner, subaccount: member.subaccount };
        let mut before = row;
        let mut blocks = Vec::new();
        let mut in_period = 0;
        'pages: while before.count > 0 {
            let argument = BlocksArgument { account, from_block: Some(before.last), count: None };
            let reply = self.query(utility_id(), "member_blocks", Encode!(&argument).expect("it encodes")).await?;
            let page = Decode!(&reply, Vec<BlockReply>).map_err(|_| self.unexpected("an answer that is no blocks"))?;
            if page.is_empty() {
                break;
            }
            for BlockReply { index, before: bytes, block } in page {
                let time = time(&block).ok_or_else(|| self.unexpected("a block without a time"))?;
                if from.is_some_and(|from| lies_before(from, time)) {
                    break 'pages;
                }
                before = MemberRecord::decode(&bytes).ok_or_else(|| self.unexpected("a row that cannot be read"))?;
                in_period += usize::from(to.is_none_or(|to| lies_before(to, time)));
                blocks.push((index, hex::encode(block)));
            }
        }
        blocks.reverse();
        Ok(Witnesses { before: hex::encode(before.encode()), blocks, in_period })
    }
}

fn time(block: &[u8]) -> Option<mains_types::UnixNanos> {
    let ICRC3Value::Map(fields) = Decode!(block, ICRC3Value).ok()? else { return None };
    let ICRC3Value::Nat(time) = fields.get("ts")? else { return None };
    u64::try_from(&time.0).ok().map(mains_types::UnixNanos)
}

fn paths(member: &Member, canisters: &[CanisterId]) -> Vec<Vec<Label<Vec<u8>>>> {
    let path = |labels: &[&[u8]]| labels.iter().map(|label| Label::from(label.to_vec())).collect::<Vec<_>>();
    let label = member.label();
    let row: Vec<&[u8]> = PATH.into_iter().chain([&label[..]]).collect();
    let mut paths = vec![path(&[b"time"]), path(&[b"mains", b"height"]), path(&row)];
    paths.extend(canisters.iter().map(|id| path(&[b"mains", b"account", id.as_slice()])));
    paths
}
