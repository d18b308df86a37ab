//! Gives other members states and blocks, and fetches a state when this replica is too far behind to execute every block.
//!
//! Members say which certified checkpoint they hold. A replica that is more than one checkpoint behind takes the newest that
//! f+1 of them name alike and whose root the subnet signed, asks all of them for its objects by their hashes, and goes on from
//! the next finalized block. Objects that are here already are not asked for. Spec: `specs/state.md`, "Synchronization".

mod fetch;
mod message;
mod progress;

use crate::{handle::Inner, threads::Threads};
use bytes::Bytes;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use fetch::{Ended, Fetch, Received};
use mains_consensus::{Block, Certificate, ChainKey, Floor, Floors, Gate, Mailbox};
use mains_state::{CheckpointStore, EncodingError, Manifest, State};
use mains_types::{Digest32, Height, UnixNanos};
use message::{ANSWER_BYTES, BRIDGE_BYTES_MAX, BRIDGE_MAX, Bridge, Message, Offer};
use progress::Progress;
use rand_core::CryptoRng;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// How often late answers and progress are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often the others are asked what they have: while that matters, and otherwise.
const ASK_SOON: Duration = Duration::from_secs(1);
const ASK: Duration = Duration::from_secs(10);
/// Views above those that the others report in which a member that may have forgotten its votes stays silent.
const FORGOTTEN_VIEWS: u64 = 64;
/// Views above the newest that is known to be finalized that a member's word is taken for.
const CREDIBLE_VIEWS: u64 = 1_024;
/// Manifests that turned out to be no state.
const REFUSED_MAX: usize = 64;

/// A state to go on from, and the way on.
pub(crate) struct Install {
    pub(crate) state: State,
    /// Blocks that follow on it; the last one is the floor.
    pub(crate) blocks: Vec<Block>,
    pub(crate) floor: Floor,
}

/// Whether this node's journal holds all votes that were ever signed with its key.
pub enum Continuity {
    /// It does: the node is new, or it restarts on its own data.
    Proven,
    /// It may not: the data were lost or are older than the key's last use. What is given is called once it does again.
    Unproven(Box<dyn Fn() + Send + Sync>),
}

/// What the synchronizer works with.
pub(crate) struct Parts<E, S> {
    pub(crate) context: E,
    pub(crate) inner: Arc<Inner>,
    pub(crate) sender: S,
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) thread: Threads,
    pub(crate) chain: Mailbox,
    pub(crate) floors: Floors,
    pub(crate) chain_key: Arc<ChainKey>,
    /// Heights between two checkpoints.
    pub(crate) interval: u64,
    pub(crate) installs: mpsc::Sender<Install>,
    pub(crate) gate: Gate,
    pub(crate) continuity: Continuity,
}

pub(crate) struct Synchronizer<E, S> {
    parts: Parts<E, S>,
    offers: BTreeMap<PublicKey, Offer>,
    refused: BTreeSet<Digest32>,
    /// What was wanted when a state was fetched in vain.
    earlier: BTreeSet<Digest32>,
    phase: Phase,
    ask_at: SystemTime,
    /// Above which view votes of a forgetful member go out.
    silent_until: Option<u64>,
    progress: Progress,
}

enum Phase {
    Watching,
    Fetching(Box<Fetching>),
    /// Waits for the blocks that follow on a state.
    Bridging(Box<State>),
}

struct Fetching {
    fetch: Fetch<PublicKey>,
    certificate: Certificate,
    /// Who offered it.
    peers: Vec<PublicKey>,
    /// Who sent something else: asked no more.
    blamed: BTreeSet<PublicKey>,
    began: UnixNanos,
}

impl Fetching {
    /// Asks a member, too, that has come to offer the same state.
    fn join(&mut self, peer: &PublicKey, offer: &Offer) {
        let is_same = offer.checkpoint.is_some_and(|(manifest, _)| manifest == self.fetch.manifest);
        if is_same && !self.blamed.contains(peer) && !self.peers.contains(peer) {
            self.peers.push(peer.clone());
        }
    }
}

impl<E, S> Synchronizer<E, S>
where
    E: Clock + CryptoRng,
    S: Sender<PublicKey = PublicKey>,
{
    /// Begins with the state that this replica starts from. If the chain knows of no such height, the way on from it is missing.
    pub(crate) fn new(parts: Parts<E, S>, state: &State, processed: Height) -> Self {
        let is_ahead = state.height > processed;
        let phase = if is_ahead { Phase::Bridging(Box::new(state.clone())) } else { Phase::Watching };
        let ask_at = parts.context.current();
        Self {
            parts,
            offers: BTreeMap::new(),
            refused: BTreeSet::new(),
            earlier: BTreeSet::new(),
            phase,
            ask_at,
            silent_until: None,
            progress: Progress::default(),
        }
    }

    /// Serves until the network ends.
    pub(crate) async fn run(mut self, mut receiver: impl Receiver<PublicKey = PublicKey>) {
        let mut tick_at = self.parts.context.current();
        loop {
            tokio::select! {
                biased;
                message = receiver.recv() => match message {
                    Ok((from, bytes)) => {
                        if let Some(message) = Message::decode(bytes.into()) {
                            self.received(from, message).await;
                        }
                        if self.parts.inner.halted.get().is_some() {
                            return;
                        }
                    }
                    Err(_) => return,
                },
                () = self.parts.context.sleep_until(tick_at) => {
                    tick_at = self.parts.context.current() + TICK;
                    self.tick().await;
                }
            }
        }
    }

    fn now(&self) -> UnixNanos {
        let since = self.parts.context.current().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(since.as_nanos() as u64)
    }

    fn executed(&self) -> Height {
        Height(self.parts.inner.executed.load(Ordering::Relaxed))
    }

    fn send(&mut self, to: Recipients<PublicKey>, message: &Message) {
        self.parts.sender.send(to, message.encode(), false);
    }

    async fn received(&mut self, from: PublicKey, message: Message) {
        match message {
            Message::Ask => {
                let offer = self.offer().await;
                self.send(Recipients::One(from), &Message::Offer(offer));
            }
            Message::Get(digests) => self.give(from, &digests),
            Message::AskBridge(height) => {
                if let Some(bridge) = self.bridge(height).await {
                    self.send(Recipients::One(from), &Message::Bridge(bridge));
                }
            }
            Message::Offer(offer) => {
                let valid = offer.checkpoint.as_ref().is_none_or(|(manifest, certificate)| {
                    (manifest.height, manifest.root) == (certificate.height, certificate.root)
                        && self.parts.chain_key.verify(certificate)
                });
                if valid {
                    if let Phase::Fetching(fetching) = &mut self.phase {
                        fetching.join(&from, &offer);
                    }
                    self.offers.insert(from, offer);
                    self.heed_versions();
                    self.consider().await;
                } else {
                    tracing::warn!(%from, "a member offers a checkpoint that the subnet did not sign");
                }
            }
            Message::Objects(objects) => self.take(from, objects).await,
            Message::Lacks(digests) => {
                if let Phase::Fetching(fetching) = &mut self.phase
                    && let Err(ended) = fetching.fetch.lacks(&from, &digests, &fetching.peers)
                {
                    self.give_up(ended);
                }
            }
            Message::Bridge(bridge) => self.cross(bridge).await,
        }
    }

    /// Goes no further if the others are at rules that this binary does not have: it could not even read their states.
    fn heed_versions(&mut self) {
        let inner = &self.parts.inner;
        let mut newer: Vec<u32> = self.offers.values().map(|offer| offer.version).collect();
        newer.retain(|version| *version > inner.versions.newest);
        newer.sort_unstable();
        // One of f+1 tells the truth.
        let faults = (inner.identity.members.len() - 1) / 3;
        if let (Some(version), None) = (newer.get(faults), inner.halted.get())
            && let Err(why) = inner.versions.check(*version)
        {
            inner.halt(format!("stops after height {}: the others went on, {why}", self.executed()));
        }
    }

    /// What this replica has.
    async fn offer(&self) -> Offer {
        let certified = |manifest: Manifest| {
            let mut bytes = Bytes::from(self.parts.store.certificate(manifest.height)?);
            Some((manifest, Certificate::read(&mut bytes)?))
        };
        let manifests = self.parts.store.manifests().unwrap_or_default();
        Offer {
            executed: self.executed(),
            view: self.parts.chain.newest_view().await,
            version: self.parts.inner.next_version(),
            checkpoint: manifests.into_iter().find_map(certified),
        }
    }

    fn give(&mut self, to: PublicKey, digests: &[Digest32]) {
        let (mut objects, mut bytes, mut lacks) = (Vec::new(), 0, Vec::new());
        for digest in digests {
            match self.parts.store.object(digest) {
                Some(object) => {
                    bytes += object.len();
                    objects.push(object.into());
                }
                None => lacks.push(*digest),
            }
            if bytes >= ANSWER_BYTES {
                self.send(Recipients::One(to.clone()), &Message::Objects(std::mem::take(&mut objects)));
                bytes = 0;
            }
        }
        if !objects.is_empty() {
            self.send(Recipients::One(to.clone()), &Message::Objects(objects));
        }
        if !lacks.is_empty() {
            self.send(Recipients::One(to), &Message::Lacks(lacks));
        }
    }

    /// The blocks above a height up to the first with a proof of its own.
    async fn bridge(&self, height: Height) -> Option<Bridge> {
        let (mut blocks, mut bytes) = (Vec::new(), 0);
        for above in 1..=BRIDGE_MAX {
            let at = Height(height.get().checked_add(above)?);
            let block: Bytes = self.parts.chain.block_at(at).await?.encode();
            bytes += block.len();
            blocks.push(block);
            if bytes > BRIDGE_BYTES_MAX {
                return None;
            }
            if let Some(floor) = self.parts.chain.floor_at(at).await {
                return Some(Bridge { height, floor: floor.encode(), blocks });
            }
        }
        None
    }

    async fn tick(&mut self) {
        let now = self.now();
        self.speak().await;
        self.prove().await;
        if let Phase::Bridging(state) = &self.phase
            && self.executed() > state.height
        {
            // The blocks came another way.
            self.watch();
        }
        if self.parts.context.current() >= self.ask_at {
            let settled = matches!(self.phase, Phase::Watching)
                && !self.parts.gate.is_closed()
                && !self.parts.inner.needs_state.load(Ordering::Relaxed);
            self.ask_at = self.parts.context.current() + if settled { ASK } else { ASK_SOON };
            self.send(Recipients::All, &Message::Ask);
            if let Phase::Bridging(state) = &self.phase {
                let ask = Message::AskBridge(state.height);
                self.send(Recipients::All, &ask);
            }
        }
        if let Phase::Fetching(fetching) = &mut self.phase {
            for peer in fetching.fetch.expire(now) {
                tracing::debug!(%peer, "a member is slow to send objects: others are asked");
            }
        }
        self.ask_for_more().await;
        self.report(now);
    }

    /// Begins to fetch a state if that is the way to catch up.
    async fn consider(&mut self) {
        // Who waits for blocks that nobody keeps any more takes a newer state, too.
        let (at, needs_state) = match &self.phase {
            Phase::Watching => (self.executed(), self.parts.inner.needs_state.load(Ordering::Relaxed)),
            Phase::Bridging(state) => (state.height.max(self.executed()), false),
            Phase::Fetching(_) => return,
        };
        let mut offered: BTreeMap<Height, Vec<(&PublicKey, Manifest, Certificate)>> = BTreeMap::new();
        for (peer, offer) in &self.offers {
            if let Some((manifest, certificate)) = offer.checkpoint
                && !self.refused.contains(blake3::hash(&manifest.encode()).as_bytes())
            {
                offered.entry(manifest.height).or_default().push((peer, manifest, certificate));
            }
        }
        let members = self.parts.inner.identity.members.len();
        let faults = (members - 1) / 3;
        let target = offered.into_values().rev().find_map(|offers| {
            let alike = |manifest: Manifest| offers.iter().filter(move |(_, other, _)| *other == manifest);
            let (_, manifest, certificate) = *offers.iter().find(|(_, own, _)| alike(*own).count() > faults)?;
            Some((manifest, certificate, alike(manifest).map(|(peer, ..)| (*peer).clone()).collect::<Vec<_>>()))
        });
        let Some((manifest, certificate, peers)) = target else { return };
        let enough = if needs_state { 0 } else { self.parts.interval };
        if manifest.height.get() <= at.get() + enough {
            return;
        }
        tracing::info!(height = %manifest.height, from = %at, peers = peers.len(), "fetches a state");
        self.parts.inner.syncing.store(true, Ordering::Relaxed);
        let store = self.parts.store.clone();
        let earlier = std::mem::take(&mut self.earlier);
        let fetch =
            self.parts.thread.run(move || Fetch::new(manifest, &*store, earlier)).await.expect("one job at a time");
        match fetch {
            Ok(fetch) => {
                let began = self.now();
                self.phase =
                    Phase::Fetching(Box::new(Fetching { fetch, certificate, peers, blamed: BTreeSet::new(), began }));
                self.ask_for_more().await;
            }
            Err(ended) => self.give_up(ended),
        }
    }

    async fn take(&mut self, from: PublicKey, objects: Vec<Bytes>) {
        let Phase::Fetching(mut fetching) = std::mem::replace(&mut self.phase, Phase::Watching) else { return };
        let store = self.parts.store.clone();
        let work = move || {
            let mut junk = 0;
            for object in objects {
                match fetching.fetch.received(object.into(), &*store) {
                    Ok(Received::Wanted | Received::Late) => {}
                    Ok(Received::Junk) => junk += 1,
                    Err(ended) => return (fetching, Err(ended)),
                }
            }
            (fetching, Ok(junk))
        };
        let (mut fetching, result) = self.parts.thread.run(work).await.expect("one job at a time");
        match result {
            Ok(0) => {}
            Ok(junk) => {
                tracing::warn!(%from, junk, "a member sent what is not the object asked for: it is not asked again");
                fetching.peers.retain(|peer| *peer != from);
                fetching.blamed.insert(from.clone());
                fetching.fetch.abandon(&from);
            }
            Err(ended) => {
                self.phase = Phase::Fetching(fetching);
                return self.give_up(ended);
            }
        }
        self.phase = Phase::Fetching(fetching);
        self.ask_for_more().await;
    }

    /// Gives every peer its share of what is to do, as much as it may have; ends fetching when everything is there.
    async fn ask_for_more(&mut self) {
        let now = self.now();
        let Phase::Fetching(fetching) = &mut self.phase else { return };
        if fetching.peers.is_empty() {
            return self.give_up(Ended::Lacking);
        }
        if fetching.fetch.is_done() {
            return self.finish().await;
        }
        let mut asks = Vec::new();
        let share = fetching.fetch.share(fetching.peers.len());
        loop {
            let before = asks.len();
            for peer in &fetching.peers {
                let digests = fetching.fetch.next(peer, share, now);
                if !digests.is_empty() {
                    asks.push((peer.clone(), Message::Get(digests)));
                }
            }
            if asks.len() == before {
                break;
            }
        }
        // Of a few objects everybody gets to send some.
        let turn = asks.len() % fetching.peers.len();
        fetching.peers.rotate_left(turn);
        for (peer, ask) in asks {
            self.send(Recipients::One(peer), &ask);
        }
    }

    async fn finish(&mut self) {
        let Phase::Fetching(fetching) = std::mem::replace(&mut self.phase, Phase::Watching) else { return };
        let (store, certificate) = (self.parts.store.clone(), fetching.certificate);
        let (objects, bytes) = (fetching.fetch.objects, fetching.fetch.bytes);
        let manifest = fetching.fetch.manifest;
        let work = move || -> Result<State, Ended> {
            fetching.fetch.finish(&*store)?;
            let state = State::read(&manifest, &*store).map_err(|error| match error {
                EncodingError::Object(_) => Ended::Lacking,
                error => Ended::Lie(error.to_string()),
            })?;
            store.commit(Some(&manifest))?;
            let mut bytes = bytes::BytesMut::new();
            certificate.write(&mut bytes);
            store.certify(manifest.height, &bytes)?;
            Ok(state)
        };
        match self.parts.thread.run(work).await.expect("one job at a time") {
            Ok(state) => {
                tracing::info!(height = %state.height, objects, bytes, "fetched a state");
                self.phase = Phase::Bridging(Box::new(state));
                self.ask_at = self.parts.context.current();
            }
            Err(Ended::Lie(reason)) => {
                self.refuse(&manifest);
                self.give_up(Ended::Lie(reason));
            }
            Err(ended) => self.give_up(ended),
        }
    }

    fn refuse(&mut self, manifest: &Manifest) {
        while self.refused.len() >= REFUSED_MAX {
            self.refused.pop_first();
        }
        self.refused.insert(*blake3::hash(&manifest.encode()).as_bytes());
    }

    /// Goes back to watching; what was fetched stays.
    fn give_up(&mut self, ended: Ended) {
        if let (Phase::Fetching(fetching), Ended::Lie(_)) = (&self.phase, &ended) {
            let manifest = fetching.fetch.manifest;
            self.refuse(&manifest);
        }
        tracing::warn!(?ended, "could not fetch a state; tries again");
        if let Phase::Fetching(fetching) = std::mem::replace(&mut self.phase, Phase::Watching) {
            self.earlier = fetching.fetch.into_known();
        }
        self.watch();
        self.offers.clear();
        self.ask_at = self.parts.context.current() + ASK_SOON;
    }

    fn watch(&mut self) {
        self.phase = Phase::Watching;
        self.parts.inner.syncing.store(false, Ordering::Relaxed);
    }

    /// Goes on from a state if the blocks are those that follow on it.
    async fn cross(&mut self, bridge: Bridge) {
        let Phase::Bridging(state) = &self.phase else { return };
        if bridge.height != state.height {
            return;
        }
        let Some(floor) = self.parts.floors.decode(&mut self.parts.context, bridge.floor) else { return };
        let mut blocks: Vec<Block> = Vec::new();
        for bytes in bridge.blocks {
            let Ok(block) = Block::decode(bytes) else { return };
            let parent = blocks.last().map_or(state.block, Block::digest_bytes);
            let height = blocks.last().map_or(state.height, Block::height).next();
            if block.parent().0 != parent || block.height() != height {
                return;
            }
            blocks.push(block);
        }
        if blocks.last().is_none_or(|block| block.digest_bytes() != floor.digest()) {
            return;
        }
        let Phase::Bridging(state) = std::mem::replace(&mut self.phase, Phase::Watching) else { return };
        tracing::info!(height = %state.height, "goes on from a state");
        // Ends only when the replica stops.
        let _ = self.parts.installs.send(Install { state: *state, blocks, floor }).await;
        self.parts.inner.needs_state.store(false, Ordering::Relaxed);
        self.parts.inner.syncing.store(false, Ordering::Relaxed);
    }

    /// Lets votes go out once it is known which views may have been voted in before.
    async fn speak(&mut self) {
        if !self.parts.gate.is_closed() {
            return;
        }
        let members = self.parts.inner.identity.members.len();
        let quorum = members - (members - 1) / 3;
        if members == 1 {
            // Nobody else has ever counted these votes.
            self.parts.gate.open_above(0);
            self.silent_until = Some(0);
            self.orient();
            return;
        }
        // A view far above what is finalized is a lie, and would keep this member silent for ever.
        let most = self.parts.chain.newest_view().await.saturating_add(CREDIBLE_VIEWS);
        let views: Vec<u64> = self.offers.values().map(|offer| offer.view).filter(|view| *view <= most).collect();
        if views.len() >= quorum.min(members - 1) {
            let highest = views.into_iter().max().unwrap_or(0);
            let bound = highest.saturating_add(FORGOTTEN_VIEWS);
            tracing::warn!(bound, "votes may have been forgotten: none goes out up to this view");
            self.parts.gate.open_above(bound);
            self.silent_until = Some(bound);
            self.orient();
        }
    }

    /// Clients get nothing older than what one honest other member at least has executed: they may have seen it here.
    fn orient(&self) {
        self.parts.inner.served.fetch_max(self.target().get(), Ordering::Relaxed);
        self.parts.inner.is_disoriented.store(false, Ordering::Relaxed);
    }

    /// Remembers that no view can be voted in twice any more.
    async fn prove(&mut self) {
        if let (Some(bound), Continuity::Unproven(prove)) = (self.silent_until, &self.parts.continuity)
            && self.parts.chain.newest_view().await > bound
        {
            tracing::info!(bound, "votes again");
            prove();
            self.silent_until = None;
        }
    }

    /// Says how far catching up is, and now and then in the log too.
    fn report(&mut self, now: UnixNanos) {
        let status = match &self.phase {
            Phase::Watching => self.progress.blocks(self.executed(), self.target(), now),
            Phase::Bridging(state) => Some(progress::way_on(state.height)),
            Phase::Fetching(fetching) => {
                let Fetching { fetch, peers, began, .. } = &**fetching;
                Some(progress::state(fetch, peers.len(), now.nanos_since(*began)))
            }
        };
        self.progress.log(status.as_ref(), now);
        *self.parts.inner.catching_up.lock().expect("no holder panics") = status;
    }

    /// The newest height that at least one honest other member has executed, as far as they said.
    fn target(&self) -> Height {
        let mut executed: Vec<Height> = self.offers.values().map(|offer| offer.executed).collect();
        executed.sort_unstable_by(|a, b| b.cmp(a));
        let faults = (self.parts.inner.identity.members.len() - 1) / 3;
        executed.get(faults).copied().unwrap_or_default()
    }
}
