//! What things cost a canister: freezing limit, storage over time, money set aside for work.

use crate::{management::lifecycle, rejects, run};
use mains_ledger::{Account, Resource, Tariff};
use mains_state::{Canister, State};
use mains_types::{CanisterId, Cycles, Reject, UnixNanos, limits};

/// Seconds after which a canister that nobody calls is charged for its storage.
const IDLE_CHARGE_SECONDS: u64 = 3_600;
/// Canisters that one block looks at for that.
const IDLE_CHARGE_COUNT: usize = 10;

/// Cycles set aside for one piece of work, in flight. Ends with [`Budget::release`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Budget {
    payer: CanisterId,
    left: Cycles,
}

impl Budget {
    /// Sets aside what one message of at most this many instructions costs, from what the canister can spend.
    ///
    /// # Errors
    /// It would freeze.
    pub(crate) fn reserve(state: &mut State, payer: &CanisterId, instructions: u64) -> Result<Self, Reject> {
        let most = execution_cost(state.ledger.tariff(), instructions);
        Self::reserve_amount(state, payer, most)
    }

    /// Sets an amount aside.
    ///
    /// # Errors
    /// The canister would freeze.
    pub(crate) fn reserve_amount(state: &mut State, payer: &CanisterId, amount: Cycles) -> Result<Self, Reject> {
        require_liquid(state, payer, amount)?;
        let reserved = state.ledger.reserve(payer, amount);
        reserved.expect("what is liquid can be reserved");
        Ok(Self { payer: *payer, left: amount })
    }

    /// What was set aside earlier: with a call, or when a message began.
    pub(crate) fn set_aside(payer: &CanisterId, left: Cycles) -> Self {
        Self { payer: *payer, left }
    }

    /// Charges a quantity that was set aside; returns its cost. If a tariff that came into force meanwhile asks more than
    /// that, the balance pays too, as far as it can.
    pub(crate) fn charge(&mut self, state: &mut State, resource: Resource, quantity: u128) -> Cycles {
        if state.ledger.cost_now(&self.payer, resource, quantity) > self.left {
            let left = std::mem::take(&mut self.left);
            state.ledger.release(&Account::Canister(self.payer), left);
            return state.ledger.charge_affordable(&self.payer, resource, quantity).1;
        }
        let cost = state.ledger.charge_reserved(&self.payer, resource, quantity);
        self.left = self.left.checked_sub(cost).expect("what is charged was set aside");
        cost
    }

    /// Charges one message and its instructions.
    pub(crate) fn charge_execution(&mut self, state: &mut State, instructions: u64) -> Cycles {
        let message = self.charge(state, Resource::Execution, 1);
        message.saturating_add(self.charge(state, Resource::Instructions, u128::from(instructions)))
    }

    /// Gives back what is more than `most`.
    pub(crate) fn lower(&mut self, state: &mut State, most: Cycles) {
        let surplus = self.left.saturating_sub(most);
        state.ledger.release(&Account::Canister(self.payer), surplus);
        self.left = self.left.saturating_sub(surplus);
    }

    /// Who pays.
    pub(crate) fn payer(&self) -> CanisterId {
        self.payer
    }

    /// What is left, to be kept in flight with a message that goes on later.
    pub(crate) fn keep(self) -> Cycles {
        self.left
    }

    /// Gives the rest back.
    pub(crate) fn release(self, state: &mut State) {
        state.ledger.release(&Account::Canister(self.payer), self.left);
    }
}

/// What one message of this many instructions costs at most.
pub(crate) fn execution_cost(tariff: &Tariff, instructions: u64) -> Cycles {
    let message = tariff.cost(Resource::Execution, 1);
    message.saturating_add(tariff.cost(Resource::Instructions, u128::from(instructions)))
}

/// What a call sets aside for its response: the longest one, its callback and a cleanup.
pub(crate) fn response_reserve(tariff: &Tariff) -> Cycles {
    let callback = execution_cost(tariff, limits::UPDATE_INSTRUCTIONS_MAX);
    let cleanup = execution_cost(tariff, limits::CLEANUP_INSTRUCTIONS_MAX);
    let bytes = tariff.cost(Resource::CallBytes, limits::PAYLOAD_BYTES_MAX as u128);
    callback.saturating_add(cleanup).saturating_add(bytes)
}

/// The balance below which a canister is frozen.
pub(crate) fn freezing_limit(state: &State, canister: &Canister) -> Cycles {
    freezing_limit_with(state, canister, canister.memory_bytes())
}

/// The same if it had this many bytes.
pub(crate) fn freezing_limit_with(state: &State, canister: &Canister, memory_bytes: u64) -> Cycles {
    let settings = &canister.settings;
    state.ledger.tariff().freezing_limit(memory_bytes, settings.compute_allocation, settings.freezing_threshold_seconds)
}

/// Whether a canister can spend `amount` without freezing.
///
/// # Errors
/// It cannot, or does not exist.
pub(crate) fn require_liquid(state: &State, id: &CanisterId, amount: Cycles) -> Result<(), Reject> {
    let canister = state.canister(id).ok_or_else(|| rejects::not_found(id))?;
    let (balance, frozen) = (state.ledger.canister_balance(id), freezing_limit(state, canister));
    if balance >= amount.saturating_add(frozen) {
        Ok(())
    } else {
        Err(rejects::out_of_cycles(id, amount, balance, frozen))
    }
}

/// Takes cycles that a run burned out of being.
pub(crate) fn burn(state: &mut State, id: &CanisterId, amount: Cycles) {
    if amount > Cycles::ZERO {
        let burned = state.ledger.burn(&Account::Canister(*id), amount);
        burned.expect("the system interface lets canisters burn only what they have");
    }
}

/// Ends the account of a canister that is no more; what it held is burnt.
pub(crate) fn close_account(state: &mut State, id: &CanisterId) {
    let rest = state.ledger.canister_balance(id);
    burn(state, id, rest);
    state.ledger.close_canister(id, &Account::Commons).expect("any account is closed in favour of the commons");
}

/// Charges a canister for what it kept since it was last charged, in whole seconds. One that cannot pay loses its code.
pub(crate) fn settle_storage(state: &mut State, id: &CanisterId) {
    let now = state.time;
    // A paused message counts on what its canister had when it began.
    let Some(canister) = state.canister(id).filter(|canister| canister.paused.is_none()) else { return };
    let seconds = now.nanos_since(canister.charged_until) / UnixNanos::SECOND;
    if seconds == 0 {
        return;
    }
    let seconds_wide = u128::from(seconds);
    let storage = u128::from(canister.memory_bytes()) * seconds_wide;
    let compute = u128::from(canister.settings.compute_allocation).saturating_mul(seconds_wide);
    let (stored, _) = state.ledger.charge_affordable(id, Resource::StorageByteSeconds, storage);
    let (computed, _) = state.ledger.charge_affordable(id, Resource::ComputeAllocation, compute);
    let canister = state.canister_mut(id).expect("looked at above");
    canister.charged_until = canister.charged_until.saturating_add_nanos(seconds * UnixNanos::SECOND);
    let is_broke = stored < storage || computed < compute;
    if is_broke {
        lifecycle::run_out(state, id);
        run::stop_if_drained(state, id);
    }
}

/// Goes round the canisters that nobody calls, a few each block.
pub(crate) fn settle_some(state: &mut State) {
    let some = state.canister_ids_after(state.storage_cursor, IDLE_CHARGE_COUNT);
    state.storage_cursor = if some.len() < IDLE_CHARGE_COUNT { None } else { some.last().copied() };
    for id in some {
        let is_due = state.canister(&id).is_some_and(|canister| {
            state.time.nanos_since(canister.charged_until) >= IDLE_CHARGE_SECONDS * UnixNanos::SECOND
        });
        if is_due {
            settle_storage(state, &id);
        }
    }
}
