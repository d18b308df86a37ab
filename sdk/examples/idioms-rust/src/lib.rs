//! The developer kit's own idioms, for conformance tests. Interface: `../idioms.did`.

mod calls;
mod cycles;
mod waiting;

use std::{cell::Cell, cell::RefCell, time::Duration};

use candid::{Nat, Principal};
use ic_cdk::{api, heartbeat, init, inspect_message, post_upgrade, pre_upgrade, query, update};
use ic_stable_structures::{
    DefaultMemoryImpl, StableBTreeMap, StableCell, memory_manager::MemoryId, memory_manager::MemoryManager,
    memory_manager::VirtualMemory,
};
use serde_bytes::ByteBuf;

/// The interface, readable by anybody at `/canister/<id>/metadata/candid:service`.
#[used]
#[unsafe(link_section = "icp:public candid:service")]
static INTERFACE: [u8; include_bytes!("../../idioms.did").len()] = *include_bytes!("../../idioms.did");

type Memory = VirtualMemory<DefaultMemoryImpl>;

thread_local! {
    static MEMORY: RefCell<MemoryManager<DefaultMemoryImpl>> = RefCell::new(MemoryManager::init(DefaultMemoryImpl::default()));
    /// Lives in stable memory all the time.
    static MAP: RefCell<StableBTreeMap<String, u128, Memory>> = RefCell::new(StableBTreeMap::init(memory(0)));
    /// Written by pre_upgrade, read by post_upgrade.
    static SAVED: RefCell<StableCell<Vec<u8>, Memory>> = RefCell::new(StableCell::init(memory(1), Vec::new()));
    static JOURNAL: RefCell<Vec<String>> = RefCell::default();
    static TICKS: Cell<u64> = const { Cell::new(0) };
    static TICKING: Cell<bool> = const { Cell::new(false) };
    static BEATS: Cell<u64> = const { Cell::new(0) };
}

fn memory(number: u8) -> Memory {
    MEMORY.with_borrow(|memory| memory.get(MemoryId::new(number)))
}

#[init]
fn begin() {
    note("installed".into());
}

#[pre_upgrade]
fn save() {
    note("before the upgrade".into());
    let kept = candid::encode_args((JOURNAL.take(), TICKS.get(), TICKING.get())).expect("it has a Candid form");
    SAVED.with_borrow_mut(|saved| saved.set(kept));
}

#[post_upgrade]
fn restore() {
    let kept = SAVED.with_borrow(|saved| saved.get().clone());
    let (journal, ticks, ticking) = candid::decode_args(&kept).expect("the version before saved it");
    JOURNAL.set(journal);
    TICKS.set(ticks);
    note("after the upgrade".into());
    // Timers do not survive an upgrade by themselves.
    if ticking {
        start_ticking();
    }
}

#[inspect_message]
fn inspect() {
    if api::msg_method_name() != "guarded" || api::msg_caller() != Principal::anonymous() {
        api::accept_message();
    }
}

#[update]
fn guarded() {}

#[heartbeat]
fn beat() {
    BEATS.set(BEATS.get() + 1);
}

#[query]
fn beats() -> Nat {
    BEATS.get().into()
}

#[update]
fn note(line: String) {
    JOURNAL.with_borrow_mut(|journal| journal.push(line));
}

#[query]
fn journal() -> Vec<String> {
    JOURNAL.with_borrow(Clone::clone)
}

#[update]
fn put(key: String, value: Nat) -> Option<Nat> {
    let value = u128::try_from(&value.0).expect("at most 128 bits");
    MAP.with_borrow_mut(|map| map.insert(key, value)).map(Nat::from)
}

#[query]
fn get(key: String) -> Option<Nat> {
    MAP.with_borrow(|map| map.get(&key)).map(Nat::from)
}

#[update]
fn start_ticking() {
    TICKING.set(true);
    ic_cdk_timers::set_timer_interval(Duration::from_secs(1), async || TICKS.set(TICKS.get() + 1));
}

#[query]
fn ticks() -> Nat {
    TICKS.get().into()
}

#[update]
fn certify(data: ByteBuf) {
    api::certified_data_set(data);
}

#[query]
fn certificate() -> Option<ByteBuf> {
    api::data_certificate().map(ByteBuf::from)
}
