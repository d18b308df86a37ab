//! Write tracking by the kernel: userfaultfd's asynchronous write protection, read with `PAGEMAP_SCAN`.
//!
//! A page's first write clears its protection in the page fault itself, without a signal or another thread; one `ioctl` lists
//! the pages written since and protects them again. Sources: Linux `Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst`.
#![allow(unsafe_code)]

use super::pagemap::{Pagemap, Pages};
use std::{
    io,
    ops::Range,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

const UFFD_USER_MODE_ONLY: libc::c_int = 1;
const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
const UFFDIO_WRITEPROTECT: libc::c_ulong = 0xc018_aa06;
const UFFD_API: u64 = 0xaa;
const FEATURE_PAGEFAULT_FLAG_WP: u64 = 1;
const FEATURE_WP_UNPOPULATED: u64 = 1 << 13;
const FEATURE_WP_ASYNC: u64 = 1 << 15;
const REGISTER_MODE_WP: u64 = 2;
const WRITEPROTECT_MODE_WP: u64 = 1;

#[repr(C)]
struct Api {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct Register {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
struct WriteProtect {
    start: u64,
    len: u64,
    mode: u64,
}

/// The two files of this process that tracking needs.
#[derive(Debug)]
pub(crate) struct Userfault {
    userfault: OwnedFd,
    pagemap: Pagemap,
}

impl Userfault {
    /// Opens both and tries them on one page.
    ///
    /// # Errors
    /// What the kernel says; containers often forbid userfaultfd.
    pub(crate) fn open() -> io::Result<Self> {
        let tracker = Self { userfault: userfault()?, pagemap: Pagemap::open()? };
        let mut api = Api {
            api: UFFD_API,
            features: FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_UNPOPULATED | FEATURE_WP_ASYNC,
            ioctls: 0,
        };
        tracker.control(UFFDIO_API, &mut api)?;
        tracker.try_out()?;
        Ok(tracker)
    }

    /// # Panics
    /// If the kernel refuses what it allowed at the start.
    pub(crate) fn register(&self, start: usize, bytes: usize) {
        let mut register = Register { start: start as u64, len: bytes as u64, mode: REGISTER_MODE_WP, ioctls: 0 };
        self.control(UFFDIO_REGISTER, &mut register).expect("the kernel watches a memory");
    }

    /// # Panics
    /// If the kernel refuses what it allowed at the start.
    pub(crate) fn protect(&self, start: usize, bytes: usize) {
        let mut protect = WriteProtect { start: start as u64, len: bytes as u64, mode: WRITEPROTECT_MODE_WP };
        self.control(UFFDIO_WRITEPROTECT, &mut protect).expect("the kernel protects a memory");
    }

    /// # Panics
    /// If the kernel refuses what it allowed at the start.
    pub(crate) fn written(&self, start: usize, bytes: usize, protect: bool, visit: &mut dyn FnMut(Range<usize>)) {
        self.scan(start, bytes, protect, visit).expect("the kernel tells which pages were written");
    }

    fn scan(&self, start: usize, bytes: usize, protect: bool, visit: &mut dyn FnMut(Range<usize>)) -> io::Result<()> {
        self.pagemap.scan(start, bytes, Pages::Unprotected { protect }, visit)
    }

    /// Writes one page of two and sees whether exactly that is noticed, twice.
    fn try_out(&self) -> io::Result<()> {
        let page = 4096;
        // SAFETY: a fresh anonymous mapping touches no memory that is in use.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                2 * page,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let outcome = (|| {
            let at = start as usize;
            let mut register = Register { start: at as u64, len: 2 * page as u64, mode: REGISTER_MODE_WP, ioctls: 0 };
            self.control(UFFDIO_REGISTER, &mut register)?;
            let mut protect = WriteProtect { start: at as u64, len: 2 * page as u64, mode: WRITEPROTECT_MODE_WP };
            self.control(UFFDIO_WRITEPROTECT, &mut protect)?;
            for _ in 0..2 {
                // SAFETY: the second page of our mapping is writable.
                unsafe { start.cast::<u8>().add(page).write_volatile(1) };
                let mut found = Vec::new();
                self.scan(at, 2 * page, true, &mut |range| found.push(range))?;
                if found.as_slice() != std::slice::from_ref(&(page..2 * page)) {
                    return Err(io::Error::other("writes are not noticed exactly"));
                }
            }
            Ok(())
        })();
        // SAFETY: the mapping is ours and nothing refers to it any more.
        unsafe { libc::munmap(start, 2 * page) };
        outcome
    }

    fn control<T>(&self, request: libc::c_ulong, argument: &mut T) -> io::Result<()> {
        // SAFETY: every caller passes the structure that its request is defined with; protecting pages changes no content.
        let result = unsafe { libc::ioctl(self.userfault.as_raw_fd(), request as _, argument as *mut T) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// A userfaultfd; without privileges the kernel gives one that ignores faults of its own, of which our memories have none.
fn userfault() -> io::Result<OwnedFd> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    for flags in [flags, flags | UFFD_USER_MODE_ONLY] {
        // SAFETY: the call takes one integer and returns a file descriptor or -1.
        let descriptor = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
        if let Ok(descriptor @ 0..) = i32::try_from(descriptor) {
            // SAFETY: the descriptor is fresh and belongs to nobody else.
            return Ok(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
    }
    Err(io::Error::last_os_error())
}
