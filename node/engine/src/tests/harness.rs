//! A canister without the rest of a replica: its code, and runs that replace its heap.

use crate::{Tracking, WasmtimeEngine};
use mains_execution::{
    engine::{Engine, Entry, Ran, Run, Trap},
    system_api::{Effects, Inputs, Mode, SystemApi},
};
use mains_state::{Canister as Record, Code, Continuation, Genesis, Settings, Subnet};
use mains_types::{CanisterId, UnixNanos, ids::canister_id};
use std::sync::{Arc, LazyLock};

/// Instructions that tests' runs may use unless they say otherwise.
pub(super) const LIMIT: u64 = 100_000_000;

/// One engine for every way of tracking that works here.
pub(super) fn engines() -> Vec<WasmtimeEngine> {
    let engines: Vec<_> =
        Tracking::ALL.into_iter().filter_map(|tracking| WasmtimeEngine::with_tracking(None, tracking).ok()).collect();
    assert!(!engines.is_empty());
    engines
}

/// The engine for tests where tracking is no matter.
pub(super) fn engine() -> &'static WasmtimeEngine {
    static ENGINE: LazyLock<WasmtimeEngine> =
        LazyLock::new(|| WasmtimeEngine::new(None).expect("an engine starts everywhere"));
    &ENGINE
}

/// A module from its text.
pub(super) fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the test's module is well written")
}

/// What a run left.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<(), Trap>,
    pub(super) instructions: u64,
    pub(super) reply: Vec<u8>,
    pub(super) effects: Effects,
}

impl Outcome {
    /// The reply as a number, little endian.
    pub(super) fn number(&self) -> u64 {
        assert_eq!(self.result, Ok(()));
        let mut bytes = [0; 8];
        bytes[..self.reply.len()].copy_from_slice(&self.reply);
        u64::from_le_bytes(bytes)
    }
}

/// An installed canister.
pub(super) struct Canister<'a> {
    pub(super) engine: &'a WasmtimeEngine,
    pub(super) id: CanisterId,
    pub(super) code: Code,
    pub(super) instructions: u64,
    pub(super) settings: Settings,
}

impl<'a> Canister<'a> {
    pub(super) fn new(engine: &'a WasmtimeEngine, text: &str) -> Self {
        Self::of(engine, wasm(text))
    }

    /// Of a module's bytes.
    pub(super) fn of(engine: &'a WasmtimeEngine, wasm: Vec<u8>) -> Self {
        let info = engine.module(&wasm).unwrap_or_else(|error| panic!("the module {error}"));
        let heap = engine.instantiate(&wasm).expect("its segments fit");
        let code = Code::new(Arc::new(wasm.into()), [0; 32], heap, Default::default(), Default::default());
        let mut canister =
            Self { engine, id: canister_id(300), code, instructions: LIMIT, settings: Settings::default() };
        if info.has_start {
            assert_eq!(canister.run(Mode::Start, Entry::Start, &[], true).result, Ok(()));
        }
        canister
    }

    /// Calls an update method and keeps what it did.
    pub(super) fn update(&mut self, method: &str, argument: &[u8]) -> Outcome {
        self.run(Mode::Update, Entry::Export(format!("canister_update {method}")), argument, true)
    }

    /// Calls a query method.
    pub(super) fn query(&mut self, method: &str, argument: &[u8]) -> Outcome {
        self.run(Mode::Query, Entry::Export(format!("canister_query {method}")), argument, false)
    }

    /// Runs a callback.
    pub(super) fn callback(&mut self, function: u64, environment: u64) -> Outcome {
        self.run(Mode::Reply, Entry::Callback(Continuation { function, environment }), &[], true)
    }

    pub(super) fn run(&mut self, mode: Mode, entry: Entry, argument: &[u8], commit: bool) -> Outcome {
        let ran = self.ran(mode, entry, argument, commit);
        if commit && ran.outcome.is_ok() {
            self.code.heap = ran.heap;
        } else {
            assert_eq!(ran.heap.pages, self.code.heap.pages);
            assert_eq!((ran.heap.bytes, &ran.heap.globals), (self.code.heap.bytes, &self.code.heap.globals));
        }
        let effects = ran.api.into_effects();
        let reply = effects.response.clone().and_then(Result::ok).unwrap_or_default();
        Outcome { result: ran.outcome, instructions: ran.instructions, reply, effects }
    }

    pub(super) fn ran(&self, mode: Mode, entry: Entry, argument: &[u8], commit: bool) -> Ran {
        self.engine.run(self.prepared(mode, entry, argument, commit))
    }

    pub(super) fn prepared(&self, mode: Mode, entry: Entry, argument: &[u8], commit: bool) -> Run<'_> {
        let record = Record::new(self.id, self.settings.clone(), UnixNanos(1));
        let subnet = Subnet::from_genesis(&Genesis::rehearsal([]));
        let mut inputs = Inputs::new(mode, Arc::new(record), Arc::new(subnet), UnixNanos(1_000));
        inputs.argument = argument.to_vec().into();
        inputs.instruction_limit = self.instructions;
        let api = SystemApi::new(inputs);
        let instructions = self.instructions;
        Run { canister: self.id, code: &self.code, entry, api, instructions, waking: 0, commit }
    }
}

/// A module around `body`, with what most tests need: imports, one page of memory, a function that replies with the 8 bytes at 0.
pub(super) fn module(body: &str) -> String {
    format!(
        r#"(module
            (import "ic0" "msg_arg_data_size" (func $argument_size (result i32)))
            (import "ic0" "msg_arg_data_copy" (func $argument_copy (param i32 i32 i32)))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "trap" (func $trap (param i32 i32)))
            (import "ic0" "performance_counter" (func $counter (param i32) (result i64)))
            (memory 1)
            (func $answer (call $append (i32.const 0) (i32.const 8)) (call $reply))
            {body})"#
    )
}

/// A module with one method `go` that stores an `i64` at 0 and replies with it.
pub(super) fn computes(expression: &str) -> String {
    module(&format!(r#"(func (export "canister_update go") (i64.store (i32.const 0) {expression}) (call $answer))"#))
}
