//! One walk over a function before it is rewritten: where to charge how much, how high the operand stack gets, where
//! NaN bits must be made canonical ([`super::flows`]), and which loads others wait for ([`super::waits`]).

use super::{
    Unexpected,
    cost::cost,
    float::{Canonical, Effect, effect},
    flows::{self, Value},
    kept,
    module::Types,
    waits::{self, Origin},
};
use wasmparser::{BlockType, FuncType, ModuleArity, Operator, ValType};

/// A charge before an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    /// Index of the operator.
    pub(super) before: usize,
    /// Instructions.
    pub(super) instructions: i64,
    /// Loads and calls for whose values others wait.
    pub(super) waits: i64,
    /// Whether it stands at the head of a loop, where running out is noticed.
    pub(super) check: bool,
}

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Analysis {
    /// Charges, ascending; the first is at operator 0 and checked.
    pub(super) charges: Vec<Charge>,
    /// What to make canonical behind which operator, ascending.
    pub(super) canonical: Vec<(usize, Canonical)>,
    /// Most values on the operand stack.
    pub(super) height_max: usize,
    /// Whether there is a loop.
    pub(super) loops: bool,
    /// Whether any charge has waits.
    pub(super) waits: bool,
    /// What the loop with its charge before that operator keeps aside, ascending: locals and their globals.
    pub(super) kept: Vec<(usize, Vec<(u32, u32)>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Function,
    Block,
    Loop,
    If,
    Else,
}

struct Frame {
    kind: Kind,
    parameters: usize,
    results: usize,
    /// Stack height below its parameters.
    height: usize,
    /// Whether a branch goes to its end.
    targeted: bool,
    /// The first operator in it.
    begin: usize,
    /// Locals that were changed before it.
    changed: usize,
    /// Where its parameters come from.
    entered: Origin,
    /// Where its results come from, as far as it was walked.
    left: Origin,
}

/// Analyses a function of type `ty` with these `locals` (parameters included).
pub(super) fn analyse(
    operators: &[Operator<'_>],
    ty: &FuncType,
    locals: &[ValType],
    types: &Types,
) -> Result<Analysis, Unexpected> {
    let mut walk = Walk {
        types,
        locals,
        frames: Vec::new(),
        stack: Vec::new(),
        looked: Vec::new(),
        flows: Vec::new(),
        made: Vec::new(),
        changed: Vec::new(),
        origins: waits::Flows::new(),
        found: Analysis::default(),
        segment: Charge { before: 0, instructions: 0, waits: 0, check: true },
    };
    walk.frames.push(Frame {
        kind: Kind::Function,
        parameters: 0,
        results: ty.results().len(),
        height: 0,
        targeted: false,
        begin: 0,
        changed: 0,
        entered: Origin::NOTHING,
        left: Origin::NOTHING,
    });
    for (at, operator) in operators.iter().enumerate() {
        walk.step(at, operator)?;
        walk.found.height_max = walk.found.height_max.max(walk.stack.len());
    }
    walk.cut(operators.len(), false);
    walk.settle(ty.params().len());
    walk.charge_waits(locals.len());
    walk.found.kept.sort_unstable_by_key(|(head, _)| *head);
    Ok(walk.found)
}

/// A value on the abstract stack.
#[derive(Clone, Copy)]
struct Slot {
    value: Value,
    origin: Origin,
}

impl Slot {
    fn new(value: Value) -> Self {
        Self { value, origin: Origin::NOTHING }
    }
}

struct Walk<'a> {
    types: &'a Types,
    locals: &'a [ValType],
    frames: Vec<Frame>,
    stack: Vec<Slot>,
    /// Values whose bits are looked at.
    looked: Vec<Value>,
    /// Values that flow into float locals.
    flows: Vec<(Value, u32)>,
    /// Operators that made a value, with its type: what a canonicalisation behind them is for.
    made: Vec<(usize, ValType)>,
    /// Locals in the order in which they are changed.
    changed: Vec<u32>,
    origins: waits::Flows,
    found: Analysis,
    segment: Charge,
}

impl Walk<'_> {
    fn step(&mut self, at: usize, operator: &Operator<'_>) -> Result<(), Unexpected> {
        self.segment.instructions += cost(operator);
        match operator {
            Operator::Block { blockty } => self.open(Kind::Block, *blockty, at)?,
            Operator::Loop { blockty } => {
                self.open(Kind::Loop, *blockty, at)?;
                self.found.loops = true;
                self.cut(at + 1, true);
            }
            Operator::If { blockty } => {
                self.pop();
                self.open(Kind::If, *blockty, at)?;
                self.cut(at + 1, false);
            }
            Operator::Else => {
                let frame = self.close()?;
                self.frames.push(Frame { kind: Kind::Else, ..frame });
                let Frame { parameters, entered, .. } = *self.top();
                self.push(parameters, entered);
                self.cut(at + 1, false);
            }
            Operator::End => {
                let frame = self.close()?;
                self.push(frame.results, frame.left);
                // An end that only the operator before it reaches goes on in the same segment.
                if frame.targeted || matches!(frame.kind, Kind::If | Kind::Else) {
                    self.cut(at + 1, false);
                }
            }
            Operator::Br { relative_depth } => self.branch(*relative_depth, at, false)?,
            Operator::BrIf { relative_depth } => {
                self.pop();
                self.branch(*relative_depth, at, true)?;
            }
            Operator::BrTable { targets } => {
                self.pop();
                let values = self.target(targets.default())?;
                let origin = self.look(values);
                for target in targets.targets() {
                    let target = target?;
                    self.target(target)?;
                    self.arrive(target, origin);
                }
                self.arrive(targets.default(), origin);
                self.dead(at);
            }
            Operator::Return => {
                let results = self.frames.first().map_or(0, |frame| frame.results);
                self.look(results);
                self.dead(at);
            }
            Operator::Unreachable => self.dead(at),
            Operator::Call { function_index } => {
                let (parameters, results) = self.types.of_function(*function_index)?;
                self.call(at, parameters, results);
            }
            Operator::CallIndirect { type_index, .. } => {
                self.pop();
                let (parameters, results) = self.types.of_type(*type_index)?;
                self.call(at, parameters, results);
            }
            Operator::ReturnCall { function_index } => {
                let (parameters, _) = self.types.of_function(*function_index)?;
                self.leave_sight(parameters);
                self.dead(at);
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                self.pop();
                let (parameters, _) = self.types.of_type(*type_index)?;
                self.leave_sight(parameters);
                self.dead(at);
            }
            other => self.straight(at, other)?,
        }
        Ok(())
    }

    /// Operators that do not branch.
    fn straight(&mut self, at: usize, operator: &Operator<'_>) -> Result<(), Unexpected> {
        match operator {
            Operator::LocalGet { local_index } => {
                let copy = self.copy_of(*local_index, at);
                self.stack.push(copy);
            }
            Operator::LocalSet { local_index } => {
                let slot = self.pop();
                self.changed.push(*local_index);
                self.flow(slot, *local_index);
            }
            Operator::LocalTee { local_index } => {
                let slot = self.pop();
                self.changed.push(*local_index);
                self.flow(slot, *local_index);
                let copy = self.copy_of(*local_index, at);
                self.stack.push(copy);
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::F32Const { value } => {
                self.stack.push(Slot::new(Value::constant(f32::from_bits(value.bits()).is_nan())));
            }
            Operator::F64Const { value } => {
                self.stack.push(Slot::new(Value::constant(f64::from_bits(value.bits()).is_nan())));
            }
            Operator::GlobalSet { .. } => self.leave_sight(1),
            other => {
                let (taken, given) = other
                    .operator_arity(self.types)
                    .ok_or_else(|| Unexpected(format!("unknown operator {other:?}")))?;
                if is_load(other) {
                    self.leave_sight(taken as usize);
                    let made = self.origins.made(at);
                    self.push(given as usize, made);
                } else {
                    self.compute(at, effect(other), taken as usize, given as usize);
                }
            }
        }
        Ok(())
    }

    fn compute(&mut self, at: usize, effect: Effect, taken: usize, given: usize) {
        match effect {
            Effect::Arithmetic(ty) => {
                let origin = self.skip(taken);
                self.made.push((at, ty));
                self.stack.push(Slot { value: Value::Open(at), origin });
            }
            Effect::Pass(ty) => {
                let slot = self.pop();
                self.pass(at, ty, slot);
            }
            Effect::CopySign(ty) => {
                let sign = self.look(1);
                let slot = self.pop();
                let origin = self.origins.both(slot.origin, sign);
                self.pass(at, ty, Slot { origin, ..slot });
            }
            Effect::Vector(lanes) => {
                let origin = self.look(taken);
                self.found.canonical.push((at, Canonical::Lanes(lanes)));
                self.push(given, origin);
            }
            Effect::Ask => {
                let origin = self.skip(taken);
                self.push(given, origin);
            }
            Effect::Look => {
                let origin = self.look(taken);
                self.push(given, origin);
            }
        }
    }

    /// The operator at `at` makes a value as open as that of `slot`.
    fn pass(&mut self, at: usize, ty: ValType, slot: Slot) {
        self.made.push((at, ty));
        let value = match slot.value {
            Value::Open(_) => Value::Open(at),
            Value::Local(local, _) => Value::Local(local, at),
            other => other,
        };
        self.stack.push(Slot { value, ..slot });
    }

    fn call(&mut self, at: usize, parameters: usize, results: usize) {
        self.leave_sight(parameters);
        let made = self.origins.made(at);
        self.push(results, made);
    }

    fn open(&mut self, kind: Kind, ty: BlockType, at: usize) -> Result<(), Unexpected> {
        let (parameters, results) =
            self.types.block_type_arity(ty).ok_or_else(|| Unexpected("unknown block type".into()))?;
        let mut entered = self.look(parameters as usize);
        if kind == Kind::Loop {
            // What later turns bring is not known yet.
            self.origins.end(entered);
            entered = Origin::NOTHING;
        }
        let height = self.stack.len();
        self.push(parameters as usize, entered);
        self.frames.push(Frame {
            kind,
            parameters: parameters as usize,
            results: results as usize,
            height,
            targeted: false,
            begin: at + 1,
            changed: self.changed.len(),
            entered,
            left: Origin::NOTHING,
        });
        Ok(())
    }

    /// Ends the innermost block: its results are joined with those of other ways here, so that their bits must be fixed.
    fn close(&mut self) -> Result<Frame, Unexpected> {
        let results = self.top().results;
        let origin = self.look(results);
        let mut frame = self.frames.pop().ok_or_else(|| Unexpected("unbalanced end".into()))?;
        frame.left = self.origins.both(frame.left, origin);
        self.stack.truncate(frame.height);
        if frame.kind == Kind::Loop {
            let places = kept::places(&self.changed[frame.changed..], self.locals);
            if !places.is_empty() {
                self.found.kept.push((frame.begin, places));
            }
        }
        Ok(frame)
    }

    fn branch(&mut self, depth: u32, at: usize, falls_through: bool) -> Result<(), Unexpected> {
        let values = self.target(depth)?;
        let origin = self.look(values);
        self.arrive(depth, origin);
        if falls_through {
            self.push(values, origin);
            self.cut(at + 1, false);
        } else {
            self.dead(at);
        }
        Ok(())
    }

    /// Marks the block at `depth` as branched to and tells how many values go there.
    fn target(&mut self, depth: u32) -> Result<usize, Unexpected> {
        let index =
            self.frames.len().checked_sub(depth as usize + 1).ok_or_else(|| Unexpected("unknown label".into()))?;
        let frame = &mut self.frames[index];
        if frame.kind == Kind::Loop {
            return Ok(frame.parameters);
        }
        frame.targeted = true;
        Ok(frame.results)
    }

    /// Values from there arrive where a branch to `depth` goes: behind a block, as its results, or at the head of a loop.
    fn arrive(&mut self, depth: u32, origin: Origin) {
        let Some(index) = self.frames.len().checked_sub(depth as usize + 1) else { return };
        if self.frames[index].kind == Kind::Loop {
            self.origins.end(origin);
        } else {
            self.frames[index].left = self.origins.both(self.frames[index].left, origin);
        }
    }

    /// What follows the operator at `at` is not reached from it.
    fn dead(&mut self, at: usize) {
        let height = self.top().height;
        self.stack.truncate(height);
        self.cut(at + 1, false);
    }

    /// Ends the segment before operator `next` and begins another.
    fn cut(&mut self, next: usize, check: bool) {
        if self.segment.instructions > 0 || self.segment.check {
            self.found.charges.push(self.segment);
        }
        self.segment = Charge { before: next, instructions: 0, waits: 0, check };
    }

    fn top(&self) -> &Frame {
        self.frames.last().expect("validated: the function's own frame is closed last")
    }

    /// Takes a value; in unreachable code there may be none.
    fn pop(&mut self) -> Slot {
        match self.frames.last() {
            Some(frame) if self.stack.len() > frame.height => self.stack.pop().unwrap_or(Slot::new(Value::Exact)),
            _ => Slot::new(Value::Exact),
        }
    }

    /// Takes `count` values and tells where they come from.
    fn skip(&mut self, count: usize) -> Origin {
        let mut origin = Origin::NOTHING;
        for _ in 0..count {
            let slot = self.pop();
            origin = self.origins.both(origin, slot.origin);
        }
        origin
    }

    /// Takes `count` values whose bits are looked at and tells where they come from.
    fn look(&mut self, count: usize) -> Origin {
        let mut origin = Origin::NOTHING;
        for _ in 0..count {
            let slot = self.pop();
            if matches!(slot.value, Value::Open(_) | Value::Local(..)) {
                self.looked.push(slot.value);
            }
            origin = self.origins.both(origin, slot.origin);
        }
        origin
    }

    /// Takes `count` values that become addresses, or go where they are not followed.
    fn leave_sight(&mut self, count: usize) {
        let origin = self.look(count);
        self.origins.end(origin);
    }

    fn push(&mut self, count: usize, origin: Origin) {
        self.stack.resize(self.stack.len() + count, Slot { value: Value::Exact, origin });
    }

    fn copy_of(&mut self, local: u32, at: usize) -> Slot {
        let value = match self.locals.get(local as usize) {
            Some(ty @ (ValType::F32 | ValType::F64)) => {
                self.made.push((at, *ty));
                Value::Local(local, at)
            }
            _ => Value::Exact,
        };
        Slot { value, origin: self.origins.local(local) }
    }

    fn flow(&mut self, slot: Slot, local: u32) {
        self.origins.assign(local, slot.origin);
        if matches!(self.locals.get(local as usize), Some(ValType::F32 | ValType::F64)) {
            self.flows.push((slot.value, local));
        }
    }

    /// Decides which operators need a canonicalisation behind them.
    fn settle(&mut self, parameters: usize) {
        for at in flows::open_ends(&self.looked, &self.flows, self.locals.len(), parameters) {
            // `made` ascends: operators are visited in order.
            if let Ok(index) = self.made.binary_search_by_key(&at, |(made, _)| *made) {
                self.found.canonical.push((at, Canonical::scalar(self.made[index].1)));
            }
        }
        self.found.canonical.sort_unstable_by_key(|(at, _)| *at);
    }

    /// Counts what others wait for in the segments in which it is.
    fn charge_waits(&mut self, locals: usize) {
        let origins = std::mem::replace(&mut self.origins, waits::Flows::new());
        for at in origins.waits(locals) {
            let behind = self.found.charges.partition_point(|charge| charge.before <= at);
            if let Some(charge) = behind.checked_sub(1).map(|index| &mut self.found.charges[index]) {
                charge.waits += 1;
                self.found.waits = true;
            }
        }
    }
}

/// Whether an operator reads the memory at an address that it takes.
fn is_load(operator: &Operator<'_>) -> bool {
    use Operator::*;
    matches!(
        operator,
        I32Load { .. }
            | I64Load { .. }
            | F32Load { .. }
            | F64Load { .. }
            | I32Load8S { .. }
            | I32Load8U { .. }
            | I32Load16S { .. }
            | I32Load16U { .. }
            | I64Load8S { .. }
            | I64Load8U { .. }
            | I64Load16S { .. }
            | I64Load16U { .. }
            | I64Load32S { .. }
            | I64Load32U { .. }
            | V128Load { .. }
            | V128Load8x8S { .. }
            | V128Load8x8U { .. }
            | V128Load16x4S { .. }
            | V128Load16x4U { .. }
            | V128Load32x2S { .. }
            | V128Load32x2U { .. }
            | V128Load8Splat { .. }
            | V128Load16Splat { .. }
            | V128Load32Splat { .. }
            | V128Load64Splat { .. }
            | V128Load32Zero { .. }
            | V128Load64Zero { .. }
            | V128Load8Lane { .. }
            | V128Load16Lane { .. }
            | V128Load32Lane { .. }
            | V128Load64Lane { .. }
    )
}
