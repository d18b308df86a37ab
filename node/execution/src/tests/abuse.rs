//! Draining, freezing, deleting, and prices that rise while work is under way: the books hold, and who does not ask for it
//! does not pay. `Network::block` adds up everything after each block.

use super::network::{CREDIT, Network, user};
use candid::{CandidType, Encode, Nat, Principal};
use mains_ledger::{Account, Resource, Tariff, tariff::Amendment};
use mains_types::{CanisterId, Cycles, ErrorCode, RequestId, ids::cycles_ledger_id, limits};

#[derive(CandidType)]
struct Withdraw {
    amount: Nat,
    to: Principal,
}

/// A call in which user 9 gives a canister cycles.
fn top_up(network: &mut Network, to: CanisterId, amount: u128) -> crate::Call {
    let argument = Encode!(&Withdraw { amount: amount.into(), to }).unwrap();
    network.call(9, cycles_ledger_id(), "withdraw", &argument)
}

fn double_all_prices(network: &mut Network) {
    let state = network.state_mut();
    let tariff = state.ledger.tariff();
    let doubled = Resource::ALL.map(|resource| (resource, tariff.reference[resource.index()] * 2));
    let amendment = Amendment { prices: doubled.into(), ..Amendment::default() };
    let next: Tariff = tariff.amended(&amendment, state.height.next()).unwrap();
    let from = next.effective_height;
    state.ledger.adopt_tariff(next, from).unwrap();
}

#[test]
fn a_caller_drains_a_canister_only_down_to_its_freezing_limit() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT / 50);
    let limit = crate::charges::freezing_limit(network.state(), network.state().canister(&id).unwrap());
    let mut refused = None;
    for _ in 0..2_000 {
        let calls: Vec<_> = (0..20).map(|_| network.call(2, id, "run", b"spin 1000000;reply ok")).collect();
        let last = calls.last().unwrap().request_id;
        network.block(calls);
        assert!(network.balance(&id) >= limit.get(), "what keeps it alive is not for callers");
        if let Err(reject) = network.outcome(&last) {
            refused = Some(reject.error_code);
            break;
        }
    }
    assert_eq!(refused, Some(Some(ErrorCode::CanisterOutOfCycles)));
    let call = network.call(2, id, "run", b"reply ok");
    assert!(crate::inspect(&network.host, network.state(), &call).is_err(), "no replica takes such calls any more");
    assert!(network.state().canister(&id).unwrap().code.is_some());
}

#[test]
fn a_frozen_canister_is_thawed_by_a_top_up_and_calls_in_that_block_see_the_state_before() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", 1_000);
    let (before, gift, after) = (
        network.call(1, id, "run", b"reply a"),
        top_up(&mut network, id, CREDIT),
        network.call(1, id, "run", b"reply b"),
    );
    let ids: [RequestId; 2] = [before.request_id, after.request_id];
    network.block(vec![before, gift, after]);
    for request in ids {
        assert_eq!(network.outcome(&request).unwrap_err().error_code, Some(ErrorCode::CanisterOutOfCycles));
    }
    assert!(network.balance(&id) > CREDIT / 2);
    assert_eq!(network.run(id, "reply c").unwrap(), "c");
}

#[test]
fn money_for_a_canister_that_is_deleted_in_the_same_block_stays_with_who_sent_it() {
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    let record = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: id }).unwrap();
    let management = Principal::management_canister();
    let stop = network.call(1, management, "stop_canister", &record);
    network.block(vec![stop]);
    let before = network.state().ledger.balance(&Account::member(user(9))).get();
    let (delete, gift) = (network.call(1, management, "delete_canister", &record), top_up(&mut network, id, CREDIT));
    network.block(vec![delete, gift]);
    network.block_until_idle();
    assert!(network.state().canister(&id).is_none());
    assert_eq!(network.state().ledger.balance(&Account::member(user(9))).get(), before);
    assert_eq!(network.state().ledger.canister_balance(&id), Cycles::ZERO);
}

#[test]
fn calls_that_the_ledger_refuses_cost_nobody_anything_and_keep_nobody_waiting() {
    const CALLS: u64 = limits::BLOCK_UNPAID_CALLS_MAX as u64;
    let mut network = Network::new(&[]);
    let id = network.install(0x100, "m", CREDIT);
    // Users 20 to 29 have nothing.
    let mut calls: Vec<_> = (1..CALLS)
        .map(|index| {
            let argument = Encode!(&Withdraw { amount: (CREDIT + u128::from(index)).into(), to: id }).unwrap();
            network.call(20 + (index % 10) as u8, cycles_ledger_id(), "withdraw", &argument)
        })
        .collect();
    let refused: Vec<RequestId> = calls.iter().map(|call| call.request_id).collect();
    let (gift, message) = (top_up(&mut network, id, CREDIT), network.call(2, id, "run", b"reply here"));
    let (honest, request) = (gift.request_id, message.request_id);
    calls.extend([gift, message]);
    let balance = |network: &Network| network.state().ledger.balance(&Account::member(user(9))).get();
    let (before, had) = (balance(&network), network.balance(&id));
    network.block(calls);
    assert_eq!(network.outcome(&request).unwrap(), "here");
    assert!(network.outcome(&honest).is_ok(), "in the same block");
    for request in &refused {
        assert!(network.outcome(request).is_ok(), "the ledger has an answer");
        assert_eq!(network.state().ingress_entry(request).unwrap().cost, Cycles::ZERO);
    }
    let paid = before - balance(&network);
    assert!(paid > CREDIT && paid < CREDIT + CREDIT / 1_000, "only who withdrew paid, the ledger's fee included");
    assert!(network.balance(&id) > had && network.balance(&id) <= had + CREDIT);
}

#[test]
fn prices_that_rise_while_a_message_is_under_way_are_paid_by_the_balance() {
    for (cycles, is_rich) in [(CREDIT, true), (19_000_000_000, false)] {
        let mut network = Network::new(&[]);
        let id = network.install(0x100, "m", cycles);
        let call = network.call(
            1,
            id,
            "run",
            format!("spin {};reply ok", limits::UPDATE_INSTRUCTIONS_MAX - 1_000_000).as_bytes(),
        );
        let request = call.request_id;
        network.block(vec![call]);
        assert!(network.state().canister(&id).unwrap().paused.is_some(), "it takes many rounds");
        for _ in 0..3 {
            double_all_prices(&mut network);
            network.block(vec![]);
        }
        network.block_until_idle();
        assert_eq!(network.outcome(&request).unwrap(), "ok");
        assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
        let metered = network.state().ledger.meter(&id, Resource::Instructions);
        let all = u128::from(limits::UPDATE_INSTRUCTIONS_MAX - 1_000_000);
        assert!(if is_rich { metered >= all } else { metered < all && network.balance(&id) <= 10 }, "{metered}");
    }
}

#[test]
fn prices_that_rise_while_a_call_is_open_do_not_stop_its_response() {
    let mut network = Network::new(&["spin 3000000000;reply late", "spin 39000000000;reply done"]);
    let (caller, callee) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let call = network.call(1, caller, "run", format!("call {callee} run 5 0 1").as_bytes());
    let request = call.request_id;
    network.block(vec![call]);
    double_all_prices(&mut network);
    network.block_until_idle();
    assert_eq!(network.outcome(&request).unwrap(), "done");
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}

#[test]
fn cycles_that_a_canister_sends_to_itself_are_its_own_and_only_the_work_is_paid() {
    for script in ["accept 5000000000;reply ok", "accept 7;reply ok", "reply ok", "accept 5;trap no"] {
        let mut network = Network::new(&[script, "reply done", "reply refused"]);
        let id = network.install(0x100, "m", CREDIT);
        let _ = network.run(id, &format!("call {id} run 5000000000 0 1"));
        let charged = network.state().ledger.canister(&id).unwrap().charged();
        assert_eq!(network.balance(&id), CREDIT - charged, "{script}");
        assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
    }
}

#[test]
fn a_replay_in_the_same_block_or_later_costs_nothing() {
    let mut network = Network::new(&[]);
    let (id, to) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let (call, gift) = (network.call(2, id, "run", b"inc;reply_count"), top_up(&mut network, to, CREDIT));
    network.block(vec![call.clone(), gift.clone(), call.clone(), gift.clone()]);
    network.block(vec![gift, call.clone()]);
    assert_eq!(network.outcome(&call.request_id).unwrap(), "1");
    let meter = |resource| network.state().ledger.meter(&id, resource);
    assert_eq!((meter(Resource::IngressMessages), meter(Resource::Execution)), (1, 1));
    assert_eq!(network.state().ledger.canister(&to).unwrap().received, 2 * CREDIT, "minted, and given once");
}

#[test]
fn who_freezes_while_a_call_is_open_gets_its_response_and_sends_no_more_money() {
    let mut network =
        Network::new(&["spin 2000000000;reply late", "call aaaaa-aa raw_rand 1 0 1;reply sent", "reply no"]);
    let (caller, callee) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let call = network.call(1, caller, "run", format!("call {callee} run 5 0 1").as_bytes());
    let request = call.request_id;
    network.block(vec![call]);
    let rest = network.balance(&caller) - 1_000_000;
    network.state_mut().ledger.burn(&Account::Canister(caller), Cycles(rest)).unwrap();
    network.block_until_idle();
    let reject = network.outcome(&request).unwrap_err();
    assert!(
        reject.message.contains("more than the 0 that can be spent"),
        "its callback ran and could not send: {reject}"
    );
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
    assert!(network.balance(&caller) > 0, "what was set aside for the response and not used came back");
}

#[test]
fn what_was_set_aside_for_a_call_comes_back_to_a_canister_that_lost_its_code() {
    let mut network = Network::new(&["spin 2000000000;reply late", "reply done"]);
    let (caller, callee) = (network.install(0x100, "m", CREDIT), network.install(0x101, "m", CREDIT));
    let call = network.call(2, caller, "run", format!("call {callee} run 77 0 1").as_bytes());
    let request = call.request_id;
    network.block(vec![call]);
    let record = candid::encode_one(ic_management_canister_types::CanisterIdRecord { canister_id: caller }).unwrap();
    let uninstall = network.call(1, Principal::management_canister(), "uninstall_code", &record);
    network.block(vec![uninstall]);
    assert!(network.outcome(&request).is_err(), "who waits is told at once");
    network.block_until_idle();
    let charged = network.state().ledger.canister(&caller).unwrap().charged();
    assert_eq!(network.balance(&caller), CREDIT - charged);
    assert_eq!(network.state().ledger.balance(&Account::InFlight), Cycles::ZERO);
}
