//! `GET /api/mains/v1/money`: what is worth owners' attention, and what operators earned.
//!
//! Looks at every canister: once for each height that somebody asks at.

use super::newest;
use crate::{failure::Failure, server::Gateway};
use axum::{Json, extract::State};
use mains_replica::View;
use mains_types::{Height, Principal};
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// Canisters with an alert that are named; all are counted.
const CANISTERS_MAX: usize = 50;
/// Settlements that are shown.
const EPOCHS_MAX: usize = 30;

/// The newest answer, for those who ask at the same height.
#[derive(Default)]
pub(crate) struct Money(Mutex<Option<(Height, Arc<Report>)>>);

#[derive(Serialize)]
pub(super) struct Report {
    height: u64,
    /// The present epoch.
    epoch: u64,
    tariff_version: u32,
    /// What users paid since the last settlement; cycles are decimal text here as everywhere.
    income: String,
    reserve: String,
    commons: String,
    /// Canisters with an alert, all of them.
    alarmed_count: usize,
    /// The first of them in the order of their ids.
    alarmed: Vec<Alarmed>,
    /// Oldest first.
    settlements: Vec<Settlement>,
}

#[derive(Serialize)]
struct Alarmed {
    canister: String,
    alerts: Vec<&'static str>,
    balance: String,
    runway_days: Option<String>,
}

#[derive(Serialize)]
struct Settlement {
    epoch: u64,
    ended_nanos: u64,
    income: String,
    reserve: String,
    commons: String,
    nodes: Vec<Node>,
}

#[derive(Serialize)]
struct Node {
    node: String,
    operator: String,
    amount: String,
    windows: u64,
    voted: u64,
    certified: u64,
    views_failed: u64,
}

pub(super) async fn money(State(gateway): State<Arc<Gateway>>) -> Result<Json<Arc<Report>>, Failure> {
    let view = newest(&gateway)?;
    let height = view.height();
    let kept = gateway.money.0.lock().expect("no holder panics").clone();
    if let Some((_, report)) = kept.filter(|(at, _)| *at == height) {
        return Ok(Json(report));
    }
    let made = tokio::task::spawn_blocking(move || Arc::new(Report::of(&view))).await;
    let report = made.map_err(|_| Failure::NotReady { retry_after_ms: 1_000 })?;
    *gateway.money.0.lock().expect("no holder panics") = Some((height, report.clone()));
    Ok(Json(report))
}

impl Report {
    fn of(view: &View) -> Self {
        let (state, ledger) = (&view.state, &view.state.ledger);
        let (mut alarmed, mut alarmed_count) = (Vec::new(), 0);
        for canister in state.canisters() {
            let Some(health) = mains_replica::health(state, &canister.id).filter(|it| !it.alerts.is_empty()) else {
                continue;
            };
            alarmed_count += 1;
            if alarmed.len() < CANISTERS_MAX {
                alarmed.push(Alarmed {
                    canister: canister.id.to_text(),
                    alerts: health.alerts.iter().map(|alert| alert.name()).collect(),
                    balance: health.balance.to_string(),
                    runway_days: health.runway_days.map(|days| days.to_string()),
                });
            }
        }
        let balance = |account| ledger.balance(&account).to_string();
        let income = mains_ledger::Resource::ALL.iter().fold(0_u128, |sum, resource| {
            sum.saturating_add(ledger.balance(&mains_ledger::Account::Income(*resource)).get())
        });
        let newest = state.epochs.settled().rev().take(EPOCHS_MAX);
        let mut settlements: Vec<Settlement> = newest.map(Settlement::of).collect();
        settlements.reverse();
        Self {
            height: view.height().get(),
            epoch: state.epochs.number(),
            tariff_version: ledger.tariff().version,
            income: income.to_string(),
            reserve: balance(mains_ledger::Account::Reserve),
            commons: balance(mains_ledger::Account::Commons),
            alarmed_count,
            alarmed,
            settlements,
        }
    }
}

impl Settlement {
    fn of(settled: &mains_ledger::work::Settled) -> Self {
        let node = |(node, earned): (&Principal, &mains_ledger::work::Earned)| Node {
            node: node.to_text(),
            operator: earned.operator.to_text(),
            amount: earned.amount.to_string(),
            windows: earned.work.windows,
            voted: earned.work.voted,
            certified: earned.work.certified,
            views_failed: earned.work.failed,
        };
        Self {
            epoch: settled.epoch,
            ended_nanos: settled.ended.get(),
            income: settled.settlement.income.to_string(),
            reserve: settled.settlement.reserve.to_string(),
            commons: settled.settlement.commons.to_string(),
            nodes: settled.nodes.iter().map(node).collect(),
        }
    }
}
