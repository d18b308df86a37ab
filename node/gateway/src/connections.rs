//! Which connections there are, and which one goes when there is no room for another.
//!
//! Room is scarce, so it belongs to those who use it: a connection in the middle of a request is never closed for
//! another; of the others first those that never sent a whole request go, then those that were idle longest.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

/// All open connections.
pub(crate) struct Connections {
    table: Mutex<Table>,
    open_max: usize,
}

#[derive(Default)]
struct Table {
    /// Increases with everything that happens, so that it tells what was earlier.
    turn: u64,
    open: HashMap<u64, Arc<Notify>>,
    /// Those without a request: whether they had one before, since when, which.
    idle: BTreeSet<(bool, u64, u64)>,
    evicted_count: u64,
}

impl Connections {
    /// Room for this many, at least one.
    pub(crate) fn new(open_max: usize) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), open_max: open_max.max(1) })
    }

    /// A place for one more connection; the least useful one is told to close if all are taken. `None` if every one of
    /// them is in the middle of a request.
    pub(crate) fn open(self: &Arc<Self>) -> Option<Arc<Place>> {
        let mut table = self.lock();
        if table.open.len() >= self.open_max {
            let (_, _, id) = table.idle.pop_first()?;
            table.evicted_count += 1;
            if let Some(close) = table.open.remove(&id) {
                close.notify_one();
            }
        }
        let (id, close) = (table.next(), Arc::new(Notify::new()));
        table.open.insert(id, close.clone());
        table.idle.insert((false, id, id));
        Some(Arc::new(Place { connections: self.clone(), id, close, idle_since: AtomicU64::new(id) }))
    }

    /// Open connections, and how many were closed for others so far.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let table = self.lock();
        (table.open.len(), table.evicted_count)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no holder panics")
    }
}

impl Table {
    fn next(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }
}

/// An idle connection's turn while a request is under way.
const BUSY: u64 = 0;

/// One connection's place; dropping it gives it back.
pub(crate) struct Place {
    connections: Arc<Connections>,
    id: u64,
    close: Arc<Notify>,
    /// The turn since which it is idle, or [`BUSY`].
    idle_since: AtomicU64,
}

impl Place {
    /// A request begins; it lasts as long as the value. HTTP/1 has one request at a time.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        let mut table = self.connections.lock();
        let since = self.idle_since.swap(BUSY, Ordering::Relaxed);
        table.idle.remove(&(false, since, self.id));
        table.idle.remove(&(true, since, self.id));
        Busy(self.clone())
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.idle_since.load(Ordering::Relaxed) == BUSY
    }

    /// Ends when this connection has to make room.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        table.open.remove(&self.id);
        let since = self.idle_since.load(Ordering::Relaxed);
        table.idle.remove(&(false, since, self.id));
        table.idle.remove(&(true, since, self.id));
    }
}

/// A request under way.
pub(crate) struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        let Place { connections, id, idle_since, .. } = &*self.0;
        let mut table = connections.lock();
        let since = table.next();
        idle_since.store(since, Ordering::Relaxed);
        if table.open.contains_key(id) {
            table.idle.insert((true, since, *id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told_to_close(place: &Place) -> bool {
        use futures::FutureExt as _;
        place.closed().now_or_never().is_some()
    }

    #[test]
    fn room_is_made_by_those_who_never_asked_then_by_the_longest_idle() {
        let connections = Connections::new(4);
        let place = || connections.open().expect("room");
        let (used_first, used_later, silent, busy) = (place(), place(), place(), place());
        drop(used_first.begin());
        drop(used_later.begin());
        let request = busy.begin();
        let newcomers: Vec<_> = (0..3).map(|_| place().begin()).collect();
        assert!([&silent, &used_first, &used_later].iter().all(|place| is_told_to_close(place)));
        assert!(!is_told_to_close(&busy), "a request under way is not cut off");
        assert!(connections.open().is_none(), "all four are in the middle of a request");
        assert_eq!(connections.counts(), (4, 3));
        drop(request);
        assert!(connections.open().is_some());
        drop(newcomers);
    }

    #[test]
    fn a_place_is_given_back() {
        let connections = Connections::new(2);
        for _ in 0..10 {
            let place = connections.open().expect("room");
            drop(place.begin());
            drop(place);
        }
        assert_eq!(connections.counts(), (0, 0));
        let place = connections.open().expect("room");
        let request = place.begin();
        assert!(place.is_busy());
        drop(place);
        drop(request);
        assert_eq!(connections.counts().0, 0);
        assert!(connections.lock().idle.is_empty());
    }

    #[test]
    fn of_those_that_never_asked_the_first_goes_first() {
        let connections = Connections::new(2);
        let (first, second) = (connections.open().expect("room"), connections.open().expect("room"));
        let _third = connections.open().expect("room");
        assert!(is_told_to_close(&first) && !is_told_to_close(&second));
    }
}
