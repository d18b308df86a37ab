//! Which modules are in memory, and which some state holds.

use super::Module;
use mains_execution::engine::ModuleError;
use mains_types::Digest32;
use serde_bytes::ByteBuf;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock, Weak},
};

/// Modules kept in memory: what is not there is mapped from its file.
const MODULES_MAX: usize = 512;
/// Addresses below which nobody looks whether some are of bytes that are gone; about 100 bytes each.
const SWEEP_MIN: usize = 1 << 14;

/// A cell that is filled by whoever needs a module first while others wait.
pub(super) type Cell = Arc<OnceLock<Result<Arc<Module>, ModuleError>>>;

#[derive(Default)]
pub(super) struct Kept {
    by_id: HashMap<Digest32, (u64, Cell)>,
    /// Ids by address of the bytes in states: as many as states hold, and at most as many again that are gone. The weak
    /// reference keeps the address from being used again.
    by_address: HashMap<usize, (Weak<ByteBuf>, Digest32)>,
    sweep_at: usize,
    clock: u64,
}

impl Kept {
    /// The place of this module; the one unused for longest makes room.
    pub(super) fn cell(&mut self, id: Digest32) -> Cell {
        self.clock += 1;
        let clock = self.clock;
        if self.by_id.len() >= MODULES_MAX && !self.by_id.contains_key(&id) {
            let oldest = self.by_id.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| *id);
            self.by_id.remove(&oldest.unwrap_or_default());
        }
        let (used, cell) = self.by_id.entry(id).or_default();
        *used = clock;
        cell.clone()
    }

    /// The place of this module, if it has one.
    pub(super) fn ready(&self, id: &Digest32) -> Option<Cell> {
        self.by_id.get(id).map(|(_, cell)| cell.clone())
    }

    pub(super) fn forget(&mut self, id: &Digest32) {
        self.by_id.remove(id);
    }

    /// The id of these bytes, so as not to hash them for every message.
    pub(super) fn id_at(&self, wasm: &Arc<ByteBuf>) -> Option<Digest32> {
        self.by_address.get(&(Arc::as_ptr(wasm) as usize)).map(|(_, id)| *id)
    }

    /// Notes the id of bytes that a state holds.
    pub(super) fn remember(&mut self, wasm: &Arc<ByteBuf>, id: Digest32) {
        if self.by_address.len() >= self.sweep_at.max(SWEEP_MIN) {
            self.by_address.retain(|_, (bytes, _)| bytes.strong_count() > 0);
            self.sweep_at = 2 * self.by_address.len();
        }
        self.by_address.insert(Arc::as_ptr(wasm) as usize, (Arc::downgrade(wasm), id));
    }

    /// All modules that some state holds.
    pub(super) fn held(&self) -> HashSet<Digest32> {
        self.by_address.values().filter(|(bytes, _)| bytes.strong_count() > 0).map(|(_, id)| *id).collect()
    }
}
