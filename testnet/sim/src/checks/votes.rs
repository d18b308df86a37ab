//! S7: a member that keeps to the rules votes for one block in a view and never both gives a view up and finalizes in
//! it. Seen on the wire, over all its lives: a vote that left before it was durable shows after the next crash.

use crate::log::{Log, Mark};
use commonware_consensus::{Viewable as _, simplex::types::Vote};
use mains_consensus::{Digest, Scheme};
use std::{collections::BTreeMap, sync::Mutex};

#[derive(Default)]
struct Cast {
    notarized: Option<Digest>,
    finalized: Option<Digest>,
    nullified: bool,
}

/// What honest members voted, by view and member.
#[derive(Default)]
pub struct Votes(Mutex<BTreeMap<(u64, usize), Cast>>);

impl Votes {
    /// A member sends a vote.
    pub fn saw(&self, member: usize, vote: &Vote<Scheme, Digest>, log: &Log) {
        let view = vote.view().get();
        let mut votes = self.0.lock().expect("no holder panics");
        let cast = votes.entry((view, member)).or_default();
        let mut twice = None;
        match vote {
            Vote::Notarize(vote) => {
                let first = *cast.notarized.get_or_insert(vote.proposal.payload);
                twice = (first != vote.proposal.payload).then_some("to notarize two blocks");
            }
            Vote::Finalize(vote) => {
                let first = *cast.finalized.get_or_insert(vote.proposal.payload);
                twice = (first != vote.proposal.payload).then_some("to finalize two blocks");
            }
            Vote::Nullify(_) => cast.nullified = true,
        }
        if cast.nullified && cast.finalized.is_some() {
            twice = Some("to give up a view and to finalize in it");
        }
        if matches!(vote, Vote::Nullify(_)) {
            log.mark(Mark::LeaderChanged);
        }
        drop(votes);
        if let Some(twice) = twice {
            log.broken(|| format!("S7: member {member} voted {twice} in view {view}"));
        }
    }

    /// The place of whoever leads the view after the newest that anybody voted in.
    pub fn leader_of_next_view(&self, members: usize) -> usize {
        let votes = self.0.lock().expect("no holder panics");
        let view = votes.keys().next_back().map_or(0, |(view, _)| *view);
        (view as usize + 1) % members
    }
}

/// A vote in words.
pub fn words(vote: &Vote<Scheme, Digest>) -> String {
    let short = |digest: &Digest| hex::encode(&digest.0[..4]);
    match vote {
        Vote::Notarize(vote) => format!("view {}: notarize {}", vote.view().get(), short(&vote.proposal.payload)),
        Vote::Finalize(vote) => format!("view {}: finalize {}", vote.view().get(), short(&vote.proposal.payload)),
        Vote::Nullify(vote) => format!("view {}: give up", vote.view().get()),
    }
}
