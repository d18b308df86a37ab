//! The binary as the network launcher of `icp`: tells when it serves, ends in order, leaves nobody behind when it is
//! killed, and loses nothing.

use serde_json::Value;
use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// A directory for the state and one for what the launcher tells.
struct Place {
    root: tempfile::TempDir,
}

/// A running launcher.
struct Launcher {
    process: Child,
    /// What `status.json` says.
    status: Value,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mains"));
        command.args(["--interface-version", "1.1.0", "--bind", "127.0.0.1", "--gateway-port", &port.to_string()]);
        command.arg("--state-dir").arg(self.path("state")).arg("--status-dir").arg(self.path("status"));
        command.args(["--subnet=application", "--domain=localhost"]).env("MAINS_HOME", self.path("home"));
        command.stdin(Stdio::null());
        command
    }

    /// Starts the launcher and waits for its word, as `icp` does.
    fn launch(&self, port: u16) -> Launcher {
        let status = self.path("status/status.json");
        let _ = fs::remove_file(&status);
        let errors = fs::File::create(self.path("errors")).expect("writable");
        let mut process = self.command(port).stderr(errors).spawn().expect("the binary starts");
        let text = eventually("it tells that it serves", || {
            let ended = process.try_wait().expect("a child").is_some();
            assert!(!ended, "{}", fs::read_to_string(self.path("errors")).unwrap_or_default());
            fs::read_to_string(&status).ok().filter(|text| text.ends_with('\n'))
        });
        Launcher { process, status: serde_json::from_str(&text).expect("JSON") }
    }

    fn mains(&self, launcher: &Launcher, arguments: &[&str]) -> String {
        let network = format!("http://127.0.0.1:{}", launcher.status["gateway_port"]);
        let output = Command::new(env!("CARGO_BIN_EXE_mains"))
            .args(arguments)
            .args(["--network", &network])
            .env("MAINS_HOME", self.path("home"))
            .output()
            .expect("the binary starts");
        succeeded(&output)
    }

    /// Processes of replicas in the state directory.
    fn replicas(&self) -> usize {
        let state = self.path("state");
        let processes = fs::read_dir("/proc").expect("this test needs /proc").flatten();
        processes.filter(|process| mentions(&process.path().join("cmdline"), "node\0up\0", &state)).count()
    }
}

fn mentions(command: &Path, role: &str, dir: &Path) -> bool {
    let command = String::from_utf8_lossy(&fs::read(command).unwrap_or_default()).into_owned();
    command.contains(role) && command.contains(&dir.display().to_string())
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK);
    }
}

impl Launcher {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.expect("a kill command").success());
    }

    fn ends_well(mut self) {
        assert!(self.process.wait().expect("a child").success());
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // A failed test leaves nobody behind either: the replicas end with their launcher.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_launched_network_survives_its_launcher_and_its_launcher_leaves_nobody_behind() {
    let place = Place::new();
    let first = place.launch(0);
    assert_eq!(first.status["v"], "1");
    assert_eq!(first.status["root_key"].as_str().map(str::len), Some(266));
    assert!(first.status["default_effective_canister_id"].is_string());
    let counter = format!("{}/../examples/prebuilt/counter-rust.wasm", env!("CARGO_MANIFEST_DIR"));
    place.mains(&first, &["deploy", &counter, "--name", "counter"]);
    let called = place.mains(&first, &["call", "counter", "inc", "-o", "candid"]);
    assert_eq!(called.trim(), "(1 : nat)");
    assert_eq!(place.replicas(), 4);

    first.signal("KILL");
    eventually("the replicas end with their launcher", || (place.replicas() == 0).then_some(()));
    let root_key = first.status["root_key"].clone();
    drop(first);

    // Another port, the same network.
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    let second = place.launch(port);
    assert_eq!(second.status["gateway_port"], port);
    assert_eq!(second.status["root_key"], root_key);
    assert_eq!(place.mains(&second, &["query", "counter", "get", "-o", "candid"]).trim(), "(1 : nat)");

    let busy = place.command(port).output().expect("the binary starts");
    let error = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(!busy.status.success() && error.contains("running already"), "{error}");

    second.signal("INT");
    second.ends_well();
    assert_eq!(place.replicas(), 0, "after SIGINT nobody is left");
}

#[test]
fn what_cannot_be_launched_is_said_before_anything_starts() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    for (argument, expected) in [("--verbose", "in use"), ("--ii", "icp.yaml"), ("--colour=red", "--colour")] {
        let output = place.command(port).arg(argument).output().expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(expected), "{argument}: {error}");
    }
}
