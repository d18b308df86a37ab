//! What a canister's `ic0` imports do. PLACEHOLDER: the room's owner replaces this file.
//!
//! Convention between this room and the engine, for every function of the system interface:
//! - the method has the import's name, e.g. `msg_arg_data_copy`;
//! - parameters and results of type `I` (pointer-sized) and `i64` are `u64`, of type `i32` are `u32`; the engine zero-extends
//!   for 32-bit modules, and exports the 32-bit-only functions (`stable_*`, 64-bit cycles) only to 32-bit modules;
//! - a function that reads or writes canister memory takes `heap: &mut [u8]` (the whole heap) as its first parameter;
//! - every method returns `Result<_, Trap>`;
//! - `performance_counter(counter_type: u32, used: u64)` gets the instructions used so far in this run;
//! - after every call the engine takes [`SystemApi::take_charge`] instructions off the counter (and traps if they are used up).

/// See the module.
pub struct SystemApi {}

impl SystemApi {
    /// Instructions that the last call costs beyond its own, e.g. for the bytes it copied; resets to zero.
    pub fn take_charge(&mut self) -> u64 {
        0
    }
    /// Heap bytes that `memory.grow` may reach, from the canister's settings and the protocol's limit.
    pub fn heap_limit_bytes(&self) -> u64 {
        mains_types::limits::HEAP_BYTES_MAX
    }
}
