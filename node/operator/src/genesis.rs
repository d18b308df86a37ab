//! Making a test network: keys, shares from a dealer, genesis and one directory per node.

use crate::{
    config::Config,
    error::OperatorError,
    files::{NodeDir, write_secret},
};
use mains_consensus::ChainKey;
use mains_crypto::NodeKey;
use mains_gateway::Sibling;
use mains_state::{Genesis, GenesisNode, NetworkKind, genesis::ChainKeyOrigin};
use mains_types::{Cycles, Principal, UnixNanos};
use rand::TryRng;
use std::path::{Path, PathBuf};

/// What a test network looks like.
#[derive(Clone, Debug)]
pub struct TestnetOptions {
    /// Its name.
    pub network: String,
    /// Replicas, 1 to 40.
    pub nodes: usize,
    /// API port of the first replica; the others follow.
    pub api_port: u16,
    /// Ports for the replicas among themselves, one per node.
    pub p2p_ports: Vec<u16>,
    /// Cycles of the anonymous principal and of these, each.
    pub funded: Vec<Principal>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct TestnetFiles {
    /// One directory per node.
    pub nodes: Vec<PathBuf>,
    /// Each node's id.
    pub node_ids: Vec<Principal>,
}

/// Cycles that each funded principal of a test network starts with: 10^6 credits.
pub const TESTNET_FUNDS: Cycles = Cycles(1_000_000_000_000_000_000);
/// How long a leader waits for work: idle certificates stay fresh at under 1 % of a core.
const HEARTBEAT_MS: u64 = 600;
/// How long replicas wait for a leader: a few round trips above the heartbeat.
const LEADER_TIMEOUT_MS: u64 = 1_200;

/// Makes the directories `node-0`, `node-1`, … under `dir`.
///
/// # Errors
/// A directory is there already or cannot be written; what was written before stays.
///
/// # Panics
/// If the operating system has no randomness.
pub fn create_testnet(dir: &Path, options: &TestnetOptions) -> Result<TestnetFiles, OperatorError> {
    let mut keys: Vec<NodeKey> = (0..options.nodes).map(|_| NodeKey::from_seed(random())).collect();
    keys.sort_by_key(NodeKey::public);
    let (sharing, shares) = ChainKey::deal(options.nodes as u32, random());
    let genesis = Genesis {
        network: options.network.clone(),
        kind: NetworkKind::Test,
        time: now(),
        nodes: keys.iter().map(|key| GenesisNode { public_key: key.public(), operator: key.node_id() }).collect(),
        chain_key_origin: ChainKeyOrigin::TrustedDealer,
        chain_key: sharing.public_key().to_vec(),
        chain_key_sharing: sharing.encode(),
        accounts: std::iter::once(Principal::anonymous())
            .chain(options.funded.iter().copied())
            .map(|principal| (principal, TESTNET_FUNDS))
            .collect(),
        heartbeat_ms: HEARTBEAT_MS,
        leader_timeout_ms: LEADER_TIMEOUT_MS,
    };
    let genesis = mains_wire::encode(&genesis);
    let mut files = TestnetFiles { nodes: Vec::new(), node_ids: Vec::new() };
    for (index, (key, share)) in keys.iter().zip(shares).enumerate() {
        let node = NodeDir::new(dir.join(format!("node-{index}")));
        if node.root().exists() {
            return Err(OperatorError::Exists { path: node.root().to_owned() });
        }
        let keys_dir = node.root().join("keys");
        std::fs::create_dir_all(&keys_dir).map_err(|source| OperatorError::file("create", &keys_dir, source))?;
        write_secret(&node.node_key(), &key.seed())?;
        write_secret(&node.chain_share(), &share)?;
        std::fs::write(node.genesis(), &genesis)
            .map_err(|source| OperatorError::file("write", &node.genesis(), source))?;
        let config = Config {
            api: format!("127.0.0.1:{}", options.api_port + index as u16),
            listen: vec![format!("/ip4/127.0.0.1/tcp/{}", options.p2p_ports[index])],
            bootstrap: options
                .p2p_ports
                .iter()
                .zip(&keys)
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(_, (port, key))| {
                    format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", mains_network::peer_id(&key.public()))
                })
                .collect(),
            mdns: false,
            siblings: siblings(&keys, options.api_port, index),
            ..Config::default()
        };
        let text = toml::to_string_pretty(&config).expect("a config serializes");
        std::fs::write(node.config(), text).map_err(|source| OperatorError::file("write", &node.config(), source))?;
        files.nodes.push(node.root().to_owned());
        files.node_ids.push(key.node_id());
    }
    Ok(files)
}

/// The APIs of all replicas but the one with this index.
fn siblings(keys: &[NodeKey], api_port: u16, index: usize) -> Vec<Sibling> {
    let all = keys.iter().enumerate().filter(|(other, _)| *other != index);
    all.map(|(other, key)| Sibling {
        node_id: key.node_id().to_text(),
        url: format!("http://127.0.0.1:{}", usize::from(api_port) + other),
    })
    .collect()
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).expect("the operating system has randomness");
    bytes
}

fn now() -> UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(since.as_nanos() as u64)
}
