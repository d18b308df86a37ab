use super::network::{CREDIT, Network};
use mains_ledger::Account;
use mains_state::{IngressStatus, RunStatus};
use mains_types::{Cycles, ErrorCode, RejectCode, UnixNanos, ids::canister_id, limits};

#[test]
fn a_reply_is_recorded_with_its_cost_and_certified() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let before = network.balance(&id);
    let call = network.call(1, id, "run", b"inc;reply_count");
    let request = call.request_id;
    network.block(vec![call]);
    assert_eq!(network.outcome(&request).unwrap(), "1");
    let state = network.state();
    let path = |leaf: &'static [u8]| [b"request_status".as_slice(), &request.0, leaf];
    assert_eq!(state.tree().leaf(&path(b"status")).unwrap(), b"replied");
    assert_eq!(state.tree().leaf(&path(b"reply")).unwrap(), b"1");
    let cost = state.ingress_entry(&request).unwrap().cost;
    let storage = state.ledger.canister(&id).unwrap().meter(mains_ledger::Resource::StorageByteSeconds).charged;
    assert!(cost > Cycles::ZERO);
    assert_eq!(before - network.balance(&id), cost.get() + storage, "what it cost is what the canister paid");
    assert_eq!(state.tree().leaf(&path(b"cost")).unwrap(), mains_state::state::leb128(cost.get()));
}

#[test]
fn a_trap_changes_nothing_but_log_and_bill() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    network.run(id, "inc;reply_count").unwrap();
    let (before, code) = (network.balance(&id), network.state().canister(&id).unwrap().code.clone().unwrap());
    let reject = network.run(id, "print seen;inc;stable x;certify y;timer 5;spin 1000000;trap no way").unwrap_err();
    assert_eq!(reject.code, RejectCode::CanisterError);
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterCalledTrap));
    assert_eq!(reject.message, format!("Error from Canister {id}: Canister called `ic0.trap` with message: 'no way'"));
    let canister = network.state().canister(&id).unwrap();
    let after = canister.code.as_ref().unwrap();
    assert_eq!((after.heap.pages.digest(), after.stable_pages), (code.heap.pages.digest(), 0));
    assert!(canister.certified_data.is_empty() && canister.global_timer.is_none());
    let lines: Vec<_> = canister.log.iter().map(|record| String::from_utf8(record.content.clone()).unwrap()).collect();
    assert_eq!(lines, ["seen", "[TRAP]: no way"]);
    assert!(before - network.balance(&id) > 1_000_000 * 4 / 13);
    assert_eq!(network.run(id, "reply_count").unwrap(), "1");
}

#[test]
fn calls_between_canisters_are_delivered_in_the_same_round_with_their_cycles() {
    let scripts = ["inc;accept 30;reply done", "inc;reply_data", "trap no reject expected", ""];
    let mut network = Network::new(&scripts);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    assert_eq!(network.run(a, &format!("call {b} run 100 0 1")).unwrap(), "done");
    let ledger = &network.state().ledger;
    assert_eq!(ledger.balance(&Account::InFlight), Cycles::ZERO);
    let came_in = |id| ledger.canister(id).unwrap();
    // b paid for its execution with what a sent, less what was refunded: the sums are checked by `check_full`.
    assert!(came_in(&b).balance < CREDIT && came_in(&a).balance < CREDIT);
    let a_state = network.state().canister(&a).unwrap();
    assert!(a_state.is_drained() && a_state.queue.is_empty());
}

#[test]
fn a_self_call_works_and_an_unknown_callee_rejects_with_destination_invalid() {
    let mut network = Network::new(&["inc;reply self", "reply_data", "reply_code", ""]);
    let a = network.install(0x100, "m", CREDIT);
    assert_eq!(network.run(a, &format!("call {a} run 0 0 1")).unwrap(), "self");
    let missing = canister_id(0x777);
    assert_eq!(network.run(a, &format!("call {missing} run 5 0 1")).unwrap(), "3");
    assert_eq!(network.run(a, &format!("call {a} nothing 5 0 1")).unwrap(), "5");
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn a_canister_that_never_answers_is_answered_for() {
    let mut network = Network::new(&["inc", "inc", "reply_code", ""]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let reject = network.run(a, "inc").unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterDidNotReply));
    // b does not answer a: a's reject callback answers.
    assert_eq!(network.run(a, &format!("call {b} run 0 0 1")).unwrap(), "5");
    let missing = network.call(1, a, "nothing", b"");
    let id = missing.request_id;
    network.block(vec![missing]);
    assert_eq!(network.outcome(&id).unwrap_err().error_code, Some(ErrorCode::CanisterMethodMissing));
}

#[test]
fn a_trap_in_a_callback_runs_the_cleanup_and_reaches_the_caller() {
    let mut network = Network::new(&["reply ok", "inc;trap late", "", "inc;inc"]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let reject = network.run(a, &format!("call {b} run 0 0 1")).unwrap_err();
    assert!(reject.message.contains("'late'"), "{}", reject.message);
    assert_eq!(network.run(a, "reply_count").unwrap(), "2", "the callback was undone, the cleanup was not");
}

#[test]
fn a_canister_may_answer_before_its_calls_return() {
    let mut network = Network::new(&["reply ok", "inc", "", ""]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    assert_eq!(network.run(a, &format!("call {b} run 0 0 1;reply early")).unwrap(), "early");
    assert_eq!(network.run(a, "reply_count").unwrap(), "1");
    assert!(network.state().canister(&a).unwrap().is_drained());
}

#[test]
fn a_replayed_or_expired_call_leaves_no_trace() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let call = network.call(1, id, "run", b"inc;reply_count");
    let mut late = network.call(1, id, "run", b"inc;reply_count");
    late.expires_at = network.state().time;
    network.block(vec![call.clone(), call.clone(), late.clone()]);
    network.block(vec![call.clone()]);
    assert_eq!(network.run(id, "reply_count").unwrap(), "1");
    assert!(network.state().ingress_status(&late.request_id).is_none());
    // After expiry and retention the outcome goes first, then the entry.
    network.block_after(400 * UnixNanos::SECOND, vec![]);
    assert!(network.state().ingress_status(&call.request_id).is_none());
    assert!(network.state().tree().get(&[b"request_status".as_slice(), &call.request_id.0]).is_none());
}

#[test]
fn who_stops_a_canister_waits_five_minutes_for_its_open_calls() {
    let mut network = Network::new(&["spin 900000000;reply slow", "reply_data", "reply_code", ""]);
    let (a, b) = (network.install(0x100, "m", 100 * CREDIT), network.install(0x101, "m", 100 * CREDIT));
    let open = network.call(1, a, "run", format!("call {b} run 0 0 1").as_bytes());
    network.block(vec![open]);
    let record = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: a }).unwrap();
    let stop = |network: &mut Network, nanos| {
        let stop = network.call(1, candid::Principal::management_canister(), "stop_canister", &record);
        let id = stop.request_id;
        network.block_after(nanos, vec![stop]);
        id
    };
    let first = stop(&mut network, UnixNanos::SECOND);
    let began = network.state().time;
    let second = stop(&mut network, UnixNanos::SECOND);
    let end = began.saturating_add_nanos(limits::STOP_CANISTER_NANOS_MAX);
    assert_eq!(network.state().next_stop(), Some(end));
    network.block_after(limits::STOP_CANISTER_NANOS_MAX - UnixNanos::SECOND, vec![]);
    let reject = network.outcome(&first).unwrap_err();
    assert_eq!(
        (reject.code, reject.error_code),
        (RejectCode::SysTransient, Some(ErrorCode::StopCanisterRequestTimeout))
    );
    assert!(matches!(network.state().canister(&a).unwrap().status, RunStatus::Stopping(_)));
    assert_eq!(network.state().next_stop(), Some(end.saturating_add_nanos(UnixNanos::SECOND)));
    network.block_until_idle();
    assert_eq!(network.state().canister(&a).unwrap().status, RunStatus::Stopped);
    let ended = network.state().ingress_status(&second);
    assert!(matches!(ended, Some(IngressStatus::Replied(_) | IngressStatus::Rejected(_))), "{ended:?}");
    assert_eq!(network.state().next_stop(), None);
}

#[test]
fn a_stopping_canister_waits_for_its_open_calls() {
    let scripts = ["spin 150000000;reply slow", "reply_data", "reply_code", ""];
    let mut network = Network::new(&scripts);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    // Long calls fill two rounds, so that a's call to b is open meanwhile.
    let fillers: Vec<_> = (0..4).map(|_| network.call(1, b, "run", scripts[0].as_bytes())).collect();
    let open = network.call(1, a, "run", format!("call {b} run 0 0 1").as_bytes());
    let request = open.request_id;
    network.block([vec![open], fillers].concat());
    assert_eq!(network.state().ingress_status(&request), Some(&IngressStatus::Processing));
    let record = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: a }).unwrap();
    let stop = network.call(1, candid::Principal::management_canister(), "stop_canister", &record);
    let (stop_id, refused) = (stop.request_id, network.call(1, a, "run", b"reply no"));
    let refused_id = refused.request_id;
    network.block(vec![stop]);
    assert!(matches!(network.state().canister(&a).unwrap().status, RunStatus::Stopping(_)));
    network.block(vec![refused]);
    assert_eq!(network.outcome(&refused_id).unwrap_err().error_code, Some(ErrorCode::CanisterStopping));
    for _ in 0..4 {
        network.block(vec![]);
    }
    assert_eq!(network.outcome(&request).unwrap(), "slow");
    assert_eq!(network.state().canister(&a).unwrap().status, RunStatus::Stopped);
    assert!(network.outcome(&stop_id).is_ok());
    let reject = network.run(a, "reply no").unwrap_err();
    assert_eq!(reject.error_code, Some(ErrorCode::CanisterStopped));
}

#[test]
fn a_best_effort_call_stops_waiting_and_its_cycles_come_back() {
    let scripts = ["spin 190000000;reply slow", "reply_data", "reply_code", ""];
    let mut network = Network::new(&scripts);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let fillers: Vec<_> = (0..4).map(|_| network.call(1, b, "run", scripts[0].as_bytes())).collect();
    let open = network.call(1, a, "run", format!("call {b} run 1000 0 1 2").as_bytes());
    let request = open.request_id;
    network.block([fillers, vec![open]].concat());
    network.block_after(3 * UnixNanos::SECOND, vec![]);
    assert_eq!(network.outcome(&request).unwrap(), "6", "SYS_UNKNOWN");
    for _ in 0..8 {
        network.block(vec![]);
    }
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
    assert!(network.state().canister(&a).unwrap().is_drained());
}
