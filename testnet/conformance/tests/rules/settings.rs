//! Settings: who sets them, what fits, what they do; environment variables; visibility.

use super::calls::{controllers, principal};
use anyhow::{Result, ensure};
use candid::{Encode, Nat, Principal};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterSettings, CreateCanisterArgs, EnvironmentVariable, FetchCanisterLogsArgs, LogVisibility,
    ProvisionalCreateCanisterWithCyclesArgs, StatusVisibility, UpdateSettingsArgs,
};
use mains_conformance::{
    Cases,
    answer::Ended,
    manage,
    script::{Bytes, Call, Function as F, Script, ask, words::*},
    world::{Canister, number, rejects, replies, same},
};

/// A name of settings beyond their bounds, and what makes them.
type Excess = (&'static str, fn() -> CanisterSettings);

pub(super) fn add(c: &mut Cases) {
    controlling(c);
    values(c);
    variables(c);
    visibility(c);
}

fn controlling(c: &mut Cases) {
    c.group("controllers");
    c.case("only controllers change settings", |w| async move {
        let a = w.canister().await?;
        rejects(&a.seen_by(20)?.set(controllers(vec![principal(20)])).await?, 5, "controllers")?;
        ensure!(a.status().await?.settings.controllers == [Principal::anonymous()], "expected no change");
        Ok(())
    });
    c.case("a controller gives the canister away", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(controllers(vec![principal(21)])).await?)?;
        rejects(&a.managed("canister_status").await?, 5, "controllers")?;
        rejects(&a.set(controllers(vec![Principal::anonymous()])).await?, 5, "controllers")?;
        let shown = a.seen_by(21)?.status().await?.settings.controllers;
        ensure!(shown == [principal(21)], "got {shown:?}");
        Ok(())
    });
    c.case("several controllers have the same rights", |w| async move {
        let settings = controllers(vec![principal(22), principal(23), Principal::anonymous()]);
        let a = w.create(None, mains_conformance::world::CYCLES, settings).await?;
        manage::done(a.seen_by(22)?.install(Script::new()).await?)?;
        manage::done(a.seen_by(23)?.upgrade(keep("23")).await?)?;
        same(a.look(reply(kept())).await?, "23")?;
        manage::done(a.seen_by(23)?.set(controllers(vec![principal(23)])).await?)?;
        rejects(&a.seen_by(22)?.managed("canister_status").await?, 5, "controllers")
    });
    c.case("more than ten controllers are refused: creating and updating", |w| async move {
        let a = w.canister().await?;
        let eleven: Vec<_> = (0..11).map(principal).collect();
        let settings = || controllers(eleven.clone());
        for ended in everywhere(&a, settings).await? {
            rejects(&ended, 4, "controllers")?;
        }
        manage::done(a.set(controllers(eleven[..10].to_vec())).await?).map(drop)
    });
    c.case("more than ten are refused even if some are the same", |w| async move {
        let a = w.canister().await?;
        rejects(&a.set(controllers(vec![Principal::anonymous(); 11])).await?, 4, "controllers")
    });
    c.case("the same controller twice counts once", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(controllers(vec![Principal::anonymous(), Principal::anonymous()])).await?)?;
        ensure!(a.status().await?.settings.controllers == [Principal::anonymous()], "expected one controller");
        Ok(())
    });
    c.case("a canister without controllers: nobody manages it, it serves on", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(controllers(vec![])).await?)?;
        rejects(&a.managed("canister_status").await?, 5, "controllers")?;
        rejects(&a.upgrade(Script::new()).await?, 5, "controllers")?;
        replies(&a.update(reply("on")).await?, "on")
    });
    c.case("a canister that controls itself upgrades its settings", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(controllers(vec![a.id])).await?)?;
        let args = UpdateSettingsArgs {
            canister_id: a.id,
            settings: controllers(vec![Principal::anonymous()]),
            sender_canister_version: None,
        };
        a.relayed(Call::management("update_settings", Encode!(&args)?).send()).await?.reply()?;
        ensure!(a.status().await?.settings.controllers == [Principal::anonymous()], "expected the change");
        Ok(())
    });
    c.case("a canister may ask for its own status without controlling itself", |w| async move {
        let a = w.canister().await?;
        let other = w.canister().await?;
        a.relayed(Call::management("canister_status", a.record()).send()).await?.reply()?;
        other.relayed(Call::management("canister_status", a.record()).send()).await?.is_reject(5, "controllers")
    });
    c.case("only controllers ask for the status, by update and by query", |w| async move {
        let a = w.canister().await?;
        let stranger = a.seen_by(24)?;
        rejects(&stranger.managed("canister_status").await?, 5, "controllers")?;
        let record = CanisterIdRecord { canister_id: a.id };
        rejects(&stranger.ask_management("canister_status", &record).await?, 5, "controllers")?;
        manage::done(a.ask_management("canister_status", &record).await?).map(drop)
    });
    c.case("only controllers install, upgrade and fill the chunk store", |w| async move {
        let a = w.canister().await?;
        let stranger = a.seen_by(25)?;
        rejects(&stranger.upgrade(Script::new()).await?, 5, "controllers")?;
        rejects(&stranger.reinstall(Script::new()).await?, 5, "controllers")?;
        rejects(&w.empty().await?.seen_by(25)?.install(Script::new()).await?, 5, "controllers")?;
        for method in ["stored_chunks", "clear_chunk_store"] {
            rejects(&stranger.managed(method).await?, 5, "controllers")?;
        }
        let chunk = ic_management_canister_types::UploadChunkArgs { canister_id: a.id, chunk: vec![1] };
        rejects(&stranger.manage("upload_chunk", &chunk).await?, 5, "controllers")
    });
}

fn values(c: &mut Cases) {
    c.group("settings");
    c.case("what is set is shown; what is not given stays", |w| async move {
        let a = w.canister().await?;
        let settings = CanisterSettings {
            freezing_threshold: Some(1_234_567u64.into()),
            memory_allocation: Some((64u64 << 20).into()),
            wasm_memory_limit: Some((1u64 << 30).into()),
            ..Default::default()
        };
        manage::done(a.set(settings).await?)?;
        let compute = CanisterSettings { compute_allocation: Some(1u8.into()), ..Default::default() };
        manage::done(a.set(compute).await?)?;
        let shown = a.status().await?.settings;
        ensure!(shown.freezing_threshold == 1_234_567u64, "got {}", shown.freezing_threshold);
        ensure!(shown.memory_allocation == 64u64 << 20, "got {}", shown.memory_allocation);
        ensure!(shown.wasm_memory_limit == 1u64 << 30, "got {}", shown.wasm_memory_limit);
        ensure!(shown.compute_allocation == 1u8, "got {}", shown.compute_allocation);
        Ok(())
    });
    c.case("the freezing threshold is 30 days unless said otherwise", |w| async move {
        let shown = w.empty().await?.status().await?.settings.freezing_threshold;
        ensure!(shown == 2_592_000u64, "expected 2592000, got {shown}");
        Ok(())
    });
    let too_much: [Excess; 6] = [
        ("a compute allocation of 101", || CanisterSettings { compute_allocation: Some(101u8.into()), ..none() }),
        ("a memory allocation of 2^48 + 1", || CanisterSettings {
            memory_allocation: Some(((1u64 << 48) + 1).into()),
            ..none()
        }),
        ("a freezing threshold of 2^64", || CanisterSettings {
            freezing_threshold: Some(Nat::from(u64::MAX) + 1u8),
            ..none()
        }),
        ("a Wasm memory limit of 2^48 + 1", || CanisterSettings {
            wasm_memory_limit: Some(((1u64 << 48) + 1).into()),
            ..none()
        }),
        ("a limit of reserved cycles of 2^128", || CanisterSettings {
            reserved_cycles_limit: Some(Nat::from(u128::MAX) + 1u8),
            ..none()
        }),
        ("a Wasm memory threshold of 2^64", || CanisterSettings {
            wasm_memory_threshold: Some(Nat::from(u64::MAX) + 1u8),
            ..none()
        }),
    ];
    for (name, settings) in too_much {
        c.case(format!("{name} is refused: creating by client, by canister, updating"), move |w| async move {
            let a = w.canister().await?;
            let before = a.status().await?.settings;
            for ended in everywhere(&a, settings).await? {
                rejects(&ended, 4, "at most").or_else(|_| rejects(&ended, 4, "128 bits"))?;
            }
            ensure!(a.status().await?.settings == before, "expected no change");
            Ok(())
        });
    }
    c.case("settings are set as a whole or not at all", |w| async move {
        let a = w.canister().await?;
        let settings =
            CanisterSettings { freezing_threshold: Some(1u8.into()), compute_allocation: Some(101u8.into()), ..none() };
        rejects(&a.set(settings).await?, 4, "")?;
        let shown = a.status().await?.settings.freezing_threshold;
        ensure!(shown == 2_592_000u64, "expected no change, got {shown}");
        Ok(())
    });
    c.case("the Wasm memory limit holds in updates and not in queries", |w| async move {
        let a = w.canister().await?;
        let settings = CanisterSettings { wasm_memory_limit: Some((4u64 << 20).into()), ..none() };
        manage::done(a.set(settings).await?)?;
        let size = async || number(&a.look(reply_number(grow(0))).await?);
        let before = size().await?;
        rejects(&a.update(ignore(grow(1_000)) + reply("")).await?, 5, "memory limit")?;
        ensure!(size().await? == before, "expected {before} pages, got {}", size().await?);
        replies(&a.query(ignore(grow(1_000)) + reply("grown")).await?, "grown")
    });
    c.case(
        "calls of canisters with fewer cycles than the minimum are rejected, clients' calls are not",
        |w| async move {
            let (a, b) = (w.canister().await?, w.canister().await?);
            let settings =
                CanisterSettings { minimum_incoming_canister_call_cycles: Some(1_000_000u64.into()), ..none() };
            manage::done(b.set(settings).await?)?;
            let call = |cycles| Call::to(b.id).argument(reply("in")).cycles(cycles).send();
            a.relayed(call(999_999)).await?.is_reject(4, "")?;
            same(a.relayed(call(1_000_000)).await?.reply()?, "in")?;
            replies(&b.update(reply("client")).await?, "client")
        },
    );
}

fn variables(c: &mut Cases) {
    c.group("environment variables");
    c.case("they are read by index and by name, in updates and queries", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(environment(&[("b", "two"), ("a", "one")])).await?)?;
        let script = || {
            append(ask(F::env_var_count, []).bytes(1))
                + append(variable_name(0) + variable_name(1))
                + append(variable("a") + variable("b"))
                + answer()
        };
        replies(&a.update(script()).await?, b"\x02abonetwo")?;
        same(a.look(script()).await?, b"\x02abonetwo")
    });
    c.case("env_var_name_exists: yes and no", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(environment(&[("here", "")])).await?)?;
        let exists = |name: &str| ask(F::env_var_name_exists, [name.into()]).bytes(1);
        same(a.look(reply(exists("here") + exists("there"))).await?, [1, 0])
    });
    c.case("a variable that is not there, and an index beyond, trap", |w| async move {
        let a = w.canister().await?;
        rejects(&a.query(reply(variable("there"))).await?, 5, "there")?;
        rejects(&a.query(reply(variable_name(0))).await?, 5, "index")
    });
    c.case("a name that is no UTF-8 or too long traps", |w| async move {
        let a = w.canister().await?;
        let exists = |name: Vec<u8>| reply(ask(F::env_var_name_exists, [Bytes::from(name).into()]).bytes(1));
        rejects(&a.query(exists(vec![0xff])).await?, 5, "UTF-8")?;
        rejects(&a.query(exists(vec![b'x'; 129])).await?, 5, "128")
    });
    c.case("they are shown in the status, replaced as a whole, and kept through upgrades", |w| async move {
        let a = w.canister().await?;
        manage::done(a.set(environment(&[("one", "1"), ("two", "2")])).await?)?;
        manage::done(a.set(environment(&[("three", "3")])).await?)?;
        let shown = a.status().await?.settings.environment_variables;
        ensure!(shown.len() == 1 && shown[0].name == "three" && shown[0].value == "3", "got {shown:?}");
        manage::done(a.upgrade(keep(variable("three"))).await?)?;
        same(a.look(reply(kept())).await?, "3")
    });
    c.case("more than 20, too long, empty or repeated names are refused", |w| async move {
        let a = w.canister().await?;
        let many: Vec<String> = (0..21).map(|index| format!("v{index}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        let long = "x".repeat(129);
        rejects(&a.set(environment(&many)).await?, 4, "20")?;
        manage::done(a.set(environment(&many[..20])).await?)?;
        for bad in
            [vec![("", "x")], vec![(long.as_str(), "x")], vec![("x", long.as_str())], vec![("x", "1"), ("x", "2")]]
        {
            rejects(&a.set(environment(&bad)).await?, 4, "environment variable")?;
        }
        Ok(())
    });
    c.case("they are there in init if they were given at creation", |w| async move {
        let a = w.create(None, mains_conformance::world::CYCLES, environment(&[("k", "v")])).await?;
        manage::done(a.install(keep(variable("k"))).await?)?;
        same(a.look(reply(kept())).await?, "v")
    });
}

fn visibility(c: &mut Cases) {
    c.group("logs and visibility");
    c.case("what is printed is fetched with index and time", |w| async move {
        let a = w.canister().await?;
        a.get(print("one") + print("two") + reply("")).await?;
        let log = super::availability::log(&a).await?;
        ensure!(log == "one\ntwo", "expected two lines, got {log:?}");
        Ok(())
    });
    c.case("a trap leaves its lines and its text", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(print("before") + trap("why")).await?, 5, "why")?;
        let log = super::availability::log(&a).await?;
        ensure!(log.starts_with("before\n") && log.contains("why"), "got {log:?}");
        Ok(())
    });
    c.case("queries leave no lines", |w| async move {
        let a = w.canister().await?;
        replies(&a.query(print("unseen") + reply("")).await?, "")?;
        let log = super::availability::log(&a).await?;
        ensure!(log.is_empty(), "expected nothing, got {log:?}");
        Ok(())
    });
    c.case("lines stay through upgrades; the oldest go when there is no more room", |w| async move {
        let a = w.canister_that(print("first")).await?;
        manage::done(a.upgrade(print("second")).await?)?;
        let log = super::availability::log(&a).await?;
        ensure!(log == "first\nsecond", "got {log:?}");
        for _ in 0..2 {
            a.get(repeat(3, print(vec![b'x'; 1_000])) + reply("")).await?;
        }
        let log = super::availability::log(&a).await?;
        ensure!(!log.contains("first") && log.len() <= 4_096, "got {} bytes", log.len());
        Ok(())
    });
    c.case("only controllers fetch the log unless it is public or lists its viewers", |w| async move {
        let a = w.canister_that(print("line")).await?;
        let (viewer, stranger) = (a.seen_by(26)?, a.seen_by(27)?);
        let args = FetchCanisterLogsArgs { canister_id: a.id, filter: None };
        let fetch = async |who: &Canister| who.ask_management("fetch_canister_logs", &args).await;
        rejects(&fetch(&viewer).await?, 5, "")?;
        let viewers = LogVisibility::AllowedViewers(vec![principal(26)]);
        manage::done(a.set(CanisterSettings { log_visibility: Some(viewers), ..none() }).await?)?;
        manage::done(fetch(&viewer).await?)?;
        rejects(&fetch(&stranger).await?, 5, "")?;
        let public = CanisterSettings { log_visibility: Some(LogVisibility::Public), ..none() };
        manage::done(a.set(public).await?)?;
        manage::done(fetch(&stranger).await?).map(drop)
    });
    c.case("fetch_canister_logs is for queries, not for clients' updates", |w| async move {
        let a = w.canister().await?;
        let args = FetchCanisterLogsArgs { canister_id: a.id, filter: None };
        rejects(&a.manage("fetch_canister_logs", &args).await?, 4, "")
    });
    c.case("the status is for controllers unless it is public or lists its viewers", |w| async move {
        let a = w.canister().await?;
        let (viewer, stranger) = (a.seen_by(26)?, a.seen_by(27)?);
        let viewers = StatusVisibility::AllowedViewers(vec![principal(26)]);
        manage::done(a.set(CanisterSettings { status_visibility: Some(viewers), ..none() }).await?)?;
        viewer.status().await?;
        rejects(&stranger.managed("canister_status").await?, 5, "")?;
        let public = CanisterSettings { status_visibility: Some(StatusVisibility::Public), ..none() };
        manage::done(a.set(public).await?)?;
        stranger.status().await.map(drop)
    });
    c.case("more than ten viewers are refused", |w| async move {
        let a = w.canister().await?;
        let viewers = LogVisibility::AllowedViewers((0..11).map(principal).collect());
        rejects(&a.set(CanisterSettings { log_visibility: Some(viewers), ..none() }).await?, 4, "log_visibility")
    });
}

/// The settings in all three places that take them: creation by a client and by a canister, and an update.
async fn everywhere(a: &Canister, settings: impl Fn() -> CanisterSettings) -> Result<Vec<Ended>> {
    let provisional = ProvisionalCreateCanisterWithCyclesArgs { settings: Some(settings()), ..Default::default() };
    let by_client = a.manage("provisional_create_canister_with_cycles", &provisional).await?;
    let create = CreateCanisterArgs { settings: Some(settings()), sender_canister_version: None };
    let call = Call::management("create_canister", Encode!(&create)?).cycles(5_000_000_000_000);
    let by_canister = a.update(call.on_reply(reply("created")).on_reject(reject(reject_message())).send()).await?;
    Ok(vec![by_client, by_canister, a.set(settings()).await?])
}

fn environment(list: &[(&str, &str)]) -> CanisterSettings {
    let variable = |(name, value): &(&str, &str)| EnvironmentVariable { name: (*name).into(), value: (*value).into() };
    CanisterSettings { environment_variables: Some(list.iter().map(variable).collect()), ..none() }
}

fn none() -> CanisterSettings {
    CanisterSettings::default()
}
