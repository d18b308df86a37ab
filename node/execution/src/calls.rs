//! Calls to the built-in canisters, and answers: how a call ends, whoever made it.
//!
//! The management canister and the system canisters are functions on the state. They run when their call is made: a
//! canister's in the message that made it, a client's in its turn.

use crate::engine::Engine;
use mains_ledger::Account;
use mains_state::{Callback, CallOrigin, IngressStatus, Message, Response, State};
use mains_types::{CanisterId, Cycles, Digest32, Principal, Reject, RejectCode, RequestId, ErrorCode, limits};
use std::sync::Arc;

/// A call to the management canister or to a system canister.
///
/// Whatever the callee changes is undone if it answers with [`Outcome::Reject`], except [`SystemCall::instructions_used`],
/// [`SystemCall::compiled`] and the lines of [`SystemCall::kept_logs`].
pub struct SystemCall<'a> {
    /// The state, to be changed. Its `time` is the block's.
    pub state: &'a mut State,
    /// The Wasm host.
    pub engine: &'a dyn Engine,
    /// Who calls.
    pub sender: Principal,
    /// Who waits for the answer; to be stored with an [`Outcome::Later`].
    pub origin: CallOrigin,
    /// The canister that is called.
    pub callee: CanisterId,
    /// The method.
    pub method: &'a str,
    /// The argument.
    pub argument: &'a [u8],
    /// Cycles that came with the call and are not accepted yet. They are in flight; what is left goes back with the answer.
    pub cycles: Cycles,
    /// Where random bytes come from.
    pub random: &'a mut Random,
    /// Instructions that hooks run for this call may use together.
    pub instructions_max: u64,
    /// Instructions used so far; charged to the canister that the call is about, also after a reject.
    pub instructions_used: u64,
    /// Instructions of compiling modules; likewise.
    pub compiled: u64,
    /// Log lines of canisters, kept also after a reject.
    pub kept_logs: Vec<(CanisterId, Vec<Vec<u8>>)>,
}

/// What became of a call to a built-in canister.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Reply(Vec<u8>),
    /// Refused; everything it changed is undone.
    Reject(Reject),
    /// Answered later by [`respond`] to the origin that the callee stored, with the attached cycles as refund.
    Later,
}

impl SystemCall<'_> {
    /// Moves up to `amount` of the attached cycles to an account; returns how many.
    pub fn accept(&mut self, to: &Account, amount: Cycles) -> Cycles {
        let accepted = amount.min(self.cycles);
        self.state.ledger.release(to, accepted);
        self.cycles = self.cycles.saturating_sub(accepted);
        accepted
    }

    /// Instructions that hooks may still use.
    pub fn instructions_left(&self) -> u64 {
        self.instructions_max.saturating_sub(self.instructions_used)
    }
}

/// Random bytes of one block: the beacon's value of an earlier height, expanded.
#[derive(Clone, Debug)]
pub struct Random {
    seed: Digest32,
    count: u64,
}

impl Random {
    /// The bytes of a block with this beacon value.
    pub fn new(seed: Digest32) -> Self {
        Self { seed, count: 0 }
    }

    /// The next 32 bytes.
    pub fn next(&mut self) -> Digest32 {
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

fn within_limit(reply: Vec<u8>) -> Result<Vec<u8>, Reject> {
    if reply.len() <= limits::PAYLOAD_BYTES_MAX {
        return Ok(reply);
    }
    let text = format!("The reply has {} bytes, {} are allowed", reply.len(), limits::PAYLOAD_BYTES_MAX);
    Err(Reject::new(RejectCode::CanisterError, ErrorCode::CanisterContractViolation, text))
}
