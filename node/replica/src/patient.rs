//! A runtime whose storage waits where it would fail: the engine takes any failed write for the end of the replica.
//!
//! A write or sync that fails is tried again until it succeeds, so whoever wants to send a vote waits until the vote is durable,
//! and queries go on. What a failed sync may have dropped is written again before the next sync: a later success says nothing
//! about it. Spec: `specs/operation.md`, "A full or failing disk".

mod blob;
#[cfg(test)]
mod tests;

use crate::disk::Disk;
pub(crate) use blob::Blob;
use commonware_runtime::{
    BlobVersion, Clock, Error, Handle, Metrics, Name, Spawner, Storage, Supervisor,
    signal::Signal,
    telemetry::metrics::{Metric, Registered},
};
use rand_core::{TryCryptoRng, TryRng};
use std::{
    future::Future,
    io::{self, ErrorKind},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

/// The first pause before another attempt, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What the process around a replica can do about its files that the runtime cannot.
pub trait Backing: Send + Sync + 'static {
    /// Makes a file of the runtime's storage durable. The runtime itself never trusts a file again whose sync failed once.
    ///
    /// # Errors
    /// The operating system's. What was written since the last success may be lost.
    fn sync(&self, partition: &str, name: &[u8]) -> io::Result<()>;
    /// What can be read back may not be durable, so it may hold votes that a loss of power takes away: until
    /// [`Backing::trust`] a restart must not go on from them as if they were.
    fn doubt(&self);
    /// All of it is durable.
    fn trust(&self);
}

/// A runtime with patience.
pub(crate) struct Patient<E> {
    context: E,
    around: Arc<Around<E>>,
}

/// What all files share.
struct Around<E> {
    clock: E,
    disk: Arc<Disk>,
    backing: Option<Arc<dyn Backing>>,
    /// Files whose sync failed and was not made good yet.
    doubtful: AtomicUsize,
}

impl<E: Supervisor> Patient<E> {
    /// `context` with patience; says in `disk` what waits.
    pub(crate) fn new(context: E, disk: Arc<Disk>, backing: Option<Arc<dyn Backing>>) -> Self {
        let clock = context.child("disk");
        Self { context, around: Arc::new(Around { clock, disk, backing, doubtful: AtomicUsize::new(0) }) }
    }
}

impl<E: Clock> Around<E> {
    async fn pause(&self, attempt: u32) {
        self.clock.sleep(PAUSE.saturating_mul(1 << attempt.min(16)).min(PAUSE_MAX)).await;
    }
}

impl<E> Around<E> {
    fn doubt(&self) {
        if self.doubtful.fetch_add(1, Ordering::AcqRel) == 0
            && let Some(backing) = &self.backing
        {
            backing.doubt();
        }
    }

    fn trust(&self) {
        if self.doubtful.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(backing) = &self.backing
        {
            backing.trust();
        }
    }
}

/// Whether a failed write, resize or sync may succeed later. Everything else is a mistake of whoever asked.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Io(_) | Error::WriteFailed | Error::BlobResizeFailed(..) | Error::BlobSyncFailed(..))
}

/// Whether a file that cannot be opened may be openable later: there is no room to create it, or too many are open.
fn may_open_later(error: &Error) -> bool {
    match error {
        Error::PartitionCreationFailed(_) | Error::Io(_) | Error::WriteFailed | Error::BlobSyncFailed(..) => true,
        Error::BlobOpenFailed(_, _, error) => {
            !matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::InvalidInput)
        }
        _ => false,
    }
}

fn path(partition: &str, name: &[u8]) -> String {
    format!("{partition}/{}", hex::encode(name))
}

impl<E: Storage + Clock + Spawner> Storage for Patient<E> {
    type Blob = Blob<E::Blob, E>;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Self::Blob, u64, BlobVersion), Error> {
        let (mut attempt, mut trouble) = (0, None);
        loop {
            match self.context.open_versioned(partition, name, versions.clone()).await {
                Ok((file, length, version)) => {
                    return Ok((Blob::new(file, partition, name, self.around.clone()), length, version));
                }
                Err(error) if may_open_later(&error) => {
                    self.around.disk.fails_again(&mut trouble, || path(partition, name), &error);
                    self.around.pause(attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        let (mut attempt, mut trouble) = (0, None);
        loop {
            match self.context.remove(partition, name).await {
                // An attempt before removed it, and could not make that durable.
                Err(Error::BlobMissing(..) | Error::PartitionMissing(_)) if attempt > 0 => return Ok(()),
                Err(error) if may_pass(&error) => {
                    self.around.disk.fails_again(&mut trouble, || path(partition, name.unwrap_or_default()), &error);
                    self.around.pause(attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.context.scan(partition).await
    }
}

impl<E: Supervisor> Supervisor for Patient<E> {
    fn name(&self) -> Name {
        self.context.name()
    }
    fn child(&self, label: &'static str) -> Self {
        Self { context: self.context.child(label), around: self.around.clone() }
    }
    fn with_attribute(self, key: &'static str, value: impl std::fmt::Display) -> Self {
        Self { context: self.context.with_attribute(key, value), around: self.around }
    }
}

impl<E: Spawner> Spawner for Patient<E> {
    fn shared(self, blocking: bool) -> Self {
        Self { context: self.context.shared(blocking), around: self.around }
    }
    fn dedicated(self) -> Self {
        Self { context: self.context.dedicated(), around: self.around }
    }
    fn spawn<F, Fut, T>(self, work: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let Self { context, around } = self;
        context.spawn(move |context| work(Self { context, around }))
    }
    async fn stop(self, value: i32, timeout: Option<Duration>) -> Result<(), Error> {
        self.context.stop(value, timeout).await
    }
    fn stopped(&self) -> Signal {
        self.context.stopped()
    }
}

impl<E: Metrics> Metrics for Patient<E> {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(&self, name: N, help: H, metric: M) -> Registered<M> {
        self.context.register(name, help, metric)
    }
    fn encode(&self) -> String {
        self.context.encode()
    }
}

impl<E: Clock> governor::clock::Clock for Patient<E> {
    type Instant = SystemTime;
    fn now(&self) -> SystemTime {
        self.context.current()
    }
}

impl<E: Clock> governor::clock::ReasonablyRealtime for Patient<E> {}

impl<E: Clock> Clock for Patient<E> {
    fn current(&self) -> SystemTime {
        self.context.current()
    }
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<E> {
        self.context.sleep(duration)
    }
    fn sleep_until(&self, deadline: SystemTime) -> impl Future<Output = ()> + Send + 'static + use<E> {
        self.context.sleep_until(deadline)
    }
}

impl<E: TryRng> TryRng for Patient<E> {
    type Error = E::Error;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.context.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.context.try_next_u64()
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.context.try_fill_bytes(bytes)
    }
}

impl<E: TryCryptoRng> TryCryptoRng for Patient<E> {}
