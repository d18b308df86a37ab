//! A backup: one file with everything that a node needs to come back, each part under its own hash.
//!
//! ```text
//! backup = "MAINSBK1" record* end
//! record = kind (1 byte) | length (4 bytes, little endian) | BLAKE3 of the bytes | bytes
//! end    = a record whose bytes are the number of records before it (8 bytes, little endian)
//! ```
//!
//! The file proves only that it is whole. Who signed the state is for the reader to check, with the network's root key.
//! Spec: `specs/operation.md`, "Backups".

#[cfg(test)]
mod tests;

use crate::{
    checkpoints::CheckpointReader,
    error::StoreError,
    files::{UNFINISHED, sync_directory},
};
use mains_state::{Manifest, ObjectSource, objects::OBJECT_BYTES_MAX};
use mains_types::Digest32;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

const MAGIC: [u8; 8] = *b"MAINSBK1";
/// Kind, length and hash.
const HEAD: u64 = 37;
/// Bytes of the greatest record that is no object: a genesis file with its accounts.
const RECORD_BYTES_MAX: u32 = 16 << 20;
/// Attempts to read objects that a running node moves meanwhile.
const ATTEMPTS: usize = 3;

const GENESIS: u8 = 1;
const MANIFEST: u8 = 2;
const CERTIFICATE: u8 = 3;
const KEY: u8 = 4;
const OBJECT: u8 = 5;
const END: u8 = 0xff;

/// What a backup holds beside the objects of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupContent {
    /// The genesis file.
    pub genesis: Vec<u8>,
    /// Names the state.
    pub manifest: Manifest,
    /// The certificate of the state's root, as checkpoints keep it.
    pub certificate: Vec<u8>,
    /// Sealed key files by name; none unless they were asked for.
    pub keys: BTreeMap<String, Vec<u8>>,
}

/// A backup that was read: every part has its hash.
#[derive(Debug)]
pub struct Backup {
    /// What it holds beside objects.
    pub content: BackupContent,
    file: File,
    index: HashMap<Digest32, (u64, u32)>,
    bytes: u64,
}

/// Writes a backup of the newest checkpoint in `checkpoints` that has a certificate. A node may run on it meanwhile.
/// Returns the number of objects and the bytes of the file. `to` is there whole or not at all.
///
/// # Errors
/// [`StoreError::NoCheckpoint`], [`StoreError::File`], [`StoreError::DamagedCheckpoint`].
pub fn write_backup(
    to: &Path,
    checkpoints: &Path,
    genesis: Vec<u8>,
    keys: BTreeMap<String, Vec<u8>>,
) -> Result<(Manifest, u64, u64), StoreError> {
    let mut attempt = 1;
    loop {
        // Read anew each time: a running node moves live objects into other packs.
        match write_newest(to, checkpoints, &genesis, &keys) {
            Err(error) if attempt < ATTEMPTS && is_moved(&error) => attempt += 1,
            written => return written,
        }
    }
}

fn is_moved(error: &StoreError) -> bool {
    match error {
        StoreError::DamagedCheckpoint { .. } => true,
        StoreError::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn write_newest(
    to: &Path,
    checkpoints: &Path,
    genesis: &[u8],
    keys: &BTreeMap<String, Vec<u8>>,
) -> Result<(Manifest, u64, u64), StoreError> {
    let reader = CheckpointReader::open(checkpoints)?;
    let Some((manifest, certificate)) = reader.newest_certified()? else {
        return Err(StoreError::NoCheckpoint { path: checkpoints.to_owned() });
    };
    let content = BackupContent { genesis: genesis.to_vec(), manifest, certificate, keys: keys.clone() };
    write(to, &content, &reader).map(|(objects, bytes)| (manifest, objects, bytes))
}

fn write(to: &Path, content: &BackupContent, source: &dyn ObjectSource) -> Result<(u64, u64), StoreError> {
    let damaged = |what: String| StoreError::DamagedCheckpoint { height: content.manifest.height.get(), what };
    let mut objects = BTreeSet::new();
    content.manifest.mark(source, &mut objects).map_err(|error| damaged(error.to_string()))?;
    let mut name = to.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let result = (|| {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let failed = |error| StoreError::file("write", &unfinished)(error);
        let mut writer = Writer { to: BufWriter::with_capacity(1 << 20, file.map_err(failed)?), records: 0, bytes: 8 };
        writer.to.write_all(&MAGIC).map_err(failed)?;
        writer.record(GENESIS, &content.genesis).map_err(failed)?;
        writer.record(MANIFEST, &content.manifest.encode()).map_err(failed)?;
        writer.record(CERTIFICATE, &content.certificate).map_err(failed)?;
        for (name, text) in &content.keys {
            writer.record(KEY, &[name.as_bytes(), b"\0", text].concat()).map_err(failed)?;
        }
        for digest in &objects {
            let bytes = source.object(digest).filter(|bytes| blake3::hash(bytes).as_bytes() == digest);
            let bytes = bytes.ok_or_else(|| damaged(format!("object {} is missing", hex::encode(digest))))?;
            writer.record(OBJECT, &bytes).map_err(failed)?;
        }
        let records = writer.records;
        writer.record(END, &records.to_le_bytes()).map_err(failed)?;
        let bytes = writer.bytes;
        let file = writer.to.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        fs::rename(&unfinished, to).map_err(StoreError::file("write", to))?;
        sync_directory(to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok((objects.len() as u64, bytes))
    })();
    if result.is_err() {
        // Gives the room back; it was never anybody's backup.
        let _ = fs::remove_file(&unfinished);
    }
    result
}

struct Writer {
    to: BufWriter<File>,
    records: u64,
    bytes: u64,
}

impl Writer {
    fn record(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("a part is too large"))?;
        self.to.write_all(&[kind])?;
        self.to.write_all(&length.to_le_bytes())?;
        self.to.write_all(blake3::hash(bytes).as_bytes())?;
        self.to.write_all(bytes)?;
        self.records += 1;
        self.bytes += HEAD + u64::from(length);
        Ok(())
    }
}

impl Backup {
    /// Reads a backup and compares every part with its hash.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`StoreError::DamagedBackup`] names the first part that is not what was written.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::DamagedBackup { path: path.to_owned(), what };
        let file = File::open(path).map_err(StoreError::file("open", path))?;
        let length = file.metadata().map_err(StoreError::file("open", path))?.len();
        let handle = file.try_clone().map_err(StoreError::file("open", path))?;
        let mut reader = BufReader::with_capacity(1 << 20, handle);
        let mut magic = [0; 8];
        if reader.read_exact(&mut magic).is_err() || magic != MAGIC {
            return Err(damaged("it is no backup of this release".into()));
        }
        let (mut genesis, mut manifest, mut certificate) = (None, None, None);
        let (mut keys, mut index, mut records, mut at) = (BTreeMap::new(), HashMap::new(), 0_u64, 8);
        loop {
            let cut = || damaged(format!("it ends at byte {length}, within part {records} and before its end"));
            let mut head = [0; HEAD as usize];
            reader.read_exact(&mut head).map_err(|_| cut())?;
            let (kind, count) = (head[0], u32::from_le_bytes([head[1], head[2], head[3], head[4]]));
            let most = if kind == OBJECT { OBJECT_BYTES_MAX as u32 } else { RECORD_BYTES_MAX };
            let name = name(kind).filter(|_| count <= most);
            let name = name.ok_or_else(|| damaged(format!("part {records} at byte {at} has no proper head")))?;
            if at + HEAD + u64::from(count) > length {
                return Err(cut());
            }
            let mut bytes = vec![0; count as usize];
            reader.read_exact(&mut bytes).map_err(|_| cut())?;
            let digest = *blake3::hash(&bytes).as_bytes();
            if digest != head[5..] {
                return Err(damaged(format!("{name} (part {records}, {count} bytes at byte {at}) is damaged")));
            }
            match kind {
                GENESIS => genesis = Some(bytes),
                MANIFEST => manifest = Manifest::decode(&bytes),
                CERTIFICATE => certificate = Some(bytes),
                KEY => {
                    let (name, text) = key(&bytes).ok_or_else(|| damaged("a key file has no name".into()))?;
                    keys.insert(name, text);
                }
                OBJECT => {
                    index.insert(digest, (at + HEAD, count));
                }
                _ if bytes == records.to_le_bytes() => break,
                _ => return Err(damaged(format!("parts are missing: there are {records}"))),
            }
            records += 1;
            at += HEAD + u64::from(count);
        }
        let missing = |what: &str| damaged(format!("{what} is missing"));
        let content = BackupContent {
            genesis: genesis.ok_or_else(|| missing("the genesis file"))?,
            manifest: manifest.ok_or_else(|| missing("the manifest"))?,
            certificate: certificate.ok_or_else(|| missing("the certificate"))?,
            keys,
        };
        Ok(Self { content, file, index, bytes: length })
    }

    /// The digests of its objects.
    pub fn objects(&self) -> impl Iterator<Item = &Digest32> {
        self.index.keys()
    }

    /// Objects in it.
    pub fn objects_count(&self) -> u64 {
        self.index.len() as u64
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl ObjectSource for Backup {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        let (at, length) = *self.index.get(digest)?;
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    }
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        GENESIS => "the genesis file",
        MANIFEST => "the manifest",
        CERTIFICATE => "the certificate",
        KEY => "a key file",
        OBJECT => "an object of the state",
        END => "the end",
        _ => return None,
    })
}

fn key(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = bytes.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&bytes[..at]).ok()?;
    // A file beside the others, and nowhere else.
    let is_name = !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '.');
    (is_name && !name.starts_with('.')).then(|| (name.to_owned(), bytes[at + 1..].to_vec()))
}
