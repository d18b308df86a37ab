//! Limits that controllers set on calls from outside, as strangers with the stock agent meet them.

use super::{agent, create, ed25519, install, query};
use anyhow::{Context as _, Result, bail, ensure};
use candid::{CandidType, Decode, Encode, Nat, Principal};
use ic_agent::{Agent, AgentError, agent::RejectCode};
use ic_management_canister_types::CanisterInstallMode;
use mains_conformance::{Network, shipped::Counter};
use mains_types::{CanisterId, ids::utility_id};
use std::sync::Arc;

#[derive(CandidType)]
struct Policy {
    canister_id: Principal,
    cycles_per_hour: Option<Nat>,
    calls_per_caller_per_hour: Option<u32>,
}

/// Two calls for each caller; then nobody's cycles. The controller calls on.
pub(super) async fn on_calls(network: &Network) -> Result<()> {
    let owner = agent(network, 0, Arc::new(ed25519(30))).await?;
    let strangers = [agent(network, 0, Arc::new(ed25519(31))).await?, agent(network, 0, Arc::new(ed25519(32))).await?];
    let canister = create(&owner).await?;
    install(&owner, canister, CanisterInstallMode::Install, &Counter::Rust.module()?).await?;
    let refused = set(&strangers[0], canister, Some(0), None).await.err().context("a stranger sets limits")?;
    ensure!(refused.to_string().contains("no controller"), "{refused}");

    set(&owner, canister, None, Some(2)).await?;
    for stranger in &strangers {
        increase(stranger, canister).await?;
        increase(stranger, canister).await?;
        is_refused(stranger, canister, "2 an hour for each caller").await?;
    }
    increase(&owner, canister).await?;
    set(&owner, canister, Some(0), None).await?;
    is_refused(&strangers[1], canister, "0 cycles an hour").await?;
    increase(&owner, canister).await?;
    ensure!(
        query::<Nat>(&strangers[0], canister, "get").await? == 6u8,
        "queries are free, and refused calls did nothing"
    );
    set(&owner, canister, None, None).await?;
    increase(&strangers[0], canister).await?;
    Ok(())
}

async fn set(agent: &Agent, canister_id: CanisterId, cycles: Option<u64>, calls: Option<u32>) -> Result<()> {
    let cycles_per_hour = cycles.map(Nat::from);
    let policy = Policy { canister_id, cycles_per_hour, calls_per_caller_per_hour: calls };
    let call = agent.update(&utility_id(), "set_call_policy").with_arg(Encode!(&policy)?);
    let reply = call.call_and_wait().await?;
    Decode!(&reply, Result<(), String>)?.map_err(anyhow::Error::msg)
}

async fn increase(agent: &Agent, canister: CanisterId) -> Result<Vec<u8>, AgentError> {
    agent.update(&canister, "inc").with_arg(Encode!().unwrap_or_default()).call_and_wait().await
}

async fn is_refused(agent: &Agent, canister: CanisterId, why: &str) -> Result<()> {
    match increase(agent, canister).await.err().context("it was taken")? {
        AgentError::UncertifiedReject { reject, .. } | AgentError::CertifiedReject { reject, .. } => {
            ensure!(reject.reject_code == RejectCode::CanisterReject, "{reject:?}");
            ensure!(reject.error_code.as_deref() == Some("IC0406"), "{reject:?}");
            ensure!(reject.reject_message.contains(why), "{reject:?}");
            Ok(())
        }
        other => bail!("a rejection, not {other}"),
    }
}
