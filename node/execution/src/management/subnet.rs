//! What canisters are told about the subnet and its nodes.

use super::{codec, refusal};
use candid::Nat;
use ic_management_canister_types as ic;
use mains_ledger::Resource;
use mains_state::State;
use mains_types::{Principal, Reject, UnixNanos};

/// The version of these rules, as `subnet_info` tells it.
const VERSION: &str = concat!("mains-", env!("CARGO_PKG_VERSION"));

/// `node_metrics_history`.
pub(super) fn node_metrics_history(state: &State, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::NodeMetricsHistoryArgs,)>("node_metrics_history", argument)?;
    check_subnet(state, &args.subnet_id)?;
    let history = state.metrics.history(UnixNanos(args.start_at_timestamp_nanos));
    let records: Vec<_> = history
        .into_iter()
        .map(|sample| ic::NodeMetricsHistoryRecord {
            timestamp_nanos: sample.timestamp.get(),
            node_metrics: sample
                .nodes
                .into_iter()
                .map(|(node_id, blocks)| ic::NodeMetrics {
                    node_id,
                    num_blocks_proposed_total: blocks.proposed,
                    num_block_failures_total: blocks.failed,
                })
                .collect(),
        })
        .collect();
    Ok(codec::encode(&records))
}

/// `subnet_info`. There is no registry yet whose version could change.
pub(super) fn subnet_info(state: &State, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::SubnetInfoArgs,)>("subnet_info", argument)?;
    check_subnet(state, &args.subnet_id)?;
    Ok(codec::encode(&ic::SubnetInfoResult { replica_version: VERSION.into(), registry_version: 1 }))
}

/// `subnet_metrics`: what `/subnet/<id>/metrics` tells, and instructions.
pub(super) fn subnet_metrics(state: &State, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(ic::SubnetMetricsArgs,)>("subnet_metrics", argument)?;
    check_subnet(state, &args.subnet_id)?;
    let consumed: u128 = Resource::ALL.iter().map(|resource| state.ledger.charged(*resource).get()).sum();
    Ok(codec::encode(&ic::SubnetMetricsResult {
        block_height: Nat::from(state.height.get()),
        num_canisters: Nat::from(state.canisters_count()),
        canister_state_bytes: Nat::from(state.canisters_bytes()),
        consumed_cycles_total: Nat::from(consumed),
        update_transactions_total: Nat::from(state.metrics.messages),
        million_round_instructions_total: Nat::from(state.metrics.instructions.div_ceil(1_000_000)),
    }))
}

fn check_subnet(state: &State, id: &Principal) -> Result<(), Reject> {
    if *id == state.subnet.id { Ok(()) } else { Err(refusal::payload(format!("This network has no subnet {id}."))) }
}
