//! All packs of a directory as one map from digest to bytes, and the collection of what is dead in them.

use super::{
    CORRUPT, CORRUPT_KEPT,
    pack::{self, Place, RECORD_HEAD, Writing},
};
use crate::{
    error::StoreError,
    files::{names, sync_directory},
};
use mains_types::Digest32;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    path::PathBuf,
};

/// Bytes after which a pack is sealed and the next one begun. So many dead bytes are put up with beyond as many as are alive,
/// and one step of collection copies at most twice as many.
pub(super) const PACK_BYTES: u64 = 32 << 20;
/// Packs above which small ones are put together.
const PACKS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Packs {
    directory: PathBuf,
    pack_bytes: u64,
    index: HashMap<Digest32, Place>,
    /// Sealed packs and their bytes.
    sealed: BTreeMap<u64, u64>,
    /// In which something was found damaged.
    damaged: BTreeSet<u64>,
    /// How often something was missed, and how many of these times have been made good.
    losses: u64,
    restored: u64,
    writing: Option<Writing>,
    /// The next pack's number.
    next: u64,
    /// Bytes that were alive when that was last found out.
    live_bytes: u64,
    /// The file that was read last.
    open: Option<(u64, File)>,
}

impl Packs {
    pub(super) fn open(directory: PathBuf, pack_bytes: u64) -> Result<Self, StoreError> {
        let mut numbers: Vec<u64> =
            names(&directory)?.iter().filter_map(|name| name.strip_prefix("pack-")?.parse().ok()).collect();
        numbers.sort_unstable();
        let next = numbers.last().map_or(0, |last| last + 1);
        let (mut index, mut sealed, mut damaged) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        for number in numbers {
            let (bytes, is_whole) = pack::scan(&directory, number, &mut |digest, place| {
                index.insert(digest, place);
            })?;
            sealed.insert(number, bytes);
            if !is_whole {
                tracing::warn!(number, "a pack of objects is damaged");
                damaged.insert(number);
            }
        }
        let losses = damaged.len() as u64;
        let (writing, open) = (None, None);
        Ok(Self {
            directory,
            pack_bytes,
            index,
            sealed,
            damaged,
            losses,
            restored: 0,
            writing,
            next,
            live_bytes: 0,
            open,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sealed.values().sum::<u64>() + self.writing.as_ref().map_or(0, Writing::bytes)
    }

    pub(super) fn holds(&self, digest: &Digest32) -> bool {
        self.index.contains_key(digest)
    }

    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    pub(super) fn is_complete(&self) -> bool {
        self.losses == self.restored
    }

    pub(super) fn restored(&mut self, losses: u64) {
        self.restored = self.restored.max(losses);
    }

    /// The object, if it is there and has this digest. One that has not is forgotten, so that it can be put again.
    pub(super) fn get(&mut self, digest: &Digest32) -> Option<Vec<u8>> {
        let place = *self.index.get(digest)?;
        let bytes = self.bytes_at(&place).filter(|bytes| blake3::hash(bytes).as_bytes() == digest);
        if bytes.is_none() {
            tracing::warn!(pack = place.pack, offset = place.offset, "an object is damaged");
            self.index.remove(digest);
            self.damaged.insert(place.pack);
            self.losses += 1;
        }
        bytes
    }

    fn bytes_at(&mut self, place: &Place) -> Option<Vec<u8>> {
        if let Some(writing) = self.writing.as_ref().filter(|writing| writing.number == place.pack) {
            return writing.get(place);
        }
        if self.open.as_ref().is_none_or(|(number, _)| *number != place.pack) {
            self.open = Some((place.pack, File::open(pack::path(&self.directory, place.pack)).ok()?));
        }
        self.open.as_ref().and_then(|(_, file)| pack::read_at(file, place))
    }

    /// Adds an object that is not there. If that fails, all of the unsealed pack is gone.
    pub(super) fn put(&mut self, digest: &Digest32, bytes: &[u8]) -> Result<(), StoreError> {
        let result = self.try_put(digest, bytes);
        if result.is_err() {
            self.abandon();
        }
        result
    }

    fn try_put(&mut self, digest: &Digest32, bytes: &[u8]) -> Result<(), StoreError> {
        if self.writing.as_ref().is_some_and(|writing| writing.bytes() >= self.pack_bytes) {
            self.try_seal()?;
        }
        if self.writing.is_none() {
            self.writing = Some(Writing::create(&self.directory, self.next)?);
            self.next += 1;
        }
        let writing = self.writing.as_mut().expect("just created");
        let place = writing.put(digest, bytes)?;
        self.index.insert(*digest, place);
        Ok(())
    }

    /// Makes everything that was put durable. If that fails, all of the unsealed pack is gone.
    pub(super) fn seal(&mut self) -> Result<(), StoreError> {
        let result = self.try_seal();
        if result.is_err() {
            self.abandon();
        }
        result
    }

    fn try_seal(&mut self) -> Result<(), StoreError> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        let number = writing.number;
        match writing.seal() {
            Ok(bytes) => {
                self.sealed.insert(number, bytes);
                Ok(())
            }
            Err(error) => {
                self.forget(number);
                Err(error)
            }
        }
    }

    fn abandon(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.forget(writing.number);
        }
    }

    /// Forgets what a pack that is no more held. Others may refer to it.
    fn forget(&mut self, number: u64) {
        self.index.retain(|_, place| place.pack != number);
        self.losses += 1;
    }

    pub(super) fn wants_collection(&self) -> bool {
        self.bytes() > 2 * self.live_bytes + self.pack_bytes
            || self.sealed.len() > PACKS_MAX
            || !self.damaged.is_empty()
    }

    /// Forgets what is not live; removes packs without anything live; copies what is live out of some that are mostly dead,
    /// damaged, or small while there are many. The old file goes after the new one is durable.
    pub(super) fn collect(&mut self, live: &BTreeSet<Digest32>) -> Result<u64, StoreError> {
        self.seal()?;
        let before = self.bytes();
        self.index.retain(|digest, _| live.contains(digest));
        let mut live_in: BTreeMap<u64, u64> = self.sealed.keys().map(|number| (*number, 0)).collect();
        for place in self.index.values() {
            *live_in.entry(place.pack).or_default() += u64::from(place.length) + RECORD_HEAD;
        }
        self.live_bytes = live_in.values().sum();
        let mut candidates: Vec<(u64, u64)> = live_in.into_iter().collect();
        candidates.sort_unstable_by_key(|(number, live)| (!self.damaged.contains(number), *live));
        let mut emptied = BTreeSet::new();
        let mut copied = 0;
        for (number, live) in candidates {
            let bytes = self.sealed[&number];
            let many = self.sealed.len() - emptied.len() > PACKS_MAX / 2;
            let worth = self.damaged.contains(&number) || live < bytes / 2 || (many && live < self.pack_bytes / 4);
            if worth && (live == 0 || copied + live <= 2 * self.pack_bytes) {
                copied += live;
                emptied.insert(number);
            }
        }
        if let Err(error) = self.copy_out_of(&emptied) {
            self.abandon();
            self.return_to(&emptied)?;
            return Err(error);
        }
        for number in emptied {
            self.remove(number)?;
        }
        sync_directory(&self.directory)?;
        Ok(before.saturating_sub(self.bytes()))
    }

    fn copy_out_of(&mut self, emptied: &BTreeSet<u64>) -> Result<(), StoreError> {
        let moving = self.index.iter().filter(|(_, place)| emptied.contains(&place.pack));
        let mut moving: Vec<_> = moving.map(|(digest, place)| (place.pack, place.offset, *digest)).collect();
        moving.sort_unstable();
        for (_, _, digest) in moving {
            if let Some(bytes) = self.get(&digest) {
                self.try_put(&digest, &bytes)?;
            }
        }
        self.try_seal()
    }

    /// After a failed copy: what was to be moved is where it was.
    fn return_to(&mut self, emptied: &BTreeSet<u64>) -> Result<(), StoreError> {
        for number in emptied {
            pack::scan(&self.directory, *number, &mut |digest, place| {
                self.index.entry(digest).or_insert(place);
            })?;
        }
        Ok(())
    }

    /// Removes a pack's file, or keeps it under another name if something in it was damaged.
    fn remove(&mut self, number: u64) -> Result<(), StoreError> {
        let path = pack::path(&self.directory, number);
        self.open = None;
        if self.damaged.remove(&number) {
            let aside = self.directory.join(format!("pack-{number}{CORRUPT}"));
            fs::rename(&path, aside).map_err(StoreError::file("rename", &path))?;
            let mut corrupt: Vec<u64> = names(&self.directory)?
                .iter()
                .filter_map(|name| name.strip_prefix("pack-")?.strip_suffix(CORRUPT)?.parse().ok())
                .collect();
            corrupt.sort_unstable_by(|a, b| b.cmp(a));
            for number in corrupt.into_iter().skip(CORRUPT_KEPT) {
                let path = self.directory.join(format!("pack-{number}{CORRUPT}"));
                fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
            }
        } else {
            fs::remove_file(&path).map_err(StoreError::file("remove", &path))?;
        }
        self.sealed.remove(&number);
        Ok(())
    }
}
