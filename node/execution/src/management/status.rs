//! What is told about a canister: status, history, logs, metrics, custom sections.

use super::{codec, refusal, settings};
use candid::Reserved;
use ic_management_canister_types as ic;
use mains_ledger::Resource;
use mains_state::{Canister, RunStatus, State, canister::ChangeKind};
use mains_types::{CanisterId, Cycles, Principal, Reject, ids, limits};

/// Bytes that one kept change is counted with.
const CHANGE_BYTES: u64 = 256;

/// `canister_status`, by update and by query.
pub(crate) fn canister_status(state: &State, caller: &Principal, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode("canister_status", argument)?;
    let canister = find(state, &canister_id)?;
    if *caller != canister_id && !settings::may_read(&canister.settings, &canister.settings.status_visibility, caller) {
        return Err(refusal::not_controller(&canister_id, caller, "canister_status"));
    }
    Ok(codec::encode(&status(state, canister)))
}

/// `canister_info`, by canisters.
pub(crate) fn canister_info(state: &State, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterInfoArgs { canister_id, num_requested_changes },) = codec::decode("canister_info", argument)?;
    let canister = find(state, &canister_id)?;
    let wanted = usize::try_from(num_requested_changes.unwrap_or(0)).unwrap_or(limits::HISTORY_MAX);
    let skipped = canister.history.len().saturating_sub(wanted);
    Ok(codec::encode(&ic::CanisterInfoResult {
        total_num_changes: canister.changes_count,
        recent_changes: canister.history.iter().skip(skipped).map(show_change).collect(),
        module_hash: canister.code.as_ref().map(|code| code.module_hash.to_vec()),
        controllers: canister.settings.controllers.iter().copied().collect(),
    }))
}

/// `canister_metadata`: one of the module's `icp:` custom sections.
pub(crate) fn canister_metadata(state: &State, caller: &Principal, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterMetadataArgs { canister_id, name },) = codec::decode("canister_metadata", argument)?;
    let canister = find(state, &canister_id)?;
    let code = canister.code.as_ref().ok_or_else(|| refusal::no_code(&canister_id))?;
    let Some(section) = code.sections.get(&name) else {
        return Err(refusal::payload(format!("Canister {canister_id} has no custom section {name:?}.")));
    };
    if !section.is_public && !canister.is_controlled_by(caller) {
        return Err(refusal::not_visible(&canister_id, caller, "private custom sections"));
    }
    Ok(codec::encode(&ic::CanisterMetadataResult { value: section.content.to_vec() }))
}

/// `canister_metrics`: what the canister paid for, since it was created.
pub(crate) fn canister_metrics(state: &State, caller: &Principal, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (ic::CanisterIdRecord { canister_id },) = codec::decode("canister_metrics", argument)?;
    let canister = find(state, &canister_id)?;
    if !canister.is_controlled_by(caller) {
        return Err(refusal::not_visible(&canister_id, caller, "metrics"));
    }
    let account = state.ledger.canister(&canister_id);
    let charged = |resources: &[Resource]| {
        let sum = resources.iter().map(|resource| account.map_or(0, |account| account.meter(*resource).charged)).sum();
        codec::nat(Cycles(sum))
    };
    Ok(codec::encode(&ic::CanisterMetricsResult {
        cycles_consumed: ic::CyclesConsumed {
            memory: charged(&[Resource::StorageByteSeconds]),
            compute_allocation: charged(&[Resource::ComputeAllocation]),
            ingress_induction: charged(&[Resource::IngressMessages, Resource::IngressBytes]),
            instructions: charged(&[Resource::Execution, Resource::Instructions, Resource::CompileInstructions]),
            request_and_response_transmission: charged(&[Resource::CallMessages, Resource::CallBytes]),
            uninstall: 0u8.into(),
            canister_creation: charged(&[Resource::CanisterCreation]),
            http_outcalls: 0u8.into(),
            burned_cycles: codec::nat(canister.burned),
        },
    }))
}

/// `fetch_canister_logs`, by query.
pub(crate) fn fetch_canister_logs(state: &State, caller: &Principal, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (ic::FetchCanisterLogsArgs { canister_id, filter },) = codec::decode("fetch_canister_logs", argument)?;
    let canister = find(state, &canister_id)?;
    if !settings::may_read(&canister.settings, &canister.settings.log_visibility, caller) {
        return Err(refusal::not_visible(&canister_id, caller, "logs"));
    }
    let is_wanted = |index: u64, timestamp: u64| match &filter {
        None => true,
        Some(ic::CanisterLogFilter::ByIdx { start, end }) => (*start..*end).contains(&index),
        Some(ic::CanisterLogFilter::ByTimestampNanos { start, end }) => (*start..*end).contains(&timestamp),
    };
    let canister_log_records = canister
        .log
        .iter()
        .filter(|record| is_wanted(record.index, record.timestamp.get()))
        .map(|record| ic::CanisterLogRecord {
            idx: record.index,
            timestamp_nanos: record.timestamp.get(),
            content: record.content.clone(),
        })
        .collect();
    Ok(codec::encode(&ic::FetchCanisterLogsResult { canister_log_records }))
}

/// The canister, or the refusal that there is none.
pub(crate) fn find<'a>(state: &'a State, id: &CanisterId) -> Result<&'a Canister, Reject> {
    state.canister(id).ok_or_else(|| refusal::not_found(id))
}

/// The status as `canister_status` tells it.
pub(crate) fn status(state: &State, canister: &Canister) -> ic::CanisterStatusResult {
    let tariff = state.ledger.tariff();
    ic::CanisterStatusResult {
        status: match canister.status {
            RunStatus::Running => ic::CanisterStatusType::Running,
            RunStatus::Stopping(_) => ic::CanisterStatusType::Stopping,
            RunStatus::Stopped => ic::CanisterStatusType::Stopped,
        },
        ready_for_migration: false,
        version: canister.version,
        settings: settings::show(&canister.settings),
        module_hash: canister.code.as_ref().map(|code| code.module_hash.to_vec()),
        memory_size: canister.memory_bytes().into(),
        memory_metrics: memory_metrics(canister),
        cycles: codec::nat(state.ledger.canister_balance(&canister.id)),
        reserved_cycles: 0u8.into(),
        idle_cycles_burned_per_day: codec::nat(
            tariff.idle_cost_per_day(canister.memory_bytes(), canister.settings.compute_allocation),
        ),
        query_stats: ic::QueryStats {
            num_calls_total: 0u8.into(),
            num_instructions_total: 0u8.into(),
            request_payload_bytes_total: 0u8.into(),
            response_payload_bytes_total: 0u8.into(),
        },
    }
}

fn memory_metrics(canister: &Canister) -> ic::MemoryMetrics {
    let code = canister.code.as_ref();
    let sections =
        code.map_or(0, |code| code.sections.iter().map(|(name, section)| name.len() + section.content.len()).sum());
    ic::MemoryMetrics {
        wasm_memory_size: code.map_or(0, |code| code.heap.bytes).into(),
        stable_memory_size: code.map_or(0, |code| code.stable_pages * limits::WASM_PAGE_BYTES).into(),
        global_memory_size: code.map_or(0, |code| code.heap.globals.len() as u64 * 8).into(),
        wasm_binary_size: code.map_or(0, |code| code.wasm.len() as u64).into(),
        custom_sections_size: (sections as u64).into(),
        canister_history_size: (canister.history.len() as u64 * CHANGE_BYTES).into(),
        wasm_chunk_store_size: canister.chunks.values().map(|chunk| chunk.len() as u64).sum::<u64>().into(),
        snapshots_size: canister.snapshots_bytes().into(),
        log_memory_store_size: canister.log_bytes().into(),
    }
}

fn show_change(change: &mains_state::canister::Change) -> ic::Change {
    let origin = if ids::canister_index(&change.origin).is_some() {
        ic::ChangeOrigin::FromCanister(ic::FromCanisterRecord {
            canister_id: change.origin,
            canister_version: change.origin_version,
        })
    } else {
        ic::ChangeOrigin::FromUser(ic::FromUserRecord { user_id: change.origin })
    };
    let details = match &change.kind {
        ChangeKind::Creation(controllers, environment_hash) => ic::ChangeDetails::Creation(ic::CreationRecord {
            controllers: controllers.iter().copied().collect(),
            environment_variables_hash: environment_hash.map(|hash| hash.to_vec()),
        }),
        ChangeKind::Uninstall => ic::ChangeDetails::CodeUninstall,
        ChangeKind::Deployment(mode, module_hash) => ic::ChangeDetails::CodeDeployment(ic::CodeDeploymentRecord {
            mode: match mode.as_str() {
                "install" => ic::CodeDeploymentMode::Install,
                "reinstall" => ic::CodeDeploymentMode::Reinstall,
                _ => ic::CodeDeploymentMode::Upgrade,
            },
            module_hash: module_hash.to_vec(),
        }),
        ChangeKind::Controllers(controllers) => ic::ChangeDetails::ControllersChange(ic::ControllersChangeRecord {
            controllers: controllers.iter().copied().collect(),
        }),
        ChangeKind::SnapshotLoaded { from, snapshot, canister_version, taken_at, is_upload } => {
            ic::ChangeDetails::LoadSnapshot(ic::LoadSnapshotRecord {
                from_canister_id: *from,
                snapshot_id: snapshot.clone(),
                canister_version: *canister_version,
                taken_at_timestamp: taken_at.get(),
                source: if *is_upload {
                    ic::SnapshotSource::MetadataUpload(Reserved)
                } else {
                    ic::SnapshotSource::TakenFromCanister(Reserved)
                },
            })
        }
    };
    ic::Change {
        timestamp_nanos: change.timestamp.get(),
        canister_version: change.version,
        origin,
        details: Some(details),
    }
}
