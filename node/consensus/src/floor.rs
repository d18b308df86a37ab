//! The finalized block that a chain goes on from when what came before it was fetched as a state.

use crate::{Digest, Scheme};
use bytes::Bytes;
use commonware_codec::{Encode as _, Read as _};
use commonware_consensus::simplex::types::Finalization;
use commonware_cryptography::certificate::Verifier as _;
use commonware_parallel::Sequential;
use mains_types::Digest32;
use rand_core::CryptoRng;

/// Proof that a block is finalized: a quorum's votes.
#[derive(Clone, Debug)]
pub struct Floor(pub(crate) Finalization<Scheme, Digest>);

impl Floor {
    /// The finalized block's digest.
    pub fn digest(&self) -> Digest32 {
        self.0.proposal.payload.0
    }

    /// The encoding.
    pub fn encode(&self) -> Bytes {
        self.0.encode()
    }
}

/// Checks floors against the committee's votes.
#[derive(Clone, Debug)]
pub struct Floors(pub(crate) Scheme);

impl Floors {
    /// Reads a floor; `None` if it is malformed or no quorum signed it.
    pub fn decode(&self, rng: &mut impl CryptoRng, mut bytes: Bytes) -> Option<Floor> {
        let configuration = self.0.certificate_codec_config();
        let finalization = Finalization::<Scheme, Digest>::read_cfg(&mut bytes, &configuration).ok()?;
        (bytes.is_empty() && finalization.verify(rng, &self.0, &Sequential)).then_some(Floor(finalization))
    }
}
