//! Calls by clients, answers, and calls between canisters.

use anyhow::ensure;
use candid::{Encode, Principal};
use mains_conformance::{
    Cases,
    request::Key,
    script::{Bytes, Call, Function as F, Relayed, Script, ask, operations as op, system, words::*},
    world::{number, rejects, replies, same},
};

pub(super) fn add(c: &mut Cases) {
    simple(c);
    answers(c);
    callers(c);
    between(c);
    builder(c);
    best_effort(c);
}

fn simple(c: &mut Cases) {
    c.group("calls by clients");
    c.case("an update replies with what it appended", |w| async move {
        let a = w.canister().await?;
        replies(&a.update(append("one ") + append("two") + answer()).await?, "one two")
    });
    c.case("a query replies", |w| async move { replies(&w.canister().await?.query(reply("hello")).await?, "hello") });
    c.case("a query method can be called as an update, and is certified", |w| async move {
        replies(&w.canister().await?.replicated_query(reply("hello")).await?, "hello")
    });
    c.case("an update method cannot be asked by query", |w| async move {
        rejects(&w.canister().await?.ask("update", reply("x").bytes()).await?, 5, "query method")
    });
    c.case("a composite query method cannot be called as an update", |w| async move {
        rejects(&w.canister().await?.call("composite", reply("x").bytes()).await?, 5, "method")
    });
    c.case("a method that the canister does not have", |w| async move {
        let a = w.canister().await?;
        rejects(&a.call("absent", vec![]).await?, 5, "absent")?;
        rejects(&a.ask("absent", vec![]).await?, 5, "absent")
    });
    c.case("an entry point of the system is no method", |w| async move {
        let a = w.canister().await?;
        for name in ["canister_init", "canister_global_timer", "init"] {
            rejects(&a.call(name, vec![]).await?, 5, name)?;
        }
        Ok(())
    });
    c.case("a canister that does not exist", |w| async move {
        let a = w.empty().await?.at(mains_types::ids::canister_id(0xf_ff02));
        rejects(&a.update(reply("x")).await?, 3, "not found")?;
        rejects(&a.query(reply("x")).await?, 3, "not found")
    });
    c.case("a canister without code", |w| async move {
        let a = w.empty().await?;
        rejects(&a.update(reply("x")).await?, 5, "no Wasm module")?;
        rejects(&a.query(reply("x")).await?, 5, "no Wasm module")
    });
    c.case("an argument arrives whole, from nothing to almost 2 MiB", |w| async move {
        let a = w.canister().await?;
        let script = reply_number(argument().length());
        let short = script.clone().bytes().len() as u64;
        same(a.get(script.clone()).await?, short.to_le_bytes())?;
        // What follows the script's end is never run: bytes that are put and forgotten.
        let filler = forget(vec![7u8; 1_900_000].into());
        let long = script + filler;
        let length = long.clone().bytes().len() as u64;
        same(a.get(long).await?, length.to_le_bytes())
    });
    c.case("a reply may have 2 MiB and no more", |w| async move {
        let a = w.canister().await?;
        let fill = |count| repeat(count, append(load(0, 65_536)));
        let reply = a.get(fill(32) + answer()).await?;
        ensure!(reply.len() == 2 << 20, "expected 2 MiB, got {} bytes", reply.len());
        rejects(&a.update(fill(32) + append("x") + answer()).await?, 5, "")
    });
    c.case("a method's effects stay after its reply", |w| async move {
        let a = w.canister().await?;
        a.get(keep("one") + reply("")).await?;
        same(a.look(reply(kept())).await?, "one")?;
        a.get(keep("two") + reply("")).await?;
        same(a.look(reply(kept())).await?, "two")
    });
    c.case("effects before and after the reply both count", |w| async move {
        let a = w.canister().await?;
        a.get(keep("before") + reply("") + keep(kept() + " and after")).await?;
        same(a.look(reply(kept())).await?, "before and after")
    });
}

fn answers(c: &mut Cases) {
    c.group("replies and rejects");
    c.case("msg_reject rejects with code 4 and the canister's text", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(reject("not today")).await?, 4, "not today")?;
        rejects(&a.query(reject("not today")).await?, 4, "not today")
    });
    c.case("a reject's text must be UTF-8", |w| async move {
        rejects(&w.canister().await?.update(reject(&[0xff, 0xfe])).await?, 5, "UTF-8")
    });
    c.case("an update without an answer is rejected with code 5", |w| async move {
        rejects(&w.canister().await?.update(Script::new()).await?, 5, "did not reply")
    });
    c.case("what an update without an answer did stays", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(keep("done")).await?, 5, "did not reply")?;
        same(a.look(reply(kept())).await?, "done")
    });
    c.case("a query without an answer is rejected with code 5", |w| async move {
        let a = w.canister().await?;
        rejects(&a.query(Script::new()).await?, 5, "did not reply")?;
        rejects(&a.replicated_query(Script::new()).await?, 5, "did not reply")
    });
    for (name, second) in [
        ("msg_reply", answer as fn() -> Script),
        ("msg_reject", || reject("no")),
        ("msg_reply_data_append", || append("more")),
    ] {
        for (first_name, first) in [("reply", reply("x")), ("reject", reject("x"))] {
            c.case(format!("{name} after a {first_name} traps, in updates and queries"), move |w| async move {
                let a = w.canister().await?;
                rejects(&a.update(keep("undone") + first.clone() + second()).await?, 5, name)?;
                same(a.look(reply(kept())).await?, "")?;
                rejects(&a.query(first + second()).await?, 5, name)
            });
        }
    }
    c.case("a trap after a reply takes it back", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(keep("undone") + reply("x") + trap("after all")).await?, 5, "after all")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a trap after a reject takes it back", |w| async move {
        rejects(&w.canister().await?.update(reject("x") + trap("after all")).await?, 5, "after all")
    });
    c.case("data appended before msg_reject is not sent", |w| async move {
        rejects(&w.canister().await?.update(append("data") + reject("no")).await?, 4, "no")
    });
    for (name, kind, text) in [
        ("unreachable", op::UNREACHABLE, "unreachable"),
        ("a read beyond the heap", op::BEYOND_THE_HEAP, "out of bounds"),
        ("endless recursion", op::ENDLESS_RECURSION, "trapped"),
    ] {
        c.case(format!("{name} traps, and what was done is undone"), move |w| async move {
            let a = w.canister().await?;
            a.get(keep("before") + reply("")).await?;
            rejects(&a.update(keep("undone") + fault(kind)).await?, 5, text)?;
            rejects(&a.query(fault(kind)).await?, 5, text)?;
            same(a.look(reply(kept())).await?, "before")
        });
    }
    c.case("ic0.trap shows its text to the caller", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(trap("the reason")).await?, 5, "the reason")?;
        rejects(&a.query(trap("the reason")).await?, 5, "the reason")
    });
    c.case("ic0.trap with bytes that are no text", |w| async move {
        rejects(&w.canister().await?.update(trap(&[0xff, 0x00, 0xfe])).await?, 5, "ic0.trap")
    });
    c.case("ic0.trap and debug_print with pointers beyond the heap trap", |w| async move {
        let a = w.canister().await?;
        for function in [F::trap, F::debug_print] {
            let script = system(function, [0xffff_0000.into(), 4096.into()]);
            rejects(&a.update(script.clone() + reply("x")).await?, 5, "out of bounds")?;
            rejects(&a.query(script + reply("x")).await?, 5, "out of bounds")?;
        }
        Ok(())
    });
    c.case("copies beyond what there is trap", |w| async move {
        let a = w.canister().await?;
        let bad = [
            system(F::msg_arg_data_copy, [0.into(), 100_000.into(), 1.into()]),
            system(F::msg_arg_data_copy, [0.into(), 1.into(), 100_000.into()]),
            system(F::msg_arg_data_copy, [0.into(), u64::from(u32::MAX).into(), 2.into()]),
            system(F::msg_caller_copy, [0.into(), 0.into(), 30.into()]),
            system(F::canister_self_copy, [0.into(), 5.into(), 6.into()]),
            system(F::msg_caller_copy, [0xffff_ffff.into(), 0.into(), 1.into()]),
        ];
        for script in bad {
            rejects(&a.update(keep("undone") + script.clone() + reply("x")).await?, 5, "")?;
            rejects(&a.query(script + reply("x")).await?, 5, "")?;
        }
        same(a.look(reply(kept())).await?, "")
    });
    c.case("copies of a part, and of nothing", |w| async move {
        use mains_conformance::script::written;
        let a = w.canister().await?;
        let part = written(F::msg_caller_copy, 1, |place| [place.into(), 0.into(), 1.into()]);
        same(a.get(reply(part)).await?, [4])?;
        let nothing = system(F::msg_caller_copy, [0.into(), 1.into(), 0.into()]);
        replies(&a.update(nothing + reply("fine")).await?, "fine")
    });
}

fn callers(c: &mut Cases) {
    c.group("who calls");
    c.case("the caller of an update and of a query is the sender", |w| async move {
        let a = w.canister().await?.seen_by(9)?;
        let sender = a.client.principal()?;
        same(a.get(reply(caller())).await?, sender.as_slice())?;
        same(a.look(reply(caller())).await?, sender.as_slice())
    });
    c.case("the anonymous caller has the id 04", |w| async move {
        let a = w.canister().await?;
        same(a.get(reply(caller())).await?, [4])?;
        same(a.look(reply(caller())).await?, [4])
    });
    c.case("the caller of a call between canisters is the canister", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let answer = a.relayed(Call::to(b.id).argument(reply(caller())).send()).await?.reply()?;
        same(answer, a.id.as_slice())
    });
    c.case("in callbacks the caller is the one of the call at work", |w| async move {
        let a = w.canister().await?.seen_by(9)?;
        let sender = a.client.principal()?;
        let echo = Call::to(myself()).method("query");
        same(a.get(echo.clone().argument(reply("")).on_reply(reply(caller())).send()).await?, sender.as_slice())?;
        same(a.get(echo.argument(trap("")).on_reject(reply(caller())).send()).await?, sender.as_slice())
    });
    c.case("the caller in init is the one who installs", |w| async move {
        let a = w.canister_that(keep(caller())).await?;
        same(a.look(reply(kept())).await?, [4])
    });
    c.case("the caller in post_upgrade and pre_upgrade is the one who upgrades", |w| async move {
        let settings = controllers(vec![Principal::anonymous(), principal(9)]);
        let a = w.canister().await?;
        mains_conformance::manage::done(a.set(settings).await?)?;
        let hook = on(op::PRE_UPGRADE, ignore(stable_grow(1)) + stable_write(0, caller()));
        a.get(hook + reply("")).await?;
        mains_conformance::manage::done(a.seen_by(9)?.upgrade(keep(caller())).await?)?;
        same(a.look(reply(kept())).await?, principal(9).as_slice())?;
        same(a.look(reply(stable_read(0, 29))).await?, principal(9).as_slice())
    });
    c.case("the caller of a timer is the management canister", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::GLOBAL_TIMER, keep(Bytes::from("ran:") + caller())) + set_timer(1) + reply("")).await?;
        mains_conformance::world::until("the timer runs", || async { Ok(a.look(reply(kept())).await? == b"ran:") })
            .await
    });
    c.case("canister_self is the canister's id, in init too", |w| async move {
        let a = w.canister_that(keep(myself())).await?;
        same(a.look(reply(kept())).await?, a.id.as_slice())?;
        same(a.get(reply(myself())).await?, a.id.as_slice())
    });
    c.case("subnet_self is the subnet's id", |w| async move {
        let a = w.canister().await?;
        let id = Principal::self_authenticating(w.network.root_key());
        same(a.get(reply(subnet())).await?, id.as_slice())?;
        same(a.look(reply(subnet())).await?, id.as_slice())
    });
    c.case("root_key is the key that clients know", |w| async move {
        let a = w.canister().await?;
        same(a.get(reply(root_key())).await?, w.network.root_key())
    });
    c.case("msg_caller_info is empty without sender_info", |w| async move {
        let a = w.canister().await?;
        let sizes = ask(F::msg_caller_info_data_size, []) + ask(F::msg_caller_info_signer_size, []);
        same(a.get(reply_number(sizes)).await?, 0u64.to_le_bytes())
    });
    c.case("is_controller: yes, no, and no principal", |w| async move {
        let a = w.canister().await?;
        let is = |bytes: &[u8]| reply_number(ask(F::is_controller, [Bytes::from(bytes).into()]));
        same(a.get(is(&[4])).await?, 1u64.to_le_bytes())?;
        same(a.get(is(&[])).await?, 0u64.to_le_bytes())?;
        same(a.get(is(&[1; 29])).await?, 0u64.to_le_bytes())?;
        same(a.look(is(&[4])).await?, 1u64.to_le_bytes())?;
        rejects(&a.update(is(&[1; 30])).await?, 5, "principal")
    });
    c.case("in_replicated_execution: updates and replicated queries, not queries", |w| async move {
        let a = w.canister().await?;
        let replicated = || reply_number(ask(F::in_replicated_execution, []));
        same(a.get(replicated()).await?, 1u64.to_le_bytes())?;
        replies(&a.replicated_query(replicated()).await?, 1u64.to_le_bytes())?;
        same(a.look(replicated()).await?, 0u64.to_le_bytes())?;
        replies(&a.composite(replicated()).await?, 0u64.to_le_bytes())
    });
}

fn between(c: &mut Cases) {
    c.group("calls between canisters");
    c.case("to an update of another canister", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = Call::to(b.id).argument(keep("called") + reply("pong")).send();
        same(a.relayed(script).await?.reply()?, "pong")?;
        same(b.look(reply(kept())).await?, "called")
    });
    c.case("to a query of another canister, which changes nothing", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = Call::to(b.id).method("query").argument(keep("undone") + reply("pong")).send();
        same(a.relayed(script).await?.reply()?, "pong")?;
        same(b.look(reply(kept())).await?, "")
    });
    c.case("to a composite query is rejected", |w| async move {
        let a = w.canister().await?;
        a.relayed(Call::to(myself()).method("composite").argument(reply("")).send()).await?.is_reject(5, "method")
    });
    c.case("to itself: update and query", |w| async move {
        let a = w.canister().await?;
        same(a.relayed(Call::to(myself()).argument(keep("self") + reply("u")).send()).await?.reply()?, "u")?;
        let query = Call::to(myself()).method("query").argument(keep("undone") + reply("q"));
        same(a.relayed(query.send()).await?.reply()?, "q")?;
        same(a.look(reply(kept())).await?, "self")
    });
    c.case("to a canister that does not exist, and to a user", |w| async move {
        let a = w.canister().await?;
        let nobody = mains_types::ids::canister_id(0xf_ff03);
        a.relayed(Call::to(nobody).send()).await?.is_reject(3, "")?;
        a.relayed(Call::to(Key::ed25519(7).principal()).send()).await?.is_reject(3, "")?;
        a.relayed(Call::to(Principal::anonymous()).send()).await?.is_reject(3, "")
    });
    c.case("to a method that does not exist, and to a canister without code", |w| async move {
        let (a, empty) = (w.canister().await?, w.empty().await?);
        a.relayed(Call::to(a.id).method("absent").send()).await?.is_reject(5, "absent")?;
        a.relayed(Call::to(empty.id).send()).await?.is_reject(5, "")
    });
    c.case("to a stopped canister", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        mains_conformance::manage::done(b.managed("stop_canister").await?)?;
        a.relayed(Call::to(b.id).argument(reply("")).send()).await?.is_reject(5, "stopped")
    });
    c.case("a reject comes with code 4 and the callee's text", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        a.relayed(Call::to(b.id).argument(reject("sorry")).send()).await?.is_reject(4, "sorry")
    });
    c.case("a trap of the callee comes with code 5 and undoes only the callee", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).argument(keep("undone") + trap("ouch")).send();
        a.relayed(keep("stays") + call).await?.is_reject(5, "ouch")?;
        same(a.look(reply(kept())).await?, "stays")?;
        same(b.look(reply(kept())).await?, "")
    });
    c.case("no answer of the callee comes with code 5", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        a.relayed(Call::to(b.id).argument(Script::new()).send()).await?.is_reject(5, "did not reply")?;
        a.relayed(Call::to(b.id).method("query").argument(Script::new()).send()).await?.is_reject(5, "did not reply")
    });
    c.case("a callee that replies twice traps", |w| async move {
        let a = w.canister().await?;
        let twice = reply("x") + reply("y");
        a.relayed(Call::to(myself()).argument(twice.clone()).send()).await?.is_reject(5, "")?;
        a.relayed(Call::to(myself()).method("query").argument(twice).send()).await?.is_reject(5, "")
    });
    c.case("the reject code in a reply callback is 0", |w| async move {
        let a = w.canister().await?;
        let call = Call::to(myself()).argument(reply("")).on_reply(reply_number(reject_code())).send();
        same(a.get(call).await?, 0u64.to_le_bytes())
    });
    c.case("msg_reject_msg in a reply callback traps", |w| async move {
        let a = w.canister().await?;
        let call = Call::to(myself()).argument(reply("")).on_reply(reply(reject_message())).send();
        rejects(&a.update(call).await?, 5, "msg_reject_msg")
    });
    c.case("msg_arg_data in a reject callback traps", |w| async move {
        let a = w.canister().await?;
        let call = Call::to(myself()).argument(trap("")).on_reject(reply(argument())).send();
        rejects(&a.update(call).await?, 5, "msg_arg_data")
    });
    c.case("calls of a message that traps are not made", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).argument(keep("called") + reply("")).send();
        rejects(&a.update(call + trap("never mind")).await?, 5, "never mind")?;
        a.get(Call::to(b.id).argument(reply("")).on_reply(reply("")).send()).await?;
        same(b.look(reply(kept())).await?, "")
    });
    c.case("calls are delivered in the order in which they were made", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let note = |text: &str| Call::to(b.id).argument(keep(kept() + text) + reply("")).on_reply(Script::new());
        let script = note("1").send() + note("2").send() + note("3").send();
        let last = Call::to(b.id).argument(reply(kept())).on_reply(reply(argument()));
        same(a.get(script + last.send()).await?, "123")
    });
    c.case("a hundred calls of one message are all answered", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let done = keep(kept() + "x") + when(kept().length().is(100), reply(kept()), Script::new());
        let call = Call::to(b.id).argument(reply("")).on_reply(done);
        let got = a.get(repeat(100, call.send())).await?;
        ensure!(got.len() == 100, "expected 100 answers, got {}", got.len());
        Ok(())
    });
    c.case("calls through calls: ten canisters deep", |w| async move {
        let a = w.canister().await?;
        let mut script = reply("bottom");
        for _ in 0..10 {
            script = Call::to(myself()).argument(script).on_reply(reply(argument() + "!")).send();
        }
        same(a.get(script).await?, format!("bottom{}", "!".repeat(10)))
    });
    c.case("an argument of 2 MiB passes between canisters, and one byte more traps", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let length = reply_number(argument().length());
        let head = length.clone().bytes().len() as u64;
        // A script that forgets the bytes behind it.
        let rest = (2u64 << 20) - head - 6;
        let argument_of = |count: u64| {
            Bytes::from(length.clone())
                + Bytes::from([&[2u8][..], &(count as u32).to_le_bytes()].concat())
                + load(0, count)
                + Bytes::from(&[op::DROP])
        };
        let call = |count| Call::to(b.id).argument(argument_of(count)).on_reply(reply(argument())).send();
        same(a.get(call(rest)).await?, (2u64 << 20).to_le_bytes())?;
        rejects(&a.update(call(rest + 1)).await?, 5, "call_data_append")
    });
    c.case("calls of the management canister: raw_rand answers 32 bytes, others each time", |w| async move {
        let a = w.canister().await?;
        let random = || Call::management("raw_rand", Encode!().expect("nothing encodes")).send();
        let first: serde_bytes::ByteBuf = mains_conformance::world::decode(&a.relayed(random()).await?.reply()?)?;
        let second: serde_bytes::ByteBuf = mains_conformance::world::decode(&a.relayed(random()).await?.reply()?)?;
        ensure!(first.len() == 32 && second.len() == 32 && first != second, "expected 32 other bytes each time");
        Ok(())
    });
    c.case("raw_rand takes no argument", |w| async move {
        let a = w.canister().await?;
        let argument = Encode!(&1u8).expect("a number encodes");
        let got = a.relayed(Call::management("raw_rand", argument).send()).await?;
        // Candid lets an argument be longer than what is expected.
        ensure!(matches!(got, Relayed::Reply(_)), "expected a reply, got {got:?}");
        a.relayed(Call::management("raw_rand", b"nonsense".to_vec()).send()).await?.is_reject(4, "")
    });
    c.case("a method that the management canister does not have", |w| async move {
        let a = w.canister().await?;
        a.relayed(Call::management("make_coffee", vec![]).send()).await?.is_reject(3, "make_coffee")
    });
}

fn builder(c: &mut Cases) {
    c.group("building calls");
    for function in
        [F::call_data_append, F::call_on_cleanup, F::call_perform, F::call_cycles_add128, F::call_cycles_add]
    {
        c.case(format!("{} without call_new traps", function.name()), move |w| async move {
            let a = w.canister().await?;
            let script = match function.parameters().len() {
                0 => ignore(ask(function, [])),
                1 => system(function, [0.into()]),
                _ => system(function, [0.into(), 0.into()]),
            };
            rejects(&a.update(keep("undone") + script + reply("x")).await?, 5, function.name())
        });
    }
    c.case("call_with_best_effort_response without call_new traps", |w| async move {
        let script = system(F::call_with_best_effort_response, [1.into()]);
        rejects(&w.canister().await?.update(script + reply("x")).await?, 5, "call_with_best_effort_response")
    });
    c.case("call_new forgets the call that was begun", |w| async move {
        let a = w.canister().await?;
        let first = Call::to(myself()).argument(keep("called") + reply("")).begun();
        let second = Call::to(myself()).argument(reply("second")).on_reply(reply(argument())).send();
        same(a.get(first + second).await?, "second")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("a call that was begun and not performed is not made", |w| async move {
        let a = w.canister().await?;
        let begun = Call::to(myself()).argument(keep("called") + reply("")).begun();
        replies(&a.update(begun + reply("x")).await?, "x")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("after call_perform there is no call to be performed", |w| async move {
        let a = w.canister().await?;
        let script = Call::to(myself()).argument(reply("")).send() + ignore(ask(F::call_perform, []));
        rejects(&a.update(script + reply("")).await?, 5, "call_perform")
    });
    c.case("call_data_append appends", |w| async move {
        let a = w.canister().await?;
        let begun = Call::to(myself()).argument(append("one ") + append("two")).on_reply(reply(argument())).begun();
        let more = system(F::call_data_append, [Bytes::from(answer()).into()]);
        same(a.get(begun + more + ignore(ask(F::call_perform, []))).await?, "one two")
    });
    c.case("call_on_cleanup twice traps", |w| async move {
        let a = w.canister().await?;
        let begun = Call::to(myself()).on_cleanup(Script::new()).begun();
        let again = system(F::call_on_cleanup, [0.into(), 0.into()]);
        rejects(&a.update(begun + again + reply("")).await?, 5, "call_on_cleanup")
    });
    c.case("call_with_best_effort_response twice traps", |w| async move {
        let a = w.canister().await?;
        let again = system(F::call_with_best_effort_response, [1.into()]);
        rejects(&a.update(Call::to(myself()).timeout(1).begun() + again + reply("")).await?, 5, "best_effort")
    });
    c.case("call_new with a callee that is no principal traps", |w| async move {
        rejects(&w.canister().await?.update(Call::to(&[7; 30]).begun() + reply("")).await?, 5, "call_new")
    });
    c.case("a method name that is no UTF-8 or longer than 20,000 bytes traps", |w| async move {
        let a = w.canister().await?;
        let new = |name: Vec<u8>| {
            let none = || mains_conformance::script::Number::from(0).into();
            let call = [myself().into(), Bytes::from(name).into(), none(), none(), none(), none()];
            system(F::call_new, call) + reply("fine")
        };
        replies(&a.update(new(vec![b'x'; 20_000])).await?, "fine")?;
        rejects(&a.update(new(vec![b'x'; 20_001])).await?, 5, "call_new")?;
        rejects(&a.update(new(vec![0xff])).await?, 5, "call_new")
    });
    c.case("calls from a query trap: asked as a query, as an update, by a canister", |w| async move {
        let a = w.canister().await?;
        let call = || Call::to(myself()).argument(reply("")).send();
        rejects(&a.query(call()).await?, 5, "call_new")?;
        rejects(&a.replicated_query(call()).await?, 5, "call_new")?;
        a.relayed(Call::to(a.id).method("query").argument(call()).send()).await?.is_reject(5, "call_new")
    });
    c.case("a callback that does not exist traps, and the caller is told", |w| async move {
        let a = w.canister().await?;
        let name = Bytes::from("query");
        let bad = || mains_conformance::script::Number::from(77_777).into();
        let new = system(F::call_new, [myself().into(), name.into(), bad(), bad(), bad(), bad()]);
        let script = keep("stays") + new + ignore(ask(F::call_perform, []));
        rejects(&a.update(script).await?, 5, "callback function")?;
        same(a.look(reply(kept())).await?, "stays")
    });
    c.case("more calls than can be open are refused by call_perform with code 2", |w| async move {
        let a = w.canister().await?;
        let call = Call::to(myself()).method("query").argument(reply("")).on_reply(Script::new());
        let count = set_number(1, get_number(1) + call.perform());
        // Five thousand calls may be open; each one refused adds 2.
        let script = set_number(1, 0) + repeat(5_010, count) + reply_number(get_number(1));
        let refused = number(&a.get(script).await?)?;
        ensure!(refused == 20, "expected ten refusals with code 2, got {refused} / 2");
        Ok(())
    });
}

fn best_effort(c: &mut Cases) {
    c.group("best-effort calls");
    c.case("msg_deadline is 0 for clients and for calls that wait for ever", |w| async move {
        let a = w.canister().await?;
        let deadline = || reply_number(ask(F::msg_deadline, []));
        same(a.get(deadline()).await?, 0u64.to_le_bytes())?;
        same(a.look(deadline()).await?, 0u64.to_le_bytes())?;
        same(a.relayed(Call::to(myself()).argument(deadline()).send()).await?.reply()?, 0u64.to_le_bytes())
    });
    c.case("msg_deadline of the callee is the caller's time and its timeout", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let told = append(time().bytes(8)) + append(ask(F::msg_deadline, []).bytes(8)) + answer();
        let got = a.relayed(Call::to(b.id).argument(told).timeout(60).send()).await?.reply()?;
        let (time, deadline) = (number(&got[..8])?, number(&got[8..])?);
        ensure!(
            deadline > time && deadline <= time + 60_000_000_000,
            "expected a deadline within 60 s of {time}, got {deadline}"
        );
        Ok(())
    });
    c.case("a timeout of more than 300 seconds means 300", |w| async move {
        let a = w.canister().await?;
        let told = append(time().bytes(8)) + append(ask(F::msg_deadline, []).bytes(8)) + answer();
        let got = a.relayed(Call::to(myself()).argument(told).timeout(100_000).send()).await?.reply()?;
        let wait = number(&got[8..])? - number(&got[..8])?;
        ensure!(wait <= 300_000_000_000, "expected at most 300 s, got {wait} ns");
        Ok(())
    });
    c.case("a best-effort call that is answered in time replies", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        same(a.relayed(Call::to(b.id).argument(reply("in time")).timeout(30).send()).await?.reply()?, "in time")
    });
    c.case("a best-effort call that is not answered in time is rejected with code 6", |w| async move {
        let (a, b, slow) = (w.canister().await?, w.canister().await?, w.canister().await?);
        // b answers when `slow` has, and that stops only when it is told to.
        let call = Call::to(b.id).argument(Call::to(slow.id).argument(wait_for_word()).send()).timeout(1).send();
        let got = a.relayed(call).await?;
        slow.get(keep("") + reply("")).await?;
        got.is_reject(6, "")
    });
}

/// Does not answer until the canister keeps nothing any more: looks once per block, after a call that takes that long.
pub(super) fn wait_for_word() -> Script {
    let look = when(kept().length(), run(kept()), reply("at last"));
    let nothing = Encode!().expect("nothing encodes");
    keep(Call::management("raw_rand", nothing).on_reply(look.clone()).on_reject(look).send()) + run(kept())
}

pub(super) fn principal(seed: u8) -> Principal {
    mains_client::identity::from_seed(&[seed; 32]).sender().expect("a seed has a principal")
}

pub(super) fn controllers(list: Vec<Principal>) -> ic_management_canister_types::CanisterSettings {
    ic_management_canister_types::CanisterSettings { controllers: Some(list), ..Default::default() }
}
