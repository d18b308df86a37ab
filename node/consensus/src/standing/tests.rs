//! Who is late too often is silent; what f members say makes nobody late; who is needed speaks.

use super::*;
use crate::{
    Committee, Digest, Scheme,
    committee::{self, key_bytes, private_key, public_key_of},
};
use commonware_codec::Encode as _;
use commonware_consensus::{
    simplex::types::{
        Certificate, Finalization, Finalize, Notarization, Notarize, Nullification, Nullify, Proposal, Vote,
    },
    types::{Epoch, View},
};
use commonware_parallel::Sequential;
use commonware_utils::iter::NonEmpty;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::UNIX_EPOCH,
};

const LATE: Duration = Duration::from_millis(100);
/// The view that the member leads.
const OWN: u64 = 500;

struct Scene {
    keys: Vec<PublicKey>,
    millis: Arc<AtomicU64>,
    standing: Standing,
}

fn message(what: u8, view: u64) -> IoBuf {
    let mut bytes = what.encode().to_vec();
    bytes.extend_from_slice(&Round::new(Epoch::zero(), View::new(view)).encode());
    bytes.extend_from_slice(&[0; 40]);
    IoBuf::from(bytes)
}

impl Scene {
    /// Of the last member of four.
    fn new() -> Self {
        let millis = Arc::new(AtomicU64::new(1_000_000));
        let clock = millis.clone();
        let now = move || UNIX_EPOCH + Duration::from_millis(clock.load(Ordering::Relaxed));
        let keys = (0..4).map(|seed| public_key_of(&[seed; 32])).collect();
        Self { keys, millis, standing: Standing::new(now, |view| view == OWN, 4, LATE) }
    }

    fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }

    fn hears(&self, from: usize, kind: Kind, what: u8, view: u64) {
        self.standing.heard(&self.keys[from], kind, &message(what, view));
    }

    fn sends(&self, kind: Kind, what: u8, view: u64) -> bool {
        self.standing.lets(kind, &message(what, view))
    }

    /// Two others have left the view, and it was over for this long when this member's vote is ready.
    fn votes_after(&self, view: u64, millis: u64) -> bool {
        self.hears(0, Kind::Vote, 0, view + 1);
        self.hears(1, Kind::Vote, 0, view + 1);
        self.pass(millis);
        self.sends(Kind::Vote, 0, view)
    }

    /// Late for longer than its patience.
    fn stood_back() -> Self {
        let scene = Self::new();
        for view in 1..=3 {
            assert_eq!(scene.votes_after(view, 700), view < 3);
        }
        scene
    }
}

#[test]
fn every_vote_and_certificate_begins_with_what_it_is_and_its_view() {
    let keys: Vec<_> = (0..4).map(|seed| key_bytes(&public_key_of(&[seed; 32]))).collect();
    let committee = Committee::new(&keys).expect("valid");
    let namespace = committee::namespace("test", &[9; 32]);
    let schemes: Vec<Scheme> =
        (0..3).map(|seed| committee.signer(&namespace, private_key(&[seed; 32])).expect("a member")).collect();
    let round = Round::new(Epoch::zero(), View::new(300));
    let proposal = Proposal::new(round, View::new(299), Digest::from([1; 32]));
    let notarizes: Vec<Notarize<Scheme, Digest>> =
        schemes.iter().map(|scheme| Notarize::sign(scheme, proposal.clone()).expect("signs")).collect();
    let nullifies: Vec<Nullify<Scheme>> =
        schemes.iter().map(|scheme| Nullify::sign::<Digest>(scheme, round).expect("signs")).collect();
    let finalizes: Vec<Finalize<Scheme, Digest>> =
        schemes.iter().map(|scheme| Finalize::sign(scheme, proposal.clone()).expect("signs")).collect();
    fn all<T: Clone>(votes: &[T]) -> NonEmpty<impl Iterator<Item = T>> {
        NonEmpty::new(votes[0].clone(), votes[1..].iter().cloned())
    }
    let notarization = Notarization::from_owned_notarizes(&schemes[0], all(&notarizes), &Sequential).expect("a quorum");
    let nullification =
        Nullification::from_owned_nullifies(&schemes[0], all(&nullifies), &Sequential).expect("a quorum");
    let finalization = Finalization::from_owned_finalizes(&schemes[0], all(&finalizes), &Sequential).expect("a quorum");
    let votes = [
        Vote::Notarize(notarizes[0].clone()).encode(),
        Vote::<Scheme, Digest>::Nullify(nullifies[0].clone()).encode(),
        Vote::Finalize(finalizes[0].clone()).encode(),
    ];
    let certificates = [
        Certificate::Notarization(notarization).encode(),
        Certificate::<Scheme, Digest>::Nullification(nullification).encode(),
        Certificate::Finalization(finalization).encode(),
    ];
    for (index, bytes) in votes.into_iter().chain(certificates).enumerate() {
        assert_eq!(read(&IoBuf::from(bytes)), Some((index as u8 % 3, 300)), "{index}");
    }
    assert_eq!((ABANDONS, FINALIZES), (1, 2));
    assert_eq!(read(&IoBuf::from(vec![0])), None);
}

#[test]
fn who_is_late_for_long_is_silent_until_it_is_in_time_for_a_while() {
    let scene = Scene::stood_back();
    assert!(!scene.votes_after(4, 150), "late");
    for view in 5..5 + u64::from(TIMELY_MIN) - 1 {
        assert!(!scene.votes_after(view, 50), "in time, but not for long");
    }
    assert!(scene.votes_after(20, 50));
    for view in 21..40 {
        assert!(scene.votes_after(view, if view % 4 == 0 { 50 } else { 500 }), "in time now and then");
    }
}

#[test]
fn what_one_of_four_says_makes_nobody_late() {
    let scene = Scene::new();
    for view in 1..20 {
        scene.hears(0, Kind::Certificate, 2, view + 1_000);
        scene.pass(150);
        assert!(scene.sends(Kind::Vote, 0, view));
        assert!(scene.sends(Kind::Vote, 2, view));
    }
}

#[test]
fn a_vote_to_finalize_is_late_only_when_others_hold_the_block_finalized() {
    let scene = Scene::new();
    for view in 1..20 {
        for member in 0..3 {
            scene.hears(member, Kind::Certificate, 0, view);
            scene.hears(member, Kind::Vote, 2, view);
            scene.hears(member, Kind::Vote, 0, view + 1);
        }
        scene.pass(700);
        assert!(scene.sends(Kind::Vote, 2, view), "it may complete a quorum");
    }
    for view in 20..23 {
        scene.hears(0, Kind::Certificate, 2, view);
        scene.hears(1, Kind::Certificate, 2, view + 5);
        scene.pass(700);
        assert_eq!(scene.sends(Kind::Vote, 2, view), view < 22);
    }
}

#[test]
fn who_is_needed_speaks_at_once() {
    let scene = Scene::stood_back();
    assert!(!scene.sends(Kind::Vote, 0, 5), "the others may do without");
    scene.pass(1_200);
    assert!(scene.sends(Kind::Vote, 1, 5), "they did not");
    assert!(scene.sends(Kind::Vote, 0, 6));
}

#[test]
fn a_certificate_that_nobody_else_has_shown_goes_out() {
    let scene = Scene::stood_back();
    assert!(!scene.sends(Kind::Certificate, 0, 3));
    assert!(scene.sends(Kind::Certificate, 0, 4));
    assert!(scene.sends(Kind::Certificate, 2, 3), "not known to be finalized");
    scene.hears(0, Kind::Certificate, 2, 3);
    assert!(scene.sends(Kind::Certificate, 2, 3), "one may lie");
    scene.hears(2, Kind::Certificate, 2, 4);
    assert!(!scene.sends(Kind::Certificate, 2, 3));
}

#[test]
fn in_its_own_view_nobody_is_in_time() {
    let scene = Scene::new();
    assert!(scene.votes_after(OWN - 1, 1_300), "late");
    assert!(scene.sends(Kind::Vote, 0, OWN), "not late, but all wait for it");
    assert!(!scene.votes_after(OWN + 1, 1_300), "late for too long");
    let scene = Scene::stood_back();
    for view in OWN + 1 - u64::from(TIMELY_MIN)..=OWN {
        assert!(!scene.votes_after(view, 50));
    }
    assert!(scene.votes_after(OWN + 1, 50));
}

#[test]
fn who_only_repeats_certificates_and_late_stands_back() {
    let scene = Scene::new();
    for view in 1..=2 {
        scene.hears(0, Kind::Certificate, 0, view);
        scene.hears(1, Kind::Certificate, 0, view);
        scene.pass(50);
        assert!(scene.sends(Kind::Certificate, 0, view), "in time");
    }
    scene.pass(101);
    assert!(scene.sends(Kind::Certificate, 0, 1));
    scene.pass(1_200);
    assert!(scene.sends(Kind::Vote, 0, OWN), "in its own view");
    assert!(!scene.sends(Kind::Certificate, 0, 2));
}
