//! What compiling weighs, in units of about the work that one plain operator makes.
//!
//! A compiler's time is not linear in a function's size: values must be tracked through every block they live in, loops are looked
//! at once for each loop around them, values handed over at branches and calls are copied one by one. The weights follow measured
//! time (`cargo run -p mains-fuzz --example compile-cost`): no shape known to us takes more than a small multiple of what is usual
//! for its weight. They are protocol constants.

use wasmparser::Operator;

/// Instructions that compiling costs for each unit (measured: about 2.5 us each).
pub(super) const INSTRUCTIONS_PER_UNIT: u64 = 3_000;
/// What a function weighs besides its body.
pub(super) const FUNCTION_UNITS: u64 = 50;
/// What a type, import, export, global or segment weighs.
pub(super) const ITEM_UNITS: u64 = 2;
/// Bytes of a module that weigh one unit, whatever they are.
pub(super) const BYTES_PER_UNIT: u64 = 64;

/// Locals and operands, of which each block weighs one unit.
const VALUES_PER_UNIT: u64 = 16;
/// Blocks before, for which each block weighs one unit.
const BLOCKS_PER_UNIT: u64 = 250;

/// Loops before, for which each loop weighs one unit; and indirect calls.
const LOOPS_PER_UNIT: u64 = 8;
const INDIRECT_CALLS_PER_UNIT: u64 = 64;

/// The weight of one function so far.
pub(super) struct Weight {
    units: u64,
    locals: u64,
    /// Control operators so far.
    blocks: u64,
    /// Whether each open block is a loop.
    open: Vec<bool>,
    /// How many of them are.
    loops: u64,
    /// Loops so far, open or not.
    loops_all: u64,
    indirect_calls: u64,
}

impl Weight {
    pub(super) fn new(locals: u32) -> Self {
        Self {
            units: FUNCTION_UNITS + u64::from(locals),
            locals: locals.into(),
            blocks: 0,
            open: Vec::new(),
            loops: 0,
            loops_all: 0,
            indirect_calls: 0,
        }
    }

    pub(super) fn units(&self) -> u64 {
        self.units
    }

    /// Adds an operator that takes and gives so many values, on a stack of `height` operands.
    pub(super) fn add(&mut self, operator: &Operator<'_>, (taken, given): (u32, u32), height: u32) {
        let values = u64::from(taken) + u64::from(given);
        let units = match operator {
            Operator::Block { .. } | Operator::If { .. } => self.block(4, height, false) + values,
            Operator::Loop { .. } => self.block(10, height, true) + values,
            Operator::End => {
                self.loops -= u64::from(self.open.pop().unwrap_or(false));
                1 + values
            }
            Operator::Br { .. } | Operator::BrIf { .. } | Operator::Return => self.branch(height) + values,
            Operator::BrTable { targets } => self.branch(height) + (u64::from(targets.len()) + 1) * (1 + values),
            Operator::Call { .. } | Operator::ReturnCall { .. } => 2 + values,
            Operator::CallIndirect { .. } | Operator::ReturnCallIndirect { .. } => {
                self.indirect_calls += 1;
                12 + values + self.indirect_calls / INDIRECT_CALLS_PER_UNIT
            }
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } | Operator::MemoryInit { .. } => 8,
            Operator::MemoryGrow { .. } | Operator::TableGet { .. } | Operator::RefFunc { .. } => 6,
            _ => 1,
        };
        self.units = self.units.saturating_add(units);
    }

    fn block(&mut self, base: u64, height: u32, is_loop: bool) -> u64 {
        self.open.push(is_loop);
        let mut around = 0;
        if is_loop {
            around = 2 * self.loops + self.loops_all / LOOPS_PER_UNIT;
            (self.loops, self.loops_all) = (self.loops + 1, self.loops_all + 1);
        }
        base + around + self.branch(height)
    }

    /// Every branch ends a block of the compiler, through which values live.
    fn branch(&mut self, height: u32) -> u64 {
        self.blocks += 1;
        2 + (self.locals + u64::from(height)) / VALUES_PER_UNIT + self.blocks / BLOCKS_PER_UNIT
    }
}
