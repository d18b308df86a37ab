//! Certificates that prove nothing: the stock agent must refuse each, for its own reason.

use super::{agent, create, ed25519};
use anyhow::{Context as _, Result, ensure};
use ic_agent::{Agent, AgentError, Certificate, hash_tree::Label};
use mains_conformance::{Network, Suite};
use mains_types::{CanisterId, Principal};
use serde::Serialize;
use serde_bytes::ByteBuf;
use std::{sync::Arc, time::Duration};

pub(super) async fn run(suite: &mut Suite<'_>) {
    let network = suite.network();
    suite.case("trust: an agent with another root key believes nothing", other_root_keys(network)).await;
    suite.case("trust: an altered certificate is refused", altered(network)).await;
    suite.case("trust: a certificate with a delegation that nobody gave is refused", delegated(network)).await;
    suite.case("trust: a certificate for a canister elsewhere is refused", out_of_range(network)).await;
    suite.case("trust: an old certificate is refused", stale(network)).await;
}

async fn other_root_keys(network: &Network) -> Result<()> {
    let trusting = agent(network, 0, Arc::new(ed25519(7))).await?;
    let canister = create(&trusting).await?;
    let own = trusting.read_root_key();
    let mut altered = own.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    let elsewhere = Agent::builder().with_url(network.url(0)).build()?;
    for (name, key) in [("altered", altered), ("the Internet Computer's", elsewhere.read_root_key())] {
        let agent = Agent::builder().with_url(network.url(0)).with_identity(ed25519(7)).build()?;
        agent.set_root_key(key);
        let read = agent.read_state_canister_controllers(canister).await;
        ensure!(matches!(read, Err(AgentError::CertificateVerificationFailed())), "{name} key: {read:?}");
        let created = create(&agent).await;
        ensure!(created.is_err(), "{name} key: a certified reply was believed");
    }
    Ok(())
}

async fn altered(network: &Network) -> Result<()> {
    let agent = agent(network, 1, Arc::new(ed25519(8))).await?;
    let canister = create(&agent).await?;
    let paths = vec![vec!["canister".into(), canister.as_slice().to_vec().into(), "controllers".into()]];
    let good = agent.read_state_raw(paths, canister).await?;
    agent.verify(&good, canister)?;
    let refused = |certificate: &Certificate, what: &str| {
        let verdict = agent.verify(certificate, canister);
        ensure!(verdict.is_err(), "a certificate with {what} was believed");
        Ok(())
    };
    let mut other_signature = good.clone();
    other_signature.signature[7] ^= 1;
    refused(&other_signature, "another signature")?;
    // The controllers' bytes, changed in the encoded form, then read again.
    let controllers = agent.read_state_canister_info(canister, "controllers").await?;
    let mut encoded = mains_wire::encode(&good);
    let at = encoded
        .windows(controllers.len())
        .position(|window| window == controllers)
        .context("the controllers are in it")?;
    encoded[at + controllers.len() - 1] ^= 1;
    refused(&mains_wire::decode(&encoded)?, "another controller")?;
    Ok(())
}

async fn controllers(agent: &Agent, canister: CanisterId) -> Result<Certificate> {
    let path: Vec<Label<Vec<u8>>> = vec!["canister".into(), canister.as_slice().to_vec().into(), "controllers".into()];
    Ok(agent.read_state_raw(vec![path], canister).await?)
}

/// The root key's word that a subnet may certify, as it is written.
#[derive(Serialize)]
struct SubnetDelegation {
    subnet_id: Principal,
    certificate: ByteBuf,
}

/// The network's one subnet is the root: what claims to be another's needs the root key's word.
async fn delegated(network: &Network) -> Result<()> {
    let agent = agent(network, 0, Arc::new(ed25519(11))).await?;
    let canister = create(&agent).await?;
    let good = controllers(&agent, canister).await?;
    let subnet = Principal::self_authenticating(agent.read_root_key());
    let own = mains_wire::encode(&good);
    let mut forged = good.clone();
    for (name, certificate) in [("this certificate", own), ("garbage", vec![1, 2, 3])] {
        let delegation = SubnetDelegation { subnet_id: subnet, certificate: certificate.into() };
        forged.delegation = Some(mains_wire::decode(&mains_wire::encode(&delegation))?);
        ensure!(agent.verify(&forged, canister).is_err(), "{name} was believed as a delegation");
    }
    Ok(())
}

async fn out_of_range(network: &Network) -> Result<()> {
    let agent = agent(network, 1, Arc::new(ed25519(12))).await?;
    let canister = create(&agent).await?;
    // A user is no canister of the subnet.
    let elsewhere = Principal::self_authenticating([7; 44]);
    let read = agent.read_state_canister_info(elsewhere, "controllers").await;
    ensure!(read.is_err(), "a certificate for {elsewhere}: {read:?}");
    agent.verify(&controllers(&agent, canister).await?, canister)?;
    Ok(())
}

async fn stale(network: &Network) -> Result<()> {
    let patient = agent(network, 2, Arc::new(ed25519(13))).await?;
    let canister = create(&patient).await?;
    let certificate = controllers(&patient, canister).await?;
    patient.verify(&certificate, canister)?;
    // An agent that believes nothing older than its requests live.
    let hasty = Agent::builder()
        .with_url(network.url(2))
        .with_identity(ed25519(13))
        .with_ingress_expiry(Duration::from_nanos(1))
        .build()?;
    hasty.set_root_key(network.root_key().to_vec());
    match hasty.verify(&certificate, canister) {
        Err(AgentError::CertificateOutdated(_)) => Ok(()),
        other => anyhow::bail!("outdated, not {other:?}"),
    }
}
