//! What nodes did for the subnet in an epoch, what that weighs, and how the epoch was settled.
//!
//! Counted in `node/state/src/epochs.rs` and certified under `/mains/settlement/<epoch>`; from these facts alone
//! [`crate::income`] draws what an operator was paid. Spec: `specs/ledger.md`, "Epochs and settlement".

mod encoding;

use crate::{OperatorWeight, Settlement};
use mains_types::{Height, NodeId, Principal, UnixNanos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The whole of a rate, in parts.
const WHOLE: u64 = 10_000;
/// Views lost that cost nothing: machines restart, leaders change.
const FAILURES_FREE: u64 = WHOLE / 10;
/// From this share of lost views on, the most is deducted.
const FAILURES_WORST: u64 = WHOLE / 10 * 6;
/// The most that is deducted for lost views.
const DEDUCTION_MAX: u64 = WHOLE / 10 * 8;

/// What one member did in an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeWork {
    /// Windows in which it was a member.
    pub windows: u64,
    /// Those in which its votes to finalize were seen.
    pub voted: u64,
    /// Those in which its shares of certificates were seen.
    pub certified: u64,
    /// Blocks it proposed that are in the chain.
    pub proposed: u64,
    /// Views that it led and that ended without a block in the chain.
    pub failed: u64,
}

impl NodeWork {
    /// What it earned: windows in which it voted and certified, less for views it lost as the Internet Computer deducts:
    /// nothing up to 10 %, then linearly to 80 % at 60 %.
    pub fn weight(&self) -> u64 {
        (self.voted + self.certified).saturating_mul(WHOLE - self.deduction())
    }

    /// What a member without fault would have earned in its place.
    pub fn weight_max(&self) -> u64 {
        self.windows.saturating_mul(2 * WHOLE)
    }

    /// What a settlement weighs it by, with whoever operates the node: the anonymous principal is nobody and earns nothing,
    /// so that its share goes where unearned shares go.
    pub fn weighed(&self, operator: Principal) -> OperatorWeight {
        let weight_max = self.weight_max();
        let weight = if operator == Principal::anonymous() { 0 } else { self.weight().min(weight_max) };
        OperatorWeight { operator, weight, weight_max }
    }

    /// Parts of 10,000 that lost views cost.
    pub fn deduction(&self) -> u64 {
        let led = u128::from(self.proposed) + u128::from(self.failed);
        let share = (u128::from(self.failed) * u128::from(WHOLE)).checked_div(led).unwrap_or(0) as u64;
        let above = share.clamp(FAILURES_FREE, FAILURES_WORST) - FAILURES_FREE;
        above * DEDUCTION_MAX / (FAILURES_WORST - FAILURES_FREE)
    }
}

/// One member's line in a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earned {
    /// Who is paid.
    pub operator: Principal,
    /// For what.
    pub work: NodeWork,
    /// How much, in cycles.
    pub amount: u128,
}

/// An epoch that was settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Its number, from 1.
    pub epoch: u64,
    /// Its first height.
    pub first: Height,
    /// Its last height: where it was settled.
    pub last: Height,
    /// The block time at its begin.
    pub began: UnixNanos,
    /// The block time of `last`.
    pub ended: UnixNanos,
    /// By member.
    pub nodes: BTreeMap<NodeId, Earned>,
    /// Where the income went.
    pub settlement: Settlement,
}

impl Settled {
    /// The weights that it was settled by, in the order of the nodes.
    pub fn weights(&self) -> Vec<OperatorWeight> {
        self.nodes.values().map(|earned| earned.work.weighed(earned.operator)).collect()
    }
}
