//! The management canister, `aaaaa-aa`: creates, installs, stops, shows and deletes canisters.
//!
//! Arguments and replies are the types of `ic-management-canister-types`, never written by hand: clients decode fields that
//! the written specification does not have yet. A method changes the state freely and returns a refusal if it cannot go on;
//! the caller then undoes what it changed. Spec: `specs/interface.md`, "Management canister".

#[cfg(test)]
pub(crate) mod bench;
mod chunks;
pub(crate) mod codec;
mod install;
pub(crate) mod lifecycle;
mod methods;
pub(crate) mod module;
mod publisher;
pub(crate) mod refusal;
pub(crate) mod settings;
mod snapshots;
mod status;
mod subnet;
#[cfg(test)]
mod tests;

pub(crate) use methods::{Work, claimed_version, pays, work_max};
pub use methods::{ingress_target, inspect, query_target};

use crate::calls::{Outcome, SystemCall};
use mains_state::{Accepted, CallOrigin, State};
use mains_types::{Principal, Reject};
use methods::Method;

/// Answers a call.
pub(crate) fn call(call: &mut SystemCall<'_>) -> Outcome {
    match dispatch(call) {
        Ok(Some(reply)) => Outcome::Reply(reply),
        Ok(None) => Outcome::Later,
        Err(Halt::Reject(reject)) => Outcome::Reject(reject),
        Err(Halt::Prepare(module, weight)) => Outcome::Prepare(module, weight),
        Err(Halt::Pause) => Outcome::Pause,
    }
}

/// Why a call stops before its end.
pub(crate) enum Halt {
    /// It is refused.
    Reject(Reject),
    /// It goes on when there was time to compile this module, which costs so many instructions.
    Prepare(Accepted, u64),
    /// It goes on in a later round: its slice is used up.
    Pause,
}

impl From<Reject> for Halt {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}

/// Answers a call that was made as a query.
///
/// # Errors
/// The refusal, also for methods that are no queries.
pub(crate) fn query(state: &State, sender: Principal, method: &str, argument: &[u8]) -> Result<Vec<u8>, Reject> {
    match Method::parse(method)? {
        Method::CanisterStatus => status::canister_status(state, &sender, argument),
        Method::FetchCanisterLogs => status::fetch_canister_logs(state, &sender, argument),
        Method::CanisterMetrics => status::canister_metrics(state, &sender, argument),
        _ => Err(refusal::no_query(method)),
    }
}

/// The reply, or `None` if it comes later.
fn dispatch(call: &mut SystemCall<'_>) -> Result<Option<Vec<u8>>, Halt> {
    let method = Method::parse(call.method)?;
    let is_client = matches!(call.origin, CallOrigin::Ingress { .. });
    method.admit(call.method, is_client)?;
    let (sender, argument) = (call.sender, call.argument);
    let reply = match method {
        Method::CreateCanister => lifecycle::create_canister(call)?,
        Method::ProvisionalCreateCanisterWithCycles => lifecycle::provisional_create(call)?,
        Method::ProvisionalTopUpCanister => lifecycle::provisional_top_up(call)?,
        Method::UpdateSettings => lifecycle::update_settings(call)?,
        Method::UninstallCode => lifecycle::uninstall_code(call)?,
        Method::StartCanister => lifecycle::start_canister(call)?,
        Method::StopCanister => return Ok(lifecycle::stop_canister(call)?),
        Method::DeleteCanister => lifecycle::delete_canister(call)?,
        Method::DepositCycles => lifecycle::deposit_cycles(call)?,
        Method::RawRand => {
            codec::decode::<()>(call.method, argument)?;
            codec::encode(&serde_bytes::ByteBuf::from(call.random.next()))
        }
        Method::InstallCode => install::install_code(call)?,
        Method::InstallChunkedCode => install::install_chunked_code(call)?,
        Method::UploadChunk => chunks::upload_chunk(call)?,
        Method::StoredChunks => chunks::stored_chunks(call)?,
        Method::ClearChunkStore => chunks::clear_chunk_store(call)?,
        Method::CanisterStatus => status::canister_status(call.state, &sender, argument)?,
        Method::CanisterInfo => status::canister_info(call.state, argument)?,
        Method::CanisterMetadata => status::canister_metadata(call.state, &sender, argument)?,
        Method::CanisterMetrics => status::canister_metrics(call.state, &sender, argument)?,
        Method::FetchCanisterLogs => return Err(refusal::queries_only(call.method).into()),
        Method::NodeMetricsHistory => subnet::node_metrics_history(call.state, argument)?,
        Method::SubnetInfo => subnet::subnet_info(call.state, argument)?,
        Method::SubnetMetrics => subnet::subnet_metrics(call.state, argument)?,
        Method::TakeCanisterSnapshot => snapshots::take_canister_snapshot(call)?,
        Method::LoadCanisterSnapshot => snapshots::load_canister_snapshot(call)?,
        Method::ListCanisterSnapshots => snapshots::list_canister_snapshots(call)?,
        Method::DeleteCanisterSnapshot => snapshots::delete_canister_snapshot(call)?,
        Method::ReadCanisterSnapshotMetadata => snapshots::transfer::read_canister_snapshot_metadata(call)?,
        Method::ReadCanisterSnapshotData => snapshots::transfer::read_canister_snapshot_data(call)?,
        Method::UploadCanisterSnapshotMetadata => snapshots::transfer::upload_canister_snapshot_metadata(call)?,
        Method::UploadCanisterSnapshotData => snapshots::transfer::upload_canister_snapshot_data(call)?,
    };
    Ok(Some(reply))
}
