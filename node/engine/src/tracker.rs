//! Which pages of a memory a run may have written.
//!
//! An answer may name too many pages, never too few: the caller compares contents, so that the state after a run is the same
//! with every way of tracking. Chosen at start by trying.

#[cfg(target_os = "linux")]
mod userfault;

use std::ops::Range;

/// A way of tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// The kernel write-protects pages and notes which were written (Linux 6.7 with userfaultfd): about a microsecond for
    /// each page written.
    Userfault,
    /// Nothing is noted, every page is compared: works everywhere, costs about 40 us for each 2 MiB of memory.
    Compare,
}

/// Notes writes to memories.
#[derive(Debug)]
pub(crate) enum Tracker {
    #[cfg(target_os = "linux")]
    Userfault(userfault::Userfault),
    Compare,
}

impl Tracker {
    /// The fastest way that works on this host.
    pub(crate) fn detect() -> Self {
        #[cfg(target_os = "linux")]
        match userfault::Userfault::open() {
            Ok(userfault) => return Self::Userfault(userfault),
            Err(error) => {
                tracing::warn!(%error, "no write tracking by the kernel: every message compares its canister's whole heap")
            }
        }
        Self::Compare
    }

    /// This way, if it works here.
    pub(crate) fn new(tracking: Tracking) -> std::io::Result<Self> {
        match tracking {
            Tracking::Compare => Ok(Self::Compare),
            #[cfg(target_os = "linux")]
            Tracking::Userfault => userfault::Userfault::open().map(Self::Userfault),
            #[cfg(not(target_os = "linux"))]
            Tracking::Userfault => Err(std::io::ErrorKind::Unsupported.into()),
        }
    }

    /// Which way it is.
    pub(crate) fn tracking(&self) -> Tracking {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(_) => Tracking::Userfault,
            Self::Compare => Tracking::Compare,
        }
    }

    /// Begins to watch a range of addresses, until it is unmapped.
    pub(crate) fn register(&self, start: usize, bytes: usize) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.register(start, bytes),
            Self::Compare => {
                let _ = (start, bytes);
            }
        }
    }

    /// These pages count as not written.
    pub(crate) fn protect(&self, start: usize, bytes: usize) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.protect(start, bytes),
            Self::Compare => {
                let _ = (start, bytes);
            }
        }
    }

    /// Calls `visit` with ranges of bytes, from `start` on, that may have been written since the last [`Tracker::forget`].
    /// With `forget`, does that too.
    pub(crate) fn written(&self, start: usize, bytes: usize, forget: bool, visit: &mut dyn FnMut(Range<usize>)) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Userfault(userfault) => userfault.written(start, bytes, forget, visit),
            Self::Compare => {
                let _ = (start, forget);
                visit(0..bytes);
            }
        }
    }

    /// All pages count as not written.
    pub(crate) fn forget(&self, start: usize, bytes: usize) {
        if let Tracking::Userfault = self.tracking() {
            self.written(start, bytes, true, &mut |_| {});
        }
    }
}
