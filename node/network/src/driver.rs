//! Owns the swarm: listens, dials, lets members in and nobody else.

use crate::{
    Config, NetworkError, Spawn,
    book::{Book, Source},
    exchange, identity,
    lane::Lane,
    members::{Connection, Members},
};
use commonware_cryptography::ed25519::PublicKey;
use commonware_runtime::{
    Metrics,
    telemetry::metrics::{Counter, Gauge, MetricsExt as _},
};
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder,
    allow_block_list::{self, AllowedPeers},
    connection_limits::{self, ConnectionLimits},
    core::ConnectedPoint,
    identify, mdns,
    multiaddr::Protocol,
    noise, ping,
    swarm::{
        ConnectionId, DialError, NetworkBehaviour, SwarmEvent,
        behaviour::toggle::Toggle,
        dial_opts::{DialOpts, PeerCondition},
    },
    tcp, yamux,
};
use libp2p_stream as stream;
use std::{
    collections::BTreeSet,
    net::{IpAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// How often it is looked after members that are not connected.
const TICK: Duration = Duration::from_millis(50);
/// How often members are told what this node knows.
const TELL: Duration = Duration::from_secs(30);
/// How long after a connection the other side's addresses are usually known: then members are told.
const TELL_AFTER_CONNECTION: Duration = Duration::from_secs(1);
/// How long making a connection may take.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// Two connections that a pair makes within this time are both kept: both sides dialed.
const SETTLING: Duration = Duration::from_secs(2);
/// Pings find peers that went away without a word.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections stay open without traffic.
const IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);
/// Handshakes of strangers at one time.
const PENDING_MAX: u32 = 64;
/// Connections of one member: both directions, twice, while old ones die.
const PER_PEER_MAX: u32 = 4;

#[derive(NetworkBehaviour)]
struct Node {
    gate: allow_block_list::Behaviour<AllowedPeers>,
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    streams: stream::Behaviour,
}

/// What the parts of the network share.
pub(crate) struct Shared {
    pub(crate) message_bytes_max: u32,
    pub(crate) max_peers: usize,
    pub(crate) spawn: Spawn,
    /// Wakes the driver after a change of who is allowed.
    pub(crate) changed: Notify,
    name: String,
    control: stream::Control,
    members: Mutex<Members>,
    book: Mutex<Book>,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

impl Shared {
    pub(crate) fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().expect("no holder panics")
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no holder panics")
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.lanes.lock().expect("no holder panics")
    }

    pub(crate) fn control(&self) -> stream::Control {
        self.control.clone()
    }

    pub(crate) fn add_lane(&self, lane: Arc<Lane>) {
        self.lanes().push(lane);
    }

    /// The name of one of this network's protocols.
    pub(crate) fn protocol(&self, what: &str) -> StreamProtocol {
        StreamProtocol::try_from_owned(format!("/mains/1/{}/{what}", self.name)).expect("begins with a slash")
    }
}

/// Builds the swarm and starts its task.
pub(crate) fn start(context: &impl Metrics, spawn: Spawn, config: Config) -> Result<Arc<Shared>, NetworkError> {
    let key = identity::key_pair(config.seed);
    let me = identity::key_of(&key.public().to_peer_id()).expect("a peer id holds its ed25519 key");
    let mut swarm = swarm(key, &config)?;
    for address in &config.listen {
        let refused = |reason: String| NetworkError::Listen { address: address.clone(), reason };
        probe(address).map_err(|error| refused(error.to_string()))?;
        swarm.listen_on(address.clone()).map_err(|error| refused(error.to_string()))?;
    }
    let mut book = Book::new(me.clone());
    let now = Instant::now();
    for address in &config.bootstrap {
        match exchange::named(address) {
            Some((member, address)) => book.add(&member, address, Source::Bootstrap, now),
            None => book.add_unnamed(address.clone(), now),
        }
    }
    let shared = Arc::new(Shared {
        message_bytes_max: config.max_message_size,
        max_peers: config.max_peers.max(1),
        spawn,
        changed: Notify::new(),
        name: config.protocol,
        control: swarm.behaviour().streams.new_control(),
        members: Mutex::new(Members::new(me)),
        book: Mutex::new(book),
        lanes: Mutex::default(),
    });
    let incoming = shared.control().accept(exchange::protocol(&shared)).expect("accepted once");
    (shared.spawn)("hear", Box::pin(exchange::hear(shared.clone(), incoming)));
    let driver = Driver {
        shared: shared.clone(),
        swarm,
        allowed: BTreeSet::new(),
        tell_at: now + TELL,
        connected: context.gauge("connected_peers", "Members with a connection"),
        refused: context.counter("refused_connections", "Connections that ended in their handshake, or of strangers"),
    };
    (shared.spawn)("swarm", Box::pin(driver.run()));
    Ok(shared)
}

/// Whether a TCP port is free. libp2p shares ports to get through home routers, so two nodes of one user would both
/// listen on one port without noticing and share their connections at random.
fn probe(address: &Multiaddr) -> std::io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

fn swarm(key: libp2p::identity::Keypair, config: &Config) -> Result<Swarm<Node>, NetworkError> {
    let setup = |error: &dyn std::fmt::Display| NetworkError::Setup(error.to_string());
    let peer = key.public().to_peer_id();
    let mdns = if config.mdns {
        Some(mdns::tokio::Behaviour::new(mdns::Config::default(), peer).map_err(|error| setup(&error))?)
    } else {
        None
    };
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_established_per_peer(Some(PER_PEER_MAX));
    let identify = identify::Config::new(format!("/mains/1/{}", config.protocol), key.public())
        .with_agent_version(format!("mains/{}", env!("CARGO_PKG_VERSION")))
        .with_push_listen_addr_updates(true);
    let node = Node {
        gate: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
        mdns: mdns.into(),
        streams: stream::Behaviour::new(),
    };
    let swarm = SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| setup(&error))?
        .with_quic()
        .with_behaviour(|_| node)
        .map_err(|error| setup(&error))?
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(IDLE_TIMEOUT))
        .with_connection_timeout(CONNECTION_TIMEOUT)
        .build();
    Ok(swarm)
}

struct Driver {
    shared: Arc<Shared>,
    swarm: Swarm<Node>,
    allowed: BTreeSet<PublicKey>,
    tell_at: Instant,
    connected: Gauge,
    refused: Counter,
}

impl Driver {
    async fn run(mut self) {
        let shared = self.shared.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.handle(event),
                () = shared.changed.notified() => self.admit(),
                _ = tick.tick() => self.look_after(Instant::now()),
            }
        }
    }

    /// Lets in who is a member, cuts off who is none any more.
    fn admit(&mut self) {
        let allowed: BTreeSet<PublicKey> = {
            let members = self.shared.members();
            members.others().filter(|peer| members.is_allowed(peer)).collect()
        };
        let gate = &mut self.swarm.behaviour_mut().gate;
        for peer in allowed.difference(&self.allowed) {
            gate.allow_peer(identity::peer_of(peer));
        }
        for peer in self.allowed.difference(&allowed) {
            gate.disallow_peer(identity::peer_of(peer));
        }
        for lane in self.shared.lanes().iter() {
            lane.retain(|peer| allowed.contains(peer));
        }
        self.allowed = allowed;
        self.look_after(Instant::now());
    }

    /// Dials who is missing, tells who is there.
    fn look_after(&mut self, now: Instant) {
        if self.shared.members().pardon(now) {
            self.shared.changed.notify_one();
        }
        let missing: BTreeSet<PublicKey> = {
            let members = self.shared.members();
            self.allowed.iter().filter(|peer| !members.is_reachable(peer)).cloned().collect()
        };
        if !missing.is_empty() {
            let due = self.shared.book().due(now, |peer| missing.contains(peer));
            for (peer, addresses) in due {
                let dial = DialOpts::peer_id(identity::peer_of(&peer))
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses);
                self.dial(dial.build());
            }
            let unnamed = self.shared.book().due_unnamed(now);
            for address in unnamed {
                self.dial(DialOpts::unknown_peer_id().address(address).build());
            }
        }
        if now >= self.tell_at {
            self.tell_at = now + TELL;
            self.tell();
        }
    }

    fn dial(&mut self, dial: DialOpts) {
        // An attempt at the same peer may still be under way.
        if let Err(error) = self.swarm.dial(dial) {
            tracing::trace!(%error, "does not dial");
        }
    }

    fn tell(&mut self) {
        let message = exchange::message(self.shared.book().known());
        if message.is_empty() {
            return;
        }
        let reachable = self.shared.members().reachable();
        for peer in reachable {
            let task = exchange::tell(self.shared.clone(), identity::peer_of(&peer), message.clone());
            (self.shared.spawn)("tell", Box::pin(task));
        }
    }

    fn handle(&mut self, event: SwarmEvent<NodeEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.established(&peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let reason = cause.map_or_else(|| "closed".to_owned(), |error| error.to_string());
                self.closed(&peer_id, connection_id, &reason);
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => self.not_reached(peer_id, &error),
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.refused.inc();
                tracing::debug!(address = %send_back_addr, %error, "a connection was refused");
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listens for members");
                self.shared.members().listening.push(address);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.shared.members().listening.retain(|known| *known != address);
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "does not listen any more");
                self.shared.members().listening.retain(|known| !addresses.contains(known));
            }
            SwarmEvent::Behaviour(event) => self.learned(event),
            _ => {}
        }
    }

    fn established(&mut self, peer: &PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(key) = identity::key_of(peer) else { return };
        let now = Instant::now();
        let dialed = endpoint.is_dialer().then(|| endpoint.get_remote_address());
        self.shared.book().reached(&key, dialed, now);
        let address = crate::book::without_peer(endpoint.get_remote_address().clone());
        tracing::debug!(peer = %key, %address, "connected");
        let connection = Connection { id, address, since: now, rtt: None };
        let obsolete = self.shared.members().connected(key, connection, SETTLING);
        for id in obsolete {
            self.swarm.close_connection(id);
        }
        self.tell_at = self.tell_at.min(now + TELL_AFTER_CONNECTION);
        self.count();
    }

    fn closed(&mut self, peer: &PeerId, id: ConnectionId, reason: &str) {
        let Some(key) = identity::key_of(peer) else { return };
        let last = self.shared.members().disconnected(&key, id);
        if last {
            tracing::info!(peer = %key, reason, "lost a member");
            self.shared.book().lost(&key, Instant::now());
        }
        self.count();
    }

    fn not_reached(&mut self, peer: Option<PeerId>, error: &DialError) {
        tracing::debug!(?peer, %error, "did not reach a member");
        match error {
            DialError::LocalPeerId { address } => self.shared.book().forget_unnamed(address),
            DialError::WrongPeerId { obtained, address } => {
                tracing::warn!(%address, %obtained, "another node answers at a member's address");
            }
            _ => {}
        }
    }

    fn learned(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.note(&peer_id, info.listen_addrs, Source::Identify);
            }
            NodeEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.note(&peer, vec![address], Source::LocalNetwork);
                }
            }
            NodeEvent::Ping(ping::Event { peer, connection, result }) => match result {
                Ok(rtt) => {
                    if let Some(key) = identity::key_of(&peer) {
                        self.shared.members().measured(&key, connection, rtt);
                    }
                }
                Err(ping::Failure::Unsupported) => {}
                Err(_) => {
                    self.swarm.close_connection(connection);
                }
            },
            _ => {}
        }
    }

    fn note(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>, source: Source) {
        let Some(key) = identity::key_of(peer).filter(|key| self.allowed.contains(key)) else { return };
        let mut book = self.shared.book();
        for address in addresses {
            book.add(&key, address, source, Instant::now());
        }
        if let Some(best) = book.best(&key).cloned() {
            drop(book);
            self.shared.members().heard_of.insert(key, best);
        }
    }

    fn count(&self) {
        self.connected.set(self.shared.members().reachable().len() as i64);
    }
}
