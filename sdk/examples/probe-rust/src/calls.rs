//! Calls to other canisters, and to itself.

use candid::{Nat, Principal};
use ic_cdk::{call::Call, query, update};

/// The raw reply, or the error as the developer kit words it.
type Outcome = Result<Vec<u8>, String>;

async fn outcome(call: Call<'_, '_>) -> Outcome {
    call.await.map(|response| response.into_bytes()).map_err(|error| error.to_string())
}

#[update]
async fn call(canister: Principal, method: String, argument: Vec<u8>) -> Outcome {
    outcome(Call::unbounded_wait(canister, &method).take_raw_args(argument)).await
}

#[update]
async fn call_bounded(canister: Principal, method: String, argument: Vec<u8>) -> Outcome {
    outcome(Call::bounded_wait(canister, &method).take_raw_args(argument)).await
}

#[update]
async fn call_with_cycles(canister: Principal, method: String, argument: Vec<u8>, cycles: u128) -> Outcome {
    outcome(Call::unbounded_wait(canister, &method).take_raw_args(argument).with_cycles(cycles)).await
}

#[query(composite = true)]
async fn call_in_query(canister: Principal, method: String, argument: Vec<u8>) -> Outcome {
    outcome(Call::unbounded_wait(canister, &method).take_raw_args(argument)).await
}

#[update]
fn notify(canister: Principal, method: String, argument: Vec<u8>) -> bool {
    Call::unbounded_wait(canister, &method).take_raw_args(argument).oneway().is_ok()
}

#[update]
fn accept_cycles() -> Nat {
    ic_cdk::api::msg_cycles_accept(ic_cdk::api::msg_cycles_available()).into()
}

#[update]
async fn hop(hops: u64) -> u64 {
    if hops == 0 {
        return 0;
    }
    let myself = ic_cdk::api::canister_self();
    let response = Call::unbounded_wait(myself, "hop").with_arg(hops - 1).await.expect("a call to itself");
    1 + response.candid::<u64>().expect("a nat64")
}

#[update]
async fn random() -> Vec<u8> {
    ic_cdk_management_canister::raw_rand().await.expect("randomness from the beacon")
}
