use super::*;
use std::os::unix::fs::FileExt;

fn open() -> (tempfile::TempDir, FileCheckpoints) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileCheckpoints::open(directory.path().join("checkpoints")).unwrap();
    (directory, store)
}

fn saved(heights: &[u64]) -> (tempfile::TempDir, FileCheckpoints) {
    let (directory, store) = open();
    for height in heights {
        store.try_save(Height(*height), [*height as u8; 32], format!("state {height}").as_bytes()).unwrap();
    }
    (directory, store)
}

fn sorted_names(store: &FileCheckpoints) -> Vec<String> {
    let mut names = names(&store.directory).unwrap();
    names.sort();
    names
}

#[test]
fn an_empty_directory_has_no_checkpoint() {
    assert_eq!(open().1.load_newest(), None);
}

#[test]
fn the_newest_checkpoint_is_loaded_and_two_are_kept() {
    let (_directory, store) = saved(&[9, 10, 1_000]);
    assert_eq!(store.load_newest(), Some((Height(1_000), [1_000u64 as u8; 32], b"state 1000".to_vec())));
    assert_eq!(sorted_names(&store), ["checkpoint-10", "checkpoint-1000"]);
}

#[test]
fn checkpoints_survive_a_restart() {
    let (directory, store) = saved(&[1, 2]);
    drop(store);
    let store = FileCheckpoints::open(directory.path().join("checkpoints")).unwrap();
    assert_eq!(store.load_newest().unwrap().0, Height(2));
}

#[test]
fn an_empty_state_is_a_state() {
    let (_directory, store) = open();
    store.try_save(Height(0), [0; 32], &[]).unwrap();
    assert_eq!(store.load_newest(), Some((Height(0), [0; 32], Vec::new())));
}

#[test]
fn a_torn_checkpoint_is_set_aside_and_the_older_one_serves_wherever_it_was_torn() {
    let length = {
        let (_directory, store) = saved(&[1]);
        fs::metadata(store.path(Height(1))).unwrap().len()
    };
    for kept in 0..length {
        let (_directory, store) = saved(&[1, 2]);
        fs::File::options().write(true).open(store.path(Height(2))).unwrap().set_len(kept).unwrap();
        assert_eq!(store.load_newest().unwrap().2, b"state 1", "torn after {kept} bytes");
        assert_eq!(sorted_names(&store), ["checkpoint-1", "checkpoint-2.corrupt"]);
    }
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let bytes = {
        let (_directory, store) = saved(&[1, 2]);
        fs::read(store.path(Height(2))).unwrap()
    };
    for (position, byte) in bytes.iter().enumerate() {
        let (_directory, store) = saved(&[1, 2]);
        let file = fs::File::options().write(true).open(store.path(Height(2))).unwrap();
        file.write_all_at(&[byte ^ 1], position as u64).unwrap();
        assert_eq!(store.load_newest().unwrap().0, Height(1), "bit flipped at {position}");
    }
}

#[test]
fn trailing_bytes_make_a_checkpoint_invalid() {
    let (_directory, store) = saved(&[1, 2]);
    let file = fs::File::options().write(true).open(store.path(Height(2))).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(b"x", length).unwrap();
    assert_eq!(store.load_newest().unwrap().0, Height(1));
}

#[test]
fn another_release_s_checkpoint_is_refused_and_left_alone() {
    let (_directory, store) = saved(&[1, 2]);
    let file = fs::File::options().write(true).open(store.path(Height(2))).unwrap();
    file.write_all_at(&[9], 8).unwrap();
    // Its digest covers its version, so that of another release is another one.
    file.write_all_at(&[7; 32], 60).unwrap();
    assert!(matches!(store.try_load_newest(), Err(StoreError::OtherVersion { expected: 1, .. })));
    assert!(matches!(FileCheckpoints::open(&store.directory), Err(StoreError::OtherVersion { expected: 1, .. })));
    assert_eq!(sorted_names(&store), ["checkpoint-1", "checkpoint-2"]);
}

#[test]
fn a_checkpoint_under_another_height_s_name_is_set_aside() {
    let (_directory, store) = saved(&[1]);
    fs::copy(store.path(Height(1)), store.path(Height(7))).unwrap();
    assert_eq!(store.load_newest().unwrap().0, Height(1));
}

#[test]
fn when_all_are_damaged_there_is_none_and_the_next_one_can_be_saved() {
    let (_directory, store) = saved(&[1, 2]);
    for height in [1, 2] {
        fs::write(store.path(Height(height)), b"garbage").unwrap();
    }
    assert_eq!(store.load_newest(), None);
    store.try_save(Height(3), [3; 32], b"state 3").unwrap();
    assert_eq!(store.load_newest().unwrap().0, Height(3));
}

#[test]
fn damaged_files_do_not_pile_up() {
    let (_directory, store) = open();
    for height in 1..10 {
        fs::write(store.path(Height(height)), b"garbage").unwrap();
    }
    assert_eq!(store.load_newest(), None);
    assert_eq!(sorted_names(&store).len(), CORRUPT_KEPT);
}

#[test]
fn an_unfinished_file_is_removed_at_the_next_start_and_strangers_are_left_alone() {
    let (directory, store) = saved(&[1]);
    let place = directory.path().join("checkpoints");
    fs::write(place.join("checkpoint-2.unfinished"), b"half").unwrap();
    for stranger in ["notes.txt", "checkpoint-02", "checkpoint-x", "checkpoint-+3"] {
        fs::write(place.join(stranger), b"mine").unwrap();
    }
    drop(store);
    let store = FileCheckpoints::open(&place).unwrap();
    assert_eq!(store.load_newest().unwrap().0, Height(1));
    let expected = ["checkpoint-+3", "checkpoint-02", "checkpoint-1", "checkpoint-x", "notes.txt"];
    assert_eq!(sorted_names(&store), expected);
}

#[test]
fn a_quarantined_checkpoint_makes_way_for_the_older_one() {
    let (_directory, store) = saved(&[1, 2]);
    store.quarantine(Height(2)).unwrap();
    assert_eq!(store.load_newest().unwrap().0, Height(1));
    assert!(matches!(store.quarantine(Height(2)), Err(StoreError::File { action: "rename", .. })));
}

#[test]
fn a_save_that_fails_leaves_the_older_ones_and_does_not_stop_the_replica() {
    let (_directory, store) = saved(&[1]);
    // A directory in the way of the rename fails for every user, root too.
    fs::create_dir(store.path(Height(2))).unwrap();
    assert!(store.try_save(Height(2), [2; 32], b"state 2").is_err());
    store.save(Height(2), [2; 32], b"state 2");
    fs::remove_dir(store.path(Height(2))).unwrap();
    assert_eq!(sorted_names(&store), ["checkpoint-1"]);
    assert_eq!(store.load_newest().unwrap().0, Height(1));
}
