//! The replica as canisters' pages need it, so that everything else here can be tested without one.

use crate::failure::Failure;
use mains_crypto::{verify_call, verify_query};
use mains_replica::ReplicaHandle;
use mains_state::IngressStatus;
use mains_types::{CanisterId, Principal, RequestId, UnixNanos};
use mains_wire::{Call, Envelope, encode_call, encode_query};
use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

/// How long a request of the gateway's own is valid, nanoseconds: well below what a block accepts.
const EXPIRY_NANOS: u64 = 4 * 60 * 1_000_000_000;

/// Asks canisters, as the anonymous principal.
pub(crate) trait Canisters: Send + Sync + 'static {
    /// The root key, DER.
    fn root_key(&self) -> &[u8];

    /// The time, for the age of certificates.
    fn now(&self) -> UnixNanos;

    /// Runs a query method on the newest certified state.
    ///
    /// Errors: [`Failure::Rejected`] by the canister or on its behalf; the replica is busy or not ready.
    fn query(
        &self,
        canister: CanisterId,
        method: &str,
        argument: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;

    /// Calls an update method and waits for its certified reply. Waits for ever if there is none: add a timeout.
    ///
    /// Errors: as for a query; [`Failure::BodyTooLarge`] if the call does not fit into a block.
    fn update(
        &self,
        canister: CanisterId,
        method: &str,
        argument: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, Failure>> + Send;
}

impl Canisters for ReplicaHandle {
    fn root_key(&self) -> &[u8] {
        &self.identity().root_key_der
    }

    fn now(&self) -> UnixNanos {
        ReplicaHandle::now(self)
    }

    async fn query(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let now = ReplicaHandle::now(self);
        let call = anonymous(canister, method, argument, now, None);
        let query = verify_query(Envelope::from_bytes(encode_query(&call, None).into())?, now, self.trust())?;
        ReplicaHandle::query(self, query, canister).await?.result.map_err(Failure::Rejected)
    }

    async fn update(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let now = ReplicaHandle::now(self);
        let call = anonymous(canister, method, argument, now, Some(nonce(&self.identity().node_id, now)));
        let call = verify_call(Envelope::from_bytes(encode_call(&call, None).into())?, now, self.trust())?;
        let id: RequestId = self.submit(call, canister).await?;
        let view = self.outcome(&id).await;
        match view.state.ingress_status(&id) {
            Some(IngressStatus::Replied(reply)) => Ok(reply.to_vec()),
            Some(IngressStatus::Rejected(reject)) => Err(Failure::Rejected(reject.clone())),
            // The outcome was dropped before we saw it: only possible after minutes behind the chain.
            _ => Err(Failure::NotReady { retry_after_ms: 1_000 }),
        }
    }
}

fn anonymous(canister_id: CanisterId, method: &str, arg: Vec<u8>, now: UnixNanos, nonce: Option<Vec<u8>>) -> Call {
    Call {
        canister_id,
        method_name: method.to_owned(),
        arg,
        sender: Principal::anonymous(),
        ingress_expiry: UnixNanos(now.get().saturating_add(EXPIRY_NANOS)),
        nonce,
        sender_info: None,
    }
}

/// Makes equal page requests different calls: this node, this moment, and a counter.
fn nonce(node: &Principal, now: UnixNanos) -> Vec<u8> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let node = node.as_slice();
    let mut nonce = node[..node.len().min(16)].to_vec();
    nonce.extend(now.get().to_be_bytes());
    nonce.extend(COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use mains_types::limits::NONCE_BYTES_MAX;

    #[test]
    fn two_calls_at_the_same_moment_have_different_nonces_of_a_valid_size() {
        let node = Principal::self_authenticating([1; 44]);
        let (first, second) = (nonce(&node, UnixNanos(5)), nonce(&node, UnixNanos(5)));
        assert_ne!(first, second);
        assert_eq!(first.len(), NONCE_BYTES_MAX);
    }
}
