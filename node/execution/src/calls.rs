//! Calls: how canisters make them, how they end, and what a built-in canister sees of one.
//!
//! The management canister and the system canisters are functions on the state; calls to them wait in a queue of their own
//! and run in the same round.

use crate::{engine::Engine, hooks::Steps, induction, rejects, system_api::OutgoingCall, system_canisters};
use mains_ledger::{Account, Resource};
use mains_state::{Accepted, CallOrigin, Callback, IngressStatus, Message, Response, State, SystemMessage};
use mains_types::{
    CanisterId, Cycles, Digest32, Principal, Reject, limits,
    planted::{self, Defect},
};
use std::sync::Arc;

/// A call to the management canister or to a system canister.
///
/// Whatever the callee changes is undone if it answers with [`Outcome::Reject`], except [`SystemCall::instructions_used`],
/// [`SystemCall::compiled`] and the lines of [`SystemCall::kept_logs`].
pub(crate) struct SystemCall<'a> {
    /// The state, to be changed. Its `time` is the block's.
    pub(crate) state: &'a mut State,
    /// The Wasm host.
    pub(crate) engine: &'a dyn Engine,
    /// Who calls.
    pub(crate) sender: Principal,
    /// Who waits for the answer; to be stored with an [`Outcome::Later`].
    pub(crate) origin: CallOrigin,
    /// The canister that is called.
    pub(crate) callee: CanisterId,
    /// The method.
    pub(crate) method: &'a str,
    /// The argument.
    pub(crate) argument: &'a [u8],
    /// Cycles that came with the call and are not accepted yet. They are in flight; what is left goes back with the answer.
    pub(crate) cycles: Cycles,
    /// Where random bytes come from.
    pub(crate) random: &'a mut Random,
    /// Instructions that hooks run for this call may use together.
    pub(crate) instructions_max: u64,
    /// Instructions used so far; charged to the canister that the call is about, also after a reject.
    pub(crate) instructions_used: u64,
    /// Instructions of looking at modules and compiling them; likewise.
    pub(crate) compiled: u64,
    /// Those of it that the compiler of this round does,
    pub(crate) compiled_here: u64,
    /// and those that nobody has to do, because replicas have the module ready.
    pub(crate) known: u64,
    /// How far it has come, if it installs.
    pub(crate) steps: Steps,
    /// Log lines of canisters, kept also after a reject.
    pub(crate) kept_logs: Vec<(CanisterId, Vec<Vec<u8>>)>,
}

/// What became of a call to a built-in canister.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered.
    Reply(Vec<u8>),
    /// Refused; everything it changed is undone.
    Reject(Reject),
    /// Answered later by [`respond`] to the origin that the callee stored, with the attached cycles as refund.
    Later,
    /// To be called again when replicas have had the time to compile this module, whose compilation costs so many instructions.
    /// Everything the call changed is undone.
    Prepare(Accepted, u64),
    /// To be called again in a later round: its slice is used up. Everything it changed is undone.
    Pause,
}

impl SystemCall<'_> {
    /// Moves up to `amount` of the attached cycles to an account; returns how many.
    pub(crate) fn accept(&mut self, to: &Account, amount: Cycles) -> Cycles {
        let accepted = amount.min(self.cycles);
        self.state.ledger.release(to, accepted);
        self.cycles = self.cycles.saturating_sub(accepted);
        accepted
    }

    /// Instructions that hooks may still use.
    pub(crate) fn instructions_left(&self) -> u64 {
        self.instructions_max.saturating_sub(self.instructions_used)
    }
}

/// Random bytes of one block: the beacon's value of an earlier height, expanded.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    seed: Digest32,
    count: u64,
}

impl Random {
    /// The bytes of a block with this beacon value.
    pub(crate) fn new(seed: Digest32) -> Self {
        Self { seed, count: 0 }
    }

    /// The next 32 bytes.
    pub(crate) fn next(&mut self) -> Digest32 {
        self.count += 1;
        *blake3::keyed_hash(&self.seed, &self.count.to_be_bytes()).as_bytes()
    }
}

/// Ends a call: tells whoever waits. `refund` is what is left of the cycles that came with it, in flight.
pub(crate) fn respond(state: &mut State, origin: &CallOrigin, result: Result<Vec<u8>, Reject>, refund: Cycles) {
    let result = result.and_then(within_limit);
    match origin {
        CallOrigin::System => assert_eq!(refund, Cycles::ZERO, "nobody sends cycles with a task"),
        CallOrigin::Ingress { request_id, .. } => {
            assert_eq!(refund, Cycles::ZERO, "no cycles come with a client's call");
            let status = match result {
                Ok(reply) => IngressStatus::Replied(Arc::new(reply.into())),
                Err(reject) => IngressStatus::Rejected(reject),
            };
            state.set_ingress_status(request_id, status);
        }
        CallOrigin::Canister { sender, callback, .. } => {
            let refund = if planted::is(Defect::RefundDropped) {
                state.ledger.release(&Account::Commons, refund);
                Cycles::ZERO
            } else {
                refund
            };
            let result = result.map(serde_bytes::ByteBuf::from);
            let response = Message::Response(Response { callback: *callback, result, refund });
            let waits = state.canister(sender).is_some_and(|caller| caller.callbacks.contains_key(callback));
            if !(waits && state.enqueue(sender, response)) {
                // A best-effort call that stopped waiting, or a caller that is gone: the cycles stay its own.
                return_cycles(state, sender, refund);
            }
        }
    }
}

/// Gives cycles in flight back to a canister, or to the community if it is gone.
pub(crate) fn return_cycles(state: &mut State, canister: &CanisterId, amount: Cycles) {
    let account = if state.canister(canister).is_some() { Account::Canister(*canister) } else { Account::Commons };
    state.ledger.release(&account, amount);
}

/// Whether calls to this canister are answered by a function on the state.
pub(crate) fn is_built_in(state: &State, id: &CanisterId) -> bool {
    *id == Principal::management_canister() || system_canisters::is_built_in(state, id)
}

/// Sends the calls that a run of `caller` made in `context`; returns their fees. The run has checked that they can be paid.
pub(crate) fn send(state: &mut State, caller: &CanisterId, context: u64, calls: Vec<OutgoingCall>) -> Cycles {
    // All is set aside before any fee is charged: fractions that meters carry may make a fee one cycle dearer.
    for call in &calls {
        let reserved = state.ledger.reserve(caller, call.cycles.saturating_add(call.reserve));
        reserved.expect("the system interface lets canisters send only what they have");
    }
    let mut fees = Cycles::ZERO;
    for call in calls {
        let (_, message) = state.ledger.charge_affordable(caller, Resource::CallMessages, 1);
        let (_, bytes) = state.ledger.charge_affordable(caller, Resource::CallBytes, u128::from(call.bytes));
        fees = fees.saturating_add(message).saturating_add(bytes);
        route(state, caller, context, call);
    }
    fees
}

/// Puts a call into its callee's queue, or its rejection into the caller's.
fn route(state: &mut State, caller: &CanisterId, context: u64, call: OutgoingCall) {
    let callback = Callback {
        context,
        callee: call.callee,
        on_reply: call.on_reply,
        on_reject: call.on_reject,
        on_cleanup: call.on_cleanup,
        cycles: call.cycles,
        reserved: call.reserve,
        deadline: call.deadline,
    };
    let number = state.insert_callback(caller, callback).expect("the caller has just run");
    let origin = CallOrigin::Canister { sender: *caller, callback: number, deadline: call.deadline };
    if is_built_in(state, &call.callee) {
        if !state.system_queue.has_room(caller) {
            return respond(state, &origin, Err(rejects::share_full(caller)), call.cycles);
        }
        let OutgoingCall { callee, method, argument, cycles, .. } = call;
        return state.system_queue.push(SystemMessage { origin, sender: *caller, callee, method, argument, cycles });
    }
    let callee = state.canister(&call.callee).ok_or_else(|| rejects::not_found(&call.callee));
    if let Err(reject) = callee.and_then(induction::has_room) {
        return respond(state, &origin, Err(reject), call.cycles);
    }
    let OutgoingCall { callee, method, argument, cycles, deadline, .. } = call;
    state.enqueue(&callee, Message::Request { sender: *caller, callback: number, method, argument, cycles, deadline });
}

fn within_limit(reply: Vec<u8>) -> Result<Vec<u8>, Reject> {
    if reply.len() <= limits::PAYLOAD_BYTES_MAX {
        Ok(reply)
    } else {
        Err(rejects::reply_too_large(reply.len(), limits::PAYLOAD_BYTES_MAX))
    }
}
