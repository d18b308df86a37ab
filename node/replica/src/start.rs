//! Puts a replica together from its parts and starts it.

use crate::{
    certifier::Certifier,
    clocks::Clocks,
    disk::Disk,
    executor::{Chain, Executor, Observer},
    handle::{Identity, Inner, ReplicaHandle},
    patient::{Backing, Patient},
    pool::Pool,
    proposer::Proposer,
    saver::Saver,
    spread,
    sync::{Continuity, Parts, Synchronizer},
    threads::{Threads, Waiting},
    view::Views,
};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage, Supervisor as _};
use mains_consensus::{Block, ChainKey, Floor, Gate, Mailbox};
use mains_crypto::{NodeKey, RootOfTrust};
use mains_execution::engine::Engine;
use mains_state::{CheckpointStore, Genesis, State, StorageFailure, SwitchRules, VersionMark, checkpoint};
use mains_types::{Digest32, Height, UnixNanos, Versions};
use rand_core::CryptoRng;
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::{Notify, mpsc};
use zeroize::Zeroizing;

/// Finalized blocks that wait to be executed: consensus stops delivering beyond it.
const DELIVERIES_MAX: usize = 16;
/// Executed heights that wait for the certifier.
const SEALED_MAX: usize = 16;

/// What a replica is made of.
pub struct Config {
    /// How its subnet begins.
    pub genesis: Genesis,
    /// Digest of the genesis file: part of what consensus signs.
    pub genesis_digest: Digest32,
    /// The node's identity.
    pub key: NodeKey,
    /// The node's share of the chain key, as its key file holds it; wiped from memory once it was read.
    pub chain_share: Zeroizing<Vec<u8>>,
    /// Runs canister code.
    pub engine: Arc<dyn Engine>,
    /// Keeps states across restarts.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Heights between two checkpoints, the same for all members: [`crate::CHECKPOINT_INTERVAL`].
    pub checkpoint_interval: u64,
    /// The versions of the protocol that this binary has: [`Versions::OURS`]; a simulation knows one more.
    pub versions: Versions,
    /// How the subnet changes its version, the same for all members.
    pub switch_rules: SwitchRules,
    /// Remembers which version the data were changed by.
    pub version_mark: Arc<dyn VersionMark>,
    /// Whether to begin at the oldest checkpoint instead of the newest, so that `observer` hears of the blocks between again.
    pub replay: bool,
    /// Hears of executed blocks.
    pub observer: Arc<dyn Observer>,
    /// How tasks wait for threads.
    pub waiting: Waiting,
    /// Threads that answer queries.
    pub query_threads: usize,
    /// Prefix of everything that consensus stores.
    pub partition: String,
    /// What the process can do about files that the runtime cannot, if anything.
    pub backing: Option<Arc<dyn Backing>>,
    /// Calls that may wait in the pool: [`crate::POOL_CALLS_MAX`]; a simulation takes fewer, so that it reaches them.
    pub pool_calls: usize,
}

/// The network as a replica uses it: one pair per channel of [`mains_consensus::channels`].
pub struct Network<S, R, B, P> {
    /// Sender and receiver of every channel, in order.
    pub channels: Vec<(S, R)>,
    /// Cuts off peers that misbehave.
    pub blocker: B,
    /// Knows who the peers are.
    pub provider: P,
}

/// A running replica. Dropping the tasks' parent context stops it.
pub struct Running {
    /// For the gateway.
    pub handle: ReplicaHandle,
    /// Ends when one of the replica's parts ends.
    pub tasks: Vec<Handle<()>>,
}

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The chain key's public part or the share does not decode or does not fit.
    #[error("the chain key: {0}")]
    ChainKey(String),
    /// Nobody knows whether there are checkpoints.
    #[error("the checkpoints cannot be read: {0}")]
    Checkpoints(StorageFailure),
    /// The data belong to rules that this binary does not have.
    #[error("these data: {0}")]
    Version(String),
}

impl Chain for Mailbox {
    async fn block(&self, height: Height) -> Option<Block> {
        self.block_at(height).await
    }
    async fn processed(&self) -> Option<Height> {
        self.processed_height().await
    }
    async fn tip(&self) -> Option<Height> {
        Mailbox::tip(self).await.map(|(height, _)| height)
    }
    fn set_floor(&self, floor: Floor) {
        Mailbox::set_floor(self, floor);
    }
}

/// Starts a replica on its newest checkpoint or at genesis; what consensus stored holds all votes ever signed with its key.
///
/// # Errors
/// See [`StartError`]; nothing runs then.
///
/// # Panics
/// If `network` has not one pair per channel.
pub async fn start<E, S, R, B, P>(
    context: E,
    config: Config,
    network: Network<S, R, B, P>,
) -> Result<Running, StartError>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    P: Provider<PublicKey = PublicKey>,
{
    resume(context, config, network, Continuity::Proven).await
}

/// As [`start`], with what is known about the votes.
///
/// # Errors
/// See [`StartError`]; nothing runs then.
///
/// # Panics
/// If `network` has not one pair per channel.
pub async fn resume<E, S, R, B, P>(
    context: E,
    config: Config,
    network: Network<S, R, B, P>,
    continuity: Continuity,
) -> Result<Running, StartError>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    P: Provider<PublicKey = PublicKey>,
{
    let disk = Arc::new(Disk::default());
    let context = Patient::new(context, disk.clone(), config.backing);
    let genesis = &config.genesis;
    let chain_key = ChainKey::decode(
        genesis.nodes.iter().map(|node| node.public_key).collect(),
        &genesis.chain_key_sharing,
        Some(&config.chain_share),
    )
    .map_err(|error| StartError::ChainKey(error.to_string()))?;
    let chain_key = Arc::new(chain_key);
    let used = config.version_mark.read().map_err(StartError::Checkpoints)?;
    config.versions.check(used.max(config.versions.oldest)).map_err(StartError::Version)?;
    let state = first_state(genesis, config.switch_rules, &*config.checkpoints, config.replay)?;
    config.versions.check(state.version()).map_err(StartError::Version)?;

    let mut channels = network.channels.into_iter();
    let mut next = || channels.next().expect("one pair per channel");
    let (vote, certificate, resolver, backfill, broadcast) = (next(), next(), next(), next(), next());
    let (partials, ingress, synchronization) = (next(), next(), next());

    let (outgoing, to_send) = mpsc::channel(spread::OUTGOING_MAX);
    let clock = Arc::new(context.child("clock"));
    let inner = Arc::new(Inner {
        identity: Identity {
            node_id: config.key.node_id(),
            network: genesis.network.clone(),
            subnet: state.subnet.id,
            root_key_der: state.subnet.public_key_der.clone(),
            members: state.subnet.nodes.keys().copied().collect(),
            threshold: chain_key.threshold() as u32,
        },
        trust: RootOfTrust::from_der(&state.subnet.public_key_der).expect("a chain key in its DER form"),
        key: config.key.clone(),
        engine: config.engine,
        pool: Arc::new(Pool::of(config.pool_calls)),
        queries: Threads::start("query", config.query_threads, config.waiting),
        views: Views::default(),
        finalized: AtomicU64::new(state.height.get()),
        executed: AtomicU64::new(state.height.get()),
        served: AtomicU64::new(state.height.get()),
        latest: Mutex::new(None),
        certificate: Mutex::new(None),
        progress: Notify::new(),
        syncing: AtomicBool::new(false),
        needs_state: AtomicBool::new(false),
        is_disoriented: AtomicBool::new(matches!(continuity, Continuity::Unproven(_))),
        versions: config.versions,
        version_mark: config.version_mark,
        halted: OnceLock::new(),
        catching_up: Mutex::new(None),
        compiling: Mutex::new(None),
        push: Box::new(move |raw| {
            if outgoing.try_send(raw).is_err() {
                tracing::debug!("the push queue is full: the call goes out when this replica leads");
            }
        }),
        now: Box::new({
            let clock = clock.clone();
            move || {
                let since = clock.current().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixNanos(since.as_nanos() as u64)
            }
        }),
        surroundings: OnceLock::new(),
        clocks: Clocks::default(),
        disk: disk.clone(),
        evidence: OnceLock::new(),
        attendance: OnceLock::new(),
        signed: Mutex::default(),
    });

    let (deliveries, to_execute) = mpsc::channel(DELIVERIES_MAX);
    let (sealed, to_certify) = mpsc::channel(SEALED_MAX);
    let pace = mains_consensus::Parameters {
        heartbeat: Duration::from_millis(genesis.heartbeat_ms),
        leader_timeout: Duration::from_millis(genesis.leader_timeout_ms),
    };
    let proposer = Proposer::new(clock, inner.clone(), chain_key.clone(), deliveries, pace);
    let gate = match &continuity {
        Continuity::Proven => Gate::default(),
        Continuity::Unproven(_) => Gate::closed(),
    };
    let consensus = mains_consensus::start(
        context.child("consensus"),
        mains_consensus::Config {
            identity: config.key.seed(),
            participants: genesis.nodes.iter().map(|node| node.public_key).collect(),
            network: genesis.network.clone(),
            genesis_digest: config.genesis_digest,
            genesis_time: genesis.time,
            blocker: network.blocker,
            provider: network.provider,
            partition: config.partition,
            gate: gate.clone(),
            parameters: pace,
        },
        proposer,
        mains_consensus::Channels { vote, certificate, resolver, backfill, broadcast },
    )
    .await;

    let _ = inner.evidence.set(consensus.evidence);
    let _ = inner.attendance.set(consensus.attendance);
    let chain = consensus.mailbox.clone();
    let prune = Arc::new(move |height| chain.prune(height));
    let saver = Saver::new(config.checkpoints.clone(), config.checkpoint_interval, config.waiting, prune, disk);
    let saver = Arc::new(saver);
    let (installs, to_install) = mpsc::channel(1);
    let processed = consensus.mailbox.processed_height().await.unwrap_or(Height::ZERO);
    let parts = Parts {
        context: context.child("synchronizer_clock"),
        inner: inner.clone(),
        sender: synchronization.0,
        store: config.checkpoints,
        thread: Threads::start("synchronizer", 1, config.waiting),
        chain: consensus.mailbox.clone(),
        floors: consensus.floors,
        chain_key: chain_key.clone(),
        interval: config.checkpoint_interval,
        installs,
        gate,
        continuity,
    };
    let synchronizer = Synchronizer::new(parts, &state, processed);
    let executor = Executor::new(
        context.child("executor_clock"),
        inner.clone(),
        consensus.mailbox,
        config.waiting,
        saver.clone(),
        config.observer,
        sealed,
        state,
    );
    let certifier = Certifier::new(context.child("certifier_clock"), inner.clone(), chain_key, partials.0, saver);
    let mut tasks = consensus.handles;
    tasks.push(context.child("executor").spawn(move |_| executor.run(to_execute, to_install)));
    tasks.push(context.child("certifier").spawn(move |_| certifier.run(to_certify, partials.1)));
    tasks.push(context.child("spread").spawn(move |_| spread::send(to_send, ingress.0)));
    let receiving = inner.clone();
    tasks.push(context.child("gather").spawn(move |_| spread::receive(receiving, ingress.1)));
    tasks.push(context.child("synchronizer").spawn(move |_| synchronizer.run(synchronization.1)));
    Ok(Running { handle: ReplicaHandle(inner), tasks })
}

/// The newest checkpoint that can be restored (or the oldest, to replay what came after it), or the genesis state.
fn first_state(
    genesis: &Genesis,
    rules: SwitchRules,
    checkpoints: &dyn CheckpointStore,
    replay: bool,
) -> Result<State, StartError> {
    if replay && let Some(state) = checkpoint::oldest(checkpoints).map_err(StartError::Checkpoints)? {
        tracing::info!(height = %state.height, "starts from the oldest checkpoint, to replay what came after it");
        return Ok(state);
    }
    let mut damaged = |height: Height, error| tracing::warn!(%height, %error, "set a damaged checkpoint aside");
    match checkpoint::newest(checkpoints, &mut damaged).map_err(StartError::Checkpoints)? {
        Some(state) => {
            tracing::info!(height = %state.height, "starts from a checkpoint");
            Ok(state)
        }
        None => Ok(State::begin(genesis, rules)),
    }
}
