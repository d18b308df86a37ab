//! Four replicas under one deterministic runtime: the same value that ships, on a simulated network and disk.

use crate::{
    checkpoints::MemoryCheckpoints,
    record::{Roots, Watcher},
    scenario::{REPLICAS, Scenario},
};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::simulated::{self, Link, Oracle};
use commonware_runtime::{Clock as _, Handle, Spawner as _, Supervisor as _, deterministic::Context};
use commonware_utils::{NZUsize, Probability};
use mains_consensus::{ChainKey, channels, committee};
use mains_crypto::NodeKey;
use mains_engine::WasmtimeEngine;
use mains_replica::{Network as ReplicaNetwork, ReplicaHandle, Waiting};
use mains_state::{Genesis, GenesisNode, NetworkKind, genesis::ChainKeyOrigin};
use mains_types::{Cycles, Principal, UnixNanos};
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::oneshot;

/// Heights between two checkpoints: few, so that restarts begin at one.
const CHECKPOINT_INTERVAL: u64 = 20;
/// Bytes of a simulated message at most.
const MESSAGE_BYTES_MAX: u32 = 8 << 20;
/// What each funded principal starts with.
const FUNDS: Cycles = Cycles(1_000_000_000_000_000_000);

struct Node {
    key: NodeKey,
    share: Vec<u8>,
    consensus_key: PublicKey,
    checkpoints: Arc<MemoryCheckpoints>,
    running: Option<(ReplicaHandle, Handle<()>)>,
}

/// The simulated subnet.
pub struct Subnet {
    context: Context,
    oracle: Oracle<PublicKey, Context>,
    genesis: Genesis,
    engine: Arc<WasmtimeEngine>,
    nodes: Vec<Node>,
    link: Link,
    /// Roots that replicas computed.
    pub roots: Arc<Roots>,
}

impl Subnet {
    /// Makes keys and genesis from the seed and starts all replicas. `funded` has cycles from the start.
    ///
    /// # Panics
    /// If a replica cannot start.
    pub async fn start(context: Context, scenario: &Scenario, engine: Arc<WasmtimeEngine>, funded: Principal) -> Self {
        let seed = |what: u8, index: u64| {
            let mut bytes = [what; 32];
            bytes[..8].copy_from_slice(&scenario.seed.to_be_bytes());
            bytes[8..16].copy_from_slice(&index.to_be_bytes());
            bytes
        };
        let mut keys: Vec<NodeKey> = (0..REPLICAS as u64).map(|index| NodeKey::from_seed(seed(1, index))).collect();
        keys.sort_by_key(NodeKey::public);
        let (sharing, shares) = ChainKey::deal(REPLICAS as u32, seed(2, 0));
        let now = context.current().duration_since(UNIX_EPOCH).unwrap_or_default();
        let genesis = Genesis {
            network: "simulation".into(),
            kind: NetworkKind::Test,
            time: UnixNanos(now.as_nanos() as u64),
            nodes: keys.iter().map(|key| GenesisNode { public_key: key.public(), operator: key.node_id() }).collect(),
            chain_key_origin: ChainKeyOrigin::TrustedDealer,
            chain_key: sharing.public_key().to_vec(),
            chain_key_sharing: sharing.encode(),
            accounts: vec![(Principal::anonymous(), FUNDS), (funded, FUNDS)],
            heartbeat_ms: 600,
            leader_timeout_ms: 1_200,
            require_publisher_signature: Default::default(),
        };
        let nodes: Vec<Node> = keys
            .into_iter()
            .zip(shares)
            .map(|(key, share)| Node {
                consensus_key: committee::public_key(&key.public()).expect("a key"),
                key,
                share,
                checkpoints: Arc::default(),
                running: None,
            })
            .collect();
        let (network, oracle) = simulated::Network::new_with_peers(
            context.child("network"),
            simulated::Config {
                max_size: MESSAGE_BYTES_MAX,
                max_peers_per_set: NZUsize!(REPLICAS),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(2),
            },
            nodes.iter().map(|node| node.consensus_key.clone()).collect::<Vec<_>>(),
        )
        .await;
        network.start();
        let link = Link {
            latency: Duration::from_millis(scenario.delay_ms),
            jitter: Duration::from_millis(scenario.jitter_ms),
            success_rate: Probability::new(u64::from(100 - scenario.loss_percent), 100).expect("at most one"),
        };
        let mut subnet = Self { context, oracle, genesis, engine, nodes, link, roots: Arc::default() };
        subnet.heal().await;
        for index in 0..REPLICAS {
            subnet.restart(index).await;
        }
        subnet
    }

    /// The replica, if it runs.
    pub fn replica(&self, index: usize) -> Option<&ReplicaHandle> {
        self.nodes[index].running.as_ref().map(|(handle, _)| handle)
    }

    /// The replicas that run.
    pub fn running(&self) -> impl Iterator<Item = &ReplicaHandle> {
        (0..REPLICAS).filter_map(|index| self.replica(index))
    }

    /// Kills a replica at once; its disk stays.
    pub fn kill(&mut self, index: usize) {
        if let Some((_, task)) = self.nodes[index].running.take() {
            task.abort();
        }
    }

    /// Starts a replica on its disk.
    ///
    /// # Panics
    /// If it runs already or cannot start.
    pub async fn restart(&mut self, index: usize) {
        let node = &self.nodes[index];
        assert!(node.running.is_none(), "replica {index} runs already");
        let control = self.oracle.control(node.consensus_key.clone());
        let mut channels = Vec::new();
        for (number, quota) in channels::all() {
            channels.push(control.register(number, quota).await.expect("the network runs"));
        }
        let network = ReplicaNetwork { channels, blocker: control, provider: self.oracle.manager() };
        let config = mains_replica::Config {
            genesis: self.genesis.clone(),
            genesis_digest: [7; 32],
            key: node.key.clone(),
            chain_share: node.share.clone(),
            engine: self.engine.clone(),
            checkpoints: node.checkpoints.clone(),
            checkpoint_interval: CHECKPOINT_INTERVAL,
            observer: Arc::new(Watcher { replica: index, roots: self.roots.clone() }),
            waiting: Waiting::Blocking,
            query_threads: 1,
            partition: format!("replica-{index}"),
        };
        let (ready, started) = oneshot::channel();
        let name = self.context.child("replica").with_attribute("index", index);
        let task = name.spawn(move |context| async move {
            let running = mains_replica::start(context, config, network).await.expect("a replica starts");
            let _ = ready.send(running.handle);
            futures::future::pending::<()>().await;
        });
        let handle = started.await.expect("a replica starts");
        self.nodes[index].running = Some((handle, task));
    }

    /// Cuts the first half of the replicas off from the second.
    ///
    /// # Panics
    /// If the network is closed.
    pub async fn split(&mut self) {
        for from in 0..REPLICAS {
            for to in 0..REPLICAS {
                if (from < REPLICAS / 2) != (to < REPLICAS / 2) {
                    let (from, to) = (&self.nodes[from].consensus_key, &self.nodes[to].consensus_key);
                    self.oracle.remove_link(from.clone(), to.clone()).await.expect("linked before");
                }
            }
        }
    }

    /// Links all replicas as the scenario says.
    ///
    /// # Panics
    /// If the network is closed.
    pub async fn heal(&mut self) {
        for from in 0..REPLICAS {
            for to in (0..REPLICAS).filter(|to| *to != from) {
                let (from, to) = (&self.nodes[from].consensus_key, &self.nodes[to].consensus_key);
                let _ = self.oracle.remove_link(from.clone(), to.clone()).await;
                self.oracle.add_link(from.clone(), to.clone(), self.link.clone()).await.expect("the network runs");
            }
        }
    }
}
