//! The scripted canister: every entry point runs a script that came as its argument or was kept for it, and scripts reach
//! every function of the system interface with any parameters. What the conformance suite is made of.
//!
//! Built for 32-bit and for 64-bit memory. Operations: `operations.rs`; system calls: `functions.rs`; the other side, which
//! writes scripts, is `testnet/conformance/src/script`.

#![no_std]
#![cfg_attr(target_pointer_width = "64", feature(simd_wasm64))]

extern crate alloc;

mod memory;
mod operations;
mod script;
mod stack;
mod system;

use alloc::vec::Vec;
#[cfg(target_pointer_width = "32")]
use core::arch::wasm32 as wasm;
#[cfg(target_pointer_width = "64")]
use core::arch::wasm64 as wasm;
use core::cell::UnsafeCell;
use stack::Value;

/// Hooks that run kept scripts.
const HOOKS: usize = 5;

/// What the heap keeps between runs.
struct State {
    kept: Vec<u8>,
    room: Vec<u8>,
    callbacks: Vec<Vec<u8>>,
    hooks: [Option<Vec<u8>>; HOOKS],
}

struct Kept(UnsafeCell<State>);

// SAFETY: a canister has one thread.
unsafe impl Sync for Kept {}

static STATE: Kept = Kept(UnsafeCell::new(State {
    kept: Vec::new(),
    room: Vec::new(),
    callbacks: Vec::new(),
    hooks: [const { None }; HOOKS],
}));

/// The state. Callers let go of it before they ask again.
#[allow(clippy::mut_from_ref)]
fn state() -> &'static mut State {
    // SAFETY: one thread; nobody holds it across another call of this function.
    unsafe { &mut *STATE.0.get() }
}

/// Ends the run because its script is not one.
fn fail(why: &str) -> ! {
    system::trap(why)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail("the scripted canister panicked")
}

/// What every callback runs.
extern "C" fn callback(environment: usize) {
    let script = state().callbacks.get(environment).cloned().unwrap_or_else(|| fail("no such callback"));
    script::run(&script);
}

fn run_argument() {
    script::run(&system::argument());
}

/// Runs what is kept for a hook; false if nothing is.
fn run_hook(hook: u8) -> bool {
    let script = state().hooks[hook as usize].clone();
    script.as_deref().map(script::run).is_some()
}

#[unsafe(export_name = "canister_init")]
extern "C" fn init() {
    run_argument();
}

#[unsafe(export_name = "canister_post_upgrade")]
extern "C" fn post_upgrade() {
    run_argument();
}

#[unsafe(export_name = "canister_update update")]
extern "C" fn update() {
    run_argument();
}

#[unsafe(export_name = "canister_query query")]
extern "C" fn query() {
    run_argument();
}

#[unsafe(export_name = "canister_composite_query composite")]
extern "C" fn composite() {
    run_argument();
}

#[unsafe(export_name = "canister_pre_upgrade")]
extern "C" fn pre_upgrade() {
    run_hook(operations::PRE_UPGRADE);
}

#[unsafe(export_name = "canister_heartbeat")]
extern "C" fn heartbeat() {
    run_hook(operations::HEARTBEAT);
}

#[unsafe(export_name = "canister_global_timer")]
extern "C" fn global_timer() {
    run_hook(operations::GLOBAL_TIMER);
}

#[unsafe(export_name = "canister_on_low_wasm_memory")]
extern "C" fn on_low_wasm_memory() {
    run_hook(operations::ON_LOW_WASM_MEMORY);
}

#[unsafe(export_name = "canister_inspect_message")]
extern "C" fn inspect_message() {
    if !run_hook(operations::INSPECT_MESSAGE) {
        system::accept();
    }
}
