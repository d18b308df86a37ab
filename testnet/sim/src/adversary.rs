//! Members that lie: what an honest replica sends is bent on its way out, with that member's own keys.
//!
//! One behaviour a file. A liar may do anything with its keys and its wire; honest members must stay in agreement,
//! make progress, keep evidence where there can be some, and never blame each other. Spec: `specs/simulation.md`.

mod altered;
mod bad_shares;
mod double_votes;
mod equivocation;
mod executed_calls;
mod false_certificates;
mod false_claims;
mod floods;
mod foreign_votes;
mod forged_answers;
mod forged_evidence;
mod garbage;
mod invalid_blocks;
mod oversized_blocks;
mod replays;
mod slow;
mod votes;
mod withheld;

use altered::AlteredBlocks;
use bytes::Bytes;
use commonware_consensus::simplex::types::Vote;
use mains_consensus::{ChainKey, Digest, PublicKey, Scheme};
use rand::rngs::StdRng;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// How a member misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the files")]
pub enum Behaviour {
    DoubleVotes,
    Equivocation,
    InvalidBlocks,
    Withheld,
    BadShares,
    ForgedAnswers,
    Floods,
    ForeignVotes,
    Replays,
    Garbage,
    Slow,
    FalseClaims,
    ExecutedCalls,
    FalseCertificates,
    ForgedEvidence,
    OversizedBlocks,
}

impl Behaviour {
    /// Those that go together with any other.
    pub const COMMON: [Self; 12] = [
        Self::DoubleVotes,
        Self::Equivocation,
        Self::InvalidBlocks,
        Self::Withheld,
        Self::BadShares,
        Self::ForgedAnswers,
        Self::Floods,
        Self::ForeignVotes,
        Self::Replays,
        Self::Garbage,
        Self::Slow,
        Self::FalseClaims,
    ];

    /// Those that a single check stands against: a liar that does one of them does it whenever it can.
    pub const RARE: [Self; 6] = [
        Self::InvalidBlocks,
        Self::InvalidBlocks,
        Self::ExecutedCalls,
        Self::FalseCertificates,
        Self::ForgedEvidence,
        Self::OversizedBlocks,
    ];

    /// A liar that does this.
    pub fn liar(self) -> Box<dyn Liar> {
        let blocks = |alter| Box::new(AlteredBlocks::new(alter));
        match self {
            Self::DoubleVotes => Box::new(double_votes::DoubleVotes),
            Self::Equivocation => Box::new(equivocation::Equivocation::default()),
            Self::InvalidBlocks => blocks(invalid_blocks::alter),
            Self::Withheld => Box::new(withheld::Withheld),
            Self::BadShares => Box::new(bad_shares::BadShares),
            Self::ForgedAnswers => Box::new(forged_answers::ForgedAnswers),
            Self::Floods => Box::new(floods::Floods),
            Self::ForeignVotes => Box::new(foreign_votes::ForeignVotes),
            Self::Replays => Box::new(replays::Replays::default()),
            Self::Garbage => Box::new(garbage::Garbage),
            Self::Slow => Box::new(slow::Slow),
            Self::FalseClaims => blocks(false_claims::alter),
            Self::ExecutedCalls => blocks(executed_calls::alter),
            Self::FalseCertificates => blocks(false_certificates::alter),
            Self::ForgedEvidence => Box::new(forged_evidence::ForgedEvidence),
            Self::OversizedBlocks => blocks(oversized_blocks::alter),
        }
    }
}

/// What a liar works with: its own keys and what it saw.
pub struct Tools {
    /// Signs its votes.
    pub scheme: Scheme,
    /// Signs votes of another network with the same members.
    pub foreign: Scheme,
    /// Its share of the chain key.
    pub chain_key: Arc<ChainKey>,
    /// Its place among the members.
    pub place: usize,
    /// The other members.
    pub others: Vec<PublicKey>,
    /// What it draws from.
    pub rng: StdRng,
    /// Calls of clients.
    pub loot: Loot,
}

/// Calls that liars work with; all of them share these.
#[derive(Clone, Default)]
pub struct Loot {
    /// Signed calls that clients sent, newest last: executed or altered ones come from here.
    pub calls: Arc<Mutex<VecDeque<Bytes>>>,
    /// Calls in a client's name that the client never signed.
    pub forged: Arc<Mutex<VecDeque<Bytes>>>,
    /// Calls that a client signed and that had expired when it did.
    pub expired: Arc<Mutex<VecDeque<Bytes>>>,
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The channel's number.
    pub channel: u64,
    /// To whom.
    pub to: Vec<PublicKey>,
    /// The message.
    pub bytes: Bytes,
    /// Sent this much later.
    pub after: Duration,
}

impl Letter {
    /// The same to the same members, with another content.
    pub fn with(&self, bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), ..self.clone() }
    }

    /// The same content to the first and to the second half of its receivers.
    pub fn halves(&self) -> [Self; 2] {
        let (first, second) = self.to.split_at(self.to.len() / 2);
        [first, second].map(|to| Self { to: to.to_vec(), ..self.clone() })
    }

    /// The vote in it, if it is one.
    pub fn vote(&self) -> Option<Vote<Scheme, Digest>> {
        votes::read(self)
    }
}

/// Bends what a member sends.
pub trait Liar: Send {
    /// What is sent instead of `letter`; `None` if it stays as it is.
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>>;
}

/// One that does several things: the first of them that bends a letter does.
impl Liar for Vec<Box<dyn Liar>> {
    fn send(&mut self, tools: &mut Tools, letter: &Letter) -> Option<Vec<Letter>> {
        self.iter_mut().find_map(|liar| liar.send(tools, letter))
    }
}
