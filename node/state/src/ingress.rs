//! What became of clients' requests: kept until they expire so that none runs twice.

use imbl::{OrdMap, OrdSet};
use mains_types::{CanisterId, Principal, Reject, RequestId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How far a request has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IngressStatus {
    /// In a queue.
    Received,
    /// Started, waits for other canisters.
    Processing,
    /// Replied.
    Replied(Arc<serde_bytes::ByteBuf>),
    /// Rejected.
    Rejected(Reject),
    /// Ended, the outcome is no longer kept.
    Done,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressEntry {
    /// Who signed it; only they may read its status.
    pub sender: Principal,
    /// Whom it was for (the effective canister id).
    pub receiver: CanisterId,
    /// When it expires.
    pub expires_at: UnixNanos,
    /// How far it has come.
    pub status: IngressStatus,
}

/// All requests that have not expired, with the moments at which something is due for them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IngressHistory {
    /// By request id.
    pub entries: OrdMap<RequestId, IngressEntry>,
    /// When to forget an outcome or a whole entry, in order.
    pub due: OrdSet<(UnixNanos, RequestId)>,
}
