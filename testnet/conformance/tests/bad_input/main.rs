//! Bad input of every kind that the gateway, consensus and execution meet: each gets a clear error, changes nothing, and
//! leaves all replicas alive and in agreement. `CASE=part-of-a-name` runs some of the cases.

mod canisters;
mod identities;
mod installs;
mod requests;

use anyhow::Result;
use mains_conformance::{Network, Suite, manage, modules};

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 21_000;

#[test]
fn bad_input_gets_a_clear_error_and_changes_nothing() {
    mains_conformance::run(async {
        let network = Network::start(NODE, FIRST_PORT).await.expect("four replicas start");
        let mut suite = Suite::new(&network);
        cases(&mut suite).await.expect("the canisters that the cases need");
        suite.finish();
    });
}

async fn cases(suite: &mut Suite<'_>) -> Result<()> {
    // The canister that bad requests are sent to. It must never change.
    let target = manage::create_with(&suite.network().client(0)?, &modules::counter()).await?;
    suite.keep(target).await?;
    requests::run(suite, target).await;
    identities::run(suite, target).await?;
    installs::run(suite, target).await?;
    canisters::run(suite).await?;
    Ok(())
}
