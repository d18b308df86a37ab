use super::*;
use std::os::unix::fs::PermissionsExt;

const GENESIS_A: Digest32 = [1; 32];
const NODE_A: [u8; 32] = [2; 32];

fn open(root: &Path) -> Result<DataDir, StoreError> {
    DataDir::open(root, &GENESIS_A, &NODE_A)
}

/// One line, and it says what to do.
fn assert_helpful(error: &StoreError) {
    let text = error.to_string();
    assert!(!text.contains('\n') && text.contains(':'), "{text}");
}

#[test]
fn a_new_directory_is_created_private_with_keys_beside_data() {
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("a/b/node");
    let dir = open(&place).unwrap();
    for path in [dir.data(), dir.keys()] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(path.parent(), Some(place.as_path()));
    }
    assert_eq!(fs::read_to_string(dir.data().join("VERSION")).unwrap(), format!("{DATA_VERSION}\n"));
}

#[test]
fn the_same_node_opens_it_again() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    open(root.path()).unwrap();
}

#[test]
fn a_second_process_is_told_who_uses_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    let error = open(root.path()).unwrap_err();
    assert_helpful(&error);
    assert!(matches!(&error, StoreError::InUse { holder, .. } if *holder == std::process::id().to_string()));
    drop(first);
    open(root.path()).unwrap();
}

#[test]
fn a_foreign_genesis_is_refused_and_nothing_is_changed() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let error = DataDir::open(root.path(), &[9; 32], &NODE_A).unwrap_err();
    assert_helpful(&error);
    assert!(matches!(error, StoreError::OtherGenesis { .. }));
    open(root.path()).unwrap();
}

#[test]
fn a_foreign_node_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let error = DataDir::open(root.path(), &GENESIS_A, &[9; 32]).unwrap_err();
    assert_helpful(&error);
    assert!(matches!(error, StoreError::OtherNode { .. }));
}

#[test]
fn another_version_is_refused_whatever_the_file_says() {
    let newer = (DATA_VERSION + 1).to_string();
    for content in [newer.as_str(), "", "one", "\u{1b}[2J", "999999999999999999999999"] {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path()).unwrap());
        fs::write(root.path().join("data/VERSION"), content).unwrap();
        let error = open(root.path()).unwrap_err();
        assert_helpful(&error);
        assert!(matches!(error, StoreError::OtherVersion { .. }), "{content:?}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[test]
fn somebody_else_s_files_are_not_taken_over() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    fs::write(root.path().join("data/thesis.txt"), "years of work").unwrap();
    let error = open(root.path()).unwrap_err();
    assert_helpful(&error);
    assert!(matches!(&error, StoreError::NotOurs { found, .. } if found == "thesis.txt"));
}

#[test]
fn a_first_start_that_was_cut_short_is_taken_up_again() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    fs::write(root.path().join("data/LOCK"), "123\n").unwrap();
    fs::write(root.path().join("data/VERSION.unfinished"), "").unwrap();
    drop(open(root.path()).unwrap());
    fs::remove_file(root.path().join("data/node.public")).unwrap();
    open(root.path()).unwrap();
}

#[test]
fn a_directory_without_the_right_to_write_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let result = open(root.path());
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
    match result {
        // The superuser may write everywhere; what is left to show is the mapping.
        Ok(_) => {
            let error = not_writable(root.path(), ErrorKind::ReadOnlyFilesystem.into());
            assert!(matches!(error, StoreError::NotWritable { .. }));
        }
        Err(error) => {
            assert_helpful(&error);
            assert!(matches!(error, StoreError::NotWritable { .. }));
        }
    }
}

#[test]
fn a_file_in_the_way_is_an_error_and_no_panic() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("data"), "").unwrap();
    assert!(matches!(open(root.path()), Err(StoreError::File { .. })));
}

#[test]
fn an_emptied_directory_does_not_hold_all_votes_until_somebody_says_so() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(root.path()).unwrap();
    assert!(dir.holds_all_votes().unwrap() && dir.holds_all_votes().unwrap());
    drop(dir);
    fs::remove_dir_all(root.path().join("data")).unwrap();
    let dir = open(root.path()).unwrap();
    assert!(!dir.holds_all_votes().unwrap() && !dir.holds_all_votes().unwrap());
    dir.votes_marker().set().unwrap();
    assert!(dir.holds_all_votes().unwrap());
    dir.votes_marker().remove().unwrap();
    dir.votes_marker().remove().unwrap();
    assert!(!dir.holds_all_votes().unwrap());
}

#[test]
fn the_version_of_the_protocol_only_rises_and_survives() {
    let root = tempfile::tempdir().unwrap();
    let dir = open(root.path()).unwrap();
    assert_eq!(dir.protocol().read(), Ok(1), "before the first switch");
    dir.protocol().raise(3).unwrap();
    dir.protocol().raise(2).unwrap();
    drop(dir);
    let dir = open(root.path()).unwrap();
    assert_eq!(dir.protocol().read(), Ok(3));
    fs::write(dir.data().join("PROTOCOL"), "three").unwrap();
    assert!(dir.protocol().read().is_err() && dir.protocol().raise(4).is_err(), "nobody knows what these data are");
}
