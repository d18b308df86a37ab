//! A call and its outcome as a file that anybody can check offline, with nothing but the root key.

use crate::{
    certificate::{Certificate, CertificateError},
    outcome::{Rejection, Status},
};
use mains_types::{CanisterId, Cycles, Height, Principal, RequestId, UnixNanos};
use mains_wire::{Content, Envelope};
use serde::{Deserialize, Serialize};

/// The format of proof files that this version writes.
const FORMAT: &str = "mains-proof-1";

/// Why a proof file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Not JSON, not our format, not hex.
    #[error("not a proof file: {0}")]
    Malformed(String),
    /// The certificate does not hold.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The certificate holds but is not about this request's outcome.
    #[error("the certificate does not show the outcome of request {0}")]
    OtherRequest(RequestId),
    /// The file names another root key than the one trusted.
    #[error("the proof was made with another root key than the one given")]
    OtherRootKey,
}

/// A proof as it is kept: JSON with bytes in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// `mains-proof-1`.
    format: String,
    /// The network's name, for people.
    pub network: String,
    /// The root key that the file claims, DER in hex. Compare it with one from a source that you trust.
    pub root_key: String,
    /// The signed request, CBOR in hex: its hash is the request id.
    envelope: String,
    /// The certificate, CBOR in hex.
    certificate: String,
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The request.
    pub request_id: RequestId,
    /// Whom it was sent to.
    pub canister: CanisterId,
    /// The method.
    pub method: String,
    /// The argument (Candid bytes).
    pub argument: Vec<u8>,
    /// Who signed it.
    pub sender: Principal,
    /// The reply (Candid bytes), or why there is none.
    pub result: Result<Vec<u8>, Rejection>,
    /// Height of the certified state.
    pub height: Height,
    /// Block time of the certified state.
    pub time: UnixNanos,
    /// Cycles that the call cost its canister, if the certificate shows it.
    pub cost: Option<Cycles>,
    /// The state root that the subnet signed.
    pub root: [u8; 32],
}

impl Proof {
    pub(crate) fn new(network: &str, root_key: &[u8], envelope: &[u8], certificate: &[u8]) -> Self {
        Self {
            format: FORMAT.into(),
            network: network.into(),
            root_key: hex::encode(root_key),
            envelope: hex::encode(envelope),
            certificate: hex::encode(certificate),
        }
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings always serialize")
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let proof: Self = serde_json::from_str(text).map_err(|error| ProofError::Malformed(error.to_string()))?;
        if proof.format != FORMAT {
            return Err(ProofError::Malformed(format!(
                "format `{}` where this version reads `{FORMAT}`",
                proof.format
            )));
        }
        Ok(proof)
    }

    /// Checks everything offline: the signature over the state root, the path from the root to the outcome, and that the
    /// outcome is that of the request in the file. With `trusted`, also that the root key is this one (DER).
    ///
    /// # Errors
    /// Every [`ProofError`].
    pub fn verify(&self, trusted: Option<&[u8]>) -> Result<Proven, ProofError> {
        let bytes =
            |name: &str, text: &str| hex::decode(text).map_err(|_| ProofError::Malformed(format!("{name} is not hex")));
        let root_key = bytes("root_key", &self.root_key)?;
        if trusted.is_some_and(|trusted| trusted != root_key) {
            return Err(ProofError::OtherRootKey);
        }
        let certificate = Certificate::verify(&bytes("certificate", &self.certificate)?, &root_key)?;
        let envelope = Envelope::parse(&bytes("envelope", &self.envelope)?)
            .map_err(|error| ProofError::Malformed(format!("envelope: {error}")))?;
        let request_id = envelope.request_id;
        let Content::Call(call) = envelope.content else {
            return Err(ProofError::Malformed("the request is not an update call".into()));
        };
        let Ok(Status::Ended(result)) = certificate.status(&request_id) else {
            return Err(ProofError::OtherRequest(request_id));
        };
        Ok(Proven {
            request_id,
            canister: call.canister_id,
            method: call.method_name,
            argument: call.arg,
            sender: call.sender,
            result,
            height: certificate.height()?,
            time: certificate.time()?,
            cost: certificate.cost(&request_id),
            root: certificate.root(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_survives_the_round_trip_through_its_file() {
        let proof = Proof::new("local", &[1], &[2], &[3]);
        assert_eq!(Proof::from_json(&proof.to_json()).expect("it was written by us"), proof);
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        assert!(matches!(Proof::from_json("{}"), Err(ProofError::Malformed(_))));
        let foreign = Proof { format: "mains-proof-9".into(), ..Proof::new("local", &[], &[], &[]) };
        let error = Proof::from_json(&foreign.to_json()).expect_err("another format");
        assert!(error.to_string().contains("mains-proof-9"));
    }

    #[test]
    fn a_proof_for_another_root_key_is_not_believed() {
        let proof = Proof::new("local", &[1], &[2], &[3]);
        assert!(matches!(proof.verify(Some(&[9])), Err(ProofError::OtherRootKey)));
    }
}
