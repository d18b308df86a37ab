//! Who signs: Ed25519 seeds, or nobody.

pub use ic_agent::Identity;
use ic_agent::identity::{AnonymousIdentity, BasicIdentity};
use std::sync::Arc;

/// The anonymous identity: requests without a signature.
pub fn anonymous() -> Arc<dyn Identity> {
    Arc::new(AnonymousIdentity)
}

/// The identity of an Ed25519 seed.
pub fn from_seed(seed: &[u8; 32]) -> Arc<dyn Identity> {
    Arc::new(BasicIdentity::from_raw_key(seed))
}
