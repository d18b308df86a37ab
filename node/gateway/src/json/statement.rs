//! `GET /api/mains/v1/canister/<id>/statement`: a bill with everything that proves it.

use super::{find, newest};
use crate::{failure::Failure, server::Gateway};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use mains_ledger::{
    Bill, CanisterAccount, Moment,
    bill::{BillError, Bound, Certified, Witnesses},
    readings,
};
use mains_replica::View;
use mains_types::{CanisterId, Height, UnixNanos};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// How often, and after which pause, readings are looked for that the node may be about to write: those of accounts that changed
/// in the last so many heights.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
const RECENT_HEIGHTS: u64 = 64;

/// The period; a height counts before a time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Period {
    from_height: Option<u64>,
    from_nanos: Option<u64>,
    to_height: Option<u64>,
    to_nanos: Option<u64>,
}

pub(super) async fn statement(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    Query(period): Query<Period>,
) -> Result<Json<Bill>, Failure> {
    let view = newest(&gateway)?;
    let (id, _) = find(&view, &id)?;
    let account = view.state.ledger.canister(&id).cloned();
    let account = account.ok_or_else(|| Failure::NoSuchCanister { id: id.to_text() })?;
    let is_recent = view.height().get().saturating_sub(account.changed.height.get()) < RECENT_HEIGHTS;
    let readings = readings_of(&gateway, id, &account, if is_recent { LOOKS } else { 1 }).await?;
    // Drawing hashes every reading.
    let drawn = tokio::task::spawn_blocking(move || draw(&view, id, account, readings, &period)).await;
    match drawn.map_err(|_| Failure::NotReady { retry_after_ms: 1_000 })? {
        Ok(bill) => Ok(Json(bill)),
        Err(error) => Err(Failure::NoStatement { reason: error.to_string() }),
    }
}

/// The readings that `account` names. The node writes them beside execution, so the newest may take a moment.
async fn readings_of(
    gateway: &Arc<Gateway>,
    id: CanisterId,
    account: &CanisterAccount,
    looks: u32,
) -> Result<Vec<CanisterAccount>, Failure> {
    for look in 1..=looks {
        let (gateway, account) = (gateway.clone(), account.clone());
        let read = tokio::task::spawn_blocking(move || {
            let readings = gateway.replica.readings(&id, &account);
            let is_linked = account.chain == [0; 32] || readings::verify(&readings, &account) > 0;
            (is_linked || look == looks).then_some(readings)
        });
        if let Some(readings) = read.await.map_err(|_| Failure::NotReady { retry_after_ms: 1_000 })? {
            return Ok(readings);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Vec::new())
}

fn draw(
    view: &View,
    id: CanisterId,
    account: CanisterAccount,
    readings: Vec<CanisterAccount>,
    period: &Period,
) -> Result<Bill, BillError> {
    let bound = |height: Option<u64>, nanos: Option<u64>| {
        height.map(|height| Bound::Height(Height(height))).or(nanos.map(|nanos| Bound::Time(UnixNanos(nanos))))
    };
    let (from, to) = (bound(period.from_height, period.from_nanos), bound(period.to_height, period.to_nanos));
    let witnesses = Witnesses::select(readings, &account, from, to)?;
    let versions = witnesses.tariff_versions(&account)?;
    let leaf = |kind: &[u8], label: &[u8]| vec![b"mains".to_vec(), kind.to_vec(), label.to_vec()];
    let mut paths = vec![leaf(b"account", id.as_slice()), leaf(b"footprint", id.as_slice())];
    paths.extend(versions.iter().map(|version| leaf(b"tariff", &version.to_be_bytes())));
    let certificate = hex::encode(view.certificate(&paths));
    let ledger = &view.state.ledger;
    let certified = Certified {
        at: Moment { height: view.height(), time: view.time() },
        account,
        footprint: view.state.canister(&id).map(|canister| canister.footprint()).unwrap_or_default(),
        tariffs: ledger.tariffs().filter(|tariff| versions.contains(&tariff.version)).cloned().collect(),
    };
    Bill::draw(id, &certified, certificate, witnesses)
}
