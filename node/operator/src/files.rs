//! The files of one node: `node.toml`, `genesis.cbor`, `keys/` and `data/` side by side.
//!
//! Keys live beside the data, so that a lost or emptied data directory does not lose the identity.

use crate::error::OperatorError;
use mains_crypto::NodeKey;
use mains_state::Genesis;
use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

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

    /// Reads the genesis file and its digest.
    ///
    /// # Errors
    /// Unreadable or malformed.
    pub fn read_genesis(&self) -> Result<(Genesis, [u8; 32]), OperatorError> {
        let path = self.genesis();
        let bytes = std::fs::read(&path).map_err(|source| OperatorError::file("read", &path, source))?;
        let genesis = mains_wire::decode::<Genesis>(&bytes).map_err(|error| OperatorError::Genesis {
            path: path.clone(),
            reason: format!("no genesis file ({error})"),
        })?;
        genesis.check().map_err(|reason| OperatorError::Genesis { path, reason })?;
        Ok((genesis, *blake3::hash(&bytes).as_bytes()))
    }

    /// Reads the node's key.
    ///
    /// # Errors
    /// Unreadable or malformed.
    pub fn read_node_key(&self) -> Result<NodeKey, OperatorError> {
        let path = self.node_key();
        let bytes = read_hex(&path)?;
        let seed: [u8; 32] = bytes.try_into().map_err(|bytes: Vec<u8>| OperatorError::Key {
            path,
            reason: format!("holds {} bytes where a node key has 32", bytes.len()),
        })?;
        Ok(NodeKey::from_seed(seed))
    }

    /// Reads the node's share of the chain key.
    ///
    /// # Errors
    /// Unreadable or malformed hex; what it encodes is checked by its user.
    pub fn read_chain_share(&self) -> Result<Vec<u8>, OperatorError> {
        read_hex(&self.chain_share())
    }
}

/// Writes a secret as hex, readable by this user only.
pub(crate) fn write_secret(path: &Path, secret: &[u8]) -> Result<(), OperatorError> {
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{}", hex::encode(secret))?;
        file.sync_all()
    };
    write().map_err(|source| OperatorError::file("write", path, source))
}

fn read_hex(path: &Path) -> Result<Vec<u8>, OperatorError> {
    let text = std::fs::read_to_string(path).map_err(|source| OperatorError::file("read", path, source))?;
    hex::decode(text.trim()).map_err(|_| OperatorError::Key { path: path.to_owned(), reason: "is not hex".into() })
}
