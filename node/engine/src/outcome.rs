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

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(error: impl Into<wasmtime::Error>) -> Result<(), Failure> {
        Err(Failure::Engine(error.into()))
    }

    #[test]
    #[should_panic(expected = "the Wasm engine failed")]
    fn an_error_that_is_not_ours_stops_the_replica() {
        let _ = outcome(engine(wasmtime::Error::msg("the host is out of something")), None, 1, 1);
    }

    #[test]
    #[should_panic(expected = "the Wasm engine failed")]
    fn the_end_of_the_hosts_stack_stops_the_replica() {
        let _ = outcome(engine(wasmtime::Trap::StackOverflow), None, 1, 1);
    }

    #[test]
    #[should_panic(expected = "the Wasm engine failed")]
    fn a_trap_that_canisters_cannot_bring_about_stops_the_replica() {
        let _ = outcome(engine(wasmtime::Trap::Interrupt), None, 1, 1);
    }

    #[test]
    fn our_own_counts_come_first_and_then_what_the_system_interface_said() {
        let unknown = || engine(wasmtime::Error::msg("stopped by the system interface"));
        assert_eq!(outcome(unknown(), Some(Trap::Unreachable), -1, -1), Err(Trap::OutOfInstructions));
        assert_eq!(outcome(unknown(), Some(Trap::Unreachable), 0, -1), Err(Trap::StackOverflow));
        assert_eq!(outcome(unknown(), Some(Trap::OutOfMemory), 0, 0), Err(Trap::OutOfMemory));
        assert_eq!(outcome(engine(wasmtime::Trap::TableOutOfBounds), None, 0, 0), Err(Trap::TableOutOfBounds));
    }
}
