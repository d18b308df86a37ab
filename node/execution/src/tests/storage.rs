//! What all canisters keep together stays below what every operator has room for.

use super::network::{CREDIT, Network};
use candid::Principal;
use ic_management_canister_types as ic;
use mains_types::{CanisterId, ErrorCode, RejectCode, limits::WASM_PAGE_BYTES};
use std::sync::Arc;

/// Two canisters on a subnet with this many pages of storage left.
fn two_with(pages_left: u64) -> (Network, [CanisterId; 2]) {
    let mut network = Network::new(&[]);
    let ids = [0x100, 0x101].map(|index| network.install(index, "m", 100 * CREDIT));
    network.block(vec![]);
    // Answers of calls are no canister's; log lines are, and need no leave.
    let bytes = network.state().canisters_bytes() + pages_left * WASM_PAGE_BYTES;
    Arc::make_mut(&mut network.state_mut().subnet).storage_bytes_max = bytes;
    (network, ids)
}

#[test]
fn the_last_storage_is_given_once_even_within_a_block() {
    let (mut network, [a, b]) = two_with(10);
    let calls = [a, b].map(|id| network.call(1, id, "run", b"grow 6;reply ok"));
    let requests = [calls[0].request_id, calls[1].request_id];
    network.block(calls.to_vec());
    let mut outcomes = requests.map(|request| network.outcome(&request));
    outcomes.sort_by_key(Result::is_err);
    assert_eq!(outcomes[0].as_deref(), Ok("ok"));
    let refused = outcomes[1].as_ref().unwrap_err();
    assert!(refused.message.contains("the subnet has 262144 bytes of storage left"), "{refused:?}");
    assert!(network.state().canisters_bytes() < network.state().subnet.storage_bytes_max);
    assert_eq!(network.run(a, "reply ok").unwrap(), "ok", "who does not grow goes on");
}

#[test]
fn what_is_given_back_can_be_had_again() {
    let (mut network, [a, b]) = two_with(10);
    assert_eq!(network.run(a, "grow 10;reply ok").unwrap(), "ok");
    assert!(network.run(b, "grow 10;reply ok").is_err());
    let argument = candid::encode_one(ic::UninstallCodeArgs { canister_id: a, sender_canister_version: None }).unwrap();
    let uninstall = network.call(1, Principal::management_canister(), "uninstall_code", &argument);
    network.block(vec![uninstall]);
    assert_eq!(network.run(b, "grow 10;reply ok").unwrap(), "ok");
}

#[test]
fn an_allocation_takes_storage_and_what_grows_into_it_does_not_again() {
    let (mut network, [a, b]) = two_with(10);
    let allocate = |network: &mut Network, pages: u64| {
        let bytes = network.state().canister(&a).unwrap().memory_bytes() + pages * WASM_PAGE_BYTES;
        let settings = ic::CanisterSettings { memory_allocation: Some(bytes.into()), ..Default::default() };
        let arguments = ic::UpdateSettingsArgs { canister_id: a, settings, sender_canister_version: None };
        let argument = candid::encode_one(arguments).unwrap();
        let call = network.call(1, Principal::management_canister(), "update_settings", &argument);
        let request = call.request_id;
        network.block(vec![call]);
        network.outcome(&request)
    };
    let refused = allocate(&mut network, 11).unwrap_err();
    assert_eq!((refused.code, refused.error_code), (RejectCode::SysTransient, Some(ErrorCode::SubnetOversubscribed)));
    assert_eq!(network.state().canister(&a).unwrap().settings.memory_allocation, 0);
    allocate(&mut network, 10).unwrap();
    assert!(network.run(b, "grow 1;reply ok").is_err());
    assert_eq!(network.run(a, "grow 9;reply ok").unwrap(), "ok");
    assert!(network.run(a, "grow 2;reply ok").is_err());
}
