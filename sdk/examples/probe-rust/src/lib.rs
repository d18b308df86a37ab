//! The probe: one method per thing that the system interface offers, for conformance tests. Interface: `../probe.did`.
//!
//! It exports a heartbeat, so a subnet that hosts it never goes quiet.

mod calls;
mod traps;

use std::{cell::Cell, cell::RefCell, time::Duration};

use candid::{CandidType, Nat, Principal};
use ic_cdk::{heartbeat, init, inspect_message, post_upgrade, pre_upgrade, query, update};
use ic_stable_structures::{
    DefaultMemoryImpl, StableBTreeMap, memory_manager::MemoryId, memory_manager::MemoryManager,
    memory_manager::VirtualMemory,
};

/// The interface, readable by anybody at `/canister/<id>/metadata/candid:service`.
#[used]
#[unsafe(link_section = "icp:public candid:service")]
static INTERFACE: [u8; include_bytes!("../../probe.did").len()] = *include_bytes!("../../probe.did");

/// Key of the counter's value in the stable map across an upgrade; no caller's key is empty (see [`put`]).
const SAVED_VALUE: &str = "";

type Map = StableBTreeMap<String, String, VirtualMemory<DefaultMemoryImpl>>;

thread_local! {
    static VALUE: RefCell<Nat> = RefCell::default();
    static TICKS: Cell<u64> = const { Cell::new(0) };
    static BEATS: Cell<u64> = const { Cell::new(0) };
    static MEMORY: RefCell<MemoryManager<DefaultMemoryImpl>> = RefCell::new(MemoryManager::init(DefaultMemoryImpl::default()));
    static MAP: RefCell<Map> = RefCell::new(Map::init(MEMORY.with_borrow(|memory| memory.get(MemoryId::new(0)))));
}

#[derive(CandidType)]
struct Info {
    caller: Principal,
    canister: Principal,
    time_nanos: u64,
    balance_cycles: u128,
    version: u64,
    instructions: u64,
    is_controller: bool,
    replicated: bool,
}

#[init]
fn init(start: Option<Nat>) {
    VALUE.set(start.unwrap_or_default());
}

#[pre_upgrade]
fn save() {
    traps::before_upgrade();
    let value = VALUE.with_borrow(ToString::to_string).replace('_', "");
    MAP.with_borrow_mut(|map| map.insert(SAVED_VALUE.into(), value));
}

#[post_upgrade]
fn restore(_: Option<Nat>) {
    traps::after_upgrade();
    let saved = MAP.with_borrow_mut(|map| map.remove(&SAVED_VALUE.to_string())).expect("the version before saved it");
    VALUE.set(saved.parse().expect("a number"));
}

#[inspect_message]
fn inspect() {
    if ic_cdk::api::msg_method_name() != "forbidden" {
        ic_cdk::api::accept_message();
    }
}

#[update]
fn forbidden() {}

#[heartbeat]
fn beat() {
    BEATS.set(BEATS.get() + 1);
}

#[update]
fn inc() -> Nat {
    VALUE.with_borrow_mut(|value| {
        *value += 1u8;
        value.clone()
    })
}

#[query]
fn get() -> Nat {
    VALUE.with_borrow(Clone::clone)
}

#[query]
fn info() -> Info {
    use ic_cdk::api;
    let caller = api::msg_caller();
    Info {
        caller,
        canister: api::canister_self(),
        time_nanos: api::time(),
        balance_cycles: api::canister_cycle_balance(),
        version: api::canister_version(),
        instructions: api::instruction_counter(),
        is_controller: api::is_controller(&caller),
        replicated: api::in_replicated_execution(),
    }
}

#[update]
fn put(key: String, value: String) -> Option<String> {
    if key.is_empty() {
        ic_cdk::trap("the key is empty");
    }
    MAP.with_borrow_mut(|map| map.insert(key, value))
}

#[query]
fn fetch(key: String) -> Option<String> {
    MAP.with_borrow(|map| map.get(&key))
}

/// Pages beyond what the stable map manages; they belong to nobody.
#[update]
fn grow_stable(pages: u64) -> Option<u64> {
    let before = ic_cdk::api::stable_size();
    let missing = pages.saturating_sub(before);
    (ic_cdk::api::stable_grow(missing) != u64::MAX).then_some(before)
}

#[update]
fn touch_heap(bytes: u64) -> u64 {
    let mut heap = vec![0u8; bytes as usize];
    heap.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    heap.iter().step_by(4096).map(|byte| u64::from(*byte)).sum()
}

#[update]
fn start_ticking() {
    ic_cdk_timers::set_timer_interval(Duration::from_secs(1), async || TICKS.set(TICKS.get() + 1));
}

#[query]
fn ticks() -> u64 {
    TICKS.get()
}

#[query]
fn beats() -> u64 {
    BEATS.get()
}

#[update]
fn set_certified(data: Vec<u8>) {
    ic_cdk::api::certified_data_set(data);
}

#[query]
fn certificate() -> Option<Vec<u8>> {
    ic_cdk::api::data_certificate()
}

#[update]
fn log(line: String) {
    ic_cdk::api::debug_print(line);
}
