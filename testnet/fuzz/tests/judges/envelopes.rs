//! Bytes of HTTP bodies: whatever they are, reading them ends with a value or a refusal, and the same one each time.

use mains_fuzz::{Target, fuzz};
use mains_types::{Principal, UnixNanos, ids::canister_id};
use mains_wire::{Call, CanisterSignature, Envelope, WebAuthnSignature, encode_call, signature};
use std::fs;

struct Envelopes;

impl Target for Envelopes {
    const NAME: &'static str = "bytes_are_an_envelope_or_none";
    const CORPUS: &'static str = "envelopes";

    fn beginnings(&self) -> Vec<Vec<u8>> {
        let call = |arg: &[u8], nonce: Option<&[u8]>| Call {
            canister_id: canister_id(256),
            method_name: "bump".into(),
            arg: arg.to_vec(),
            sender: Principal::self_authenticating([7; 44]),
            ingress_expiry: UnixNanos(1_700_000_000_000_000_000),
            nonce: nonce.map(<[u8]>::to_vec),
            sender_info: None,
        };
        let mut beginnings = vec![
            encode_call(&call(b"DIDL\0\0", None), None),
            encode_call(&call(&[1; 300], Some(&[2; 32])), Some((&[3; 44], &[4; 64]))),
        ];
        // Requests that were turned away once, as hexadecimal lines.
        let kept =
            fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../regressions/requests")).expect("kept requests");
        let mut paths: Vec<_> = kept.map(|file| file.expect("readable").path()).collect();
        paths.sort();
        for path in paths {
            let text: String = fs::read_to_string(&path).expect("readable").split_whitespace().collect();
            beginnings.push(hex::decode(text).expect("hexadecimal"));
        }
        beginnings
    }

    fn check(&self, input: &[u8]) -> bool {
        let first = Envelope::parse(input);
        let again = Envelope::parse(input);
        match (&first, &again) {
            (Ok(first), Ok(again)) => {
                assert_eq!(first.request_id, again.request_id);
                assert_eq!(&first.raw[..], input);
            }
            (Err(first), Err(again)) => assert_eq!(first.to_string(), again.to_string()),
            _ => panic!("read once and refused once"),
        }
        let _ = WebAuthnSignature::read(input);
        let _ = CanisterSignature::read(input);
        let _ = signature::read_canister_ranges(input);
        first.is_ok()
    }
}

#[test]
fn bytes_are_an_envelope_or_none() {
    fuzz(&Envelopes);
}
