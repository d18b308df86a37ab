//! Stopping, starting, uninstalling, deleting.

use super::calls::{controllers, wait_for_word};
use anyhow::{Result, ensure};
use candid::Principal;
use ic_management_canister_types::{
    CanisterIdRecord, CanisterStatusType, FetchCanisterLogsArgs, UninstallCodeArgs, UploadChunkArgs,
};
use mains_conformance::{
    Cases, manage,
    script::{Call, Function as F, Script, ask, operations as op, words::*},
    world::{Canister, rejects, replies, same, until},
};

pub(super) fn add(c: &mut Cases) {
    stopping(c);
    uninstalling(c);
    deleting(c);
}

fn stopping(c: &mut Cases) {
    c.group("stopping and starting");
    c.case("a stopped canister takes no calls and no queries; started, it does", |w| async move {
        let a = w.canister().await?;
        manage::done(a.managed("stop_canister").await?)?;
        ensure!(a.status().await?.status == CanisterStatusType::Stopped, "expected stopped");
        rejects(&a.update(reply("")).await?, 5, "stopped")?;
        rejects(&a.query(reply("")).await?, 5, "stopped")?;
        manage::done(a.managed("start_canister").await?)?;
        ensure!(a.status().await?.status == CanisterStatusType::Running, "expected running");
        replies(&a.update(reply("again")).await?, "again")
    });
    c.case("stopping what is stopped and starting what runs changes nothing", |w| async move {
        let a = w.canister().await?;
        manage::done(a.managed("start_canister").await?)?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("stop_canister").await?)?;
        ensure!(a.status().await?.status == CanisterStatusType::Stopped, "expected stopped");
        manage::done(a.managed("start_canister").await?)?;
        replies(&a.update(reply("again")).await?, "again")
    });
    c.case("a canister without code can be stopped and started", |w| async move {
        let a = w.empty().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("start_canister").await?)?;
        ensure!(a.status().await?.status == CanisterStatusType::Running, "expected running");
        Ok(())
    });
    c.case("a stopped canister can be installed, upgraded, reinstalled", |w| async move {
        let a = w.empty().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.install(Script::new()).await?)?;
        manage::done(a.upgrade(Script::new()).await?)?;
        manage::done(a.reinstall(keep("new")).await?)?;
        ensure!(a.status().await?.status == CanisterStatusType::Stopped, "expected that it stays stopped");
        manage::done(a.managed("start_canister").await?)?;
        same(a.look(reply(kept())).await?, "new")
    });
    c.case("canister_status tells a running canister that it runs", |w| async move {
        let a = w.canister().await?;
        let status = || reply_number(ask(F::canister_status, []));
        same(a.get(status()).await?, 1u64.to_le_bytes())?;
        same(a.look(status()).await?, 1u64.to_le_bytes())
    });
    c.case("canister_status tells 2 while it stops", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let told = reply_number(ask(F::canister_status, []));
        let asked = waits_for(&a, &slow, told);
        let released = stop(&a, &slow, async || Ok(()));
        let (asked, released) = futures::future::join(asked, released).await;
        released?;
        same(manage::done(asked?)?, 2u64.to_le_bytes())
    });
    c.case("canister_status tells 3 in an upgrade of a stopped canister", |w| async move {
        let a = w.canister().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.upgrade(keep(ask(F::canister_status, []).bytes(1))).await?)?;
        manage::done(a.managed("start_canister").await?)?;
        same(a.look(reply(kept())).await?, [3])
    });
    c.case("a stopping canister takes no new calls and waits for its open ones", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let asked = waits_for(&a, &slow, reply("done"));
        let stopped = stop(&a, &slow, async || {
            rejects(&a.update(reply("")).await?, 5, "stopping")?;
            rejects(&a.query(reply("")).await?, 5, "stopping")
        });
        let (asked, stopped) = futures::future::join(asked, stopped).await;
        stopped?;
        same(manage::done(asked?)?, "done")?;
        ensure!(a.status().await?.status == CanisterStatusType::Stopped, "expected stopped");
        Ok(())
    });
    c.case("starting a stopping canister rejects the stop", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let asked = waits_for(&a, &slow, reply("done"));
        let restarted = async {
            open(&a).await?;
            let (stopped, started) = futures::future::join(a.managed("stop_canister"), async {
                is_stopping(&a).await?;
                manage::done(a.managed("start_canister").await?)
            })
            .await;
            started?;
            rejects(&stopped?, 5, "")?;
            replies(&a.update(reply("runs")).await?, "runs")?;
            slow.get(keep("") + reply("")).await
        };
        let (asked, restarted) = futures::future::join(asked, restarted).await;
        restarted?;
        same(manage::done(asked?)?, "done")
    });
    c.case("stopping twice while it stops: both are answered", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let asked = waits_for(&a, &slow, reply("done"));
        let stopped = async {
            open(&a).await?;
            let (one, two, released) =
                futures::future::join3(a.managed("stop_canister"), a.managed("stop_canister"), async {
                    is_stopping(&a).await?;
                    slow.get(keep("") + reply("")).await
                })
                .await;
            released?;
            manage::done(one?)?;
            manage::done(two?)
        };
        let (asked, stopped) = futures::future::join(asked, stopped).await;
        stopped?;
        manage::done(asked?).map(drop)
    });
    c.case("a canister stops another one that it controls", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        manage::done(b.set(controllers(vec![a.id, Principal::anonymous()])).await?)?;
        a.relayed(Call::management("stop_canister", b.record()).send()).await?.reply()?;
        ensure!(b.status().await?.status == CanisterStatusType::Stopped, "expected stopped");
        a.relayed(Call::management("start_canister", b.record()).send()).await?.reply()?;
        replies(&b.update(reply("runs")).await?, "runs")
    });
    c.case("only controllers start, stop, uninstall and delete", |w| async move {
        let a = w.canister().await?;
        let stranger = a.seen_by(33)?;
        for method in ["start_canister", "stop_canister", "delete_canister"] {
            rejects(&stranger.managed(method).await?, 5, "controllers")?;
        }
        let uninstall = UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
        rejects(&stranger.manage("uninstall_code", &uninstall).await?, 5, "controllers")?;
        replies(&a.update(reply("runs")).await?, "runs")
    });
    c.case("methods about a canister that does not exist", |w| async move {
        let a = w.empty().await?.at(mains_types::ids::canister_id(0xf_ff05));
        for method in ["start_canister", "stop_canister", "delete_canister", "canister_status"] {
            rejects(&a.managed(method).await?, 3, "not found")?;
        }
        Ok(())
    });
}

fn uninstalling(c: &mut Cases) {
    c.group("uninstalling");
    c.case("an empty canister can be uninstalled", |w| async move {
        let a = w.empty().await?;
        uninstall(&a).await?;
        ensure!(a.status().await?.module_hash.is_none(), "expected no module");
        Ok(())
    });
    c.case("an uninstalled canister takes no calls", |w| async move {
        let a = w.canister().await?;
        uninstall(&a).await?;
        rejects(&a.update(reply("")).await?, 5, "no Wasm module")?;
        rejects(&a.query(reply("")).await?, 5, "no Wasm module")?;
        ensure!(a.status().await?.module_hash.is_none(), "expected no module");
        Ok(())
    });
    c.case("what it kept in the heap and in stable memory is gone", |w| async move {
        let a = w.canister_that(keep("old") + ignore(stable_grow(2)) + stable_write(0, "old")).await?;
        uninstall(&a).await?;
        manage::done(a.install(Script::new()).await?)?;
        same(a.look(reply(kept())).await?, "")?;
        same(a.look(reply_number(stable_size())).await?, 0u64.to_le_bytes())
    });
    c.case("its cycles and settings stay", |w| async move {
        let a = w.canister().await?;
        let before = a.status().await?;
        uninstall(&a).await?;
        let after = a.status().await?;
        ensure!(after.settings == before.settings, "expected {:?}, got {:?}", before.settings, after.settings);
        ensure!(after.cycles > 0u8, "expected cycles");
        Ok(())
    });
    c.case("its chunk store and its log are emptied", |w| async move {
        let a = w.canister_that(print("hello")).await?;
        let chunk = UploadChunkArgs { canister_id: a.id, chunk: vec![1; 10] };
        manage::done(a.manage("upload_chunk", &chunk).await?)?;
        uninstall(&a).await?;
        let stored: Vec<ic_management_canister_types::ChunkHash> =
            mains_conformance::world::decode(&manage::done(a.managed("stored_chunks").await?)?)?;
        ensure!(stored.is_empty(), "expected no chunks, got {}", stored.len());
        let args = FetchCanisterLogsArgs { canister_id: a.id, filter: None };
        let logs = manage::done(a.ask_management("fetch_canister_logs", &args).await?)?;
        let logs: ic_management_canister_types::FetchCanisterLogsResult = mains_conformance::world::decode(&logs)?;
        ensure!(logs.canister_log_records.is_empty(), "expected no log, got {:?}", logs.canister_log_records);
        Ok(())
    });
    c.case("a stopped canister can be uninstalled and stays stopped", |w| async move {
        let a = w.canister().await?;
        manage::done(a.managed("stop_canister").await?)?;
        uninstall(&a).await?;
        ensure!(a.status().await?.status == CanisterStatusType::Stopped, "expected stopped");
        Ok(())
    });
    c.case("open calls are rejected with code 4", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let asked = waits_for(&a, &slow, reply("never"));
        let removed = async {
            open(&a).await?;
            uninstall(&a).await?;
            slow.get(keep("") + reply("")).await
        };
        let (asked, removed) = futures::future::join(asked, removed).await;
        removed?;
        rejects(&asked?, 4, "uninstalled")
    });
    c.case("calls of before keep it from stopping until they are answered", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let asked = waits_for(&a, &slow, reply("never"));
        let removed = async {
            open(&a).await?;
            uninstall(&a).await?;
            let (stopped, released) = futures::future::join(a.managed("stop_canister"), async {
                is_stopping(&a).await?;
                slow.get(keep("") + reply("")).await
            })
            .await;
            released?;
            manage::done(stopped?)
        };
        let (asked, removed) = futures::future::join(asked, removed).await;
        removed?;
        rejects(&asked?, 4, "")
    });
    c.case("answers to calls of before are not delivered to new code", |w| async move {
        let (a, slow) = (w.canister().await?, w.canister().await?);
        let asked = waits_for(&a, &slow, keep("old callback") + reply(""));
        let removed = async {
            open(&a).await?;
            uninstall(&a).await?;
            manage::done(a.install(keep("new")).await?)?;
            slow.get(keep("") + reply("")).await?;
            manage::done(a.managed("stop_canister").await?)?;
            manage::done(a.managed("start_canister").await?)?;
            same(a.look(reply(kept())).await?, "new")
        };
        let (asked, removed) = futures::future::join(asked, removed).await;
        removed?;
        rejects(&asked?, 4, "")
    });
}

fn deleting(c: &mut Cases) {
    c.group("deleting");
    c.case("a running canister is not deleted", |w| async move {
        let a = w.canister().await?;
        rejects(&a.managed("delete_canister").await?, 5, "stopped")?;
        replies(&a.update(reply("runs")).await?, "runs")
    });
    c.case("a deleted canister is not there for any method", |w| async move {
        let a = w.canister().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("delete_canister").await?)?;
        for method in ["canister_status", "start_canister", "stop_canister", "delete_canister"] {
            rejects(&a.managed(method).await?, 3, "not found")?;
        }
        rejects(&a.install(Script::new()).await?, 3, "not found")?;
        rejects(&a.update(reply("")).await?, 3, "not found")
    });
    c.case("an empty canister can be deleted", |w| async move {
        let a = w.empty().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("delete_canister").await?)?;
        rejects(&a.managed("canister_status").await?, 3, "not found")
    });
    c.case("a canister that it controls can delete another one, but not itself", |w| async move {
        let (a, b) = (w.canister().await?, w.empty().await?);
        manage::done(b.set(controllers(vec![a.id, Principal::anonymous()])).await?)?;
        a.relayed(Call::management("delete_canister", b.record()).send()).await?.is_reject(5, "stopped")?;
        manage::done(b.managed("stop_canister").await?)?;
        a.relayed(Call::management("delete_canister", b.record()).send()).await?.reply()?;
        rejects(&b.managed("canister_status").await?, 3, "not found")?;
        manage::done(a.set(controllers(vec![a.id, Principal::anonymous()])).await?)?;
        let own = a.relayed(Call::management("delete_canister", a.record()).send()).await?;
        ensure!(matches!(own, mains_conformance::script::Relayed::Reject(..)), "expected a reject, got {own:?}");
        replies(&a.update(reply("alive")).await?, "alive")
    });
    c.case("the id of a deleted canister is not handed out again", |w| async move {
        let a = w.empty().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("delete_canister").await?)?;
        let next = w.empty().await?;
        ensure!(next.id != a.id, "expected another id, got {} again", a.id);
        Ok(())
    });
    c.case("a timer of a deleted canister does not run", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(u64::MAX) + reply("")).await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.managed("delete_canister").await?)?;
        rejects(&a.query(reply(kept())).await?, 3, "")
    });
}

/// An update of `a` that waits for `slow`, which answers when told to; then it does `then`.
async fn waits_for(a: &Canister, slow: &Canister, then: Script) -> Result<mains_conformance::answer::Ended> {
    let call = Call::to(slow.id).argument(wait_for_word()).on_reply(then.clone()).on_reject(then);
    a.update(keep("open") + call.send()).await
}

/// Waits until that update has begun.
async fn open(a: &Canister) -> Result<()> {
    until("the call is open", async || Ok(a.look(reply(kept())).await? == b"open")).await
}

async fn is_stopping(a: &Canister) -> Result<()> {
    let stopping = CanisterStatusType::Stopping;
    let record = CanisterIdRecord { canister_id: a.id };
    until("it is stopping", async || {
        let reply = manage::done(a.ask_management("canister_status", &record).await?)?;
        let status: ic_management_canister_types::CanisterStatusResult = mains_conformance::world::decode(&reply)?;
        Ok(status.status == stopping)
    })
    .await
}

/// Stops `a` while it waits for `slow`, does `meanwhile`, and lets it end.
async fn stop(a: &Canister, slow: &Canister, meanwhile: impl AsyncFn() -> Result<()>) -> Result<()> {
    open(a).await?;
    let (stopped, released) = futures::future::join(a.managed("stop_canister"), async {
        is_stopping(a).await?;
        let did = meanwhile().await;
        slow.get(keep("") + reply("")).await?;
        did
    })
    .await;
    released?;
    manage::done(stopped?).map(drop)
}

async fn uninstall(a: &Canister) -> Result<()> {
    let args = UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
    manage::done(a.manage("uninstall_code", &args).await?).map(drop)
}
