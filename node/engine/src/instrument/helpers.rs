//! Functions appended to every module, for what would be long in place.

use super::cost::{BULK_BYTE_INSTRUCTIONS, FAR, GROW_PAGE_INSTRUCTIONS};
use wasm_encoder::{BlockType, Function};

/// Positions of the helpers behind the module's own functions.
pub(super) const BULK_32: u32 = 0;
pub(super) const BULK_64: u32 = 1;
pub(super) const GROW_32: u32 = 2;
pub(super) const GROW_64: u32 = 3;
pub(super) const SLICE: u32 = 4;
pub(super) const PASSED: u32 = 5;
/// Whether they take and give an `i64` rather than an `i32`.
pub(super) const WIDE: [bool; 6] = [false, true, false, true, true, true];

/// Instructions that a loop may use before it must write its count back: what a trap inside a loop can leave uncharged.
pub(super) const SLICE_INSTRUCTIONS: i64 = 1 << 17;
/// Longest bulk operation whose charge is counted exactly; longer ones use up any limit.
const LENGTH_MAX: i64 = 1 << 40;
/// More Wasm pages than memory can ever have: asking for more is refused and costs no more.
const GROW_PAGES_MAX: i64 = 1 << 16;

/// What the helpers refer to, by index.
pub(super) struct Names {
    /// The gas global.
    pub(super) gas: u32,
    /// The global with what a load costs that another waits for.
    pub(super) far: u32,
    /// The mark global.
    pub(super) mark: u32,
    /// The table with the hook.
    pub(super) hook: u32,
    /// The hook's type.
    pub(super) hook_type: u32,
    /// Whether the memory has 64-bit addresses, if there is one.
    pub(super) memory64: Option<bool>,
    /// The first helper.
    pub(super) helpers: u32,
}

/// The helpers' bodies.
pub(super) fn bodies(names: &Names) -> [Function; 6] {
    let gas = names.gas;
    [bulk(gas, false), bulk(gas, true), grow(names, false), grow(names, true), slice(names), passed(names)]
}

/// Charges the length of a bulk operation and gives it back.
fn bulk(gas: u32, wide: bool) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    if wide {
        sink.local_get(0).i64_const(LENGTH_MAX).i64_gt_u().if_(BlockType::Empty);
        sink.i64_const(-1).global_set(gas).unreachable().end();
    }
    sink.global_get(gas).local_get(0);
    if !wide {
        sink.i64_extend_i32_u();
    }
    sink.i64_const(BULK_BYTE_INSTRUCTIONS).i64_mul().i64_sub().global_set(gas);
    sink.global_get(gas).i64_const(0).i64_lt_s().if_(BlockType::Empty).unreachable().end();
    sink.local_get(0).end();
    function
}

/// Charges the pages that `memory.grow` asks for and gives their number back. From then on loads cost what they do in a memory with
/// these pages, got or not.
fn grow(names: &Names, wide: bool) -> Function {
    let gas = names.gas;
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    let pages = |sink: &mut wasm_encoder::InstructionSink<'_>| {
        sink.local_get(0);
        if !wide {
            sink.i64_extend_i32_u();
        }
    };
    let bounded = |sink: &mut wasm_encoder::InstructionSink<'_>| {
        pages(sink);
        sink.i64_const(GROW_PAGES_MAX);
        pages(sink);
        sink.i64_const(GROW_PAGES_MAX).i64_lt_u().select();
    };
    sink.global_get(gas);
    bounded(&mut sink);
    sink.i64_const(GROW_PAGE_INSTRUCTIONS).i64_mul().i64_sub().global_set(gas);
    sink.global_get(gas).i64_const(0).i64_lt_s().if_(BlockType::Empty).unreachable().end();
    // The other of the two helpers is never called.
    let is_called = names.memory64 == Some(wide);
    for (more_than, instructions) in FAR.into_iter().filter(|_| is_called) {
        sink.memory_size(0);
        if !wide {
            sink.i64_extend_i32_u();
        }
        bounded(&mut sink);
        sink.i64_add().i64_const(more_than as i64).i64_gt_u().if_(BlockType::Empty);
        sink.i64_const(instructions).global_set(names.far).end();
    }
    sink.local_get(0).end();
    function
}

/// Writes a loop's count back, stops or calls the hook if it passed zero or the mark, and gives the count at which the next
/// slice is over.
fn slice(names: &Names) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.local_get(0).global_set(names.gas);
    sink.local_get(0).global_get(names.mark).i64_lt_s().if_(BlockType::Empty);
    sink.local_get(0).call(names.helpers + PASSED).drop().end();
    sink.local_get(0).i64_const(-SLICE_INSTRUCTIONS).i64_and().end();
    function
}

/// Stops if the count is used up; calls the hook if the one that was written back is below the mark, which is never negative.
/// Writes nothing back itself: what a run is charged must not depend on where its mark lies.
fn passed(names: &Names) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.local_get(0).i64_const(0).i64_lt_s().if_(BlockType::Empty);
    sink.local_get(0).global_set(names.gas).unreachable().end();
    sink.global_get(names.gas).global_get(names.mark).i64_lt_s().if_(BlockType::Empty);
    sink.i32_const(0).call_indirect(names.hook, names.hook_type).end();
    sink.local_get(0).end();
    function
}
