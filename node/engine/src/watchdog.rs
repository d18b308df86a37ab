//! Notices work of the engine that takes absurdly long in real time, and stops this node.
//!
//! Everything canister code can bring about is bounded by instructions, and compiling by the module's weight; what outlasts
//! the watchdog is a fault of this host or of the engine. Time never decides a result: a replica either comes to the same one as
//! the others or to none.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

/// Longest that one run or one compilation may take: more than a hundred times what the most expensive one takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20 * 60);
/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// What happens to work that is late: told what it is and for how long it has been going on.
pub(crate) type Late = Box<dyn Fn(&dyn fmt::Display, Duration) + Send + Sync>;

/// Work that is under way, by number.
#[derive(Default)]
struct Watched {
    work: BTreeMap<u64, (Instant, Work)>,
    next: u64,
}

/// What the engine does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Compiles the module with this id.
    Compile(mains_types::Digest32),
    /// Runs this canister.
    Run(mains_types::CanisterId),
}

impl fmt::Display for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compile(id) => {
                write!(formatter, "compiling module ")?;
                id.iter().take(8).try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
            Self::Run(canister) => write!(formatter, "running canister {canister}"),
        }
    }
}

/// Watches until it is dropped.
pub(crate) struct Watchdog {
    watched: Arc<Mutex<Watched>>,
}

impl Watchdog {
    /// One that ends the process.
    pub(crate) fn new() -> Self {
        Self::with(LIMIT, INTERVAL, Box::new(end_process))
    }

    pub(crate) fn with(limit: Duration, interval: Duration, late: Late) -> Self {
        let watched = Arc::new(Mutex::new(Watched::default()));
        let weak = Arc::downgrade(&watched);
        thread::Builder::new()
            .name("mains-watchdog".into())
            .spawn(move || watch(&weak, limit, interval, &late))
            .expect("the host can start a thread");
        Self { watched }
    }

    /// Watches this work until the result is dropped.
    pub(crate) fn watch(&self, work: Work) -> Watch<'_> {
        let mut watched = lock(&self.watched);
        watched.next += 1;
        let number = watched.next;
        watched.work.insert(number, (Instant::now(), work));
        Watch { watchdog: self, number }
    }
}

/// Work under way.
pub(crate) struct Watch<'a> {
    watchdog: &'a Watchdog,
    number: u64,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        lock(&self.watchdog.watched).work.remove(&self.number);
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    // Nothing under the lock panics half-way.
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(watched: &Weak<Mutex<Watched>>, limit: Duration, interval: Duration, late: &Late) {
    loop {
        thread::sleep(interval);
        let Some(watched) = watched.upgrade() else { return };
        // Work began in the order of its numbers.
        let oldest = lock(&watched).work.values().next().copied();
        if let Some((begun, work)) = oldest
            && begun.elapsed() > limit
        {
            late(&work, begun.elapsed());
        }
    }
}

/// A clean end is not to be had while a thread is stuck in compiled code; what is durable is durable.
fn end_process(work: &dyn fmt::Display, elapsed: Duration) {
    let seconds = elapsed.as_secs();
    tracing::error!(%work, seconds, "the Wasm engine is stuck: this node stops; start it again, and report the module");
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn work_that_takes_too_long_is_told_and_work_that_ended_is_not() {
        let (sender, receiver) = sync_channel(1);
        let late: Late = Box::new(move |work, elapsed| {
            let _ = sender.try_send((work.to_string(), elapsed));
        });
        let watchdog = Watchdog::with(Duration::from_millis(20), Duration::from_millis(1), late);
        drop(watchdog.watch(Work::Compile([1; 32])));
        let _stuck = watchdog.watch(Work::Compile([0xab; 32]));
        let (work, elapsed) = receiver.recv_timeout(Duration::from_secs(30)).expect("it is late");
        assert_eq!(work, "compiling module abababababababab");
        assert!(elapsed > Duration::from_millis(20));
    }
}
