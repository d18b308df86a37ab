use super::*;
use crate::genesis::random;
use bytes::BytesMut;
use mains_consensus::{ChainKey, Collector};
use mains_crypto::NodeKey;
use mains_state::{GenesisNode, Memo, NetworkKind, checkpoint, genesis::ChainKeyOrigin};
use mains_types::{Height, UnixNanos};
use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

/// A network of one, whose node has a certified checkpoint.
struct Place {
    root: tempfile::TempDir,
    node: NodeDir,
    root_key: Vec<u8>,
}

fn place(network: &str) -> Place {
    let root = tempfile::tempdir().expect("a temporary directory");
    let node = NodeDir::new(root.path().join("node"));
    let key = NodeKey::from_seed(random());
    let (sharing, shares) = ChainKey::deal(1, random());
    let genesis = Genesis {
        network: network.into(),
        kind: NetworkKind::Test,
        time: UnixNanos(1),
        nodes: vec![GenesisNode { public_key: key.public(), operator: key.node_id() }],
        chain_key_origin: ChainKeyOrigin::TrustedDealer,
        chain_key: sharing.public_key().to_vec(),
        chain_key_sharing: sharing.encode(),
        accounts: Vec::new(),
        heartbeat_ms: 100,
        leader_timeout_ms: 200,
        require_publisher_signature: Default::default(),
        storage_bytes_max: mains_types::limits::SUBNET_STORAGE_BYTES,
    };
    let bytes = mains_wire::encode(&genesis);
    node.create_keys_directory().expect("made");
    fs::write(node.genesis(), &bytes).expect("written");
    let passphrase = zeroize::Zeroizing::new("open sesame, please".to_owned());
    keys::write(&node.node_key(), key.seed().as_slice(), Some(&passphrase)).expect("written");
    keys::write(&node.chain_share(), &shares[0], Some(&passphrase)).expect("written");
    let file = node.root().join("passphrase");
    fs::write(&file, &*passphrase).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let config = Config { passphrase_file: Some("passphrase".into()), ..Config::default() };
    crate::genesis::write_config(&node, config).expect("written");

    let mut state = State::genesis(&genesis);
    state.seal(Height(40), UnixNanos(2), [4; 32]);
    let data = DataDir::open(node.root(), blake3::hash(&bytes).as_bytes(), &key.public()).expect("opens");
    assert!(data.holds_all_votes().expect("readable"));
    fs::create_dir_all(data.chain()).expect("made");
    let store = FileCheckpoints::open(data.checkpoints()).expect("opens");
    checkpoint::save(&store, &state, &mut Memo::default()).expect("saved");
    let chain_key = ChainKey::decode(vec![key.public()], &sharing.encode(), Some(&shares[0])).expect("a share");
    let partial = chain_key.sign(state.height, state.root()).expect("signs");
    let certificate = Collector::new(Arc::new(chain_key)).add(partial).certificate.expect("one is enough");
    let mut signed = BytesMut::new();
    certificate.write(&mut signed);
    store.certify(state.height, &signed).expect("kept");
    Place { root, node, root_key: root_key(&genesis) }
}

impl Place {
    fn backup(&self, with_keys: bool) -> PathBuf {
        backup(self.node.root(), self.root.path(), with_keys).expect("backed up").file
    }

    /// Whether the node's next start would vote at once.
    fn votes(&self) -> bool {
        let (_, digest) = self.node.read_genesis().expect("there");
        let key = self.node.read_node_key(Some(&self.node.root().join("passphrase"))).expect("opens");
        let data = DataDir::open(self.node.root(), &digest, &key.public()).expect("opens");
        data.holds_all_votes().expect("readable")
    }
}

#[test]
fn a_backup_is_verified_with_the_root_key_alone_and_another_network_s_is_refused() {
    let (town, city) = (place("town"), place("city"));
    let file = town.backup(false);
    let report = verify_backup(&file, Some(&town.root_key)).expect("it holds");
    assert_eq!((report.network.as_str(), report.height, report.keys.len()), ("town", 40, 0));
    let error = verify_backup(&file, Some(&city.root_key)).expect_err("another network").to_string();
    assert!(error.contains("belongs to another network (town"), "{error}");
    let error = restore(&file, city.node.root(), &RestoreOptions::default()).expect_err("another network").to_string();
    assert!(error.contains("belongs to another network (town"), "{error}");
    assert!(city.votes(), "nothing was changed");
}

#[test]
fn a_state_that_the_network_did_not_sign_is_refused() {
    let (town, city) = (place("town"), place("city"));
    let (file, other) = (town.backup(false), Backup::open(&city.backup(false)).expect("whole"));
    // The certificate of another network's state, put beside this one's.
    let checkpoints = town.node.root().join("data/checkpoints");
    let store = FileCheckpoints::open(&checkpoints).expect("opens");
    store.certify(Height(40), &other.content.certificate).expect("kept");
    let error = backup(town.node.root(), &file, false).expect_err("not signed").to_string();
    assert!(error.contains("not signed by its network"), "{error}");
}

#[test]
fn a_restored_node_has_the_state_and_does_not_vote_until_it_may() {
    let town = place("town");
    let file = town.backup(false);
    assert!(town.votes());
    let error = restore(&file, town.node.root(), &RestoreOptions::default()).expect_err("data").to_string();
    assert!(error.contains("--replace"), "{error}");
    assert!(town.votes(), "nothing was changed");
    let options = RestoreOptions { replace: true, ..RestoreOptions::default() };
    restore(&file, town.node.root(), &options).expect("restored");
    assert!(town.node.root().join(ASIDE).join("chain").exists(), "the old data are aside");
    assert!(!town.votes(), "what it signed since the backup is unknown");
    // Emptied data are put back without a word, and the next start observes all the same.
    fs::remove_dir_all(town.node.root().join("data")).expect("removed");
    let report = restore(&file, town.node.root(), &RestoreOptions::default()).expect("restored");
    let store = FileCheckpoints::open(town.node.root().join("data/checkpoints")).expect("opens");
    let state = checkpoint::newest(&store, &mut |_, error| panic!("{error}")).expect("readable").expect("there");
    assert_eq!((state.height.get(), hex::encode(state.root())), (report.height, report.state_root));
    assert!(store.certificate(state.height).is_some());
    assert!(!town.votes());
}

#[test]
fn a_new_machine_gets_keys_from_the_backup_only_if_they_were_asked_for_and_does_not_vote_at_once() {
    let town = place("town");
    let (without, with) = (town.root.path().join("without"), town.root.path().join("with"));
    backup(town.node.root(), &without, false).expect("backed up");
    assert_eq!(backup(town.node.root(), &with, true).expect("backed up").keys, ["chain.share", "node.key"]);
    let machine = NodeDir::new(town.root.path().join("machine"));
    fs::create_dir_all(machine.root()).expect("made");
    for name in ["node.toml", "passphrase"] {
        fs::copy(town.node.root().join(name), machine.root().join(name)).expect("copied");
    }
    let error = restore(&without, machine.root(), &RestoreOptions::default()).expect_err("no keys").to_string();
    assert!(error.contains("put it back from where you keep it"), "{error}");
    restore(&with, machine.root(), &RestoreOptions::default()).expect("restored");
    let share = |node: &NodeDir| node.read_keys(Some(&node.root().join("passphrase"))).expect("opens").chain_share;
    assert_eq!(share(&machine), share(&town.node));
    let place = Place { node: machine, ..town };
    assert!(!place.votes(), "the key may have voted elsewhere");
}

#[test]
fn keys_that_are_not_sealed_stay_out_of_backups() {
    let town = place("town");
    fs::remove_file(town.node.node_key()).expect("removed");
    keys::write(&town.node.node_key(), &[1; 32], None).expect("written");
    let to = town.root.path().join("to");
    let error = backup(town.node.root(), &to, true).expect_err("not sealed").to_string();
    assert!(error.contains("is not sealed"), "{error}");
    assert!(!to.exists());
}
