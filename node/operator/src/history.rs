//! Writes what blocks did into the node's history, on a thread of its own.

use mains_ledger::tariff::DAY_SECONDS;
use mains_replica::{BlockSummary, Observer};
use mains_store::{BlockRecord, History};
use mains_types::UnixNanos;
use std::sync::mpsc;

/// Blocks that wait to be written; execution waits beyond it.
const BLOCKS_MAX: usize = 256;

/// Heights after which what is too old is forgotten; less than one pruning takes, so that it keeps up.
const PRUNE_EVERY: u64 = 64;

/// An observer that writes to SQLite.
pub(crate) struct HistoryWriter {
    blocks: mpsc::SyncSender<BlockSummary>,
}

impl HistoryWriter {
    /// Keeps what is younger than so many days; 0 keeps everything.
    pub(crate) fn start(mut history: History, days: u32) -> Self {
        let (blocks, queue) = mpsc::sync_channel::<BlockSummary>(BLOCKS_MAX);
        std::thread::Builder::new()
            .name("history".into())
            .spawn(move || {
                while let Ok(block) = queue.recv() {
                    if let Err(error) = history.record(&record(&block)) {
                        // Derived data: the node goes on, the gap is filled when the chain is replayed.
                        tracing::error!(%error, height = %block.height, "cannot write history");
                    }
                    if days > 0 && block.height.get().is_multiple_of(PRUNE_EVERY) {
                        let age = u64::from(days).saturating_mul(DAY_SECONDS * UnixNanos::SECOND);
                        if let Err(error) = history.prune(UnixNanos(block.time.get().saturating_sub(age))) {
                            tracing::error!(%error, "cannot forget old history");
                        }
                    }
                }
            })
            .expect("the host can start a thread");
        Self { blocks }
    }
}

impl Observer for HistoryWriter {
    fn executed(&self, summary: BlockSummary) {
        let _ = self.blocks.send(summary);
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
