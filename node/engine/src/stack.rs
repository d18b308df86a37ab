//! Runs need a big host stack: canister code must use up its metered depth before the host's stack, whose frames differ
//! between engines.
#![allow(unsafe_code)]

use std::thread;

/// Bytes of host stack that a thread needs to call [`crate::WasmtimeEngine`] without a detour.
///
/// Metered are 2^20 slots of 8 bytes; a native frame may take many times what is metered for it.
pub const HOST_STACK_BYTES: usize = 512 << 20;
/// Bytes that wasm may use of it; the rest is for system calls and the caller.
pub(crate) const WASM_STACK_BYTES: usize = 448 << 20;
/// What a caller must leave free beyond [`WASM_STACK_BYTES`].
const MARGIN_BYTES: usize = 16 << 20;

/// Runs `work` here if this thread has the stack for it, otherwise on a thread made for it (some 50 us more).
pub fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if free_bytes().is_some_and(|bytes| bytes >= WASM_STACK_BYTES + MARGIN_BYTES) {
        return work();
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("mains-wasm".into())
            .stack_size(HOST_STACK_BYTES)
            .spawn_scoped(scope, work)
            .expect("the host can start a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Bytes of stack left on this thread, if the host tells.
fn free_bytes() -> Option<usize> {
    thread_local! {
        static LOWEST: Option<usize> = lowest_address();
    }
    let here = 0u8;
    LOWEST.with(|lowest| Some((&raw const here as usize).saturating_sub((*lowest)?)))
}

#[cfg(target_os = "linux")]
fn lowest_address() -> Option<usize> {
    let mut lowest = std::ptr::null_mut();
    let mut bytes = 0;
    // SAFETY: asks for this thread's attributes, reads the stack's bounds from them and frees them.
    unsafe {
        let mut attributes = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return None;
        }
        let result = libc::pthread_attr_getstack(&attributes, &mut lowest, &mut bytes);
        libc::pthread_attr_destroy(&mut attributes);
        (result == 0).then_some(lowest as usize)
    }
}

#[cfg(target_os = "macos")]
fn lowest_address() -> Option<usize> {
    // SAFETY: asks for this thread's stack bounds.
    unsafe {
        let this = libc::pthread_self();
        (libc::pthread_get_stackaddr_np(this) as usize).checked_sub(libc::pthread_get_stacksize_np(this))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn lowest_address() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_gets_a_big_stack_once_and_no_second_one() {
        assert!(free_bytes().is_some_and(|bytes| bytes < WASM_STACK_BYTES));
        let (outer, inner) = on_big_stack(|| (thread::current().id(), on_big_stack(|| thread::current().id())));
        assert_eq!(outer, inner);
        assert_ne!(outer, thread::current().id());
    }
}
