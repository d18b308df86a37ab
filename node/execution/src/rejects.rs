//! Why a call does not reach a canister's code, or ends without an answer of its own: the one table of these texts.
//!
//! Codes are the Internet Computer's, because its tools act on them.

use mains_state::{CallPolicy, call_policy::Exhausted};
use mains_types::{CanisterId, Cycles, ErrorCode, Principal, Reject, RejectCode, UnixNanos, limits};

pub(crate) fn not_found(id: &CanisterId) -> Reject {
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterNotFound, format!("Canister {id} not found"))
}

pub(crate) fn stopped(id: &CanisterId) -> Reject {
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterStopped, format!("Canister {id} is stopped"))
}

pub(crate) fn stopping(id: &CanisterId) -> Reject {
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterStopping, format!("Canister {id} is stopping"))
}

pub(crate) fn no_module(id: &CanisterId) -> Reject {
    let text = format!(
        "Error from Canister {id}: Attempted to execute a message, but the canister contains no Wasm module. \
         Install one first."
    );
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound, text)
}

/// Open calls of the canister did not end in time; it goes on stopping.
pub(crate) fn still_stopping(id: &CanisterId) -> Reject {
    let message = format!("Stop canister request timed out: canister {id} still has open calls and goes on stopping.");
    Reject::new(RejectCode::SysTransient, ErrorCode::StopCanisterRequestTimeout, message)
}

/// `kind` is `update`, `query` or `composite query`.
pub(crate) fn no_method(id: &CanisterId, kind: &str, method: &str) -> Reject {
    let text = format!("Error from Canister {id}: Canister has no {kind} method '{method}'.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterMethodMissing, text)
}

pub(crate) fn queue_full(id: &CanisterId) -> Reject {
    let text = format!("Canister {id} has too many messages waiting. Try again later.");
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterQueueFull, text)
}

/// Built-in canisters take no more calls of this sender for now.
pub(crate) fn share_full(sender: &Principal) -> Reject {
    let text = format!("Too many calls of {sender} to built-in canisters are waiting. Try again when some have ended.");
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterQueueFull, text)
}

pub(crate) fn out_of_cycles(id: &CanisterId, needed: Cycles, balance: Cycles, frozen: Cycles) -> Reject {
    let text = format!(
        "Canister {id} is out of cycles: {needed} are needed, it has {balance}, of which {frozen} must stay \
         (freezing threshold). Top it up and try again."
    );
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles, text)
}

pub(crate) fn too_few_cycles(id: &CanisterId, attached: Cycles, least: Cycles) -> Reject {
    let text = format!("Canister {id} takes calls with at least {least} cycles; {attached} were attached");
    Reject::new(RejectCode::CanisterReject, ErrorCode::CanisterRejectedMessage, text)
}

pub(crate) fn did_not_reply(id: &CanisterId) -> Reject {
    let text = format!("Error from Canister {id}: Canister did not reply to the call");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterDidNotReply, text)
}

pub(crate) fn by_canister(message: String) -> Reject {
    Reject { code: RejectCode::CanisterReject, message, error_code: Some(ErrorCode::CanisterRejectedMessage) }
}

pub(crate) fn not_accepted(id: &CanisterId) -> Reject {
    let text = format!("Canister {id} rejected the message");
    Reject::new(RejectCode::CanisterReject, ErrorCode::CanisterRejectedMessage, text)
}

/// A limit that the canister's controllers set on calls from outside is used up.
pub(crate) fn call_policy(id: &CanisterId, policy: &CallPolicy, exhausted: Exhausted, now: UnixNanos) -> Reject {
    let cycles = policy.cycles_per_hour.unwrap_or_default();
    let calls = policy.calls_per_caller_per_hour.unwrap_or_default();
    let why = match exhausted {
        Exhausted::Cycles => format!("may cost it {cycles} cycles an hour, of which {} are spent", policy.spent(now)),
        Exhausted::Caller => format!("are limited to {calls} an hour for each caller, and this one has made so many"),
        Exhausted::Others => format!(
            "are limited to {calls} an hour for each caller; {} have called, and all others together have made as many \
             as these may",
            limits::CALL_POLICY_CALLERS_MAX
        ),
    };
    let advice = match policy.ends_at(now) {
        Some(end) => format!("Try again in {} minutes.", end.nanos_since(now).div_ceil(60 * UnixNanos::SECOND)),
        None => "One alone is more than that.".into(),
    };
    let text = format!("Canister {id} does not take this call: calls from outside {why}. {advice}");
    Reject::new(RejectCode::CanisterReject, ErrorCode::CanisterRejectedMessage, text)
}

pub(crate) fn timed_out() -> Reject {
    Reject { code: RejectCode::SysUnknown, message: "Call has timed out.".into(), error_code: None }
}

pub(crate) fn reply_too_large(bytes: usize, limit: usize) -> Reject {
    let text = format!("The reply has {bytes} bytes, {limit} are allowed");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterContractViolation, text)
}

pub(crate) fn composite_loop(id: &CanisterId) -> Reject {
    let text =
        format!("Composite queries must not call each other in a circle; canister {id} is already part of this one");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterContractViolation, text)
}

pub(crate) fn composite_limit(what: &str) -> Reject {
    let text = format!("The composite query exceeds the limit of {what}");
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterInstructionLimitExceeded, text)
}
