//! What time costs: an operator's core, for a month, and so for a nanosecond.

use std::time::Duration;

/// What a reference core costs an operator in a month, in credits: a share of a machine with memory and disk, rent or amortisation,
/// power, traffic and the operator's pay. Several times what a core of a rented machine costs (5 to 8 credits a month).
pub(crate) const CORE_MONTH_CREDITS: f64 = 20.0;

const CREDIT_CYCLES: f64 = 1e12;
const MONTH_NANOS: f64 = 30.0 * 86_400.0 * 1e9;

/// What work is worth.
pub(super) struct Worth {
    /// Cycles that a nanosecond costs, on one core of each of the subnet's nodes.
    core: f64,
    /// Cycles that a nanosecond of ordinary code is charged.
    ordinary: f64,
}

impl Worth {
    /// For `nodes` nodes whose cores cost so much a month, where ordinary code was charged so many cycles in that time.
    pub(super) fn new(core_month_credits: f64, nodes: u32, ordinary: (u128, Duration)) -> Self {
        let core = core_month_credits * CREDIT_CYCLES / MONTH_NANOS * f64::from(nodes);
        Self { core, ordinary: ordinary.0 as f64 / ordinary.1.as_nanos() as f64 }
    }

    /// What the time costs, in cycles.
    pub(super) fn cost(&self, elapsed: Duration) -> f64 {
        self.core * elapsed.as_nanos() as f64
    }

    /// What is charged over what it costs: below 1, operators lose by it.
    pub(super) fn over_cost(&self, charged: u128, elapsed: Duration) -> f64 {
        charged as f64 / self.cost(elapsed)
    }

    /// What is charged over what ordinary code of the same time is: how even prices are.
    pub(super) fn over_ordinary(&self, charged: u128, elapsed: Duration) -> f64 {
        charged as f64 / (self.ordinary * elapsed.as_nanos() as f64)
    }
}
