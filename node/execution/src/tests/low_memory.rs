use super::network::{CREDIT, Network};
use ic_management_canister_types as ic;
use mains_ledger::Account;
use mains_state::snapshot::HookStatus;
use mains_types::{CanisterId, Cycles, limits::WASM_PAGE_BYTES};

const MODULE: &str = "canister_on_low_wasm_memory";

/// A canister whose heap of one page may grow to ten; below three it is warned.
fn install(network: &mut Network, module: &str) -> CanisterId {
    let id = network.install(0x100, module, CREDIT);
    let canister = network.state_mut().canister_mut(&id).unwrap();
    canister.settings.wasm_memory_limit = 10 * WASM_PAGE_BYTES;
    canister.settings.wasm_memory_threshold = 3 * WASM_PAGE_BYTES;
    id
}

fn settings(network: &mut Network, canister_id: CanisterId, pages: u64) {
    let settings =
        ic::CanisterSettings { wasm_memory_limit: Some((pages * WASM_PAGE_BYTES).into()), ..Default::default() };
    let args = ic::UpdateSettingsArgs { canister_id, settings, sender_canister_version: None };
    let argument = candid::encode_one(args).unwrap();
    let call = network.call(1, candid::Principal::management_canister(), "update_settings", &argument);
    let id = call.request_id;
    network.block(vec![call]);
    assert!(network.outcome(&id).is_ok());
}

fn status(network: &Network, id: CanisterId) -> HookStatus {
    network.state().canister(&id).unwrap().low_memory
}

#[test]
fn the_hook_runs_once_before_the_next_message_and_again_after_there_was_enough() {
    let mut network = Network::new(&[]);
    let id = install(&mut network, MODULE);
    assert_eq!(network.run(id, "grow 6;reply seven").unwrap(), "seven");
    assert_eq!(status(&network, id), HookStatus::ConditionNotSatisfied, "three pages are left, not less");
    network.host.take_trace();
    let calls = ["grow 1;reply eight", "reply_count", "grow 1;reply_count"]
        .map(|script| network.call(1, id, "run", script.as_bytes()));
    let ids = calls.each_ref().map(|call| call.request_id);
    network.block(calls.to_vec());
    let trace: Vec<_> = network.host.take_trace();
    assert_eq!(
        trace,
        ["0 update grow 1;reply eight", "0 low memory inc", "0 update reply_count", "0 update grow 1;reply_count"]
    );
    assert_eq!(network.outcome(&ids[1]).unwrap(), "1", "the hook's change stayed");
    assert_eq!(status(&network, id), HookStatus::Executed);
    // Enough, and then too little again, because the setting moves.
    settings(&mut network, id, 20);
    assert_eq!(status(&network, id), HookStatus::ConditionNotSatisfied);
    settings(&mut network, id, 10);
    assert_eq!(network.run(id, "reply_count").unwrap(), "2");
    assert!(!network.state().has_work());
}

#[test]
fn a_hook_that_cannot_be_paid_runs_when_it_can_and_one_that_is_not_there_is_no_matter() {
    let mut network = Network::new(&[]);
    let id = install(&mut network, MODULE);
    let rest = network.balance(&id) - 1_000_000;
    network.state_mut().ledger.burn(&Account::Canister(id), Cycles(rest)).unwrap();
    settings(&mut network, id, 3);
    assert_eq!(status(&network, id), HookStatus::Ready);
    assert!(!network.state().has_work(), "it does not ask for blocks meanwhile");
    network.state_mut().ledger.mint(&Account::Canister(id), Cycles(CREDIT)).unwrap();
    assert_eq!(network.run(id, "reply_count").unwrap(), "0");
    assert_eq!(network.run(id, "reply_count").unwrap(), "1");
    let mut network = Network::new(&[]);
    let id = install(&mut network, "m");
    assert_eq!(network.run(id, "grow 9;reply ok").unwrap(), "ok");
    assert_eq!(network.run(id, "reply_count").unwrap(), "0");
}
