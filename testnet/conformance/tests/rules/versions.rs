//! The canister's version and its history.

use super::calls::{controllers, principal};
use anyhow::{Context as _, Result, ensure};
use candid::{Encode, Principal};
use ic_management_canister_types::{
    CanisterInfoArgs, CanisterInfoResult, CanisterSettings, Change, ChangeDetails, ChangeOrigin, CodeDeploymentMode,
    CreateCanisterArgs, UninstallCodeArgs,
};
use mains_conformance::{
    Cases, manage,
    script::{Call, Script, operations as op, words::*},
    world::{Canister, decode, number, rejects, until},
};
use sha2::{Digest as _, Sha256};

pub(super) fn add(c: &mut Cases) {
    versions(c);
    history(c);
}

fn versions(c: &mut Cases) {
    c.group("canister version");
    c.case("in a query and a replicated query: the current one, which they do not change", |w| async move {
        let a = w.canister().await?;
        let version = a.status().await?.version;
        for _ in 0..2 {
            ensure!(number(&a.look(reply_number(self::version())).await?)? == version, "expected {version}");
            let replicated = manage::done(a.replicated_query(reply_number(self::version())).await?)?;
            ensure!(number(&replicated)? == version, "expected {version}, got {}", number(&replicated)?);
        }
        Ok(())
    });
    c.case("in an update: that of before; afterwards it is one more", |w| async move {
        let a = w.canister().await?;
        let before = a.status().await?.version;
        let seen = number(&a.get(reply_number(version())).await?)?;
        ensure!(seen == before, "expected {before}, got {seen}");
        after(&a, before + 1).await
    });
    c.case("in init: that of the canister without code; afterwards it is one more", |w| async move {
        let a = w.empty().await?;
        let before = a.status().await?.version;
        manage::done(a.install(keep(version().bytes(8))).await?)?;
        let seen = number(&a.look(reply(kept())).await?)?;
        ensure!(seen == before || seen == before + 1, "expected {before} or one more, got {seen}");
        after(&a, before + 1).await
    });
    c.case("reinstalling and upgrading count once each", |w| async move {
        let a = w.canister().await?;
        let before = a.status().await?.version;
        manage::done(a.reinstall(Script::new()).await?)?;
        after(&a, before + 1).await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        after(&a, before + 2).await
    });
    c.case("pre_upgrade and post_upgrade see the same or the next one", |w| async move {
        let a = w.canister_that(ignore(stable_grow(1))).await?;
        a.get(on(op::PRE_UPGRADE, stable_write(0, version().bytes(8))) + reply("")).await?;
        let before = a.status().await?.version;
        manage::done(a.upgrade(keep(version().bytes(8))).await?)?;
        let pre = number(&a.look(reply(stable_read(0, 8))).await?)?;
        let post = number(&a.look(reply(kept())).await?)?;
        ensure!(pre == before, "expected {before} in pre_upgrade, got {pre}");
        ensure!(post == before || post == before + 1, "expected {before} or one more in post_upgrade, got {post}");
        Ok(())
    });
    c.case("reply and reject callbacks and cleanups count once each", |w| async move {
        let a = w.canister().await?;
        let echo = |script| Call::to(myself()).method("query").argument(script);
        let before = a.status().await?.version;
        let seen = number(&a.get(echo(reply("")).on_reply(reply_number(version())).send()).await?)?;
        ensure!(seen == before + 1, "expected {} in the reply callback, got {seen}", before + 1);
        after(&a, before + 2).await?;
        let seen = number(&a.get(echo(reject("")).on_reject(reply_number(version())).send()).await?)?;
        ensure!(seen == before + 3, "expected {} in the reject callback, got {seen}", before + 3);
        after(&a, before + 4).await?;
        let cleanup = echo(reply("")).on_reply(trap("x")).on_cleanup(keep(version().bytes(8))).send();
        rejects(&a.update(cleanup).await?, 5, "x")?;
        after(&a, before + 6).await?;
        let seen = number(&a.look(reply(kept())).await?)?;
        ensure!(seen == before + 5, "expected {} in the cleanup, got {seen}", before + 5);
        Ok(())
    });
    c.case("what fails does not count: update, query, install, reinstall, upgrade, settings", |w| async move {
        let a = w.canister().await?;
        let before = a.status().await?.version;
        rejects(&a.update(trap("x")).await?, 5, "")?;
        rejects(&a.query(trap("x")).await?, 5, "")?;
        rejects(&a.replicated_query(trap("x")).await?, 5, "")?;
        rejects(&a.install(Script::new()).await?, 5, "")?;
        rejects(&a.reinstall(trap("x")).await?, 5, "")?;
        rejects(&a.upgrade(trap("x")).await?, 5, "")?;
        rejects(&a.seen_by(29)?.managed("stop_canister").await?, 5, "")?;
        rejects(
            &a.set(CanisterSettings { compute_allocation: Some(101u8.into()), ..Default::default() }).await?,
            4,
            "",
        )?;
        after(&a, before).await
    });
    c.case("a failed init leaves the version of the empty canister", |w| async move {
        let a = w.empty().await?;
        let before = a.status().await?.version;
        rejects(&a.install(trap("x")).await?, 5, "")?;
        after(&a, before).await
    });
    c.case("callbacks and cleanups that trap do not count", |w| async move {
        let a = w.canister().await?;
        let echo = |script| Call::to(myself()).method("query").argument(script);
        let before = a.status().await?.version;
        rejects(&a.update(echo(reply("")).on_reply(trap("x")).send()).await?, 5, "x")?;
        after(&a, before + 1).await?;
        rejects(&a.update(echo(reject("")).on_reject(trap("x")).send()).await?, 5, "x")?;
        after(&a, before + 2).await?;
        rejects(&a.update(echo(reply("")).on_reply(trap("x")).on_cleanup(trap("y")).send()).await?, 5, "x")?;
        after(&a, before + 3).await
    });
    c.case("settings and uninstalling count once each", |w| async move {
        let a = w.canister().await?;
        let before = a.status().await?.version;
        manage::done(a.set(controllers(vec![Principal::anonymous(), principal(1)])).await?)?;
        after(&a, before + 1).await?;
        let settings = CanisterSettings { freezing_threshold: Some(1_000u64.into()), ..Default::default() };
        manage::done(a.set(settings).await?)?;
        after(&a, before + 2).await?;
        let args = UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
        manage::done(a.manage("uninstall_code", &args).await?)?;
        after(&a, before + 3).await
    });
    c.case("a timer counts if it does not trap", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::GLOBAL_TIMER, keep(version().bytes(8))) + set_timer(1) + reply("")).await?;
        until("the timer has run", async || Ok(a.look(reply(kept())).await?.len() == 8)).await?;
        let before = number(&a.look(reply(kept())).await?)?;
        after(&a, before + 1).await?;
        a.get(on(op::GLOBAL_TIMER, trap("in timer")) + set_timer(1) + reply("")).await?;
        until("the timer traps", async || Ok(super::availability::log(&a).await?.contains("in timer"))).await?;
        after(&a, before + 2).await
    });
}

fn history(c: &mut Cases) {
    c.group("canister history");
    c.case("creation and deployments by a client are recorded", |w| async move {
        let a = w.canister().await?;
        manage::done(a.reinstall(Script::new()).await?)?;
        manage::done(a.upgrade(Script::new()).await?)?;
        let asker = w.canister().await?;
        let info = info(&asker, a.id, Some(20)).await?;
        ensure!(info.total_num_changes == 4, "expected 4 changes, got {}", info.total_num_changes);
        let modes = [CodeDeploymentMode::Install, CodeDeploymentMode::Reinstall, CodeDeploymentMode::Upgrade];
        let [creation, deployments @ ..] = info.recent_changes.as_slice() else { anyhow::bail!("no changes") };
        ensure!(
            matches!(&creation.details, Some(ChangeDetails::Creation(record)) if record.controllers == [Principal::anonymous()]),
            "expected the creation, got {creation:?}"
        );
        for (change, mode) in deployments.iter().zip(modes) {
            ensure!(
                matches!(&change.details, Some(ChangeDetails::CodeDeployment(record))
                    if record.mode == mode && record.module_hash == Sha256::digest(&w.plain).to_vec()),
                "expected {mode:?}, got {change:?}"
            );
        }
        ensure!(info.module_hash == Some(Sha256::digest(&w.plain).to_vec()), "expected the module's hash");
        ensure!(info.controllers == [Principal::anonymous()], "got {:?}", info.controllers);
        let origins = info.recent_changes.iter().all(
            |change| matches!(&change.origin, ChangeOrigin::FromUser(user) if user.user_id == Principal::anonymous()),
        );
        ensure!(origins, "expected the client as the origin of all");
        let versions: Vec<u64> = info.recent_changes.iter().map(|change| change.canister_version).collect();
        ensure!(versions.windows(2).all(|pair| pair[0] < pair[1]), "expected growing versions, got {versions:?}");
        let times: Vec<u64> = info.recent_changes.iter().map(|change| change.timestamp_nanos).collect();
        ensure!(times.windows(2).all(|pair| pair[0] <= pair[1]), "expected growing times, got {times:?}");
        Ok(())
    });
    c.case("uninstalling is recorded", |w| async move {
        let (a, asker) = (w.canister().await?, w.canister().await?);
        let args = UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
        manage::done(a.manage("uninstall_code", &args).await?)?;
        let info = info(&asker, a.id, Some(1)).await?;
        ensure!(info.module_hash.is_none(), "expected no module");
        let last = info.recent_changes.last().context("a change")?;
        ensure!(matches!(last.details, Some(ChangeDetails::CodeUninstall)), "got {last:?}");
        Ok(())
    });
    c.case("a change of controllers is recorded", |w| async move {
        let (a, asker) = (w.canister().await?, w.canister().await?);
        manage::done(a.set(controllers(vec![principal(1), Principal::anonymous()])).await?)?;
        let info = info(&asker, a.id, Some(1)).await?;
        let last = info.recent_changes.last().context("a change")?;
        let mut expected = vec![principal(1), Principal::anonymous()];
        expected.sort();
        let got = match &last.details {
            Some(ChangeDetails::ControllersChange(record)) => record.controllers.clone(),
            other => anyhow::bail!("expected a change of controllers, got {other:?}"),
        };
        ensure!(sorted(got.clone()) == expected, "expected {expected:?}, got {got:?}");
        Ok(())
    });
    c.case("other settings are not recorded", |w| async move {
        let (a, asker) = (w.canister().await?, w.canister().await?);
        let before = info(&asker, a.id, None).await?.total_num_changes;
        let settings = CanisterSettings { freezing_threshold: Some(5u64.into()), ..Default::default() };
        manage::done(a.set(settings).await?)?;
        let after = info(&asker, a.id, None).await?.total_num_changes;
        ensure!(after == before, "expected {before}, got {after}");
        Ok(())
    });
    c.case("the latest 20 changes are kept, all are counted", |w| async move {
        let (a, asker) = (w.empty().await?, w.canister().await?);
        for _ in 0..22 {
            manage::done(a.set(controllers(vec![Principal::anonymous()])).await?)?;
        }
        let info = info(&asker, a.id, Some(1_000)).await?;
        ensure!(info.total_num_changes == 23, "expected 23, got {}", info.total_num_changes);
        ensure!(info.recent_changes.len() == 20, "expected 20, got {}", info.recent_changes.len());
        Ok(())
    });
    c.case("as many as are asked for are told, the latest; none if nothing is said", |w| async move {
        let (a, asker) = (w.canister().await?, w.canister().await?);
        manage::done(a.upgrade(Script::new()).await?)?;
        ensure!(info(&asker, a.id, None).await?.recent_changes.is_empty(), "expected none");
        let two = info(&asker, a.id, Some(2)).await?.recent_changes;
        ensure!(two.len() == 2, "expected two, got {}", two.len());
        ensure!(
            matches!(&two[1].details, Some(ChangeDetails::CodeDeployment(r)) if r.mode == CodeDeploymentMode::Upgrade),
            "expected the upgrade last, got {:?}",
            two[1]
        );
        Ok(())
    });
    c.case("changes by a canister name it, with the version that it tells", |w| async move {
        let (a, asker) = (w.canister().await?, w.canister().await?);
        let version = a.status().await?.version;
        let create = CreateCanisterArgs { settings: None, sender_canister_version: Some(version) };
        let call = Call::management("create_canister", Encode!(&create)?).cycles(5_000_000_000_000);
        let b = decode::<ic_management_canister_types::CanisterIdRecord>(&a.relayed(call.send()).await?.reply()?)?
            .canister_id;
        let got = info(&asker, b, Some(1)).await?.recent_changes;
        let Change { origin: ChangeOrigin::FromCanister(from), .. } = &got[0] else {
            anyhow::bail!("expected a canister, got {:?}", got[0]);
        };
        ensure!(from.canister_id == a.id, "expected {}, got {}", a.id, from.canister_id);
        ensure!(from.canister_version == Some(version), "expected {version}, got {:?}", from.canister_version);
        Ok(())
    });
    c.case("telling a version that it does not have is a trap of the canister", |w| async move {
        let a = w.canister().await?;
        let create = CreateCanisterArgs { settings: None, sender_canister_version: Some(777) };
        let call = Call::management("create_canister", Encode!(&create)?).cycles(5_000_000_000_000);
        rejects(&a.update(call.send()).await?, 5, "sender_canister_version")
    });
    c.case("clients do not call canister_info", |w| async move {
        let a = w.canister().await?;
        let args = CanisterInfoArgs { canister_id: a.id, num_requested_changes: None };
        rejects(&a.manage("canister_info", &args).await?, 4, "canisters")
    });
    c.case("canister_info about a canister that does not exist", |w| async move {
        let a = w.canister().await?;
        let args =
            CanisterInfoArgs { canister_id: mains_types::ids::canister_id(0xf_ff09), num_requested_changes: None };
        a.relayed(Call::management("canister_info", Encode!(&args)?).send()).await?.is_reject(3, "")
    });
}

async fn after(a: &Canister, expected: u64) -> Result<()> {
    let version = a.status().await?.version;
    ensure!(version == expected, "expected version {expected}, got {version}");
    Ok(())
}

async fn info(
    asker: &Canister,
    canister_id: Principal,
    num_requested_changes: Option<u64>,
) -> Result<CanisterInfoResult> {
    let args = CanisterInfoArgs { canister_id, num_requested_changes };
    decode(&asker.relayed(Call::management("canister_info", Encode!(&args)?).send()).await?.reply()?)
}

fn sorted(mut list: Vec<Principal>) -> Vec<Principal> {
    list.sort();
    list
}
