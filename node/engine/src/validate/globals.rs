//! What snapshots need to know about a module's globals.

use mains_execution::engine::{GlobalInfo, GlobalType};
use wasmparser::{Global, Operator, ValType};

/// A global of the module: whether it is mutable, and what it is; `None` for one that holds a reference.
pub(super) type Described = (bool, Option<GlobalInfo>);

/// Describes a global that the validator has accepted.
pub(super) fn describe(global: &Global<'_>) -> wasmparser::Result<Described> {
    let ty = match global.ty.content_type {
        ValType::I32 => GlobalType::I32,
        ValType::I64 => GlobalType::I64,
        ValType::F32 => GlobalType::F32,
        ValType::F64 => GlobalType::F64,
        ValType::V128 => GlobalType::V128,
        ValType::Ref(_) => return Ok((global.ty.mutable, None)),
    };
    if global.ty.mutable {
        return Ok((true, Some(GlobalInfo { ty, constant: None })));
    }
    // Without extended constants and imported globals an initial value is one literal.
    let constant = match global.init_expr.get_operators_reader().read()? {
        Operator::I32Const { value } => u128::from(value as u32),
        Operator::I64Const { value } => u128::from(value as u64),
        Operator::F32Const { value } => u128::from(value.bits()),
        Operator::F64Const { value } => u128::from(value.bits()),
        Operator::V128Const { value } => value.i128() as u128,
        _ => return Ok((false, None)),
    };
    Ok((false, Some(GlobalInfo { ty, constant: Some(constant) })))
}
