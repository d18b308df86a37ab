//! The invariants, asserted in release: of all that a block touched at every height, by full sums in the simulator and on load.

use super::*;

/// Running totals, as they were when a block began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    canisters: u128,
    members: u128,
    charged: [u128; Resource::COUNT],
    next_transfer: u64,
}

impl Ledger {
    pub(super) fn totals(&self) -> Totals {
        Totals {
            canisters: self.canisters_total,
            members: self.members_total,
            charged: self.charged,
            next_transfer: self.next_transfer,
        }
    }

    /// Whether everything that the block touched adds up: money as a whole, each account, each meter, each transfer. Call it
    /// between [`Ledger::close_journal`] and [`Ledger::take_journal`]; its cost is what the block changed, not what exists.
    ///
    /// # Errors
    /// The first thing that does not, with the amounts: only a bug gets there, and a replica that sees it must stop.
    pub fn check_height(&self) -> Result<(), String> {
        self.check()?;
        if self.issued - self.redeemed > SUPPLY_MAX {
            return Err(format!("{} cycles exist, at most {SUPPLY_MAX} may", self.outstanding()));
        }
        // What was charged in this block was charged by the tariff before one that a settlement at its end put in force.
        let tariff = self.tariffs().rev().find(|tariff| tariff.effective_height <= self.now.height);
        let tariff = tariff.unwrap_or(&self.tariff);
        let (mut before, mut after) = (self.began.canisters, 0u128);
        for (id, touched) in &self.touched_canisters {
            let (old, new) = (touched.digested.as_deref(), self.canisters.get(id).map(Arc::as_ref));
            before = before.wrapping_sub(old.map_or(0, |account| account.balance));
            after = after.wrapping_add(new.map_or(0, |account| account.balance));
            match new {
                Some(account) => {
                    let nothing = CanisterAccount::default();
                    let old = old.filter(|_| !touched.closed).unwrap_or(&nothing);
                    check_account(id, old, account, tariff)?;
                }
                None if touched.closed || old.is_none() => {}
                None => return Err(format!("the account of canister {id} is gone and was never closed")),
            }
        }
        // What others held and hold is the same.
        same("canisters' accounts moved their total", before.wrapping_add(after), self.canisters_total)?;
        let moved = self.touched_members.iter().fold(self.began.members, |total, (member, before)| {
            let now = self.members.get(member).copied().unwrap_or(0);
            total.wrapping_sub(*before).wrapping_add(now)
        });
        same("members' accounts moved their total", moved, self.members_total)?;
        self.check_entries()
    }

    /// Whether the journal has every transfer once and in order, and every charge.
    fn check_entries(&self) -> Result<(), String> {
        let (mut next, mut charged) = (self.began.next_transfer, self.began.charged);
        for entry in &self.entries {
            match entry {
                Entry::Transfer { id, .. } => {
                    same("the next transfer's number", u128::from(id.0), u128::from(next))?;
                    next += 1;
                }
                Entry::Charge { resource, amount, .. } => {
                    let sum = &mut charged[resource.index()];
                    *sum = sum.wrapping_add(amount.get());
                }
                Entry::Reading { .. } | Entry::InCalls { .. } => {}
            }
        }
        same("transfers were numbered", u128::from(next), u128::from(self.next_transfer))?;
        for resource in Resource::ALL {
            let (meters, income) = (charged[resource.index()], self.charged[resource.index()]);
            same(&format!("meters charged for {resource}"), meters, income)?;
        }
        Ok(())
    }

    /// Whether money is conserved, by running totals: constant time, for every height.
    ///
    /// # Errors
    /// What does not add up, with the amounts: only a bug gets there, and a replica that sees it must stop.
    pub(super) fn check(&self) -> Result<(), String> {
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

/// Whether an account's turnover makes its balance, its meters only grew, and each charge is quantity times price.
fn check_account(id: &CanisterId, old: &CanisterAccount, new: &CanisterAccount, tariff: &Tariff) -> Result<(), String> {
    if !new.is_consistent() {
        return Err(format!("canister {id} holds {} cycles, its turnover says otherwise", new.balance));
    }
    for resource in Resource::ALL {
        let (old, new) = (old.meter(resource), new.meter(resource));
        if old == new {
            continue;
        }
        let quantity = new.reading.checked_sub(old.reading);
        let quantity = quantity.ok_or_else(|| format!("canister {id}: the meter of {resource} fell"))?;
        let price = tariff.price(resource);
        if new.carry >= price.denominator {
            return Err(format!("canister {id} carries a whole cycle for {resource}"));
        }
        let amount = new.charged.wrapping_sub(old.charged);
        if price.apply(quantity, old.carry) != Some((amount, new.carry)) {
            return Err(format!(
                "canister {id} was charged {amount} cycles for {quantity} of {resource}: not the price"
            ));
        }
    }
    Ok(())
}

fn same(what: &str, is: u128, should: u128) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is}, not {should}")) }
}
