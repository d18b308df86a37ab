//! Four operators set up a network of their own, each with its own directory, config and key, through the binary alone.

use serde_json::Value;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// How long the nodes may take to form a network, and one to end in order.
const PATIENCE: Duration = Duration::from_secs(60);
/// The passphrase of the one operator who seals his keys.
const PASSPHRASE: &str = "correct horse battery";

/// One operator.
struct Node {
    dir: PathBuf,
    p2p_port: u16,
    is_sealed: bool,
    process: Option<Child>,
}

impl Node {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mains"));
        command.args(arguments).arg("--dir").arg(&self.dir).stdin(Stdio::null());
        if self.is_sealed {
            command.env("MAINS_PASSPHRASE", PASSPHRASE);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {error}"))
    }

    fn up(&mut self) {
        let log = fs::File::create(self.dir.join("log")).expect("a log");
        let child = self.command(&["node", "up"]).stdout(log.try_clone().expect("a log")).stderr(log).spawn();
        self.process = Some(child.expect("the binary starts"));
    }

    /// Asks the process to end; answers its exit code.
    fn stop(&mut self) -> Option<i32> {
        let mut process = self.process.take()?;
        let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
        assert!(asked.expect("kill").success());
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = process.try_wait().expect("ours") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = process.kill();
        panic!("it does not end");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Free ports for APIs and for the nodes among themselves.
fn free_ports(count: usize) -> Vec<u16> {
    let first = 28_000 + (std::process::id() % 100) as u16 * 10;
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..u16::MAX).filter(is_free).take(count).collect()
}

fn init(root: &Path) -> Vec<Node> {
    let ports = free_ports(8);
    let node = |index: usize| {
        let dir = root.join(format!("operator-{index}"));
        let node = Node { dir, p2p_port: ports[2 * index + 1], is_sealed: index == 1, process: None };
        let (api, p2p) = (format!("127.0.0.1:{}", ports[2 * index]), format!("/ip4/127.0.0.1/tcp/{}", node.p2p_port));
        let mut arguments = vec!["node", "init", "--api", &api, "--listen", &p2p];
        arguments.extend(node.is_sealed.then_some("--seal"));
        let output = node.run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        node
    };
    (0..4).map(node).collect()
}

#[test]
fn four_operators_make_a_network_and_each_looks_after_his_node() {
    let root = tempfile::tempdir().expect("a temporary directory");
    let mut nodes = init(root.path());
    let keys: Vec<String> = nodes
        .iter()
        .map(|node| node.json(&["node", "init"])["public_key"].as_str().expect("a key").to_owned())
        .collect();

    let error = nodes[0].run(&["node", "up"]);
    let text = String::from_utf8_lossy(&error.stderr);
    assert!(!error.status.success() && text.contains("genesis.cbor") && text.lines().count() == 1, "{text}");

    let out = root.path().join("invitations");
    let mut invite = Command::new(env!("CARGO_BIN_EXE_mains"));
    invite.args(["testnet", "invite", "town", "--out"]).arg(&out).env("MAINS_HOME", root.path());
    for (key, node) in keys.iter().zip(&nodes) {
        invite.args(["--member", &format!("{key}@/ip4/127.0.0.1/tcp/{}", node.p2p_port)]);
    }
    assert!(invite.output().expect("the binary starts").status.success());
    for (key, node) in keys.iter().zip(&nodes) {
        let invitation = out.join(format!("{key}.invitation"));
        let joined = node.json(&["node", "init", "--join", invitation.to_str().expect("text")]);
        assert_eq!(joined["network"], "town");
    }

    sealed_keys_stay_sealed(&nodes[1]);
    for node in &mut nodes {
        node.up();
    }
    everybody_serves(&nodes);
    the_doctor_is_content_until_something_breaks(&mut nodes);
    let code = nodes[1].stop();
    assert_eq!(code, Some(0), "{}", nodes[1].log());
    assert!(!nodes[1].dir.join("run.json").exists());
    let status = nodes[1].run(&["node", "status"]);
    assert!(String::from_utf8_lossy(&status.stderr).contains("mains node up --dir"), "{status:?}");
    an_older_binary_is_refused(&nodes[1]);
}

/// Data that a newer version of the protocol has changed.
fn an_older_binary_is_refused(node: &Node) {
    fs::write(node.dir.join("data/PROTOCOL"), "2\n").expect("ours");
    let output = node.run(&["node", "up"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.lines().count() == 1, "{text}");
    assert!(text.contains("protocol version 2 is needed") && text.contains("install a newer release"), "{text}");
}

fn sealed_keys_stay_sealed(node: &Node) {
    for name in ["node.key", "chain.share"] {
        let text = fs::read_to_string(node.dir.join("keys").join(name)).expect("a key file");
        assert!(text.starts_with("mains-sealed-1 argon2id"), "{name}");
    }
    let mut without = node.command(&["node", "up"]);
    let output = without.env_remove("MAINS_PASSPHRASE").output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("sealed with a passphrase") && text.contains("passphrase_file"), "{text}");
}

fn everybody_serves(nodes: &[Node]) {
    let began = Instant::now();
    for node in nodes {
        loop {
            let status = node.json(&["node", "status"]);
            let report = &status["report"];
            if report["healthy"] == true
                && report["peers"]
                    .as_array()
                    .is_some_and(|peers| peers.len() == 3 && peers.iter().all(|peer| peer["connected"] == true))
            {
                assert_eq!(report["network"], "town");
                assert_eq!((&report["protocol_version"], &report["protocol_newest"]), (&1.into(), &1.into()));
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{status}\n{}", node.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn the_doctor_is_content_until_something_breaks(nodes: &mut [Node]) {
    let found = nodes[0].json(&["node", "doctor"]);
    let found = found.as_array().expect("findings");
    let bad: Vec<_> = found.iter().filter(|finding| finding["severity"] == "bad").collect();
    assert!(bad.is_empty() && found.len() >= 10, "{bad:?}");
    assert!(nodes[0].run(&["node", "doctor"]).status.success());

    let key = nodes[0].dir.join("keys/node.key");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&key, open).expect("ours");
    let output = nodes[0].run(&["node", "doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("chmod 600"), "{output:?}");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");

    assert_eq!(nodes[3].stop(), Some(0));
    let began = Instant::now();
    loop {
        let output = nodes[0].run(&["node", "doctor"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "three of four are enough: {text}");
        if text.contains("2 of 3 other nodes connected") {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
    }
}
