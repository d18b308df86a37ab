//! What installing a module costs, before anybody pays for it.

use mains_engine::WasmtimeEngine;
use mains_execution::engine::{Engine as _, INSPECT_INSTRUCTIONS_PER_BYTE, MODULE_INSTRUCTIONS};
use mains_types::limits;

/// Instructions that a subnet charges for looking at a module (not compressed) and compiling it.
///
/// # Errors
/// The rule that the module breaks, or why there is no engine, in a sentence.
pub fn compile_instructions(wasm: &[u8]) -> Result<u64, String> {
    let engine = WasmtimeEngine::new(None).map_err(|error| error.to_string())?;
    let info = engine.inspect(wasm).map_err(|error| error.to_string())?;
    let looking = INSPECT_INSTRUCTIONS_PER_BYTE.saturating_mul(wasm.len() as u64);
    let is_small = info.compile_instructions <= limits::COMPILE_AT_ONCE_INSTRUCTIONS_MAX;
    let apart = if is_small { MODULE_INSTRUCTIONS } else { 0 };
    Ok(info.compile_instructions.saturating_add(looking).saturating_add(apart))
}
