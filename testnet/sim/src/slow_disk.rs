//! What a slow disk costs: under load every sync of one of four members takes longer for a while, and then no longer.

use crate::{
    client::Client,
    log::{Hearing, Log, Mark},
    options::Options,
    subnet::Subnet,
    work,
};
use commonware_runtime::{Clock as _, Runner as _, Spawner as _, Supervisor as _, deterministic};
use mains_engine::WasmtimeEngine;
use mains_types::UnixNanos;
use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// How long the subnet runs before, with the slow disk, and after.
const BEFORE: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(8);
/// The member with the slow disk.
const MEMBER: usize = 3;

/// How long blocks took, each from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The longest before.
    pub before: Duration,
    /// While the disk was slow: how long after it became so, and how long.
    pub slow: Vec<(Duration, Duration)>,
    /// In the second half of the time after.
    pub after: Duration,
    /// Views that were lost in that time.
    pub lost: u64,
    /// How far the slow member was behind the others when its disk got well, heights.
    pub behind: u64,
    /// And at the end.
    pub behind_after: u64,
    /// How often it stood back, and took part again.
    pub stood_back: (u64, u64),
}

impl Cost {
    /// Blocks beyond the time `from` that took longer than `limit`.
    pub fn stalls(&self, from: Duration, limit: Duration) -> Vec<(Duration, Duration)> {
        self.slow.iter().copied().filter(|(since, took)| *since >= from && *took > limit).collect()
    }
}

/// Lets every sync of one of four members take `by` longer, with calls of `clients` at a time to the others, and messages that
/// take `delay_ms` one way.
///
/// # Panics
/// If the subnet does not do what the calm seed does.
pub fn slow_disk(engine: &Arc<WasmtimeEngine>, by: Duration, delay_ms: u64, clients: u32) -> Cost {
    let options = Options { delay_ms, clients, calls: 100_000, mixture: false, ..Options::of(0) };
    let config = deterministic::Config::new()
        .with_seed(options.seed)
        .with_start_time(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let engine = engine.clone();
    deterministic::Runner::new(config).start(|context| async move {
        let log = Log::new(context.child("log"), false);
        let hearing = Hearing::of(log.clone());
        let client = Client::new([9; 32], context.child("client"), log.clone()).avoiding(MEMBER);
        let subnet = Subnet::start(context.child("subnet"), &options, engine, client.principal(), log.clone()).await;
        let subnet = Arc::new(subnet);
        let canister = work::install(&client, &options, &subnet).await.expect("installed");
        for worker in 0..clients {
            let (client, options, subnet) = (client.clone(), options.clone(), subnet.clone());
            let work = work::calls(client, options, subnet, canister, worker, Default::default(), log.clone());
            context.child("worker").with_attribute("index", worker).spawn(move |_| work);
        }
        let now = || UnixNanos(context.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64);
        let height = |member: usize| {
            subnet.replica(member).and_then(|replica| replica.view()).map_or(0, |view| view.height().get())
        };
        let behind = || height(0).saturating_sub(height(MEMBER));
        let began = now();
        context.sleep(BEFORE).await;
        subnet.slow_down(MEMBER, by);
        let slow = now();
        context.sleep(SLOW).await;
        let behind_then = behind();
        subnet.slow_down(MEMBER, Duration::ZERO);
        let well = now();
        context.sleep(AFTER).await;
        let behind_after = behind();
        drop(hearing);
        log.close();
        assert_eq!(log.first_broken(), None);
        let marks = log.marks();
        let count = |mark| marks.get(&mark).copied().unwrap_or_default();
        let blocks = subnet.findings.pace.blocks();
        let took = |pair: &[(UnixNanos, u64)]| Duration::from_nanos(pair[1].0.nanos_since(pair[0].0));
        let within =
            |from: UnixNanos, to: UnixNanos| blocks.windows(2).filter(move |pair| pair[0].0 > from && pair[1].0 <= to);
        let calm = well.saturating_add_nanos(AFTER.as_nanos() as u64 / 2);
        Cost {
            before: within(began, slow).map(took).max().unwrap_or_default(),
            slow: within(slow, well)
                .map(|pair| (Duration::from_nanos(pair[0].0.nanos_since(slow)), took(pair)))
                .collect(),
            after: within(calm, now()).map(took).max().unwrap_or_default(),
            lost: within(calm, now()).map(|pair| pair[1].1).sum(),
            behind: behind_then,
            behind_after,
            stood_back: (count(Mark::StoodBack), count(Mark::BackInTime)),
        }
    })
}
