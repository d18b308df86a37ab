//! Votes for two blocks in the same view, and to give up a view that it also finalizes. Everybody sees both.

use super::{Letter, Liar, Tools, votes};
use commonware_consensus::simplex::types::Vote;
use rand::RngExt as _;

pub(super) struct DoubleVotes;

impl Liar for DoubleVotes {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        let vote = letter.vote()?;
        if tools.rng.random_bool(0.7) {
            return None;
        }
        let payload = votes::nowhere(tools);
        let second = match &vote {
            Vote::Finalize(vote) if tools.rng.random_bool(0.5) => votes::nullify(&tools.scheme, &vote.proposal),
            // A second vote that it could say it never signed: no evidence.
            vote if tools.rng.random_bool(0.2) => votes::elsewhere(&tools.foreign, vote, payload)?,
            vote => votes::elsewhere(&tools.scheme, vote, payload)?,
        };
        Some(vec![letter.clone(), letter.with(second)])
    }
}
