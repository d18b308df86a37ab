//! Decides whether a module may be installed, by our own rules, before any engine sees it.
//!
//! Every replica must come to the same verdict with the same words for ever, so the WebAssembly features are our own constant
//! ([`FEATURES`]) rather than an engine's defaults, every bound comes from [`mains_types::limits`], and the validator's
//! version is pinned. Source: interface specification, "Canister module format"; `specs/wasm.md`, `specs/limits.md`.

mod functions;
mod globals;
mod interface;
mod price;
#[cfg(test)]
mod tests;

use interface::Interface;
use mains_execution::engine::{ModuleError, ModuleInfo};
use mains_types::limits;
use wasmparser::{Parser, Payload, TableInit, TypeRef, ValidPayload, Validator, WasmFeatures};

/// The WebAssembly that canisters may use. What is not named here is off, whatever an engine offers: threads, relaxed SIMD,
/// several memories, garbage collection, exceptions, stack switching, custom page sizes, wide arithmetic, extended constants.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::TAIL_CALL);

/// Units of a whole module: none costs more to compile than an install may use.
const MODULE_UNITS_MAX: u64 = limits::COMPILE_INSTRUCTIONS_MAX / price::INSTRUCTIONS_PER_UNIT;

/// A broken rule, with its place.
pub(crate) fn refuse<T>(rule: impl Into<String>, offset: impl TryInto<u64>) -> Result<T, ModuleError> {
    Err(ModuleError { rule: rule.into(), offset: offset.try_into().ok() })
}

fn invalid(error: wasmparser::Error) -> ModuleError {
    // Some of the validator's texts have more than one line.
    let reason: Vec<&str> = error.message().split_whitespace().collect();
    ModuleError { rule: format!("is no valid module: {}", reason.join(" ")), offset: Some(error.offset() as u64) }
}

/// Checks a module and tells what the host must know about it.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn validate(wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
    if wasm.len() > limits::MODULE_BYTES_MAX {
        return refuse(format!("has {} bytes, more than {}", wasm.len(), limits::MODULE_BYTES_MAX), 0u64);
    }
    let mut validator = Validator::new_with_features(FEATURES);
    let mut parser = Parser::new(0);
    parser.set_features(FEATURES);
    let mut interface = Interface::default();
    let mut allocations = Default::default();
    let (mut units, mut has_start) = (wasm.len() as u64 / price::BYTES_PER_UNIT, false);
    for payload in parser.parse_all(wasm) {
        let payload = payload.map_err(invalid)?;
        match validator.payload(&payload).map_err(invalid)? {
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(allocations);
                units += functions::check(&mut function, &body)?;
                if units > MODULE_UNITS_MAX {
                    return refuse(
                        format!("is too large to compile: it weighs more than {MODULE_UNITS_MAX}"),
                        body.range().start,
                    );
                }
                allocations = function.into_allocations();
            }
            ValidPayload::Ok | ValidPayload::End(_) => {
                units += price::ITEM_UNITS * items(&payload);
                section(&payload, &mut interface)?;
            }
            ValidPayload::Parser(_) => return refuse("is no core module", 0u64),
        }
        has_start |= matches!(payload, Payload::StartSection { .. });
    }
    if units > MODULE_UNITS_MAX {
        return refuse(format!("is too large to compile: it weighs more than {MODULE_UNITS_MAX}"), 0u64);
    }
    let mut info = interface.finish()?;
    info.id = *blake3::hash(wasm).as_bytes();
    info.has_start = has_start;
    info.compile_instructions = units * price::INSTRUCTIONS_PER_UNIT;
    Ok(info)
}

/// How many things a section declares that a host must keep.
fn items(payload: &Payload<'_>) -> u64 {
    u64::from(match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::CustomSection(_) => 1,
        _ => 0,
    })
}

/// Rules for a section as a whole; the validator has accepted it.
fn section(payload: &Payload<'_>, interface: &mut Interface) -> Result<(), ModuleError> {
    match payload {
        Payload::TypeSection(section) => {
            for group in section.clone() {
                interface.types.extend(group.map_err(invalid)?.into_types());
            }
        }
        Payload::ImportSection(section) => {
            for import in section.clone().into_imports_with_offsets() {
                let (offset, import) = import.map_err(invalid)?;
                match import.ty {
                    TypeRef::Func(ty) => interface.import(import.module, import.name, ty, offset as u64),
                    other => {
                        let kind = match other {
                            TypeRef::Memory(_) => "a memory",
                            TypeRef::Table(_) => "a table",
                            TypeRef::Global(_) => "a global",
                            _ => "something else",
                        };
                        return refuse(
                            format!(
                                "imports {kind} ({}.{}); only functions can be",
                                import.module.escape_debug(),
                                import.name.escape_debug()
                            ),
                            offset,
                        );
                    }
                }
            }
        }
        Payload::FunctionSection(section) => {
            if section.count() as usize > limits::MODULE_FUNCTIONS_MAX {
                let rule = format!("defines {} functions, more than {}", section.count(), limits::MODULE_FUNCTIONS_MAX);
                return refuse(rule, section.range().start);
            }
            for ty in section.clone() {
                interface.functions.push(ty.map_err(invalid)?);
            }
        }
        Payload::TableSection(section) => {
            if section.count() > 1 {
                return refuse("defines more than one table", section.range().start);
            }
            for table in section.clone() {
                let table = table.map_err(invalid)?;
                if table.ty.initial > limits::MODULE_TABLE_ENTRIES_MAX {
                    let rule = format!(
                        "has a table of {} entries, more than {}",
                        table.ty.initial,
                        limits::MODULE_TABLE_ENTRIES_MAX
                    );
                    return refuse(rule, section.range().start);
                }
                if !matches!(table.init, TableInit::RefNull) {
                    return refuse("has a table with an initial value", section.range().start);
                }
            }
        }
        Payload::MemorySection(section) => {
            for memory in section.clone() {
                let memory = memory.map_err(invalid)?;
                interface.memory64 = memory.memory64;
                if memory.initial > limits::HEAP_BYTES_MAX / limits::WASM_PAGE_BYTES {
                    let rule =
                        format!("has a memory of {} pages, more than {} bytes", memory.initial, limits::HEAP_BYTES_MAX);
                    return refuse(rule, section.range().start);
                }
                let most = limits::HEAP_BYTES_MAX / limits::WASM_PAGE_BYTES;
                interface.memory_bytes_max = memory.maximum.unwrap_or(most).min(most) * limits::WASM_PAGE_BYTES;
            }
        }
        Payload::GlobalSection(section) => {
            if section.count() as usize > limits::MODULE_GLOBALS_MAX {
                let rule = format!("defines {} globals, more than {}", section.count(), limits::MODULE_GLOBALS_MAX);
                return refuse(rule, section.range().start);
            }
            for global in section.clone() {
                let global = global.map_err(invalid)?;
                if global.ty.mutable && global.ty.content_type.is_reference_type() {
                    return refuse("has a mutable global that holds a reference", section.range().start);
                }
                interface.globals.push(globals::describe(&global).map_err(invalid)?);
            }
        }
        Payload::ExportSection(section) => {
            for export in section.clone().into_iter_with_offsets() {
                let (offset, export) = export.map_err(invalid)?;
                interface.export(&export, offset as u64)?;
            }
        }
        Payload::CodeSectionStart { range, .. } if range.len() > limits::MODULE_CODE_BYTES_MAX => {
            let rule = format!("has {} bytes of code, more than {}", range.len(), limits::MODULE_CODE_BYTES_MAX);
            return refuse(rule, range.start);
        }
        Payload::CustomSection(section) => {
            interface.custom(section.name(), section.data(), section.range().start as u64)?;
        }
        _ => {}
    }
    Ok(())
}
