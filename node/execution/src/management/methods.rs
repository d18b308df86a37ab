//! Which methods there are, who may call them, and whom a request is about.

use super::{codec, install::InstallCode, refusal, settings, snapshots};
use candid::{CandidType, Deserialize};
use ic_management_canister_types as ic;
use mains_state::{Canister, State};
use mains_types::{CanisterId, Principal, Reject, limits};
use serde_bytes::ByteBuf;

/// The methods offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    CreateCanister,
    UpdateSettings,
    InstallCode,
    UploadChunk,
    StoredChunks,
    ClearChunkStore,
    InstallChunkedCode,
    UninstallCode,
    StartCanister,
    StopCanister,
    DeleteCanister,
    CanisterStatus,
    CanisterInfo,
    CanisterMetadata,
    CanisterMetrics,
    DepositCycles,
    RawRand,
    FetchCanisterLogs,
    ProvisionalCreateCanisterWithCycles,
    ProvisionalTopUpCanister,
    TakeCanisterSnapshot,
    LoadCanisterSnapshot,
    ListCanisterSnapshots,
    DeleteCanisterSnapshot,
    ReadCanisterSnapshotMetadata,
    ReadCanisterSnapshotData,
    UploadCanisterSnapshotMetadata,
    UploadCanisterSnapshotData,
    NodeMetricsHistory,
    SubnetInfo,
    SubnetMetrics,
}

/// Who may call a method as an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Callers {
    /// Clients and canisters.
    All,
    /// Canisters.
    Canisters,
    /// Nobody: it is a query.
    Nobody,
}

impl Method {
    /// The method with this name.
    ///
    /// # Errors
    /// The refusal, which says why if the Internet Computer has it.
    pub(crate) fn parse(name: &str) -> Result<Self, Reject> {
        Ok(match name {
            "create_canister" => Self::CreateCanister,
            "update_settings" => Self::UpdateSettings,
            "install_code" => Self::InstallCode,
            "upload_chunk" => Self::UploadChunk,
            "stored_chunks" => Self::StoredChunks,
            "clear_chunk_store" => Self::ClearChunkStore,
            "install_chunked_code" => Self::InstallChunkedCode,
            "uninstall_code" => Self::UninstallCode,
            "start_canister" => Self::StartCanister,
            "stop_canister" => Self::StopCanister,
            "delete_canister" => Self::DeleteCanister,
            "canister_status" => Self::CanisterStatus,
            "canister_info" => Self::CanisterInfo,
            "canister_metadata" => Self::CanisterMetadata,
            "canister_metrics" => Self::CanisterMetrics,
            "deposit_cycles" => Self::DepositCycles,
            "raw_rand" => Self::RawRand,
            "fetch_canister_logs" => Self::FetchCanisterLogs,
            "provisional_create_canister_with_cycles" => Self::ProvisionalCreateCanisterWithCycles,
            "provisional_top_up_canister" => Self::ProvisionalTopUpCanister,
            "take_canister_snapshot" => Self::TakeCanisterSnapshot,
            "load_canister_snapshot" => Self::LoadCanisterSnapshot,
            "list_canister_snapshots" => Self::ListCanisterSnapshots,
            "delete_canister_snapshot" => Self::DeleteCanisterSnapshot,
            "read_canister_snapshot_metadata" => Self::ReadCanisterSnapshotMetadata,
            "read_canister_snapshot_data" => Self::ReadCanisterSnapshotData,
            "upload_canister_snapshot_metadata" => Self::UploadCanisterSnapshotMetadata,
            "upload_canister_snapshot_data" => Self::UploadCanisterSnapshotData,
            "node_metrics_history" => Self::NodeMetricsHistory,
            "subnet_info" => Self::SubnetInfo,
            "subnet_metrics" => Self::SubnetMetrics,
            _ => return Err(not_offered(name)),
        })
    }

    const fn callers(self) -> Callers {
        match self {
            Self::CreateCanister
            | Self::CanisterInfo
            | Self::DepositCycles
            | Self::RawRand
            | Self::CanisterMetadata
            | Self::NodeMetricsHistory
            | Self::SubnetInfo
            | Self::SubnetMetrics => Callers::Canisters,
            Self::FetchCanisterLogs => Callers::Nobody,
            _ => Callers::All,
        }
    }

    /// Whether it may be called as an update, by a client or by a canister.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn admit(self, name: &str, is_client: bool) -> Result<(), Reject> {
        match self.callers() {
            Callers::Nobody => Err(refusal::queries_only(name)),
            Callers::Canisters if is_client => Err(refusal::canisters_only(name)),
            Callers::Canisters | Callers::All => Ok(()),
        }
    }

    /// Whether only controllers may call it; `canister_status` has a rule of its own.
    const fn is_for_controllers(self) -> bool {
        matches!(
            self,
            Self::UpdateSettings
                | Self::InstallCode
                | Self::UploadChunk
                | Self::StoredChunks
                | Self::ClearChunkStore
                | Self::InstallChunkedCode
                | Self::UninstallCode
                | Self::StartCanister
                | Self::StopCanister
                | Self::DeleteCanister
                | Self::CanisterMetrics
                | Self::TakeCanisterSnapshot
                | Self::LoadCanisterSnapshot
                | Self::DeleteCanisterSnapshot
                | Self::UploadCanisterSnapshotMetadata
                | Self::UploadCanisterSnapshotData
        )
    }

    /// Whether it reads snapshots.
    const fn reads_snapshots(self) -> bool {
        matches!(
            self,
            Self::ListCanisterSnapshots | Self::ReadCanisterSnapshotMetadata | Self::ReadCanisterSnapshotData
        )
    }
}

/// The field by which most methods name their target.
#[derive(CandidType, Deserialize)]
struct Target {
    canister_id: CanisterId,
}

/// The same for `install_code`. Candid skips a blob byte by byte and takes it as a whole: so the blobs are named.
#[derive(CandidType, Deserialize)]
struct InstallTarget {
    canister_id: CanisterId,
    #[allow(dead_code, reason = "named to be taken as a whole")]
    wasm_module: ByteBuf,
    #[allow(dead_code, reason = "named to be taken as a whole")]
    arg: ByteBuf,
}

/// The same for `upload_canister_snapshot_data`.
#[derive(CandidType, Deserialize)]
struct UploadTarget {
    canister_id: CanisterId,
    #[allow(dead_code, reason = "named to be taken as a whole")]
    chunk: ByteBuf,
}

/// The canister that a client's call of the management canister is about: its effective canister id, and who pays.
/// `None` for a call that is about none (`provisional_create_canister_with_cycles`).
///
/// # Errors
/// No such method, not for clients, or the argument does not decode. A function of the arguments only.
pub fn ingress_target(method: &str, argument: &[u8]) -> Result<Option<CanisterId>, Reject> {
    let known = Method::parse(method)?;
    known.admit(method, true)?;
    target(known, method, argument)
}

/// The canister that a query of the management canister is about: its effective canister id.
///
/// # Errors
/// No such method, not by query, or the argument does not decode. A function of the arguments only.
pub fn query_target(method: &str, argument: &[u8]) -> Result<Option<CanisterId>, Reject> {
    let known = Method::parse(method)?;
    if known.callers() == Callers::Canisters {
        return Err(refusal::canisters_only(method));
    }
    target(known, method, argument)
}

/// Whether this replica should take a client's call: target, sender, network. The call itself checks again.
///
/// # Errors
/// What the call would be rejected with.
pub fn inspect(state: &State, sender: &Principal, method: &str, argument: &[u8]) -> Result<(), Reject> {
    let known = Method::parse(method)?;
    let is_provisional =
        matches!(known, Method::ProvisionalCreateCanisterWithCycles | Method::ProvisionalTopUpCanister);
    if is_provisional && !state.subnet.is_test {
        return Err(refusal::test_networks_only(method));
    }
    let Some(id) = ingress_target(method, argument)? else { return Ok(()) };
    let canister = state.canister(&id).ok_or_else(|| refusal::not_found(&id))?;
    let is_allowed = match known {
        Method::CanisterStatus => settings::may_read(&canister.settings, &canister.settings.status_visibility, sender),
        known if known.reads_snapshots() => snapshots::may_read(&canister.settings, sender),
        known if known.is_for_controllers() => canister.is_controlled_by(sender),
        _ => true,
    };
    if is_allowed { Ok(()) } else { Err(refusal::not_controller(&id, sender, method)) }
}

/// The version that a canister claims to have in a call's argument, if it does and the method asks.
pub(crate) fn claimed_version(method: &str, argument: &[u8]) -> Option<u64> {
    fn decode<T: CandidType + for<'de> Deserialize<'de>>(method: &str, argument: &[u8]) -> Option<T> {
        codec::decode::<(T,)>(method, argument).ok().map(|(args,)| args)
    }
    match Method::parse(method).ok()? {
        Method::CreateCanister => decode::<ic::CreateCanisterArgs>(method, argument)?.sender_canister_version,
        Method::UpdateSettings => decode::<ic::UpdateSettingsArgs>(method, argument)?.sender_canister_version,
        Method::InstallCode => decode::<InstallCode>(method, argument)?.sender_canister_version,
        Method::InstallChunkedCode => decode::<ic::InstallChunkedCodeArgs>(method, argument)?.sender_canister_version,
        Method::UninstallCode => decode::<ic::UninstallCodeArgs>(method, argument)?.sender_canister_version,
        Method::ProvisionalCreateCanisterWithCycles => {
            decode::<ic::ProvisionalCreateCanisterWithCyclesArgs>(method, argument)?.sender_canister_version
        }
        Method::TakeCanisterSnapshot => {
            decode::<ic::TakeCanisterSnapshotArgs>(method, argument)?.sender_canister_version
        }
        Method::LoadCanisterSnapshot => {
            decode::<ic::LoadCanisterSnapshotArgs>(method, argument)?.sender_canister_version
        }
        _ => None,
    }
}

/// Whether a canister pays for a call about it: those of its controllers, and of whoever it lets read its snapshots.
pub(crate) fn pays(canister: &Canister, sender: &Principal, method: &str) -> bool {
    canister.is_controlled_by(sender)
        || Method::parse(method).is_ok_and(Method::reads_snapshots) && snapshots::may_read(&canister.settings, sender)
}

/// Instructions that a method may use, paid for by the canister that it is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// For running.
    pub(crate) run: u64,
    /// For compiling.
    pub(crate) compile: u64,
}

/// The most work that a method may be; `None` if it is none.
pub(crate) fn work_max(method: &str) -> Option<Work> {
    let compile = limits::COMPILE_INSTRUCTIONS_MAX;
    let work = |run, compile| Some(Work { run, compile });
    match Method::parse(method).ok()? {
        Method::InstallCode | Method::InstallChunkedCode => work(limits::INSTALL_INSTRUCTIONS_MAX, compile),
        Method::LoadCanisterSnapshot => work(limits::SNAPSHOT_INSTRUCTIONS_MAX, compile),
        Method::TakeCanisterSnapshot => work(limits::SNAPSHOT_INSTRUCTIONS_MAX, 0),
        Method::ReadCanisterSnapshotMetadata
        | Method::ReadCanisterSnapshotData
        | Method::UploadCanisterSnapshotMetadata
        | Method::UploadCanisterSnapshotData => {
            work(limits::SNAPSHOT_BASE_INSTRUCTIONS + limits::PAYLOAD_BYTES_MAX as u64, 0)
        }
        _ => None,
    }
}

fn target(known: Method, name: &str, argument: &[u8]) -> Result<Option<CanisterId>, Reject> {
    match known {
        Method::CreateCanister
        | Method::RawRand
        | Method::NodeMetricsHistory
        | Method::SubnetInfo
        | Method::SubnetMetrics => Ok(None),
        Method::ProvisionalCreateCanisterWithCycles => {
            let (ic::ProvisionalCreateCanisterWithCyclesArgs { .. },) = codec::decode(name, argument)?;
            Ok(None)
        }
        Method::InstallCode => {
            codec::decode(name, argument).map(|(InstallTarget { canister_id, .. },)| Some(canister_id))
        }
        Method::InstallChunkedCode => {
            let (args,) = codec::decode::<(ic::InstallChunkedCodeArgs,)>(name, argument)?;
            Ok(Some(args.target_canister))
        }
        Method::UploadChunk => {
            codec::decode::<(ic::UploadChunkArgs,)>(name, argument).map(|(args,)| Some(args.canister_id))
        }
        Method::UploadCanisterSnapshotData => {
            codec::decode(name, argument).map(|(UploadTarget { canister_id, .. },)| Some(canister_id))
        }
        Method::UploadCanisterSnapshotMetadata => {
            let (args,) = codec::decode::<(ic::UploadCanisterSnapshotMetadataArgs,)>(name, argument)?;
            Ok(Some(args.canister_id))
        }
        Method::UpdateSettings => {
            codec::decode::<(ic::UpdateSettingsArgs,)>(name, argument).map(|(args,)| Some(args.canister_id))
        }
        _ => codec::decode(name, argument).map(|(Target { canister_id },)| Some(canister_id)),
    }
}

fn not_offered(name: &str) -> Reject {
    let why = match name {
        "ecdsa_public_key" | "sign_with_ecdsa" | "schnorr_public_key" | "sign_with_schnorr" | "vetkd_public_key"
        | "vetkd_derive_key" => "this network holds no threshold keys for canisters",
        "http_request" | "flexible_http_request" => "canisters cannot make HTTP requests yet",
        "list_canisters" => "a subnet has no admins; its canisters are listed under /api/mains/v1/canisters",
        "rename_canister" => "canisters keep their ids",
        name if name.starts_with("bitcoin_") => "this network does not follow Bitcoin",
        _ => return refusal::no_method("The management canister", name),
    };
    refusal::not_offered(name, why)
}
