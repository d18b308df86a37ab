//! Calls to other canisters: built piece by piece, sent when the run succeeds.

use super::{
    BEST_EFFORT_SECONDS_MAX, CALL_PERFORM_INSTRUCTIONS, CallPrices, Modes, OUTGOING_BYTES_MAX, OutgoingCall, SystemApi,
    heap,
};
use crate::{engine::Trap, management};
use mains_state::Continuation;
use mains_types::{Cycles, Principal, RejectCode, UnixNanos, limits};

impl SystemApi {
    /// Begins a call; one that was begun and not performed is forgotten and its cycles come back.
    #[allow(clippy::too_many_arguments)]
    pub fn call_new(
        &mut self,
        heap: &mut [u8],
        callee_src: u64,
        callee_size: u64,
        name_src: u64,
        name_size: u64,
        reply_fun: u64,
        reply_env: u64,
        reject_fun: u64,
        reject_env: u64,
    ) -> Result<(), Trap> {
        self.enter("call_new", Modes::CALL)?;
        self.abandon_call();
        self.charge_bytes(callee_size.saturating_add(name_size))?;
        let callee = Principal::try_from_slice(heap::read(heap, callee_src, callee_size)?)
            .map_err(|_| Trap::Contract("ic0.call_new: the callee is not a principal".into()))?;
        let name = heap::read(heap, name_src, name_size)?;
        if name.len() > limits::METHOD_NAME_BYTES_MAX {
            return Err(Trap::Contract(format!(
                "ic0.call_new: a method name has at most {} bytes, this one {}",
                limits::METHOD_NAME_BYTES_MAX,
                name.len()
            )));
        }
        let method = std::str::from_utf8(name)
            .map_err(|_| Trap::Contract("ic0.call_new: the method name is not valid UTF-8".into()))?
            .to_owned();
        self.call = Some(OutgoingCall {
            callee,
            method,
            argument: Vec::new(),
            on_reply: Continuation { function: reply_fun, environment: reply_env },
            on_reject: Continuation { function: reject_fun, environment: reject_env },
            on_cleanup: None,
            cycles: Cycles::ZERO,
            fee: Cycles::ZERO,
            bytes: 0,
            reserve: Cycles::ZERO,
            deadline: None,
        });
        Ok(())
    }

    /// What runs if the call's callback traps; once per call.
    pub fn call_on_cleanup(&mut self, fun: u64, env: u64) -> Result<(), Trap> {
        self.enter("call_on_cleanup", Modes::CALL)?;
        let call = self.call_begun("call_on_cleanup")?;
        if call.on_cleanup.is_some() {
            return Err(Trap::Contract("ic0.call_on_cleanup: the call has a cleanup callback already".into()));
        }
        call.on_cleanup = Some(Continuation { function: fun, environment: env });
        Ok(())
    }

    /// Appends to the call's argument.
    pub fn call_data_append(&mut self, heap: &mut [u8], src: u64, size: u64) -> Result<(), Trap> {
        self.enter("call_data_append", Modes::CALL)?;
        self.charge_bytes(size)?;
        let call = self.call_begun("call_data_append")?;
        let data = heap::read(heap, src, size)?;
        let total = call.argument.len() + data.len();
        if total > limits::PAYLOAD_BYTES_MAX {
            return Err(Trap::Contract(format!(
                "ic0.call_data_append: an argument has at most {} bytes, this one {total}",
                limits::PAYLOAD_BYTES_MAX
            )));
        }
        call.argument.extend_from_slice(data);
        Ok(())
    }

    /// Makes the call one that waits at most this long (and at most five minutes).
    pub fn call_with_best_effort_response(&mut self, timeout_seconds: u32) -> Result<(), Trap> {
        self.enter("call_with_best_effort_response", Modes::CALL)?;
        let time = self.inputs.time;
        let call = self.call_begun("call_with_best_effort_response")?;
        if call.deadline.is_some() {
            return Err(Trap::Contract("ic0.call_with_best_effort_response: the call has a timeout already".into()));
        }
        let seconds = u64::from(timeout_seconds.min(BEST_EFFORT_SECONDS_MAX));
        call.deadline = Some(time.saturating_add_nanos(seconds * UnixNanos::SECOND));
        Ok(())
    }

    /// Moves cycles from the canister to the call.
    pub fn call_cycles_add128(&mut self, amount_high: u64, amount_low: u64) -> Result<(), Trap> {
        self.enter("call_cycles_add128", Modes::CYCLES_ADD)?;
        self.add_cycles("call_cycles_add128", heap::cycles(amount_high, amount_low))
    }

    /// The same in 64 bits.
    pub fn call_cycles_add(&mut self, amount: u64) -> Result<(), Trap> {
        self.enter("call_cycles_add", Modes::CYCLES_ADD)?;
        self.add_cycles("call_cycles_add", Cycles(u128::from(amount)))
    }

    /// Sends the call: 0 if it will be sent, else the reject code (2, transient) and nothing has happened. Traps if it tells
    /// the management canister another version of the sender than it has.
    pub fn call_perform(&mut self) -> Result<u32, Trap> {
        self.enter("call_perform", Modes::CALL)?;
        self.charge(CALL_PERFORM_INSTRUCTIONS)?;
        let version = self.inputs.canister.version;
        // Queries cost nothing, and neither do the questions of composite ones.
        let prices = if self.inputs.replicated { self.inputs.prices } else { CallPrices::FREE };
        let call = self.call_begun("call_perform")?;
        if call.callee == Principal::management_canister()
            && let Some(claimed) = management::claimed_version(&call.method, &call.argument)
            && claimed != version
        {
            return Err(Trap::Contract(format!(
                "ic0.call_perform: sender_canister_version is {claimed}, this canister's version is {version}"
            )));
        }
        call.bytes = (call.method.len() + call.argument.len()) as u64;
        call.fee = prices.fee(call.bytes);
        call.reserve = prices.response_reserve;
        let (bytes, price) = (call.bytes, call.fee.saturating_add(call.reserve));
        let has_room = self.calls.len() < self.inputs.calls_room
            && self.outgoing_bytes.saturating_add(bytes) <= OUTGOING_BYTES_MAX;
        if !has_room || price > self.liquid() {
            self.abandon_call();
            return Ok(RejectCode::SysTransient as u32);
        }
        self.balance = self.balance.saturating_sub(price);
        self.outgoing_bytes += bytes;
        self.calls.extend(self.call.take());
        Ok(0)
    }

    fn call_begun(&mut self, function: &'static str) -> Result<&mut OutgoingCall, Trap> {
        self.call.as_mut().ok_or_else(|| Trap::Contract(format!("ic0.{function}: no call was begun")))
    }

    fn abandon_call(&mut self) {
        if let Some(call) = self.call.take() {
            self.balance = self.balance.saturating_add(call.cycles);
        }
    }

    fn add_cycles(&mut self, function: &'static str, amount: Cycles) -> Result<(), Trap> {
        let liquid = self.liquid();
        let call = self.call_begun(function)?;
        if amount > liquid {
            return Err(Trap::Contract(format!(
                "ic0.{function}: {amount} cycles are more than the {liquid} that can be spent"
            )));
        }
        call.cycles = call.cycles.saturating_add(amount);
        self.balance = self.balance.saturating_sub(amount);
        Ok(())
    }
}
