//! Cycles that travel with calls, and canisters made with them.

use candid::{Nat, Principal};
use ic_cdk::{api, call::Call, update};
use ic_cdk_management_canister::{
    CanisterInstallMode, CreateCanisterArgs, InstallCodeArgs, create_canister_with_extra_cycles, install_code,
};

/// The module of the canisters that [`spawn`] makes.
static CHILD: &[u8] = include_bytes!("../../prebuilt/counter-rust.wasm");

fn amount(cycles: &Nat) -> u128 {
    u128::try_from(&cycles.0).expect("at most 128 bits")
}

#[update]
fn accept(maximum: Nat) -> Nat {
    api::msg_cycles_accept(amount(&maximum)).into()
}

#[update]
fn accept_and_trap(maximum: Nat) {
    accept(maximum);
    ic_cdk::trap("trapped with the cycles");
}

#[update]
async fn give(peer: Principal, cycles: Nat, maximum: Nat) -> (Nat, Nat) {
    let call = Call::unbounded_wait(peer, "accept").with_arg(maximum).with_cycles(amount(&cycles));
    let accepted = call.await.expect("the peer answers").candid::<Nat>().expect("a number");
    (accepted, api::msg_cycles_refunded().into())
}

#[update]
async fn give_to_trap(peer: Principal, cycles: Nat) -> bool {
    let call = Call::unbounded_wait(peer, "accept_and_trap").with_arg(&cycles).with_cycles(amount(&cycles));
    assert!(call.await.is_err(), "the peer traps");
    cycles == api::msg_cycles_refunded()
}

#[update]
async fn spawn(cycles: Nat) -> Principal {
    let created = create_canister_with_extra_cycles(&CreateCanisterArgs { settings: None }, amount(&cycles)).await;
    let canister_id = created.expect("created").canister_id;
    let install = InstallCodeArgs {
        mode: CanisterInstallMode::Install,
        canister_id,
        wasm_module: CHILD.to_vec(),
        arg: candid::encode_args(()).expect("nothing has a Candid form"),
    };
    install_code(&install).await.expect("installed");
    canister_id
}

#[update]
async fn inc_child(child: Principal) -> Nat {
    Call::unbounded_wait(child, "inc").await.expect("the child answers").candid().expect("a number")
}
