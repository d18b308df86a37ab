//! Gets the subnet's threshold signature over every executed root and publishes certified views.
//!
//! Each replica signs a partial over its root and sends it to all; 2f+1 partials make the certificate. A certificate
//! also arrives from a peer that is ahead, or inside a block. A root that the subnet signed and that is not ours is a
//! divergence: the replica stops before it signs anything more.

use crate::{executor::Sealed, handle::Inner, saver::Saver, shares::Shares, view::View};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use mains_consensus::{Certificate, ChainKey, Collector, Control, Partial};
use mains_types::{
    Digest32, Height, limits,
    planted::{self, Defect},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Executed heights that may wait for their certificate here; older ones are dropped (a later certificate covers them).
const UNCERTIFIED_MAX: usize = 64;
/// Certificates kept for heights that are not executed yet.
const EARLY_MAX: usize = 8;
/// How often an uncertified root is sent again: messages may be lost.
const RESEND: Duration = Duration::from_millis(300);

/// What replicas tell each other on the certification channel.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Message {
    Partial(Partial),
    Certificate(Certificate),
}

impl Message {
    fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Self::Partial(partial) => {
                bytes.put_u8(0);
                partial.write(&mut bytes);
            }
            Self::Certificate(certificate) => {
                bytes.put_u8(1);
                certificate.write(&mut bytes);
            }
        }
        bytes.freeze()
    }

    fn decode(mut bytes: Bytes) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let message = match bytes.get_u8() {
            0 => Self::Partial(Partial::read(&mut bytes)?),
            1 => Self::Certificate(Certificate::read(&mut bytes)?),
            _ => return None,
        };
        bytes.is_empty().then_some(message)
    }
}

pub(crate) struct Certifier<E, S> {
    context: E,
    inner: Arc<Inner>,
    chain_key: Arc<ChainKey>,
    sender: S,
    /// Executed, not certified.
    waiting: BTreeMap<Height, Sealed>,
    /// Partials of heights above the newest certified one.
    collector: Collector,
    /// Certificates of heights that are not executed yet.
    early: BTreeMap<Height, Certificate>,
    certified: Height,
    shares: Shares,
    saver: Arc<Saver>,
}

impl<E, S> Certifier<E, S>
where
    E: Clock,
    S: Sender<PublicKey = PublicKey>,
{
    pub(crate) fn new(context: E, inner: Arc<Inner>, chain_key: Arc<ChainKey>, sender: S, saver: Arc<Saver>) -> Self {
        let collector = Collector::new(chain_key.clone());
        Self {
            context,
            inner,
            chain_key,
            sender,
            waiting: BTreeMap::new(),
            collector,
            early: BTreeMap::new(),
            certified: Height::ZERO,
            shares: Shares::default(),
            saver,
        }
    }

    /// Serves until the executor or the network ends.
    pub(crate) async fn run(
        mut self,
        mut sealed: mpsc::Receiver<Sealed>,
        mut receiver: impl Receiver<PublicKey = PublicKey>,
    ) {
        let mut resend_at = self.context.current() + RESEND;
        loop {
            tokio::select! {
                biased;
                next = sealed.recv() => match next {
                    Some(next) => self.sealed(next),
                    None => return,
                },
                message = receiver.recv() => match message {
                    Ok((from, bytes)) => {
                        if let Some(message) = Message::decode(bytes.into()) {
                            self.received(from, message);
                        }
                    }
                    Err(_) => return,
                },
                () = self.context.sleep_until(resend_at) => {
                    resend_at = self.context.current() + RESEND;
                    self.resend();
                }
            }
        }
    }

    fn sealed(&mut self, sealed: Sealed) {
        let height = sealed.state.height;
        self.shares.executed(height, sealed.root);
        if let Some(certificate) = sealed.control.certificate() {
            self.adopt(*certificate, &[]);
        }
        if height <= self.certified {
            return;
        }
        let root = sealed.root;
        if planted::is(Defect::ServedUncertified) {
            self.inner.views.publish(View { state: sealed.state.clone(), root, signature: [0; 48] });
        }
        self.waiting.insert(height, sealed);
        while self.waiting.len() > UNCERTIFIED_MAX {
            self.waiting.pop_first();
        }
        if let Some(certificate) = self.early.get(&height).copied() {
            self.adopt(certificate, &[]);
            return;
        }
        let behind = self.newest_known().get().saturating_sub(height.get());
        if behind <= limits::CERTIFICATION_DISTANCE_MAX {
            self.sign(height, root);
        }
    }

    fn newest_known(&self) -> Height {
        let finalized = Height(self.inner.finalized.load(std::sync::atomic::Ordering::Relaxed));
        let early = self.early.last_key_value().map_or(Height::ZERO, |(height, _)| *height);
        finalized.max(early)
    }

    fn sign(&mut self, height: Height, root: Digest32) {
        let Some(partial) = self.chain_key.sign(height, root) else { return };
        self.sender.send(Recipients::All, Message::Partial(partial.clone()).encode(), true);
        self.collect(partial);
    }

    fn resend(&mut self) {
        let Some((height, sealed)) = self.waiting.last_key_value() else { return };
        let (height, root) = (*height, sealed.root);
        if let Some(partial) = self.chain_key.sign(height, root) {
            self.sender.send(Recipients::All, Message::Partial(partial).encode(), true);
        }
    }

    fn received(&mut self, from: PublicKey, message: Message) {
        if let Message::Partial(partial) = &message
            && self.chain_key.belongs(partial.index, &from)
        {
            self.shares.offered(partial);
        }
        match message {
            Message::Partial(partial) if partial.height <= self.certified => {
                // The peer is behind: the newest certificate serves it better than our partial of then.
                if let Some(view) = self.inner.views.newest() {
                    let certificate = Certificate { height: view.height(), root: view.root, signature: view.signature };
                    self.sender.send(Recipients::One(from), Message::Certificate(certificate).encode(), false);
                }
            }
            Message::Partial(partial) => {
                if !planted::is(Defect::OthersShareBelieved) && !self.chain_key.belongs(partial.index, &from) {
                    tracing::warn!(index = partial.index, "a peer sent somebody else's partial signature");
                    return;
                }
                self.collect(partial);
            }
            Message::Certificate(certificate) => {
                // A signature takes a millisecond to check: what is known already is not looked at.
                if certificate.height > self.certified
                    && !self.early.contains_key(&certificate.height)
                    && (planted::is(Defect::CertificateUnverified) || self.chain_key.verify(&certificate))
                {
                    self.adopt(certificate, &[]);
                }
            }
        }
    }

    fn collect(&mut self, partial: Partial) {
        let added = self.collector.add(partial);
        for index in added.blamed {
            tracing::warn!(index, "a replica's partial signature is wrong");
        }
        if let Some(certificate) = added.certificate {
            self.adopt(certificate, &added.signers);
        }
    }

    /// Takes a valid certificate that `signers` are known to have signed: publishes the view if that height is executed, keeps
    /// it for later if not.
    fn adopt(&mut self, certificate: Certificate, signers: &[u32]) {
        if certificate.height <= self.certified {
            return;
        }
        self.shares.certified(certificate.height, signers, &self.chain_key);
        *self.inner.signed.lock().expect("no holder panics") = self.shares.lately();
        let Some(sealed) = self.waiting.remove(&certificate.height) else {
            self.early.insert(certificate.height, certificate);
            while self.early.len() > EARLY_MAX {
                self.early.pop_first();
            }
            return;
        };
        assert!(
            sealed.root == certificate.root,
            "divergence at height {}: the subnet signed another root than this replica computed",
            certificate.height
        );
        self.certified = certificate.height;
        let above = certificate.height.next();
        self.waiting = self.waiting.split_off(&above);
        self.early = self.early.split_off(&above);
        self.collector.forget_below(above);
        self.inner.certified(certificate);
        self.saver.certified(certificate);
        self.inner.views.publish(View {
            state: sealed.state,
            root: certificate.root,
            signature: certificate.signature,
        });
    }
}

/// Whether a block's control part holds against its parent's: its certificate is valid.
pub(crate) fn control_is_valid(control: &Control, known: Option<&Certificate>, chain_key: &ChainKey) -> bool {
    match control.certificate() {
        None => true,
        Some(_) if planted::is(Defect::ControlUnverified) => true,
        // The signature over a root is unique: the same bytes need no second check.
        Some(certificate) => known == Some(certificate) || chain_key.verify(certificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire_and_garbage_is_dropped() {
        let partial = Partial { height: Height(7), root: [1; 32], index: 2, value: [3; 48] };
        let certificate = Certificate { height: Height(9), root: [4; 32], signature: [5; 48] };
        for message in [Message::Partial(partial), Message::Certificate(certificate)] {
            let bytes = message.encode();
            assert_eq!(Message::decode(bytes.clone()), Some(message));
            for cut in 0..bytes.len() {
                assert_eq!(Message::decode(bytes.slice(..cut)), None, "a torn message is no message");
            }
        }
        assert_eq!(Message::decode(Bytes::from_static(&[9; 99])), None);
    }
}
