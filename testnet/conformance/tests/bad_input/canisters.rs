//! Calls that cannot succeed: nobody there, no such method, canisters that misbehave or cannot pay.

use anyhow::{Context as _, Result, ensure};
use ic_management_canister_types::UninstallCodeArgs;
use mains_client::{ClientError, management::Install};
use mains_conformance::{
    Network, Suite, answer, manage, modules,
    request::{self, Key},
    suite::Snapshot,
};
use mains_types::{CanisterId, Cycles, Principal, ids};

/// A little more than what an install sets aside: 300 G instructions and compiling, on four replicas 98.5 G cycles.
const LITTLE: Cycles = Cycles(105_000_000_000);
/// Calls after which a canister with a fifth of [`LITTLE`] must be broke.
const CALLS: usize = 100;

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    let network = suite.network();
    let client = network.client(0)?;
    suite.case("canister: one that was never created", is_not_there(network, ids::canister_id(0xf_fff1))).await;
    suite.case("canister: one beyond this subnet's ids", is_not_there(network, ids::canister_id(1 << 40))).await;
    suite.case("canister: a user's id", is_not_there(network, Key::ed25519(7).principal())).await;
    suite.case("canister: one that was deleted", deleted(network)).await;
    suite.case("canister: deleted while it runs", deleted_while_running(network)).await;
    suite.case("canister: one without code", without_code(network)).await;
    suite.case("canister: one that is stopped", stopped(network)).await;

    let counter = manage::create_with(&client, &modules::counter()).await?;
    suite.case("canister: a method that it does not have", unknown_methods(network, counter)).await;
    suite
        .case("canister: a method of the management canister that nobody has", unknown_management(network, counter))
        .await;
    suite.case("canister: a trap after a write", trap_after_write(network, counter)).await;

    let hostile = manage::create_with(&client, &modules::hostile()).await?;
    manage::done(manage::call(&client, hostile, "change").await?)?;
    for (method, code, text) in modules::HOSTILE_CALLS {
        suite.case(&format!("hostile: {method}"), misbehaves(network, hostile, method, code, text)).await;
    }
    suite.case("hostile: no_reply", without_reply(network, hostile)).await;
    suite.case("hostile: calls itself twice, for ever", flood(network, counter)).await;
    suite.case("hostile: a query that loops", query_that_loops(network, hostile)).await;
    suite.case("hostile: inspect_message loops", inspection(network, "(loop (br 0))", "IC0522")).await;
    suite.case("hostile: inspect_message traps", inspection(network, "unreachable", "IC0502")).await;
    suite.case("hostile: inspect_message does not accept", inspection(network, "", "IC0406")).await;

    suite.case("cycles: an install without any", install_without_cycles(network)).await;
    suite.case("cycles: a frozen canister", frozen(network)).await;
    suite.case("cycles: the last ones are spent", spent(network)).await;
    suite.case("cycles: too few to create a canister", too_few_to_create(network)).await;
    Ok(())
}

/// Sees that calls and queries to this id say that nobody is there.
async fn is_not_there(network: &Network, canister: CanisterId) -> Result<()> {
    for replica in 0..4 {
        let client = network.client(replica)?;
        answer::is_rejected(&manage::call(&client, canister, "inc").await?, "IC0301", "not found")?;
    }
    let query = request::unsigned(request::query(Principal::anonymous(), canister, "get", &[]));
    let answer = network.post(0, &request::path(canister, "query"), query.encode_bytes()).await?;
    answer::is_rejected(&answer.answered()?, "IC0301", "not found")
}

async fn deleted(network: &Network) -> Result<()> {
    let client = network.client(1)?;
    let canister = manage::create_with(&client, &modules::counter()).await?;
    manage::done(manage::call(&client, canister, "inc").await?)?;
    manage::stop(&client, canister).await?;
    manage::done(manage::delete(&client, canister).await?)?;
    is_not_there(network, canister).await?;
    let ended = manage::install(&client, canister, Install::Fresh, &modules::counter()).await?;
    answer::is_rejected(&ended, "IC0301", "not found")?;
    answer::is_rejected(&manage::delete(&client, canister).await?, "IC0301", "not found")
}

async fn deleted_while_running(network: &Network) -> Result<()> {
    let client = network.client(1)?;
    let canister = manage::create_with(&client, &modules::counter()).await?;
    let before = Snapshot::take(network, canister).await?;
    answer::is_rejected(&manage::delete(&client, canister).await?, "IC0510", "must be stopped")?;
    before.is_unchanged(network, canister).await
}

async fn without_code(network: &Network) -> Result<()> {
    let client = network.client(2)?;
    let canister = manage::create(&client, Cycles(20_000_000_000_000)).await?;
    answer::is_rejected(&manage::call(&client, canister, "inc").await?, "IC0537", "no Wasm module")
}

async fn stopped(network: &Network) -> Result<()> {
    let client = network.client(2)?;
    let canister = manage::create_with(&client, &modules::counter()).await?;
    manage::stop(&client, canister).await?;
    answer::is_rejected(&manage::call(&client, canister, "inc").await?, "IC0508", "is stopped")?;
    manage::done(manage::ended(client.start_canister(canister).await)?)?;
    manage::done(manage::call(&client, canister, "inc").await?).map(drop)
}

async fn unknown_methods(network: &Network, counter: CanisterId) -> Result<()> {
    let client = network.client(3)?;
    let before = Snapshot::take(network, counter).await?;
    let long = "x".repeat(20_000);
    for method in ["decrement", "", "Inc", "inc ", "canister_init", "get\0", long.as_str()] {
        let ended = manage::call(&client, counter, method).await.with_context(|| format!("method {method:?}"))?;
        ensure!(
            matches!(&ended, Err(rejection) if rejection.error_code.as_deref() == Some("IC0536")),
            "{method:?}: {ended:?}"
        );
    }
    let query = request::unsigned(request::query(Principal::anonymous(), counter, "inc_query", &[]));
    let answer = network.post(0, &request::path(counter, "query"), query.encode_bytes()).await?;
    answer::is_rejected(&answer.answered()?, "IC0536", "has no query method 'inc_query'")?;
    before.is_unchanged(network, counter).await
}

async fn unknown_management(network: &Network, counter: CanisterId) -> Result<()> {
    let client = network.client(3)?;
    for method in ["make_coffee", "sign_with_ecdsa", "raw_rand", "create_canister"] {
        let ended =
            manage::ended(client.call_for(counter, Principal::management_canister(), method, Vec::new()).await)?;
        let rejection = ended.err().with_context(|| format!("{method} was taken"))?;
        ensure!(rejection.message.contains(method) || rejection.message.contains("argument"), "{method}: {rejection}");
    }
    Ok(())
}

async fn trap_after_write(network: &Network, counter: CanisterId) -> Result<()> {
    let client = network.client(1)?;
    let before = Snapshot::take(network, counter).await?;
    answer::is_rejected(&manage::call(&client, counter, "inc_and_trap").await?, "IC0503", "on purpose")?;
    before.is_unchanged(network, counter).await
}

/// A call that writes and then breaks a rule: told which, rolled back, and the canister serves on.
async fn misbehaves(network: &Network, hostile: CanisterId, method: &str, code: &str, text: &str) -> Result<()> {
    let client = network.client(2)?;
    let before = Snapshot::take(network, hostile).await?;
    let ended = manage::call(&client, hostile, method).await?;
    let rejection = ended.as_ref().err().context("it was answered")?;
    ensure!(rejection.code == 5, "reject code 5, not {}: {rejection}", rejection.code);
    let told = rejection.error_code.as_deref().unwrap_or_default();
    ensure!(told.starts_with(code) && rejection.message.contains(text), "{code} {text:?}, not {rejection}");
    before.is_unchanged(network, hostile).await
}

/// A call that ends well but says nothing: what it did counts, its caller is told.
async fn without_reply(network: &Network, hostile: CanisterId) -> Result<()> {
    let ended = manage::call(&network.client(1)?, hostile, "no_reply").await?;
    answer::is_rejected(&ended, "IC0506", "did not reply")
}

/// While one canister keeps itself as busy as it can, another one is served, until the flood's controller ends it.
async fn flood(network: &Network, counter: CanisterId) -> Result<()> {
    let client = network.client(1)?;
    let flood = manage::create_with(&client, &modules::flood()).await?;
    manage::done(manage::call(&client, flood, "flood").await?)?;
    let before = manage::get(&client, counter).await?;
    for index in 1..=10 {
        let value = manage::value(&manage::done(manage::call(&client, counter, "inc").await?)?)?;
        ensure!(value == before + index, "the other canister answers {value}, not {}", before + index);
    }
    let argument = UninstallCodeArgs { canister_id: flood, sender_canister_version: None };
    manage::done(manage::manage(&client, flood, "uninstall_code", &argument).await?)?;
    answer::is_rejected(&manage::call(&client, flood, "flood").await?, "IC0537", "no Wasm module")
}

async fn query_that_loops(network: &Network, hostile: CanisterId) -> Result<()> {
    let query = request::unsigned(request::query(Principal::anonymous(), hostile, "spin", &[]));
    let answer = network.post(3, &request::path(hostile, "query"), query.encode_bytes()).await?;
    answer::is_rejected(&answer.answered()?, "IC0522", "exceeded the limit of instructions")
}

async fn inspection(network: &Network, body: &str, code: &str) -> Result<()> {
    let client = network.client(0)?;
    let canister = manage::create_with(&client, &modules::counter_that_inspects_with(body)).await?;
    let before = Snapshot::take(network, canister).await?;
    answer::is_rejected(&manage::call(&client, canister, "inc").await?, code, "")?;
    before.is_unchanged(network, canister).await
}

async fn install_without_cycles(network: &Network) -> Result<()> {
    let client = network.client(0)?;
    let canister = manage::create(&client, Cycles(1_000)).await?;
    let before = Snapshot::take(network, canister).await?;
    let ended = manage::install(&client, canister, Install::Fresh, &modules::counter()).await?;
    answer::is_rejected(&ended, "IC0207", "out of cycles")?;
    before.is_unchanged(network, canister).await?;
    manage::top_up(&client, canister, Cycles(20_000_000_000_000)).await?;
    manage::done(manage::install(&client, canister, Install::Fresh, &modules::counter()).await?).map(drop)
}

async fn frozen(network: &Network) -> Result<()> {
    let client = network.client(1)?;
    let canister = manage::create_with(&client, &modules::counter()).await?;
    manage::set_freezing_threshold(&client, canister, 1_000_000_000_000_000).await?;
    let before = Snapshot::take(network, canister).await?;
    answer::is_rejected(&manage::call(&client, canister, "inc").await?, "IC0207", "out of cycles")?;
    before.is_unchanged(network, canister).await?;
    // Its controllers can help it out.
    manage::set_freezing_threshold(&client, canister, 2_592_000).await?;
    manage::done(manage::call(&client, canister, "inc").await?).map(drop)
}

/// A canister that computes until it is broke: refused then, alive again after a top-up, never in debt.
async fn spent(network: &Network) -> Result<()> {
    let client = network.client(2)?;
    let canister = manage::create(&client, LITTLE).await?;
    let burner = modules::assemble(
        r#"(module
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "cycles_burn128" (func $cycles_burn (param i64 i64 i32)))
          (memory 1)
          (func (export "canister_update waste")
            (call $cycles_burn (i64.const 0) (i64.const 85000000000) (i32.const 0))
            (call $reply))
          (func (export "canister_update burn") (local i32)
            (loop
              (memory.fill (i32.const 0) (i32.const 7) (i32.const 65000))
              (local.set 0 (i32.add (local.get 0) (i32.const 1)))
              (br_if 0 (i32.lt_u (local.get 0) (i32.const 20000))))
            (call $reply)))"#,
    );
    manage::done(manage::install(&client, canister, Install::Fresh, &burner).await?)?;
    manage::done(manage::call(&client, canister, "waste").await?)?;
    let mut refused = None;
    for _ in 0..CALLS {
        if let Err(rejection) = manage::call(&client, canister, "burn").await? {
            refused = Some(rejection);
            break;
        }
    }
    answer::is_rejected(&Err(refused.context("it never ran out")?), "IC0207", "out of cycles")?;
    let bill = client.bill(canister).await?;
    ensure!(bill.closing <= LITTLE, "what it has left is what it had less what it used, not {}", bill.closing);
    manage::top_up(&client, canister, Cycles(20_000_000_000_000)).await?;
    manage::done(manage::call(&client, canister, "burn").await?).map(drop)
}

async fn too_few_to_create(network: &Network) -> Result<()> {
    let client = network.client(3)?;
    let before = client.balance(Principal::anonymous()).await?;
    match client.create_canister(Cycles(1)).await {
        Err(ClientError::Ledger(_) | ClientError::Rejected(_)) => {}
        other => anyhow::bail!("a refusal, not {:?}", other.map(|(id, _)| id)),
    }
    let after = client.balance(Principal::anonymous()).await?;
    ensure!(after == before, "the refused creation cost {} of {before} cycles", before.get() - after.get());
    Ok(())
}
