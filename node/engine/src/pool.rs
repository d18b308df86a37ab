//! Live instances that wait for their next message, the latest used ones.

use crate::instance::Live;
use mains_types::CanisterId;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Waiting instances.
pub(crate) struct Pool {
    /// At most so many.
    instances_max: usize,
    /// With at most so many bytes of memory together.
    bytes_max: u64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By canister, each with the moment it was put here; several threads may query the same canister.
    instances: HashMap<CanisterId, Vec<(u64, Live)>>,
    /// Whose instance was put here at that moment, and how many bytes it takes.
    order: BTreeMap<u64, (CanisterId, u64)>,
    bytes: u64,
    clock: u64,
}

impl Pool {
    pub(crate) fn new(instances_max: usize, bytes_max: u64) -> Self {
        Self { instances_max, bytes_max, waiting: Mutex::default() }
    }

    /// Takes the canister's latest instance, if one waits.
    pub(crate) fn take(&self, canister: &CanisterId) -> Option<Live> {
        let mut waiting = self.waiting();
        let instances = waiting.instances.get_mut(canister)?;
        let (moment, live) = instances.pop()?;
        if instances.is_empty() {
            waiting.instances.remove(canister);
        }
        waiting.forget(moment);
        Some(live)
    }

    /// Puts an instance back; those unused for longest may have to go.
    pub(crate) fn put(&self, canister: CanisterId, live: Live) {
        let mut waiting = self.waiting();
        waiting.clock += 1;
        let (moment, bytes) = (waiting.clock, live.resident_bytes());
        waiting.order.insert(moment, (canister, bytes));
        waiting.bytes += bytes;
        waiting.instances.entry(canister).or_default().push((moment, live));
        let mut surplus = Vec::new();
        while waiting.order.len() > self.instances_max || waiting.bytes > self.bytes_max {
            surplus.extend(waiting.remove_oldest());
        }
        drop(waiting);
        // Unmapping takes its time; nobody waits for it.
        drop(surplus);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under the lock panics half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn forget(&mut self, moment: u64) -> Option<CanisterId> {
        let (canister, bytes) = self.order.remove(&moment)?;
        self.bytes -= bytes;
        Some(canister)
    }

    fn remove_oldest(&mut self) -> Option<Live> {
        let moment = *self.order.first_key_value()?.0;
        let canister = self.forget(moment)?;
        let instances = self.instances.get_mut(&canister)?;
        let index = instances.iter().position(|(put, _)| *put == moment)?;
        let (_, live) = instances.remove(index);
        if instances.is_empty() {
            self.instances.remove(&canister);
        }
        Some(live)
    }
}
