//! Messages that need more than one round. The test host does every slice from the beginning.

use super::network::{CREDIT, Network};
use mains_ledger::{Account, Resource};
use mains_state::{IngressStatus, RunStatus};
use mains_types::{CanisterId, Cycles, ErrorCode, RejectCode, RequestId, UnixNanos, limits};

const SLICE: u64 = limits::SLICE_INSTRUCTIONS;

/// A call of `run` with this script, and its id.
fn send(network: &mut Network, canister: CanisterId, script: &str) -> RequestId {
    let call = network.call(1, canister, "run", script.as_bytes());
    let id = call.request_id;
    network.block(vec![call]);
    id
}

fn manage(network: &mut Network, method: &str, canister_id: CanisterId) -> RequestId {
    let record = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id }).unwrap();
    let call = network.call(1, candid::Principal::management_canister(), method, &record);
    let id = call.request_id;
    network.block(vec![call]);
    id
}

fn has_ended(network: &Network, id: &RequestId) -> bool {
    network.state().ingress_status(id).unwrap().is_terminal()
}

#[test]
fn a_message_of_so_many_slices_ends_in_so_many_rounds() {
    for (instructions, rounds) in
        [(SLICE / 2, 1), (SLICE - 1_000_000, 1), (SLICE + 1, 2), (SLICE * 7 / 2, 4), (SLICE * 9, 10)]
    {
        let mut network = Network::new(&[]);
        let id = network.install(0x100, "m", CREDIT);
        let request = send(&mut network, id, &format!("inc;spin {instructions};reply_count"));
        for round in 1..rounds {
            assert_eq!(network.state().ingress_status(&request), Some(&IngressStatus::Processing), "round {round}");
            assert!(network.state().has_work());
            network.block(vec![]);
        }
        assert_eq!(network.outcome(&request).unwrap(), "1");
        assert!(!network.state().has_work());
        assert!(network.state().canister(&id).unwrap().paused.is_none());
        let metered = network.state().ledger.meter(&id, Resource::Instructions);
        assert!(metered >= u128::from(instructions) && metered < u128::from(instructions) + 100_000);
        assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
    }
}

#[test]
fn while_a_message_is_paused_its_canister_waits_and_others_go_on() {
    let mut network = Network::new(&[]);
    let (a, b) = (network.install(0x100, "canister_heartbeat", CREDIT), network.install(0x101, "m", CREDIT));
    let long = send(&mut network, a, &format!("spin {};reply_count", 3 * SLICE));
    let next = send(&mut network, a, "inc;reply_count");
    for _ in 0..2 {
        assert_eq!(network.run(b, "reply b").unwrap(), "b");
    }
    assert_eq!(network.outcome(&long).unwrap(), "0", "the heartbeats of these rounds did not run before it");
    assert_eq!(network.outcome(&next).unwrap(), "1");
}

#[test]
fn a_long_callback_is_paused_and_sees_its_response_in_every_slice() {
    let long = format!("spin {};reply_data", 5 * SLICE / 2);
    let mut network = Network::new(&["reply hello", &long, "reply_code", ""]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let request = send(&mut network, a, &format!("call {b} run 700 0 1"));
    assert!(network.state().canister(&a).unwrap().paused.is_some());
    network.block(vec![]);
    assert!(!has_ended(&network, &request));
    network.block(vec![]);
    assert_eq!(network.outcome(&request).unwrap(), "hello");
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
    assert!(network.state().canister(&a).unwrap().is_drained());
}

#[test]
fn a_long_callback_that_traps_is_cleaned_up_after() {
    let long = format!("inc;spin {};trap late", 3 * SLICE / 2);
    let mut network = Network::new(&["reply ok", &long, "", "inc;inc"]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let request = send(&mut network, a, &format!("call {b} run 0 0 1"));
    network.block_until_idle();
    assert!(network.outcome(&request).unwrap_err().message.contains("'late'"));
    assert_eq!(network.run(a, "reply_count").unwrap(), "2", "the callback was undone, the cleanup was not");
}

#[test]
fn time_and_balance_are_those_of_the_beginning_and_a_timer_waits() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "canister_global_timer", CREDIT);
    let due = network.state().time.get() + 3 * UnixNanos::SECOND;
    // It sets the timer at its end, so what was set before and became due meanwhile must not have run.
    network.run(id, &format!("timer {due};reply ok")).unwrap();
    let request = send(&mut network, id, &format!("spin {};reply_count", 4 * SLICE));
    network.state_mut().ledger.mint(&Account::Canister(id), Cycles(CREDIT)).unwrap();
    network.block(vec![]);
    network.block(vec![]);
    assert_eq!(network.state().canister(&id).unwrap().global_timer, Some(UnixNanos(due)));
    network.block_until_idle();
    assert_eq!(network.outcome(&request).unwrap(), "0");
    network.block(vec![]);
    assert_eq!(network.run(id, "reply_count").unwrap(), "1", "the timer ran afterwards");
}

#[test]
fn what_was_spent_meanwhile_cannot_be_spent_again() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let request = send(&mut network, id, &format!("spin {};burn 1000000000000;reply burned", 2 * SLICE));
    let taken = network.balance(&id) / 2;
    network.state_mut().ledger.burn(&Account::Canister(id), Cycles(taken)).unwrap();
    network.block_until_idle();
    let reject = network.outcome(&request).unwrap_err();
    assert!(reject.message.contains("more cycles than are left"), "{}", reject.message);
    assert!(network.balance(&id) > CREDIT / 3, "undone");
}

#[test]
fn whoever_manages_a_paused_canister_waits_and_whoever_looks_or_gives_does_not() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let request = send(&mut network, id, &format!("inc;spin {};reply_count", 7 * SLICE));
    let status = manage(&mut network, "canister_status", id);
    assert!(has_ended(&network, &status));
    let stop = manage(&mut network, "stop_canister", id);
    let uninstall = manage(&mut network, "uninstall_code", id);
    let top_up = candid::encode_one(ic_management_canister_types::ProvisionalTopUpCanisterArgs {
        canister_id: id,
        amount: 5u8.into(),
    })
    .unwrap();
    let top_up = network.call(1, candid::Principal::management_canister(), "provisional_top_up_canister", &top_up);
    let topped_up = top_up.request_id;
    network.block(vec![top_up]);
    assert!(network.outcome(&topped_up).is_ok());
    assert!(!has_ended(&network, &stop) && !has_ended(&network, &uninstall));
    assert_eq!(network.state().canister(&id).unwrap().status, RunStatus::Running);
    network.block_until_idle();
    assert_eq!(network.outcome(&request).unwrap(), "1", "it ran to its end first");
    assert!(network.outcome(&stop).is_ok() && network.outcome(&uninstall).is_ok());
    let canister = network.state().canister(&id).unwrap();
    assert!(canister.status == RunStatus::Stopped && canister.code.is_none());
}

#[test]
fn whoever_stops_a_canister_with_many_long_messages_waits_for_one_of_them() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let script = format!("spin {};reply long", 2 * SLICE);
    let calls: Vec<_> = (0..5).map(|_| network.call(1, id, "run", script.as_bytes())).collect();
    let last = calls[4].request_id;
    network.block(calls);
    let stop = manage(&mut network, "stop_canister", id);
    network.block(vec![]);
    assert!(network.outcome(&stop).is_ok(), "the first message has ended");
    network.block_until_idle();
    assert_eq!(network.outcome(&last).unwrap_err().error_code, Some(ErrorCode::CanisterStopped));
}

#[test]
fn many_long_messages_take_turns_and_short_ones_are_answered_at_once() {
    let mut network = Network::new(&[]);
    let long: Vec<_> = (0..7).map(|index| network.install(0x100 + index, "m", CREDIT)).collect();
    let short = network.install(0x200, "m", CREDIT);
    let script = format!("spin {};reply long", 3 * SLICE);
    let calls: Vec<_> = long.iter().map(|id| network.call(1, *id, "run", script.as_bytes())).collect();
    let requests: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    network.block(calls);
    // Each has its first slice in its turn, two in a round.
    (0..3).for_each(|_| network.block(vec![]));
    assert!(long.iter().all(|id| network.state().canister(id).unwrap().paused.is_some()));
    let mut ended = Vec::new();
    for round in 0..40 {
        assert_eq!(network.run(short, "reply short").unwrap(), "short", "round {round}");
        for request in &requests {
            if has_ended(&network, request) && !ended.contains(request) {
                ended.push(*request);
            }
        }
    }
    assert_eq!(ended, requests, "those that began first end first");
}

#[test]
fn a_canister_with_many_messages_does_not_keep_others_waiting() {
    let mut network = Network::new(&[]);
    let (busy, other) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let flood: Vec<_> = (0..50).map(|_| network.call(1, busy, "run", b"spin 900000000;reply ok")).collect();
    network.block(flood);
    for _ in 0..5 {
        assert_eq!(network.run(other, "reply quick").unwrap(), "quick");
    }
    assert!(!network.state().canister(&busy).unwrap().queue.is_empty());
}

#[test]
fn a_full_queue_answers_that_it_is_full_and_responses_have_room_all_the_same() {
    let mut network = Network::new(&["reply ok", "reply_data", "reply_code", ""]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let c = network.install(0x102, "m", CREDIT);
    let open = send(&mut network, a, &format!("call {b} run 0 0 1;spin {}", 3 * SLICE));
    // While it is paused nothing leaves the queue; one message more than fits in.
    let fill: Vec<_> = (0..=limits::CANISTER_QUEUE_MAX).map(|_| network.call(1, a, "run", b"reply x")).collect();
    let (last, refused) =
        (fill[limits::CANISTER_QUEUE_MAX - 1].request_id, fill[limits::CANISTER_QUEUE_MAX].request_id);
    network.block(fill);
    let reject = network.outcome(&refused).unwrap_err();
    assert_eq!((reject.code, reject.error_code), (RejectCode::SysTransient, Some(ErrorCode::CanisterQueueFull)));
    assert_eq!(
        network.run(c, &format!("call {a} run 700 0 1")).unwrap(),
        "2",
        "SYS_TRANSIENT, and the cycles are back"
    );
    // Its own call could be sent and its response came in, although the queue was full.
    network.block_until_idle();
    assert_eq!(network.outcome(&open).unwrap(), "ok");
    assert_eq!(network.outcome(&last).unwrap(), "x");
}
