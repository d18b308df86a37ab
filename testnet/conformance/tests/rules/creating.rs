//! Creating canisters: by clients on test networks, by canisters with cycles.

use super::calls::controllers;
use anyhow::{Result, ensure};
use candid::{Encode, Nat, Principal};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, CanisterStatusType, CreateCanisterArgs,
    ProvisionalCreateCanisterWithCyclesArgs, ProvisionalTopUpCanisterArgs,
};
use mains_conformance::{
    Cases,
    answer::Ended,
    manage,
    script::{Call, Script, words::*},
    world::{Canister, decode, rejects, replies},
};
use mains_types::ids;

/// What creating a canister costs at most.
const FEE_MAX: u128 = 1_000_000_000_000;

pub(super) fn add(c: &mut Cases) {
    c.group("creating canisters");
    c.case("a new canister runs, has no code, and its creator controls it", |w| async move {
        let status = w.empty().await?.status().await?;
        ensure!(status.status == CanisterStatusType::Running, "expected running, got {:?}", status.status);
        ensure!(status.module_hash.is_none(), "expected no module");
        ensure!(status.settings.controllers == [Principal::anonymous()], "got {:?}", status.settings.controllers);
        ensure!(status.memory_metrics.wasm_memory_size == 0u8, "expected no heap");
        Ok(())
    });
    c.case("installing needs a canister", |w| async move {
        let nobody = w.empty().await?.at(ids::canister_id(0xf_ff06));
        rejects(&nobody.install(Script::new()).await?, 3, "not found")
    });
    c.case("without an amount it has the default", |w| async move {
        let a = w.empty().await?;
        let b = created(&provisional(&a, Default::default()).await?)?;
        let cycles = a.at(b).status().await?.cycles;
        ensure!(cycles > 99_000_000_000_000u64 && cycles <= 100_000_000_000_000u64, "got {cycles}");
        Ok(())
    });
    c.case("with an amount it has that", |w| async move {
        let a = w.create(None, 5_000_000_000_000, CanisterSettings::default()).await?;
        let cycles = a.status().await?.cycles;
        ensure!(cycles > 4_999_000_000_000u64 && cycles <= 5_000_000_000_000u64, "got {cycles}");
        Ok(())
    });
    c.case("with a specified id it has that, once", |w| async move {
        let a = w.empty().await?;
        let id = ids::canister_id(0x8_0000);
        let args = || ProvisionalCreateCanisterWithCyclesArgs { specified_id: Some(id), ..Default::default() };
        let got = created(&provisional(&a, args()).await?)?;
        ensure!(got == id, "expected {id}, got {got}");
        rejects(&provisional(&a, args()).await?, 4, "already")
    });
    c.case("a specified id beyond the subnet's range is refused", |w| async move {
        let a = w.empty().await?;
        for id in [ids::canister_id(1 << 40), Principal::anonymous(), Principal::self_authenticating([1])] {
            let args = ProvisionalCreateCanisterWithCyclesArgs { specified_id: Some(id), ..Default::default() };
            rejects(&provisional(&a, args).await?, 4, "range")?;
        }
        Ok(())
    });
    c.case("any canister id of the subnet serves as the effective one", |w| async move {
        let a = w.empty().await?.at(ids::canister_id(0xf_ff07));
        created(&provisional(&a, Default::default()).await?).map(drop)
    });
    c.case("an amount above 128 bits is refused", |w| async move {
        let a = w.empty().await?;
        let amount = Nat::from(u128::MAX) + 1u8;
        let args = ProvisionalCreateCanisterWithCyclesArgs { amount: Some(amount), ..Default::default() };
        rejects(&provisional(&a, args).await?, 4, "128 bits")
    });
    c.case("clients do not call create_canister", |w| async move {
        let a = w.empty().await?;
        rejects(&a.manage("create_canister", &CreateCanisterArgs::default()).await?, 4, "canisters")
    });
    c.case("a canister creates another one from its cycles and controls it", |w| async move {
        let a = w.canister().await?;
        let call = Call::management("create_canister", Encode!(&CreateCanisterArgs::default())?);
        let reply = a.relayed(call.cycles(5_000_000_000_000).send()).await?.reply()?;
        let b = decode::<CanisterIdRecord>(&reply)?.canister_id;
        let told =
            a.relayed(Call::management("canister_status", Encode!(&CanisterIdRecord { canister_id: b })?).send());
        let status: ic_management_canister_types::CanisterStatusResult = decode(&told.await?.reply()?)?;
        ensure!(status.settings.controllers == [a.id], "expected {}, got {:?}", a.id, status.settings.controllers);
        let most = Nat::from(5_000_000_000_000u64);
        ensure!(status.cycles <= most && status.cycles >= most - FEE_MAX, "got {}", status.cycles);
        rejects(&a.at(b).managed("canister_status").await?, 5, "controllers")
    });
    c.case("with too few cycles none is created, and they come back", |w| async move {
        let a = w.canister().await?;
        let call = Call::management("create_canister", Encode!(&CreateCanisterArgs::default())?).cycles(1_000);
        let script = call.on_reject(reply(refunded())).send();
        replies(&a.update(script).await?, 1_000u128.to_le_bytes())
    });
    c.case("a canister gives the one that it creates other controllers", |w| async move {
        let a = w.canister().await?;
        let args = CreateCanisterArgs {
            settings: Some(controllers(vec![Principal::anonymous(), a.id])),
            sender_canister_version: None,
        };
        let call = Call::management("create_canister", Encode!(&args)?).cycles(5_000_000_000_000);
        let b = decode::<CanisterIdRecord>(&a.relayed(call.send()).await?.reply()?)?.canister_id;
        let shown = a.at(b).status().await?.settings.controllers;
        let mut expected = vec![Principal::anonymous(), a.id];
        expected.sort();
        ensure!(shown == expected, "expected {expected:?}, got {shown:?}");
        Ok(())
    });
    c.case("a canister creates, installs, calls, stops and deletes another one", |w| async move {
        let a = w.canister().await?;
        let call = Call::management("create_canister", Encode!(&CreateCanisterArgs::default())?);
        let reply = a.relayed(call.cycles(10_000_000_000_000).send()).await?.reply()?;
        let b = decode::<CanisterIdRecord>(&reply)?;
        let install = ic_management_canister_types::InstallCodeArgs {
            mode: ic_management_canister_types::CanisterInstallMode::Install,
            canister_id: b.canister_id,
            wasm_module: w.plain.clone(),
            arg: keep(caller()).bytes(),
            sender_canister_version: None,
        };
        a.relayed(Call::management("install_code", Encode!(&install)?).send()).await?.reply()?;
        let call = Call::to(b.canister_id).argument(mains_conformance::script::words::reply(kept()));
        mains_conformance::world::same(a.relayed(call.send()).await?.reply()?, a.id.as_slice())?;
        for method in ["stop_canister", "delete_canister"] {
            a.relayed(Call::management(method, Encode!(&b)?).send()).await?.reply()?;
        }
        a.relayed(Call::to(b.canister_id).send()).await?.is_reject(3, "")
    });

    c.group("cycles from nowhere, on test networks");
    c.case("anybody tops up any canister", |w| async move {
        let a = w.create(None, 1_000_000_000_000, CanisterSettings::default()).await?;
        manage::done(top_up(&a.seen_by(5)?, 7_000_000_000_000).await?)?;
        let cycles = a.status().await?.cycles;
        ensure!(cycles > 7_900_000_000_000u64, "expected 8 T, got {cycles}");
        Ok(())
    });
    c.case("a canister tops up itself and others", |w| async move {
        let (a, b) = (w.canister().await?, w.create(None, 1_000_000_000_000, CanisterSettings::default()).await?);
        for id in [a.id, b.id] {
            let args = ProvisionalTopUpCanisterArgs { canister_id: id, amount: Nat::from(7_000_000_000_000u64) };
            a.relayed(Call::management("provisional_top_up_canister", Encode!(&args)?).send()).await?.reply()?;
        }
        let (one, two) = (a.status().await?.cycles, b.status().await?.cycles);
        ensure!(one > 106_000_000_000_000u64 && two > 7_900_000_000_000u64, "got {one} and {two}");
        Ok(())
    });
    c.case("a canister that does not exist is not topped up", |w| async move {
        let nobody = w.empty().await?.at(ids::canister_id(0xf_ff08));
        rejects(&top_up(&nobody, 1).await?, 3, "not found")
    });
    c.case("an amount above 128 bits is not topped up", |w| async move {
        let a = w.empty().await?;
        let amount = Nat::from(u128::MAX) + 1u8;
        let args = ProvisionalTopUpCanisterArgs { canister_id: a.id, amount };
        rejects(&a.manage("provisional_top_up_canister", &args).await?, 4, "128 bits")
    });
}

async fn provisional(a: &Canister, args: ProvisionalCreateCanisterWithCyclesArgs) -> Result<Ended> {
    a.manage("provisional_create_canister_with_cycles", &args).await
}

async fn top_up(a: &Canister, amount: u64) -> Result<Ended> {
    let args = ProvisionalTopUpCanisterArgs { canister_id: a.id, amount: Nat::from(amount) };
    a.manage("provisional_top_up_canister", &args).await
}

fn created(ended: &Ended) -> Result<Principal> {
    Ok(decode::<CanisterIdRecord>(&manage::done(ended.clone())?)?.canister_id)
}
