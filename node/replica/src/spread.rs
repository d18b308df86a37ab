//! Shows admitted calls to the other members, so that any leader can propose them without another hop.

use crate::{handle::Inner, pool::PoolFull};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use mains_wire::Envelope;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Calls that wait to be sent; beyond it they are only in this replica's pool and go out when it leads.
pub(crate) const OUTGOING_MAX: usize = 4_096;

/// Sends what this replica admitted.
pub(crate) async fn send(mut outgoing: mpsc::Receiver<bytes::Bytes>, mut sender: impl Sender<PublicKey = PublicKey>) {
    while let Some(raw) = outgoing.recv().await {
        sender.send(Recipients::All, raw, false);
    }
}

/// Takes what others admitted, after the same checks.
pub(crate) async fn receive(inner: Arc<Inner>, mut receiver: impl Receiver<PublicKey = PublicKey>) {
    while let Ok((from, raw)) = receiver.recv().await {
        let raw: bytes::Bytes = raw.into();
        if inner.pool.verified(&raw).is_some() {
            continue;
        }
        let now = (inner.now)();
        let call = Envelope::parse(&raw)
            .map_err(|error| error.to_string())
            .and_then(|envelope| mains_crypto::verify_call(envelope, now).map_err(|error| error.to_string()));
        match call {
            Ok(call) if inner.is_known(&call.request_id()) => {}
            Ok(call) => {
                if let Err(PoolFull) = inner.pool.insert(call) {
                    tracing::debug!("the pool is full: a call from a member was dropped");
                }
            }
            Err(reason) => tracing::warn!(%from, %reason, "a member sent a call that does not verify"),
        }
    }
}
