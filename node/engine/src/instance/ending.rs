//! How a run ends: which pages it changed, what they cost, and the new heap or the old one.
//!
//! A page costs what copying, comparing, undoing and hashing it costs, so it is charged for whatever becomes of it. Only its content
//! counts: a page that was written and holds what it held before is none, however writes are noticed.

use super::{Live, Slices, ZEROES, indices, span};
use mains_execution::{
    engine::{COPIED_PAGE_INSTRUCTIONS, HEAP_PAGE_INSTRUCTIONS, Trap},
    system_api::SystemApi,
};
use mains_state::{Heap, PAGE_BYTES};
use mains_types::planted::{self, Defect};
use std::ops::Range;

/// Ranges of pages that are protected again one by one; more are cheaper all at once.
const RANGES_MAX: usize = 8;
/// Pages that are taken into a heap before a run looks whether its slice is used up: about 10 ms of work.
const PAGES_AT_ONCE: usize = 1_024;

/// What a run may have written.
#[derive(Default)]
struct Written {
    /// Bytes of whole pages.
    ranges: Vec<Range<usize>>,
    /// Indices of the pages among them whose content is another than before.
    changed: Vec<u64>,
}

impl Live {
    /// Ends a run that came to an end by itself with `ended` after `used` instructions, or was stopped (`None`): charges for pages
    /// and commits or undoes. Tells how it ended, `None` if it was or is stopped, and the instructions it used in all.
    pub(super) fn end(
        &mut self,
        ended: Option<Result<(), Trap>>,
        used: u64,
        limit: u64,
        api: &SystemApi,
        commit: bool,
        slices: Slices,
    ) -> (Option<Result<(), Trap>>, u64) {
        let is_kept = commit && ended == Some(Ok(()));
        // Nobody pays for a query; who ran out of instructions pays all of them; who was stopped is run again.
        let is_charged = api.is_replicated() && ended.as_ref().is_some_and(|end| *end != Err(Trap::OutOfInstructions));
        let must_know = is_kept || is_charged || self.fits(self.heap.bytes);
        let written = if must_know { self.written(is_kept) } else { Written::default() };
        let Some(outcome) = ended else {
            self.undo(&written);
            return (None, used);
        };
        let each = if is_charged { HEAP_PAGE_INSTRUCTIONS } else { 0 };
        let pages = if outcome.is_ok() { written.changed.len() as u64 } else { self.changed_before_a_trap(&written) };
        let copied = if is_charged && !is_kept && !self.fits(self.heap.bytes) { self.heap.pages.len() } else { 0 };
        let instructions = used
            .saturating_add(pages.saturating_mul(each))
            .saturating_add(copied.saturating_mul(COPIED_PAGE_INSTRUCTIONS));
        let outcome = if instructions > limit { outcome.and(Err(Trap::OutOfInstructions)) } else { outcome };
        let instructions = instructions.min(limit);
        let mut is_stopped = slices.pause.is_none() && instructions > slices.allowance;
        if is_kept && outcome.is_ok() && !is_stopped {
            is_stopped = !self.commit(&written.changed, used, each, slices);
            if !is_stopped {
                return (Some(outcome), instructions);
            }
        }
        self.undo(&written);
        ((!is_stopped).then_some(outcome), instructions)
    }

    /// What was written since the instance equalled its heap. With `forget`, it counts as not written from now on.
    fn written(&self, forget: bool) -> Written {
        let mut written = Written::default();
        if let Some(memory) = self.memory {
            let (bytes, heap) = (memory.data(&self.store), &self.heap.pages);
            self.tracker.written(bytes.as_ptr() as usize, bytes.len(), forget, &mut |range| {
                let differs = |index: &u64| bytes[span(*index)] != heap.get(*index).as_deref().unwrap_or(&ZEROES)[..];
                written.changed.extend(indices(range.clone()).filter(differs));
                written.ranges.push(range);
            });
        }
        written
    }

    /// How many pages a run changed that trapped. A store across the end of memory traps, and some processors write the part
    /// before it: so the last page never counts.
    fn changed_before_a_trap(&self, written: &Written) -> u64 {
        let last = (self.bytes() / PAGE_BYTES as u64).saturating_sub(1);
        written.changed.iter().filter(|index| **index != last).count() as u64
    }

    /// Takes the changed pages into a new heap and hashes them, some at a time: between them the run waits if its slice is used
    /// up. Answers false if it waited in vain; then the heap is the one before.
    fn commit(&mut self, changed: &[u64], mut used: u64, each: u64, slices: Slices) -> bool {
        let Slices { mut allowance, pause } = slices;
        let mut pages = self.heap.pages.clone();
        for some in changed.chunks(PAGES_AT_ONCE) {
            used = used.saturating_add(each.saturating_mul(some.len() as u64));
            while used > allowance {
                let bytes = self.bytes();
                let Some(more) = pause.as_ref().and_then(|pause| pause.wait(bytes)) else { return false };
                allowance = more;
            }
            let bytes = self.memory.map_or(&[][..], |memory| memory.data(&self.store));
            for index in some {
                pages.set(*index, bytes[span(*index)].try_into().expect("a page's span has a page's length"));
            }
            if changed.len() > PAGES_AT_ONCE {
                // Now, where it can wait, and not all at once when the block ends.
                pages.digest();
            }
        }
        self.heap = Heap { pages, bytes: self.bytes(), globals: self.read_globals() };
        true
    }

    /// Puts the old content back. A memory that grew keeps its size: then the instance is of no more use.
    fn undo(&mut self, written: &Written) {
        if !self.fits(self.heap.bytes) || planted::is(Defect::PageNotRolledBack) {
            return;
        }
        if let Some(memory) = self.memory {
            let bytes = memory.data_mut(&mut self.store);
            for index in &written.changed {
                let before = self.heap.pages.get(*index);
                bytes[span(*index)].copy_from_slice(before.as_deref().unwrap_or(&ZEROES));
            }
            // Pages stay writable until they are restored.
            let (start, length) = (bytes.as_ptr() as usize, bytes.len());
            if written.ranges.len() <= RANGES_MAX {
                for range in &written.ranges {
                    self.tracker.settle(start + range.start, range.len());
                }
            } else {
                self.tracker.forget(start, length);
            }
        }
        let globals = std::mem::take(&mut self.heap.globals);
        self.write_globals(&globals);
        self.heap.globals = globals;
    }
}
