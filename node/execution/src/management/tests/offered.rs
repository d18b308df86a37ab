//! Every method of the interface specification's Candid file: who may call it, or why nobody.

use super::{MANAGEMENT, create};
use crate::{
    calls::Outcome,
    management::{
        bench::{Bench, alice, bob, codec, decode, reply},
        ingress_target,
    },
};
use ic_management_canister_types as ic;
use mains_ledger::Resource;
use mains_types::{RejectCode, UnixNanos};

/// Name, and who may call: clients by update, canisters, anybody by query.
const OFFERED: [(&str, bool, bool, bool); 33] = [
    ("create_canister", false, true, false),
    ("update_settings", true, true, false),
    ("upload_chunk", true, true, false),
    ("clear_chunk_store", true, true, false),
    ("stored_chunks", true, true, false),
    ("install_code", true, true, false),
    ("install_chunked_code", true, true, false),
    ("uninstall_code", true, true, false),
    ("start_canister", true, true, false),
    ("stop_canister", true, true, false),
    ("canister_status", true, true, true),
    ("canister_metrics", true, true, true),
    ("delete_canister", true, true, false),
    ("deposit_cycles", false, true, false),
    ("raw_rand", false, true, false),
    ("canister_info", false, true, false),
    ("canister_metadata", false, true, false),
    ("node_metrics_history", false, true, false),
    ("subnet_info", false, true, false),
    ("subnet_metrics", false, true, false),
    ("provisional_create_canister_with_cycles", true, true, false),
    ("provisional_top_up_canister", true, true, false),
    ("take_canister_snapshot", true, true, false),
    ("load_canister_snapshot", true, true, false),
    ("read_canister_snapshot_metadata", true, true, false),
    ("read_canister_snapshot_data", true, true, false),
    ("upload_canister_snapshot_metadata", true, true, false),
    ("upload_canister_snapshot_data", true, true, false),
    ("list_canister_snapshots", true, true, false),
    ("delete_canister_snapshot", true, true, false),
    ("fetch_canister_logs", false, false, true),
    // Not in the list: both exist so that the table has every pair of answers.
    ("no_such_method", false, false, false),
    ("", false, false, false),
];

const NOT_OFFERED: [&str; 15] = [
    "http_request",
    "flexible_http_request",
    "ecdsa_public_key",
    "sign_with_ecdsa",
    "schnorr_public_key",
    "sign_with_schnorr",
    "vetkd_public_key",
    "vetkd_derive_key",
    "bitcoin_get_balance",
    "bitcoin_get_utxos",
    "bitcoin_send_transaction",
    "bitcoin_get_current_fee_percentiles",
    "bitcoin_get_block_headers",
    "list_canisters",
    "rename_canister",
];

/// A refusal that says who may call, or that there is no such method; not one about the argument or the caller.
fn is_about_callers(message: &str) -> bool {
    ["can only be called", "cannot be called as a query", "has no method"].iter().any(|part| message.contains(part))
}

#[test]
fn every_method_is_offered_to_whom_the_interface_says() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    for (method, clients, canisters, queries) in OFFERED {
        let client = match bench.call(alice(), MANAGEMENT, method, &()) {
            Outcome::Reject(reject) => !is_about_callers(&reject.message),
            _ => true,
        };
        assert_eq!(client, clients, "{method} by a client");
        let target = ingress_target(method, &codec(&())).err();
        assert_eq!(target.is_none_or(|reject| !is_about_callers(&reject.message)), clients, "{method} in a block");
        let canister = match bench.call_from(id, 0, MANAGEMENT, method, &()) {
            Outcome::Reject(reject) => !is_about_callers(&reject.message),
            _ => true,
        };
        assert_eq!(canister, canisters, "{method} by a canister");
        let query = bench.query(alice(), MANAGEMENT, method, &()).err();
        assert_eq!(query.is_none_or(|reject| !is_about_callers(&reject.message)), queries, "{method} by query");
    }
}

#[test]
fn what_is_not_offered_says_why() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    for method in NOT_OFFERED {
        let Outcome::Reject(reject) = bench.call_from(id, 0, MANAGEMENT, method, &()) else { panic!("{method}") };
        assert_eq!(reject.code, RejectCode::DestinationInvalid);
        let beginning = format!("The management canister does not offer {method}: ");
        let why = reject.message.strip_prefix(&beginning).unwrap_or_else(|| panic!("{}", reject.message));
        assert!(why.len() > 20 && why.ends_with('.'), "{method}: {why}");
        assert_eq!(ingress_target(method, b"").unwrap_err().message, reject.message);
        assert_eq!(bench.query(bob(), MANAGEMENT, method, &()).unwrap_err().message, reject.message);
    }
}

#[test]
fn canisters_learn_what_nodes_and_the_subnet_did() {
    let mut bench = Bench::new();
    let id = create(&mut bench);
    let subnet_id = bench.state.subnet.id;
    let nodes: Vec<_> = bench.state.subnet.nodes.keys().copied().collect();
    let day = 86_400 * UnixNanos::SECOND;
    bench.state.metrics.count_block(UnixNanos(day), nodes[0], &[(nodes[1], 2)]);
    bench.state.metrics.count_block(UnixNanos(2 * day), nodes[0], &[]);
    (bench.state.metrics.messages, bench.state.metrics.instructions) = (7, 1_000_001);
    bench.state.ledger.charge(&id, Resource::Instructions, 1_300).unwrap();

    let args = ic::NodeMetricsHistoryArgs { subnet_id, start_at_timestamp_nanos: 0 };
    let answer = reply(bench.call_from(id, 0, MANAGEMENT, "node_metrics_history", &args));
    let history: Vec<ic::NodeMetricsHistoryRecord> = decode(&answer);
    assert_eq!(history.iter().map(|record| record.node_metrics.len()).collect::<Vec<_>>(), [2, 1]);
    let failed: u64 = history[0].node_metrics.iter().map(|node| node.num_block_failures_total).sum();
    assert_eq!((failed, history[1].node_metrics[0].num_blocks_proposed_total), (2, 2));

    let args = ic::SubnetInfoArgs { subnet_id };
    let info: ic::SubnetInfoResult = decode(&reply(bench.call_from(id, 0, MANAGEMENT, "subnet_info", &args)));
    assert!(info.replica_version.starts_with("mains-"));
    let args = ic::SubnetMetricsArgs { subnet_id };
    let metrics: ic::SubnetMetricsResult = decode(&reply(bench.call_from(id, 0, MANAGEMENT, "subnet_metrics", &args)));
    assert_eq!((metrics.num_canisters, metrics.update_transactions_total), (1u8.into(), 7u8.into()));
    assert_eq!(metrics.million_round_instructions_total, 2u8);
    assert_eq!(metrics.consumed_cycles_total, 400u32, "4 of 13 nodes");
    let elsewhere = ic::SubnetInfoArgs { subnet_id: bob() };
    assert!(matches!(bench.call_from(id, 0, MANAGEMENT, "subnet_info", &elsewhere), Outcome::Reject(_)));
}
