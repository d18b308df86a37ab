//! What a module does, entry point after entry point, without the rest of a replica.

use mains_execution::{
    engine::{Engine, Entry, ModuleError, Ran, Run, Trap},
    system_api::{Inputs, Mode, SystemApi},
};
use mains_state::{Canister, Code, Continuation, Genesis, Heap, Settings, Subnet};
use mains_types::{CanisterId, Digest32, UnixNanos, ids::canister_id};
use std::{collections::BTreeMap, sync::Arc};

/// Elements of the table that are tried as callbacks.
const CALLBACKS: u64 = 3;

/// Everything that execution could see of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it began.
    pub entry: String,
    /// Success, or why not.
    pub outcome: Result<(), Trap>,
    /// Instructions used.
    pub instructions: u64,
    /// Digest of the heap's pages afterwards.
    pub pages: Digest32,
    /// Bytes of the heap afterwards.
    pub heap_bytes: u64,
    /// Mutable globals afterwards.
    pub globals: Vec<u64>,
    /// What system calls did: reply, calls, log, stable memory and the rest.
    pub effects: String,
}

/// Everything that execution could see of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// It is refused.
    Refused(ModuleError),
    /// A segment does not fit.
    NotInstantiated(Trap),
    /// Its runs.
    Ran(Vec<Step>),
}

/// Runs everything that a module offers, one after the other on the heap that the last one left: start function, hooks, methods
/// with each of these arguments, callbacks. Each entry point that used instructions runs again with half of them.
pub fn trace(engine: &dyn Engine, wasm: &[u8], arguments: &[Vec<u8>], instructions: u64) -> Trace {
    let info = match engine.module(wasm) {
        Ok(info) => info,
        Err(error) => return Trace::Refused(error),
    };
    let heap = match engine.instantiate(wasm) {
        Ok(heap) => heap,
        Err(trap) => return Trace::NotInstantiated(trap),
    };
    let code = Code::new(Arc::new(wasm.to_vec().into()), [0; 32], heap, BTreeMap::default(), Default::default());
    let mut canister = Running { engine, id: canister_id(300), code, steps: Vec::new() };
    let none = &[][..];
    if info.has_start {
        canister.twice(Mode::Start, &Entry::Start, none, instructions);
    }
    for hook in &info.hooks {
        let mode = match hook.as_str() {
            "canister_init" | "canister_post_upgrade" => Mode::Init,
            "canister_pre_upgrade" => Mode::PreUpgrade,
            "canister_inspect_message" => Mode::Inspect,
            _ => Mode::Task,
        };
        canister.twice(mode, &Entry::Export(hook.clone()), arguments.first().map_or(none, Vec::as_slice), instructions);
    }
    let methods = [("update", Mode::Update, &info.updates), ("query", Mode::Query, &info.queries)];
    for (kind, mode, names) in methods {
        for name in names {
            let entry = Entry::Export(format!("canister_{kind} {name}"));
            for argument in arguments {
                canister.twice(mode, &entry, argument, instructions);
            }
        }
    }
    for function in 0..CALLBACKS {
        let entry = Entry::Callback(Continuation { function, environment: 7 });
        canister.twice(Mode::Reply, &entry, none, instructions);
    }
    Trace::Ran(canister.steps)
}

struct Running<'a> {
    engine: &'a dyn Engine,
    id: CanisterId,
    code: Code,
    steps: Vec<Step>,
}

impl Running<'_> {
    fn twice(&mut self, mode: Mode, entry: &Entry, argument: &[u8], instructions: u64) {
        let used = self.step(mode, entry, argument, instructions);
        if used > 1 {
            self.step(mode, entry, argument, used / 2);
        }
    }

    fn step(&mut self, mode: Mode, entry: &Entry, argument: &[u8], instructions: u64) -> u64 {
        let commit = mode != Mode::Query;
        let mut inputs = Inputs::new(mode, Arc::new(self.record()), Arc::new(subnet()), UnixNanos(1_000));
        inputs.argument = argument.to_vec().into();
        inputs.instruction_limit = instructions;
        inputs.stable = self.code.stable.clone();
        inputs.stable_pages = self.code.stable_pages;
        let (api, name) = (SystemApi::new(inputs), format!("{entry:?}"));
        let run =
            Run { canister: self.id, code: &self.code, entry: entry.clone(), api, instructions, waking: 0, commit };
        let Ran { api, outcome, instructions: used, heap } = self.engine.run(run);
        let effects = api.into_effects();
        let Heap { pages, bytes, globals } = &heap;
        self.steps.push(Step {
            entry: name,
            outcome: outcome.clone(),
            instructions: used,
            pages: pages.digest(),
            heap_bytes: *bytes,
            globals: globals.clone(),
            effects: format!("{effects:?} {}", hex::encode(effects.stable.digest())),
        });
        if commit && outcome.is_ok() {
            self.code.heap = heap;
            (self.code.stable, self.code.stable_pages) = (effects.stable, effects.stable_pages);
        }
        used
    }

    fn record(&self) -> Canister {
        let settings = Settings { wasm_memory_limit: HEAP_BYTES_MAX, ..Settings::default() };
        Canister::new(self.id, settings, UnixNanos(1))
    }
}

/// Bytes that a heap may grow to: many trees of pages are hashed here.
const HEAP_BYTES_MAX: u64 = 64 << 20;

fn subnet() -> Subnet {
    Subnet::from_genesis(&Genesis::rehearsal([]))
}
