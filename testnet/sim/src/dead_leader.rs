//! What a dead leader costs: one of four members dies under load, and the others' block times say how long each of its views
//! lasted.

use crate::{
    client::Client,
    disk::Loss,
    log::{Hearing, Log},
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

/// How long the subnet runs with all members, and then without one.
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(12);

/// How long blocks took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Blocks whose leader was there, after the death: the median, from the block before.
    pub block: Duration,
    /// Blocks that came after a view of the dead leader, in order.
    pub dead: Vec<Duration>,
}

/// Lets one of four members die, with calls of `clients` at a time, and messages that take `delay_ms` one way.
///
/// # Panics
/// If the subnet does not do what the calm seed does.
pub fn dead_leader(engine: &Arc<WasmtimeEngine>, delay_ms: u64, clients: u32) -> Cost {
    let options = Options { delay_ms, clients, calls: 100_000, mixture: false, ..Options::of(0) };
    let config = deterministic::Config::new()
        .with_seed(options.seed)
        .with_start_time(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let engine = engine.clone();
    deterministic::Runner::new(config).start(|context| async move {
        let log = Log::new(context.child("log"), false);
        let hearing = Hearing::of(log.clone());
        let client = Client::new([9; 32], context.child("client"), log.clone());
        let subnet = Subnet::start(context.child("subnet"), &options, engine, client.principal(), log.clone()).await;
        let subnet = Arc::new(subnet);
        let canister = work::install(&client, &options, &subnet).await.expect("installed");
        for worker in 0..clients {
            let (client, options, subnet) = (client.clone(), options.clone(), subnet.clone());
            let work = work::calls(client, options, subnet, canister, worker, Default::default(), log.clone());
            context.child("worker").with_attribute("index", worker).spawn(move |_| work);
        }
        context.sleep(BEFORE).await;
        subnet.kill(3, Loss::Everything, 0);
        let died = UnixNanos(context.current().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64);
        context.sleep(AFTER).await;
        drop(hearing);
        log.close();
        assert_eq!(log.first_broken(), None);
        let (mut whole, mut dead) = (Vec::new(), Vec::new());
        let blocks = subnet.findings.pace.blocks();
        for pair in blocks.windows(2).filter(|pair| pair[0].0 > died) {
            let took = Duration::from_nanos(pair[1].0.nanos_since(pair[0].0));
            if pair[1].1 == 0 { whole.push(took) } else { dead.push(took) }
        }
        whole.sort_unstable();
        Cost { block: whole.get(whole.len() / 2).copied().unwrap_or_default(), dead }
    })
}
