//! One walk over a function before it is rewritten: where to charge how much, how high the operand stack gets, and where
//! NaN bits must be made canonical ([`super::flows`]).

use super::{
    Unexpected,
    cost::cost,
    float::{Canonical, Effect, effect},
    flows::{self, Value},
    kept,
    module::Types,
};
use wasmparser::{BlockType, FuncType, ModuleArity, Operator, ValType};

/// A charge before an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    /// Index of the operator.
    pub(super) before: usize,
    /// Instructions.
    pub(super) instructions: i64,
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
        found: Analysis::default(),
        segment: Charge { before: 0, instructions: 0, check: true },
    };
    walk.frames.push(Frame {
        kind: Kind::Function,
        parameters: 0,
        results: ty.results().len(),
        height: 0,
        targeted: false,
        begin: 0,
        changed: 0,
    });
    for (at, operator) in operators.iter().enumerate() {
        walk.step(at, operator)?;
        walk.found.height_max = walk.found.height_max.max(walk.stack.len());
    }
    walk.cut(operators.len(), false);
    walk.settle(ty.params().len());
    walk.found.kept.sort_unstable_by_key(|(head, _)| *head);
    Ok(walk.found)
}

struct Walk<'a> {
    types: &'a Types,
    locals: &'a [ValType],
    frames: Vec<Frame>,
    stack: Vec<Value>,
    /// Values whose bits are looked at.
    looked: Vec<Value>,
    /// Values that flow into float locals.
    flows: Vec<(Value, u32)>,
    /// Operators that made a value, with its type: what a canonicalisation behind them is for.
    made: Vec<(usize, ValType)>,
    /// Locals in the order in which they are changed.
    changed: Vec<u32>,
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
                let parameters = self.top().parameters;
                self.push(parameters);
                self.cut(at + 1, false);
            }
            Operator::End => {
                let frame = self.close()?;
                self.push(frame.results);
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
                for target in targets.targets() {
                    self.target(target?)?;
                }
                self.branch(targets.default(), at, false)?;
            }
            Operator::Return => {
                let results = self.frames.first().map_or(0, |frame| frame.results);
                self.look(results);
                self.dead(at);
            }
            Operator::Unreachable => self.dead(at),
            Operator::Call { function_index } => {
                let (parameters, results) = self.types.of_function(*function_index)?;
                self.call(parameters, results);
            }
            Operator::CallIndirect { type_index, .. } => {
                self.pop();
                let (parameters, results) = self.types.of_type(*type_index)?;
                self.call(parameters, results);
            }
            Operator::ReturnCall { function_index } => {
                let (parameters, _) = self.types.of_function(*function_index)?;
                self.look(parameters);
                self.dead(at);
            }
            Operator::ReturnCallIndirect { type_index, .. } => {
                self.pop();
                let (parameters, _) = self.types.of_type(*type_index)?;
                self.look(parameters);
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
                let value = self.copy_of(*local_index, at);
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.changed.push(*local_index);
                self.flow(value, *local_index);
            }
            Operator::LocalTee { local_index } => {
                let value = self.pop();
                self.changed.push(*local_index);
                self.flow(value, *local_index);
                let copy = self.copy_of(*local_index, at);
                self.stack.push(copy);
            }
            Operator::Drop => {
                self.pop();
            }
            Operator::F32Const { value } => self.stack.push(Value::constant(f32::from_bits(value.bits()).is_nan())),
            Operator::F64Const { value } => self.stack.push(Value::constant(f64::from_bits(value.bits()).is_nan())),
            other => {
                let (taken, given) = other
                    .operator_arity(self.types)
                    .ok_or_else(|| Unexpected(format!("unknown operator {other:?}")))?;
                self.compute(at, effect(other), taken as usize, given as usize);
            }
        }
        Ok(())
    }

    fn compute(&mut self, at: usize, effect: Effect, taken: usize, given: usize) {
        match effect {
            Effect::Arithmetic(ty) => {
                self.skip(taken);
                self.made.push((at, ty));
                self.stack.push(Value::Open(at));
            }
            Effect::Pass(ty) => {
                let value = self.pop();
                self.pass(at, ty, value);
            }
            Effect::CopySign(ty) => {
                self.look(1);
                let value = self.pop();
                self.pass(at, ty, value);
            }
            Effect::Vector(lanes) => {
                self.look(taken);
                self.found.canonical.push((at, Canonical::Lanes(lanes)));
                self.push(given);
            }
            Effect::Ask => {
                self.skip(taken);
                self.push(given);
            }
            Effect::Look => {
                self.look(taken);
                self.push(given);
            }
        }
    }

    /// The operator at `at` makes a value as open as `value`.
    fn pass(&mut self, at: usize, ty: ValType, value: Value) {
        self.made.push((at, ty));
        self.stack.push(match value {
            Value::Open(_) => Value::Open(at),
            Value::Local(local, _) => Value::Local(local, at),
            other => other,
        });
    }

    fn call(&mut self, parameters: usize, results: usize) {
        self.look(parameters);
        self.push(results);
    }

    fn open(&mut self, kind: Kind, ty: BlockType, at: usize) -> Result<(), Unexpected> {
        let (parameters, results) =
            self.types.block_type_arity(ty).ok_or_else(|| Unexpected("unknown block type".into()))?;
        self.look(parameters as usize);
        let height = self.stack.len();
        self.push(parameters as usize);
        self.frames.push(Frame {
            kind,
            parameters: parameters as usize,
            results: results as usize,
            height,
            targeted: false,
            begin: at + 1,
            changed: self.changed.len(),
        });
        Ok(())
    }

    /// Ends the innermost block: its results are joined with those of other ways here, so that their bits must be fixed.
    fn close(&mut self) -> Result<Frame, Unexpected> {
        let results = self.top().results;
        self.look(results);
        let frame = self.frames.pop().ok_or_else(|| Unexpected("unbalanced end".into()))?;
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
        self.look(values);
        if falls_through {
            self.push(values);
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
        self.segment = Charge { before: next, instructions: 0, check };
    }

    fn top(&self) -> &Frame {
        self.frames.last().expect("validated: the function's own frame is closed last")
    }

    /// Takes a value; in unreachable code there may be none.
    fn pop(&mut self) -> Value {
        match self.frames.last() {
            Some(frame) if self.stack.len() > frame.height => self.stack.pop().unwrap_or(Value::Exact),
            _ => Value::Exact,
        }
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.pop();
        }
    }

    /// Takes `count` values whose bits are looked at.
    fn look(&mut self, count: usize) {
        for _ in 0..count {
            let value = self.pop();
            if matches!(value, Value::Open(_) | Value::Local(..)) {
                self.looked.push(value);
            }
        }
    }

    fn push(&mut self, count: usize) {
        self.stack.resize(self.stack.len() + count, Value::Exact);
    }

    fn copy_of(&mut self, local: u32, at: usize) -> Value {
        match self.locals.get(local as usize) {
            Some(ty @ (ValType::F32 | ValType::F64)) => {
                self.made.push((at, *ty));
                Value::Local(local, at)
            }
            _ => Value::Exact,
        }
    }

    fn flow(&mut self, value: Value, local: u32) {
        if matches!(self.locals.get(local as usize), Some(ValType::F32 | ValType::F64)) {
            self.flows.push((value, local));
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
}
