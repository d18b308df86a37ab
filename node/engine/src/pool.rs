//! Live instances that wait for their next message, the latest used ones.

use crate::instance::Live;
use mains_types::CanisterId;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Waiting instances, at most so many.
pub(crate) struct Pool {
    instances_max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By canister, each with the moment it was put here; several threads may query the same canister.
    instances: HashMap<CanisterId, Vec<(u64, Live)>>,
    /// Whose instance was put here at that moment.
    order: BTreeMap<u64, CanisterId>,
    clock: u64,
}

impl Pool {
    pub(crate) fn new(instances_max: usize) -> Self {
        Self { instances_max, waiting: Mutex::default() }
    }

    /// Takes the canister's latest instance, if one waits.
    pub(crate) fn take(&self, canister: &CanisterId) -> Option<Live> {
        let mut waiting = self.waiting();
        let instances = waiting.instances.get_mut(canister)?;
        let (moment, live) = instances.pop()?;
        if instances.is_empty() {
            waiting.instances.remove(canister);
        }
        waiting.order.remove(&moment);
        Some(live)
    }

    /// Puts an instance back; the one unused for longest may have to go.
    pub(crate) fn put(&self, canister: CanisterId, live: Live) {
        let mut waiting = self.waiting();
        waiting.clock += 1;
        let moment = waiting.clock;
        waiting.order.insert(moment, canister);
        waiting.instances.entry(canister).or_default().push((moment, live));
        let surplus = if waiting.order.len() > self.instances_max { waiting.remove_oldest() } else { None };
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
    fn remove_oldest(&mut self) -> Option<Live> {
        let (moment, canister) = self.order.pop_first()?;
        let instances = self.instances.get_mut(&canister)?;
        let index = instances.iter().position(|(put, _)| *put == moment)?;
        let (_, live) = instances.remove(index);
        if instances.is_empty() {
            self.instances.remove(&canister);
        }
        Some(live)
    }
}
