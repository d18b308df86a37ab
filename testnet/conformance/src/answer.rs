//! What a gateway answered to a request, and whether it is what a test expects.

use anyhow::{Context as _, Result, bail, ensure};
use ic_transport_types::{QueryResponse, TransportCallResponse};
use mains_client::{Certificate, Rejection, outcome::Status};
use mains_types::RequestId;
use serde::Deserialize;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// How a gateway turns a request away.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    /// The stable code, `MAINS-nnnn`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// How a call ended.
pub type Ended = Result<Vec<u8>, Rejection>;

impl Answer {
    /// The refusal, if it is one.
    ///
    /// # Errors
    /// The answer is something else.
    pub fn refusal(&self) -> Result<Refusal> {
        ensure!(self.status >= 400, "the request was taken: {}", self.shown());
        serde_json::from_slice(&self.body).with_context(|| format!("a refusal in JSON, not {}", self.shown()))
    }

    /// Sees that the request was turned away with this status, code and, somewhere in its message, this text.
    ///
    /// # Errors
    /// It was not.
    pub fn is_refused(&self, status: u16, code: &str, text: &str) -> Result<()> {
        let refusal = self.refusal()?;
        ensure!(self.status == status, "HTTP {}, not {status}: {}", self.status, self.shown());
        ensure!(refusal.code == code, "{}, not {code}: {}", refusal.code, self.shown());
        ensure!(refusal.message.contains(text), "not a word of {text:?}: {}", self.shown());
        ensure!(
            !refusal.advice.is_empty() && !refusal.message.contains('\n'),
            "one line and some advice: {}",
            self.shown()
        );
        Ok(())
    }

    /// How a call ended: certified, or rejected by this replica alone; `None` if it has not ended.
    ///
    /// # Errors
    /// Turned away, or a certificate that proves nothing.
    pub fn ended(&self, id: &RequestId, root_key: &[u8]) -> Result<Option<Ended>> {
        if self.status == 202 {
            return Ok(None);
        }
        ensure!(self.status == 200, "HTTP {}: {}", self.status, self.shown());
        let certificate = match mains_wire::decode::<TransportCallResponse>(&self.body)? {
            TransportCallResponse::Replied { certificate } => certificate,
            TransportCallResponse::NonReplicatedRejection(reject) => return Ok(Some(Err(rejection(reject)))),
            TransportCallResponse::Accepted => return Ok(None),
        };
        match Certificate::verify(&certificate, root_key)?.status(id)? {
            Status::Ended(ended) => Ok(Some(ended)),
            other => bail!("a certificate of an ended call, not {other:?}"),
        }
    }

    /// What a query answered. The node's signature is not looked at.
    ///
    /// # Errors
    /// Turned away.
    pub fn answered(&self) -> Result<Ended> {
        ensure!(self.status == 200, "HTTP {}: {}", self.status, self.shown());
        Ok(match mains_wire::decode::<QueryResponse>(&self.body)? {
            QueryResponse::Replied { reply, .. } => Ok(reply.arg),
            QueryResponse::Rejected { reject, .. } => Err(rejection(reject)),
        })
    }

    /// The beginning of the body, for people.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}

fn rejection(reject: ic_transport_types::RejectResponse) -> Rejection {
    Rejection { code: reject.reject_code as u64, message: reject.reject_message, error_code: reject.error_code }
}

/// Sees that a call was rejected with this error code and, somewhere in its message, this text.
///
/// # Errors
/// It was not.
pub fn is_rejected(ended: &Ended, error_code: &str, text: &str) -> Result<()> {
    let Err(rejection) = ended else { bail!("a rejection {error_code}, not a reply") };
    ensure!(rejection.error_code.as_deref() == Some(error_code), "{error_code}, not {rejection}");
    ensure!(rejection.message.contains(text), "not a word of {text:?}: {rejection}");
    ensure!(!rejection.message.contains('\n'), "one line, not {rejection}");
    Ok(())
}
