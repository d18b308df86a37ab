//! Writes checkpoints beside execution.
//!
//! A state is a value, so the one that is saved stays as it is while later blocks execute. One checkpoint is written at a time;
//! one that falls due meanwhile is left out, and a restart replays more blocks.

use crate::{
    disk::Disk,
    threads::{Threads, Waiting},
};
use bytes::BytesMut;
use mains_consensus::Certificate;
use mains_state::{
    CheckpointStore, Memo, State,
    checkpoint::{self, CHECKPOINTS_KEPT},
};
use mains_types::Height;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// Is told from which height on blocks may still be needed.
pub(crate) type Prune = Arc<dyn Fn(Height) + Send + Sync>;

pub(crate) struct Saver {
    thread: Threads,
    checkpoints: Arc<dyn CheckpointStore>,
    /// Heights between two checkpoints.
    interval: u64,
    is_writing: Arc<AtomicBool>,
    memo: Arc<Mutex<Memo>>,
    prune: Prune,
    disk: Arc<Disk>,
}

impl Saver {
    pub(crate) fn new(
        checkpoints: Arc<dyn CheckpointStore>,
        interval: u64,
        waiting: Waiting,
        prune: Prune,
        disk: Arc<Disk>,
    ) -> Self {
        let thread = Threads::start("checkpoint", 1, waiting);
        Self { thread, checkpoints, interval, is_writing: Arc::default(), memo: Arc::default(), prune, disk }
    }

    /// Keeps the certificate of a checkpoint's state beside it: others take a state with its certificate only.
    pub(crate) fn certified(&self, certificate: Certificate) {
        if !certificate.height.get().is_multiple_of(self.interval) {
            return;
        }
        let checkpoints = self.checkpoints.clone();
        let write = move || {
            let mut bytes = BytesMut::new();
            certificate.write(&mut bytes);
            if let Err(error) = checkpoints.certify(certificate.height, &bytes) {
                tracing::error!(%error, height = %certificate.height, "cannot keep a checkpoint's certificate");
            }
        };
        if self.thread.begin(write).is_err() {
            tracing::warn!(height = %certificate.height, "too much to write: a checkpoint stays without its certificate");
        }
    }

    /// Begins to save a state if its height is one of a checkpoint; where tasks block for their threads, ends it too.
    pub(crate) fn executed(&self, state: &State, is_syncing: bool) {
        // What is being fetched belongs to no checkpoint yet: it must not be collected.
        if is_syncing || !state.height.get().is_multiple_of(self.interval) {
            return;
        }
        if self.is_writing.swap(true, Ordering::AcqRel) {
            tracing::warn!(height = %state.height, "the checkpoint before is still being written, this one is left out");
            return;
        }
        let (checkpoints, is_writing, memo) = (self.checkpoints.clone(), self.is_writing.clone(), self.memo.clone());
        let (prune, disk) = (self.prune.clone(), self.disk.clone());
        let state = state.clone();
        let write = move || {
            write(&*checkpoints, &state, &mut memo.lock().expect("no holder panics"), &*prune, &disk);
            is_writing.store(false, Ordering::Release);
        };
        self.thread.begin(write).expect("one job at a time");
    }
}

fn write(checkpoints: &dyn CheckpointStore, state: &State, memo: &mut Memo, prune: &dyn Fn(Height), disk: &Disk) {
    let height = state.height;
    match checkpoint::save(checkpoints, state, memo) {
        Ok(saved) => tracing::info!(%height, objects = saved.objects, bytes = saved.bytes, "checkpoint saved"),
        // The chain is durable without it: a restart replays more.
        Err(error) => {
            disk.checkpoint(Some(error.to_string()));
            return tracing::error!(%error, %height, "cannot save a checkpoint; a restart will take longer");
        }
    }
    disk.checkpoint(None);
    // Only behind two checkpoints: should the newest be damaged, the other one and the blocks after it serve.
    if let Some(oldest) = checkpoints.manifests().ok().and_then(|kept| kept.get(CHECKPOINTS_KEPT - 1).copied()) {
        prune(oldest.height);
    }
}
