//! One machine's simulated disk: what was synced stays, what was not may be lost, kept or torn when the machine dies.
//!
//! Keeps to the contract of the runtime's `Blob`: after a crash any subset of the bytes of an unsynced write may be
//! there, bytes outside of it are untouched. A disk can be told to die at its n-th operation, so that a crash comes
//! between any two steps of whoever uses it. A full one refuses writes, a slow one takes its time for every sync, and one that
//! fails drops what a sync should have made durable while it can still be read, as kernels do. Spec: `specs/simulation.md`.

use commonware_runtime::{
    BlobVersion, Clock as _, Error, Handle, IoBufMut, IoBufs, IoBufsMut, ReadOptions, Storage, WriteOptions,
    deterministic::Context,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeMap,
    fmt, io,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::Notify;

/// What a crash does to changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of them are gone.
    Everything,
    /// The oldest ones stay, the first that does not stay whole is torn.
    TornTail,
    /// Each stays, goes or is torn on its own: writes reached the platter out of order.
    Scattered,
}

type Name = (String, Vec<u8>);

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    current: Vec<u8>,
    pending: Vec<Change>,
    version: BlobVersion,
}

#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<Name, Arc<Mutex<File>>>,
    partitions: std::collections::BTreeSet<String>,
    operations: u64,
    dies_at: Option<u64>,
    dead: bool,
    lying_partition: Option<&'static str>,
    is_full: bool,
    failing_syncs: u32,
    torn: u64,
    /// How much longer a sync takes.
    slow: Duration,
}

/// A disk. Clones are the same disk.
#[derive(Clone, Default)]
pub struct Disk {
    contents: Arc<Mutex<Contents>>,
    died: Arc<Notify>,
    /// What a slow disk waits by; one without is always fast.
    clock: Option<Arc<Context>>,
}

/// An open file.
#[derive(Clone)]
pub struct Blob {
    disk: Disk,
    partition: String,
    file: Arc<Mutex<File>>,
}

impl fmt::Debug for Blob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Blob").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl Disk {
    /// An empty disk that can be slow.
    pub fn new(clock: Context) -> Self {
        Self { clock: Some(Arc::new(clock)), ..Self::default() }
    }

    /// From now on every sync takes this much longer.
    pub fn slow_down(&self, by: Duration) {
        self.lock().slow = by;
    }

    /// Takes the time of a sync.
    async fn spin(&self) {
        let slow = self.lock().slow;
        if let Some(clock) = self.clock.as_ref().filter(|_| !slow.is_zero()) {
            clock.sleep(slow).await;
        }
    }

    /// Dies after `operations` more operations: they never return, and [`Self::death`] is told.
    pub fn die_after(&self, operations: u64) {
        let mut contents = self.lock();
        contents.dies_at = Some(contents.operations + operations);
    }

    /// Syncs of partitions with this in their name do nothing: the disk (or who uses it) lies about them.
    pub fn lie_about(&self, part: &'static str) {
        self.lock().lying_partition = Some(part);
    }

    /// Takes nothing more, or does again.
    pub fn fill(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// The next `count` syncs fail: what they should have made durable never will be, though it can be read.
    pub fn fail_syncs(&self, count: u32) {
        self.lock().failing_syncs = count;
    }

    /// Waits until the disk died at an operation.
    pub async fn death(&self) {
        loop {
            let died = self.died.notified();
            if self.lock().dead {
                return;
            }
            died.await;
        }
    }

    /// The machine lost power: every open file is gone and unsynced changes are lost as `loss` says, drawn from `seed`.
    pub fn crash(&self, loss: Loss, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut contents = self.lock();
        let mut torn = 0;
        for file in contents.files.values_mut() {
            let old = std::mem::take(&mut *file.lock().expect("no holder panics"));
            let mut durable = old.durable;
            torn += u64::from(survive(&mut durable, old.pending, loss, &mut rng));
            let current = durable.clone();
            *file = Arc::new(Mutex::new(File { durable, current, pending: Vec::new(), version: old.version }));
        }
        contents.torn += torn;
        contents.dead = false;
        contents.dies_at = None;
    }

    /// Files that were left with a part of an unsynced change, over all crashes.
    pub fn torn_files(&self) -> u64 {
        self.lock().torn
    }

    /// Flips one bit of what is stored. `false` if nothing is.
    pub fn flip_bit(&self, seed: u64) -> bool {
        let mut rng = StdRng::seed_from_u64(seed);
        let contents = self.lock();
        let files: Vec<_> = contents.files.values().filter(|file| !lock(file).durable.is_empty()).collect();
        if files.is_empty() {
            return false;
        }
        let mut file = lock(files[rng.random_range(0..files.len())]);
        let at = rng.random_range(0..file.durable.len());
        let bit = 1 << rng.random_range(0..8);
        file.durable[at] ^= bit;
        file.current = file.durable.clone();
        true
    }

    /// Forgets everything: a new disk in the place of the old one.
    pub fn empty(&self) {
        let mut contents = self.lock();
        contents.files.clear();
        contents.partitions.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("no holder panics")
    }

    /// Refuses what takes room while there is none.
    fn need_room(&self) -> Result<(), Error> {
        if self.lock().is_full { Err(io::Error::from(io::ErrorKind::StorageFull).into()) } else { Ok(()) }
    }

    /// Counts an operation; never returns once the disk is dead.
    async fn operate(&self) {
        let dead = {
            let mut contents = self.lock();
            contents.operations += 1;
            if contents.dies_at.is_some_and(|at| contents.operations >= at) {
                contents.dead = true;
            }
            contents.dead
        };
        if dead {
            self.died.notify_waiters();
            futures::future::pending::<()>().await;
        }
    }
}

fn lock(file: &Arc<Mutex<File>>) -> MutexGuard<'_, File> {
    file.lock().expect("no holder panics")
}

/// Applies what survives of `pending`; whether a change was torn or came through without its elders.
fn survive(durable: &mut Vec<u8>, pending: Vec<Change>, loss: Loss, rng: &mut StdRng) -> bool {
    let mut torn = false;
    let kept = match loss {
        Loss::Everything => 0,
        Loss::TornTail => rng.random_range(0..=pending.len()),
        Loss::Scattered => pending.len(),
    };
    for (index, change) in pending.into_iter().enumerate() {
        let whole = index < kept && (loss == Loss::TornTail || rng.random_bool(0.5));
        let part = !whole && (loss == Loss::Scattered || (loss == Loss::TornTail && index == kept));
        match change {
            Change::Write { offset, bytes } if whole => write(durable, offset, &bytes),
            Change::Write { offset, bytes } if part && !bytes.is_empty() => {
                torn = true;
                if loss == Loss::TornTail || rng.random_bool(0.5) {
                    write(durable, offset, &bytes[..rng.random_range(0..bytes.len())]);
                } else {
                    let from = rng.random_range(0..bytes.len());
                    write(durable, offset + from, &bytes[from..]);
                }
            }
            Change::Resize(length) if whole => durable.resize(length, 0),
            Change::Write { .. } | Change::Resize(_) => {}
        }
    }
    torn
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Storage for Disk {
    type Blob = Blob;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Blob, u64, BlobVersion), Error> {
        self.operate().await;
        let key = (partition.to_owned(), name.to_vec());
        if !self.lock().files.contains_key(&key) {
            self.need_room()?;
        }
        let mut contents = self.lock();
        contents.partitions.insert(partition.to_owned());
        let fresh = || Arc::new(Mutex::new(File { version: *versions.end(), ..File::default() }));
        let file = contents.files.entry(key).or_insert_with(fresh).clone();
        if Arc::strong_count(&file) > 2 {
            return Err(Error::BlobAlreadyOpen(partition.to_owned(), hex::encode(name)));
        }
        drop(contents);
        let (length, version) = {
            // What can be read when a file is opened again is durable.
            let mut file = lock(&file);
            file.pending.clear();
            file.current = file.durable.clone();
            (file.current.len() as u64, file.version)
        };
        if !versions.contains(&version) {
            return Err(Error::BlobVersionMismatch { expected: versions, found: version });
        }
        Ok((Blob { disk: self.clone(), partition: partition.to_owned(), file }, length, version))
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.operate().await;
        let mut contents = self.lock();
        if !contents.partitions.contains(partition) {
            return Err(Error::PartitionMissing(partition.to_owned()));
        }
        match name {
            Some(name) => {
                let missing = || Error::BlobMissing(partition.to_owned(), hex::encode(name));
                contents.files.remove(&(partition.to_owned(), name.to_vec())).map(drop).ok_or_else(missing)
            }
            None => {
                contents.files.retain(|(of, _), _| of != partition);
                contents.partitions.remove(partition);
                Ok(())
            }
        }
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.operate().await;
        let contents = self.lock();
        if !contents.partitions.contains(partition) {
            return Err(Error::PartitionMissing(partition.to_owned()));
        }
        Ok(contents.files.keys().filter(|(of, _)| of == partition).map(|(_, name)| name.clone()).collect())
    }
}

impl Blob {
    fn sync_now(&self) -> Result<(), Error> {
        let lies = self.disk.lock().lying_partition.is_some_and(|part| self.partition.contains(part));
        if lies {
            return Ok(());
        }
        let fails = self.sync_fails();
        let mut file = lock(&self.file);
        let pending = std::mem::take(&mut file.pending);
        if fails {
            return Err(Error::BlobSyncFailed(self.partition.clone(), String::new(), io::Error::other("drawn").into()));
        }
        for change in pending {
            match change {
                Change::Write { offset, bytes } => write(&mut file.durable, offset, &bytes),
                Change::Resize(length) => file.durable.resize(length, 0),
            }
        }
        Ok(())
    }

    fn sync_fails(&self) -> bool {
        let mut contents = self.disk.lock();
        let fails = contents.failing_syncs > 0;
        contents.failing_syncs = contents.failing_syncs.saturating_sub(1);
        fails
    }
}

impl commonware_runtime::Blob for Blob {
    async fn read_at(&self, offset: u64, len: usize, options: ReadOptions) -> Result<IoBufsMut, Error> {
        self.read_at_buf(offset, len, IoBufMut::with_capacity(len), options).await
    }

    async fn read_at_buf(
        &self,
        offset: u64,
        len: usize,
        _: impl Into<IoBufsMut> + Send,
        _: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        let file = lock(&self.file);
        let from = usize::try_from(offset).map_err(|_| Error::OffsetOverflow)?;
        let to = from.checked_add(len).ok_or(Error::OffsetOverflow)?;
        let bytes = file.current.get(from..to).ok_or(Error::BlobInsufficientLength)?;
        Ok(IoBufsMut::from(bytes.to_vec()))
    }

    async fn write_at(&self, offset: u64, bufs: impl Into<IoBufs> + Send, options: WriteOptions) -> Result<(), Error> {
        let bytes = bufs.into().coalesce();
        self.disk.operate().await;
        let offset = usize::try_from(offset).map_err(|_| Error::OffsetOverflow)?;
        let bytes = bytes.as_ref().to_vec();
        let synced = options.contains(WriteOptions::SYNC);
        if synced {
            self.disk.spin().await;
        }
        let room = self.disk.need_room();
        let mut file = lock(&self.file);
        if room.is_err() {
            // What still fits is written.
            let bytes = bytes[..bytes.len() / 2].to_vec();
            write(&mut file.current, offset, &bytes);
            file.pending.push(Change::Write { offset, bytes });
            return room;
        }
        write(&mut file.current, offset, &bytes);
        let lies = self.disk.lock().lying_partition.is_some_and(|part| self.partition.contains(part));
        if synced && !lies {
            if self.sync_fails() {
                return Err(io::Error::other("drawn").into());
            }
            write(&mut file.durable, offset, &bytes);
        } else {
            file.pending.push(Change::Write { offset, bytes });
        }
        Ok(())
    }

    async fn resize(&self, len: u64) -> Result<(), Error> {
        self.disk.operate().await;
        let len = usize::try_from(len).map_err(|_| Error::OffsetOverflow)?;
        let mut file = lock(&self.file);
        file.current.resize(len, 0);
        file.pending.push(Change::Resize(len));
        Ok(())
    }

    async fn sync(&self) -> Result<(), Error> {
        self.disk.operate().await;
        self.disk.spin().await;
        self.sync_now()
    }

    async fn start_sync(&self) -> Handle<()> {
        self.disk.operate().await;
        if self.disk.clock.is_none() || self.disk.lock().slow.is_zero() {
            return Handle::ready(self.sync_now());
        }
        let blob = self.clone();
        Handle::from_future(async move {
            blob.disk.spin().await;
            blob.sync_now()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_runtime::Blob as _;
    use futures::{FutureExt as _, executor::block_on};

    fn stored(disk: &Disk) -> Vec<u8> {
        block_on(async {
            let (blob, length) = disk.open("p", b"f").await.expect("opens");
            blob.read_at(0, length as usize, ReadOptions::default()).await.expect("reads").coalesce().as_ref().to_vec()
        })
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_may_keep_any_part_of_what_was_not() {
        let mut outcomes = std::collections::BTreeSet::new();
        for (seed, loss) in (0..90).zip([Loss::Everything, Loss::TornTail, Loss::Scattered].into_iter().cycle()) {
            let disk = Disk::default();
            block_on(async {
                let (blob, _) = disk.open("p", b"f").await.expect("opens");
                blob.write_at(0, vec![1; 4], WriteOptions::default()).await.expect("writes");
                blob.sync().await.expect("syncs");
                blob.write_at(4, vec![2; 4], WriteOptions::default()).await.expect("writes");
                blob.write_at(8, vec![3; 4], WriteOptions::default()).await.expect("writes");
            });
            disk.crash(loss, seed);
            let bytes = stored(&disk);
            assert_eq!(bytes[..4], [1; 4], "synced bytes stay");
            if loss == Loss::Everything {
                assert_eq!(bytes.len(), 4);
            }
            outcomes.insert(bytes);
        }
        assert!(outcomes.len() > 8, "{outcomes:?}");
        assert!(outcomes.contains(&[[1; 4], [2; 4], [3; 4]].concat()));
    }

    #[test]
    fn a_disk_that_dies_never_answers_and_comes_back_after_the_crash() {
        let disk = Disk::default();
        disk.die_after(2);
        let (blob, _) = block_on(disk.open("p", b"f")).expect("opens");
        assert!(blob.sync().now_or_never().is_none());
        assert!(disk.death().now_or_never().is_some());
        disk.crash(Loss::Everything, 0);
        assert!(stored(&disk).is_empty());
    }

    #[test]
    fn a_full_disk_takes_a_part_and_a_failed_sync_leaves_what_only_looks_written() {
        let disk = Disk::default();
        block_on(async {
            let (blob, _) = disk.open("p", b"f").await.expect("opens");
            disk.fill(true);
            assert!(blob.write_at(0, vec![1; 4], WriteOptions::default()).await.is_err());
            assert!(disk.open("p", b"g").await.is_err());
            disk.fill(false);
            blob.sync().await.expect("syncs");
            blob.write_at(0, vec![2; 4], WriteOptions::default()).await.expect("writes");
            disk.fail_syncs(1);
            assert!(blob.sync().await.is_err());
            blob.sync().await.expect("syncs");
            let read = blob.read_at(0, 4, ReadOptions::default()).await.expect("reads");
            assert_eq!(read.coalesce().as_ref(), [2; 4]);
        });
        disk.crash(Loss::Everything, 0);
        assert_eq!(stored(&disk), [1; 2]);
    }

    #[test]
    fn a_lie_about_a_sync_shows_after_a_crash() {
        let disk = Disk::default();
        disk.lie_about("p");
        block_on(async {
            let (blob, _) = disk.open("p", b"f").await.expect("opens");
            blob.write_at(0, vec![1; 4], WriteOptions::SYNC).await.expect("writes");
            blob.sync().await.expect("syncs");
        });
        disk.crash(Loss::Everything, 0);
        assert!(stored(&disk).is_empty());
    }
}
