//! What callers read when a canister fails: the one table from [`Trap`] to reject texts.

use crate::engine::Trap;
use mains_types::{CanisterId, Cycles, ErrorCode, Reject, RejectCode};

/// The reject that a trap turns into. Wording and codes follow the Internet Computer's where it has them.
pub(crate) fn reject(canister: &CanisterId, trap: &Trap) -> Reject {
    let text = format!("Error from Canister {canister}: {}", sentence(trap));
    Reject::new(RejectCode::CanisterError, error_code(trap), text)
}

/// A message that went on over several rounds spent what its canister had when it began, but has not any more.
pub(crate) fn spent_meanwhile(before: Cycles, now: Cycles) -> Trap {
    Trap::Contract(format!(
        "it spent more cycles than are left: {before} when it began, {now} at its end, because calls to it were paid meanwhile"
    ))
}

/// What a trap adds to the canister's log.
pub(crate) fn log_line(trap: &Trap) -> Vec<u8> {
    match trap {
        Trap::Called(message) => format!("[TRAP]: {message}").into_bytes(),
        other => format!("[TRAP]: {}", sentence(other)).into_bytes(),
    }
}

fn sentence(trap: &Trap) -> String {
    match trap {
        Trap::OutOfInstructions => "Canister exceeded the limit of instructions for single message execution".into(),
        Trap::StackOverflow => "Canister trapped: stack overflow".into(),
        Trap::HeapOutOfBounds => "Canister trapped: heap out of bounds".into(),
        Trap::TableOutOfBounds => "Canister trapped: table out of bounds".into(),
        Trap::Unreachable => "Canister trapped: unreachable".into(),
        Trap::DivisionByZero => "Canister trapped: integer division by 0".into(),
        Trap::IntegerOverflow => "Canister trapped: integer overflow".into(),
        Trap::IndirectCall => "Canister trapped: indirect call to a missing function or one of another type".into(),
        Trap::Called(message) => format!("Canister called `ic0.trap` with message: '{message}'"),
        Trap::Contract(rule) => format!("Canister violated contract: {rule}"),
        Trap::OutOfMemory => "Canister cannot grow its memory any further".into(),
        Trap::HeapLimit { bytes, limit } => format!(
            "Canister exceeded its current Wasm memory limit of {limit} bytes: its heap would have {bytes} bytes; raise wasm_memory_limit in its settings"
        ),
        Trap::FunctionNotFound(index) => {
            format!("Canister trapped: no callback function {index} of the right type in the table")
        }
    }
}

fn error_code(trap: &Trap) -> ErrorCode {
    match trap {
        Trap::Called(_) => ErrorCode::CanisterCalledTrap,
        Trap::OutOfInstructions => ErrorCode::CanisterInstructionLimitExceeded,
        Trap::Contract(_) => ErrorCode::CanisterContractViolation,
        Trap::OutOfMemory => ErrorCode::CanisterOutOfMemory,
        Trap::HeapLimit { .. } => ErrorCode::CanisterWasmMemoryLimitExceeded,
        Trap::FunctionNotFound(_) => ErrorCode::CanisterFunctionNotFound,
        Trap::StackOverflow
        | Trap::HeapOutOfBounds
        | Trap::TableOutOfBounds
        | Trap::Unreachable
        | Trap::DivisionByZero
        | Trap::IntegerOverflow
        | Trap::IndirectCall => ErrorCode::CanisterTrapped,
    }
}
