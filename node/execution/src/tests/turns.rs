//! The queue of built-in canisters: who fills a share of it delays and stops nobody else.

use super::{
    lane::{has_ended, install_args},
    network::{CREDIT, Network, user},
};
use ic_management_canister_types::{CanisterIdRecord, CanisterInstallMode};
use mains_state::{CallOrigin, Settings, SystemMessage};
use mains_types::{CanisterId, Cycles, ErrorCode, Principal, RejectCode, limits};

const SHARE: u64 = limits::SYSTEM_QUEUE_MAX / 2 / (limits::SYSTEM_QUEUE_SHARE + 1);

fn install(network: &mut Network, sender: u8, id: CanisterId, script: &str) -> crate::Call {
    let args = install_args(id, CanisterInstallMode::Reinstall, "m canister_init", script);
    network.call(sender, Principal::management_canister(), "install_code", &args)
}

/// Calls for random bytes that nobody waits for, until the sender has no room for more.
fn fill(network: &mut Network, sender: Principal) {
    let queue = &mut network.state_mut().system_queue;
    while queue.has_room(&sender) {
        queue.push(SystemMessage {
            origin: CallOrigin::System,
            sender,
            callee: Principal::management_canister(),
            method: "raw_rand".into(),
            argument: b"DIDL\0\0".to_vec(),
            cycles: Cycles::ZERO,
        });
    }
}

#[test]
fn who_fills_a_share_with_long_installs_is_refused_more_and_others_run_in_the_next_round() {
    let mut network = Network::new(&[]);
    let (theirs, mine) = (network.install(0x100, "m", 10 * CREDIT), network.install(0x101, "m", CREDIT));
    let settings = Settings { controllers: [user(2)].into(), ..Settings::default() };
    network.state_mut().canister_mut(&theirs).unwrap().settings = settings;
    let script = |number: u64| format!("spin {};print {number}", limits::SLICE_INSTRUCTIONS - 1_000_000);
    let calls: Vec<_> = (0..=SHARE).map(|number| install(&mut network, 2, theirs, &script(number))).collect();
    let requests: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    network.block(calls);
    let refused = network.outcome(requests.last().unwrap()).unwrap_err();
    assert_eq!((refused.code, refused.error_code), (RejectCode::SysTransient, Some(ErrorCode::CanisterQueueFull)));
    assert!(refused.message.contains(&user(2).to_text()), "{refused}");
    let ended = |network: &Network| requests.iter().filter(|request| has_ended(network, request)).count();
    assert!(ended(&network) < 5, "the others wait");
    for _ in 0..3 {
        let record = candid::encode_one(CanisterIdRecord { canister_id: mine }).unwrap();
        let status = network.call(1, Principal::management_canister(), "canister_status", &record);
        let update = install(&mut network, 1, mine, "inc");
        let ids = [status.request_id, update.request_id];
        network.block(vec![status]);
        network.block(vec![update]);
        assert!(ids.iter().all(|id| network.outcome(id).is_ok()), "each in the round that it came in");
    }
    let ran: Vec<_> = network.host.take_trace().into_iter().filter(|line| line.contains("print")).collect();
    let in_order = (0..ran.len() as u64).all(|number| ran[number as usize].ends_with(&format!("print {number}")));
    assert!(ran.len() >= 7 && in_order, "{ran:?}");
}

#[test]
fn a_canister_with_a_full_share_is_told_to_try_again_and_a_client_by_the_replica_already() {
    let mut network = Network::new(&["DIDL\0\0", "reply_data", "reply_code"]);
    let (busy, other) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    fill(&mut network, busy);
    fill(&mut network, user(1));
    let record = candid::encode_one(CanisterIdRecord { canister_id: busy }).unwrap();
    let call = network.call(1, Principal::management_canister(), "canister_status", &record);
    let refused = crate::inspect(&network.host, network.state(), &call).unwrap_err();
    assert_eq!(refused.error_code, Some(ErrorCode::CanisterQueueFull));
    let [refused, taken] = [busy, other].map(|id| network.call(3, id, "run", b"call aaaaa-aa raw_rand 0 0 1"));
    let ids = [refused.request_id, taken.request_id];
    network.block(vec![refused, taken]);
    assert_eq!(network.outcome(&ids[0]).unwrap(), (RejectCode::SysTransient as u8).to_string());
    assert!(!has_ended(&network, &ids[1]), "it waits for random bytes");
    network.block(vec![]);
    assert!(network.outcome(&ids[1]).is_ok());
    let call = network.call(1, Principal::management_canister(), "canister_status", &record);
    assert_eq!(crate::inspect(&network.host, network.state(), &call), Ok(()), "there is room again");
}
