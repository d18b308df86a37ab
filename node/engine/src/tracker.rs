//! Which pages of a memory a run may have written.
//!
//! An answer may name too many pages, never too few: the caller compares contents, so that the state after a run is the same
//! with every way of tracking. Chosen at start by trying.

#[cfg(target_os = "linux")]
mod pagemap;
#[cfg(target_os = "linux")]
mod private;
#[cfg(target_os = "linux")]
mod userfault;

#[cfg(target_os = "linux")]
use private::Finding;
use std::{io, ops::Range};

/// A way of tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// The kernel write-protects pages and notes which were written (Linux 6.7 with userfaultfd): about a microsecond for
    /// each page written.
    Userfault,
    /// Memories are private mappings of files, and a scan tells which pages the kernel has copied (Linux 6.7): two to
    /// three microseconds for each page written, and more with the size of the memory.
    PrivateScan,
    /// The same, reading `/proc/self/pagemap` instead of scanning (any Linux).
    PrivateRead,
    /// Nothing is noted, every page is compared: works everywhere, costs about 40 us for each 2 MiB of memory.
    Compare,
}

impl Tracking {
    /// All ways, the fastest first. Linux's soft-dirty bits are not among them: clearing them clears the whole process's.
    pub const ALL: [Self; 4] = [Self::Userfault, Self::PrivateScan, Self::PrivateRead, Self::Compare];
}

/// Notes writes to memories.
#[derive(Debug)]
pub(crate) enum Tracker {
    #[cfg(target_os = "linux")]
    Userfault(userfault::Userfault),
    #[cfg(target_os = "linux")]
    Private(private::Private),
    Compare,
}

impl Tracker {
    /// The fastest way that works on this host.
    pub(crate) fn detect() -> Self {
        for tracking in Tracking::ALL {
            match Self::new(tracking) {
                Ok(tracker) => return tracker,
                Err(error) => tracing::warn!(?tracking, %error, "this way of tracking writes does not work here"),
            }
        }
        Self::Compare
    }

    /// This way, if it works here.
    pub(crate) fn new(tracking: Tracking) -> io::Result<Self> {
        match tracking {
            #[cfg(target_os = "linux")]
            Tracking::Userfault => userfault::Userfault::open().map(Self::Userfault),
            #[cfg(target_os = "linux")]
            Tracking::PrivateScan => private::Private::open(Finding::Scan).map(Self::Private),
            #[cfg(target_os = "linux")]
            Tracking::PrivateRead => private::Private::open(Finding::Read).map(Self::Private),
            Tracking::Compare => Ok(Self::Compare),
            #[cfg(not(target_os = "linux"))]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Which way it is.
    pub(crate) fn tracking(&self) -> Tracking {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(_) => Tracking::Userfault,
            #[cfg(target_os = "linux")]
            Self::Private(private) => match private.finding() {
                Finding::Scan => Tracking::PrivateScan,
                Finding::Read => Tracking::PrivateRead,
            },
            Self::Compare => Tracking::Compare,
        }
    }

    /// Begins to watch a range of addresses that is reserved and in no use yet.
    pub(crate) fn register(&self, start: usize, bytes: usize) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.register(start, bytes),
            #[cfg(target_os = "linux")]
            Self::Private(private) => private.register(start, bytes),
            Self::Compare => {
                let _ = (start, bytes);
            }
        }
    }

    /// The range that begins here is about to be unmapped.
    pub(crate) fn unregister(&self, start: usize) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Private(private) => private.unregister(start),
            // The kernel stops watching what is unmapped.
            _ => {
                let _ = start;
            }
        }
    }

    /// These pages, all zeroes, are in use from now on and not written yet.
    pub(crate) fn begin(&self, start: usize, bytes: usize) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.protect(start, bytes),
            _ => {
                let _ = (start, bytes);
            }
        }
    }

    /// What these pages hold now counts as not written.
    pub(crate) fn settle(&self, start: usize, bytes: usize) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.protect(start, bytes),
            #[cfg(target_os = "linux")]
            Self::Private(private) => private.settle(start, bytes),
            Self::Compare => {
                let _ = (start, bytes);
            }
        }
    }

    /// Calls `visit` with ranges of bytes, from `start` on, that may have been written since they were last settled. With
    /// `forget`, settles them.
    pub(crate) fn written(&self, start: usize, bytes: usize, forget: bool, visit: &mut dyn FnMut(Range<usize>)) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.written(start, bytes, forget, visit),
            #[cfg(target_os = "linux")]
            Self::Private(private) => private.written(start, bytes, forget, visit),
            Self::Compare => {
                let _ = (start, forget);
                visit(0..bytes);
            }
        }
    }

    /// What all pages hold now counts as not written.
    pub(crate) fn forget(&self, start: usize, bytes: usize) {
        if self.tracking() != Tracking::Compare {
            self.written(start, bytes, true, &mut |_| {});
        }
    }
}
