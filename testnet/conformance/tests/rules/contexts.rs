//! Call contexts: several callbacks, traps in them, cleanup.

use mains_conformance::{
    Cases,
    script::{Call, Script, words::*},
    world::{rejects, same},
};

pub(super) fn add(c: &mut Cases) {
    c.group("call contexts");
    let echo = || Call::to(myself()).argument(reply(""));
    let broken = || Call::to(myself()).argument(trap("callee"));
    c.case("a callback may answer the call", move |w| async move {
        same(w.canister().await?.get(echo().on_reply(reply("late")).send()).await?, "late")
    });
    c.case("a callback may reject the call", move |w| async move {
        rejects(&w.canister().await?.update(echo().on_reply(reject("late")).send()).await?, 4, "late")
    });
    c.case("a second answer in a callback traps and is undone", move |w| async move {
        let a = w.canister().await?;
        let script = reply("first") + echo().on_reply(keep("undone") + reply("second")).send();
        same(a.get(script).await?, "first")?;
        settled(&a).await?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a reply is built by one message: data of another is forgotten", move |w| async move {
        let a = w.canister().await?;
        let script = append("lost ") + echo().on_reply(append("kept") + answer()).send();
        same(a.get(script).await?, "kept")
    });
    c.case("no callback answers: rejected with code 5", move |w| async move {
        rejects(&w.canister().await?.update(echo().on_reply(Script::new()).send()).await?, 5, "did not reply")
    });
    c.case("a callback that traps: the caller is told its text, its effects are undone", move |w| async move {
        let a = w.canister().await?;
        let script = keep("stays") + echo().on_reply(keep("undone") + trap("in callback")).send();
        rejects(&a.update(script).await?, 5, "in callback")?;
        same(a.look(reply(kept())).await?, "stays")
    });
    c.case("a reject callback that traps", move |w| async move {
        let a = w.canister().await?;
        let script = keep("stays") + broken().on_reject(keep("undone") + trap("in callback")).send();
        rejects(&a.update(script).await?, 5, "in callback")?;
        same(a.look(reply(kept())).await?, "stays")
    });
    c.case("two callbacks: the first traps, the second replies", move |w| async move {
        let a = w.canister().await?;
        let script = echo().on_reply(trap("first")).send() + echo().on_reply(reply("second")).send();
        same(a.get(script).await?, "second")
    });
    c.case("two callbacks: the first replies, the second traps", move |w| async move {
        let a = w.canister().await?;
        let script = echo().on_reply(reply("first")).send() + echo().on_reply(trap("second")).send();
        same(a.get(script).await?, "first")
    });
    c.case("two callbacks: both trap", move |w| async move {
        let a = w.canister().await?;
        let script = echo().on_reply(trap("first")).send() + echo().on_reply(trap("second")).send();
        rejects(&a.update(script).await?, 5, "")
    });
    c.case("two callbacks share what the heap keeps", move |w| async move {
        let a = w.canister().await?;
        let last = keep(kept() + "b") + reply(kept());
        let script = echo().on_reply(keep("a")).send() + echo().on_reply(last).send();
        same(a.get(script).await?, "ab")
    });
    c.case("cleanup runs after a reply callback that trapped, and its effects stay", move |w| async move {
        let a = w.canister().await?;
        let script = echo().on_reply(keep("undone") + trap("in callback")).on_cleanup(keep("cleaned")).send();
        rejects(&a.update(script).await?, 5, "in callback")?;
        same(a.look(reply(kept())).await?, "cleaned")
    });
    c.case("cleanup runs after a reject callback that trapped", move |w| async move {
        let a = w.canister().await?;
        let script = broken().on_reject(trap("in callback")).on_cleanup(keep("cleaned")).send();
        rejects(&a.update(script).await?, 5, "in callback")?;
        same(a.look(reply(kept())).await?, "cleaned")
    });
    c.case("cleanup does not run after callbacks that did not trap", move |w| async move {
        let a = w.canister().await?;
        same(a.get(echo().on_reply(reply("fine")).on_cleanup(keep("cleaned")).send()).await?, "fine")?;
        same(a.get(broken().on_reject(reply("fine")).on_cleanup(keep("cleaned")).send()).await?, "fine")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a cleanup that traps is undone, and the caller is told of the callback", move |w| async move {
        let a = w.canister().await?;
        let cleanup = keep("undone") + trap("in cleanup");
        let script = echo().on_reply(trap("in callback")).on_cleanup(cleanup).send();
        rejects(&a.update(script).await?, 5, "in callback")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("the reject code in cleanup is that of the answer", move |w| async move {
        let a = w.canister().await?;
        let cleanup = || keep(reject_code().bytes(4));
        rejects(&a.update(echo().on_reply(trap("x")).on_cleanup(cleanup()).send()).await?, 5, "x")?;
        same(a.look(reply(kept())).await?, 0u32.to_le_bytes())?;
        rejects(&a.update(broken().on_reject(trap("x")).on_cleanup(cleanup()).send()).await?, 5, "x")?;
        same(a.look(reply(kept())).await?, 5u32.to_le_bytes())
    });
    c.case("the caller in cleanup is the one of the call at work", move |w| async move {
        let a = w.canister().await?.seen_by(9)?;
        let sender = a.client.principal()?;
        rejects(&a.update(echo().on_reply(trap("x")).on_cleanup(keep(caller())).send()).await?, 5, "x")?;
        same(a.look(reply(kept())).await?, sender.as_slice())
    });
    c.case("a call made by a callback belongs to the same context", move |w| async move {
        let a = w.canister().await?;
        let inner = echo().on_reply(reply("deep")).send();
        same(a.get(echo().on_reply(inner).send()).await?, "deep")
    });
    c.case("effects of the first message are there in the callback, and for others meanwhile", move |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        // b asks a for what it keeps while a waits for b.
        let ask_back = Call::to(a.id).method("query").argument(reply(kept())).on_reply(reply(argument())).send();
        let script = keep("early") + Call::to(b.id).argument(ask_back).on_reply(reply(argument())).send();
        same(a.get(script).await?, "early")
    });
    c.case("two canisters that call each other in turn", move |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let mut script = reply("end");
        for round in 0..6 {
            let callee = if round % 2 == 0 { a.id } else { b.id };
            script = Call::to(callee).argument(script).on_reply(reply(argument() + ".")).send();
        }
        same(a.get(script).await?, "end......")
    });
}

/// Waits until all that the canister has under way has been done.
async fn settled(canister: &mains_conformance::world::Canister) -> anyhow::Result<()> {
    mains_conformance::manage::done(canister.managed("stop_canister").await?)?;
    mains_conformance::manage::done(canister.managed("start_canister").await?).map(drop)
}
