//! What an operator earned, settlement by settlement: the facts, the formula, and where the rest of the income went.
//!
//! Drawn from certified settlements and tariffs alone ([`Income::draw`]), and so it is verified: drawn again, and compared
//! figure by figure. While it is drawn, each settlement is divided anew by [`Settlement::divide`]: what the subnet did
//! otherwise is named. Spec: `specs/ledger.md`, "Statements".

#[cfg(test)]
mod tests;

use crate::{
    settlement::{Settlement, proportion},
    statement::{Moment, decimal_cycles},
    tariff::{SHARE_WHOLE, Tariff},
    work::{Earned, Settled},
};
use mains_types::{Cycles, NodeId, Principal};
use serde::{Deserialize, Serialize};

/// The form that this version writes and reads.
pub const FORMAT: &str = "mains-income-1";

/// Why an operator's bill cannot be drawn, or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncomeError {
    /// No settlement, or none in which it had a node.
    #[error("no node of {operator} was settled in this period")]
    Nothing {
        /// Whose bill.
        operator: Principal,
    },
    /// Settlements do not follow one another.
    #[error("the settlement of epoch {epoch} is missing")]
    Gap {
        /// Which one.
        epoch: u64,
    },
    /// No tariff was in force.
    #[error("the certificate shows no tariff that was in force in epoch {epoch}")]
    NoTariff {
        /// When.
        epoch: u64,
    },
    /// The subnet itself did not divide the income by the formula.
    #[error("epoch {epoch}, {line}: {settled} cycles, the formula makes {formula}")]
    Divided {
        /// Which epoch.
        epoch: u64,
        /// What does not follow.
        line: String,
        /// What was settled.
        settled: Cycles,
        /// What the facts make it.
        formula: Cycles,
    },
}

/// One node of the operator in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeIncome {
    /// The node.
    pub node: NodeId,
    /// Windows of blocks in which it was a member.
    pub windows: u64,
    /// Those in which its votes were seen.
    pub voted: u64,
    /// Those in which its shares of certificates were seen.
    pub certified: u64,
    /// Blocks of it in the chain.
    pub proposed: u64,
    /// Views that it led and lost.
    pub failed: u64,
    /// Parts of 10,000 that lost views cost.
    pub deduction: u64,
    /// `(voted + certified) x (10,000 - deduction)`.
    pub weight: u64,
    /// `2 x windows x 10,000`.
    pub weight_max: u64,
    /// `pool x weight / weight_max of all nodes`.
    #[serde(with = "decimal_cycles")]
    pub amount: Cycles,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochIncome {
    /// Its number.
    pub epoch: u64,
    /// Its first height, and the block time at its begin.
    pub from: Moment,
    /// Its last height, where it was settled.
    pub to: Moment,
    /// The tariff in force, whose shares follow.
    pub tariff_version: u32,
    /// Operators' share, in parts of 10,000.
    pub operators_share: u32,
    /// The reserve's.
    pub reserve_share: u32,
    /// The commons'.
    pub commons_share: u32,
    /// What users paid.
    #[serde(with = "decimal_cycles")]
    pub income: Cycles,
    /// The operators' share of it: what nodes without fault would have earned together.
    #[serde(with = "decimal_cycles")]
    pub pool: Cycles,
    /// The greatest weight that all nodes of the subnet together could have.
    pub weight_max: u64,
    /// The operator's nodes.
    pub nodes: Vec<NodeIncome>,
    /// What the operator earned.
    #[serde(with = "decimal_cycles")]
    pub earned: Cycles,
    /// What other operators earned.
    #[serde(with = "decimal_cycles")]
    pub others: Cycles,
    /// What the reserve got: its share, and what nodes did not earn.
    #[serde(with = "decimal_cycles")]
    pub reserve: Cycles,
    /// What the commons got.
    #[serde(with = "decimal_cycles")]
    pub commons: Cycles,
    /// What division left over.
    #[serde(with = "decimal_cycles")]
    pub rounding: Cycles,
}

/// An operator's bill: what it earned in consecutive epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Income {
    /// [`FORMAT`].
    pub format: String,
    /// Whose.
    pub operator: Principal,
    /// Height and time of the certificate.
    pub certified: Moment,
    /// The first epoch.
    pub from_epoch: u64,
    /// The last one.
    pub to_epoch: u64,
    /// All of them, oldest first.
    pub epochs: Vec<EpochIncome>,
    /// What the operator earned in all.
    #[serde(with = "decimal_cycles")]
    pub earned: Cycles,
    /// What it would have earned in all without a fault.
    #[serde(with = "decimal_cycles")]
    pub earned_max: Cycles,
    /// The certificate over the settlements and all tariffs: CBOR, in hex.
    pub certificate: String,
}

impl Income {
    /// What `operator` earned in `settled`, consecutive epochs, under those of `tariffs` (all there ever were, oldest first)
    /// that were in force.
    ///
    /// # Errors
    /// See [`IncomeError`].
    pub fn draw(
        operator: Principal,
        certified: Moment,
        certificate: String,
        settled: &[Settled],
        tariffs: &[Tariff],
    ) -> Result<Self, IncomeError> {
        let nothing = IncomeError::Nothing { operator };
        let (first, last) = settled.first().zip(settled.last()).ok_or(nothing.clone())?;
        let mut epochs = Vec::with_capacity(settled.len());
        for (epoch, settled) in (first.epoch..).zip(settled) {
            if settled.epoch != epoch {
                return Err(IncomeError::Gap { epoch });
            }
            let in_force = tariffs.iter().rev().find(|tariff| tariff.effective_height <= settled.last);
            epochs.push(EpochIncome::of(settled, in_force.ok_or(IncomeError::NoTariff { epoch })?, &operator)?);
        }
        if epochs.iter().all(|epoch| epoch.nodes.is_empty()) {
            return Err(nothing);
        }
        let sum = |of: fn(&EpochIncome) -> Cycles| epochs.iter().map(of).fold(Cycles::ZERO, Cycles::saturating_add);
        Ok(Self {
            format: FORMAT.into(),
            operator,
            certified,
            from_epoch: first.epoch,
            to_epoch: last.epoch,
            earned: sum(|epoch| epoch.earned),
            earned_max: sum(EpochIncome::earned_max),
            epochs,
            certificate,
        })
    }
}

impl EpochIncome {
    fn of(settled: &Settled, tariff: &Tariff, operator: &Principal) -> Result<Self, IncomeError> {
        divided_by_the_formula(settled, tariff)?;
        let Settlement { income, reserve, commons, rounding, .. } = settled.settlement;
        let is_own = |earned: &&Earned| earned.operator == *operator;
        let sum = |amounts: &mut dyn Iterator<Item = u128>| Cycles(amounts.fold(0, u128::saturating_add));
        let earned = sum(&mut settled.nodes.values().filter(is_own).map(|earned| earned.amount));
        let others = sum(&mut settled.nodes.values().filter(|earned| !is_own(earned)).map(|earned| earned.amount));
        let own = settled.nodes.iter().filter(|(_, earned)| is_own(earned));
        Ok(Self {
            epoch: settled.epoch,
            from: Moment { height: settled.first, time: settled.began },
            to: Moment { height: settled.last, time: settled.ended },
            tariff_version: tariff.version,
            operators_share: tariff.operators_share,
            reserve_share: tariff.reserve_share,
            commons_share: tariff.commons_share,
            income,
            pool: Cycles(proportion(income.get(), u64::from(tariff.operators_share), u64::from(SHARE_WHOLE))),
            weight_max: settled.weights().iter().map(|weight| weight.weight_max).sum(),
            nodes: own.map(|(node, earned)| NodeIncome::of(*node, earned)).collect(),
            earned,
            others,
            reserve,
            commons,
            rounding,
        })
    }

    /// What the operator would have earned without a fault.
    pub fn earned_max(&self) -> Cycles {
        let most = self.nodes.iter().map(|node| node.weight_max).sum::<u64>();
        if self.weight_max == 0 { Cycles::ZERO } else { Cycles(proportion(self.pool.get(), most, self.weight_max)) }
    }
}

impl NodeIncome {
    fn of(node: NodeId, earned: &Earned) -> Self {
        let (work, weighed) = (earned.work, earned.work.weighed(earned.operator));
        Self {
            node,
            windows: work.windows,
            voted: work.voted,
            certified: work.certified,
            proposed: work.proposed,
            failed: work.failed,
            deduction: work.deduction(),
            weight: weighed.weight,
            weight_max: weighed.weight_max,
            amount: Cycles(earned.amount),
        }
    }
}

/// Whether the subnet divided the income as the facts and the tariff say, all nodes' lines included.
fn divided_by_the_formula(settled: &Settled, tariff: &Tariff) -> Result<(), IncomeError> {
    let is = &settled.settlement;
    let differs = |line: String, settled_: Cycles, formula: Cycles| {
        Err(IncomeError::Divided { epoch: settled.epoch, line, settled: settled_, formula })
    };
    let Ok(should) = Settlement::divide(is.income, tariff, &settled.weights()) else {
        return differs("weights".into(), Cycles::ZERO, Cycles::ZERO);
    };
    for ((node, earned), (_, amount)) in settled.nodes.iter().zip(&should.operators) {
        if earned.amount != amount.get() {
            return differs(format!("node {node}"), Cycles(earned.amount), *amount);
        }
    }
    for (line, is, should) in [
        ("reserve", is.reserve, should.reserve),
        ("commons", is.commons, should.commons),
        ("rounding", is.rounding, should.rounding),
    ] {
        if is != should {
            return differs(line.into(), is, should);
        }
    }
    Ok(())
}
