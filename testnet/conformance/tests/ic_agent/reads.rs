//! Who may read what of the certified state, and that what is absent is proved absent.

use super::{agent, create, ed25519, install};
use anyhow::{Result, ensure};
use candid::Encode;
use ic_agent::{
    Agent, AgentError, RequestId, agent::RequestStatusResponse, hash_tree::Label, identity::AnonymousIdentity,
};
use ic_management_canister_types::CanisterInstallMode;
use mains_conformance::{
    Network, Suite,
    shipped::{self, Counter},
};
use mains_types::{CanisterId, ids::canister_id};
use std::sync::Arc;

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    let network = suite.network();
    let owner = agent(network, 0, Arc::new(ed25519(20))).await?;
    let canister = create(&owner).await?;
    install(&owner, canister, CanisterInstallMode::Install, &shipped::module("issuer-rust")?).await?;
    suite.case("privacy: another's request cannot be read", others_requests(network)).await;
    suite.case("privacy: a private section is its controllers'", private_sections(network, canister)).await;
    suite.case("privacy: only of the URL's canister, only what there is to read", paths(network, canister)).await;
    suite.case("absence: what is not there is proved not to be", absence(network, canister)).await;
    Ok(())
}

fn is_forbidden<T>(read: Result<T, AgentError>) -> Result<()> {
    match read {
        Err(AgentError::HttpError(error)) if error.status == 403 => Ok(()),
        other => anyhow::bail!("HTTP 403, not {:?}", other.map(drop)),
    }
}

async fn others_requests(network: &Network) -> Result<()> {
    let (alice, eve) =
        (agent(network, 2, Arc::new(ed25519(9))).await?, agent(network, 2, Arc::new(ed25519(10))).await?);
    let canister = create(&alice).await?;
    install(&alice, canister, CanisterInstallMode::Install, &Counter::Rust.module()?).await?;
    let signed = alice.update(&canister, "inc").with_arg(Encode!()?).sign()?;
    alice.update_signed(canister, signed.signed_update).await?;
    alice.wait(&signed.request_id, canister).await?;
    is_forbidden(eve.request_status_raw(&signed.request_id, canister).await)?;
    // Nor under the name of another canister, by its own sender.
    let other = create(&alice).await?;
    is_forbidden(alice.request_status_raw(&signed.request_id, other).await)
}

async fn private_sections(network: &Network, canister: CanisterId) -> Result<()> {
    let owner = agent(network, 1, Arc::new(ed25519(20))).await?;
    ensure!(owner.read_state_canister_metadata(canister, "secret").await? == b"for controllers");
    let stranger = agent(network, 2, Arc::new(ed25519(21))).await?;
    let nobody = agent(network, 3, Arc::new(AnonymousIdentity)).await?;
    for other in [&stranger, &nobody] {
        is_forbidden(other.read_state_canister_metadata(canister, "secret").await)?;
        ensure!(!other.read_state_canister_metadata(canister, "candid:service").await?.is_empty());
        ensure!(other.read_state_canister_controllers(canister).await? == [owner.get_principal().unwrap_or(canister)]);
    }
    Ok(())
}

fn path(labels: &[&[u8]]) -> Vec<Label<Vec<u8>>> {
    labels.iter().map(|label| label.to_vec().into()).collect()
}

async fn paths(network: &Network, canister: CanisterId) -> Result<()> {
    let owner = agent(network, 0, Arc::new(ed25519(20))).await?;
    let (id, other) = (canister.as_slice(), canister_id(1));
    for labels in [
        &[b"canister", other.as_slice(), b"controllers"][..],
        &[b"canister", id],
        &[b"canister", id, b"memory"],
        &[b"canister", id, b"metadata"],
        &[b"canister"],
        &[b"request_status"],
        &[b"request_status", b"short"],
        &[b"no such thing"],
        &[],
    ] {
        is_forbidden(owner.read_state_raw(vec![path(labels)], canister).await)?;
    }
    let two = [[1; 32], [2; 32]].map(|request| path(&[b"request_status", &request]));
    is_forbidden(owner.read_state_raw(two.to_vec(), canister).await)?;
    let allowed = [&[&b"time"[..]][..], &[b"canister", id, b"module_hash"], &[b"subnet"]].map(path);
    owner.read_state_raw(allowed.to_vec(), canister).await?;
    Ok(())
}

async fn absence(network: &Network, canister: CanisterId) -> Result<()> {
    let owner = agent(network, 3, Arc::new(ed25519(20))).await?;
    let absent = |read: Result<Vec<u8>, AgentError>| match read {
        Err(AgentError::LookupPathAbsent(_)) => Ok(()),
        other => anyhow::bail!("absent, not {other:?}"),
    };
    // A canister that never was, one without code, a section that is not there.
    let never = canister_id(u64::from(u32::MAX));
    absent(owner.read_state_canister_module_hash(never).await)?;
    let empty = create(&owner).await?;
    absent(owner.read_state_canister_module_hash(empty).await)?;
    absent(owner.read_state_canister_metadata(canister, "no such section").await)?;
    unknown_request(&owner, canister).await
}

async fn unknown_request(agent: &Agent, canister: CanisterId) -> Result<()> {
    let (status, _) = agent.request_status_raw(&RequestId::new(&[9; 32]), canister).await?;
    ensure!(matches!(status, RequestStatusResponse::Unknown), "{status:?}");
    let argument = Encode!()?;
    ensure!(agent.query(&canister, "caller").with_arg(argument).call().await.is_ok());
    Ok(())
}
