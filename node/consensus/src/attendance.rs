//! Which members voted to finalize lately, as this replica saw it: what it says about them in the blocks it proposes.
//!
//! The engine reports votes as they come, late ones too, without having looked at every signature. A vote counts if its
//! block was finalized and its signature holds; a member that was seen a moment ago is not looked at again.
//! Spec: `specs/consensus.md`, "What the proposer saw".

use crate::{Digest, Scheme};
use commonware_actor::Feedback;
use commonware_consensus::{
    Reporter, Viewable as _,
    simplex::types::{Activity, Attributable as _, Finalization, Finalize},
};
use commonware_parallel::Sequential;
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Views whose votes are told apart: a vote that comes later than this many views is not seen.
const VIEWS_MAX: usize = 64;
/// The least number of finalized views that "lately" lasts: in a small committee votes of one round of leaders may still
/// be under way.
const ROUND_MIN: u64 = 4;

/// Who voted lately. Clones share one book.
#[derive(Clone, Debug)]
pub struct Attendance(Arc<Mutex<Votes>>);

#[derive(Debug)]
struct Votes {
    /// How many finalized views "lately" lasts: one round of leaders, so that a proposer tells what it saw since its last block.
    round: u64,
    /// Finalized views so far.
    finalized: u64,
    /// By member: `finalized` when a vote of it was seen last.
    seen: BTreeMap<u32, u64>,
    views: BTreeMap<u64, View>,
}

#[derive(Debug, Default)]
struct View {
    /// The block that was finalized.
    payload: Option<Digest>,
    /// Votes that came before that was known: one a member.
    waiting: BTreeMap<u32, Finalize<Scheme, Digest>>,
}

impl Attendance {
    /// Of a committee of this many members; nobody was seen yet.
    pub fn new(members: u32) -> Self {
        let round = u64::from(members).max(ROUND_MIN);
        Self(Arc::new(Mutex::new(Votes { round, finalized: 0, seen: BTreeMap::new(), views: BTreeMap::new() })))
    }

    /// Members, by place in the committee, whose votes came during about one round of leaders.
    pub fn voted(&self) -> u128 {
        let votes = self.0.lock().expect("no holder panics");
        let lately = votes.seen.iter().filter(|(_, at)| **at + votes.round > votes.finalized);
        lately.filter_map(|(member, _)| 1_u128.checked_shl(*member)).fold(0, |all, bit| all | bit)
    }
}

impl Votes {
    /// Whether a member was seen so short a time ago that one more vote would change nothing.
    fn is_fresh(&self, member: u32) -> bool {
        self.seen.get(&member).is_some_and(|at| at + self.round / 2 > self.finalized)
    }

    fn vote(&mut self, scheme: &Scheme, vote: Finalize<Scheme, Digest>) {
        let (member, number) = (vote.signer().get(), vote.view().get());
        if self.is_fresh(member) {
            return;
        }
        match self.view(number) {
            Some(View { payload: None, waiting }) => {
                waiting.entry(member).or_insert(vote);
            }
            Some(View { payload: Some(payload), .. }) if *payload == vote.proposal.payload => self.count(scheme, &vote),
            _ => {}
        }
    }

    fn finalization(&mut self, scheme: &Scheme, finalization: &Finalization<Scheme, Digest>) {
        let payload = finalization.proposal.payload;
        let Some(view) = self.view(finalization.view().get()).filter(|view| view.payload.is_none()) else { return };
        view.payload = Some(payload);
        let waiting = std::mem::take(&mut view.waiting);
        self.finalized += 1;
        for member in finalization.certificate.signers.iter() {
            self.seen.insert(member.get(), self.finalized);
        }
        for vote in waiting.values().filter(|vote| vote.proposal.payload == payload) {
            self.count(scheme, vote);
        }
    }

    /// Remembers a vote for a finalized block, if the member signed it.
    fn count(&mut self, scheme: &Scheme, vote: &Finalize<Scheme, Digest>) {
        let member = vote.signer().get();
        // One signature is verified as it is: nothing is drawn.
        if !self.is_fresh(member) && vote.verify(&mut StdRng::from_seed([0; 32]), scheme, &Sequential) {
            self.seen.insert(member, self.finalized);
        }
    }

    /// The view with this number, unless it is older than those that are told apart.
    fn view(&mut self, number: u64) -> Option<&mut View> {
        let is_full = self.views.len() >= VIEWS_MAX && !self.views.contains_key(&number);
        if is_full && self.views.first_key_value().is_some_and(|(oldest, _)| number < *oldest) {
            return None;
        }
        if is_full {
            self.views.pop_first();
        }
        Some(self.views.entry(number).or_default())
    }
}

/// Listens to the engine and keeps [`Attendance`].
#[derive(Clone)]
pub(crate) struct Register {
    scheme: Scheme,
    attendance: Attendance,
}

impl Register {
    pub(crate) fn new(scheme: Scheme, attendance: Attendance) -> Self {
        Self { scheme, attendance }
    }
}

impl Reporter for Register {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        let mut votes = self.attendance.0.lock().expect("no holder panics");
        match activity {
            Activity::Finalize(vote) => votes.vote(&self.scheme, vote),
            Activity::Finalization(finalization) => votes.finalization(&self.scheme, &finalization),
            _ => {}
        }
        Feedback::Ok
    }
}

#[cfg(test)]
mod tests;
