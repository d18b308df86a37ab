//! The pass over one function.
//!
//! ```text
//! far := $far                                         (only if a load waits for another)
//! gas := $gas - first charge; passed(gas) if gas < $mark   (gas and far are locals, $gas, $far, $mark and $stack are globals)
//! floor := gas rounded down to a slice                (only if there is a loop)
//! $stack := $stack - frame; stop if negative
//! block                                               the original function; `return` leaves this block
//!   ... charge: gas := gas - (c + far * waits)
//!   ... at a loop's head: and if gas < floor then (floats := ...; floor := slice(gas); ... := floats)
//!   ... around a call: $gas := gas; call; gas := $gas, far := $far
//! end
//! $stack := $stack + frame; $gas := gas
//! ```

use super::{
    Unexpected,
    analysis::{Analysis, Charge, analyse},
    float::Scratch,
    helpers,
    module::Types,
};
use wasm_encoder::{
    BlockType, Function,
    reencode::{Reencode, RoundtripReencoder},
};
use wasmparser::{FunctionBody, Operator, ValType};

/// Stack slots that every call uses: return address, saved registers, what an engine adds to a frame.
const FRAME_SLOTS: i64 = 8;
/// One more stack slot for so many operators: engines may hoist values out of loops and keep them all at once.
const OPERATORS_PER_SLOT: i64 = 64;

/// Indices of what was appended to the module.
pub(super) struct Names {
    /// The gas global.
    pub(super) gas: u32,
    /// The global with what a load costs that another waits for.
    pub(super) far: u32,
    /// The mark global.
    pub(super) mark: u32,
    /// The stack global.
    pub(super) stack: u32,
    /// The first of the globals of [`super::kept`].
    pub(super) kept: u32,
    /// The first of the [`helpers`].
    pub(super) helpers: u32,
    /// For each function with several results, the type of a block with these results.
    pub(super) result_types: Vec<Option<u32>>,
    /// Whether memory has 64-bit addresses.
    pub(super) memory64: bool,
}

/// Rewrites the body of function number `index`.
pub(super) fn rewrite(
    body: &FunctionBody<'_>,
    index: u32,
    types: &Types,
    names: &Names,
) -> Result<Function, Unexpected> {
    let ty = types.function(index)?;
    let mut groups = Vec::new();
    let mut locals = ty.params().to_vec();
    for group in body.get_locals_reader()? {
        let (count, ty) = group?;
        locals.extend(std::iter::repeat_n(ty, count as usize));
        groups.push((count, RoundtripReencoder.val_type(ty)?));
    }
    let operators = body.get_operators_reader()?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let analysis = analyse(&operators, ty, &locals, types)?;

    let gas = locals.len() as u32;
    let floor = gas + 1;
    let far = floor + u32::from(analysis.loops);
    groups.push((1 + u32::from(analysis.loops) + u32::from(analysis.waits), wasm_encoder::ValType::I64));
    let mut scratch = Scratch::default();
    for ty in scratch.reserve(gas + groups[groups.len() - 1].0, analysis.canonical.iter().map(|(_, point)| *point)) {
        groups.push((1, RoundtripReencoder.val_type(ty)?));
    }

    let slots: i64 = locals.iter().map(|ty| if *ty == ValType::V128 { 2 } else { 1 }).sum();
    let frame = FRAME_SLOTS + slots + analysis.height_max as i64 + operators.len() as i64 / OPERATORS_PER_SLOT;
    let block = match (ty.results(), names.result_types.get(index as usize).copied().flatten()) {
        ([], _) => BlockType::Empty,
        ([result], _) => BlockType::Result(RoundtripReencoder.val_type(*result)?),
        (_, Some(ty)) => BlockType::FunctionType(ty),
        (_, None) => return Err(Unexpected("a block type is missing".into())),
    };
    let mut writer = Writer {
        function: Function::new(groups),
        names,
        gas,
        floor,
        far,
        frame,
        scratch,
        depth: 0,
        analysis: &analysis,
    };
    writer.prologue(block);
    writer.operators(&operators)?;
    Ok(writer.function)
}

struct Writer<'a> {
    function: Function,
    names: &'a Names,
    /// The local with the instructions left.
    gas: u32,
    /// The local with the count at which a loop writes back; only if there is a loop.
    floor: u32,
    /// The local with what a load costs that another waits for; only if there is such a load.
    far: u32,
    frame: i64,
    scratch: Scratch,
    /// Blocks of the original function that are open.
    depth: u32,
    analysis: &'a Analysis,
}

impl Writer<'_> {
    fn prologue(&mut self, block: BlockType) {
        let Names { gas, mark, stack, helpers: first_helper, .. } = *self.names;
        self.refresh();
        self.function.instructions().global_get(gas);
        if let Some(first) = self.analysis.charges.first() {
            self.subtract(first);
        }
        let mut sink = self.function.instructions();
        sink.local_tee(self.gas);
        sink.global_get(mark).i64_lt_s().if_(BlockType::Empty);
        sink.local_get(self.gas).call(first_helper + helpers::PASSED).drop().end();
        if self.analysis.loops {
            sink.local_get(self.gas).i64_const(-helpers::SLICE_INSTRUCTIONS).i64_and().local_set(self.floor);
        }
        sink.global_get(stack).i64_const(self.frame).i64_sub().global_set(stack);
        sink.global_get(stack).i64_const(0).i64_lt_s();
        sink.if_(BlockType::Empty).local_get(self.gas).global_set(gas).unreachable().end();
        sink.block(block);
    }

    fn operators(&mut self, operators: &[Operator<'_>]) -> Result<(), Unexpected> {
        let mut charges = self.analysis.charges.iter().skip(1).peekable();
        let mut canonical = self.analysis.canonical.iter().peekable();
        for (at, operator) in operators.iter().enumerate() {
            if let Some(charge) = charges.next_if(|charge| charge.before == at) {
                self.charge(charge);
            }
            self.operator(operator)?;
            if let Some((_, point)) = canonical.next_if(|(behind, _)| *behind == at) {
                self.scratch.emit(&mut self.function, *point);
            }
        }
        Ok(())
    }

    fn charge(&mut self, charge: &Charge) {
        self.function.instructions().local_get(self.gas);
        self.subtract(charge);
        let mut sink = self.function.instructions();
        if charge.check {
            sink.local_tee(self.gas).local_get(self.floor).i64_lt_s().if_(BlockType::Empty);
            let kept = self.analysis.kept.binary_search_by_key(&charge.before, |(head, _)| *head);
            let kept = kept.map_or(&[][..], |index| &self.analysis.kept[index].1);
            for (local, place) in kept {
                sink.local_get(*local).global_set(self.names.kept + place);
            }
            sink.local_get(self.gas).call(self.names.helpers + helpers::SLICE).local_set(self.floor);
            for (local, place) in kept {
                sink.global_get(self.names.kept + place).local_set(*local);
            }
            sink.end();
        } else {
            sink.local_set(self.gas);
        }
    }

    /// Takes a charge off the count on top of the stack. What does not change in a loop is one value that an engine keeps.
    fn subtract(&mut self, charge: &Charge) {
        let mut sink = self.function.instructions();
        sink.i64_const(charge.instructions);
        match charge.waits {
            0 => {}
            1 => {
                sink.local_get(self.far).i64_add();
            }
            waits => {
                sink.local_get(self.far).i64_const(waits).i64_mul().i64_add();
            }
        }
        sink.i64_sub();
    }

    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), Unexpected> {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => self.depth += 1,
            Operator::End if self.depth == 0 => {
                self.function.instructions().end();
                self.leave();
                self.function.instructions().end();
                return Ok(());
            }
            Operator::End => self.depth -= 1,
            Operator::Return => {
                self.function.instructions().br(self.depth);
                return Ok(());
            }
            Operator::Unreachable => self.spill(),
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => self.leave(),
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                self.spill();
                self.copy(operator)?;
                self.fill();
                self.refresh();
                return Ok(());
            }
            // Whether an instance is still the one that dropped a segment must not show: segments stay. Dropping one
            // only lets an engine free memory.
            Operator::DataDrop { .. } => return Ok(()),
            Operator::MemoryInit { .. } => self.help(helpers::BULK_32),
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => {
                self.help(if self.names.memory64 { helpers::BULK_64 } else { helpers::BULK_32 });
            }
            Operator::MemoryGrow { .. } => {
                self.help(if self.names.memory64 { helpers::GROW_64 } else { helpers::GROW_32 });
            }
            _ => {}
        }
        self.copy(operator)
    }

    fn copy(&mut self, operator: &Operator<'_>) -> Result<(), Unexpected> {
        self.function.instruction(&RoundtripReencoder.instruction(operator.clone())?);
        Ok(())
    }

    /// Calls a helper with the value on top of the stack, which gives it back.
    fn help(&mut self, helper: u32) {
        self.spill();
        self.function.instructions().call(self.names.helpers + helper);
        self.fill();
        self.refresh();
    }

    /// Reads anew what a load costs that another waits for: growing the memory changes it.
    fn refresh(&mut self) {
        if self.analysis.waits {
            self.function.instructions().global_get(self.names.far).local_set(self.far);
        }
    }

    fn spill(&mut self) {
        self.function.instructions().local_get(self.gas).global_set(self.names.gas);
    }

    fn fill(&mut self) {
        self.function.instructions().global_get(self.names.gas).local_set(self.gas);
    }

    /// Gives the frame's stack back and writes the count back.
    fn leave(&mut self) {
        let stack = self.names.stack;
        self.function.instructions().global_get(stack).i64_const(self.frame).i64_add().global_set(stack);
        self.spill();
    }
}
