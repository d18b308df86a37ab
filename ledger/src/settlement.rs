//! Closing the income accounts into those who did the work.
//!
//! Nothing is created: what is paid out is what users paid. An operator gets `pool * weight / sum of weight_max`, so
//! what a node did not earn goes to the reserve and never to its neighbours.

#[cfg(test)]
mod tests;

use crate::{
    account::{Account, Resource},
    error::LedgerError,
    ledger::Ledger,
    tariff::{SHARE_WHOLE, Tariff},
};
use mains_types::{Cycles, Principal};
use serde::{Deserialize, Serialize};

/// What one node earned, from replicated facts only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorWeight {
    /// Who is paid.
    pub operator: Principal,
    /// Useful work done.
    pub weight: u64,
    /// Useful work that a node without fault would have done.
    pub weight_max: u64,
}

/// Where the income of one settlement went; the parts sum up to `income`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// All income accounts together, now zero.
    pub income: Cycles,
    /// Each operator's pay, in the order of the weights.
    pub operators: Vec<(Principal, Cycles)>,
    /// The reserve's share and what operators did not earn.
    pub reserve: Cycles,
    /// The community's share.
    pub commons: Cycles,
    /// What division left over.
    pub rounding: Cycles,
}

impl Settlement {
    /// How `income` is divided under `tariff`: the rule itself, which changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::WeightInvalid`].
    pub fn divide(income: Cycles, tariff: &Tariff, weights: &[OperatorWeight]) -> Result<Self, LedgerError> {
        let (mut earned_sum, mut weight_sum) = (0u64, 0u64);
        for OperatorWeight { weight, weight_max, .. } in weights {
            let invalid = LedgerError::WeightInvalid { weight: *weight, weight_max: *weight_max };
            if weight > weight_max {
                return Err(invalid);
            }
            weight_sum = weight_sum.checked_add(*weight_max).ok_or(invalid)?;
            earned_sum += weight;
        }
        let share = |parts: u32| proportion(income.get(), u64::from(parts), u64::from(SHARE_WHOLE));
        let (pool, own, commons) =
            (share(tariff.operators_share), share(tariff.reserve_share), share(tariff.commons_share));
        let (operators, unearned): (Vec<_>, u128) = if weight_sum == 0 {
            (Vec::new(), pool)
        } else {
            let pay = |weight: &OperatorWeight| (weight.operator, Cycles(proportion(pool, weight.weight, weight_sum)));
            (weights.iter().map(pay).collect(), proportion(pool, weight_sum - earned_sum, weight_sum))
        };
        let reserve = own + unearned;
        let paid: u128 = operators.iter().map(|(_, amount)| amount.get()).sum();
        let rounding = income.get() - paid - reserve - commons;
        let (reserve, commons, rounding) = (Cycles(reserve), Cycles(commons), Cycles(rounding));
        Ok(Self { income, operators, reserve, commons, rounding })
    }
}

impl Ledger {
    /// Closes all income accounts into operators, reserve and commons, by the tariff's shares. Without any weight the
    /// operators' share goes to the reserve.
    ///
    /// # Errors
    /// [`LedgerError::WeightInvalid`].
    pub fn settle(&mut self, weights: &[OperatorWeight]) -> Result<Settlement, LedgerError> {
        let income: u128 = Resource::ALL.iter().map(|resource| self.balance(&Account::Income(*resource)).get()).sum();
        let settlement = Settlement::divide(Cycles(income), self.tariff(), weights)?;
        let Settlement { operators, reserve, commons, rounding, .. } = &settlement;
        let mut due: Vec<(Account, u128)> =
            operators.iter().map(|(operator, amount)| (Account::Operator(*operator), amount.get())).collect();
        let rest = [(Account::Reserve, reserve), (Account::Commons, commons), (Account::Rounding, rounding)];
        due.extend(rest.map(|(account, amount)| (account, amount.get())));
        self.close_income(due)?;
        self.close_period();
        Ok(settlement)
    }

    /// Pays `due`, which sums up to all income, out of the income accounts in their order.
    fn close_income(&mut self, due: Vec<(Account, u128)>) -> Result<(), LedgerError> {
        let mut resources = Resource::ALL.iter().map(|resource| Account::Income(*resource)).peekable();
        for (to, mut amount) in due {
            while amount > 0 {
                let Some(from) = resources.peek().copied() else {
                    unreachable!("more is due than all income");
                };
                let part = Cycles(self.balance(&from).get().min(amount));
                if part == Cycles::ZERO {
                    resources.next();
                    continue;
                }
                self.debit(&from, part)?;
                self.credit(&to, part);
                self.note_transfer(from, to, part);
                amount -= part.get();
            }
        }
        Ok(())
    }
}

/// `amount * part / whole`, rounded down, for `part <= whole` and `whole > 0`; exact for every amount.
pub(crate) fn proportion(amount: u128, part: u64, whole: u64) -> u128 {
    let (part, whole) = (u128::from(part), u128::from(whole));
    amount / whole * part + amount % whole * part / whole
}
