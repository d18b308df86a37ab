//! Installs of modules that take long to compile.

use super::{
    host::{HEAP_BYTES, info},
    network::{CREDIT, Network, user},
};
use crate::due_at;
use ic_management_canister_types::{self as ic, CanisterIdRecord, CanisterInstallMode, InstallCodeArgs};
use mains_ledger::{Account, Resource};
use mains_state::{IngressStatus, Settings};
use mains_types::{CanisterId, Cycles, ErrorCode, Principal, RejectCode, RequestId, UnixNanos, limits};

const BLOCK: u64 = limits::COMPILE_BLOCK_INSTRUCTIONS;
/// What compiling a slice's worth of module is given.
const BLOCK_NANOS: u64 = BLOCK / 1_000 * limits::COMPILE_NANOS_PER_1000_INSTRUCTIONS;
/// Less than that.
pub(super) const SHORT: u64 = 20_000_000;

/// A module that weighs so much.
pub(super) fn heavy(weight: u64, name: &str) -> String {
    format!("{name} canister_post_upgrade canister_init weighs {weight}")
}

/// The argument of an install; `script` is run by its hook.
pub(super) fn install_args(canister_id: CanisterId, mode: CanisterInstallMode, module: &str, script: &str) -> Vec<u8> {
    let (wasm_module, arg) = (module.as_bytes().to_vec(), script.as_bytes().to_vec());
    candid::encode_one(InstallCodeArgs { mode, canister_id, wasm_module, arg, sender_canister_version: None }).unwrap()
}

pub(super) fn manage(network: &mut Network, method: &str, argument: &[u8]) -> RequestId {
    let call = network.call(1, Principal::management_canister(), method, argument);
    let id = call.request_id;
    network.block_after(SHORT, vec![call]);
    id
}

/// Upgrades to a module as user 1, in a short block.
fn upgrade(network: &mut Network, id: CanisterId, module: &str) -> RequestId {
    manage(network, "install_code", &install_args(id, CanisterInstallMode::Upgrade(None), module, "inc"))
}

pub(super) fn has_ended(network: &Network, id: &RequestId) -> bool {
    network.state().ingress_status(id).unwrap().is_terminal()
}

/// Empty blocks of this length until the request has ended; how many there were.
pub(super) fn rounds_until_ended(network: &mut Network, nanos: u64, id: &RequestId) -> u64 {
    for round in 0..4_000 {
        if has_ended(network, id) {
            return round;
        }
        network.block_after(nanos, vec![]);
    }
    panic!("it never ends");
}

fn module_hash(module: &str) -> [u8; 32] {
    crate::management::module::hash(module.as_bytes())
}

fn has_module(network: &Network, id: &CanisterId, module: &str) -> bool {
    network.state().canister(id).unwrap().code.as_ref().unwrap().module_hash == module_hash(module)
}

#[test]
fn a_small_module_is_installed_at_once_and_a_large_one_after_its_rounds_and_its_time() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let request = upgrade(&mut network, id, &heavy(limits::COMPILE_AT_ONCE_INSTRUCTIONS_MAX, "small"));
    assert!(network.outcome(&request).is_ok());
    // Five slices and a bit: six rounds, and their time.
    for (nanos, rounds) in [(SHORT, 5 * BLOCK_NANOS / SHORT + 1), (BLOCK_NANOS, 6), (100 * BLOCK_NANOS, 6)] {
        let module = heavy(5 * BLOCK + 1, &nanos.to_string());
        let request = upgrade(&mut network, id, &module);
        assert_eq!(network.state().ingress_status(&request), Some(&IngressStatus::Processing));
        assert_eq!(rounds_until_ended(&mut network, nanos, &request), rounds, "{nanos}");
        assert!(network.outcome(&request).is_ok() && has_module(&network, &id, &module));
        assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
    }
    assert_eq!(network.run(id, "reply_count").unwrap(), "1", "the hook ran once on a fresh heap");
}

#[test]
fn what_compiling_costs_is_paid_before_and_what_is_left_when_it_is_done() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let module = heavy(7 * BLOCK, "m");
    let before = network.state().ledger.meter(&id, Resource::CompileInstructions);
    let run = network.state().ledger.meter(&id, Resource::Instructions);
    let request = upgrade(&mut network, id, &module);
    let paid = network.state().ledger.meter(&id, Resource::CompileInstructions) - before;
    let looked = 2 * 20 * module.len() as u128;
    assert_eq!(paid, u128::from(7 * BLOCK) + looked, "the module travels and is looked at uncompressed");
    assert!(network.state().ledger.balance(&Account::InFlight) > Cycles::ZERO);
    assert_eq!(network.state().ledger.meter(&id, Resource::Instructions), run);
    rounds_until_ended(&mut network, UnixNanos::SECOND, &request);
    assert_eq!(network.state().ledger.meter(&id, Resource::CompileInstructions) - before, paid, "once");
    assert!(network.state().ledger.meter(&id, Resource::Instructions) > run, "the hook");
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn meanwhile_its_canister_runs_and_other_calls_about_it_keep_their_order() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let record = candid::encode_one(CanisterIdRecord { canister_id: id }).unwrap();
    let module = heavy(4 * BLOCK, "new");
    let request = upgrade(&mut network, id, &module);
    let status = manage(&mut network, "canister_status", &record);
    assert!(network.outcome(&status).is_ok(), "whoever looks does not wait");
    let stop = manage(&mut network, "stop_canister", &record);
    let delete = manage(&mut network, "delete_canister", &record);
    assert_eq!(network.run(id, "inc;reply_count").unwrap(), "1", "the old code");
    assert!(!has_ended(&network, &stop) && !has_ended(&network, &delete) && !has_module(&network, &id, &module));
    for _ in 0..4 {
        assert!(!has_ended(&network, &request));
        network.block_after(BLOCK_NANOS, vec![]);
    }
    assert!(network.outcome(&request).is_ok());
    assert!(network.outcome(&stop).is_ok() && network.outcome(&delete).is_ok(), "in the same round, in their order");
    assert!(network.state().canister(&id).is_none());
}

#[test]
fn a_canister_that_is_paused_is_not_installed_under_its_message() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let request = upgrade(&mut network, id, &heavy(2 * BLOCK, "new"));
    let long =
        network.call(1, id, "run", format!("inc;spin {};reply_count", 9 * limits::SLICE_INSTRUCTIONS).as_bytes());
    let message = long.request_id;
    network.block_after(SHORT, vec![long]);
    for _ in 0..8 {
        network.block_after(BLOCK_NANOS, vec![]);
        assert!(!has_ended(&network, &request) && !has_ended(&network, &message));
    }
    network.block_after(BLOCK_NANOS, vec![]);
    assert_eq!(network.outcome(&message).unwrap(), "1");
    assert!(network.outcome(&request).is_ok(), "in the round in which the message ended");
}

#[test]
fn a_module_that_a_canister_has_or_that_is_under_way_is_not_waited_for_again() {
    let mut network = Network::new(&[]);
    let [a, b, c, d] = [0x100, 0x101, 0x102, 0x103].map(|index| network.install(index, "m", CREDIT));
    let module = heavy(6 * BLOCK, "new");
    let first = upgrade(&mut network, a, &module);
    let twin = upgrade(&mut network, b, &module);
    let other = upgrade(&mut network, c, &heavy(3 * BLOCK, "other"));
    rounds_until_ended(&mut network, BLOCK_NANOS, &first);
    assert!(network.outcome(&twin).is_ok() && !has_ended(&network, &other));
    assert_eq!(rounds_until_ended(&mut network, BLOCK_NANOS, &other), 3, "one after the other");
    let known = upgrade(&mut network, d, &module);
    assert!(network.outcome(&known).is_ok(), "in its round");
    for id in [a, b, d] {
        let request = upgrade(&mut network, id, "m");
        assert!(network.outcome(&request).is_ok());
    }
    let gone = upgrade(&mut network, d, &module);
    assert!(!has_ended(&network, &gone), "no canister has it any more");
}

#[test]
fn whoever_has_lost_the_right_meanwhile_is_refused() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let request = upgrade(&mut network, id, &heavy(2 * BLOCK, "new"));
    // No call can take it away before; so here it is taken by hand.
    let settings = Settings { controllers: [user(7)].into(), ..Settings::default() };
    network.state_mut().canister_mut(&id).unwrap().settings = settings;
    rounds_until_ended(&mut network, BLOCK_NANOS, &request);
    let reject = network.outcome(&request).unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterInvalidController));
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn a_canister_that_runs_out_of_cycles_meanwhile_has_nothing_to_upgrade() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let request = upgrade(&mut network, id, &heavy(2 * BLOCK, "new"));
    let rest = network.balance(&id);
    network.state_mut().ledger.burn(&Account::Canister(id), Cycles(rest)).unwrap();
    network.block_after(1_000_000 * UnixNanos::SECOND, vec![]);
    rounds_until_ended(&mut network, BLOCK_NANOS, &request);
    assert_eq!(network.outcome(&request).unwrap_err().error_code, Some(ErrorCode::CanisterWasmModuleNotFound));
}

#[test]
fn a_subnet_asks_for_the_rounds_and_then_for_the_moment() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    network.block(vec![]);
    upgrade(&mut network, id, &heavy(3 * BLOCK, "new"));
    let (began, pace) = (network.state().time, crate::HEARTBEAT_NANOS);
    assert!(!network.state().has_work());
    assert_eq!(due_at(network.state()), Some(began.saturating_add_nanos(pace)), "three rounds are to come");
    network.block_after(pace, vec![]);
    network.block_after(pace, vec![]);
    assert_eq!(due_at(network.state()), Some(began.saturating_add_nanos(3 * BLOCK_NANOS)), "the last of them");
}

/// Whoever buys compilations, as many as are for sale, holds up nobody but himself.
#[test]
fn who_floods_the_lane_is_turned_away_and_others_run_in_every_round() {
    const ROUNDS: u64 = 40;
    let mut network = Network::new(&[]);
    let attackers: Vec<_> = (0..20).map(|index| network.install(0x100 + index, "m", 10 * CREDIT)).collect();
    attackers.iter().for_each(|id| controlled_by(&mut network, id, 2));
    let victim = network.install(0x200, "m", CREDIT);
    let small = network.install(0x201, "m", CREDIT);
    let large = network.install(0x202, "m", CREDIT);
    let (most, own) = (limits::COMPILE_INSTRUCTIONS_MAX, 5 * BLOCK);
    let (mut turned_away, mut requests, mut installed, mut waits) = (0, Vec::new(), 0, None);
    for round in 0..=ROUNDS {
        let mut calls: Vec<_> = attackers
            .iter()
            .map(|id| {
                let module = heavy(most - round, &id.to_text());
                let args = install_args(*id, CanisterInstallMode::Reinstall, &module, "inc");
                network.call(2, Principal::management_canister(), "install_code", &args)
            })
            .collect();
        requests.extend(calls.iter().map(|call| call.request_id));
        let quick = network.call(1, victim, "run", b"inc;reply_count");
        let module = heavy(limits::COMPILE_AT_ONCE_INSTRUCTIONS_MAX, &round.to_string());
        let args = install_args(small, CanisterInstallMode::Reinstall, &module, "inc");
        let honest = network.call(1, Principal::management_canister(), "install_code", &args);
        let (quick_id, honest_id) = (quick.request_id, honest.request_id);
        calls.splice(0..0, [quick, honest]);
        if round == 1 {
            let args = install_args(large, CanisterInstallMode::Reinstall, &heavy(own, "large"), "inc");
            let call = network.call(1, Principal::management_canister(), "install_code", &args);
            waits = Some(call.request_id);
            calls.push(call);
        }
        network.host.asked.lock().unwrap().clear();
        network.block_after(BLOCK_NANOS, calls);
        assert_eq!(network.outcome(&quick_id).unwrap(), (round + 1).to_string());
        assert!(network.outcome(&honest_id).is_ok(), "small installs go on");
        let asked = network.host.asked.lock().unwrap().len();
        assert!(
            asked <= 8,
            "{asked} looks at compiled modules: the small one, and at most one of the lane with its hook"
        );
        if let Some(waits) = &waits {
            let first = most / BLOCK;
            assert_eq!(has_ended(&network, waits), round >= first + own / BLOCK, "after one of theirs: round {round}");
        }
        requests.retain(|id| match network.state().ingress_status(id) {
            Some(IngressStatus::Rejected(reject)) => {
                let code = Some(ErrorCode::CanisterInstallCodeRateLimited);
                assert_eq!((reject.code, reject.error_code), (RejectCode::SysTransient, code), "{reject}");
                turned_away += 1;
                false
            }
            Some(IngressStatus::Replied(_)) => {
                installed += 1;
                false
            }
            _ => true,
        });
        let theirs = network.state().preparing().filter(|entry| entry.message.sender == user(2)).count() as u64;
        assert!(theirs * most / BLOCK * BLOCK_NANOS <= limits::PREPARING_NANOS_MAX);
    }
    assert!(network.outcome(&waits.unwrap()).is_ok());
    assert_eq!(installed, (ROUNDS - own / BLOCK) * BLOCK / most, "one after the other, each in its time");
    assert!(turned_away > 300, "{turned_away}");
    let first = network.host.hints.lock().unwrap()[0];
    assert_eq!(first, info(heavy(most, &attackers[0].to_text()).as_bytes()).id);
}

/// Uploads a snapshot with this module for a canister; its id.
fn upload(network: &mut Network, canister_id: CanisterId, module: &str) -> Vec<u8> {
    let metadata = ic::UploadCanisterSnapshotMetadataArgs {
        canister_id,
        replace_snapshot: None,
        wasm_module_size: module.len() as u64,
        globals: Vec::new(),
        wasm_memory_size: HEAP_BYTES,
        stable_memory_size: 0,
        certified_data: Vec::new(),
        global_timer: None,
        on_low_wasm_memory_hook_status: None,
    };
    let request = manage(network, "upload_canister_snapshot_metadata", &candid::encode_one(metadata).unwrap());
    let Some(IngressStatus::Replied(reply)) = network.state().ingress_status(&request) else { panic!("it is taken") };
    let id = candid::decode_one::<ic::UploadCanisterSnapshotMetadataResult>(reply).unwrap().snapshot_id;
    let data = upload_data(network, canister_id, &id, module);
    assert!(network.outcome(&data).is_ok());
    id
}

fn upload_data(network: &mut Network, canister_id: CanisterId, id: &[u8], module: &str) -> RequestId {
    let kind = ic::SnapshotDataOffset::WasmModule { offset: 0 };
    let data = (id.to_vec(), module.as_bytes().to_vec());
    let data = ic::UploadCanisterSnapshotDataArgs { canister_id, kind, snapshot_id: data.0, chunk: data.1 };
    manage(network, "upload_canister_snapshot_data", &candid::encode_one(data).unwrap())
}

fn load(network: &mut Network, canister_id: CanisterId, id: &[u8]) -> RequestId {
    let args = ic::LoadCanisterSnapshotArgs { canister_id, snapshot_id: id.to_vec(), sender_canister_version: None };
    manage(network, "load_canister_snapshot", &candid::encode_one(args).unwrap())
}

#[test]
fn a_module_that_came_with_a_snapshot_waits_too_and_one_of_a_snapshot_taken_does_not() {
    let mut network = Network::new(&[]);
    let [id, other] = [0x100, 0x101].map(|index| network.install(index, "m", CREDIT));
    let module = heavy(4 * BLOCK, "new");
    let uploaded = upload(&mut network, id, &module);
    let request = load(&mut network, id, &uploaded);
    assert_eq!(network.state().ingress_status(&request), Some(&IngressStatus::Processing));
    assert_eq!(network.host.hints.lock().unwrap().last(), Some(&info(module.as_bytes()).id));
    assert_eq!(network.run(id, "inc;reply_count").unwrap(), "1", "the old code");
    assert_eq!(rounds_until_ended(&mut network, BLOCK_NANOS, &request), 4);
    assert!(network.outcome(&request).is_ok() && has_module(&network, &id, &module));
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);

    let take = ic::TakeCanisterSnapshotArgs {
        canister_id: id,
        replace_snapshot: None,
        uninstall_code: Some(true),
        sender_canister_version: None,
    };
    let taken = manage(&mut network, "take_canister_snapshot", &candid::encode_one(take).unwrap());
    let Some(IngressStatus::Replied(reply)) = network.state().ingress_status(&taken) else { panic!("it is taken") };
    let taken = candid::decode_one::<ic::Snapshot>(reply).unwrap().id;
    network.block(vec![]);
    let is_there = |network: &Network| network.state().modules().iter().any(|wasm| wasm[..] == *module.as_bytes());
    assert!(is_there(&network), "the snapshot has the module, so that replicas have it ready");
    let request = load(&mut network, other, &taken);
    assert!(network.outcome(&request).is_ok() && has_module(&network, &other, &module), "in its round");
}

#[test]
fn a_snapshot_that_is_changed_while_its_module_is_compiled_is_not_loaded() {
    let mut network = Network::new(&[]);
    let [id, other] = [0x100, 0x101].map(|index| network.install(index, "m", CREDIT));
    let uploaded = upload(&mut network, other, &heavy(4 * BLOCK, "one"));
    let request = load(&mut network, id, &uploaded);
    let data = upload_data(&mut network, other, &uploaded, &heavy(4 * BLOCK, "two"));
    assert!(network.outcome(&data).is_ok(), "it is about another canister");
    rounds_until_ended(&mut network, BLOCK_NANOS, &request);
    assert!(network.outcome(&request).unwrap_err().message.contains("was changed"));
    assert_eq!(network.run(id, "inc;reply_count").unwrap(), "1", "the old code");
}

fn controlled_by(network: &mut Network, id: &CanisterId, name: u8) {
    let settings = Settings { controllers: [user(name)].into(), ..Settings::default() };
    network.state_mut().canister_mut(id).unwrap().settings = settings;
}

/// Sends installs as different users in one block; the requests.
fn install_all(network: &mut Network, installs: &[(u8, CanisterId, String)]) -> Vec<RequestId> {
    let calls: Vec<_> = installs
        .iter()
        .map(|(name, id, module)| {
            let args = install_args(*id, CanisterInstallMode::Reinstall, module, "inc");
            network.call(*name, Principal::management_canister(), "install_code", &args)
        })
        .collect();
    let requests = calls.iter().map(|call| call.request_id).collect();
    network.block_after(SHORT, calls);
    requests
}

#[test]
fn senders_take_turns_by_what_their_modules_weigh() {
    let mut network = Network::new(&[]);
    let ids: Vec<_> = (0..7).map(|index| network.install(0x100 + index, "m", CREDIT)).collect();
    let names = [2, 2, 2, 3, 3, 4, 4];
    ids.iter().zip(names).for_each(|(id, name)| controlled_by(&mut network, id, name));
    let weights = [8, 8, 8, 3, 3, 12, 2].map(|slices| slices * BLOCK);
    let installs: Vec<_> =
        (0..7).map(|index| (names[index], ids[index], heavy(weights[index], &index.to_string()))).collect();
    let requests = install_all(&mut network, &installs);
    let (mut order, mut rounds) = (Vec::new(), 0);
    while order.len() < ids.len() {
        network.block_after(BLOCK_NANOS, vec![]);
        rounds += 1;
        assert!(rounds < 100, "{order:?}");
        order
            .extend((0..7).filter(|at| has_ended(&network, &requests[*at]) && !order.contains(at)).collect::<Vec<_>>());
    }
    // The first is under way when the others come: places are 8, 16, 24 for user 2, 11 and 14 for 3, 20 and 22 for 4.
    assert_eq!(order, [0, 3, 4, 1, 5, 6, 2]);
    assert_eq!(rounds, weights.iter().sum::<u64>() / BLOCK);
    assert!(requests.iter().all(|request| network.outcome(request).is_ok()));
}

#[test]
fn a_sender_has_so_many_places_and_no_more() {
    let mut network = Network::new(&[]);
    let places = limits::PREPARING_SENDER_MAX;
    let ids: Vec<_> = (0..places as u64 + 2).map(|index| network.install(0x100 + index, "m", CREDIT)).collect();
    controlled_by(&mut network, &ids[places + 1], 2);
    let installs: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| (if at == places + 1 { 2 } else { 1 }, *id, heavy(BLOCK, &at.to_string())))
        .collect();
    let requests = install_all(&mut network, &installs);
    let is_refused =
        |at: &usize| matches!(network.state().ingress_status(&requests[*at]), Some(IngressStatus::Rejected(_)));
    assert_eq!((0..requests.len()).filter(is_refused).collect::<Vec<_>>(), [places]);
    let rounds = rounds_until_ended(&mut network, BLOCK_NANOS, &requests[places + 1]);
    assert_eq!(rounds, 2, "behind the one under way: its call had its turn before the second of the other sender");
}

#[test]
fn a_round_compiles_little_and_leaves_the_rest_to_the_next_ones() {
    let mut network = Network::new(&[]);
    let weight = limits::COMPILE_AT_ONCE_INSTRUCTIONS_MAX;
    let each = limits::COMPILE_ROUND_INSTRUCTIONS_MAX.div_ceil(weight);
    let count = 3 * each;
    let ids: Vec<_> = (0..count).map(|index| network.install(0x100 + index, "m", CREDIT)).collect();
    let modules = |same: bool| -> Vec<_> {
        ids.iter().map(|id| (1, *id, heavy(weight, &if same { "same".into() } else { id.to_text() }))).collect()
    };
    let ended = |network: &Network, requests: &[RequestId]| {
        requests.iter().filter(|request| has_ended(network, request)).count() as u64
    };
    let requests = install_all(&mut network, &modules(false));
    for round in 1..=3 {
        assert_eq!(ended(&network, &requests), round * each);
        network.block_after(SHORT, vec![]);
    }
    // What some canister has is not compiled again.
    let first = install_all(&mut network, &modules(true)[..1]);
    assert_eq!(ended(&network, &first), 1);
    let others = install_all(&mut network, &modules(true)[1..]);
    assert_eq!(ended(&network, &others), count - 1);
}
