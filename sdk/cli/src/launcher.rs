//! The network launcher role: what `icp network start` runs when `ICP_CLI_NETWORK_LAUNCHER_PATH` names this binary.
//!
//! A first argument `--interface-version` switches into it. Starts a test network of four replicas in the state
//! directory, as `mains testnet up` does, the first replica's API on the gateway port; says so in `status.json`; ends it on
//! SIGINT or SIGTERM. Replicas end with this process even if it is killed. Spec: `specs/interface.md`.

mod arguments;

use crate::{
    commands::interrupted,
    context, on_runtime,
    terminal::{self, note},
};
use anyhow::{Context as _, Result};
use arguments::Arguments;
use mains_client::{Client, identity};
use mains_local::Testnet;
use serde::Serialize;
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    process::ExitCode,
    time::Duration,
};

/// Id of the first canister that a test network creates without being told an id; tools send requests to create
/// canisters there.
const FIRST_CANISTER: &str = "rwlgt-iiaaa-aaaaa-aaaaa-cai";
/// How often replicas that ended by themselves are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// What `icp` reads once the network is up: one line of JSON.
#[derive(Serialize)]
struct Status {
    /// Version of this form.
    v: &'static str,
    gateway_port: u16,
    /// DER in hex.
    root_key: String,
    default_effective_canister_id: &'static str,
    supported_features: [&'static str; 0],
}

/// Whether this process was started as a launcher.
pub(crate) fn is_asked_for(first_argument: Option<OsString>) -> bool {
    first_argument.is_some_and(|first| {
        let flag = first.as_encoded_bytes().split(|byte| *byte == b'=').next();
        flag == Some(OsStr::new("--interface-version").as_encoded_bytes())
    })
}

/// Runs the network until it is told to stop.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match on_runtime(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    arguments.remarks().iter().for_each(note);
    let binary = context::binary()?;
    let mut testnet = Testnet::open_or_create_at(&arguments.state_dir, &binary, arguments.gateway()).await?;
    testnet.end_with_this_process();
    let served = tokio::select! {
        ended = serve(&mut testnet, arguments.status_dir.as_deref()) => ended,
        () = interrupted() => Ok(()),
    };
    testnet.stop_all().await?;
    served
}

/// Serves until something fails.
async fn serve(testnet: &mut Testnet, status_dir: Option<&Path>) -> Result<()> {
    start(testnet, status_dir).await?;
    Err(first_ends(testnet).await)
}

/// Starts the replicas, and tells once they serve clients.
async fn start(testnet: &mut Testnet, status_dir: Option<&Path>) -> Result<()> {
    testnet.start_all()?;
    testnet.ready().await?;
    let api = testnet.replicas()[0].api.clone();
    let client = Client::connect(&api, identity::anonymous()).await?;
    let status = Status {
        v: "1",
        gateway_port: testnet.api_port(),
        root_key: hex::encode(client.root_key()),
        default_effective_canister_id: FIRST_CANISTER,
        supported_features: [],
    };
    if let Some(dir) = status_dir {
        let path = dir.join("status.json");
        let line = format!("{}\n", serde_json::to_string(&status)?);
        fs::create_dir_all(dir)
            .and_then(|()| fs::write(&path, line))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    note(format_args!("{} replicas serve; gateway and status page: {api}/", testnet.replicas().len()));
    Ok(())
}

/// Reports replicas that end by themselves; answers when the first one, which is the gateway, has.
async fn first_ends(testnet: &Testnet) -> anyhow::Error {
    let mut has_ended = vec![false; testnet.replicas().len()];
    loop {
        for (index, replica) in testnet.replicas().iter().enumerate() {
            if testnet.pid(index).is_none() && !std::mem::replace(&mut has_ended[index], true) {
                let text = format!("replica {index} stopped: see {}", replica.log().display());
                if index == 0 {
                    return anyhow::anyhow!("{text}. It was the gateway, so the network ends; start it again to go on");
                }
                note(text);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_argument_alone_switches_the_role() {
        for (first, expected) in [
            (Some("--interface-version"), true),
            (Some("--interface-version=1.0.0"), true),
            (Some("--interface-versions"), false),
            (Some("testnet"), false),
            (None, false),
        ] {
            assert_eq!(is_asked_for(first.map(OsString::from)), expected, "{first:?}");
        }
    }
}
