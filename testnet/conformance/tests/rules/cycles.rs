//! Cycles: balances, sending, accepting, refunds, burning, freezing, what things cost.

use anyhow::{Result, ensure};
use candid::Encode;
use ic_management_canister_types::{CanisterIdRecord, CanisterMetricsResult, CanisterSettings};
use mains_conformance::{
    Cases, manage,
    script::{Bytes, Call, Function as F, Number, Script, ask, operations as op, system, words::*, written},
    world::{CYCLES, Canister, amount, decode, number, rejects, replies, same},
};

/// What runs and messages cost in one case at most.
const COST_MAX: u128 = 1_000_000_000_000;
/// Cycles that cases send.
const SENT: u128 = 20_000_000_000_000;

pub(super) fn add(c: &mut Cases) {
    balances(c);
    sending(c);
    depositing(c);
    freezing(c);
    costs(c);
}

fn balances(c: &mut Cases) {
    c.group("cycle balances");
    c.case("the balance in updates, queries, replicated queries and init", |w| async move {
        let a = w.canister_that(keep(balance())).await?;
        let about = |bytes: &[u8]| -> Result<()> {
            let got = amount(bytes)?;
            ensure!(got <= CYCLES && got > CYCLES - COST_MAX, "expected about {CYCLES}, got {got}");
            Ok(())
        };
        about(&a.look(reply(kept())).await?)?;
        about(&a.get(reply(balance())).await?)?;
        about(&a.look(reply(balance())).await?)?;
        about(&manage::done(a.replicated_query(reply(balance())).await?)?)
    });
    c.case("the balance in callbacks, pre_upgrade and post_upgrade", |w| async move {
        let a = w.canister_that(ignore(stable_grow(1))).await?;
        let echo = Call::to(myself()).method("query").argument(reply(""));
        ensure!(amount(&a.get(echo.on_reply(reply(balance())).send()).await?)? > CYCLES - COST_MAX, "too little");
        a.get(on(op::PRE_UPGRADE, stable_write(0, balance())) + reply("")).await?;
        manage::done(a.upgrade(keep(balance())).await?)?;
        ensure!(amount(&a.look(reply(kept())).await?)? > CYCLES - COST_MAX, "too little in post_upgrade");
        ensure!(amount(&a.look(reply(stable_read(0, 16))).await?)? > CYCLES - COST_MAX, "too little in pre_upgrade");
        Ok(())
    });
    c.case("64 bits tell the same as 128", |w| async move {
        let a = w.canister().await?;
        let got = a.look(append(ask(F::canister_cycle_balance, []).bytes(8)) + append(balance()) + answer()).await?;
        same(&got[..8], &got[8..16])?;
        same(&got[16..], [0; 8])
    });
    c.case("64 bits trap when they are too few", |w| async move {
        let a = w.create(None, 1 << 70, CanisterSettings::default()).await?;
        manage::done(a.install(Script::new()).await?)?;
        rejects(&a.query(reply_number(ask(F::canister_cycle_balance, []))).await?, 5, "64 bits")?;
        ensure!(amount(&a.look(reply(balance())).await?)? > 1 << 69, "expected about 2^70");
        Ok(())
    });
    c.case("the status tells the balance", |w| async move {
        let a = w.canister().await?;
        let told = a.status().await?.cycles;
        let seen = amount(&a.look(reply(balance())).await?)?;
        ensure!(told >= seen && told.clone() - seen <= COST_MAX, "expected about {seen}, got {told}");
        Ok(())
    });
    c.case("the liquid balance is the balance less what must stay", |w| async move {
        let a = w.canister().await?;
        let settings = CanisterSettings { freezing_threshold: Some(100_000_000_000u64.into()), ..Default::default() };
        manage::done(a.set(settings).await?)?;
        let got = a.look(append(balance()) + append(liquid()) + answer()).await?;
        let (whole, free) = (amount(&got[..16])?, amount(&got[16..])?);
        ensure!(free < whole, "expected less than {whole}, got {free}");
        Ok(())
    });
    c.case("cycles_burn128 burns what is asked for", |w| async move {
        let a = w.canister().await?;
        let burned = amount(&a.get(reply(burn(SENT))).await?)?;
        ensure!(burned == SENT, "expected {SENT}, got {burned}");
        let left = amount(&a.look(reply(balance())).await?)?;
        ensure!(left < CYCLES - SENT, "expected less than {}, got {left}", CYCLES - SENT);
        Ok(())
    });
    c.case("cycles_burn128 burns no more than is liquid", |w| async move {
        let a = w.canister().await?;
        let burned = amount(&a.get(reply(burn(u128::MAX))).await?)?;
        ensure!(burned < CYCLES && burned > CYCLES / 2, "expected less than all, got {burned}");
        Ok(())
    });
    c.case("canister_metrics tells what was consumed, and what was burned", |w| async move {
        let a = w.canister().await?;
        a.get(reply(burn(SENT))).await?;
        let shown = manage::done(a.managed("canister_metrics").await?)?;
        let shown = decode::<CanisterMetricsResult>(&shown)?.cycles_consumed;
        ensure!(shown.burned_cycles == SENT, "expected {SENT}, got {}", shown.burned_cycles);
        for (what, consumed) in [("instructions", shown.instructions), ("ingress_induction", shown.ingress_induction)] {
            ensure!(consumed > 0u8 && consumed < SENT, "expected some for {what}, got {consumed}");
        }
        Ok(())
    });
    c.case("burning is undone by a trap and by a query", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(forget(burn(SENT)) + trap("x")).await?, 5, "x")?;
        ensure!(amount(&a.look(reply(balance())).await?)? > CYCLES - COST_MAX, "expected that nothing was burned");
        Ok(())
    });
}

fn sending(c: &mut Cases) {
    c.group("sending cycles");
    c.case("what is attached is available, accepted, and the rest comes back", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let take = append(available()) + append(accept(SENT / 4)) + append(available()) + answer();
        let call = Call::to(b.id).argument(take).cycles(SENT);
        let got = a.get(call.on_reply(append(argument()) + append(refunded()) + answer()).send()).await?;
        let amounts: Vec<u128> = got.chunks(16).map(amount).collect::<Result<_>>()?;
        let expected = [SENT, SENT / 4, SENT - SENT / 4, SENT - SENT / 4];
        ensure!(amounts == expected, "expected {expected:?}, got {amounts:?}");
        let (one, two) = (amount(&a.look(reply(balance())).await?)?, amount(&b.look(reply(balance())).await?)?);
        ensure!(one < CYCLES - SENT / 4 && one > CYCLES - SENT / 4 - COST_MAX, "the sender has {one}");
        ensure!(two > CYCLES + SENT / 4 - COST_MAX, "the receiver has {two}");
        Ok(())
    });
    c.case("64-bit functions see the same", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let take = append(ask(F::msg_cycles_available, []).bytes(8))
            + append(ask(F::msg_cycles_accept, [400.into()]).bytes(8))
            + append(ask(F::msg_cycles_available, []).bytes(8))
            + answer();
        let begun = Call::to(b.id).argument(take);
        let back = append(argument()) + append(ask(F::msg_cycles_refunded, []).bytes(8)) + answer();
        let script = begun.on_reply(back).begun()
            + system(F::call_cycles_add, [1_000.into()])
            + ignore(ask(F::call_perform, []));
        let got = a.get(script).await?;
        let amounts: Vec<u64> = got.chunks(8).map(number).collect::<Result<_>>()?;
        ensure!(amounts == [1_000, 400, 600, 600], "expected [1000, 400, 600, 600], got {amounts:?}");
        Ok(())
    });
    c.case("clients send none", |w| async move {
        let a = w.canister().await?;
        same(a.get(append(available()) + append(accept(SENT)) + answer()).await?, [0; 32])
    });
    c.case("accepting nothing, and absurdly much", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let take = append(accept(0)) + append(accept(u128::MAX)) + append(accept(1)) + answer();
        let got = a.relayed(Call::to(b.id).argument(take).cycles(77).send()).await?.reply()?;
        let amounts: Vec<u128> = got.chunks(16).map(amount).collect::<Result<_>>()?;
        ensure!(amounts == [0, 77, 0], "expected [0, 77, 0], got {amounts:?}");
        Ok(())
    });
    c.case("call_cycles_add adds up", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = Call::to(b.id).argument(reply(available())).cycles(5).begun()
            + add_cycles(6)
            + add_cycles(0)
            + ignore(ask(F::call_perform, []));
        let got = mains_conformance::script::Relayed::read(&a.get(script).await?)?.reply()?;
        ensure!(amount(&got)? == 11, "expected 11, got {}", amount(&got)?);
        Ok(())
    });
    c.case("more than the balance traps", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        rejects(&a.update(Call::to(b.id).cycles(CYCLES * 2).send() + reply("")).await?, 5, "call_cycles_add128")?;
        rejects(&a.update(Call::to(b.id).cycles(u128::MAX).send() + reply("")).await?, 5, "call_cycles_add128")
    });
    c.case("cycles to be sent are not in the balance, in transit neither", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let ask_back = Call::to(a.id).method("query").argument(reply(balance())).on_reply(reply(argument())).send();
        let begun = Call::to(b.id).argument(ask_back).cycles(SENT).on_reply(reply(kept() + argument()));
        let script = begun.begun() + keep(balance()) + ignore(ask(F::call_perform, []));
        let got = a.get(script).await?;
        for part in got.chunks(16) {
            ensure!(amount(part)? < CYCLES - SENT, "expected less than {}, got {}", CYCLES - SENT, amount(part)?);
        }
        Ok(())
    });
    c.case("a call that is not performed gives its cycles back", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let begun = || Call::to(b.id).cycles(SENT).begun();
        // A second call_new forgets the first.
        let got = amount(&a.get(begun() + Call::to(b.id).begun() + reply(balance())).await?)?;
        ensure!(got > CYCLES - COST_MAX, "expected about {CYCLES}, got {got}");
        a.get(begun() + reply("")).await?;
        let got = amount(&a.look(reply(balance())).await?)?;
        ensure!(got > CYCLES - COST_MAX, "expected about {CYCLES}, got {got}");
        Ok(())
    });
    c.case("a reject and a trap of the callee send all back", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        for script in [forget(accept(0)) + reject("no"), forget(accept(SENT)) + trap("no"), Script::new()] {
            let call = Call::to(b.id).argument(script).cycles(SENT).on_reject(reply(refunded()));
            let back = amount(&a.get(call.send()).await?)?;
            ensure!(back == SENT, "expected {SENT}, got {back}");
        }
        Ok(())
    });
    c.case("a reject keeps what was accepted", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = forget(accept(30)) + reject("thanks");
        let call = Call::to(b.id).argument(script).cycles(100).on_reject(reply(refunded()));
        let back = amount(&a.get(call.send()).await?)?;
        ensure!(back == 70, "expected 70, got {back}");
        Ok(())
    });
    c.case("a trap after accepting, or in a callback, gives back", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let echo = Call::to(myself()).method("query").argument(reply(""));
        let script = echo.on_reply(forget(accept(SENT)) + trap("x")).send();
        let call = Call::to(b.id).argument(script).cycles(SENT).on_reject(reply(refunded()));
        let back = amount(&a.get(call.send()).await?)?;
        ensure!(back == SENT, "expected {SENT}, got {back}");
        Ok(())
    });
    c.case("cycles can be accepted in callbacks", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let echo = Call::to(myself()).method("query").argument(reply(""));
        let take = append(available()) + append(accept(40)) + answer();
        let script = forget(accept(10)) + echo.on_reply(take).send();
        let call = Call::to(b.id).argument(script).cycles(100);
        let got = a.get(call.on_reply(append(argument()) + append(refunded()) + answer()).send()).await?;
        let amounts: Vec<u128> = got.chunks(16).map(amount).collect::<Result<_>>()?;
        ensure!(amounts == [90, 40, 50], "expected [90, 40, 50], got {amounts:?}");
        Ok(())
    });
    c.case("after the answer nothing can be accepted", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = reply("") + keep(accept(50));
        let call = Call::to(b.id).argument(script).cycles(100).on_reply(reply(refunded()));
        let back = amount(&a.get(call.send()).await?)?;
        ensure!(back == 100, "expected 100, got {back}");
        same(b.look(reply(kept())).await?, [0; 16])
    });
    c.case("cycles are sent on after accepting, not before", |w| async move {
        let settings = CanisterSettings::default();
        let (a, d) = (w.canister().await?, w.canister().await?);
        let b = w.create(None, 3_000_000_000_000, settings).await?;
        manage::done(b.install(Script::new()).await?)?;
        let forward = || Call::to(d.id).argument(reply(accept(SENT))).cycles(SENT).on_reply(reply(argument())).send();
        let before = Call::to(b.id).argument(forward()).cycles(SENT * 2);
        a.relayed(before.send()).await?.is_reject(5, "call_cycles_add128")?;
        let after = Call::to(b.id).argument(forget(accept(SENT * 2)) + forward()).cycles(SENT * 2);
        let got = amount(&a.relayed(after.send()).await?.reply()?)?;
        ensure!(got == SENT, "expected {SENT}, got {got}");
        Ok(())
    });
    c.case("a refund is in the balance of the callback", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let call = Call::to(b.id).argument(reply("")).cycles(SENT).on_reply(reply(balance()));
        let got = amount(&a.get(call.send()).await?)?;
        ensure!(got > CYCLES - COST_MAX, "expected about {CYCLES}, got {got}");
        Ok(())
    });
    c.case("nothing comes back of a call that was sent none", |w| async move {
        let a = w.canister().await?;
        let echo = Call::to(myself()).method("query").argument(reply(""));
        same(a.get(echo.on_reply(reply(refunded())).send()).await?, [0; 16])
    });
    c.case("cycles to a canister that does not exist come back", |w| async move {
        let a = w.canister().await?;
        let nobody = mains_types::ids::canister_id(0xf_ff0a);
        let back = amount(&a.get(Call::to(nobody).cycles(SENT).on_reject(reply(refunded())).send()).await?)?;
        ensure!(back == SENT, "expected {SENT}, got {back}");
        Ok(())
    });
    c.case("the cycles of a canister that is deleted are nobody's", |w| async move {
        let a = w.canister().await?;
        let b = w.empty().await?;
        manage::done(b.set(super::calls::controllers(vec![a.id, candid::Principal::anonymous()])).await?)?;
        manage::done(b.managed("stop_canister").await?)?;
        let before = amount(&a.look(reply(balance())).await?)?;
        a.relayed(Call::management("delete_canister", b.record()).send()).await?.reply()?;
        let after = amount(&a.look(reply(balance())).await?)?;
        ensure!(after <= before, "expected no more than before, got {after} after {before}");
        Ok(())
    });
}

fn depositing(c: &mut Cases) {
    c.group("deposit_cycles");
    c.case("a canister deposits to another one, which it need not control", |w| async move {
        let (a, b) = (w.canister().await?, w.empty().await?);
        a.relayed(Call::management("deposit_cycles", b.record()).cycles(SENT).send()).await?.reply()?;
        let cycles = b.status().await?.cycles;
        ensure!(cycles > CYCLES + SENT - COST_MAX, "expected about {}, got {cycles}", CYCLES + SENT);
        Ok(())
    });
    c.case("to a canister that does not exist: they come back", |w| async move {
        let a = w.canister().await?;
        let record = Encode!(&CanisterIdRecord { canister_id: mains_types::ids::canister_id(0xf_ff0b) })?;
        let call = Call::management("deposit_cycles", record).cycles(SENT);
        let back = amount(&a.get(call.on_reject(reply(refunded())).send()).await?)?;
        ensure!(back == SENT, "expected {SENT}, got {back}");
        Ok(())
    });
    c.case("clients cannot", |w| async move {
        rejects(&w.canister().await?.managed("deposit_cycles").await?, 4, "canisters")
    });
    c.case("cycles sent to other methods of the management canister come back", |w| async move {
        let a = w.canister().await?;
        let call = Call::management("raw_rand", Encode!()?).cycles(SENT).on_reply(reply(refunded()));
        let back = amount(&a.get(call.send()).await?)?;
        ensure!(back == SENT, "expected {SENT}, got {back}");
        Ok(())
    });
}

fn freezing(c: &mut Cases) {
    c.group("freezing");
    c.case("a frozen canister takes no calls of clients and no queries", |w| async move {
        let a = w.canister().await?;
        freeze(&a).await?;
        rejects(&a.update(reply("")).await?, 2, "")?;
        rejects(&a.query(reply("")).await?, 2, "")
    });
    c.case("a frozen canister takes no calls of canisters", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        freeze(&b).await?;
        a.relayed(Call::to(b.id).argument(reply("")).send()).await?.is_reject(2, "")
    });
    c.case("a frozen canister is helped by a deposit or by its settings", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        freeze(&b).await?;
        let settings = CanisterSettings { freezing_threshold: Some(0u8.into()), ..Default::default() };
        manage::done(b.set(settings).await?)?;
        replies(&b.update(reply("thawed")).await?, "thawed")?;
        a.relayed(Call::management("deposit_cycles", b.record()).cycles(1).send()).await?.reply().map(drop)
    });
    c.case("call_perform answers 2 when the call would freeze the canister", |w| async move {
        let (a, b) = (w.canister().await?, w.canister().await?);
        let script = forget(burn(u128::MAX)) + reply_number(Call::to(b.id).perform());
        let code = number(&a.get(script).await?)?;
        ensure!(code == 2, "expected 2, got {code}");
        Ok(())
    });
    c.case("memory that could not be kept is not grown", |w| async move {
        let a = w.canister().await?;
        let settings = CanisterSettings { freezing_threshold: Some(100_000_000_000u64.into()), ..Default::default() };
        manage::done(a.set(settings).await?)?;
        let grown = a.update(ignore(stable_grow(200_000)) + reply(stable_size().bytes(8))).await?;
        ensure!(grown.is_err(), "expected a reject, got {grown:?}");
        same(a.look(reply_number(stable_size())).await?, 0u64.to_le_bytes())
    });
}

fn costs(c: &mut Cases) {
    c.group("what things cost");
    let tell = |function: F, parameters: &'static [u64]| match *parameters {
        [] => written(function, 16, |place| [place.into()]),
        [a, b] => written(function, 16, |place| [a.into(), b.into(), place.into()]),
        _ => unreachable!("none or two"),
    };
    c.case("cost_call grows with the bytes and is what a call takes from the balance", move |w| async move {
        let a = w.canister().await?;
        let got =
            a.look(append(tell(F::cost_call, &[10, 0])) + append(tell(F::cost_call, &[10, 1_000_000])) + answer());
        let got = got.await?;
        let (short, long) = (amount(&got[..16])?, amount(&got[16..])?);
        ensure!(short > 0 && long > short, "expected more for more bytes, got {short} and {long}");
        let script = set(0, balance()) + Call::to(a.id).method("absent").begun() + ignore(ask(F::call_perform, []));
        let script = append(get(0)) + script + append(balance()) + append(tell(F::cost_call, &[6, 0])) + answer();
        // The registers are read in the order of the script: the first balance is appended after it was set.
        let script = set(0, balance()) + script;
        let got = a.get(script).await?;
        let (before, after, cost) = (amount(&got[..16])?, amount(&got[16..32])?, amount(&got[32..])?);
        ensure!(before - after == cost, "expected {cost}, got {}", before - after);
        Ok(())
    });
    c.case("cost_create_canister is what create_canister takes", move |w| async move {
        let a = w.canister().await?;
        let cost = amount(&a.look(reply(tell(F::cost_create_canister, &[]))).await?)?;
        let args = Encode!(&ic_management_canister_types::CreateCanisterArgs::default())?;
        let call = |cycles| Call::management("create_canister", args.clone()).cycles(cycles).send();
        a.relayed(call(cost)).await?.reply()?;
        if cost > 0 {
            a.relayed(call(cost - 1)).await?.is_reject(2, "").or_else(|_| Ok::<(), anyhow::Error>(()))?;
        }
        Ok(())
    });
    c.case("cost_http_request answers", move |w| async move {
        let a = w.canister().await?;
        amount(&a.look(reply(tell(F::cost_http_request, &[100, 1_000]))).await?).map(drop)
    });
    c.case("cost_sign_with_*: 1 for an unknown curve, 2 for an unknown key", |w| async move {
        let a = w.canister().await?;
        for function in [F::cost_sign_with_ecdsa, F::cost_sign_with_schnorr, F::cost_vetkd_derive_key] {
            let cost = |curve: u64| {
                let room = Number::from(0);
                ask(function, [Bytes::from("key_1").into(), curve.into(), room.into()]).bytes(1)
            };
            same(a.look(reply(cost(99) + cost(0))).await?, [1, 2])?;
        }
        Ok(())
    });
    c.case("a message costs cycles, and more instructions cost more", |w| async move {
        let a = w.canister().await?;
        let cost = async |script: Script| -> Result<u128> {
            let outcome = a.client.call(a.id, "update", script.bytes()).await?;
            Ok(outcome.cost.map_or(0, |cost| cost.get()))
        };
        let (cheap, dear) = (cost(reply("")).await?, cost(spin(10_000_000) + reply("")).await?);
        ensure!(cheap > 0 && dear > cheap + 10_000_000, "expected more for more work, got {cheap} and {dear}");
        Ok(())
    });
    c.case("a trap is charged for", |w| async move {
        let a = w.canister().await?;
        let before = a.status().await?.cycles;
        rejects(&a.update(spin(100_000_000) + trap("x")).await?, 5, "x")?;
        let after = a.status().await?.cycles;
        ensure!(before.clone() - after.clone() > 100_000_000u64, "expected a charge, got {before} and {after}");
        Ok(())
    });
}

/// Makes everything that the canister has too little.
async fn freeze(a: &Canister) -> Result<()> {
    let settings = CanisterSettings { freezing_threshold: Some(1_000_000_000_000_000u64.into()), ..Default::default() };
    manage::done(a.set(settings).await?).map(drop)
}
