//! One ed25519 key is a node's identity everywhere: libp2p's peer id holds the key itself, so both turn into each other
//! and an authenticated connection proves the identity that consensus knows.

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::ed25519::PublicKey;
use libp2p::{
    PeerId,
    identity::{self, Keypair},
};

/// Multihash code of peer ids that hold their key: every ed25519 key does.
const IDENTITY_HASH: u64 = 0;

/// The peer id of a member's key.
///
/// # Panics
/// If the bytes are no ed25519 key; see [`consensus_key`].
pub fn peer_id(key: &[u8; 32]) -> PeerId {
    let key = identity::ed25519::PublicKey::try_from_bytes(key).expect("a checked ed25519 key");
    PeerId::from_public_key(&identity::PublicKey::from(key))
}

/// A member's key as consensus knows it, or `None` if the bytes are no ed25519 key.
pub fn consensus_key(bytes: &[u8; 32]) -> Option<PublicKey> {
    PublicKey::decode(Copying(bytes)).ok()
}

/// The bytes of a key.
pub(crate) fn bytes(key: &PublicKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    bytes
}

/// The peer id of a key.
pub(crate) fn peer_of(key: &PublicKey) -> PeerId {
    peer_id(&bytes(key))
}

/// The key in a peer id, or `None` if it is of another kind.
pub(crate) fn key_of(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?.try_into_ed25519().ok()?;
    consensus_key(&key.to_bytes())
}

/// The key pair of a seed.
pub(crate) fn key_pair(mut seed: [u8; 32]) -> Keypair {
    Keypair::ed25519_from_bytes(&mut seed).expect("every 32 bytes are an ed25519 seed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_and_a_consensus_key_turn_into_each_other() {
        for seed in 0..20 {
            let pair = key_pair([seed; 32]);
            let key = key_of(&pair.public().to_peer_id()).expect("ed25519");
            assert_eq!(peer_of(&key), pair.public().to_peer_id());
            assert_eq!(consensus_key(&bytes(&key)), Some(key));
        }
        assert_eq!(key_of(&PeerId::random()).map(|key| peer_of(&key)), None, "a hashed key is no member");
    }
}
