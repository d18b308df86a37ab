//! Ways to fail: traps around an await, refusals, exhausted limits.

use std::cell::Cell;

use ic_cdk::{call::Call, update};

/// Key in the stable map that makes the next post_upgrade trap.
const TRAP_AFTER: &str = "trap after upgrade";

thread_local! {
    static TRAP_BEFORE: Cell<bool> = const { Cell::new(false) };
}

pub fn before_upgrade() {
    if TRAP_BEFORE.get() {
        ic_cdk::trap("trapped in pre_upgrade");
    }
}

pub fn after_upgrade() {
    if super::fetch(TRAP_AFTER.into()).is_some_and(|armed| armed == "yes") {
        ic_cdk::trap("trapped in post_upgrade");
    }
}

#[update]
fn trap_in_upgrade(before: bool, after: bool) {
    TRAP_BEFORE.set(before);
    super::put(TRAP_AFTER.into(), if after { "yes" } else { "no" }.into());
}

#[update]
fn trap_before_await() {
    super::inc();
    ic_cdk::trap("trapped before an await");
}

#[update]
async fn trap_after_await() {
    super::inc();
    let myself = ic_cdk::api::canister_self();
    Call::unbounded_wait(myself, "get").await.expect("a call to itself");
    super::inc();
    ic_cdk::trap("trapped after an await");
}

#[update(manual_reply = true)]
fn refuse(reason: String) -> std::marker::PhantomData<()> {
    ic_cdk::api::msg_reject(reason);
    std::marker::PhantomData
}

#[update]
fn loop_forever() {
    let mut x = 1u64;
    while std::hint::black_box(x) != 0 {
        x = x.wrapping_mul(3) | 1;
    }
}

#[update]
fn recurse_forever() -> u64 {
    #[inline(never)]
    #[expect(unconditional_recursion, reason = "the point")]
    fn deeper(depth: u64) -> u64 {
        let below = std::hint::black_box(depth + 1);
        deeper(below) + below
    }
    deeper(0)
}

#[update]
fn allocate_forever() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}
