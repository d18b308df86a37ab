//! Setting up one node: its keys and config first, then the network that it joins.
//!
//! Keys are made on the node and never leave it. Whoever makes the network gets public keys, deals the shares of its
//! chain key and writes an invitation per node: genesis, that node's share, where the others are. Only test networks
//! have a dealer.

use crate::{
    config::Config,
    error::OperatorError,
    files::NodeDir,
    genesis::{self, TESTNET_FUNDS},
    keys::{self, Passphrase},
};
use libp2p::Multiaddr;
use mains_consensus::ChainKey;
use mains_crypto::NodeKey;
use mains_state::{Genesis, RequiredSignature};
use mains_types::Principal;
use serde::{Deserialize, Serialize};
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use zeroize::{Zeroize, Zeroizing};

/// Characters of the shortest passphrase that is taken.
const PASSPHRASE_CHARS_MIN: usize = 8;
/// Members of the largest network that a dealer makes.
const MEMBERS_MAX: usize = 40;

/// How a node is set up.
#[derive(Clone, Debug, Default)]
pub struct InitOptions {
    /// Address of the API; the default's if `None`.
    pub api: Option<String>,
    /// Addresses for other nodes; the default's if empty.
    pub listen: Vec<String>,
    /// Whether new keys are sealed with a passphrase.
    pub seal: bool,
    /// Where that passphrase stands; else `MAINS_PASSPHRASE` or the terminal.
    pub passphrase_file: Option<PathBuf>,
    /// An invitation to join a network with.
    pub join: Option<PathBuf>,
}

/// What a node's directory holds after setting up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Initialized {
    /// The node's id.
    pub node_id: String,
    /// Its public key, hex: what the network's maker needs.
    pub public_key: String,
    /// The network that it is ready to serve, if it was invited.
    pub network: Option<String>,
    /// Whether its keys are sealed.
    pub sealed: bool,
}

/// An invitation, as it travels: for one node, holds a secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitation {
    mains_invitation: u32,
    network: String,
    /// Hex.
    public_key: String,
    /// Hex.
    genesis: String,
    /// Hex.
    chain_share: String,
    bootstrap: Vec<String>,
}

impl Drop for Invitation {
    fn drop(&mut self) {
        self.chain_share.zeroize();
    }
}

/// The form of invitations that this release writes and reads.
const INVITATION: u32 = 1;

/// Makes what is missing in a node's directory: keys, config, and with an invitation the network's files. Nothing that is
/// there is overwritten, so it can be called again: first for the keys, later with the invitation.
///
/// # Errors
/// The invitation is for another node or does not hold; the node belongs to another network; a file cannot be written.
pub fn init(dir: &Path, options: &InitOptions) -> Result<Initialized, OperatorError> {
    let node = NodeDir::new(dir);
    let invitation = options.join.as_deref().map(read_invitation).transpose()?;
    // A config that does not hold is refused before anything is made.
    let config = if node.config().exists() {
        let passphrase_file = Config::read(&node.config())?.passphrase_file;
        (Config::read_as_written(&node.config())?, passphrase_file)
    } else {
        (fresh_config(options)?, options.passphrase_file.clone())
    };
    let (mut config, passphrase_file) = config;
    node.create_keys_directory()?;
    let has_key = node.node_key().exists();
    let sealed = if has_key { keys::KeyFile::read(&node.node_key())?.is_sealed() } else { options.seal };
    let passphrase = if sealed { Some(passphrase(passphrase_file.as_deref(), !has_key)?) } else { None };
    let key = if has_key {
        node.open_node_key(passphrase.as_ref())?
    } else {
        let key = NodeKey::from_seed(*Zeroizing::new(genesis::random()));
        keys::write(&node.node_key(), &*Zeroizing::new(key.seed()), passphrase.as_ref())?;
        key
    };
    if let Some((path, invitation)) = &invitation {
        join(&node, &key, path, invitation, passphrase.as_ref())?;
        config.bootstrap = invitation.bootstrap.clone();
    }
    if invitation.is_some() || !node.config().exists() {
        genesis::write_config(&node, config)?;
    }
    let network = if node.genesis().exists() { Some(node.read_genesis()?.0.network) } else { None };
    Ok(Initialized { node_id: key.node_id().to_text(), public_key: hex::encode(key.public()), network, sealed })
}

fn fresh_config(options: &InitOptions) -> Result<Config, OperatorError> {
    let default = Config::default();
    let passphrase_file = options.passphrase_file.as_deref().map(std::path::absolute).transpose();
    Ok(Config {
        api: options.api.clone().unwrap_or(default.api),
        listen: if options.listen.is_empty() { default.listen } else { options.listen.clone() },
        passphrase_file: passphrase_file.map_err(|source| OperatorError::file("use", Path::new("."), source))?,
        ..Config::default()
    })
}

fn passphrase(file: Option<&Path>, is_new: bool) -> Result<Passphrase, OperatorError> {
    let given = keys::passphrase(file, "Passphrase for this node's keys: ")?;
    let given = given.ok_or(OperatorError::Passphrase(
        "is nowhere: name a file with --passphrase-file, set MAINS_PASSPHRASE, or use a terminal",
    ))?;
    if is_new && given.chars().count() < PASSPHRASE_CHARS_MIN {
        return Err(OperatorError::Passphrase("is too short: choose at least 8 characters"));
    }
    let was_asked = file.is_none() && std::env::var_os("MAINS_PASSPHRASE").is_none();
    if is_new && was_asked && keys::passphrase(None, "The same again: ")?.as_ref() != Some(&given) {
        return Err(OperatorError::Passphrase("was not the same twice: try again"));
    }
    Ok(given)
}

fn read_invitation(path: &Path) -> Result<(PathBuf, Invitation), OperatorError> {
    let text = std::fs::read_to_string(path).map_err(|source| OperatorError::file("read", path, source))?;
    let text = Zeroizing::new(text);
    let invalid = |reason: String| OperatorError::Invitation { path: path.to_owned(), reason };
    let invitation: Invitation =
        serde_json::from_str(&text).map_err(|error| invalid(format!("is no invitation ({error})")))?;
    if invitation.mains_invitation != INVITATION {
        return Err(invalid(format!("has form {}, this release reads {INVITATION}", invitation.mains_invitation)));
    }
    Ok((path.to_owned(), invitation))
}

/// Writes the network's files, once the invitation is known to be for this node and to hold.
fn join(
    node: &NodeDir,
    key: &NodeKey,
    path: &Path,
    invitation: &Invitation,
    passphrase: Option<&Passphrase>,
) -> Result<(), OperatorError> {
    let invalid = |reason: String| OperatorError::Invitation { path: path.to_owned(), reason };
    let bytes = |text: &str| hex::decode(text).map_err(|_| invalid("holds something that is not hex".into()));
    let public_key = hex::encode(key.public());
    if invitation.public_key != public_key {
        return Err(invalid(format!(
            "invites the node with key {}, this one's is {public_key}",
            invitation.public_key
        )));
    }
    let file = bytes(&invitation.genesis)?;
    let genesis: Genesis =
        mains_wire::decode(&file).map_err(|error| invalid(format!("its genesis file is none ({error})")))?;
    genesis.check().map_err(|reason| invalid(format!("its genesis file: {reason}")))?;
    let share = Zeroizing::new(bytes(&invitation.chain_share)?);
    check_share(&genesis, key, &share).map_err(|reason| invalid(format!("its share of the chain key: {reason}")))?;
    for address in &invitation.bootstrap {
        address.parse::<Multiaddr>().map_err(|_| invalid(format!("`{address}` is no multiaddr")))?;
    }
    if node.genesis().exists() {
        let (_, digest) = node.read_genesis()?;
        if digest != *blake3::hash(&file).as_bytes() {
            return Err(OperatorError::Exists { path: node.genesis() });
        }
    }
    if !node.chain_share().exists() {
        keys::write(&node.chain_share(), &share, passphrase)?;
    }
    genesis::write_genesis(node, &file)
}

/// Whether a share of the chain key is the one of this node.
pub(crate) fn check_share(genesis: &Genesis, key: &NodeKey, share: &[u8]) -> Result<(), String> {
    let members: Vec<[u8; 32]> = genesis.nodes.iter().map(|member| member.public_key).collect();
    let mut ordered = members.clone();
    ordered.sort_unstable();
    let place = ordered.iter().position(|member| *member == key.public()).ok_or("this node is no member")?;
    let chain_key =
        ChainKey::decode(members, &genesis.chain_key_sharing, Some(share)).map_err(|error| error.to_string())?;
    match chain_key.index() {
        Some(index) if index as usize == place => Ok(()),
        _ => Err("it is another member's".into()),
    }
}

/// A node that will be a member of a new test network.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its public key, as `init` printed it.
    pub public_key: [u8; 32],
    /// Where the others find it, if it has a fixed address.
    pub address: Option<Multiaddr>,
}

impl Member {
    /// Reads an address.
    ///
    /// # Errors
    /// What an address looks like.
    pub fn parse_address(text: &str) -> Result<Multiaddr, String> {
        text.parse().map_err(|error| format!("`{text}` is no multiaddr ({error}): write e.g. /ip4/192.0.2.1/tcp/4951"))
    }
}

/// Deals a test network to these nodes: writes `<public key>.invitation` for each into `dir`. The anonymous principal is
/// funded, as in every test network; canisters take `storage_bytes_max` bytes of each node's disk together, twice over.
///
/// # Errors
/// No or too many members, one twice, or a file cannot be written.
pub fn invite(
    dir: &Path,
    network: &str,
    mut members: Vec<Member>,
    storage_bytes_max: u64,
) -> Result<Vec<PathBuf>, OperatorError> {
    members.sort_by_key(|member| member.public_key);
    let keys: Vec<[u8; 32]> = members.iter().map(|member| member.public_key).collect();
    if keys.is_empty() || keys.len() > MEMBERS_MAX || keys.windows(2).any(|pair| pair[0] == pair[1]) {
        let reason = format!("a network has 1 to {MEMBERS_MAX} nodes, each named once: check the --member options");
        return Err(OperatorError::Members(reason));
    }
    std::fs::create_dir_all(dir).map_err(|source| OperatorError::file("create", dir, source))?;
    let accounts = vec![(Principal::anonymous(), TESTNET_FUNDS)];
    let dealt = genesis::deal(network, &keys, accounts, RequiredSignature::default(), storage_bytes_max);
    let mut written = Vec::new();
    for (key, share) in keys.iter().zip(&dealt.shares) {
        let others = members.iter().filter(|member| member.public_key != *key);
        let bootstrap = others.filter_map(|other| {
            let peer = mains_network::peer_id(&other.public_key);
            other.address.as_ref().map(|address| format!("{address}/p2p/{peer}"))
        });
        let invitation = Invitation {
            mains_invitation: INVITATION,
            network: network.to_owned(),
            public_key: hex::encode(key),
            genesis: hex::encode(&dealt.genesis),
            chain_share: hex::encode(&**share),
            bootstrap: bootstrap.collect(),
        };
        let path = dir.join(format!("{}.invitation", hex::encode(key)));
        let text = Zeroizing::new(serde_json::to_string_pretty(&invitation).expect("plain data serializes"));
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|source| OperatorError::file("write", &path, source))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
