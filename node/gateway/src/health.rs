//! For probes and monitoring: liveness, readiness, metrics.

use crate::{metrics::finances_text, server::Gateway};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use std::sync::Arc;

/// `/health/live`, `/health/ready`, `/metrics`.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).route("/metrics", get(metrics))
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reason: Option<String>,
    certified_height: u64,
    finalized_height: u64,
}

/// 200 as long as the process serves requests.
async fn live() -> &'static str {
    "live\n"
}

/// 200 if clients are served from a fresh certified state, else 503 and why not.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let status = gateway.replica.status();
    let code = if status.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let readiness = Readiness {
        ready: status.healthy,
        reason: status.reason,
        certified_height: status.certified_height,
        finalized_height: status.finalized_height,
    };
    (code, Json(readiness)).into_response()
}

/// Prometheus text: this gateway's metrics, then the replica's.
async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let mut text =
        gateway.metrics.render(&gateway.replica.status(), gateway.admission.calls_left(), gateway.connections.counts());
    text.push_str(&gateway.replica.metrics());
    // Looks at every canister: not on a thread that serves clients.
    let replica = gateway.replica.clone();
    if let Ok(Some(finances)) = tokio::task::spawn_blocking(move || replica.finances()).await {
        text.push_str(&finances_text(&finances));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
