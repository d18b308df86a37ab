//! `mains testnet …`.

use crate::{
    args::TestnetCommand,
    context::{self, Context},
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result};
use mains_local::{ChaosOptions, DEFAULT_NODES, Links, LocalError, Options, ReplicaStatus, RequiredSignature, Testnet};
use mains_operator::Member;
use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub(crate) async fn run(context: Context, command: TestnetCommand) -> Result<()> {
    match command {
        TestnetCommand::Up { nodes, dir, port, detach, require_publisher_signature, publisher } => {
            let options = Options {
                dir: dir.unwrap_or_else(|| context.home.testnet()),
                binary: context::binary()?,
                nodes,
                api_port: port,
                require_publisher_signature: required(require_publisher_signature, &publisher)?,
                links: None,
            };
            up(&context, &options, detach).await
        }
        TestnetCommand::Invite { network, members, storage_gib, out } => {
            invite(&context, &network, &members, storage_gib << 30, &out)
        }
        TestnetCommand::Chaos { minutes, seed, dir, port, no_partitions, in_own_network } => {
            if !no_partitions && !in_own_network {
                move_to_own_network(&context);
            }
            chaos(&context, minutes, seed, dir, port, in_own_network).await
        }
        TestnetCommand::Status(dir) => {
            let testnet = open(&context, dir.dir)?;
            print(&context, &testnet.status().await);
            Ok(())
        }
        TestnetCommand::Stop(dir) => {
            let mut testnet = open(&context, dir.dir)?;
            testnet.stop_all().await?;
            context.note(format_args!("stopped; continue with `mains testnet up --dir {}`", testnet.dir().display()));
            Ok(())
        }
        TestnetCommand::Kill { index, dir } => {
            let mut testnet = open(&context, dir.dir)?;
            testnet.kill(index).await?;
            context.note(format_args!("killed replica {index}; start it again with `mains testnet restart {index}`"));
            Ok(())
        }
        TestnetCommand::Restart { index, dir } => {
            let mut testnet = open(&context, dir.dir)?;
            // An unresponsive process would keep the data directory locked.
            testnet.kill(index).await?;
            testnet.start(index)?;
            let waiting = terminal::spinner(format!("replica {index} catches up "));
            let replicas = testnet.ready().await;
            waiting.finish_and_clear();
            print(&context, &replicas?);
            Ok(())
        }
    }
}

/// Whose modules were asked for.
fn required(is_asked: bool, publishers: &[String]) -> Result<Option<RequiredSignature>> {
    if publishers.is_empty() {
        return Ok(is_asked.then_some(RequiredSignature::Anybody));
    }
    Ok(Some(RequiredSignature::OneOf(publishers.iter().map(|text| context::publisher(text)).collect::<Result<_>>()?)))
}

async fn up(context: &Context, options: &Options, detach: bool) -> Result<()> {
    let mut testnet = Testnet::open_or_create(options)?;
    if !detach {
        testnet.end_with_this_process();
    }
    let waiting = terminal::spinner("replicas start and find each other ");
    let ready = tokio::select! {
        ready = start(&mut testnet) => ready.map(Some),
        () = interrupted() => Ok(None),
    };
    waiting.finish_and_clear();
    let replicas = match ready {
        Ok(Some(replicas)) => replicas,
        Ok(None) => return Ok(testnet.stop_all().await?),
        Err(error) => {
            testnet.stop_all().await?;
            return Err(error.into());
        }
    };
    context.home.set_local(testnet.dir())?;
    print(context, &replicas);
    if detach {
        context.note("It runs on in the background: see `mains testnet status`, end it with `mains testnet stop`.");
        return Ok(());
    }
    context.note(format_args!("Status page: {}/   Ctrl-C stops the network.", testnet.replicas()[0].api));
    interrupted().await;
    context.note("stopping");
    Ok(testnet.stop_all().await?)
}

/// Runs this command again in a network of its own, where replicas can be cut off; comes back if there is no such thing here.
fn move_to_own_network(context: &Context) {
    let again = mains_local::in_own_network().map_err(anyhow::Error::from).and_then(|mut command| {
        command.arg(context::binary()?).args(std::env::args_os().skip(1)).arg("--in-own-network");
        Err(command.exec().into())
    });
    if let Err::<(), _>(error) = again {
        context.note(format_args!("no partitions: {error}"));
    }
}

async fn chaos(
    context: &Context,
    minutes: f64,
    seed: Option<u64>,
    dir: Option<PathBuf>,
    api_port: Option<u16>,
    has_links: bool,
) -> Result<()> {
    let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let seed = seed.unwrap_or_else(|| clock() as u64);
    let temporary = if dir.is_some() { None } else { Some(tempfile::tempdir()?) };
    let dir = dir.unwrap_or_else(|| temporary.as_ref().map_or(PathBuf::new(), |made| made.path().join("testnet")));
    let binary = context::binary()?;
    let links = if has_links { Some(Arc::new(Links::new(DEFAULT_NODES)?)) } else { None };
    let testnet = Options { dir, binary, nodes: None, api_port, require_publisher_signature: None, links };
    let duration = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes must be a positive number")?;
    context.note(format_args!("seed {seed}"));
    let options = ChaosOptions { testnet, duration, seed };
    let report = tokio::select! {
        report = mains_local::chaos(&options, |step| context.note(step)) => report,
        () = interrupted() => anyhow::bail!("interrupted"),
    };
    let report = match (report, temporary) {
        (Ok(report), _) => report,
        (Err(error), None) => return Err(error.into()),
        // What happened can be looked at.
        (Err(error), Some(made)) => return Err(anyhow::anyhow!("{error} (files: {})", made.keep().display())),
    };
    if context.is_json() {
        terminal::json(&report);
        return Ok(());
    }
    terminal::line(format_args!(
        "{} SIGKILLs ({} single, {} of all four at once), {} pauses, {} partitions; {} operations answered, {} not; {} in the logs",
        report.processes_killed(4),
        report.kills,
        report.blackouts,
        report.pauses,
        report.partitions,
        report.answered,
        report.unanswered,
        report.logged
    ));
    terminal::line(format_args!(
        "every history is linearizable; all replicas agree at height {}; longest silence {} ms",
        terminal::group(report.height),
        report.longest_silence_ms
    ));
    Ok(())
}

fn invite(context: &Context, network: &str, members: &[String], storage_bytes: u64, out: &Path) -> Result<()> {
    let members = members.iter().map(|text| member(text)).collect::<Result<Vec<_>>>()?;
    for path in mains_operator::invite(out, network, members, storage_bytes)? {
        terminal::line(path.display());
    }
    context
        .note("Hand each file to the operator of the node whose key is its name; it holds that node's secret share.");
    Ok(())
}

fn member(text: &str) -> Result<Member> {
    let (key, address) = text.split_once('@').map_or((text, None), |(key, address)| (key, Some(address)));
    let public_key = hex::decode(key).ok().and_then(|bytes| bytes.try_into().ok());
    let public_key = public_key
        .with_context(|| format!("`{key}` is no public key: give the 64 hex digits that `mains node init` printed"))?;
    let address = address.map(Member::parse_address).transpose().map_err(anyhow::Error::msg)?;
    Ok(Member { public_key, address })
}

async fn start(testnet: &mut Testnet) -> Result<Vec<ReplicaStatus>, LocalError> {
    testnet.start_all()?;
    testnet.ready().await
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn open(context: &Context, dir: Option<PathBuf>) -> Result<Testnet> {
    Ok(Testnet::open(&dir.unwrap_or_else(|| context.home.local()), &context::binary()?)?)
}

fn print(context: &Context, replicas: &[ReplicaStatus]) {
    if context.is_json() {
        return terminal::json(&replicas);
    }
    let heading = ["", "NODE", "PID", "API", "STATE", "FINALIZED", "CERTIFIED", "STATE ROOT", "PEERS"];
    let rows = replicas.iter().map(|replica| {
        let report = replica.report.as_ref();
        let height = |height: Option<u64>| height.map_or("-".into(), terminal::group);
        vec![
            replica.index.to_string(),
            short(&replica.node_id),
            replica.pid.map_or("-".into(), |pid| pid.to_string()),
            replica.api.clone(),
            state(replica),
            height(report.map(|report| report.finalized_height)),
            height(report.map(|report| report.certified_height)),
            report.map_or("-".into(), |report| report.state_root.chars().take(12).collect()),
            format!("{}/{}", replica.connected_count(), replicas.len() - 1),
        ]
    });
    terminal::table(&std::iter::once(heading.map(String::from).to_vec()).chain(rows).collect::<Vec<_>>());
    let reports = replicas.iter().filter_map(|replica| replica.report.as_ref());
    if let Some(report) = reports.max_by_key(|report| report.certified_height) {
        context.note(format_args!("protocol {}", report.protocol()));
    }
    for reason in replicas.iter().filter_map(|replica| Some((replica.index, replica.report.as_ref()?.reason.as_ref()?)))
    {
        context.note(terminal::coloured(Colour::Grey, &format!("replica {}: {}", reason.0, reason.1)));
    }
}

fn state(replica: &ReplicaStatus) -> String {
    match (&replica.pid, &replica.report) {
        (None, _) => "stopped",
        (Some(_), None) if replica.is_slow => "busy",
        (Some(_), None) => "starting",
        (Some(_), Some(report)) if report.healthy => "serving",
        (Some(_), Some(_)) => "catching up",
    }
    .into()
}

/// The first group of an id, enough to tell nodes apart.
fn short(id: &str) -> String {
    id.split('-').next().unwrap_or(id).to_owned()
}
