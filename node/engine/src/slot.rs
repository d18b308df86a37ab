//! Linear memories: address space reserved once, with guards on both sides, made accessible as a memory grows.
//!
//! Compiled code of modules with 32-bit memory relies on the guards instead of checking bounds. A memory never moves and never shrinks;
//! growing it fails only where the protocol says so, so that a host without memory stops instead.
#![allow(unsafe_code)]

use crate::tracker::Tracker;
use mains_types::limits::HEAP_BYTES_MAX;
use std::{ptr, sync::Arc};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// Address space that one memory can grow into.
pub(crate) const SLOT_BYTES: usize = HEAP_BYTES_MAX as usize;
/// Inaccessible bytes before a memory: catches an address that a miscompilation made negative.
const FRONT_GUARD_BYTES: usize = 2 << 30;
/// Inaccessible bytes behind a memory: constant offsets below this need no bounds check.
pub(crate) const TAIL_GUARD_BYTES: usize = 32 << 20;
const TOTAL_BYTES: usize = FRONT_GUARD_BYTES + SLOT_BYTES + TAIL_GUARD_BYTES;

/// Makes memories for wasmtime and has them watched.
pub(crate) struct Slots {
    pub(crate) tracker: Arc<Tracker>,
}

// SAFETY: `Slot` upholds what the trait asks for: zeroed memory that does not move, all of the reservation, both guards.
unsafe impl MemoryCreator for Slots {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if minimum > SLOT_BYTES || reserved.is_none_or(|bytes| bytes > SLOT_BYTES) || guard > TAIL_GUARD_BYTES {
            return Err(format!(
                "a memory of {minimum} bytes in {reserved:?} with a guard of {guard} does not fit a slot"
            ));
        }
        let mut slot = Slot::reserve(self.tracker.clone());
        slot.extend(minimum);
        Ok(Box::new(slot))
    }
}

/// One memory. Owns the address range from `start` on.
struct Slot {
    start: *mut libc::c_void,
    bytes: usize,
    tracker: Arc<Tracker>,
}

// SAFETY: the range belongs to this value alone; access to its content goes through wasmtime's borrow of the store.
unsafe impl Send for Slot {}
// SAFETY: as above; `&Slot` gives nothing but the address and the size.
unsafe impl Sync for Slot {}

impl Slot {
    /// # Panics
    /// If the host has no address space left.
    fn reserve(tracker: Arc<Tracker>) -> Self {
        // SAFETY: a fresh anonymous mapping touches no memory that is in use.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                TOTAL_BYTES,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        assert!(start != libc::MAP_FAILED, "no address space for a memory: {}", std::io::Error::last_os_error());
        let slot = Self { start, bytes: 0, tracker };
        #[cfg(target_os = "linux")]
        // SAFETY: advice about our own range. Huge pages would make every write look like one of 2 MiB.
        unsafe {
            libc::madvise(slot.base().cast(), SLOT_BYTES, libc::MADV_NOHUGEPAGE);
        }
        slot.tracker.register(slot.base() as usize, SLOT_BYTES);
        slot
    }

    fn base(&self) -> *mut u8 {
        // SAFETY: the offset lies inside the mapping.
        unsafe { self.start.cast::<u8>().add(FRONT_GUARD_BYTES) }
    }

    /// Makes the memory `bytes` long.
    ///
    /// # Panics
    /// If the host refuses: a canister must not see that.
    fn extend(&mut self, bytes: usize) {
        let added = bytes - self.bytes;
        if added == 0 {
            return;
        }
        // SAFETY: `bytes` is at most `SLOT_BYTES`, so the range lies inside our mapping behind what is in use.
        let result =
            unsafe { libc::mprotect(self.base().add(self.bytes).cast(), added, libc::PROT_READ | libc::PROT_WRITE) };
        assert!(result == 0, "the host refuses {added} more bytes of memory: {}", std::io::Error::last_os_error());
        self.tracker.begin(self.base() as usize + self.bytes, added);
        self.bytes = bytes;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.tracker.unregister(self.base() as usize);
        // SAFETY: the mapping is ours and nothing refers to it any more.
        unsafe {
            libc::munmap(self.start, TOTAL_BYTES);
        }
    }
}

// SAFETY: the base never moves, `byte_size` bytes from it are accessible, the rest of the reservation and the guard are not.
unsafe impl LinearMemory for Slot {
    fn byte_size(&self) -> usize {
        self.bytes
    }
    fn byte_capacity(&self) -> usize {
        SLOT_BYTES
    }
    fn grow_to(&mut self, bytes: usize) -> wasmtime::Result<()> {
        if bytes > SLOT_BYTES {
            return Err(wasmtime::Error::msg("beyond the slot"));
        }
        self.extend(bytes.max(self.bytes));
        Ok(())
    }
    fn as_ptr(&self) -> *mut u8 {
        self.base()
    }
}
