//! Writes checkpoints beside execution.
//!
//! A state is a value, so the one that is saved stays as it is while later blocks execute. One checkpoint is written at a time;
//! one that falls due meanwhile is left out, and a restart replays more blocks.

use crate::threads::{Threads, Waiting};
use mains_state::{CheckpointStore, Memo, State, checkpoint};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

pub(crate) struct Saver {
    thread: Threads,
    checkpoints: Arc<dyn CheckpointStore>,
    /// Heights between two checkpoints.
    interval: u64,
    is_writing: Arc<AtomicBool>,
    memo: Arc<Mutex<Memo>>,
}

impl Saver {
    pub(crate) fn new(checkpoints: Arc<dyn CheckpointStore>, interval: u64, waiting: Waiting) -> Self {
        let thread = Threads::start("checkpoint", 1, waiting);
        Self { thread, checkpoints, interval, is_writing: Arc::default(), memo: Arc::default() }
    }

    /// Begins to save a state if its height is one of a checkpoint; where tasks block for their threads, ends it too.
    pub(crate) fn executed(&self, state: &State) {
        if !state.height.get().is_multiple_of(self.interval) {
            return;
        }
        if self.is_writing.swap(true, Ordering::AcqRel) {
            tracing::warn!(height = %state.height, "the checkpoint before is still being written, this one is left out");
            return;
        }
        let (checkpoints, is_writing, memo) = (self.checkpoints.clone(), self.is_writing.clone(), self.memo.clone());
        let state = state.clone();
        let write = move || {
            write(&*checkpoints, &state, &mut memo.lock().expect("no holder panics"));
            is_writing.store(false, Ordering::Release);
        };
        self.thread.begin(write).expect("one job at a time");
    }
}

fn write(checkpoints: &dyn CheckpointStore, state: &State, memo: &mut Memo) {
    let height = state.height;
    match checkpoint::save(checkpoints, state, memo) {
        Ok(saved) => tracing::info!(%height, objects = saved.objects, bytes = saved.bytes, "checkpoint saved"),
        // The chain is durable without it: a restart replays more.
        Err(error) => tracing::error!(%error, %height, "cannot save a checkpoint; a restart will take longer"),
    }
}
