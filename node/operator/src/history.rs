//! Writes what blocks did into the node's history, on a thread of its own.

use mains_replica::{BlockSummary, Observer};
use mains_store::{BlockRecord, History};
use std::sync::mpsc;

/// Blocks that wait to be written; execution waits beyond it.
const BLOCKS_MAX: usize = 256;

/// An observer that writes to SQLite.
pub(crate) struct HistoryWriter {
    blocks: mpsc::SyncSender<BlockSummary>,
}

impl HistoryWriter {
    pub(crate) fn start(mut history: History) -> Self {
        let (blocks, queue) = mpsc::sync_channel::<BlockSummary>(BLOCKS_MAX);
        std::thread::Builder::new()
            .name("history".into())
            .spawn(move || {
                while let Ok(block) = queue.recv() {
                    if let Err(error) = history.record(&record(&block)) {
                        // Derived data: the node goes on, the gap is filled when the chain is replayed.
                        tracing::error!(%error, height = %block.height, "cannot write history");
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
        calls_count: block.calls_count,
        calls_bytes: block.calls_bytes,
        entries: block.entries.clone(),
    }
}
