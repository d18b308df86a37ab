//! A vote counts if its block was finalized and its signature holds, whether it comes early, in time or late.

use super::*;
use crate::{
    Committee,
    committee::{self, key_bytes, private_key, public_key_of},
};
use commonware_consensus::{
    simplex::types::Proposal,
    types::{Epoch, Round, View as EngineView},
};
use commonware_cryptography::certificate::Scheme as _;
use commonware_utils::iter::NonEmpty;

struct Members {
    schemes: Vec<Scheme>,
    register: Register,
}

impl Members {
    fn new(count: u8) -> Self {
        let keys: Vec<_> = (0..count).map(|seed| key_bytes(&public_key_of(&[seed; 32]))).collect();
        let committee = Committee::new(&keys).expect("valid");
        let namespace = committee::namespace("test", &[9; 32]);
        let signer = |seed| committee.signer(&namespace, private_key(&[seed; 32])).expect("a member");
        let mut schemes: Vec<_> = (0..count).map(signer).collect();
        schemes.sort_by_key(|scheme| scheme.me().expect("a member").index());
        let register = Register::new(committee.verifier(&namespace), Attendance::new(u32::from(count)));
        Self { schemes, register }
    }

    fn vote(&self, member: usize, view: u64, payload: u8) -> Finalize<Scheme, Digest> {
        let round = Round::new(Epoch::zero(), EngineView::new(view));
        let proposal = Proposal::new(round, EngineView::new(view - 1), Digest::from([payload; 32]));
        Finalize::sign(&self.schemes[member], proposal).expect("signs")
    }

    fn report_vote(&mut self, member: usize, view: u64, payload: u8) {
        let vote = self.vote(member, view, payload);
        self.register.report(Activity::Finalize(vote));
    }

    /// A certificate of the first three members.
    fn finalize(&mut self, view: u64, payload: u8) {
        let others: Vec<_> = (1..3).map(|member| self.vote(member, view, payload)).collect();
        let votes = NonEmpty::new(self.vote(0, view, payload), others.into_iter());
        let finalization = Finalization::from_owned_finalizes(&self.schemes[0], votes, &Sequential).expect("a quorum");
        self.register.report(Activity::Finalization(finalization));
    }

    fn voted(&self) -> u128 {
        self.register.attendance.voted()
    }
}

#[test]
fn votes_count_in_the_certificate_and_before_and_after_it() {
    for (early, late) in [(false, false), (true, false), (false, true)] {
        let mut members = Members::new(4);
        if early {
            members.report_vote(3, 1, 1);
        }
        assert_eq!(members.voted(), 0, "nothing is finalized");
        members.finalize(1, 1);
        members.finalize(2, 2);
        if late {
            members.report_vote(3, 1, 1);
        }
        assert_eq!(members.voted(), if early || late { 0b1111 } else { 0b0111 });
    }
}

#[test]
fn a_vote_for_another_block_or_with_a_forged_signature_does_not_count() {
    let mut members = Members::new(4);
    members.report_vote(3, 1, 9);
    members.finalize(1, 1);
    members.report_vote(3, 1, 9);
    let mut forged = members.vote(2, 1, 1);
    forged.attestation.signer = members.vote(3, 1, 1).attestation.signer;
    members.register.report(Activity::Finalize(forged));
    assert_eq!(members.voted(), 0b0111);
    members.report_vote(3, 1, 1);
    assert_eq!(members.voted(), 0b1111);
}

#[test]
fn who_falls_silent_is_not_seen_any_more_after_a_round_of_leaders() {
    let mut members = Members::new(4);
    members.finalize(1, 1);
    members.report_vote(3, 1, 1);
    for view in 2..=4 {
        members.finalize(view, 1);
        assert_eq!(members.voted(), 0b1111, "view {view}");
    }
    members.finalize(5, 1);
    assert_eq!(members.voted(), 0b0111);
}

#[test]
fn what_is_kept_is_bounded_and_old_votes_are_forgotten() {
    let mut members = Members::new(4);
    for view in 1..=200 {
        members.finalize(view, 1);
        members.report_vote(3, view + 1_000, 1);
    }
    assert!(members.register.attendance.0.lock().unwrap().views.len() <= VIEWS_MAX);
    members.report_vote(3, 100, 1);
    assert_eq!(members.voted() & 0b1000, 0);
}
