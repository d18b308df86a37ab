//! Wants members to be blamed for votes that were never cast: second votes that their voter did not sign, its own and those of
//! others. None of them is evidence.

use super::{Letter, Liar, Tools, votes};
use commonware_codec::Encode as _;
use commonware_consensus::simplex::types::Vote;
use commonware_utils::Participant;
use rand::RngExt as _;

pub(super) struct ForgedEvidence;

impl Liar for ForgedEvidence {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        let vote = letter.vote()?;
        // Two votes for its own blocks would be two blocks, which nobody needs its votes to see.
        if tools.rng.random_bool(0.5) || votes::is_own_proposal(tools, &vote) {
            return None;
        }
        let payload = votes::nowhere(tools);
        let second = match &vote {
            Vote::Finalize(vote) if tools.rng.random_bool(0.3) => votes::nullify(&tools.foreign, &vote.proposal),
            // Everybody sees that this is not its sender's vote.
            Vote::Notarize(vote) if tools.rng.random_bool(0.05) => {
                let mut vote = vote.clone();
                vote.proposal.payload = payload;
                vote.attestation.signer = Participant::new(tools.rng.random_range(0..=tools.others.len()) as u32);
                Vote::<mains_consensus::Scheme, _>::Notarize(vote).encode()
            }
            vote => votes::elsewhere(&tools.foreign, vote, payload)?,
        };
        let mut both = vec![letter.clone(), letter.with(second)];
        if tools.rng.random_bool(0.5) {
            both.reverse();
        }
        Some(both)
    }
}
