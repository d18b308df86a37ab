//! Rules for one function's body.

use super::{invalid, price::Weight, refuse};
use mains_execution::engine::ModuleError;
use mains_types::limits;
use wasmparser::{FuncValidator, FunctionBody, Operator, ValidatorResources};

/// Checks a body and tells what compiling it weighs ([`super::price`]).
///
/// # Errors
/// The first rule that it breaks.
pub(super) fn check(
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
) -> Result<u64, ModuleError> {
    let (index, start) = (validator.index(), body.range().start);
    if body.range().len() > limits::FUNCTION_BYTES_MAX {
        let rule =
            format!("has {} bytes in function {index}, more than {}", body.range().len(), limits::FUNCTION_BYTES_MAX);
        return refuse(rule, start);
    }
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader).map_err(invalid)?;
    let locals = validator.len_locals();
    if locals as usize > limits::FUNCTION_LOCALS_MAX {
        let rule = format!("has {locals} locals in function {index}, more than {}", limits::FUNCTION_LOCALS_MAX);
        return refuse(rule, start);
    }
    let mut reader = body.get_operators_reader().map_err(invalid)?;
    let mut weight = Weight::new(locals);
    let mut operators = 0;
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset().map_err(invalid)?;
        if let Some(name) = forbidden(&operator) {
            return refuse(format!("uses {name}: tables and segments cannot change after the start"), offset);
        }
        // Before the validator takes it: labels and heights are those that the operator sees. Unknown labels weigh nothing.
        let arity = operator.operator_arity(&*validator).unwrap_or_default();
        weight.add(&operator, arity, validator.operand_stack_height());
        validator.op(offset, &operator).map_err(invalid)?;
        operators += 1;
        if operators > limits::FUNCTION_OPERATORS_MAX {
            let rule = format!("has more than {} operators in function {index}", limits::FUNCTION_OPERATORS_MAX);
            return refuse(rule, offset);
        }
        if weight.units() > limits::FUNCTION_UNITS_MAX {
            let rule = format!(
                "has a function {index} that is too entangled to compile: it weighs more than {}",
                limits::FUNCTION_UNITS_MAX
            );
            return refuse(rule, offset);
        }
    }
    reader.finish().map_err(invalid)?;
    Ok(weight.units())
}

/// Operators that change what a fresh instance would not have: tables and segments are not part of a canister's state.
/// `data.drop`, which compilers emit, is accepted and does nothing.
fn forbidden(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::TableSet { .. } => "table.set",
        Operator::TableGrow { .. } => "table.grow",
        Operator::TableFill { .. } => "table.fill",
        Operator::TableCopy { .. } => "table.copy",
        Operator::TableInit { .. } => "table.init",
        Operator::ElemDrop { .. } => "elem.drop",
        _ => return None,
    })
}
