//! `mains node …`: one replica as its operator sees it.

mod journal;

use crate::{
    args::{BackupCommand, NodeCommand, NodeInit, NodeRestore, NodeUp, Output},
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, bail};
use mains_client::{Client, identity, report::NodeReport};
use mains_operator::{
    BackupReport, InitOptions, NodeDir, RestoreOptions, RunFile,
    doctor::{self, Finding, Severity},
};
use serde::Serialize;
use std::{path::Path, time::Duration};

/// How long a running node may take to report.
const REPORT: Duration = Duration::from_secs(5);
/// Block time that lies this far behind this machine's clock shows that the clock, or the network, is off.
const CLOCK_WARNING: Duration = Duration::from_secs(5);

/// Runs the node until SIGINT or SIGTERM. The node makes its own runtime, so this is called outside of any.
pub(crate) fn up(arguments: &NodeUp) -> Result<()> {
    if arguments.own_session {
        mains_local::own_session();
    }
    if arguments.end_with_parent {
        mains_local::end_with_parent();
    }
    Ok(mains_operator::run(&arguments.dir)?)
}

/// All other commands.
pub(crate) async fn run(command: NodeCommand, output: Output, quiet: bool) -> Result<()> {
    match command {
        NodeCommand::Init(arguments) => init(arguments, output, quiet),
        NodeCommand::Up(arguments) => up(&arguments),
        NodeCommand::Status { dir } => status(&dir, output).await,
        NodeCommand::Backup { check: Some(BackupCommand::Verify { file, root_key }), .. } => {
            verify_backup(&file, root_key.as_deref(), output, quiet)
        }
        NodeCommand::Backup { check: None, dir, to, keys } => {
            let (dir, to) = (dir.context("--dir is missing")?, to.context("--to is missing")?);
            show_backup(&mains_operator::backup(&dir, &to, keys)?, "backed up", output);
            Ok(())
        }
        NodeCommand::Restore(arguments) => restore(&arguments, output, quiet),
        NodeCommand::Doctor { dir } => doctor(&dir, output).await,
        NodeCommand::Earnings { .. } => unreachable!("asks a network, not a node: see `commands::run`"),
        NodeCommand::Journal(command) => journal::run(command, output).await,
    }
}

fn init(arguments: NodeInit, output: Output, quiet: bool) -> Result<()> {
    let NodeInit { dir, join, api, listen, seal, passphrase_file } = arguments;
    let made = mains_operator::init(&dir, &InitOptions { api, listen, seal, passphrase_file, join })?;
    if output == Output::Json {
        terminal::json(&made);
        return Ok(());
    }
    terminal::line(format_args!("node        {}", made.node_id));
    terminal::line(format_args!("public key  {}", made.public_key));
    terminal::line(format_args!("keys        {}", if made.sealed { "sealed with a passphrase" } else { "not sealed" }));
    terminal::line(format_args!("network     {}", made.network.as_deref().unwrap_or("none yet")));
    let dir = dir.display();
    if !quiet {
        terminal::note(match made.network {
            Some(_) => format!(
                "Start it with `mains node up --dir {dir}`; `mains node doctor --dir {dir}` looks for what could go wrong."
            ),
            None => format!(
                "Give the public key to whoever makes the network (`mains testnet invite`), then: mains node init --dir {dir} --join INVITATION"
            ),
        });
    }
    Ok(())
}

fn verify_backup(file: &Path, root_key: Option<&str>, output: Output, quiet: bool) -> Result<()> {
    let trusted = root_key.map(decode_root_key).transpose()?;
    let report = mains_operator::verify_backup(file, trusted.as_deref())?;
    show_backup(&report, "whole", output);
    if trusted.is_none() && output != Output::Json && !quiet {
        terminal::note(
            "The root key comes from the file itself: compare it, or give the one you trust with --root-key.",
        );
    }
    Ok(())
}

fn restore(arguments: &NodeRestore, output: Output, quiet: bool) -> Result<()> {
    let NodeRestore { file, dir, root_key, replace } = arguments;
    let root_key = root_key.as_deref().map(decode_root_key).transpose()?;
    let report = mains_operator::restore(file, dir, &RestoreOptions { root_key, replace: *replace })?;
    show_backup(&report, "restored", output);
    if output != Output::Json && !quiet {
        terminal::note(format!(
            "Start it with `mains node up --dir {}`: it catches up, and votes as soon as it cannot contradict what it signed before.",
            dir.display()
        ));
    }
    Ok(())
}

fn decode_root_key(hex: &str) -> Result<Vec<u8>> {
    hex::decode(hex).context("--root-key is not hex: write the 266 digits that `mains` shows as root key")
}

fn show_backup(report: &BackupReport, how: &str, output: Output) {
    if output == Output::Json {
        return terminal::json(report);
    }
    terminal::line(format_args!("{how:<12}{}, {:.1} MB", report.file.display(), report.bytes as f64 / 1e6));
    terminal::line(format_args!("network     {}", report.network));
    terminal::line(format_args!("root key    {}", report.root_key));
    terminal::line(format_args!("state       height {}, root {}", terminal::group(report.height), report.state_root));
    let keys = if report.keys.is_empty() { "none".into() } else { report.keys.join(", ") };
    terminal::line(format_args!("keys        {keys}"));
}

/// A node as its operator sees it.
#[derive(Serialize)]
struct NodeStatus {
    process: Option<RunFile>,
    report: Option<NodeReport>,
    data_bytes: u64,
}

async fn status(dir: &Path, output: Output) -> Result<()> {
    let dir = NodeDir::new(dir);
    let process = doctor::running(&dir);
    let report = match &process {
        Some(process) => ask(process).await,
        None => None,
    };
    let status = NodeStatus { process, report, data_bytes: bytes_below(&dir.root().join("data")) };
    let is_serving = status.report.as_ref().is_some_and(|report| report.healthy);
    if output == Output::Json {
        terminal::json(&status);
    } else {
        for line in describe(&status) {
            terminal::line(line);
        }
    }
    match (&status.process, is_serving) {
        (_, true) => Ok(()),
        (None, _) => bail!("the node does not run: start it with `mains node up --dir {}`", dir.root().display()),
        (Some(_), false) => bail!("the node runs, but does not serve clients: {}", why(&status)),
    }
}

fn why(status: &NodeStatus) -> String {
    match &status.report {
        None => "it does not answer; `mains node doctor` looks for the reason".into(),
        Some(report) => report.reason.clone().unwrap_or_else(|| "it says no reason".into()),
    }
}

fn describe(status: &NodeStatus) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |name: &str, value: String| lines.push(format!("{name:<10}{value}"));
    if let Some(process) = &status.process {
        say("node", process.node_id.clone());
        say("process", process.pid.to_string());
        say("api", process.api.clone());
    }
    if let Some(report) = &status.report {
        let connected = report.peers.iter().filter(|peer| peer.connected).count();
        say("network", format!("{}, version {}", report.network, report.version));
        say("state", if report.healthy { "serving".into() } else { why(status) });
        say(
            "height",
            format!(
                "{} finalized, {} certified",
                terminal::group(report.finalized_height),
                terminal::group(report.certified_height)
            ),
        );
        say("protocol", report.protocol());
        say("peers", format!("{connected} of {} connected", report.peers.len()));
        if let Some(skew) = report.clock_skew_ms {
            say("clock", format!("{} ms {} the others", skew.abs(), if skew < 0 { "behind" } else { "ahead of" }));
        }
    }
    let used = format!("{:.1} MB used", status.data_bytes as f64 / 1e6);
    let disk = status.report.as_ref().map(|report| &report.disk);
    say(
        "disk",
        match disk.and_then(|disk| disk.free_bytes) {
            Some(free) => format!("{used}, {} MB free", terminal::group(free / 1_000_000)),
            None => used,
        },
    );
    if let Some(reason) = disk.and_then(|disk| disk.reason.as_ref()) {
        say("", reason.clone());
    }
    lines
}

async fn ask(process: &RunFile) -> Option<NodeReport> {
    let client = Client::trusting(&process.api, identity::anonymous(), &[]).ok()?;
    tokio::time::timeout(REPORT, client.report()).await.ok()?.ok()
}

fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

async fn doctor(dir: &Path, output: Output) -> Result<()> {
    let mut findings = doctor::examine(dir);
    if let Some(process) = doctor::running(&NodeDir::new(dir)) {
        findings.extend(live(ask(&process).await));
    } else {
        findings
            .push(Finding::good("process", "the node does not run: what only a running one knows was not looked at"));
    }
    if output == Output::Json {
        terminal::json(&findings);
    } else {
        for finding in &findings {
            show(finding);
        }
    }
    match findings.iter().filter(|finding| finding.severity == Severity::Bad).count() {
        0 => Ok(()),
        1 => bail!("one thing keeps the node from its work: see above"),
        count => bail!("{count} things keep the node from its work: see above"),
    }
}

fn show(finding: &Finding) {
    let mark = match finding.severity {
        Severity::Good => terminal::coloured(Colour::Green, "good"),
        Severity::Warning => terminal::coloured(Colour::Bold, "warn"),
        Severity::Bad => terminal::coloured(Colour::Red, "bad "),
    };
    terminal::line(format_args!("{mark}  {:<8} {}", finding.subject, finding.seen));
    if !finding.fix.is_empty() {
        terminal::line(format_args!("      fix      {}", finding.fix));
    }
}

/// What a running node says of itself.
fn live(report: Option<NodeReport>) -> Vec<Finding> {
    let Some(report) = report else {
        return vec![Finding::bad(
            "process",
            "the node runs, but does not answer",
            "see its log; if it is stuck, start it again",
        )];
    };
    let mut findings = vec![match &report.reason {
        None => Finding::good("process", format!("serves clients at height {}", report.certified_height)),
        Some(reason) => Finding::warning(
            "process",
            reason.clone(),
            "wait until it has caught up; if the height stands still, see peers and clock",
        ),
    }];
    let (connected, others) = (report.peers.iter().filter(|peer| peer.connected).count(), report.peers.len());
    let needed = (report.threshold as usize).saturating_sub(1);
    let seen = format!("{connected} of {others} other nodes connected, {needed} are needed");
    findings.push(match connected {
        count if count == others => Finding::good("peers", seen),
        count if count >= needed => {
            Finding::warning("peers", seen, "ask the operators of the others whether their nodes run")
        }
        _ => Finding::bad("peers", seen, "see that TCP and UDP at the listen port are let through, in both directions"),
    });
    findings.push(clock(&report));
    if let Some(reason) = &report.disk.reason {
        findings.push(Finding::bad("disk", reason.clone(), "make room, or move the node's directory to a larger disk"));
    }
    findings
}

fn clock(report: &NodeReport) -> Finding {
    const FIX: &str = "run a time service (chrony, systemd-timesyncd) on this machine, then start the node again";
    if let Some(skew) = report.clock_skew_ms {
        let seen =
            format!("{} ms {} the other nodes' clocks", skew.abs(), if skew < 0 { "behind" } else { "ahead of" });
        return match skew.unsigned_abs() {
            ..=250 => Finding::good("clock", seen),
            251..=5_000 => Finding::warning("clock", seen, FIX),
            _ => Finding::bad("clock", seen, FIX),
        };
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let block = Duration::from_nanos(report.time_nanos);
    let off = now.abs_diff(block);
    let seen = format!(
        "the newest certified block is {:.1} s {} this clock",
        off.as_secs_f64(),
        if block > now { "ahead of" } else { "behind" }
    );
    if off < CLOCK_WARNING { Finding::good("clock", seen) } else { Finding::warning("clock", seen, FIX) }
}
