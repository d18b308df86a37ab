//! The network under strain: a replica less, ten times too many clients, hostile ones. Figures beside the quiet network's
//! of the same run. Nothing here gates a test.

use crate::{
    load::{self, Checker, Request, Signer},
    progress,
    report::{Line, ratio, time},
    slow_disk,
    subject::Subject,
};
use anyhow::{Context as _, Result};
use candid::Encode;
use mains_types::CanisterId;
use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Clients whose latency is watched.
const WATCHED: usize = 16;
/// Clients among whose numbers is the one that gets the most out of the network; then ten times as many come.
const PEAKS: [usize; 3] = [256, 512, 1_024];
const OVERLOAD: usize = 10;
/// How long a client waits for an answer before it asks another replica.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a call may take with all its repetitions.
const GIVE_UP: Duration = Duration::from_secs(30);
/// The replica that is lost.
const LOST: usize = 3;
/// Sockets of the hostile clients, and how fast they drip.
const SOCKETS: usize = 2_000;
const DRIP: Duration = Duration::from_millis(100);

/// One call that ended.
struct Call {
    /// When it was sent, since the measurement began.
    at: Duration,
    latency: Duration,
    /// Times it was sent again.
    retries: usize,
    failed: Option<String>,
}

/// What a number of clients saw.
struct Seen {
    calls: Vec<Call>,
    elapsed: Duration,
}

impl Seen {
    fn latencies(&self, from: Duration) -> Vec<Duration> {
        let good = self.calls.iter().filter(|call| call.failed.is_none() && call.at >= from);
        let mut latencies: Vec<Duration> = good.map(|call| call.latency).collect();
        latencies.sort_unstable();
        latencies
    }

    fn quantile(&self, from: Duration, share: f64) -> Duration {
        let latencies = self.latencies(from);
        let index = (latencies.len().saturating_sub(1) as f64 * share).round() as usize;
        latencies.get(index).copied().unwrap_or_default()
    }

    fn rate(&self) -> f64 {
        self.latencies(Duration::ZERO).len() as f64 / self.elapsed.as_secs_f64()
    }

    fn failed(&self) -> usize {
        let failed: Vec<&String> = self.calls.iter().filter_map(|call| call.failed.as_ref()).collect();
        if let Some(first) = failed.first() {
            progress(&format!("{} calls failed, the first: {first}", failed.len()));
        }
        failed.len()
    }

    fn retries(&self) -> usize {
        self.calls.iter().map(|call| call.retries).sum()
    }

    /// From when on no half second has a p99 above `limit`.
    fn calm_after(&self, limit: Duration) -> Duration {
        let mut windows: BTreeMap<u128, Vec<Duration>> = BTreeMap::new();
        for call in &self.calls {
            windows.entry(call.at.as_millis() / 500).or_default().push(call.latency);
        }
        windows.values_mut().for_each(|latencies| latencies.sort_unstable());
        let p99 = |latencies: &[Duration]| latencies[(latencies.len() - 1) * 99 / 100];
        let last = windows.iter().rev().find(|(_, latencies)| p99(latencies) > limit).map(|(window, _)| *window);
        last.map_or(Duration::ZERO, |window| Duration::from_millis((window as u64 + 1) * 500))
    }
}

/// Calls as clients make them: to a replica, and on to the next one, where they stay, if it fails or is silent; what it is told to
/// wait it waits.
struct Clients {
    urls: Vec<String>,
    signer: Arc<Signer>,
    checker: Checker,
    canister: CanisterId,
}

impl Clients {
    async fn run(&self, clients: usize, first: &[usize], duration: Duration) -> Seen {
        // One for all: what each of them reads of certificate authorities would take longer than the measurement.
        let http = reqwest::Client::builder().pool_max_idle_per_host(clients).build().expect("a client");
        let began = Instant::now();
        let workers: Vec<_> = (0..clients)
            .map(|client| {
                let (mut replica, http) = (first[client % first.len()], http.clone());
                let (urls, signer, checker) = (self.urls.clone(), self.signer.clone(), self.checker.clone());
                let canister = self.canister;
                tokio::spawn(async move {
                    let argument = Encode!().expect("no argument");
                    let mut calls = Vec::new();
                    while began.elapsed() < duration {
                        let request = signer.update(canister, "inc", &argument);
                        calls.push(one(&http, &urls, &mut replica, &request, &checker, began).await);
                    }
                    calls
                })
            })
            .collect();
        let mut calls = Vec::new();
        for worker in workers {
            calls.extend(worker.await.expect("a worker does not panic"));
        }
        Seen { calls, elapsed: began.elapsed() }
    }
}

async fn one(
    http: &reqwest::Client,
    urls: &[String],
    replica: &mut usize,
    request: &Request,
    checker: &Checker,
    began: Instant,
) -> Call {
    let (at, sent) = (began.elapsed(), Instant::now());
    let mut retries = 0;
    loop {
        let check = |id: &_, body: &[u8]| checker.reply(id, body);
        let tried = tokio::time::timeout(PATIENCE, load::send(http, &urls[*replica], request, &check)).await;
        let reason = match tried {
            Ok(Ok(())) => return Call { at, latency: sent.elapsed(), retries, failed: None },
            Ok(Err(reason)) => reason,
            Err(_) => "no answer".to_owned(),
        };
        if sent.elapsed() > GIVE_UP {
            return Call { at, latency: sent.elapsed(), retries, failed: Some(reason) };
        }
        retries += 1;
        if reason.starts_with("HTTP 429") {
            // What Retry-After says.
            tokio::time::sleep(Duration::from_secs(1)).await;
        } else {
            *replica = (*replica + 1) % urls.len();
        }
    }
}

/// All measurements, or only that of a slow disk.
pub(crate) async fn measure(duration: Duration, only_slow_disk: bool) -> Result<Vec<Line>> {
    progress("starts four replicas");
    let mut subject = Subject::start().await?;
    let clients = Clients {
        urls: subject.urls.clone(),
        signer: Arc::new(Signer::new([12; 32])),
        checker: Checker::new(subject.client.root_key()).context("no root key")?,
        canister: subject.counter().await?,
    };
    let mut lines = Vec::new();
    clients.run(WATCHED, &[0, 1, 2, 3], Duration::from_secs(2)).await;
    progress("quiet: all four replicas, nobody hostile");
    let quiet = clients.run(WATCHED, &[0, 1, 2, 3], duration).await;
    let p99 = quiet.quantile(Duration::ZERO, 0.99);
    lines.push(line(
        format!("update, {WATCHED} clients, nothing wrong, p50 / p99"),
        format!("{} / {}", time(quiet.quantile(Duration::ZERO, 0.5)), time(p99)),
        "-".into(),
        "-".into(),
        "-",
    ));

    if !only_slow_disk {
        hostile(&subject, &clients, duration, p99, &mut lines).await?;
        overload(&subject, &clients, duration, &mut lines).await?;
        one_down(&mut subject, &clients, duration, p99, &mut lines).await?;
    }
    one_slow(&mut subject, &clients, duration, p99, &mut lines).await?;
    subject.stop().await?;
    Ok(lines)
}

fn line(name: String, figure: String, floor: String, ratio: String, target: &'static str) -> Line {
    Line { name, figure, floor, ratio, target }
}

/// A replica is lost in the middle of the load; clients at it move on to others.
async fn one_down(
    subject: &mut Subject,
    clients: &Clients,
    duration: Duration,
    p99: Duration,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let duration = duration.max(Duration::from_secs(8)) * 2;
    for (what, is_killed) in [("killed", true), ("paused", false)] {
        progress(&format!("one replica {what}"));
        let load = clients.run(WATCHED, &[0, 1, 2, 3], duration);
        let lose = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            if is_killed { subject.kill(LOST).await } else { subject.pause(LOST, true) }
        };
        let (seen, lost) = tokio::join!(load, lose);
        lost?;
        let longest = seen.latencies(Duration::ZERO).last().copied().unwrap_or_default();
        let calm = seen.calm_after(p99 * 2).saturating_sub(Duration::from_secs(2));
        // As long as clients know that it is gone.
        let after = clients.run(WATCHED, &[0, 1, 2], duration / 2).await;
        let after_p99 = after.quantile(Duration::ZERO, 0.99);
        lines.push(line(
            format!("one replica {what}: calls that failed, sent again"),
            format!("{} of {}, {}", seen.failed(), seen.calls.len(), seen.retries()),
            "-".into(),
            "-".into(),
            "0 failed",
        ));
        lines.push(line(
            format!("one replica {what}: the longest call; p99 within 2x again after"),
            format!("{}; {}", time(longest), time(calm)),
            "leader timeout 1.2 s".into(),
            ratio(calm.as_secs_f64(), 1.2),
            "2 view timeouts",
        ));
        lines.push(line(
            format!("one replica {what}: p99 afterwards"),
            time(after_p99),
            format!("all four {}", time(p99)),
            ratio(after_p99.as_secs_f64(), p99.as_secs_f64()),
            "2x",
        ));
        if is_killed {
            subject.restart(LOST).await?
        } else {
            subject.pause(LOST, false)?
        }
        subject.ready().await?;
    }
    Ok(())
}

/// The disk of one replica takes longer for every sync from the middle of the load on, and then no longer; clients call the others.
async fn one_slow(
    subject: &mut Subject,
    clients: &Clients,
    duration: Duration,
    p99: Duration,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let duration = duration.max(Duration::from_secs(10));
    let node = subject.node_dir(LOST).to_owned();
    subject.kill(LOST).await?;
    if !slow_disk::prepare(&node, subject.directory())? {
        progress("no C compiler: a slow disk is not measured");
        return subject.restart(LOST).await;
    }
    subject.restart(LOST).await?;
    progress("one replica's disk slow");
    let others = [0, 1, 2];
    let before = clients.run(WATCHED, &others, duration).await.rate();
    let load = clients.run(WATCHED, &others, duration * 2);
    let slow = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        slow_disk::switch(&node, true)
    };
    let (seen, slowed) = tokio::join!(load, slow);
    slowed?;
    let longest = seen.latencies(Duration::ZERO).last().copied().unwrap_or_default();
    let calm = seen.calm_after(p99 * 2).saturating_sub(Duration::from_secs(2));
    let after = clients.run(WATCHED, &others, duration).await;
    let own = clients.run(WATCHED, &[LOST], duration).await;
    slow_disk::switch(&node, false)?;
    subject.ready().await?;
    let healed = clients.run(WATCHED, &[0, 1, 2, 3], duration).await;
    let slower = slow_disk::SLOWER_MS;
    lines.push(line(
        format!("one disk {slower} ms slower a sync, calls at the others: failed, sent again"),
        format!("{} of {}, {}", seen.failed(), seen.calls.len(), seen.retries()),
        "-".into(),
        "-".into(),
        "0 failed",
    ));
    lines.push(line(
        "one disk slow: the longest call; p99 within 2x again after".into(),
        format!("{}; {}", time(longest), time(calm)),
        "leader timeout 1.2 s".into(),
        ratio(calm.as_secs_f64(), 1.2),
        "2 view timeouts",
    ));
    let after_p99 = after.quantile(Duration::ZERO, 0.99);
    lines.push(line(
        format!("one disk slow: p50 / p99 afterwards ({:.0} calls/s)", after.rate()),
        format!("{} / {}", time(after.quantile(Duration::ZERO, 0.5)), time(after_p99)),
        format!("all four {} ({before:.0} calls/s)", time(p99)),
        ratio(after_p99.as_secs_f64(), p99.as_secs_f64()),
        "2x",
    ));
    lines.push(line(
        format!("one disk slow: clients of that replica, p50 / p99 ({:.0} calls/s)", own.rate()),
        format!("{} / {}", time(own.quantile(Duration::ZERO, 0.5)), time(own.quantile(Duration::ZERO, 0.99))),
        format!("{} failed, {} of {} sent again", own.failed(), own.retries(), own.calls.len()),
        "-".into(),
        "0 failed",
    ));
    lines.push(line(
        format!("the disk well again: p50 / p99, clients of all four ({:.0} calls/s)", healed.rate()),
        format!("{} / {}", time(healed.quantile(Duration::ZERO, 0.5)), time(healed.quantile(Duration::ZERO, 0.99))),
        format!("all four {}", time(p99)),
        ratio(healed.quantile(Duration::ZERO, 0.99).as_secs_f64(), p99.as_secs_f64()),
        "-",
    ));
    Ok(())
}

/// Ten times the clients that the network is fastest with.
async fn overload(subject: &Subject, clients: &Clients, duration: Duration, lines: &mut Vec<Line>) -> Result<()> {
    let mut peak = (0, 0.0);
    for count in PEAKS {
        progress(&format!("{count} clients"));
        let rate = clients.run(count, &[0, 1, 2, 3], duration).await.rate();
        if rate > peak.1 {
            peak = (count, rate);
        }
    }
    let many = OVERLOAD * peak.0;
    let before = subject.memory_bytes()?;
    progress("ten times as many");
    let over = clients.run(many, &[0, 1, 2, 3], duration).await;
    let memory = subject.memory_bytes()?;
    lines.push(line(
        format!("updates/s, {many} clients ({} sent again, {} failed)", over.retries(), over.failed()),
        format!(
            "{:.0} (p50 {}, p99 {})",
            over.rate(),
            time(over.quantile(Duration::ZERO, 0.5)),
            time(over.quantile(Duration::ZERO, 0.99))
        ),
        format!("at best, {} clients {:.0}", peak.0, peak.1),
        ratio(over.rate(), peak.1),
        "0.8x",
    ));
    lines.push(line(
        format!("memory of a replica after {many} clients"),
        format!("{} MB", memory / 1_000_000),
        format!("before {} MB", before / 1_000_000),
        ratio(memory as f64, before as f64),
        "bounded",
    ));
    let calm = clients.run(WATCHED, &[0, 1, 2, 3], duration).await;
    lines.push(line(
        format!("update, {WATCHED} clients, right after that, p99"),
        time(calm.quantile(Duration::ZERO, 0.99)),
        "-".into(),
        "-".into(),
        "-",
    ));
    Ok(())
}

/// Idle sockets, heads and bodies that drip, bodies that are never sent, connections made and dropped: all at one replica.
async fn hostile(
    subject: &Subject,
    clients: &Clients,
    duration: Duration,
    p99: Duration,
    lines: &mut Vec<Line>,
) -> Result<()> {
    progress("hostile clients");
    let before = subject.memory_bytes()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let host = clients.urls[0].trim_start_matches("http://").to_owned();
    let path = format!("/api/v4/canister/{}/call", clients.canister);
    let attack = std::thread::spawn({
        let is_over = is_over.clone();
        move || attack(&host, &path, &is_over)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = clients.run(WATCHED, &[0], duration).await;
    is_over.store(true, Ordering::Relaxed);
    let sockets = attack.join().expect("the attack does not panic");
    let attacked = seen.quantile(Duration::ZERO, 0.99);
    let alone = clients.run(WATCHED, &[0], duration).await.quantile(Duration::ZERO, 0.99);
    lines.push(line(
        format!(
            "update, {WATCHED} clients at a replica with {sockets} hostile sockets, p99 ({} failed)",
            seen.failed()
        ),
        time(attacked),
        format!("same replica alone {}, all four {}", time(alone), time(p99)),
        ratio(attacked.as_secs_f64(), alone.as_secs_f64()),
        "2x",
    ));
    let memory = subject.memory_bytes()?;
    lines.push(line(
        "memory of that replica".into(),
        format!("{} MB", memory / 1_000_000),
        format!("before {} MB", before / 1_000_000),
        ratio(memory as f64, before as f64),
        "bounded",
    ));
    Ok(())
}

/// Keeps sockets of every hostile kind open, and replaces those that are closed; answers how many it made.
fn attack(host: &str, path: &str, is_over: &AtomicBool) -> usize {
    let starts: [String; 4] = [
        String::new(),
        "GET / HTTP/1.1\r\nhost: x\r\n".into(),
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n", "y".repeat(100_000)),
    ];
    let mut sockets: Vec<Option<TcpStream>> = (0..SOCKETS).map(|_| None).collect();
    let mut made = 0;
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        for (index, socket) in sockets.iter_mut().enumerate() {
            let start = &starts[index % starts.len()];
            let is_alive = socket.as_mut().is_some_and(|stream| start.is_empty() || stream.write_all(b"z").is_ok());
            if !is_alive {
                *socket = TcpStream::connect(host).ok();
                made += 1;
                if let Some(stream) = socket {
                    let _ = stream.set_nonblocking(true).and_then(|()| stream.write_all(start.as_bytes()));
                }
            }
        }
        std::thread::sleep(DRIP.saturating_sub(began.elapsed()));
    }
    made
}
