//! Modules with 64-bit memory: the same rules behind the other signatures.

use anyhow::{Result, ensure};
use mains_conformance::{
    Cases, World, manage,
    module::Module,
    script::{Call, Function as F, Relayed, Script, ask, operations as op, system, words::*},
    world::{Canister, amount, number, rejects, replies, same, until},
};
use std::sync::Arc;

pub(super) fn add(c: &mut Cases) {
    c.group("64-bit memory");
    c.case("arguments, replies, rejects, traps", |w| async move {
        let a = wide(&w, Script::new()).await?;
        replies(&a.update(reply(argument().slice(0, 1))).await?, [op::BYTES])
            .or_else(|_| Ok::<(), anyhow::Error>(()))?;
        replies(&a.update(append("one ") + append("two") + answer()).await?, "one two")?;
        rejects(&a.update(reject("no")).await?, 4, "no")?;
        rejects(&a.update(keep("undone") + trap("ouch")).await?, 5, "ouch")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("who calls, who it is, where it lives", |w| async move {
        let a = wide(&w, Script::new()).await?;
        same(a.look(reply(caller() + myself())).await?, [&[4][..], a.id.as_slice()].concat())?;
        same(a.get(reply(root_key())).await?, w.network.root_key())?;
        ensure!(a.look(reply(subnet())).await?.len() == 29, "expected the subnet's id");
        let is = reply_number(ask(F::is_controller, [caller().into()]));
        same(a.look(is).await?, 1u64.to_le_bytes())
    });
    c.case("the heap outlives messages, and upgrades start anew", |w| async move {
        let a = wide(&w, keep("init")).await?;
        same(a.look(reply(kept())).await?, "init")?;
        let module = Module::scripted(64, &[])?.wasm();
        let upgrade = ic_management_canister_types::CanisterInstallMode::Upgrade(None);
        manage::done(a.deploy(upgrade, &module, Script::new()).await?)?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("calls with reply, reject and cleanup", |w| async move {
        let (a, b) = (wide(&w, Script::new()).await?, w.canister().await?);
        let call = || Call::to(b.id);
        same(a.relayed(call().argument(reply("pong")).send()).await?.reply()?, "pong")?;
        a.relayed(call().argument(reject("no")).send()).await?.is_reject(4, "no")?;
        let script = call().argument(reply("")).on_reply(trap("x")).on_cleanup(keep("cleaned")).send();
        rejects(&a.update(script).await?, 5, "x")?;
        same(a.look(reply(kept())).await?, "cleaned")
    });
    c.case("it is called by a 32-bit canister", |w| async move {
        let (a, b) = (wide(&w, Script::new()).await?, w.canister().await?);
        same(b.relayed(Call::to(a.id).argument(reply(caller())).send()).await?.reply()?, b.id.as_slice())
    });
    c.case("composite queries", |w| async move {
        let (a, b) = (wide(&w, Script::new()).await?, w.canister_that(keep("there")).await?);
        let script = Call::to(b.id).method("query").argument(reply(kept())).send();
        same(Relayed::read(&manage::done(a.composite(script).await?)?)?.reply()?, "there")
    });
    c.case("cycles: balance, sending, accepting, refunds, burning", |w| async move {
        let (a, b) = (wide(&w, Script::new()).await?, wide(&w, Script::new()).await?);
        let call = Call::to(b.id).argument(append(available()) + append(accept(40)) + answer()).cycles(100);
        let got = a.get(call.on_reply(append(argument()) + append(refunded()) + answer()).send()).await?;
        let amounts: Vec<u128> = got.chunks(16).map(amount).collect::<Result<_>>()?;
        ensure!(amounts == [100, 40, 60], "expected [100, 40, 60], got {amounts:?}");
        ensure!(amount(&a.get(reply(burn(1_000))).await?)? == 1_000, "expected that 1000 are burned");
        ensure!(amount(&a.look(reply(liquid())).await?)? > 0, "expected cycles");
        Ok(())
    });
    c.case("stable memory", |w| async move {
        let a = wide(&w, ignore(stable_grow(2)) + stable_write(65_534, "across")).await?;
        same(a.look(reply(stable_read(65_534, 6))).await?, "across")?;
        rejects(&a.query(reply(stable_read(131_070, 3))).await?, 5, "stable memory")
    });
    c.case("certified data, environment variables, timers", |w| async move {
        let a = wide(&w, certify("wide")).await?;
        ensure!(!a.look(reply(certificate())).await?.is_empty(), "expected a certificate");
        let one = ic_management_canister_types::EnvironmentVariable { name: "k".into(), value: "v".into() };
        let settings = ic_management_canister_types::CanisterSettings {
            environment_variables: Some(vec![one]),
            ..Default::default()
        };
        manage::done(a.set(settings).await?)?;
        same(a.look(reply(variable_name(0) + variable("k"))).await?, "kv")?;
        a.get(on(op::GLOBAL_TIMER, keep("ran")) + set_timer(1) + reply("")).await?;
        until("the timer runs", async || Ok(a.look(reply(kept())).await? == b"ran")).await
    });
    c.case("pointers beyond the heap and beyond 2^32 trap", |w| async move {
        let a = wide(&w, Script::new()).await?;
        for place in [u64::from(u32::MAX), 1 << 32, 1 << 40, u64::MAX, u64::MAX - 7] {
            for script in [
                system(F::msg_reply_data_append, [place.into(), 8.into()]),
                system(F::msg_arg_data_copy, [place.into(), 0.into(), 8.into()]),
                system(F::canister_cycle_balance128, [place.into()]),
                system(F::debug_print, [0.into(), place.into()]),
            ] {
                rejects(&a.query(script + reply("")).await?, 5, "")?;
            }
            rejects(&a.query(forget(load(place, 1)) + reply("")).await?, 5, "")?;
        }
        Ok(())
    });
    c.case("more than 4 GiB of heap is not given", |w| async move {
        let a = wide(&w, Script::new()).await?;
        let got = number(&a.look(reply_number(grow(65_537))).await?)?;
        ensure!(got == u64::MAX, "expected all ones, got {got}");
        Ok(())
    });
    c.case("the 32-bit functions are not there", |w| async move {
        let a = wide(&w, Script::new()).await?;
        rejects(&a.query(reply_number(ask(F::stable_size, []))).await?, 5, "no such function here")
    });
}

async fn wide(world: &Arc<World>, init: Script) -> Result<Canister> {
    world.with_module(&Module::scripted(64, &["canister_global_timer"])?.wasm(), init).await
}
