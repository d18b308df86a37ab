//! Writes what blocks did into the node's history, on a thread of its own.

use mains_ledger::tariff::DAY_SECONDS;
use mains_replica::{BlockSummary, Observer, ReplicaHandle};
use mains_store::{BlockRecord, History};
use mains_types::UnixNanos;
use std::{
    sync::{Arc, OnceLock, mpsc},
    time::Duration,
};

/// Blocks that wait to be written; execution waits beyond it.
const BLOCKS_MAX: usize = 256;
/// Pause between two attempts to write to a disk that takes nothing.
const PAUSE: Duration = Duration::from_secs(1);
/// Attempts between two lines of the log about it.
const QUIET_ATTEMPTS: u32 = 60;

/// Heights after which what is too old is forgotten; less than one pruning takes, so that it keeps up.
const PRUNE_EVERY: u64 = 64;

/// An observer that writes to SQLite.
pub(crate) struct HistoryWriter {
    blocks: mpsc::SyncSender<BlockSummary>,
    replica: Arc<OnceLock<ReplicaHandle>>,
}

impl HistoryWriter {
    /// Keeps what is younger than so many days; 0 keeps everything.
    pub(crate) fn start(mut history: History, days: u32) -> Self {
        let (blocks, queue) = mpsc::sync_channel::<BlockSummary>(BLOCKS_MAX);
        let replica = Arc::new(OnceLock::new());
        let told = replica.clone();
        std::thread::Builder::new()
            .name("history".into())
            .spawn(move || {
                while let Ok(block) = queue.recv() {
                    keep(&mut history, &block, &told);
                    if days > 0 && block.height.get().is_multiple_of(PRUNE_EVERY) {
                        let age = u64::from(days).saturating_mul(DAY_SECONDS * UnixNanos::SECOND);
                        if let Err(error) = history.prune(UnixNanos(block.time.get().saturating_sub(age))) {
                            tracing::error!(%error, "cannot forget old history");
                        }
                    }
                }
            })
            .expect("the host can start a thread");
        Self { blocks, replica }
    }

    /// Where to put the replica whose history this is, once it is there: it is told when the history waits.
    pub(crate) fn replica(&self) -> Arc<OnceLock<ReplicaHandle>> {
        self.replica.clone()
    }
}

impl Observer for HistoryWriter {
    fn executed(&self, summary: BlockSummary) {
        let _ = self.blocks.send(summary);
    }
}

/// Writes a block, however long the disk takes nothing: a gap could be filled by a replay only while the blocks are kept.
fn keep(history: &mut History, block: &BlockSummary, replica: &OnceLock<ReplicaHandle>) {
    let record = record(block);
    let say = |failure| {
        if let Some(replica) = replica.get() {
            replica.history_waits(failure);
        }
    };
    let mut attempts = 0_u32;
    while let Err(error) = history.record(&record) {
        if attempts.is_multiple_of(QUIET_ATTEMPTS) {
            tracing::error!(%error, height = %block.height, "cannot write history");
        }
        if !error.may_pass() {
            // Derived data: the node goes on, `mains node journal rebuild` fills the gap.
            return;
        }
        say(Some(error.to_string()));
        attempts = attempts.saturating_add(1);
        std::thread::sleep(PAUSE);
    }
    if attempts > 0 {
        say(None);
    }
}

fn record(block: &BlockSummary) -> BlockRecord {
    BlockRecord {
        height: block.height,
        time: block.time,
        digest: block.digest,
        root: block.root,
        journal: block.journal,
        calls_count: block.calls_count,
        calls_bytes: block.calls_bytes,
        entries: block.entries.clone(),
    }
}
