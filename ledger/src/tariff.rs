//! What things cost: a versioned, replicated table of integer prices.
//!
//! The numbers are the Internet Computer's for a subnet of 13 nodes, so canisters and tools meet the prices they were
//! written for; a subnet of `n` nodes does `n` times the work of one and asks `n/13` of them.

mod amendment;
#[cfg(test)]
mod tests;

pub use amendment::*;

use crate::{account::Resource, error::LedgerError};
use mains_types::{Cycles, Height};
use serde::{Deserialize, Serialize};

/// The subnet size that the reference prices are for.
pub const REFERENCE_NODES: u32 = 13;

/// Shares of a settlement are given in parts of this.
pub const SHARE_WHOLE: u32 = 10_000;

/// Seconds of a day: idle costs are quoted per day, as the interface specification does.
pub const DAY_SECONDS: u64 = 86_400;

/// A price: `numerator / denominator` cycles for one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Cycles for `denominator` units.
    #[serde(with = "crate::statement::decimal")]
    pub numerator: u128,
    /// Units that `numerator` cycles buy; the same in every tariff, so that a meter's carry stays meaningful.
    pub denominator: u64,
}

impl Price {
    /// Charges `quantity` on top of `carry` fractions: whole cycles and the fractions left. `None` if it does not fit.
    pub fn apply(&self, quantity: u128, carry: u64) -> Option<(u128, u64)> {
        let fractions = quantity.checked_mul(self.numerator)?.checked_add(u128::from(carry))?;
        let denominator = u128::from(self.denominator.max(1));
        let left = u64::try_from(fractions % denominator).ok()?;
        Some((fractions / denominator, left))
    }
}

/// The reference price of a resource on [`REFERENCE_NODES`] nodes: cycles for this many units.
const fn reference_units(resource: Resource) -> u64 {
    match resource {
        // Priced per GiB and second: one byte second is far below one cycle.
        Resource::StorageByteSeconds => 1 << 30,
        _ => 1,
    }
}

/// The prices in force from one height on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    /// Counts from 1; each tariff's number is one above the one before it.
    pub version: u32,
    /// The first height it applies to.
    pub effective_height: Height,
    /// Nodes of the subnet: prices are scaled by this over [`REFERENCE_NODES`].
    pub nodes: u32,
    /// Reference prices by [`Resource::index`].
    pub reference: [u64; Resource::COUNT],
    /// Share of income for the operators, in parts of [`SHARE_WHOLE`].
    pub operators_share: u32,
    /// Share of income for the subnet's reserve.
    pub reserve_share: u32,
    /// Share of income for the community's fund.
    pub commons_share: u32,
    /// Seconds after which income is settled, at the end of the window of blocks that is open then.
    pub epoch_seconds: u64,
}

impl Tariff {
    /// The first tariff of a subnet of `nodes` nodes.
    pub fn for_nodes(nodes: u32) -> Self {
        let reference = Resource::ALL.map(|resource| match resource {
            // Base price of an update message.
            Resource::Execution => 5_000_000,
            // One cycle each: the unit in which everything else is thought.
            Resource::Instructions => 1,
            Resource::IngressMessages => 1_200_000,
            Resource::IngressBytes => 2_000,
            Resource::CallMessages => 260_000,
            Resource::CallBytes => 1_000,
            // Per GiB and second.
            Resource::StorageByteSeconds => 127_000,
            // Keeps ids and empty canisters from being free to pile up.
            Resource::CanisterCreation => 500_000_000_000,
            // Compiling counts in instructions of the same machine.
            Resource::CompileInstructions => 1,
            // One percent of a core for a second.
            Resource::ComputeAllocation => 10_000_000,
            // The Internet Computer has no streams; a byte pushed costs a node what a byte of a call does.
            Resource::StreamBytes => 1_000,
        });
        Self {
            version: 1,
            effective_height: Height(0),
            nodes: nodes.max(1),
            reference,
            operators_share: 8_000,
            reserve_share: 1_000,
            commons_share: 1_000,
            epoch_seconds: DAY_SECONDS,
        }
    }

    /// Its canonical bytes, as certified under `/mains/tariff/<version>`: numbers, big endian: version (4 bytes), height (8),
    /// nodes (4), the three shares (4 each), seconds of an epoch (8), then the reference prices (8 each).
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            version,
            effective_height,
            nodes,
            reference,
            operators_share,
            reserve_share,
            commons_share,
            epoch_seconds,
        } = self;
        let mut bytes = Vec::with_capacity(36 + 8 * Resource::COUNT);
        bytes.extend(version.to_be_bytes());
        bytes.extend(effective_height.get().to_be_bytes());
        [nodes, operators_share, reserve_share, commons_share].iter().for_each(|part| bytes.extend(part.to_be_bytes()));
        bytes.extend(epoch_seconds.to_be_bytes());
        reference.iter().for_each(|price| bytes.extend(price.to_be_bytes()));
        bytes
    }

    /// Reads what [`Tariff::encode`] writes; `None` for anything else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let mut tariff = Self::for_nodes(1);
        tariff.version = u32::from_be_bytes(take(bytes)?);
        tariff.effective_height = Height(u64::from_be_bytes(take(bytes)?));
        tariff.nodes = u32::from_be_bytes(take(bytes)?);
        for share in [&mut tariff.operators_share, &mut tariff.reserve_share, &mut tariff.commons_share] {
            *share = u32::from_be_bytes(take(bytes)?);
        }
        tariff.epoch_seconds = u64::from_be_bytes(take(bytes)?);
        for price in &mut tariff.reference {
            *price = u64::from_be_bytes(take(bytes)?);
        }
        (bytes.is_empty() && tariff.validate().is_ok()).then_some(tariff)
    }

    /// The price of one unit of `resource` on this subnet.
    pub fn price(&self, resource: Resource) -> Price {
        Price {
            numerator: u128::from(self.reference[resource.index()]) * u128::from(self.nodes),
            denominator: u64::from(REFERENCE_NODES) * reference_units(resource),
        }
    }

    /// An upper bound of what `quantity` costs: what to reserve, and what to quote. The charge itself is this or, with
    /// the fractions that the meter carries, up to one cycle less. [`Cycles::MAX`] if it does not fit.
    pub fn cost(&self, resource: Resource, quantity: u128) -> Cycles {
        let price = self.price(resource);
        match price.apply(quantity, price.denominator.saturating_sub(1)) {
            Some((cycles, _)) => Cycles(cycles),
            None => Cycles::MAX,
        }
    }

    /// What a canister pays in a day for doing nothing: storage and compute allocation, rounded up.
    pub fn idle_cost_per_day(&self, memory_bytes: u64, compute_allocation_percent: u64) -> Cycles {
        self.idle_cost(memory_bytes, compute_allocation_percent, DAY_SECONDS)
    }

    /// The balance below which a canister is frozen: what it pays for doing nothing during its freezing threshold.
    pub fn freezing_limit(
        &self,
        memory_bytes: u64,
        compute_allocation_percent: u64,
        freezing_threshold_s: u64,
    ) -> Cycles {
        self.idle_cost(memory_bytes, compute_allocation_percent, freezing_threshold_s)
    }

    /// Refuses a table that contradicts itself.
    pub fn validate(&self) -> Result<(), LedgerError> {
        let shares = [self.operators_share, self.reserve_share, self.commons_share];
        let reason = if self.nodes == 0 {
            "no nodes"
        } else if shares.iter().map(|share| u64::from(*share)).sum::<u64>() != u64::from(SHARE_WHOLE) {
            "the shares do not make a whole"
        } else if self.epoch_seconds == 0 {
            "epochs without a length"
        } else {
            return Ok(());
        };
        Err(LedgerError::TariffInvalid { reason })
    }

    fn idle_cost(&self, memory_bytes: u64, compute_allocation_percent: u64, seconds: u64) -> Cycles {
        let seconds = u128::from(seconds);
        let storage = self.cost(Resource::StorageByteSeconds, u128::from(memory_bytes) * seconds);
        let compute =
            self.cost(Resource::ComputeAllocation, u128::from(compute_allocation_percent).saturating_mul(seconds));
        storage.saturating_add(compute)
    }
}

/// The next `N` bytes.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}
