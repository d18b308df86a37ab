//! What happened in a run, in order: for stepping through it and for checks that look at what replicas say.

use commonware_runtime::{Clock as _, deterministic::Context};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, Once},
    time::{Duration, SystemTime},
};
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, Targets},
    layer::{Context as LayerContext, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Events kept for a failure's last words.
const LAST_EVENTS: usize = 40;
/// Events kept when all of them are wanted.
const EVENTS_MAX: usize = 2_000_000;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Simulated time since the run began.
    pub at: Duration,
    /// What happened.
    pub text: String,
}

/// Something a whole batch of seeds must have seen at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Mark {
    Partition,
    Clog,
    Crash,
    CrashOfAll,
    CrashInsideStep,
    TornWriteRecovered,
    RottenDisk,
    LeaderChanged,
    Replayed,
    CheckpointLoaded,
    Equivocation,
    Evidence,
    BadShareBlamed,
    InvalidBlockRefused,
    PeerBlocked,
    PoolFull,
    Refund,
    Trap,
    Expired,
    ClockWaited,
    Resent,
    SingleMember,
    ThirteenMembers,
    StateFetched,
    ForgedObjectBlamed,
    Switched,
    OutdatedStopped,
    DowngradeRefused,
    DiskWaited,
    SyncFailed,
    SlowDisk,
    StoodBack,
    BackInTime,
}

impl Mark {
    /// Those that some hundred seeds always reach. A member that stops because it is outdated needs a rare meeting of faults: it is
    /// counted, and tested beside the code that it is about.
    pub const EXPECTED: [Self; 32] = [
        Self::Partition,
        Self::Clog,
        Self::Crash,
        Self::CrashOfAll,
        Self::CrashInsideStep,
        Self::TornWriteRecovered,
        Self::RottenDisk,
        Self::LeaderChanged,
        Self::Replayed,
        Self::CheckpointLoaded,
        Self::Equivocation,
        Self::Evidence,
        Self::BadShareBlamed,
        Self::InvalidBlockRefused,
        Self::PeerBlocked,
        Self::PoolFull,
        Self::Refund,
        Self::Trap,
        Self::Expired,
        Self::ClockWaited,
        Self::Resent,
        Self::SingleMember,
        Self::ThirteenMembers,
        Self::StateFetched,
        Self::ForgedObjectBlamed,
        Self::Switched,
        Self::DowngradeRefused,
        Self::DiskWaited,
        Self::SyncFailed,
        Self::SlowDisk,
        Self::StoodBack,
        Self::BackInTime,
    ];
}

/// How often each mark was reached.
pub type Marks = BTreeMap<Mark, u64>;

/// The log of one run.
pub struct Log {
    context: Mutex<Option<Context>>,
    began: SystemTime,
    keep: usize,
    print: bool,
    entries: Mutex<VecDeque<Entry>>,
    marks: Mutex<Marks>,
    broken: Mutex<Option<String>>,
    /// Places and keys of members that keep to the rules.
    honest: Mutex<BTreeMap<u64, String>>,
    /// Whether every disk keeps what was synced.
    sound_disks: std::sync::atomic::AtomicBool,
}

impl Log {
    /// A log that keeps the last events, or all of them if `print`.
    pub fn new(context: Context, print: bool) -> Arc<Self> {
        Arc::new(Self {
            began: context.current(),
            context: Mutex::new(Some(context)),
            keep: if print { EVENTS_MAX } else { LAST_EVENTS },
            print,
            entries: Mutex::default(),
            marks: Mutex::default(),
            broken: Mutex::default(),
            honest: Mutex::default(),
            sound_disks: true.into(),
        })
    }

    /// Tells which members keep to the rules: nobody may say anything bad about them.
    pub fn expect_honest(&self, members: impl Iterator<Item = (u64, String)>, sound_disks: bool) {
        self.sound_disks.store(sound_disks, std::sync::atomic::Ordering::Relaxed);
        *self.honest.lock().expect("no holder panics") = members.collect();
    }

    /// A replica said something.
    fn heard(&self, words: &Words) {
        if words.message == "set a damaged checkpoint aside"
            && self.sound_disks.load(std::sync::atomic::Ordering::Relaxed)
        {
            self.broken(|| format!("S3: a checkpoint on a sound disk cannot be restored:{}", words.rest));
        }
        let honest = self.honest.lock().expect("no holder panics");
        let accused = match words.message.as_str() {
            "votes against an invalid block" => {
                words.proposer.as_ref().filter(|key| honest.values().any(|one| one == *key))
            }
            "a replica's partial signature is wrong" => words.index.and_then(|index| honest.get(&index)),
            "a member sent what is not the object asked for: it is not asked again"
            | "a member offers a checkpoint that the subnet did not sign" => {
                words.from.as_ref().filter(|key| honest.values().any(|one| one == *key))
            }
            _ => None,
        };
        if let Some(accused) = accused {
            self.broken(|| format!("blame: {accused} keeps to the rules, but: {}{}", words.message, words.rest));
        }
    }

    /// Whether every event is wanted.
    pub fn is_detailed(&self) -> bool {
        self.print
    }

    /// Writes down what happened.
    pub fn note(&self, text: impl FnOnce() -> String) {
        let context = self.context.lock().expect("no holder panics");
        let Some(context) = context.as_ref() else { return };
        let at = context.current().duration_since(self.began).unwrap_or_default();
        let mut entries = self.entries.lock().expect("no holder panics");
        if entries.len() == self.keep {
            entries.pop_front();
        }
        entries.push_back(Entry { at, text: text() });
    }

    /// Like [`Self::note`], only if all events are wanted: there are many of this kind.
    pub fn detail(&self, text: impl FnOnce() -> String) {
        if self.print {
            self.note(text);
        }
    }

    /// Counts a mark.
    pub fn mark(&self, mark: Mark) {
        *self.marks.lock().expect("no holder panics").entry(mark).or_default() += 1;
    }

    /// A promise was broken; the first one counts.
    pub fn broken(&self, what: impl FnOnce() -> String) {
        let mut broken = self.broken.lock().expect("no holder panics");
        if broken.is_none() {
            let what = what();
            drop(broken);
            self.note(|| format!("BROKEN: {what}"));
            broken = self.broken.lock().expect("no holder panics");
            broken.get_or_insert(what);
        }
    }

    /// The first broken promise.
    pub fn first_broken(&self) -> Option<String> {
        self.broken.lock().expect("no holder panics").clone()
    }

    /// What was reached.
    pub fn marks(&self) -> Marks {
        self.marks.lock().expect("no holder panics").clone()
    }

    /// Everything kept. The log takes nothing more: it lets go of the runtime.
    pub fn close(&self) -> Vec<Entry> {
        self.context.lock().expect("no holder panics").take();
        self.entries.lock().expect("no holder panics").drain(..).collect()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Log>>> = const { RefCell::new(None) };
}

/// Lets the log hear what replicas on this thread say, until the guard is dropped.
pub struct Hearing;

impl Hearing {
    /// Begins to hear.
    pub fn of(log: Arc<Log>) -> Self {
        CURRENT.with(|current| *current.borrow_mut() = Some(log));
        Self
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        CURRENT.with(|current| current.borrow_mut().take());
    }
}

/// Lets runs hear what replicas say, and prints what `filter` wants. The first call counts.
pub fn install(filter: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let heard = Targets::new()
            .with_target("mains_replica", LevelFilter::DEBUG)
            .with_target("mains_consensus", LevelFilter::DEBUG)
            .with_default(LevelFilter::ERROR);
        let print = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(EnvFilter::new(filter));
        let _ = tracing_subscriber::registry().with(Ear.with_filter(heard)).with(print).try_init();
    });
}

/// Hears what replicas say.
struct Ear;

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let log = CURRENT.with(|current| current.borrow().clone());
        let Some(log) = log else { return };
        let mut words = Words::default();
        event.record(&mut words);
        log.heard(&words);
        if let Some(mark) = marks(&words.message) {
            log.mark(mark);
        }
        log.detail(|| format!("    says: {}{}", words.message, words.rest));
    }
}

fn marks(message: &str) -> Option<Mark> {
    Some(match message {
        "replayed the chain after a restart" => Mark::Replayed,
        "starts from a checkpoint" => Mark::CheckpointLoaded,
        "a replica's partial signature is wrong" | "a peer sent somebody else's partial signature" => {
            Mark::BadShareBlamed
        }
        "votes against an invalid block" => Mark::InvalidBlockRefused,
        "fetched a state" => Mark::StateFetched,
        "a member sent what is not the object asked for: it is not asked again" => Mark::ForgedObjectBlamed,
        "the pool is full: a call from a member was dropped" => Mark::PoolFull,
        "the disk takes no writes: signs nothing until it does" => Mark::DiskWaited,
        "votes too late for anybody: keeps its votes to itself until they are in time again" => Mark::StoodBack,
        "votes in time again: takes part" => Mark::BackInTime,
        "waits: this clock is behind the block's time" => Mark::ClockWaited,
        _ => return None,
    })
}

#[derive(Default)]
struct Words {
    message: String,
    proposer: Option<String>,
    from: Option<String>,
    index: Option<u64>,
    rest: String,
}

impl Visit for Words {
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        if field.name() == "index" {
            self.index = Some(value);
        }
        self.record_debug(field, &value);
    }
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            if field.name() == "proposer" {
                self.proposer = Some(format!("{value:?}"));
            }
            if field.name() == "from" {
                self.from = Some(format!("{value:?}"));
            }
            let _ = write!(self.rest, " {}={value:?}", field.name());
        }
    }
}
