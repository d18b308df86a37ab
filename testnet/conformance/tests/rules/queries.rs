//! Queries, replicated and not, and composite ones.

use anyhow::ensure;
use mains_conformance::{
    Cases, request,
    script::{Call, Relayed, Script, words::*},
    world::{rejects, replies, same},
};
use mains_types::Principal;

pub(super) fn add(c: &mut Cases) {
    c.group("queries");
    c.case("a query changes nothing", |w| async move {
        let a = w.canister().await?;
        same(a.look(keep("undone") + reply(kept())).await?, "undone")?;
        same(a.look(reply(kept())).await?, "")?;
        replies(&a.replicated_query(keep("undone") + reply("")).await?, "")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a query that grows its memories leaves them as they were", |w| async move {
        let a = w.canister().await?;
        same(a.look(ignore(stable_grow(3)) + reply_number(stable_size())).await?, 3u64.to_le_bytes())?;
        same(a.look(reply_number(stable_size())).await?, 0u64.to_le_bytes())?;
        replies(&a.replicated_query(ignore(stable_grow(3)) + reply("")).await?, "")?;
        same(a.look(reply_number(stable_size())).await?, 0u64.to_le_bytes())
    });
    c.case("a query that traps", |w| async move {
        rejects(&w.canister().await?.query(trap("in query")).await?, 5, "in query")
    });
    c.case("a query that needs more instructions than it may is rejected", |w| async move {
        let a = w.canister().await?;
        rejects(&a.query(fault(mains_conformance::script::operations::ENDLESS_LOOP)).await?, 5, "instructions")
    });
    c.case("a query's reply may have 2 MiB", |w| async move {
        let got = w.canister().await?.look(repeat(32, append(load(0, 65_536))) + answer()).await?;
        ensure!(got.len() == 2 << 20, "expected 2 MiB, got {} bytes", got.len());
        Ok(())
    });
    c.case("a query of a stopped canister is rejected with code 5", |w| async move {
        let a = w.canister().await?;
        mains_conformance::manage::done(a.managed("stop_canister").await?)?;
        rejects(&a.query(reply("")).await?, 5, "stopped")
    });
    c.case("a query of a deleted canister is rejected with code 3", |w| async move {
        let a = w.canister().await?;
        mains_conformance::manage::done(a.managed("stop_canister").await?)?;
        mains_conformance::manage::done(a.managed("delete_canister").await?)?;
        rejects(&a.query(reply("")).await?, 3, "not found")
    });
    c.case("an answer names the request's canister in no other canister's path", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let query = request::unsigned(request::query(Principal::anonymous(), a.id, "query", &reply("").bytes()));
        let answer = w.network.post(a.replica, &request::path(b.id, "query"), query.encode_bytes()).await?;
        ensure!(answer.status == 400, "expected HTTP 400, got {}", answer.status);
        Ok(())
    });

    c.group("composite queries");
    c.case("a composite query replies, and changes nothing", |w| async move {
        let a = w.canister().await?;
        replies(&a.composite(keep("undone") + reply("composed")).await?, "composed")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("it asks another canister's query", |w| async move {
        let (a, b) = (w.canister().await?, w.canister_that(keep("there")).await?);
        let script = Call::to(b.id).method("query").argument(reply(kept())).send();
        same(told(a.composite(script).await?)?.reply()?, "there")
    });
    c.case("it asks another canister's composite query", |w| async move {
        let (a, b, d) = (w.canister().await?, w.canister().await?, w.canister_that(keep("far")).await?);
        let inner = Call::to(d.id).method("query").argument(reply(kept())).on_reply(reply(argument())).send();
        let script = Call::to(b.id).method("composite").argument(inner).send();
        same(told(a.composite(script).await?)?.reply()?, "far")
    });
    c.case("it may not call an update", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        told(a.composite(Call::to(b.id).argument(reply("")).send()).await?)?.is_reject(5, "update")
    });
    c.case("the caller of a query that it asks is the canister", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = Call::to(b.id).method("query").argument(reply(caller())).send();
        same(told(a.composite(script).await?)?.reply()?, a.id.as_slice())
    });
    c.case("reply and reject callbacks see what the message before them did", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).method("query").argument(reject("no"));
        let script = keep("one ") + call.on_reject(reply(kept() + reject_message())).send();
        replies(&a.composite(script).await?, "one no")
    });
    c.case("rejects are told with their codes", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let ask = |script| Call::to(b.id).method("query").argument(script).send();
        told(a.composite(ask(reject("no"))).await?)?.is_reject(4, "no")?;
        told(a.composite(ask(trap("ouch"))).await?)?.is_reject(5, "ouch")?;
        told(a.composite(ask(Script::new())).await?)?.is_reject(5, "did not reply")?;
        let nobody = mains_types::ids::canister_id(0xf_ff04);
        told(a.composite(Call::to(nobody).method("query").send()).await?)?.is_reject(3, "")?;
        told(a.composite(Call::to(b.id).method("absent").send()).await?)?.is_reject(5, "absent")
    });
    c.case("a callback that traps rejects the query, and its cleanup runs", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).method("query").argument(reply("")).on_reply(trap("in callback"));
        rejects(&a.composite(call.clone().send()).await?, 5, "in callback")?;
        rejects(&a.composite(call.on_cleanup(print("cleaned")).send()).await?, 5, "in callback")
    });
    c.case("no answer in the end: rejected with code 5", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = Call::to(b.id).method("query").argument(reply("")).on_reply(Script::new()).send();
        rejects(&a.composite(script).await?, 5, "did not reply")
    });
    c.case("two questions at once, answered in their order", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let ask = |text: &str, then| Call::to(b.id).method("query").argument(reply(text)).on_reply(then).send();
        let script = ask("1", keep(argument())) + ask("2", reply(kept() + argument()));
        replies(&a.composite(script).await?, "12")
    });
    c.case("an endless query under it is rejected, and it ends", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let endless = fault(mains_conformance::script::operations::ENDLESS_LOOP);
        let got = a.composite(Call::to(b.id).method("query").argument(endless).send()).await?;
        ensure!(got.is_err() || matches!(told(got)?, Relayed::Reject(..)), "expected a reject");
        Ok(())
    });
    c.case("more than 500 questions are refused", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let ask =
            Call::to(b.id).method("query").argument(reply("")).on_reply(Script::new()).on_reject(reply("refused"));
        replies(&a.composite(repeat(501, ask.send())).await?, "refused")
    });
    c.case("cycles cannot be attached", |w| async move {
        let a = w.canister().await?;
        rejects(&a.composite(Call::to(a.id).method("query").cycles(1).send()).await?, 5, "call_cycles_add128")
    });
    c.case("it cannot be called by an update", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        a.relayed(Call::to(b.id).method("composite").argument(reply("")).send()).await?.is_reject(5, "")
    });
}

fn told(ended: mains_conformance::answer::Ended) -> anyhow::Result<Relayed> {
    Relayed::read(&mains_conformance::manage::done(ended)?)
}
