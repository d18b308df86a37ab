//! A client never goes back in time: a node whose answer to a query is older than what the client has seen certified is
//! asked again, for a while.
//!
//! Needed when a client turns to another replica: the first may have certified what the second has not yet. Only verified
//! certificates count as seen, so no node can lie about the future. Spec: `specs/interface.md`, "Queries".

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use ic_agent::{
    AgentError,
    agent::{HttpService, agent_error::TransportError},
};
use mains_types::UnixNanos;
use serde::Deserialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a node may take to catch up. Replicas certify a height within a few hundred milliseconds of each other.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// The newest block time that was seen certified.
#[derive(Debug, Default)]
pub(crate) struct Seen(AtomicU64);

impl Seen {
    /// Remembers a certified time.
    pub(crate) fn certified(&self, time: UnixNanos) {
        self.0.fetch_max(time.get(), Ordering::Relaxed);
    }

    /// The newest of them.
    pub(crate) fn newest(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::Relaxed))
    }
}

/// Carries ic-agent's requests, and repeats queries that were answered from a version older than what was seen.
#[derive(Debug)]
pub(crate) struct FreshHttp {
    pub(crate) http: reqwest::Client,
    pub(crate) seen: Arc<Seen>,
}

/// What is read of a query's answer before ic-agent verifies it.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    timestamp: u64,
}

#[async_trait]
impl HttpService for FreshHttp {
    async fn call<'a>(
        &'a self,
        request: &'a (dyn Fn() -> Result<Request<Bytes>, AgentError> + Send + Sync),
        max_retries: usize,
        size_limit: Option<usize>,
    ) -> Result<Response<Bytes>, AgentError> {
        let is_query = request()?.uri().path().ends_with("/query");
        let began = Instant::now();
        loop {
            let response = HttpService::call(&self.http, request, max_retries, size_limit).await?;
            let is_late = is_query && self.is_late(response.status(), response.body());
            if !is_late {
                return Ok(response);
            }
            if began.elapsed() > PATIENCE {
                // A node that says itself that it is behind is quoted; one that does not is not believed.
                return if response.status().is_success() { Err(outdated()) } else { Ok(response) };
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl FreshHttp {
    /// Whether the node is behind what was seen, or says that it is catching up.
    fn is_late(&self, status: StatusCode, body: &[u8]) -> bool {
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return true;
        }
        let Ok(answer) = mains_wire::decode::<Answer>(body) else { return false };
        answer.signatures.iter().any(|signature| signature.timestamp < self.seen.newest().get())
    }
}

fn outdated() -> AgentError {
    AgentError::TransportError(TransportError::Generic(format!(
        "for {} s the node answered from an older state than this client has seen: ask another node",
        PATIENCE.as_secs()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    #[derive(Serialize)]
    struct Reply {
        status: &'static str,
        signatures: Vec<Signed>,
    }

    #[derive(Serialize)]
    struct Signed {
        timestamp: u64,
        identity: u8,
    }

    fn http(seen: u64) -> FreshHttp {
        let fresh = FreshHttp { http: reqwest::Client::new(), seen: Arc::default() };
        fresh.seen.certified(UnixNanos(seen));
        fresh
    }

    #[test]
    fn answers_older_than_what_was_seen_are_late() {
        let body = |timestamp| {
            mains_wire::encode(&Reply { status: "replied", signatures: vec![Signed { timestamp, identity: 1 }] })
        };
        assert!(http(8).is_late(StatusCode::OK, &body(7)));
        assert!(!http(7).is_late(StatusCode::OK, &body(7)));
        assert!(!http(0).is_late(StatusCode::OK, &body(0)));
        assert!(http(0).is_late(StatusCode::SERVICE_UNAVAILABLE, b"{}"), "a node that catches up is waited for");
        assert!(!http(8).is_late(StatusCode::OK, b"garbage"), "ic-agent says what is wrong with it");
        assert!(!http(8).is_late(StatusCode::BAD_REQUEST, b""));
    }

    #[test]
    fn what_was_seen_never_becomes_older() {
        let seen = Seen::default();
        seen.certified(UnixNanos(9));
        seen.certified(UnixNanos(3));
        assert_eq!(seen.newest(), UnixNanos(9));
    }
}
