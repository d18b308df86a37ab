use super::*;
use commonware_runtime::{
    Blob as _, IoBufMut, IoBufs, IoBufsMut, ReadOptions, Runner as _, WriteOptions,
    deterministic::{self, Context},
};
use std::sync::Mutex;

/// A file whose disk fails when told to. A failed sync drops what it should have made durable, as kernels do.
#[derive(Clone, Default)]
struct Flaky(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Writes, and syncs, that fail next.
    writes: u32,
    syncs: u32,
    /// As the runtime's files do: once a sync has failed none ever succeeds again.
    never_again: bool,
}

fn full() -> Error {
    io::Error::from(ErrorKind::StorageFull).into()
}

impl Content {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.writes > 0 {
            self.writes -= 1;
            return Err(full());
        }
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        let length = self.current.len().max(to);
        self.current.resize(length, 0);
        self.current[from..to].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.syncs > 0 || self.never_again {
            self.syncs = self.syncs.saturating_sub(1);
            self.current = self.durable.clone();
            return Err(Error::BlobSyncFailed(String::new(), String::new(), io::Error::other("broken").into()));
        }
        self.durable = self.current.clone();
        Ok(())
    }
}

impl Flaky {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }
}

impl commonware_runtime::Blob for Flaky {
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
        Ok(IoBufsMut::from(self.content().current[offset as usize..offset as usize + len].to_vec()))
    }
    async fn write_at(&self, offset: u64, bufs: impl Into<IoBufs> + Send, options: WriteOptions) -> Result<(), Error> {
        let mut content = self.content();
        content.write(offset, bufs.into().coalesce().as_ref())?;
        if options.contains(WriteOptions::SYNC) { content.sync() } else { Ok(()) }
    }
    async fn resize(&self, len: u64) -> Result<(), Error> {
        let mut content = self.content();
        if content.writes > 0 {
            content.writes -= 1;
            return Err(full());
        }
        content.current.resize(len as usize, 0);
        Ok(())
    }
    async fn sync(&self) -> Result<(), Error> {
        self.content().sync()
    }
    async fn start_sync(&self) -> Handle<()> {
        Handle::ready(self.content().sync())
    }
}

/// Syncs what the runtime does not any more, and hears of doubts.
struct Own {
    file: Flaky,
    doubts: Mutex<Vec<bool>>,
}

impl Backing for Own {
    fn sync(&self, _: &str, _: &[u8]) -> io::Result<()> {
        let mut content = self.file.content();
        content.durable = content.current.clone();
        Ok(())
    }
    fn doubt(&self) {
        self.doubts.lock().unwrap().push(true);
    }
    fn trust(&self) {
        self.doubts.lock().unwrap().push(false);
    }
}

fn opened(context: &Context, file: &Flaky, backing: Option<Arc<dyn Backing>>) -> (Blob<Flaky, Context>, Arc<Disk>) {
    let disk = Arc::new(Disk::default());
    let patient = Patient::new(context.child("patient"), disk.clone(), backing);
    (Blob::new(file.clone(), "p", b"f", patient.around), disk)
}

fn plain() -> WriteOptions {
    WriteOptions::default()
}

#[test]
fn a_write_waits_until_there_is_room_and_says_so_meanwhile() {
    for options in [plain(), WriteOptions::SYNC] {
        deterministic::Runner::default().start(|context| async move {
            let file = Flaky::default();
            let (blob, disk) = opened(&context, &file, None);
            file.content().writes = 9;
            let began = context.current();
            let writer = context.child("writer").spawn(move |_| async move {
                blob.write_at(0, vec![1; 4], options).await.unwrap();
                blob.resize(6).await.unwrap();
                blob
            });
            context.sleep(Duration::from_secs(1)).await;
            assert!(disk.refusal().is_some(), "it waits and says so");
            assert!(disk.status().failures_count > 3);
            let blob = writer.await.unwrap();
            blob.sync().await.unwrap();
            assert!(context.current().duration_since(began).unwrap() > Duration::from_secs(5), "pauses grow");
            assert_eq!(file.content().durable, [1, 1, 1, 1, 0, 0]);
            assert_eq!(disk.refusal(), None);
        });
    }
}

#[test]
fn what_a_failed_sync_dropped_is_written_again_before_the_next() {
    for is_started in [false, true] {
        deterministic::Runner::default().start(|context| async move {
            let file = Flaky::default();
            let (blob, disk) = opened(&context, &file, None);
            blob.write_at(0, vec![1; 4], WriteOptions::SYNC).await.unwrap();
            blob.write_at(2, vec![2; 4], plain()).await.unwrap();
            blob.resize(5).await.unwrap();
            file.content().syncs = 3;
            if is_started {
                blob.start_sync().await.await.unwrap();
            } else {
                blob.sync().await.unwrap();
            }
            assert_eq!(file.content().durable, [1, 1, 2, 2, 2]);
            assert_eq!((disk.refusal(), disk.status().failures_count), (None, 3));
        });
    }
}

#[test]
fn a_synced_write_over_an_unsynced_one_stays_above_it() {
    deterministic::Runner::default().start(|context| async move {
        let file = Flaky::default();
        let (blob, _) = opened(&context, &file, None);
        blob.write_at(0, vec![1; 4], plain()).await.unwrap();
        // This file system does not make the older write durable with it, so it may still be lost.
        blob.write_at(0, vec![2; 4], WriteOptions::SYNC).await.unwrap();
        file.content().durable.clear();
        file.content().syncs = 1;
        blob.sync().await.unwrap();
        assert_eq!(file.content().durable, [2; 4]);
    });
}

#[test]
fn a_file_whose_sync_failed_once_is_synced_by_other_means_and_votes_are_in_doubt_meanwhile() {
    deterministic::Runner::default().start(|context| async move {
        let file = Flaky::default();
        let own = Arc::new(Own { file: file.clone(), doubts: Mutex::default() });
        let (blob, disk) = opened(&context, &file, Some(own.clone()));
        file.content().never_again = true;
        for round in 1..4_u8 {
            blob.write_at(u64::from(round), vec![round], WriteOptions::SYNC).await.unwrap();
            assert_eq!(file.content().durable.last(), Some(&round));
            blob.write_at(u64::from(round), vec![round + 100], plain()).await.unwrap();
            blob.start_sync().await.await.unwrap();
            assert_eq!(file.content().durable.last(), Some(&(round + 100)));
        }
        assert_eq!(*own.doubts.lock().unwrap(), [true, false], "the runtime was asked once");
        assert_eq!(disk.status().failures_count, 1);
    });
}

#[test]
fn a_mistake_is_an_error_at_once() {
    assert!(may_pass(&full()) && may_open_later(&Error::PartitionCreationFailed("p".into())));
    // What the runtime says of a new file's head that does not fit.
    assert!(may_open_later(&Error::WriteFailed));
    let denied = |kind| Error::BlobOpenFailed("p".into(), "f".into(), io::Error::from(kind).into());
    assert!(may_open_later(&denied(ErrorKind::StorageFull)) && !may_open_later(&denied(ErrorKind::PermissionDenied)));
    for error in [Error::OffsetOverflow, Error::Closed, Error::BlobAlreadyOpen("p".into(), "f".into())] {
        assert!(!may_pass(&error) && !may_open_later(&error), "{error}");
    }
}
