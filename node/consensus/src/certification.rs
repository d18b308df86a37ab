//! The chain key: what a subnet signs its states with. Members hold shares; a quorum's partial signatures make one
//! 48-byte signature that any client of the Internet Computer verifies with one 96-byte key.
//!
//! The ciphersuite and the message are the Internet Computer's (interface specification, "Certification"), so the
//! engine's own threshold functions, which sign with another tag, are not used for signing and verifying.

use crate::{Certificate, ConsensusError, PublicKey, committee};
use bytes::{BufMut, Bytes};
use commonware_codec::{
    Buf, Copying, DecodeExt as _, Encode as _, EncodeFixed as _, EncodeSize, Error, Read, ReadExt, Write, varint::UInt,
};
use commonware_cryptography::bls12381::{
    dkg::feldman_desmedt::deal_anonymous,
    primitives::{
        group::Share,
        ops::{self, threshold},
        sharing::{Mode, ModeVersion, Sharing},
        variant::{MinSig, PartialSignature, Variant},
    },
};
use commonware_parallel::Sequential;
use commonware_utils::{N3f1, Participant};
use mains_types::{
    Digest32, Height,
    planted::{self, Defect},
};
use rand::{SeedableRng as _, rngs::StdRng};
use std::{fmt, num::NonZeroU32};

mod collector;
pub use collector::{Added, Collector, HEIGHTS_MAX};

/// The Internet Computer's ciphersuite for certificates.
const CIPHERSUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
/// What comes before the root in the signed message: a length byte and the domain.
const STATE_ROOT_DOMAIN: &[u8; 14] = b"\x0dic-state-root";

type Signature = <MinSig as Variant>::Signature;

/// The chain key as one member sees it: the public polynomial, and that member's share if it has one.
#[derive(Clone)]
pub struct ChainKey {
    /// Sorted; a member's place is the index of its share. Empty for a key that was just dealt.
    members: Vec<[u8; 32]>,
    sharing: Sharing<MinSig>,
    share: Option<Share>,
}

impl ChainKey {
    /// A chain key for `members` members from one process, and their shares in the order of the members' keys. Whoever
    /// knows `seed` can sign for the subnet: for test networks only.
    ///
    /// # Panics
    /// If `members` is zero.
    pub fn deal(members: u32, seed: [u8; 32]) -> (Self, Vec<Vec<u8>>) {
        let members = NonZeroU32::new(members).expect("a subnet has members");
        let rng = StdRng::from_seed(seed);
        #[cfg(feature = "planted")]
        let (sharing, shares) = if planted::is(Defect::QuorumTooSmall) {
            deal_anonymous::<MinSig, TooFew>(rng, Mode::NonZeroCounter, members)
        } else {
            deal_anonymous::<MinSig, N3f1>(rng, Mode::NonZeroCounter, members)
        };
        #[cfg(not(feature = "planted"))]
        let (sharing, shares) = deal_anonymous::<MinSig, N3f1>(rng, Mode::NonZeroCounter, members);
        let shares = shares.iter().map(|share| share.encode().to_vec()).collect();
        (Self { members: Vec::new(), sharing, share: None }, shares)
    }

    /// The chain key of the members with these public keys, from the public part in genesis and a member's key file.
    ///
    /// # Errors
    /// The bytes do not decode, are of another number of members, or the share is not one of this key.
    pub fn decode(mut members: Vec<[u8; 32]>, sharing: &[u8], share: Option<&[u8]>) -> Result<Self, ConsensusError> {
        members.sort_unstable();
        let malformed = |what, reason: String| ConsensusError::Malformed { what, reason };
        let limit = NonZeroU32::new(committee::MEMBERS_MAX as u32).expect("not zero");
        let sharing =
            <Sharing<MinSig> as commonware_codec::Decode>::decode_cfg(Copying(sharing), &(limit, ModeVersion::v0()))
                .map_err(|error| malformed("chain key", error.to_string()))?;
        if sharing.total().get() as usize != members.len() {
            let reason = format!("it is shared among {}, the committee has {}", sharing.total(), members.len());
            return Err(malformed("chain key", reason));
        }
        let quorum = quorum(members.len() as u32);
        if sharing.required() != quorum {
            let reason = format!("{} shares sign for it, a quorum is {quorum}", sharing.required());
            return Err(malformed("chain key", reason));
        }
        let share = share
            .map(|share| {
                Share::decode(Copying(share)).map_err(|error| malformed("share of the chain key", error.to_string()))
            })
            .transpose()?;
        if let Some(share) = &share {
            let expected = sharing.partial_public(share.index).map_err(|_| ConsensusError::ForeignShare)?;
            if share.public::<MinSig>() != expected {
                return Err(ConsensusError::ForeignShare);
            }
        }
        sharing.precompute_partial_publics();
        Ok(Self { members, sharing, share })
    }

    /// The public part for genesis: what [`Self::decode`] takes.
    pub fn encode(&self) -> Vec<u8> {
        self.sharing.encode().to_vec()
    }

    /// The key that clients verify with: compressed, in G2.
    pub fn public_key(&self) -> [u8; 96] {
        self.sharing.public().encode_fixed()
    }

    /// Partial signatures that make a signature: a quorum of the members.
    pub fn threshold(&self) -> usize {
        self.sharing.required() as usize
    }

    /// Whether the share `index` is this member's.
    pub fn belongs(&self, index: u32, member: &PublicKey) -> bool {
        self.members.get(index as usize).is_some_and(|key| key.as_slice() == member.as_ref())
    }

    /// The index of this member's own share.
    pub fn index(&self) -> Option<u32> {
        self.share.as_ref().map(|share| share.index.get())
    }

    /// This member's partial signature over the root of `height`; `None` without a share.
    pub fn sign(&self, height: Height, root: Digest32) -> Option<Partial> {
        let share = self.share.as_ref()?;
        let value = ops::sign::<MinSig>(&share.private, CIPHERSUITE, &state_root_message(&root));
        Some(Partial { height, root, index: share.index.get(), value: value.encode_fixed() })
    }

    /// Whether the chain key signed this certificate's root. The height is not part of the signature: it stands in the
    /// state tree under the root.
    pub fn verify(&self, certificate: &Certificate) -> bool {
        Signature::decode(Copying(&certificate.signature))
            .is_ok_and(|signature| self.verify_signature(&certificate.root, &signature))
    }

    fn verify_signature(&self, root: &Digest32, signature: &Signature) -> bool {
        ops::verify::<MinSig>(self.sharing.public(), CIPHERSUITE, &state_root_message(root), signature).is_ok()
    }

    /// Whether a member signed this partial with its share.
    pub fn verify_share(&self, partial: &Partial) -> bool {
        partial.signature().is_some_and(|signature| self.verify_partial(&partial.root, &signature))
    }

    fn verify_partial(&self, root: &Digest32, partial: &PartialSignature<MinSig>) -> bool {
        self.sharing.partial_public(partial.index).is_ok_and(|public| {
            ops::verify::<MinSig>(&public, CIPHERSUITE, &state_root_message(root), &partial.value).is_ok()
        })
    }

    /// The signature that these partials make, if it is valid.
    fn recover<'a>(
        &self,
        root: &Digest32,
        partials: impl IntoIterator<Item = &'a PartialSignature<MinSig>>,
    ) -> Option<[u8; 48]> {
        let signature = threshold::recover::<MinSig, _>(&self.sharing, partials, &Sequential).ok()?;
        let valid = planted::is(Defect::ShareUnverified) || self.verify_signature(root, &signature);
        valid.then(|| signature.encode_fixed())
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChainKey").field("index", &self.index()).finish_non_exhaustive()
    }
}

/// How many members may fail, as somebody thinks who got it wrong: all but a third.
#[cfg(feature = "planted")]
struct TooFew;

#[cfg(feature = "planted")]
impl commonware_utils::Faults for TooFew {
    fn max_faults(members: impl num_traits::ToPrimitive) -> u32 {
        let members = members.to_u32().expect("a committee is small");
        members - ((members - 1) / 3).max(1)
    }
}

/// Members that must sign: all but the third that may fail.
fn quorum(members: u32) -> u32 {
    let faults = (members - 1) / 3;
    if planted::is(Defect::QuorumTooSmall) { faults.max(1) } else { members - faults }
}

/// What is signed for a state root.
fn state_root_message(root: &Digest32) -> [u8; 46] {
    let mut message = [0; 46];
    message[..14].copy_from_slice(STATE_ROOT_DOMAIN);
    message[14..].copy_from_slice(root);
    message
}

/// One member's partial signature over a state root, as it travels; not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The height whose root is signed.
    pub height: Height,
    /// The root.
    pub root: Digest32,
    /// The signer's index in the committee.
    pub index: u32,
    /// The signature.
    pub value: [u8; 48],
}

impl Partial {
    /// Appends its encoding.
    pub fn write(&self, buffer: &mut impl BufMut) {
        Write::write(self, buffer);
    }

    /// Reads one from the front of `buffer`; `None` if there is none, then the rest of `buffer` is undefined.
    pub fn read(buffer: &mut Bytes) -> Option<Self> {
        <Self as ReadExt>::read(buffer).ok()
    }

    fn signature(&self) -> Option<PartialSignature<MinSig>> {
        let value = Signature::decode(Copying(&self.value)).ok()?;
        Some(PartialSignature { index: Participant::new(self.index), value })
    }
}

impl Write for Partial {
    fn write(&self, buffer: &mut impl BufMut) {
        UInt(self.height.get()).write(buffer);
        self.root.write(buffer);
        UInt(self.index).write(buffer);
        self.value.write(buffer);
    }
}

impl EncodeSize for Partial {
    fn encode_size(&self) -> usize {
        UInt(self.height.get()).encode_size() + 32 + UInt(self.index).encode_size() + 48
    }
}

impl Read for Partial {
    type Cfg = ();
    fn read_cfg(buffer: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            height: Height(UInt::read(buffer)?.into()),
            root: <[u8; 32]>::read(buffer)?,
            index: UInt::read(buffer)?.into(),
            value: <[u8; 48]>::read(buffer)?,
        })
    }
}

#[cfg(test)]
mod tests;
