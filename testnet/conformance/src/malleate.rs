//! Second signatures that anybody can make from a first one without the key.

/// The order of Ed25519's group, little endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
/// The order of secp256k1's group, big endian.
const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
    0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];
/// The order of P-256's group, big endian.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// An Ed25519 signature with S + L in place of S: valid to whoever does not look whether S is canonical.
pub fn ed25519(signature: &[u8]) -> Vec<u8> {
    let mut changed = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in changed[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    changed
}

/// A secp256k1 signature with n - s in place of s: as valid as the first.
pub fn secp256k1(signature: &[u8]) -> Vec<u8> {
    negated(signature, &SECP256K1_ORDER)
}

/// A P-256 signature with n - s in place of s: as valid as the first.
pub fn p256(signature: &[u8]) -> Vec<u8> {
    negated(signature, &P256_ORDER)
}

fn negated(signature: &[u8], order: &[u8; 32]) -> Vec<u8> {
    let mut changed = signature.to_vec();
    let mut borrow = 0;
    for (byte, order) in changed[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(*order) - i16::from(*byte) - borrow;
        *byte = difference.rem_euclid(256) as u8;
        borrow = i16::from(difference < 0);
    }
    changed
}

#[cfg(test)]
mod tests {
    use crate::request::Key;

    #[test]
    fn the_other_ecdsa_signature_is_valid_and_its_own_counterpart() {
        let Key::Secp256k1(key) = Key::secp256k1(7) else { unreachable!() };
        let first = key.sign_message_with_ecdsa(b"message").to_vec();
        let second = super::secp256k1(&first);
        assert_ne!(first, second);
        assert_eq!(super::secp256k1(&second), first);
        assert!(key.public_key().verify_signature_with_malleability(b"message", &second));
        let Key::P256(key) = Key::p256(7) else { unreachable!() };
        let first = key.sign_message(b"message").to_vec();
        assert!(key.public_key().verify_signature(b"message", &super::p256(&first)));
    }

    #[test]
    fn the_other_ed25519_signature_is_not_canonical() {
        let Key::Ed25519(key) = Key::ed25519(7) else { unreachable!() };
        let first = key.sign_message(b"message").to_vec();
        assert_ne!(super::ed25519(&first), first);
        assert!(key.public_key().verify_signature(b"message", &super::ed25519(&first)).is_err());
    }
}
