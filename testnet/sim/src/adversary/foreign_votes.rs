//! Votes as it would in another network with the same members, and in another epoch of this one.

use super::{Letter, Liar, Tools, votes};
use commonware_consensus::{
    simplex::types::{Proposal, Vote},
    types::{Epoch, Round},
};
use rand::RngExt as _;

pub(super) struct ForeignVotes;

impl Liar for ForeignVotes {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        let vote = letter.vote()?;
        if tools.rng.random_bool(0.8) {
            return None;
        }
        let payload = votes::payload(&vote)?;
        if tools.rng.random_bool(0.7) {
            return Some(vec![letter.with(votes::elsewhere(&tools.foreign, &vote, payload)?)]);
        }
        let Vote::Notarize(vote) = vote else { return None };
        let round = Round::new(Epoch::new(1), vote.proposal.round.view());
        let proposal = Proposal::new(round, vote.proposal.parent, payload);
        Some(vec![letter.with(votes::notarize(&tools.scheme, proposal))])
    }
}
