//! Runs scripts.

use crate::{Value, callback, fail, operations::*, stack::Stack, state, system, wasm};
use alloc::{vec, vec::Vec};

/// Values that a run may set and get.
const REGISTERS: usize = 8;

/// Runs a script from its beginning to its end.
pub(crate) fn run(script: &[u8]) {
    let mut run = Run { stack: Stack::new(), registers: [const { Value::Number(0) }; REGISTERS] };
    run.all(script);
}

struct Run {
    stack: Stack,
    registers: [Value; REGISTERS],
}

/// What is left of a script.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        if count > self.0.len() {
            fail("the script ends within an operation");
        }
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }
}

impl Run {
    fn all(&mut self, script: &[u8]) {
        let mut reader = Reader(script);
        while !reader.0.is_empty() {
            self.step(reader.byte(), &mut reader);
        }
    }

    fn step(&mut self, operation: u8, script: &mut Reader<'_>) {
        let stack = &mut self.stack;
        let push = |stack: &mut Stack, number: u64| stack.push(Value::Number(number));
        match operation {
            NUMBER => push(stack, to_number(script.take(8))),
            BYTES => {
                let length = to_number(script.take(4)) as usize;
                stack.push(Value::Bytes(script.take(length).to_vec()));
            }
            SYSTEM => system::call(script.byte(), stack),
            DROP => drop(stack.pop()),
            PIN => {
                let bytes = stack.bytes().leak();
                push(stack, bytes.as_ptr() as u64);
                push(stack, bytes.len() as u64);
            }
            ROOM => {
                let count = stack.number() as usize;
                let room = &mut state().room;
                *room = vec![0; count];
                push(stack, room.as_ptr() as u64);
            }
            TAKE => {
                let count = stack.number() as usize;
                let taken = state().room.get(..count).unwrap_or_else(|| fail("more than the room has"));
                stack.push(Value::Bytes(taken.to_vec()));
            }
            CONCAT => {
                let (second, mut first) = (stack.bytes(), stack.bytes());
                first.extend_from_slice(&second);
                stack.push(Value::Bytes(first));
            }
            LENGTH => {
                let length = stack.bytes().len() as u64;
                push(stack, length);
            }
            SLICE => {
                let (count, from) = (stack.number() as usize, stack.number() as usize);
                let bytes = stack.bytes();
                let part = bytes.get(from..from.saturating_add(count)).unwrap_or_else(|| fail("no such slice"));
                stack.push(Value::Bytes(part.to_vec()));
            }
            TO_NUMBER => {
                let bytes = stack.bytes();
                if bytes.len() > 8 {
                    fail("more bytes than a number has");
                }
                push(stack, to_number(&bytes));
            }
            TO_BYTES => {
                let (count, number) = (stack.number().min(8) as usize, stack.number());
                stack.push(Value::Bytes(number.to_le_bytes()[..count].to_vec()));
            }
            ADD | SUBTRACT | MULTIPLY | LESS => {
                let (second, first) = (stack.number(), stack.number());
                let result = match operation {
                    ADD => first.wrapping_add(second),
                    SUBTRACT => first.wrapping_sub(second),
                    MULTIPLY => first.wrapping_mul(second),
                    _ => u64::from(first < second),
                };
                push(stack, result);
            }
            EQUAL => {
                let (second, first) = (stack.pop(), stack.pop());
                push(stack, u64::from(first == second));
            }
            IF => {
                let (otherwise, then, condition) = (stack.bytes(), stack.bytes(), stack.number());
                self.all(if condition != 0 { &then } else { &otherwise });
            }
            REPEAT => {
                let (body, count) = (stack.bytes(), stack.number());
                for _ in 0..count {
                    self.all(&body);
                }
            }
            RUN => {
                let body = stack.bytes();
                self.all(&body);
            }
            CALLBACK => {
                let script = stack.bytes();
                let callbacks = &mut state().callbacks;
                callbacks.push(script);
                let environment = callbacks.len() as u64 - 1;
                push(stack, callback as *const () as u64);
                push(stack, environment);
            }
            KEEP => state().kept = stack.bytes(),
            KEPT => stack.push(Value::Bytes(state().kept.clone())),
            HOOK => {
                let hook = script.byte() as usize;
                *state().hooks.get_mut(hook).unwrap_or_else(|| fail("no such hook")) = Some(stack.bytes());
            }
            GROW => {
                let before = wasm::memory_grow::<0>(stack.number() as usize);
                push(stack, before as u64);
            }
            LOAD => {
                let (count, from) = (stack.number() as usize, stack.number() as usize);
                // SAFETY: Wasm traps beyond the heap; a script may read whatever lies in it.
                let bytes: Vec<u8> = (0..count).map(|at| unsafe { *((from + at) as *const u8) }).collect();
                stack.push(Value::Bytes(bytes));
            }
            STORE => {
                let (at, bytes) = (stack.number() as usize, stack.bytes());
                for (index, byte) in bytes.iter().enumerate() {
                    // SAFETY: Wasm traps beyond the heap; a script that overwrites the interpreter asked for it.
                    unsafe { ((at + index) as *mut u8).write_volatile(*byte) };
                }
            }
            FAULT => fault(script.byte()),
            SPIN => {
                let mut left = stack.number();
                while left != 0 {
                    left = core::hint::black_box(left) - 1;
                }
            }
            SET => {
                let register = script.byte() as usize % REGISTERS;
                self.registers[register] = stack.pop();
            }
            GET => stack.push(self.registers[script.byte() as usize % REGISTERS].clone()),
            _ => fail("no such operation"),
        }
    }
}

fn fault(kind: u8) {
    match kind {
        UNREACHABLE => wasm::unreachable(),
        BEYOND_THE_HEAP => {
            let last = core::hint::black_box(u32::MAX as usize - 8) as *const u64;
            // SAFETY: beyond every heap that is not full: WebAssembly traps here.
            core::hint::black_box(unsafe { last.read_unaligned() });
        }
        ENDLESS_RECURSION => {
            core::hint::black_box(deeper(core::hint::black_box(1)));
        }
        ENDLESS_LOOP => loop {
            core::hint::black_box(0);
        },
        _ => fail("no such fault"),
    }
}

#[inline(never)]
#[allow(unconditional_recursion, reason = "the point")]
fn deeper(depth: u64) -> u64 {
    let mut frame = [depth; 64];
    core::hint::black_box(&mut frame);
    deeper(frame[7] + 1) + frame[63]
}

fn to_number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
