//! The invariants, asserted in release: by running totals at every height, by full sums in the simulator and on load.

use super::*;

impl Ledger {
    /// Whether money is conserved, by running totals: constant time, for every height.
    ///
    /// # Errors
    /// What does not add up, with the amounts: only a bug gets there, and a replica that sees it must stop.
    pub fn check(&self) -> Result<(), String> {
        if self.redeemed > self.issued {
            return Err(format!("{} cycles redeemed of {} issued", self.redeemed, self.issued));
        }
        let held = self.sum_of_all().ok_or("the sum of all accounts does not fit")?;
        let outstanding = self.outstanding();
        if held != outstanding {
            return Err(format!("accounts hold {held} cycles, {outstanding} exist"));
        }
        Ok(())
    }

    /// Whether everything adds up: totals, every canister's turnover, every meter. Linear in accounts.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check_full(&self) -> Result<(), String> {
        self.check()?;
        let canisters = sum(self.canisters.values().map(|account| account.balance));
        let members = sum(self.members.values().copied());
        let operators = sum(self.operators.values().copied());
        for (name, actual, total) in [
            ("canisters", canisters, self.canisters_total),
            ("members", members, self.members_total),
            ("operators", operators, self.operators_total),
        ] {
            if actual != Some(total) {
                return Err(format!("{name} hold {actual:?} cycles, their running total is {total}"));
            }
        }
        let mut charged = self.closed;
        for (id, account) in &self.canisters {
            if !account.is_consistent() {
                return Err(format!("canister {id} holds {} cycles, its turnover says otherwise", account.balance));
            }
            for (resource, meter) in Resource::ALL.iter().zip(&account.meters) {
                if meter.carry >= self.tariff.price(*resource).denominator {
                    return Err(format!("canister {id} carries a whole cycle for {resource}"));
                }
                let sum = &mut charged[resource.index()];
                *sum = sum.wrapping_add(meter.charged);
            }
        }
        if charged != self.charged {
            return Err("meters and income disagree about what was charged".into());
        }
        if self.members.iter().any(|(member, balance)| *balance == 0 || member.subaccount == Some([0; 32])) {
            return Err("a member's account is empty or named in two ways".into());
        }
        Ok(())
    }

    fn sum_of_all(&self) -> Option<u128> {
        let single = [self.in_flight, self.reserve, self.commons, self.rounding];
        let totals = [self.canisters_total, self.members_total, self.operators_total];
        sum(single.into_iter().chain(totals).chain(self.income))
    }
}

pub(super) fn sum(mut amounts: impl Iterator<Item = u128>) -> Option<u128> {
    amounts.try_fold(0u128, |sum, amount| sum.checked_add(amount))
}
