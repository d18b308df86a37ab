//! Where members were heard of, and when to try again. Pure: time comes in as a parameter.

use commonware_cryptography::ed25519::PublicKey;
use libp2p::{Multiaddr, multiaddr::Protocol};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Addresses kept per member and source.
const ADDRESSES_MAX: usize = 8;
/// The first pause between two attempts; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest pause: a member that comes back is met within it.
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How long the member with the higher key leaves the first attempt to the other one, so that a pair usually ends up
/// with one connection.
const COURTESY: Duration = Duration::from_millis(300);

/// Who told an address; better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// This node's configuration.
    Bootstrap,
    /// The member itself.
    Identify,
    /// Multicast DNS.
    LocalNetwork,
    /// Another member: a hint.
    Hearsay,
}

/// Addresses of members and unnamed bootstrap addresses, with the next attempt of each.
#[derive(Debug)]
pub(crate) struct Book {
    me: PublicKey,
    members: BTreeMap<PublicKey, Entry>,
    unnamed: Vec<(Multiaddr, Schedule)>,
}

#[derive(Debug)]
struct Entry {
    addresses: BTreeMap<Source, Vec<Multiaddr>>,
    schedule: Schedule,
}

#[derive(Debug)]
struct Schedule {
    attempts: u32,
    at: Instant,
}

impl Schedule {
    fn due(&mut self, now: Instant) -> bool {
        if now < self.at {
            return false;
        }
        self.at = now + (RETRY_MIN * 2u32.pow(self.attempts.min(8))).min(RETRY_MAX);
        self.attempts += 1;
        true
    }
}

impl Book {
    /// An empty book of the node `me`.
    pub(crate) fn new(me: PublicKey) -> Self {
        Self { me, members: BTreeMap::new(), unnamed: Vec::new() }
    }

    /// Notes a bootstrap address that does not say whose it is.
    pub(crate) fn add_unnamed(&mut self, address: Multiaddr, now: Instant) {
        self.unnamed.push((address, Schedule { attempts: 0, at: now }));
    }

    /// Notes an address of a member. The newest of a source come first and push out the oldest.
    pub(crate) fn add(&mut self, member: &PublicKey, address: Multiaddr, source: Source, now: Instant) {
        let address = without_peer(address);
        if *member == self.me || !is_dialable(&address) {
            return;
        }
        let entry = self.entry(member, now);
        let known = entry.addresses.entry(source).or_default();
        known.retain(|other| *other != address);
        known.insert(0, address);
        known.truncate(ADDRESSES_MAX);
    }

    /// A connection to `member` was made, through `dialed` if this node dialed.
    pub(crate) fn reached(&mut self, member: &PublicKey, dialed: Option<&Multiaddr>, now: Instant) {
        if let Some(address) = dialed {
            let before = self.unnamed.len();
            let address = without_peer(address.clone());
            self.unnamed.retain(|(unnamed, _)| *unnamed != address);
            if self.unnamed.len() < before {
                self.add(member, address, Source::Bootstrap, now);
            }
        }
        if let Some(entry) = self.members.get_mut(member) {
            entry.schedule.attempts = 0;
        }
    }

    /// The last connection to `member` ended: the lower key tries again at once, the higher one a little later.
    pub(crate) fn lost(&mut self, member: &PublicKey, now: Instant) {
        let at = now + self.courtesy(member);
        if let Some(entry) = self.members.get_mut(member) {
            entry.schedule = Schedule { attempts: 0, at };
        }
    }

    /// Whom to dial now and where, among the members that are `wanted`.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        wanted: impl Fn(&PublicKey) -> bool,
    ) -> Vec<(PublicKey, Vec<Multiaddr>)> {
        let mut due = Vec::new();
        for (member, entry) in &mut self.members {
            if wanted(member) && entry.schedule.due(now) {
                due.push((member.clone(), entry.all().cloned().collect()));
            }
        }
        due
    }

    /// Unnamed bootstrap addresses to dial now.
    pub(crate) fn due_unnamed(&mut self, now: Instant) -> Vec<Multiaddr> {
        self.unnamed.iter_mut().filter_map(|(address, at)| at.due(now).then(|| address.clone())).collect()
    }

    /// Forgets an unnamed address, for example because it is this node's own.
    pub(crate) fn forget_unnamed(&mut self, address: &Multiaddr) {
        let address = without_peer(address.clone());
        self.unnamed.retain(|(unnamed, _)| *unnamed != address);
    }

    /// The best known address of `member`.
    pub(crate) fn best(&self, member: &PublicKey) -> Option<&Multiaddr> {
        self.members.get(member)?.all().next()
    }

    /// Addresses to pass on to others: what members said of themselves, or what is in the configuration.
    pub(crate) fn known(&self) -> impl Iterator<Item = (&PublicKey, &Multiaddr)> {
        self.members.iter().flat_map(|(member, entry)| {
            entry
                .addresses
                .iter()
                .filter(|(source, _)| **source != Source::Hearsay)
                .flat_map(move |(_, addresses)| addresses.iter().map(move |address| (member, address)))
        })
    }

    fn entry(&mut self, member: &PublicKey, now: Instant) -> &mut Entry {
        let at = now + self.courtesy(member);
        self.members
            .entry(member.clone())
            .or_insert_with(|| Entry { addresses: BTreeMap::new(), schedule: Schedule { attempts: 0, at } })
    }

    fn courtesy(&self, member: &PublicKey) -> Duration {
        if self.me < *member { Duration::ZERO } else { COURTESY }
    }
}

impl Entry {
    fn all(&self) -> impl Iterator<Item = &Multiaddr> {
        self.addresses.values().flatten()
    }
}

/// The address without its trailing `/p2p/<peer id>`.
pub(crate) fn without_peer(mut address: Multiaddr) -> Multiaddr {
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

fn is_dialable(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => !ip.is_unspecified() && !ip.is_multicast(),
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified() && !ip.is_multicast(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{key_of, key_pair};

    fn keys() -> (PublicKey, PublicKey) {
        let key = |seed| key_of(&key_pair([seed; 32]).public().to_peer_id()).expect("ed25519");
        let (one, other) = (key(1), key(2));
        if one < other { (one, other) } else { (other, one) }
    }

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
    }

    #[test]
    fn the_lower_key_dials_first_and_the_other_one_soon_after() {
        let (low, high) = keys();
        let now = Instant::now();
        for (me, member, delay) in [(&low, &high, Duration::ZERO), (&high, &low, COURTESY)] {
            let mut book = Book::new(me.clone());
            book.add(member, address(1), Source::Bootstrap, now);
            assert_eq!(book.due(now, |_| true).is_empty(), !delay.is_zero());
            assert_eq!(book.due(now + COURTESY, |_| true).len(), 1);
            book.lost(member, now + Duration::from_secs(9));
            assert_eq!(book.due(now + Duration::from_secs(9) + delay, |_| true).len(), 1);
        }
    }

    #[test]
    fn pauses_grow_to_a_second_and_no_further() {
        let (low, high) = keys();
        let mut now = Instant::now();
        let mut book = Book::new(low);
        book.add(&high, address(1), Source::Bootstrap, now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(book.due(now, |_| true).len(), 1);
            let before = now;
            while book.members[&high].schedule.at > now {
                now += Duration::from_millis(10);
            }
            pauses.push((now - before).as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn configured_addresses_come_first_and_hearsay_last_and_each_source_is_bounded() {
        let (low, high) = keys();
        let now = Instant::now();
        let mut book = Book::new(low.clone());
        for port in 0..100 {
            book.add(&high, address(1_000 + port), Source::Hearsay, now);
        }
        book.add(&high, address(1), Source::Bootstrap, now);
        book.add(&high, "/ip4/0.0.0.0/tcp/5".parse().expect("an address"), Source::Identify, now);
        book.add(&low, address(2), Source::Identify, now);
        let due = book.due(now, |_| true);
        assert_eq!(due.len(), 1, "no own address");
        assert_eq!((due[0].1.len(), &due[0].1[0]), (1 + ADDRESSES_MAX, &address(1)));
        assert_eq!(book.known().count(), 1, "hearsay is not passed on");
    }

    #[test]
    fn an_unnamed_address_gets_its_name_from_who_answers_there() {
        let (low, high) = keys();
        let now = Instant::now();
        let mut book = Book::new(low);
        book.add_unnamed(address(7), now);
        assert_eq!(book.due_unnamed(now), [address(7)]);
        book.reached(&high, Some(&address(7)), now);
        assert!(book.due_unnamed(now + RETRY_MAX * 9).is_empty());
        assert_eq!(book.best(&high), Some(&address(7)));
    }
}
