//! What each member did for the subnet in the present epoch, and how past epochs were settled.
//!
//! Everything is counted from blocks, so that every replica counts alike, and nothing rests on the word of the one who
//! gains: blocks and failed views are facts of the chain, and a member counts as having voted or signed states in a
//! window of blocks only if more than a third of the *other* members, each in at least half of its own blocks, say to have
//! seen it. So the greatest number of faulty members can neither make up a neighbour's work nor hide it.
//! Spec: `specs/ledger.md`.

#[cfg(test)]
mod tests;

use crate::message::Hashed;
use imbl::Vector;
use mains_ledger::{OperatorWeight, Settlement};
use mains_types::{Digest32, Height, NodeId, Principal, UnixNanos};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use mains_ledger::work::{Earned, NodeWork, Settled};

/// Blocks of a window on subnets of up to 32 members: long enough for each of 13 to lead four times, about half a minute of an
/// idle subnet. Of more members, each should lead twice; see [`window_blocks`].
pub const WINDOW_BLOCKS: u64 = 64;
/// Settlements that are kept.
pub const SETTLEMENTS_MAX: usize = 60;

/// Blocks of a window on a subnet of so many members: as many honest ones as must tell have led in it, and more.
pub fn window_blocks(members: usize) -> u64 {
    WINDOW_BLOCKS.max(2 * members as u64)
}

/// What the proposer of a block says it saw of the other members lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Votes to finalize of these.
    pub voted: BTreeSet<NodeId>,
    /// Valid shares of certificates of these.
    pub certified: BTreeSet<NodeId>,
}

/// What one proposer said in the blocks of a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Testimony {
    /// Its blocks.
    blocks: u64,
    /// By member: in how many of them it said to have seen votes.
    voted: BTreeMap<NodeId, u64>,
    /// By member: in how many of them it said to have seen shares of certificates.
    certified: BTreeMap<NodeId, u64>,
}

impl Testimony {
    fn add(&mut self, seen: &Seen) {
        self.blocks += 1;
        for (all, seen) in [(&mut self.voted, &seen.voted), (&mut self.certified, &seen.certified)] {
            seen.iter().for_each(|node| *all.entry(*node).or_default() += 1);
        }
    }

    /// Whether it said so in at least half of its blocks: not of a member that was here for a moment.
    fn names(&self, of: &BTreeMap<NodeId, u64>, node: &NodeId) -> bool {
        of.get(node).is_some_and(|times| 2 * times >= self.blocks)
    }
}

/// The present epoch and the settlements of past ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Epochs {
    number: u64,
    first: Height,
    began: UnixNanos,
    work: BTreeMap<NodeId, NodeWork>,
    /// Who is paid for a member's work: who operated it in the last window in which it was a member.
    operators: BTreeMap<NodeId, Principal>,
    /// Blocks of the present window.
    blocks: u64,
    /// What proposers of the present window saw.
    seen: BTreeMap<NodeId, Testimony>,
    settled: Vector<Arc<Hashed<Settled>>>,
}

impl Epochs {
    /// Before the first block.
    pub fn begin(time: UnixNanos) -> Self {
        Self {
            number: 1,
            first: Height(1),
            began: time,
            work: BTreeMap::new(),
            operators: BTreeMap::new(),
            blocks: 0,
            seen: BTreeMap::new(),
            settled: Vector::new(),
        }
    }

    /// The present epoch's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When the present epoch began.
    pub fn began(&self) -> UnixNanos {
        self.began
    }

    /// What members did in the present epoch, up to the last whole window.
    pub fn work(&self) -> &BTreeMap<NodeId, NodeWork> {
        &self.work
    }

    /// Past epochs, oldest first.
    pub fn settled(&self) -> impl DoubleEndedIterator<Item = &Settled> + ExactSizeIterator {
        self.settled.iter().map(|settled| &***settled)
    }

    /// Counts a block: its proposer, lost views since the block before it, and what the proposer says to have seen.
    /// `members` are the subnet's, each with its operator if that is known. True if the block ended a window: then an epoch
    /// may be closed.
    pub fn count_block(
        &mut self,
        members: impl IntoIterator<Item = (NodeId, Option<Principal>)>,
        proposer: NodeId,
        failed: &[(NodeId, u64)],
        seen: &Seen,
    ) -> bool {
        self.work.entry(proposer).or_default().proposed += 1;
        for (node, views) in failed {
            let work = self.work.entry(*node).or_default();
            work.failed = work.failed.saturating_add(*views);
        }
        self.seen.entry(proposer).or_default().add(seen);
        self.blocks += 1;
        let members: Vec<_> = members.into_iter().collect();
        if self.blocks < window_blocks(members.len()) {
            return false;
        }
        self.blocks = 0;
        self.end_window(&members);
        true
    }

    fn end_window(&mut self, members: &[(NodeId, Option<Principal>)]) {
        let testimonies = std::mem::take(&mut self.seen);
        // One more than can be faulty, at least one of whom tells the truth; alone, a member is its own witness.
        let needed = members.len().saturating_sub(1) / 3 + 1;
        let is_witness = |witness: &NodeId, node: &NodeId| {
            members.len() == 1 || witness != node && members.iter().any(|(member, _)| member == witness)
        };
        for (node, operator) in members {
            let is_seen = |of: fn(&Testimony) -> &BTreeMap<NodeId, u64>| {
                let witnesses = testimonies.iter().filter(|(witness, _)| is_witness(witness, node));
                witnesses.filter(|(_, testimony)| testimony.names(of(testimony), node)).count() >= needed
            };
            let (voted, certified) = (is_seen(|of| &of.voted), is_seen(|of| &of.certified));
            let work = self.work.entry(*node).or_default();
            work.windows += 1;
            work.voted += u64::from(voted);
            work.certified += u64::from(certified);
            match operator {
                Some(operator) => self.operators.insert(*node, *operator),
                None => self.operators.remove(node),
            };
        }
    }

    /// The weights that the present epoch is settled by, in the order of the nodes. A node that left is paid for the windows
    /// in which it was a member. One without a known operator earns nothing, and its share goes where unearned shares go.
    pub fn weights(&self) -> Vec<OperatorWeight> {
        let weight = |(node, work): (&NodeId, &NodeWork)| {
            work.weighed(self.operators.get(node).copied().unwrap_or(Principal::anonymous()))
        };
        self.work.iter().map(weight).collect()
    }

    /// Closes the present epoch at a height, as `settlement` with the amounts of [`Epochs::weights`] says, and begins
    /// the next one.
    pub fn close(&mut self, height: Height, time: UnixNanos, settlement: Settlement) -> &Settled {
        let work = std::mem::take(&mut self.work);
        self.operators.clear();
        let pay = settlement.operators.iter().map(|(operator, amount)| (*operator, amount.get()));
        let nodes = work.into_iter().zip(pay);
        let settled = Settled {
            epoch: self.number,
            first: self.first,
            last: height,
            began: self.began,
            ended: time,
            nodes: nodes.map(|((node, work), (operator, amount))| (node, Earned { operator, work, amount })).collect(),
            settlement,
        };
        while self.settled.len() >= SETTLEMENTS_MAX {
            self.settled.pop_front();
        }
        self.settled.push_back(Arc::new(Hashed::new(settled)));
        (self.number, self.first, self.began) = (self.number + 1, height.next(), time);
        self.settled.last().expect("just put there")
    }

    /// The newest settlement's digest; of nothing if there is none.
    pub fn last_digest(&self) -> Digest32 {
        self.settled.last().map(|settled| settled.digest()).unwrap_or_default()
    }

    /// What the root covers: past settlements are hashed once.
    pub(crate) fn digest(&self) -> Digest32 {
        let Self { number, first, began, work, operators, blocks, seen, settled } = self;
        let settled: Vec<Digest32> = settled.iter().map(|settled| settled.digest()).collect();
        crate::state::digest_of(&(number, first, began, work, operators, blocks, seen, settled))
    }
}
