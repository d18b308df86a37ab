use super::network::{CREDIT, Network};
use crate::{HEARTBEAT_NANOS, due_at};
use mains_ledger::Account;
use mains_state::IngressStatus;
use mains_types::{Cycles, UnixNanos, limits};

#[test]
fn canisters_take_turns_and_each_sees_its_messages_in_order() {
    let mut network = Network::new(&[]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let mut calls = Vec::new();
    for n in 0..3 {
        calls.push(network.call(1, a, "run", format!("reply a{n}").as_bytes()));
    }
    calls.push(network.call(1, b, "run", b"reply b0"));
    network.block(calls);
    assert_eq!(
        network.host.take_trace(),
        ["0 update reply a0", "1 update reply b0", "0 update reply a1", "0 update reply a2"]
    );
}

#[test]
fn what_does_not_fit_in_a_round_waits_for_the_next_in_order() {
    let mut network = Network::new(&[]);
    let (a, b) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let calls: Vec<_> = (0..6)
        .map(|n| network.call(1, if n % 2 == 0 { a } else { b }, "run", format!("spin 90000000;reply {n}").as_bytes()))
        .collect();
    let ids: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    network.block(calls);
    assert_eq!(network.outcome(&ids[2]).unwrap(), "2");
    assert_eq!(network.state().ingress_status(&ids[3]), Some(&IngressStatus::Received));
    assert!(network.state().has_work());
    network.block(vec![]);
    assert_eq!(network.outcome(&ids[5]).unwrap(), "5");
    let order: Vec<_> =
        network.host.take_trace().iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    assert_eq!(order, ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_block_far_ahead_of_what_is_certified_takes_calls_in_and_runs_nothing() {
    const AHEAD: u64 = limits::CERTIFICATION_DISTANCE_ROUND;
    let mut network = Network::new(&[]);
    let (beating, busy) = (network.install(0x100, "canister_heartbeat", CREDIT), network.install(0x101, "m", CREDIT));
    let script = format!("spin {};reply late", (AHEAD + 1) * limits::SLICE_INSTRUCTIONS);
    let long = network.call(1, busy, "run", script.as_bytes());
    let late = long.request_id;
    let certified = network.state().height;
    network.block_ahead(certified, vec![long]);
    let ran = |network: &Network| {
        let slices = network.state().canister(&busy).unwrap().paused.as_ref().map(|paused| paused.slices);
        (slices, network.host.take_trace().len())
    };
    for distance in 2..=AHEAD {
        network.host.take_trace();
        network.block_ahead(certified, vec![]);
        assert!(matches!(ran(&network), (Some(slices), lines) if slices == distance && lines > 0), "{distance}");
    }
    let call = network.call(1, beating, "run", b"reply soon");
    let soon = call.request_id;
    network.block_ahead(certified, vec![call]);
    network.block_ahead(certified, vec![]);
    assert_eq!(ran(&network), (Some(AHEAD), 0));
    assert_eq!(network.state().ingress_status(&soon), Some(&IngressStatus::Received));
    network.block(vec![]);
    assert_eq!(network.outcome(&soon).unwrap(), "soon");
    network.block(vec![]);
    assert_eq!(network.outcome(&late).unwrap(), "late");
}

#[test]
fn a_timer_runs_once_when_it_is_due_and_a_heartbeat_every_block() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "canister_global_timer", CREDIT);
    let due = network.state().time.get() + 4 * UnixNanos::SECOND;
    network.run(id, &format!("timer {due};reply ok")).unwrap();
    network.block(vec![]);
    assert_eq!(network.run(id, "reply_count").unwrap(), "0");
    network.block(vec![]);
    network.block(vec![]);
    assert_eq!(network.run(id, "reply_count").unwrap(), "1");
    let beating = network.install(0x101, "canister_heartbeat", CREDIT);
    network.block(vec![]);
    for _ in 0..3 {
        network.block(vec![]);
    }
    assert_eq!(network.run(beating, "reply_count").unwrap(), "4", "the heartbeat of this block came first");
}

#[test]
fn a_heartbeat_asks_for_blocks_at_its_pace_while_it_can_be_paid() {
    let mut network = Network::new(&[]);
    network.block(vec![]);
    assert_eq!(due_at(network.state()), None);
    let timer = network.install(0x101, "canister_global_timer", CREDIT);
    let due = network.state().time.get() + 40 * UnixNanos::SECOND;
    network.run(timer, &format!("timer {due};reply ok")).unwrap();
    assert_eq!(due_at(network.state()), Some(UnixNanos(due)));
    let beating = network.install(0x100, "canister_heartbeat", CREDIT);
    network.block(vec![]);
    let next = network.state().time.saturating_add_nanos(HEARTBEAT_NANOS);
    assert_eq!(due_at(network.state()), Some(next));
    let long = network.call(1, beating, "run", b"spin 3000000000;reply ok");
    network.block(vec![long]);
    assert_eq!(due_at(network.state()), Some(network.state().time), "a paused message needs its next slice now");
    network.block_until_idle();
    let rest = network.balance(&beating);
    network.state_mut().ledger.burn(&Account::Canister(beating), Cycles(rest)).unwrap();
    assert_eq!(due_at(network.state()), Some(UnixNanos(due)), "one that is frozen asks for nothing");
}

#[test]
fn random_bytes_differ_within_a_block_and_follow_from_the_beacon() {
    let mut network = Network::new(&["DIDL\0\0", "reply_data", "reply_code", ""]);
    let id = network.install(0x100, "m", CREDIT);
    let calls: Vec<_> = (0..2).map(|_| network.call(1, id, "run", b"call aaaaa-aa raw_rand 0 0 1")).collect();
    let ids: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    network.block(calls);
    assert!(
        ids.iter().all(|id| network.state().ingress_status(id) == Some(&IngressStatus::Processing)),
        "not in this block"
    );
    assert!(network.state().has_work());
    network.block(vec![]);
    let drawn: Vec<_> = ids.iter().map(|id| network.state().ingress_status(id).cloned().unwrap()).collect();
    assert!(
        matches!((&drawn[0], &drawn[1]), (IngressStatus::Replied(a), IngressStatus::Replied(b)) if a != b),
        "{drawn:?}"
    );
}

#[test]
fn the_timer_of_a_frozen_canister_is_not_lost() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "canister_global_timer", CREDIT);
    let due = network.state().time.get() + 2 * UnixNanos::SECOND;
    network.run(id, &format!("timer {due};reply ok")).unwrap();
    let rest = network.balance(&id) - 1_000_000;
    network.state_mut().ledger.burn(&Account::Canister(id), Cycles(rest)).unwrap();
    network.block_after(10 * UnixNanos::SECOND, vec![]);
    let next = network.state().next_timer().unwrap();
    assert_eq!(next.nanos_since(network.state().time), 60 * UnixNanos::SECOND);
    network.state_mut().ledger.mint(&Account::Canister(id), Cycles(CREDIT)).unwrap();
    network.block_after(60 * UnixNanos::SECOND, vec![]);
    assert_eq!(network.run(id, "reply_count").unwrap(), "1");
}

#[test]
fn a_round_runs_so_many_different_modules_and_the_others_in_the_next() {
    let mut network = Network::new(&[]);
    let count = limits::ROUND_MODULES_MAX as u64 + 20;
    let twins: Vec<_> = (0..30).map(|index| network.install(0x1000 + index, "twin", CREDIT)).collect();
    let ids: Vec<_> = (0..count).map(|index| network.install(0x100 + index, &format!("m {index}"), CREDIT)).collect();
    let calls: Vec<_> = twins.iter().chain(&ids).map(|id| network.call(1, *id, "run", b"inc;reply_count")).collect();
    let requests: Vec<_> = calls.iter().map(|call| call.request_id).collect();
    let ended = |network: &Network| {
        let terminal = |id| network.state().ingress_status(id).unwrap().is_terminal();
        requests.iter().filter(|id| terminal(id)).count()
    };
    network.block(calls);
    assert_eq!(ended(&network), twins.len() + limits::ROUND_MODULES_MAX - 1, "twins have one module");
    assert!(network.state().has_work());
    network.block(vec![]);
    assert_eq!(ended(&network), requests.len());
}
