//! Proof that a member voted twice in one view: both votes with its signatures, checkable by anybody who has the genesis
//! file. The engine reports a second vote as it comes; only what verifies is kept, so nobody is blamed by hearsay.

use crate::{Committee, Digest, Scheme, committee};
use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_consensus::{
    Reporter, Viewable as _,
    simplex::types::{Activity, Attributable as _, ConflictingFinalize, ConflictingNotarize, NullifyFinalize},
};
use commonware_parallel::Sequential;
use mains_types::{
    Digest32, NodeId,
    planted::{self, Defect},
};
use rand::{SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// What a member did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offence {
    /// It voted to notarize two blocks in one view.
    TwoNotarizations,
    /// It voted to finalize two blocks in one view.
    TwoFinalizations,
    /// It voted to give up a view and to finalize a block in it.
    NullifiedAndFinalized,
}

impl Offence {
    /// Its name in status reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoNotarizations => "two_notarizations",
            Self::TwoFinalizations => "two_finalizations",
            Self::NullifiedAndFinalized => "nullified_and_finalized",
        }
    }
}

/// A proven offence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Who.
    pub node: NodeId,
    /// In which view.
    pub view: u64,
    /// What.
    pub offence: Offence,
    /// An offence's number (one byte), then both signed votes in the engine's encoding.
    pub proof: Bytes,
}

impl Evidence {
    /// Reads a proof and checks it: `None` unless a member of the committee with these keys signed both votes in the
    /// network with this name and genesis. Needs nothing but the genesis file: anybody can do it.
    pub fn verify(proof: &Bytes, participants: &[[u8; 32]], network: &str, genesis: &Digest32) -> Option<Self> {
        let committee = Committee::new(participants).ok()?;
        let scheme = committee.verifier(&committee::namespace(network, genesis));
        Self::read(proof, &committee, &scheme)
    }

    fn read(proof: &Bytes, committee: &Committee, scheme: &Scheme) -> Option<Self> {
        let (number, votes) = (*proof.first()?, proof.slice(1..));
        let activity = match number {
            0 => Activity::ConflictingNotarize(ConflictingNotarize::decode(votes).ok()?),
            1 => Activity::ConflictingFinalize(ConflictingFinalize::decode(votes).ok()?),
            2 => Activity::NullifyFinalize(NullifyFinalize::decode(votes).ok()?),
            _ => return None,
        };
        Self::of(&activity, committee, scheme)
    }

    /// The evidence in a report of the engine, if there is one and it verifies.
    fn of(activity: &Activity<Scheme, Digest>, committee: &Committee, scheme: &Scheme) -> Option<Self> {
        let evidence = Self::claimed(activity, committee)?;
        // What is checked together is weighed with what depends on every byte of it.
        let mut rng = StdRng::from_seed(Sha256::digest(&evidence.proof).into());
        activity.verify(&mut rng, scheme, &Sequential).then_some(evidence)
    }

    /// What a report of the engine says, true or not.
    fn claimed(activity: &Activity<Scheme, Digest>, committee: &Committee) -> Option<Self> {
        let (offence, signer, view) = accused(activity)?;
        let proof = encode(activity)?;
        let node = committee::node_id(committee.members().iter().nth(signer as usize)?);
        Some(Self { node, view, offence, proof })
    }
}

fn accused(activity: &Activity<Scheme, Digest>) -> Option<(Offence, u32, u64)> {
    match activity {
        Activity::ConflictingNotarize(votes) => {
            Some((Offence::TwoNotarizations, votes.signer().get(), votes.view().get()))
        }
        Activity::ConflictingFinalize(votes) => {
            Some((Offence::TwoFinalizations, votes.signer().get(), votes.view().get()))
        }
        Activity::NullifyFinalize(votes) => {
            Some((Offence::NullifiedAndFinalized, votes.signer().get(), votes.view().get()))
        }
        _ => None,
    }
}

fn encode(activity: &Activity<Scheme, Digest>) -> Option<Bytes> {
    let (number, votes) = match activity {
        Activity::ConflictingNotarize(votes) => (0, votes.encode()),
        Activity::ConflictingFinalize(votes) => (1, votes.encode()),
        Activity::NullifyFinalize(votes) => (2, votes.encode()),
        _ => return None,
    };
    Some([&[number], &votes[..]].concat().into())
}

/// The evidence that a replica holds: the first of each kind against each member, so at most three times the committee.
#[derive(Clone, Debug, Default)]
pub struct EvidenceBook(Arc<Mutex<BTreeMap<(u32, Offence), Evidence>>>);

impl EvidenceBook {
    /// Everything in it, by member and kind.
    pub fn all(&self) -> Vec<Evidence> {
        self.lock().values().cloned().collect()
    }

    /// Adds a proof from before a restart, if it verifies; see [`Evidence::verify`]. Returns whether it was new.
    pub fn remember(&self, proof: &Bytes, participants: &[[u8; 32]], network: &str, genesis: &Digest32) -> bool {
        let Some(evidence) = Evidence::verify(proof, participants, network, genesis) else { return false };
        let committee = Committee::new(participants).expect("it has verified a proof");
        let place = committee.members().iter().position(|member| committee::node_id(member) == evidence.node);
        let key = (place.expect("a member was proven guilty") as u32, evidence.offence);
        let mut book = self.lock();
        let is_new = !book.contains_key(&key);
        book.entry(key).or_insert(evidence);
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(u32, Offence), Evidence>> {
        self.0.lock().expect("no holder panics")
    }
}

/// Listens to the engine and fills the book.
#[derive(Clone)]
pub(crate) struct Recorder {
    committee: Committee,
    scheme: Scheme,
    book: EvidenceBook,
}

impl Recorder {
    pub(crate) fn new(committee: Committee, scheme: Scheme, book: EvidenceBook) -> Self {
        Self { committee, scheme, book }
    }
}

impl Reporter for Recorder {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        let Some((offence, signer, _)) = accused(&activity) else { return Feedback::Ok };
        if self.book.lock().contains_key(&(signer, offence)) {
            return Feedback::Ok;
        }
        let evidence = if planted::is(Defect::EvidenceUnverified) {
            Evidence::claimed(&activity, &self.committee)
        } else {
            Evidence::of(&activity, &self.committee, &self.scheme)
        };
        if let Some(evidence) = evidence {
            tracing::warn!(node = %evidence.node, view = evidence.view, offence = offence.name(), "a member voted twice");
            self.book.lock().insert((signer, offence), evidence);
        }
        Feedback::Ok
    }
}

#[cfg(test)]
mod tests;
