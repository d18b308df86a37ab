//! Windows into a canister's heap and into what is copied there: every pointer is checked in 64 bits.

use crate::engine::Trap;
use mains_types::Cycles;
use std::ops::Range;

/// `start..start + size` if that lies within `length`.
fn range(start: u64, size: u64, length: usize) -> Option<Range<usize>> {
    let end = start.checked_add(size)?;
    if end > length as u64 {
        return None;
    }
    Some(start as usize..end as usize)
}

/// The canister's bytes at `source`.
pub(super) fn read(heap: &[u8], source: u64, size: u64) -> Result<&[u8], Trap> {
    range(source, size, heap.len()).map(|range| &heap[range]).ok_or(Trap::HeapOutOfBounds)
}

/// The canister's bytes at `destination`, to be written.
pub(super) fn window(heap: &mut [u8], destination: u64, size: u64) -> Result<&mut [u8], Trap> {
    range(destination, size, heap.len()).map(|range| &mut heap[range]).ok_or(Trap::HeapOutOfBounds)
}

/// Copies `size` bytes of `data` from `offset` on to the canister.
pub(super) fn copy(
    function: &'static str,
    heap: &mut [u8],
    destination: u64,
    data: &[u8],
    offset: u64,
    size: u64,
) -> Result<(), Trap> {
    let Some(source) = range(offset, size, data.len()) else {
        return Err(Trap::Contract(format!(
            "ic0.{function}: offset {offset} and size {size} exceed the {} bytes that there are",
            data.len()
        )));
    };
    window(heap, destination, size)?.copy_from_slice(&data[source]);
    Ok(())
}

/// Writes an amount as 16 little-endian bytes.
pub(super) fn write_cycles(heap: &mut [u8], destination: u64, amount: Cycles) -> Result<(), Trap> {
    window(heap, destination, 16)?.copy_from_slice(&amount.get().to_le_bytes());
    Ok(())
}

/// An amount from its two halves.
pub(super) fn cycles(high: u64, low: u64) -> Cycles {
    Cycles((u128::from(high) << 64) | u128::from(low))
}
