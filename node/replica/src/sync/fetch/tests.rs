use super::*;
use mains_state::{Canister, Code, Exports, Genesis, Heap, Memo, PAGE_BYTES, Settings, State, checkpoint};
use mains_types::{Height, Principal, ids::canister_id};
use std::sync::Mutex;

/// Objects and manifests in memory.
#[derive(Default)]
struct Store(Mutex<Kept>);

type Kept = (BTreeMap<Digest32, Vec<u8>>, Vec<Manifest>);

impl ObjectSource for Store {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.0.lock().unwrap().0.get(digest).cloned()
    }
}

impl CheckpointStore for Store {
    fn holds(&self, digest: &Digest32) -> bool {
        self.0.lock().unwrap().0.contains_key(digest)
    }
    fn losses(&self) -> u64 {
        0
    }
    fn is_complete(&self) -> bool {
        true
    }
    fn restored(&self, _: u64) {}
    fn put(&self, digest: &Digest32, bytes: &[u8]) -> Result<(), StorageFailure> {
        self.0.lock().unwrap().0.insert(*digest, bytes.to_vec());
        Ok(())
    }
    fn commit(&self, manifest: Option<&Manifest>) -> Result<(), StorageFailure> {
        self.0.lock().unwrap().1.extend(manifest);
        Ok(())
    }
    fn manifests(&self) -> Result<Vec<Manifest>, StorageFailure> {
        Ok(self.0.lock().unwrap().1.iter().rev().copied().collect())
    }
    fn quarantine(&self, _: Height) -> Result<(), StorageFailure> {
        Ok(())
    }
    fn certify(&self, _: Height, _: &[u8]) -> Result<(), StorageFailure> {
        Ok(())
    }
    fn certificate(&self, _: Height) -> Option<Vec<u8>> {
        None
    }
    fn wants_collection(&self) -> bool {
        false
    }
    fn collect(&self, _: &BTreeSet<Digest32>) -> Result<u64, StorageFailure> {
        Ok(0)
    }
}

/// A state with a canister of so many pages, and the store of somebody who has it.
fn saved(pages: u64) -> (State, Store, Manifest) {
    let mut state = State::genesis(&Genesis::rehearsal([Principal::anonymous()]));
    let mut heap = Heap { bytes: pages * PAGE_BYTES as u64, ..Heap::default() };
    for page in 0..pages {
        let mut bytes = vec![0; PAGE_BYTES];
        blake3::Hasher::new().update(&page.to_le_bytes()).finalize_xof().fill(&mut bytes);
        heap.pages.write(page * PAGE_BYTES as u64, &bytes);
    }
    let mut canister = Canister::new(canister_id(0x100), Settings::default(), state.time);
    let module = std::sync::Arc::new(vec![7; 100_000].into());
    canister.code = Some(Code::new(module, [3; 32], heap, BTreeMap::new(), Exports::default()));
    state.insert_canister(canister);
    state.seal(Height(1), UnixNanos(2), [0; 32]);
    let store = Store::default();
    let manifest = checkpoint::save(&store, &state, &mut Memo::default()).unwrap().manifest;
    (state, store, manifest)
}

/// Answers a peer's requests until there are none.
fn serve(fetch: &mut Fetch<u8>, peers: &[u8], source: &Store, store: &Store) -> Result<u64, Ended> {
    let mut rounds = 0;
    loop {
        let mut asked = 0;
        for peer in peers {
            for digest in fetch.next(peer, GET_MAX, UnixNanos(0)) {
                asked += 1;
                assert_eq!(fetch.received(source.object(&digest).unwrap(), store)?, Received::Wanted);
            }
        }
        if asked == 0 {
            return Ok(rounds);
        }
        rounds += 1;
    }
}

#[test]
fn a_state_is_fetched_from_several_and_is_the_same() {
    let (state, source, manifest) = saved(1_000);
    let store = Store::default();
    let mut fetch = Fetch::new(manifest, &store, Default::default()).unwrap();
    assert!(serve(&mut fetch, &[1, 2, 3], &source, &store).unwrap() > 1);
    assert!(fetch.is_done() && fetch.bytes > 4_000_000);
    fetch.finish(&store).unwrap();
    assert_eq!(State::read(&manifest, &store).unwrap().root(), state.root());
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let (_, source, manifest) = saved(1_000);
    let store = Store::default();
    let mut first = Fetch::new(manifest, &store, Default::default()).unwrap();
    while first.bytes < 1_000_000 {
        for digest in first.next(&1, GET_MAX, UnixNanos(0)) {
            first.received(source.object(&digest).unwrap(), &store).unwrap();
        }
    }
    let before = first.bytes;
    assert!(!first.is_done());
    drop(first);
    let mut again = Fetch::new(manifest, &store, Default::default()).unwrap();
    serve(&mut again, &[1], &source, &store).unwrap();
    assert!(again.bytes < fetched_whole(&source, manifest) - before + 200_000, "{} after {before}", again.bytes);
    again.finish(&store).unwrap();
    assert!(Fetch::<u8>::new(manifest, &store, Default::default()).unwrap().is_done(), "then nothing is missing");
}

fn fetched_whole(source: &Store, manifest: Manifest) -> u64 {
    let store = Store::default();
    let mut fetch = Fetch::new(manifest, &store, Default::default()).unwrap();
    serve(&mut fetch, &[1], source, &store).unwrap();
    fetch.bytes
}

#[test]
fn junk_is_told_from_lateness_and_others_are_asked_for_what_a_peer_owes() {
    let (_, source, manifest) = saved(50);
    let store = Store::default();
    let mut fetch = Fetch::new(manifest, &store, Default::default()).unwrap();
    let asked = fetch.next(&1, GET_MAX, UnixNanos(0));
    assert!(!asked.is_empty() && fetch.next(&2, GET_MAX, UnixNanos(0)).is_empty(), "nothing is asked of two");
    let mut forged = source.object(&asked[0]).unwrap();
    forged[0] ^= 1;
    assert_eq!(fetch.received(forged, &store).unwrap(), Received::Junk);
    assert_eq!(fetch.expire(UnixNanos(PATIENCE_NANOS)), [1].into());
    let again = fetch.next(&2, GET_MAX, UnixNanos(0));
    assert_eq!(again.iter().collect::<BTreeSet<_>>(), asked.iter().collect());
    let object = source.object(&asked[0]).unwrap();
    assert_eq!(fetch.received(object.clone(), &store).unwrap(), Received::Wanted);
    assert_eq!(fetch.received(object, &store).unwrap(), Received::Late);
    fetch.abandon(&2);
    serve(&mut fetch, &[3], &source, &store).unwrap();
    assert!(fetch.is_done());
}

#[test]
fn an_object_that_nobody_has_ends_it() {
    let (_, source, manifest) = saved(50);
    let store = Store::default();
    let mut fetch = Fetch::new(manifest, &store, Default::default()).unwrap();
    let asked = fetch.next(&1, GET_MAX, UnixNanos(0));
    assert_eq!(fetch.lacks(&1, &asked[..1], &[1, 2]), Ok(()));
    assert!(!fetch.next(&1, GET_MAX, UnixNanos(0)).contains(&asked[0]), "who has it not is not asked again");
    assert_eq!(fetch.next(&2, GET_MAX, UnixNanos(0)), asked[..1]);
    assert_eq!(fetch.lacks(&2, &asked[..1], &[1, 2]), Err(Ended::Lacking));
    let _ = source;
}
