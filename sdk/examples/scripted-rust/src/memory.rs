//! The allocator: takes from the end of the heap, and gives back only what was taken last. Runs are short.

use crate::wasm;
use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr,
};

const PAGE_BYTES: usize = 65_536;

unsafe extern "C" {
    /// Where the linker's data end.
    static __heap_base: u8;
}

struct Bump {
    /// Where the next allocation may begin; 0 before the first.
    next: UnsafeCell<usize>,
}

// SAFETY: a canister has one thread.
unsafe impl Sync for Bump {}

impl Bump {
    fn next(&self) -> usize {
        // SAFETY: one thread, and no reference outlives this line.
        match unsafe { *self.next.get() } {
            0 => (&raw const __heap_base) as usize,
            next => next,
        }
    }

    /// Moves the end; false if the heap cannot grow so far.
    fn end_at(&self, end: usize) -> bool {
        let have = wasm::memory_size::<0>() * PAGE_BYTES;
        if end > have && wasm::memory_grow::<0>((end - have).div_ceil(PAGE_BYTES)) == usize::MAX {
            return false;
        }
        // SAFETY: as in `next`.
        unsafe { *self.next.get() = end };
        true
    }
}

// SAFETY: regions handed out do not overlap: each begins where the one before ends.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next().next_multiple_of(layout.align());
        if self.end_at(start + layout.size()) { start as *mut u8 } else { ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if pointer as usize + layout.size() == self.next() {
            self.end_at(pointer as usize);
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if pointer as usize + layout.size() == self.next() {
            return if self.end_at(pointer as usize + size) { pointer } else { ptr::null_mut() };
        }
        let layout_after = Layout::from_size_align(size, layout.align()).unwrap_or(layout);
        // SAFETY: the layout is the caller's with another size; both regions have at least the bytes copied.
        unsafe {
            let moved = self.alloc(layout_after);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
            }
            moved
        }
    }
}

#[global_allocator]
static HEAP: Bump = Bump { next: UnsafeCell::new(0) };
