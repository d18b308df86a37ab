//! Making a test network: keys, shares from a dealer, genesis and one directory per node.

use crate::{config::Config, error::OperatorError, files::NodeDir};
use mains_consensus::ChainKey;
use mains_crypto::NodeKey;
use mains_gateway::Sibling;
use mains_state::{Genesis, GenesisNode, NetworkKind, RequiredSignature, genesis::ChainKeyOrigin};
use mains_types::{Cycles, Principal, UnixNanos, limits};
use rand::TryRng;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What a test network looks like.
#[derive(Clone, Debug)]
pub struct TestnetOptions {
    /// Its name.
    pub network: String,
    /// Replicas, 1 to 40.
    pub nodes: usize,
    /// Where they listen, one per node.
    pub addresses: Vec<Addresses>,
    /// Cycles of the anonymous principal and of these, each.
    pub funded: Vec<Principal>,
    /// Whose modules are installed.
    pub require_publisher_signature: RequiredSignature,
}

/// Where a replica of a test network listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For clients.
    pub api: SocketAddr,
    /// For the other replicas; an IPv4 address.
    pub p2p: SocketAddr,
}

impl Addresses {
    /// URL of the API for this machine's own programs.
    pub fn api_url(&self) -> String {
        let (ip, port) = (self.api.ip(), self.api.port());
        let ip = if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip };
        format!("http://{}", SocketAddr::new(ip, port))
    }
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
    let members: Vec<[u8; 32]> = keys.iter().map(NodeKey::public).collect();
    let accounts = std::iter::once(Principal::anonymous()).chain(options.funded.iter().copied());
    let accounts = accounts.map(|principal| (principal, TESTNET_FUNDS)).collect();
    let required = options.require_publisher_signature.clone();
    let dealt = deal(&options.network, &members, accounts, required, limits::SUBNET_STORAGE_BYTES);
    let mut files = TestnetFiles { nodes: Vec::new(), node_ids: Vec::new() };
    for (index, (key, share)) in keys.iter().zip(&dealt.shares).enumerate() {
        let node = NodeDir::new(dir.join(format!("node-{index}")));
        if node.root().exists() {
            return Err(OperatorError::Exists { path: node.root().to_owned() });
        }
        node.create_keys_directory()?;
        crate::keys::write(&node.node_key(), &*Zeroizing::new(key.seed()), None)?;
        crate::keys::write(&node.chain_share(), share, None)?;
        write_genesis(&node, &dealt.genesis)?;
        let config = Config { mdns: false, ..Config::default() };
        write_config(&node, placed(config, &keys, &options.addresses, index))?;
        files.nodes.push(node.root().to_owned());
        files.node_ids.push(key.node_id());
    }
    Ok(files)
}

/// A test network's beginning, as its dealer hands it out.
pub(crate) struct Dealt {
    /// The genesis file.
    pub(crate) genesis: Vec<u8>,
    /// A share of the chain key for each member, in the order of their keys.
    pub(crate) shares: Vec<Zeroizing<Vec<u8>>>,
}

/// Makes a genesis file and shares for these members, whose keys are in order.
pub(crate) fn deal(
    network: &str,
    members: &[[u8; 32]],
    accounts: Vec<(Principal, Cycles)>,
    require_publisher_signature: RequiredSignature,
    storage_bytes_max: u64,
) -> Dealt {
    let (sharing, shares) = ChainKey::deal(members.len() as u32, random());
    let node = |key: &[u8; 32]| GenesisNode { public_key: *key, operator: mains_crypto::node_id(key) };
    let genesis = Genesis {
        network: network.to_owned(),
        kind: NetworkKind::Test,
        time: now(),
        nodes: members.iter().map(node).collect(),
        chain_key_origin: ChainKeyOrigin::TrustedDealer,
        chain_key: sharing.public_key().to_vec(),
        chain_key_sharing: sharing.encode(),
        accounts,
        heartbeat_ms: HEARTBEAT_MS,
        leader_timeout_ms: LEADER_TIMEOUT_MS,
        require_publisher_signature,
        storage_bytes_max,
    };
    Dealt { genesis: mains_wire::encode(&genesis), shares: shares.into_iter().map(Zeroizing::new).collect() }
}

pub(crate) fn write_genesis(node: &NodeDir, genesis: &[u8]) -> Result<(), OperatorError> {
    std::fs::write(node.genesis(), genesis).map_err(|source| OperatorError::file("write", &node.genesis(), source))
}

/// Gives the nodes of a stopped test network other addresses; the rest of their config files stays.
///
/// # Errors
/// A config or key file cannot be read or written.
pub fn move_testnet(dirs: &[PathBuf], addresses: &[Addresses]) -> Result<(), OperatorError> {
    let nodes: Vec<NodeDir> = dirs.iter().map(NodeDir::new).collect();
    let keys = nodes.iter().map(|node| node.read_node_key(None)).collect::<Result<Vec<_>, _>>()?;
    for (index, node) in nodes.iter().enumerate() {
        write_config(node, placed(Config::read_as_written(&node.config())?, &keys, addresses, index))?;
    }
    Ok(())
}

/// The config of the node with this index, listening at its addresses and knowing the others'.
fn placed(config: Config, keys: &[NodeKey], addresses: &[Addresses], index: usize) -> Config {
    let others = || keys.iter().zip(addresses).enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
    let p2p = |at: &Addresses| format!("/ip4/{}/tcp/{}", at.p2p.ip(), at.p2p.port());
    Config {
        api: addresses[index].api.to_string(),
        listen: vec![p2p(&addresses[index])],
        bootstrap: others()
            .map(|(key, at)| format!("{}/p2p/{}", p2p(at), mains_network::peer_id(&key.public())))
            .collect(),
        siblings: others().map(|(key, at)| Sibling { node_id: key.node_id().to_text(), url: at.api_url() }).collect(),
        ..config
    }
}

pub(crate) fn write_config(node: &NodeDir, config: Config) -> Result<(), OperatorError> {
    let text = toml::to_string_pretty(&config).expect("a config serializes");
    std::fs::write(node.config(), text).map_err(|source| OperatorError::file("write", &node.config(), source))
}

pub(crate) fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).expect("the operating system has randomness");
    bytes
}

fn now() -> UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixNanos(since.as_nanos() as u64)
}
