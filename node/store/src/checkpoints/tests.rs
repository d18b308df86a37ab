use super::*;
use mains_state::{
    Canister, Code, EncodingError, Exports, Genesis, Heap, Memo, PAGE_BYTES, Settings, State,
    checkpoint::{self, Saved},
};
use mains_types::{Principal, UnixNanos, ids::canister_id};
use std::{collections::BTreeMap, os::unix::fs::FileExt};

const PAGES: u64 = 600;

/// A subnet with one canister of so many pages.
pub(crate) fn state() -> State {
    let mut state = State::genesis(&Genesis::rehearsal([Principal::anonymous()]));
    let mut canister = Canister::new(canister_id(0x100), Settings::default(), state.time);
    let mut heap = Heap { bytes: PAGES * PAGE_BYTES as u64, ..Heap::default() };
    for page in 0..PAGES {
        heap.pages.write(page * PAGE_BYTES as u64, blake3::hash(&page.to_le_bytes()).as_bytes());
    }
    let module = vec![7; 300_000];
    canister.code =
        Some(Code::new(std::sync::Arc::new(module.into()), [3; 32], heap, BTreeMap::new(), Exports::default()));
    state.insert_canister(canister);
    next(&state, &[])
}

/// The state a height later, with other content in these pages.
pub(crate) fn next(state: &State, pages: &[u64]) -> State {
    let mut state = state.clone();
    let height = state.height.next();
    let canister = state.canister_mut(&canister_id(0x100)).unwrap();
    for page in pages {
        canister.code.as_mut().unwrap().heap.pages.write(page * PAGE_BYTES as u64 + 8, &height.get().to_le_bytes());
    }
    state.seal(height, UnixNanos(1 + height.get()), [0; 32]);
    state
}

struct Place(tempfile::TempDir, FileCheckpoints, Memo);

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = FileCheckpoints::open_with(directory.path().join("checkpoints"), 1 << 20).unwrap();
        Self(directory, store, Memo::default())
    }

    fn reopened(self) -> Self {
        let Self(directory, store, memo) = self;
        drop(store);
        let store = FileCheckpoints::open_with(directory.path().join("checkpoints"), 1 << 20).unwrap();
        Self(directory, store, memo)
    }

    fn save(&mut self, state: &State) -> Saved {
        checkpoint::save(&self.1, state, &mut self.2).unwrap()
    }

    /// The newest state that can be restored, and how many were set aside before.
    fn newest(&self) -> (Option<State>, Vec<EncodingError>) {
        let mut damaged = Vec::new();
        (checkpoint::newest(&self.1, &mut |_, error| damaged.push(error)).unwrap(), damaged)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("checkpoints").join(name)
    }

    /// Flips a bit of the pack that holds `needle`, within it.
    fn flip(&self, needle: &[u8]) {
        for entry in fs::read_dir(self.path("objects")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
                let file = fs::File::options().write(true).open(path).unwrap();
                return file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();
            }
        }
        panic!("no pack holds it");
    }
}

#[test]
fn a_saved_state_comes_back_after_a_restart_and_two_checkpoints_are_kept() {
    let (mut place, first) = (Place::new(), state());
    assert!(place.newest().0.is_none());
    let (second, third) = (next(&first, &[1]), next(&next(&first, &[1]), &[2]));
    for state in [&first, &second, &third] {
        place.save(state);
    }
    place.1.certify(third.height, b"certificate").unwrap();
    let place = place.reopened();
    let again = place.newest().0.unwrap();
    assert_eq!((again.root(), again.height), (third.root(), third.height));
    assert_eq!(again.encode(), third.encode());
    assert_eq!(place.1.certificate(third.height).unwrap(), b"certificate");
    assert_eq!(place.1.certificate(second.height), None);
    let heights: Vec<Height> = place.1.manifests().unwrap().iter().map(|manifest| manifest.height).collect();
    assert_eq!(heights, [third.height, second.height]);
}

#[test]
fn a_checkpoint_costs_what_changed_since_the_one_before() {
    let (mut place, first) = (Place::new(), state());
    let whole = place.save(&first);
    assert!(whole.bytes > PAGES * PAGE_BYTES as u64);
    let nothing = place.save(&next(&first, &[]));
    assert!(nothing.bytes < 20_000, "{} bytes", nothing.bytes);
    let ten: Vec<u64> = (0..10).map(|page| page * 50).collect();
    let ten = place.save(&next(&first, &ten));
    assert!(ten.objects < 40 && ten.bytes < 10 * PAGE_BYTES as u64 + 30_000, "{ten:?}");
}

#[test]
fn a_torn_or_flipped_manifest_is_set_aside_and_the_older_one_serves() {
    let first = state();
    let second = next(&first, &[1]);
    let mut place = Place::new();
    place.save(&first);
    place.save(&second);
    let whole = fs::read(place.path("checkpoint-2")).unwrap();
    for at in 0..whole.len() as u64 {
        for torn in [false, true] {
            fs::write(place.path("checkpoint-2"), &whole).unwrap();
            let file = fs::File::options().read(true).write(true).open(place.path("checkpoint-2")).unwrap();
            if torn {
                file.set_len(at).unwrap();
            } else {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ 1], at).unwrap();
            }
            assert_eq!(place.newest().0.unwrap().root(), first.root(), "at {at}");
            assert!(place.path("checkpoint-2.corrupt").exists() && !place.path("checkpoint-2").exists());
        }
    }
}

#[test]
fn a_damaged_object_is_found_and_only_what_needs_it_is_lost() {
    let (mut place, first) = (Place::new(), state());
    let second = next(&first, &[5]);
    place.save(&first);
    place.save(&second);
    let page = |state: &State| {
        let code = state.canister(&canister_id(0x100)).unwrap().code.clone().unwrap();
        code.heap.pages.get(5).unwrap().to_vec()
    };
    place.flip(&page(&second));
    let mut place = place.reopened();
    let (found, damaged) = place.newest();
    assert_eq!(found.unwrap().root(), first.root());
    assert!(matches!(damaged[..], [EncodingError::Object(_)]));
    // Nothing below a node that is kept would be looked at otherwise.
    place.save(&second);
    assert_eq!(place.reopened().newest().0.unwrap().root(), second.root());
}

#[test]
fn an_object_of_both_checkpoints_that_is_damaged_leaves_none_until_it_is_put_again() {
    let (mut place, first) = (Place::new(), state());
    place.save(&first);
    place.save(&next(&first, &[5]));
    let code = first.canister(&canister_id(0x100)).unwrap().code.clone().unwrap();
    place.flip(&code.heap.pages.get(99).unwrap()[..]);
    let mut place = place.reopened();
    assert_eq!(place.newest().1.len(), 2);
    assert!(place.newest().0.is_none() && !place.1.is_complete());
    place.save(&first);
    assert!(place.1.is_complete());
    assert_eq!(place.newest().0.unwrap().root(), first.root());
}

#[test]
fn what_a_crash_left_unfinished_is_removed_and_what_was_torn_is_noticed() {
    let (mut place, first) = (Place::new(), state());
    place.save(&first);
    fs::write(place.path("objects/pack-99.unfinished"), b"half").unwrap();
    fs::write(place.path("checkpoint-9.unfinished"), b"half").unwrap();
    let place = place.reopened();
    assert!(!place.path("objects/pack-99.unfinished").exists() && !place.path("checkpoint-9.unfinished").exists());
    assert_eq!(place.newest().0.unwrap().root(), first.root());
    let pack = place.path("objects/pack-0");
    let length = fs::metadata(&pack).unwrap().len();
    fs::File::options().write(true).open(&pack).unwrap().set_len(length - 10).unwrap();
    let mut place = place.reopened();
    assert!(!place.1.is_complete() && place.newest().0.is_none());
    place.save(&first);
    assert_eq!(place.newest().0.unwrap().root(), first.root());
}

#[test]
fn room_is_given_back_and_the_disk_stays_bounded() {
    let (mut place, mut state) = (Place::new(), state());
    let whole = place.save(&state).bytes;
    for round in 0..60u64 {
        let pages: Vec<u64> = (0..200).map(|page| (page * 7 + round * 13) % PAGES).collect();
        state = next(&state, &pages);
        place.save(&state);
        // Two checkpoints are alive, as many bytes may be dead, and one pack more while copying.
        assert!(place.1.bytes() < 4 * whole + (3 << 20), "{} after {round}", place.1.bytes());
    }
    let place = place.reopened();
    assert_eq!(place.newest().0.unwrap().root(), state.root());
    assert!(fs::read_dir(place.path("objects")).unwrap().count() < 70);
}

#[test]
fn a_failed_write_leaves_the_older_checkpoint_and_the_next_one_works() {
    let (mut place, first) = (Place::new(), state());
    place.save(&first);
    let (objects, away) = (place.path("objects"), place.path("away"));
    fs::rename(&objects, &away).unwrap();
    let second = next(&first, &[3]);
    let failed = checkpoint::save(&place.1, &second, &mut place.2);
    assert!(matches!(failed, Err(StorageFailure::Failed(_))), "{failed:?}");
    fs::rename(&away, &objects).unwrap();
    assert_eq!(place.1.manifests().unwrap()[0].height, first.height);
    place.save(&second);
    assert_eq!(place.reopened().newest().0.unwrap().root(), second.root());
}

#[test]
fn a_checkpoint_of_another_release_is_refused() {
    let mut place = Place::new();
    place.save(&state());
    let file = fs::File::options().write(true).open(place.path("checkpoint-1")).unwrap();
    file.write_all_at(&7u32.to_le_bytes(), 8).unwrap();
    // With this release's digest it is this release's, damaged.
    assert!(place.newest().0.is_none());
    fs::write(place.path("checkpoint-5"), [&b"MAINSCKP"[..], &1u32.to_le_bytes(), &[0; 99]].concat()).unwrap();
    let opened = FileCheckpoints::open(place.path(""));
    assert!(matches!(opened, Err(StoreError::OtherVersion { expected: 2, .. })));
}
