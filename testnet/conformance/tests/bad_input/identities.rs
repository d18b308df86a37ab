//! Requests that do not prove their sender, and requests that come twice.

use anyhow::{Result, ensure};
use ic_transport_types::{Delegation, DelegationPermissions, Envelope, SignedDelegation};
use mains_conformance::{
    Network, Suite,
    answer::Ended,
    malleate, manage, modules,
    request::{self, Key},
};
use mains_types::{CanisterId, Principal};
use std::time::{Duration, Instant};

const NOT_AUTHENTIC: &str = "MAINS-1103";
/// How long a request may take to end when it is sent again and again.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(suite: &mut Suite<'_>, target: CanisterId) -> Result<()> {
    let network = suite.network();
    let mut cases = forged(target);
    cases.extend(delegated(target));
    for (index, (name, envelope, text)) in cases.into_iter().enumerate() {
        suite
            .case(&format!("identity: {name}"), async move {
                let answer = network.post(index % 4, &request::path(target, "call"), envelope.encode_bytes()).await?;
                answer.is_refused(403, NOT_AUTHENTIC, text)
            })
            .await;
    }
    suite.case("identity: a chain of 22 delegations", long_chain(network, target)).await;
    suite.case("identity: a delegation with 1,001 targets", many_targets(network, target)).await;
    suite.case("identity: a query with a wrong signature", wrong_query(network, target)).await;

    // These requests are good ones: they execute, once.
    let canister = manage::create_with(&network.client(0)?, &modules::counter()).await?;
    suite.case("identity: the same request four times, one after another", replayed(network, canister)).await;
    suite.case("identity: the same request at four replicas at once", at_once(network, canister)).await;
    for (name, key) in [("secp256k1", Key::secp256k1(5)), ("P-256", Key::p256(5))] {
        let case = with_a_second_signature(network, canister, key);
        suite.case(&format!("identity: the same request with its second {name} signature"), case).await;
    }
    suite.case("identity: a request with one bit flipped", flipped(network, canister)).await;
    Ok(())
}

type Forged = (String, Envelope<'static>, &'static str);

/// Keys, signatures and senders that do not belong together.
fn forged(target: CanisterId) -> Vec<Forged> {
    let (key, other) = (Key::ed25519(1), Key::ed25519(2));
    let call = |key: &Key| request::call(key.principal(), target, "inc", &[]);
    let signed = request::signed_call(&key, target, "inc");
    let mut cases: Vec<Forged> = vec![
        ("another's key".into(), request::signed(call(&key), &other), "belongs to"),
        ("no signature".into(), request::unsigned(call(&key)), "needs sender_pubkey and sender_sig"),
        ("a key and no signature".into(), Envelope { sender_sig: None, ..signed.clone() }, "needs sender_pubkey"),
        ("a signature and no key".into(), Envelope { sender_pubkey: None, ..signed.clone() }, "needs sender_pubkey"),
        (
            "an anonymous request with a signature".into(),
            request::signed(request::call(Principal::anonymous(), target, "inc", &[]), &key),
            "anonymous",
        ),
        (
            "a request in the name of a canister".into(),
            request::signed(request::call(target, target, "inc", &[]), &key),
            "belongs to",
        ),
        (
            "a request in the name of the management canister".into(),
            request::unsigned(request::call(Principal::management_canister(), target, "inc", &[])),
            "needs sender_pubkey",
        ),
        (
            "a key in a form that is not accepted".into(),
            with_key(&key, target, vec![0x30, 0x03, 1, 2, 3]),
            "not accepted",
        ),
        ("an empty key".into(), with_key(&key, target, Vec::new()), "not accepted"),
        ("a point that is on no curve".into(), with_key(&key, target, off_the_curve()), "not valid"),
        (
            "a canister's key and another kind of signature".into(),
            with_key(&key, target, canister_signature_key()),
            "the canister signature",
        ),
    ];
    for (name, key) in Key::kinds(3) {
        let good = request::signed_call(&key, target, "inc");
        let spoilt = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut spoilt = good.clone();
            change(spoilt.sender_sig.as_mut().expect("signed"));
            spoilt
        };
        let signatures = [
            ("of another message", { Envelope { sender_sig: Some(key.sign(b"something else")), ..good.clone() } }),
            ("of zeros", spoilt(&|signature| signature.fill(0))),
            ("of ones", spoilt(&|signature| signature.fill(0xff))),
            ("that is too short", spoilt(&|signature| signature.truncate(63))),
            ("that is too long", spoilt(&|signature| signature.push(0))),
            ("that is empty", spoilt(&|signature| signature.clear())),
            ("with a bit flipped", spoilt(&|signature| signature[40] ^= 4)),
            ("with its halves swapped", spoilt(&|signature| signature.rotate_left(32))),
        ];
        for (what, envelope) in signatures {
            cases.push((format!("a {name} signature {what}"), envelope, "not a valid signature"));
        }
    }
    let mut malleated = request::signed_call(&key, target, "inc");
    malleated.sender_sig = malleated.sender_sig.as_deref().map(malleate::ed25519);
    cases.push(("an Ed25519 signature that is not canonical".into(), malleated, "not a valid signature"));
    cases
}

/// A request whose sender is the self-authenticating principal of this key, whatever it is.
fn with_key(key: &Key, target: CanisterId, der: Vec<u8>) -> Envelope<'static> {
    let content = request::call(Principal::self_authenticating(&der), target, "inc", &[]);
    Envelope { sender_pubkey: Some(der), ..request::signed(content, key) }
}

fn off_the_curve() -> Vec<u8> {
    let mut der = Key::secp256k1(1).der();
    let last = der.len() - 1;
    der[last] ^= 1;
    der
}

/// A key of the kind that canisters sign with.
fn canister_signature_key() -> Vec<u8> {
    let mut der = vec![0x30, 0x1f, 0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02];
    der.extend_from_slice(&[0x03, 0x0f, 0x00, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 2, 3]);
    der
}

/// Chains of delegations that do not allow the request.
fn delegated(target: CanisterId) -> Vec<Forged> {
    let owner = Key::p256(11);
    let session = Key::ed25519(12);
    let stranger = Key::ed25519(13);
    let allowed = |targets: Option<Vec<Principal>>, permissions: Option<DelegationPermissions>| {
        let expiration = request::from_now(600);
        owner.delegate_as(Delegation { pubkey: session.der(), expiration, targets, permissions })
    };
    let call = |chain: Vec<SignedDelegation>, signer: &Key| {
        request::delegated(request::call(owner.principal(), target, "inc", &[]), &owner, chain, signer)
    };
    let mut forged = owner.delegate(&session, 600);
    forged.signature = stranger.sign(&forged.delegation.signable());
    let mut widened = allowed(Some(vec![Principal::management_canister()]), None);
    widened.delegation.targets = None;
    let cases = [
        ("a delegation that has ended", call(vec![owner.delegate(&session, -5)], &session), "expired"),
        ("a delegation signed by a stranger", call(vec![forged], &session), "signature of delegation 0"),
        ("a delegation that was widened afterwards", call(vec![widened], &session), "signature of delegation 0"),
        ("a delegation to another key", call(vec![owner.delegate(&session, 600)], &stranger), "not a valid signature"),
        (
            "a delegation for another canister",
            call(vec![allowed(Some(vec![Principal::management_canister()]), None)], &session),
            "not good for canister",
        ),
        (
            "a delegation for no canister at all",
            call(vec![allowed(Some(Vec::new()), None)], &session),
            "not good for canister",
        ),
        (
            "a delegation for queries only",
            call(vec![allowed(None, Some(DelegationPermissions::Queries))], &session),
            "queries only",
        ),
        (
            "a chain that goes in a circle",
            call(vec![owner.delegate(&session, 600), session.delegate(&owner, 600)], &owner),
            "in the chain already",
        ),
        (
            "a chain in the wrong order",
            { call(vec![session.delegate(&stranger, 600), owner.delegate(&session, 600)], &stranger) },
            "signature of delegation 0",
        ),
    ];
    cases.into_iter().map(|(name, envelope, text)| (name.into(), envelope, text)).collect()
}

/// Each delegation is in order, but nobody needs so many: refused before a signature is looked at.
async fn long_chain(network: &Network, target: CanisterId) -> Result<()> {
    let keys: Vec<Key> = (100..123).map(Key::ed25519).collect();
    let chain = keys.windows(2).map(|pair| pair[0].delegate(&pair[1], 600)).collect();
    let call = request::call(keys[0].principal(), target, "inc", &[]);
    let envelope = request::delegated(call, &keys[0], chain, &keys[22]);
    let answer = network.post(2, &request::path(target, "call"), envelope.encode_bytes()).await?;
    answer.is_refused(400, "MAINS-1001", "more than the 20")
}

async fn many_targets(network: &Network, target: CanisterId) -> Result<()> {
    let (owner, session) = (Key::p256(11), Key::ed25519(12));
    let delegation = Delegation {
        pubkey: session.der(),
        expiration: request::from_now(600),
        targets: Some(vec![target; 1_001]),
        permissions: None,
    };
    let call = request::call(owner.principal(), target, "inc", &[]);
    let envelope = request::delegated(call, &owner, vec![owner.delegate_as(delegation)], &session);
    let answer = network.post(3, &request::path(target, "call"), envelope.encode_bytes()).await?;
    answer.is_refused(400, "MAINS-1001", "more than the 1000")
}

async fn wrong_query(network: &Network, target: CanisterId) -> Result<()> {
    let key = Key::ed25519(1);
    let mut query = request::signed(request::query(key.principal(), target, "get", &[]), &key);
    query.sender_sig = Some(key.sign(b"something else"));
    let answer = network.post(1, &request::path(target, "query"), query.encode_bytes()).await?;
    answer.is_refused(403, NOT_AUTHENTIC, "not a valid signature")
}

/// Sends a request, again and again, until it has ended.
async fn send(network: &Network, replica: usize, canister: CanisterId, envelope: &Envelope<'_>) -> Result<Ended> {
    let (id, began) = (request::id(envelope), Instant::now());
    loop {
        let answer = network.post(replica, &request::path(canister, "call"), envelope.encode_bytes()).await?;
        if let Some(ended) = answer.ended(&id, network.root_key())? {
            return Ok(ended);
        }
        ensure!(began.elapsed() < PATIENCE, "request {id} does not end");
    }
}

/// Sees that sending these one after another to one replica each executes once and always gives the same answer.
async fn executes_once(network: &Network, canister: CanisterId, envelopes: &[Envelope<'_>]) -> Result<()> {
    let client = network.client(0)?;
    let before = manage::get(&client, canister).await?;
    for (index, envelope) in envelopes.iter().enumerate() {
        let reply = manage::done(send(network, index % 4, canister, envelope).await?)?;
        let value = manage::value(&reply)?;
        ensure!(value == before + 1, "the answer to time {index} is {value}, not {}", before + 1);
    }
    let after = manage::get(&client, canister).await?;
    ensure!(after == before + 1, "it counted from {before} to {after}");
    Ok(())
}

async fn replayed(network: &Network, canister: CanisterId) -> Result<()> {
    let request = request::signed_call(&Key::ed25519(4), canister, "inc");
    executes_once(network, canister, &[request.clone(), request.clone(), request.clone(), request]).await
}

async fn with_a_second_signature(network: &Network, canister: CanisterId, key: Key) -> Result<()> {
    let first = request::signed_call(&key, canister, "inc");
    let mut second = first.clone();
    second.sender_sig = second.sender_sig.as_deref().map(|signature| match key {
        Key::Secp256k1(_) => malleate::secp256k1(signature),
        _ => malleate::p256(signature),
    });
    ensure!(request::id(&first) == request::id(&second), "signatures are no part of the id");
    executes_once(network, canister, &[first, second]).await
}

async fn at_once(network: &Network, canister: CanisterId) -> Result<()> {
    let client = network.client(0)?;
    let before = manage::get(&client, canister).await?;
    let request = request::signed_call(&Key::secp256k1(4), canister, "inc");
    let (one, two, three, four) = tokio::join!(
        send(network, 0, canister, &request),
        send(network, 1, canister, &request),
        send(network, 2, canister, &request),
        send(network, 3, canister, &request),
    );
    for ended in [one, two, three, four] {
        let value = manage::value(&manage::done(ended?)?)?;
        ensure!(value == before + 1, "an answer is {value}, not {}", before + 1);
    }
    let after = manage::get(&client, canister).await?;
    ensure!(after == before + 1, "it counted from {before} to {after}");
    Ok(())
}

/// Flips one bit of each byte. What is taken all the same must be the same request: CBOR has more than one way to write it.
async fn flipped(network: &Network, canister: CanisterId) -> Result<()> {
    let client = network.client(0)?;
    let before = manage::get(&client, canister).await?;
    let request = request::signed_call(&Key::ed25519(6), canister, "inc");
    let (id, bytes) = (request::id(&request), request.encode_bytes());
    let mut taken = 0;
    for index in 0..bytes.len() {
        let mut body = bytes.clone();
        body[index] ^= 1 << (index % 8);
        let answer = network.post(index % 4, &request::path(canister, "call"), body).await?;
        if answer.status == 200 {
            let ended = answer.ended(&id, network.root_key())?;
            ensure!(matches!(ended, None | Some(Ok(_))), "byte {index}: {ended:?}");
            taken = 1;
        } else {
            answer.refusal()?;
        }
    }
    let after = manage::get(&client, canister).await?;
    ensure!(after == before + taken, "it counted from {before} to {after} where {taken} request was taken");
    Ok(())
}
