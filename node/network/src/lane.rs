//! A channel between members: one libp2p substream per peer and direction, carrying frames of a length (4 bytes, big
//! endian) and a message.
//!
//! A message to a peer that is not connected, or whose queue is full, is dropped: the engine repeats what matters.

use crate::{
    driver::Shared,
    identity::{key_of, peer_of},
    members::Reachable,
};
use bytes::Bytes;
use commonware_actor::{Feedback, Unreliable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    Channel, Message, Recipients, UnlimitedSender,
    utils::limited::{CheckedSender, LimitedSender},
};
use commonware_runtime::{
    Clock, Handle, IoBuf, IoBufs, Metrics, Quota, Spawner,
    telemetry::metrics::{Counter, MetricsExt as _},
};
use futures::{
    AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _,
    io::{BufReader, BufWriter},
};
use governor::clock::Clock as _;
use libp2p::{Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;
use std::{
    collections::BTreeMap,
    fmt, io,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Messages waiting to be sent to one peer on one channel.
pub const OUTBOUND_MESSAGES_MAX: usize = 256;
/// Bytes waiting to be sent to one peer on one channel: a few of the greatest blocks. A message to several peers is
/// kept in memory once.
pub const OUTBOUND_BYTES_MAX: usize = 16 << 20;
/// How long a peer may take to accept a substream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause after a substream could not be opened.
const OPEN_RETRY: Duration = Duration::from_millis(50);
/// Bytes gathered before a write, and read ahead.
const BUFFER_BYTES: usize = 32 << 10;

struct LaneMetrics {
    sent: Counter,
    sent_bytes: Counter,
    received: Counter,
    received_bytes: Counter,
    dropped_outbound: Counter,
    dropped_inbound: Counter,
}

/// What is taken from one peer on one channel, in bytes. A message above the greatest one gets its sender kept out; bytes above
/// the rate wait at the receiver, which holds back only their sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteQuota {
    /// Bytes of the greatest message.
    pub message_bytes_max: u32,
    /// Bytes a second; at least one of the greatest messages may come at once.
    pub bytes_per_second: u32,
}

impl ByteQuota {
    fn limiter(self) -> governor::DefaultDirectRateLimiter {
        let at_least_one = |bytes: u32| NonZeroU32::new(bytes.max(1)).expect("at least one");
        let rate = Quota::per_second(at_least_one(self.bytes_per_second));
        governor::RateLimiter::direct(rate.allow_burst(at_least_one(self.bytes_per_second.max(self.message_bytes_max))))
    }
}

/// What the parts of one channel share.
pub(crate) struct Lane {
    protocol: StreamProtocol,
    quota: Quota,
    bytes: ByteQuota,
    inbound: mpsc::Sender<Inbound>,
    outbound: Mutex<BTreeMap<PublicKey, Outbound>>,
    metrics: LaneMetrics,
}

/// A message with its share of its sender's budget, given back when the engine takes it.
struct Inbound {
    message: Message<PublicKey>,
    _budget: OwnedSemaphorePermit,
}

#[derive(Clone)]
struct Outbound {
    queue: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

impl Outbound {
    fn try_send(&self, message: Bytes) -> bool {
        let length = message.len();
        if self.bytes.load(Ordering::Relaxed) + length > OUTBOUND_BYTES_MAX {
            return false;
        }
        self.bytes.fetch_add(length, Ordering::Relaxed);
        let sent = self.queue.try_send(message).is_ok();
        if !sent {
            self.bytes.fetch_sub(length, Ordering::Relaxed);
        }
        sent
    }
}

impl Lane {
    fn outbound(&self) -> MutexGuard<'_, BTreeMap<PublicKey, Outbound>> {
        self.outbound.lock().expect("no holder panics")
    }

    /// Ends the writers to peers that are no members any more.
    pub(crate) fn retain(&self, is_allowed: impl Fn(&PublicKey) -> bool) {
        self.outbound().retain(|peer, _| is_allowed(peer));
    }
}

pub(crate) fn register<E: Clock + Spawner + Metrics>(
    context: &E,
    shared: &Arc<Shared>,
    channel: Channel,
    quota: Quota,
    bytes: ByteQuota,
) -> (Sender<E>, Receiver) {
    let capacity = shared.max_peers * quota.burst_size().get() as usize;
    let capacity = NonZeroUsize::new(capacity).expect("at least one member and one message");
    let (inbound, queue) = mpsc::channel(capacity.get());
    let labelled = context.child("channel").with_attribute("channel", channel);
    let lane = Arc::new(Lane {
        protocol: shared.protocol(&format!("channel/{channel}")),
        quota,
        bytes,
        inbound,
        outbound: Mutex::default(),
        metrics: LaneMetrics {
            sent: labelled.counter("sent_messages", "Messages sent to peers"),
            sent_bytes: labelled.counter("sent_bytes", "Bytes of messages sent to peers"),
            received: labelled.counter("received_messages", "Messages received from peers"),
            received_bytes: labelled.counter("received_bytes", "Bytes of messages received from peers"),
            dropped_outbound: labelled.counter("dropped_outbound_messages", "Messages to peers that did not fit"),
            dropped_inbound: labelled.counter("dropped_inbound_messages", "Messages from peers that did not fit"),
        },
    });
    let incoming = shared.control().accept(lane.protocol.clone()).expect("a channel is registered once");
    shared.add_lane(lane.clone());
    (shared.spawn)("accept", Box::pin(accept(shared.clone(), lane.clone(), incoming)));
    let raw = Raw { shared: shared.clone(), lane };
    let limited = LimitedSender::new(raw, quota, context.child("limiter"), Reachable(shared.clone()));
    (Sender(limited), Receiver { queue, capacity })
}

/// Reads from whoever opens a substream: one reader per peer, the newest substream counts.
async fn accept(shared: Arc<Shared>, lane: Arc<Lane>, mut incoming: IncomingStreams) {
    let mut readers: BTreeMap<PublicKey, (Arc<Semaphore>, Option<Handle<()>>)> = BTreeMap::new();
    while let Some((peer, stream)) = incoming.next().await {
        let Some(peer) = key_of(&peer).filter(|peer| shared.members().is_allowed(peer)) else { continue };
        let (budget, reader) = readers
            .entry(peer.clone())
            .or_insert_with(|| (Arc::new(Semaphore::new(lane.bytes.message_bytes_max as usize)), None));
        if let Some(obsolete) = reader.take() {
            obsolete.abort();
        }
        let task = read(shared.clone(), lane.clone(), peer, stream, budget.clone());
        *reader = Some((shared.spawn)("read", Box::pin(task)));
    }
}

async fn read(shared: Arc<Shared>, lane: Arc<Lane>, peer: PublicKey, stream: Stream, budget: Arc<Semaphore>) {
    let limiter = governor::RateLimiter::direct(lane.quota);
    let byte_limiter = lane.bytes.limiter();
    let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes(length);
        if length > lane.bytes.message_bytes_max {
            tracing::warn!(%peer, length, "a member sent a message that is too large: it is kept out");
            shared.block(peer);
            return;
        }
        while let Err(until) = limiter.check() {
            tokio::time::sleep(until.wait_time_from(governor::clock::DefaultClock::default().now())).await;
        }
        while let Some(Ok(Err(until))) = NonZeroU32::new(length).map(|length| byte_limiter.check_n(length)) {
            tokio::time::sleep(until.wait_time_from(governor::clock::DefaultClock::default().now())).await;
        }
        let Ok(permit) = budget.clone().acquire_many_owned(length).await else { return };
        // Grows with what arrives, not with what was announced.
        let mut message = Vec::with_capacity((length as usize).min(BUFFER_BYTES));
        let read = (&mut stream).take(u64::from(length)).read_to_end(&mut message).await;
        if read.is_err() || message.len() < length as usize || !shared.members().is_allowed(&peer) {
            return;
        }
        lane.metrics.received.inc();
        lane.metrics.received_bytes.inc_by(message.len() as u64);
        let inbound = Inbound { message: (peer.clone(), IoBuf::from(message)), _budget: permit };
        if lane.inbound.try_send(inbound).is_err() {
            lane.metrics.dropped_inbound.inc();
        }
    }
}

/// Sends what is queued for `peer`, over a substream that is opened again as often as needed.
async fn write(
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    peer: PublicKey,
    mut queue: mpsc::Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
) {
    let mut stream = None;
    while let Some(message) = queue.recv().await {
        bytes.fetch_sub(message.len(), Ordering::Relaxed);
        let mut sent = false;
        // Once more if the substream turns out to be dead: the peer may just have come back.
        for _ in 0..2 {
            if !shared.members().is_reachable(&peer) {
                stream = None;
                break;
            }
            let Some(mut open) = (match stream.take() {
                Some(open) => Some(open),
                None => open(&shared, &lane, &peer).await,
            }) else {
                continue;
            };
            if send(&mut open, &message, queue.is_empty()).await.is_ok() {
                stream = Some(open);
                sent = true;
                break;
            }
        }
        if sent {
            lane.metrics.sent.inc();
            lane.metrics.sent_bytes.inc_by(message.len() as u64);
        } else {
            lane.metrics.dropped_outbound.inc();
        }
    }
}

async fn open(shared: &Shared, lane: &Lane, peer: &PublicKey) -> Option<BufWriter<Stream>> {
    let mut control = shared.control();
    let opening = control.open_stream(peer_of(peer), lane.protocol.clone());
    match tokio::time::timeout(OPEN_TIMEOUT, opening).await {
        Ok(Ok(stream)) => Some(BufWriter::with_capacity(BUFFER_BYTES, stream)),
        Ok(Err(error)) => {
            tracing::debug!(%peer, protocol = %lane.protocol, %error, "no substream");
            tokio::time::sleep(OPEN_RETRY).await;
            None
        }
        Err(_) => None,
    }
}

async fn send(stream: &mut BufWriter<Stream>, message: &[u8], flush: bool) -> io::Result<()> {
    stream.write_all(&(message.len() as u32).to_be_bytes()).await?;
    stream.write_all(message).await?;
    if flush {
        stream.flush().await?;
    }
    Ok(())
}

/// Sends without a quota.
#[derive(Clone)]
struct Raw {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
}

impl Raw {
    fn enqueue(&self, peer: &PublicKey, message: Bytes) -> bool {
        let mut outbound = self.lane.outbound();
        let queue = outbound.entry(peer.clone()).or_insert_with(|| {
            let (queue, receiver) = mpsc::channel(OUTBOUND_MESSAGES_MAX);
            let bytes = Arc::new(AtomicUsize::new(0));
            let task = write(self.shared.clone(), self.lane.clone(), peer.clone(), receiver, bytes.clone());
            (self.shared.spawn)("write", Box::pin(task));
            Outbound { queue, bytes }
        });
        let queued = queue.try_send(message);
        if !queued {
            self.lane.metrics.dropped_outbound.inc();
        }
        queued
    }
}

impl UnlimitedSender for Raw {
    type PublicKey = PublicKey;

    fn send(
        &mut self,
        recipients: Recipients<PublicKey>,
        message: impl Into<IoBufs> + Send,
        _priority: bool,
    ) -> Unreliable<Feedback> {
        let message: IoBufs = message.into();
        assert!(message.len() <= self.lane.bytes.message_bytes_max as usize, "a message of {} bytes", message.len());
        let message: Bytes = message.coalesce().into();
        let recipients = match recipients {
            Recipients::All => self.shared.members().reachable(),
            Recipients::Some(peers) => peers,
            Recipients::One(peer) => vec![peer],
        };
        let mut accepted = recipients.is_empty();
        for peer in recipients {
            let reachable = self.shared.members().is_reachable(&peer);
            accepted |= reachable && self.enqueue(&peer, message.clone());
        }
        if accepted { Unreliable::new(Feedback::Ok) } else { Unreliable::rejected() }
    }
}

/// The sending end of a channel. Clones share its quota.
pub struct Sender<E: Clock>(LimitedSender<E, Raw, Reachable>);

impl<E: Clock> Clone for Sender<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Clock> fmt::Debug for Sender<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<E: Clock> commonware_p2p::LimitedSender for Sender<E> {
    type PublicKey = PublicKey;
    type Checked<'a>
        = Checked<'a>
    where
        Self: 'a;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked<'_>, SystemTime> {
        self.0.check(recipients).map(Checked)
    }
}

/// A send that is within the quota.
pub struct Checked<'a>(CheckedSender<'a, Raw>);

impl commonware_p2p::CheckedSender for Checked<'_> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.0.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        self.0.send(message, priority)
    }
}

/// The network has stopped.
#[derive(Debug, thiserror::Error)]
#[error("the network has stopped")]
pub struct Closed;

/// The receiving end of a channel.
pub struct Receiver {
    queue: mpsc::Receiver<Inbound>,
    capacity: NonZeroUsize,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl commonware_p2p::Receiver for Receiver {
    type Error = Closed;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, Closed> {
        self.queue.recv().await.map(|inbound| inbound.message).ok_or(Closed)
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }
}
