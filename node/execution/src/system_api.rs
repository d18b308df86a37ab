//! What a canister's `ic0` imports do: all 74 functions of the interface specification 0.66.
//!
//! A [`SystemApi`] is made for one run from [`Inputs`], answers the canister's imports, and ends as [`Effects`] that the caller
//! applies if the run succeeds. It never touches the replicated state: a trap is undone by dropping it.
//!
//! Convention between this room and the engine, for every function of the system interface:
//! - the method has the import's name, e.g. `msg_arg_data_copy`;
//! - parameters and results of type `I` (pointer-sized) and `i64` are `u64`, of type `i32` are `u32`; the engine zero-extends
//!   for 32-bit modules, and exports the 32-bit-only functions (`stable_*`, 64-bit cycles) only to 32-bit modules;
//! - a function that reads or writes canister memory takes `heap: &mut [u8]` (the whole heap) as its first parameter;
//! - every method returns `Result<_, Trap>`;
//! - `performance_counter(counter_type: u32, used: u64)` gets the instructions used so far in this run;
//! - after every call the engine takes [`SystemApi::take_charge`] instructions off the counter (and traps if they are used up).
//!
//! Spec: `specs/interface.md`.

mod calls;
mod cost;
mod cycles;
mod effects;
mod heap;
mod identity;
mod inputs;
mod message;
mod mode;
mod stable;
mod surroundings;
#[cfg(test)]
mod tests;

pub use effects::{Effects, OutgoingCall};
pub use inputs::{CallPrices, Inputs, Price};
pub use mode::{Mode, Modes};

use crate::engine::{HEAP_PAGE_INSTRUCTIONS, Trap};
use mains_types::{Cycles, UnixNanos};
use std::collections::VecDeque;

/// Instructions of one call into the system interface, whatever it does: crossing into the host and back (30 to 60 ns).
pub const CALL_INSTRUCTIONS: u64 = 200;
/// Instructions for each byte copied into or out of the heap.
pub const BYTE_INSTRUCTIONS: u64 = 1;
/// Instructions for each 4 KiB page of stable memory that a run writes first: the copy that can be dropped, and its hash later. As
/// much as for a page of the heap.
pub const STABLE_PAGE_INSTRUCTIONS: u64 = HEAP_PAGE_INSTRUCTIONS;
/// Instructions of `call_perform`, for queueing the message.
pub const CALL_PERFORM_INSTRUCTIONS: u64 = 5_000;
/// Pages of stable memory that one run may write (1 GiB): bounds the host memory of a run.
pub const STABLE_DIRTY_PAGES_MAX: usize = 1 << 18;
/// Bytes of all outgoing calls of one run: bounds the host memory of a run.
pub const OUTGOING_BYTES_MAX: u64 = 128 << 20;
/// Bytes of a reject or trap message that are kept.
pub const REJECT_MESSAGE_BYTES_MAX: usize = 8 << 10;
/// Seconds that a best-effort call waits at most.
pub const BEST_EFFORT_SECONDS_MAX: u32 = 300;

/// The system interface of one run. See the module.
#[derive(Debug)]
pub struct SystemApi {
    inputs: Inputs,
    /// Instructions since the last [`Self::take_charge`].
    charge: u64,
    /// Instructions charged in this run, to stop a copy that cannot be paid before it is made.
    charged: u64,
    reply: Vec<u8>,
    response: Option<Result<Vec<u8>, String>>,
    /// What is left of the canister's balance, with everything of this run applied.
    balance: Cycles,
    accepted: Cycles,
    burned: Cycles,
    call: Option<OutgoingCall>,
    calls: Vec<OutgoingCall>,
    outgoing_bytes: u64,
    certified_data: Option<Vec<u8>>,
    global_timer: Option<Option<UnixNanos>>,
    log: VecDeque<Vec<u8>>,
    log_bytes: usize,
    message_accepted: bool,
    stable: stable::Overlay,
}

impl SystemApi {
    /// The system interface of a run with these inputs.
    pub fn new(mut inputs: Inputs) -> Self {
        let stable = stable::Overlay::new(std::mem::take(&mut inputs.stable), inputs.stable_pages);
        Self {
            balance: inputs.balance,
            inputs,
            charge: 0,
            charged: 0,
            reply: Vec::new(),
            response: None,
            accepted: Cycles::ZERO,
            burned: Cycles::ZERO,
            call: None,
            calls: Vec::new(),
            outgoing_bytes: 0,
            certified_data: None,
            global_timer: None,
            log: VecDeque::new(),
            log_bytes: 0,
            message_accepted: false,
            stable,
        }
    }

    /// The system interface of the same run from its beginning.
    pub fn restarted(self) -> Self {
        Self::new(Inputs { stable: self.stable.into_base(), ..self.inputs })
    }

    /// Where this run began.
    pub fn mode(&self) -> Mode {
        self.inputs.mode
    }

    /// Whether all replicas make this run.
    pub fn is_replicated(&self) -> bool {
        self.inputs.replicated
    }

    /// Instructions that the last call costs beyond its own, e.g. for the bytes it copied; resets to zero.
    pub fn take_charge(&mut self) -> u64 {
        std::mem::take(&mut self.charge)
    }

    /// Heap bytes beyond which `memory.grow` traps: `wasm_memory_limit` of the canister's settings, if it holds here.
    ///
    /// It does not where it would keep a canister from saving or answering: queries, `canister_pre_upgrade`, callbacks, timers,
    /// heartbeats.
    pub fn heap_limit_bytes(&self) -> Option<u64> {
        let setting = self.inputs.canister.settings.wasm_memory_limit;
        (setting != 0 && Modes::HEAP_LIMITED.contains(self.inputs.mode)).then_some(setting)
    }

    /// What a successful run did. The caller applies all of it or nothing.
    pub fn into_effects(self) -> Effects {
        let (stable, stable_pages) = self.stable.into_tree();
        Effects {
            response: self.response,
            calls: self.calls,
            accepted: self.accepted,
            burned: self.burned,
            balance: self.balance,
            certified_data: self.certified_data,
            global_timer: self.global_timer,
            log: self.log.into(),
            message_accepted: self.message_accepted,
            stable,
            stable_pages,
        }
    }

    /// What a failed run leaves behind: its log lines.
    pub fn into_log(self) -> Vec<Vec<u8>> {
        self.log.into()
    }

    /// Checks that `function` may be called here and charges for the crossing.
    fn enter(&mut self, function: &'static str, allowed: Modes) -> Result<(), Trap> {
        if !allowed.contains(self.inputs.mode) {
            return Err(Trap::Contract(format!("ic0.{function} cannot be called from {}", self.inputs.mode.name())));
        }
        self.charge(CALL_INSTRUCTIONS)
    }

    /// Charges for bytes that are about to be copied.
    fn charge_bytes(&mut self, bytes: u64) -> Result<(), Trap> {
        self.charge(bytes.saturating_mul(BYTE_INSTRUCTIONS))
    }

    fn charge(&mut self, instructions: u64) -> Result<(), Trap> {
        self.charge = self.charge.saturating_add(instructions);
        self.charged = self.charged.saturating_add(instructions);
        if self.charged > self.inputs.instruction_limit {
            return Err(Trap::OutOfInstructions);
        }
        Ok(())
    }
}
