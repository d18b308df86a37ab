//! One simulated machine: the deterministic runtime with a clock and a disk of its own.
//!
//! Its clock is off by a fixed amount and runs too fast or too slow; everything that a replica waits for is measured
//! with it.

use crate::disk::{Blob, Disk};
use commonware_runtime::{
    BlobVersion, Clock, Error, Handle, Metrics, Name, Spawner, Storage, Supervisor,
    deterministic::Context,
    signal::Signal,
    telemetry::metrics::{Metric, Registered},
};
use rand_core::{TryCryptoRng, TryRng};
use std::{
    convert::Infallible,
    future::Future,
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

/// How a machine's clock differs from true time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    /// Ahead (or behind) by this much at the beginning, milliseconds.
    pub offset_ms: i64,
    /// Gains this much per true second, microseconds.
    pub drift_ppm: i64,
}

/// A machine. What is spawned on it lives on it.
pub struct Host {
    context: Context,
    began: SystemTime,
    skew: Skew,
    disk: Disk,
}

impl Host {
    /// A machine with this clock and disk; its clock was off by the offset when true time was `began`.
    pub fn new(context: Context, began: SystemTime, skew: Skew, disk: Disk) -> Self {
        Self { context, began, skew, disk }
    }

    fn with(&self, context: Context) -> Self {
        Self { context, began: self.began, skew: self.skew, disk: self.disk.clone() }
    }

    /// What this machine's clock shows at a moment of true time.
    fn shown(&self, truth: SystemTime) -> SystemTime {
        let elapsed = truth.duration_since(self.began).unwrap_or_default().as_nanos() as i128;
        let gained =
            elapsed * i128::from(self.skew.drift_ppm) / 1_000_000 + i128::from(self.skew.offset_ms) * 1_000_000;
        let by = Duration::from_nanos(gained.unsigned_abs() as u64);
        if gained < 0 { truth - by } else { truth + by }
    }

    /// True time in which this clock advances by `duration`, never less: who waits must find that the time has come.
    fn lasts(&self, duration: Duration) -> Duration {
        if duration.is_zero() {
            return duration;
        }
        let speed = (1_000_000 + i128::from(self.skew.drift_ppm)).unsigned_abs();
        let nanos = (duration.as_nanos() * 1_000_000).div_ceil(speed) + 2;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    }
}

impl Supervisor for Host {
    fn name(&self) -> Name {
        self.context.name()
    }
    fn child(&self, label: &'static str) -> Self {
        self.with(self.context.child(label))
    }
    fn with_attribute(self, key: &'static str, value: impl std::fmt::Display) -> Self {
        let Self { context, began, skew, disk } = self;
        Self { context: context.with_attribute(key, value), began, skew, disk }
    }
}

impl Spawner for Host {
    fn shared(self, blocking: bool) -> Self {
        let Self { context, began, skew, disk } = self;
        Self { context: context.shared(blocking), began, skew, disk }
    }
    fn dedicated(self) -> Self {
        let Self { context, began, skew, disk } = self;
        Self { context: context.dedicated(), began, skew, disk }
    }
    fn spawn<F, Fut, T>(self, work: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let Self { context, began, skew, disk } = self;
        context.spawn(move |context| work(Self { context, began, skew, disk }))
    }
    async fn stop(self, value: i32, timeout: Option<Duration>) -> Result<(), Error> {
        self.context.stop(value, timeout).await
    }
    fn stopped(&self) -> Signal {
        self.context.stopped()
    }
}

impl Metrics for Host {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(&self, name: N, help: H, metric: M) -> Registered<M> {
        self.context.register(name, help, metric)
    }
    fn encode(&self) -> String {
        self.context.encode()
    }
}

impl governor::clock::Clock for Host {
    type Instant = SystemTime;
    fn now(&self) -> SystemTime {
        self.current()
    }
}

impl governor::clock::ReasonablyRealtime for Host {}

impl Clock for Host {
    fn current(&self) -> SystemTime {
        self.shown(self.context.current())
    }
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.context.sleep(self.lasts(duration))
    }
    fn sleep_until(&self, deadline: SystemTime) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.sleep(deadline.duration_since(self.current()).unwrap_or_default())
    }
}

impl Storage for Host {
    type Blob = Blob;
    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Blob, u64, BlobVersion), Error> {
        self.disk.open_versioned(partition, name, versions).await
    }
    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.disk.remove(partition, name).await
    }
    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.disk.scan(partition).await
    }
}

impl TryRng for Host {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.context.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.context.try_next_u64()
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.context.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Host {}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_runtime::{Runner as _, deterministic};

    #[test]
    fn a_clock_that_is_off_and_drifts_shows_it_and_waits_by_it() {
        let start = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let config = deterministic::Config::new().with_start_time(start);
        deterministic::Runner::new(config).start(|context| async move {
            let skew = Skew { offset_ms: -5_000, drift_ppm: 1_000_000 };
            let host = Host::new(context.child("host"), start, skew, Disk::default());
            assert_eq!(host.current(), start - Duration::from_secs(5));
            context.sleep(Duration::from_secs(10)).await;
            assert_eq!(host.current(), context.current() - Duration::from_secs(5) + Duration::from_secs(10));
            let before = context.current();
            host.sleep(Duration::from_secs(10)).await;
            let waited = context.current().duration_since(before).expect("later");
            assert!(waited >= Duration::from_secs(5) && waited < Duration::from_millis(5_010), "{waited:?}");
        });
    }
}
