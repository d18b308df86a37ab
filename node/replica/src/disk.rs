//! What a replica knows of the disk under it: which writes wait for it, and how much room there is. Says it once, and again
//! now and then; decides nothing. Spec: `specs/operation.md`, "A full or failing disk".

use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

/// Attempts between two lines of the log about the same write: about a minute.
const QUIET_ATTEMPTS: u64 = 30;

/// Room on the file system that holds the replica's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes below which no new calls are taken.
    pub reserve_bytes: u64,
}

/// How the disk is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskStatus {
    /// Bytes that are free, if that is known.
    pub free_bytes: Option<u64>,
    /// Bytes below which no new calls are taken.
    pub reserve_bytes: u64,
    /// Writes and syncs that wait until the disk takes them. While there is one, this replica signs nothing.
    pub waiting_count: usize,
    /// Writes and syncs that failed since the replica started, each attempt counted.
    pub failures_count: u64,
    /// What is wrong and what to do, in a sentence.
    pub reason: Option<String>,
}

/// What is known of a replica's disk.
#[derive(Debug, Default)]
pub struct Disk(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Writes that wait, with why.
    waiting: BTreeMap<u64, String>,
    next: u64,
    failures: u64,
    room: Option<Room>,
    /// Why the newest checkpoint was not saved.
    checkpoint: Option<String>,
    /// Why the history is not written.
    history: Option<String>,
}

/// A write or sync that waits for the disk, as long as this value lives.
pub(crate) struct Trouble<'a> {
    disk: &'a Disk,
    number: u64,
    attempts: u64,
    file: String,
}

impl Disk {
    /// Something could not be written to `file`; it is tried again until it can.
    pub(crate) fn fails(&self, file: String, error: &impl ToString) -> Trouble<'_> {
        let mut known = self.known();
        let number = known.next;
        known.next += 1;
        drop(known);
        let mut trouble = Trouble { disk: self, number, attempts: 0, file };
        trouble.again(error);
        trouble
    }

    /// As [`Self::fails`] the first time, then as [`Trouble::again`].
    pub(crate) fn fails_again<'a>(
        &'a self,
        trouble: &mut Option<Trouble<'a>>,
        file: impl FnOnce() -> String,
        error: &impl ToString,
    ) {
        match trouble {
            Some(trouble) => trouble.again(error),
            None => *trouble = Some(self.fails(file(), error)),
        }
    }

    /// How much room there is now.
    pub fn has(&self, room: Room) {
        let mut known = self.known();
        let was_short = known.room.is_some_and(Room::is_short);
        known.room = Some(room);
        drop(known);
        match (was_short, room.is_short()) {
            (false, true) => tracing::warn!("{}", room.warning()),
            (true, false) => tracing::info!(free_bytes = room.free_bytes, "there is room again: takes calls"),
            _ => {}
        }
    }

    /// Whether the newest checkpoint that was due could be saved, or why not.
    pub(crate) fn checkpoint(&self, failure: Option<String>) {
        self.known().checkpoint = failure;
    }

    /// Whether executed blocks wait to be written to the history, and why.
    pub(crate) fn history(&self, failure: Option<String>) {
        self.known().history = failure;
    }

    /// Why no new calls are taken.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.known().refusal()
    }

    pub(crate) fn status(&self) -> DiskStatus {
        let known = self.known();
        let history = || Some(format!("the history waits ({}): make room or repair the disk", known.history.as_ref()?));
        let checkpoint = || Some(format!("the newest checkpoint could not be saved ({})", known.checkpoint.as_ref()?));
        DiskStatus {
            free_bytes: known.room.map(|room| room.free_bytes),
            reserve_bytes: known.room.map_or(0, |room| room.reserve_bytes),
            waiting_count: known.waiting.len(),
            failures_count: known.failures,
            reason: known.refusal().or_else(history).or_else(checkpoint),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no holder panics")
    }
}

impl Known {
    fn refusal(&self) -> Option<String> {
        let waiting = self.waiting.first_key_value().map(|(_, why)| {
            format!("the disk takes no writes ({why}): signs nothing until it does; make room or repair it, and it goes on by itself")
        });
        waiting.or_else(|| self.room.filter(|room| room.is_short()).map(Room::warning))
    }
}

impl Room {
    fn is_short(self) -> bool {
        self.free_bytes < self.reserve_bytes
    }

    fn warning(self) -> String {
        let megabytes = |bytes: u64| bytes / 1_000_000;
        format!(
            "{} MB of disk are free, less than the reserve of {} MB: takes no new calls; make room",
            megabytes(self.free_bytes),
            megabytes(self.reserve_bytes)
        )
    }
}

impl Trouble<'_> {
    /// It failed again.
    pub(crate) fn again(&mut self, error: &impl ToString) {
        let error = error.to_string();
        if self.attempts.is_multiple_of(QUIET_ATTEMPTS) {
            tracing::error!(file = %self.file, %error, "the disk takes no writes: signs nothing until it does");
        }
        self.attempts += 1;
        let mut known = self.disk.known();
        known.failures += 1;
        known.waiting.insert(self.number, error);
    }
}

impl Drop for Trouble<'_> {
    fn drop(&mut self) {
        self.disk.known().waiting.remove(&self.number);
        tracing::info!(file = %self.file, attempts = self.attempts, "no longer waits for the disk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_as_long_as_it_is() {
        let disk = Disk::default();
        assert_eq!((disk.refusal(), disk.status()), (None, DiskStatus::default()));
        let (first, second) = (disk.fails("a".into(), &"no room"), disk.fails("b".into(), &"broken"));
        assert!(disk.refusal().is_some_and(|why| why.contains("no room")));
        drop(first);
        assert!(disk.refusal().is_some_and(|why| why.contains("broken")));
        assert_eq!((disk.status().waiting_count, disk.status().failures_count), (1, 2));
        drop(second);
        assert_eq!(disk.refusal(), None);
    }

    #[test]
    fn below_the_reserve_no_calls_are_taken_and_above_they_are() {
        let disk = Disk::default();
        disk.has(Room { free_bytes: 10_000_000, reserve_bytes: 20_000_000 });
        assert!(
            disk.refusal().is_some_and(|why| why.starts_with("10 MB of disk are free, less than the reserve of 20 MB"))
        );
        disk.has(Room { free_bytes: 20_000_000, reserve_bytes: 20_000_000 });
        assert_eq!(disk.refusal(), None);
    }

    #[test]
    fn a_checkpoint_that_was_not_saved_and_a_history_that_waits_are_said_and_refuse_nothing() {
        let disk = Disk::default();
        disk.checkpoint(Some("no room".into()));
        assert_eq!(disk.refusal(), None);
        assert!(disk.status().reason.is_some_and(|why| why.contains("checkpoint could not be saved (no room)")));
        disk.history(Some("no room at all".into()));
        assert!(disk.status().reason.is_some_and(|why| why.contains("the history waits (no room at all)")));
        disk.history(None);
        disk.checkpoint(None);
        assert_eq!((disk.refusal(), disk.status().reason), (None, None));
    }
}
