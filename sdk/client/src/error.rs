//! What can go wrong between a client and a network.

use crate::{CertificateError, Rejection};
use mains_types::RequestId;
use serde::Deserialize;

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

/// What a gateway says when it turns a request away.
#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
    advice: String,
}

impl ClientError {
    /// What a gateway says in `body`; `None` if it is no Mains gateway.
    pub(crate) fn refused(status: u16, body: &[u8]) -> Option<Self> {
        let Refusal { code, message, advice } = serde_json::from_slice(body).ok()?;
        Some(Self::Refused { status, code, message, advice })
    }
}

impl From<ic_agent::AgentError> for ClientError {
    fn from(error: ic_agent::AgentError) -> Self {
        use ic_agent::AgentError::{CertifiedReject, HttpError, UncertifiedReject};
        match error {
            HttpError(payload) => Self::refused(payload.status, &payload.content)
                .unwrap_or_else(|| Self::Agent(Box::new(HttpError(payload)))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_says_is_told_as_one_line_with_its_advice() {
        let body = br#"{"code":"MAINS-1203","message":"the replica is not ready","advice":"ask another replica"}"#;
        let error = ClientError::refused(503, body).expect("a refusal");
        assert_eq!(error.to_string(), "the replica is not ready (MAINS-1203): ask another replica");
        assert!(ClientError::refused(502, b"<html>").is_none());
    }
}
