use super::*;
use mains_types::Cycles;

fn node(key: u8) -> NodeId {
    Principal::self_authenticating([key; 32])
}

fn nodes(count: u8) -> Vec<NodeId> {
    (0..count).map(node).collect()
}

/// Who operates all of them.
fn operator() -> Principal {
    Principal::self_authenticating([99; 32])
}

fn members(count: u8) -> Vec<(NodeId, Option<Principal>)> {
    nodes(count).into_iter().map(|node| (node, Some(operator()))).collect()
}

/// A window in which members lead in turn and each says to have seen what `sees` tells.
fn window(epochs: &mut Epochs, count: u8, sees: impl Fn(u8) -> Seen) {
    for block in 0..window_blocks(count.into()) {
        let leader = (block % u64::from(count)) as u8;
        let ended = epochs.count_block(members(count), node(leader), &[], &sees(leader));
        assert_eq!(ended, block + 1 == window_blocks(count.into()));
    }
}

fn seen(of: &[u8]) -> Seen {
    let of: BTreeSet<_> = of.iter().map(|key| node(*key)).collect();
    Seen { voted: of.clone(), certified: of }
}

fn present(epochs: &Epochs) -> Vec<(u64, u64)> {
    let mut work: Vec<_> = epochs.work().iter().collect();
    work.sort_by_key(|(id, _)| nodes(13).iter().position(|node| node == *id));
    work.into_iter().map(|(_, work)| (work.voted, work.certified)).collect()
}

#[test]
fn a_member_is_present_when_one_more_than_can_be_faulty_saw_it() {
    let mut epochs = Epochs::begin(UnixNanos(5));
    // Member 3 is seen by one other only: that one could lie.
    window(&mut epochs, 4, |leader| if leader == 0 { seen(&[0, 1, 2, 3]) } else { seen(&[0, 1, 2]) });
    assert_eq!(present(&epochs), [(1, 1), (1, 1), (1, 1), (0, 0)]);
    window(&mut epochs, 4, |leader| if leader < 2 { seen(&[0, 1, 2, 3]) } else { seen(&[0, 1, 2]) });
    assert_eq!(present(&epochs), [(2, 2), (2, 2), (2, 2), (1, 1)]);
    assert!(epochs.work().values().all(|work| work.windows == 2));
}

#[test]
fn nobody_is_a_witness_for_itself() {
    let mut epochs = Epochs::begin(UnixNanos(5));
    // Member 3 and one more say so.
    window(&mut epochs, 4, |leader| if leader >= 2 { seen(&[3]) } else { seen(&[]) });
    assert_eq!(present(&epochs), [(0, 0); 4]);
    let mut alone = Epochs::begin(UnixNanos(5));
    window(&mut alone, 1, |_| seen(&[0]));
    assert_eq!(present(&alone), [(1, 1)]);
}

#[test]
fn a_witness_counts_for_those_whom_it_saw_in_half_of_its_blocks() {
    for (times, voted) in [(8, 1), (7, 0)] {
        let mut epochs = Epochs::begin(UnixNanos(5));
        // Each of four leads sixteen times and sees member 3 the first so many times.
        for block in 0..WINDOW_BLOCKS {
            let sees = if block / 4 < times { seen(&[3]) } else { seen(&[]) };
            epochs.count_block(members(4), node((block % 4) as u8), &[], &sees);
        }
        assert_eq!(epochs.work()[&node(3)].voted, voted, "{times} of 16");
    }
}

#[test]
fn who_left_is_paid_for_whole_windows_and_who_stands_by_for_none() {
    let mut epochs = Epochs::begin(UnixNanos(5));
    window(&mut epochs, 4, |_| seen(&[0, 1, 2, 3]));
    // Member 3 has left after that, its last block came later; 1 has no operator any more.
    let left: Vec<_> = nodes(3).into_iter().map(|id| (id, (id != node(1)).then(operator))).collect();
    for block in 0..WINDOW_BLOCKS {
        let leader = if block == 0 { 3 } else { (block % 3) as u8 };
        epochs.count_block(left.clone(), node(leader), &[], &seen(&[0, 1, 2, 3, 4]));
    }
    let weights: BTreeMap<_, _> = epochs.work().keys().copied().zip(epochs.weights()).collect();
    let expected = |operator, weight, weight_max| OperatorWeight { operator, weight, weight_max };
    assert_eq!(weights[&node(0)], expected(operator(), 40_000, 40_000));
    assert_eq!(weights[&node(1)], expected(Principal::anonymous(), 0, 40_000));
    assert_eq!(weights[&node(3)], expected(operator(), 20_000, 20_000));
    assert_eq!(weights.len(), 4, "a name in a block makes nobody a member");
}

#[test]
fn faulty_members_cannot_hide_an_honest_ones_work() {
    let mut epochs = Epochs::begin(UnixNanos(5));
    // Four of thirteen are silent about everybody.
    window(&mut epochs, 13, |leader| if leader < 4 { seen(&[]) } else { seen(&[12]) });
    assert_eq!(epochs.work()[&node(12)].voted, 1);
}

#[test]
fn lost_views_cost_nothing_up_to_a_tenth_and_then_linearly_up_to_four_fifths() {
    let deduction = |proposed, failed| NodeWork { proposed, failed, ..NodeWork::default() }.deduction();
    assert_eq!([deduction(0, 0), deduction(90, 10), deduction(100, 0)], [0, 0, 0]);
    assert_eq!([deduction(65, 35), deduction(40, 60), deduction(0, 1)], [4_000, 8_000, 8_000]);
    assert_eq!(deduction(u64::MAX, u64::MAX), 6_400);
    let work = NodeWork { windows: 10, voted: 10, certified: 8, proposed: 65, failed: 35 };
    assert_eq!((work.weight(), work.weight_max()), (18 * 6_000, 200_000));
}

#[test]
fn weights_name_operators_and_a_closed_epoch_is_kept_with_its_pay() {
    let mut epochs = Epochs::begin(UnixNanos(5));
    window(&mut epochs, 4, |_| seen(&[0, 1, 2, 3]));
    let weights = epochs.weights();
    assert_eq!(weights.len(), 4);
    assert!(
        weights
            .iter()
            .all(|weight| (weight.operator, weight.weight, weight.weight_max) == (operator(), 20_000, 20_000))
    );

    let before = epochs.digest();
    let pay = weights.iter().map(|weight| (weight.operator, Cycles(u128::from(weight.weight)))).collect();
    let settlement = Settlement { income: Cycles(60_000), operators: pay, ..Settlement::default() };
    let settled = epochs.close(Height(64), UnixNanos(70), settlement).clone();
    assert_eq!((settled.epoch, settled.first, settled.last), (1, Height(1), Height(64)));
    assert_eq!(settled.nodes[&node(0)].amount, 20_000);
    assert_eq!((epochs.number(), epochs.began(), epochs.work().len()), (2, UnixNanos(70), 0));
    assert_ne!(epochs.digest(), before);
    let encoded = settled.encode();
    assert_eq!(Settled::decode(&encoded).as_ref(), Some(&settled));
    for cut in 0..encoded.len() {
        assert_eq!(Settled::decode(&encoded[..cut]), None, "cut at {cut}");
    }
    let bytes = postcard::to_stdvec(&epochs).unwrap();
    let again: Epochs = postcard::from_bytes(&bytes).unwrap();
    assert_eq!((again.digest(), again.settled().next()), (epochs.digest(), Some(&settled)));
}

#[test]
fn only_so_many_settlements_are_kept() {
    let mut epochs = Epochs::begin(UnixNanos(5));
    for height in 1..=100 {
        epochs.close(Height(height), UnixNanos(5 + height), Settlement::default());
    }
    assert_eq!(epochs.settled().len(), SETTLEMENTS_MAX);
    assert_eq!(epochs.settled().next().map(|settled| settled.epoch), Some(41));
}

#[test]
fn on_the_largest_subnet_a_third_that_stays_silent_hides_nobody() {
    const COUNT: u8 = 128;
    let all: Vec<u8> = (0..COUNT).collect();
    let mut epochs = Epochs::begin(UnixNanos(5));
    // Those that are down lead too: their blocks are missing, or say nothing.
    window(&mut epochs, COUNT, |leader| if leader % 3 == 0 { seen(&[]) } else { seen(&all) });
    assert_eq!(epochs.work().len(), usize::from(COUNT));
    assert!(epochs.work().values().all(|work| (work.windows, work.voted, work.certified) == (1, 1, 1)));
}
