//! One open file that waits for its disk, and remembers what it wrote since it was last durable.

use super::{Around, may_pass, path};
use commonware_runtime::{Clock, Error, Handle, IoBufs, IoBufsMut, ReadOptions, Spawner, WriteOptions};
use futures::Stream;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::RwLock;

/// Bytes kept to be written again should a sync fail; beyond it the file is synced. The engine syncs far more often.
const UNSYNCED_BYTES_MAX: usize = 64 << 20;

/// An open file with patience.
pub(crate) struct Blob<B, E>(Arc<File<B, E>>);

struct File<B, E> {
    file: B,
    partition: String,
    name: Vec<u8>,
    around: Arc<Around<E>>,
    unsynced: Mutex<Unsynced>,
    /// Held to read by whoever writes, to write by whoever writes everything again.
    writing: RwLock<()>,
    /// The runtime saw a sync of this file fail: its own word on durability is not worth anything any more.
    distrusted: AtomicBool,
}

/// What was written since the file was last durable, in order.
#[derive(Default)]
struct Unsynced {
    changes: BTreeMap<u64, Change>,
    next: u64,
    bytes: usize,
}

struct Change {
    what: What,
    is_done: bool,
}

#[derive(Clone)]
enum What {
    Write(u64, IoBufs),
    Resize(u64),
}

impl What {
    fn bytes(&self) -> usize {
        match self {
            Self::Write(_, bytes) => bytes.len(),
            Self::Resize(_) => 0,
        }
    }
}

impl Unsynced {
    fn add(&mut self, what: What) -> u64 {
        let number = self.next;
        self.next += 1;
        self.bytes += what.bytes();
        self.changes.insert(number, Change { what, is_done: false });
        number
    }

    fn forget(&mut self, number: u64) {
        self.bytes -= self.changes.remove(&number).map_or(0, |change| change.what.bytes());
    }

    /// What a sync that begins now covers.
    fn done(&self) -> Vec<u64> {
        self.changes.iter().filter(|(_, change)| change.is_done).map(|(number, _)| *number).collect()
    }
}

impl<B: commonware_runtime::Blob, E: Clock + Spawner> Blob<B, E> {
    pub(super) fn new(file: B, partition: &str, name: &[u8], around: Arc<Around<E>>) -> Self {
        Self(Arc::new(File {
            file,
            partition: partition.to_owned(),
            name: name.to_vec(),
            around,
            unsynced: Mutex::default(),
            writing: RwLock::default(),
            distrusted: AtomicBool::new(false),
        }))
    }
}

impl<B: commonware_runtime::Blob, E: Clock + Spawner> File<B, E> {
    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().expect("no holder panics")
    }

    fn is_distrusted(&self) -> bool {
        self.distrusted.load(Ordering::Acquire)
    }

    async fn apply(&self, what: What) -> Result<(), Error> {
        match what {
            What::Write(offset, bytes) => self.file.write_at(offset, bytes, WriteOptions::default()).await,
            What::Resize(length) => self.file.resize(length).await,
        }
    }

    /// Makes a change, however long that takes; it is not durable then.
    async fn change(&self, number: u64, what: What) -> Result<(), Error> {
        let (mut attempt, mut trouble) = (0, None);
        loop {
            match self.apply(what.clone()).await {
                Ok(()) => {
                    if let Some(change) = self.unsynced().changes.get_mut(&number) {
                        change.is_done = true;
                    }
                    return Ok(());
                }
                Err(error) if may_pass(&error) => {
                    self.around.disk.fails_again(&mut trouble, || path(&self.partition, &self.name), &error);
                    self.around.pause(attempt).await;
                    attempt += 1;
                }
                Err(error) => {
                    self.unsynced().forget(number);
                    return Err(error);
                }
            }
        }
    }

    /// Makes durable what was changed before, by means that are not tainted by an earlier failure.
    async fn barrier(&self) -> Result<(), Error> {
        match &self.around.backing {
            Some(backing) if self.is_distrusted() => {
                let (backing, partition, name) = (backing.clone(), self.partition.clone(), self.name.clone());
                let task = self.around.clock.child("barrier").shared(true);
                Ok(task.spawn(move |_| async move { backing.sync(&partition, &name) }).await??)
            }
            _ => self.file.sync().await,
        }
    }

    async fn sync(&self) -> Result<(), Error> {
        let covered = self.unsynced().done();
        let result = self.barrier().await;
        self.synced(&covered, result).await
    }

    /// What is to be done when a sync has ended.
    async fn synced(&self, covered: &[u64], result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Ok(()) => {
                let mut unsynced = self.unsynced();
                covered.iter().for_each(|number| unsynced.forget(*number));
                Ok(())
            }
            Err(error) if may_pass(&error) => self.recover(error).await,
            Err(error) => Err(error),
        }
    }

    /// After a failed sync: writes everything again that it may have dropped and syncs that, however long it takes.
    async fn recover(&self, error: Error) -> Result<(), Error> {
        self.distrusted.store(true, Ordering::Release);
        let mut trouble = self.around.disk.fails(path(&self.partition, &self.name), &error);
        self.around.doubt();
        let _alone = self.writing.write().await;
        let mut attempt = 0;
        let result = loop {
            match self.write_again().await {
                Err(error) if may_pass(&error) => {
                    trouble.again(&error);
                    self.around.pause(attempt).await;
                    attempt += 1;
                }
                other => break other,
            }
        };
        if result.is_ok() {
            self.around.trust();
        }
        result
    }

    async fn write_again(&self) -> Result<(), Error> {
        let changes: Vec<What> = self.unsynced().changes.values().map(|change| change.what.clone()).collect();
        for what in changes {
            self.apply(what).await?;
        }
        self.barrier().await?;
        let mut unsynced = self.unsynced();
        unsynced.changes.clear();
        unsynced.bytes = 0;
        Ok(())
    }
}

impl<B: commonware_runtime::Blob, E: Clock + Spawner> commonware_runtime::Blob for Blob<B, E> {
    fn read_at_buf(
        &self,
        offset: u64,
        len: usize,
        bufs: impl Into<IoBufsMut> + Send,
        options: ReadOptions,
    ) -> impl Future<Output = Result<IoBufsMut, Error>> + Send {
        self.0.file.read_at_buf(offset, len, bufs, options)
    }

    fn read_at(
        &self,
        offset: u64,
        len: usize,
        options: ReadOptions,
    ) -> impl Future<Output = Result<IoBufsMut, Error>> + Send {
        self.0.file.read_at(offset, len, options)
    }

    fn read_many(
        &self,
        ranges: &[(u64, usize)],
        options: ReadOptions,
    ) -> impl Stream<Item = Result<(usize, IoBufsMut), Error>> + Send {
        self.0.file.read_many(ranges, options)
    }

    fn start_read_many(
        &self,
        ranges: &[(u64, usize)],
        options: ReadOptions,
    ) -> impl Future<Output = Handle<Vec<IoBufsMut>>> + Send {
        self.0.file.start_read_many(ranges, options)
    }

    async fn write_at(&self, offset: u64, bufs: impl Into<IoBufs> + Send, options: WriteOptions) -> Result<(), Error> {
        let file = &*self.0;
        let bytes = bufs.into();
        let is_synced = options.contains(WriteOptions::SYNC);
        let writing = file.writing.read().await;
        let what = What::Write(offset, bytes.clone());
        let number = file.unsynced().add(what.clone());
        if is_synced && !file.is_distrusted() {
            let written = file.file.write_at(offset, bytes, options).await;
            drop(writing);
            if let Err(error) = &written
                && !may_pass(error)
            {
                file.unsynced().forget(number);
            }
            // An older change of the same bytes may still be unsynced: should that fail, this one has to follow it again.
            let oldest = file.unsynced().changes.first_key_value().map(|(number, _)| *number);
            if written.is_ok() && oldest != Some(number) {
                if let Some(change) = file.unsynced().changes.get_mut(&number) {
                    change.is_done = true;
                }
                return Ok(());
            }
            return file.synced(&[number], written).await;
        }
        file.change(number, what).await?;
        drop(writing);
        let is_much = file.unsynced().bytes > UNSYNCED_BYTES_MAX;
        if is_synced || is_much { file.sync().await } else { Ok(()) }
    }

    async fn resize(&self, len: u64) -> Result<(), Error> {
        let _writing = self.0.writing.read().await;
        let number = self.0.unsynced().add(What::Resize(len));
        self.0.change(number, What::Resize(len)).await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.0.sync().await
    }

    async fn start_sync(&self) -> Handle<()> {
        let file = self.0.clone();
        let covered = file.unsynced().done();
        if file.is_distrusted() {
            let task = file.around.clock.child("sync");
            let task = task.spawn(move |_| async move { file.sync().await });
            return Handle::from_future(async move { task.await? });
        }
        // Goes on by itself; what is to be done should it fail is done by whoever waits for it, or by the next sync.
        let started = file.file.start_sync().await;
        Handle::from_future(async move { file.synced(&covered, started.await).await })
    }
}
