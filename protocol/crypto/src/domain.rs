//! What is signed begins with its purpose, so that no signature serves for two. IC interface specification, "Domain
//! separators"; the first byte is the length of the text.

use mains_types::{Digest32, Reject, RequestId, UnixNanos};

const REQUEST: &[u8] = b"\x0Aic-request";
const DELEGATION: &[u8] = b"\x1Aic-request-auth-delegation";
const SENDER_INFO: &[u8] = b"\x0Eic-sender-info";
const RESPONSE: &[u8] = b"\x0Bic-response";
const STATE_ROOT: &[u8] = b"\x0Dic-state-root";

/// What the sender of a request signs.
pub fn signable(request_id: &RequestId) -> Vec<u8> {
    [REQUEST, &request_id.0].concat()
}

/// What a node signs of a query's answer. `timestamp` is the block time of the state the query ran on.
pub fn query_response_signable(
    request_id: &RequestId,
    result: &Result<Vec<u8>, Reject>,
    timestamp: UnixNanos,
) -> Vec<u8> {
    [RESPONSE, &mains_wire::query_response_hash(request_id, result, timestamp)].concat()
}

pub(crate) fn delegation_signable(hash: &Digest32) -> Vec<u8> {
    [DELEGATION, hash].concat()
}

pub(crate) fn sender_info_signable(info: &[u8]) -> Vec<u8> {
    [SENDER_INFO, info].concat()
}

pub(crate) fn state_root(root: &Digest32) -> Vec<u8> {
    [STATE_ROOT, root].concat()
}
