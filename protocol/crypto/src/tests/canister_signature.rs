//! Certificates made with `ic-certification` and `ic-verify-bls-signature`, as a network and its canister would.

use super::{NOW, User, call_of, read, soon};
use crate::{
    AuthError, RootOfTrust, SignatureError, UserKey, chain_key_der, state_root_message, verify_call,
    verify_call_at_block,
};
use ic_certification::{Certificate, Delegation, HashTree, empty, fork, labeled, leaf, pruned};
use ic_transport_types as agent;
use ic_verify_bls_signature::PrivateKey;
use mains_types::{CanisterId, Principal, ids::canister_id, limits};
use mains_wire::WireError;
use serde::Serialize;
use serde_bytes::{ByteBuf, Bytes};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const SEED: &[u8] = b"user 10000";

fn signer() -> CanisterId {
    canister_id(7)
}

fn bls(number: u8) -> PrivateKey {
    PrivateKey::deserialize(&[number; 32]).unwrap()
}

/// The network whose root key is number 1.
fn trust() -> RootOfTrust {
    RootOfTrust::new(bls(1).public_key().serialize())
}

#[derive(Serialize)]
struct Signature {
    certificate: ByteBuf,
    tree: HashTree,
}

fn certify(tree: HashTree, key: &PrivateKey, delegation: Option<Delegation>) -> Certificate {
    let signature = key.sign(&state_root_message(&tree.digest())).serialize().to_vec();
    Certificate { tree, signature, delegation }
}

fn encoded(certificate: &Certificate, tree: HashTree) -> Vec<u8> {
    mains_wire::encode(&Signature { certificate: ByteBuf::from(mains_wire::encode(certificate)), tree })
}

/// The tree of a canister that signed this.
fn signed_tree(seed: &[u8], message: &[u8]) -> HashTree {
    let signature = labeled(Sha256::digest(message).to_vec(), leaf(vec![]));
    let others = pruned([3; 32]);
    fork(pruned([4; 32]), labeled(b"sig".to_vec(), labeled(Sha256::digest(seed).to_vec(), fork(signature, others))))
}

/// The state of a network in which a canister has certified this.
fn state(canister: CanisterId, data: &[u8]) -> HashTree {
    let certified = labeled(b"certified_data".to_vec(), leaf(data.to_vec()));
    fork(
        labeled(b"canister".to_vec(), labeled(canister.as_slice().to_vec(), certified)),
        labeled(b"time".to_vec(), leaf(vec![1])),
    )
}

fn sign(message: &[u8]) -> Vec<u8> {
    let tree = signed_tree(SEED, message);
    encoded(&certify(state(signer(), &tree.digest()), &bls(1), None), tree)
}

fn der_of(canister: CanisterId, seed: &[u8]) -> Vec<u8> {
    let id = canister.as_slice();
    let bytes = [&[id.len() as u8][..], id, seed].concat();
    let oid = [0x30, 0x0c, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xb8, 0x43, 0x01, 0x02];
    let key = [&[0x03, bytes.len() as u8 + 1, 0][..], &bytes].concat();
    [&[0x30, (oid.len() + key.len()) as u8][..], &oid, &key].concat()
}

fn key() -> Vec<u8> {
    der_of(signer(), SEED)
}

/// A call that the canister signed itself.
fn envelope(signature: impl FnOnce(&[u8]) -> Vec<u8>) -> agent::Envelope<'static> {
    let content = call_of(Principal::self_authenticating(key()), soon());
    let signature = signature(&content.to_request_id().signable());
    agent::Envelope {
        content: Cow::Owned(content),
        sender_pubkey: Some(key()),
        sender_sig: Some(signature),
        sender_delegation: None,
    }
}

fn refused(signature: impl FnOnce(&[u8]) -> Vec<u8>) -> Option<SignatureError> {
    match verify_call(read(&envelope(signature)), NOW, &trust()).err()? {
        AuthError::SignatureInvalid(why) => Some(why),
        other => panic!("not the signature: {other}"),
    }
}

/// A login as Internet Identity makes it: the canister signs a delegation to a session's key.
fn login(sessions: &[User], sign: impl Fn(&[u8]) -> Vec<u8>) -> agent::Envelope<'static> {
    let mut chain = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let delegation =
            agent::Delegation { pubkey: session.der(), expiration: soon().get(), targets: None, permissions: None };
        let message = delegation.signable();
        let signature = if index == 0 { sign(&message) } else { sessions[index - 1].sign(&message) };
        chain.push(agent::SignedDelegation { delegation, signature });
    }
    let content = call_of(Principal::self_authenticating(key()), soon());
    let signature = sessions[sessions.len() - 1].sign(&content.to_request_id().signable());
    agent::Envelope {
        content: Cow::Owned(content),
        sender_pubkey: Some(key()),
        sender_sig: Some(signature),
        sender_delegation: Some(chain),
    }
}

#[test]
fn a_canister_signs_requests_and_logins() {
    let trust = trust();
    let call = verify_call(read(&envelope(sign)), NOW, &trust).unwrap();
    assert_eq!(call.sender(), Principal::self_authenticating(key()));
    assert_eq!(call.signature_units(), limits::SIGNATURE_UNITS_CANISTER);
    for sessions in [&User::all()[..1], &User::all()[..2], &User::all()[..]] {
        let sessions: Vec<User> = sessions
            .iter()
            .map(|user| match user {
                User::Ed25519(key) => User::Ed25519(key.clone()),
                User::Secp256k1(key) => User::Secp256k1(key.clone()),
                User::P256(key) => User::P256(key.clone()),
            })
            .collect();
        let login = login(&sessions, sign);
        let call = verify_call(read(&login), NOW, &trust).unwrap();
        assert_eq!(
            call.signature_units(),
            limits::SIGNATURE_UNITS_CANISTER + sessions.len() as u32 * limits::SIGNATURE_UNITS
        );
        // In a block, and without what was remembered at the gateway.
        assert_eq!(verify_call_at_block(read(&login), NOW, &self::trust()), Ok(call));
    }
}

#[test]
fn what_a_canister_says_about_the_sender_is_signed_by_the_senders_key() {
    let said = |signer: CanisterId, signed: &[u8], info: &[u8]| {
        let mut login = login(&User::all()[..1], sign);
        let agent::EnvelopeContent::Call { sender_info, .. } = login.content.to_mut() else { panic!("a call") };
        let sig = sign(&[b"\x0Eic-sender-info", signed].concat());
        *sender_info = Some(agent::SenderInfo { info: info.into(), signer: signer.as_slice().into(), sig });
        login.sender_sig = Some(User::all()[0].sign(&login.content.to_request_id().signable()));
        verify_call(read(&login), NOW, &trust())
    };
    let call = said(signer(), b"an admin", b"an admin").unwrap();
    let info = call.sender_info().unwrap();
    assert_eq!((&info.info[..], info.signer), (&b"an admin"[..], signer()));
    assert_eq!(call.signature_units(), 2 * limits::SIGNATURE_UNITS_CANISTER + limits::SIGNATURE_UNITS);
    let wrong = Err(AuthError::SenderInfoInvalid(SignatureError::NotInTree));
    assert_eq!(said(signer(), b"a guest", b"an admin"), wrong);
    let other = canister_id(8);
    assert_eq!(said(other, b"an admin", b"an admin"), Err(AuthError::SenderInfoSigner { signer: other }));

    let user = &User::all()[0];
    let mut content = call_of(user.principal(), soon());
    if let agent::EnvelopeContent::Call { sender_info, .. } = &mut content {
        let sig = user.sign(b"\x0Eic-sender-infoan admin");
        *sender_info = Some(agent::SenderInfo { info: b"an admin".into(), signer: other.as_slice().into(), sig });
    }
    let own = agent::Envelope {
        sender_sig: Some(user.sign(&content.to_request_id().signable())),
        content: Cow::Owned(content),
        sender_pubkey: Some(user.der()),
        sender_delegation: None,
    };
    assert_eq!(verify_call(read(&own), NOW, &trust()), Err(AuthError::SenderInfoSigner { signer: other }));
}

#[test]
fn a_canister_of_another_network_or_another_canister_signs_nothing_here() {
    let by = |key: u8| {
        move |message: &[u8]| {
            let tree = signed_tree(SEED, message);
            encoded(&certify(state(signer(), &tree.digest()), &bls(key), None), tree)
        }
    };
    assert_eq!(refused(by(1)), None);
    assert_eq!(refused(by(2)), Some(SignatureError::Certificate));
    let of = |canister: CanisterId, seed: &'static [u8]| {
        move |message: &[u8]| {
            let tree = signed_tree(seed, message);
            encoded(&certify(state(canister, &tree.digest()), &bls(1), None), tree)
        }
    };
    assert_eq!(refused(of(canister_id(8), SEED)), Some(SignatureError::NotCertified));
    assert_eq!(refused(of(signer(), b"user 10001")), Some(SignatureError::NotInTree));
    assert_eq!(refused(|_| sign(b"another message")), Some(SignatureError::NotInTree));
}

#[test]
fn an_altered_certificate_or_tree_is_refused() {
    let with = |bend: &dyn Fn(&mut Certificate, &mut HashTree)| {
        refused(|message| {
            let mut tree = signed_tree(SEED, message);
            let mut certificate = certify(state(signer(), &tree.digest()), &bls(1), None);
            bend(&mut certificate, &mut tree);
            encoded(&certificate, tree)
        })
    };
    assert_eq!(with(&|_, _| {}), None);
    assert_eq!(with(&|certificate, _| certificate.signature[9] ^= 1), Some(SignatureError::Certificate));
    assert_eq!(with(&|certificate, _| certificate.signature.truncate(47)), Some(SignatureError::Certificate));
    let grow = |certificate: &mut Certificate, _: &mut HashTree| {
        certificate.tree = fork(certificate.tree.clone(), labeled(b"zebra".to_vec(), leaf(vec![])));
    };
    assert_eq!(with(&grow), Some(SignatureError::Certificate));
    let uncertified = |_: &mut Certificate, tree: &mut HashTree| *tree = fork(tree.clone(), pruned([9; 32]));
    assert_eq!(with(&uncertified), Some(SignatureError::NotCertified));
    // What is cut out of the certificate is not shown.
    let cut = |certificate: &mut Certificate, _: &mut HashTree| {
        certificate.tree = fork(pruned(labeled(b"canister".to_vec(), leaf(vec![])).digest()), empty());
    };
    assert_eq!(with(&cut), Some(SignatureError::NotCertified));
}

#[test]
fn a_tree_must_be_well_formed_and_hold_the_signature_as_an_empty_leaf() {
    let of = |make: &dyn Fn(HashTree) -> HashTree| {
        refused(|message| {
            let signature = labeled(Sha256::digest(message).to_vec(), leaf(vec![]));
            let tree = make(labeled(b"sig".to_vec(), labeled(Sha256::digest(SEED).to_vec(), signature)));
            encoded(&certify(state(signer(), &tree.digest()), &bls(1), None), tree)
        })
    };
    let other = |label: &[u8]| labeled(label.to_vec(), leaf(vec![1]));
    assert_eq!(of(&|tree| tree), None);
    assert_eq!(of(&|tree| fork(other(b"a"), fork(tree, other(b"z")))), None);
    let malformed = Some(SignatureError::TreeMalformed);
    assert_eq!(of(&|tree| fork(tree, other(b"a"))), malformed, "labels out of order");
    assert_eq!(of(&|tree| fork(tree.clone(), tree)), malformed, "a label twice");
    assert_eq!(of(&|tree| fork(leaf(vec![]), tree)), malformed, "a leaf among labels");
    assert_eq!(of(&|_| leaf(vec![])), Some(SignatureError::NotInTree));
    let full = refused(|message| {
        let signature = labeled(Sha256::digest(message).to_vec(), leaf(vec![1]));
        let tree = labeled(b"sig".to_vec(), labeled(Sha256::digest(SEED).to_vec(), signature));
        encoded(&certify(state(signer(), &tree.digest()), &bls(1), None), tree)
    });
    assert_eq!(full, Some(SignatureError::NotInTree), "a leaf that is not empty");
}

/// The root's word that subnet `[5; 29]` has these canisters and key number 3.
fn delegation(ranges: &[(CanisterId, CanisterId)], shard: Option<CanisterId>, root: u8) -> Delegation {
    let subnet = vec![5; 29];
    let bytes: Vec<_> = ranges.iter().map(|(a, b)| (Bytes::new(a.as_slice()), Bytes::new(b.as_slice()))).collect();
    let ranges = leaf(mains_wire::encode(&bytes));
    let public_key = labeled(b"public_key".to_vec(), leaf(chain_key_der(&bls(3).public_key().serialize())));
    let tree = match shard {
        Some(first) => fork(
            labeled(b"canister_ranges".to_vec(), labeled(subnet.clone(), labeled(first.as_slice().to_vec(), ranges))),
            labeled(b"subnet".to_vec(), labeled(subnet.clone(), public_key)),
        ),
        None => {
            let content = fork(labeled(b"canister_ranges".to_vec(), ranges), public_key);
            labeled(b"subnet".to_vec(), labeled(subnet.clone(), content))
        }
    };
    Delegation { subnet_id: subnet, certificate: mains_wire::encode(&certify(tree, &bls(root), None)) }
}

fn refused_with(delegation: Delegation, key: u8) -> Option<SignatureError> {
    refused(|message| {
        let tree = signed_tree(SEED, message);
        encoded(&certify(state(signer(), &tree.digest()), &bls(key), Some(delegation)), tree)
    })
}

#[test]
fn a_subnet_that_the_root_key_delegated_to_certifies_its_canisters() {
    let all = (canister_id(0), canister_id(100));
    for shard in [None, Some(canister_id(0))] {
        assert_eq!(refused_with(delegation(&[all], shard, 1), 3), None);
        let what = "is not for the canister that signed";
        let elsewhere = delegation(&[(canister_id(8), canister_id(100))], shard, 1);
        assert_eq!(refused_with(elsewhere, 3), Some(SignatureError::Delegation { what }));
        assert_eq!(refused_with(delegation(&[], shard, 1), 3), Some(SignatureError::Delegation { what }));
        let what = "is not signed by the root key";
        assert_eq!(refused_with(delegation(&[all], shard, 2), 3), Some(SignatureError::Delegation { what }));
        assert_eq!(refused_with(delegation(&[all], shard, 1), 1), Some(SignatureError::Certificate));
    }
    let what = "is not for the canister that signed";
    let later = delegation(&[all], Some(canister_id(50)), 1);
    assert_eq!(refused_with(later, 3), Some(SignatureError::Delegation { what }), "the shard begins behind it");
    let mut other = delegation(&[all], None, 1);
    other.subnet_id = vec![6; 29];
    assert_eq!(refused_with(other, 3), Some(SignatureError::Delegation { what }), "of another subnet");
    let mut nested: Certificate = mains_wire::decode(&delegation(&[all], None, 1).certificate).unwrap();
    nested.delegation = Some(delegation(&[all], None, 1));
    let nested = Delegation { subnet_id: vec![5; 29], certificate: mains_wire::encode(&nested) };
    let what = "is itself delegated";
    assert_eq!(refused_with(nested, 3), Some(SignatureError::Delegation { what }));
    let garbage = Delegation { subnet_id: vec![5; 29], certificate: vec![1, 2] };
    let Some(SignatureError::Malformed { part: "the delegation's certificate", .. }) = refused_with(garbage, 3) else {
        panic!("garbage was believed")
    };
}

#[test]
fn what_is_no_canister_signature_is_refused_with_a_sentence() {
    for bytes in [vec![], vec![0; 64], mains_wire::encode(&Bytes::new(b"x"))] {
        let refused = refused(|_| bytes);
        assert!(
            matches!(refused, Some(SignatureError::Malformed { part: "the canister signature", .. })),
            "{refused:?}"
        );
    }
    let whole = sign(b"x");
    for end in [1, 20, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(refused(|_| whole[..end].to_vec()), Some(SignatureError::Malformed { .. })), "{end} bytes");
    }
    assert!(matches!(refused(|m| [&sign(m)[..], &[0]].concat()), Some(SignatureError::Malformed { .. })));
    let tree = signed_tree(SEED, b"x");
    let inner = mains_wire::encode(&Signature { certificate: ByteBuf::from(vec![0xa0]), tree });
    assert!(matches!(refused(|_| inner), Some(SignatureError::Malformed { part: "the certificate", .. })));
    let limit = limits::CANISTER_SIGNATURE_BYTES_MAX;
    let reason = WireError::TooLarge { actual: limit + 1, limit };
    let long = refused(|_| vec![0; limit + 1]);
    assert_eq!(long, Some(SignatureError::Malformed { part: "the canister signature", reason }));
}

#[test]
fn keys_of_canisters_are_read_whole_or_not_at_all() {
    assert!(UserKey::from_der(&key()).is_ok());
    assert!(UserKey::from_der(&der_of(signer(), &[])).is_ok(), "a seed may be empty");
    let der = key();
    for end in 0..der.len() {
        assert!(UserKey::from_der(&der[..end]).is_err(), "{end} bytes");
    }
    assert!(UserKey::from_der(&[&der[..], &[0]].concat()).is_err());
    let with_id_length = |length: u8| {
        let mut der = der_of(signer(), &[1; 40]);
        der[19] = length;
        UserKey::from_der(&der).err()
    };
    assert_eq!(with_id_length(10), None);
    for length in [30, 60, 255] {
        assert_eq!(with_id_length(length), Some(AuthError::KeyInvalid { algorithm: "canister signature" }));
    }
}

#[test]
fn a_request_has_at_most_three_canister_signatures() {
    let chain = |count: usize| {
        let keys: Vec<Vec<u8>> = (0..count as u8).map(|seed| der_of(signer(), &[seed])).collect();
        let trees: Vec<_> = (0..count as u8)
            .map(|seed| {
                move |message: &[u8]| {
                    let tree = signed_tree(&[seed], message);
                    encoded(&certify(state(signer(), &tree.digest()), &bls(1), None), tree)
                }
            })
            .collect();
        let session = User::ed25519(9);
        let mut signed = Vec::new();
        for (index, sign) in trees.iter().enumerate() {
            let pubkey = keys.get(index + 1).cloned().unwrap_or_else(|| session.der());
            let delegation = agent::Delegation { pubkey, expiration: soon().get(), targets: None, permissions: None };
            let signature = sign(&delegation.signable());
            signed.push(agent::SignedDelegation { delegation, signature });
        }
        let content = call_of(Principal::self_authenticating(&keys[0]), soon());
        let signature = session.sign(&content.to_request_id().signable());
        let envelope = agent::Envelope {
            content: Cow::Owned(content),
            sender_pubkey: Some(keys[0].clone()),
            sender_sig: Some(signature),
            sender_delegation: Some(signed),
        };
        verify_call(read(&envelope), NOW, &trust()).err()
    };
    assert_eq!(chain(3), None);
    assert_eq!(chain(4), Some(AuthError::CanisterSignaturesTooMany { actual: 4, limit: 3 }));
}
