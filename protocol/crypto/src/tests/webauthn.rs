//! Authenticators made of the libraries that sign: `ic-secp256r1`, `ic-ed25519`, `rsa`.

use super::{NOW, call_of, delegated, read, soon, trust};
use crate::{AuthError, SignatureError, UserKey, verify_call};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ic_transport_types as agent;
use mains_types::{Principal, limits};
use mains_wire::WireError;
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey, pkcs1::DecodeRsaPrivateKey, traits::PublicKeyParts};
use serde::Serialize;
use serde_bytes::Bytes;
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// A private key for these tests, PKCS#1 in hex.
const RSA: &str = include_str!("../../testdata/rsa-2048-pkcs1.hex");

enum Authenticator {
    Es256(ic_secp256r1::PrivateKey),
    EdDsa(ic_ed25519::PrivateKey),
    Rs256(Box<RsaPrivateKey>),
}

/// What an authenticator sends, as it is written.
#[derive(Clone, Serialize)]
struct Assertion {
    #[serde(with = "serde_bytes")]
    authenticator_data: Vec<u8>,
    client_data_json: String,
    #[serde(with = "serde_bytes")]
    signature: Vec<u8>,
}

impl Authenticator {
    fn all() -> [Self; 3] {
        let hex = RSA.trim();
        let der: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        [
            Self::Es256(ic_secp256r1::PrivateKey::generate_insecure_key_for_testing(7)),
            Self::EdDsa(ic_ed25519::PrivateKey::deserialize_raw_32(&[7; 32])),
            Self::Rs256(Box::new(RsaPrivateKey::from_pkcs1_der(&der).unwrap())),
        ]
    }

    fn cose(&self) -> Vec<u8> {
        match self {
            Self::Es256(key) => {
                let point = key.public_key().serialize_sec1(false);
                let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
                [&head[..], &point[1..33], &[0x22, 0x58, 32], &point[33..]].concat()
            }
            Self::EdDsa(key) => {
                [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32][..], &key.public_key().serialize_raw()].concat()
            }
            Self::Rs256(key) => rsa_cose(&key.n().to_bytes_be(), &[1, 0, 1]),
        }
    }

    fn der(&self) -> Vec<u8> {
        der_of(&self.cose())
    }

    fn principal(&self) -> Principal {
        Principal::self_authenticating(self.der())
    }

    fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(key) => key.sign_message_with_der_encoded_sig(message),
            Self::EdDsa(key) => key.sign_message(message).to_vec(),
            Self::Rs256(key) => key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).unwrap(),
        }
    }

    /// Signs as authenticators do, once `bend` has changed what is signed.
    fn assert(&self, challenge: &[u8], bend: impl FnOnce(&mut Assertion)) -> Assertion {
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let mut assertion = Assertion {
            authenticator_data: [&[9; 32][..], &[5, 0, 0, 0, 1]].concat(),
            client_data_json: format!(
                r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://a.example","crossOrigin":false}}"#
            ),
            signature: Vec::new(),
        };
        bend(&mut assertion);
        let signed = [&assertion.authenticator_data[..], &Sha256::digest(&assertion.client_data_json)].concat();
        assertion.signature = self.sign_raw(&signed);
        assertion
    }

    fn envelope(&self, signature: impl FnOnce(&[u8]) -> Vec<u8>) -> agent::Envelope<'static> {
        let content = call_of(self.principal(), soon());
        let signature = signature(&content.to_request_id().signable());
        agent::Envelope {
            content: Cow::Owned(content),
            sender_pubkey: Some(self.der()),
            sender_sig: Some(signature),
            sender_delegation: None,
        }
    }

    /// Why the request is refused whose assertion was bent before it was signed.
    fn refused(&self, bend: impl FnOnce(&mut Assertion)) -> Option<SignatureError> {
        let envelope = self.envelope(|message| mains_wire::encode(&self.assert(message, bend)));
        reason(verify_call(read(&envelope), NOW, &trust()).err()?)
    }
}

fn reason(error: AuthError) -> Option<SignatureError> {
    match error {
        AuthError::SignatureInvalid(why) => Some(why),
        other => panic!("not the signature: {other}"),
    }
}

fn rsa_cose(n: &[u8], e: &[u8]) -> Vec<u8> {
    let length = u16::try_from(n.len()).unwrap().to_be_bytes();
    let head = [0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59];
    [&head[..], &length, n, &[0x21, 0x40 | u8::try_from(e.len()).unwrap()], e].concat()
}

/// A DER length in as few bytes as there must be.
fn length(bytes: usize) -> Vec<u8> {
    match bytes {
        0..128 => vec![bytes as u8],
        128..256 => vec![0x81, bytes as u8],
        _ => [&[0x82][..], &(bytes as u16).to_be_bytes()].concat(),
    }
}

fn der_of(cose: &[u8]) -> Vec<u8> {
    let algorithm = [0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x01];
    let key = [&[0x03][..], &length(cose.len() + 1), &[0], cose].concat();
    [&[0x30][..], &length(algorithm.len() + key.len()), &algorithm, &key].concat()
}

#[test]
fn requests_signed_by_an_authenticator_are_accepted() {
    for authenticator in Authenticator::all() {
        let envelope = authenticator.envelope(|message| mains_wire::encode(&authenticator.assert(message, |_| {})));
        let call = verify_call(read(&envelope), NOW, &trust()).unwrap();
        assert_eq!(call.sender(), authenticator.principal());
        assert_eq!(call.signature_units(), limits::SIGNATURE_UNITS_WEBAUTHN);
        // Without the self-description, which some clients leave out.
        let plain =
            authenticator.envelope(|message| mains_wire::encode(&authenticator.assert(message, |_| {}))[3..].to_vec());
        assert!(verify_call(read(&plain), NOW, &trust()).is_ok());
    }
}

#[test]
fn an_authenticator_delegates_to_a_session() {
    let session = super::User::ed25519(4);
    for authenticator in Authenticator::all() {
        let mut envelope = delegated(call_of, &[&super::User::ed25519(3), &session], |_, _| {});
        let delegation = envelope.sender_delegation.as_ref().unwrap()[0].delegation.clone();
        let signature = mains_wire::encode(&authenticator.assert(&delegation.signable(), |_| {}));
        let content = call_of(authenticator.principal(), soon());
        envelope.sender_sig = Some(session.sign(&content.to_request_id().signable()));
        envelope.content = Cow::Owned(content);
        envelope.sender_pubkey = Some(authenticator.der());
        envelope.sender_delegation = Some(vec![agent::SignedDelegation { delegation: delegation.clone(), signature }]);
        let call = verify_call(read(&envelope), NOW, &trust()).unwrap();
        assert_eq!(call.signature_units(), limits::SIGNATURE_UNITS_WEBAUTHN + limits::SIGNATURE_UNITS);
        let other = mains_wire::encode(&authenticator.assert(b"another delegation", |_| {}));
        envelope.sender_delegation = Some(vec![agent::SignedDelegation { delegation, signature: other }]);
        let why = SignatureError::Challenge;
        assert_eq!(verify_call(read(&envelope), NOW, &trust()), Err(AuthError::DelegationInvalid { index: 0, why }));
    }
}

#[test]
fn the_site_and_what_browsers_add_do_not_count() {
    let [key, ..] = Authenticator::all();
    assert_eq!(key.refused(|a| a.client_data_json = a.client_data_json.replace("a.example", "evil.example")), None);
    assert_eq!(key.refused(|a| a.client_data_json = a.client_data_json.replace(r#","crossOrigin":false"#, "")), None);
    let added = r#""tokenBinding":{"status":"supported","n":1.5},"challenge""#;
    assert_eq!(key.refused(|a| a.client_data_json = a.client_data_json.replacen(r#""challenge""#, added, 1)), None);
    assert_eq!(key.refused(|a| a.authenticator_data[32] = 0), None);
    assert_eq!(key.refused(|a| a.authenticator_data.extend([0; 60])), None);
}

#[test]
fn what_was_asked_must_be_this_request() {
    let [key, ..] = Authenticator::all();
    let json = |from: &'static str, to: &'static str| {
        key.refused(move |a| {
            assert!(a.client_data_json.contains(from));
            a.client_data_json = a.client_data_json.replace(from, to);
        })
    };
    assert_eq!(json("webauthn.get", "webauthn.create"), Some(SignatureError::ClientDataType));
    assert_eq!(json(r#""challenge":""#, r#""challenge":"A"#), Some(SignatureError::Challenge));
    assert_eq!(json(r#"","origin"#, r#"=","origin"#), Some(SignatureError::Challenge), "padding is another text");
    let malformed = Some(SignatureError::ClientData { limit: limits::CLIENT_DATA_BYTES_MAX });
    assert_eq!(json("challenge", "chal"), malformed);
    assert_eq!(json(r#""type":"webauthn.get","#, ""), malformed);
    assert_eq!(json(r#""type""#, r#""type":"webauthn.get","type""#), malformed, "a field that comes twice");
    assert_eq!(json("{", "[{"), malformed);
    assert_eq!(json("}", "}}"), malformed);
    assert_eq!(json("false", "fals"), malformed);
    assert_eq!(key.refused(|a| a.client_data_json.insert(0, ' ')), malformed);
    let long = |a: &mut Assertion| a.client_data_json.insert_str(1, &" ".repeat(limits::CLIENT_DATA_BYTES_MAX));
    assert_eq!(key.refused(long), malformed);
    let challenge = URL_SAFE_NO_PAD.encode(call_of(key.principal(), soon()).to_request_id().signable());
    let as_array = format!(r#"["webauthn.get","{challenge}"]"#);
    assert_eq!(key.refused(|a| a.client_data_json = as_array), malformed);
    let other_case =
        |a: &mut Assertion| a.client_data_json = a.client_data_json.replace(&challenge, &challenge.to_lowercase());
    assert_eq!(key.refused(other_case), Some(SignatureError::Challenge));
}

#[test]
fn authenticator_data_has_the_size_that_authenticators_send() {
    let [key, ..] = Authenticator::all();
    for bytes in [0, 36, limits::AUTHENTICATOR_DATA_BYTES_MAX + 1] {
        let max = limits::AUTHENTICATOR_DATA_BYTES_MAX;
        let why = SignatureError::AuthenticatorData { actual: bytes, min: 37, max };
        assert_eq!(key.refused(|a| a.authenticator_data.resize(bytes, 0)), Some(why));
    }
}

#[test]
fn the_signature_must_be_over_both_parts_and_in_the_key_kinds_form() {
    for key in Authenticator::all() {
        let bent = |bend: &dyn Fn(&mut Assertion)| {
            let envelope = key.envelope(|message| {
                let mut assertion = key.assert(message, |_| {});
                bend(&mut assertion);
                mains_wire::encode(&assertion)
            });
            verify_call(read(&envelope), NOW, &trust()).err().and_then(reason)
        };
        let wrong = Some(SignatureError::Wrong);
        assert_eq!(bent(&|a| a.authenticator_data[36] ^= 1), wrong);
        assert_eq!(bent(&|a| a.client_data_json = a.client_data_json.replace("a.example", "b.example")), wrong);
        assert_eq!(bent(&|a| a.signature.clear()), wrong);
        assert_eq!(bent(&|a| a.signature.push(0)), wrong, "extra bytes");
        assert_eq!(bent(&|a| a.signature.truncate(a.signature.len() - 1)), wrong, "truncated");
        assert_eq!(bent(&|a| a.signature[20] ^= 1), wrong);
        assert_eq!(bent(&|a| a.signature = vec![0xff; a.signature.len()]), wrong);
    }
    let [Authenticator::Es256(key), ..] = Authenticator::all() else { unreachable!() };
    // WebAuthn's ECDSA signatures are DER; `r || s` is what plain keys sign with, and no DER has a zero too many.
    let es256 = Authenticator::Es256(key.clone());
    let with = |encode: &dyn Fn(&[u8]) -> Vec<u8>| {
        let envelope = es256.envelope(|message| {
            let mut assertion = es256.assert(message, |_| {});
            let signed = [&assertion.authenticator_data[..], &Sha256::digest(&assertion.client_data_json)].concat();
            assertion.signature = encode(&signed);
            mains_wire::encode(&assertion)
        });
        verify_call(read(&envelope), NOW, &trust()).err().and_then(reason)
    };
    assert_eq!(with(&|signed| key.sign_message(signed).to_vec()), Some(SignatureError::Wrong));
    let padded = |signed: &[u8]| {
        let der = key.sign_message_with_der_encoded_sig(signed);
        let (r, s) = der[2..].split_at(2 + usize::from(der[3]));
        [&[0x30, der[1] + 1, 0x02, r[1] + 1, 0x00], &r[2..], s].concat()
    };
    // A zero in front of r is not DER unless r's first bit is set; then there is one already.
    assert_eq!(with(&padded), Some(SignatureError::Wrong), "not canonical");
}

#[test]
fn what_is_no_webauthn_signature_is_refused_with_a_sentence() {
    let [key, ..] = Authenticator::all();
    let with = |bytes: Vec<u8>| verify_call(read(&key.envelope(|_| bytes)), NOW, &trust()).err().and_then(reason);
    for bytes in [vec![], vec![0xa0], vec![0; 64], mains_wire::encode(&Bytes::new(b"x")), vec![0xff]] {
        let Some(SignatureError::Malformed { part: "the WebAuthn signature", .. }) = with(bytes.clone()) else {
            panic!("{bytes:?} was taken")
        };
    }
    let long = with(vec![0; limits::WEBAUTHN_SIGNATURE_BYTES_MAX + 1]).unwrap();
    let limit = limits::WEBAUTHN_SIGNATURE_BYTES_MAX;
    let reason = WireError::TooLarge { actual: limit + 1, limit };
    assert_eq!(long, SignatureError::Malformed { part: "the WebAuthn signature", reason });
    assert_eq!(
        AuthError::SignatureInvalid(long).to_string(),
        "sender_sig is not a valid signature of the request: the WebAuthn signature: the message has 8193 bytes, more \
         than the 8192 allowed"
    );
}

#[test]
fn webauthn_keys_have_one_accepted_form() {
    let unsupported = |der: &[u8]| matches!(UserKey::from_der(der), Err(AuthError::KeyUnsupported { .. }));
    let invalid = |cose: &[u8]| match UserKey::from_der(&der_of(cose)) {
        Err(AuthError::KeyInvalid { algorithm }) => algorithm,
        other => panic!("{other:?}"),
    };
    for (key, algorithm) in Authenticator::all().iter().zip(["WebAuthn P-256", "WebAuthn Ed25519", "WebAuthn RSA"]) {
        let (cose, der) = (key.cose(), key.der());
        assert!(UserKey::from_der(&der).is_ok());
        for end in 0..der.len() {
            assert!(unsupported(&der[..end]), "{end} bytes");
        }
        assert!(unsupported(&[&der[..], &[0]].concat()), "bytes behind the key");
        assert_eq!(invalid(&[&cose[..], &[0]].concat()), algorithm, "bytes behind the COSE key");
        assert_eq!(invalid(&cose[..cose.len() - 1]), algorithm);
        // The same map, written otherwise: a longer number, another order, a map without length.
        let wider = [&[cose[0], 0x18, 1], &cose[2..]].concat();
        let unordered = [&[cose[0]], &cose[3..5], &cose[1..3], &cose[5..]].concat();
        let endless = [&[0xbf], &cose[1..], &[0xff]].concat();
        let more = [&[cose[0] + 1], &cose[1..], &[0x04, 0x66][..], b"verify"].concat();
        for other in [wider, unordered, endless, more] {
            assert!(UserKey::from_der(&der_of(&other)).is_err(), "{other:?}");
        }
        // The same DER, written otherwise: a longer length, parameters, bits that do not count.
        let mut bits = der.clone();
        let at = der.len() - cose.len() - 1;
        bits[at] = 1;
        assert!(unsupported(&bits));
        let longer = [&[0x30, 0x83, 0][..], &((der.len() - 2) as u16).to_be_bytes(), &der[2..]].concat();
        assert!(unsupported(&longer));
    }
    let with_null = {
        let cose = Authenticator::all()[0].cose();
        let algorithm =
            [0x30, 0x0e, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x01, 0x05, 0x00];
        let key = [&[0x03, cose.len() as u8 + 1, 0][..], &cose].concat();
        [&[0x30, (algorithm.len() + key.len()) as u8][..], &algorithm, &key].concat()
    };
    assert!(unsupported(&with_null));
    assert!(unsupported(&der_of(&[])));
    assert!(unsupported(&der_of(&[0xa5, 1, 2, 3, 0x38, 0x22, 0x20, 2])), "ES384");
    assert!(unsupported(&der_of(&vec![0xa5; limits::USER_KEY_BYTES_MAX])));
}

#[test]
fn webauthn_keys_must_be_points_and_moduli_of_a_sane_size() {
    let [p256, ed25519, _] = Authenticator::all();
    let algorithm = |cose: &[u8]| match UserKey::from_der(&der_of(cose)) {
        Err(AuthError::KeyInvalid { algorithm }) => Some(algorithm),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    };
    let mut off = p256.cose();
    *off.last_mut().unwrap() ^= 1;
    assert_eq!(algorithm(&off), Some("WebAuthn P-256"));
    let mut off = ed25519.cose();
    off.truncate(10);
    off.extend([&[2][..], &[0; 31]].concat());
    assert_eq!(algorithm(&off), Some("WebAuthn Ed25519"));
    let modulus = |bytes: usize| {
        let mut n = vec![0x5a; bytes];
        n[0] = 0xc0;
        *n.last_mut().unwrap() |= 1;
        n
    };
    assert_eq!(algorithm(&rsa_cose(&modulus(256), &[1, 0, 1])), None);
    assert_eq!(algorithm(&rsa_cose(&modulus(512), &[1, 0, 1])), None);
    for (n, e) in [
        (modulus(255), &[1, 0, 1][..]),
        (modulus(513), &[1, 0, 1]),
        ([&[0][..], &modulus(256)].concat(), &[1, 0, 1]),
        (modulus(256), &[3]),
        (modulus(256), &[0, 1, 0, 1]),
        (vec![0; 256], &[1, 0, 1]),
    ] {
        assert_eq!(algorithm(&rsa_cose(&n, e)), Some("WebAuthn RSA"));
    }
    // A signature as large as the modulus would be a second one.
    let [_, _, rsa] = Authenticator::all();
    let envelope = rsa.envelope(|message| {
        let Authenticator::Rs256(key) = &rsa else { unreachable!() };
        let mut assertion = rsa.assert(message, |_| {});
        let twin = BigUint::from_bytes_be(&assertion.signature) + key.n();
        assertion.signature = twin.to_bytes_be();
        mains_wire::encode(&assertion)
    });
    let refused = verify_call(read(&envelope), NOW, &trust()).err().and_then(reason);
    assert_eq!(refused, Some(SignatureError::Wrong));
}
