//! Which rules blocks are executed by, and when that changes: replicated, so that all members switch at one height.
//!
//! Proposers say which version their binary knows. Once all members know a newer one, or a quorum has for long enough, the
//! switch is fixed at a height that lies a notice ahead, for good: a member whose binary does not know the version has heard of
//! it before that height, and stops there. Spec: `specs/consensus.md`, "Versions".

use crate::{checkpoint::StorageFailure, state::digest_of};
use imbl::OrdMap;
use mains_types::{Digest32, Height, NodeId, UnixNanos, version::FIRST_VERSION};
use serde::{Deserialize, Serialize};

/// How a subnet changes to a newer version, the same for all members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchRules {
    /// Heights of switches are multiples of this.
    pub multiple: u64,
    /// Heights between fixing a switch and the switch, at least. A member that executed less than this below a height cannot
    /// know by which rules that height is executed.
    pub notice: u64,
    /// How long a quorum waits for the other members.
    pub patience_nanos: u64,
}

impl SwitchRules {
    /// For checkpoints every `interval` heights: the notice is two of them, and a quorum waits for a day.
    pub const fn of(interval: u64) -> Self {
        let notice = interval.saturating_mul(2);
        Self { multiple: interval, notice, patience_nanos: 24 * 60 * 60 * UnixNanos::SECOND }
    }
}

/// A change of version that was fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// To which version.
    pub version: u32,
    /// The first height that is executed by it.
    pub height: Height,
}

/// The version of a subnet, and what its members know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    version: u32,
    rules: SwitchRules,
    /// The newest version that each member's binary knew when it last proposed a block.
    known: OrdMap<NodeId, u32>,
    /// A version that a quorum knows, and since when.
    awaited: Option<(u32, UnixNanos)>,
    switch: Option<Switch>,
}

impl Protocol {
    /// As a subnet begins.
    pub(crate) fn begin(rules: SwitchRules) -> Self {
        Self { version: FIRST_VERSION, rules, known: OrdMap::new(), awaited: None, switch: None }
    }

    /// The version that the newest height was executed by; while a block executes, its own.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The switch that lies ahead.
    pub fn switch(&self) -> Option<Switch> {
        self.switch
    }

    /// The version that a later height is executed by, as far as it is fixed: certain up to a notice above the newest height.
    pub fn version_at(&self, height: Height) -> u32 {
        self.switch.filter(|switch| height >= switch.height).map_or(self.version, |switch| switch.version)
    }

    /// How far ahead [`Self::version_at`] is certain.
    pub fn notice(&self) -> u64 {
        self.rules.notice
    }

    /// The newest version that a member said it knows; `None` if it has not said anything.
    pub fn known(&self, node: &NodeId) -> Option<u32> {
        self.known.get(node).copied()
    }

    /// A height begins: from here on its version holds.
    pub fn enter(&mut self, height: Height) {
        self.version = self.version_at(height);
        self.switch = self.switch.filter(|switch| height < switch.height);
    }

    /// Counts what the proposer of a block knows, and fixes a switch when it is time; `true` if it did.
    pub fn count(&mut self, members: impl ExactSizeIterator<Item = NodeId>, block: Announcement) -> bool {
        self.known.insert(block.proposer, block.newest);
        let count = members.len();
        let mut known: Vec<u32> = members.map(|node| self.known(&node).unwrap_or(FIRST_VERSION)).collect();
        known.sort_unstable();
        // A quorum is all but f of n >= 3f + 1.
        let faults = count.saturating_sub(1) / 3;
        let (all, quorum) = (known.first().copied(), known.get(faults).copied());
        let newer = |version: Option<u32>| version.filter(|version| *version > self.version);
        let (all, quorum) = (newer(all), newer(quorum));
        self.awaited = quorum.map(|version| match self.awaited {
            Some((awaited, since)) if awaited == version => (version, since),
            _ => (version, block.time),
        });
        if self.switch.is_some() {
            return false;
        }
        let waited_for = |(_, since): &(u32, UnixNanos)| block.time.nanos_since(*since) >= self.rules.patience_nanos;
        let Some(version) = self.awaited.filter(waited_for).map(|(version, _)| version).or(all) else { return false };
        let multiple = self.rules.multiple.max(1);
        let height = Height(block.height.get().saturating_add(self.rules.notice).div_ceil(multiple) * multiple);
        self.switch = Some(Switch { version, height });
        true
    }

    /// Everything, for the root.
    pub(crate) fn digest(&self) -> Digest32 {
        digest_of(self)
    }
}

/// What a block says about its proposer's binary.
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    /// Who proposed it.
    pub proposer: NodeId,
    /// The newest version that its binary knows.
    pub newest: u32,
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: UnixNanos,
}

/// Remembers, beside the data and whatever becomes of them, the newest version that they were changed by: an older binary must
/// not open them.
pub trait VersionMark: Send + Sync + 'static {
    /// The newest version, [`FIRST_VERSION`] if there was no switch.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> Result<u32, StorageFailure>;
    /// From now on, durably, it is this one.
    ///
    /// # Errors
    /// See [`StorageFailure`].
    fn raise(&self, version: u32) -> Result<(), StorageFailure>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::Principal;

    const RULES: SwitchRules = SwitchRules { multiple: 10, notice: 20, patience_nanos: 1_000 };

    fn members(count: u8) -> Vec<NodeId> {
        (0..count).map(|index| Principal::from_slice(&[index])).collect()
    }

    /// One more block per entry: who proposes it and what it knows. Heights from 1 on, a nanosecond each.
    fn play(protocol: &mut Protocol, count: u8, from: u64, blocks: &[(u8, u32)]) -> u64 {
        let mut height = from;
        for (proposer, newest) in blocks {
            protocol.enter(Height(height));
            let proposer = members(count)[usize::from(*proposer)];
            let block = Announcement { proposer, newest: *newest, height: Height(height), time: UnixNanos(height) };
            protocol.count(members(count).into_iter(), block);
            height += 1;
        }
        height
    }

    #[test]
    fn a_switch_is_fixed_once_all_know_the_version_and_happens_a_notice_later() {
        let mut protocol = Protocol::begin(RULES);
        play(&mut protocol, 4, 1, &[(0, 1), (1, 2), (2, 2), (3, 2)]);
        assert_eq!(protocol.switch(), None, "one does not know it yet");
        play(&mut protocol, 4, 5, &[(0, 2)]);
        let switch = Switch { version: 2, height: Height(30) };
        assert_eq!(protocol.switch(), Some(switch), "the first multiple of ten that is twenty above");
        // For good, even if somebody goes back.
        play(&mut protocol, 4, 6, &[(0, 1)]);
        assert_eq!((protocol.switch(), protocol.version()), (Some(switch), 1));
        assert_eq!((protocol.version_at(Height(29)), protocol.version_at(Height(30))), (1, 2));
        protocol.enter(Height(29));
        assert_eq!(protocol.version(), 1);
        protocol.enter(Height(30));
        assert_eq!((protocol.version(), protocol.switch()), (2, None));
    }

    #[test]
    fn a_quorum_waits_for_the_rest_but_not_for_ever() {
        let mut protocol = Protocol::begin(RULES);
        let next = play(&mut protocol, 4, 1, &[(1, 2), (2, 2), (3, 2)]);
        assert_eq!(next, 4);
        play(&mut protocol, 4, 1_002, &[(1, 2)]);
        assert_eq!(protocol.switch(), None, "one nanosecond too early");
        play(&mut protocol, 4, 1_003, &[(2, 2)]);
        assert_eq!(protocol.switch(), Some(Switch { version: 2, height: Height(1_030) }));
    }

    #[test]
    fn who_takes_its_word_back_before_the_switch_is_fixed_starts_the_wait_again() {
        let mut protocol = Protocol::begin(RULES);
        play(&mut protocol, 4, 1, &[(1, 2), (2, 2), (3, 2)]);
        play(&mut protocol, 4, 900, &[(3, 1), (3, 2)]);
        play(&mut protocol, 4, 1_500, &[(3, 2)]);
        assert_eq!(protocol.switch(), None, "a quorum again only since height 901");
        play(&mut protocol, 4, 1_901, &[(3, 2)]);
        assert!(protocol.switch().is_some());
    }

    #[test]
    fn f_liars_neither_bring_a_switch_about_nor_keep_a_quorum_from_it() {
        let mut protocol = Protocol::begin(RULES);
        play(&mut protocol, 7, 1, &[(0, 9), (1, 9)]);
        play(&mut protocol, 7, 5_000, &[(0, 9), (1, 9)]);
        assert_eq!((protocol.switch(), protocol.awaited), (None, None));
        // Five of seven are a quorum: they switch to what all five know.
        play(&mut protocol, 7, 5_002, &[(2, 2), (3, 2), (4, 3)]);
        assert_eq!(protocol.awaited.map(|(version, _)| version), Some(2));
    }

    #[test]
    fn a_single_member_switches_by_itself() {
        let mut protocol = Protocol::begin(RULES);
        play(&mut protocol, 1, 1, &[(0, 2)]);
        assert_eq!(protocol.switch(), Some(Switch { version: 2, height: Height(30) }));
    }
}
