use super::*;
use mains_types::limits;
use std::{fs, os::unix::fs::PermissionsExt as _};

fn public_key(initialized: &Initialized) -> [u8; 32] {
    hex::decode(&initialized.public_key).expect("hex").try_into().expect("32 bytes")
}

/// Two nodes with keys, and their invitations to one network.
fn two(root: &Path, options: &InitOptions) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let dirs: Vec<PathBuf> = ["a", "b"].iter().map(|name| root.join(name)).collect();
    let made: Vec<_> = dirs.iter().map(|dir| init(dir, options).expect("made")).collect();
    let address = "/ip4/192.0.2.1/tcp/4951".parse().ok();
    let members = made.iter().map(|node| Member { public_key: public_key(node), address: address.clone() });
    invite(&root.join("invitations"), "town", members.collect(), limits::SUBNET_STORAGE_BYTES).expect("invited");
    let invitation = |node: &Initialized| root.join("invitations").join(format!("{}.invitation", node.public_key));
    (dirs, made.iter().map(invitation).collect())
}

#[test]
fn keys_come_first_and_an_invitation_completes_the_node() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (dirs, invitations) = two(root.path(), &InitOptions::default());
    let before = fs::read(NodeDir::new(&dirs[0]).node_key()).expect("a key");
    let joined = init(&dirs[0], &InitOptions { join: Some(invitations[0].clone()), ..InitOptions::default() });
    assert_eq!(joined.expect("joined").network.as_deref(), Some("town"));
    let node = NodeDir::new(&dirs[0]);
    assert_eq!(fs::read(node.node_key()).expect("a key"), before, "the key stays");
    let keys = node.read_keys(None).expect("both keys");
    let (genesis, _) = node.read_genesis().expect("a genesis file");
    check_share(&genesis, &keys.node, &keys.chain_share).expect("this node's share");
    let config = Config::read(&node.config()).expect("a config");
    assert_eq!(config.bootstrap.len(), 1);
    assert!(config.bootstrap[0].to_string().starts_with("/ip4/192.0.2.1/tcp/4951/p2p/"));
    // Again, with and without the invitation: nothing changes.
    let files = || [node.genesis(), node.chain_share(), node.config()].map(|path| fs::read(path).expect("there"));
    let unchanged = files();
    init(&dirs[0], &InitOptions { join: Some(invitations[0].clone()), ..InitOptions::default() }).expect("again");
    init(&dirs[0], &InitOptions::default()).expect("and again");
    assert_eq!(files(), unchanged);
}

#[test]
fn an_invitation_for_another_node_or_network_changes_nothing() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let (dirs, invitations) = two(root.path(), &InitOptions::default());
    let join = |invitation: &Path| InitOptions { join: Some(invitation.to_owned()), ..InitOptions::default() };
    let error = init(&dirs[0], &join(&invitations[1])).expect_err("another node's").to_string();
    assert!(error.contains("invites the node with key"), "{error}");
    // A share that was swapped on the way.
    let swapped = root.path().join("swapped");
    let read =
        |path: &Path| serde_json::from_slice::<serde_json::Value>(&fs::read(path).expect("there")).expect("JSON");
    let (mut first, second) = (read(&invitations[0]), read(&invitations[1]));
    first["chain_share"] = second["chain_share"].clone();
    fs::write(&swapped, first.to_string()).expect("written");
    let error = init(&dirs[0], &join(&swapped)).expect_err("another share").to_string();
    assert!(error.contains("share of the chain key"), "{error}");
    assert!(!NodeDir::new(&dirs[0]).genesis().exists() && !NodeDir::new(&dirs[0]).chain_share().exists());
    // A member of one network is not moved to another.
    init(&dirs[0], &join(&invitations[0])).expect("joined");
    let key = public_key(&init(&dirs[0], &InitOptions::default()).expect("there"));
    let other = invite(
        &root.path().join("other"),
        "city",
        vec![Member { public_key: key, address: None }],
        limits::SUBNET_STORAGE_BYTES,
    );
    let error = init(&dirs[0], &join(&other.expect("dealt")[0])).expect_err("a second network").to_string();
    assert!(error.contains("genesis.cbor is there already"), "{error}");
}

#[test]
fn sealed_keys_need_their_passphrase() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let passphrase = root.path().join("passphrase");
    fs::write(&passphrase, "correct horse battery\n").expect("written");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("ours");
    let options = InitOptions { seal: true, passphrase_file: Some(passphrase.clone()), ..InitOptions::default() };
    let (dirs, invitations) = two(root.path(), &options);
    let join = InitOptions { join: Some(invitations[0].clone()), ..InitOptions::default() };
    assert!(init(&dirs[0], &join).expect("joined").sealed);
    let node = NodeDir::new(&dirs[0]);
    assert!(fs::read_to_string(node.chain_share()).expect("there").starts_with("mains-sealed-1"));
    node.read_keys(Some(&passphrase)).expect("the right passphrase");
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o644)).expect("ours");
    assert!(matches!(node.read_keys(Some(&passphrase)), Err(OperatorError::KeyOpenToOthers { mode: 0o644, .. })));
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(&passphrase, "another one entirely").expect("written");
    assert!(matches!(node.read_keys(Some(&passphrase)), Err(OperatorError::WrongPassphrase { .. })));
    fs::write(&passphrase, "short").expect("written");
    let short = init(&root.path().join("c"), &options).expect_err("too short").to_string();
    assert!(short.contains("at least 8"), "{short}");
}
