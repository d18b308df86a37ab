//! Why a request was turned away: the one table from errors to HTTP statuses, stable codes and advice.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mains_crypto::AuthError;
use mains_replica::{ReadStateError, SubmitError};
use mains_types::Reject;
use mains_wire::WireError;
use serde::Serialize;

/// Why a request got no answer of its own kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The body has more bytes than any valid request.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {patience_ms} ms")]
    BodyTooSlow { patience_ms: u64 },
    /// The connection broke within the body.
    #[error("the body ended early")]
    BodyCutOff,
    /// All memory for bodies is taken.
    #[error("too many requests are being read")]
    OutOfBodyMemory { retry_after_ms: u64 },
    /// All memory for large replies is taken.
    #[error("too many large replies are being sent")]
    OutOfReplyMemory { retry_after_ms: u64 },
    /// A large reply that the client does not read.
    #[error("the reply was not read in time")]
    ReplyTooSlow,
    /// All places for waiting calls are taken.
    #[error("too many calls wait for their certificate")]
    TooManyCalls { retry_after_ms: u64 },
    /// The body is no request.
    #[error("{0}")]
    Malformed(#[from] WireError),
    /// The request does not prove its sender, or not now.
    #[error("{0}")]
    NotAuthentic(#[from] AuthError),
    /// An id in the URL is no principal.
    #[error("`{text}` is not a principal")]
    NotAPrincipal { text: String },
    /// The id in the URL does not belong to the request.
    #[error("the effective canister id in the URL does not fit the request")]
    WrongEffectiveCanister,
    /// Another subnet's id.
    #[error("this replica does not belong to subnet {asked}")]
    WrongSubnet { asked: String },
    /// The sender may not read that.
    #[error("{0}")]
    Forbidden(String),
    /// The replica has too much to do.
    #[error("the replica has too much to do")]
    Busy { retry_after_ms: u64 },
    /// The replica's disk is full or fails.
    #[error("the replica's disk takes no more")]
    NoRoom { retry_after_ms: u64 },
    /// The replica cannot answer yet, or no longer.
    #[error("the replica is not ready")]
    NotReady { retry_after_ms: u64 },
    /// A reject where the endpoint has no form for one.
    #[error("{0}")]
    Rejected(Reject),
    /// No such canister in the certified state.
    #[error("there is no canister {id} on this subnet")]
    NoSuchCanister { id: String },
    /// There is no statement for that period.
    #[error("no statement for this period: {reason}")]
    NoStatement { reason: String },
    /// A query parameter makes no sense.
    #[error("the parameter `{name}` is not valid")]
    BadParameter { name: &'static str },
    /// A host name below one of ours that is no canister's.
    #[error("the host name {host} names no canister")]
    HostWithoutCanister { host: String },
    /// A request's head that does not fit into a call.
    #[error("path and headers have more than {limit} bytes")]
    HeadTooLarge { limit: usize },
    /// A header that a canister cannot be shown.
    #[error("the header `{name}` is not visible ASCII")]
    BadHeader { name: String },
    /// A page that shares its origin wants to rule all of it.
    #[error("a service worker would rule over all canisters and pages of this host name")]
    ServiceWorkerOnSharedOrigin,
    /// A canister without code.
    #[error("canister {id} is empty")]
    CanisterEmpty { id: String },
    /// A canister that does not run.
    #[error("canister {id} is stopped")]
    CanisterStopped { id: String },
    /// A canister without the cycles to run.
    #[error("canister {id} is frozen: it ran out of cycles")]
    CanisterFrozen { id: String },
    /// A canister that has no pages.
    #[error("canister {id} serves no pages: it has no query method `http_request`")]
    CanisterWithoutPages { id: String },
    /// A canister that trapped or rejected.
    #[error("the canister failed: {0}")]
    CanisterFailed(Reject),
    /// A canister's answer is no HTTP response.
    #[error("the canister's answer is not valid: {reason}")]
    BadAnswer { reason: String },
    /// A canister's answer is not what it certified.
    #[error("the answer is not certified: {reason}")]
    NotVerified { reason: String },
    /// A certified body in pieces that does not fit into memory.
    #[error("the body has more than {limit} bytes and is certified only as a whole")]
    TooLargeToVerify { limit: usize },
    /// An update call on a page's behalf took too long.
    #[error("the canister did not answer the call within {patience_ms} ms")]
    CallTooSlow { patience_ms: u64 },
    /// No such URL.
    #[error("nothing is served at this path")]
    NoSuchPath,
    /// The URL exists for another method.
    #[error("this path does not take this method")]
    WrongMethod,
}

/// A row of the table.
struct Row {
    status: StatusCode,
    code: &'static str,
    advice: &'static str,
    retry_after_ms: Option<u64>,
}

impl Failure {
    /// A canister's answer is no HTTP response.
    pub(crate) fn bad_answer(reason: String) -> Self {
        Self::BadAnswer { reason }
    }

    /// A canister's answer is not what it certified.
    pub(crate) fn not_verified(reason: String) -> Self {
        Self::NotVerified { reason }
    }

    /// In words.
    pub(crate) fn explanation(&self) -> Explanation {
        let row = self.row();
        Explanation { code: row.code, message: self.to_string(), advice: row.advice }
    }

    /// The table. Codes are stable: tools and runbooks refer to them.
    fn row(&self) -> Row {
        let (status, code, advice) = match self {
            Self::Malformed(_) => (400, "MAINS-1001", "send CBOR as the interface specification says"),
            Self::NotAuthentic(AuthError::WrongType { .. }) => {
                (400, "MAINS-1002", "the URL's last part must fit the `request_type`")
            }
            Self::NotAPrincipal { .. } => (400, "MAINS-1003", "write ids like `rwlgt-iiaaa-aaaaa-aaaaa-cai`"),
            Self::WrongEffectiveCanister => {
                (400, "MAINS-1004", "put the callee's id, or the managed canister's, in the URL")
            }
            Self::WrongSubnet { .. } => (400, "MAINS-1005", "ask a replica of that subnet"),
            Self::BodyCutOff => (400, "MAINS-1006", "send as many bytes as announced"),
            Self::BadParameter { .. } => (400, "MAINS-1007", "see the documentation of this endpoint"),
            Self::BodyTooLarge { .. } => (413, "MAINS-1008", "split the request, for example by chunked installation"),
            Self::BodyTooSlow { .. } => (408, "MAINS-1009", "send the request again"),
            Self::NotAuthentic(AuthError::Expired { .. } | AuthError::TooFarInFuture { .. }) => {
                (400, "MAINS-1101", "set the clock, then sign the request again")
            }
            Self::NotAuthentic(_) => (403, "MAINS-1103", "check the sender's key, signature and delegations"),
            Self::Forbidden(_) => (403, "MAINS-1102", "ask as the sender of the request or as a controller"),
            Self::TooManyCalls { .. } | Self::Busy { .. } => (429, "MAINS-1201", "wait as long as Retry-After says"),
            Self::ReplyTooSlow => (408, "MAINS-1012", "read faster, or ask for less"),
            Self::OutOfBodyMemory { .. } | Self::OutOfReplyMemory { .. } => {
                (503, "MAINS-1202", "wait as long as Retry-After says, or ask another replica")
            }
            Self::NotReady { .. } => {
                (503, "MAINS-1203", "ask another replica; /health/ready tells when this one is back")
            }
            Self::NoRoom { .. } => {
                (503, "MAINS-1204", "ask another replica; the operator of this one has to make room on its disk")
            }
            Self::NoSuchCanister { .. } => (404, "MAINS-1301", "/api/mains/v1/canisters lists them"),
            Self::NoStatement { .. } => (404, "MAINS-1305", "choose another period, or ask a node that keeps more"),
            Self::NoSuchPath => (404, "MAINS-1302", "the interface is at /api/v2, /api/v3, /api/v4 and /api/mains/v1"),
            Self::WrongMethod => (405, "MAINS-1303", "see the documentation of this endpoint"),
            Self::Rejected(_) => (400, "MAINS-1304", "see the message"),
            Self::HeadTooLarge { .. } => (431, "MAINS-1010", "send fewer or shorter headers"),
            Self::BadHeader { .. } => (400, "MAINS-1011", "encode the header's value as ASCII"),
            Self::HostWithoutCanister { .. } => {
                (400, "MAINS-1401", "open http://<canister id>.localhost:<port>/, or add ?canisterId=<canister id>")
            }
            Self::CanisterEmpty { .. } => (503, "MAINS-1402", "install a module: `mains deploy`"),
            Self::CanisterStopped { .. } => {
                (503, "MAINS-1403", "a controller can start it: `mains canister start <canister id>`")
            }
            Self::CanisterFrozen { .. } => (503, "MAINS-1404", "send it cycles"),
            Self::CanisterWithoutPages { .. } => {
                (404, "MAINS-1405", "call it with `mains call`, or let it export a query `http_request`")
            }
            Self::CanisterFailed(_) => (502, "MAINS-1406", "see the message, and the canister's logs"),
            Self::BadAnswer { .. } => (502, "MAINS-1407", "the canister must answer as the HTTP gateway protocol says"),
            Self::NotVerified { .. } => (
                502,
                "MAINS-1408",
                "the canister must certify its answers, for example with ic-asset-certification; \
                 http://<canister id>.raw.localhost:<port>/ shows them unverified",
            ),
            Self::TooLargeToVerify { .. } => (
                502,
                "MAINS-1409",
                "the canister must serve it in certified parts (206), as ic-asset-certification does",
            ),
            Self::CallTooSlow { .. } => (504, "MAINS-1410", "look whether the call took effect, then send it again"),
            Self::ServiceWorkerOnSharedOrigin => {
                (403, "MAINS-1411", "open the page at http://<canister id>.localhost:<port>/")
            }
        };
        let retry_after_ms = match self {
            Self::TooManyCalls { retry_after_ms }
            | Self::Busy { retry_after_ms }
            | Self::OutOfBodyMemory { retry_after_ms }
            | Self::OutOfReplyMemory { retry_after_ms }
            | Self::NoRoom { retry_after_ms }
            | Self::NotReady { retry_after_ms } => Some(*retry_after_ms),
            _ => None,
        };
        Row {
            status: StatusCode::from_u16(status).expect("the table holds valid statuses"),
            code,
            advice,
            retry_after_ms,
        }
    }
}

/// What a client gets instead of an answer.
#[derive(Serialize)]
pub(crate) struct Explanation {
    /// Stable.
    pub(crate) code: &'static str,
    /// What went wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) advice: &'static str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let row = self.row();
        let mut response = (row.status, Json(self.explanation())).into_response();
        if let Some(retry_after_ms) = row.retry_after_ms {
            let seconds = retry_after_ms.div_ceil(1_000).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Rejected(reject) => Self::Rejected(reject),
            SubmitError::Busy { retry_after_ms } => Self::Busy { retry_after_ms },
            SubmitError::NotReady { retry_after_ms } => Self::NotReady { retry_after_ms },
            SubmitError::NoRoom { retry_after_ms } => Self::NoRoom { retry_after_ms },
            SubmitError::WrongEffectiveCanister => Self::WrongEffectiveCanister,
        }
    }
}

impl From<ReadStateError> for Failure {
    fn from(error: ReadStateError) -> Self {
        match error {
            ReadStateError::Forbidden(reason) => Self::Forbidden(reason),
            ReadStateError::NotReady => Self::NotReady { retry_after_ms: 1_000 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn being_turned_away_for_load_says_when_to_come_back() {
        for failure in [
            Failure::TooManyCalls { retry_after_ms: 1 },
            Failure::OutOfBodyMemory { retry_after_ms: 1_500 },
            Failure::NotReady { retry_after_ms: 1_000 },
        ] {
            let response = failure.into_response();
            assert!(response.status() == 429 || response.status() == 503);
            let seconds = response.headers()[header::RETRY_AFTER].to_str().expect("it is text");
            assert!(seconds.parse::<u64>().expect("it is a number") >= 1);
        }
    }

    #[test]
    fn a_body_too_large_or_too_slow_has_its_own_status() {
        assert_eq!(Failure::BodyTooLarge { limit: 1 }.into_response().status(), 413);
        assert_eq!(Failure::BodyTooSlow { patience_ms: 1 }.into_response().status(), 408);
    }
}
