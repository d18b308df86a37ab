//! `node.toml`: what an operator writes ([`Config`]) and what was checked ([`NodeConfig`]).
//!
//! Protocol parameters are not here: they are replicated state.

use crate::error::OperatorError;
use libp2p::Multiaddr;
use mains_gateway::Sibling;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Port of the API and pages of a node that says nothing else.
pub const API_PORT: u16 = 4950;
/// Port for other nodes of a node that says nothing else.
pub const P2P_PORT: u16 = 4951;

/// What an operator writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the API, the pages and the metrics. Default `127.0.0.1:4950`.
    pub api: String,
    /// Addresses for other nodes (multiaddr). Default: all interfaces, TCP and QUIC, port 4951.
    pub listen: Vec<String>,
    /// Where other nodes are found at first (multiaddr with `/p2p/<peer id>`). Default: none.
    pub bootstrap: Vec<String>,
    /// Whether to look for other nodes on the local network by multicast DNS. Default: yes.
    pub mdns: bool,
    /// Threads that answer queries. Default: 2.
    pub query_threads: usize,
    /// What is logged (`info`, `debug`, or a filter such as `info,mains_replica=debug`). Default `info`, libraries `warn`.
    pub log: String,
    /// File that holds the passphrase of sealed keys, relative to this file's directory. Default: asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// Days for which the journal is kept (`data/history.sqlite`); readings, which bills need, are kept for ever. Default: 0,
    /// which keeps everything.
    pub journal_days: u32,
    /// Megabytes of disk below which no new calls are taken, so that what is under way can end. Default: 512.
    pub disk_reserve_mb: u64,
    /// Other replicas' APIs, for the status page to show them side by side. Default: none.
    pub siblings: Vec<Sibling>,
    /// Bounds and patience of the API (`node/gateway/src/config.rs`). Default: as there.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway: mains_gateway::Config,
}

fn is_default(gateway: &mains_gateway::Config) -> bool {
    *gateway == mains_gateway::Config::default()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api: format!("127.0.0.1:{API_PORT}"),
            listen: vec![format!("/ip4/0.0.0.0/tcp/{P2P_PORT}"), format!("/ip4/0.0.0.0/udp/{P2P_PORT}/quic-v1")],
            bootstrap: Vec::new(),
            mdns: true,
            query_threads: 2,
            log: "info,commonware_consensus=warn,commonware_runtime=warn,libp2p=warn".into(),
            passphrase_file: None,
            journal_days: 0,
            disk_reserve_mb: 512,
            siblings: Vec::new(),
            gateway: mains_gateway::Config::default(),
        }
    }
}

/// What was checked.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Address of the API, the pages and the metrics.
    pub api: SocketAddr,
    /// Addresses for other nodes.
    pub listen: Vec<Multiaddr>,
    /// Where other nodes are found at first.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for other nodes on the local network.
    pub mdns: bool,
    /// Threads that answer queries, 1 to 64.
    pub query_threads: usize,
    /// What is logged.
    pub log: String,
    /// File that holds the passphrase of sealed keys.
    pub passphrase_file: Option<PathBuf>,
    /// Days for which the journal is kept; 0 keeps everything.
    pub journal_days: u32,
    /// Bytes of disk below which no new calls are taken.
    pub disk_reserve_bytes: u64,
    /// Bounds and patience of the API, and the other replicas' APIs.
    pub gateway: mains_gateway::Config,
}

/// A field that does not hold.
struct Wrong {
    field: &'static str,
    reason: String,
}

impl Config {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// Unreadable, not TOML, unknown or wrong fields: the message names the line and what would be right.
    pub fn read(path: &Path) -> Result<NodeConfig, OperatorError> {
        let text = read(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        parse(path, &text)?.check(directory).map_err(|Wrong { field, reason }| OperatorError::Config {
            path: path.to_owned(),
            line: line_of(&text, field),
            reason,
        })
    }

    /// Reads a config file; its values are not checked.
    ///
    /// # Errors
    /// Unreadable, not TOML, unknown fields.
    pub fn read_as_written(path: &Path) -> Result<Self, OperatorError> {
        parse(path, &read(path)?)
    }

    fn check(self, directory: &Path) -> Result<NodeConfig, Wrong> {
        if !(1..=64).contains(&self.query_threads) {
            let reason = format!("query_threads: {} is not between 1 and 64", self.query_threads);
            return Err(Wrong { field: "query_threads", reason });
        }
        let api = self.api.parse().map_err(|_| Wrong {
            field: "api",
            reason: format!("api: `{}` is no address; write e.g. 127.0.0.1:4950", self.api),
        })?;
        if self.listen.is_empty() {
            let reason =
                "listen: without an address no other node can reach this one; write e.g. [\"/ip4/0.0.0.0/tcp/4951\"]";
            return Err(Wrong { field: "listen", reason: reason.into() });
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log) {
            let reason = format!("log: `{}` is no filter ({error}); write e.g. info,mains_replica=debug", self.log);
            return Err(Wrong { field: "log", reason });
        }
        let bounds = &self.gateway;
        for (field, value) in [
            ("connections_max", bounds.connections_max),
            ("waiting_calls_max", bounds.waiting_calls_max),
            ("bodies_bytes_max", bounds.bodies_bytes_max),
        ] {
            if value == 0 {
                return Err(Wrong {
                    field,
                    reason: format!("gateway.{field}: with 0 nobody is served; leave it away"),
                });
            }
        }
        if bounds.idle_ms <= bounds.call_wait_ms {
            let reason = format!(
                "gateway.idle_ms: {} is not above gateway.call_wait_ms ({}): calls would be cut off while they wait",
                bounds.idle_ms, bounds.call_wait_ms
            );
            return Err(Wrong { field: "idle_ms", reason });
        }
        Ok(NodeConfig {
            api,
            listen: addresses("listen", self.listen)?,
            bootstrap: addresses("bootstrap", self.bootstrap)?,
            mdns: self.mdns,
            query_threads: self.query_threads,
            log: self.log,
            passphrase_file: self.passphrase_file.map(|file| directory.join(file)),
            journal_days: self.journal_days,
            disk_reserve_bytes: self.disk_reserve_mb.saturating_mul(1_000_000),
            gateway: mains_gateway::Config { siblings: self.siblings, ..self.gateway },
        })
    }
}

fn addresses(field: &'static str, list: Vec<String>) -> Result<Vec<Multiaddr>, Wrong> {
    let parse = |text: String| {
        text.parse::<Multiaddr>().map_err(|error| Wrong {
            field,
            reason: format!("{field}: `{text}` is no multiaddr ({error}); write e.g. /ip4/0.0.0.0/tcp/4951"),
        })
    };
    list.into_iter().map(parse).collect()
}

fn read(path: &Path) -> Result<String, OperatorError> {
    std::fs::read_to_string(path).map_err(|source| OperatorError::file("read", path, source))
}

fn parse(path: &Path, text: &str) -> Result<Config, OperatorError> {
    toml::from_str(text).map_err(|error| OperatorError::Config {
        path: path.to_owned(),
        line: error
            .span()
            .map(|span| text.as_bytes()[..span.start.min(text.len())].split(|byte| *byte == b'\n').count()),
        reason: advice(&error),
    })
}

/// What is wrong with the text, and what to do.
fn advice(error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', " ");
    let fix = if message.contains("unknown field") {
        "correct the name or remove the line"
    } else if message.contains("invalid type") || message.contains("invalid value") {
        "write a value of that kind"
    } else {
        "see https://toml.io for how values are written"
    };
    format!("{message}: {fix}")
}

/// The line, from 1, on which `field` is written.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let is_it =
        |line: &str| line.trim_start().strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(is_it).map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("node.toml");
        std::fs::write(&path, text).expect("writable");
        Config::read(&path).expect_err("refused").to_string()
    }

    #[test]
    fn the_default_config_is_valid_and_survives_toml() {
        let text = toml::to_string(&Config::default()).expect("serializes");
        let back: Config = toml::from_str(&text).expect("parses");
        assert!(back.check(Path::new(".")).is_ok());
    }

    #[test]
    fn a_wrong_line_is_named_with_what_would_be_right() {
        for (text, line, expected) in [
            ("mdns = false\napi = 'here'", 2, "write e.g. 127.0.0.1:4950"),
            ("\n\nlisten = ['tcp:1']", 3, "write e.g. /ip4/0.0.0.0/tcp/4951"),
            ("listen = []", 1, "no other node can reach this one"),
            ("mdns = true\nlog = 'info,mains=loudest'", 2, "write e.g. info,mains_replica=debug"),
            ("disk_reserve_mb = -1", 1, "write a value of that kind"),
            ("query_threads = 0", 1, "not between 1 and 64"),
            ("query_threads = 'two'", 1, "write a value of that kind"),
            ("mdns = true\napii = '127.0.0.1:1'", 2, "correct the name or remove the line"),
            ("mdns = true\n[gateway]\nidle_ms = 5", 3, "not above gateway.call_wait_ms"),
            ("[gateway]\nconnections_max = 0", 2, "leave it away"),
            ("mdns = true\nlog = ", 2, "toml.io"),
        ] {
            let error = refused(text);
            assert!(error.contains(&format!("node.toml:{line}: ")) && error.contains(expected), "{error}");
            assert!(!error.contains('\n'), "one line: {error}");
        }
    }

    #[test]
    fn a_passphrase_file_is_looked_for_beside_the_config_file() {
        let config = Config { passphrase_file: Some("secret".into()), ..Config::default() };
        let checked = config.check(Path::new("/node")).unwrap_or_else(|wrong| panic!("{}", wrong.reason));
        assert_eq!(checked.passphrase_file, Some("/node/secret".into()));
    }
}
