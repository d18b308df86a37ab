//! Traps around an await, re-entrancy, calls to itself, queries of other canisters.

use std::cell::Cell;

use candid::{Nat, Principal};
use ic_cdk::{
    api,
    call::{Call, CallFailed, Response},
    query, update,
};

thread_local! {
    static LOCKED: Cell<bool> = const { Cell::new(false) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// Free again when it is dropped, which the developer kit does in the cleanup callback if the code around it trapped.
struct Lock;

impl Lock {
    fn take() -> Self {
        assert!(!LOCKED.replace(true), "locked already");
        Self
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        LOCKED.set(false);
    }
}

#[query]
fn locked() -> bool {
    LOCKED.get()
}

#[update]
fn trap_now() {
    super::note("lost".into());
    ic_cdk::trap("trapped on purpose");
}

#[update(manual_reply = true)]
fn refuse(reason: String) -> std::marker::PhantomData<()> {
    super::note("refused".into());
    api::msg_reject(reason);
    std::marker::PhantomData
}

#[update]
async fn trap_before_await(peer: Principal) {
    super::note("lost".into());
    let _sent = Call::unbounded_wait(peer, "note").with_arg("never sent").oneway();
    ic_cdk::trap("trapped before an await");
}

#[update]
async fn trap_after_await(peer: Principal) {
    super::note("kept".into());
    Call::unbounded_wait(peer, "note").with_arg("sent").await.expect("the peer answers");
    super::note("lost".into());
    ic_cdk::trap("trapped after an await");
}

#[update]
async fn trap_with_lock(peer: Principal) {
    let _lock = Lock::take();
    Call::unbounded_wait(peer, "note").with_arg("while locked").await.expect("the peer answers");
    ic_cdk::trap("trapped while locked");
}

/// Reject code and message; 0 for a reply.
pub(crate) fn rejection(result: Result<Response, CallFailed>) -> (u32, String) {
    match result {
        Ok(_) => (0, String::new()),
        Err(CallFailed::CallRejected(reject)) => (reject.raw_reject_code(), reject.reject_message().to_owned()),
        Err(other) => ic_cdk::trap(format!("not sent: {other}")),
    }
}

#[update]
async fn call_trapping(peer: Principal) -> (u32, String) {
    super::note("kept".into());
    rejection(Call::unbounded_wait(peer, "trap_now").await)
}

#[update]
async fn call_refusing(peer: Principal, reason: String) -> (u32, String) {
    rejection(Call::unbounded_wait(peer, "refuse").with_arg(reason).await)
}

#[update]
async fn sum_down(number: Nat) -> Nat {
    if number == 0u8 {
        return number;
    }
    let rest = Call::unbounded_wait(api::canister_self(), "sum_down").with_arg(number.clone() - 1u8).await;
    number + rest.expect("it answers itself").candid::<Nat>().expect("a number")
}

#[update]
async fn bump_slowly(peer: Principal) {
    let before = NUMBER.get();
    Call::unbounded_wait(peer, "note").with_arg("bump").await.expect("the peer answers");
    NUMBER.set(before + 1);
}

#[update]
async fn race(peer: Principal) -> Nat {
    NUMBER.set(0);
    let bump = || Call::unbounded_wait(api::canister_self(), "bump_slowly").with_arg(peer).into_future();
    let (one, two) = futures::join!(bump(), bump());
    one.and(two).expect("both answer");
    NUMBER.get().into()
}

#[query(composite = true)]
async fn total(peers: Vec<Principal>, key: String) -> Nat {
    let mut sum = Nat::from(0u8);
    for peer in peers {
        let response = Call::unbounded_wait(peer, "get").with_arg(&key).await.expect("the peer answers");
        sum += response.candid::<Option<Nat>>().expect("an optional number").unwrap_or_default();
    }
    sum
}
