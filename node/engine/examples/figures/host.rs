//! One canister on the Wasm host alone: no state around it, no ledger, no block.

use crate::Result;
use mains_engine::WasmtimeEngine;
use mains_execution::{
    engine::{Engine, Entry, Run},
    system_api::{Inputs, Mode, SystemApi},
};
use mains_state::{Canister, Code, Genesis, Settings, Subnet};
use mains_types::{CanisterId, UnixNanos, ids::canister_id, limits};
use std::sync::Arc;

/// The canister.
pub(crate) struct Alone<'a> {
    engine: &'a WasmtimeEngine,
    id: CanisterId,
    code: Code,
    record: Arc<Canister>,
    subnet: Arc<Subnet>,
}

impl<'a> Alone<'a> {
    /// A canister with this module on a fresh heap.
    ///
    /// # Errors
    /// The module is not valid.
    pub(crate) fn new(engine: &'a WasmtimeEngine, wasm: Vec<u8>) -> Result<Self> {
        engine.module(&wasm)?;
        let heap = engine.instantiate(&wasm).map_err(|trap| format!("{trap:?}"))?;
        let id = canister_id(77);
        let subnet = Subnet::from_genesis(&Genesis::rehearsal([]));
        let record = Canister::new(id, Settings::default(), UnixNanos(1));
        let code = Code::new(Arc::new(wasm.into()), [0; 32], heap, Default::default(), Default::default());
        Ok(Self { engine, id, code, record: Arc::new(record), subnet: Arc::new(subnet) })
    }

    /// Runs an update method and keeps what it did to the heap.
    ///
    /// # Errors
    /// It traps.
    pub(crate) fn update(&mut self, method: &str) -> Result<u64> {
        let inputs = Inputs {
            instruction_limit: limits::UPDATE_INSTRUCTIONS_MAX,
            ..Inputs::new(Mode::Update, self.record.clone(), self.subnet.clone(), UnixNanos(1_000))
        };
        let ran = self.engine.run(Run {
            canister: self.id,
            code: &self.code,
            entry: Entry::Export(format!("canister_update {method}")),
            api: SystemApi::new(inputs),
            instructions: limits::UPDATE_INSTRUCTIONS_MAX,
            waking: 0,
            commit: true,
        });
        ran.outcome.map_err(|trap| format!("{method}: {trap:?}"))?;
        self.code.heap = ran.heap;
        Ok(ran.instructions)
    }

    /// Bytes of the heap from `offset` on.
    pub(crate) fn bytes(&self, offset: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.code.heap.pages.read(offset, &mut bytes);
        bytes
    }
}
