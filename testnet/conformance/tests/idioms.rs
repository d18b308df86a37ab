//! What people write in Motoko and with the Rust developer kit without thinking of the system below: traps on either side
//! of an await, locks, re-entrancy, cycles, timers and memory through upgrades, canisters made by canisters. The same
//! interface in both languages (`sdk/examples/idioms.did`), each calling the other. `CASE=part-of-a-name` runs some.

use anyhow::{Context as _, Result, bail, ensure};
use candid::{
    Nat, Principal,
    utils::{ArgumentDecoder, ArgumentEncoder, decode_args, encode_args},
};
use mains_client::{Certificate, Client, ClientError, Rejection, identity, management::Install};
use mains_conformance::{Network, Suite, manage, shipped};
use mains_types::CanisterId;
use std::time::{Duration, Instant};

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 28_400;
/// How long something that must happen by itself may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a call may send without coming near what a canister has.
const CYCLES: u64 = 10_000_000_000;

#[test]
fn the_languages_own_idioms_hold_in_both_and_between_them() {
    mains_conformance::run(async {
        let network = Network::start(NODE, FIRST_PORT).await.expect("four replicas start");
        let mut suite = Suite::new(&network);
        let rust = Canister::install(&network, "Rust", "idioms-rust", false).await.expect("the Rust canister");
        let motoko = Canister::install(&network, "Motoko", "idioms-motoko", true).await.expect("the Motoko canister");
        for (canister, peer) in [(&rust, &motoko), (&motoko, &rust)] {
            let named = |what: &str| format!("{} calling {}: {what}", canister.language, peer.language);
            suite.case(&named("traps around an await"), traps(canister, peer)).await;
            suite.case(&named("a lock is free after a trap"), locks(canister, peer)).await;
            suite.case(&named("the callee traps or refuses"), failing_callee(canister, peer)).await;
            suite.case(&named("cycles, accepted in part or not"), cycles(canister, peer)).await;
            suite.case(&named("calls to itself, and what they interleave"), reentrancy(canister, peer)).await;
            suite.case(&named("a composite query"), composite(canister, peer)).await;
            suite.case(&named("waiting for a while, and not at all"), waiting(canister, peer)).await;
        }
        for canister in [&rust, &motoko] {
            let named = |what: &str| format!("{}: {what}", canister.language);
            suite.case(&named("a canister makes a canister"), children(canister)).await;
            suite.case(&named("inspect_message"), inspection(&network, canister)).await;
            suite.case(&named("a certified variable"), certified(&network, canister)).await;
            suite.case(&named("memory, timers and hooks through upgrades"), upgrades(canister)).await;
        }
        suite.finish();
    });
}

/// A canister of `sdk/examples/idioms.did`.
struct Canister {
    language: &'static str,
    id: CanisterId,
    client: Client,
    module: Vec<u8>,
    keeps_heap: bool,
}

impl Canister {
    async fn install(network: &Network, language: &'static str, name: &str, keeps_heap: bool) -> Result<Self> {
        let (client, module) = (network.client(0)?, shipped::module(name)?);
        let id = manage::create_with(&client, &module).await?;
        Ok(Self { language, id, client, module, keeps_heap })
    }

    /// Calls a method; a rejection is a result.
    async fn try_call<A: ArgumentEncoder, R: for<'a> ArgumentDecoder<'a>>(
        &self,
        method: &str,
        args: A,
    ) -> Result<Result<R, Rejection>> {
        let outcome = self.client.call(self.id, method, encode_args(args)?).await;
        Ok(match manage::ended(outcome)? {
            Ok(reply) => Ok(decode_args(&reply).with_context(|| format!("the reply of {method}"))?),
            Err(rejection) => Err(rejection),
        })
    }

    async fn call<A: ArgumentEncoder, R: for<'a> ArgumentDecoder<'a>>(&self, method: &str, args: A) -> Result<R> {
        match self.try_call(method, args).await? {
            Ok(reply) => Ok(reply),
            Err(rejection) => bail!("{method} of {} was rejected: {rejection}", self.language),
        }
    }

    /// Calls a method that must trap, and sees that the reason says so.
    async fn traps<A: ArgumentEncoder>(&self, method: &str, args: A, reason: &str) -> Result<()> {
        let ended: Result<(), Rejection> = self.try_call(method, args).await?;
        let rejection = ended.err().with_context(|| format!("{method} replied"))?;
        ensure!(rejection.code == 5 && rejection.message.contains(reason), "{method}: {rejection}");
        Ok(())
    }

    async fn query<A: ArgumentEncoder, R: for<'a> ArgumentDecoder<'a>>(&self, method: &str, args: A) -> Result<R> {
        let reply = self.client.query(self.id, method, encode_args(args)?).await.with_context(|| method.to_owned())?;
        Ok(decode_args(&reply)?)
    }

    async fn journal(&self) -> Result<Vec<String>> {
        let (lines,) = self.query("journal", ()).await?;
        Ok(lines)
    }

    async fn number(&self, method: &str) -> Result<Nat> {
        let (number,) = self.query(method, ()).await?;
        Ok(number)
    }

    /// Waits until the journal has these lines behind what it had before.
    async fn has_noted(&self, before: &[String], lines: &[&str]) -> Result<()> {
        let expected: Vec<String> = before.iter().cloned().chain(lines.iter().map(|line| (*line).to_owned())).collect();
        let began = Instant::now();
        loop {
            let journal = self.journal().await?;
            if journal == expected {
                return Ok(());
            }
            let is_on_its_way = expected.starts_with(&journal) && began.elapsed() < PATIENCE;
            ensure!(is_on_its_way, "{}'s journal is {journal:?}, not {expected:?}", self.language);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a counter is above this.
    async fn passes(&self, counter: &str, least: &Nat) -> Result<()> {
        let began = Instant::now();
        while self.number(counter).await? <= *least {
            ensure!(began.elapsed() < PATIENCE, "{counter} of {} stays at {least}", self.language);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// What was done before an await stays, what was done after it is undone; nothing is sent by a message that traps.
async fn traps(canister: &Canister, peer: &Canister) -> Result<()> {
    let (mine, theirs) = (canister.journal().await?, peer.journal().await?);
    canister.traps("trap_before_await", (peer.id,), "trapped before an await").await?;
    canister.has_noted(&mine, &[]).await?;
    peer.has_noted(&theirs, &[]).await?;
    canister.traps("trap_after_await", (peer.id,), "trapped after an await").await?;
    canister.has_noted(&mine, &["kept"]).await?;
    peer.has_noted(&theirs, &["sent"]).await
}

/// `Drop` and `finally` run in the cleanup callback.
async fn locks(canister: &Canister, peer: &Canister) -> Result<()> {
    for _ in 0..2 {
        canister.traps("trap_with_lock", (peer.id,), "trapped while locked").await?;
        let (is_locked,): (bool,) = canister.query("locked", ()).await?;
        ensure!(!is_locked, "the lock is still taken");
    }
    Ok(())
}

/// The caller goes on and learns why; of the callee's changes, those before a trap are undone and those before a reject
/// stay.
async fn failing_callee(canister: &Canister, peer: &Canister) -> Result<()> {
    let (mine, theirs) = (canister.journal().await?, peer.journal().await?);
    let (code, message): (u32, String) = canister.call("call_trapping", (peer.id,)).await?;
    ensure!(code == 5 && message.contains("trapped on purpose"), "{code}: {message}");
    canister.has_noted(&mine, &["kept"]).await?;
    peer.has_noted(&theirs, &[]).await?;
    let (code, message): (u32, String) = canister.call("call_refusing", (peer.id, "not today")).await?;
    ensure!(code == 4 && message == "not today", "{code}: {message}");
    peer.has_noted(&theirs, &["refused"]).await
}

async fn cycles(canister: &Canister, peer: &Canister) -> Result<()> {
    for (maximum, accepted) in [(CYCLES / 4, CYCLES / 4), (2 * CYCLES, CYCLES), (0, 0)] {
        let (took, came_back): (Nat, Nat) =
            canister.call("give", (peer.id, Nat::from(CYCLES), Nat::from(maximum))).await?;
        ensure!(took == accepted && came_back == CYCLES - accepted, "{took} accepted, {came_back} came back");
    }
    let (came_back,): (bool,) = canister.call("give_to_trap", (peer.id, Nat::from(CYCLES))).await?;
    ensure!(came_back, "{CYCLES} cycles did not come back from a callee that trapped");
    Ok(())
}

async fn reentrancy(canister: &Canister, peer: &Canister) -> Result<()> {
    let (sum,): (Nat,) = canister.call("sum_down", (Nat::from(10u8),)).await?;
    ensure!(sum == 55u8, "10 + 9 + ... is {sum}");
    let (number,): (Nat,) = canister.call("race", (peer.id,)).await?;
    ensure!(number == 1u8, "both read before either wrote, so {number} should be 1");
    Ok(())
}

async fn composite(canister: &Canister, peer: &Canister) -> Result<()> {
    let _: (Option<Nat>,) = canister.call("put", ("shared", Nat::from(40u8))).await?;
    let (before,): (Option<Nat>,) = canister.call("put", ("shared", Nat::from(30u8))).await?;
    ensure!(before == Some(Nat::from(40u8)), "{before:?}");
    let _: (Option<Nat>,) = peer.call("put", ("shared", Nat::from(12u8))).await?;
    let (total,): (Nat,) = canister.query("total", (vec![peer.id, peer.id], "shared")).await?;
    ensure!(total == 24u8, "12 + 12 is {total}");
    let (nothing,): (Nat,) = canister.query("total", (vec![peer.id], "no such key")).await?;
    ensure!(nothing == 0u8);
    // Composite queries are not for replicated calls.
    let ended: Result<(Nat,), Rejection> = canister.try_call("total", (Vec::<Principal>::new(), "shared")).await?;
    ensure!(ended.is_err(), "a composite query ran as an update");
    Ok(())
}

async fn waiting(canister: &Canister, peer: &Canister) -> Result<()> {
    let theirs = peer.journal().await?;
    let (answered,): (bool,) = canister.call("note_bounded", (peer.id, "in time")).await?;
    ensure!(answered, "an answer that came in time was not delivered");
    let _: () = canister.call("note_one_way", (peer.id, "nobody waits")).await?;
    peer.has_noted(&theirs, &["in time", "nobody waits"]).await?;
    let (code,): (u32,) = canister.call("hold_bounded", (peer.id,)).await?;
    ensure!(code == 6, "reject code {code} for a call that was not answered in time, not 6");
    peer.call("release", ()).await
}

async fn children(canister: &Canister) -> Result<()> {
    let (child,): (Principal,) = canister.call("spawn", (Nat::from(2_000_000_000_000u64),)).await?;
    for expected in 1..=2u8 {
        let (value,): (Nat,) = canister.call("inc_child", (child,)).await?;
        ensure!(value == expected, "the child counts {value}, not {expected}");
    }
    let controllers = canister.client.agent().read_state_canister_controllers(child).await?;
    ensure!(controllers == [canister.id], "{controllers:?}");
    Ok(())
}

async fn inspection(network: &Network, canister: &Canister) -> Result<()> {
    let argument = encode_args(())?;
    match canister.client.call(canister.id, "guarded", argument.clone()).await {
        // The replica's own word: it took nothing, so there is nothing to certify.
        Err(ClientError::Rejected(_)) => {}
        other => bail!("the anonymous principal was let in: {:?}", other.map(|outcome| outcome.result)),
    }
    let somebody = network.client_as(1, identity::from_seed(&[44; 32]))?;
    manage::done(manage::ended(somebody.call(canister.id, "guarded", argument).await)?).map(drop)
}

async fn certified(network: &Network, canister: &Canister) -> Result<()> {
    for data in [&b"first"[..], b"", &[7; 32]] {
        let bytes = serde_bytes::ByteBuf::from(data);
        let _: () = canister.call("certify", (bytes,)).await?;
        let (certificate,): (Option<serde_bytes::ByteBuf>,) = canister.query("certificate", ()).await?;
        let certificate = Certificate::verify(&certificate.context("a query sees a certificate")?, network.root_key())?;
        let shown = certificate.value(&[b"canister", canister.id.as_slice(), b"certified_data"]);
        ensure!(shown == Some(data), "certified {shown:?}, not {data:?}");
    }
    let (certificate,): (Option<serde_bytes::ByteBuf>,) = canister.call("certificate", ()).await?;
    ensure!(certificate.is_none(), "a certificate in replicated execution");
    let too_long = serde_bytes::ByteBuf::from([7; 33]);
    let ended: Result<(), Rejection> = canister.try_call("certify", (too_long,)).await?;
    ensure!(ended.is_err_and(|rejection| rejection.code == 5), "33 bytes were certified");
    Ok(())
}

async fn upgrades(canister: &Canister) -> Result<()> {
    let _: (Option<Nat>,) = canister.call("put", ("through upgrades", Nat::from(99u8))).await?;
    let _: () = canister.call("note", ("kept through upgrades",)).await?;
    let _: () = canister.call("start_ticking", ()).await?;
    canister.passes("ticks", &Nat::from(0u8)).await?;
    canister.passes("beats", &canister.number("beats").await?).await?;
    for _ in 0..2 {
        let (journal, ticks) = (canister.journal().await?, canister.number("ticks").await?);
        let how = Install::Upgrade { keep_heap: canister.keeps_heap };
        manage::done(manage::install(&canister.client, canister.id, how, &canister.module).await?)?;
        canister.has_noted(&journal, &["before the upgrade", "after the upgrade"]).await?;
        let (value,): (Option<Nat>,) = canister.query("get", ("through upgrades",)).await?;
        ensure!(value == Some(Nat::from(99u8)), "{value:?} after the upgrade");
        ensure!(canister.number("ticks").await? >= ticks, "the upgrade lost ticks");
        canister.passes("ticks", &ticks).await?;
    }
    Ok(())
}
