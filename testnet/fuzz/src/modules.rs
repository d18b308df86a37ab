//! Modules that nobody wrote: wasm-smith's, within what canisters may be.

use crate::Random;
use arbitrary::Unstructured;
use std::sync::LazyLock;
use wasm_encoder::{
    Instruction, Module,
    reencode::{Error, Reencode, utils::parse_core_module},
};
use wasm_smith::{Config, InstructionKind, InstructionKinds, MemoryOffsetChoices};

/// System calls that generated modules may make: those that take no pointers, and those that do.
static IMPORTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let scalars = r#"(import "ic0" "time" (func (result i64)))
        (import "ic0" "performance_counter" (func (param i32) (result i64)))
        (import "ic0" "canister_version" (func (result i64)))
        (import "ic0" "in_replicated_execution" (func (result i32)))
        (import "ic0" "stable64_grow" (func (param i64) (result i64)))
        (import "ic0" "stable64_write" (func (param i64 i64 i64)))
        (import "ic0" "stable64_read" (func (param i64 i64 i64)))
        (import "ic0" "msg_reply" (func))"#;
    let pointers = r#"(import "ic0" "debug_print" (func (param i32 i32)))
        (import "ic0" "msg_arg_data_copy" (func (param i32 i32 i32)))
        (import "ic0" "msg_reply_data_append" (func (param i32 i32)))"#;
    [format!("(module {scalars})"), format!("(module {scalars} {pointers})")]
        .map(|text| wat::parse_str(text).expect("written here"))
});

/// Entry points that generated modules have.
static EXPORTS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let names = ["canister_update a", "canister_update b", "canister_query c", "canister_heartbeat"];
    let functions: String = names.iter().map(|name| format!(r#"(func (export "{name}"))"#)).collect();
    wat::parse_str(format!("(module {functions})")).expect("written here")
});

/// Bytes that wasm-smith draws a module from.
const DRAWN_BYTES: usize = 8 << 10;
/// Pages of 64 KiB of a generated memory.
const MEMORY_PAGES: u64 = 40;

/// A module of this stream's numbers. Nearly all are valid canisters.
///
/// # Panics
/// If wasm-smith makes something that is no module.
pub fn generate(random: &mut Random) -> Vec<u8> {
    loop {
        let (config, count) = (config(random), 64 + random.below(DRAWN_BYTES));
        let bytes = random.bytes(count);
        // Too few bytes for what it began is no error worth a word.
        let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)) else { continue };
        return tame(&module.to_bytes());
    }
}

/// A module of this stream's numbers that may use all of WebAssembly: most are no canisters.
pub fn generate_anything(random: &mut Random) -> Vec<u8> {
    loop {
        let count = 64 + random.below(DRAWN_BYTES);
        let bytes = random.bytes(count);
        let config = Config {
            exports: random.one_in(2).then(|| EXPORTS.clone()),
            max_memory32_bytes: MEMORY_PAGES << 16,
            max_memory64_bytes: u128::from(MEMORY_PAGES << 16),
            max_table_elements: 1_000,
            threads_enabled: random.one_in(3),
            gc_enabled: random.one_in(3),
            exceptions_enabled: random.one_in(3),
            max_memories: 1 + random.below(2),
            ..Config::default()
        };
        if let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)) {
            return module.to_bytes();
        }
    }
}

/// What canisters may use, with some of it left out by chance so that the rest meets more often.
fn config(random: &mut Random) -> Config {
    let memory64 = random.one_in(3);
    let mut kinds = vec![
        InstructionKind::Numeric,
        InstructionKind::Parametric,
        InstructionKind::Variable,
        InstructionKind::Control,
        InstructionKind::Memory,
    ];
    kinds.extend((!random.one_in(3)).then_some(InstructionKind::Vector));
    let references = random.one_in(4);
    kinds.extend(references.then_some(InstructionKind::Reference));
    Config {
        available_imports: (!random.one_in(4)).then(|| IMPORTS[usize::from(!memory64)].clone()),
        exports: Some(EXPORTS.clone()),
        allowed_instructions: InstructionKinds::new(&kinds),
        allow_floats: !random.one_in(6),
        allow_start_export: true,
        bulk_memory_enabled: true,
        canonicalize_nans: false,
        const_expr_fuel: 1,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: false,
        // Otherwise the first access of most modules is outside their memory.
        disallow_traps: random.one_in(2),
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        generate_custom_sections: false,
        max_data_segments: 4,
        max_element_segments: 4,
        max_elements: 10,
        max_funcs: 1 + random.below(12),
        max_globals: 4 + random.below(8),
        max_imports: 8,
        max_instructions: 20 + random.below(500),
        max_memories: 1,
        max_memory32_bytes: MEMORY_PAGES << 16,
        max_memory64_bytes: u128::from(MEMORY_PAGES << 16),
        max_table_elements: 100,
        max_tables: 1,
        max_types: 20,
        memory64_enabled: memory64,
        memory_max_size_required: random.one_in(2),
        memory_offset_choices: MemoryOffsetChoices(90, 9, 1),
        min_data_segments: random.below(2),
        min_funcs: 1,
        min_globals: random.below(4),
        min_memories: u32::from(!random.one_in(8)),
        min_tables: u32::from(random.one_in(2)),
        multi_value_enabled: true,
        reference_types_enabled: references,
        relaxed_simd_enabled: false,
        saturating_float_to_int_enabled: true,
        shared_everything_threads_enabled: false,
        sign_extension_ops_enabled: true,
        simd_enabled: true,
        tail_call_enabled: true,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// The module with `data.drop`, which canisters may not use and wasm-smith cannot leave out, replaced by nothing.
///
/// # Panics
/// If it is no module.
pub fn tame(wasm: &[u8]) -> Vec<u8> {
    struct Tame;
    impl Reencode for Tame {
        type Error = std::convert::Infallible;
        fn instruction<'a>(
            &mut self,
            operator: wasmparser::Operator<'a>,
        ) -> Result<Instruction<'a>, Error<Self::Error>> {
            match operator {
                wasmparser::Operator::DataDrop { .. } => Ok(Instruction::Nop),
                other => wasm_encoder::reencode::utils::instruction(self, other),
            }
        }
    }
    let mut module = Module::new();
    parse_core_module(&mut Tame, &mut module, wasmparser::Parser::new(0), wasm).expect("wasm-smith makes modules");
    module.finish()
}
