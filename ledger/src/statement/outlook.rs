//! How long a balance lasts if the canister does nothing.

use crate::tariff::Tariff;
use mains_types::Cycles;
use serde::{Deserialize, Serialize};

/// What a canister costs while it does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Footprint {
    /// Bytes it keeps.
    pub memory_bytes: u64,
    /// Percent of a core promised to it.
    pub compute_allocation_percent: u64,
    /// Seconds its balance must cover before it is frozen.
    pub freezing_threshold_s: u64,
}

impl Footprint {
    /// Its canonical bytes, as certified under `/mains/footprint/<canister>`: the three numbers, big endian, 8 bytes each.
    pub fn encode(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let numbers = [self.memory_bytes, self.compute_allocation_percent, self.freezing_threshold_s];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Footprint::encode`] writes; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 24] = bytes.try_into().ok()?;
        let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        Some(Self {
            memory_bytes: number(0)?,
            compute_allocation_percent: number(8)?,
            freezing_threshold_s: number(16)?,
        })
    }
}

/// What doing nothing costs, and for how long the balance pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outlook {
    /// What it is that costs.
    pub footprint: Footprint,
    /// What a day of doing nothing costs.
    #[serde(with = "super::decimal_cycles")]
    pub idle_cost_per_day: Cycles,
    /// The balance below which the canister is frozen.
    #[serde(with = "super::decimal_cycles")]
    pub freezing_limit: Cycles,
    /// Days until it is frozen if it does nothing; `None` if that costs nothing.
    #[serde(with = "super::decimal_option")]
    pub runway_days: Option<u128>,
}

impl Outlook {
    /// Of a canister with `balance` under `tariff`.
    pub fn of(tariff: &Tariff, footprint: &Footprint, balance: Cycles) -> Self {
        let Footprint { memory_bytes, compute_allocation_percent, freezing_threshold_s } = *footprint;
        let idle_cost_per_day = tariff.idle_cost_per_day(memory_bytes, compute_allocation_percent);
        let freezing_limit = tariff.freezing_limit(memory_bytes, compute_allocation_percent, freezing_threshold_s);
        let spendable = balance.saturating_sub(freezing_limit).get();
        let runway_days = spendable.checked_div(idle_cost_per_day.get());
        Self { footprint: *footprint, idle_cost_per_day, freezing_limit, runway_days }
    }
}
