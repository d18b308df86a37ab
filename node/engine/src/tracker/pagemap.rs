//! What the kernel tells about the pages of this process: `/proc/self/pagemap`, and `PAGEMAP_SCAN` on it since Linux 6.7.
//! Sources: Linux `Documentation/admin-guide/mm/pagemap.rst`, `include/uapi/linux/fs.h`.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    ops::Range,
    os::{fd::AsRawFd, unix::fs::FileExt},
};

const PAGEMAP_SCAN: libc::c_ulong = 0xc060_6610;
const PAGE_IS_WRITTEN: u64 = 1 << 1;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const SCAN_WP_MATCHING: u64 = 1;
const SCAN_CHECK_WPASYNC: u64 = 2;
/// Regions that one scan hands over; a scan that finds more goes on.
const REGIONS: usize = 256;
/// Entries of the file that are read at once.
const ENTRIES: usize = 512;
const ENTRY_FILE: u64 = 1 << 61;
const ENTRY_SWAPPED: u64 = 1 << 62;
const ENTRY_PRESENT: u64 = 1 << 63;
const PAGE: usize = 4096;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

#[repr(C)]
#[derive(Default)]
struct Scan {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// Which pages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pages {
    /// Those whose write protection by userfaultfd is gone; with `protect` it is put back.
    Unprotected { protect: bool },
    /// Those of a private file mapping that have become this process's own.
    Own,
}

/// The file.
#[derive(Debug)]
pub(super) struct Pagemap(File);

impl Pagemap {
    pub(super) fn open() -> io::Result<Self> {
        File::open("/proc/self/pagemap").map(Self)
    }

    /// Calls `visit` with ranges of bytes from `start` on that consist of such pages.
    ///
    /// # Errors
    /// The kernel does not know how.
    pub(super) fn scan(
        &self,
        start: usize,
        bytes: usize,
        pages: Pages,
        visit: &mut dyn FnMut(Range<usize>),
    ) -> io::Result<()> {
        let mut regions = [Region::default(); REGIONS];
        let end = (start + bytes) as u64;
        let mut from = start as u64;
        while from < end {
            let mut scan = Scan {
                size: size_of::<Scan>() as u64,
                start: from,
                end,
                vec: regions.as_mut_ptr() as u64,
                vec_len: REGIONS as u64,
                ..Scan::default()
            };
            match pages {
                Pages::Unprotected { protect } => {
                    scan.flags = if protect { SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC } else { 0 };
                    (scan.category_mask, scan.return_mask) = (PAGE_IS_WRITTEN, PAGE_IS_WRITTEN);
                }
                Pages::Own => {
                    (scan.category_inverted, scan.category_mask) = (PAGE_IS_FILE, PAGE_IS_FILE);
                    scan.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
                    // Categories of a region do not split it: only whether a page is asked for does.
                    scan.return_mask = PAGE_IS_FILE;
                }
            }
            // SAFETY: the kernel writes at most `vec_len` regions to `regions` and the outcome to `scan`; it changes no content.
            let count = unsafe { libc::ioctl(self.0.as_raw_fd(), PAGEMAP_SCAN as _, &mut scan) };
            let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
            for region in &regions[..count] {
                visit(region.start as usize - start..region.end as usize - start);
            }
            if scan.walk_end <= from {
                return Err(io::Error::other("a scan of pages does not advance"));
            }
            from = scan.walk_end;
        }
        Ok(())
    }

    /// The same for [`Pages::Own`], page by page, on every Linux.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read_own(&self, start: usize, bytes: usize, visit: &mut dyn FnMut(Range<usize>)) -> io::Result<()> {
        let mut entries = [0u8; ENTRIES * 8];
        let (first, count) = (start / PAGE, bytes.div_ceil(PAGE));
        let mut run: Option<Range<usize>> = None;
        for from in (0..count).step_by(ENTRIES) {
            let some = &mut entries[..(count - from).min(ENTRIES) * 8];
            self.0.read_exact_at(some, ((first + from) * 8) as u64)?;
            for (at, entry) in some.chunks_exact(8).enumerate() {
                let entry = u64::from_ne_bytes(entry.try_into().unwrap_or_default());
                if entry & (ENTRY_PRESENT | ENTRY_SWAPPED) == 0 || entry & ENTRY_FILE != 0 {
                    continue;
                }
                let page = (from + at) * PAGE;
                match &mut run {
                    Some(run) if run.end == page => run.end += PAGE,
                    _ => run.replace(page..page + PAGE).into_iter().for_each(&mut *visit),
                }
            }
        }
        run.into_iter().for_each(visit);
        Ok(())
    }
}
