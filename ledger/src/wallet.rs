//! What is certified of a member's money: its balance and a hash chain over all blocks of the cycles ledger that moved it.
//!
//! One row for each member that ever took part in a block, under `/mains/state/tokens/members/<label>`. So whoever holds the row and
//! the member's blocks since some moment can prove each of them, and the balance before and after: nobody needs the blocks of
//! others. Spec: `specs/ledger.md`, "Wallets".

use crate::{
    account::Member,
    readings::{leb128, number},
};
use mains_types::Digest32;

/// Separates this hash from all others.
const CONTEXT: &str = "mains 2026 chain of a member's blocks v1";
/// Where the rows are in the certified tree.
pub const PATH: [&[u8]; 4] = [b"mains", b"state", b"tokens", b"members"];

/// A member's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberRecord {
    /// Its balance after its last block.
    pub balance: u128,
    /// Its blocks.
    pub count: u64,
    /// The last one's index; meaningless while there is none.
    pub last: u64,
    /// The chain over all of them; zeroes while there is none.
    pub chain: Digest32,
}

impl MemberRecord {
    /// The row after one more block, with its hash as ICRC-3 has it and the balance that it left.
    pub fn next(&self, block: u64, hash: &Digest32, balance: u128) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.chain).update(&block.to_be_bytes()).update(hash).update(&balance.to_be_bytes());
        Self { balance, count: self.count + 1, last: block, chain: *hasher.finalize().as_bytes() }
    }

    /// Its canonical bytes: LEB128 numbers (balance, count, last), then the 32 bytes of the chain.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(56);
        [self.balance, self.count.into(), self.last.into()].into_iter().for_each(|number| leb128(&mut bytes, number));
        bytes.extend_from_slice(&self.chain);
        bytes
    }

    /// Reads what [`MemberRecord::encode`] writes; `None` for anything else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let balance = number(bytes)?;
        let (count, last) = (u64::try_from(number(bytes)?).ok()?, u64::try_from(number(bytes)?).ok()?);
        Some(Self { balance, count, last, chain: (*bytes).try_into().ok()? })
    }
}

impl Member {
    /// The name of its row: the owner's bytes, 29 at most, then the subaccount's 32 unless it is the default one.
    pub fn label(&self) -> Vec<u8> {
        let mut label = self.owner.as_slice().to_vec();
        label.extend(self.subaccount.into_iter().flatten());
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::Principal;

    #[test]
    fn rows_are_read_back_and_nothing_else_is() {
        let row = MemberRecord::default().next(3, &[7; 32], 1 << 100).next(9, &[8; 32], 5);
        assert_eq!((row.balance, row.count, row.last), (5, 2, 9));
        let bytes = row.encode();
        assert_eq!(MemberRecord::decode(&bytes), Some(row));
        assert_eq!(MemberRecord::decode(&bytes[1..]), None);
        assert_eq!(MemberRecord::decode(&[bytes, vec![0]].concat()), None);
    }

    #[test]
    fn the_chain_depends_on_every_part_of_every_block() {
        let chain =
            |block, hash, balance| MemberRecord::default().next(block, &[hash; 32], balance).next(9, &[1; 32], 5).chain;
        let all = [chain(1, 1, 1), chain(2, 1, 1), chain(1, 2, 1), chain(1, 1, 2)];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn no_two_accounts_have_the_same_label() {
        let owner = Principal::from_slice(&[1; 29]);
        let other = Member::new(Principal::from_slice(&[]), Some([1; 32]));
        let labels = [Member::new(owner, None).label(), Member::new(owner, Some([1; 32])).label(), other.label()];
        assert_eq!(labels.map(|label| label.len()), [29, 61, 32]);
    }
}
