//! The representation-independent hash: what is signed of a map, however its bytes were written.
//! IC interface specification, "Representation-independent hashing of structured data".

use crate::envelope::{Call, Delegation, Permissions, ReadState, SenderInfo};
use ic_transport_types::{RequestId as Hash, to_request_id};
use mains_types::{Digest32, Principal, Reject, RequestId, UnixNanos};
use serde::Serialize;
use serde_bytes::Bytes;

#[derive(Serialize)]
struct CallMap<'a> {
    request_type: &'static str,
    canister_id: &'a Principal,
    method_name: &'a str,
    arg: &'a Bytes,
    sender: &'a Principal,
    ingress_expiry: u64,
    nonce: Option<&'a Bytes>,
    sender_info: Option<SenderInfoMap<'a>>,
}

/// `sender_info` as it is written and hashed.
#[derive(Serialize)]
pub(crate) struct SenderInfoMap<'a> {
    info: &'a Bytes,
    signer: &'a Principal,
    sig: &'a Bytes,
}

impl<'a> From<&'a SenderInfo> for SenderInfoMap<'a> {
    fn from(SenderInfo { info, signer, sig }: &'a SenderInfo) -> Self {
        Self { info: Bytes::new(info), signer, sig: Bytes::new(sig) }
    }
}

/// The id of a call.
pub fn call_id(call: &Call) -> RequestId {
    method_id("call", call)
}

/// The id of a query.
pub(crate) fn query_id(query: &Call) -> RequestId {
    method_id("query", query)
}

fn method_id(request_type: &'static str, call: &Call) -> RequestId {
    hash_of_map(&CallMap {
        request_type,
        canister_id: &call.canister_id,
        method_name: &call.method_name,
        arg: Bytes::new(&call.arg),
        sender: &call.sender,
        ingress_expiry: call.ingress_expiry.get(),
        nonce: call.nonce.as_deref().map(Bytes::new),
        sender_info: call.sender_info.as_ref().map(SenderInfoMap::from),
    })
}

#[derive(Serialize)]
struct ReadStateMap<'a> {
    request_type: &'static str,
    sender: &'a Principal,
    ingress_expiry: u64,
    nonce: Option<&'a Bytes>,
    paths: Vec<Vec<&'a Bytes>>,
}

/// The id of a read_state request.
pub(crate) fn read_state_id(request: &ReadState) -> RequestId {
    hash_of_map(&ReadStateMap {
        request_type: "read_state",
        sender: &request.sender,
        ingress_expiry: request.ingress_expiry.get(),
        nonce: request.nonce.as_deref().map(Bytes::new),
        paths: request.paths.iter().map(|path| path.iter().map(|label| Bytes::new(label)).collect()).collect(),
    })
}

#[derive(Serialize)]
struct DelegationMap<'a> {
    pubkey: &'a Bytes,
    expiration: u64,
    targets: Option<&'a [Principal]>,
    permissions: Option<&'static str>,
}

impl Delegation {
    /// What the delegating key signs, without the domain separator.
    pub fn hash(&self) -> Digest32 {
        let permissions = self.permissions.map(|permissions| match permissions {
            Permissions::Queries => "queries",
            Permissions::All => "all",
        });
        hash_of_map(&DelegationMap {
            pubkey: Bytes::new(&self.pubkey),
            expiration: self.expiration.get(),
            targets: self.targets.as_deref(),
            permissions,
        })
        .0
    }
}

#[derive(Serialize)]
struct ReplyMap<'a> {
    arg: &'a Bytes,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum ResponseMap<'a> {
    Replied {
        reply: ReplyMap<'a>,
        timestamp: u64,
        request_id: &'a Bytes,
    },
    Rejected {
        reject_code: u8,
        reject_message: &'a str,
        error_code: Option<String>,
        timestamp: u64,
        request_id: &'a Bytes,
    },
}

/// What a node signs of a query's answer, without the domain separator (IC interface specification, "Request: Query
/// call"). `timestamp` is the block time of the state the query ran on.
pub fn query_response_hash(request_id: &RequestId, result: &Result<Vec<u8>, Reject>, timestamp: UnixNanos) -> Digest32 {
    let (request_id, timestamp) = (Bytes::new(&request_id.0), timestamp.get());
    let map = match result {
        Ok(reply) => ResponseMap::Replied { reply: ReplyMap { arg: Bytes::new(reply) }, timestamp, request_id },
        Err(reject) => ResponseMap::Rejected {
            reject_code: reject.code as u8,
            reject_message: &reject.message,
            error_code: reject.error_code.map(|code| code.text()),
            timestamp,
            request_id,
        },
    };
    hash_of_map(&map).0
}

fn hash_of_map(map: &impl Serialize) -> RequestId {
    let hash: Hash = to_request_id(map).expect("our maps hold only texts, blobs, naturals, arrays and maps");
    RequestId(*hash)
}
