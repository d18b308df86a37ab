//! Which function of the system interface may be called from which entry point: every function from every entry point,
//! against the table of the interface specification ("Overview of imports").

use anyhow::{Context as _, Result, ensure};
use ic_management_canister_types::{
    CanisterInstallMode, CanisterSettings, EnvironmentVariable, FetchCanisterLogsArgs, FetchCanisterLogsResult,
};
use mains_conformance::{
    Cases, World,
    answer::Ended,
    manage, modules,
    script::{Bytes, Call, Function, Script, operations as op, words::*},
    world::{Canister, decode, same, until},
};
use std::{collections::BTreeSet, sync::Arc};

/// Functions and the entry points from which they may be called, in the specification's letters; `*` is everywhere but in
/// the start function. Transform functions (`TQ`) are left out: this network makes no HTTP requests.
const TABLE: [(&str, &str); 29] = [
    ("msg_arg_data_size msg_arg_data_copy", "I U RQ NRQ CQ Ry CRy F"),
    ("msg_caller_size msg_caller_copy", "*"),
    ("msg_caller_info_data_size msg_caller_info_data_copy", "*"),
    ("msg_caller_info_signer_size msg_caller_info_signer_copy", "*"),
    ("msg_reject_code", "Ry Rt CRy CRt C"),
    ("msg_reject_msg_size msg_reject_msg_copy", "Rt CRt"),
    ("msg_deadline", "U RQ NRQ CQ Ry Rt CRy CRt"),
    ("msg_reply_data_append msg_reply msg_reject", "U RQ NRQ CQ Ry Rt CRy CRt"),
    ("msg_cycles_available msg_cycles_available128 msg_cycles_accept msg_cycles_accept128", "U RQ Ry Rt"),
    ("msg_cycles_refunded msg_cycles_refunded128", "Ry Rt"),
    ("cycles_burn128", "I G U RQ Ry Rt C T"),
    ("canister_self_size canister_self_copy", "*"),
    ("canister_cycle_balance canister_cycle_balance128 canister_liquid_cycle_balance128", "*"),
    ("canister_status canister_version", "*"),
    ("subnet_self_size subnet_self_copy", "*"),
    ("msg_method_name_size msg_method_name_copy accept_message", "F"),
    ("call_new call_on_cleanup call_data_append call_perform", "U CQ Ry Rt CRy CRt T"),
    ("call_with_best_effort_response", "U CQ Ry Rt CRy CRt T"),
    ("call_cycles_add call_cycles_add128", "U Ry Rt T"),
    ("stable_size stable_grow stable_read stable_write", "* s"),
    ("stable64_size stable64_grow stable64_read stable64_write", "* s"),
    ("root_key_size root_key_copy", "I G U RQ Ry Rt C T"),
    ("certified_data_set", "I G U Ry Rt T"),
    ("data_certificate_present time", "*"),
    ("data_certificate_size data_certificate_copy", "NRQ CQ"),
    ("global_timer_set", "I G U Ry Rt C T"),
    ("performance_counter is_controller in_replicated_execution debug_print trap", "* s"),
    (
        "env_var_count env_var_name_size env_var_name_copy env_var_name_exists env_var_value_size env_var_value_copy",
        "*",
    ),
    (
        "cost_call cost_create_canister cost_http_request cost_sign_with_ecdsa cost_sign_with_schnorr cost_vetkd_derive_key",
        "* s",
    ),
];
/// What a canister is told that calls a function from the wrong place.
const WRONG_PLACE: &str = "cannot be called from";
/// Functions probed by one message whose traps are read from the log, which keeps 4 KiB.
const BATCH: usize = 12;

pub(super) fn add(c: &mut Cases) {
    c.group("availability of system calls");
    c.case("the table names every function of the interface", |_| async move {
        let named: BTreeSet<&str> = TABLE.iter().flat_map(|(names, _)| names.split(' ')).collect();
        let missing: Vec<_> = functions().map(Function::name).filter(|name| !named.contains(name)).collect();
        ensure!(missing.is_empty(), "expected all functions, got none of {missing:?}");
        Ok(())
    });
    c.case("U: an update method", |w| async move {
        let (a, b) = (w.canister().await?, subject(&w).await?);
        by_calls(&a, "U", |probe| Call::to(b.id).argument(probe + done())).await
    });
    c.case("RQ: a query method in replicated mode", |w| async move {
        let (a, b) = (w.canister().await?, subject(&w).await?);
        by_calls(&a, "RQ", |probe| Call::to(b.id).method("query").argument(probe + done())).await
    });
    c.case("Ry: a reply callback", |w| async move {
        let (a, b) = (w.canister().await?, subject(&w).await?);
        let inner = |probe| Call::to(b.id).method("query").argument(reply("")).on_reply(probe + done()).send();
        by_calls(&a, "Ry", |probe| Call::to(b.id).argument(inner(probe))).await
    });
    c.case("Rt: a reject callback", |w| async move {
        let (a, b) = (w.canister().await?, subject(&w).await?);
        let inner = |probe| Call::to(b.id).method("query").argument(reject("")).on_reject(probe + done()).send();
        by_calls(&a, "Rt", |probe| Call::to(b.id).argument(inner(probe))).await
    });
    c.case("NRQ: a query method", |w| async move {
        let b = subject(&w).await?;
        by_asking("NRQ", async |probe| b.query(probe).await).await
    });
    c.case("CQ: a composite query method", |w| async move {
        let b = subject(&w).await?;
        by_asking("CQ", async |probe| b.composite(probe).await).await
    });
    c.case("CRy: a reply callback of a composite query", |w| async move {
        let (a, b) = (w.canister().await?, subject(&w).await?);
        let ask = |probe| Call::to(a.id).method("query").argument(reply("")).on_reply(probe).send();
        by_asking("CRy", async |probe| b.composite(ask(probe)).await).await
    });
    c.case("CRt: a reject callback of a composite query", |w| async move {
        let (a, b) = (w.canister().await?, subject(&w).await?);
        let ask = |probe| Call::to(a.id).method("query").argument(reject("")).on_reject(probe).send();
        by_asking("CRt", async |probe| b.composite(ask(probe)).await).await
    });
    c.case("F: canister_inspect_message", |w| async move {
        let hooks = on(op::INSPECT_MESSAGE, run(argument()));
        let b = w.with_hooks(&["canister_inspect_message"], hooks).await?;
        by_asking("F", async |probe| b.update(probe + trap("not to be taken")).await).await
    });
    c.case("I: canister_init", |w| async move {
        let subjects = [subject(&w).await?, subject(&w).await?];
        by_turns("I", &subjects, async |b, _, probe| b.reinstall(probe).await).await
    });
    c.case("I: canister_post_upgrade", |w| async move {
        let subjects = [subject(&w).await?, subject(&w).await?];
        by_turns("I", &subjects, async |b, _, probe| b.upgrade(probe).await).await
    });
    c.case("G: canister_pre_upgrade", |w| async move {
        let subjects = [subject(&w).await?, subject(&w).await?, subject(&w).await?];
        by_turns("G", &subjects, async |b, _, probe| {
            b.get(on(op::PRE_UPGRADE, probe) + reply("")).await?;
            b.upgrade(Script::new()).await
        })
        .await
    });
    c.case("s: the start function", |w| async move {
        let subjects = [w.empty().await?, w.empty().await?, w.empty().await?];
        by_turns("s", &subjects, async |b, function, _| {
            b.deploy(CanisterInstallMode::Reinstall, &starts_with(function), Script::new()).await
        })
        .await
    });
    c.case("C: a cleanup callback", |w| async move {
        let b = subject(&w).await?;
        let functions: Vec<_> = functions().collect();
        for batch in functions.chunks(BATCH) {
            let mut script = Script::new();
            for function in batch {
                let cleanup = print(format!("ran {};", function.name()).as_str()) + probe(*function);
                let call = Call::to(b.id).method("query").argument(reply(""));
                script = script + call.on_reply(fault(op::UNREACHABLE)).on_cleanup(cleanup).send();
            }
            b.update(script).await?.err().context("expected a reject")?;
            check_log(&b, "C", batch).await?;
        }
        Ok(())
    });
    c.case("T: canister_global_timer", |w| async move {
        let subjects = [subject(&w).await?, subject(&w).await?, subject(&w).await?, subject(&w).await?];
        let functions: Vec<_> = functions().collect();
        let each = functions.len().div_ceil(subjects.len());
        let parts = subjects.iter().zip(functions.chunks(each)).map(async |(b, part)| {
            for function in part {
                let ran = format!("ran {};", function.name());
                let timer = on(op::GLOBAL_TIMER, print(ran.as_str()) + probe(*function));
                b.get(timer + set_timer(1) + reply("")).await?;
                until(&ran, async || Ok(log(b).await?.contains(&ran))).await?;
                check_log(b, "T", &[*function]).await?;
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(parts).await.map(drop)
    });
    c.case("T: canister_heartbeat", |w| async move {
        let text = "ic0.msg_reply cannot be called from";
        let b = w.with_hooks(&["canister_heartbeat"], on(op::HEARTBEAT, answer())).await?;
        until("the heartbeat traps", async || Ok(log(&b).await?.contains(text))).await
    });
    c.case("the argument in pre_upgrade: not there", |w| async move {
        let a = w.canister().await?;
        a.get(on(op::PRE_UPGRADE, forget(argument())) + reply("")).await?;
        mains_conformance::world::rejects(&a.upgrade(Script::new()).await?, 5, WRONG_PLACE)?;
        same(a.get(reply("alive")).await?, "alive")
    });
}

/// The functions of the specification: all but the one that mints.
fn functions() -> impl Iterator<Item = Function> {
    Function::ALL.iter().copied().filter(|function| *function != Function::mint_cycles128)
}

fn may(function: Function, entry: &str) -> bool {
    let row = TABLE.iter().find(|(names, _)| names.split(' ').any(|name| name == function.name()));
    let letters = row.map_or("", |(_, letters)| letters);
    letters.split(' ').any(|letter| letter == entry || (letter == "*" && entry != "s"))
}

/// A canister with an environment variable, so that there is one with index 0.
async fn subject(world: &Arc<World>) -> Result<Canister> {
    let variable = EnvironmentVariable { name: "name".into(), value: "value".into() };
    let settings = CanisterSettings { environment_variables: Some(vec![variable]), ..Default::default() };
    let subject = world.create(None, mains_conformance::world::CYCLES, settings).await?;
    manage::done(subject.install(Script::new()).await?)?;
    Ok(subject)
}

/// Calls a function with zeros for parameters.
fn probe(function: Function) -> Script {
    let zero = [&[op::NUMBER][..], &[0; 8]].concat();
    let mut code = zero.repeat(function.parameters().len());
    code.extend([op::SYSTEM, function as u8]);
    code.extend(function.result().map(|_| op::DROP));
    run(Bytes::from(code))
}

fn done() -> Script {
    reply("done")
}

/// Sees that a run that called a function ended as the table says.
fn check(function: Function, entry: &str, message: &str) -> Result<()> {
    let is_refused = message.contains(&format!("ic0.{} {WRONG_PLACE}", function.name()));
    let expected = if may(function, entry) { "may" } else { "may not" };
    ensure!(
        is_refused != may(function, entry),
        "expected {} {expected} be called from {entry}, got {message:?}",
        function.name()
    );
    Ok(())
}

/// One message of `a` makes a call for every function; the messages of their rejects tell.
async fn by_calls(a: &Canister, entry: &str, call: impl Fn(Script) -> Call) -> Result<()> {
    let functions: Vec<_> = functions().collect();
    // What is kept: eight bytes that count the answers, then a line for each.
    let note = |line: Bytes| {
        let count = kept().slice(0, 8).number() + 1;
        let lines = kept().slice_from(8) + line + "\n";
        keep(count.bytes(8) + lines)
            + when(kept().slice(0, 8).number().is(functions.len() as u64), reply(kept().slice_from(8)), Script::new())
    };
    let mut script = keep(&[0; 8]);
    for function in &functions {
        let name = format!("{}:", function.name());
        let on_reply = note(Bytes::from(name.as_str()));
        let on_reject = note(Bytes::from(name.as_str()) + reject_message());
        script = script + call(probe(*function)).on_reply(on_reply).on_reject(on_reject).send();
    }
    let told = a.get(script).await?;
    let told = String::from_utf8_lossy(&told).into_owned();
    for function in functions {
        let name = format!("{}:", function.name());
        let line = told.lines().find_map(|line| line.strip_prefix(&name));
        check(function, entry, line.with_context(|| format!("nothing about {name}"))?)?;
    }
    Ok(())
}

async fn by_asking(entry: &str, ask: impl AsyncFn(Script) -> Result<Ended>) -> Result<()> {
    for function in functions() {
        check(function, entry, &message(ask(probe(function)).await?))?;
    }
    Ok(())
}

/// Some canisters share the functions and try one after the other.
async fn by_turns(
    entry: &str,
    subjects: &[Canister],
    attempt: impl AsyncFn(&Canister, Function, Script) -> Result<Ended>,
) -> Result<()> {
    let functions: Vec<_> = functions().collect();
    let parts = subjects.iter().zip(functions.chunks(functions.len().div_ceil(subjects.len())));
    let parts = parts.map(async |(subject, part)| {
        for function in part {
            check(*function, entry, &message(attempt(subject, *function, probe(*function)).await?))?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(parts).await.map(drop)
}

fn message(ended: Ended) -> String {
    ended.err().map(|rejection| rejection.message).unwrap_or_default()
}

async fn check_log(canister: &Canister, entry: &str, functions: &[Function]) -> Result<()> {
    let log = log(canister).await?;
    for function in functions {
        let name = function.name();
        ensure!(log.contains(&format!("ran {name};")), "expected {name} to be tried, got {log:?}");
        check(*function, entry, &log)?;
    }
    Ok(())
}

/// The canister's log.
pub(super) async fn log(canister: &Canister) -> Result<String> {
    let args = FetchCanisterLogsArgs { canister_id: canister.id, filter: None };
    let reply = manage::done(canister.ask_management("fetch_canister_logs", &args).await?)?;
    let logs: FetchCanisterLogsResult = decode(&reply)?;
    let lines = logs.canister_log_records.iter().map(|record| String::from_utf8_lossy(&record.content).into_owned());
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// A module whose start function calls a function with zeros.
fn starts_with(function: Function) -> Vec<u8> {
    let wasm = |ty: &str| if ty == "u64" { "i64" } else { "i32" };
    let parameters: Vec<_> = function.parameters().iter().map(|ty| wasm(ty)).collect();
    let zeros: String = parameters.iter().map(|ty| format!("({ty}.const 0)")).collect();
    let result = function.result().map(|ty| format!("(result {})", wasm(ty))).unwrap_or_default();
    let call = format!("(call $f {zeros})");
    let body = if result.is_empty() { call } else { format!("(drop {call})") };
    modules::assemble(&format!(
        r#"(module (import "ic0" "{}" (func $f (param {}) {result})) (memory 1) (func $start {body}) (start $start))"#,
        function.name(),
        parameters.join(" ")
    ))
}
