//! Runs that go on in a later slice: each waits on a thread of its own, in the middle of its canister's code.
//!
//! Nothing but a cache: a run that is dropped here is done again from its beginning, with the same result. What is lost first
//! is what is done again soonest.

use crate::stack::HOST_STACK_BYTES;
use mains_execution::engine::Ran;
use mains_state::RunName;
use mains_types::{CanisterId, limits};
use std::{
    collections::HashSet,
    panic::resume_unwind,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

/// Runs that are kept: those that take turns, and some that wait to be among them.
const RUNS_MAX: usize = limits::PAUSED_ACTIVE_MAX + 2;
/// Bytes of their heaps together; one is kept in any case.
const BYTES_MAX: u64 = 8 << 30;
/// Canisters remembered for their long runs.
const LONG_MAX: usize = 4_096;

/// What a run's thread tells.
enum Event {
    /// It has used its allowance; its heap has so many bytes.
    Paused(u64),
    /// It came to its end.
    Ended(Box<Ran>),
}

/// The run's end of the line: where it waits for its next slice.
pub(crate) struct Pause {
    events: SyncSender<Event>,
    /// Only for this thread; a store's data must be shareable.
    allowances: Mutex<Receiver<u64>>,
    /// Instructions that count as used before the run began.
    before: u64,
}

impl Pause {
    /// Waits for the next slice; answers how many instructions the run may have used by its end, or `None` if it is dropped.
    pub(crate) fn wait(&self, heap_bytes: u64) -> Option<u64> {
        self.events.send(Event::Paused(heap_bytes)).ok()?;
        let allowance = self.allowances.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()?;
        Some(allowance.saturating_sub(self.before))
    }

    /// Waits until so many instructions may be used, which count from now on as used before; answers how many the run may have
    /// used, of which `allowance` are given already, or `None` if it is dropped.
    pub(crate) fn begin_after(&mut self, instructions: u64, mut allowance: u64, heap_bytes: u64) -> Option<u64> {
        while allowance < instructions {
            allowance = self.wait(heap_bytes)?;
        }
        self.before = instructions;
        Some(allowance - instructions)
    }
}

/// A run that is under way on its own thread, or has come to its end there.
pub(crate) struct Suspended {
    thread: Option<Thread>,
    ended: Option<Ran>,
    heap_bytes: u64,
}

struct Thread {
    allowances: SyncSender<u64>,
    events: Receiver<Event>,
    handle: JoinHandle<()>,
}

impl Suspended {
    /// Starts a run on a thread of its own; it begins when it is resumed. `run` gets the first allowance.
    ///
    /// # Panics
    /// If the host cannot start a thread.
    pub(crate) fn start(run: impl FnOnce(u64, Pause) -> Option<Ran> + Send + 'static) -> Box<Self> {
        let (allowances, given) = sync_channel(1);
        let (tell, events) = sync_channel(1);
        let work = move || {
            let Ok(first) = given.recv() else { return };
            let pause = Pause { events: tell.clone(), allowances: Mutex::new(given), before: 0 };
            if let Some(ran) = run(first, pause) {
                // Nobody waits for a run that was dropped.
                let _ = tell.send(Event::Ended(Box::new(ran)));
            }
        };
        let builder = Builder::new().name("mains-slices".into()).stack_size(HOST_STACK_BYTES);
        let handle = builder.spawn(work).expect("the host can start a thread");
        Box::new(Self { thread: Some(Thread { allowances, events, handle }), ended: None, heap_bytes: 0 })
    }

    /// Lets it go on until it has used `allowance` instructions in all. Its result if it needs no more, else itself.
    ///
    /// # Panics
    /// If the run's thread panicked: what must not go unnoticed there must not here.
    pub(crate) fn resume(mut self: Box<Self>, allowance: u64) -> Result<Ran, Box<Self>> {
        if let Some(thread) = &self.thread {
            let event = thread.allowances.send(allowance).ok().and_then(|()| thread.events.recv().ok());
            match event {
                Some(Event::Paused(heap_bytes)) => self.heap_bytes = heap_bytes,
                Some(Event::Ended(ran)) => {
                    self.end();
                    self.ended = Some(*ran);
                }
                None => {
                    self.end();
                    panic!("a run ended without a result");
                }
            }
        }
        match self.ended.take_if(|ran| ran.instructions <= allowance) {
            Some(ran) => Ok(ran),
            None => Err(self),
        }
    }

    /// Ends the thread, wherever it is.
    fn end(&mut self) {
        let Some(Thread { allowances, events, handle }) = self.thread.take() else { return };
        drop((allowances, events));
        if let Err(panic) = handle.join()
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        self.end();
    }
}

/// All suspended runs.
#[derive(Default)]
pub(crate) struct Parked {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    runs: Vec<Entry>,
    /// Canisters whose latest run was long.
    long: HashSet<CanisterId>,
}

struct Entry {
    canister: CanisterId,
    name: RunName,
    /// What it may have used: what is lost with it.
    allowance: u64,
    run: Box<Suspended>,
}

impl Parked {
    /// Takes a run out, if it is here.
    pub(crate) fn take(&self, canister: &CanisterId, name: &RunName) -> Option<Box<Suspended>> {
        let mut kept = self.kept();
        let index = kept.runs.iter().position(|entry| entry.canister == *canister && entry.name == *name)?;
        Some(kept.runs.swap_remove(index).run)
    }

    /// Keeps a run that has used its allowance, in place of any other of the same canister, and drops what is too much.
    pub(crate) fn put(&self, canister: CanisterId, name: RunName, allowance: u64, run: Box<Suspended>) {
        let mut kept = self.kept();
        let mut dropped: Vec<_> = kept.runs.extract_if(.., |entry| entry.canister == canister).collect();
        kept.runs.push(Entry { canister, name, allowance, run });
        while kept.is_too_much() {
            // The latest of equals: those before it have their turn first.
            let least = (0..kept.runs.len()).rev().min_by_key(|index| kept.runs[*index].allowance);
            dropped.extend(least.map(|index| kept.runs.remove(index)));
        }
        drop(kept);
        // Ending their threads takes its time; nobody waits for the lock meanwhile.
        drop(dropped);
    }

    /// Whether the canister's latest run was long: then the next is begun on a thread of its own at once.
    pub(crate) fn expects_long(&self, canister: &CanisterId) -> bool {
        self.kept().long.contains(canister)
    }

    /// Notes whether a run of the canister was long.
    pub(crate) fn note(&self, canister: CanisterId, is_long: bool) {
        let mut kept = self.kept();
        if !is_long {
            kept.long.remove(&canister);
        } else {
            if kept.long.len() >= LONG_MAX {
                kept.long.clear();
            }
            kept.long.insert(canister);
        }
    }

    /// Drops every run, as a restart would.
    #[cfg(test)]
    pub(crate) fn clear(&self) -> usize {
        let runs = std::mem::take(&mut self.kept().runs);
        runs.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change is complete before anything can panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_too_much(&self) -> bool {
        let bytes: u64 = self.runs.iter().map(|entry| entry.run.heap_bytes).sum();
        self.runs.len() > RUNS_MAX || (bytes > BYTES_MAX && self.runs.len() > 1)
    }
}
