//! Backups of a node: taken while it runs or not, checked by anybody with the root key, put back so that the node cannot
//! contradict what it has signed since. Spec: `specs/operation.md`, "Backups".

#[cfg(test)]
mod tests;

use crate::{
    config::Config,
    error::OperatorError,
    files::NodeDir,
    keys::{self, KeyFile},
};
use mains_consensus::Certificate;
use mains_crypto::{chain_key_der, verify_chain_signature};
use mains_state::{CheckpointStore, Genesis, ObjectSource, State, StorageFailure};
use mains_store::{Backup, DataDir, FileCheckpoints, write_backup};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What a backup turned out to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The file.
    pub file: PathBuf,
    /// The network's name.
    pub network: String,
    /// The root key that signed the state, DER in hex.
    pub root_key: String,
    /// The state's height.
    pub height: u64,
    /// Its root, hex.
    pub state_root: String,
    /// Objects that it consists of.
    pub objects: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Names of the sealed key files in it.
    pub keys: Vec<String>,
}

/// How a backup is put back.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The root key to trust, DER. Default: that of the node's genesis file, or, without one, the backup's own.
    pub root_key: Option<Vec<u8>>,
    /// Whether data that are there are moved aside.
    pub replace: bool,
}

/// Where data go that a backup replaces.
const ASIDE: &str = "data.before-restore";

/// Backs up the newest certified checkpoint of the node in `dir`, running or not, to a file or into a directory. Its keys
/// only if they are asked for, and sealed.
///
/// # Errors
/// No checkpoint yet, keys that are not sealed, files that cannot be read or written. No file is left then.
pub fn backup(dir: &Path, to: &Path, with_keys: bool) -> Result<BackupReport, OperatorError> {
    let node = NodeDir::new(dir);
    let genesis = fs::read(node.genesis()).map_err(|source| OperatorError::file("read", &node.genesis(), source))?;
    let (read, _) = node.read_genesis()?;
    let keys = if with_keys { sealed_keys(&node)? } else { BTreeMap::new() };
    let file = if to.is_dir() { to.join(format!("mains-{}.backup", read.network)) } else { to.to_owned() };
    write_backup(&file, &node.root().join("data/checkpoints"), genesis, keys)?;
    verify_backup(&file, Some(&root_key(&read)))
}

/// Checks a backup without network and without a node: every byte against its hash, the state by all rules of a restart,
/// and its root against the subnet's signature.
///
/// # Errors
/// [`OperatorError::Backup`] or [`mains_store::StoreError::DamagedBackup`] say what is wrong; another network's is refused if a root key
/// (DER) is given.
pub fn verify_backup(file: &Path, trusted: Option<&[u8]>) -> Result<BackupReport, OperatorError> {
    let backup = Backup::open(file)?;
    let wrong = |reason: String| OperatorError::Backup { path: file.to_owned(), reason };
    let genesis = decode_genesis(&backup).map_err(wrong)?;
    let root_key = root_key(&genesis);
    if trusted.is_some_and(|trusted| trusted != root_key) {
        return Err(wrong(format!(
            "belongs to another network ({}, root key {}): use a backup of a node of this one",
            genesis.network,
            hex::encode(&root_key)
        )));
    }
    let manifest = backup.content.manifest;
    let certificate = Certificate::read(&mut backup.content.certificate.clone().into());
    let chain_key: Option<&[u8; 96]> = genesis.chain_key.as_slice().try_into().ok();
    let is_signed = certificate.zip(chain_key).is_some_and(|(certificate, key)| {
        (certificate.height, certificate.root) == (manifest.height, manifest.root)
            && verify_chain_signature(&certificate.root, &certificate.signature, key)
    });
    if !is_signed {
        return Err(wrong("its state is not signed by its network: use another backup".into()));
    }
    let state = State::read(&manifest, &backup).map_err(|error| wrong(format!("its state: {error}")))?;
    Ok(BackupReport {
        file: file.to_owned(),
        network: genesis.network,
        root_key: hex::encode(&root_key),
        height: state.height.get(),
        state_root: hex::encode(manifest.root),
        objects: backup.objects_count(),
        bytes: backup.bytes(),
        keys: backup.content.keys.keys().cloned().collect(),
    })
}

/// Puts a backup back as the data of the node in `dir`, which must not run. What the node signed since the backup is unknown
/// to it: it follows, and votes again only when it cannot contradict that.
///
/// # Errors
/// A backup that does not verify or is another network's, missing keys, data in the way. Nothing was replaced then.
pub fn restore(file: &Path, dir: &Path, options: &RestoreOptions) -> Result<BackupReport, OperatorError> {
    let node = NodeDir::new(dir);
    let own = if node.genesis().exists() { Some(node.read_genesis()?.0) } else { None };
    let trusted = options.root_key.clone().or_else(|| own.as_ref().map(root_key));
    let report = verify_backup(file, trusted.as_deref())?;
    let backup = Backup::open(file)?;
    let wrong = |reason: String| OperatorError::Backup { path: file.to_owned(), reason };
    let genesis = decode_genesis(&backup).map_err(wrong)?;
    if own.is_some_and(|own| own != genesis) {
        return Err(wrong(format!(
            "has another genesis file than {}: use a backup of this network",
            node.genesis().display()
        )));
    }
    put_back_keys(&node, &backup)?;
    let passphrase_file = if node.config().exists() { Config::read(&node.config())?.passphrase_file } else { None };
    let key = node.read_node_key(passphrase_file.as_deref())?;
    if !genesis.nodes.iter().any(|member| member.public_key == key.public()) {
        return Err(OperatorError::NotAMember { node: key.node_id().to_text(), network: genesis.network });
    }
    if !node.genesis().exists() {
        fs::write(node.genesis(), &backup.content.genesis)
            .map_err(|source| OperatorError::file("write", &node.genesis(), source))?;
    }
    let digest = *blake3::hash(&backup.content.genesis).as_bytes();
    let data = emptied(&node, &digest, &key.public(), options.replace)?;
    // Before anything else: should this end halfway, the node observes first all the same.
    data.forget_votes()?;
    let store = FileCheckpoints::open(data.checkpoints())?;
    copy(&backup, &store)
        .map_err(|failure| wrong(format!("cannot be put back ({failure}): make room, then try again")))?;
    Ok(report)
}

fn copy(backup: &Backup, store: &FileCheckpoints) -> Result<(), StorageFailure> {
    for digest in backup.objects() {
        let bytes = backup.object(digest).ok_or_else(|| StorageFailure::Failed("the file changed meanwhile".into()))?;
        store.put(digest, &bytes)?;
    }
    store.commit(Some(&backup.content.manifest))?;
    store.certify(backup.content.manifest.height, &backup.content.certificate)
}

/// The node's data directory, locked and empty.
fn emptied(node: &NodeDir, genesis: &[u8; 32], key: &[u8; 32], replace: bool) -> Result<DataDir, OperatorError> {
    let data = DataDir::open(node.root(), genesis, key)?;
    if !data.chain().exists() && !data.checkpoints().exists() {
        return Ok(data);
    }
    if !replace {
        return Err(OperatorError::DataInTheWay { path: data.data() });
    }
    let aside = node.root().join(ASIDE);
    if aside.exists() {
        return Err(OperatorError::Exists { path: aside });
    }
    fs::rename(data.data(), &aside).map_err(|source| OperatorError::file("move", &data.data(), source))?;
    Ok(DataDir::open(node.root(), genesis, key)?)
}

fn sealed_keys(node: &NodeDir) -> Result<BTreeMap<String, Vec<u8>>, OperatorError> {
    let mut keys = BTreeMap::new();
    for path in [node.node_key(), node.chain_share()] {
        if !KeyFile::read(&path)?.is_sealed() {
            return Err(OperatorError::KeyNotSealed { path });
        }
        let text = fs::read(&path).map_err(|source| OperatorError::file("read", &path, source))?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        keys.insert(name, text);
    }
    Ok(keys)
}

/// Writes the key files of a backup that are not there.
fn put_back_keys(node: &NodeDir, backup: &Backup) -> Result<(), OperatorError> {
    node.create_keys_directory()?;
    for path in [node.node_key(), node.chain_share()] {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !path.exists() {
            let text = backup.content.keys.get(name).ok_or_else(|| OperatorError::KeyMissing { path: path.clone() })?;
            keys::write_as_it_is(&path, text)?;
        }
    }
    Ok(())
}

fn decode_genesis(backup: &Backup) -> Result<Genesis, String> {
    let genesis: Genesis = mains_wire::decode(&backup.content.genesis)
        .map_err(|error| format!("its genesis file is none of this release ({error})"))?;
    genesis.check().map(|()| genesis)
}

fn root_key(genesis: &Genesis) -> Vec<u8> {
    genesis.chain_key.as_slice().try_into().map(chain_key_der).unwrap_or_default()
}
