//! The files of one node: `node.toml`, `genesis.cbor`, `keys/` and `data/` side by side.
//!
//! Keys live beside the data, so that a lost or emptied data directory does not lose the identity.

use crate::{
    error::OperatorError,
    keys::{self, KeyFile, Passphrase},
};
use mains_crypto::NodeKey;
use mains_state::Genesis;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A node's directory.
#[derive(Clone, Debug)]
pub struct NodeDir {
    root: PathBuf,
}

impl NodeDir {
    /// The directory at `root`; nothing is touched.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The config file.
    pub fn config(&self) -> PathBuf {
        self.root.join("node.toml")
    }
    /// The genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.root.join("genesis.cbor")
    }
    /// The node's ed25519 seed.
    pub fn node_key(&self) -> PathBuf {
        self.root.join("keys").join("node.key")
    }
    /// The node's share of the chain key.
    pub fn chain_share(&self) -> PathBuf {
        self.root.join("keys").join("chain.share")
    }
    /// What the running process tells its surroundings (JSON: pid, API address, p2p addresses).
    pub fn run_file(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// Makes the directory of the keys, for this user only.
    pub(crate) fn create_keys_directory(&self) -> Result<(), OperatorError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let keys = self.root.join("keys");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&keys)
            .map_err(|source| OperatorError::file("create", &keys, source))
    }

    /// Reads the genesis file and its digest.
    ///
    /// # Errors
    /// Unreadable or malformed.
    pub fn read_genesis(&self) -> Result<(Genesis, [u8; 32]), OperatorError> {
        let path = self.genesis();
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound if self.root().exists() => OperatorError::NoNetwork { path: path.clone() },
            _ => OperatorError::file("read", &path, source),
        })?;
        let genesis = mains_wire::decode::<Genesis>(&bytes).map_err(|error| OperatorError::Genesis {
            path: path.clone(),
            reason: format!("no genesis file ({error})"),
        })?;
        genesis.check().map_err(|reason| OperatorError::Genesis { path, reason })?;
        Ok((genesis, *blake3::hash(&bytes).as_bytes()))
    }

    /// Reads the node's keys; asks once for the passphrase if they are sealed.
    ///
    /// # Errors
    /// Unreadable, open to others, malformed, or sealed and the passphrase is not there.
    pub fn read_keys(&self, passphrase_file: Option<&Path>) -> Result<Keys, OperatorError> {
        let (node_path, share_path) = (self.node_key(), self.chain_share());
        let (node, share) = (KeyFile::read(&node_path)?, KeyFile::read(&share_path)?);
        let question = format!("Passphrase of the keys in {}: ", self.root.join("keys").display());
        let passphrase =
            if node.is_sealed() || share.is_sealed() { keys::passphrase(passphrase_file, &question)? } else { None };
        let node = node_key(&node_path, &node.open(passphrase.as_ref())?)?;
        Ok(Keys { node, chain_share: share.open(passphrase.as_ref())? })
    }

    /// Reads the node's own key with a passphrase that is known already.
    pub(crate) fn open_node_key(&self, passphrase: Option<&Passphrase>) -> Result<NodeKey, OperatorError> {
        let path = self.node_key();
        node_key(&path, &KeyFile::read(&path)?.open(passphrase)?)
    }

    /// Reads the node's own key; asks for the passphrase if it is sealed.
    ///
    /// # Errors
    /// As [`Self::read_keys`].
    pub fn read_node_key(&self, passphrase_file: Option<&Path>) -> Result<NodeKey, OperatorError> {
        let path = self.node_key();
        let file = KeyFile::read(&path)?;
        let passphrase = if file.is_sealed() {
            keys::passphrase(passphrase_file, &format!("Passphrase of {}: ", path.display()))?
        } else {
            None
        };
        node_key(&path, &file.open(passphrase.as_ref())?)
    }
}

/// What a running node tells its surroundings, as `run.json` in its directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// The process.
    pub pid: u32,
    /// The node's id.
    pub node_id: String,
    /// URL of its API.
    pub api: String,
    /// The root key (DER) in hex.
    pub root_key: String,
}

/// The secrets of a node; wiped from memory when dropped.
pub struct Keys {
    /// The node's identity.
    pub node: NodeKey,
    /// The node's share of the chain key; what it encodes is checked by its user.
    pub chain_share: Zeroizing<Vec<u8>>,
}

fn node_key(path: &Path, bytes: &[u8]) -> Result<NodeKey, OperatorError> {
    let seed: [u8; 32] = bytes.try_into().map_err(|_| OperatorError::Key {
        path: path.to_owned(),
        reason: format!("holds {} bytes where a node key has 32", bytes.len()),
    })?;
    Ok(NodeKey::from_seed(*Zeroizing::new(seed)))
}
