//! How far a replica is that catches up, at what rate, and what it waits for.

use super::fetch::Fetch;
use crate::handle::SyncStatus;
use mains_types::{Height, UnixNanos};

/// Heights behind from which on executing blocks is worth a word: less is the ordinary distance of a busy replica.
const BLOCKS_BEHIND: u64 = 64;
/// Time between two lines of the log.
const QUIET_NANOS: u64 = 10 * UnixNanos::SECOND;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When this replica was seen to be behind, and where it was.
    began: Option<(UnixNanos, Height)>,
    told_at: Option<UnixNanos>,
}

impl Progress {
    /// A replica that executes the blocks that it missed.
    pub(super) fn blocks(&mut self, executed: Height, target: Height, now: UnixNanos) -> Option<SyncStatus> {
        let missing = target.get().saturating_sub(executed.get());
        if missing <= BLOCKS_BEHIND {
            self.began = None;
            return None;
        }
        let (since, from) = *self.began.get_or_insert((now, executed));
        let done = executed.get().saturating_sub(from.get());
        let millis = now.nanos_since(since) / 1_000_000;
        let seconds_left = (missing.saturating_mul(millis)).checked_div(done.saturating_mul(1_000));
        let pace = if done == 0 {
            "waits for blocks from the others".into()
        } else {
            format!("{} blocks/s, {} left", done.saturating_mul(1_000) / millis.max(1), seconds(seconds_left))
        };
        Some(SyncStatus {
            phase: "blocks",
            height: target.get(),
            bytes: 0,
            missing_count: missing,
            bytes_per_second: 0,
            seconds_left,
            text: format!("at height {executed} of {target}: {missing} blocks to execute, {pace}"),
        })
    }

    /// Says it in the log, not too often.
    pub(super) fn log(&mut self, status: Option<&SyncStatus>, now: UnixNanos) {
        let Some(status) = status else {
            self.told_at = None;
            return;
        };
        if self.told_at.is_none_or(|at| now.nanos_since(at) >= QUIET_NANOS) {
            self.told_at = Some(now);
            tracing::info!(phase = status.phase, "catches up: {}", status.text);
        }
    }
}

/// A replica that waits for the blocks after a state.
pub(super) fn way_on(height: Height) -> SyncStatus {
    SyncStatus {
        phase: "way_on",
        height: height.get(),
        bytes: 0,
        missing_count: 1,
        bytes_per_second: 0,
        seconds_left: None,
        text: format!("waits for the blocks after height {height} from the others"),
    }
}

/// A replica that fetches a state from so many members since some time.
pub(super) fn state<P: Ord + Clone>(fetch: &Fetch<P>, members: usize, nanos: u64) -> SyncStatus {
    let millis = (nanos / 1_000_000).max(1);
    let each = fetch.bytes / fetch.objects.max(1);
    let (missing, rate) = (fetch.missing() as u64, fetch.bytes.saturating_mul(1_000) / millis);
    let seconds_left = missing.saturating_mul(each).checked_div(rate);
    SyncStatus {
        phase: "state",
        height: fetch.manifest.height.get(),
        bytes: fetch.bytes,
        missing_count: missing,
        bytes_per_second: rate,
        seconds_left,
        text: format!(
            "fetches the state of height {} from {members} members: {} kB here, {missing} objects known to be missing, {} kB/s, {} left",
            fetch.manifest.height,
            fetch.bytes / 1_000,
            rate / 1_000,
            seconds(seconds_left),
        ),
    }
}

fn seconds(left: Option<u64>) -> String {
    left.map_or("unknown".into(), |seconds| format!("{seconds} s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_far_behind_says_how_far_how_fast_and_for_how_long() {
        let mut progress = Progress::default();
        let at = |seconds: u64| UnixNanos(seconds * UnixNanos::SECOND);
        assert_eq!(progress.blocks(Height(100), Height(164), at(0)), None);
        let first = progress.blocks(Height(100), Height(1_100), at(1)).expect("behind");
        assert!(first.text.contains("waits for blocks") && first.seconds_left.is_none());
        let later = progress.blocks(Height(300), Height(1_100), at(5)).expect("behind");
        assert_eq!((later.missing_count, later.seconds_left), (800, Some(16)));
        assert!(later.text.contains("50 blocks/s, 16 s left"), "{}", later.text);
        assert_eq!(progress.blocks(Height(1_090), Height(1_100), at(9)), None);
    }
}
