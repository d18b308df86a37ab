//! What an owner should know before it hurts: a low balance, freezing soon, a burn unlike the usual one. A function of the
//! account, the tariff and what the canister keeps, so every replica tells the same.

#[cfg(test)]
mod tests;

use crate::{
    account::CanisterAccount,
    statement::Footprint,
    tariff::{DAY_SECONDS, Tariff},
};
use mains_types::Cycles;
use serde::{Deserialize, Serialize};

/// Days of runway below which a canister's balance is low: a month, as the freezing threshold is.
pub const LOW_BALANCE_DAYS: u128 = 30;
/// Days of runway below which a canister freezes soon: time for somebody to come back from a holiday.
pub const FREEZING_SOON_DAYS: u128 = 7;
/// A burn is unusual if it is more than so many times the usual one,
pub const UNUSUAL_TIMES: u128 = 4;
/// and more than one in so many cycles of the balance: what costs next to nothing alarms nobody.
pub const UNUSUAL_SHARE_OF_BALANCE: u128 = 100;

/// What is worth an owner's attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// Its balance is below the freezing limit: it runs nothing.
    Frozen,
    /// It will be in less than [`FREEZING_SOON_DAYS`].
    FreezingSoon,
    /// It will be in less than [`LOW_BALANCE_DAYS`].
    LowBalance,
    /// It was charged far more in the present period than it usually is.
    UnusualBurn,
}

impl Alert {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Frozen, Self::FreezingSoon, Self::LowBalance, Self::UnusualBurn];

    /// Its name in metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::FreezingSoon => "freezing_soon",
            Self::LowBalance => "low_balance",
            Self::UnusualBurn => "unusual_burn",
        }
    }
}

/// How a canister's money is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What it can spend, the part that it must keep included.
    pub balance: Cycles,
    /// The balance below which it is frozen.
    pub freezing_limit: Cycles,
    /// What a day of doing nothing costs.
    pub idle_cost_per_day: Cycles,
    /// What it was charged since the present period of account began, for all but being created and having code compiled: that does
    /// not recur.
    pub charged: Cycles,
    /// What it usually is charged so in a whole period: a mean in which the last one counts a quarter.
    pub charged_usually: Cycles,
    /// Days until it is frozen at the greater of its idle and its usual cost; `None` if it costs nothing.
    pub runway_days: Option<u128>,
    /// What is worth its owner's attention.
    pub alerts: Vec<Alert>,
}

impl Health {
    /// Of an account in the present period of account.
    pub fn of(account: &CanisterAccount, period: u64, tariff: &Tariff, footprint: &Footprint) -> Self {
        let Footprint { memory_bytes, compute_allocation_percent, freezing_threshold_s } = *footprint;
        let freezing_limit = tariff.freezing_limit(memory_bytes, compute_allocation_percent, freezing_threshold_s);
        let idle_cost_per_day = tariff.idle_cost_per_day(memory_bytes, compute_allocation_percent);
        let (before, usual) = account.burn_at(period);
        let charged = account.charged_recurring().wrapping_sub(before);
        let usual_per_day = usual / u128::from(tariff.epoch_seconds.max(1)) * u128::from(DAY_SECONDS);
        let spendable = account.balance.saturating_sub(freezing_limit.get());
        let runway_days = spendable.checked_div(idle_cost_per_day.get().max(usual_per_day));

        let mut alerts = Vec::new();
        match runway_days {
            _ if account.balance < freezing_limit.get() => alerts.push(Alert::Frozen),
            Some(days) if days < FREEZING_SOON_DAYS => alerts.push(Alert::FreezingSoon),
            Some(days) if days < LOW_BALANCE_DAYS => alerts.push(Alert::LowBalance),
            _ => {}
        }
        let is_unusual = usual > 0 && charged / UNUSUAL_TIMES > usual;
        if is_unusual && charged > account.balance / UNUSUAL_SHARE_OF_BALANCE {
            alerts.push(Alert::UnusualBurn);
        }
        Self {
            balance: account.balance(),
            freezing_limit,
            idle_cost_per_day,
            charged: Cycles(charged),
            charged_usually: Cycles(usual),
            runway_days,
            alerts,
        }
    }
}

impl CanisterAccount {
    /// Cycles charged for what recurs before the period `period` began, and what of them is usual for a period, if the account
    /// does not change until then.
    pub(crate) fn burn_at(&self, period: u64) -> (u128, u128) {
        let Some(passed) = period.checked_sub(self.period).filter(|passed| *passed > 0) else {
            return (self.charged_before, self.charged_usually);
        };
        let charged = self.charged_recurring();
        let spent = charged.wrapping_sub(self.charged_before);
        let is_first = self.charged_before == 0 && self.charged_usually == 0;
        let mut usual = if is_first { spent } else { mean(self.charged_usually, spent) };
        // It rested in the others; a mean of at most 2^128 is nothing after a few hundred of them.
        for _ in 1..passed {
            if usual == 0 {
                break;
            }
            usual = mean(usual, 0);
        }
        (charged, usual)
    }
}

/// Three parts of what was usual, one of what was last; less than four cycles are none.
fn mean(usual: u128, last: u128) -> u128 {
    (usual - usual.div_ceil(4)).saturating_add(last / 4)
}
