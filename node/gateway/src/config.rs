//! What an operator can choose about the front door. Nothing here is visible to other replicas.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Another replica's front door, so that the status page can show all of them side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sibling {
    /// The node's principal as text.
    pub node_id: String,
    /// Where its gateway answers, for example `http://127.0.0.1:4951`.
    pub url: String,
}

/// Bounds and patience of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a synchronous call waits for its certificate before it answers 202, milliseconds.
    pub call_wait_ms: u64,
    /// How long a client may take to send a request's head, milliseconds.
    pub head_read_ms: u64,
    /// How long a client may take to send a body, milliseconds.
    pub body_read_ms: u64,
    /// How long a connection may be silent before it is closed, milliseconds; above `call_wait_ms`.
    pub idle_ms: u64,
    /// How long a client may take nothing of a reply that is there for it, milliseconds.
    pub write_stall_ms: u64,
    /// How long open requests may take to finish after shutdown began, milliseconds.
    pub drain_ms: u64,
    /// Connections open at a time; a further one takes the place of one without a request, or is told 503.
    pub connections_max: usize,
    /// Calls that wait for their certificate at a time; further ones get 429.
    pub waiting_calls_max: usize,
    /// Bytes of all bodies being read or checked at a time, and of all large replies being sent; further ones get 503.
    pub bodies_bytes_max: usize,
    /// Domains below which host names are canister ids: `<id>.<domain>`, and `<id>.raw.<domain>` for unverified answers.
    pub domains: Vec<String>,
    /// The other replicas' gateways, if this node knows them (a testnet does).
    pub siblings: Vec<Sibling>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            call_wait_ms: 10_000,
            head_read_ms: 10_000,
            body_read_ms: 10_000,
            idle_ms: 75_000,
            write_stall_ms: 20_000,
            drain_ms: 2_000,
            connections_max: 8_192,
            waiting_calls_max: 8_192,
            bodies_bytes_max: 256 << 20,
            domains: vec!["localhost".into()],
            siblings: Vec::new(),
        }
    }
}

impl Config {
    /// [`Self::call_wait_ms`] as a duration.
    pub(crate) fn call_wait(&self) -> Duration {
        Duration::from_millis(self.call_wait_ms)
    }

    /// [`Self::head_read_ms`] as a duration.
    pub(crate) fn head_read(&self) -> Duration {
        Duration::from_millis(self.head_read_ms)
    }

    /// [`Self::write_stall_ms`] as a duration.
    pub(crate) fn write_stall(&self) -> Duration {
        Duration::from_millis(self.write_stall_ms)
    }

    /// [`Self::body_read_ms`] as a duration.
    pub(crate) fn body_read(&self) -> Duration {
        Duration::from_millis(self.body_read_ms)
    }

    /// [`Self::idle_ms`] as a duration.
    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// [`Self::drain_ms`] as a duration.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
