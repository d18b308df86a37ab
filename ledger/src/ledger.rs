//! The books themselves: balances, meters and the verbs that move money.
//!
//! `ledger/verbs.rs` has what execution calls several times per message, `ledger/check.rs` the invariants,
//! `ledger/digest.rs` the digest, `ledger/record.rs` the form in checkpoints.

mod check;
#[cfg(test)]
mod check_tests;
mod digest;
mod record;
#[cfg(test)]
mod tests;
mod verbs;

use crate::{
    account::{Account, CanisterAccount, Member, Meter, Resource},
    error::LedgerError,
    journal::{Entry, TransferId},
    statement::{Footprint, Moment, Reading, Statement},
    tariff::Tariff,
};
use digest::Lattice;
use imbl::{OrdMap, Vector};
use mains_types::{CanisterId, Cycles, Digest32, Height, Principal};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// Cycles that may exist at once: sums of all balances, and differences of turnovers, then fit 127 bits.
pub const SUPPLY_MAX: u128 = 1 << 126;

/// The books of one subnet. Cheap to clone: clones share what they do not change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "record::Record", into = "record::Record")]
pub struct Ledger {
    tariff: Arc<Tariff>,
    /// Those before, oldest first.
    past_tariffs: Vector<Arc<Tariff>>,
    issued: u128,
    redeemed: u128,
    next_transfer: u64,
    period: u64,
    canisters: OrdMap<CanisterId, Arc<CanisterAccount>>,
    members: OrdMap<Member, u128>,
    operators: OrdMap<Principal, u128>,
    in_flight: u128,
    income: [u128; Resource::COUNT],
    reserve: u128,
    commons: u128,
    rounding: u128,
    /// Cycles ever charged per resource, by canisters that exist or existed.
    charged: [u128; Resource::COUNT],
    /// The part of `charged` that closed canisters paid.
    closed: [u128; Resource::COUNT],
    /// Hash chain over all entries of the journal, see [`crate::journal::append`].
    journal_head: Digest32,

    // Derived: sums over the maps above, and their digest.
    canisters_total: u128,
    members_total: u128,
    operators_total: u128,
    lattice: Arc<Lattice>,

    /// The block that is executed.
    now: Moment,
    // Since the last journal: what accounts were before, and entries so far. Neither digested nor kept.
    touched_canisters: OrdMap<CanisterId, Touched>,
    touched_members: OrdMap<Member, u128>,
    entries: Vector<Entry>,
    /// How many of these `journal_head` covers.
    chained: usize,
    /// Totals when the block began, see [`Ledger::check_height`].
    began: check::Totals,
    /// Whether the present period began in this block and no account has changed since.
    period_is_new: bool,
    /// The lattice hash with what was touched, once somebody has asked for it.
    folded: OnceLock<Arc<Lattice>>,
}

/// What a canister's account was before it changed.
#[derive(Clone, Debug)]
struct Touched {
    /// As the lattice hash has it.
    digested: Option<Arc<CanisterAccount>>,
    /// As the journal has it: nothing once the account was closed, whose last charges are then journalled already.
    journaled: Option<Arc<CanisterAccount>>,
    /// Whether the account was closed since: then one that is there has begun anew.
    closed: bool,
}

impl Ledger {
    /// Empty books under `tariff`.
    pub fn genesis(tariff: Tariff) -> Self {
        Self {
            tariff: Arc::new(tariff),
            past_tariffs: Vector::new(),
            issued: 0,
            redeemed: 0,
            next_transfer: 0,
            period: 0,
            now: Moment::default(),
            canisters: OrdMap::new(),
            members: OrdMap::new(),
            operators: OrdMap::new(),
            in_flight: 0,
            income: [0; Resource::COUNT],
            reserve: 0,
            commons: 0,
            rounding: 0,
            charged: [0; Resource::COUNT],
            closed: [0; Resource::COUNT],
            journal_head: [0; 32],
            canisters_total: 0,
            members_total: 0,
            operators_total: 0,
            lattice: Arc::default(),
            touched_canisters: OrdMap::new(),
            touched_members: OrdMap::new(),
            entries: Vector::new(),
            chained: 0,
            began: check::Totals::default(),
            period_is_new: false,
            folded: OnceLock::new(),
        }
    }

    /// The prices in force.
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }

    /// All tariffs that ever were in force, oldest first; the last one is.
    pub fn tariffs(&self) -> impl DoubleEndedIterator<Item = &Tariff> {
        self.past_tariffs.iter().chain([&self.tariff]).map(Arc::as_ref)
    }

    /// Puts `tariff` in force at `height`. Reservations made before keep their amount: whoever made them checks that
    /// they still suffice.
    ///
    /// # Errors
    /// [`LedgerError::TariffOutOfOrder`], [`LedgerError::TariffInvalid`].
    pub fn adopt_tariff(&mut self, tariff: Tariff, height: Height) -> Result<(), LedgerError> {
        tariff.validate()?;
        let current = self.tariff.version;
        if current.checked_add(1) != Some(tariff.version) || tariff.effective_height > height {
            let effective_height = tariff.effective_height.get();
            return Err(LedgerError::TariffOutOfOrder { version: tariff.version, effective_height, current });
        }
        let past = std::mem::replace(&mut self.tariff, Arc::new(tariff));
        self.past_tariffs.push_back(past);
        // After a settlement of the same block, a period of no length would only make what is usual look smaller.
        if !self.period_is_new {
            self.close_period();
        }
        Ok(())
    }

    /// A block begins: what changes from here on changed then.
    pub fn begin(&mut self, now: Moment) {
        self.now = now;
        self.period_is_new = false;
    }

    /// The head of the hash chain over all entries of the journal up to the last [`Ledger::close_journal`].
    pub fn journal_head(&self) -> Digest32 {
        self.journal_head
    }

    /// The number of the present period of account: it ends with every settlement and every change of tariff.
    pub fn period(&self) -> u64 {
        self.period
    }

    /// Ends the present period: each account's reading goes into its chain before the account changes again.
    pub(crate) fn close_period(&mut self) {
        self.period += 1;
        self.period_is_new = true;
    }

    /// What an account holds. For [`Account::Issuance`]: the cycles that exist.
    pub fn balance(&self, account: &Account) -> Cycles {
        Cycles(match account {
            Account::Issuance => self.outstanding(),
            Account::Member { owner, subaccount } => {
                self.members.get(&Member::new(*owner, *subaccount)).copied().unwrap_or(0)
            }
            Account::Canister(id) => self.canisters.get(id).map_or(0, |account| account.balance),
            Account::InFlight => self.in_flight,
            Account::Income(resource) => self.income[resource.index()],
            Account::Operator(id) => self.operators.get(id).copied().unwrap_or(0),
            Account::Reserve => self.reserve,
            Account::Commons => self.commons,
            Account::Rounding => self.rounding,
        })
    }

    /// What all members own together.
    pub fn members_total(&self) -> Cycles {
        Cycles(self.members_total)
    }

    /// The number that the next transfer will have.
    pub fn next_transfer(&self) -> TransferId {
        TransferId(self.next_transfer)
    }

    /// What a canister can spend.
    pub fn canister_balance(&self, canister: &CanisterId) -> Cycles {
        self.canisters.get(canister).map_or(Cycles::ZERO, |account| account.balance())
    }

    /// Everything kept for a canister, if it ever held or used something.
    pub fn canister(&self, canister: &CanisterId) -> Option<&CanisterAccount> {
        self.canisters.get(canister).map(Arc::as_ref)
    }

    /// What a canister's meter shows: everything it ever used of `resource`.
    pub fn meter(&self, canister: &CanisterId, resource: Resource) -> u128 {
        self.canisters.get(canister).map_or(0, |account| account.meter(resource).reading)
    }

    /// All canisters with an account, in the order of their ids.
    pub fn canisters(&self) -> impl Iterator<Item = (&CanisterId, &CanisterAccount)> {
        self.canisters.iter().map(|(id, account)| (id, account.as_ref()))
    }

    /// All members with money, in order.
    pub fn members(&self) -> impl Iterator<Item = (&Member, Cycles)> {
        self.members.iter().map(|(member, balance)| (member, Cycles(*balance)))
    }

    /// All operators with pay not yet taken, in order.
    pub fn operators(&self) -> impl Iterator<Item = (&Principal, Cycles)> {
        self.operators.iter().map(|(operator, balance)| (operator, Cycles(*balance)))
    }

    /// Canisters whose account changed since the last [`Ledger::take_journal`], in order; closed ones too.
    pub fn touched_canisters(&self) -> impl Iterator<Item = &CanisterId> {
        self.touched_canisters.keys()
    }

    /// Cycles ever charged for `resource`, by everybody.
    pub fn charged(&self, resource: Resource) -> Cycles {
        Cycles(self.charged[resource.index()])
    }

    /// A canister's account as it stands, to bill from later.
    pub fn reading(&self, canister: &CanisterId, at: Moment) -> Option<Reading> {
        let account = self.canisters.get(canister)?;
        Some(Reading { at, tariff_version: self.tariff.version, account: account.as_ref().clone() })
    }

    /// The bill of a canister since `since` (its creation if `None`), or `None` if it has no account.
    pub fn statement(
        &self,
        canister: &CanisterId,
        since: Option<&Reading>,
        at: Moment,
        footprint: &Footprint,
    ) -> Option<Statement> {
        let present = self.reading(canister, at)?;
        let beginning = Reading { at: Moment::default(), tariff_version: 1, account: CanisterAccount::default() };
        Some(Statement::between(*canister, since.unwrap_or(&beginning), &present, &self.tariff, Some(footprint)))
    }

    /// Cycles that exist: issued minus redeemed.
    fn outstanding(&self) -> u128 {
        self.issued - self.redeemed
    }
}
