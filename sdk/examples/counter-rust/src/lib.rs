//! The counter in Rust: state on the heap, carried through an upgrade in stable memory. Interface: `../counter.did`.

use std::{cell::RefCell, time::Duration};

use candid::{CandidType, Nat, Principal};
use ic_cdk::{post_upgrade, pre_upgrade, query, update};
use ic_cdk_timers::TimerId;
use serde::Deserialize;

/// The interface, readable by anybody at `/canister/<id>/metadata/candid:service`.
#[used]
#[unsafe(link_section = "icp:public candid:service")]
static INTERFACE: [u8; include_bytes!("../../counter.did").len()] = *include_bytes!("../../counter.did");

/// Everything that survives an upgrade.
#[derive(CandidType, Deserialize, Default)]
struct Counter {
    value: Nat,
    ticks: Nat,
    tick_seconds: u32,
}

thread_local! {
    static COUNTER: RefCell<Counter> = RefCell::default();
    static TIMER: RefCell<Option<TimerId>> = const { RefCell::new(None) };
}

fn with<R>(change: impl FnOnce(&mut Counter) -> R) -> R {
    COUNTER.with_borrow_mut(change)
}

#[update]
fn inc() -> Nat {
    add(Nat::from(1u8))
}

#[update]
fn add(amount: Nat) -> Nat {
    with(|counter| {
        counter.value += amount;
        counter.value.clone()
    })
}

#[query]
fn get() -> Nat {
    with(|counter| counter.value.clone())
}

#[query]
fn whoami() -> Principal {
    ic_cdk::api::msg_caller()
}

#[update]
fn trap_after_write() {
    inc();
    ic_cdk::trap("trapped after a write");
}

#[update]
fn burn(rounds: u64) -> u64 {
    (0..rounds).fold(0, |x: u64, i| x.wrapping_mul(31).wrapping_add(i))
}

#[update]
fn tick_every(seconds: u32) {
    with(|counter| counter.tick_seconds = seconds);
    start_ticking();
}

#[query]
fn ticks() -> Nat {
    with(|counter| counter.ticks.clone())
}

#[pre_upgrade]
fn save() {
    with(|counter| ic_cdk::storage::stable_save((&*counter,))).expect("stable memory has room for the counter");
}

#[post_upgrade]
fn restore() {
    let (saved,) = ic_cdk::storage::stable_restore().expect("the version before saved a counter");
    with(|counter| *counter = saved);
    start_ticking();
}

/// Replaces the running timer by one of the present period. Timers do not survive an upgrade by themselves.
fn start_ticking() {
    if let Some(running) = TIMER.take() {
        ic_cdk_timers::clear_timer(running);
    }
    let seconds = with(|counter| counter.tick_seconds);
    if seconds > 0 {
        let period = Duration::from_secs(seconds.into());
        let timer = ic_cdk_timers::set_timer_interval(period, async || with(|counter| counter.ticks += 1u8));
        TIMER.set(Some(timer));
    }
}
