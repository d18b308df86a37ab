//! Who is a member, who is connected, who is blocked; and the engine's door to it, [`Oracle`].

use crate::{driver::Shared, identity};
use commonware_actor::Feedback;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    BlockedSubscription, Blocker, Manager, PeerSetSubscription, PeerSetUpdate, Provider, TrackedPeers,
    utils::limited::Connected,
};
use commonware_utils::{
    NZUsize,
    channel::{mpsc, ring},
    ordered::Set,
};
use libp2p::{Multiaddr, swarm::ConnectionId};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Committees remembered: the newest and those whose messages may still be on the way.
const COMMITTEES_MAX: usize = 4;
/// How long a member that proved to be faulty is kept out. Not for ever: its operator may have repaired it.
pub const BLOCK_TIME: Duration = Duration::from_secs(3_600);

/// A member as the status page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its ed25519 key.
    pub public_key: [u8; 32],
    /// Whether there is a connection.
    pub connected: bool,
    /// Where it is connected from or to, or where it was last heard of.
    pub address: Option<Multiaddr>,
    /// Time to it and back, once measured.
    pub rtt: Option<Duration>,
    /// Whether it is kept out because it proved to be faulty.
    pub blocked: bool,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) address: Multiaddr,
    pub(crate) since: Instant,
    pub(crate) rtt: Option<Duration>,
}

/// The state behind everything here.
pub(crate) struct Members {
    me: PublicKey,
    committees: BTreeMap<u64, TrackedPeers<PublicKey>>,
    blocked: BTreeMap<PublicKey, Instant>,
    connections: BTreeMap<PublicKey, Vec<Connection>>,
    /// Last known addresses of members that are not connected, for the status page.
    pub(crate) heard_of: BTreeMap<PublicKey, Multiaddr>,
    pub(crate) listening: Vec<Multiaddr>,
    connected_watchers: Vec<ring::Sender<Vec<PublicKey>>>,
    blocked_watchers: Vec<ring::Sender<Set<PublicKey>>>,
    committee_watchers: Vec<mpsc::UnboundedSender<PeerSetUpdate<PublicKey>>>,
}

impl Members {
    pub(crate) fn new(me: PublicKey) -> Self {
        Self {
            me,
            committees: BTreeMap::new(),
            blocked: BTreeMap::new(),
            connections: BTreeMap::new(),
            heard_of: BTreeMap::new(),
            listening: Vec::new(),
            connected_watchers: Vec::new(),
            blocked_watchers: Vec::new(),
            committee_watchers: Vec::new(),
        }
    }

    /// The members of all remembered committees.
    fn all(&self) -> TrackedPeers<PublicKey> {
        let primary = Set::from_iter_dedup(self.committees.values().flat_map(|peers| peers.primary.iter().cloned()));
        let secondary = self.committees.values().flat_map(|peers| peers.secondary.iter());
        let secondary = secondary.filter(|peer| primary.position(peer).is_none()).cloned();
        TrackedPeers { secondary: Set::from_iter_dedup(secondary), primary }
    }

    /// Every other member, blocked or not.
    pub(crate) fn others(&self) -> impl Iterator<Item = PublicKey> {
        let me = self.me.clone();
        self.all().union().into_iter().filter(move |peer| *peer != me)
    }

    /// Whether `peer` may have a connection.
    pub(crate) fn is_allowed(&self, peer: &PublicKey) -> bool {
        *peer != self.me
            && !self.blocked.contains_key(peer)
            && self
                .committees
                .values()
                .any(|peers| peers.primary.position(peer).is_some() || peers.secondary.position(peer).is_some())
    }

    /// Whether messages can be sent to `peer` now.
    pub(crate) fn is_reachable(&self, peer: &PublicKey) -> bool {
        self.connections.contains_key(peer) && self.is_allowed(peer)
    }

    /// Members that messages can be sent to now.
    pub(crate) fn reachable(&self) -> Vec<PublicKey> {
        self.connections.keys().filter(|peer| self.is_allowed(peer)).cloned().collect()
    }

    /// Notes a connection; returns the ones that are obsolete by it: a member that connects again after
    /// `settling` has lost what it had, even if nothing has told us so yet.
    pub(crate) fn connected(
        &mut self,
        peer: PublicKey,
        connection: Connection,
        settling: Duration,
    ) -> Vec<ConnectionId> {
        let now = connection.since;
        let connections = self.connections.entry(peer).or_default();
        let obsolete =
            connections.iter().filter(|old| now.duration_since(old.since) > settling).map(|old| old.id).collect();
        connections.push(connection);
        self.tell_connected();
        obsolete
    }

    /// Notes the end of a connection; returns whether it was the last one to `peer`.
    pub(crate) fn disconnected(&mut self, peer: &PublicKey, id: ConnectionId) -> bool {
        let Some(connections) = self.connections.get_mut(peer) else { return false };
        if let Some(index) = connections.iter().position(|connection| connection.id == id) {
            let connection = connections.swap_remove(index);
            self.heard_of.insert(peer.clone(), connection.address);
        }
        let last = connections.is_empty();
        if last {
            self.connections.remove(peer);
        }
        self.tell_connected();
        last
    }

    /// Notes a measured time to `peer` and back.
    pub(crate) fn measured(&mut self, peer: &PublicKey, id: ConnectionId, rtt: Duration) {
        for connection in self.connections.get_mut(peer).into_iter().flatten().filter(|connection| connection.id == id)
        {
            connection.rtt = Some(rtt);
        }
    }

    /// Lets blocked members in again whose time is over; returns whether there were any.
    pub(crate) fn pardon(&mut self, now: Instant) -> bool {
        let before = self.blocked.len();
        self.blocked.retain(|_, until| *until > now);
        let pardoned = self.blocked.len() < before;
        if pardoned {
            self.tell_blocked();
        }
        pardoned
    }

    /// Every other member as the status page shows it.
    pub(crate) fn status(&self) -> Vec<PeerStatus> {
        self.others()
            .map(|peer| {
                let connection = self.connections.get(&peer).and_then(|connections| connections.last());
                PeerStatus {
                    public_key: identity::bytes(&peer),
                    connected: connection.is_some(),
                    address: connection
                        .map(|connection| connection.address.clone())
                        .or_else(|| self.heard_of.get(&peer).cloned()),
                    rtt: connection.and_then(|connection| connection.rtt),
                    blocked: self.blocked.contains_key(&peer),
                }
            })
            .collect()
    }

    fn track(&mut self, id: u64, peers: TrackedPeers<PublicKey>) {
        if self.committees.last_key_value().is_some_and(|(newest, _)| *newest >= id) {
            return;
        }
        let TrackedPeers { primary, secondary } = peers;
        let secondary = Set::from_iter_dedup(secondary.into_iter().filter(|peer| primary.position(peer).is_none()));
        let latest = TrackedPeers { primary, secondary };
        self.committees.insert(id, latest.clone());
        while self.committees.len() > COMMITTEES_MAX {
            self.committees.pop_first();
        }
        let update = PeerSetUpdate { index: id, latest, all: self.all() };
        self.committee_watchers.retain(|watcher| watcher.send(update.clone()).is_ok());
        self.tell_connected();
    }

    fn block(&mut self, peer: PublicKey) {
        self.blocked.insert(peer, Instant::now() + BLOCK_TIME);
        self.tell_blocked();
        self.tell_connected();
    }

    fn tell_connected(&mut self) {
        let reachable = self.reachable();
        self.connected_watchers.retain(|watcher| watcher.send_lossy(reachable.clone()));
    }

    fn tell_blocked(&mut self) {
        let blocked = Set::from_iter_dedup(self.blocked.keys().cloned());
        self.blocked_watchers.retain(|watcher| watcher.send_lossy(blocked.clone()));
    }
}

/// Who the peers are, as the engine asks for it and decides about it. Clones share it.
#[derive(Clone)]
pub struct Oracle {
    shared: Arc<Shared>,
}

impl Oracle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl fmt::Debug for Oracle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Oracle").finish_non_exhaustive()
    }
}

impl Provider for Oracle {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        self.shared.members().committees.get(&id).cloned()
    }

    #[allow(clippy::disallowed_methods, reason = "the engine's trait wants this type; one message per committee")]
    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut members = self.shared.members();
        if let Some((index, latest)) = members.committees.last_key_value() {
            let _ = sender.send(PeerSetUpdate { index: *index, latest: latest.clone(), all: members.all() });
        }
        members.committee_watchers.push(sender);
        receiver
    }
}

impl Manager for Oracle {
    fn track<R: Into<TrackedPeers<PublicKey>> + Send>(&mut self, id: u64, peers: R) -> Feedback {
        self.shared.members().track(id, peers.into());
        self.shared.changed.notify_one();
        Feedback::Ok
    }
}

impl Blocker for Oracle {
    type PublicKey = PublicKey;

    fn block(&mut self, peer: PublicKey) -> Feedback {
        self.shared.block(peer);
        Feedback::Ok
    }

    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        let (sender, receiver) = ring::channel(NZUsize!(1));
        let mut members = self.shared.members();
        sender.send_lossy(Set::from_iter_dedup(members.blocked.keys().cloned()));
        members.blocked_watchers.push(sender);
        receiver
    }
}

/// Who is connected, for the senders' rate limits.
#[derive(Clone)]
pub(crate) struct Reachable(pub(crate) Arc<Shared>);

impl Connected for Reachable {
    type PublicKey = PublicKey;

    fn peers(&self) -> Vec<PublicKey> {
        self.0.members().reachable()
    }

    fn subscribe(&self) -> ring::Receiver<Vec<PublicKey>> {
        let (sender, receiver) = ring::channel(NZUsize!(1));
        let mut members = self.0.members();
        sender.send_lossy(members.reachable());
        members.connected_watchers.push(sender);
        receiver
    }
}

impl Shared {
    /// Keeps `peer` out for [`BLOCK_TIME`].
    pub(crate) fn block(&self, peer: PublicKey) {
        self.members().block(peer);
        self.changed.notify_one();
    }
}
