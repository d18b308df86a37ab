//! What can go wrong between a client and a network.

use crate::{CertificateError, Rejection};
use mains_types::RequestId;

/// Why a request has no answer that can be believed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("no answer from {url}: {reason}")]
    Unreachable {
        /// Where it was asked.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// The gateway turned the request away.
    #[error("{message} ({code}): {advice}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable code, `MAINS-nnnn`.
        code: String,
        /// What happened.
        message: String,
        /// What to do.
        advice: String,
    },
    /// The canister, or the network on its way there, rejected the call.
    #[error("rejected: {0}")]
    Rejected(Rejection),
    /// A certificate proves nothing.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The network no longer keeps the outcome.
    #[error("the outcome of request {0} is no longer kept: ask within five minutes")]
    Forgotten(RequestId),
    /// No outcome in time.
    #[error("no certified outcome within {seconds} s for request {request_id}; it may still happen")]
    TimedOut {
        /// The request.
        request_id: RequestId,
        /// How long was waited.
        seconds: u64,
    },
    /// An answer is not of the form that was agreed on.
    #[error("unexpected answer from {url}: {reason}")]
    Unexpected {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// ic-agent refused: signing, query signatures, certified reads.
    #[error("{0}")]
    Agent(Box<ic_agent::AgentError>),
    /// An argument or a reply is not the expected Candid.
    #[error("candid: {0}")]
    Candid(String),
    /// The ledger refused.
    #[error("the cycles ledger refused: {0}")]
    Ledger(String),
}

impl From<ic_agent::AgentError> for ClientError {
    fn from(error: ic_agent::AgentError) -> Self {
        use ic_agent::AgentError::{CertifiedReject, UncertifiedReject};
        match error {
            CertifiedReject { reject, .. } | UncertifiedReject { reject, .. } => Self::Rejected(Rejection {
                code: reject.reject_code as u64,
                message: reject.reject_message,
                error_code: reject.error_code,
            }),
            other => Self::Agent(Box::new(other)),
        }
    }
}

impl From<candid::Error> for ClientError {
    fn from(error: candid::Error) -> Self {
        Self::Candid(error.to_string())
    }
}
