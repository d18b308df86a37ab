//! Heartbeat, inspection of ingress, the low-memory hook.

use anyhow::ensure;
use candid::Encode;
use ic_management_canister_types::{CanisterSettings, HttpRequestArgs};
use mains_conformance::{
    Cases, manage,
    script::{Call, Function as F, Script, operations as op, system, words::*},
    world::{number, rejects, replies, same, until},
};

pub(super) fn add(c: &mut Cases) {
    heartbeat(c);
    inspect(c);
    low_memory(c);
}

fn heartbeat(c: &mut Cases) {
    c.group("heartbeat");
    c.case("it runs again and again", |w| async move {
        let a = w.with_hooks(&["canister_heartbeat"], on(op::HEARTBEAT, keep(kept() + "x"))).await?;
        until("it has run three times", async || Ok(a.look(reply(kept())).await?.len() >= 3)).await
    });
    c.case("one that traps is undone and runs again", |w| async move {
        let a = w.with_hooks(&["canister_heartbeat"], on(op::HEARTBEAT, keep("undone") + trap("in beat"))).await?;
        let log = async || super::availability::log(&a).await;
        until("it traps twice", async || Ok(log().await?.matches("in beat").count() >= 2)).await?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("it may make calls", |w| async move {
        let b = w.canister().await?;
        let call = Call::to(b.id).argument(reply("back")).on_reply(keep(argument())).send();
        let a = w.with_hooks(&["canister_heartbeat"], on(op::HEARTBEAT, call)).await?;
        until("the call is answered", async || Ok(a.look(reply(kept())).await? == b"back")).await
    });
    c.case("not while the canister is stopped", |w| async move {
        let a = w.with_hooks(&["canister_heartbeat"], on(op::HEARTBEAT, keep(kept() + "x"))).await?;
        manage::done(a.managed("stop_canister").await?)?;
        let version = a.status().await?.version;
        w.canister().await?;
        let after = a.status().await?.version;
        ensure!(after == version, "expected version {version}, got {after}");
        Ok(())
    });
    c.case("an upgrade to a module without it ends it", |w| async move {
        let a = w.with_hooks(&["canister_heartbeat"], on(op::HEARTBEAT, keep("x"))).await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        w.canister().await?;
        same(a.look(reply(kept())).await?, "")
    });
}

fn inspect(c: &mut Cases) {
    c.group("inspecting ingress");
    const HOOK: &[&str] = &["canister_inspect_message"];
    let accept = || system(F::accept_message, []);
    c.case("without the hook all messages are taken", |w| async move {
        replies(&w.canister().await?.update(reply("in")).await?, "in")
    });
    c.case("accept_message takes the message", move |w| async move {
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, accept())).await?;
        replies(&a.update(reply("in")).await?, "in")
    });
    c.case("no accept_message: the message is not taken, queries are answered", |w| async move {
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, Script::new())).await?;
        rejects(&a.update(keep("in") + reply("in")).await?, 4, "rejected")?;
        replies(&a.query(reply(kept())).await?, "")
    });
    c.case("accept_message twice traps, and the message is not taken", move |w| async move {
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, accept() + accept())).await?;
        rejects(&a.update(reply("in")).await?, 5, "accept_message")
    });
    c.case("a trap: the message is not taken", move |w| async move {
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, accept() + trap("in hook"))).await?;
        rejects(&a.update(reply("in")).await?, 5, "in hook")
    });
    c.case("the method's name", move |w| async move {
        let hook = when(method_name().is("query"), accept(), Script::new());
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, hook)).await?;
        replies(&a.replicated_query(reply("in")).await?, "in")?;
        rejects(&a.update(reply("in")).await?, 4, "")
    });
    c.case("the caller", move |w| async move {
        let friend = super::calls::principal(31);
        let hook = when(caller().is(friend), accept(), Script::new());
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, hook)).await?;
        replies(&a.seen_by(31)?.update(reply("in")).await?, "in")?;
        rejects(&a.seen_by(32)?.update(reply("in")).await?, 4, "")
    });
    c.case("the argument", move |w| async move {
        let wanted = reply("the one");
        let hook = when(argument().is(wanted.clone()), accept(), Script::new());
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, hook)).await?;
        replies(&a.update(wanted).await?, "the one")?;
        rejects(&a.update(reply("another")).await?, 4, "")
    });
    c.case("what the hook does is undone", move |w| async move {
        let a = w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, keep("undone") + accept())).await?;
        replies(&a.update(reply(kept())).await?, "")
    });
    c.case("calls of canisters are not inspected", |w| async move {
        let (a, b) = (w.canister().await?, w.with_hooks(HOOK, on(op::INSPECT_MESSAGE, trap("x"))).await?);
        same(a.relayed(Call::to(b.id).argument(reply("in")).send()).await?.reply()?, "in")
    });
    c.case("a canister without code takes no messages", |w| async move {
        rejects(&w.empty().await?.update(reply("")).await?, 5, "no Wasm module")
    });
    for method in
        ["raw_rand", "http_request", "ecdsa_public_key", "sign_with_ecdsa", "create_canister", "canister_info"]
    {
        c.case(format!("clients' calls of {method} are not taken"), move |w| async move {
            let a = w.empty().await?;
            let management = candid::Principal::management_canister();
            let argument = if method == "http_request" { Encode!(&HttpRequestArgs::default())? } else { a.record() };
            let call = a.client.call_for(a.id, management, method, argument).await;
            let ended = manage::ended(call)?;
            ensure!(ended.is_err(), "expected a reject, got {ended:?}");
            Ok(())
        });
    }
}

fn low_memory(c: &mut Cases) {
    c.group("low Wasm memory");
    const HOOK: &[&str] = &["canister_on_low_wasm_memory"];
    c.case("the hook runs once when less than the threshold is left", |w| async move {
        let a = w.with_hooks(HOOK, on(op::ON_LOW_WASM_MEMORY, keep(kept() + "low;"))).await?;
        let pages = number(&a.look(reply_number(grow(0))).await?)?;
        let limit = (pages + 100) * 65_536;
        let settings = CanisterSettings {
            wasm_memory_limit: Some(limit.into()),
            wasm_memory_threshold: Some((50u64 * 65_536).into()),
            ..Default::default()
        };
        manage::done(a.set(settings).await?)?;
        a.get(ignore(grow(20)) + reply("")).await?;
        same(a.look(reply(kept())).await?, "")?;
        a.get(ignore(grow(60)) + reply("")).await?;
        until("the hook runs", async || Ok(a.look(reply(kept())).await? == b"low;")).await?;
        a.get(ignore(grow(1)) + reply("")).await?;
        a.get(reply("")).await?;
        same(a.look(reply(kept())).await?, "low;")
    });
    c.case("not without a threshold", |w| async move {
        let a = w.with_hooks(HOOK, on(op::ON_LOW_WASM_MEMORY, keep("low"))).await?;
        a.get(ignore(grow(100)) + reply("")).await?;
        a.get(reply("")).await?;
        same(a.look(reply(kept())).await?, "")
    });
}
