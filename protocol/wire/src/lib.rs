//! What goes over HTTP, as bytes: requests in, replies and certificates out. The only place that names the CBOR crate.
//!
//! Input is walked once before anything is built from it, so that memory follows the bytes that are there and never a
//! length that somebody declared. Checks form and size only: whether a request is authentic is `mains-crypto`'s matter,
//! whether it may do what it asks is the replica's. Never does I/O. Spec: `specs/interface.md`; encodings: IC interface
//! specification, "Request structure and serialization" and "Certificate".

pub mod cbor;
pub mod envelope;
mod error;
pub mod reply;
pub mod request;
pub mod request_hash;
pub mod signature;
mod strict;

pub use cbor::{decode, encode};
pub use envelope::{Call, Content, Delegation, Envelope, Permissions, ReadState, SenderInfo, SignedDelegation};
pub use error::WireError;
pub use reply::{
    call_rejected, call_replied, certificate, certificate_with_delegation, query_response, read_state, status,
};
pub use request::{encode_call, encode_query};
pub use request_hash::{call_id, query_response_hash};
pub use signature::{CanisterSignature, WebAuthnSignature};
