use super::*;
use crate::{
    FileCheckpoints,
    checkpoints::tests::{next, state},
};
use mains_state::{CheckpointStore as _, Memo, State, checkpoint};

struct Node(tempfile::TempDir, FileCheckpoints, Memo);

impl Node {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = FileCheckpoints::open(directory.path().join("checkpoints")).unwrap();
        Self(directory, store, Memo::default())
    }

    fn keeps(&mut self, state: &State, certificate: Option<&[u8]>) {
        checkpoint::save(&self.1, state, &mut self.2).unwrap();
        certificate.into_iter().for_each(|bytes| self.1.certify(state.height, bytes).unwrap());
    }

    fn backup(&self, keys: BTreeMap<String, Vec<u8>>) -> Result<PathBuf, StoreError> {
        let to = self.0.path().join("node.backup");
        write_backup(&to, &self.0.path().join("checkpoints"), b"genesis".to_vec(), keys).map(|_| to)
    }
}

#[test]
fn a_backup_holds_the_newest_state_that_has_a_certificate_while_the_node_goes_on() {
    let mut node = Node::new();
    assert!(matches!(node.backup(BTreeMap::new()), Err(StoreError::NoCheckpoint { .. })));
    let (first, second) = (state(), next(&state(), &[3]));
    node.keeps(&first, Some(b"first"));
    node.keeps(&second, None);
    let keys = BTreeMap::from([("node.key".to_owned(), b"sealed".to_vec())]);
    let path = node.backup(keys.clone()).unwrap();
    let backup = Backup::open(&path).unwrap();
    assert_eq!(
        (backup.content.genesis.as_slice(), backup.content.certificate.as_slice()),
        (&b"genesis"[..], &b"first"[..])
    );
    assert_eq!(backup.content.keys, keys);
    assert_eq!(backup.bytes(), fs::metadata(&path).unwrap().len());
    let restored = State::read(&backup.content.manifest, &backup).unwrap();
    assert_eq!((restored.height, restored.root()), (first.height, first.root()));
    assert_eq!(fs::read_dir(node.0.path()).unwrap().count(), 2, "no litter");
}

#[test]
fn damage_anywhere_is_found_and_named() {
    let mut node = Node::new();
    node.keeps(&state(), Some(b"certificate"));
    let path = node.backup(BTreeMap::new()).unwrap();
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let text = Backup::open(&path).unwrap_err().to_string();
        assert!(text.contains("node.backup: ") && !text.contains('\n'), "{text}");
        text
    };
    let bent = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        refused(&bytes)
    };
    assert!(bent(0).contains("no backup of this release"));
    assert!(bent(8 + 40).contains("the genesis file (part 0"));
    assert!(bent(8 + 37 + 7 + 40).contains("the manifest"));
    assert!(bent(whole.len() / 2).contains("an object of the state (part "));
    assert!(bent(whole.len() - 1).contains("the end"));
    for length in [0, 7, 30, whole.len() / 3, whole.len() - 1] {
        let text = refused(&whole[..length]);
        assert!(text.contains("no backup") || text.contains("it ends at byte"), "{text}");
    }
    for at in (8..whole.len()).step_by(4_999) {
        bent(at);
    }
    // A part that was cut out whole.
    let mut shorter = whole[..8].to_vec();
    shorter.extend_from_slice(&whole[8 + 37 + 7..]);
    assert!(refused(&shorter).contains("parts are missing"));
    fs::write(&path, &whole).unwrap();
    Backup::open(&path).unwrap();
}

#[test]
fn a_key_file_s_name_leads_nowhere_else() {
    assert_eq!(key(b"node.key\0x"), Some(("node.key".into(), b"x".to_vec())));
    for bytes in [&b"../node.key\0x"[..], b"/etc/passwd\0x", b".hidden\0x", b"\0x", b"node.key"] {
        assert_eq!(key(bytes), None);
    }
}
