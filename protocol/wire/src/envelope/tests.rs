use super::{Content, Envelope, Permissions, SenderInfo};
use crate::{WireError, encode};
use ic_transport_types::{self as agent, EnvelopeContent};
use mains_types::{Principal, UnixNanos, ids::canister_id, limits};
use serde_cbor::Value;
use std::{borrow::Cow, collections::BTreeMap};

const EXPIRY: u64 = 1_700_000_000_000_000_000;

fn call(arg: Vec<u8>, nonce: Option<Vec<u8>>) -> EnvelopeContent {
    EnvelopeContent::Call {
        nonce,
        ingress_expiry: EXPIRY,
        sender: Principal::anonymous(),
        canister_id: canister_id(256),
        method_name: "bump".into(),
        arg,
        sender_info: None,
    }
}

fn query(method_name: &str) -> EnvelopeContent {
    EnvelopeContent::Query {
        nonce: None,
        ingress_expiry: EXPIRY,
        sender: Principal::self_authenticating([3; 44]),
        canister_id: Principal::management_canister(),
        method_name: method_name.into(),
        arg: vec![],
        sender_info: None,
    }
}

fn read_state(paths: Vec<Vec<Vec<u8>>>) -> EnvelopeContent {
    let paths = paths.into_iter().map(|path| path.into_iter().map(Into::into).collect()).collect();
    EnvelopeContent::ReadState { ingress_expiry: EXPIRY, sender: Principal::anonymous(), paths }
}

fn sealed(content: EnvelopeContent) -> agent::Envelope<'static> {
    agent::Envelope { content: Cow::Owned(content), sender_pubkey: None, sender_sig: None, sender_delegation: None }
}

fn parse(content: EnvelopeContent) -> Result<Envelope, WireError> {
    Envelope::parse(&sealed(content).encode_bytes())
}

/// A call as a map, to be bent.
fn fields() -> BTreeMap<String, Value> {
    let text = |text: &str| Value::Text(text.into());
    BTreeMap::from([
        ("request_type".into(), text("call")),
        ("canister_id".into(), Value::Bytes(canister_id(256).as_slice().to_vec())),
        ("method_name".into(), text("bump")),
        ("arg".into(), Value::Bytes(b"DIDL".to_vec())),
        ("sender".into(), Value::Bytes(vec![4])),
        ("ingress_expiry".into(), Value::Integer(EXPIRY.into())),
    ])
}

fn parse_fields(content: BTreeMap<String, Value>) -> Result<Envelope, WireError> {
    Envelope::parse(&encode(&BTreeMap::from([("content", content)])))
}

#[test]
fn request_ids_are_those_that_agents_compute() {
    let label = |text: &str| text.as_bytes().to_vec();
    for content in [
        call(vec![0; 1000], None),
        call(b"DIDL\0\0".to_vec(), Some(vec![1; 32])),
        call(vec![], Some(vec![])),
        query("get"),
        query(""),
        query("größe"),
        read_state(vec![]),
        read_state(vec![vec![], vec![label("time")], vec![label("request_status"), label("x")]]),
    ] {
        let expected = *content.to_request_id();
        assert_eq!(parse(content).unwrap().request_id.0, expected);
    }
}

#[test]
fn a_call_is_read_as_it_was_written() {
    let bytes = sealed(call(b"DIDL".to_vec(), Some(vec![1, 2]))).encode_bytes();
    let envelope = Envelope::parse(&bytes).unwrap();
    assert_eq!(envelope.raw, bytes);
    assert_eq!((envelope.sender_pubkey, envelope.sender_sig, envelope.delegations), (None, None, vec![]));
    let Content::Call(call) = envelope.content else { panic!("not a call") };
    assert_eq!((call.canister_id, call.method_name.as_str(), &call.arg[..]), (canister_id(256), "bump", &b"DIDL"[..]));
    assert_eq!((call.sender, call.ingress_expiry), (Principal::anonymous(), UnixNanos(EXPIRY)));
    assert_eq!(call.nonce, Some(vec![1, 2]));
    assert_eq!(Envelope::parse(&bytes[3..]).unwrap().request_id, envelope.request_id);
}

#[test]
fn delegations_are_read_and_hashed_as_agents_do() {
    for (targets, permissions) in [
        (None, None),
        (Some(vec![]), Some(agent::DelegationPermissions::All)),
        (Some(vec![canister_id(1), canister_id(256)]), Some(agent::DelegationPermissions::Queries)),
    ] {
        let delegation = agent::Delegation { pubkey: vec![5; 44], expiration: EXPIRY, targets, permissions };
        let mut envelope = sealed(query("get"));
        envelope.sender_pubkey = Some(vec![3; 44]);
        envelope.sender_sig = Some(vec![8; 64]);
        envelope.sender_delegation =
            Some(vec![agent::SignedDelegation { delegation: delegation.clone(), signature: vec![9; 64] }]);
        let read = Envelope::parse(&envelope.encode_bytes()).unwrap();
        assert_eq!(read.sender_pubkey, envelope.sender_pubkey);
        assert_eq!(read.sender_sig, envelope.sender_sig);
        let [read] = &read.delegations[..] else { panic!("one delegation") };
        assert_eq!(read.signature, vec![9; 64]);
        assert_eq!(read.delegation.targets, delegation.targets);
        let queries_only = matches!(delegation.permissions, Some(agent::DelegationPermissions::Queries));
        assert_eq!(read.delegation.permissions == Some(Permissions::Queries), queries_only);
        assert_eq!([&b"\x1Aic-request-auth-delegation"[..], &read.delegation.hash()].concat(), delegation.signable());
    }
}

#[test]
fn null_stands_for_an_absent_field() {
    let plain = parse_fields(fields()).unwrap();
    let mut content = fields();
    content.insert("nonce".into(), Value::Null);
    content.insert("sender_info".into(), Value::Null);
    assert_eq!(parse_fields(content).unwrap().request_id, plain.request_id);
}

#[test]
fn every_field_is_of_its_kind_or_the_request_is_refused() {
    assert!(parse_fields(fields()).is_ok());
    for (field, value) in [
        ("arg", Value::Text("DIDL".into())),
        ("arg", Value::Array(vec![Value::Integer(1)])),
        ("method_name", Value::Array(vec![])),
        ("ingress_expiry", Value::Integer(-1)),
        ("ingress_expiry", Value::Text("0".into())),
        ("canister_id", Value::Text("aaaaa-aa".into())),
        ("request_type", Value::Text("destroy".into())),
        ("nonce", Value::Integer(1)),
        ("paths", Value::Array(vec![])),
        ("surprise", Value::Null),
    ] {
        let mut content = fields();
        content.insert(field.into(), value);
        assert!(matches!(parse_fields(content), Err(WireError::Malformed { .. })), "{field}");
    }
    for field in ["request_type", "canister_id", "method_name", "arg", "sender", "ingress_expiry"] {
        let mut content = fields();
        content.remove(field);
        assert!(matches!(parse_fields(content), Err(WireError::Malformed { .. })), "{field}");
    }
}

#[test]
fn a_request_written_as_an_array_is_refused() {
    let content = Value::Array(fields().into_values().collect());
    assert!(Envelope::parse(&encode(&BTreeMap::from([("content", content)]))).is_err());
    assert!(Envelope::parse(&encode(&[fields()])).is_err());
}

#[test]
fn a_field_named_by_a_number_is_refused() {
    let bytes = encode(&BTreeMap::from([(0u8, fields())]));
    assert!(matches!(Envelope::parse(&bytes), Err(WireError::Malformed { .. })));
}

#[test]
fn a_field_that_occurs_twice_is_refused() {
    let bytes = sealed(call(vec![], None)).encode_bytes();
    let mut twice = bytes.clone();
    // The envelope is a map of one entry: make it two equal ones.
    assert_eq!(twice[3], 0xa1);
    twice[3] = 0xa2;
    twice.extend_from_slice(&bytes[4..]);
    let Err(WireError::Malformed { reason, .. }) = Envelope::parse(&twice) else { panic!("accepted") };
    assert!(reason.contains("duplicate"), "{reason}");
}

#[test]
fn an_expiry_beside_the_content_counts_nowhere() {
    let beside = |name: &str| {
        let content = Value::Map(fields().into_iter().map(|(name, value)| (Value::Text(name), value)).collect());
        let expiry = Value::Integer((EXPIRY + 1).into());
        let envelope = BTreeMap::from([(Value::Text("content".into()), content), (Value::Text(name.into()), expiry)]);
        Envelope::parse(&encode(&Value::Map(envelope)))
    };
    assert_eq!(beside("ingress_expiry").unwrap().request_id, parse_fields(fields()).unwrap().request_id);
    assert!(beside("ingress_expirz").is_err());
}

#[test]
fn sender_info_is_part_of_what_is_asked_for() {
    let with = |bytes: usize, signer: Vec<u8>| {
        let mut content = call(vec![], None);
        if let EnvelopeContent::Call { sender_info, .. } = &mut content {
            *sender_info = Some(agent::SenderInfo { info: vec![1; bytes], signer, sig: vec![2; 3] });
        }
        content
    };
    let signer = canister_id(7).as_slice().to_vec();
    let content = with(9, signer.clone());
    let envelope = parse(content.clone()).unwrap();
    assert_eq!(envelope.request_id.0, *content.to_request_id(), "the hash covers it");
    let Content::Call(read) = envelope.content else { panic!("a call") };
    let expected = SenderInfo { info: vec![1; 9], signer: canister_id(7), sig: vec![2; 3] };
    assert_eq!(read.sender_info, Some(expected));
    assert!(parse(with(limits::SENDER_INFO_BYTES_MAX, signer.clone())).is_ok());
    let too_long = |content| matches!(parse(content), Err(WireError::TooLong { .. }));
    assert!(too_long(with(limits::SENDER_INFO_BYTES_MAX + 1, signer)));
    assert!(too_long(with(1, vec![1; 30])));
    let mut content = fields();
    content.insert("sender_info".into(), Value::Map(BTreeMap::new()));
    assert!(parse_fields(content).is_err(), "its fields are missing");
}

#[test]
fn every_list_and_string_ends_at_its_limit() {
    let too_long = |content| matches!(parse(content), Err(WireError::TooLong { .. }));
    assert!(parse(call(vec![], Some(vec![0; 32]))).is_ok());
    assert!(too_long(call(vec![], Some(vec![0; 33]))));
    assert!(too_long(query(&"m".repeat(limits::METHOD_NAME_BYTES_MAX + 1))));
    let paths = |count: usize, labels: usize| read_state(vec![vec![vec![]; labels]; count]);
    assert!(parse(paths(limits::READ_STATE_PATHS_MAX, limits::READ_STATE_LABELS_MAX)).is_ok());
    assert!(too_long(paths(limits::READ_STATE_PATHS_MAX + 1, 0)));
    assert!(too_long(paths(1, limits::READ_STATE_LABELS_MAX + 1)));
    let mut content = fields();
    content.insert("sender".into(), Value::Bytes(vec![1; 30]));
    assert!(matches!(parse_fields(content), Err(WireError::TooLong { what: "sender", .. })));
}

#[test]
fn delegations_end_at_their_limits() {
    let delegation = |targets: usize| agent::SignedDelegation {
        delegation: agent::Delegation {
            pubkey: vec![],
            expiration: 0,
            targets: Some(vec![canister_id(1); targets]),
            permissions: None,
        },
        signature: vec![],
    };
    let with = |list: Vec<agent::SignedDelegation>| {
        let mut envelope = sealed(query("get"));
        envelope.sender_delegation = Some(list);
        Envelope::parse(&envelope.encode_bytes())
    };
    assert!(with(vec![delegation(limits::DELEGATION_TARGETS_MAX); limits::DELEGATIONS_MAX]).is_ok());
    assert!(matches!(with(vec![delegation(0); 21]), Err(WireError::TooLong { what: "sender_delegation", .. })));
    assert!(matches!(with(vec![delegation(1_001)]), Err(WireError::TooLong { what: "targets", .. })));
}

#[test]
fn a_call_must_fit_into_a_block_and_a_query_into_a_body() {
    assert!(parse(call(vec![0; limits::INGRESS_BYTES_MAX - 1_000], None)).is_ok());
    assert!(matches!(parse(call(vec![0; limits::INGRESS_BYTES_MAX], None)), Err(WireError::TooLarge { .. })));
    assert!(matches!(Envelope::parse(&vec![0; limits::HTTP_BODY_BYTES_MAX + 1]), Err(WireError::TooLarge { .. })));
}

#[test]
fn hostile_bytes_are_refused_before_anything_is_built() {
    let deep = [&b"\xa1\x67content"[..], &[0x81; 100]].concat();
    assert_eq!(Envelope::parse(&deep), Err(WireError::TooDeep { limit: limits::CBOR_DEPTH_MAX }));
    let many = vec![0x80; 1 << 20];
    let many = [&b"\xa1\x67content\x9a\x00\x10\x00\x00"[..], &many].concat();
    assert!(matches!(Envelope::parse(&many), Err(WireError::TooManyItems { .. })));
    let mut trailing = sealed(query("get")).encode_bytes();
    trailing.push(0);
    assert!(matches!(Envelope::parse(&trailing), Err(WireError::Malformed { .. })));
    let key = vec![b'k'; 1 << 20];
    let quoting = [&b"\xa1\x7a\x00\x10\x00\x00"[..], &key, b"\x01"].concat();
    let Err(error) = Envelope::parse(&quoting) else { panic!("accepted") };
    assert!(error.to_string().len() < 300);
}

#[test]
fn damage_to_a_request_changes_its_id_or_nothing() {
    let bytes = sealed(call(b"DIDL".to_vec(), Some(vec![1]))).encode_bytes();
    let intact = Envelope::parse(&bytes).unwrap();
    for at in 0..bytes.len() {
        let _ = Envelope::parse(&bytes[..at]);
        for flip in 1..=255 {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Ok(envelope) = Envelope::parse(&damaged) {
                assert!(envelope.request_id != intact.request_id || envelope.content == intact.content, "byte {at}");
            }
        }
    }
}
