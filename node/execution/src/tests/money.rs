use super::network::{CREDIT, Network};
use crate::engine::MODULE_INSTRUCTIONS;
use mains_ledger::{Account, Resource};
use mains_state::IngressStatus;
use mains_types::{Cycles, ErrorCode, RejectCode, UnixNanos, limits};

#[test]
fn a_canister_that_would_freeze_takes_no_calls() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", 1_000_000_000);
    let reject = network.run(id, "inc;reply_count").unwrap_err();
    assert_eq!((reject.code, reject.error_code), (RejectCode::SysTransient, Some(ErrorCode::CanisterOutOfCycles)));
    network.state_mut().ledger.mint(&Account::Canister(id), Cycles(CREDIT)).unwrap();
    assert_eq!(network.run(id, "inc;reply_count").unwrap(), "1");
}

#[test]
fn storage_is_charged_by_bytes_and_seconds_even_if_nobody_calls() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    network.run(id, "inc;reply_count").unwrap();
    let reading = network.state().ledger.meter(&id, Resource::StorageByteSeconds);
    let bytes = u128::from(network.state().canister(&id).unwrap().memory_bytes());
    network.block_after(7_200 * UnixNanos::SECOND, vec![]);
    let later = network.state().ledger.meter(&id, Resource::StorageByteSeconds);
    assert_eq!(later - reading, bytes * 7_200);
}

#[test]
fn a_canister_that_cannot_pay_for_its_storage_loses_its_code() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    network.run(id, "grow 15000;reply ok").unwrap();
    network.block_after(UnixNanos::SECOND * 86_400 * 365 * 3, vec![]);
    let canister = network.state().canister(&id).unwrap();
    assert!(canister.code.is_none());
    let reject = network.run(id, "reply_count").unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterWasmModuleNotFound));
}

#[test]
fn memory_grows_only_as_far_as_it_can_be_kept() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", 20_000_000_000);
    let reject = network.run(id, "grow 60000;reply ok").unwrap_err();
    assert!(reject.message.contains("freezing threshold"), "{}", reject.message);
    assert_eq!(network.run(id, "grow 10;reply ok").unwrap(), "ok");
}

#[test]
fn instructions_of_a_trap_and_of_an_endless_run_are_charged() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let call = network.call(1, id, "run", b"spin 900000000000;reply no");
    let request = call.request_id;
    network.block(vec![call]);
    network.block_until_idle();
    let reject = network.outcome(&request).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterInstructionLimitExceeded));
    assert_eq!(network.state().ledger.meter(&id, Resource::Instructions), u128::from(limits::UPDATE_INSTRUCTIONS_MAX));
}

#[test]
fn an_install_is_charged_to_its_canister_even_if_it_fails() {
    use ic_management_canister_types as ic;
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let install = |module: &str, arg: &str| {
        candid::encode_one(ic::InstallCodeArgs {
            mode: ic::CanisterInstallMode::Reinstall,
            canister_id: id,
            wasm_module: [b"\0asm".as_slice(), module.as_bytes()].concat(),
            arg: arg.as_bytes().to_vec(),
            sender_canister_version: None,
        })
        .unwrap()
    };
    let management = candid::Principal::management_canister();
    let good = network.call(1, management, "install_code", &install(" canister_init", "inc;inc;spin 777"));
    let (good_id, bad) =
        (good.request_id, network.call(1, management, "install_code", &install(" canister_init", "trap no")));
    let bad_id = bad.request_id;
    network.block(vec![good]);
    assert!(network.outcome(&good_id).is_ok(), "{:?}", network.outcome(&good_id));
    let hash = network.state().canister(&id).unwrap().code.as_ref().unwrap().module_hash;
    let (meter, compiled) = (
        network.state().ledger.meter(&id, Resource::Instructions),
        network.state().ledger.meter(&id, Resource::CompileInstructions),
    );
    // Compiling costs 1,000 here; looking at the bytes and installing a new module come on top.
    let apart = u128::from(MODULE_INSTRUCTIONS);
    assert!(meter >= 777 && (apart + 1_001..apart + 10_000).contains(&compiled));
    network.block(vec![bad]);
    assert!(network.outcome(&bad_id).unwrap_err().message.contains("'no'"));
    assert_eq!(network.run(id, "reply_count").unwrap(), "2");
    assert_eq!(network.state().canister(&id).unwrap().code.as_ref().unwrap().module_hash, hash);
    assert!(network.state().ledger.meter(&id, Resource::CompileInstructions) > compiled + 1_000);
    let logged = network.state().canister(&id).unwrap().log.back().cloned().unwrap();
    assert_eq!(logged.content, b"[TRAP]: no");
    let stranger = network.call(2, management, "install_code", &install("", ""));
    let stranger_id = stranger.request_id;
    let before = network.balance(&id);
    network.block(vec![stranger]);
    assert_eq!(network.outcome(&stranger_id).unwrap_err().error_code, Some(ErrorCode::CanisterInvalidController));
    let storage_only = before - network.balance(&id);
    assert!(storage_only < 100_000, "a stranger cannot make it pay: {storage_only}");
    assert!(!matches!(network.state().ingress_status(&bad_id), Some(IngressStatus::Done)));
}
