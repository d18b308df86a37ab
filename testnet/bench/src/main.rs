//! Starts a four-replica testnet and measures it, each figure beside a floor of the same run.
//! `cargo run --release -p mains-bench [-- --seconds N | --idle N | --strain | --slow-disk | --ledger | --journal N | --prices [--core-month CREDITS] | --catch-up MIB]`. Findings and history: `specs/benchmarks.md`.

mod alone;
mod canisters;
mod catch_up;
mod factory;
mod floor;
mod journal;
mod load;
mod many;
mod money;
mod prices;
mod report;
mod slow_disk;
mod strain;
mod subject;

use anyhow::Result;
use candid::Encode;
use clap::Parser;
use load::{Checker, Measured, Request, Signer};
use mains_types::CanisterId;
use report::{Line, ratio, time};
use std::time::Duration;
use subject::Subject;

/// Measures a four-replica testnet on this machine.
#[derive(Parser)]
struct Options {
    /// Seconds of each throughput measurement.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Canisters of the many-canister measurement.
    #[arg(long, default_value_t = 1_000)]
    canisters: usize,
    /// Measure instead what the network does under strain: one replica killed, paused or with a slow disk, ten times too
    /// many clients, hostile ones.
    #[arg(long)]
    strain: bool,
    /// Of the strain only the slow disk.
    #[arg(long)]
    slow_disk: bool,
    /// Measure instead what so many canisters that nobody calls cost.
    #[arg(long, value_name = "COUNT")]
    idle: Option<usize>,
    /// Measure instead what the ledger, settlements and bills cost.
    #[arg(long)]
    ledger: bool,
    /// Measure instead what a node's journal of so many entries costs.
    #[arg(long, value_name = "ENTRIES")]
    journal: Option<u64>,
    /// Measure instead how a replica whose disk was emptied comes back to a state of so many MiB.
    #[arg(long, value_name = "MIB")]
    catch_up: Option<u64>,
    /// Measure instead whether any operation is priced below what it costs; fails if one is.
    #[arg(long)]
    prices: bool,
    /// For that: what one core costs you in a month, with its share of all else, in credits.
    #[arg(long, value_name = "CREDITS", default_value_t = prices::CORE_MONTH_CREDITS)]
    core_month: f64,
}

/// Requests of the one-client latency measurement.
const ALONE: usize = 150;
/// Calls in one run of the relay.
const RELAYED: u32 = 2_000;
/// Most updates a second that requests are made for beforehand.
const RATE_MAX: usize = 8_000;
/// The same for queries.
const QUERY_RATE_MAX: usize = 40_000;

fn main() -> Result<()> {
    // The benchmark is its own node program, so that it needs no other binary.
    if let Some(result) = subject::node_main() {
        return result;
    }
    let options = Options::parse();
    if options.ledger || options.prices || options.journal.is_some() {
        let lines = match options.journal {
            Some(entries) => journal::measure(entries)?,
            None if options.ledger => mains_engine::on_big_stack(money::measure)?,
            None => mains_engine::on_big_stack(|| prices::measure(options.core_month))?,
        };
        report::print(&lines);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let lines = if options.strain || options.slow_disk {
        runtime.block_on(strain::measure(Duration::from_secs(options.seconds), options.slow_disk))?
    } else if let Some(count) = options.idle {
        runtime.block_on(many::measure(count, Duration::from_secs(options.seconds)))?
    } else if let Some(mebibytes) = options.catch_up {
        runtime.block_on(catch_up::measure(mebibytes))?
    } else {
        runtime.block_on(measure(&options))?
    };
    report::print(&lines);
    Ok(())
}

fn progress(text: &str) {
    eprintln!("… {text}");
}

async fn measure(options: &Options) -> Result<Vec<Line>> {
    let duration = Duration::from_secs(options.seconds);
    progress("starts four replicas");
    let subject = Subject::start().await?;
    let signer = Signer::new([11; 32]);
    let checker = Checker::new(subject.client.root_key()).ok_or_else(|| anyhow::anyhow!("no root key"))?;
    let argument = Encode!()?;
    let mut lines = Vec::new();

    progress("floors: signature, disk, HTTP");
    let signature = floor::signature_check();
    let sync = floor::disk_sync(subject.directory())?;
    let echo_url = floor::echo_server().await?;

    progress("one client");
    let one = subject.counter().await?;
    let updates = |canisters: &[CanisterId], count: usize| -> Vec<Request> {
        (0..count).map(|index| signer.update(canisters[index % canisters.len()], "inc", &argument)).collect()
    };
    let echo_alone = floor::echo(&echo_url, updates(&[one], ALONE), 1, duration).await;
    let idle_rss = subject.memory_bytes()?;
    let alone = update_load(&subject, &checker, updates(&[one], ALONE), 1, Duration::from_secs(60)).await;
    failed("one client", &alone);
    for (name, quantile, target) in [("p50", 0.5, "40 ms (stretch 20)"), ("p99", 0.99, "120 ms")] {
        let (figure, floor) = (alone.quantile(quantile), echo_alone.quantile(quantile));
        lines.push(Line {
            name: format!("update, one client, verified certificate, {name}"),
            figure: time(figure),
            floor: format!("HTTP echo {}", time(floor)),
            ratio: ratio(figure.as_secs_f64(), floor.as_secs_f64()),
            target,
        });
    }
    lines.push(Line {
        name: "  of that: appending to the disk and syncing once".into(),
        figure: time(sync),
        floor: "-".into(),
        ratio: ratio(alone.quantile(0.5).as_secs_f64(), sync.as_secs_f64()),
        target: "-",
    });

    progress("creates canisters");
    let many = subject.counters(options.canisters).await?;
    let echo_load = floor::echo(&echo_url, updates(&[one], 60_000), 64, Duration::from_secs(2)).await;
    for (clients, canisters, label) in [
        (64, &[one][..], "1 canister"),
        (256, &[one][..], "1 canister"),
        (64, &many[..], "many canisters"),
        (256, &many[..], "many canisters"),
    ] {
        let label = if canisters.len() > 1 { format!("{} canisters", canisters.len()) } else { label.to_owned() };
        progress(&format!("{clients} clients, {label}"));
        let before = subject.client.report().await?.finalized_height;
        let cpu_before = subject.cpu_seconds()?;
        let requests = updates(canisters, RATE_MAX * options.seconds as usize);
        let load = update_load(&subject, &checker, requests, clients, duration).await;
        failed(&label, &load);
        let cpu = subject.cpu_seconds()? - cpu_before;
        let heights = subject.client.report().await?.finalized_height - before;
        lines.push(Line {
            name: format!("updates/s, {clients} clients, {label}"),
            figure: format!(
                "{:.0} (p50 {}, p99 {}, {:.0} us CPU each)",
                load.rate(),
                time(load.quantile(0.5)),
                time(load.quantile(0.99)),
                cpu * 1e6 / load.latencies.len().max(1) as f64
            ),
            floor: format!("HTTP echo {:.0}/s", echo_load.rate()),
            ratio: ratio(load.rate(), echo_load.rate()),
            target: if clients == 256 { "3,000 (stretch 6,000)" } else { "-" },
        });
        lines.push(Line {
            name: format!("  blocks/s, {clients} clients, {label}"),
            figure: format!("{:.1}", heights as f64 / load.elapsed.as_secs_f64()),
            floor: format!("sync {}", time(sync)),
            ratio: "-".into(),
            target: "-",
        });
    }

    progress("queries");
    let queries: Vec<Request> =
        (0..QUERY_RATE_MAX / 8 * options.seconds as usize).map(|_| signer.query(one, "get", &argument)).collect();
    let one_query = query_load(&subject, queries[..500].to_vec(), 1, duration).await;
    failed("queries", &one_query);
    let many_queries = query_load(&subject, queries, 64, duration).await;
    lines.push(Line {
        name: "query, one client, p50".into(),
        figure: time(one_query.quantile(0.5)),
        floor: format!("HTTP echo {}", time(echo_alone.quantile(0.5))),
        ratio: ratio(one_query.quantile(0.5).as_secs_f64(), echo_alone.quantile(0.5).as_secs_f64()),
        target: "1 ms",
    });
    lines.push(Line {
        name: "queries/s, 64 clients, one replica".into(),
        figure: format!("{:.0}", many_queries.rate()),
        floor: format!("signature check {} = {:.0}/s a core", time(signature), 1.0 / signature.as_secs_f64()),
        ratio: ratio(many_queries.rate(), echo_load.rate()),
        target: "10,000",
    });

    progress("calls between canisters");
    let call = subject.relay(RELAYED).await?;
    lines.push(Line {
        name: "call between canisters (request, reply, callback)".into(),
        figure: time(call),
        floor: format!("HTTP echo {}", time(echo_alone.quantile(0.5))),
        ratio: ratio(call.as_secs_f64(), echo_alone.quantile(0.5).as_secs_f64()),
        target: "10 us (stretch 3)",
    });
    let busy_rss = subject.memory_bytes()?;
    lines.push(Line {
        name: format!("memory per replica, idle / with {} canisters after load", options.canisters),
        figure: format!("{} / {} MB", idle_rss / 1_000_000, busy_rss / 1_000_000),
        floor: "-".into(),
        ratio: "-".into(),
        target: "150 MB idle (stretch 80)",
    });
    lines.push(Line {
        name: "different certificates checked (600 us each, once per root)".into(),
        figure: checker.certificates_count().to_string(),
        floor: "-".into(),
        ratio: "-".into(),
        target: "-",
    });
    subject.stop().await?;
    Ok(lines)
}

async fn update_load(
    subject: &Subject,
    checker: &Checker,
    requests: Vec<Request>,
    clients: usize,
    duration: Duration,
) -> Measured {
    let checker = checker.clone();
    load::run(&subject.urls, requests, clients, duration, move |id, body| checker.reply(id, body)).await
}

async fn query_load(subject: &Subject, requests: Vec<Request>, clients: usize, duration: Duration) -> Measured {
    load::run(&subject.urls[..1], requests, clients, duration, |_, body| {
        #[derive(serde::Deserialize)]
        struct Answer {
            status: String,
        }
        let answer: Answer = mains_wire::decode(body).map_err(|error| error.to_string())?;
        if answer.status == "replied" { Ok(()) } else { Err(answer.status) }
    })
    .await
}

fn failed(what: &str, measured: &Measured) {
    if let Some((count, reason)) = &measured.failures {
        eprintln!("  {what}: {count} requests failed, the first: {reason}");
    }
}
