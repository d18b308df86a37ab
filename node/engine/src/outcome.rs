//! Why a run ended, in our own kinds: first by our own counts, then by what the system interface said, last by the engine.

use crate::instance::Failure;
use mains_execution::engine::Trap;

/// The outcome of a run that left this much gas and stack.
///
/// # Panics
/// If the engine ended it for a reason that canister code cannot bring about: a fault of this node.
pub(crate) fn outcome(result: Result<(), Failure>, stopped: Option<Trap>, gas: i64, stack: i64) -> Result<(), Trap> {
    if gas < 0 {
        return Err(Trap::OutOfInstructions);
    }
    if stack < 0 {
        return Err(Trap::StackOverflow);
    }
    match (result, stopped) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(trap)) | (Err(Failure::Trap(trap)), None) => Err(trap),
        (Err(Failure::Engine(error)), None) => Err(trap_of(&error)),
    }
}

/// The kind of a trap of the engine.
///
/// # Panics
/// See [`outcome`].
pub(crate) fn trap_of(error: &wasmtime::Error) -> Trap {
    use wasmtime::Trap as Engine;
    match error.downcast_ref::<Engine>() {
        Some(Engine::MemoryOutOfBounds) => Trap::HeapOutOfBounds,
        Some(Engine::TableOutOfBounds) => Trap::TableOutOfBounds,
        Some(Engine::UnreachableCodeReached) => Trap::Unreachable,
        Some(Engine::IntegerDivisionByZero) => Trap::DivisionByZero,
        Some(Engine::IntegerOverflow | Engine::BadConversionToInteger) => Trap::IntegerOverflow,
        Some(Engine::IndirectCallToNull | Engine::BadSignature) => Trap::IndirectCall,
        _ => panic!("the Wasm engine failed: {error:?}"),
    }
}
