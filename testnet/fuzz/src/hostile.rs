//! Modules made to be slow to compile: each shape at the size that the limits allow, so that a price can be held against it.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, InstructionSink, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TypeSection, ValType,
};

/// A shape: its name and the module with about `size` operators in all, in functions of about `function` operators.
pub type Shape = (&'static str, fn(size: usize, function: usize) -> Vec<u8>);

/// Every shape that was ever found to be slow, or expected to be.
pub const SHAPES: [Shape; 23] = [
    ("straight", |size, function| bodies(size, function, 4, &[(4, ValType::I64)], straight)),
    ("nested-blocks", |size, function| bodies(size, function, 2, &[], nested_blocks)),
    ("nested-loops", |size, function| bodies(size, function, 2, &[(2, ValType::I64)], nested_loops)),
    ("nested-ifs", |size, function| bodies(size, function, 3, &[(1, ValType::I32)], nested_ifs)),
    ("sibling-loops", |size, function| bodies(size, function, 8, &[(2, ValType::I64)], sibling_loops)),
    ("branches-over-locals", |size, function| bodies(size, function, 4, &[(200, ValType::I64)], branches_over_locals)),
    ("loops-over-locals", |size, function| bodies(size, function, 6, &[(500, ValType::I64)], loops_over_locals)),
    ("table-branches", |size, function| bodies(size, function, 104, &[], table_branches)),
    ("deep-operand-stack", |size, function| bodies(size, function, 4, &[(1, ValType::I64)], deep_stack)),
    ("operands-over-blocks", |size, function| bodies(size, function, 5, &[(1, ValType::I64)], operands_over_blocks)),
    ("many-locals", |size, function| bodies(size, function, 1, &[(9_000, ValType::I64)], straight_over_locals)),
    ("vector-shuffles", |size, function| bodies(size, function, 6, &[(8, ValType::V128)], vectors)),
    ("vector-multiplies", |size, function| bodies(size, function, 4, &[(8, ValType::V128)], vector_multiplies)),
    ("scalar-floats", |size, function| bodies(size, function, 4, &[(8, ValType::F64)], floats)),
    ("float-conversions", |size, function| {
        bodies(size, function, 5, &[(2, ValType::F64), (2, ValType::I64)], conversions)
    }),
    ("calls", |size, function| bodies(size, function, 3, &[(1, ValType::I64)], calls)),
    ("calls-with-many-values", many_values),
    ("indirect-calls", |size, function| bodies(size, function, 4, &[(1, ValType::I64)], indirect_calls)),
    ("stores", |size, function| bodies(size, function, 4, &[(2, ValType::I32)], stores)),
    ("divisions", |size, function| bodies(size, function, 4, &[(2, ValType::I64)], divisions)),
    ("bulk-operations", |size, function| bodies(size, function, 4, &[], bulk)),
    ("block-results", |size, function| bodies(size, function, 5, &[(1, ValType::I64)], block_results)),
    ("irreducible-values", |size, function| bodies(size, function, 5, &[(64, ValType::I64)], rotating_locals)),
];

/// Writes `count` units of a shape into a function.
type Writer = fn(sink: &mut InstructionSink<'_>, count: usize);

/// A module whose functions are filled by `write`; a unit of it has about `unit` operators.
fn bodies(size: usize, function: usize, unit: usize, locals: &[(u32, ValType)], write: Writer) -> Vec<u8> {
    let count = size.div_ceil(function).max(1);
    module(count, &[], &[], || {
        let mut body = Function::new(locals.iter().copied());
        let mut sink = body.instructions();
        write(&mut sink, function.min(size) / unit);
        sink.end();
        body
    })
}

/// Functions that hand many values on to each other.
fn many_values(size: usize, function: usize) -> Vec<u8> {
    const VALUES: usize = 100;
    let values = vec![ValType::I64; VALUES];
    let count = size.div_ceil(function).max(1);
    module(count, &values, &values, || {
        let mut body = Function::new([]);
        let mut sink = body.instructions();
        for index in 0..VALUES as u32 {
            sink.local_get(index);
        }
        for _ in 0..function.min(size).saturating_sub(VALUES) {
            sink.call(0);
        }
        sink.end();
        body
    })
}

/// One memory, one table with the first function, one global, `count` functions of that type with the body that `body` makes.
fn module(count: usize, parameters: &[ValType], results: &[ValType], body: impl Fn() -> Function) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function(parameters.iter().copied(), results.iter().copied());
    types.ty().function([], []);
    let (mut functions, mut code, mut tables) = (FunctionSection::new(), CodeSection::new(), TableSection::new());
    let body = body();
    for _ in 0..count {
        functions.function(0);
        code.function(&body);
    }
    functions.function(1);
    let mut nothing = Function::new([]);
    nothing.instructions().end();
    code.function(&nothing);
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 10,
        maximum: None,
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut globals = GlobalSection::new();
    let ty = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
    globals.global(ty, &ConstExpr::i64_const(1));
    let mut exports = ExportSection::new();
    exports.export("canister_update go", ExportKind::Func, count as u32);
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(vec![0].into()));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), [1]);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories).section(&globals).section(&exports);
    module.section(&elements).section(&code).section(&data);
    module.finish()
}

fn straight(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count as u32 {
        sink.local_get(index % 4).i64_const(i64::from(index) * 77).i64_mul().local_set((index + 1) % 4);
    }
}

fn straight_over_locals(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..(count / 4) as u32 {
        sink.local_get(index * 7 % 9_000).local_get(index * 13 % 9_000).i64_add().local_set(index * 31 % 9_000);
    }
}

fn nested_blocks(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.block(BlockType::Empty);
    }
    for _ in 0..count {
        sink.end();
    }
}

fn nested_loops(sink: &mut InstructionSink<'_>, count: usize) {
    let depth = (count / 4).max(1);
    for _ in 0..depth {
        sink.loop_(BlockType::Empty).local_get(0).i64_const(1).i64_add().local_set(0);
    }
    for _ in 0..depth {
        sink.local_get(0).i64_eqz().br_if(0).end();
    }
}

fn nested_ifs(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.local_get(0).if_(BlockType::Empty);
    }
    for _ in 0..count {
        sink.end();
    }
}

fn sibling_loops(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.loop_(BlockType::Empty).local_get(0).i64_const(1).i64_sub().local_tee(0).i64_eqz().br_if(0).end();
    }
}

fn branches_over_locals(sink: &mut InstructionSink<'_>, count: usize) {
    sink.block(BlockType::Empty);
    for index in 0..count as u32 {
        sink.local_get(index * 7 % 200).i32_wrap_i64().br_if(0);
        sink.local_get(index % 200).local_set((index * 3 + 1) % 200);
    }
    sink.end();
}

fn loops_over_locals(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count as u32 {
        sink.loop_(BlockType::Empty);
        sink.local_get(index * 7 % 500)
            .local_get(index % 500)
            .i64_add()
            .local_tee(index * 3 % 500)
            .i64_eqz()
            .br_if(0)
            .end();
    }
}

fn table_branches(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..100 {
        sink.block(BlockType::Empty);
    }
    let targets: Vec<u32> = (0..100).collect();
    for _ in 0..count {
        sink.block(BlockType::Empty).i32_const(5).br_table(targets.iter().copied(), 100).end();
    }
    for _ in 0..100 {
        sink.end();
    }
}

fn deep_stack(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count * 2 {
        sink.local_get(0).i64_const(index as i64).i64_mul();
        if index % 2 == 1 {
            sink.global_set(0);
        }
        if index > 2_000 {
            break;
        }
    }
    for _ in 0..count {
        sink.global_get(0);
    }
    for _ in 0..count {
        sink.global_set(0);
    }
    let left = (count * 2).min(2_002).div_ceil(2);
    for _ in 0..left {
        sink.drop();
    }
}

/// Values that live through every block without being used in it.
fn operands_over_blocks(sink: &mut InstructionSink<'_>, count: usize) {
    let values = (count / 5).min(2_000);
    for value in 0..values {
        sink.local_get(0).i64_const(value as i64).i64_mul();
    }
    for _ in 0..count {
        sink.block(BlockType::Empty).global_get(0).i64_eqz().br_if(0).end();
    }
    for _ in 0..values {
        sink.global_set(0);
    }
}

fn vectors(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count as u32 {
        let lanes = std::array::from_fn(|lane| ((lane as u32 * 7 + index) % 32) as u8);
        sink.local_get(index % 8).local_get((index + 3) % 8).i8x16_shuffle(lanes).local_get(index % 7).i8x16_swizzle();
        sink.local_set((index + 5) % 8);
    }
}

fn vector_multiplies(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count as u32 {
        sink.local_get(index % 8).local_get((index + 3) % 8).i64x2_mul().local_set((index + 5) % 8);
    }
}

fn floats(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count as u32 {
        sink.local_get(index % 8).local_get((index + 3) % 8).f64_min().local_set((index + 5) % 8);
    }
}

fn conversions(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.local_get(0).i64_trunc_sat_f64_u().local_tee(2).f64_convert_i64_u().local_set(0);
    }
}

fn calls(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.call(0).call(0).call(0);
    }
}

fn indirect_calls(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.i32_const(0).call_indirect(0, 0).i32_const(1).call_indirect(0, 0);
    }
}

fn stores(sink: &mut InstructionSink<'_>, count: usize) {
    let at = wasm_encoder::MemArg { offset: 16, align: 0, memory_index: 0 };
    for _ in 0..count {
        sink.local_get(0).local_get(1).i32_store(at).nop();
    }
}

fn divisions(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.local_get(0).local_get(1).i64_rem_s().local_set(0);
    }
}

fn bulk(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.i32_const(0).i32_const(0).i32_const(1).memory_copy(0, 0);
    }
}

fn block_results(sink: &mut InstructionSink<'_>, count: usize) {
    for _ in 0..count {
        sink.block(BlockType::Result(ValType::I64)).local_get(0).local_get(0).i64_eqz().br_if(0).end().local_set(0);
    }
}

/// Every block has every local as a value that comes from two sides.
fn rotating_locals(sink: &mut InstructionSink<'_>, count: usize) {
    for index in 0..count as u32 {
        sink.local_get(index % 64).i32_wrap_i64().if_(BlockType::Empty);
        sink.local_get((index * 5 + 1) % 64).local_set((index * 11 + 2) % 64).end();
    }
}
