//! Nodes that cannot start: wrong keys, wrong genesis files, directories in the way, ports in use. Each ends at once with
//! one line that says what to do, and leaves every file as it was.

use anyhow::{Context as _, Result, ensure};
use mains_conformance::process::Solo;
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

const NODE: &str = env!("CARGO_BIN_EXE_conformance-node");
/// Where ports are looked for: away from other testnets.
const FIRST_PORT: u16 = 24_000;
/// A user without rights.
const NOBODY: u32 = 65_534;

/// Spoils a node's files; the value, if any, lives as long as the node is tried.
type Spoil = fn(&Solo) -> Result<Option<Box<dyn std::any::Any>>>;

/// How a node is spoilt, whether it has run before, and two texts of its last words: what is wrong, and what to do.
const CASES: [(&str, bool, Spoil, &str, &str); 16] = [
    ("no config file", false, |node| removed(&node.dir().config()), "node.toml", "Check that the path exists"),
    (
        "a config file with an unknown field",
        false,
        |node| appended(&node.dir().config(), "speed = 9"),
        "node.toml",
        "speed",
    ),
    (
        "a config file with a wrong address",
        false,
        |node| replaced(&node.dir().config(), "api = 'here'"),
        "`here` is no address",
        "write e.g. 127.0.0.1:4950",
    ),
    ("no genesis file", false, |node| removed(&node.dir().genesis()), "genesis.cbor", "belongs to no network yet"),
    (
        "a genesis file that is none",
        false,
        |node| replaced(&node.dir().genesis(), "genesis"),
        "no genesis file",
        "Ask the network's founders",
    ),
    ("a node key that is no hex", false, |node| replaced(&node.dir().node_key(), "secret"), "is not hex", "backup"),
    ("a node key that is cut off", false, |node| replaced(&node.dir().node_key(), "c0ffee"), "3 bytes", "backup"),
    ("no node key", false, |node| removed(&node.dir().node_key()), "node.key", "Check that the path exists"),
    ("another network's node key", false, other_networks_key, "is no member of network solo", "do not belong together"),
    (
        "another network's files on this node's data",
        true,
        other_networks_files,
        "belongs to another network",
        "genesis file",
    ),
    (
        "another node's key on this node's data",
        true,
        other_nodes_data,
        "belongs to the node with key",
        "put that node's key back",
    ),
    (
        "data of a later release",
        true,
        |node| replaced(&node.data().join("VERSION"), "99\n"),
        "data format 99",
        "run the release",
    ),
    (
        "a stranger's files for data",
        false,
        strangers_files,
        "holds files that are not a node's data",
        "empty or new directory",
    ),
    ("a file where the data should be", false, file_for_data, "data", ""),
    ("the API port in use", false, api_port_in_use, "cannot listen on", "node.toml (api)"),
    ("the directory in use by another node", true, running_already, "is in use by process", "stop that one first"),
];

#[test]
fn a_node_that_cannot_start_says_what_to_do() {
    let mut failures = Vec::new();
    for (index, (name, has_run, spoil, wrong, advice)) in CASES.iter().enumerate() {
        let node = Solo::new(FIRST_PORT + 10 * index as u16).expect("a node's files");
        if let Err(error) = ends_with_advice(&node, *has_run, *spoil, wrong, advice) {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    for (name, case) in
        [("a read-only directory", read_only as fn() -> Result<()>), ("the p2p port in use", p2p_port_in_use)]
    {
        if let Err(error) = case() {
            failures.push(format!("{name}: {error:#}"));
        }
    }
    assert!(failures.is_empty(), "{} cases failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_leftover_test_network_is_not_overwritten() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = mains_local::Options {
        dir: directory.path().join("testnet"),
        binary: NODE.into(),
        nodes: None,
        api_port: Some(FIRST_PORT + 1_000),
        require_publisher_signature: None,
        links: None,
    };
    mains_local::Testnet::create(&options).expect("the first one");
    let error = mains_local::Testnet::create(&options).err().expect("there is one already").to_string();
    assert!(
        error.contains("holds an earlier test network") && error.contains("--dir") && !error.contains('\n'),
        "{error}"
    );
}

fn ends_with_advice(node: &Solo, has_run: bool, spoil: Spoil, wrong: &str, advice: &str) -> Result<()> {
    if has_run {
        node.run_once(NODE)?;
    }
    let _kept = spoil(node)?;
    says(node, Command::new(NODE), &[wrong, advice])
}

/// Sees that the node ends with one line that has all these texts in it, and that no file has changed.
fn says(node: &Solo, command: Command, texts: &[&str]) -> Result<()> {
    let before = node.files()?;
    let ended = node.run_to_its_end(command)?;
    ensure!(ended.code == Some(1), "exit code 1, not {ended:?}");
    let [line] = &ended.lines[..] else { anyhow::bail!("one line, not {:#?}", ended.lines) };
    for text in texts {
        ensure!(line.contains(text), "not a word of {text:?}: {line}");
    }
    let after = node.files()?;
    let changed: Vec<_> = before.iter().filter(|(path, content)| after.get(*path) != Some(content)).collect();
    ensure!(changed.is_empty(), "changed: {:?}", changed.iter().map(|(path, _)| path).collect::<Vec<_>>());
    Ok(())
}

fn removed(path: &Path) -> Result<Option<Box<dyn std::any::Any>>> {
    fs::remove_file(path).with_context(|| path.display().to_string())?;
    Ok(None)
}

fn replaced(path: &Path, text: &str) -> Result<Option<Box<dyn std::any::Any>>> {
    fs::write(path, text).with_context(|| path.display().to_string())?;
    Ok(None)
}

fn appended(path: &Path, line: &str) -> Result<Option<Box<dyn std::any::Any>>> {
    // In front: at the end it might belong to a table.
    let text = format!("{line}\n{}", fs::read_to_string(path)?);
    replaced(path, &text)
}

fn other_networks_key(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    let other = Solo::new(node.api_port)?;
    fs::copy(other.dir().node_key(), node.dir().node_key())?;
    Ok(None)
}

/// Genesis file, key and share fit each other, but not the data.
fn other_networks_files(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    let other = Solo::new(node.api_port)?;
    for (from, to) in [
        (other.dir().genesis(), node.dir().genesis()),
        (other.dir().node_key(), node.dir().node_key()),
        (other.dir().chain_share(), node.dir().chain_share()),
    ] {
        fs::copy(from, to)?;
    }
    Ok(None)
}

/// The data say that they are another node's of the same network.
fn other_nodes_data(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    replaced(&node.data().join("node.public"), &format!("{}\n", "ab".repeat(32)))
}

fn strangers_files(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    fs::create_dir(node.data())?;
    replaced(&node.data().join("holiday.jpg"), "not a node's")
}

fn file_for_data(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    replaced(&node.data(), "in the way")
}

fn api_port_in_use(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    Ok(Some(Box::new(TcpListener::bind((Ipv4Addr::LOCALHOST, node.api_port))?)))
}

fn running_already(node: &Solo) -> Result<Option<Box<dyn std::any::Any>>> {
    // Another one's output goes to the same log: its own must be read before.
    Ok(Some(Box::new(node.start(NODE)?)))
}

fn p2p_port_in_use() -> Result<()> {
    let node = Solo::new(FIRST_PORT + 800)?;
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, node.p2p_port))?;
    says(&node, Command::new(NODE), &["cannot listen on", &node.p2p_port.to_string()])
}

/// Tests may run as a user who may write everywhere, so the node runs as one who may not.
fn read_only() -> Result<()> {
    let node = Solo::new(FIRST_PORT + 900)?;
    let root = node.dir().root().to_owned();
    let parent = root.parent().context("it is in a directory")?.to_owned();
    let mut command = Command::new(NODE);
    if rustix::process::geteuid().is_root() {
        let program = parent.join("node-program");
        fs::copy(NODE, &program)?;
        for path in [&parent, &root, &root.join("keys"), &node.dir().node_key(), &node.dir().chain_share(), &program] {
            chown(path, Some(NOBODY), Some(NOBODY))?;
        }
        command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY);
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o555))?;
    let said = says(&node, command, &["cannot be written to", "another directory"]);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
    said
}
