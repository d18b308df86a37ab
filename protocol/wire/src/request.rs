//! Requests out, for our own clients; agents bring their own writer.

use crate::{Call, cbor::encode, request_hash::SenderInfoMap};
use mains_types::Principal;
use serde::Serialize;
use serde_bytes::Bytes;

#[derive(Serialize)]
struct Envelope<'a> {
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_pubkey: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_sig: Option<&'a Bytes>,
}

#[derive(Serialize)]
struct Content<'a> {
    request_type: &'static str,
    canister_id: &'a Principal,
    method_name: &'a str,
    arg: &'a Bytes,
    sender: &'a Principal,
    ingress_expiry: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_info: Option<SenderInfoMap<'a>>,
}

/// The envelope of a call. `authentication` is the sender's key (DER) and its signature; `None` for the anonymous
/// sender.
pub fn encode_call(call: &Call, authentication: Option<(&[u8], &[u8])>) -> Vec<u8> {
    envelope("call", call, authentication)
}

/// Encodes the envelope of a query, as [`encode_call`] does that of a call.
pub fn encode_query(query: &Call, authentication: Option<(&[u8], &[u8])>) -> Vec<u8> {
    envelope("query", query, authentication)
}

fn envelope(request_type: &'static str, call: &Call, authentication: Option<(&[u8], &[u8])>) -> Vec<u8> {
    encode(&Envelope {
        content: Content {
            request_type,
            canister_id: &call.canister_id,
            method_name: &call.method_name,
            arg: Bytes::new(&call.arg),
            sender: &call.sender,
            ingress_expiry: call.ingress_expiry.get(),
            nonce: call.nonce.as_deref().map(Bytes::new),
            sender_info: call.sender_info.as_ref().map(SenderInfoMap::from),
        },
        sender_pubkey: authentication.map(|(key, _)| Bytes::new(key)),
        sender_sig: authentication.map(|(_, signature)| Bytes::new(signature)),
    })
}

#[cfg(test)]
mod tests {
    use super::{encode_call, encode_query};
    use crate::{Call, Content, Envelope, SenderInfo};
    use mains_types::{Principal, UnixNanos, ids::canister_id};

    #[test]
    fn what_is_written_is_read() {
        let mut call = Call {
            canister_id: canister_id(256),
            method_name: "bump".into(),
            arg: vec![1],
            sender: Principal::anonymous(),
            ingress_expiry: UnixNanos(u64::MAX),
            nonce: None,
            sender_info: None,
        };
        for (nonce, authentication) in [(None, None), (Some(vec![7; 8]), Some((&[1; 44][..], &[2; 64][..])))] {
            let (info, sig) = (vec![5; 9], vec![6; 10]);
            call.sender_info = nonce.as_ref().map(|_| SenderInfo { info, signer: canister_id(7), sig });
            call.nonce = nonce;
            let envelope = Envelope::parse(&encode_call(&call, authentication)).unwrap();
            assert_eq!(envelope.content, Content::Call(call.clone()));
            let query = Envelope::parse(&encode_query(&call, authentication)).unwrap();
            assert_eq!(query.content, Content::Query(call.clone()));
            assert_eq!(envelope.sender_pubkey.as_deref().zip(envelope.sender_sig.as_deref()), authentication);
        }
    }
}
