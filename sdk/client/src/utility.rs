//! What the network costs and who is paid for it, as its utility canister tells. Answers of one node, signed by it; what is
//! certified stands under `/mains/tariff` and `/mains/settlement`.

use crate::{Client, ClientError};
use candid::{CandidType, Decode, Encode, Nat, Principal};
use mains_types::{CanisterId, ids::utility_id};
use serde::{Deserialize, Serialize};

/// A price.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct Price {
    /// Of what.
    pub resource: String,
    /// One of what.
    pub unit: String,
    /// The price on a subnet of the reference size.
    pub reference: u64,
    /// Cycles for `denominator` units on this subnet.
    pub numerator: Nat,
    /// How many units these cycles buy.
    pub denominator: u64,
}

/// A tariff.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct Tariff {
    /// Its number.
    pub version: u32,
    /// From which height on.
    pub effective_height: u64,
    /// Nodes that prices are for.
    pub nodes: u32,
    /// Nodes that reference prices are for.
    pub reference_nodes: u32,
    /// All prices.
    pub prices: Vec<Price>,
    /// Share of income for operators, in parts of 10,000.
    pub operators_share: u32,
    /// For the subnet's reserve.
    pub reserve_share: u32,
    /// For the community's fund.
    pub commons_share: u32,
    /// Seconds of an epoch.
    pub epoch_seconds: u64,
}

/// A tariff that comes.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct Announced {
    /// By which proposal.
    pub proposal: u64,
    /// After which epoch.
    pub in_force_after_epoch: u64,
    /// What then holds.
    pub tariff: Tariff,
}

/// What one node did in an epoch, and what that earned.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct Work {
    /// The node.
    pub node: Principal,
    /// Who is paid.
    pub operator: Principal,
    /// Windows of blocks in which it was a member.
    pub windows: u64,
    /// Those in which it voted.
    pub voted: u64,
    /// Those in which it signed states.
    pub certified: u64,
    /// Blocks of it in the chain.
    pub blocks_proposed: u64,
    /// Views that it led and lost.
    pub views_failed: u64,
    /// Cycles.
    pub amount: Nat,
}

/// An epoch that was settled.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct Settlement {
    /// Its number.
    pub epoch: u64,
    /// Its last height.
    pub last_height: u64,
    /// Block time of that, nanoseconds since 1970.
    pub ended_nanos: u64,
    /// What users paid.
    pub income: Nat,
    /// What operators got of it.
    pub operators: Nat,
    /// What the reserve got.
    pub reserve: Nat,
    /// What the community's fund got.
    pub commons: Nat,
    /// By node.
    pub nodes: Vec<Work>,
}

/// How a canister's money is doing.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct Health {
    /// What it can spend.
    pub balance: Nat,
    /// Below this it is frozen.
    pub freezing_limit: Nat,
    /// What a day of doing nothing costs.
    pub idle_cost_per_day: Nat,
    /// What it was charged in the present epoch.
    pub charged: Nat,
    /// What it usually is charged in one.
    pub charged_usually: Nat,
    /// Days until it is frozen; `None` if it costs nothing.
    pub runway_days: Option<Nat>,
    /// What is worth its owner's attention: `frozen`, `freezing_soon`, `low_balance`, `unusual_burn`.
    pub alerts: Vec<String>,
}

#[derive(CandidType)]
struct Range {
    up_to_epoch: Option<u64>,
    count: Option<u32>,
}

impl Client {
    /// The prices in force.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn tariff(&self) -> Result<Tariff, ClientError> {
        let reply = self.query(utility_id(), "tariff", Encode!().expect("nothing encodes")).await?;
        Decode!(&reply, Tariff).map_err(|_| self.unexpected("an answer that is no tariff"))
    }

    /// The prices that come next, if a change is announced.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn announced_tariff(&self) -> Result<Option<Announced>, ClientError> {
        let reply = self.query(utility_id(), "announced_tariff", Encode!().expect("nothing encodes")).await?;
        Decode!(&reply, Option<Announced>).map_err(|_| self.unexpected("an answer that is no tariff"))
    }

    /// The settlements of past epochs, newest first.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn settlements(&self, count: u32) -> Result<Vec<Settlement>, ClientError> {
        let range = Encode!(&Range { up_to_epoch: None, count: Some(count) }).expect("numbers encode");
        let reply = self.query(utility_id(), "settlements", range).await?;
        Decode!(&reply, Vec<Settlement>).map_err(|_| self.unexpected("an answer that is no list of settlements"))
    }

    /// How a canister's money is doing; `None` if there is no such canister.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn health(&self, canister: CanisterId) -> Result<Option<Health>, ClientError> {
        let reply = self.query(utility_id(), "alerts", Encode!(&canister).expect("a principal encodes")).await?;
        Decode!(&reply, Option<Health>).map_err(|_| self.unexpected("an answer that is no health"))
    }
}
