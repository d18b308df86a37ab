//! Cycles of the call at work and of the canister. Working copies: the ledger moves only when the run succeeded.

use super::{Modes, SystemApi, heap};
use crate::engine::Trap;
use mains_types::Cycles;

impl SystemApi {
    /// Cycles of the call at work that can still be accepted.
    pub fn msg_cycles_available128(&mut self, heap: &mut [u8], dst: u64) -> Result<(), Trap> {
        self.enter("msg_cycles_available128", Modes::CYCLES_AVAILABLE)?;
        heap::write_cycles(heap, dst, self.inputs.available)
    }

    /// The same in 64 bits.
    pub fn msg_cycles_available(&mut self) -> Result<u64, Trap> {
        self.enter("msg_cycles_available", Modes::CYCLES_AVAILABLE)?;
        word("msg_cycles_available", self.inputs.available)
    }

    /// Cycles that came back with the response.
    pub fn msg_cycles_refunded128(&mut self, heap: &mut [u8], dst: u64) -> Result<(), Trap> {
        self.enter("msg_cycles_refunded128", Modes::CYCLES_REFUNDED)?;
        heap::write_cycles(heap, dst, self.inputs.refunded)
    }

    /// The same in 64 bits.
    pub fn msg_cycles_refunded(&mut self) -> Result<u64, Trap> {
        self.enter("msg_cycles_refunded", Modes::CYCLES_REFUNDED)?;
        word("msg_cycles_refunded", self.inputs.refunded)
    }

    /// Accepts up to this many cycles and writes how many there were.
    pub fn msg_cycles_accept128(&mut self, heap: &mut [u8], max_high: u64, max_low: u64, dst: u64) -> Result<(), Trap> {
        self.enter("msg_cycles_accept128", Modes::CYCLES_AVAILABLE)?;
        let accepted = self.accept(heap::cycles(max_high, max_low));
        heap::write_cycles(heap, dst, accepted)
    }

    /// The same in 64 bits.
    pub fn msg_cycles_accept(&mut self, max: u64) -> Result<u64, Trap> {
        self.enter("msg_cycles_accept", Modes::CYCLES_AVAILABLE)?;
        let accepted = self.accept(Cycles(u128::from(max)));
        word("msg_cycles_accept", accepted)
    }

    /// Burns up to this many cycles, never below what the canister must keep, and writes how many there were.
    pub fn cycles_burn128(&mut self, heap: &mut [u8], amount_high: u64, amount_low: u64, dst: u64) -> Result<(), Trap> {
        self.enter("cycles_burn128", Modes::CYCLES_BURN)?;
        let burned = heap::cycles(amount_high, amount_low).min(self.liquid());
        self.balance = self.balance.saturating_sub(burned);
        self.burned = self.burned.saturating_add(burned);
        heap::write_cycles(heap, dst, burned)
    }

    /// What the canister owns.
    pub fn canister_cycle_balance128(&mut self, heap: &mut [u8], dst: u64) -> Result<(), Trap> {
        self.enter("canister_cycle_balance128", Modes::NOT_START)?;
        heap::write_cycles(heap, dst, self.balance)
    }

    /// The same in 64 bits.
    pub fn canister_cycle_balance(&mut self) -> Result<u64, Trap> {
        self.enter("canister_cycle_balance", Modes::NOT_START)?;
        word("canister_cycle_balance", self.balance)
    }

    /// What the canister can spend without freezing.
    pub fn canister_liquid_cycle_balance128(&mut self, heap: &mut [u8], dst: u64) -> Result<(), Trap> {
        self.enter("canister_liquid_cycle_balance128", Modes::NOT_START)?;
        heap::write_cycles(heap, dst, self.liquid())
    }

    /// Only the Internet Computer's own minting canister may mint; here nobody does.
    pub fn mint_cycles(&mut self, _amount: u64) -> Result<u64, Trap> {
        Err(Trap::Contract("ic0.mint_cycles: canisters cannot mint cycles".into()))
    }

    /// See [`Self::mint_cycles`].
    pub fn mint_cycles128(&mut self, _heap: &mut [u8], _high: u64, _low: u64, _dst: u64) -> Result<(), Trap> {
        Err(Trap::Contract("ic0.mint_cycles128: canisters cannot mint cycles".into()))
    }

    /// What can be spent without freezing.
    pub(super) fn liquid(&self) -> Cycles {
        self.balance.saturating_sub(self.inputs.frozen)
    }

    fn accept(&mut self, most: Cycles) -> Cycles {
        let accepted = most.min(self.inputs.available);
        self.inputs.available = self.inputs.available.saturating_sub(accepted);
        self.accepted = self.accepted.saturating_add(accepted);
        self.balance = self.balance.saturating_add(accepted);
        accepted
    }
}

/// An amount as a 64-bit word; the 64-bit functions trap beyond.
fn word(function: &'static str, amount: Cycles) -> Result<u64, Trap> {
    u64::try_from(amount.get()).map_err(|_| {
        Trap::Contract(format!("ic0.{function}: {amount} cycles do not fit in 64 bits, use ic0.{function}128"))
    })
}
