use super::*;
use commonware_codec::{Decode as _, Encode as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

fn context(round: u64, parent: &Block) -> Context {
    Context {
        round: Round::new(Epoch::zero(), View::new(round)),
        leader: committee::public_key_of(&[3; 32]),
        parent: (View::new(round - 1), parent.digest()),
    }
}

fn certificate(height: u64) -> Certificate {
    Certificate { height: Height(height), root: [4; 32], signature: [5; 48] }
}

fn genesis() -> Block {
    Block::genesis([1; 32], UnixNanos(1_000))
}

fn child(parent: &Block, time: u64, control: Control, ingress: Vec<Bytes>) -> Block {
    Block::child(context(parent.height().get() + 1, parent), parent, UnixNanos(time), control, ingress)
}

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![7; length])
}

#[test]
fn a_block_survives_the_wire_and_its_digest_is_the_hash_of_its_encoding() {
    let mut random = StdRng::seed_from_u64(11);
    let mut parent = genesis();
    for _ in 0..50 {
        let ingress = (0..random.random_range(0..20)).map(|_| bytes(random.random_range(0..3_000))).collect();
        let certified = parent.height().get().checked_sub(1).filter(|height| *height > parent.certified().get());
        let seen = Seen { voted: random.random(), certified: random.random() };
        let control = Control::new(certified.map(certificate)).with_seen(seen);
        let block = child(&parent, random.random_range(0..u64::MAX / 2), control, ingress);
        let encoded = block.encode();
        assert_eq!(encoded.len(), block.encode_size());
        assert_eq!(block.digest(), Sha256::hash(&[&encoded]));
        let decoded = Block::decode_cfg(encoded, &()).expect("own encoding");
        assert_eq!(decoded, block);
        assert_eq!(decoded.control().seen(), seen);
        assert_eq!(decoded.follows(&parent), Ok(()));
        parent = block;
    }
}

#[test]
fn mutated_blocks_are_refused_or_are_other_blocks() {
    let mut random = StdRng::seed_from_u64(12);
    let parent = child(&child(&genesis(), 2_000, Control::default(), vec![]), 3_000, Control::default(), vec![]);
    let block = child(&parent, 4_000, Control::new(Some(certificate(1))), vec![bytes(10), bytes(300), bytes(0)]);
    let encoded = block.encode();
    for cut in 0..encoded.len() {
        assert!(Block::decode_cfg(encoded.slice(..cut), &()).is_err(), "cut at {cut}");
    }
    for _ in 0..5_000 {
        let mut mutated = encoded.to_vec();
        for _ in 0..random.random_range(1..4) {
            let index = random.random_range(0..mutated.len());
            mutated[index] = random.random();
        }
        if mutated != encoded
            && let Ok(decoded) = Block::decode_cfg(Bytes::from(mutated.clone()), &())
        {
            assert_ne!(decoded.digest(), block.digest());
            assert_eq!(decoded.encode(), mutated, "there is one encoding of a block");
        }
    }
}

#[test]
fn more_ingress_than_a_block_holds_is_refused() {
    let full = limits::BLOCK_INGRESS_BYTES_MAX / limits::INGRESS_BYTES_MAX;
    for (ingress, fits) in [
        (vec![bytes(1); limits::BLOCK_INGRESS_COUNT_MAX], true),
        (vec![bytes(1); limits::BLOCK_INGRESS_COUNT_MAX + 1], false),
        (vec![bytes(limits::INGRESS_BYTES_MAX); full], true),
        (vec![bytes(limits::INGRESS_BYTES_MAX); full + 1], false),
        (vec![bytes(limits::INGRESS_BYTES_MAX + 1)], false),
    ] {
        assert_eq!(ingress_fits(&ingress), fits);
        let encoded = child(&genesis(), 2_000, Control::default(), ingress).encode();
        assert_eq!(Block::decode_cfg(encoded.clone(), &()).is_ok(), fits);
        if fits {
            assert!(encoded.len() <= Block::max_encode_size(&()) && encoded.len() <= limits::BLOCK_BYTES_MAX);
        }
    }
}

#[test]
fn what_was_seen_names_members_only() {
    for members in [1, 4, 127, 128] {
        let last = 1 << (members - 1);
        assert!(Seen { voted: last, certified: 1 }.fits(members));
        let beyond = 1_u128.checked_shl(members).unwrap_or(0);
        assert_eq!(Seen { voted: 1, certified: last | beyond }.fits(members), members == 128);
    }
}

#[test]
fn time_only_goes_forward_whatever_the_proposers_clock_says() {
    let parent = genesis();
    assert_eq!(child(&parent, 5, Control::default(), vec![]).time(), UnixNanos(1_001));
    assert_eq!(child(&parent, 2_000, Control::default(), vec![]).time(), UnixNanos(2_000));
    let block = child(&parent, 2_000, Control::default(), vec![]);
    assert!(block.follows(&child(&parent, 2_000, Control::default(), vec![])).is_err(), "not after its parent");
}

#[test]
fn a_certificate_in_a_block_must_be_new_and_of_the_past() {
    let first = child(&genesis(), 2_000, Control::default(), vec![]);
    let second = child(&first, 3_000, Control::new(Some(certificate(1))), vec![]);
    assert_eq!((second.certified(), second.follows(&first)), (Height(1), Ok(())));
    let third = child(&second, 4_000, Control::default(), vec![]);
    assert_eq!((third.certified(), third.follows(&second)), (Height(1), Ok(())), "inherited");
    for height in [0, 1, 3, 4] {
        let block = child(&second, 4_000, Control::new(Some(certificate(height))), vec![]);
        assert!(block.follows(&second).is_err(), "a certificate of height {height} in block 3");
    }
}

#[test]
fn randomness_changes_with_every_certificate_and_only_then() {
    let first = child(&genesis(), 2_000, Control::default(), vec![]);
    assert_eq!(first.randomness(), genesis().randomness());
    let second = child(&first, 3_000, Control::new(Some(certificate(1))), vec![]);
    assert_ne!(second.randomness(), first.randomness());
    let other = Certificate { signature: [6; 48], ..certificate(1) };
    assert_ne!(child(&first, 3_000, Control::new(Some(other)), vec![]).randomness(), second.randomness());
}

#[test]
fn chains_of_different_geneses_differ_from_the_start() {
    assert_ne!(genesis().digest(), Block::genesis([2; 32], UnixNanos(1_000)).digest());
}

#[test]
fn views_without_a_block_are_their_leaders_failures() {
    use commonware_consensus::simplex::elector::{Config, Elector, RoundRobin};
    let keys: Vec<_> = (1..=4u8).map(|seed| committee::key_bytes(&committee::public_key_of(&[seed; 32]))).collect();
    let committee = committee::Committee::new(&keys).unwrap();
    let elector = Config::<committee::Scheme>::build(RoundRobin::<Sha256>::default(), committee.members());
    let parent = genesis();
    for (parent_view, view) in [(0, 1), (0, 2), (3, 4), (3, 9), (5, 6), (7, 30), (8, 29)] {
        let mut context = context(view, &parent);
        context.parent.0 = View::new(parent_view);
        let block = Block::child(context, &parent, UnixNanos(2_000), Control::default(), vec![]);
        let mut expected = std::collections::BTreeMap::new();
        for passed in parent_view + 1..view {
            let leader = elector.elect(Round::new(Epoch::zero(), View::new(passed)), ());
            *expected.entry(leader.get()).or_insert(0) += 1;
        }
        let expected: Vec<(u32, u64)> = expected.into_iter().collect();
        assert_eq!(block.failures(committee.len()), expected, "from view {parent_view} to {view}");
    }
}
