//! Time, and the global timer.

use anyhow::{Result, ensure};
use ic_management_canister_types::UninstallCodeArgs;
use mains_conformance::{
    Cases, manage,
    script::{Bytes, Call, Function as F, Script, ask, operations as op, words::*},
    world::{Canister, number, rejects, same, until},
};

const SECOND: u64 = 1_000_000_000;

pub(super) fn add(c: &mut Cases) {
    c.group("time");
    c.case("in updates, queries, init, pre_upgrade and post_upgrade: about now", |w| async move {
        let a = w.canister_that(ignore(stable_grow(1)) + keep(time().bytes(8))).await?;
        about_now(&a.look(reply(kept())).await?)?;
        about_now(&a.get(reply_number(time())).await?)?;
        about_now(&a.look(reply_number(time())).await?)?;
        a.get(on(op::PRE_UPGRADE, stable_write(0, time().bytes(8))) + reply("")).await?;
        manage::done(a.upgrade(keep(time().bytes(8))).await?)?;
        about_now(&a.look(reply(stable_read(0, 8))).await?)?;
        about_now(&a.look(reply(kept())).await?)
    });
    c.case("the same within one message", |w| async move {
        let a = w.canister().await?;
        let got = a.get(append(time().bytes(8)) + spin(1_000_000) + append(time().bytes(8)) + answer()).await?;
        same(&got[..8], &got[8..])
    });
    c.case("never goes back from message to message", |w| async move {
        let a = w.canister().await?;
        let mut before = 0;
        for _ in 0..5 {
            let now = number(&a.get(reply_number(time())).await?)?;
            ensure!(now >= before, "expected at least {before}, got {now}");
            before = now;
        }
        ensure!(number(&a.look(reply_number(time())).await?)? >= before, "a query is earlier");
        Ok(())
    });
    c.case("the caller's time is not later than the callee's", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).argument(reply_number(time())).on_reply(reply(kept() + argument() + time().bytes(8)));
        let got = a.get(keep(time().bytes(8)) + call.send()).await?;
        let times: Vec<u64> = got.chunks(8).map(number).collect::<Result<_>>()?;
        ensure!(times.is_sorted(), "expected growing times, got {times:?}");
        Ok(())
    });

    c.group("global timer");
    c.case("it runs once, at its time or later", |w| async move {
        let a = w.canister().await?;
        let hook = on(op::GLOBAL_TIMER, keep(kept() + time().bytes(8)));
        let at = number(&a.get(hook + set_timer(time() + SECOND) + reply_number(time() + SECOND)).await?)?;
        until("the timer runs", async || Ok(!a.look(reply(kept())).await?.is_empty())).await?;
        a.get(reply("")).await?;
        let ran = number(&a.look(reply(kept())).await?)?;
        ensure!(ran >= at, "expected {at} or later, got {ran}");
        Ok(())
    });
    c.case("global_timer_set answers what was set before, 0 for nothing", |w| async move {
        let a = w.canister().await?;
        let set = |at: u64| ask(F::global_timer_set, [at.into()]).bytes(8);
        let far = u64::MAX - 1;
        let got = a.get(append(set(far)) + append(set(0)) + append(set(0)) + answer()).await?;
        same(got, [0, far, 0].map(u64::to_le_bytes).concat())
    });
    c.case("one that is switched off does not run", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(time() + 15 * SECOND) + reply("")).await?;
        a.get(set_timer(0) + reply("")).await?;
        wait(&a, 17).await?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("one in the past and one for now run soon", |w| async move {
        for script in [set_timer(1), set_timer(time())] {
            let a = w.canister().await?;
            a.get(on(op::GLOBAL_TIMER, keep("ran")) + script + reply("")).await?;
            until("the timer runs", async || Ok(a.look(reply(kept())).await? == b"ran")).await?;
        }
        Ok(())
    });
    c.case("a later setting replaces the earlier one", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::GLOBAL_TIMER, keep(kept() + "x")) + set_timer(u64::MAX) + set_timer(1) + reply("")).await?;
        until("the timer runs", async || Ok(!a.look(reply(kept())).await?.is_empty())).await?;
        wait(&a, 2).await?;
        same(a.look(reply(kept())).await?, "x")
    });
    c.case("set in init", |w| async move {
        let a = w.canister_that(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(1)).await?;
        until("the timer runs", async || Ok(a.look(reply(kept())).await? == b"ran")).await
    });
    c.case("set in post_upgrade", |w| async move {
        let a = w.canister().await?;
        manage::done(a.upgrade(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(1)).await?)?;
        until("the timer runs", async || Ok(a.look(reply(kept())).await? == b"ran")).await
    });
    c.case("set in pre_upgrade: gone after the upgrade", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::PRE_UPGRADE, set_timer(u64::MAX - 5)) + reply("")).await?;
        manage::done(a.upgrade(on(op::GLOBAL_TIMER, keep("ran"))).await?)?;
        same(a.get(reply_number(ask(F::global_timer_set, [0.into()]))).await?, 0u64.to_le_bytes())
    });
    c.case("set in the timer itself: it goes on", |w| async move {
        let a = w.canister().await?;
        let hook = keep(kept() + "x") + when(kept().length().less(3), set_timer(1), Script::new());
        a.get(on(op::GLOBAL_TIMER, hook) + set_timer(1) + reply("")).await?;
        until("it has run three times", async || Ok(a.look(reply(kept())).await? == b"xxx")).await
    });
    c.case("one that traps does not run again, and what it did is undone", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::GLOBAL_TIMER, keep("undone") + trap("in timer")) + set_timer(1) + reply("")).await?;
        let log = async || super::availability::log(&a).await;
        until("the timer traps", async || Ok(log().await?.contains("in timer"))).await?;
        wait(&a, 2).await?;
        ensure!(log().await?.matches("in timer").count() == 1, "expected one run");
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a timer may make calls", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).argument(keep("called") + reply("back")).on_reply(keep(argument())).send();
        a.get(on(op::GLOBAL_TIMER, call) + set_timer(1) + reply("")).await?;
        until("the call is answered", async || Ok(a.look(reply(kept())).await? == b"back")).await?;
        same(b.look(reply(kept())).await?, "called")
    });
    c.case("upgrades, reinstalls and uninstalls switch it off", |w| async move {
        let cleared = async |a: &Canister| {
            same(a.get(reply_number(ask(F::global_timer_set, [0.into()]))).await?, 0u64.to_le_bytes())
        };
        let a = w.canister_that(set_timer(u64::MAX)).await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        cleared(&a).await?;
        a.get(set_timer(u64::MAX) + reply("")).await?;
        manage::done(a.reinstall(Script::new()).await?)?;
        cleared(&a).await?;
        a.get(set_timer(u64::MAX) + reply("")).await?;
        let args = UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
        manage::done(a.manage("uninstall_code", &args).await?)?;
        manage::done(a.install(Script::new()).await?)?;
        cleared(&a).await
    });
    c.case("it waits for a stopped canister to be started", |w| async move {
        let a = w.canister_that(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(time() + SECOND)).await?;
        manage::done(a.managed("stop_canister").await?)?;
        let clock = w.canister().await?;
        wait(&clock, 3).await?;
        manage::done(a.managed("start_canister").await?)?;
        until("the timer runs", async || Ok(a.look(reply(kept())).await? == b"ran")).await
    });
    c.case("set in post_upgrade of a stopped canister: it runs when started", |w| async move {
        let a = w.canister().await?;
        manage::done(a.managed("stop_canister").await?)?;
        manage::done(a.upgrade(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(1)).await?)?;
        manage::done(a.managed("start_canister").await?)?;
        until("the timer runs", async || Ok(a.look(reply(kept())).await? == b"ran")).await
    });
    c.case("a trap undoes setting it", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(set_timer(u64::MAX) + trap("x")).await?, 5, "x")?;
        same(a.get(reply_number(ask(F::global_timer_set, [0.into()]))).await?, 0u64.to_le_bytes())
    });
    c.case("a module without the hook: nothing happens", |w| async move {
        let a = w.with_hooks(&[], Script::new()).await?;
        a.get(set_timer(1) + reply("")).await?;
        wait(&a, 1).await?;
        same(a.get(reply(Bytes::from("alive"))).await?, "alive")
    });
}

/// Waits until so many seconds of the network's time have passed for a canister.
async fn wait(a: &Canister, seconds: u64) -> Result<()> {
    let now = async || number(&a.get(reply_number(time())).await?);
    let began = now().await?;
    until("time passes", async || Ok(now().await? >= began + seconds * SECOND)).await
}

fn about_now(bytes: &[u8]) -> Result<()> {
    let now = mains_conformance::request::from_now(0);
    let time = number(bytes)?;
    ensure!(now.abs_diff(time) < 120 * SECOND, "expected about {now}, got {time}");
    Ok(())
}
