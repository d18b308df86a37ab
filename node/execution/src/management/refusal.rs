//! Every reason for which the management canister and the built-in canisters refuse: one place for code and sentence.

pub(crate) use crate::rejects::not_found;

use mains_types::{CanisterId, ErrorCode, Principal, Reject, RejectCode, limits};

/// The argument does not decode.
pub(crate) fn undecodable(method: &str) -> Reject {
    payload(format!("The argument of {method} does not decode as the interface's types."))
}

/// The argument decodes but does not fit.
pub(crate) fn payload(message: impl Into<String>) -> Reject {
    Reject::new(RejectCode::CanisterReject, ErrorCode::InvalidManagementPayload, message)
}

/// There is no such method.
pub(crate) fn no_method(callee: &str, method: &str) -> Reject {
    let message = format!("{callee} has no method {method:?}.");
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterMethodNotFound, message)
}

/// The method exists on the Internet Computer and not here.
pub(crate) fn not_offered(method: &str, why: &str) -> Reject {
    let message = format!("The management canister does not offer {method}: {why}.");
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterMethodNotFound, message)
}

/// The method cannot be called by a client.
pub(crate) fn canisters_only(method: &str) -> Reject {
    let message = format!("{method} can only be called by canisters.");
    Reject::new(RejectCode::CanisterReject, ErrorCode::InvalidManagementPayload, message)
}

/// The method can only be called as a query.
pub(crate) fn queries_only(method: &str) -> Reject {
    let message = format!("{method} can only be called as a query.");
    Reject::new(RejectCode::CanisterReject, ErrorCode::InvalidManagementPayload, message)
}

/// The caller is no controller.
pub(crate) fn not_controller(id: &CanisterId, caller: &Principal, method: &str) -> Reject {
    let message = format!("Only controllers of canister {id} can call {method}; {caller} is none.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterInvalidController, message)
}

/// The caller may not read this.
pub(crate) fn not_visible(id: &CanisterId, caller: &Principal, what: &str) -> Reject {
    let message = format!("{caller} is not allowed to read the {what} of canister {id}.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterInvalidController, message)
}

/// Not enough cycles were attached or owned.
pub(crate) fn out_of_cycles(message: impl Into<String>) -> Reject {
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterOutOfCycles, message)
}

/// The canister has code already.
pub(crate) fn not_empty(id: &CanisterId) -> Reject {
    let message = format!("Canister {id} has code already; install with mode reinstall or upgrade.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterNonEmpty, message)
}

/// The canister has no code.
pub(crate) fn no_code(id: &CanisterId) -> Reject {
    let message = format!("Canister {id} has no code installed.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterWasmModuleNotFound, message)
}

/// The module breaks a rule.
pub(crate) fn invalid_module(rule: impl std::fmt::Display) -> Reject {
    let message = format!("Canister's Wasm module is not valid: {rule}.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterInvalidModule, message)
}

/// Too many modules wait to be compiled.
pub(crate) fn lane_is_full() -> Reject {
    let message = "Too many large modules wait to be compiled on this subnet. Try again in some minutes.";
    Reject::new(RejectCode::SysTransient, ErrorCode::CanisterInstallCodeRateLimited, message)
}

/// What was looked at and paid for is not there any more.
pub(crate) fn changed_meanwhile(id: &[u8]) -> Reject {
    let hex: String = id.iter().take(40).map(|byte| format!("{byte:02x}")).collect();
    payload(format!("The module of snapshot {hex} was changed while it was being compiled."))
}

/// The subnet installs only what its publisher signed.
pub(crate) fn not_published(why: &str) -> Reject {
    let message = format!(
        "This subnet installs only modules that their publisher signed (require_publisher_signature), and not this one: {why}; sign it with `mains module sign`."
    );
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterInvalidModule, message)
}

/// The canister must be stopped first.
pub(crate) fn not_stopped(id: &CanisterId) -> Reject {
    let message = format!("Canister {id} must be stopped before it is deleted.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterNotStopped, message)
}

/// The operation is for test networks.
pub(crate) fn test_networks_only(method: &str) -> Reject {
    let message = format!("{method} exists on test networks only.");
    Reject::new(RejectCode::CanisterReject, ErrorCode::InvalidManagementPayload, message)
}

/// No more canister ids.
pub(crate) fn subnet_full() -> Reject {
    let message = "The subnet has handed out all of its canister ids.";
    Reject::new(RejectCode::SysTransient, ErrorCode::SubnetOversubscribed, message)
}

/// The subnet's storage is used up.
pub(crate) fn no_storage(asked: u64, left: u64) -> Reject {
    let message = format!("The subnet has {left} bytes of storage left, not {asked}.");
    Reject::new(RejectCode::SysTransient, ErrorCode::SubnetOversubscribed, message)
}

/// The method is no query.
pub(crate) fn no_query(method: &str) -> Reject {
    let message = format!("{method} cannot be called as a query.");
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterMethodNotFound, message)
}

/// The canister whose stop somebody waits for was started.
pub(crate) fn started(id: &CanisterId) -> Reject {
    let message = format!("Canister {id} was started before it had stopped.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterStopping, message)
}

/// The canister that works on a call lost its code or was deleted.
pub(crate) fn uninstalled(id: &CanisterId) -> Reject {
    let message = format!("Canister {id} was uninstalled before it answered.");
    Reject::new(RejectCode::CanisterReject, ErrorCode::CanisterWasmModuleNotFound, message)
}

/// The heap is larger than the settings allow.
pub(crate) fn heap_too_large(id: &CanisterId, bytes: u64, limit: u64) -> Reject {
    let message = format!("The heap of canister {id} begins with {bytes} bytes, its wasm_memory_limit is {limit}.");
    Reject::new(RejectCode::CanisterError, ErrorCode::CanisterWasmMemoryLimitExceeded, message)
}

/// A chunk is too large.
pub(crate) fn chunk_too_large(bytes: usize) -> Reject {
    payload(format!("A chunk has at most {} bytes, this one {bytes}.", limits::CHUNK_BYTES_MAX))
}

/// There is no such snapshot.
pub(crate) fn no_snapshot(id: &[u8]) -> Reject {
    let hex: String = id.iter().take(40).map(|byte| format!("{byte:02x}")).collect();
    payload(format!("There is no snapshot {hex}; list_canister_snapshots tells which there are."))
}

/// The canister has as many snapshots as it may have.
pub(crate) fn too_many_snapshots(id: &CanisterId) -> Reject {
    payload(format!(
        "Canister {id} has {} snapshots, the most there may be; delete one, or name one in replace_snapshot.",
        limits::SNAPSHOTS_MAX
    ))
}
