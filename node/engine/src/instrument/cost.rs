//! What each operator costs, in instructions: about one for what one or no machine instruction does.
//!
//! The weights follow measured time on x86-64, rounded to small integers; they are protocol constants.

use wasmparser::Operator;

/// Instructions of `memory.grow` for each Wasm page of 64 KiB asked for: page tables and their protection.
pub(crate) const GROW_PAGE_INSTRUCTIONS: i64 = 500;
/// Instructions for each byte that `memory.copy`, `memory.fill` or `memory.init` touches.
pub(crate) const BULK_BYTE_INSTRUCTIONS: i64 = 1;

/// Instructions of one operator; bulk operations cost their length on top, system calls what `SystemApi` charges.
pub(super) fn cost(operator: &Operator<'_>) -> i64 {
    use Operator::*;
    match operator {
        Block { .. } | Loop { .. } | Else | End | Nop | Drop => 0,
        I32DivS | I32DivU | I32RemS | I32RemU | I64DivS | I64DivU | I64RemS | I64RemU => 10,
        F32Sqrt | F64Sqrt | F32x4Sqrt | F64x2Sqrt => 8,
        F32Div | F64Div | F32x4Div | F64x2Div => 5,
        F32Add | F32Sub | F32Mul | F64Add | F64Sub | F64Mul => 2,
        F32Min | F32Max | F64Min | F64Max | F32x4Min | F32x4Max | F64x2Min | F64x2Max => 4,
        F32x4Add | F32x4Sub | F32x4Mul | F64x2Add | F64x2Sub | F64x2Mul => 3,
        GlobalGet { .. } | GlobalSet { .. } | If { .. } | Br { .. } | BrIf { .. } => 2,
        BrTable { .. } => 10,
        Call { .. } | ReturnCall { .. } => 5,
        CallIndirect { .. } | ReturnCallIndirect { .. } => 10,
        MemorySize { .. } | TableSize { .. } | TableGet { .. } | RefFunc { .. } => 20,
        MemoryGrow { .. } => 300,
        MemoryCopy { .. } | MemoryFill { .. } | MemoryInit { .. } => 100,
        _ => 1,
    }
}
