//! Who sent a request, and who answered: signatures, delegations, and the keys of nodes and of the subnet.
//!
//! A `Verified…` value can only be made by the check here, so whoever holds one need not ask again. Time is always a
//! parameter: the gateway passes its clock, consensus the block's time. Never does I/O, never reads a clock.
//! Spec: `specs/interface.md`; IC interface specification, "Authentication" and "Certificate".
//!
//! One verification rule, everywhere: Ed25519 by ZIP 215 with a canonical S; ECDSA (secp256k1 and P-256, `r || s`, 64
//! bytes) with a low or a high S, as the Internet Computer's own crates do, since browsers do not normalize. A second
//! signature that somebody derives from a first is harmless: request ids, and with them replay protection, do not
//! cover signatures. Keys have one accepted DER form each. WebAuthn and canister signatures have a module each, which says
//! what counts; a canister signature is believed by the network's root key ([`RootOfTrust`]), a parameter like time.

mod canister_signature;
mod chain_key;
mod delegation;
mod domain;
mod error;
mod module_signature;
mod node_key;
mod request;
mod root_of_trust;
mod signature_error;
mod user_key;
mod webauthn;

#[cfg(test)]
mod tests;

pub use chain_key::{
    CHAIN_KEY_DER_BYTES, chain_key_der, chain_key_from_der, state_root_message, verify_chain_signature,
};
pub use domain::{query_response_signable, signable};
pub use error::AuthError;
pub use module_signature::{ModuleSignatureError, PublisherKey, module_publisher, publisher_id, sign_module};
pub use node_key::{NodeKey, node_der, node_id, verify_node_signature};
pub use request::{
    VerifiedCall, VerifiedQuery, VerifiedReadState, sign_call, verify_call, verify_call_at_block, verify_query,
    verify_read_state,
};
pub use root_of_trust::RootOfTrust;
pub use signature_error::SignatureError;
pub use user_key::UserKey;
