//! One node: takes its directory, starts network, replica and gateway, serves until it is told to stop.

use crate::{
    config::{Config, NodeConfig},
    damage,
    disk::{self, ChainFiles},
    error::OperatorError,
    files::{Keys, NodeDir, RunFile},
    history::HistoryWriter,
    journal, telemetry,
};
use bytes::Bytes;
use commonware_p2p::Manager as _;
use commonware_runtime::{Metrics as _, Runner as _, Supervisor as _, tokio as runtime};
use commonware_utils::{TryCollect as _, ordered::Set};
use mains_consensus::channels;
use mains_crypto::NodeKey;
use mains_engine::WasmtimeEngine;
use mains_network::{ByteQuota, Network, NetworkError};
use mains_replica::{CHECKPOINT_INTERVAL, Continuity, PeerStatus, ReplicaHandle, Surroundings, Waiting};
use mains_state::{Genesis, SwitchRules, VersionMark as _};
use mains_store::{DataDir, FileCheckpoints, History, read_evidence, write_evidence};
use mains_types::Versions;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// Threads of the runtime: a testnet's four processes share a small machine.
const RUNTIME_THREADS: usize = 2;

/// Readings of a canister that a bill may need: eleven years of days.
const READINGS_MAX: usize = 4_096;
/// How often is looked for new proofs against members.
const EVIDENCE: Duration = Duration::from_secs(1);

/// Exit code after a second signal.
const EXIT_TWICE: i32 = 130;

/// Exit code of a node that goes no further because its binary does not have the rules of the next height: starting it again
/// does not help, another release does.
const EXIT_OUTDATED: i32 = 78;

/// What was read and checked before anything starts.
struct Prepared {
    dir: NodeDir,
    config: NodeConfig,
    genesis: Genesis,
    genesis_digest: [u8; 32],
    key: NodeKey,
    chain_share: Zeroizing<Vec<u8>>,
    data: DataDir,
    api: std::net::TcpListener,
}

/// Runs the node in `dir` until SIGINT or SIGTERM.
///
/// # Errors
/// Anything that keeps it from starting, each in one line; nothing was changed then.
pub fn run(dir: &Path) -> Result<(), OperatorError> {
    run_with(dir, CHECKPOINT_INTERVAL)
}

/// As [`run`], with a checkpoint every so many heights: for tests, whose networks are small. All members take the same.
///
/// # Errors
/// As [`run`].
pub fn run_with(dir: &Path, checkpoint_interval: u64) -> Result<(), OperatorError> {
    let dir = NodeDir::new(dir);
    let config = Config::read(&dir.config())?;
    telemetry::start(&config.log);
    telemetry::exit_on_panic(damage::note(&dir.root().join("data")));
    raise_open_files();
    let prepared = prepare(dir, config)?;
    let storage = prepared.data.chain();
    let runtime_config = runtime::Config::new().with_worker_threads(RUNTIME_THREADS).with_storage_directory(storage);
    runtime::Runner::new(runtime_config).start(|context| serve(context, prepared, checkpoint_interval))
}

/// As many open files as this user may have: each client's connection takes one, and the usual 1,024 are soon gone.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
    if let Err(error) = raised {
        tracing::debug!(%error, "cannot raise the number of open files");
    }
}

fn prepare(dir: NodeDir, config: NodeConfig) -> Result<Prepared, OperatorError> {
    let (genesis, genesis_digest) = dir.read_genesis()?;
    let Keys { node: key, chain_share } = dir.read_keys(config.passphrase_file.as_deref())?;
    if !genesis.nodes.iter().any(|node| node.public_key == key.public()) {
        return Err(OperatorError::NotAMember { node: key.node_id().to_text(), network: genesis.network });
    }
    let data = DataDir::open(dir.root(), &genesis_digest, &key.public())?;
    let version = data.protocol().read().map_err(|error| OperatorError::Outdated(error.to_string()))?;
    Versions::OURS
        .check(version)
        .map_err(|why| OperatorError::Outdated(format!("{}: {why}", data.data().display())))?;
    let api = std::net::TcpListener::bind(config.api).map_err(|source| OperatorError::Listen {
        address: config.api.to_string(),
        config: "node.toml (api)",
        source,
    })?;
    damage::set_aside(&data, genesis.nodes.len())?;
    Ok(Prepared { dir, config, genesis, genesis_digest, key, chain_share, data, api })
}

async fn serve(context: runtime::Context, node: Prepared, checkpoint_interval: u64) -> Result<(), OperatorError> {
    // First: from the run file on, and a little before, a signal has to end the node in order.
    let stop = stop_signal().map_err(OperatorError::Signals)?;
    let (handle, watchers) = start_replica(&context, &node, checkpoint_interval).await?;
    let run_file = RunFile {
        pid: std::process::id(),
        node_id: node.key.node_id().to_text(),
        api: format!("http://{}", node.api.local_addr().unwrap_or(node.config.api)),
        root_key: hex::encode(&handle.identity().root_key_der),
    };
    write_run_file(&node.dir, &run_file)?;
    tracing::info!(node = %run_file.node_id, api = %run_file.api, network = %node.genesis.network, "node is up");
    node.api.set_nonblocking(true).map_err(|source| OperatorError::file("use", &node.dir.run_file(), source))?;
    let listener = tokio::net::TcpListener::from_std(node.api)
        .map_err(|source| OperatorError::file("use", &node.dir.run_file(), source))?;
    mains_gateway::serve(listener, handle, node.config.gateway, stop)
        .await
        .map_err(|error| OperatorError::Network(error.to_string()))?;
    tracing::info!("stopped");
    // From here on parts of the replica may end: the process does too.
    drop(watchers);
    let _ = std::fs::remove_file(node.dir.run_file());
    Ok(())
}

/// The one production instantiation of network, consensus and replica, and tasks that panic if a part of it ends.
async fn start_replica(
    context: &runtime::Context,
    node: &Prepared,
    checkpoint_interval: u64,
) -> Result<(ReplicaHandle, JoinSet<()>), OperatorError> {
    let members: Set<_> = node
        .genesis
        .nodes
        .iter()
        .map(|member| mains_network::consensus_key(&member.public_key))
        .collect::<Option<Vec<_>>>()
        .and_then(|keys| keys.into_iter().try_collect().ok())
        .ok_or_else(|| OperatorError::Network("the genesis file names a key twice or one that is none".into()))?;
    let (mut network, mut oracle) = Network::start(
        context.child("network"),
        mains_network::Config {
            seed: node.key.seed(),
            listen: node.config.listen.clone(),
            bootstrap: node.config.bootstrap.clone(),
            mdns: node.config.mdns,
            protocol: format!("{}/{}", node.genesis.network, hex::encode(&node.genesis_digest[..8])),
            max_message_size: channels::message_bytes_max(node.genesis.nodes.len() as u32),
            max_peers: node.genesis.nodes.len(),
        },
    )
    .map_err(|error| match error {
        NetworkError::Listen { address, reason } => OperatorError::Listen {
            address: address.to_string(),
            config: "node.toml (listen)",
            source: std::io::Error::other(reason),
        },
        NetworkError::Setup(reason) => OperatorError::Network(reason),
    })?;
    oracle.track(0, members);
    let members_count = node.genesis.nodes.len() as u32;
    let mut register = |(channel, quota)| {
        let (message_bytes_max, bytes_per_second) = channels::bytes(channel, members_count);
        network.register(channel, quota, ByteQuota { message_bytes_max, bytes_per_second })
    };
    let channels = channels::all().into_iter().map(&mut register).collect();
    let engine =
        WasmtimeEngine::new(Some(node.data.modules())).map_err(|error| OperatorError::Network(error.to_string()))?;
    let history = History::open(&node.data.history())?;
    let reader = history.reader()?;
    let replay = journal::Rebuilding::of(&node.dir);
    let observer = HistoryWriter::start(history, node.config.journal_days);
    let told = observer.replica();
    let running = mains_replica::resume(
        context.child("replica"),
        mains_replica::Config {
            genesis: node.genesis.clone(),
            genesis_digest: node.genesis_digest,
            key: node.key.clone(),
            chain_share: node.chain_share.clone(),
            engine: Arc::new(engine),
            checkpoints: Arc::new(FileCheckpoints::open(node.data.checkpoints())?),
            checkpoint_interval,
            versions: Versions::OURS,
            switch_rules: SwitchRules::of(checkpoint_interval),
            version_mark: Arc::new(node.data.protocol()),
            replay: replay.is_asked_for(),
            observer: Arc::new(observer),
            waiting: Waiting::Async,
            query_threads: node.config.query_threads,
            partition: "mains".into(),
            backing: Some(Arc::new(ChainFiles::new(node.data.chain(), node.data.votes_marker()))),
            pool_calls: mains_replica::POOL_CALLS_MAX,
        },
        mains_replica::Network { channels, blocker: oracle.clone(), provider: oracle },
        continuity(&node.data)?,
    )
    .await
    .map_err(|error| OperatorError::Network(error.to_string()))?;
    let _ = told.set(running.handle.clone());
    replay.begun();
    let metrics = context.child("metrics");
    running.handle.surround(Surroundings {
        peers: Box::new(move || network.peers().into_iter().map(peer_status).collect()),
        metrics: Box::new(move || metrics.encode()),
        readings: Box::new(move |canister, period| {
            reader.readings(canister, period, READINGS_MAX).unwrap_or_else(|error| {
                tracing::error!(%error, "cannot read history");
                Vec::new()
            })
        }),
    });
    let mut watchers = JoinSet::new();
    recall(&running.handle, node)?;
    watchers.spawn(evidence(node.data.evidence(), running.handle.clone()));
    watchers.spawn(disk::watch(node.data.data(), node.config.disk_reserve_bytes, running.handle.clone()));
    for task in running.tasks {
        let handle = running.handle.clone();
        watchers.spawn(async move {
            let _ = task.await;
            if handle.halted().is_some() {
                std::process::exit(EXIT_OUTDATED);
            }
            panic!("a part of the replica ended");
        });
    }
    Ok((running.handle, watchers))
}

/// Gives the replica the proofs that it held before its last end.
fn recall(replica: &ReplicaHandle, node: &Prepared) -> Result<(), OperatorError> {
    let proofs: Vec<Bytes> = read_evidence(&node.data.evidence())?.into_iter().map(Bytes::from).collect();
    replica.remember(&proofs, &node.genesis, &node.genesis_digest);
    Ok(())
}

/// Keeps every proof that the replica holds.
async fn evidence(path: PathBuf, replica: ReplicaHandle) {
    let mut kept = replica.proofs().len();
    let mut ticks = tokio::time::interval(EVIDENCE);
    loop {
        ticks.tick().await;
        let proofs = replica.proofs();
        if proofs.len() != kept {
            match write_evidence(&path, &proofs) {
                Ok(()) => kept = proofs.len(),
                Err(error) => tracing::error!(%error, "cannot keep the proof that a member voted twice; tries again"),
            }
        }
    }
}

/// Whether the node's data hold all votes that its key has signed.
fn continuity(data: &DataDir) -> Result<Continuity, OperatorError> {
    if data.holds_all_votes()? {
        return Ok(Continuity::Proven);
    }
    tracing::warn!("this key was used with other data: no vote goes out until none can contradict an earlier one");
    let marker = data.votes_marker();
    Ok(Continuity::Unproven(Box::new(move || {
        if let Err(error) = marker.set() {
            tracing::error!(%error, "the node will observe again after its next start");
        }
    })))
}

fn peer_status(peer: mains_network::PeerStatus) -> PeerStatus {
    PeerStatus {
        node_id: mains_crypto::node_id(&peer.public_key).to_text(),
        connected: peer.connected,
        address: peer.address.map(|address| address.to_string()).unwrap_or_default(),
    }
}

fn write_run_file(dir: &NodeDir, run_file: &RunFile) -> Result<(), OperatorError> {
    let path = dir.run_file();
    let temporary = path.with_extension("json.new");
    let text = serde_json::to_vec_pretty(run_file).expect("serializes");
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, &path))
        .map_err(|source| OperatorError::file("write", &path, source))
}

/// Ends with the first signal to stop. A second one ends the process at once: nothing durable depends on the rest.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stops: open requests are answered first; a second signal ends it at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(EXIT_TWICE);
        });
    })
}
