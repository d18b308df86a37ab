//! What became of a call, with its proof.

use crate::{ClientError, Proof, certificate::Certificate};
use mains_types::{Cycles, Height, RequestId, UnixNanos};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Why a call was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The reject code (interface specification, "Reject codes").
    #[serde(rename = "reject_code")]
    pub code: u64,
    /// One sentence.
    #[serde(rename = "reject_message")]
    pub message: String,
    /// The finer code, for example `IC0503`.
    #[serde(default)]
    pub error_code: Option<String>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error_code {
            Some(code) => write!(f, "{} ({code})", self.message),
            None => write!(f, "{} (reject code {})", self.message, self.code),
        }
    }
}

/// How far a request has come, as a certificate shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It has not ended.
    Pending,
    /// It ended.
    Ended(Result<Vec<u8>, Rejection>),
    /// It ended, and the subnet no longer keeps its outcome.
    Forgotten,
}

/// The certified outcome of an update call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The request.
    pub request_id: RequestId,
    /// The reply (Candid bytes), or why there is none. Both are certified.
    pub result: Result<Vec<u8>, Rejection>,
    /// Height of the state that the certificate is about.
    pub height: Height,
    /// Block time of that state.
    pub time: UnixNanos,
    /// Cycles that the call cost its canister, if the subnet says so.
    pub cost: Option<Cycles>,
    /// From sending the request to having verified the certificate.
    pub latency: Duration,
    /// The certificate, CBOR.
    pub certificate: Vec<u8>,
    /// The signed request, CBOR.
    pub envelope: Vec<u8>,
}

impl Outcome {
    /// The outcome that `certificate` shows for a request, or `None` if it has not ended.
    pub(crate) fn read(
        certificate: Vec<u8>,
        envelope: Vec<u8>,
        request_id: RequestId,
        root_key: &[u8],
        latency: impl FnOnce() -> Duration,
    ) -> Result<Option<Self>, ClientError> {
        let verified = Certificate::verify(&certificate, root_key)?;
        let result = match verified.status(&request_id) {
            Ok(Status::Ended(result)) => result,
            Ok(Status::Forgotten) => return Err(ClientError::Forgotten(request_id)),
            Ok(Status::Pending) | Err(_) => return Ok(None),
        };
        Ok(Some(Self {
            request_id,
            result,
            height: verified.height()?,
            time: verified.time()?,
            cost: verified.cost(&request_id),
            latency: latency(),
            certificate,
            envelope,
        }))
    }

    /// The reply.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] if the call was rejected.
    pub fn reply(self) -> Result<Vec<u8>, ClientError> {
        self.result.map_err(ClientError::Rejected)
    }

    /// A proof of this outcome that can be kept in a file.
    pub fn proof(&self, root_key: &[u8], network: &str) -> Proof {
        Proof::new(network, root_key, &self.envelope, &self.certificate)
    }
}
