//! Certified data and its certificates.

use anyhow::{Context as _, Result, ensure};
use ic_management_canister_types::UninstallCodeArgs;
use mains_client::Certificate;
use mains_conformance::{
    Cases, manage,
    script::{Call, Function as F, Script, ask, operations as op, words::*},
    world::{Canister, rejects, replies, same},
};

pub(super) fn add(c: &mut Cases) {
    c.group("certified data");
    c.case("empty at first, with a certificate that verifies", |w| async move {
        same(certified(&w.canister().await?).await?, "")
    });
    c.case("set and set again: the latest counts", |w| async move {
        let a = w.canister().await?;
        a.get(certify("one") + reply("")).await?;
        same(certified(&a).await?, "one")?;
        a.get(certify("two") + certify("three") + reply("")).await?;
        same(certified(&a).await?, "three")
    });
    c.case("32 bytes are taken; 33 trap and the old value stays", |w| async move {
        let a = w.canister().await?;
        a.get(certify(vec![7; 32]) + reply("")).await?;
        rejects(&a.update(certify(vec![8; 33]) + reply("")).await?, 5, "certified_data_set")?;
        same(certified(&a).await?, [7; 32])
    });
    c.case("a trap undoes setting it", |w| async move {
        let a = w.canister().await?;
        a.get(certify("old") + reply("")).await?;
        rejects(&a.update(certify("new") + trap("x")).await?, 5, "x")?;
        same(certified(&a).await?, "old")
    });
    c.case("set in init", |w| async move { same(certified(&w.canister_that(certify("init")).await?).await?, "init") });
    c.case("set in pre_upgrade and in post_upgrade", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::PRE_UPGRADE, certify("pre")) + reply("")).await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        same(certified(&a).await?, "pre")?;
        manage::done(a.upgrade(certify("post")).await?)?;
        same(certified(&a).await?, "post")
    });
    c.case("set in callbacks and in the timer", |w| async move {
        let a = w.canister().await?;
        let echo = Call::to(myself()).method("query").argument(reply(""));
        a.get(echo.on_reply(certify("callback") + reply("")).send()).await?;
        same(certified(&a).await?, "callback")?;
        a.get(on(op::GLOBAL_TIMER, certify("timer")) + set_timer(1) + reply("")).await?;
        mains_conformance::world::until("the timer runs", async || Ok(certified(&a).await? == b"timer")).await
    });
    c.case("kept by an upgrade, cleared by a reinstall and an uninstall", |w| async move {
        let a = w.canister_that(certify("old")).await?;
        manage::done(a.upgrade(Script::new()).await?)?;
        same(certified(&a).await?, "old")?;
        manage::done(a.reinstall(Script::new()).await?)?;
        same(certified(&a).await?, "")?;
        a.get(certify("again") + reply("")).await?;
        let args = UninstallCodeArgs { canister_id: a.id, sender_canister_version: None };
        manage::done(a.manage("uninstall_code", &args).await?)?;
        manage::done(a.install(Script::new()).await?)?;
        same(certified(&a).await?, "")
    });
    c.case("there is no certificate in updates, replicated queries and calls of canisters", |w| async move {
        let a = w.canister().await?;
        let present = || reply(ask(F::data_certificate_present, []).bytes(1));
        same(a.look(present()).await?, [1])?;
        replies(&a.composite(present()).await?, [1])?;
        replies(&a.update(present()).await?, [0])?;
        replies(&a.replicated_query(present()).await?, [0])?;
        same(a.relayed(Call::to(myself()).method("query").argument(present()).send()).await?.reply()?, [0])
    });
    c.case("there is none for a query that another canister's composite query makes", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let present = reply(ask(F::data_certificate_present, []).bytes(1));
        let script = Call::to(b.id).method("query").argument(present).on_reply(reply(argument())).send();
        replies(&a.composite(script).await?, [0])
    });
    c.case("reading it where there is none traps", |w| async move {
        rejects(&w.canister().await?.update(reply(certificate())).await?, 5, "data_certificate_size")
    });
    c.case("a composite query reads it before its calls", |w| async move {
        let a = w.canister_that(certify("composite")).await?;
        let bytes = manage::done(a.composite(reply(certificate())).await?)?;
        same(verified(&a, &bytes)?, "composite")
    });
    c.case("its time is about now, and it names the canister", |w| async move {
        let a = w.canister().await?;
        let certificate = Certificate::verify(&a.look(reply(certificate())).await?, w.network.root_key())?;
        let now = mains_conformance::request::from_now(0);
        ensure!(certificate.time()?.get().abs_diff(now) < 120_000_000_000, "got {}", certificate.time()?);
        Ok(())
    });
    c.case("it reveals this canister's data and no other's", |w| async move {
        let (a, b) = (w.canister_that(certify("mine")).await?, w.canister_that(certify("yours")).await?);
        let certificate = Certificate::verify(&a.look(reply(certificate())).await?, w.network.root_key())?;
        let other = certificate.value(&[b"canister", b.id.as_slice(), b"certified_data"]);
        ensure!(other.is_none(), "expected nothing of {}", b.id);
        ensure!(certificate.value(&[b"canister", a.id.as_slice(), b"module_hash"]).is_none(), "expected only the data");
        Ok(())
    });
}

/// The certified data as its certificate proves it.
async fn certified(a: &Canister) -> Result<Vec<u8>> {
    verified(a, &a.look(reply(certificate())).await?)
}

fn verified(a: &Canister, certificate: &[u8]) -> Result<Vec<u8>> {
    let certificate = Certificate::verify(certificate, a.world().network.root_key())?;
    let data = certificate.value(&[b"canister", a.id.as_slice(), b"certified_data"]);
    Ok(data.context("no certified data in the certificate")?.to_vec())
}
