//! What installing a module costs, before anybody pays for it.

use mains_engine::WasmtimeEngine;
use mains_execution::engine::{Engine as _, INSPECT_INSTRUCTIONS_PER_BYTE, MODULE_INSTRUCTIONS};

/// Instructions that a subnet charges for looking at a module (not compressed) and compiling it.
///
/// # Errors
/// The rule that the module breaks, or why there is no engine, in a sentence.
pub fn compile_instructions(wasm: &[u8]) -> Result<u64, String> {
    let engine = WasmtimeEngine::new(None).map_err(|error| error.to_string())?;
    let info = engine.inspect(wasm).map_err(|error| error.to_string())?;
    let looking = INSPECT_INSTRUCTIONS_PER_BYTE.saturating_mul(wasm.len() as u64);
    Ok(info.compile_instructions.saturating_add(looking).saturating_add(MODULE_INSTRUCTIONS))
}
