//! Mains' own JSON under `/api/mains/v1/`: what the status page and the command line show.
//!
//! Everything comes from the newest certified version. Cycles are decimal strings: they do not fit a JavaScript number.

mod money;
mod statement;

use crate::{config::Sibling, failure::Failure, history::CertifiedHeight, server::Gateway};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use mains_ledger::{Account, Moment, Statement};
use mains_replica::{Status, View};
use mains_state::{Canister, RunStatus};
use mains_types::{CanisterId, Principal};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) use money::Money;

/// Canisters on one page of the list, and the default.
const CANISTERS_MAX: usize = 500;
const CANISTERS_DEFAULT: usize = 100;
/// Blocks listed at most, and by default.
const BLOCKS_DEFAULT: usize = 60;

/// All routes of the JSON interface.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/api/mains/v1/status", get(status))
        .route("/api/mains/v1/blocks", get(blocks))
        .route("/api/mains/v1/money", get(money::money))
        .route("/api/mains/v1/canisters", get(canisters))
        .route("/api/mains/v1/canister/{id}", get(canister))
        .route("/api/mains/v1/canister/{id}/bill", get(bill))
        .route("/api/mains/v1/canister/{id}/statement", get(statement::statement))
}

/// This replica and what it knows about the others.
#[derive(Serialize)]
struct StatusReport<'a> {
    version: &'static str,
    /// Root key, DER in hex: all a client needs to verify anything.
    root_key: String,
    /// The committee.
    members: Vec<String>,
    /// The other replicas' gateways, if this node knows them.
    siblings: &'a [Sibling],
    #[serde(flatten)]
    status: Status,
}

async fn status(State(gateway): State<Arc<Gateway>>) -> Response {
    let identity = gateway.replica.identity();
    Json(StatusReport {
        version: env!("CARGO_PKG_VERSION"),
        root_key: hex::encode(&identity.root_key_der),
        members: identity.members.iter().map(Principal::to_text).collect(),
        siblings: &gateway.config.siblings,
        status: gateway.replica.status(),
    })
    .into_response()
}

#[derive(Deserialize)]
struct BlocksAsked {
    count: Option<usize>,
}

async fn blocks(State(gateway): State<Arc<Gateway>>, Query(asked): Query<BlocksAsked>) -> Json<Vec<CertifiedHeight>> {
    Json(gateway.history.newest(asked.count.unwrap_or(BLOCKS_DEFAULT)))
}

/// A page of canisters in the order of their ids.
#[derive(Serialize)]
struct CanisterList {
    height: u64,
    total_count: usize,
    canisters: Vec<CanisterSummary>,
    /// Where the next page begins; absent on the last one.
    next: Option<String>,
}

#[derive(Serialize)]
struct CanisterSummary {
    id: String,
    status: &'static str,
    module_hash: Option<String>,
    /// Who signed the module.
    publisher: Option<String>,
    controllers: Vec<String>,
    cycles: String,
    memory_bytes: u64,
    version: u64,
    created_at_nanos: u64,
    installed_at_nanos: Option<u64>,
}

#[derive(Deserialize)]
struct ListAsked {
    after: Option<String>,
    limit: Option<usize>,
}

async fn canisters(
    State(gateway): State<Arc<Gateway>>,
    Query(asked): Query<ListAsked>,
) -> Result<Json<CanisterList>, Failure> {
    let view = newest(&gateway)?;
    let limit = asked.limit.unwrap_or(CANISTERS_DEFAULT).clamp(1, CANISTERS_MAX);
    let after = asked
        .after
        .map(|text| Principal::from_text(text).map_err(|_| Failure::BadParameter { name: "after" }))
        .transpose()?;
    let mut ids = view.state.canister_ids_after(after, limit + 1);
    let next = (ids.len() > limit).then(|| {
        ids.truncate(limit);
        ids[limit - 1].to_text()
    });
    let canisters =
        ids.iter().filter_map(|id| view.state.canister(id)).map(|canister| summary(&view, canister)).collect();
    Ok(Json(CanisterList { height: view.height().get(), total_count: view.state.canisters_count(), canisters, next }))
}

async fn canister(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Json<CanisterSummary>, Failure> {
    let view = newest(&gateway)?;
    let (_, canister) = find(&view, &id)?;
    Ok(Json(summary(&view, canister)))
}

async fn bill(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Result<Json<Statement>, Failure> {
    let view = newest(&gateway)?;
    let (id, canister) = find(&view, &id)?;
    let at = Moment { height: view.height(), time: view.time() };
    let statement = view.state.ledger.statement(&id, None, at, &canister.footprint());
    statement.map(Json).ok_or(Failure::NoSuchCanister { id: id.to_text() })
}

fn summary(view: &View, canister: &Canister) -> CanisterSummary {
    CanisterSummary {
        id: canister.id.to_text(),
        status: match canister.status {
            RunStatus::Running => "running",
            RunStatus::Stopping(_) => "stopping",
            RunStatus::Stopped => "stopped",
        },
        module_hash: canister.code.as_ref().map(|code| hex::encode(code.module_hash)),
        publisher: canister.code.as_ref().and_then(|code| code.publisher()).map(str::to_owned),
        controllers: canister.settings.controllers.iter().map(Principal::to_text).collect(),
        cycles: view.state.ledger.balance(&Account::Canister(canister.id)).to_string(),
        memory_bytes: canister.memory_bytes(),
        version: canister.version,
        created_at_nanos: canister.created_at.get(),
        installed_at_nanos: canister.installed_at.map(|time| time.get()),
    }
}

fn newest(gateway: &Gateway) -> Result<Arc<View>, Failure> {
    gateway.replica.view().ok_or(Failure::NotReady { retry_after_ms: 1_000 })
}

fn find<'a>(view: &'a View, text: &str) -> Result<(CanisterId, &'a Canister), Failure> {
    let id =
        Principal::from_text(text).map_err(|_| Failure::NotAPrincipal { text: text.chars().take(100).collect() })?;
    let canister = view.state.canister(&id).ok_or_else(|| Failure::NoSuchCanister { id: id.to_text() })?;
    Ok((id, canister))
}
