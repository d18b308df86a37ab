use crate::{
    AuthError, NodeKey, RootOfTrust, SignatureError, UserKey, chain_key_der, chain_key_from_der, node_id,
    query_response_signable, sign_call, signable, state_root_message, verify_call, verify_call_at_block,
    verify_chain_signature, verify_node_signature, verify_query, verify_read_state,
};
use ic_transport_types::{self as agent, EnvelopeContent};
use mains_types::{
    CanisterId, ErrorCode, Principal, Reject, RejectCode, RequestId, UnixNanos, ids::canister_id, limits,
};
use mains_wire::{Call, Envelope};
use std::{borrow::Cow, collections::BTreeSet};

const NOW: UnixNanos = UnixNanos(1_700_000_000_000_000_000);
const MINUTE: u64 = 60 * UnixNanos::SECOND;

mod canister_signature;
mod webauthn;

/// A network without canisters that sign.
fn trust() -> RootOfTrust {
    RootOfTrust::new([0; 96])
}

/// A user of one of the three kinds of keys.
enum User {
    Ed25519(ic_ed25519::PrivateKey),
    Secp256k1(ic_secp256k1::PrivateKey),
    P256(ic_secp256r1::PrivateKey),
}

impl User {
    fn ed25519(seed: u8) -> Self {
        Self::Ed25519(ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32]))
    }

    fn all() -> [Self; 3] {
        [
            Self::ed25519(1),
            Self::Secp256k1(ic_secp256k1::PrivateKey::generate_from_seed(b"one")),
            Self::P256(ic_secp256r1::PrivateKey::generate_insecure_key_for_testing(1)),
        ]
    }

    fn der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.public_key().serialize_rfc8410_der(),
            Self::Secp256k1(key) => key.public_key().serialize_der(),
            Self::P256(key) => key.public_key().serialize_der(),
        }
    }

    fn principal(&self) -> Principal {
        Principal::self_authenticating(self.der())
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign_message(message).to_vec(),
            Self::Secp256k1(key) => key.sign_message_with_ecdsa(message).to_vec(),
            Self::P256(key) => key.sign_message(message).to_vec(),
        }
    }
}

fn call_of(sender: Principal, expiry: UnixNanos) -> EnvelopeContent {
    EnvelopeContent::Call {
        nonce: Some(vec![1]),
        ingress_expiry: expiry.get(),
        sender,
        canister_id: canister_id(256),
        method_name: "bump".into(),
        arg: b"DIDL\0\0".to_vec(),
        sender_info: None,
    }
}

fn query_of(sender: Principal, expiry: UnixNanos) -> EnvelopeContent {
    EnvelopeContent::Query {
        nonce: None,
        ingress_expiry: expiry.get(),
        sender,
        canister_id: canister_id(256),
        method_name: "get".into(),
        arg: vec![],
        sender_info: None,
    }
}

fn read_state_of(sender: Principal, expiry: UnixNanos) -> EnvelopeContent {
    EnvelopeContent::ReadState { ingress_expiry: expiry.get(), sender, paths: vec![vec!["time".into()]] }
}

fn soon() -> UnixNanos {
    NOW.saturating_add_nanos(4 * MINUTE)
}

fn signed(content: EnvelopeContent, user: &User) -> agent::Envelope<'static> {
    let signature = user.sign(&content.to_request_id().signable());
    agent::Envelope {
        content: Cow::Owned(content),
        sender_pubkey: Some(user.der()),
        sender_sig: Some(signature),
        sender_delegation: None,
    }
}

fn unsigned(content: EnvelopeContent) -> agent::Envelope<'static> {
    agent::Envelope { content: Cow::Owned(content), sender_pubkey: None, sender_sig: None, sender_delegation: None }
}

fn read(envelope: &agent::Envelope<'_>) -> Envelope {
    Envelope::parse(&envelope.encode_bytes()).unwrap()
}

/// Why a call is refused now; `None` if it is not.
fn refusal(envelope: &agent::Envelope<'_>) -> Option<AuthError> {
    verify_call(read(envelope), NOW, &trust()).err()
}

/// A chain of delegations: each entry's key, and how to bend the delegation before the key before it signs.
fn delegated(
    content: impl FnOnce(Principal, UnixNanos) -> EnvelopeContent,
    users: &[&User],
    bend: impl Fn(usize, &mut agent::Delegation),
) -> agent::Envelope<'static> {
    let chain = users.windows(2).enumerate().map(|(index, pair)| {
        let mut delegation =
            agent::Delegation { pubkey: pair[1].der(), expiration: soon().get(), targets: None, permissions: None };
        bend(index, &mut delegation);
        agent::SignedDelegation { signature: pair[0].sign(&delegation.signable()), delegation }
    });
    let chain = chain.collect();
    let mut envelope = signed(content(users[0].principal(), soon()), users[users.len() - 1]);
    envelope.sender_pubkey = Some(users[0].der());
    envelope.sender_delegation = Some(chain);
    envelope
}

#[test]
fn genuine_requests_of_every_kind_of_key_are_accepted() {
    for user in User::all() {
        let envelope = signed(call_of(user.principal(), soon()), &user);
        let call = verify_call(read(&envelope), NOW, &trust()).unwrap();
        assert_eq!(call.request_id().0, *envelope.content.to_request_id());
        assert_eq!((call.sender(), call.canister_id()), (user.principal(), canister_id(256)));
        assert_eq!((call.method_name(), call.argument()), ("bump", &b"DIDL\0\0"[..]));
        assert_eq!((call.ingress_expiry(), &call.raw()[..]), (soon(), &envelope.encode_bytes()[..]));
        assert_eq!(verify_call_at_block(read(&envelope), NOW, &trust()), Ok(call));

        let query = verify_query(read(&signed(query_of(user.principal(), soon()), &user)), NOW, &trust()).unwrap();
        assert_eq!((query.sender(), query.method_name()), (user.principal(), "get"));
        let request =
            verify_read_state(read(&signed(read_state_of(user.principal(), soon()), &user)), NOW, &trust()).unwrap();
        assert_eq!(
            (request.sender(), request.paths(), request.targets()),
            (user.principal(), &[vec![b"time".to_vec()]][..], None)
        );
    }
}

/// Recorded from @icp-sdk/core 6.1.0: first the time, then requests by name, in hex.
const RECORDED: &str = include_str!("../testdata/icp-sdk-core-6.1.0.txt");

#[test]
fn requests_of_the_stock_browser_client_are_accepted() {
    let (time, requests) = RECORDED.split_once('\n').unwrap();
    let now = UnixNanos(time.parse().unwrap());
    let mut senders = BTreeSet::new();
    for (name, hex) in requests.lines().map(|line| line.split_once(' ').unwrap()) {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let envelope = Envelope::parse(&bytes).unwrap();
        senders.insert(envelope.content.sender());
        let late = now.saturating_add_nanos(24 * 60 * MINUTE);
        match name.split_once(':').unwrap().1 {
            "call" => {
                assert!(verify_call(envelope.clone(), now, &trust()).is_ok(), "{name}");
                assert!(verify_call(envelope, late, &trust()).is_err(), "{name}");
            }
            "query" => assert!(verify_query(envelope, now, &trust()).is_ok(), "{name}"),
            _ => assert!(verify_read_state(envelope, now, &trust()).is_ok(), "{name}"),
        }
    }
    // Anonymous, Ed25519, secp256k1 and P-256; the last two also through delegations.
    assert_eq!((senders.len(), requests.lines().count()), (4, 18));
}

#[test]
fn anonymous_requests_carry_nothing() {
    let anonymous = Principal::anonymous();
    let plain = unsigned(call_of(anonymous, soon()));
    assert_eq!(verify_call(read(&plain), NOW, &trust()).unwrap().sender(), anonymous);
    let user = User::ed25519(1);
    assert_eq!(refusal(&signed(call_of(anonymous, soon()), &user)), Some(AuthError::AnonymousSigned));
    let with_key = agent::Envelope { sender_pubkey: Some(user.der()), ..plain.clone() };
    assert_eq!(refusal(&with_key), Some(AuthError::AnonymousSigned));
    let with_signature = agent::Envelope { sender_sig: Some(vec![]), ..plain.clone() };
    assert_eq!(refusal(&with_signature), Some(AuthError::AnonymousSigned));
    let mut with_chain = delegated(call_of, &[&user, &User::ed25519(2)], |_, _| {});
    (with_chain.content, with_chain.sender_pubkey, with_chain.sender_sig) = (plain.content, None, None);
    assert_eq!(refusal(&with_chain), Some(AuthError::AnonymousSigned));
}

#[test]
fn only_anonymous_reads_may_have_any_expiry() {
    let anonymous = Principal::anonymous();
    for expiry in [UnixNanos(0), UnixNanos(u64::MAX)] {
        assert!(verify_query(read(&unsigned(query_of(anonymous, expiry))), NOW, &trust()).is_ok());
        assert!(verify_read_state(read(&unsigned(read_state_of(anonymous, expiry))), NOW, &trust()).is_ok());
        assert!(verify_call(read(&unsigned(call_of(anonymous, expiry))), NOW, &trust()).is_err());
        let user = User::ed25519(1);
        assert!(verify_query(read(&signed(query_of(user.principal(), expiry), &user)), NOW, &trust()).is_err());
        assert!(
            verify_read_state(read(&signed(read_state_of(user.principal(), expiry), &user)), NOW, &trust()).is_err()
        );
    }
}

#[test]
fn a_call_is_valid_for_a_limited_time_only() {
    let latest = NOW
        .saturating_add_nanos(limits::INGRESS_EXPIRY_MAX_NANOS)
        .saturating_add_nanos(limits::INGRESS_EXPIRY_DRIFT_NANOS);
    let at = |expiry: u64| refusal(&unsigned(call_of(Principal::anonymous(), UnixNanos(expiry))));
    assert_eq!(at(NOW.get() - 1), Some(AuthError::Expired { expiry: UnixNanos(NOW.get() - 1), now: NOW }));
    assert_eq!(at(NOW.get()), Some(AuthError::Expired { expiry: NOW, now: NOW }));
    assert_eq!(at(NOW.get() + 1), None);
    assert_eq!(at(latest.get()), None);
    let late = UnixNanos(latest.get() + 1);
    assert_eq!(at(late.get()), Some(AuthError::TooFarInFuture { expiry: late, latest }));
    assert!(matches!(at(u64::MAX), Some(AuthError::TooFarInFuture { .. })));
}

#[test]
fn every_endpoint_takes_its_own_type_only() {
    let anonymous = Principal::anonymous();
    let [call, query, state] =
        [call_of(anonymous, soon()), query_of(anonymous, soon()), read_state_of(anonymous, soon())]
            .map(|content| read(&unsigned(content)));
    let is_wrong = |error: AuthError| matches!(error, AuthError::WrongType { .. });
    assert!(is_wrong(verify_call(query.clone(), NOW, &trust()).unwrap_err()));
    assert!(is_wrong(verify_call_at_block(state, NOW, &trust()).unwrap_err()));
    assert!(is_wrong(verify_query(call, NOW, &trust()).unwrap_err()));
    assert!(is_wrong(verify_read_state(query, NOW, &trust()).unwrap_err()));
}

#[test]
fn a_signature_of_another_key_message_or_shape_is_refused() {
    for user in User::all() {
        let content = call_of(user.principal(), soon());
        let genuine = signed(content.clone(), &user);
        let stranger = User::ed25519(9);
        let forged = agent::Envelope { sender_pubkey: Some(user.der()), ..signed(content.clone(), &stranger) };
        assert_eq!(refusal(&forged), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
        let other = signed(call_of(user.principal(), NOW.saturating_add_nanos(1)), &user);
        let moved = agent::Envelope { sender_sig: other.sender_sig, ..genuine.clone() };
        assert_eq!(refusal(&moved), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
        let undomained = agent::Envelope { sender_sig: Some(user.sign(&*content.to_request_id())), ..genuine.clone() };
        assert_eq!(refusal(&undomained), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
        for bytes in [vec![], vec![0; 64], vec![0xff; 64], vec![0; 63], vec![0; 65], vec![0x30; 72]] {
            let garbage = agent::Envelope { sender_sig: Some(bytes), ..genuine.clone() };
            assert_eq!(refusal(&garbage), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
        }
    }
}

#[test]
fn a_sender_must_own_the_key_and_sign() {
    let (user, stranger) = (User::ed25519(1), User::ed25519(2));
    let stolen = signed(call_of(user.principal(), soon()), &stranger);
    let mismatch = AuthError::SenderMismatch { sender: user.principal(), owner: stranger.principal() };
    assert_eq!(refusal(&stolen), Some(mismatch));
    let missing = Some(AuthError::SignatureMissing { sender: user.principal() });
    let content = call_of(user.principal(), soon());
    assert_eq!(refusal(&unsigned(content.clone())), missing);
    assert_eq!(refusal(&agent::Envelope { sender_sig: None, ..signed(content.clone(), &user) }), missing);
    assert_eq!(refusal(&agent::Envelope { sender_pubkey: None, ..signed(content, &user) }), missing);
    for opaque in [Principal::management_canister(), canister_id(256)] {
        let posing = signed(call_of(opaque, soon()), &user);
        assert!(matches!(refusal(&posing), Some(AuthError::SenderMismatch { .. })));
    }
}

#[test]
fn keys_have_one_accepted_form() {
    for user in User::all() {
        let der = user.der();
        assert!(UserKey::from_der(&der).is_ok());
        let trailing = [&der[..], b"\0"].concat();
        for bytes in [&der[1..], &der[..der.len() - 1], &trailing, &der[der.len() - 32..], &[]] {
            assert!(UserKey::from_der(bytes).is_err());
        }
    }
    // A compressed point would be a second name, and so a second principal, for the same key.
    let User::Secp256k1(key) = &User::all()[1] else { unreachable!() };
    let compressed = key.public_key().serialize_sec1(true);
    let prefix = [&[0x30, 0x36][..], &User::all()[1].der()[2..20], &[0x03, 0x22, 0x00]].concat();
    assert!(matches!(
        UserKey::from_der(&[prefix, compressed].concat()),
        Err(AuthError::KeyUnsupported { what: "this kind of key" })
    ));
}

#[test]
fn a_key_must_be_a_point_of_its_curve() {
    let [ed25519, secp256k1, p256] = User::all().map(|user| user.der());
    let off = |der: Vec<u8>| {
        let mut bent = der;
        *bent.last_mut().unwrap() ^= 1;
        UserKey::from_der(&bent).err()
    };
    assert_eq!(off(secp256k1), Some(AuthError::KeyInvalid { algorithm: "secp256k1" }));
    assert_eq!(off(p256), Some(AuthError::KeyInvalid { algorithm: "P-256" }));
    let no_point = [&ed25519[..12], &[2], &[0; 31]].concat();
    assert_eq!(UserKey::from_der(&no_point).err(), Some(AuthError::KeyInvalid { algorithm: "Ed25519" }));
}

/// `order - s` over big-endian numbers.
fn negated(s: &[u8], order: &[u8; 32]) -> Vec<u8> {
    let mut borrow = 0;
    let mut out = vec![0; 32];
    for i in (0..32).rev() {
        let difference = i16::from(order[i]) - i16::from(s[i]) - borrow;
        borrow = i16::from(difference < 0);
        out[i] = difference.rem_euclid(256) as u8;
    }
    out
}

#[test]
fn ecdsa_signatures_may_have_a_low_or_a_high_s() {
    const SECP256K1_ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae,
        0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
    ];
    const P256_ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    for (user, order) in User::all()[1..].iter().zip([SECP256K1_ORDER, P256_ORDER]) {
        let genuine = signed(call_of(user.principal(), soon()), user);
        let signature = genuine.sender_sig.clone().unwrap();
        let other = [&signature[..32], &negated(&signature[32..], &order)].concat();
        assert_ne!(signature, other);
        let twin = agent::Envelope { sender_sig: Some(other), ..genuine.clone() };
        let (genuine, twin) =
            (verify_call(read(&genuine), NOW, &trust()).unwrap(), verify_call(read(&twin), NOW, &trust()).unwrap());
        assert_eq!(genuine.request_id(), twin.request_id(), "a second signature is no second request");
        // r or s out of range.
        for bytes in [
            [&[0; 32], &signature[32..]].concat(),
            [&signature[..32], &[0; 32]].concat(),
            [&order, &signature[32..]].concat(),
        ] {
            let refused =
                agent::Envelope { sender_sig: Some(bytes), ..signed(call_of(user.principal(), soon()), user) };
            assert_eq!(refusal(&refused), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
        }
    }
}

#[test]
fn an_ed25519_signature_has_one_s_only() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let user = User::ed25519(1);
    let mut twin = signed(call_of(user.principal(), soon()), &user);
    let mut carry = 0;
    for (byte, order) in twin.sender_sig.as_mut().unwrap()[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(refusal(&twin), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
}

#[test]
fn chains_of_delegations_over_all_kinds_of_keys_are_accepted() {
    let [a, b, c] = User::all();
    for users in [&[&a, &b][..], &[&b, &c], &[&c, &a], &[&a, &b, &c], &[&a]] {
        let envelope = delegated(call_of, users, |_, _| {});
        assert_eq!(verify_call(read(&envelope), NOW, &trust()).unwrap().sender(), users[0].principal());
    }
}

#[test]
fn a_delegation_must_be_signed_by_the_key_before_it() {
    let [a, b, c] = User::all();
    let mut skipped = delegated(call_of, &[&a, &b, &c], |_, _| {});
    skipped.sender_delegation.as_mut().unwrap().remove(0);
    assert_eq!(refusal(&skipped), Some(AuthError::DelegationInvalid { index: 0, why: SignatureError::Wrong }));
    let mut swapped = delegated(call_of, &[&a, &b, &c], |_, _| {});
    swapped.sender_delegation.as_mut().unwrap().swap(0, 1);
    assert_eq!(refusal(&swapped), Some(AuthError::DelegationInvalid { index: 0, why: SignatureError::Wrong }));
    let mut widened = delegated(call_of, &[&a, &b, &c], |_, _| {});
    widened.sender_delegation.as_mut().unwrap()[1].delegation.expiration += 1;
    assert_eq!(refusal(&widened), Some(AuthError::DelegationInvalid { index: 1, why: SignatureError::Wrong }));
    let mut cut = delegated(call_of, &[&a, &b, &c], |_, _| {});
    cut.sender_delegation.as_mut().unwrap().pop();
    assert_eq!(refusal(&cut), Some(AuthError::SignatureInvalid(SignatureError::Wrong)));
}

#[test]
fn a_chain_ends_with_its_shortest_delegation() {
    let [a, b, c] = User::all();
    let end = NOW.saturating_add_nanos(MINUTE);
    let envelope = delegated(call_of, &[&a, &b, &c], |index, delegation| {
        if index == 1 {
            delegation.expiration = end.get();
        }
    });
    let call = verify_call(read(&envelope), NOW, &trust()).unwrap();
    assert_eq!(call.check_at_block(UnixNanos(end.get() - 1)), Ok(()));
    let expired = AuthError::DelegationExpired { index: 1, expiration: end, now: end };
    assert_eq!(call.check_at_block(end), Err(expired.clone()));
    assert_eq!(verify_call_at_block(read(&envelope), end, &trust()), Err(expired));
    assert!(matches!(call.check_at_block(soon()), Err(AuthError::Expired { .. })));
    assert!(matches!(call.check_at_block(UnixNanos(0)), Err(AuthError::TooFarInFuture { .. })));
}

#[test]
fn a_chain_is_good_for_the_targets_that_all_its_delegations_name() {
    let [a, b, c] = User::all();
    let with = |first: Option<Vec<CanisterId>>, second: Option<Vec<CanisterId>>| {
        move |index: usize, delegation: &mut agent::Delegation| {
            delegation.targets = if index == 0 { first.clone() } else { second.clone() };
        }
    };
    let (mine, other) = (canister_id(256), canister_id(257));
    let users = [&a, &b, &c];
    let refused = Some(AuthError::TargetNotAllowed { canister: mine });
    for (first, second, expected) in [
        (Some(vec![mine]), None, None),
        (Some(vec![other, mine]), Some(vec![mine, mine]), None),
        (None, Some(vec![other]), refused.clone()),
        (Some(vec![mine]), Some(vec![other]), refused.clone()),
        (Some(vec![]), None, refused),
    ] {
        assert_eq!(refusal(&delegated(call_of, &users, with(first.clone(), second.clone()))), expected);
        let query = verify_query(read(&delegated(query_of, &users, with(first, second))), NOW, &trust());
        assert_eq!(query.err(), expected);
    }
    let state = delegated(read_state_of, &users, with(Some(vec![mine, other]), Some(vec![other])));
    let state = verify_read_state(read(&state), NOW, &trust()).unwrap();
    assert_eq!(state.targets().unwrap().iter().collect::<Vec<_>>(), [&other]);
}

#[test]
fn a_delegation_for_queries_makes_no_calls() {
    let [a, b, c] = User::all();
    let bend = |index: usize, delegation: &mut agent::Delegation| {
        delegation.permissions =
            Some(if index == 1 { agent::DelegationPermissions::Queries } else { agent::DelegationPermissions::All });
    };
    let users = [&a, &b, &c];
    assert_eq!(refusal(&delegated(call_of, &users, bend)), Some(AuthError::QueriesOnly { index: 1 }));
    assert!(verify_query(read(&delegated(query_of, &users, bend)), NOW, &trust()).is_ok());
    assert!(verify_read_state(read(&delegated(read_state_of, &users, bend)), NOW, &trust()).is_ok());
}

#[test]
fn no_key_may_come_twice_in_a_chain() {
    let [a, b, c] = User::all();
    assert_eq!(refusal(&delegated(call_of, &[&a, &b, &a], |_, _| {})), Some(AuthError::DelegationCycle { index: 1 }));
    assert_eq!(refusal(&delegated(call_of, &[&a, &a], |_, _| {})), Some(AuthError::DelegationCycle { index: 0 }));
    let late = delegated(call_of, &[&a, &b, &c, &b], |_, _| {});
    assert_eq!(refusal(&late), Some(AuthError::DelegationCycle { index: 2 }));
}

#[test]
fn a_chain_has_at_most_twenty_delegations() {
    let users: Vec<User> = (0..22).map(User::ed25519).collect();
    let users: Vec<&User> = users.iter().collect();
    assert_eq!(refusal(&delegated(call_of, &users[..21], |_, _| {})), None);
    let long = delegated(call_of, &users, |_, _| {});
    assert!(Envelope::parse(&long.encode_bytes()).is_err(), "the parser refuses it first");
    // The check does not rely on the parser.
    let mut envelope = read(&delegated(call_of, &users[..21], |_, _| {}));
    envelope.delegations.push(envelope.delegations[0].clone());
    assert_eq!(verify_call(envelope, NOW, &trust()), Err(AuthError::DelegationsTooMany { actual: 21, limit: 20 }));
    let mut envelope = read(&delegated(call_of, &users[..2], |_, _| {}));
    envelope.delegations[0].delegation.targets = Some(vec![canister_id(1); 1_001]);
    assert_eq!(
        verify_call(envelope, NOW, &trust()),
        Err(AuthError::TargetsTooMany { index: 0, actual: 1_001, limit: 1_000 })
    );
}

#[test]
fn our_own_clients_sign_as_agents_do() {
    for user in User::all() {
        let call = Call {
            canister_id: canister_id(256),
            method_name: "bump".into(),
            arg: vec![1, 2],
            sender: user.principal(),
            ingress_expiry: soon(),
            nonce: None,
            sender_info: None,
        };
        let bytes = sign_call(&call, &user.der(), |message| user.sign(message));
        assert_eq!(verify_call(Envelope::parse(&bytes).unwrap(), NOW, &trust()).unwrap().argument(), [1, 2]);
    }
    assert_eq!(signable(&RequestId([3; 32])), agent::RequestId::new(&[3; 32]).signable());
}

#[test]
fn a_node_signs_answers_under_its_id() {
    let key = NodeKey::from_seed([7; 32]);
    assert_eq!(key.der().len(), 44);
    assert_eq!(key.node_id(), Principal::self_authenticating(key.der()));
    assert_eq!(key.node_id(), node_id(&key.public()));
    assert!(!format!("{key:?}").contains("07, 07"));
    let id = RequestId([1; 32]);
    let rejected = Err(Reject::new(RejectCode::CanisterError, ErrorCode::CanisterTrapped, "trapped"));
    for result in [Ok(vec![1, 2, 3]), rejected] {
        let signature = key.sign_query_response(&id, &result, NOW);
        let response = match result.clone() {
            Ok(arg) => agent::QueryResponse::Replied { reply: agent::ReplyResponse { arg }, signatures: vec![] },
            Err(reject) => agent::QueryResponse::Rejected {
                reject: agent::RejectResponse {
                    reject_code: agent::RejectCode::CanisterError,
                    reject_message: reject.message,
                    error_code: Some("IC0502".into()),
                },
                signatures: vec![],
            },
        };
        let message = response.signable(agent::RequestId::new(&id.0), NOW.get());
        assert_eq!(message, query_response_signable(&id, &result, NOW));
        assert!(verify_node_signature(&key.public(), &message, &signature));
        assert!(!verify_node_signature(&NodeKey::from_seed([8; 32]).public(), &message, &signature));
        assert!(!verify_node_signature(&key.public(), &message[1..], &signature));
    }
}

#[test]
fn a_chain_signature_is_over_one_root_by_one_key() {
    let secret = ic_verify_bls_signature::PrivateKey::deserialize(&[5; 32]).unwrap();
    let key = secret.public_key().serialize();
    let root = [9; 32];
    let signature = secret.sign(&state_root_message(&root)).serialize();
    assert!(verify_chain_signature(&root, &signature, &key));
    assert!(!verify_chain_signature(&[8; 32], &signature, &key));
    let other = ic_verify_bls_signature::PrivateKey::deserialize(&[6; 32]).unwrap().public_key().serialize();
    assert!(!verify_chain_signature(&root, &signature, &other));
    assert!(!verify_chain_signature(&root, &secret.sign(&root).serialize(), &key), "the domain separator counts");
    assert!(!verify_chain_signature(&root, &[0; 48], &key));
    assert!(!verify_chain_signature(&root, &[0xff; 48], &key));
    assert!(!verify_chain_signature(&root, &signature, &[0; 96]));
}

#[test]
fn a_chain_key_has_133_bytes_in_der() {
    let der = chain_key_der(&[3; 96]);
    assert_eq!(der.len(), crate::CHAIN_KEY_DER_BYTES);
    assert_eq!(der.len(), 133);
    assert_eq!(chain_key_from_der(&der), Some([3; 96]));
    for bytes in [&der[1..], &der[..132], &[&der[..], &[0]].concat(), &[0; 133]] {
        assert_eq!(chain_key_from_der(bytes), None);
    }
}
