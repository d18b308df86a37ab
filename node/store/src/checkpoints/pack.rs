//! One pack: objects one after another in a file that is written once.
//!
//! ```text
//! pack   = "MAINSPK1" record*
//! record = BLAKE3 (32 bytes) | length (4 bytes, little endian) | bytes
//! ```
//!
//! While it is written it has another name; what has its final name was synced whole.

use crate::{
    error::StoreError,
    files::{UNFINISHED, sync_directory},
};
use mains_state::objects::OBJECT_BYTES_MAX;
use mains_types::Digest32;
use std::{
    fs::{self, File},
    io::{BufReader, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const MAGIC: [u8; 8] = *b"MAINSPK1";
/// Bytes before an object.
pub(super) const RECORD_HEAD: u64 = 36;
/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Where an object stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) pack: u64,
    /// Of its first byte.
    pub(super) offset: u64,
    pub(super) length: u32,
}

/// A pack that is being written. Dropping it unsealed removes it.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) number: u64,
    directory: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    is_sealed: bool,
}

impl Writing {
    pub(super) fn create(directory: &Path, number: u64) -> Result<Self, StoreError> {
        let path = unfinished(directory, number);
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(StoreError::file("create", &path))?;
        let directory = directory.to_owned();
        Ok(Self { number, directory, file, buffer: MAGIC.to_vec(), written: 0, is_sealed: false })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(super) fn put(&mut self, digest: &Digest32, bytes: &[u8]) -> Result<Place, StoreError> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        self.buffer.extend_from_slice(digest);
        self.buffer.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        let place = Place { pack: self.number, offset: self.bytes(), length: bytes.len() as u32 };
        self.buffer.extend_from_slice(bytes);
        Ok(place)
    }

    /// An object of this pack, from the buffer or the file.
    pub(super) fn get(&self, place: &Place) -> Option<Vec<u8>> {
        match place.offset.checked_sub(self.written) {
            Some(at) => {
                let from = usize::try_from(at).ok()?;
                self.buffer.get(from..from + place.length as usize).map(<[u8]>::to_vec)
            }
            None => read_at(&self.file, place),
        }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let written = self.file.write_all_at(&self.buffer, self.written);
        written.map_err(StoreError::file("write", &unfinished(&self.directory, self.number)))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes it durable under its final name.
    pub(super) fn seal(mut self) -> Result<u64, StoreError> {
        self.flush()?;
        let from = unfinished(&self.directory, self.number);
        self.file.flush().and_then(|()| self.file.sync_all()).map_err(StoreError::file("sync", &from))?;
        let to = path(&self.directory, self.number);
        fs::rename(&from, &to).map_err(StoreError::file("rename", &from))?;
        self.is_sealed = true;
        sync_directory(&self.directory)?;
        Ok(self.written)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if !self.is_sealed {
            // On a full disk this gives the room back; if it fails too, the next start removes it.
            let _ = fs::remove_file(unfinished(&self.directory, self.number));
        }
    }
}

/// A sealed pack's file.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("pack-{number}"))
}

fn unfinished(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("pack-{number}{UNFINISHED}"))
}

pub(super) fn read_at(file: &File, place: &Place) -> Option<Vec<u8>> {
    let mut bytes = vec![0; place.length as usize];
    file.read_exact_at(&mut bytes, place.offset).ok().map(|()| bytes)
}

/// Finds the objects of a sealed pack without looking into them. Returns the file's length, and whether it has the form of
/// a pack to its end.
pub(super) fn scan(
    directory: &Path,
    number: u64,
    visit: &mut dyn FnMut(Digest32, Place),
) -> Result<(u64, bool), StoreError> {
    let path = path(directory, number);
    let file = File::open(&path).map_err(StoreError::file("open", &path))?;
    let length = file.metadata().map_err(StoreError::file("open", &path))?.len();
    let mut reader = BufReader::with_capacity(256 << 10, file);
    let mut magic = [0; 8];
    if reader.read_exact(&mut magic).is_err() || magic != MAGIC {
        return Ok((length, false));
    }
    let mut at = MAGIC.len() as u64;
    while at < length {
        let mut head = [0; RECORD_HEAD as usize];
        if reader.read_exact(&mut head).is_err() {
            return Ok((length, false));
        }
        let digest = std::array::from_fn(|index| head[index]);
        let bytes = u32::from_le_bytes([head[32], head[33], head[34], head[35]]);
        let offset = at + RECORD_HEAD;
        at = offset + u64::from(bytes);
        if bytes as usize > OBJECT_BYTES_MAX || at > length || reader.seek_relative(i64::from(bytes)).is_err() {
            return Ok((length, false));
        }
        visit(digest, Place { pack: number, offset, length: bytes });
    }
    Ok((length, true))
}
