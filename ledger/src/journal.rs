//! What happened to money since the last block: derived from the ledger, never part of its digest.

use crate::account::{Account, CanisterAccount, Resource};
use mains_types::{CanisterId, Cycles};
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

impl Entry {
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
