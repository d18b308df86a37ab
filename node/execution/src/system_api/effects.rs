//! What a run did, for its caller to apply.

use mains_state::{Continuation, PageTree};
use mains_types::{CanisterId, Cycles, UnixNanos};

/// A call that a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingCall {
    /// Who is called.
    pub callee: CanisterId,
    /// The method.
    pub method: String,
    /// The argument.
    pub argument: Vec<u8>,
    /// Runs on a reply.
    pub on_reply: Continuation,
    /// Runs on a reject.
    pub on_reject: Continuation,
    /// Runs if one of the former traps.
    pub on_cleanup: Option<Continuation>,
    /// Cycles attached.
    pub cycles: Cycles,
    /// What the call costs: to be charged.
    pub fee: Cycles,
    /// Bytes of method name and argument, for the meter.
    pub bytes: u64,
    /// To be set aside for the response and its callback.
    pub reserve: Cycles,
    /// When it stops waiting, for a best-effort call.
    pub deadline: Option<UnixNanos>,
}

impl OutgoingCall {
    /// Everything that leaves the canister's balance with this call.
    pub fn total(&self) -> Cycles {
        self.cycles.saturating_add(self.fee).saturating_add(self.reserve)
    }
}

/// What a successful run did.
#[derive(Clone, Debug)]
pub struct Effects {
    /// The reply, or the text of a reject; `None` if it did not answer.
    pub response: Option<Result<Vec<u8>, String>>,
    /// Calls made, in order.
    pub calls: Vec<OutgoingCall>,
    /// Cycles accepted from the call at work: from in flight to the canister.
    pub accepted: Cycles,
    /// Cycles burned: from the canister to nobody.
    pub burned: Cycles,
    /// What the balance must be afterwards: inputs' balance + accepted - burned - totals of all calls.
    pub balance: Cycles,
    /// New certified data.
    pub certified_data: Option<Vec<u8>>,
    /// The timer, if it was set (`Some(None)`: switched off).
    pub global_timer: Option<Option<UnixNanos>>,
    /// Printed lines, at most [`mains_types::limits::LOG_BYTES_MAX`] bytes; the oldest were dropped beyond.
    pub log: Vec<Vec<u8>>,
    /// Whether `canister_inspect_message` accepted.
    pub message_accepted: bool,
    /// Stable memory afterwards.
    pub stable: PageTree,
    /// Its size in Wasm pages.
    pub stable_pages: u64,
}
