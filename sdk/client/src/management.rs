//! What controllers do with canisters: create, install, start, stop, look.

use crate::{Client, ClientError, Outcome};
use candid::{CandidType, Decode, Encode, Nat};
use ic_management_canister_types::{
    CanisterIdRecord, CanisterInstallMode, CanisterStatusResult, ChunkHash, InstallChunkedCodeArgs, InstallCodeArgs,
    UpgradeFlags, UploadChunkArgs, WasmMemoryPersistence,
};
use mains_types::{CanisterId, Cycles, Principal, ids::cycles_ledger_id, limits::CHUNK_BYTES_MAX};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Modules up to this many bytes travel in one call; larger ones in chunks.
const WHOLE_MODULE_BYTES_MAX: usize = 1_800_000;

/// How to put code into a canister.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Into an empty canister.
    Fresh,
    /// Over what is there, forgetting its state.
    Reinstall,
    /// Over what is there, keeping its state. `keep_heap`: as Motoko's enhanced orthogonal persistence demands.
    Upgrade {
        /// Whether the heap survives, not only stable memory.
        keep_heap: bool,
    },
}

impl From<Install> for CanisterInstallMode {
    fn from(install: Install) -> Self {
        match install {
            Install::Fresh => Self::Install,
            Install::Reinstall => Self::Reinstall,
            Install::Upgrade { keep_heap: false } => Self::Upgrade(None),
            Install::Upgrade { keep_heap: true } => Self::Upgrade(Some(UpgradeFlags {
                skip_pre_upgrade: None,
                wasm_memory_persistence: Some(WasmMemoryPersistence::Keep),
            })),
        }
    }
}

#[derive(CandidType)]
struct Account {
    owner: Principal,
    subaccount: Option<serde_bytes::ByteBuf>,
}

#[derive(CandidType)]
struct CreateCanister {
    from_subaccount: Option<serde_bytes::ByteBuf>,
    created_at_time: Option<u64>,
    amount: Nat,
    creation_args: Option<()>,
}

#[derive(CandidType, Deserialize)]
struct Created {
    canister_id: Principal,
}

#[derive(CandidType, Deserialize, Debug)]
enum CreateError {
    InsufficientFunds { balance: Nat },
    GenericError { message: String, error_code: Nat },
    FailedToCreate { error: String },
    TemporarilyUnavailable,
    TooOld,
    CreatedInFuture { ledger_time: u64 },
    Duplicate { duplicate_of: Nat },
}

#[derive(CandidType)]
struct Transfer {
    to: Account,
    fee: Option<Nat>,
    memo: Option<serde_bytes::ByteBuf>,
    from_subaccount: Option<serde_bytes::ByteBuf>,
    created_at_time: Option<u64>,
    amount: Nat,
}

#[derive(CandidType, Deserialize, Debug)]
enum TransferError {
    InsufficientFunds { balance: Nat },
    BadFee { expected_fee: Nat },
    GenericError { message: String, error_code: Nat },
    BadBurn { min_burn_amount: Nat },
    TemporarilyUnavailable,
    TooOld,
    CreatedInFuture { ledger_time: u64 },
    Duplicate { duplicate_of: Nat },
}

impl Client {
    /// Cycles that `owner` holds at the cycles ledger.
    ///
    /// # Errors
    /// No answer.
    pub async fn balance(&self, owner: Principal) -> Result<Cycles, ClientError> {
        let argument = Encode!(&Account { owner, subaccount: None })?;
        let reply = self.query(cycles_ledger_id(), "icrc1_balance_of", argument).await?;
        Ok(cycles(&Decode!(&reply, Nat)?))
    }

    /// Sends cycles at the cycles ledger.
    ///
    /// # Errors
    /// [`ClientError::Ledger`] if the ledger refuses; nothing was sent then.
    pub async fn transfer(&self, to: Principal, amount: Cycles) -> Result<Outcome, ClientError> {
        let argument = Encode!(&Transfer {
            to: Account { owner: to, subaccount: None },
            fee: None,
            memo: None,
            from_subaccount: None,
            created_at_time: None,
            amount: Nat::from(amount.get()),
        })?;
        let outcome = self.call(cycles_ledger_id(), "icrc1_transfer", argument).await?;
        let reply = outcome.result.as_ref().map_err(|rejection| ClientError::Rejected(rejection.clone()))?;
        Decode!(reply, Result<Nat, TransferError>)?.map_err(|error| ClientError::Ledger(format!("{error:?}")))?;
        Ok(outcome)
    }

    /// Creates a canister that this identity controls, with `amount` of its cycles.
    ///
    /// # Errors
    /// [`ClientError::Ledger`] if the ledger refuses; nothing was spent then.
    pub async fn create_canister(&self, amount: Cycles) -> Result<(CanisterId, Outcome), ClientError> {
        let argument = Encode!(&CreateCanister {
            from_subaccount: None,
            created_at_time: None,
            amount: Nat::from(amount.get()),
            creation_args: None,
        })?;
        let outcome = self.call(cycles_ledger_id(), "create_canister", argument).await?;
        let reply = outcome.result.as_ref().map_err(|rejection| ClientError::Rejected(rejection.clone()))?;
        let created =
            Decode!(reply, Result<Created, CreateError>)?.map_err(|error| ClientError::Ledger(format!("{error:?}")))?;
        Ok((created.canister_id, outcome))
    }

    /// Puts `module` into a canister; large modules travel in chunks. The outcome is that of the last call.
    ///
    /// # Errors
    /// No outcome; or [`ClientError::Rejected`] while chunks are uploaded. The canister keeps its code in both cases.
    pub async fn install(
        &self,
        canister: CanisterId,
        install: Install,
        module: &[u8],
        argument: Vec<u8>,
    ) -> Result<Outcome, ClientError> {
        if module.len() <= WHOLE_MODULE_BYTES_MAX {
            let argument = Encode!(&InstallCodeArgs {
                mode: install.into(),
                canister_id: canister,
                wasm_module: module.to_vec(),
                arg: argument,
                sender_canister_version: None,
            })?;
            return self.manage(canister, "install_code", argument).await;
        }
        let record = Encode!(&CanisterIdRecord { canister_id: canister })?;
        self.manage(canister, "clear_chunk_store", record.clone()).await?.reply()?;
        let mut chunk_hashes_list = Vec::new();
        for chunk in module.chunks(CHUNK_BYTES_MAX) {
            let upload = Encode!(&UploadChunkArgs { canister_id: canister, chunk: chunk.to_vec() })?;
            let reply = self.manage(canister, "upload_chunk", upload).await?.reply()?;
            chunk_hashes_list.push(Decode!(&reply, ChunkHash)?);
        }
        let argument = Encode!(&InstallChunkedCodeArgs {
            mode: install.into(),
            target_canister: canister,
            store_canister: None,
            chunk_hashes_list,
            wasm_module_hash: Sha256::digest(module).to_vec(),
            arg: argument,
            sender_canister_version: None,
        })?;
        let outcome = self.manage(canister, "install_chunked_code", argument).await?;
        self.manage(canister, "clear_chunk_store", record).await?.reply()?;
        Ok(outcome)
    }

    /// Starts a canister.
    ///
    /// # Errors
    /// No outcome.
    pub async fn start_canister(&self, canister: CanisterId) -> Result<Outcome, ClientError> {
        self.manage(canister, "start_canister", Encode!(&CanisterIdRecord { canister_id: canister })?).await
    }

    /// Stops a canister once its open calls have ended.
    ///
    /// # Errors
    /// No outcome.
    pub async fn stop_canister(&self, canister: CanisterId) -> Result<Outcome, ClientError> {
        self.manage(canister, "stop_canister", Encode!(&CanisterIdRecord { canister_id: canister })?).await
    }

    /// A canister's status; only its controllers may ask, unless its settings say otherwise.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] if this identity may not ask.
    pub async fn canister_status(&self, canister: CanisterId) -> Result<CanisterStatusResult, ClientError> {
        let argument = Encode!(&CanisterIdRecord { canister_id: canister })?;
        let reply = self.query_for(canister, Principal::management_canister(), "canister_status", argument).await?;
        Ok(Decode!(&reply, CanisterStatusResult)?)
    }

    async fn manage(&self, canister: CanisterId, method: &str, argument: Vec<u8>) -> Result<Outcome, ClientError> {
        self.call_for(canister, Principal::management_canister(), method, argument).await
    }
}

/// A Candid number as cycles; what does not fit is more than exists.
pub fn cycles(number: &Nat) -> Cycles {
    Cycles(u128::try_from(&number.0).unwrap_or(u128::MAX))
}
