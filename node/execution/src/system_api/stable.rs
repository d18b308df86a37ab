//! Stable memory: pages written by this run lie over the pages from before it.

use super::{Modes, STABLE_DIRTY_PAGES_MAX, STABLE_PAGE_INSTRUCTIONS, SystemApi, heap};
use crate::engine::Trap;
use mains_state::{PAGE_BYTES, PageTree, memory::Page};
use mains_types::limits;
use std::collections::BTreeMap;

/// Wasm pages that stable memory may have.
const PAGES_MAX: u64 = limits::STABLE_BYTES_MAX / limits::WASM_PAGE_BYTES;
/// Wasm pages that the 32-bit functions can address.
const PAGES_MAX_32: u64 = 1 << 16;
/// What `stable_grow` answers if it cannot.
const GROW_FAILED: u64 = u64::MAX;

/// Stable memory of a run.
#[derive(Debug)]
pub(super) struct Overlay {
    base: PageTree,
    dirty: BTreeMap<u64, Box<Page>>,
    /// Size in Wasm pages.
    pages: u64,
}

impl Overlay {
    pub(super) fn new(base: PageTree, pages: u64) -> Self {
        Self { base, dirty: BTreeMap::new(), pages }
    }

    /// The memory with nothing written.
    pub(super) fn into_base(self) -> PageTree {
        self.base
    }

    /// The memory with everything written, and its size in Wasm pages.
    pub(super) fn into_tree(self) -> (PageTree, u64) {
        let mut tree = self.base;
        for (index, page) in &self.dirty {
            tree.set(*index, page);
        }
        (tree, self.pages)
    }

    fn bytes(&self) -> u64 {
        self.pages * limits::WASM_PAGE_BYTES
    }

    fn read(&self, mut offset: u64, mut target: &mut [u8]) {
        while !target.is_empty() {
            let (index, within) = (offset / PAGE_BYTES as u64, (offset % PAGE_BYTES as u64) as usize);
            let count = target.len().min(PAGE_BYTES - within);
            let (part, rest) = target.split_at_mut(count);
            match self.dirty.get(&index) {
                Some(page) => part.copy_from_slice(&page[within..within + count]),
                None => self.base.read(offset, part),
            }
            target = rest;
            offset += count as u64;
        }
    }

    fn write(&mut self, mut offset: u64, mut source: &[u8]) {
        while !source.is_empty() {
            let (index, within) = (offset / PAGE_BYTES as u64, (offset % PAGE_BYTES as u64) as usize);
            let count = source.len().min(PAGE_BYTES - within);
            let (part, rest) = source.split_at(count);
            let base = &self.base;
            let page = self
                .dirty
                .entry(index)
                .or_insert_with(|| Box::new(base.get(index).map_or([0; PAGE_BYTES], |page| *page)));
            page[within..within + count].copy_from_slice(part);
            source = rest;
            offset += count as u64;
        }
    }

    /// How many pages a write would be the first to touch.
    fn fresh_pages(&self, offset: u64, size: u64) -> u64 {
        if size == 0 {
            return 0;
        }
        let (first, last) = (offset / PAGE_BYTES as u64, (offset + size - 1) / PAGE_BYTES as u64);
        (last - first + 1) - self.dirty.range(first..=last).count() as u64
    }
}

impl SystemApi {
    /// Size of stable memory in Wasm pages.
    pub fn stable64_size(&mut self) -> Result<u64, Trap> {
        self.enter("stable64_size", Modes::EVERYWHERE)?;
        Ok(self.stable.pages)
    }

    /// Grows stable memory and returns its former size, or all ones if it cannot grow that far.
    pub fn stable64_grow(&mut self, new_pages: u64) -> Result<u64, Trap> {
        self.enter("stable64_grow", Modes::EVERYWHERE)?;
        Ok(self.grow(new_pages, PAGES_MAX))
    }

    /// Copies from stable memory to the heap.
    pub fn stable64_read(&mut self, heap: &mut [u8], dst: u64, offset: u64, size: u64) -> Result<(), Trap> {
        self.enter("stable64_read", Modes::EVERYWHERE)?;
        self.read_stable("stable64_read", heap, dst, offset, size)
    }

    /// Copies from the heap to stable memory.
    pub fn stable64_write(&mut self, heap: &mut [u8], offset: u64, src: u64, size: u64) -> Result<(), Trap> {
        self.enter("stable64_write", Modes::EVERYWHERE)?;
        self.write_stable("stable64_write", heap, offset, src, size)
    }

    /// Size of stable memory in Wasm pages; traps if 32 bits cannot address it.
    pub fn stable_size(&mut self) -> Result<u32, Trap> {
        self.enter("stable_size", Modes::EVERYWHERE)?;
        self.require_32("stable_size")?;
        Ok(self.stable.pages as u32)
    }

    /// Grows stable memory and returns its former size, or all ones if it cannot grow that far.
    pub fn stable_grow(&mut self, new_pages: u32) -> Result<u32, Trap> {
        self.enter("stable_grow", Modes::EVERYWHERE)?;
        self.require_32("stable_grow")?;
        Ok(self.grow(u64::from(new_pages), PAGES_MAX_32.min(PAGES_MAX)) as u32)
    }

    /// Copies from stable memory to the heap.
    pub fn stable_read(&mut self, heap: &mut [u8], dst: u32, offset: u32, size: u32) -> Result<(), Trap> {
        self.enter("stable_read", Modes::EVERYWHERE)?;
        self.require_32("stable_read")?;
        self.read_stable("stable_read", heap, u64::from(dst), u64::from(offset), u64::from(size))
    }

    /// Copies from the heap to stable memory.
    pub fn stable_write(&mut self, heap: &mut [u8], offset: u32, src: u32, size: u32) -> Result<(), Trap> {
        self.enter("stable_write", Modes::EVERYWHERE)?;
        self.require_32("stable_write")?;
        self.write_stable("stable_write", heap, u64::from(offset), u64::from(src), u64::from(size))
    }

    fn grow(&mut self, by: u64, most: u64) -> u64 {
        let before = self.stable.pages;
        match before.checked_add(by) {
            Some(after) if after <= most => {
                self.stable.pages = after;
                before
            }
            _ => GROW_FAILED,
        }
    }

    fn require_32(&self, function: &'static str) -> Result<(), Trap> {
        if self.stable.pages > PAGES_MAX_32 {
            return Err(Trap::Contract(format!(
                "ic0.{function}: stable memory is larger than 4 GiB, use ic0.stable64_*"
            )));
        }
        Ok(())
    }

    fn require_stable(&self, function: &'static str, offset: u64, size: u64) -> Result<(), Trap> {
        if offset.checked_add(size).is_none_or(|end| end > self.stable.bytes()) {
            return Err(Trap::Contract(format!(
                "ic0.{function}: offset {offset} and size {size} exceed the {} bytes of stable memory",
                self.stable.bytes()
            )));
        }
        Ok(())
    }

    fn read_stable(
        &mut self,
        function: &'static str,
        heap: &mut [u8],
        dst: u64,
        offset: u64,
        size: u64,
    ) -> Result<(), Trap> {
        self.require_stable(function, offset, size)?;
        let target = heap::window(heap, dst, size)?;
        self.charge_bytes(size)?;
        self.stable.read(offset, target);
        Ok(())
    }

    fn write_stable(
        &mut self,
        function: &'static str,
        heap: &mut [u8],
        offset: u64,
        src: u64,
        size: u64,
    ) -> Result<(), Trap> {
        self.require_stable(function, offset, size)?;
        let source = heap::read(heap, src, size)?;
        self.charge_bytes(size)?;
        let fresh = self.stable.fresh_pages(offset, size);
        self.charge(fresh.saturating_mul(STABLE_PAGE_INSTRUCTIONS))?;
        if self.stable.dirty.len() as u64 + fresh > STABLE_DIRTY_PAGES_MAX as u64 {
            return Err(Trap::Contract(format!(
                "ic0.{function}: one message may write at most {} bytes of stable memory",
                STABLE_DIRTY_PAGES_MAX * PAGE_BYTES
            )));
        }
        self.stable.write(offset, source);
        Ok(())
    }
}
