//! What happened to money since the last block. Entries are derived and not kept in the ledger; a hash chain over all of
//! them is, so that whoever keeps them can show that none is missing, changed or made up.

#[cfg(test)]
mod tests;

use crate::account::{Account, CanisterAccount, Resource};
use mains_types::{CanisterId, Cycles, Digest32, Height};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a transfer: each is given once, in the order in which they happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransferId(pub u64);

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One line of a block's journal. Charges and reservations are summed per canister, so a block has at most one line
/// per transfer plus twelve per canister it touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Money moved for good.
    Transfer {
        /// Its number.
        id: TransferId,
        /// Who paid; [`Account::Issuance`] if cycles came into being.
        from: Account,
        /// Who was paid; [`Account::Issuance`] if cycles were redeemed.
        to: Account,
        /// How much.
        #[serde(with = "crate::statement::decimal_cycles")]
        amount: Cycles,
    },
    /// A canister used something.
    Charge {
        /// Who pays.
        canister: CanisterId,
        /// For what.
        resource: Resource,
        /// How much of it.
        #[serde(with = "crate::statement::decimal")]
        quantity: u128,
        /// What that cost.
        #[serde(with = "crate::statement::decimal_cycles")]
        amount: Cycles,
        /// The meter afterwards.
        #[serde(with = "crate::statement::decimal")]
        reading: u128,
    },
    /// Cycles that a canister set aside or sent with calls, minus what came back or came with calls.
    InCalls {
        /// Whose.
        canister: CanisterId,
        /// The net amount that left; negative if more came.
        #[serde(with = "crate::statement::decimal")]
        net: i128,
    },
    /// A canister's account as it was at the end of a past period, now part of its chain of readings.
    Reading {
        /// Whose.
        canister: CanisterId,
        /// The account then.
        account: Box<CanisterAccount>,
    },
}

/// Separates this hash from all others.
const CONTEXT: &str = "mains 2026 journal v1";

/// What the chain of the journal is after `entries` of the block at `height`, in their order; `head` is what it was before.
/// A block without entries leaves it as it is.
pub fn append<'a>(head: &Digest32, height: Height, entries: impl IntoIterator<Item = &'a Entry>) -> Digest32 {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return *head;
    }
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(head).update(&height.get().to_le_bytes());
    for entry in entries {
        let bytes = entry.encode();
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    }
    *hasher.finalize().as_bytes()
}

impl Entry {
    /// Its bytes, as kept and as hashed: postcard.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data, in memory")
    }

    /// Reads what [`Entry::encode`] writes; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (entry, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(entry)
    }

    /// The accounts whose owners it concerns: payer and payee of a transfer, or the canister metered.
    pub fn accounts(&self) -> impl Iterator<Item = Account> + use<> {
        let (first, second) = match self {
            Self::Transfer { from, to, .. } => (*from, Some(*to).filter(|to| to != from)),
            Self::Charge { canister, .. } | Self::InCalls { canister, .. } | Self::Reading { canister, .. } => {
                (Account::Canister(*canister), None)
            }
        };
        std::iter::once(first).chain(second)
    }
}
