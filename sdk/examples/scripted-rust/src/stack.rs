//! The stack of a script.

use crate::fail;
use alloc::vec::Vec;

/// What a script works on.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

pub(crate) struct Stack(Vec<Value>);

impl Stack {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn push(&mut self, value: Value) {
        self.0.push(value);
    }

    pub(crate) fn pop(&mut self) -> Value {
        self.0.pop().unwrap_or_else(|| fail("nothing on the stack"))
    }

    pub(crate) fn number(&mut self) -> u64 {
        match self.pop() {
            Value::Number(number) => number,
            Value::Bytes(_) => fail("bytes where a number belongs"),
        }
    }

    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        match self.pop() {
            Value::Bytes(bytes) => bytes,
            Value::Number(_) => fail("a number where bytes belong"),
        }
    }

    /// The topmost numbers, the top last.
    pub(crate) fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers: Vec<u64> = (0..count).map(|_| self.number()).collect();
        numbers.reverse();
        numbers
    }
}
