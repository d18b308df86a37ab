//! Writes to a private mapping of a file: the kernel copies a page when it is written first, and a page that was copied belongs to
//! no file. Needs no privilege, no userfaultfd, and no more than `/proc/self/pagemap`.
//!
//! A memory's file holds what counts as not written. It is seen a second time through a shared mapping; settling a
//! page copies it there and gives the own copy back.
#![allow(unsafe_code)]

use super::pagemap::{Pagemap, Pages};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    os::fd::FromRawFd,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

const PAGE: usize = 4096;

/// How own pages are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// `PAGEMAP_SCAN`, Linux 6.7.
    Scan,
    /// Entries of `/proc/self/pagemap`, any Linux.
    Read,
}

/// The memories that are watched.
#[derive(Debug)]
pub(crate) struct Private {
    finding: Finding,
    pagemap: Pagemap,
    /// By where a memory begins.
    views: Mutex<BTreeMap<usize, View>>,
}

/// The shared mapping of a memory's file.
#[derive(Clone, Copy, Debug)]
struct View {
    start: usize,
    bytes: usize,
}

impl Private {
    /// Tries it on two pages.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn open(finding: Finding) -> io::Result<Self> {
        let tracker = Self { finding, pagemap: Pagemap::open()?, views: Mutex::default() };
        tracker.try_out()?;
        Ok(tracker)
    }

    pub(crate) fn finding(&self) -> Finding {
        self.finding
    }

    /// Puts a private mapping of a new file in the place of a reserved range.
    ///
    /// # Panics
    /// If the kernel refuses what it allowed at the start.
    pub(crate) fn register(&self, start: usize, bytes: usize) {
        self.map(start, bytes).expect("the kernel maps a memory's file");
    }

    /// Forgets a memory that is about to be unmapped.
    pub(crate) fn unregister(&self, start: usize) {
        if let Some(view) = self.views().remove(&start) {
            // SAFETY: the mapping is ours, and its address was known to the table alone.
            unsafe { libc::munmap(view.start as *mut libc::c_void, view.bytes) };
        }
    }

    /// What these pages hold now counts as not written.
    ///
    /// # Panics
    /// If they belong to no memory.
    pub(crate) fn settle(&self, start: usize, bytes: usize) {
        let target = {
            let views = self.views();
            let (memory, view) = views.range(..=start).next_back().expect("a memory that is registered");
            let offset = start - memory;
            assert!(offset + bytes <= view.bytes, "pages of one memory");
            view.start + offset
        };
        // SAFETY: both ranges are mapped, readable and writable, as long as each other, and apart; nobody runs on this memory
        // meanwhile. Giving pages back changes no content: the file holds the same now.
        unsafe {
            ptr::copy_nonoverlapping(start as *const u8, target as *mut u8, bytes);
            libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_DONTNEED);
        }
    }

    /// # Panics
    /// If the kernel refuses what it allowed at the start.
    pub(crate) fn written(&self, start: usize, bytes: usize, forget: bool, visit: &mut dyn FnMut(Range<usize>)) {
        let mut ranges = Vec::new();
        self.find(start, bytes, &mut |range| ranges.push(range)).expect("the kernel tells which pages were written");
        for range in ranges {
            visit(range.clone());
            if forget {
                self.settle(start + range.start, range.len());
            }
        }
    }

    fn find(&self, start: usize, bytes: usize, visit: &mut dyn FnMut(Range<usize>)) -> io::Result<()> {
        match self.finding {
            Finding::Scan => self.pagemap.scan(start, bytes, Pages::Own, visit),
            Finding::Read => self.pagemap.read_own(start, bytes, visit),
        }
    }

    fn views(&self) -> MutexGuard<'_, BTreeMap<usize, View>> {
        // Every change of the table is complete before anything can panic.
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map(&self, start: usize, bytes: usize) -> io::Result<()> {
        // SAFETY: the call takes a name that ends with a zero and gives a fresh descriptor that belongs to nobody else, or -1.
        let file = unsafe {
            match libc::memfd_create(c"mains-memory".as_ptr(), libc::MFD_CLOEXEC) {
                -1 => return Err(io::Error::last_os_error()),
                descriptor => File::from_raw_fd(descriptor),
            }
        };
        file.set_len(bytes as u64)?;
        let shared = map(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, &file)?;
        let place = start as *mut libc::c_void;
        if let Err(error) = map(place, bytes, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_FIXED, &file) {
            // SAFETY: made just above, nobody knows it.
            unsafe { libc::munmap(shared, bytes) };
            return Err(error);
        }
        self.views().insert(start, View { start: shared as usize, bytes });
        Ok(())
    }

    /// Writes one page of two and sees whether exactly that is noticed, twice, and its content kept.
    fn try_out(&self) -> io::Result<()> {
        let bytes = 2 * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh anonymous mapping touches no memory that is in use.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let outcome = (|| {
            self.map(start as usize, bytes)?;
            // SAFETY: the range is ours.
            if unsafe { libc::mprotect(start, bytes, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the second page of our mapping.
            let byte = unsafe { start.cast::<u8>().add(PAGE) };
            for value in 1..3 {
                // SAFETY: the page is readable and writable.
                let before = unsafe {
                    let before = byte.read_volatile();
                    byte.write_volatile(value);
                    before
                };
                let mut found = Vec::new();
                self.find(start as usize, bytes, &mut |range| found.push(range))?;
                if before != value - 1 || found.as_slice() != std::slice::from_ref(&(PAGE..bytes)) {
                    return Err(io::Error::other("writes are not noticed exactly"));
                }
                self.settle(start as usize + PAGE, PAGE);
            }
            Ok(())
        })();
        self.unregister(start as usize);
        // SAFETY: the mapping is ours and nothing refers to it any more.
        unsafe { libc::munmap(start, bytes) };
        outcome
    }
}

fn map(place: *mut libc::c_void, bytes: usize, access: i32, flags: i32, file: &File) -> io::Result<*mut libc::c_void> {
    use std::os::fd::AsRawFd;
    // SAFETY: either anywhere, or over a range that the caller has reserved.
    let start = unsafe { libc::mmap(place, bytes, access, flags | libc::MAP_NORESERVE, file.as_raw_fd(), 0) };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start) }
}
