//! Which float operators can make a NaN whose bits WebAssembly leaves open, and how such bits are made canonical.

use wasm_encoder::{Function, Ieee32, Ieee64};
use wasmparser::{Operator, ValType};

/// The canonical NaNs, positive, as in the specification's "canonical NaN".
const NAN_32: u32 = 0x7fc0_0000;
const NAN_64: u64 = 0x7ff8_0000_0000_0000;
const NAN_32X4: i128 = 0x7fc0_0000_7fc0_0000_7fc0_0000_7fc0_0000;
const NAN_64X2: i128 = 0x7ff8_0000_0000_0000_7ff8_0000_0000_0000;

/// What an operator does with NaN bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Makes a scalar of this type that may be a NaN with open bits; only asks its operands' values.
    Arithmetic(ValType),
    /// Makes a vector of two or four lanes that may be such NaNs.
    Vector(Lanes),
    /// Passes its operand's payload on (`neg`, `abs`): the result is as open as the operand.
    Pass(ValType),
    /// Passes the payload of its first operand on and looks at the second one's sign.
    CopySign(ValType),
    /// Asks its operands' values only, and makes something that is no NaN of arithmetic.
    Ask,
    /// May look at the bits of whatever it takes.
    Look,
}

/// Shape of a float vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lanes {
    F32x4,
    F64x2,
}

/// The effect of an operator that is not about control, locals or dropping.
pub(super) fn effect(operator: &Operator<'_>) -> Effect {
    use Operator::*;
    match operator {
        F32Add | F32Sub | F32Mul | F32Div | F32Sqrt | F32Min | F32Max | F32Ceil | F32Floor | F32Trunc | F32Nearest
        | F32DemoteF64 => Effect::Arithmetic(ValType::F32),
        F64Add | F64Sub | F64Mul | F64Div | F64Sqrt | F64Min | F64Max | F64Ceil | F64Floor | F64Trunc | F64Nearest
        | F64PromoteF32 => Effect::Arithmetic(ValType::F64),
        F32x4Add | F32x4Sub | F32x4Mul | F32x4Div | F32x4Sqrt | F32x4Min | F32x4Max | F32x4Ceil | F32x4Floor
        | F32x4Trunc | F32x4Nearest | F32x4DemoteF64x2Zero => Effect::Vector(Lanes::F32x4),
        F64x2Add | F64x2Sub | F64x2Mul | F64x2Div | F64x2Sqrt | F64x2Min | F64x2Max | F64x2Ceil | F64x2Floor
        | F64x2Trunc | F64x2Nearest | F64x2PromoteLowF32x4 => Effect::Vector(Lanes::F64x2),
        F32Neg | F32Abs => Effect::Pass(ValType::F32),
        F64Neg | F64Abs => Effect::Pass(ValType::F64),
        F32Copysign => Effect::CopySign(ValType::F32),
        F64Copysign => Effect::CopySign(ValType::F64),
        F32Eq | F32Ne | F32Lt | F32Gt | F32Le | F32Ge | F64Eq | F64Ne | F64Lt | F64Gt | F64Le | F64Ge
        | I32TruncF32S | I32TruncF32U | I32TruncF64S | I32TruncF64U | I64TruncF32S | I64TruncF32U | I64TruncF64S
        | I64TruncF64U | I32TruncSatF32S | I32TruncSatF32U | I32TruncSatF64S | I32TruncSatF64U | I64TruncSatF32S
        | I64TruncSatF32U | I64TruncSatF64S | I64TruncSatF64U => Effect::Ask,
        _ => Effect::Look,
    }
}

/// Scratch locals of one function for canonicalising, made when first asked for.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    f32: Option<u32>,
    f64: Option<u32>,
    v128: Option<u32>,
}

impl Scratch {
    /// Reserves the locals that the points need, from index `next` on, and tells their types.
    pub(super) fn reserve(&mut self, mut next: u32, points: impl Iterator<Item = Canonical>) -> Vec<ValType> {
        let mut types = Vec::new();
        for point in points {
            let (slot, ty) = match point {
                Canonical::F32 => (&mut self.f32, ValType::F32),
                Canonical::F64 => (&mut self.f64, ValType::F64),
                Canonical::Lanes(_) => (&mut self.v128, ValType::V128),
            };
            if slot.is_none() {
                *slot = Some(next);
                next += 1;
                types.push(ty);
            }
        }
        types
    }

    /// Replaces the value on top of the stack by the canonical NaN if it is (or in each lane where it is) a NaN.
    pub(super) fn emit(&self, function: &mut Function, point: Canonical) {
        let mut sink = function.instructions();
        // NaN is the only value that is not equal to itself.
        match (point, self) {
            (Canonical::F32, Self { f32: Some(local), .. }) => {
                sink.local_tee(*local)
                    .f32_const(Ieee32::new(NAN_32))
                    .local_get(*local)
                    .local_get(*local)
                    .f32_eq()
                    .select();
            }
            (Canonical::F64, Self { f64: Some(local), .. }) => {
                sink.local_tee(*local)
                    .f64_const(Ieee64::new(NAN_64))
                    .local_get(*local)
                    .local_get(*local)
                    .f64_eq()
                    .select();
            }
            (Canonical::Lanes(lanes), Self { v128: Some(local), .. }) => {
                sink.local_tee(*local).v128_const(if lanes == Lanes::F32x4 { NAN_32X4 } else { NAN_64X2 });
                sink.local_get(*local).local_get(*local);
                match lanes {
                    Lanes::F32x4 => sink.f32x4_eq(),
                    Lanes::F64x2 => sink.f64x2_eq(),
                };
                sink.v128_bitselect();
            }
            _ => unreachable!("a scratch local was reserved for every point"),
        }
    }
}

/// What has to be made canonical after an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Canonical {
    F32,
    F64,
    Lanes(Lanes),
}

impl Canonical {
    /// For a scalar of this type.
    pub(super) fn scalar(ty: ValType) -> Self {
        if ty == ValType::F32 { Self::F32 } else { Self::F64 }
    }
}
