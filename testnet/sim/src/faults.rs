//! Lets the faults of a seed come and go, each at its time.

use crate::{
    log::{Log, Mark},
    options::{Crash, Moment, Options},
    subnet::Subnet,
    upgrade::{self, NEW},
};
use commonware_runtime::{Clock as _, Handle, Spawner as _, Supervisor as _, deterministic::Context};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How long a machine that should die at a disk operation may go on if it makes none.
const OPERATION_WAIT: Duration = Duration::from_secs(4);

/// Plays all faults; returns when the last one is over. What is still broken then stays broken until everything heals.
pub async fn play(context: &Context, options: &Options, subnet: &Arc<Subnet>, log: &Arc<Log>) {
    let began = context.current();
    let mut faults: Vec<Handle<()>> = Vec::new();
    for (shape, window) in options.partitions.clone() {
        let subnet = subnet.clone();
        faults.push(spawn(context, move |context| async move {
            context.sleep_until(began + window.from).await;
            subnet.cut(shape).await;
            context.sleep_until(began + window.to).await;
            subnet.join().await;
        }));
    }
    for (from, to, window) in options.clogs.clone() {
        let subnet = subnet.clone();
        faults.push(spawn(context, move |context| async move {
            context.sleep_until(began + window.from).await;
            subnet.clog(from, to, true).await;
            context.sleep_until(began + window.to).await;
            subnet.clog(from, to, false).await;
        }));
    }
    for (member, at) in options.upgrade.iter().flatten().enumerate().filter_map(|(member, at)| Some((member, (*at)?))) {
        let (subnet, log, options) = (subnet.clone(), log.clone(), options.clone());
        faults.push(spawn(context, move |context| async move {
            context.sleep_until(began + at).await;
            if let Err(broken) = upgrade::exchange(&subnet, member, NEW, &options).await {
                log.broken(|| broken);
            }
        }));
    }
    for (member, _) in options.upgrade.iter().flatten().enumerate().filter(|(_, at)| at.is_none()) {
        let subnet = subnet.clone();
        faults.push(spawn(context, move |context| async move {
            upgrade::left_behind(&context, &subnet, member).await;
        }));
    }
    for (member, window, syncs) in options.full.clone() {
        let (subnet, log) = (subnet.clone(), log.clone());
        faults.push(spawn(context, move |context| async move {
            context.sleep_until(began + window.from).await;
            if syncs > 0 {
                log.mark(Mark::SyncFailed);
                subnet.disk(member).fail_syncs(syncs);
            }
            subnet.fill(member, true);
            context.sleep_until(began + window.to).await;
            subnet.fill(member, false);
        }));
    }
    if let Some((member, window, by)) = options.slow {
        let (subnet, log) = (subnet.clone(), log.clone());
        faults.push(spawn(context, move |context| async move {
            context.sleep_until(began + window.from).await;
            log.mark(Mark::SlowDisk);
            subnet.slow_down(member, by);
            context.sleep_until(began + window.to).await;
            subnet.slow_down(member, Duration::ZERO);
        }));
    }
    for (number, crash) in options.crashes.iter().copied().enumerate() {
        for member in crash.member.map_or_else(|| (0..options.members).collect::<Vec<_>>(), |member| vec![member]) {
            let (subnet, log) = (subnet.clone(), log.clone());
            let seed = options.seed.wrapping_mul(1_000).wrapping_add((number * 100 + member) as u64);
            let hurt = Hurt { rotten: options.rotten == Some(member), emptied: options.emptied == Some(member) };
            if crash.member.is_none() && member == 0 {
                log.mark(Mark::CrashOfAll);
            }
            faults.push(spawn(context, move |context| async move {
                strike(&context, began, member, crash, &subnet, &log, (seed, hurt)).await;
            }));
        }
    }
    for fault in faults {
        let _ = fault.await;
    }
}

/// What a member's disk suffers while it is down.
#[derive(Clone, Copy)]
struct Hurt {
    rotten: bool,
    emptied: bool,
}

async fn strike(
    context: &Context,
    began: SystemTime,
    member: usize,
    crash: Crash,
    subnet: &Subnet,
    log: &Log,
    (seed, hurt): (u64, Hurt),
) {
    match crash.moment {
        Moment::At(at) => context.sleep_until(began + at).await,
        Moment::Operation(at, operations) => {
            context.sleep_until(began + at).await;
            subnet.disk(member).die_after(operations);
            tokio::select! {
                biased;
                () = subnet.disk(member).death() => log.mark(Mark::CrashInsideStep),
                () = context.sleep(OPERATION_WAIT) => {}
            }
        }
    }
    if !subnet.kill(member, crash.loss, seed) {
        return;
    }
    if hurt.emptied {
        log.note(|| format!("member {member} has lost its checkpoints or its whole disk"));
        subnet.empty(member);
    }
    if hurt.rotten {
        log.mark(Mark::RottenDisk);
        log.note(|| format!("the disk of member {member} flips a bit"));
        subnet.disk(member).flip_bit(seed);
        if seed.is_multiple_of(2) {
            subnet.checkpoints(member).flip_bit(seed);
        }
    }
    context.sleep(crash.down).await;
    subnet.restart(member).await;
}

fn spawn<F, Fut>(context: &Context, work: F) -> Handle<()>
where
    F: FnOnce(Context) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    context.child("fault").spawn(work)
}
