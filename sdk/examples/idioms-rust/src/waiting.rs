//! Calls that wait for a while, for ever, or not at all.

use std::cell::Cell;

use candid::Principal;
use ic_cdk::{call::Call, update};
use ic_cdk_management_canister::raw_rand;

use crate::calls::rejection;

thread_local! {
    static HELD: Cell<bool> = const { Cell::new(false) };
}

#[update]
async fn hold() {
    HELD.set(true);
    while HELD.get() {
        // Answered at a later height, so this does not keep the subnet busy.
        raw_rand().await.expect("randomness from the beacon");
    }
}

#[update]
fn release() {
    HELD.set(false);
}

#[update]
async fn hold_bounded(peer: Principal) -> u32 {
    rejection(Call::bounded_wait(peer, "hold").change_timeout(1).await).0
}

#[update]
async fn note_bounded(peer: Principal, line: String) -> bool {
    Call::bounded_wait(peer, "note").with_arg(line).await.is_ok()
}

#[update]
fn note_one_way(peer: Principal, line: String) {
    Call::unbounded_wait(peer, "note").with_arg(line).oneway().expect("sent");
}
