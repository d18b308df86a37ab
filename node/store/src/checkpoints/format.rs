//! A checkpoint file: a fixed header, then the state as its room encodes it.

use crate::error::StoreError;
use mains_types::{Digest32, Height};
use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

const MAGIC: [u8; 8] = *b"MAINSCKP";
const VERSION: u32 = 1;
/// Magic, version, height, root, length of the state, digest.
const HEADER_BYTES: usize = 8 + 4 + 8 + 32 + 8 + 32;

/// Why a file does not serve.
pub(super) enum ReadError {
    /// It is torn or corrupt: an older one serves.
    Damaged(&'static str),
    /// It may be whole, but cannot be used now.
    Refused(StoreError),
}

/// What stands before the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) height: Height,
    pub(super) root: Digest32,
    length: u64,
    /// BLAKE3 over everything before it and the state.
    digest: Digest32,
}

impl Header {
    /// The header of a state.
    pub(super) fn of(height: Height, root: Digest32, state: &[u8]) -> Self {
        let mut header = Self { height, root, length: state.len() as u64, digest: [0; 32] };
        header.digest = header.digest_with(state);
        header
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.height.get().to_le_bytes());
        bytes[20..52].copy_from_slice(&self.root);
        bytes[52..60].copy_from_slice(&self.length.to_le_bytes());
        bytes[60..].copy_from_slice(&self.digest);
        bytes
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let digest = |at: usize| std::array::from_fn(|index| bytes[at + index]);
        Self { height: Height(number(12)), root: digest(20), length: number(52), digest: digest(60) }
    }

    fn digest_with(&self, state: &[u8]) -> Digest32 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.encode()[..60]).update(state);
        *hasher.finalize().as_bytes()
    }
}

/// Reads the file at `path`, which must be the checkpoint of `height`.
pub(super) fn read(path: &Path, height: Height) -> Result<(Header, Vec<u8>), ReadError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::OutOfMemory | ErrorKind::Interrupted => {
            ReadError::Refused(StoreError::File { action: "read", path: path.to_owned(), source })
        }
        // Too short, or sectors that cannot be read.
        _ => ReadError::Damaged("cannot be read to its end"),
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = [0; HEADER_BYTES];
    file.read_exact(&mut bytes).map_err(failed)?;
    if bytes[..8] != MAGIC {
        return Err(ReadError::Damaged("is no checkpoint"));
    }
    let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let header = Header::decode(&bytes);
    // The length is believed only as far as the file reaches.
    let actual = file.metadata().map_err(failed)?.len().saturating_sub(HEADER_BYTES as u64);
    if header.length != actual && version == VERSION {
        return Err(ReadError::Damaged("has not the length it should have"));
    }
    let mut state = Vec::with_capacity(usize::try_from(actual).map_err(|_| ReadError::Damaged("is too large"))?);
    file.read_to_end(&mut state).map_err(failed)?;
    let is_intact = header.digest_with(&state) == header.digest;
    // With this release's digest it is this release's, its version damaged.
    if version != VERSION && !is_intact {
        let found = version.to_string();
        return Err(ReadError::Refused(StoreError::OtherVersion { path: path.to_owned(), found, expected: VERSION }));
    }
    if version != VERSION || !is_intact {
        return Err(ReadError::Damaged("has not the digest it should have"));
    }
    if header.height != height {
        return Err(ReadError::Damaged("is named after another height"));
    }
    Ok((header, state))
}

/// Refuses a file that another release wrote, without reading all of it unless its version says so.
pub(super) fn check_version(path: &Path, height: Height) -> Result<(), StoreError> {
    let mut bytes = [0; 12];
    let opened = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    if opened.is_err() || bytes[..8] != MAGIC || bytes[8..] == VERSION.to_le_bytes() {
        return Ok(());
    }
    match read(path, height) {
        Err(ReadError::Refused(error)) => Err(error),
        _ => Ok(()),
    }
}
