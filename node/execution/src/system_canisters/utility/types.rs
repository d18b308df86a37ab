//! The utility canister's Candid types, as `utility.did` has them.

use candid::{CandidType, Deserialize, Nat, Principal};
use mains_ledger::{
    Health, Resource, Tariff,
    tariff::{Amendment, REFERENCE_NODES},
};
use mains_state::{
    CallPolicy,
    epochs::{NodeWork, Settled},
    proposals::{Nodes, Proposal, Status},
};
use mains_types::{Cycles, UnixNanos};
use std::collections::BTreeMap;

/// Done, or why not, in a sentence.
pub(super) type Answer<T> = Result<T, String>;

#[derive(CandidType, Deserialize)]
pub(super) struct ChangeArgument {
    prices: Vec<(String, u64)>,
    shares: Option<SharesArgument>,
    epoch_seconds: Option<u64>,
}

#[derive(CandidType, Deserialize)]
pub(super) struct SharesArgument {
    operators: u32,
    reserve: u32,
    commons: u32,
}

impl TryFrom<ChangeArgument> for Amendment {
    type Error = String;

    fn try_from(change: ChangeArgument) -> Result<Self, String> {
        let mut prices = BTreeMap::new();
        for (name, price) in change.prices {
            let resource = Resource::from_name(&name).ok_or_else(|| format!("there is no resource {name:?}"))?;
            if prices.insert(resource, price).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        let shares = change.shares.map(|shares| [shares.operators, shares.reserve, shares.commons]);
        Ok(Self { prices, shares, epoch_seconds: change.epoch_seconds })
    }
}

impl From<&Amendment> for ChangeArgument {
    fn from(amendment: &Amendment) -> Self {
        let shares = |[operators, reserve, commons]: [u32; 3]| SharesArgument { operators, reserve, commons };
        Self {
            prices: amendment.prices.iter().map(|(resource, price)| (resource.name().into(), *price)).collect(),
            shares: amendment.shares.map(shares),
            epoch_seconds: amendment.epoch_seconds,
        }
    }
}

#[derive(CandidType)]
struct PriceReply {
    resource: &'static str,
    unit: &'static str,
    /// Cycles for `units` on a subnet of the reference size.
    reference: u64,
    /// Cycles for `denominator` units on this subnet.
    numerator: Nat,
    denominator: u64,
}

#[derive(CandidType)]
pub(super) struct TariffReply {
    version: u32,
    effective_height: u64,
    nodes: u32,
    reference_nodes: u32,
    prices: Vec<PriceReply>,
    operators_share: u32,
    reserve_share: u32,
    commons_share: u32,
    epoch_seconds: u64,
}

impl TariffReply {
    pub(super) fn of(tariff: &Tariff) -> Self {
        let price = |resource: Resource| {
            let price = tariff.price(resource);
            PriceReply {
                resource: resource.name(),
                unit: resource.unit(),
                reference: tariff.reference[resource.index()],
                numerator: price.numerator.into(),
                denominator: price.denominator,
            }
        };
        Self {
            version: tariff.version,
            effective_height: tariff.effective_height.get(),
            nodes: tariff.nodes,
            reference_nodes: REFERENCE_NODES,
            prices: Resource::ALL.map(price).into(),
            operators_share: tariff.operators_share,
            reserve_share: tariff.reserve_share,
            commons_share: tariff.commons_share,
            epoch_seconds: tariff.epoch_seconds,
        }
    }
}

#[derive(CandidType)]
pub(super) struct ScheduledReply {
    pub(super) proposal: u64,
    pub(super) in_force_after_epoch: u64,
    pub(super) tariff: TariffReply,
}

#[derive(CandidType)]
#[allow(non_camel_case_types, reason = "the interface's names")]
enum StatusReply {
    open { until_epoch: u64 },
    accepted { in_force_after_epoch: u64 },
    in_force { version: u32 },
    rejected,
    expired,
    superseded,
}

#[derive(CandidType)]
pub(super) struct ProposalReply {
    id: u64,
    proposer: Principal,
    change: ChangeArgument,
    reason: String,
    base_version: u32,
    votes: Vec<(Principal, bool)>,
    nodes_for: u64,
    nodes_against: u64,
    nodes: u64,
    status: StatusReply,
}

impl ProposalReply {
    pub(super) fn of(proposal: &Proposal, nodes: &Nodes) -> Self {
        let (nodes_for, nodes_against, nodes) = proposal.tally(nodes);
        Self {
            id: proposal.id,
            proposer: proposal.proposer,
            change: (&proposal.amendment).into(),
            reason: proposal.reason.clone(),
            base_version: proposal.base_version,
            votes: proposal.votes.iter().map(|(operator, vote)| (*operator, *vote)).collect(),
            nodes_for,
            nodes_against,
            nodes,
            status: match proposal.status {
                Status::Open(until_epoch) => StatusReply::open { until_epoch },
                Status::Accepted(in_force_after_epoch) => StatusReply::accepted { in_force_after_epoch },
                Status::InForce(version) => StatusReply::in_force { version },
                Status::Rejected => StatusReply::rejected,
                Status::Expired => StatusReply::expired,
                Status::Superseded => StatusReply::superseded,
            },
        }
    }
}

#[derive(CandidType, Deserialize)]
pub(super) struct SettlementsArgument {
    pub(super) up_to_epoch: Option<u64>,
    pub(super) count: Option<u32>,
}

#[derive(CandidType)]
pub(super) struct WorkReply {
    node: Principal,
    operator: Principal,
    windows: u64,
    voted: u64,
    certified: u64,
    blocks_proposed: u64,
    views_failed: u64,
    amount: Nat,
}

impl WorkReply {
    fn all(settled: &Settled) -> impl Iterator<Item = Self> {
        settled.nodes.iter().map(|(node, earned)| {
            let NodeWork { windows, voted, certified, proposed, failed } = earned.work;
            Self {
                node: *node,
                operator: earned.operator,
                windows,
                voted,
                certified,
                blocks_proposed: proposed,
                views_failed: failed,
                amount: earned.amount.into(),
            }
        })
    }
}

#[derive(CandidType)]
pub(super) struct SettlementReply {
    epoch: u64,
    first_height: u64,
    last_height: u64,
    began_nanos: u64,
    ended_nanos: u64,
    income: Nat,
    operators: Nat,
    reserve: Nat,
    commons: Nat,
    rounding: Nat,
    nodes: Vec<WorkReply>,
}

impl SettlementReply {
    pub(super) fn of(settled: &Settled) -> Self {
        let settlement = &settled.settlement;
        let nat = |amount: Cycles| Nat::from(amount.get());
        Self {
            epoch: settled.epoch,
            first_height: settled.first.get(),
            last_height: settled.last.get(),
            began_nanos: settled.began.get(),
            ended_nanos: settled.ended.get(),
            income: nat(settlement.income),
            operators: nat(settlement.operators.iter().fold(Cycles::ZERO, |sum, (_, pay)| sum.saturating_add(*pay))),
            reserve: nat(settlement.reserve),
            commons: nat(settlement.commons),
            rounding: nat(settlement.rounding),
            nodes: WorkReply::all(settled).collect(),
        }
    }
}

#[derive(CandidType)]
pub(super) struct EpochReply {
    epoch: u64,
    ended_nanos: u64,
    amount: Nat,
    /// What nodes without fault would have earned.
    amount_max: Nat,
    nodes: Vec<WorkReply>,
}

impl EpochReply {
    pub(super) fn of(settled: &Settled, operator: &Principal) -> Self {
        let own = settled.nodes.values().filter(|earned| earned.operator == *operator);
        let (amount, weight, most) = own.fold((0_u128, 0_u128, 0_u128), |(amount, weight, most), earned| {
            (
                amount.saturating_add(earned.amount),
                weight + u128::from(earned.work.weight()),
                most + u128::from(earned.work.weight_max()),
            )
        });
        // Pay is in proportion to weight, so what a node without fault would have earned follows from what these did.
        let paid = settled.nodes.values().fold((0_u128, 0_u128), |(amount, weight), earned| {
            (amount.saturating_add(earned.amount), weight + u128::from(earned.work.weight()))
        });
        let (amount_of, weight_of) = if weight > 0 { (amount, weight) } else { paid };
        let weight_of = weight_of.max(1);
        let exact = amount_of.checked_mul(most).map(|product| product / weight_of);
        let amount_max = exact.unwrap_or_else(|| (amount_of / weight_of).saturating_mul(most));
        Self {
            epoch: settled.epoch,
            ended_nanos: settled.ended.get(),
            amount: amount.into(),
            amount_max: amount_max.max(amount).into(),
            nodes: WorkReply::all(settled).filter(|line| line.operator == *operator).collect(),
        }
    }
}

#[derive(CandidType)]
pub(super) struct EarningsReply {
    pub(super) operator: Principal,
    pub(super) nodes: u64,
    pub(super) accrued: Nat,
    pub(super) epochs: Vec<EpochReply>,
}

#[derive(CandidType)]
pub(super) struct HealthReply {
    balance: Nat,
    freezing_limit: Nat,
    idle_cost_per_day: Nat,
    charged: Nat,
    charged_usually: Nat,
    runway_days: Option<Nat>,
    alerts: Vec<&'static str>,
}

impl HealthReply {
    pub(super) fn of(health: &Health) -> Self {
        let nat = |amount: Cycles| Nat::from(amount.get());
        Self {
            balance: nat(health.balance),
            freezing_limit: nat(health.freezing_limit),
            idle_cost_per_day: nat(health.idle_cost_per_day),
            charged: nat(health.charged),
            charged_usually: nat(health.charged_usually),
            runway_days: health.runway_days.map(Nat::from),
            alerts: health.alerts.iter().map(|alert| alert.name()).collect(),
        }
    }
}

#[derive(CandidType, Deserialize)]
pub(super) struct CallPolicyArgument {
    pub(super) canister_id: Principal,
    pub(super) cycles_per_hour: Option<Nat>,
    pub(super) calls_per_caller_per_hour: Option<u32>,
}

#[derive(CandidType)]
pub(super) struct CallPolicyReply {
    cycles_per_hour: Option<Nat>,
    calls_per_caller_per_hour: Option<u32>,
    spent: Nat,
    callers: u32,
    ends_at_nanos: Option<u64>,
}

impl CallPolicyReply {
    pub(super) fn of(policy: &CallPolicy, now: UnixNanos) -> Self {
        Self {
            cycles_per_hour: policy.cycles_per_hour.map(|cycles| cycles.get().into()),
            calls_per_caller_per_hour: policy.calls_per_caller_per_hour,
            spent: policy.spent(now).get().into(),
            callers: policy.callers_count(now) as u32,
            ends_at_nanos: policy.ends_at(now).map(UnixNanos::get),
        }
    }
}
