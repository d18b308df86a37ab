//! Defects that the simulator must find: each stands at one place in the code behind [`is`], and does nothing unless this
//! crate is built with the feature `planted` and the defect was chosen at run time.
//!
//! The feature is never a default one, and the node's process does not compile with it (`node/operator`). The figures are
//! in `specs/promises.md`, made by `mains-sim --planted all`.

/// Whether this build can hold a defect at all.
pub const POSSIBLE: bool = cfg!(feature = "planted");

macro_rules! defects {
    ($($(#[doc = $what:literal])* $name:ident,)*) => {
        /// A defect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Defect {
            $($(#[doc = $what])* $name,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What is wrong, in a sentence.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),*).trim_ascii(),)*
                }
            }
        }
    };
}

defects! {
    /// f shares of the chain key sign for the subnet instead of n - f.
    QuorumTooSmall,
    /// Votes are sent before they are durable.
    VoteBeforeSync,
    /// A restored checkpoint has forgotten which requests ran.
    DedupLostOnRestart,
    /// A request that is in two blocks runs twice.
    DedupSkipped,
    /// Cycles that a callee did not take are kept from the caller.
    RefundDropped,
    /// Cycles that a callee did not take come back twice.
    RefundDoubled,
    /// A proposer takes expired calls from its pool.
    ExpiredProposed,
    /// Nobody looks at whether a block's calls expired.
    ExpiryUnchecked,
    /// Nobody looks at the signatures of a block's calls.
    SignatureUnchecked,
    /// Nobody looks for a call that is twice in a block.
    DuplicateUnchecked,
    /// What a message wrote stays after it trapped.
    PageNotRolledBack,
    /// A signature made of partial ones is not verified.
    ShareUnverified,
    /// A member may send another's partial signature.
    OthersShareBelieved,
    /// A certificate from a peer is not verified.
    CertificateUnverified,
    /// A certificate in a block is not verified.
    ControlUnverified,
    /// A block's time may be before its parent's.
    TimeUnchecked,
    /// A checkpoint leaves out a canister's memory.
    CheckpointSkipsPage,
    /// A checkpoint claims to be one height newer.
    CheckpointMislabelled,
    /// After a restart older states are served than before.
    StaleStateServed,
    /// A block that is delivered again is executed again.
    BlockExecutedTwice,
    /// A vote depends on the voter's clock.
    ClockDecides,
    /// Some members execute the calls of a block in another order.
    OrderDependsOnMember,
    /// Calls stay in the pool after they ran.
    PoolNeverForgets,
    /// A state is served before the subnet signed it.
    ServedUncertified,
    /// A leader without work waits for ever.
    LeaderWaitsForever,
    /// Evidence is kept without looking at its signatures.
    EvidenceUnverified,
}

#[cfg(feature = "planted")]
mod active {
    use super::Defect;
    use std::sync::atomic::{AtomicU8, Ordering};

    const NONE: u8 = u8::MAX;
    static ACTIVE: AtomicU8 = AtomicU8::new(NONE);

    /// Chooses the defect of this process.
    pub fn choose(defect: Option<Defect>) {
        ACTIVE.store(defect.map_or(NONE, |defect| defect as u8), Ordering::SeqCst);
    }

    /// Whether this defect was chosen.
    pub fn is(defect: Defect) -> bool {
        ACTIVE.load(Ordering::Relaxed) == defect as u8
    }
}

#[cfg(not(feature = "planted"))]
mod active {
    /// Whether this defect was chosen: never, in this build.
    #[inline(always)]
    pub const fn is(_: super::Defect) -> bool {
        false
    }
}

pub use active::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_at_least_twenty_and_none_is_active_by_itself() {
        assert!(Defect::ALL.len() >= 20);
        assert!(Defect::ALL.iter().all(|defect| !is(*defect) && !defect.what().is_empty()));
    }
}
