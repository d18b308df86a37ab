//! Ordering for one subnet over an existing BFT engine (commonware simplex): the block, what a replica adds to it and
//! says about it ([`Payloads`]), the pace, the wiring of the engine, and certification with the subnet's chain key.
//!
//! Generic over runtime and network, so that production and simulation run the same code: no clock, socket, thread or
//! randomness of the operating system is touched here. Spec: `specs/consensus.md`.

pub mod application;
pub mod attendance;
pub mod block;
pub mod certification;
pub mod channels;
pub mod committee;
pub mod engine;
pub mod evidence;
pub mod floor;
pub mod gate;
pub mod pace;
pub mod payloads;
mod standing;

pub use application::Application;
pub use attendance::Attendance;
pub use block::{Block, Certificate, Control, Seen};
pub use certification::{Added, ChainKey, Collector, Partial};
pub use committee::{Committee, PrivateKey, PublicKey, Scheme};
pub use engine::{Channels, Config, Mailbox, Running, start};
pub use evidence::{Evidence, EvidenceBook, Offence};
pub use floor::{Floor, Floors};
pub use gate::Gate;
pub use pace::Parameters;
pub use payloads::{Ack, Delivery, Payloads, Proposal, Verdict};

/// SHA-256, the digest of blocks.
pub type Digest = commonware_cryptography::sha256::Digest;

/// What was wrong with a value from genesis, a key file or a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusError {
    /// A committee needs at least one member, at most [`committee::MEMBERS_MAX`], all different.
    #[error("a committee of {count} members (at most {max}, all different)", max = committee::MEMBERS_MAX)]
    CommitteeSize {
        /// How many different members there were.
        count: usize,
    },
    /// The bytes are no ed25519 public key.
    #[error("member {index} of the committee: not an ed25519 public key")]
    MemberKey {
        /// Which member.
        index: usize,
    },
    /// This node's key is none of the committee's.
    #[error("this node is not a member of the committee")]
    NotMember,
    /// The bytes do not decode.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What should have been decoded.
        what: &'static str,
        /// Why it was not.
        reason: String,
    },
    /// The share does not belong to the chain key.
    #[error("the share is not one of this chain key")]
    ForeignShare,
    /// Times that cannot work together.
    #[error("pace: {reason}")]
    Pace {
        /// Which rule is broken, with the values.
        reason: String,
    },
}
