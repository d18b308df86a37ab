//! Installs whose hooks need more than one round. The test host does every slice of a hook from the hook's beginning.

use super::{
    lane::{SHORT, has_ended, heavy, install_args, manage, rounds_until_ended},
    network::{CREDIT, Network},
};
use ic_management_canister_types::{CanisterIdRecord, CanisterInstallMode};
use mains_ledger::{Account, Resource};
use mains_state::{IngressStatus, RunStatus};
use mains_types::{CanisterId, Cycles, ErrorCode, RequestId, limits};

const SLICE: u64 = limits::SLICE_INSTRUCTIONS;
const HOOKS: &str = "canister_init canister_pre_upgrade canister_post_upgrade";

fn install(network: &mut Network, id: CanisterId, mode: CanisterInstallMode, module: &str, script: &str) -> RequestId {
    manage(network, "install_code", &install_args(id, mode, module, script))
}

fn instructions(network: &Network, id: &CanisterId) -> u128 {
    network.state().ledger.meter(id, Resource::Instructions)
}

#[test]
fn an_install_of_so_many_slices_ends_in_so_many_rounds() {
    for (spins, rounds) in [(SLICE / 2, 1), (SLICE + 1, 2), (SLICE * 7 / 2, 4), (50 * SLICE, 51)] {
        let mut network = Network::new(&[]);
        let id = network.install(0x100, "m", CREDIT);
        let script = format!("inc;spin {spins};print ready;stable kept");
        let request = install(&mut network, id, CanisterInstallMode::Reinstall, HOOKS, &script);
        if rounds > 1 {
            assert_eq!(network.state().ingress_status(&request), Some(&IngressStatus::Processing));
            assert!(network.state().has_work());
        }
        assert_eq!(rounds_until_ended(&mut network, SHORT, &request), rounds - 1, "{spins}");
        assert!(network.outcome(&request).is_ok() && !network.state().has_work());
        let used = instructions(&network, &id);
        assert!((u128::from(spins)..u128::from(spins) + 100_000).contains(&used), "{used}");
        assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
        let canister = network.state().canister(&id).unwrap();
        assert!(canister.paused.is_none() && canister.log.len() == 1);
        assert_eq!(canister.code.as_ref().unwrap().stable_pages, 1);
        assert_eq!(network.run(id, "reply_count").unwrap(), "1");
    }
}

#[test]
fn hooks_that_have_ended_are_not_run_again_and_the_next_sees_what_they_left() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let old = format!("{HOOKS} pre{{inc;stable left;burn 5;spin {}}}", SLICE * 5 / 2);
    let new = format!("{HOOKS} start{{inc;spin {}}}", SLICE);
    let request = install(&mut network, id, CanisterInstallMode::Reinstall, &old, "");
    network.outcome(&request).unwrap();
    let (before, burned) = (network.balance(&id), network.state().canister(&id).unwrap().burned);
    network.host.take_trace();
    let request = install(&mut network, id, CanisterInstallMode::Upgrade(None), &new, "inc;inc;certify data;burn 7");
    assert_eq!(rounds_until_ended(&mut network, SHORT, &request), 3, "two and a half slices, one, and a bit");
    network.outcome(&request).unwrap();
    let trace = network.host.take_trace();
    let count = |what: &str| trace.iter().filter(|line| line.contains(what)).count();
    assert_eq!((count("hook inc;stable"), count("start inc"), count("hook inc;inc")), (3, 2, 1), "{trace:?}");
    let canister = network.state().canister(&id).unwrap();
    assert_eq!((canister.burned.get() - burned.get(), &canister.certified_data[..]), (12, &b"data"[..]));
    let code = canister.code.as_ref().unwrap();
    let mut text = [0; 4];
    code.stable.read(0, &mut text);
    assert_eq!(&text, b"left");
    assert!(network.balance(&id) < before - 12);
    assert_eq!(network.run(id, "reply_count").unwrap(), "3", "a heap of the new module");
}

#[test]
fn a_trap_in_a_later_slice_undoes_everything_and_is_paid() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let old = format!("{HOOKS} pre{{inc;stable left;burn 5;spin {}}}", 2 * SLICE);
    let request = install(&mut network, id, CanisterInstallMode::Reinstall, &old, "inc");
    network.outcome(&request).unwrap();
    let code = |network: &Network| network.state().canister(&id).unwrap().code.clone().unwrap();
    let (before, used, burned) =
        (code(&network), instructions(&network, &id), network.state().canister(&id).unwrap().burned);
    let script = format!("spin {};trap late", 2 * SLICE);
    let request = install(&mut network, id, CanisterInstallMode::Upgrade(None), &format!("{HOOKS} new"), &script);
    assert_eq!(rounds_until_ended(&mut network, SHORT, &request), 4);
    assert!(network.outcome(&request).unwrap_err().message.contains("'late'"));
    let after = code(&network);
    assert_eq!((after.module_hash, after.heap.pages, after.stable_pages), (before.module_hash, before.heap.pages, 0));
    assert!(instructions(&network, &id) - used >= u128::from(4 * SLICE));
    let canister = network.state().canister(&id).unwrap();
    assert_eq!(canister.burned, burned);
    assert!(canister.log.back().is_some_and(|line| line.content.ends_with(b"late")));
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn an_install_ends_at_its_limit() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let old = format!("{HOOKS} pre{{spin {}}}", 2 * SLICE);
    let request = install(&mut network, id, CanisterInstallMode::Reinstall, &old, "");
    network.outcome(&request).unwrap();
    let script = format!("spin {}", limits::INSTALL_INSTRUCTIONS_MAX - 2 * SLICE);
    let request = install(&mut network, id, CanisterInstallMode::Upgrade(None), HOOKS, &script);
    let rounds = rounds_until_ended(&mut network, SHORT, &request);
    assert_eq!(rounds, limits::INSTALL_INSTRUCTIONS_MAX / SLICE - 1, "all hooks together");
    let reject = network.outcome(&request).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterInstructionLimitExceeded));
}

#[test]
fn what_a_hook_burned_must_still_be_there_at_the_end() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let script = format!("burn {};spin {}", CREDIT / 2, 2 * SLICE);
    let request = install(&mut network, id, CanisterInstallMode::Reinstall, HOOKS, &script);
    let most = network.balance(&id) * 3 / 4;
    network.state_mut().ledger.burn(&Account::Canister(id), Cycles(most)).unwrap();
    rounds_until_ended(&mut network, SHORT, &request);
    assert!(network.outcome(&request).unwrap_err().message.contains("more cycles than are left"));
    assert!(network.balance(&id) > CREDIT / 8, "undone");
}

#[test]
fn meanwhile_the_canister_waits_others_run_and_calls_about_it_keep_their_order() {
    let mut network = Network::new(&[]);
    let (id, other) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let record = candid::encode_one(CanisterIdRecord { canister_id: id }).unwrap();
    // In the lane first, then paused.
    let module = heavy(2 * limits::COMPILE_BLOCK_INSTRUCTIONS, "new");
    let args = install_args(id, CanisterInstallMode::Upgrade(None), &module, &format!("inc;spin {}", 5 * SLICE));
    let request = manage(&mut network, "install_code", &args);
    let stop = manage(&mut network, "stop_canister", &record);
    let is_paused = |network: &Network| network.state().canister(&id).unwrap().paused.is_some();
    while !is_paused(&network) {
        assert!(!has_ended(&network, &request));
        network.block(vec![]);
    }
    let waits = network.call(1, id, "run", b"reply_count");
    let message = waits.request_id;
    network.block(vec![waits]);
    let start = manage(&mut network, "start_canister", &record);
    while is_paused(&network) {
        assert!(!has_ended(&network, &message) && !has_ended(&network, &stop) && !has_ended(&network, &start));
        assert_eq!(network.run(other, "reply other").unwrap(), "other");
    }
    assert!(network.outcome(&request).is_ok() && network.outcome(&stop).is_ok());
    network.block_until_idle();
    assert!(network.outcome(&start).is_ok());
    assert_eq!(network.state().canister(&id).unwrap().status, RunStatus::Running);
    assert!(has_ended(&network, &message));
}
