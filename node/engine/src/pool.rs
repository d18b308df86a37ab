//! Live instances that wait for their next message, the latest used ones.
//!
//! Instances of one module differ in nothing but memory and globals, so one that waits for another canister can be made to serve
//! this one by writing the few pages in which their heaps differ. That is how canisters wake that have slept for long.

use crate::{instance::Live, modules::Module};
use mains_state::Heap;
use mains_types::CanisterId;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Instances of one module beyond which a canister without one takes over another's: that costs about as much as serving one
/// message more, each further instance costs memory.
const MODULE_INSTANCES: usize = 64;
/// Pages of an instance that may be taken over. Canisters with more are likely to differ in most of them.
const TAKEN_OVER_PAGES_MAX: u64 = 4_096;
/// Instances that are looked at to find one that can be taken over.
const LOOKED_AT_MAX: usize = 8;

/// Waiting instances.
pub(crate) struct Pool {
    /// At most so many.
    instances_max: usize,
    /// With at most so many bytes of memory together; the latest stays, however large it is.
    bytes_max: u64,
    /// The so many latest are not taken over by other canisters.
    untouched: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// By the moment they were put here.
    instances: BTreeMap<u64, Resting>,
    /// Moments of each canister's instances; several threads may query the same canister.
    by_canister: HashMap<CanisterId, BTreeSet<u64>>,
    /// Moments of each module's instances. The module is named by its address, which its instances keep in use.
    by_module: HashMap<usize, BTreeSet<u64>>,
    bytes: u64,
    clock: u64,
}

struct Resting {
    canister: CanisterId,
    live: Live,
    bytes: u64,
}

impl Pool {
    pub(crate) fn new(instances_max: usize, bytes_max: u64, untouched: usize) -> Self {
        Self { instances_max, bytes_max, untouched, waiting: Mutex::default() }
    }

    /// Takes an instance of `module` that can be made to equal `heap`: the canister's latest one; if it has none, perhaps one
    /// that another canister has not used for long.
    pub(crate) fn take(&self, canister: &CanisterId, module: &Arc<Module>, heap: &Heap) -> Option<Live> {
        let mut waiting = self.waiting();
        let own = waiting.by_canister.get(canister).and_then(|moments| moments.last().copied());
        if let Some(moment) = own {
            let live = waiting.remove(moment)?.live;
            if Arc::ptr_eq(&live.module, module) && live.fits(heap.bytes) {
                return Some(live);
            }
            drop(waiting);
            drop(live);
            return None;
        }
        let moments = waiting.by_module.get(&address(module))?;
        if moments.len() < MODULE_INSTANCES && waiting.instances.len() < self.instances_max {
            return None;
        }
        // Those before this moment; none if there are too few, all if none is to be left untouched.
        let until = self.untouched.checked_sub(1).map(|nth| waiting.instances.keys().nth_back(nth));
        let usable = |moment: &&u64| {
            waiting.instances.get(moment).is_some_and(|resting| {
                resting.live.fits(heap.bytes) && resting.live.pages_count() <= TAKEN_OVER_PAGES_MAX
            }) && until.is_none_or(|until| until.is_some_and(|until| *moment < until))
        };
        let moment = *moments.iter().take(LOOKED_AT_MAX).find(usable)?;
        waiting.remove(moment).map(|resting| resting.live)
    }

    /// Puts an instance back; those unused for longest may have to go.
    pub(crate) fn put(&self, canister: CanisterId, live: Live) {
        let mut waiting = self.waiting();
        waiting.insert(canister, live);
        let mut surplus = Vec::new();
        let is_too_much = |waiting: &Waiting| {
            let count = waiting.instances.len();
            count > self.instances_max || (count > 1 && waiting.bytes > self.bytes_max)
        };
        while is_too_much(&waiting) {
            let oldest = waiting.instances.first_key_value().map(|(moment, _)| *moment);
            let Some(resting) = oldest.and_then(|moment| waiting.remove(moment)) else { break };
            surplus.push(resting);
        }
        drop(waiting);
        // Unmapping takes its time; nobody waits for it.
        drop(surplus);
    }

    /// Whether an instance of the canister waits here.
    #[cfg(test)]
    pub(crate) fn has(&self, canister: &CanisterId) -> bool {
        self.waiting().by_canister.contains_key(canister)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under the lock panics half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn insert(&mut self, canister: CanisterId, live: Live) {
        self.clock += 1;
        let (moment, bytes) = (self.clock, live.resident_bytes());
        self.by_canister.entry(canister).or_default().insert(moment);
        self.by_module.entry(address(&live.module)).or_default().insert(moment);
        self.bytes += bytes;
        self.instances.insert(moment, Resting { canister, live, bytes });
    }

    fn remove(&mut self, moment: u64) -> Option<Resting> {
        let resting = self.instances.remove(&moment)?;
        self.bytes -= resting.bytes;
        forget(&mut self.by_canister, &resting.canister, moment);
        forget(&mut self.by_module, &address(&resting.live.module), moment);
        Some(resting)
    }
}

fn forget<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<u64>>, key: &K, moment: u64) {
    if let Some(moments) = index.get_mut(key) {
        moments.remove(&moment);
        if moments.is_empty() {
            index.remove(key);
        }
    }
}

fn address(module: &Arc<Module>) -> usize {
    Arc::as_ptr(module) as usize
}
