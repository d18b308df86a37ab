//! Shows admitted calls to the other members, so that any leader can propose them without another hop.
//!
//! Calls that wait together travel together: one message is a sequence of (u32 length, envelope).

use crate::{handle::Inner, pool::PoolFull};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use mains_wire::Envelope;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Calls that wait to be sent; beyond it they are only in this replica's pool and go out when it leads.
pub(crate) const OUTGOING_MAX: usize = 4_096;
/// Bytes of one message above which no further call is added: with the largest call behind it, it still fits a block's
/// channel.
const MESSAGE_BYTES: usize = 64 << 10;

/// Sends what this replica admitted.
pub(crate) async fn send(mut outgoing: mpsc::Receiver<Bytes>, mut sender: impl Sender<PublicKey = PublicKey>) {
    while let Some(first) = outgoing.recv().await {
        let mut message = BytesMut::new();
        append(&mut message, &first);
        while message.len() < MESSAGE_BYTES
            && let Ok(next) = outgoing.try_recv()
        {
            append(&mut message, &next);
        }
        sender.send(Recipients::All, message.freeze(), false);
    }
}

/// Takes what others admitted, after the same checks.
pub(crate) async fn receive(inner: Arc<Inner>, mut receiver: impl Receiver<PublicKey = PublicKey>) {
    while let Ok((from, message)) = receiver.recv().await {
        for raw in split(message.into()) {
            if let Err(reason) = take(&inner, &raw) {
                tracing::warn!(%from, %reason, "a member sent a call that does not verify");
                break;
            }
        }
    }
}

fn take(inner: &Inner, raw: &Bytes) -> Result<(), String> {
    if inner.pool.verified(raw).is_some() {
        return Ok(());
    }
    let envelope = Envelope::from_bytes(raw.clone()).map_err(|error| error.to_string())?;
    let call = mains_crypto::verify_call(envelope, (inner.now)(), &inner.trust).map_err(|error| error.to_string())?;
    if let Err(PoolFull) = inner.admit(call) {
        tracing::debug!("the pool is full: a call from a member was dropped");
    }
    Ok(())
}

fn append(message: &mut BytesMut, raw: &Bytes) {
    message.put_u32(raw.len() as u32);
    message.put_slice(raw);
}

/// The envelopes in a message, up to the first that is torn.
fn split(mut message: Bytes) -> Vec<Bytes> {
    let mut envelopes = Vec::new();
    while message.len() >= 4 {
        let length = message.get_u32() as usize;
        if length > message.len() {
            break;
        }
        envelopes.push(message.split_to(length));
    }
    envelopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_apart_again_and_a_torn_tail_is_left_out() {
        let envelopes: Vec<Bytes> = [&b"one"[..], b"", b"three"].map(Bytes::from_static).to_vec();
        let mut message = BytesMut::new();
        for envelope in &envelopes {
            append(&mut message, envelope);
        }
        let message = message.freeze();
        assert_eq!(split(message.clone()), envelopes);
        assert_eq!(split(message.slice(..message.len() - 1)), envelopes[..2]);
        assert!(split(Bytes::from_static(&[255; 3])).is_empty());
        assert!(split(Bytes::from_static(&[255; 9])).is_empty());
    }
}
