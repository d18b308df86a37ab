//! Operators are paid for what their machines did, out of what users paid and nothing else.

use super::network::{CREDIT, Network, block, genesis, user};
use crate::{Block, execute};
use mains_ledger::{Account, Resource};
use mains_state::{
    Genesis, GenesisNode, State,
    epochs::{Seen, Settled, WINDOW_BLOCKS},
};
use mains_types::{NodeId, Principal, UnixNanos, ids::canister_id};
use std::collections::{BTreeMap, BTreeSet};

/// A second between blocks, and 64 blocks a window: the test network's epoch of 120 s ends with the second one.
const EPOCH_BLOCKS: u64 = 2 * WINDOW_BLOCKS;

/// Members and their operators, in the order of the genesis file.
fn members(state: &State) -> Vec<NodeId> {
    let of = |operator| state.subnet.operators.iter().find(|(_, of)| **of == operator).map(|(node, _)| *node).unwrap();
    genesis().nodes.iter().map(|member| of(member.operator)).collect()
}

/// Executes an epoch of blocks in which members lead in turn and the first of which calls canister 5; `change` makes each
/// what the test is about.
fn epoch(network: &mut Network, change: impl Fn(&[NodeId], u64, &mut Block)) -> Settled {
    for number in 0..EPOCH_BLOCKS {
        let calls = if number == 0 { vec![network.call(1, canister_id(5), "run", b"")] } else { vec![] };
        let state = network.state.take().unwrap();
        let members = members(&state);
        let all: BTreeSet<_> = members.iter().copied().collect();
        let mut next = Block {
            proposer: members[number as usize % members.len()],
            failed: Vec::new(),
            seen: Seen { voted: all.clone(), certified: all },
            newest_version: 1,
            ..block(&state, UnixNanos::SECOND, calls)
        };
        change(&members, number, &mut next);
        let executed = execute(&network.host, state, &next);
        executed.state.ledger.check_full().unwrap();
        network.state = Some(executed.state);
    }
    network.state().epochs.settled().next_back().unwrap().clone()
}

fn network() -> Network {
    let mut network = Network::new(&[""]);
    network.install(5, "", 10 * CREDIT);
    network
}

fn member(network: &Network, operator: u8) -> u128 {
    network.state().ledger.balance(&Account::member(user(operator))).get()
}

fn accrued(network: &Network, operator: u8) -> u128 {
    network.state().ledger.balance(&Account::Operator(user(operator))).get()
}

#[test]
fn an_epoch_pays_equal_work_alike_and_one_epoch_later() {
    let mut network = network();
    let first = epoch(&mut network, |_, _, _| ());
    let income = first.settlement.income.get();
    assert!(income > 1_000_000, "a call was paid for");
    assert_eq!((first.epoch, first.first.get(), first.last.get()), (1, 1, EPOCH_BLOCKS));
    let share = first.nodes.values().next().unwrap().amount;
    assert!(first.nodes.values().all(|earned| earned.amount == share && earned.work.windows == 2));
    assert!(share > 0 && share * 4 <= income * 8 / 10 && share * 4 + 4 > income * 8 / 10);
    assert_eq!((accrued(&network, 0), member(&network, 0)), (share, 0), "earned, to be paid after another epoch");
    for resource in Resource::ALL {
        assert_eq!(network.state().ledger.balance(&Account::Income(resource)).get(), 0, "{resource}");
    }

    let second = epoch(&mut network, |_, _, _| ());
    let next_share = second.nodes.values().next().unwrap().amount;
    assert_eq!((accrued(&network, 0), member(&network, 0)), (next_share, share));
    assert_eq!(second.first, first.last.next());
}

#[test]
fn what_one_did_not_earn_goes_to_the_reserve_and_not_to_its_neighbours() {
    let honest = epoch(&mut network(), |_, _, _| ());
    // The last member votes for nothing, and three of four of its views are lost.
    let lazy = epoch(&mut network(), |members, number, block| {
        block.seen.voted.remove(&members[3]);
        if number % 4 == 3 {
            (block.proposer, block.failed) = (members[0], vec![(members[3], 3)]);
        }
    });
    assert_eq!(lazy.settlement.income, honest.settlement.income);
    let pay = |settled: &Settled, operator| {
        settled.nodes.values().find(|earned| earned.operator == user(operator)).map(|earned| earned.amount).unwrap()
    };
    for operator in 0..3 {
        assert_eq!(pay(&lazy, operator), pay(&honest, operator), "neither more nor less");
    }
    // Half for what it did not vote for, and of that a fifth for views it lost.
    assert_eq!(pay(&lazy, 3), pay(&honest, 3) / 10);
    let unearned = pay(&honest, 3) - pay(&lazy, 3);
    let reserve = lazy.settlement.reserve.get() - honest.settlement.reserve.get();
    assert!(reserve.abs_diff(unearned) <= 4, "{reserve} against {unearned}");
}

#[test]
fn one_member_alone_can_neither_raise_its_pay_nor_lower_anothers() {
    let honest = epoch(&mut network(), |_, _, _| ());
    // Member 0 says that it saw nobody but itself and member 3, whom nobody else saw.
    let lies = epoch(&mut network(), |members, number, block| {
        let (liar, absent) = (members[0], members[3]);
        if number % 4 == 0 {
            let seen: BTreeSet<_> = [liar, absent].into();
            block.seen = Seen { voted: seen.clone(), certified: seen };
        } else {
            block.seen.voted.remove(&absent);
            block.seen.certified.remove(&absent);
        }
    });
    for (node, earned) in &lies.nodes {
        let expected = if earned.operator == user(3) { 0 } else { honest.nodes[node].amount };
        assert_eq!(earned.amount, expected, "{}", earned.operator);
    }
}

/// A roll of dice by seed.
fn roll(seed: &mut u64, below: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % below
}

/// Pay by operator after an epoch of so many members, `down` of whom are down. Liars, so many that with these as many are
/// faulty as may be, say in their blocks what `lie` makes of the truth.
fn pay_with_liars(
    members: u8,
    down: u8,
    mut lie: impl FnMut(NodeId, &[NodeId], &mut Seen),
) -> BTreeMap<Principal, u128> {
    let mut network = Network::new(&[""]);
    let nodes = (0..members).map(|key| GenesisNode { public_key: [key; 32], operator: user(key) }).collect();
    network.state = Some(State::genesis(&Genesis { nodes, ..genesis() }));
    network.install(5, "", 10 * CREDIT);
    let operators = network.state().subnet.operators.clone();
    let place: Vec<NodeId> =
        (0..members).map(|key| *operators.iter().find(|(_, operator)| **operator == user(key)).unwrap().0).collect();
    let (up, absent) = place.split_at(usize::from(members - down));
    let liars = &up[..usize::from((members - 1) / 3 - down)];
    for number in 0..EPOCH_BLOCKS {
        let calls = if number == 0 { vec![network.call(1, canister_id(5), "run", b"")] } else { vec![] };
        let state = network.state.take().unwrap();
        let leader = up[number as usize % up.len()];
        let truth: BTreeSet<_> = up.iter().copied().collect();
        let mut seen = Seen { voted: truth.clone(), certified: truth };
        if liars.contains(&leader) {
            lie(leader, &place, &mut seen);
        }
        let failed = if leader == up[0] { absent.iter().map(|node| (*node, 1)).collect() } else { vec![] };
        let next = Block { proposer: leader, failed, seen, ..block(&state, UnixNanos::SECOND, calls) };
        network.state = Some(execute(&network.host, state, &next).state);
    }
    let settled = network.state().epochs.settled().next_back().unwrap().clone();
    settled.nodes.values().map(|earned| (earned.operator, earned.amount)).collect()
}

#[test]
fn as_many_liars_as_can_be_faulty_change_nobodys_pay() {
    for (members, down) in [(4, 0), (4, 1), (7, 0), (7, 1), (13, 0), (13, 2)] {
        let honest = pay_with_liars(members, down, |_, _, _| ());
        for member in 0..members {
            let (pay, is_down) = (honest[&user(member)], member >= members - down);
            assert!(if is_down { pay == 0 } else { pay > 0 && pay == honest[&user(0)] }, "{member} of {members}");
        }
        // Itself always, neighbours never.
        let selfish = pay_with_liars(members, down, |leader, _, seen| {
            *seen = Seen { voted: [leader].into(), certified: [leader].into() };
        });
        assert_eq!(selfish, honest, "{members} members, {down} down");
        // Everybody, whoever is down too.
        let generous = pay_with_liars(members, down, |_, all, seen| {
            let all: BTreeSet<_> = all.iter().copied().collect();
            *seen = Seen { voted: all.clone(), certified: all };
        });
        assert_eq!(generous, honest, "{members} members, {down} down");
        for seed in 1..=5_u64 {
            let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let random = pay_with_liars(members, down, |_, all, seen| {
                seen.voted = all.iter().copied().filter(|_| roll(&mut dice, 2) == 0).collect();
                seen.certified = all.iter().copied().filter(|_| roll(&mut dice, 2) == 0).collect();
            });
            assert_eq!(random, honest, "{members} members, {down} down, seed {seed}");
        }
    }
}

#[test]
fn an_epoch_without_income_pays_nobody_and_ends_all_the_same() {
    let mut network = Network::new(&[""]);
    let settled = epoch(&mut network, |_, _, _| ());
    assert_eq!(settled.settlement.income.get(), 0);
    assert!(settled.nodes.len() == 4 && settled.nodes.values().all(|earned| earned.amount == 0));
    epoch(&mut network, |_, _, _| ());
    assert_eq!(member(&network, 0), 0);
}
