use super::{CanisterSignature, WebAuthnSignature, read_canister_ranges, read_certificate};
use crate::WireError;
use ic_certification::{Certificate, HashTree, labeled, leaf};
use mains_types::limits;
use serde::Serialize;
use serde_bytes::Bytes;

#[derive(Serialize)]
struct WebAuthn<'a, T: ?Sized> {
    authenticator_data: &'a Bytes,
    client_data_json: &'a T,
    signature: &'a Bytes,
}

#[derive(Serialize)]
struct Canister<'a> {
    certificate: &'a Bytes,
    tree: HashTree,
}

fn webauthn(json: &str) -> Vec<u8> {
    crate::encode(&WebAuthn {
        authenticator_data: Bytes::new(&[1]),
        client_data_json: json,
        signature: Bytes::new(&[2]),
    })
}

fn canister() -> Vec<u8> {
    crate::encode(&Canister { certificate: Bytes::new(&[1, 2]), tree: labeled(b"sig".to_vec(), leaf(vec![])) })
}

#[test]
fn webauthn_signatures_are_read_with_json_as_text_or_bytes() {
    let read = WebAuthnSignature::read(&webauthn("{}")).unwrap();
    assert_eq!((read.authenticator_data, read.client_data_json, read.signature), (vec![1], b"{}".to_vec(), vec![2]));
    let blob = WebAuthn {
        authenticator_data: Bytes::new(&[1]),
        client_data_json: Bytes::new(b"{}"),
        signature: Bytes::new(&[2]),
    };
    assert_eq!(WebAuthnSignature::read(&crate::encode(&blob)), WebAuthnSignature::read(&webauthn("{}")));
    // The self-description may be absent.
    assert!(WebAuthnSignature::read(&webauthn("{}")[3..]).is_ok());
}

#[test]
fn canister_signatures_and_certificates_are_read() {
    let read = CanisterSignature::read(&canister()).unwrap();
    assert_eq!((&read.certificate[..], read.tree), (&[1, 2][..], labeled(b"sig".to_vec(), leaf(vec![]))));
    let certificate = Certificate { tree: leaf(vec![7]), signature: vec![8; 48], delegation: None };
    assert_eq!(read_certificate(&crate::encode(&certificate)), Ok(certificate));
    let ranges = crate::encode(&[(Bytes::new(&[1]), Bytes::new(&[2, 3]))]);
    assert_eq!(read_canister_ranges(&ranges), Ok(vec![(vec![1], vec![2, 3])]));
}

#[test]
fn anything_cut_off_behind_or_besides_is_refused() {
    let (webauthn, canister) = (webauthn("{}"), canister());
    for end in 0..webauthn.len() {
        assert!(WebAuthnSignature::read(&webauthn[..end]).is_err(), "{end} bytes");
    }
    for end in 0..canister.len() {
        assert!(CanisterSignature::read(&canister[..end]).is_err(), "{end} bytes");
    }
    assert!(WebAuthnSignature::read(&[&webauthn[..], &[0]].concat()).is_err());
    assert!(CanisterSignature::read(&[&canister[..], &[0]].concat()).is_err());
    assert!(CanisterSignature::read(&webauthn).is_err());
    assert!(WebAuthnSignature::read(&canister).is_err());
    assert!(read_certificate(&canister).is_err());
    // An array of the fields' values is no map.
    assert!(WebAuthnSignature::read(&[0x83, 0x41, 1, 0x61, b'x', 0x41, 2]).is_err());
    // A number is no field's name.
    assert!(WebAuthnSignature::read(&[0xa3, 0, 0x41, 1, 1, 0x61, b'x', 2, 0x41, 2]).is_err());
    // A field that comes twice.
    let mut twice = webauthn.clone();
    twice[3] += 1;
    twice.extend(b"\x69signature\x41\x02");
    assert!(WebAuthnSignature::read(&twice).is_err());
}

#[test]
fn sizes_have_caps() {
    let long = webauthn(&" ".repeat(limits::WEBAUTHN_SIGNATURE_BYTES_MAX));
    assert!(matches!(WebAuthnSignature::read(&long), Err(WireError::TooLarge { .. })));
    let zeros = vec![0; limits::CANISTER_SIGNATURE_BYTES_MAX];
    let long = Canister { certificate: Bytes::new(&zeros), tree: leaf(vec![]) };
    assert!(matches!(CanisterSignature::read(&crate::encode(&long)), Err(WireError::TooLarge { .. })));
    let mut deep = leaf(vec![]);
    for _ in 0..130 {
        deep = labeled(vec![1], deep);
    }
    let deep = Canister { certificate: Bytes::new(&[]), tree: deep };
    assert!(matches!(CanisterSignature::read(&crate::encode(&deep)), Err(WireError::TooDeep { .. })));
}
