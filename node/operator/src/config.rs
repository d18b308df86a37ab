//! `node.toml`: what an operator writes ([`Config`]) and what was checked ([`NodeConfig`]).
//!
//! Protocol parameters are not here: they are replicated state.

use crate::error::OperatorError;
use libp2p::Multiaddr;
use mains_gateway::Sibling;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::Path};

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
    /// Other replicas' APIs, for the status page to show them side by side. Default: none.
    pub siblings: Vec<Sibling>,
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
            siblings: Vec::new(),
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
    /// Other replicas' APIs.
    pub siblings: Vec<Sibling>,
}

impl Config {
    /// Reads and checks a config file.
    ///
    /// # Errors
    /// Unreadable, not TOML, unknown or wrong fields: the message names the field and what would be right.
    pub fn read(path: &Path) -> Result<NodeConfig, OperatorError> {
        let written = Self::read_as_written(path)?;
        written.check().map_err(|reason| OperatorError::Config { path: path.to_owned(), reason })
    }

    /// Reads a config file; its values are not checked.
    ///
    /// # Errors
    /// Unreadable, not TOML, unknown fields.
    pub fn read_as_written(path: &Path) -> Result<Self, OperatorError> {
        let text = std::fs::read_to_string(path).map_err(|source| OperatorError::file("read", path, source))?;
        toml::from_str(&text).map_err(|error| OperatorError::Config {
            path: path.to_owned(),
            reason: error.to_string().replace('\n', " "),
        })
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The field and what would be right.
    pub fn check(self) -> Result<NodeConfig, String> {
        let addresses = |field: &str, list: Vec<String>| {
            list.into_iter()
                .map(|text| {
                    text.parse::<Multiaddr>().map_err(|error| {
                        format!("{field}: `{text}` is no multiaddr ({error}); write e.g. /ip4/0.0.0.0/tcp/4951")
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        if !(1..=64).contains(&self.query_threads) {
            return Err(format!("query_threads: {} is not between 1 and 64", self.query_threads));
        }
        Ok(NodeConfig {
            api: self
                .api
                .parse()
                .map_err(|_| format!("api: `{}` is no address; write e.g. 127.0.0.1:4950", self.api))?,
            listen: addresses("listen", self.listen)?,
            bootstrap: addresses("bootstrap", self.bootstrap)?,
            mdns: self.mdns,
            query_threads: self.query_threads,
            log: self.log,
            siblings: self.siblings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_config_is_valid_and_survives_toml() {
        let text = toml::to_string(&Config::default()).expect("serializes");
        let back: Config = toml::from_str(&text).expect("parses");
        assert!(back.check().is_ok());
    }

    #[test]
    fn a_wrong_field_is_named_with_what_would_be_right() {
        for (text, expected) in [
            ("api = 'here'", "write e.g. 127.0.0.1:4950"),
            ("listen = ['tcp:1']", "write e.g. /ip4/0.0.0.0/tcp/4951"),
            ("query_threads = 0", "not between 1 and 64"),
        ] {
            let config: Config = toml::from_str(text).expect("well-formed");
            let error = config.check().expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
        assert!(toml::from_str::<Config>("apii = '127.0.0.1:1'").is_err(), "unknown fields are refused");
    }
}
