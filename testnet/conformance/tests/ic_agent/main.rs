//! The stock Rust agent, unmodified, with five kinds of identity against the shipped counters: everything that a client
//! of the Internet Computer does with a canister, from creating it to upgrading it.

mod certificates;
mod limits;
mod logins;
mod reads;
mod snapshots;

use anyhow::{Context as _, Result, ensure};
use candid::{CandidType, Decode, Encode, Nat, Principal};
use ic_agent::{
    Agent, AgentError, Identity,
    agent::{RejectCode, RequestStatusResponse},
    identity::{
        AnonymousIdentity, BasicIdentity, DelegatedIdentity, Delegation, Prime256v1Identity, Secp256k1Identity,
        SignedDelegation,
    },
};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterStatusResult, InstallCodeArgs,
    ProvisionalCreateCanisterWithCyclesArgs, UpgradeFlags, WasmMemoryPersistence,
};
use mains_client::Client;
use mains_conformance::{Network, Suite, request, shipped::Counter};
use mains_types::{CanisterId, ids};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 27_000;

#[test]
fn the_stock_agent_does_with_every_identity_what_it_does_on_the_internet_computer() {
    mains_conformance::run(async {
        let network = Network::start(NODE, FIRST_PORT).await.expect("four replicas start");
        let mut suite = Suite::new(&network);
        for (index, (name, identity)) in identities().expect("keys").into_iter().enumerate() {
            for counter in Counter::ALL {
                let case = whole_life(&network, index % 4, identity.clone(), counter);
                suite.case(&format!("{name}: {}", counter.name()), case).await;
            }
        }
        logins::run(&mut suite).await.expect("the canisters that logins need");
        for (replica, counter) in Counter::ALL.into_iter().enumerate() {
            suite
                .case(&format!("snapshot: {}", counter.name()), snapshots::brought_back(&network, replica, counter))
                .await;
        }
        reads::run(&mut suite).await.expect("the canisters to read");
        certificates::run(&mut suite).await;
        suite.case("limits on calls from outside", limits::on_calls(&network)).await;
        suite.finish();
    });
}

fn identities() -> Result<Vec<(&'static str, Arc<dyn Identity>)>> {
    Ok(vec![
        ("anonymous", Arc::new(AnonymousIdentity)),
        ("Ed25519", Arc::new(ed25519(1))),
        ("secp256k1", Arc::new(Secp256k1Identity::from_pem(pem(&request::Key::secp256k1(2)))?)),
        ("P-256", Arc::new(p256()?)),
        ("delegated", Arc::new(delegated()?)),
    ])
}

fn ed25519(number: u8) -> BasicIdentity {
    BasicIdentity::from_raw_key(&[number; 32])
}

fn p256() -> Result<Prime256v1Identity> {
    Ok(Prime256v1Identity::from_pem(pem(&request::Key::p256(3)))?)
}

/// A P-256 login that lets an Ed25519 session act for it, through a secp256k1 key in between.
fn delegated() -> Result<DelegatedIdentity> {
    let (owner, between) = (request::Key::p256(4), request::Key::secp256k1(5));
    let session = ed25519(6);
    let step = |from: &request::Key, to: Vec<u8>| {
        let delegation =
            Delegation { pubkey: to, expiration: request::from_now(3_600), targets: None, permissions: None };
        SignedDelegation { signature: from.sign(&delegation.signable()), delegation }
    };
    let session_key = session.public_key().context("it has a key")?;
    let chain = vec![step(&owner, between.der()), step(&between, session_key)];
    Ok(DelegatedIdentity::new(owner.der(), Box::new(session), chain)?)
}

fn pem(key: &request::Key) -> String {
    match key {
        request::Key::Ed25519(_) => unreachable!("made from raw keys"),
        request::Key::Secp256k1(key) => key.serialize_rfc5915_pem(),
        request::Key::P256(key) => key.serialize_rfc5915_pem(),
    }
}

/// An agent that trusts the network it is given, as one's own; queries are verified, which is the default.
async fn agent(network: &Network, replica: usize, identity: Arc<dyn Identity>) -> Result<Agent> {
    let agent = Agent::builder().with_url(network.url(replica)).with_arc_identity(identity).build()?;
    agent.fetch_root_key().await?;
    Ok(agent)
}

async fn whole_life(network: &Network, replica: usize, identity: Arc<dyn Identity>, counter: Counter) -> Result<()> {
    let agent = agent(network, replica, identity).await?;
    let me = agent.get_principal().map_err(anyhow::Error::msg)?;
    let module = counter.module()?;
    let canister = create(&agent).await.context("create")?;
    install(&agent, canister, CanisterInstallMode::Install, &module).await.context("install")?;

    for expected in 1..=3u8 {
        let value: Nat = update(&agent, canister, "inc").await.context("inc")?;
        ensure!(value == expected, "inc answers {value}, not {expected}");
    }
    ensure!(query::<Nat>(&agent, canister, "get").await.context("get")? == 3u8);
    ensure!(query::<Principal>(&agent, canister, "whoami").await? == me, "the canister sees another caller");

    reads(&agent, canister, me, &module).await.context("read_state")?;
    trap(&network.client(replica)?, &agent, canister).await.context("trap")?;
    upgrade(&agent, canister, counter, &module).await.context("upgrade")?;
    Ok(())
}

async fn create(agent: &Agent) -> Result<CanisterId> {
    let anywhere = ids::canister_id(ids::FIRST_CANISTER_INDEX);
    let args = ProvisionalCreateCanisterWithCyclesArgs {
        amount: Some(Nat::from(20_000_000_000_000u64)),
        ..Default::default()
    };
    let reply = manage(agent, anywhere, "provisional_create_canister_with_cycles", &args).await?;
    Ok(Decode!(&reply, CanisterIdRecord)?.canister_id)
}

async fn install(
    agent: &Agent,
    canister: CanisterId,
    mode: CanisterInstallMode,
    module: &[u8],
) -> Result<(), AgentError> {
    let argument = InstallCodeArgs {
        mode,
        canister_id: canister,
        wasm_module: module.to_vec(),
        arg: Encode!().unwrap_or_default(),
        sender_canister_version: None,
    };
    manage(agent, canister, "install_code", &argument).await.map(drop)
}

async fn manage<T: CandidType>(
    agent: &Agent,
    canister: CanisterId,
    method: &str,
    argument: &T,
) -> Result<Vec<u8>, AgentError> {
    let argument = Encode!(argument).unwrap_or_default();
    let call = agent.update(&Principal::management_canister(), method).with_effective_canister_id(canister);
    call.with_arg(argument).call_and_wait().await
}

async fn update<T: CandidType + for<'de> serde::Deserialize<'de>>(
    agent: &Agent,
    canister: CanisterId,
    method: &str,
) -> Result<T> {
    let reply = agent.update(&canister, method).with_arg(Encode!()?).call_and_wait().await?;
    Ok(Decode!(&reply, T)?)
}

async fn query<T: CandidType + for<'de> serde::Deserialize<'de>>(
    agent: &Agent,
    canister: CanisterId,
    method: &str,
) -> Result<T> {
    let reply = agent.query(&canister, method).with_arg(Encode!()?).call_with_verification().await?;
    Ok(Decode!(&reply, T)?)
}

/// Certified reads: who controls it, what it runs, its interface, what became of a request, its subnet.
async fn reads(agent: &Agent, canister: CanisterId, me: Principal, module: &[u8]) -> Result<()> {
    ensure!(agent.read_state_canister_controllers(canister).await? == [me]);
    ensure!(agent.read_state_canister_module_hash(canister).await? == Sha256::digest(module).as_slice());
    let interface = agent.read_state_canister_metadata(canister, "candid:service").await?;
    let interface = String::from_utf8(interface).context("the interface is text")?;
    ensure!(interface.contains("inc") && interface.contains("service"), "{interface}");
    ensure!(agent.read_state_canister_metadata(canister, "no such section").await.is_err());

    let signed = agent.update(&canister, "inc").with_arg(Encode!()?).sign()?;
    agent.update_signed(canister, signed.signed_update).await?;
    let (reply, _) = agent.wait(&signed.request_id, canister).await?;
    ensure!(Decode!(&reply, Nat)? == 4u8);
    let (status, _) = agent.request_status_raw(&signed.request_id, canister).await?;
    match status {
        RequestStatusResponse::Replied(replied) => ensure!(replied.arg == reply, "the status has another reply"),
        other => anyhow::bail!("replied, not {other:?}"),
    }

    let status = agent.query(&Principal::management_canister(), "canister_status").with_effective_canister_id(canister);
    let status = status.with_arg(Encode!(&CanisterIdRecord { canister_id: canister })?).call().await?;
    let status = Decode!(&status, CanisterStatusResult)?;
    ensure!(status.settings.controllers == [me] && status.cycles > 0u8);

    let subnet = agent.get_subnet_by_canister(&canister).await?;
    ensure!(
        subnet.id() == Principal::self_authenticating(agent.read_root_key()),
        "the one subnet's key is the root key"
    );
    Ok(())
}

/// A trap undoes what the call did and is paid for all the same.
async fn trap(client: &Client, agent: &Agent, canister: CanisterId) -> Result<()> {
    let before: Nat = query(agent, canister, "get").await?;
    let bill_before = client.bill(canister).await?;
    let error = agent.update(&canister, "trap_after_write").with_arg(Encode!()?).call_and_wait().await.err();
    match error.context("it replied")? {
        AgentError::CertifiedReject { reject, .. } => {
            ensure!(reject.reject_code == RejectCode::CanisterError, "{reject:?}");
            ensure!(reject.error_code.as_deref() == Some("IC0503"), "{reject:?}");
            ensure!(reject.reject_message.contains("trapped after a write"), "{reject:?}");
        }
        other => anyhow::bail!("a certified reject, not {other}"),
    }
    ensure!(query::<Nat>(agent, canister, "get").await? == before, "the value changed");
    let bill = client.bill(canister).await?;
    let quantity = |bill: &mains_ledger::Statement, name: &str| {
        bill.lines.iter().find(|line| line.resource.name() == name).map_or(0, |line| line.present)
    };
    for resource in ["execution", "instructions"] {
        let (before, after) = (quantity(&bill_before, resource), quantity(&bill, resource));
        ensure!(after > before, "{resource} stayed at {before}: the trap was free");
    }
    Ok(())
}

/// An upgrade keeps the value: through stable memory, or with the heap.
async fn upgrade(agent: &Agent, canister: CanisterId, counter: Counter, module: &[u8]) -> Result<()> {
    let before: Nat = query(agent, canister, "get").await?;
    if counter.keeps_heap() {
        // Without a word about the heap, nothing happens to it.
        let refused = install(agent, canister, CanisterInstallMode::Upgrade(None), module).await;
        ensure!(refused.is_err_and(|error| error.to_string().contains("wasm_memory_persistence")));
    }
    let flags = counter
        .keeps_heap()
        .then_some(UpgradeFlags { skip_pre_upgrade: None, wasm_memory_persistence: Some(WasmMemoryPersistence::Keep) });
    install(agent, canister, CanisterInstallMode::Upgrade(flags), module).await?;
    ensure!(query::<Nat>(agent, canister, "get").await? == before, "the upgrade lost the value");
    let value: Nat = update(agent, canister, "inc").await?;
    ensure!(value == before.clone() + 1u8, "it goes on from {before} to {value}");
    install(agent, canister, CanisterInstallMode::Reinstall, module).await?;
    ensure!(query::<Nat>(agent, canister, "get").await? == 0u8, "a reinstall forgets the value");
    Ok(())
}
