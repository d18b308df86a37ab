//! What calls from outside may cost a canister, whoever sends them.

use super::network::{CREDIT, Network};
use crate::Call;
use candid::{CandidType, Decode, Deserialize, Encode, Nat, Principal};
use mains_ledger::Resource;
use mains_state::{IngressStatus, RunStatus, State};
use mains_types::{CanisterId, ErrorCode, Reject, RejectCode, RequestId, UnixNanos, ids::utility_id, limits};

const HOUR: u64 = limits::CALL_POLICY_WINDOW_NANOS;
/// What a call in these tests costs without its work, roughly: a message and its bytes, on four nodes.
const CHEAP: u128 = 1_000_000;

// As a client writes them, independent of the types under test.
#[derive(CandidType)]
struct Policy {
    canister_id: Principal,
    cycles_per_hour: Option<Nat>,
    calls_per_caller_per_hour: Option<u32>,
}

#[derive(CandidType, Deserialize, Debug, PartialEq)]
struct Shown {
    cycles_per_hour: Option<Nat>,
    calls_per_caller_per_hour: Option<u32>,
    spent: Nat,
    callers: u32,
    ends_at_nanos: Option<u64>,
}

fn set(network: &mut Network, sender: u8, id: CanisterId, cycles: Option<u128>, calls: Option<u32>) -> Call {
    let policy = Policy { canister_id: id, cycles_per_hour: cycles.map(Nat::from), calls_per_caller_per_hour: calls };
    network.call(sender, utility_id(), "set_call_policy", &Encode!(&policy).unwrap())
}

/// Sets a policy as user 1.
fn limit(network: &mut Network, id: CanisterId, cycles: Option<u128>, calls: Option<u32>) {
    let call = set(network, 1, id, cycles, calls);
    let request = call.request_id;
    assert_eq!(crate::inspect(&network.host, network.state(), &call), Ok(()));
    network.block(vec![call]);
    assert_eq!(answer(network.state(), &request), Ok(()));
}

fn answer(state: &State, request: &RequestId) -> Result<(), String> {
    match state.ingress_status(request) {
        Some(IngressStatus::Replied(reply)) => Decode!(reply, Result<(), String>).unwrap(),
        other => panic!("no answer: {other:?}"),
    }
}

fn shown(network: &Network, id: CanisterId) -> Option<Shown> {
    let reply =
        crate::system_canisters::query(network.state(), None, &utility_id(), "call_policy", &Encode!(&id).unwrap());
    Decode!(&reply.unwrap(), Option<Shown>).unwrap()
}

/// What a canister paid for anything but storage.
fn paid(network: &Network, id: &CanisterId) -> u128 {
    let account = network.state().ledger.canister(id).unwrap();
    account.charged() - account.meter(Resource::StorageByteSeconds).charged
}

/// One call of each of these users, in one block; what became of them.
fn calls(
    network: &mut Network,
    id: CanisterId,
    script: &str,
    senders: impl IntoIterator<Item = u8>,
) -> Vec<Result<String, Reject>> {
    let calls: Vec<_> = senders.into_iter().map(|sender| network.call(sender, id, "run", script.as_bytes())).collect();
    let ids: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    network.block(calls);
    network.block_until_idle();
    ids.iter().map(|id| network.outcome(id)).collect()
}

#[test]
fn many_callers_spend_no_more_than_the_limit_and_the_message_in_flight() {
    const LIMIT: u128 = 2_000_000_000;
    for (script, most) in [("reply ok", CHEAP), ("spin 1000000000;reply ok", 500_000_000), ("inc;trap no", CHEAP)] {
        let mut network = Network::new(&[]);
        let id = network.install(0x100, "m", CREDIT);
        limit(&mut network, id, Some(LIMIT), None);
        let before = paid(&network, &id);
        let (mut refused, mut blocks) = (0, 0);
        while refused < 1_000 {
            blocks += 1;
            assert!(blocks < 100, "{refused}");
            let outcomes = calls(&mut network, id, script, (0..250).map(|sender| 2 + sender % 200));
            let reject = Some(ErrorCode::CanisterRejectedMessage);
            refused += outcomes.iter().filter(|outcome| matches!(outcome, Err(no) if no.error_code == reject)).count();
        }
        let spent = paid(&network, &id) - before;
        assert!((LIMIT - most..=LIMIT + most).contains(&spent), "{script}: {spent}");
        assert_eq!(shown(&network, id).unwrap().spent, spent);
        assert_eq!(network.run(id, "reply mine").unwrap(), "mine", "controllers are not held to it");
        assert!(paid(&network, &id) - before > spent, "and what they cost does not count");
        assert_eq!(shown(&network, id).unwrap().spent, spent);
    }
}

#[test]
fn who_is_refused_is_told_why_and_when_to_come_again_and_costs_nothing() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    limit(&mut network, id, Some(3 * CHEAP), None);
    let ended = calls(&mut network, id, "reply ok", [2, 2, 2, 2, 2, 2, 2, 2]);
    assert!(ended[0].is_ok(), "{ended:?}");
    let before = (paid(&network, &id), network.state().canister(&id).unwrap().version);
    let call = network.call(3, id, "run", b"reply ok");
    let early = crate::inspect(&network.host, network.state(), &call).unwrap_err();
    network.block_after(30 * 60 * UnixNanos::SECOND, vec![]);
    let call = network.call(3, id, "run", b"reply ok");
    let request = call.request_id;
    network.block(vec![call]);
    let late = network.outcome(&request).unwrap_err();
    assert_eq!((late.code, late.error_code), (RejectCode::CanisterReject, Some(ErrorCode::CanisterRejectedMessage)));
    assert!(early.message.ends_with("Try again in 60 minutes."), "{early}");
    assert!(late.message.ends_with("Try again in 30 minutes.") && late.message.contains("3000000 cycles"), "{late}");
    assert_eq!((paid(&network, &id), network.state().canister(&id).unwrap().version), before);
    network.block_after(HOUR / 2, vec![]);
    assert!(calls(&mut network, id, "reply ok", [3])[0].is_ok(), "another hour");
    limit(&mut network, id, Some(0), None);
    assert!(calls(&mut network, id, "reply ok", [3])[0].is_err());
    limit(&mut network, id, None, None);
    assert!(calls(&mut network, id, "reply ok", [3])[0].is_ok() && shown(&network, id).is_none());
}

#[test]
fn a_caller_has_so_many_calls_and_others_theirs() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let bytes = network.state().canister(&id).unwrap().memory_bytes();
    limit(&mut network, id, None, Some(2));
    let kept = network.state().canister(&id).unwrap().memory_bytes() - bytes;
    assert!((40_000..60_000).contains(&kept), "room for all callers is paid for: {kept}");
    let ended = calls(&mut network, id, "reply ok", [2, 3, 2, 1, 2, 1, 1, 3]);
    assert_eq!(ended.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, true, true, false, true, true, true]);
    assert!(ended[4].as_ref().unwrap_err().message.contains("2 an hour for each caller"), "{ended:?}");
    let told = shown(&network, id).unwrap();
    assert_eq!((told.callers, told.calls_per_caller_per_hour, told.cycles_per_hour), (2, Some(2), None));
    network.block_after(HOUR, vec![]);
    assert!(calls(&mut network, id, "reply ok", [2])[0].is_ok());
}

#[test]
fn callbacks_and_calls_to_itself_count_and_calls_of_other_canisters_do_not() {
    let mut network = Network::new(&["spin 100000000;reply self", "spin 100000000;reply done"]);
    let (id, other) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    limit(&mut network, id, Some(CREDIT), None);
    let work = network.state().ledger.tariff().cost(Resource::Instructions, 100_000_000).get();
    let spent = |network: &Network| u128::try_from(&shown(network, id).unwrap().spent.0).unwrap();
    for (callee, runs) in [(id, 2), (other, 1)] {
        let before = (spent(&network), paid(&network, &id));
        assert!(calls(&mut network, id, &format!("call {callee} run 0 0 1"), [2])[0].is_ok());
        let more = spent(&network) - before.0;
        assert!((runs * work..runs * work + 10 * CHEAP).contains(&more), "{more}");
        assert_eq!(paid(&network, &id) - before.1, more, "all that it paid");
    }
    let before = spent(&network);
    assert!(calls(&mut network, other, &format!("call {id} run 0 0 1"), [2])[0].is_ok());
    assert!(calls(&mut network, id, &format!("call {id} run 0 0 1"), [1])[0].is_ok());
    assert_eq!(spent(&network), before);
}

#[test]
fn strangers_who_may_read_snapshots_are_held_to_it_too() {
    use ic_management_canister_types as ic;
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    network.state_mut().canister_mut(&id).unwrap().settings.snapshot_visibility = mains_state::LogVisibility::Public;
    let management = Principal::management_canister();
    let take = ic::TakeCanisterSnapshotArgs {
        canister_id: id,
        replace_snapshot: None,
        uninstall_code: None,
        sender_canister_version: None,
    };
    let take = network.call(1, management, "take_canister_snapshot", &Encode!(&take).unwrap());
    let taken = take.request_id;
    network.block(vec![take]);
    let Some(IngressStatus::Replied(reply)) = network.state().ingress_status(&taken) else { panic!("it is taken") };
    let snapshot_id = Decode!(reply, ic::Snapshot).unwrap().id;
    limit(&mut network, id, Some(10 * CHEAP), None);
    let before = paid(&network, &id);
    let read = Encode!(&ic::ReadCanisterSnapshotMetadataArgs { canister_id: id, snapshot_id }).unwrap();
    let method = "read_canister_snapshot_metadata";
    let reads: Vec<_> = (2..200).map(|sender| network.call(sender, management, method, &read)).collect();
    let ids: Vec<_> = reads.iter().map(|call| call.request_id).collect();
    network.block(reads);
    network.block_until_idle();
    let is_done = |id: &&RequestId| matches!(network.state().ingress_status(id), Some(IngressStatus::Replied(_)));
    let done = ids.iter().filter(is_done).count();
    let spent = paid(&network, &id) - before;
    assert!((1..100).contains(&done) && spent <= 13 * CHEAP, "{done}, {spent}");
    assert_eq!(shown(&network, id).unwrap().spent, spent);
}

#[test]
fn only_controllers_set_it_and_they_pay_for_that() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let call = set(&mut network, 2, id, Some(0), None);
    let request = call.request_id;
    assert!(crate::inspect(&network.host, network.state(), &call).unwrap_err().message.contains("no controller"));
    let before = paid(&network, &id);
    network.block(vec![call]);
    assert!(answer(network.state(), &request).unwrap_err().contains("no controller"));
    assert_eq!((paid(&network, &id), shown(&network, id)), (before, None));
    limit(&mut network, id, Some(5), None);
    assert!(paid(&network, &id) > before, "the message");
}

#[test]
fn it_is_in_checkpoints_and_the_root_outlives_the_code_and_ends_with_the_canister() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let root = network.state().root();
    limit(&mut network, id, Some(10 * CHEAP), Some(3));
    assert!(calls(&mut network, id, "reply ok", [2, 3])[1].is_ok());
    assert_ne!(network.state().root(), root);
    let script = b"spin 1000000000;reply ok";
    let next: Vec<_> = [2, 3, 4, 2].map(|sender| network.call(sender, id, "run", script)).into();
    let mut restarted = Network::new(&[]);
    restarted.state = Some(State::decode(&network.state().encode()).unwrap());
    for replica in [&mut network, &mut restarted] {
        replica.block(next.clone());
        replica.block_until_idle();
    }
    assert_eq!(network.state().root(), restarted.state().root());
    let policy = network.state().canister(&id).unwrap().call_policy.clone();
    assert!(policy.is_some());
    let management = Principal::management_canister();
    let record = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: id }).unwrap();
    let upgrade = super::lane::install_args(
        id,
        ic_management_canister_types::CanisterInstallMode::Upgrade(None),
        "other canister_post_upgrade",
        "inc",
    );
    for (method, argument) in [("install_code", &upgrade), ("uninstall_code", &record), ("stop_canister", &record)] {
        let call = network.call(1, management, method, argument);
        let request = call.request_id;
        network.block(vec![call]);
        assert!(network.outcome(&request).is_ok(), "{method}");
        assert_eq!(network.state().canister(&id).unwrap().call_policy, policy, "{method}");
    }
    assert_eq!(network.state().canister(&id).unwrap().status, RunStatus::Stopped);
    let delete = network.call(1, management, "delete_canister", &record);
    network.block(vec![delete]);
    assert!(network.state().canister(&id).is_none() && shown(&network, id).is_none());
}
