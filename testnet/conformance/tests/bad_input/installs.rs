//! Modules that must not be installed, and installations that fail on the way.

use anyhow::{Result, ensure};
use candid::Encode;
use ic_management_canister_types::{CanisterInstallMode, InstallCodeArgs};
use mains_client::{identity, management::Install};
use mains_conformance::{Network, Suite, answer, manage, modules, suite::Snapshot};
use mains_types::{CanisterId, Cycles, Principal};

const UPGRADE: Install = Install::Upgrade { keep_heap: false };
const PLENTY: Cycles = Cycles(20_000_000_000_000);
/// Burns an install's instructions in some seconds rather than in minutes; they take 300 rounds all the same.
const LOOP: &str = "(loop (memory.fill (i32.const 128) (i32.const 7) (i32.const 65000)) (br 0))";

pub(super) async fn run(suite: &mut Suite<'_>, target: CanisterId) -> Result<()> {
    let network = suite.network();
    let client = network.client(1)?;
    let empty = manage::create(&client, PLENTY).await?;
    for (name, module, text) in modules::invalid() {
        let case = is_refused(network, empty, Install::Fresh, module, "IC0505", text);
        suite.case(&format!("module: {name}"), case).await;
    }
    let starts = [
        ("loops in start", LOOP.to_owned(), "IC0522", "exceeded the limit of instructions"),
        ("recurses in start", "(call $start)".to_owned(), "IC0502", "stack overflow"),
        ("traps in start", "unreachable".to_owned(), "IC0502", "unreachable"),
        ("calls the system in start", "(call $reply)".to_owned(), "IC0504", "msg_reply"),
    ];
    for (name, body, code, text) in starts {
        let module = modules::counter_that_starts_with(&body);
        suite.case(&format!("module: {name}"), is_refused(network, empty, Install::Fresh, module, code, text)).await;
    }
    let module = modules::counter_that_traps_in("canister_init");
    let case = is_refused(network, empty, Install::Fresh, module, "IC0503", "on purpose");
    suite.case("module: traps in init", case).await;
    let segment = modules::assemble(r#"(module (memory 1) (data (i32.const 65530) "beyond the end"))"#);
    let case = is_refused(network, empty, Install::Fresh, segment, "IC0502", "heap out of bounds");
    suite.case("module: has a data segment beyond its memory", case).await;

    suite.case("module: declares all the memory there may be", all_memory(network)).await;
    let case = is_refused(network, target, Install::Fresh, modules::counter(), "IC0514", "");
    suite.case("install: over code that is there", case).await;
    let case = is_refused(network, empty, UPGRADE, modules::counter(), "IC0537", "no code");
    suite.case("install: an upgrade of nothing", case).await;
    suite.case("install: by somebody who is no controller", by_a_stranger(network, target)).await;
    suite.case("install: into a canister that does not exist", into_nowhere(network)).await;

    let upgrades = [
        ("traps in post_upgrade", modules::counter_that_traps_in("canister_post_upgrade"), "IC0503"),
        ("traps in start", modules::counter_that_starts_with("unreachable"), "IC0502"),
        ("is no module", b"nonsense".to_vec(), "IC0505"),
    ];
    for (name, module, code) in upgrades {
        suite.case(&format!("upgrade: the new version {name}"), upgrade_to(network, module, code)).await;
    }
    suite.case("upgrade: the old version traps in pre_upgrade", from_a_version_that_traps(network)).await;
    Ok(())
}

/// Sees that a module is refused and the canister is as it was.
async fn is_refused(
    network: &Network,
    canister: CanisterId,
    how: Install,
    module: Vec<u8>,
    code: &str,
    text: &str,
) -> Result<()> {
    let before = Snapshot::take(network, canister).await?;
    let ended = manage::install(&network.client(1)?, canister, how, &module).await?;
    answer::is_rejected(&ended, code, text)?;
    before.is_unchanged(network, canister).await
}

/// Not bad, but a burden: memory that is declared and not used costs the canister, not the replica.
async fn all_memory(network: &Network) -> Result<()> {
    let client = network.client(1)?;
    let canister = manage::create(&client, PLENTY).await?;
    manage::done(manage::install(&client, canister, Install::Fresh, &modules::counter_with_all_memory()).await?)?;
    manage::done(manage::call(&client, canister, "inc").await?)?;
    manage::stop(&client, canister).await?;
    manage::done(manage::delete(&client, canister).await?).map(drop)
}

async fn by_a_stranger(network: &Network, target: CanisterId) -> Result<()> {
    let stranger = network.client_as(2, identity::from_seed(&[66; 32]))?;
    for how in [Install::Fresh, Install::Reinstall, UPGRADE] {
        let ended = manage::install(&stranger, target, how, &modules::counter()).await?;
        answer::is_rejected(&ended, "IC0512", "controller")?;
    }
    Ok(())
}

async fn into_nowhere(network: &Network) -> Result<()> {
    let nowhere = mains_types::ids::canister_id(0xf_fff0);
    let argument = InstallCodeArgs {
        mode: CanisterInstallMode::Install,
        canister_id: nowhere,
        wasm_module: modules::counter(),
        arg: Vec::new(),
        sender_canister_version: None,
    };
    let client = network.client(3)?;
    answer::is_rejected(&manage::manage(&client, nowhere, "install_code", &argument).await?, "IC0301", "not found")?;
    let garbage =
        client.call_for(nowhere, Principal::management_canister(), "install_code", Encode!(&"not a record")?).await;
    ensure!(manage::ended(garbage)?.is_err(), "an argument of another type was taken");
    Ok(())
}

/// The upgrade of a counter that has counted fails: the old version goes on with its value.
async fn upgrade_to(network: &Network, module: Vec<u8>, code: &str) -> Result<()> {
    let client = network.client(2)?;
    let canister = manage::create_with(&client, &modules::counter()).await?;
    for _ in 0..3 {
        manage::done(manage::call(&client, canister, "inc").await?)?;
    }
    is_refused(network, canister, UPGRADE, module, code, "").await?;
    let value = manage::value(&manage::done(manage::call(&client, canister, "inc").await?)?)?;
    ensure!(value == 4, "the old version went on with {value}, not 4");
    Ok(())
}

async fn from_a_version_that_traps(network: &Network) -> Result<()> {
    let client = network.client(2)?;
    let canister = manage::create_with(&client, &modules::counter_that_traps_in("canister_pre_upgrade")).await?;
    manage::done(manage::call(&client, canister, "inc").await?)?;
    is_refused(network, canister, UPGRADE, modules::counter(), "IC0503", "on purpose").await?;
    let value = manage::value(&manage::done(manage::call(&client, canister, "inc").await?)?)?;
    ensure!(value == 2, "the old version went on with {value}, not 2");
    Ok(())
}
