//! Counters and latencies of this gateway in Prometheus' text format. Labels are closed sets.

use crate::{server::Gateway, web::ForCanister};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use mains_replica::{Finances, Status};
use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// What a request was for.
#[derive(Clone, Copy)]
enum Endpoint {
    Call,
    Query,
    ReadState,
    Status,
    Json,
    Canister,
    Other,
}

impl Endpoint {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Call, "call"),
        (Self::Query, "query"),
        (Self::ReadState, "read_state"),
        (Self::Status, "status"),
        (Self::Json, "json"),
        (Self::Canister, "canister"),
        (Self::Other, "other"),
    ];

    fn of(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/api/") else { return Self::Other };
        if rest.starts_with("mains/") {
            return Self::Json;
        }
        match rest.rsplit('/').next() {
            Some("call") => Self::Call,
            Some("query") => Self::Query,
            Some("read_state") => Self::ReadState,
            Some("status") => Self::Status,
            _ => Self::Other,
        }
    }
}

/// Classes of HTTP statuses, as label values.
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];
/// Upper bounds of the latency buckets, microseconds.
const BOUNDS_MICROS: [u64; 13] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000];

#[derive(Default)]
struct Latency {
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

/// All counters.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; CLASSES.len()]; Endpoint::ALL.len()],
    latencies: [Latency; Endpoint::ALL.len()],
}

/// Counts a request and times it.
pub(crate) async fn count(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let endpoint = Endpoint::of(request.uri().path());
    let began = Instant::now();
    let response = next.run(request).await;
    let is_canister = response.extensions().get::<ForCanister>().is_some();
    let endpoint = if is_canister { Endpoint::Canister } else { endpoint };
    let class = match response.status().as_u16() {
        ..400 => 0,
        400..500 => 1,
        _ => 2,
    };
    gateway.metrics.add(endpoint, class, began.elapsed().as_micros() as u64);
    response
}

impl Metrics {
    fn add(&self, endpoint: Endpoint, class: usize, micros: u64) {
        self.requests[endpoint as usize][class].fetch_add(1, Ordering::Relaxed);
        let latency = &self.latencies[endpoint as usize];
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        latency.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        latency.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Prometheus text.
    pub(crate) fn render(&self, status: &Status, calls_left: usize, connections: (usize, u64)) -> String {
        let mut out = String::with_capacity(8 << 10);
        self.render_all(status, calls_left, connections, &mut out).expect("writing to a string does not fail");
        out
    }

    fn render_all(
        &self,
        status: &Status,
        calls_left: usize,
        connections: (usize, u64),
        out: &mut String,
    ) -> std::fmt::Result {
        let sync = status.sync.as_ref();
        let connected = status.peers.iter().filter(|peer| peer.connected).count();
        for (name, help, value) in [
            ("mains_replica_finalized_height", "Newest finalized height.", status.finalized_height),
            ("mains_replica_executed_height", "Newest executed height.", status.executed_height),
            ("mains_replica_certified_height", "Newest certified height.", status.certified_height),
            ("mains_replica_healthy", "1 if clients are served.", u64::from(status.healthy)),
            ("mains_replica_canisters_count", "Canisters of the subnet.", status.canisters_count as u64),
            ("mains_replica_pool_calls_count", "Calls that wait to be proposed.", status.pool_count as u64),
            ("mains_network_peers_connected_count", "Members with a connection.", connected as u64),
            (
                "mains_sync_missing_count",
                "Objects or blocks known to be missing.",
                sync.map_or(0, |it| it.missing_count),
            ),
            ("mains_sync_bytes", "Bytes of the state that is fetched.", sync.map_or(0, |it| it.bytes)),
            ("mains_sync_bytes_per_second", "Rate at which a state comes.", sync.map_or(0, |it| it.bytes_per_second)),
            ("mains_store_waiting_writes_count", "Writes that wait for the disk.", status.disk.waiting_count as u64),
            ("mains_store_reserve_bytes", "Room below which no calls are taken.", status.disk.reserve_bytes),
            ("mains_gateway_call_places_left_count", "Calls that may still begin to wait.", calls_left as u64),
            ("mains_gateway_connections_open_count", "Connections of clients.", connections.0 as u64),
        ] {
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}")?;
        }
        if let Some(skew_ms) = status.clock_skew_ms {
            let (name, sign) = ("mains_replica_clock_skew_seconds", if skew_ms < 0 { "-" } else { "" });
            let seconds = seconds(skew_ms.unsigned_abs().saturating_mul(1_000));
            writeln!(
                out,
                "# HELP {name} This clock ahead of the others'.\n# TYPE {name} gauge\n{name} {sign}{seconds}"
            )?;
        }
        if let Some(free_bytes) = status.disk.free_bytes {
            let name = "mains_store_free_bytes";
            writeln!(out, "# HELP {name} Room for the node's files.\n# TYPE {name} gauge\n{name} {free_bytes}")?;
        }
        let (name, count) = ("mains_store_failures_total", status.disk.failures_count);
        writeln!(out, "# HELP {name} Writes and syncs that failed.\n# TYPE {name} counter\n{name} {count}")?;
        let (name, count) = ("mains_gateway_connections_evicted_total", connections.1);
        writeln!(out, "# HELP {name} Idle connections closed for others.\n# TYPE {name} counter\n{name} {count}")?;
        let name = "mains_gateway_requests_total";
        writeln!(out, "# HELP {name} Requests answered.\n# TYPE {name} counter")?;
        for (endpoint, label) in Endpoint::ALL {
            for (class, count) in CLASSES.iter().zip(&self.requests[endpoint as usize]) {
                let count = count.load(Ordering::Relaxed);
                writeln!(out, "{name}{{endpoint=\"{label}\",status=\"{class}\"}} {count}")?;
            }
        }
        let name = "mains_gateway_request_seconds";
        writeln!(out, "# HELP {name} Time from a request's head to its answer.\n# TYPE {name} histogram")?;
        for (endpoint, label) in Endpoint::ALL {
            self.latencies[endpoint as usize].render(name, label, out)?;
        }
        Ok(())
    }
}

impl Latency {
    fn render(&self, name: &str, label: &str, out: &mut String) -> std::fmt::Result {
        let mut below = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            below += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS_MICROS.get(index).map_or("+Inf".into(), |micros| seconds(*micros));
            writeln!(out, "{name}_bucket{{endpoint=\"{label}\",le=\"{bound}\"}} {below}")?;
        }
        let sum = seconds(self.sum_micros.load(Ordering::Relaxed));
        writeln!(out, "{name}_sum{{endpoint=\"{label}\"}} {sum}\n{name}_count{{endpoint=\"{label}\"}} {below}")
    }
}

/// Prometheus text of the subnet's money.
pub(crate) fn finances_text(finances: &Finances) -> String {
    let mut out = String::with_capacity(1 << 10);
    let name = "mains_ledger_alerts_canisters_count";
    out.push_str(&format!("# HELP {name} Canisters whose owners should look.\n# TYPE {name} gauge\n"));
    for (alert, count) in &finances.alerts {
        out.push_str(&format!("{name}{{alert=\"{}\"}} {count}\n", alert.name()));
    }
    for (name, help, value) in [
        ("mains_ledger_epoch", "The present epoch.", u128::from(finances.epoch)),
        ("mains_ledger_tariff_version", "The tariff in force.", u128::from(finances.tariff_version)),
        ("mains_ledger_income_cycles", "Paid by users since the last settlement.", finances.income.get()),
        ("mains_ledger_operators_cycles", "Earned by operators, to be paid out.", finances.operators.get()),
        ("mains_ledger_reserve_cycles", "The subnet's savings.", finances.reserve.get()),
        ("mains_ledger_commons_cycles", "The community's fund.", finances.commons.get()),
    ] {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    }
    out
}

/// Microseconds as a decimal number of seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_endpoint_whatever_its_version() {
        assert!(matches!(Endpoint::of("/api/v4/canister/aaaaa-aa/call"), Endpoint::Call));
        assert!(matches!(Endpoint::of("/api/v2/canister/aaaaa-aa/query"), Endpoint::Query));
        assert!(matches!(Endpoint::of("/api/mains/v1/status"), Endpoint::Json));
        assert!(matches!(Endpoint::of("/"), Endpoint::Other));
    }

    #[test]
    fn money_is_told_in_whole_cycles_and_every_alert_has_a_line() {
        let alerts = mains_ledger::Alert::ALL.into_iter().zip(3..).collect();
        let text = finances_text(&Finances { alerts, reserve: mains_types::Cycles(1 << 100), ..Finances::default() });
        assert!(text.contains("mains_ledger_alerts_canisters_count{alert=\"unusual_burn\"} 6\n"), "{text}");
        assert!(text.contains("\nmains_ledger_reserve_cycles 1267650600228229401496703205376\n"), "{text}");
    }

    #[test]
    fn every_request_is_in_one_bucket_and_in_the_last_sum() {
        let metrics = Metrics::default();
        metrics.add(Endpoint::Query, 0, 700);
        metrics.add(Endpoint::Query, 0, 60_000_000);
        let mut out = String::new();
        metrics.latencies[Endpoint::Query as usize].render("t", "query", &mut out).expect("strings take everything");
        assert!(out.contains("t_bucket{endpoint=\"query\",le=\"0.000500\"} 0"));
        assert!(out.contains("t_bucket{endpoint=\"query\",le=\"0.001000\"} 1"));
        assert!(out.contains("t_bucket{endpoint=\"query\",le=\"+Inf\"} 2"));
        assert!(out.contains("t_sum{endpoint=\"query\"} 60.000700"));
    }
}
