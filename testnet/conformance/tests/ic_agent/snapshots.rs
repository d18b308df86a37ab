//! Snapshots of canisters that other people's compilers made: taken, gone on from, and brought back.

use super::{agent, create, ed25519, install, manage, query, update};
use anyhow::{Context as _, Result, ensure};
use candid::{Decode, Nat};
use ic_management_canister_types::{CanisterInstallMode, LoadCanisterSnapshotArgs, Snapshot, TakeCanisterSnapshotArgs};
use mains_conformance::{Network, shipped::Counter};
use std::sync::Arc;

/// A snapshot brings back the value and the module, and the canister counts on from there.
pub(super) async fn brought_back(network: &Network, replica: usize, counter: Counter) -> Result<()> {
    let agent = agent(network, replica, Arc::new(ed25519(48))).await?;
    let (module, other) = (counter.module()?, mains_conformance::modules::counter());
    let canister = create(&agent).await?;
    install(&agent, canister, CanisterInstallMode::Install, &module).await?;
    for _ in 0..2 {
        update::<Nat>(&agent, canister, "inc").await?;
    }
    let args = TakeCanisterSnapshotArgs {
        canister_id: canister,
        replace_snapshot: None,
        uninstall_code: None,
        sender_canister_version: None,
    };
    let taken = manage(&agent, canister, "take_canister_snapshot", &args).await.context("take")?;
    let snapshot_id = Decode!(&taken, Snapshot)?.id;

    ensure!(update::<Nat>(&agent, canister, "inc").await? == 3u8);
    let args = LoadCanisterSnapshotArgs { canister_id: canister, snapshot_id, sender_canister_version: None };
    manage(&agent, canister, "load_canister_snapshot", &args).await.context("load")?;
    ensure!(query::<Nat>(&agent, canister, "get").await? == 2u8, "the value is not the snapshot's");

    let hash = agent.read_state_canister_module_hash(canister).await?;
    install(&agent, canister, CanisterInstallMode::Reinstall, &other).await.context("another module")?;
    manage(&agent, canister, "load_canister_snapshot", &args).await.context("load over another module")?;
    ensure!(agent.read_state_canister_module_hash(canister).await? == hash, "another module");
    ensure!(update::<Nat>(&agent, canister, "inc").await? == 3u8, "it does not count on from the snapshot");
    Ok(())
}
