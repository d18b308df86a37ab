//! What canisters that nobody calls cost the others (`--idle`): the same load on the same few canisters, alone and among many.

use crate::{
    canisters,
    factory::Factory,
    failed,
    load::{Checker, Measured, Request, Signer},
    report::{Line, ratio, time},
    subject::Subject,
    update_load,
};
use anyhow::Result;
use candid::Encode;
use mains_types::CanisterId;
use std::time::{Duration, Instant};

/// Canisters that are called.
const FEW: usize = 10;
/// Clients at once.
const CLIENTS: usize = 64;
/// Requests of one client alone.
const ALONE: usize = 100;
/// Most updates a second that requests are made for beforehand.
const RATE_MAX: usize = 5_000;
/// Cycles of each canister.
const CANISTER_CYCLES: u64 = 20_000_000_000_000;

/// One look at the network.
struct Look {
    /// Blocks a second while nobody calls, and processor time of all replicas each second.
    idle_rate: f64,
    idle_cpu: f64,
    /// One client.
    alone: Measured,
    /// Many clients, blocks a second meanwhile, and processor time of all replicas for each update.
    load: Measured,
    load_rate: f64,
    load_cpu: f64,
    memory_bytes: u64,
}

/// Makes `count` canisters and compares.
///
/// # Errors
/// The network does not do as it should.
pub(crate) async fn measure(count: usize, duration: Duration) -> Result<Vec<Line>> {
    let subject = Subject::start().await?;
    let checker = Checker::new(subject.client.root_key()).ok_or_else(|| anyhow::anyhow!("no root key"))?;
    let signer = Signer::new([12; 32]);
    let factory = Factory::new(&subject, canisters::COUNTER, CANISTER_CYCLES).await?;
    let few = factory.make(FEW).await?;
    let looker = Looker { subject: &subject, checker: &checker, signer: &signer, few: &few, duration };
    let before = looker.look(&format!("{FEW} canisters")).await?;
    let began = Instant::now();
    let others = factory.make(count - FEW).await?;
    let making = began.elapsed();
    let asleep = looker.look(&format!("{count} canisters")).await?;
    crate::progress("calls every canister once");
    let calls = looker.calls(&others, others.len())?;
    let once = update_load(&subject, &checker, calls, CLIENTS, Duration::from_secs(200)).await;
    failed("each once", &once);
    let called = looker.look(&format!("{count} canisters, each called once")).await?;
    let mut lines = Vec::new();
    compare(&mut lines, &before, &asleep, &format!("{FEW} -> {count} canisters"));
    compare(&mut lines, &before, &called, &format!("{FEW} -> {count}, each called once"));
    lines.push(Line {
        name: "create and install, each".into(),
        figure: time(making / others.len() as u32),
        floor: "-".into(),
        ratio: "-".into(),
        target: "1 ms",
    });
    lines.push(Line {
        name: format!("updates/s while {} canisters are woken", others.len()),
        figure: format!("{:.0} (p50 {})", once.rate(), time(once.quantile(0.5))),
        floor: format!("{:.0}/s on {FEW}", before.load.rate()),
        ratio: ratio(once.rate(), before.load.rate()),
        target: "-",
    });
    subject.stop().await?;
    Ok(lines)
}

struct Looker<'a> {
    subject: &'a Subject,
    checker: &'a Checker,
    signer: &'a Signer,
    few: &'a [CanisterId],
    duration: Duration,
}

impl Looker<'_> {
    async fn look(&self, what: &str) -> Result<Look> {
        crate::progress(what);
        let Self { subject, checker, .. } = self;
        // What came before may leave work behind: certificates, checkpoints.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (idle_rate, idle_cpu, ()) = self.rates(tokio::time::sleep(self.duration)).await?;
        let requests = self.calls(self.few, ALONE)?;
        let alone = update_load(subject, checker, requests, 1, Duration::from_secs(60)).await;
        failed(what, &alone);
        let requests = self.calls(self.few, RATE_MAX * self.duration.as_secs() as usize)?;
        let (load_rate, cpu, load) =
            self.rates(update_load(subject, checker, requests, CLIENTS, self.duration)).await?;
        failed(what, &load);
        let load_cpu = cpu * load.elapsed.as_secs_f64() / load.latencies.len().max(1) as f64;
        let memory_bytes = subject.memory_bytes()?;
        Ok(Look { idle_rate, idle_cpu, alone, load, load_rate, load_cpu, memory_bytes })
    }

    fn calls(&self, canisters: &[CanisterId], count: usize) -> Result<Vec<Request>> {
        let argument = Encode!()?;
        let call = |index: usize| self.signer.update(canisters[index % canisters.len()], "inc", &argument);
        Ok((0..count).map(call).collect())
    }

    /// Blocks and processor time (of all replicas) a second while something happens.
    async fn rates<T>(&self, what: impl Future<Output = T>) -> Result<(f64, f64, T)> {
        let height = self.subject.client.report().await?.finalized_height;
        let cpu = self.subject.cpu_seconds()?;
        let began = Instant::now();
        let result = what.await;
        let elapsed = began.elapsed().as_secs_f64();
        let cpu = self.subject.cpu_seconds()? - cpu;
        let blocks = self.subject.client.report().await?.finalized_height - height;
        Ok((blocks as f64 / elapsed, cpu / elapsed, result))
    }
}

fn compare(lines: &mut Vec<Line>, few: &Look, many: &Look, what: &str) {
    let mut line = |name: &str, figure: String, floor: String, ratio: String| {
        lines.push(Line { name: format!("{name}, {what}"), figure, floor, ratio, target: "1x" });
    };
    let rate = |rate: f64| format!("{rate:.1}");
    line("blocks/s, idle", rate(many.idle_rate), rate(few.idle_rate), ratio(many.idle_rate, few.idle_rate));
    let busy = |cpu: f64| format!("{:.1} ms", cpu * 1e3);
    line("CPU a second, idle", busy(many.idle_cpu), busy(few.idle_cpu), ratio(many.idle_cpu, few.idle_cpu));
    line(
        &format!("blocks/s, {CLIENTS} clients"),
        rate(many.load_rate),
        rate(few.load_rate),
        ratio(many.load_rate, few.load_rate),
    );
    line(
        &format!("updates/s, {CLIENTS} clients"),
        rate(many.load.rate()),
        rate(few.load.rate()),
        ratio(many.load.rate(), few.load.rate()),
    );
    let each = |cpu: f64| format!("{:.0} us", cpu * 1e6);
    line("  CPU of each", each(many.load_cpu), each(few.load_cpu), ratio(many.load_cpu, few.load_cpu));
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let (now, before) = (many.alone.quantile(quantile), few.alone.quantile(quantile));
        line(
            &format!("update, one client, {name}"),
            time(now),
            time(before),
            ratio(now.as_secs_f64(), before.as_secs_f64()),
        );
    }
    let megabytes = |bytes: u64| format!("{} MB", bytes / 1_000_000);
    line(
        "memory per replica",
        megabytes(many.memory_bytes),
        megabytes(few.memory_bytes),
        ratio(many.memory_bytes as f64, few.memory_bytes as f64),
    );
}
