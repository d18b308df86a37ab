use super::{
    call_rejected, call_replied, certificate, certificate_with_delegation, query_response, read_state, status,
};
use crate::{decode, query_response_hash};
use ic_certification::{Certificate, fork, labeled, leaf, pruned};
use ic_transport_types::{QueryResponse, ReadStateResponse, RejectResponse, TransportCallResponse};
use mains_types::{ErrorCode, Principal, Reject, RejectCode, RequestId, UnixNanos};

fn reject() -> Reject {
    Reject::new(RejectCode::DestinationInvalid, ErrorCode::CanisterNotFound, "no such canister")
}

fn agents_reject() -> RejectResponse {
    RejectResponse {
        reject_code: ic_transport_types::RejectCode::DestinationInvalid,
        reject_message: "no such canister".into(),
        error_code: Some("IC0301".into()),
    }
}

/// Maps and arrays of definite length only: some clients read no other.
fn is_definite(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| [0xbf, 0x9f].contains(byte))
}

#[test]
fn agents_read_the_answers_to_calls() {
    let replied = call_replied(b"proof");
    assert!(matches!(decode(&replied), Ok(TransportCallResponse::Replied { certificate }) if certificate == b"proof"));
    let rejected = call_rejected(&reject());
    assert!(is_definite(&rejected));
    let Ok(TransportCallResponse::NonReplicatedRejection(read)) = decode(&rejected) else { panic!("not understood") };
    assert_eq!(read, agents_reject());
}

#[test]
fn agents_read_the_answers_to_queries_and_hash_them_alike() {
    let id = RequestId([7; 32]);
    let time = UnixNanos(1_700_000_000_123_456_789);
    let node = Principal::self_authenticating([1; 44]);
    let without_code = Reject { error_code: None, ..reject() };
    for result in [Ok(b"DIDL".to_vec()), Ok(vec![]), Err(reject()), Err(without_code)] {
        let bytes = query_response(&result, time, &[9; 64], &node);
        assert!(is_definite(&bytes));
        let read: QueryResponse = decode(&bytes).unwrap();
        assert_eq!(read.signatures().len(), 1);
        assert_eq!(read.signatures()[0].identity, node);
        assert_eq!(read.signatures()[0].timestamp, time.get());
        let signable = read.signable(ic_transport_types::RequestId::new(&id.0), time.get());
        assert_eq!(signable, [&b"\x0Bic-response"[..], &query_response_hash(&id, &result, time)].concat());
    }
}

#[test]
fn agents_read_certificates() {
    let tree = fork(labeled(b"a", leaf(b"1")), pruned([3; 32]));
    let inner = certificate(&tree, &[5; 48]);
    let read: Certificate = decode(&inner).unwrap();
    assert_eq!((&read.tree, &read.signature[..], &read.delegation), (&tree, &[5; 48][..], &None));
    let subnet = Principal::self_authenticating([2; 133]);
    let outer = certificate_with_delegation(&tree, &[6; 48], &subnet, &inner);
    let delegation = decode::<Certificate>(&outer).unwrap().delegation.unwrap();
    assert_eq!((&delegation.subnet_id[..], delegation.certificate), (subnet.as_slice(), inner));
    let state: ReadStateResponse = decode(&read_state(&outer)).unwrap();
    assert_eq!(state.certificate, outer);
}

#[test]
fn the_status_carries_the_root_key_as_bytes() {
    let bytes = status(&[4; 133], "healthy", "0.1.0");
    let map: std::collections::BTreeMap<String, serde_cbor::Value> = decode(&bytes).unwrap();
    assert_eq!(map["root_key"], serde_cbor::Value::Bytes(vec![4; 133]));
    assert_eq!(map["replica_health_status"], serde_cbor::Value::Text("healthy".into()));
}
