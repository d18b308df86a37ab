//! `mains demo`: a whole network at work in one command, each claim checked before its tick is printed.

mod stage;
mod steps;

use crate::{
    args::DemoArguments,
    commands::interrupted,
    context::{self, Context},
    home::ANONYMOUS,
    terminal::{self, Colour},
};
use anyhow::{Context as _, Result, bail};
use mains_client::identity;
use mains_local::{Options, Testnet};
use stage::Stage;
use std::path::PathBuf;
use steps::Demo;

/// Replicas of the demo: the fewest that tolerate one that fails in any way.
const NODES: usize = 4;

/// Runs the demo. With `--exit` everything is stopped at the end; fails unless every step held.
pub(crate) async fn run(context: Context, arguments: DemoArguments) -> Result<()> {
    let (dir, scratch) = directory(arguments.dir)?;
    let local_before = context.home.local();
    let options = Options {
        dir: dir.clone(),
        binary: context::binary()?,
        nodes: Some(NODES),
        api_port: arguments.port,
        require_publisher_signature: None,
        links: None,
    };
    let mut testnet = Testnet::create(&options)?;
    testnet.end_with_this_process();
    let mut stage = Stage::begin();
    let shown = tokio::select! {
        shown = show(&context, &mut testnet, &mut stage) => shown,
        () = interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    if shown.is_ok() {
        stage.end();
        if !arguments.exit {
            next_steps(&context, &testnet)?;
            interrupted().await;
        }
    }
    let stopped = testnet.stop_all().await;
    // The logs of a demo that failed are worth more than a clean temporary directory.
    match scratch {
        Some(scratch) if shown.is_err() => {
            terminal::note(format_args!("The replicas' files and logs stay in {}", scratch.keep().display()));
        }
        Some(scratch) => {
            drop(scratch);
            // This network's directory is gone; another network may have become the local one meanwhile.
            if context.home.local() == dir {
                let _ = context.home.set_local(&local_before);
            }
        }
        None => {}
    }
    shown.and(stopped.map_err(Into::into))
}

async fn show(context: &Context, testnet: &mut Testnet, stage: &mut Stage) -> Result<()> {
    // A demo must not fail for want of a home directory: then nobody in particular signs.
    let signer = context.identity().unwrap_or_else(|_| identity::anonymous());
    let mut demo = Demo::start(testnet, signer, stage).await?;
    demo.deploy(stage).await?;
    demo.use_it(stage).await?;
    demo.trap(stage).await?;
    demo.lose_a_replica(stage).await?;
    demo.bill(stage).await?;
    // Names and the choice of network are a comfort for what comes after.
    let _ = context.home.set_local(demo.testnet_dir());
    let _ = context.home.set_name(demo.root_key(), "counter", &demo.canister().to_text());
    Ok(())
}

/// The directory that was asked for, or a fresh temporary one that is removed in the end.
fn directory(asked: Option<PathBuf>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(dir) = asked {
        return Ok((dir, None));
    }
    let scratch = tempfile::Builder::new().prefix("mains-demo-").tempdir().with_context(|| {
        format!("cannot write to {}: choose another directory with --dir", std::env::temp_dir().display())
    })?;
    Ok((scratch.path().to_owned(), Some(scratch)))
}

fn next_steps(context: &Context, testnet: &Testnet) -> Result<()> {
    let program = std::env::args().next().unwrap_or_else(|| "mains".into());
    let Some(first) = testnet.replicas().first() else { bail!("the test network has no replicas") };
    terminal::line("");
    terminal::line(format_args!("  {}  {}/", terminal::coloured(Colour::Bold, "Status page"), first.api));
    terminal::line(format_args!("  {}  in another terminal:", terminal::coloured(Colour::Bold, "Go on")));
    for command in [
        "call counter inc --save-proof proof.json",
        "verify proof.json",
        "bill counter",
        "testnet status",
        "testnet kill 2",
        "deploy my.wasm --name mine",
    ] {
        terminal::line(format_args!("    {program} {command}"));
    }
    if context.home.identity() == ANONYMOUS {
        terminal::line("  Make a key of your own with `mains identity new NAME`.");
    }
    terminal::line("");
    terminal::line("  Ctrl-C stops the network.");
    Ok(())
}
