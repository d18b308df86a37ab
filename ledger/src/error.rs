//! Why the ledger refuses.

use crate::account::Account;
use mains_types::Cycles;

/// Why a verb of the ledger was refused. Nothing has changed when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The account to pay from holds less than that.
    #[error("{account} holds {available} cycles, {needed} are needed")]
    InsufficientFunds {
        /// Who should have paid.
        account: Account,
        /// What it holds.
        available: Cycles,
        /// What was asked for.
        needed: Cycles,
    },
    /// Only its own verb moves money out of or into this account.
    #[error("{account} is no account for transfers")]
    NotTransferable {
        /// The account that was named.
        account: Account,
    },
    /// More cycles would exist than the ledger can count.
    #[error("{amount} more cycles would exceed the supply limit; {outstanding} exist")]
    SupplyExceeded {
        /// What should have been issued.
        amount: Cycles,
        /// What exists.
        outstanding: Cycles,
    },
    /// Quantity times price, or a meter reading, does not fit.
    #[error("a quantity of {quantity} is too large to meter")]
    QuantityTooLarge {
        /// What should have been metered.
        quantity: u128,
    },
    /// A tariff must follow the one in force.
    #[error("tariff version {version} at height {effective_height} does not follow version {current}")]
    TariffOutOfOrder {
        /// The version that was offered.
        version: u32,
        /// When it should have come into force.
        effective_height: u64,
        /// The version in force.
        current: u32,
    },
    /// A tariff that contradicts itself: shares beyond the whole, no nodes.
    #[error("the tariff is not valid: {reason}")]
    TariffInvalid {
        /// What contradicts what.
        reason: &'static str,
    },
    /// A settlement weight above its maximum, or all of them together too large.
    #[error("the settlement weight {weight} of at most {weight_max} is not valid")]
    WeightInvalid {
        /// The weight.
        weight: u64,
        /// Its maximum, or the sum that does not fit.
        weight_max: u64,
    },
}
