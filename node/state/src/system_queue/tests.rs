use super::*;
use crate::{CallOrigin, Genesis, State};
use mains_types::{Cycles, UnixNanos, ids::canister_id};

fn user(name: u16) -> Principal {
    Principal::self_authenticating(name.to_be_bytes())
}

fn call(sender: u16, number: u32, bytes: usize) -> SystemMessage {
    SystemMessage {
        origin: CallOrigin::System,
        sender: user(sender),
        callee: Principal::management_canister(),
        method: number.to_string(),
        argument: vec![0; bytes],
        cycles: Cycles::ZERO,
    }
}

fn fill(queue: &mut SystemQueue, sender: u16, bytes: usize) -> u64 {
    (0..)
        .take_while(|number| {
            queue.has_room(&user(sender)) && {
                queue.push(call(sender, *number, bytes));
                true
            }
        })
        .count() as u64
}

fn order(queue: &mut SystemQueue) -> Vec<(u16, String)> {
    let name = |sender| (0..100).find(|name| user(*name) == sender).unwrap();
    std::iter::from_fn(|| queue.pop()).map(|message| (name(message.sender), message.method)).collect()
}

#[test]
fn senders_take_turns_and_each_ones_calls_keep_their_order() {
    let mut queue = SystemQueue::default();
    for (sender, number) in [(1, 0), (1, 1), (1, 2), (2, 3), (3, 4), (3, 5), (1, 6)] {
        queue.push(call(sender, number, 0));
    }
    let expected = [(1, "0"), (2, "3"), (3, "4"), (1, "1"), (3, "5"), (1, "2"), (1, "6")];
    assert_eq!(order(&mut queue), expected.map(|(sender, number)| (sender, number.to_owned())));
    assert!(!queue.has_work() && queue.loads.is_empty() && queue.total == Load::default());
}

#[test]
fn one_sender_has_a_tenth_at_most_and_many_leave_room_for_newcomers() {
    let mut queue = SystemQueue::default();
    assert_eq!(fill(&mut queue, 0, 0), limits::SYSTEM_QUEUE_MAX / 2 / (limits::SYSTEM_QUEUE_SHARE + 1));
    let before = queue.total.bytes;
    fill(&mut queue, 1, 1 << 20);
    assert!((queue.total.bytes - before).abs_diff(limits::SYSTEM_QUEUE_BYTES_MAX / 10) <= 2 << 20);
    for sender in 2..1_000 {
        fill(&mut queue, sender, 10);
    }
    assert!(queue.total.calls < limits::SYSTEM_QUEUE_MAX && !queue.has_room(&user(0)));
    assert!(queue.has_room(&user(1_000)), "a thousand full shares do not keep one out");
    assert!(queue.total.calls > 5_500, "the last of them have one call each");
}

#[test]
fn what_was_put_off_goes_first_and_counts_for_its_sender_all_along() {
    let mut queue = SystemQueue::default();
    let (paused, other) = (canister_id(1), canister_id(2));
    for (about, sender, number) in [(paused, 3, 0), (other, 3, 1), (paused, 2, 2), (paused, 3, 3)] {
        queue.put_off(about, call(sender, number, 0));
    }
    assert!(!queue.has_work());
    for (sender, number) in [(1, 4), (2, 5), (3, 6)] {
        queue.push(call(sender, number, 0));
    }
    assert_eq!(queue.loads[&user(3)].calls, 4);
    queue.release(&paused);
    assert_eq!(queue.loads[&user(3)].calls, 4);
    let expected = [(3, "0"), (2, "2"), (1, "4"), (3, "3"), (2, "5"), (3, "6")];
    assert_eq!(order(&mut queue), expected.map(|(sender, number)| (sender, number.to_owned())));
    queue.release(&paused);
    assert_eq!((queue.has_work(), queue.total.calls), (false, 1));
    while queue.has_room(&user(3)) {
        queue.put_off(other, call(3, 7, 0));
    }
    assert_eq!(queue.total.calls, limits::SYSTEM_QUEUE_MAX / 2 / (limits::SYSTEM_QUEUE_SHARE + 1));
}

#[test]
fn it_comes_back_from_a_checkpoint_with_its_order_and_shares_and_every_change_is_in_the_root() {
    let genesis = Genesis { time: UnixNanos(1_000), ..Genesis::rehearsal((0..4).map(user)) };
    let mut state = State::genesis(&genesis);
    state.ledger.take_journal();
    let mut roots = BTreeSet::from([state.root()]);
    let mut seal = |state: &mut State| {
        assert!(roots.insert(state.seal(state.height, state.time, state.block)), "each change changes the root");
        state.ledger.take_journal();
    };
    for (sender, number) in [(1, 0), (1, 1), (2, 2)] {
        state.system_queue.push(call(sender, number, 10));
        seal(&mut state);
    }
    state.system_queue.put_off(canister_id(5), call(2, 3, 20));
    seal(&mut state);
    state.system_queue.push_random(Height(7), call(3, 4, 30));
    seal(&mut state);
    state.system_queue.line.push_back(user(1));
    state.system_queue.line.pop_front();
    seal(&mut state);
    let mut again = State::decode(&state.encode()).unwrap();
    assert_eq!((again.root(), again.encode()), (state.root(), state.encode()));
    assert_eq!(
        (&again.system_queue.loads, again.system_queue.total),
        (&state.system_queue.loads, state.system_queue.total)
    );
    assert!(again.system_queue.pop_random(Height(6)).is_none() && again.system_queue.pop_random(Height(7)).is_some());
    assert_eq!(order(&mut again.system_queue), order(&mut state.system_queue));
    for forge in [
        |queue: &mut SystemQueue| queue.line.push_back(user(1)),
        |queue: &mut SystemQueue| drop(queue.calls.insert(user(9), Vector::new())),
        |queue: &mut SystemQueue| assert!(queue.line.pop_front().is_some()),
    ] {
        let mut forged = State::genesis(&genesis);
        forged.system_queue.push(call(1, 0, 0));
        forge(&mut forged.system_queue);
        assert!(matches!(State::decode(&forged.encode()), Err(crate::EncodingError::Inconsistent(_))));
    }
}
