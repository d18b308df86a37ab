//! The lane of calls whose modules are being compiled, one after the other.

use super::{
    State,
    digest::{self, AcceptedSummary},
};
use crate::{
    message::{Hashed, SystemMessage},
    preparing::{Accepted, Preparing},
};
use mains_types::{CanisterId, Cycles, Digest32, Height, UnixNanos, limits};
use serde::Serialize;
use std::sync::Arc;

/// What of a call in the lane goes into the root: its module by the hashes that name it.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    about: &'a CanisterId,
    message: Digest32,
    module: AcceptedSummary<'a>,
    reserved: Cycles,
    due: (Height, UnixNanos),
}

impl State {
    /// When a module of this weight, put into the lane now, would be ready: `None` if the lane has no room for it.
    ///
    /// One that is in the lane already is compiled once.
    pub fn ready_at(&self, module: &Digest32, weight: u64) -> Option<(Height, UnixNanos)> {
        if self.preparing.len() >= limits::PREPARING_MAX || self.is_system_queue_full() {
            return None;
        }
        if let Some(twin) = self.preparing.iter().find(|entry| entry.module.id == *module) {
            return Some((twin.due_height, twin.due));
        }
        let last_height = self.preparing.iter().map(|entry| entry.due_height).max().unwrap_or_default();
        let last = self.preparing.iter().map(|entry| entry.due).max().unwrap_or_default();
        let rounds = weight.div_ceil(limits::SLICE_INSTRUCTIONS);
        let nanos = weight.saturating_mul(limits::COMPILE_NANOS_PER_1000_INSTRUCTIONS) / 1_000;
        let due_height = Height(last_height.max(self.height).get().saturating_add(rounds));
        let due = last.max(self.time).saturating_add_nanos(nanos);
        (due.nanos_since(self.time) <= limits::PREPARING_NANOS_MAX).then_some((due_height, due))
    }

    /// Puts a call into the lane, to go on at the moment that [`State::ready_at`] gave.
    pub fn prepare(
        &mut self,
        about: CanisterId,
        message: SystemMessage,
        mut module: Accepted,
        reserved: Cycles,
        (due_height, due): (Height, UnixNanos),
    ) {
        if let Some(twin) = self.preparing.iter().find(|entry| entry.module.id == module.id) {
            module.wasm = twin.module.wasm.clone();
        }
        let message = Arc::new(Hashed::new(message));
        let entry = Preparing { about, message, module, reserved, due_height, due };
        self.system_queue_bytes += entry.bytes();
        self.preparing.push_back(entry);
    }

    /// The calls in the lane, oldest first.
    pub fn preparing(&self) -> impl Iterator<Item = &Preparing> {
        self.preparing.iter()
    }

    /// Whether a call about this canister is in the lane.
    pub fn is_preparing(&self, id: &CanisterId) -> bool {
        self.preparing.iter().any(|entry| entry.about == *id)
    }

    /// Takes the oldest call out of the lane that is due and whose canister is not paused. The caller runs it, and then
    /// [`State::unpause`] lets those go on that waited for it.
    pub fn take_prepared(&mut self) -> Option<Preparing> {
        let is_paused = |id| self.canister(id).is_some_and(|canister| canister.paused.is_some());
        let is_due = |entry: &Preparing| entry.due_height <= self.height && entry.due <= self.time;
        let index = self.preparing.iter().position(|entry| is_due(entry) && !is_paused(&entry.about))?;
        let entry = self.preparing.remove(index);
        self.system_queue_bytes -= entry.bytes();
        Some(entry)
    }

    /// Whether a canister had the module with this hash, as it was uploaded, when the last block ended: replicas have it ready.
    pub fn is_installed(&self, module_hash: &Digest32) -> bool {
        self.installed.contains_key(module_hash)
    }

    /// Notes that one canister more, or one less, has a module.
    pub(super) fn count_module(&mut self, module_hash: &Digest32, is_more: bool) {
        let before = self.installed.get(module_hash).copied().unwrap_or_default();
        match if is_more { before + 1 } else { before - 1 } {
            0 => self.installed.remove(module_hash),
            count => self.installed.insert(*module_hash, count),
        };
    }

    pub(super) fn preparing_summary(&self) -> Vec<Summary<'_>> {
        self.preparing.iter().map(summarise).collect()
    }
}

fn summarise(entry: &Preparing) -> Summary<'_> {
    // No `..`: whoever adds a field decides here how the root covers it.
    let Preparing { about, message, module, reserved, due_height, due } = entry;
    Summary {
        about,
        message: message.digest(),
        module: digest::accepted(module),
        reserved: *reserved,
        due: (*due_height, *due),
    }
}
