//! What monitoring wants to know about money: alerts, income, pay. Of the newest certified state.

use crate::handle::ReplicaHandle;
use mains_ledger::{Account, Alert, Resource};
use mains_types::Cycles;
use std::collections::BTreeMap;

pub use mains_execution::health;

/// The subnet's money at a glance.
#[derive(Clone, Debug, Default)]
pub struct Finances {
    /// Canisters by alert; every alert is there.
    pub alerts: BTreeMap<Alert, u64>,
    /// The present epoch.
    pub epoch: u64,
    /// The version of the tariff in force.
    pub tariff_version: u32,
    /// What users paid since the last settlement.
    pub income: Cycles,
    /// What operators earned and were not paid yet.
    pub operators: Cycles,
    /// The subnet's savings.
    pub reserve: Cycles,
    /// The community's fund.
    pub commons: Cycles,
}

impl ReplicaHandle {
    /// The subnet's money at a glance; `None` before the first certified state. Looks at every canister: some milliseconds
    /// for 10,000.
    pub fn finances(&self) -> Option<Finances> {
        let view = self.view()?;
        let ledger = &view.state.ledger;
        let mut alerts: BTreeMap<Alert, u64> = Alert::ALL.into_iter().map(|alert| (alert, 0)).collect();
        let healths = view.state.canisters().filter_map(|canister| mains_execution::health(&view.state, &canister.id));
        for alert in healths.flat_map(|health| health.alerts) {
            *alerts.entry(alert).or_default() += 1;
        }
        let sum = |sum: Cycles, more: Cycles| sum.saturating_add(more);
        Some(Finances {
            alerts,
            epoch: view.state.epochs.number(),
            tariff_version: ledger.tariff().version,
            income: Resource::ALL
                .map(|resource| ledger.balance(&Account::Income(resource)))
                .into_iter()
                .fold(Cycles::ZERO, sum),
            operators: ledger.operators().map(|(_, amount)| amount).fold(Cycles::ZERO, sum),
            reserve: ledger.balance(&Account::Reserve),
            commons: ledger.balance(&Account::Commons),
        })
    }
}
