//! Which objects of a state are here, on their way, or still to be asked for. Knows neither network nor clock.
//!
//! Pages and chunks are kept as soon as they arrive, so that a restart asks for what is missing only. Nodes and lists, 3 % of
//! a state, wait in memory until everything below them is kept: what is kept always has all that it refers to.

#[cfg(test)]
mod tests;

use super::message::GET_MAX;
use mains_state::{
    CheckpointStore, EncodingError, Manifest, ObjectSource, Part, StorageFailure,
    objects::{self, OBJECT_BYTES_MAX},
};
use mains_types::{Digest32, UnixNanos};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a peer may take before somebody else is asked.
pub(super) const PATIENCE_NANOS: u64 = 3_000_000_000;
/// Objects that one peer is asked for and has not sent.
const WINDOW: usize = 4 * GET_MAX;
/// Bytes after which what arrived is made durable.
const DURABLE_BYTES: u64 = 16 << 20;

/// A state that is being fetched; `P` names a peer.
pub(super) struct Fetch<P> {
    pub(super) manifest: Manifest,
    /// Wanted, asked of nobody.
    open: VecDeque<Part>,
    /// Wanted, with who was asked and until when.
    asked: BTreeMap<Digest32, (Part, P, UnixNanos)>,
    /// Everything that was ever wanted.
    known: BTreeSet<Digest32>,
    /// What was wanted when another state was fetched: answers to that may still come.
    earlier: BTreeSet<Digest32>,
    /// Nodes and lists that arrived.
    inner: BTreeMap<Digest32, (Part, Vec<u8>)>,
    lacking: BTreeMap<Digest32, BTreeSet<P>>,
    /// Whether the tables were read, so that all there is is known or found below what is known.
    has_tables: bool,
    undurable: u64,
    /// Objects and bytes that arrived.
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// What an object was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Wanted,
    /// It had been asked of somebody else meanwhile, is here already, or belongs to the state that was fetched before.
    Late,
    /// Nobody ever wanted it.
    Junk,
}

/// Why fetching a state ends without one.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody has an object any more: a newer state has to be fetched.
    Lacking,
    /// Objects have the right hashes and make no state: the manifest is a lie.
    Lie(String),
    /// They cannot be kept here.
    Storage(StorageFailure),
}

impl From<StorageFailure> for Ended {
    fn from(failure: StorageFailure) -> Self {
        Self::Storage(failure)
    }
}

/// What arrived, before what is kept.
struct Both<'a>(&'a BTreeMap<Digest32, (Part, Vec<u8>)>, &'a dyn CheckpointStore);

impl ObjectSource for Both<'_> {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.0.get(digest).map(|(_, bytes)| bytes.clone()).or_else(|| self.1.object(digest))
    }
}

impl<P: Ord + Clone> Fetch<P> {
    /// Begins to fetch a state; `earlier` was wanted when another one was fetched.
    ///
    /// # Errors
    /// See [`Ended`].
    pub(super) fn new(
        manifest: Manifest,
        store: &dyn CheckpointStore,
        earlier: BTreeSet<Digest32>,
    ) -> Result<Self, Ended> {
        let mut fetch = Self {
            manifest,
            open: VecDeque::new(),
            asked: BTreeMap::new(),
            known: BTreeSet::new(),
            earlier,
            inner: BTreeMap::new(),
            lacking: BTreeMap::new(),
            has_tables: false,
            undurable: 0,
            objects: 0,
            bytes: 0,
        };
        fetch.want(manifest.tops().to_vec(), store)?;
        fetch.go_on(store)?;
        Ok(fetch)
    }

    /// Objects that are known to be missing; there may be more below them.
    pub(super) fn missing(&self) -> usize {
        self.open.len() + self.asked.len()
    }

    /// Everything that was ever wanted.
    pub(super) fn into_known(self) -> BTreeSet<Digest32> {
        self.known
    }

    pub(super) fn is_done(&self) -> bool {
        self.has_tables && self.missing() == 0
    }

    /// How many objects to ask each of so many peers for, so that all have something to do.
    pub(super) fn share(&self, peers: usize) -> usize {
        self.open.len().div_ceil(peers.max(1)).min(GET_MAX)
    }

    /// What to ask a peer for next, `most` objects; nothing if it has enough to do.
    pub(super) fn next(&mut self, peer: &P, most: usize, now: UnixNanos) -> Vec<Digest32> {
        let busy = self.asked.values().filter(|(_, asked, _)| asked == peer).count();
        if busy + GET_MAX > WINDOW {
            return Vec::new();
        }
        let mut chosen = Vec::new();
        for _ in 0..self.open.len().min(4 * GET_MAX) {
            if chosen.len() == most.min(GET_MAX) {
                break;
            }
            let Some(part) = self.open.pop_front() else { break };
            if self.lacking.get(part.digest()).is_some_and(|lacking| lacking.contains(peer)) {
                self.open.push_back(part);
                continue;
            }
            let until = now.saturating_add_nanos(PATIENCE_NANOS);
            self.asked.insert(*part.digest(), (part, peer.clone(), until));
            chosen.push(*part.digest());
        }
        chosen
    }

    /// Takes an object from a peer.
    ///
    /// # Errors
    /// See [`Ended`].
    pub(super) fn received(&mut self, bytes: Vec<u8>, store: &dyn CheckpointStore) -> Result<Received, Ended> {
        let digest = *blake3::hash(&bytes).as_bytes();
        let Some((part, ..)) = self.asked.remove(&digest) else {
            let was_wanted = self.known.contains(&digest) || self.earlier.contains(&digest);
            return Ok(if was_wanted { Received::Late } else { Received::Junk });
        };
        self.objects += 1;
        self.bytes += bytes.len() as u64;
        if let Part::Leaf(_) = part {
            if bytes.len() > OBJECT_BYTES_MAX {
                return Err(Ended::Lie("an object is too large".into()));
            }
            store.put(&digest, &bytes)?;
            self.undurable += bytes.len() as u64;
            if self.undurable > DURABLE_BYTES {
                store.commit(None)?;
                self.undurable = 0;
            }
        } else {
            let children = part.children(&bytes).map_err(Ended::Lie)?;
            self.inner.insert(digest, (part, bytes));
            self.want(children, store)?;
        }
        self.go_on(store)?;
        Ok(Received::Wanted)
    }

    /// A peer has not got these. Others are asked.
    ///
    /// # Errors
    /// [`Ended::Lacking`] if none of `peers` has one.
    pub(super) fn lacks(&mut self, peer: &P, digests: &[Digest32], peers: &[P]) -> Result<(), Ended> {
        for digest in digests {
            if self.asked.get(digest).is_some_and(|(_, asked, _)| asked == peer)
                && let Some((part, ..)) = self.asked.remove(digest)
            {
                self.open.push_front(part);
                let lacking = self.lacking.entry(*digest).or_default();
                lacking.insert(peer.clone());
                if peers.iter().all(|peer| lacking.contains(peer)) {
                    return Err(Ended::Lacking);
                }
            }
        }
        Ok(())
    }

    /// Gives up on answers that are late; returns who owes them.
    pub(super) fn expire(&mut self, now: UnixNanos) -> BTreeSet<P> {
        let late: Vec<Digest32> =
            self.asked.iter().filter(|(_, (.., until))| *until <= now).map(|(digest, _)| *digest).collect();
        let mut slow = BTreeSet::new();
        for digest in late {
            if let Some((part, peer, _)) = self.asked.remove(&digest) {
                self.open.push_front(part);
                slow.insert(peer);
            }
        }
        slow
    }

    /// Asks others for what a peer was asked for.
    pub(super) fn abandon(&mut self, peer: &P) {
        let owed = self.asked.iter().filter(|(_, (_, asked, _))| asked == peer).map(|(digest, _)| *digest);
        for digest in owed.collect::<Vec<_>>() {
            self.open.extend(self.asked.remove(&digest).map(|(part, ..)| part));
        }
    }

    /// Keeps what waited in memory, children first.
    ///
    /// # Errors
    /// See [`Ended`].
    pub(super) fn finish(self, store: &dyn CheckpointStore) -> Result<(), Ended> {
        let mut inner: Vec<_> = self.inner.into_iter().collect();
        inner.sort_unstable_by_key(|(_, (part, _))| match part {
            Part::Leaf(_) => 0,
            Part::List(_, depth) => u32::from(*depth),
            Part::Node(_, height) => *height,
        });
        for (digest, (_, bytes)) in inner {
            if !store.holds(&digest) {
                store.put(&digest, &bytes)?;
            }
        }
        Ok(store.commit(None)?)
    }

    /// Reads the tables once they are there.
    fn go_on(&mut self, store: &dyn CheckpointStore) -> Result<(), Ended> {
        if !self.has_tables && self.missing() == 0 {
            self.has_tables = true;
            match self.manifest.shared(&Both(&self.inner, store)) {
                Ok(parts) => self.want(parts, store)?,
                Err(EncodingError::Object(_)) => return Err(Ended::Lacking),
                Err(error) => return Err(Ended::Lie(error.to_string())),
            }
        }
        Ok(())
    }

    /// Queues what is not here, and looks below what is, unless that is known to be whole.
    fn want(&mut self, parts: Vec<Part>, store: &dyn CheckpointStore) -> Result<(), Ended> {
        let is_complete = store.is_complete();
        let mut parts = parts;
        while let Some(part) = parts.pop() {
            if !self.known.insert(*part.digest()) {
                continue;
            }
            let is_kept = store.holds(part.digest());
            let is_leaf = matches!(part, Part::Leaf(_));
            if !is_kept {
                self.open.push_back(part);
            } else if !is_leaf && !is_complete {
                match objects::read(store, part.digest()) {
                    Ok(bytes) => parts.extend(part.children(&bytes).map_err(Ended::Lie)?),
                    Err(_) => self.open.push_back(part),
                }
            }
        }
        Ok(())
    }
}
