//! Changes of the tariff that operators proposed, and their votes. Those who run more than two thirds of the nodes decide;
//! what they decided comes into force only after everybody had time to see it. Spec: `specs/ledger.md`, "Changing the tariff".

#[cfg(test)]
mod tests;

use mains_ledger::tariff::{Amendment, AmendmentError, Tariff};
use mains_types::{Digest32, Height, Principal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Epochs between the vote that decides and the change: a week of days.
pub const NOTICE_EPOCHS: u64 = 7;
/// Epochs in which a proposal can be decided: a week of days.
pub const VOTING_EPOCHS: u64 = 7;
/// Proposals that are kept: the open ones, then the newest.
pub const PROPOSALS_MAX: usize = 64;
/// Bytes of a proposal's reason.
pub const REASON_BYTES_MAX: usize = 1_000;

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Votes are taken until this epoch ends.
    Open(u64),
    /// It was accepted and comes into force when this epoch ends.
    Accepted(u64),
    /// It is the tariff of this version.
    InForce(u32),
    /// A third or more of the nodes are against it.
    Rejected,
    /// Too few voted in time.
    Expired,
    /// Another change came first: it was made for a tariff that is no more.
    Superseded,
}

/// A proposed change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its number, from 1.
    pub id: u64,
    /// The operator who made it.
    pub proposer: Principal,
    /// What is to be changed.
    pub amendment: Amendment,
    /// Why.
    pub reason: String,
    /// The version of the tariff that it changes.
    pub base_version: u32,
    /// Votes by operator.
    pub votes: BTreeMap<Principal, bool>,
    /// What became of it.
    pub status: Status,
}

/// Why a proposal or a vote was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// Only those who run nodes have a say.
    #[error("only operators of nodes of this subnet have a say")]
    NotOperator,
    /// There is no such proposal, or it is not kept any more.
    #[error("there is no proposal {0}")]
    Unknown(u64),
    /// It is decided, or its time is over.
    #[error("proposal {0} is not open")]
    NotOpen(u64),
    /// An operator has one open proposal at a time.
    #[error("proposal {0} of this operator is still open")]
    StillOpen(u64),
    /// One change at a time.
    #[error("a change is announced already and comes into force after epoch {0}")]
    Announced(u64),
    /// A reason is given in at most this many bytes.
    #[error("a reason has at most {REASON_BYTES_MAX} bytes")]
    ReasonTooLong,
    /// The change goes too far.
    #[error("{0}")]
    Amendment(#[from] AmendmentError),
    /// As many proposals are open as are kept.
    #[error("{PROPOSALS_MAX} proposals are open")]
    TooMany,
}

/// All proposals that are kept, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposals {
    count: u64,
    kept: Vec<Proposal>,
}

/// Nodes by operator.
pub type Nodes = BTreeMap<Principal, u64>;

impl Proposals {
    /// All that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Proposal> + ExactSizeIterator {
        self.kept.iter()
    }

    /// The one that was accepted and is not in force yet, with the epoch after which it will be.
    pub fn announced(&self) -> Option<(&Proposal, u64)> {
        self.kept.iter().find_map(|proposal| match proposal.status {
            Status::Accepted(after) => Some((proposal, after)),
            _ => None,
        })
    }

    /// Makes a proposal for a change of the tariff in force, with its proposer's vote; returns its number.
    ///
    /// # Errors
    /// See [`ProposalError`].
    pub fn propose(
        &mut self,
        proposer: Principal,
        amendment: Amendment,
        reason: String,
        tariff: &Tariff,
        epoch: u64,
        nodes: &Nodes,
    ) -> Result<u64, ProposalError> {
        if !nodes.contains_key(&proposer) {
            return Err(ProposalError::NotOperator);
        }
        if let Some((_, after)) = self.announced() {
            return Err(ProposalError::Announced(after));
        }
        if reason.len() > REASON_BYTES_MAX {
            return Err(ProposalError::ReasonTooLong);
        }
        let is_open = |proposal: &&Proposal| matches!(proposal.status, Status::Open(_));
        if let Some(own) = self.kept.iter().filter(is_open).find(|proposal| proposal.proposer == proposer) {
            return Err(ProposalError::StillOpen(own.id));
        }
        tariff.amended(&amendment, Height::ZERO)?;
        if self.kept.len() >= PROPOSALS_MAX {
            let decided = self.kept.iter().position(|proposal| !matches!(proposal.status, Status::Open(_)));
            self.kept.remove(decided.ok_or(ProposalError::TooMany)?);
        }
        self.count += 1;
        self.kept.push(Proposal {
            id: self.count,
            proposer,
            amendment,
            reason,
            base_version: tariff.version,
            votes: BTreeMap::new(),
            status: Status::Open(epoch.saturating_add(VOTING_EPOCHS)),
        });
        self.vote(self.count, proposer, true, epoch, nodes)?;
        Ok(self.count)
    }

    /// Counts an operator's vote, which it may change while the proposal is open, and decides if it can be decided.
    ///
    /// # Errors
    /// See [`ProposalError`].
    pub fn vote(
        &mut self,
        id: u64,
        operator: Principal,
        is_for: bool,
        epoch: u64,
        nodes: &Nodes,
    ) -> Result<(), ProposalError> {
        if !nodes.contains_key(&operator) {
            return Err(ProposalError::NotOperator);
        }
        if let Some((_, after)) = self.announced() {
            return Err(ProposalError::Announced(after));
        }
        let proposal = self.kept.iter_mut().find(|proposal| proposal.id == id).ok_or(ProposalError::Unknown(id))?;
        if !matches!(proposal.status, Status::Open(_)) {
            return Err(ProposalError::NotOpen(id));
        }
        proposal.votes.insert(operator, is_for);
        let (yes, no, all) = proposal.tally(nodes);
        if 3 * yes > 2 * all {
            proposal.status = Status::Accepted(epoch.saturating_add(NOTICE_EPOCHS));
        } else if 3 * no >= all {
            proposal.status = Status::Rejected;
        }
        Ok(())
    }

    /// An epoch ended: what is due comes into force as the tariff that is returned, what nobody decided in time expires.
    pub fn end_epoch(&mut self, epoch: u64, tariff: &Tariff, effective_height: Height) -> Option<Tariff> {
        let due = |status: &Status| matches!(status, Status::Accepted(after) if *after <= epoch);
        let next = self.kept.iter_mut().find(|proposal| due(&proposal.status)).and_then(|proposal| {
            let next = tariff.amended(&proposal.amendment, effective_height).ok();
            proposal.status = next.as_ref().map_or(Status::Superseded, |next| Status::InForce(next.version));
            next
        });
        for proposal in &mut self.kept {
            match proposal.status {
                Status::Open(_) if next.is_some() => proposal.status = Status::Superseded,
                Status::Open(until) if until <= epoch => proposal.status = Status::Expired,
                _ => {}
            }
        }
        next
    }

    /// What the root covers.
    pub(crate) fn digest(&self) -> Digest32 {
        crate::state::digest_of(self)
    }
}

impl Proposal {
    /// Nodes for it, against it, and all nodes.
    pub fn tally(&self, nodes: &Nodes) -> (u64, u64, u64) {
        let of = |vote: bool| {
            let voters = self.votes.iter().filter(|(_, is_for)| **is_for == vote);
            voters.map(|(operator, _)| nodes.get(operator).copied().unwrap_or(0)).sum()
        };
        (of(true), of(false), nodes.values().sum())
    }
}
