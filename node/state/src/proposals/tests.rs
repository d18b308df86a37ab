use super::*;
use mains_ledger::Resource;

fn operator(name: u8) -> Principal {
    Principal::self_authenticating([name])
}

/// Operators 0 to 3 with one node each, operator 4 with three of the seven.
fn nodes() -> Nodes {
    (0..4).map(|name| (operator(name), 1)).chain([(operator(4), 3)]).collect()
}

fn tariff() -> Tariff {
    Tariff::for_nodes(7)
}

fn dearer() -> Amendment {
    Amendment { prices: [(Resource::Execution, 6_000_000)].into(), ..Amendment::default() }
}

fn propose(proposals: &mut Proposals, name: u8, epoch: u64) -> Result<u64, ProposalError> {
    proposals.propose(operator(name), dearer(), "costs".into(), &tariff(), epoch, &nodes())
}

fn status(proposals: &Proposals, id: u64) -> Status {
    proposals.iter().find(|proposal| proposal.id == id).unwrap().status
}

#[test]
fn more_than_two_thirds_of_the_nodes_decide_and_everybody_has_notice() {
    let mut proposals = Proposals::default();
    assert_eq!(propose(&mut proposals, 0, 5), Ok(1));
    assert_eq!(proposals.vote(1, operator(4), true, 6, &nodes()), Ok(()));
    assert_eq!(status(&proposals, 1), Status::Open(12), "four of seven are not enough");
    assert_eq!(proposals.vote(1, operator(1), true, 6, &nodes()), Ok(()));
    assert_eq!(status(&proposals, 1), Status::Accepted(6 + NOTICE_EPOCHS));
    assert_eq!(proposals.vote(1, operator(2), false, 6, &nodes()), Err(ProposalError::Announced(13)));
    assert_eq!(propose(&mut proposals, 2, 7), Err(ProposalError::Announced(13)));
    for epoch in 6..13 {
        assert_eq!(proposals.end_epoch(epoch, &tariff(), Height(epoch)), None);
    }
    let next = proposals.end_epoch(13, &tariff(), Height(99)).unwrap();
    assert_eq!((next.version, next.effective_height, next.reference[0]), (2, Height(99), 6_000_000));
    assert_eq!(status(&proposals, 1), Status::InForce(2));
    assert_eq!(proposals.end_epoch(14, &next, Height(100)), None, "once");
}

#[test]
fn a_third_of_the_nodes_can_prevent_a_change_and_strangers_have_no_say() {
    let mut proposals = Proposals::default();
    assert_eq!(propose(&mut proposals, 0, 1), Ok(1));
    assert_eq!(proposals.vote(1, operator(4), false, 1, &nodes()), Ok(()));
    assert_eq!(status(&proposals, 1), Status::Rejected);
    assert_eq!(proposals.vote(1, operator(1), true, 1, &nodes()), Err(ProposalError::NotOpen(1)));
    assert_eq!(propose(&mut proposals, 9, 1), Err(ProposalError::NotOperator));
    assert_eq!(proposals.vote(1, operator(9), true, 1, &nodes()), Err(ProposalError::NotOperator));
    assert_eq!(proposals.vote(7, operator(1), true, 1, &nodes()), Err(ProposalError::Unknown(7)));
}

#[test]
fn an_operator_may_change_its_vote_has_one_open_proposal_and_leaves_with_its_nodes() {
    let mut proposals = Proposals::default();
    assert_eq!(propose(&mut proposals, 4, 1), Ok(1));
    assert_eq!(propose(&mut proposals, 4, 1), Err(ProposalError::StillOpen(1)));
    for is_for in [false, true, false, true] {
        assert_eq!(proposals.vote(1, operator(1), is_for, 1, &nodes()), Ok(()));
    }
    assert_eq!(proposals.iter().next().unwrap().tally(&nodes()), (4, 0, 7));
    // Operator 4 has left: its vote weighs nothing, one of four is for it.
    let fewer: Nodes = nodes().into_iter().filter(|(name, _)| *name != operator(4)).collect();
    assert_eq!(proposals.iter().next().unwrap().tally(&fewer), (1, 0, 4));
}

#[test]
fn what_is_not_decided_in_time_expires_and_what_is_overtaken_is_superseded() {
    let mut proposals = Proposals::default();
    assert_eq!(propose(&mut proposals, 0, 1), Ok(1));
    assert_eq!(proposals.end_epoch(7, &tariff(), Height(1)), None);
    assert_eq!(status(&proposals, 1), Status::Open(8));
    assert_eq!(proposals.end_epoch(8, &tariff(), Height(1)), None);
    assert_eq!(status(&proposals, 1), Status::Expired);

    assert_eq!(propose(&mut proposals, 1, 9), Ok(2));
    assert_eq!(propose(&mut proposals, 2, 9), Ok(3));
    proposals.vote(3, operator(4), true, 9, &nodes()).unwrap();
    proposals.vote(3, operator(0), true, 9, &nodes()).unwrap();
    assert!(proposals.end_epoch(9 + NOTICE_EPOCHS, &tariff(), Height(1)).is_some());
    assert_eq!((status(&proposals, 2), status(&proposals, 3)), (Status::Superseded, Status::InForce(2)));
}

#[test]
fn what_goes_too_far_or_talks_too_much_is_refused_and_what_is_kept_is_bounded() {
    let mut proposals = Proposals::default();
    let free = Amendment { prices: [(Resource::Execution, 0)].into(), ..Amendment::default() };
    let refused = proposals.propose(operator(0), free, String::new(), &tariff(), 1, &nodes());
    assert!(matches!(refused, Err(ProposalError::Amendment(AmendmentError::Price { .. }))));
    let long = "x".repeat(REASON_BYTES_MAX + 1);
    let refused = proposals.propose(operator(0), dearer(), long, &tariff(), 1, &nodes());
    assert_eq!(refused, Err(ProposalError::ReasonTooLong));
    assert_eq!(proposals, Proposals::default());
    for round in 0..200 {
        propose(&mut proposals, 0, round * 10).unwrap();
        proposals.end_epoch(round * 10 + VOTING_EPOCHS, &tariff(), Height(1));
        assert!(proposals.iter().len() <= PROPOSALS_MAX);
    }
    assert_eq!(proposals.iter().next_back().map(|proposal| proposal.id), Some(200));
}
