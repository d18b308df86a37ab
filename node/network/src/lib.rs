//! The members of a subnet reach each other: one libp2p swarm (TCP with noise and yamux, and QUIC) behind the traits
//! that consensus expects of a network. libp2p's types end here, except addresses.
//!
//! Only members get a connection at all: a stranger is cut off as soon as its key is known, before any protocol runs.
//! Delivery is best effort, as consensus wants it: bounded queues, and what does not fit is dropped. Every queue:
//!
//! | queue | bound | when full |
//! |---|---|---|
//! | outbound, per peer and channel | [`lane::OUTBOUND_MESSAGES_MAX`], [`lane::OUTBOUND_BYTES_MAX`] | the message is dropped |
//! | inbound bytes, per peer and channel | the channel's greatest message; [`ByteQuota`] a second | that peer's stream is held back |
//! | inbound messages, per channel | members x the quota's burst | the message is dropped |
//!
//! Spec: `specs/consensus.md`.

mod book;
mod driver;
mod exchange;
pub mod identity;
pub mod lane;
pub mod members;
#[cfg(test)]
mod tests;

pub use identity::{consensus_key, peer_id};
pub use lane::{ByteQuota, Receiver, Sender};
pub use libp2p::{Multiaddr, PeerId};
pub use members::{Oracle, PeerStatus};

use commonware_p2p::Channel;
use commonware_runtime::{Clock, Handle, Metrics, Quota, Spawner};
use futures::future::BoxFuture;
use std::{future::Future, sync::Arc, time::Duration};

/// What the network needs to know.
#[derive(Clone)]
pub struct Config {
    /// Seed of this node's ed25519 key: its identity on the network and in consensus.
    pub seed: [u8; 32],
    /// Where to listen; port 0 takes any. See [`Network::listen_addresses`].
    pub listen: Vec<Multiaddr>,
    /// Where members are found at first, with or without `/p2p/<peer id>`. One that is reachable is enough: members
    /// tell each other what they know.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for members on the local network by multicast DNS.
    pub mdns: bool,
    /// Network and subnet, part of every protocol's name: nodes of another network have nothing to say to each other.
    pub protocol: String,
    /// Bytes of the greatest message on any channel. A peer that sends a greater one is blocked.
    pub max_message_size: u32,
    /// Members at most, this node included: sizes the inbound queues.
    pub max_peers: usize,
}

/// Why the network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The transports or multicast DNS cannot be set up.
    #[error("the network cannot be set up: {0}")]
    Setup(String),
    /// Nothing can listen at this address.
    #[error("cannot listen at {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// Why.
        reason: String,
    },
}

/// Starts a task of the runtime, so that what becomes of a panic is the operator's decision.
pub(crate) type Spawn = Arc<dyn Fn(&'static str, BoxFuture<'static, ()>) -> Handle<()> + Send + Sync>;

/// A node's place in its network.
pub struct Network<E> {
    context: E,
    shared: Arc<driver::Shared>,
}

impl<E: Clock + Spawner + Metrics> Network<E> {
    /// Starts listening. Nobody is let in before [`Oracle::track`](commonware_p2p::Manager::track) names the members.
    ///
    /// Must be called within a tokio runtime: libp2p needs one.
    ///
    /// # Errors
    /// See [`NetworkError`]; nothing runs then.
    pub fn start(context: E, config: Config) -> Result<(Self, Oracle), NetworkError> {
        let tasks = context.child("task");
        let spawn: Spawn = Arc::new(move |name, task| tasks.child(name).spawn(move |_| task));
        let shared = driver::start(&context, spawn, config)?;
        Ok((Self { context, shared: shared.clone() }, Oracle::new(shared)))
    }

    /// The two ends of a channel; `quota` is what is sent to and taken from one peer in messages, `bytes` in bytes.
    ///
    /// # Panics
    /// If the channel was registered before, or takes greater messages than the network does.
    pub fn register(&mut self, channel: Channel, quota: Quota, bytes: ByteQuota) -> (Sender<E>, Receiver) {
        assert!(bytes.message_bytes_max <= self.shared.message_bytes_max, "no channel takes more than the network");
        lane::register(&self.context, &self.shared, channel, quota, bytes)
    }
}

impl<E> Network<E> {
    /// Every other member, connected or not, in the order of their keys.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.members().status()
    }

    /// Where this node listens now. Addresses appear shortly after the start.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.shared.members().listening.clone()
    }

    /// Waits until this node listens somewhere, at most `limit`.
    pub fn listening(&self, limit: Duration) -> impl Future<Output = Vec<Multiaddr>> + Send + 'static {
        let shared = self.shared.clone();
        async move {
            let until = tokio::time::Instant::now() + limit;
            loop {
                let addresses = shared.members().listening.clone();
                if !addresses.is_empty() || tokio::time::Instant::now() >= until {
                    return addresses;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
