//! Logins: passkeys, and canisters that sign as Internet Identity does, mostly for a session's key. The agent's own check of
//! canister signatures is a second opinion on each.

use super::{agent, create, ed25519, install, query, update};
use anyhow::{Context as _, Result, anyhow, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use candid::{Decode, Encode, Nat, Principal};
use ic_agent::{
    Agent, AgentError, Identity, Signature,
    agent::EnvelopeContent,
    identity::{DelegatedIdentity, Delegation, DelegationPermissions, InfoAwareIdentity, SignedDelegation},
};
use ic_management_canister_types::CanisterInstallMode;
use mains_conformance::{
    Network, Suite,
    request::{self, Key},
    shipped::{self, Counter},
};
use mains_types::CanisterId;
use serde::Serialize;
use serde_bytes::{ByteBuf, Bytes};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Where logins are good.
#[derive(Clone, Copy)]
struct Place<'n> {
    network: &'n Network,
    counter: CanisterId,
    issuer: CanisterId,
}

pub(super) async fn run(suite: &mut Suite<'_>) -> Result<()> {
    let network = suite.network();
    let owner = agent(network, 0, Arc::new(ed25519(30))).await?;
    let (counter, issuer) = (create(&owner).await?, create(&owner).await?);
    install(&owner, counter, CanisterInstallMode::Install, &Counter::Rust.module()?).await?;
    install(&owner, issuer, CanisterInstallMode::Install, &shipped::module("issuer-rust")?).await?;
    let place = Place { network, counter, issuer };
    suite.case("login: a passkey signs requests", passkey(place)).await;
    suite.case("login: a passkey delegates to a session", session_of_a_passkey(place)).await;
    suite.case("login: a canister signs a delegation to a session", by_canister(place)).await;
    suite.case("login: a canister's delegation with targets, or that has ended", limited(place)).await;
    suite.case("login: a canister's signature for another session or user", forged(place)).await;
    suite.case("login: a delegation for queries makes no calls", for_queries(place)).await;
    suite.case("login: what a canister says about its user is told to the callee", attributes(place)).await;
    Ok(())
}

impl Place<'_> {
    /// Everything that a user does with the counter.
    async fn serves(&self, replica: usize, identity: Arc<dyn Identity>) -> Result<()> {
        let me = identity.sender().map_err(anyhow::Error::msg)?;
        let agent = agent(self.network, replica, identity).await?;
        let before: Nat = query(&agent, self.counter, "get").await.context("get")?;
        let after: Nat = update(&agent, self.counter, "inc").await.context("inc")?;
        ensure!(after == before + 1u8);
        ensure!(query::<Principal>(&agent, self.counter, "whoami").await? == me, "the canister sees another caller");
        agent.read_state_canister_module_hash(self.counter).await.context("read_state")?;
        Ok(())
    }

    /// Sees that calls are turned away at the door, with this reason.
    async fn refuses(&self, identity: Arc<dyn Identity>, reason: &str) -> Result<()> {
        let agent = agent(self.network, 1, identity).await?;
        is_turned_away(agent.update(&self.counter, "inc").with_arg(Encode!()?).call_and_wait().await, reason)
    }

    /// Asks the issuer to sign what it says about a user, and for its signature.
    async fn says(&self, seed: &[u8], info: &[u8]) -> Result<Vec<u8>> {
        let agent = agent(self.network, 2, Arc::new(ed25519(31))).await?;
        let argument = Encode!(&"ic-sender-info", &ByteBuf::from(seed), &ByteBuf::from(info))?;
        agent.update(&self.issuer, "sign").with_arg(argument.clone()).call_and_wait().await?;
        let signature = agent.query(&self.issuer, "signature").with_arg(argument).call().await?;
        Ok(Decode!(&signature, ByteBuf)?.into_vec())
    }

    /// Asks the issuer to sign a delegation, and for its signature.
    async fn login(
        &self,
        seed: &[u8],
        session: &[u8],
        expiration: u64,
        targets: Option<Vec<Principal>>,
    ) -> Result<Login> {
        let agent = agent(self.network, 2, Arc::new(ed25519(31))).await?;
        let blob = |bytes: &[u8]| ByteBuf::from(bytes);
        let argument = Encode!(&blob(seed), &blob(session), &expiration, &targets)?;
        agent.update(&self.issuer, "delegate").with_arg(argument.clone()).call_and_wait().await?;
        let signature = agent.query(&self.issuer, "delegation_signature").with_arg(argument).call().await?;
        let key = agent.query(&self.issuer, "key").with_arg(Encode!(&blob(seed))?).call().await?;
        let delegation = Delegation { pubkey: session.to_vec(), expiration, targets, permissions: None };
        let signature = Decode!(&signature, ByteBuf)?.into_vec();
        Ok(Login { key: Decode!(&key, ByteBuf)?.into_vec(), signed: SignedDelegation { delegation, signature } })
    }
}

struct Login {
    key: Vec<u8>,
    signed: SignedDelegation,
}

fn is_turned_away<T>(ended: Result<T, AgentError>, reason: &str) -> Result<()> {
    match ended {
        Err(AgentError::HttpError(error)) => {
            let text = String::from_utf8_lossy(&error.content).into_owned();
            ensure!(error.status == 403 && text.contains(reason), "HTTP {}: {text}", error.status);
            Ok(())
        }
        Err(other) => Err(anyhow!("HTTP 403, not {other}")),
        Ok(_) => Err(anyhow!("it was let in")),
    }
}

/// A software authenticator with one P-256 key.
struct Passkey(ic_secp256r1::PrivateKey);

#[derive(Serialize)]
struct Assertion<'a> {
    authenticator_data: &'a Bytes,
    client_data_json: &'a str,
    signature: &'a Bytes,
}

impl Passkey {
    fn new(number: u8) -> Result<Self> {
        Ok(Self(ic_secp256r1::PrivateKey::deserialize_sec1(&[number; 32]).map_err(|error| anyhow!("{error:?}"))?))
    }

    fn der(&self) -> Vec<u8> {
        let point = self.0.public_key().serialize_sec1(false);
        let algorithm = [0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x01];
        let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], &point[1..33], &[0x22, 0x58, 32], &point[33..]];
        [&[0x30, 0x5e][..], &algorithm, &[0x03, 0x4e, 0x00], &cose.concat()].concat()
    }

    fn sign(&self, challenge: &[u8]) -> Vec<u8> {
        let data = [&Sha256::digest("wallet.example")[..], &[5, 0, 0, 0, 1]].concat();
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let json = format!(
            r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://wallet.example","crossOrigin":false}}"#
        );
        let signature = self.0.sign_message_with_der_encoded_sig(&[&data[..], &Sha256::digest(&json)].concat());
        mains_wire::encode(&Assertion {
            authenticator_data: Bytes::new(&data),
            client_data_json: &json,
            signature: Bytes::new(&signature),
        })
    }
}

impl Identity for Passkey {
    fn sender(&self) -> Result<Principal, String> {
        Ok(Principal::self_authenticating(self.der()))
    }

    fn public_key(&self) -> Option<Vec<u8>> {
        Some(self.der())
    }

    fn sign(&self, content: &EnvelopeContent) -> Result<Signature, String> {
        let signature = self.sign(&content.to_request_id().signable());
        Ok(Signature { public_key: self.public_key(), signature: Some(signature), delegations: None })
    }
}

async fn passkey(place: Place<'_>) -> Result<()> {
    place.serves(1, Arc::new(Passkey::new(40)?)).await
}

async fn session_of_a_passkey(place: Place<'_>) -> Result<()> {
    let (passkey, session) = (Passkey::new(41)?, ed25519(41));
    let pubkey = session.public_key().context("it has a key")?;
    let delegation = Delegation { pubkey, expiration: request::from_now(600), targets: None, permissions: None };
    let signed = |signature: Vec<u8>| {
        let chain = vec![SignedDelegation { signature, delegation: delegation.clone() }];
        Arc::new(DelegatedIdentity::new_unchecked(passkey.der(), Box::new(ed25519(41)), chain))
    };
    place.serves(3, signed(passkey.sign(&delegation.signable()))).await?;
    let why = "the signature of delegation 0 is not valid: the challenge in client_data_json";
    place.refuses(signed(passkey.sign(b"something else")), why).await
}

async fn by_canister(place: Place<'_>) -> Result<()> {
    for (replica, kind) in [Key::ed25519(42), Key::secp256k1(42), Key::p256(42)].into_iter().enumerate() {
        let login = place.login(b"alice", &kind.der(), request::from_now(600), None).await?;
        let session: Box<dyn Identity> = match kind {
            Key::Ed25519(_) => Box::new(ed25519(42)),
            Key::Secp256k1(_) => Box::new(ic_agent::identity::Secp256k1Identity::from_pem(super::pem(&kind))?),
            Key::P256(_) => Box::new(ic_agent::identity::Prime256v1Identity::from_pem(super::pem(&kind))?),
        };
        let root_key = place.network.root_key();
        let identity = DelegatedIdentity::new_with_root_key(login.key, session, vec![login.signed], root_key);
        place.serves(replica, Arc::new(identity.context("the agent believes the canister's signature")?)).await?;
    }
    Ok(())
}

fn session_of(login: Login, number: u8) -> Arc<dyn Identity> {
    Arc::new(DelegatedIdentity::new_unchecked(login.key, Box::new(ed25519(number)), vec![login.signed]))
}

async fn limited(place: Place<'_>) -> Result<()> {
    let session = ed25519(43).public_key().context("it has a key")?;
    let soon = request::from_now(600);
    let here = place.login(b"bob", &session, soon, Some(vec![place.counter])).await?;
    place.serves(0, session_of(here, 43)).await?;
    let elsewhere = place.login(b"bob", &session, soon, Some(vec![place.issuer])).await?;
    place.refuses(session_of(elsewhere, 43), "not good for canister").await?;
    let ended = place.login(b"bob", &session, request::from_now(-5), None).await?;
    place.refuses(session_of(ended, 43), "expired").await
}

async fn forged(place: Place<'_>) -> Result<()> {
    let session = ed25519(44).public_key().context("it has a key")?;
    let login = place.login(b"carol", &session, request::from_now(600), None).await?;
    let with = |change: &dyn Fn(&mut Login)| {
        let mut login = Login { key: login.key.clone(), signed: login.signed.clone() };
        change(&mut login);
        session_of(login, 44)
    };
    place.serves(1, with(&|_| {})).await?;
    let not_in_tree = "the tree has no signature of this message for the key's seed";
    let last = |bytes: &mut Vec<u8>| *bytes.last_mut().expect("not empty") ^= 1;
    place.refuses(with(&|login| last(&mut login.key)), not_in_tree).await?;
    place.refuses(with(&|login| login.signed.delegation.expiration += 1), not_in_tree).await?;
    // A bit of the certificate, which is in front of the tree.
    let bent = |login: &mut Login| login.signed.signature[60] ^= 1;
    place.refuses(with(&bent), "the signature of delegation 0 is not valid").await?;
    let cut = |login: &mut Login| login.signed.signature.truncate(100);
    place.refuses(with(&cut), "the canister signature: malformed").await?;
    let more = |login: &mut Login| login.signed.signature.push(0);
    place.refuses(with(&more), "bytes follow the message").await
}

async fn for_queries(place: Place<'_>) -> Result<()> {
    let (owner, session) = (Key::ed25519(45), ed25519(46));
    let pubkey = session.public_key().context("it has a key")?;
    let permissions = Some(DelegationPermissions::Queries);
    let delegation = Delegation { pubkey, expiration: request::from_now(600), targets: None, permissions };
    let chain = vec![owner.delegate_as(delegation)];
    let identity = Arc::new(DelegatedIdentity::new(owner.der(), Box::new(session), chain)?);
    let agent: Agent = agent(place.network, 2, identity.clone()).await?;
    ensure!(query::<Principal>(&agent, place.counter, "whoami").await? == owner.principal());
    agent.read_state_canister_module_hash(place.counter).await?;
    place.refuses(identity, "queries only").await
}

async fn attributes(place: Place<'_>) -> Result<()> {
    const INFO: &[u8] = b"role=editor";
    let session = ed25519(47).public_key().context("it has a key")?;
    let login = place.login(b"dora", &session, request::from_now(600), None).await?;
    let signature = place.says(b"dora", INFO).await?;
    let user =
        || DelegatedIdentity::new_unchecked(login.key.clone(), Box::new(ed25519(47)), vec![login.signed.clone()]);
    let root_key = place.network.root_key();
    let identity = InfoAwareIdentity::new_with_root_key(user(), INFO.to_vec(), signature.clone(), root_key)
        .context("the agent believes the canister's signature")?;
    let me = identity.sender().map_err(anyhow::Error::msg)?;
    let agent: Agent = agent(place.network, 1, Arc::new(identity)).await?;
    let queried = agent.query(&place.issuer, "caller").with_arg(Encode!()?).call().await?;
    let updated = agent.update(&place.issuer, "caller_in_update").with_arg(Encode!()?).call_and_wait().await?;
    for told in [queried, updated] {
        let told = Decode!(&told, Principal, Option<Principal>, ByteBuf)?;
        ensure!(told == (me, Some(place.issuer), ByteBuf::from(INFO)), "it was told {told:?}");
    }
    let forged = InfoAwareIdentity::new_unchecked(user(), b"role=owner".to_vec(), signature)?;
    place.refuses(Arc::new(forged), "the signature of sender_info is not valid").await
}
