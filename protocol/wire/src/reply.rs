//! Answers, as self-described CBOR. IC interface specification, "HTTPS interface" and "Certification encoding".

use crate::cbor::encode;
use ic_certification::HashTree;
use mains_types::{NodeId, Reject, SubnetId, UnixNanos};
use serde::Serialize;
use serde_bytes::Bytes;

#[cfg(test)]
mod tests;

#[derive(Serialize)]
struct Status<'a> {
    root_key: &'a Bytes,
    replica_health_status: &'a str,
    impl_version: &'a str,
}

/// The answer to `GET /api/v2/status`. `root_key_der` has 133 bytes; tools wait for the health "healthy".
pub fn status(root_key_der: &[u8], health: &str, version: &str) -> Vec<u8> {
    encode(&Status { root_key: Bytes::new(root_key_der), replica_health_status: health, impl_version: version })
}

// Fields of a reject are written out: `flatten` would write maps of indefinite length, which not every client reads.

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum CallReply<'a> {
    Replied {
        certificate: &'a Bytes,
    },
    NonReplicatedRejection {
        reject_code: u8,
        reject_message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_code: Option<String>,
    },
}

/// The answer to a synchronous call that ended, replied or rejected: a certificate that reveals its `request_status`.
pub fn call_replied(certificate: &[u8]) -> Vec<u8> {
    encode(&CallReply::Replied { certificate: Bytes::new(certificate) })
}

/// The answer to a call that this replica did not take; no proof of anything.
pub fn call_rejected(reject: &Reject) -> Vec<u8> {
    encode(&CallReply::NonReplicatedRejection {
        reject_code: reject.code as u8,
        reject_message: &reject.message,
        error_code: reject.error_code.map(|code| code.text()),
    })
}

#[derive(Serialize)]
struct NodeSignature<'a> {
    timestamp: u64,
    signature: &'a Bytes,
    identity: &'a NodeId,
}

#[derive(Serialize)]
struct Reply<'a> {
    arg: &'a Bytes,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum QueryReply<'a> {
    Replied {
        reply: Reply<'a>,
        signatures: [NodeSignature<'a>; 1],
    },
    Rejected {
        reject_code: u8,
        reject_message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_code: Option<String>,
        signatures: [NodeSignature<'a>; 1],
    },
}

/// The answer to a query, with one node's signature over it (made by `mains_crypto::NodeKey`).
pub fn query_response(
    result: &Result<Vec<u8>, Reject>,
    timestamp: UnixNanos,
    signature: &[u8],
    node_id: &NodeId,
) -> Vec<u8> {
    let signatures =
        [NodeSignature { timestamp: timestamp.get(), signature: Bytes::new(signature), identity: node_id }];
    match result {
        Ok(reply) => encode(&QueryReply::Replied { reply: Reply { arg: Bytes::new(reply) }, signatures }),
        Err(reject) => encode(&QueryReply::Rejected {
            reject_code: reject.code as u8,
            reject_message: &reject.message,
            error_code: reject.error_code.map(|code| code.text()),
            signatures,
        }),
    }
}

#[derive(Serialize)]
struct ReadStateReply<'a> {
    certificate: &'a Bytes,
}

/// The answer to a read_state request.
pub fn read_state(certificate: &[u8]) -> Vec<u8> {
    encode(&ReadStateReply { certificate: Bytes::new(certificate) })
}

#[derive(Serialize)]
struct Certificate<'a> {
    tree: &'a HashTree,
    signature: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation: Option<SubnetDelegation<'a>>,
}

#[derive(Serialize)]
struct SubnetDelegation<'a> {
    subnet_id: &'a Bytes,
    certificate: &'a Bytes,
}

/// A certificate signed by the root key itself: the root subnet's, or that of a network with one subnet.
pub fn certificate(tree: &HashTree, signature: &[u8]) -> Vec<u8> {
    encode(&Certificate { tree, signature: Bytes::new(signature), delegation: None })
}

/// A certificate signed by a subnet's key. `delegation` is the root subnet's certificate over that key and the
/// subnet's canister ranges; it must hold no delegation itself.
pub fn certificate_with_delegation(
    tree: &HashTree,
    signature: &[u8],
    subnet_id: &SubnetId,
    delegation: &[u8],
) -> Vec<u8> {
    let delegation =
        SubnetDelegation { subnet_id: Bytes::new(subnet_id.as_slice()), certificate: Bytes::new(delegation) };
    encode(&Certificate { tree, signature: Bytes::new(signature), delegation: Some(delegation) })
}
