//! Moving money. Every verb debits and credits the same amount; a refused one has changed nothing.

use super::*;
use crate::journal;

impl Ledger {
    /// Moves `amount` between accounts of people, canisters, operators, reserve and commons.
    ///
    /// # Errors
    /// [`LedgerError::InsufficientFunds`], [`LedgerError::NotTransferable`].
    pub fn transfer(&mut self, from: &Account, to: &Account, amount: Cycles) -> Result<TransferId, LedgerError> {
        for account in [from, to] {
            if !account.is_transferable() {
                return Err(LedgerError::NotTransferable { account: *account });
            }
        }
        self.debit(from, amount)?;
        self.credit(to, amount);
        Ok(self.note_transfer(*from, *to, amount))
    }

    /// Brings `amount` into being.
    ///
    /// # Errors
    /// [`LedgerError::SupplyExceeded`], [`LedgerError::NotTransferable`].
    pub fn mint(&mut self, to: &Account, amount: Cycles) -> Result<TransferId, LedgerError> {
        if !to.is_transferable() {
            return Err(LedgerError::NotTransferable { account: *to });
        }
        let outstanding = self.outstanding();
        let exceeded = LedgerError::SupplyExceeded { amount, outstanding: Cycles(outstanding) };
        if outstanding.checked_add(amount.get()).is_none_or(|sum| sum > SUPPLY_MAX) {
            return Err(exceeded);
        }
        self.issued = self.issued.checked_add(amount.get()).ok_or(exceeded)?;
        self.credit(to, amount);
        Ok(self.note_transfer(Account::Issuance, *to, amount))
    }

    /// Takes `amount` out of being: redeemed by a member, burnt by a canister.
    ///
    /// # Errors
    /// [`LedgerError::InsufficientFunds`], [`LedgerError::NotTransferable`].
    pub fn burn(&mut self, from: &Account, amount: Cycles) -> Result<TransferId, LedgerError> {
        if !from.is_transferable() {
            return Err(LedgerError::NotTransferable { account: *from });
        }
        self.debit(from, amount)?;
        // Cannot overflow: never more than was issued.
        self.redeemed += amount.get();
        Ok(self.note_transfer(*from, Account::Issuance, amount))
    }

    /// Sets `amount` of a canister's balance aside: for the most that work may cost, or for the cycles of a call.
    ///
    /// # Errors
    /// [`LedgerError::InsufficientFunds`].
    pub fn reserve(&mut self, canister: &CanisterId, amount: Cycles) -> Result<(), LedgerError> {
        let needed = amount.get();
        let available = self.canister_balance(canister).get();
        if available < needed {
            return Err(insufficient(Account::Canister(*canister), available, needed));
        }
        if needed == 0 {
            return Ok(());
        }
        let account = self.account_mut(canister);
        account.balance -= needed;
        account.in_calls = account.in_calls.wrapping_add(needed);
        self.canisters_total -= needed;
        self.in_flight += needed;
        Ok(())
    }

    /// Gives `amount` of what was set aside to an account: what work did not use up, or the cycles of a call.
    ///
    /// # Panics
    /// If less is in flight, or `to` is no account for transfers: both are bugs of the caller.
    pub fn release(&mut self, to: &Account, amount: Cycles) {
        assert!(to.is_transferable(), "release to {to}, which is no account for transfers");
        if amount == Cycles::ZERO {
            return;
        }
        self.take_in_flight(amount.get());
        if let Account::Canister(canister) = to {
            let account = self.account_mut(canister);
            account.balance += amount.get();
            account.in_calls = account.in_calls.wrapping_sub(amount.get());
            self.canisters_total += amount.get();
        } else {
            self.credit(to, amount);
            self.note_transfer(Account::InFlight, *to, amount);
        }
    }

    /// Meters `quantity` and charges the canister's balance.
    ///
    /// # Errors
    /// [`LedgerError::InsufficientFunds`], [`LedgerError::QuantityTooLarge`].
    pub fn charge(&mut self, canister: &CanisterId, resource: Resource, quantity: u128) -> Result<Cycles, LedgerError> {
        let (meter, cost) = self.quote(canister, resource, quantity)?;
        let available = self.canister_balance(canister).get();
        if available < cost {
            return Err(insufficient(Account::Canister(*canister), available, cost));
        }
        let account = self.account_mut(canister);
        account.meters[resource.index()] = meter;
        account.balance -= cost;
        self.canisters_total -= cost;
        self.earn(resource, cost);
        Ok(Cycles(cost))
    }

    /// Meters and charges as much of `quantity` as the canister's balance pays for. Returns what was metered and what
    /// was charged; a shortfall means that the canister is out of cycles.
    pub fn charge_affordable(&mut self, canister: &CanisterId, resource: Resource, quantity: u128) -> (u128, Cycles) {
        if let Ok(cost) = self.charge(canister, resource, quantity) {
            return (quantity, cost);
        }
        // The most with `carry + quantity * numerator < (balance + 1) * denominator`. A product that does not fit
        // pays for less, never for more.
        let price = self.tariff.price(resource);
        let (balance, carry) = match self.canisters.get(canister) {
            Some(account) => (account.balance, account.meter(resource).carry),
            None => (0, 0),
        };
        let fractions = (balance + 1).saturating_mul(u128::from(price.denominator)) - 1 - u128::from(carry);
        let affordable = fractions.checked_div(price.numerator).unwrap_or(quantity).min(quantity);
        self.charge(canister, resource, affordable).map_or((0, Cycles::ZERO), |cost| (affordable, cost))
    }

    /// What charging `quantity` costs a canister now, the fractions that its meter carries included; [`Cycles::MAX`] if it
    /// cannot be metered.
    pub fn cost_now(&self, canister: &CanisterId, resource: Resource, quantity: u128) -> Cycles {
        self.quote(canister, resource, quantity).map_or(Cycles::MAX, |(_, cost)| Cycles(cost))
    }

    /// Meters `quantity` and charges what was set aside for it. Returns what that cost: at most
    /// [`Tariff::cost`] of the quantity, also over several charges of one reservation.
    ///
    /// # Panics
    /// If less is in flight or the quantity cannot be metered: the caller has not reserved it, which is a bug.
    pub fn charge_reserved(&mut self, canister: &CanisterId, resource: Resource, quantity: u128) -> Cycles {
        let (meter, cost) = match self.quote(canister, resource, quantity) {
            Ok(quote) => quote,
            Err(error) => panic!("charge of {resource} that cannot have been reserved: {error}"),
        };
        self.take_in_flight(cost);
        let account = self.account_mut(canister);
        account.meters[resource.index()] = meter;
        account.in_calls = account.in_calls.wrapping_sub(cost);
        self.earn(resource, cost);
        Cycles(cost)
    }

    /// Ends a canister's account and gives what it holds to another. Its meters end with it; what it paid stays counted.
    ///
    /// # Errors
    /// [`LedgerError::NotTransferable`], also if the canister itself is named.
    pub fn close_canister(&mut self, canister: &CanisterId, to: &Account) -> Result<Cycles, LedgerError> {
        if !to.is_transferable() || *to == Account::Canister(*canister) {
            return Err(LedgerError::NotTransferable { account: *to });
        }
        let Some(account) = self.canisters.get(canister).cloned() else { return Ok(Cycles::ZERO) };
        let rest = account.balance();
        if rest > Cycles::ZERO {
            self.transfer(&Account::Canister(*canister), to, rest)?;
        }
        for (closed, meter) in self.closed.iter_mut().zip(&account.meters) {
            *closed = closed.wrapping_add(meter.charged);
        }
        self.touch_canister(canister);
        let closed = self.canisters.remove(canister);
        if let Some(touched) = self.touched_canisters.get_mut(canister) {
            // Should the account be opened again in this block (by a late refund), its meters begin at zero.
            let before = touched.journaled.take();
            touched.closed = true;
            journal_canister(canister, before.as_deref(), closed.as_deref(), |entry| self.entries.push_back(entry));
        }
        Ok(rest)
    }

    /// Writes the journal of the block up: transfers in order, then charges and reservations summed per canister; from
    /// then on [`Ledger::journal_head`] covers them. Call it when nothing moves any more in the block.
    pub fn close_journal(&mut self) {
        let mut changed = Vec::new();
        for (canister, touched) in &self.touched_canisters {
            let now = self.canisters.get(canister);
            if touched.journaled.as_ref() != now {
                let before = touched.journaled.as_deref();
                journal_canister(canister, before, now.map(Arc::as_ref), |entry| self.entries.push_back(entry));
                changed.push(*canister);
            }
        }
        for canister in changed {
            if let Some(touched) = self.touched_canisters.get_mut(&canister) {
                touched.journaled = self.canisters.get(&canister).cloned();
            }
        }
        let entries = self.entries.iter().skip(self.chained);
        self.journal_head = journal::append(&self.journal_head, self.now.height, entries);
        self.chained = self.entries.len();
    }

    /// What happened since the last call, as [`Ledger::close_journal`] wrote it up. Call it once per block, after the block's
    /// state was sealed.
    pub fn take_journal(&mut self) -> Vec<Entry> {
        self.close_journal();
        self.lattice = self.current_lattice();
        self.touched_canisters = OrdMap::new();
        self.touched_members = OrdMap::new();
        self.chained = 0;
        self.began = self.totals();
        std::mem::take(&mut self.entries).into_iter().collect()
    }

    /// Takes `amount` from any account but issuance, income, in flight and rounding.
    pub(crate) fn debit(&mut self, from: &Account, amount: Cycles) -> Result<(), LedgerError> {
        let (available, needed) = (self.balance(from).get(), amount.get());
        if available < needed {
            return Err(insufficient(*from, available, needed));
        }
        let rest = available - needed;
        match from {
            Account::Canister(id) => {
                let account = self.account_mut(id);
                account.balance = rest;
                account.sent = account.sent.wrapping_add(needed);
                self.canisters_total -= needed;
            }
            Account::Member { owner, subaccount } => {
                self.set_member(Member::new(*owner, *subaccount), rest);
                self.members_total -= needed;
            }
            Account::Operator(id) => {
                self.set_operator(id, rest);
                self.operators_total -= needed;
            }
            Account::Reserve => self.reserve = rest,
            Account::Commons => self.commons = rest,
            Account::Income(resource) => self.income[resource.index()] = rest,
            Account::Issuance | Account::InFlight | Account::Rounding => {
                return Err(LedgerError::NotTransferable { account: *from });
            }
        }
        Ok(())
    }

    /// Gives `amount`, which was debited or issued just now, to an account. Sums cannot overflow: see [`SUPPLY_MAX`].
    pub(crate) fn credit(&mut self, to: &Account, amount: Cycles) {
        let amount = amount.get();
        match to {
            Account::Canister(id) => {
                let account = self.account_mut(id);
                account.balance += amount;
                account.received = account.received.wrapping_add(amount);
                self.canisters_total += amount;
            }
            Account::Member { owner, subaccount } => {
                let member = Member::new(*owner, *subaccount);
                let balance = self.members.get(&member).copied().unwrap_or(0);
                self.set_member(member, balance + amount);
                self.members_total += amount;
            }
            Account::Operator(id) => {
                let balance = self.operators.get(id).copied().unwrap_or(0);
                self.set_operator(id, balance + amount);
                self.operators_total += amount;
            }
            Account::Reserve => self.reserve += amount,
            Account::Commons => self.commons += amount,
            Account::Rounding => self.rounding += amount,
            Account::Income(resource) => self.income[resource.index()] += amount,
            Account::Issuance | Account::InFlight => unreachable!("{to} has verbs of its own"),
        }
    }

    pub(crate) fn note_transfer(&mut self, from: Account, to: Account, amount: Cycles) -> TransferId {
        let id = TransferId(self.next_transfer);
        self.next_transfer += 1;
        self.entries.push_back(Entry::Transfer { id, from, to, amount });
        id
    }

    /// The meter after `quantity` more, and what that costs in whole cycles.
    fn quote(&self, canister: &CanisterId, resource: Resource, quantity: u128) -> Result<(Meter, u128), LedgerError> {
        let meter = self.canisters.get(canister).map_or_else(Meter::default, |account| *account.meter(resource));
        let charge = self.tariff.price(resource).apply(quantity, meter.carry);
        match (meter.reading.checked_add(quantity), charge) {
            (Some(reading), Some((cost, carry))) => {
                Ok((Meter { reading, charged: meter.charged.wrapping_add(cost), carry }, cost))
            }
            _ => Err(LedgerError::QuantityTooLarge { quantity }),
        }
    }

    fn earn(&mut self, resource: Resource, cost: u128) {
        let charged = &mut self.charged[resource.index()];
        *charged = charged.wrapping_add(cost);
        self.income[resource.index()] += cost;
    }

    fn take_in_flight(&mut self, amount: u128) {
        match self.in_flight.checked_sub(amount) {
            Some(rest) => self.in_flight = rest,
            None => panic!("{amount} cycles taken of {} in flight: they were never reserved", self.in_flight),
        }
    }

    /// Remembers what a canister's account was when the block began.
    fn touch_canister(&mut self, canister: &CanisterId) {
        self.folded.take();
        if !self.touched_canisters.contains_key(canister) {
            let before = self.canisters.get(canister).cloned();
            let touched = Touched { digested: before.clone(), journaled: before, closed: false };
            self.touched_canisters.insert(*canister, touched);
        }
    }

    /// A canister's account, opened if it has none, to be changed. If it was not changed since a period ended, its reading
    /// of then goes into its chain first.
    fn account_mut(&mut self, canister: &CanisterId) -> &mut CanisterAccount {
        self.touch_canister(canister);
        self.period_is_new = false;
        let (now, period, tariff_version) = (self.now, self.period, self.tariff.version);
        let new = CanisterAccount { period, ..CanisterAccount::default() };
        let account = Arc::make_mut(self.canisters.entry(*canister).or_insert_with(|| Arc::new(new)));
        if account.period != period {
            let reading = account.clone();
            account.chain = crate::readings::append(&reading);
            (account.charged_before, account.charged_usually) = account.burn_at(period);
            account.period = period;
            self.entries.push_back(Entry::Reading { canister: *canister, account: Box::new(reading) });
        }
        (account.changed, account.tariff_version) = (now, tariff_version);
        account
    }

    fn set_member(&mut self, member: Member, balance: u128) {
        self.folded.take();
        if !self.touched_members.contains_key(&member) {
            self.touched_members.insert(member, self.members.get(&member).copied().unwrap_or(0));
        }
        if balance == 0 {
            self.members.remove(&member);
        } else {
            self.members.insert(member, balance);
        }
    }

    fn set_operator(&mut self, operator: &Principal, balance: u128) {
        if balance == 0 {
            self.operators.remove(operator);
        } else {
            self.operators.insert(*operator, balance);
        }
    }
}

/// The charges and cycles in calls between two versions of an account; none if it is closed, which has journalled them.
fn journal_canister(
    canister: &CanisterId,
    before: Option<&CanisterAccount>,
    now: Option<&CanisterAccount>,
    mut push: impl FnMut(Entry),
) {
    let Some(now) = now else { return };
    let empty = CanisterAccount::default();
    let (canister, before) = (*canister, before.unwrap_or(&empty));
    for resource in Resource::ALL {
        let (old, new) = (before.meter(resource), now.meter(resource));
        if old.reading != new.reading {
            let (quantity, reading) = (new.reading - old.reading, new.reading);
            let amount = Cycles(new.charged.wrapping_sub(old.charged));
            push(Entry::Charge { canister, resource, quantity, amount, reading });
        }
    }
    let net = now.in_calls.wrapping_sub(before.in_calls) as i128;
    if net != 0 {
        push(Entry::InCalls { canister, net });
    }
}

fn insufficient(account: Account, available: u128, needed: u128) -> LedgerError {
    LedgerError::InsufficientFunds { account, available: Cycles(available), needed: Cycles(needed) }
}
