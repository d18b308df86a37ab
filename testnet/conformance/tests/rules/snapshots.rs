//! Snapshots of canisters: taken, listed, loaded, deleted, read.

use anyhow::{Result, ensure};
use candid::{Encode, Principal};
use ic_management_canister_types::{
    CanisterIdRecord, DeleteCanisterSnapshotArgs, LoadCanisterSnapshotArgs, ReadCanisterSnapshotDataArgs,
    ReadCanisterSnapshotDataResult, ReadCanisterSnapshotMetadataArgs, ReadCanisterSnapshotMetadataResult, Snapshot,
    SnapshotDataKind, TakeCanisterSnapshotArgs,
};
use mains_conformance::{
    Cases,
    answer::Ended,
    manage,
    script::{Call, Function as F, Script, ask, words::*},
    world::{Canister, decode, rejects, replies, same},
};

pub(super) fn add(c: &mut Cases) {
    c.group("snapshots");
    c.case("a snapshot brings back heap, stable memory and certified data", |w| async move {
        let a = w.canister_that(keep("old") + ignore(stable_grow(1)) + stable_write(0, "old") + certify("old")).await?;
        let snapshot = take(&a, None).await?;
        a.get(keep("new") + stable_write(0, "new") + certify("new") + reply("")).await?;
        manage::done(load(&a, &snapshot.id).await?)?;
        same(a.look(reply(kept() + stable_read(0, 3))).await?, "oldold")
    });
    c.case("a snapshot brings back the module", |w| async move {
        let a = w.canister_that(keep("old")).await?;
        let snapshot = take(&a, None).await?;
        let hash = a.status().await?.module_hash;
        let other = mains_conformance::modules::counter();
        let mode = ic_management_canister_types::CanisterInstallMode::Reinstall;
        manage::done(a.deploy(mode, &other, Script::new()).await?)?;
        manage::done(load(&a, &snapshot.id).await?)?;
        ensure!(a.status().await?.module_hash == hash, "expected the old module");
        same(a.look(reply(kept())).await?, "old")
    });
    c.case("the snapshot tells when it was taken and how large it is, and is listed", |w| async move {
        let a = w.canister().await?;
        let snapshot = take(&a, None).await?;
        ensure!(snapshot.total_size > 0, "expected a size");
        let now = mains_conformance::request::from_now(0);
        ensure!(snapshot.taken_at_timestamp.abs_diff(now) < 120_000_000_000, "got {}", snapshot.taken_at_timestamp);
        let second = take(&a, None).await?;
        let ids: Vec<_> = listed(&a).await?.into_iter().map(|snapshot| snapshot.id).collect();
        ensure!(ids == [snapshot.id, second.id], "expected both in their order");
        Ok(())
    });
    c.case("taking one in place of another deletes that", |w| async move {
        let a = w.canister().await?;
        let first = take(&a, None).await?;
        let second = take(&a, Some(first.id.clone())).await?;
        let ids: Vec<_> = listed(&a).await?.into_iter().map(|snapshot| snapshot.id).collect();
        ensure!(ids == [second.id], "expected the second alone");
        refused(&load(&a, &first.id).await?)
    });
    c.case("a deleted snapshot is gone", |w| async move {
        let a = w.canister().await?;
        let snapshot = take(&a, None).await?;
        let args = DeleteCanisterSnapshotArgs { canister_id: a.id, snapshot_id: snapshot.id.clone() };
        manage::done(a.manage("delete_canister_snapshot", &args).await?)?;
        ensure!(listed(&a).await?.is_empty(), "expected none");
        refused(&load(&a, &snapshot.id).await?)?;
        refused(&a.manage("delete_canister_snapshot", &args).await?)
    });
    c.case("at most ten are kept", |w| async move {
        let a = w.canister().await?;
        for _ in 0..10 {
            take(&a, None).await?;
        }
        refused(&taken(&a, None).await?)?;
        ensure!(listed(&a).await?.len() == 10, "expected ten");
        Ok(())
    });
    c.case(
        "an empty canister has none to be taken",
        |w| async move { refused(&taken(&w.empty().await?, None).await?) },
    );
    c.case("only controllers take, load, list, delete and read", |w| async move {
        let a = w.canister().await?;
        let snapshot_id = take(&a, None).await?.id;
        let stranger = a.seen_by(34)?;
        rejects(&taken(&stranger, None).await?, 5, "")?;
        rejects(&load(&stranger, &snapshot_id).await?, 5, "")?;
        rejects(&stranger.managed("list_canister_snapshots").await?, 5, "")?;
        let args = DeleteCanisterSnapshotArgs { canister_id: a.id, snapshot_id: snapshot_id.clone() };
        rejects(&stranger.manage("delete_canister_snapshot", &args).await?, 5, "")?;
        let args = ReadCanisterSnapshotMetadataArgs { canister_id: a.id, snapshot_id };
        rejects(&stranger.manage("read_canister_snapshot_metadata", &args).await?, 5, "")
    });
    c.case("loading counts in the version and is recorded", |w| async move {
        let a = w.canister().await?;
        let snapshot = take(&a, None).await?;
        let before = a.status().await?.version;
        manage::done(load(&a, &snapshot.id).await?)?;
        let after = a.status().await?.version;
        ensure!(after == before + 1, "expected {}, got {after}", before + 1);
        let asker = w.canister().await?;
        let args = ic_management_canister_types::CanisterInfoArgs { canister_id: a.id, num_requested_changes: Some(1) };
        let call = Call::management("canister_info", Encode!(&args)?).send();
        let info: ic_management_canister_types::CanisterInfoResult = decode(&asker.relayed(call).await?.reply()?)?;
        let last = info.recent_changes.last();
        ensure!(
            matches!(
                last.and_then(|change| change.details.as_ref()),
                Some(ic_management_canister_types::ChangeDetails::LoadSnapshot(_))
            ),
            "expected a loaded snapshot, got {last:?}"
        );
        Ok(())
    });
    c.case("settings and cycles are not part of it", |w| async move {
        let a = w.canister().await?;
        let snapshot = take(&a, None).await?;
        let settings = ic_management_canister_types::CanisterSettings {
            freezing_threshold: Some(12_345u64.into()),
            ..Default::default()
        };
        manage::done(a.set(settings).await?)?;
        manage::done(load(&a, &snapshot.id).await?)?;
        let got = a.status().await?.settings.freezing_threshold;
        ensure!(got == 12_345u64, "expected 12345, got {got}");
        Ok(())
    });
    c.case("a snapshot survives uninstalling and goes with the canister", |w| async move {
        let a = w.canister_that(keep("old")).await?;
        let snapshot = take(&a, None).await?;
        let args = ic_management_canister_types::UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
        manage::done(a.manage("uninstall_code", &args).await?)?;
        manage::done(load(&a, &snapshot.id).await?)?;
        same(a.look(reply(kept())).await?, "old")?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("delete_canister").await?)?;
        refused(&load(&a, &snapshot.id).await?)
    });
    c.case("metadata and data are read as they are", |w| async move {
        let a = w.canister_that(ignore(stable_grow(2)) + stable_write(5, "in stable") + certify("cert")).await?;
        let snapshot = take(&a, None).await?;
        let args = ReadCanisterSnapshotMetadataArgs { canister_id: a.id, snapshot_id: snapshot.id.clone() };
        let metadata = manage::done(a.manage("read_canister_snapshot_metadata", &args).await?)?;
        let metadata: ReadCanisterSnapshotMetadataResult = decode(&metadata)?;
        ensure!(metadata.wasm_module_size == w.plain.len() as u64, "got {}", metadata.wasm_module_size);
        ensure!(metadata.stable_memory_size == 2 * 65_536, "got {}", metadata.stable_memory_size);
        same(&metadata.certified_data, "cert")?;
        let module =
            read(&a, &snapshot.id, SnapshotDataKind::WasmModule { offset: 0, size: metadata.wasm_module_size });
        same(module.await?, &w.plain)?;
        same(read(&a, &snapshot.id, SnapshotDataKind::StableMemory { offset: 5, size: 9 }).await?, "in stable")?;
        let beyond = SnapshotDataKind::StableMemory { offset: 2 * 65_536, size: 1 };
        ensure!(read(&a, &snapshot.id, beyond).await.is_err(), "expected that nothing is read beyond");
        Ok(())
    });
    c.case("a canister takes and loads snapshots of another one that it controls", |w| async move {
        let (a, b) = (w.canister().await?, w.canister_that(keep("old")).await?);
        manage::done(b.set(super::calls::controllers(vec![a.id, Principal::anonymous()])).await?)?;
        let args = take_args(b.id, None);
        let call = Call::management("take_canister_snapshot", Encode!(&args)?).send();
        let snapshot: Snapshot = decode(&a.relayed(call).await?.reply()?)?;
        b.get(keep("new") + reply("")).await?;
        let args =
            LoadCanisterSnapshotArgs { canister_id: b.id, snapshot_id: snapshot.id, sender_canister_version: None };
        let call = Call::management("load_canister_snapshot", Encode!(&args)?).send();
        a.relayed(call).await?.reply()?;
        same(b.look(reply(kept())).await?, "old")
    });
    c.case("the timer is as it was before loading", |w| async move {
        let a = w.canister_that(set_timer(u64::MAX)).await?;
        let snapshot = take(&a, None).await?;
        a.get(set_timer(0) + reply("")).await?;
        manage::done(load(&a, &snapshot.id).await?)?;
        same(a.get(reply_number(ask(F::global_timer_set, [0.into()]))).await?, 0u64.to_le_bytes())?;
        replies(&a.update(reply("alive")).await?, "alive")
    });
}

fn take_args(canister_id: Principal, replace_snapshot: Option<Vec<u8>>) -> TakeCanisterSnapshotArgs {
    TakeCanisterSnapshotArgs { canister_id, replace_snapshot, uninstall_code: None, sender_canister_version: None }
}

async fn taken(a: &Canister, replace: Option<Vec<u8>>) -> Result<Ended> {
    a.manage("take_canister_snapshot", &take_args(a.id, replace)).await
}

async fn take(a: &Canister, replace: Option<Vec<u8>>) -> Result<Snapshot> {
    decode(&manage::done(taken(a, replace).await?)?)
}

async fn load(a: &Canister, id: &[u8]) -> Result<Ended> {
    let args = LoadCanisterSnapshotArgs { canister_id: a.id, snapshot_id: id.to_vec(), sender_canister_version: None };
    a.manage("load_canister_snapshot", &args).await
}

async fn listed(a: &Canister) -> Result<Vec<Snapshot>> {
    decode(&manage::done(a.manage("list_canister_snapshots", &CanisterIdRecord { canister_id: a.id }).await?)?)
}

async fn read(a: &Canister, id: &[u8], kind: SnapshotDataKind) -> Result<Vec<u8>> {
    let args = ReadCanisterSnapshotDataArgs { canister_id: a.id, snapshot_id: id.to_vec(), kind };
    let reply = manage::done(a.manage("read_canister_snapshot_data", &args).await?)?;
    Ok(decode::<ReadCanisterSnapshotDataResult>(&reply)?.chunk)
}

fn refused(ended: &Ended) -> Result<()> {
    ensure!(ended.is_err(), "expected a reject, got a reply");
    Ok(())
}
