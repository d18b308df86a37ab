//! `mains testnet …`.

use crate::{
    args::TestnetCommand,
    context::{self, Context},
    terminal::{self, Colour},
};
use anyhow::Result;
use mains_local::{LocalError, Options, ReplicaStatus, RequiredSignature, Testnet};
use std::path::PathBuf;

pub(crate) async fn run(context: Context, command: TestnetCommand) -> Result<()> {
    match command {
        TestnetCommand::Up { nodes, dir, port, detach, require_publisher_signature, publisher } => {
            let options = Options {
                dir: dir.unwrap_or_else(|| context.home.testnet()),
                binary: context::binary()?,
                nodes,
                api_port: port,
                require_publisher_signature: required(require_publisher_signature, &publisher)?,
            };
            up(&context, &options, detach).await
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
