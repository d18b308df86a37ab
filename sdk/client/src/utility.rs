//! What the network costs and who is paid for it, as its utility canister tells. Answers of one node, signed by it; what is
//! certified stands under `/mains/tariff` and `/mains/settlement`.

use crate::{Client, ClientError, Outcome, Rejection};
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

/// Limits on what calls of others than its controllers cost a canister, and what is used up of them.
#[derive(Clone, Debug, CandidType, Deserialize, Serialize)]
pub struct CallPolicy {
    /// Cycles that these calls may cost it in an hour.
    pub cycles_per_hour: Option<Nat>,
    /// Calls that each caller may make in an hour.
    pub calls_per_caller_per_hour: Option<u32>,
    /// Cycles spent since the present hour began.
    pub spent: Nat,
    /// Callers that are counted each on its own.
    pub callers: u32,
    /// When the present hour ends (block time, nanoseconds since 1970), if one has begun.
    pub ends_at_nanos: Option<u64>,
}

#[derive(CandidType)]
struct CallPolicyArgument {
    canister_id: Principal,
    cycles_per_hour: Option<Nat>,
    calls_per_caller_per_hour: Option<u32>,
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

    /// A canister's limits on calls from outside; `None` if it has none.
    ///
    /// # Errors
    /// No answer, or none of this form.
    pub async fn call_policy(&self, canister: CanisterId) -> Result<Option<CallPolicy>, ClientError> {
        let reply = self.query(utility_id(), "call_policy", Encode!(&canister)?).await?;
        Decode!(&reply, Option<CallPolicy>).map_err(|_| self.unexpected("an answer that is no call policy"))
    }

    /// Replaces a canister's limits on calls from outside, in cycles an hour and in calls of each caller an hour. Without any limit
    /// it has none. A refusal is a rejection.
    ///
    /// # Errors
    /// The call did not end.
    pub async fn set_call_policy(
        &self,
        canister_id: CanisterId,
        cycles_per_hour: Option<u128>,
        calls_per_caller_per_hour: Option<u32>,
    ) -> Result<Outcome, ClientError> {
        let cycles_per_hour = cycles_per_hour.map(Nat::from);
        let argument = CallPolicyArgument { canister_id, cycles_per_hour, calls_per_caller_per_hour };
        let mut outcome = self.call(utility_id(), "set_call_policy", Encode!(&argument)?).await?;
        if let Ok(reply) = &outcome.result
            && let Err(message) = Decode!(reply, Result<(), String>)?
        {
            outcome.result = Err(Rejection { code: 4, message, error_code: None });
        }
        Ok(outcome)
    }
}
