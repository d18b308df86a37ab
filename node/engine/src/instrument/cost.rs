//! What each operator costs, in instructions: about one for what one machine instruction does, a quarter of a nanosecond.
//!
//! The weights follow measured time on x86-64 (`mains-bench --prices`: chains in which each operation waits for the one before),
//! rounded to small integers, the canonical NaN included; they are protocol constants. What ordinary code is made of costs one or two.
//! A load costs one, and more only if another load waits for it ([`super::waits`]) in a heap larger than the caches ([`far`]).

use wasmparser::Operator;

/// Instructions of `memory.grow` for each Wasm page of 64 KiB asked for: page tables and their protection.
pub(crate) const GROW_PAGE_INSTRUCTIONS: i64 = 500;
/// Instructions for each byte that `memory.copy`, `memory.fill` or `memory.init` touches.
pub(crate) const BULK_BYTE_INSTRUCTIONS: i64 = 1;

/// What a load or call that a load waits for costs beyond its weight, in instructions, in heaps of more than so many Wasm pages. Caches
/// hold 4 MiB, where a load of a chain takes 21 ns at most. Up to 32 MiB it takes 145 to 175 ns, up to 256 MiB 250; in larger heaps
/// looking an address up misses its caches too, which makes 330 to 490 ns in a virtual machine. Code of usual compilers has such a
/// load in each 20 to 30 instructions.
pub(crate) const FAR: [(u64, i64); 3] = [(64, 18), (512, 28), (4_096, 56)];

/// What a load or call that a load waits for costs beyond its weight in a heap of so many Wasm pages.
pub(crate) fn far(pages: u64) -> i64 {
    FAR.iter().rev().find(|(more_than, _)| pages > *more_than).map_or(0, |(_, instructions)| *instructions)
}

/// Instructions of one operator; bulk operations cost their length on top, system calls what `SystemApi` charges.
pub(super) fn cost(operator: &Operator<'_>) -> i64 {
    use Operator::*;
    match operator {
        Block { .. } | Loop { .. } | Else | End | Nop | Drop => 0,
        I32DivS | I32DivU | I32RemS | I32RemU => 10,
        I64DivS | I64DivU | I64RemS | I64RemU => 20,
        F32Sqrt => 16,
        F64Sqrt => 20,
        F32x4Sqrt | F64x2Sqrt => 25,
        F32Div => 10,
        F64Div => 15,
        F32x4Div | F64x2Div => 20,
        F32Add | F32Sub | F32Mul | F64Add | F64Sub | F64Mul => 2,
        F32x4Add | F32x4Sub | F32x4Mul | F64x2Add | F64x2Sub | F64x2Mul => 6,
        F32Min | F32Max | F64Min | F64Max => 4,
        F32x4Min | F32x4Max | F64x2Min | F64x2Max => 15,
        F32Ceil | F32Floor | F32Trunc | F32Nearest | F64Ceil | F64Floor | F64Trunc | F64Nearest => 4,
        F32x4Ceil | F32x4Floor | F32x4Trunc | F32x4Nearest | F64x2Ceil | F64x2Floor | F64x2Trunc | F64x2Nearest => 6,
        F32DemoteF64 | F64PromoteF32 | F32x4DemoteF64x2Zero | F64x2PromoteLowF32x4 => 5,
        F32ConvertI64U | F64ConvertI64U => 10,
        I32TruncF32S | I32TruncF32U | I32TruncF64S | I32TruncF64U | I64TruncF32S | I64TruncF32U | I64TruncF64S
        | I64TruncF64U => 10,
        I32TruncSatF32S | I32TruncSatF32U | I32TruncSatF64S | I32TruncSatF64U | I64TruncSatF32S | I64TruncSatF32U
        | I64TruncSatF64S | I64TruncSatF64U => 10,
        I32x4TruncSatF32x4S | I32x4TruncSatF32x4U | I32x4TruncSatF64x2SZero | I32x4TruncSatF64x2UZero => 6,
        F32x4ConvertI32x4S | F32x4ConvertI32x4U | F64x2ConvertLowI32x4S | F64x2ConvertLowI32x4U => 4,
        I8x16Shl | I8x16ShrS | I8x16ShrU | I64x2Mul => 4,
        GlobalGet { .. } | GlobalSet { .. } | If { .. } | Br { .. } | BrIf { .. } => 2,
        BrTable { .. } => 10,
        Call { .. } | ReturnCall { .. } => 5,
        CallIndirect { .. } | ReturnCallIndirect { .. } => 15,
        MemorySize { .. } | TableSize { .. } | TableGet { .. } | RefFunc { .. } => 20,
        MemoryGrow { .. } => 300,
        MemoryCopy { .. } | MemoryFill { .. } | MemoryInit { .. } => 100,
        _ => 1,
    }
}
