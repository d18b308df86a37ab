use super::*;
use crate::{Addresses, TestnetOptions, create_testnet};
use std::fs;

/// The files of a network of one node on these ports.
fn solo(api: u16, p2p_port: u16) -> (tempfile::TempDir, NodeDir) {
    let root = tempfile::tempdir().expect("a temporary directory");
    let addresses = vec![Addresses { api: ([127, 0, 0, 1], api).into(), p2p: ([127, 0, 0, 1], p2p_port).into() }];
    let options = TestnetOptions {
        network: "solo".into(),
        nodes: 1,
        addresses,
        funded: Vec::new(),
        require_publisher_signature: mains_state::RequiredSignature::default(),
    };
    let made = create_testnet(root.path(), &options).expect("made");
    let dir = NodeDir::new(&made.nodes[0]);
    (root, dir)
}

/// What is not good about `subject`.
fn complaints(dir: &NodeDir, subject: &str) -> Vec<Finding> {
    let bad = |finding: &Finding| finding.subject == subject && finding.severity != Severity::Good;
    examine(dir.root()).into_iter().filter(bad).collect()
}

#[test]
fn a_sound_node_has_nothing_bad() {
    let (_root, dir) = solo(0, 0);
    let bad: Vec<_> = examine(dir.root()).into_iter().filter(|finding| finding.severity == Severity::Bad).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let left: Vec<_> = fs::read_dir(dir.root()).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".doctor")), "{left:?}");
}

#[test]
fn what_is_wrong_is_named_with_its_fix() {
    let (_other_root, other) = solo(0, 0);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (_root, dir) = solo(taken.local_addr().expect("bound").port(), 0);
    let ports = complaints(&dir, "ports");
    assert!(ports.len() == 1 && ports[0].fix.contains("ss -lptun"), "{ports:?}");

    fs::set_permissions(dir.chain_share(), fs::Permissions::from_mode(0o644)).expect("ours");
    assert!(complaints(&dir, "keys")[0].seen.contains("chmod 600"));
    fs::set_permissions(dir.chain_share(), fs::Permissions::from_mode(0o600)).expect("ours");

    fs::copy(other.chain_share(), dir.chain_share()).expect("copied");
    assert!(complaints(&dir, "keys")[0].seen.contains("do not belong together"));

    fs::create_dir(dir.root().join("data")).expect("made");
    fs::write(dir.root().join("data/VERSION"), "99").expect("written");
    fs::set_permissions(dir.root().join("data"), fs::Permissions::from_mode(0o755)).expect("ours");
    let data: Vec<String> = complaints(&dir, "data").into_iter().map(|finding| finding.seen).collect();
    assert!(
        data[0].contains("open to others") && data[1].contains("99") && data[2].contains("another network"),
        "{data:?}"
    );

    fs::write(dir.config(), "api = 1").expect("written");
    assert!(complaints(&dir, "config")[0].seen.contains("node.toml:1"));
    fs::remove_file(dir.genesis()).expect("removed");
    assert!(complaints(&dir, "genesis")[0].seen.contains("genesis.cbor"));
}

#[test]
fn peers_that_do_not_answer_are_named() {
    let listening = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let address = |at: SocketAddr| format!("/ip4/127.0.0.1/tcp/{}", at.port()).parse().expect("a multiaddr");
    let (_root, dir) = solo(0, 0);
    let mut config = Config::read(&dir.config()).expect("a config");
    config.bootstrap = vec![address(listening.local_addr().expect("bound")), address(silent)];
    let found = peers(&config, 4);
    assert_eq!(found[0].severity, Severity::Warning);
    assert!(found[0].fix.contains(&silent.to_string()), "{found:?}");
    config.bootstrap.clear();
    assert_eq!(peers(&config, 4)[0].severity, Severity::Bad);
    assert!(peers(&config, 1).is_empty(), "a network of one has no peers");
}

#[test]
fn a_directory_that_nobody_serves_is_not_running() {
    let (_root, dir) = solo(0, 0);
    assert!(running(&dir).is_none());
    let run = RunFile { pid: std::process::id(), node_id: String::new(), api: String::new(), root_key: String::new() };
    fs::write(dir.run_file(), serde_json::to_vec(&run).expect("JSON")).expect("written");
    assert!(running(&dir).is_none(), "a living process without the lock is another one");
}
