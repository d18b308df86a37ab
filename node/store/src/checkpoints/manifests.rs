//! Manifests and certificates: small files `checkpoint-<height>` and `certificate-<height>`.

use super::{CORRUPT, CORRUPT_KEPT};
use crate::{
    error::StoreError,
    files::{names, sync_directory, write_atomically},
};
use mains_state::Manifest;
use mains_types::Height;
use std::{
    fs,
    io::{self, ErrorKind},
    path::PathBuf,
};

const MAGIC: [u8; 8] = *b"MAINSCKP";
/// 1 held whole states.
const VERSION: u32 = 2;
/// Magic and version.
const HEAD: usize = 12;
const PREFIX: &str = "checkpoint-";
const CERTIFICATE: &str = "certificate-";
/// Bytes of a manifest or certificate file, generously.
const FILE_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Manifests {
    directory: PathBuf,
}

impl Manifests {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Refuses files of another release.
    pub(super) fn check_versions(&self) -> Result<(), StoreError> {
        for height in self.heights(PREFIX, "")? {
            let path = self.path(PREFIX, height);
            let Ok(bytes) = fs::read(&path) else { continue };
            let Some((found, _)) = bytes.split_at_checked(HEAD) else { continue };
            let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
            // With this release's digest it is this release's, its version damaged.
            if found[..8] == MAGIC && version != VERSION && content(&bytes).is_none() {
                return Err(StoreError::OtherVersion { path, found: version.to_string(), expected: VERSION });
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, manifest: &Manifest) -> Result<(), StoreError> {
        self.write_file(&self.path(PREFIX, manifest.height), &manifest.encode())
    }

    pub(super) fn certify(&self, height: Height, certificate: &[u8]) -> Result<(), StoreError> {
        self.write_file(&self.path(CERTIFICATE, height), certificate)
    }

    pub(super) fn certificate(&self, height: Height) -> Option<Vec<u8>> {
        let bytes = read(&self.path(CERTIFICATE, height)).ok()?;
        decode(&bytes).map(<[u8]>::to_vec)
    }

    /// All that are whole, newest first. Damaged ones are set aside on the way.
    pub(super) fn read_all(&self) -> Result<Vec<Manifest>, StoreError> {
        let mut manifests = Vec::new();
        for height in self.heights(PREFIX, "")? {
            let path = self.path(PREFIX, height);
            let bytes = match read(&path) {
                Ok(bytes) => bytes,
                Err(source) => match source.kind() {
                    ErrorKind::PermissionDenied | ErrorKind::OutOfMemory | ErrorKind::Interrupted => {
                        return Err(StoreError::file("read", &path)(source));
                    }
                    // Sectors that cannot be read.
                    _ => Vec::new(),
                },
            };
            match decode(&bytes).and_then(Manifest::decode).filter(|found| found.height == height) {
                Some(manifest) => manifests.push(manifest),
                None => {
                    tracing::warn!(path = %path.display(), "set a damaged checkpoint aside");
                    self.set_aside(height)?;
                }
            }
        }
        Ok(manifests)
    }

    /// All that are whole, newest first; nothing is touched.
    pub(super) fn whole(&self) -> Result<Vec<Manifest>, StoreError> {
        let heights = self.heights(PREFIX, "")?;
        let manifest = |height: Height| {
            let bytes = read(&self.path(PREFIX, height)).ok()?;
            Manifest::decode(decode(&bytes)?).filter(|found| found.height == height)
        };
        Ok(heights.into_iter().filter_map(manifest).collect())
    }

    pub(super) fn set_aside(&self, height: Height) -> Result<(), StoreError> {
        let path = self.path(PREFIX, height);
        let aside = self.directory.join(format!("{PREFIX}{height}{CORRUPT}"));
        match fs::rename(&path, aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::file("rename", &path)(error)),
            _ => {}
        }
        for height in self.heights(PREFIX, CORRUPT)?.into_iter().skip(CORRUPT_KEPT) {
            remove(self.directory.join(format!("{PREFIX}{height}{CORRUPT}")))?;
        }
        sync_directory(&self.directory)
    }

    /// Removes all manifests but the newest, and certificates that belong to none of them.
    pub(super) fn remove_all_but(&self, count: usize) -> Result<(), StoreError> {
        let heights = self.heights(PREFIX, "")?;
        let (kept, old) = heights.split_at(count.min(heights.len()));
        old.iter().try_for_each(|height| remove(self.path(PREFIX, *height)))?;
        let certificates = self.heights(CERTIFICATE, "")?;
        let mut old = certificates.into_iter().filter(|height| !kept.contains(height));
        old.try_for_each(|height| remove(self.path(CERTIFICATE, height)))
    }

    fn write_file(&self, path: &std::path::Path, content: &[u8]) -> Result<(), StoreError> {
        write_atomically(path, &[&head(), content, &digest(content)])
    }

    fn path(&self, prefix: &str, height: Height) -> PathBuf {
        self.directory.join(format!("{prefix}{height}"))
    }

    /// Heights with a file of this kind that ends in `suffix`, newest first.
    fn heights(&self, prefix: &str, suffix: &str) -> Result<Vec<Height>, StoreError> {
        let height = |name: String| {
            let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            let height: u64 = digits.parse().ok()?;
            // Only the form that is written here: no sign, no leading zeroes.
            (height.to_string() == digits).then_some(Height(height))
        };
        let mut heights: Vec<Height> = names(&self.directory)?.into_iter().filter_map(height).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        Ok(heights)
    }
}

fn digest(content: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(&head()).update(content).finalize().as_bytes()
}

/// What stands in a file that is whole.
fn decode(bytes: &[u8]) -> Option<&[u8]> {
    content(bytes).filter(|_| bytes[..HEAD] == head())
}

/// What stands in a file with this release's digest, whatever its head says.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (_, rest) = bytes.split_at_checked(HEAD)?;
    let (content, expected) = rest.split_at_checked(rest.len().checked_sub(32)?)?;
    (digest(content) == expected).then_some(content)
}

fn head() -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&VERSION.to_le_bytes());
    head
}

fn read(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX { Ok(Vec::new()) } else { fs::read(path) }
}

fn remove(path: PathBuf) -> Result<(), StoreError> {
    fs::remove_file(&path).map_err(StoreError::file("remove", &path))
}
