//! Why a signature is not valid.

use mains_wire::WireError;
use thiserror::Error;

/// Why a signature is not valid. Holds for ever: nothing here depends on time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Another key's, over something else, or not of the key's form.
    #[error("it is not of this key over this message")]
    Wrong,
    /// Not the CBOR that WebAuthn or canister signatures have.
    #[error("{part}: {reason}")]
    Malformed {
        /// What was read.
        part: &'static str,
        /// What is wrong with it.
        reason: WireError,
    },
    /// Authenticators send another number of bytes.
    #[error("authenticator_data has {actual} bytes, not {} to {max}", min)]
    AuthenticatorData {
        /// Bytes received.
        actual: usize,
        /// Bytes that every authenticator sends.
        min: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not JSON with the fields that browsers write.
    #[error("client_data_json is not JSON of at most {limit} bytes with a type and a challenge")]
    ClientData {
        /// Bytes allowed.
        limit: usize,
    },
    /// Made to register a key, not to sign.
    #[error("client_data_json is not of type webauthn.get")]
    ClientDataType,
    /// The authenticator was asked to sign something else.
    #[error("the challenge in client_data_json is not the base64url of what is to be signed")]
    Challenge,
    /// The certificate is another network's, or altered.
    #[error("the certificate is not signed by this network")]
    Certificate,
    /// A certificate of a subnet whose delegation is wrong.
    #[error("the certificate's delegation {what}")]
    Delegation {
        /// What is wrong.
        what: &'static str,
    },
    /// The certificate does not show the canister's certified data, or other data than the tree's root.
    #[error("the certificate does not show the tree's root as the canister's certified data")]
    NotCertified,
    /// The tree's labels are out of order.
    #[error("the tree is not well-formed")]
    TreeMalformed,
    /// The canister did not sign this.
    #[error("the tree has no signature of this message for the key's seed")]
    NotInTree,
}
