//! The binary with a home and a test network of its own.

use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Output},
    sync::atomic::{AtomicU16, Ordering},
};

/// Where the next test looks for ports; below the range that the system gives to outgoing connections.
static PORTS: AtomicU16 = AtomicU16::new(0);

/// A user of the binary.
pub(crate) struct Mains {
    home: tempfile::TempDir,
    port: u16,
}

impl Mains {
    /// A user with an empty home.
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary directory"), port: free_ports() }
    }

    /// A path in the user's home.
    pub(crate) fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().expect("temporary paths are text").to_owned()
    }

    /// Starts a test network.
    pub(crate) fn up(&self) {
        self.up_with(&[]);
    }

    /// Starts a test network with these options too.
    pub(crate) fn up_with(&self, options: &[&str]) {
        let port = self.port.to_string();
        self.succeed(&[&["testnet", "up", "--detach", "--port", &port], options].concat());
    }

    /// Runs the demo with its files below `temporary`; answers what it printed.
    pub(crate) fn demo(&self, temporary: &str) -> String {
        let port = self.port.to_string();
        let output = self.command(&["demo", "--exit", "--port", &port]).env("TMPDIR", temporary).output();
        let output = output.expect("the binary starts");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
        shown
    }

    /// Runs a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mains"));
        command.args(arguments).env("MAINS_HOME", self.home.path());
        command.env_remove("MAINS_NETWORK").env_remove("MAINS_IDENTITY");
        command
    }

    /// Runs a command that must succeed; answers what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a command that must fail with exit code 1; answers its error.
    pub(crate) fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.starts_with("error: "), "{error}");
        error
    }

    /// Runs a command that must succeed, with JSON output.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.succeed(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Posts bytes to the first replica: status, headers in lower case, JSON body.
    pub(crate) fn post(&self, path: &str, body: Vec<u8>) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the replica listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\norigin: http://page\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        // The replica may answer and close before it has read all of a body that is too large.
        let _ = stream.write_all(&body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, headers.to_lowercase(), serde_json::from_str(body).unwrap_or_default())
    }
}

impl Drop for Mains {
    fn drop(&mut self) {
        let _ = self.run(&["testnet", "stop"]);
    }
}

/// The first of several free ports; other tests and other runs look elsewhere.
fn free_ports() -> u16 {
    loop {
        let turn = PORTS.fetch_add(1, Ordering::Relaxed);
        let start = 12_000 + ((std::process::id() as u16).wrapping_mul(8).wrapping_add(turn) % 80) * 200;
        if (start..start + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return start;
        }
    }
}

/// The shipped counter, as this compiler made it.
pub(crate) fn counter(compiler: &str) -> String {
    format!("{}/../examples/prebuilt/counter-{compiler}.wasm", env!("CARGO_MANIFEST_DIR"))
}
