//! Two votes are evidence, one vote or a forged one is none.

use super::*;
use crate::committee::{key_bytes, private_key, public_key_of};
use commonware_consensus::{
    simplex::types::{Finalize, Notarize, Nullify, Proposal},
    types::{Epoch, Round, View},
};

const NETWORK: &str = "test";
const GENESIS: Digest32 = [9; 32];

fn keys() -> Vec<[u8; 32]> {
    (0..4).map(|seed| key_bytes(&public_key_of(&[seed; 32]))).collect()
}

fn signer(seed: u8, genesis: Digest32) -> Scheme {
    let committee = Committee::new(&keys()).expect("valid");
    committee.signer(&committee::namespace(NETWORK, &genesis), private_key(&[seed; 32])).expect("a member")
}

fn proposal(payload: u8) -> Proposal<Digest> {
    Proposal::new(Round::new(Epoch::zero(), View::new(7)), View::new(6), Digest::from([payload; 32]))
}

fn two_notarizations(first: &Scheme, second: &Scheme) -> Activity<Scheme, Digest> {
    let votes =
        [(first, 1), (second, 2)].map(|(scheme, payload)| Notarize::sign(scheme, proposal(payload)).expect("signs"));
    let [first, second] = votes;
    Activity::ConflictingNotarize(ConflictingNotarize::new(first, second))
}

fn recorder() -> Recorder {
    let committee = Committee::new(&keys()).expect("valid");
    let scheme = committee.verifier(&committee::namespace(NETWORK, &GENESIS));
    Recorder::new(committee, scheme, EvidenceBook::default())
}

#[test]
fn every_kind_of_double_vote_is_kept_once_and_verifies_with_the_genesis_alone() {
    let mut recorder = recorder();
    let scheme = signer(2, GENESIS);
    let finalize = |payload| Finalize::sign(&scheme, proposal(payload)).expect("signs");
    let nullify = Nullify::sign::<Digest>(&scheme, proposal(1).round).expect("signs");
    let activities = [
        two_notarizations(&scheme, &scheme),
        Activity::ConflictingFinalize(ConflictingFinalize::new(finalize(1), finalize(2))),
        Activity::NullifyFinalize(NullifyFinalize::new(nullify, finalize(1))),
    ];
    for activity in activities.iter().chain(&activities) {
        recorder.report(activity.clone());
    }
    let all = recorder.book.all();
    assert_eq!(all.len(), 3);
    for evidence in all {
        assert_eq!(evidence.node, committee::node_id(&public_key_of(&[2; 32])));
        assert_eq!(evidence.view, 7);
        assert_eq!(Evidence::verify(&evidence.proof, &keys(), NETWORK, &GENESIS).as_ref(), Some(&evidence));
        assert_eq!(Evidence::verify(&evidence.proof, &keys(), "other", &GENESIS), None);
        assert_eq!(Evidence::verify(&evidence.proof, &keys()[..2], NETWORK, &GENESIS), None);
        for at in 0..evidence.proof.len() {
            let mut bent = evidence.proof.to_vec();
            bent[at] ^= 1;
            let verdict = Evidence::verify(&bent.into(), &keys(), NETWORK, &GENESIS);
            assert!(verdict.is_none_or(|other| other.node == evidence.node), "byte {at} accuses another member");
        }
    }
}

#[test]
fn a_vote_that_the_accused_did_not_sign_is_no_evidence() {
    let mut recorder = recorder();
    recorder.report(two_notarizations(&signer(2, GENESIS), &signer(2, [1; 32])));
    assert!(recorder.book.all().is_empty(), "a vote of another network was believed");
    let honest = Notarize::sign(&signer(1, GENESIS), proposal(1)).expect("signs");
    recorder.report(Activity::Notarize(honest));
    assert!(recorder.book.all().is_empty());
}

#[test]
fn a_proof_from_before_a_restart_counts_once_and_only_if_it_verifies() {
    let mut recorder = recorder();
    let scheme = signer(2, GENESIS);
    recorder.report(two_notarizations(&scheme, &scheme));
    let proof = recorder.book.all().remove(0).proof;
    let book = EvidenceBook::default();
    let remember = |proof: &Bytes, network| book.remember(proof, &keys(), network, &GENESIS);
    assert!(!remember(&proof, "other") && !remember(&proof.slice(1..), NETWORK) && book.all().is_empty());
    assert!(remember(&proof, NETWORK) && !remember(&proof, NETWORK));
    assert_eq!(book.all(), recorder.book.all());
}
