use super::*;
use bytes::BytesMut;
use std::sync::Arc;

struct Subnet {
    members: Vec<ChainKey>,
}

impl Subnet {
    fn new(members: u32) -> Self {
        let (dealt, shares) = ChainKey::deal(members, [7; 32]);
        let keys: Vec<[u8; 32]> = (0..members as u8).map(|member| [member; 32]).collect();
        let members = shares
            .iter()
            .map(|share| ChainKey::decode(keys.clone(), &dealt.encode(), Some(share)).expect("a dealt share"))
            .collect();
        Self { members }
    }

    fn collector(&self) -> Collector {
        Collector::new(Arc::new(self.members[0].clone()))
    }

    fn partial(&self, member: usize, height: u64, root: Digest32) -> Partial {
        self.members[member].sign(Height(height), root).expect("has a share")
    }

    /// Signed by `member`, sent under the name of `index`.
    fn forged(&self, member: usize, index: u32, height: u64, root: Digest32) -> Partial {
        Partial { index, ..self.partial(member, height, root) }
    }
}

const ROOT: Digest32 = [9; 32];

fn accepted_by_the_internet_computer(key: &ChainKey, certificate: &Certificate) -> bool {
    let message = [b"\x0dic-state-root".as_slice(), &certificate.root].concat();
    ic_verify_bls_signature::verify_bls_signature(&certificate.signature, &message, &key.public_key()).is_ok()
}

#[test]
fn any_quorum_makes_the_same_certificate_and_the_internet_computer_accepts_it() {
    for members in [1, 4, 7] {
        let subnet = Subnet::new(members);
        let threshold = subnet.members[0].threshold();
        let mut certificates = Vec::new();
        for first in 0..=(members as usize - threshold) {
            let mut collector = subnet.collector();
            for member in first..first + threshold - 1 {
                assert_eq!(collector.add(subnet.partial(member, 3, ROOT)), Added::default());
            }
            let added = collector.add(subnet.partial(first + threshold - 1, 3, ROOT));
            assert!(added.blamed.is_empty());
            certificates.push(added.certificate.expect("a quorum signed"));
        }
        assert!(certificates.iter().all(|certificate| certificate == &certificates[0]));
        assert!(subnet.members[0].verify(&certificates[0]));
        assert!(accepted_by_the_internet_computer(&subnet.members[0], &certificates[0]));
        let other = Certificate { root: [8; 32], ..certificates[0] };
        assert!(!subnet.members[0].verify(&other) && !accepted_by_the_internet_computer(&subnet.members[0], &other));
    }
}

#[test]
fn a_wrong_partial_is_found_its_sender_blamed_and_the_certificate_made_without_it() {
    let subnet = Subnet::new(4);
    let mut collector = subnet.collector();
    collector.add(subnet.partial(0, 1, ROOT));
    // A valid point, but another member's signature.
    collector.add(subnet.forged(3, 1, 1, ROOT));
    let added = collector.add(subnet.partial(2, 1, ROOT));
    assert_eq!(added, Added { blamed: vec![1], ..Added::default() });
    assert_eq!(collector.add(subnet.forged(3, 1, 1, ROOT)), Added::default(), "blamed once, refused afterwards");
    let added = collector.add(subnet.partial(3, 1, ROOT));
    assert!(accepted_by_the_internet_computer(&subnet.members[0], &added.certificate.expect("three honest members")));
}

#[test]
fn bytes_that_are_no_signature_blame_their_sender_at_once() {
    let subnet = Subnet::new(4);
    let mut collector = subnet.collector();
    let broken = Partial { value: [0xff; 48], ..subnet.partial(2, 1, ROOT) };
    assert_eq!(collector.add(broken), Added { blamed: vec![2], ..Added::default() });
}

#[test]
fn a_member_counts_for_one_root_only_and_dissent_is_counted() {
    let subnet = Subnet::new(4);
    let mut collector = subnet.collector();
    collector.add(subnet.partial(0, 1, ROOT));
    collector.add(subnet.partial(1, 1, [1; 32]));
    collector.add(subnet.partial(2, 1, [1; 32]));
    assert_eq!(collector.dissenters(Height(1), &ROOT), 2);
    collector.add(subnet.partial(2, 1, ROOT));
    assert_eq!(collector.dissenters(Height(1), &ROOT), 1);
    assert!(collector.add(subnet.partial(3, 1, ROOT)).certificate.is_some());
}

#[test]
fn a_height_is_certified_once_and_heights_outside_the_window_are_dropped() {
    let subnet = Subnet::new(4);
    let mut collector = subnet.collector();
    for member in 0..3 {
        collector.add(subnet.partial(member, 1, ROOT));
    }
    assert_eq!(collector.add(subnet.partial(3, 1, ROOT)), Added::default());
    collector.forget_below(Height(10));
    for (height, taken) in [(9, false), (10, true), (9 + HEIGHTS_MAX as u64, true), (10 + HEIGHTS_MAX as u64, false)] {
        let certified = (0..3).any(|member| collector.add(subnet.partial(member, height, ROOT)).certificate.is_some());
        assert_eq!(certified, taken, "height {height}");
    }
}

#[test]
fn a_share_of_another_key_or_another_committee_is_refused() {
    let (ours, _) = ChainKey::deal(4, [1; 32]);
    let (_, foreign) = ChainKey::deal(4, [2; 32]);
    let keys = |count: u8| (0..count).map(|member| [member; 32]).collect::<Vec<_>>();
    let decoded = ChainKey::decode(keys(4), &ours.encode(), Some(&foreign[0]));
    assert_eq!(decoded.err(), Some(ConsensusError::ForeignShare));
    assert!(matches!(ChainKey::decode(keys(7), &ours.encode(), None), Err(ConsensusError::Malformed { .. })));
    assert!(matches!(ChainKey::decode(keys(4), &[0; 9], None), Err(ConsensusError::Malformed { .. })));
    assert!(ChainKey::decode(keys(4), &ours.encode(), None).expect("an observer").sign(Height(1), ROOT).is_none());
}

#[test]
fn partials_survive_the_wire_and_torn_ones_are_none() {
    let partial = Partial { height: Height(300), root: [1; 32], index: 12, value: [3; 48] };
    let mut bytes = BytesMut::new();
    partial.write(&mut bytes);
    let bytes = bytes.freeze();
    assert_eq!(bytes.len(), partial.encode_size());
    assert_eq!(Partial::read(&mut bytes.clone()), Some(partial));
    assert!((0..bytes.len()).all(|cut| Partial::read(&mut bytes.slice(..cut)).is_none()));
}
