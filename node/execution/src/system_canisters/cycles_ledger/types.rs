//! The cycles ledger's own types: no crate on the Internet Computer's side has them.

use candid::{CandidType, Deserialize, Nat, Principal};
use ic_management_canister_types::CanisterSettings;
use icrc_ledger_types::icrc1::account::{Account, Subaccount};

#[derive(CandidType, Deserialize)]
pub(super) struct CreateCanisterArgs {
    pub(super) from_subaccount: Option<Subaccount>,
    pub(super) created_at_time: Option<u64>,
    pub(super) amount: Nat,
    pub(super) creation_args: Option<CreationArgs>,
}

#[derive(CandidType, Deserialize, Default)]
pub(super) struct CreationArgs {
    pub(super) subnet_selection: Option<SubnetSelection>,
    pub(super) settings: Option<CanisterSettings>,
}

#[derive(CandidType, Deserialize)]
pub(super) enum SubnetSelection {
    Subnet { subnet: Principal },
    Filter { subnet_type: Option<String> },
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) struct CreateCanisterSuccess {
    pub(super) block_id: Nat,
    pub(super) canister_id: Principal,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) enum CreateCanisterError {
    InsufficientFunds { balance: Nat },
    TooOld,
    CreatedInFuture { ledger_time: u64 },
    TemporarilyUnavailable,
    Duplicate { duplicate_of: Nat, canister_id: Option<Principal> },
    FailedToCreate { fee_block: Option<Nat>, refund_block: Option<Nat>, error: String },
    GenericError { message: String, error_code: Nat },
}

#[derive(CandidType, Deserialize)]
pub(super) struct WithdrawArgs {
    pub(super) amount: Nat,
    pub(super) from_subaccount: Option<Subaccount>,
    pub(super) to: Principal,
    pub(super) created_at_time: Option<u64>,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) enum RejectionCode {
    NoError,
    CanisterError,
    SysTransient,
    DestinationInvalid,
    Unknown,
    SysFatal,
    CanisterReject,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) enum WithdrawError {
    GenericError { message: String, error_code: Nat },
    TemporarilyUnavailable,
    FailedToWithdraw { fee_block: Option<Nat>, rejection_code: RejectionCode, rejection_reason: String },
    Duplicate { duplicate_of: Nat },
    BadFee { expected_fee: Nat },
    InvalidReceiver { receiver: Principal },
    CreatedInFuture { ledger_time: u64 },
    TooOld,
    InsufficientFunds { balance: Nat },
}

#[derive(CandidType, Deserialize)]
pub(super) struct CreateCanisterFromArgs {
    pub(super) from: Account,
    pub(super) spender_subaccount: Option<Subaccount>,
    pub(super) created_at_time: Option<u64>,
    pub(super) amount: Nat,
    pub(super) creation_args: Option<CreationArgs>,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) enum CreateCanisterFromError {
    InsufficientFunds {
        balance: Nat,
    },
    InsufficientAllowance {
        allowance: Nat,
    },
    TooOld,
    CreatedInFuture {
        ledger_time: u64,
    },
    TemporarilyUnavailable,
    Duplicate {
        duplicate_of: Nat,
        canister_id: Option<Principal>,
    },
    FailedToCreateFrom {
        create_from_block: Option<Nat>,
        refund_block: Option<Nat>,
        approval_refund_block: Option<Nat>,
        rejection_code: RejectionCode,
        rejection_reason: String,
    },
    GenericError {
        message: String,
        error_code: Nat,
    },
}

#[derive(CandidType, Deserialize)]
pub(super) struct WithdrawFromArgs {
    pub(super) amount: Nat,
    pub(super) from: Account,
    pub(super) spender_subaccount: Option<Subaccount>,
    pub(super) to: Principal,
    pub(super) created_at_time: Option<u64>,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) enum WithdrawFromError {
    GenericError {
        message: String,
        error_code: Nat,
    },
    TemporarilyUnavailable,
    FailedToWithdrawFrom {
        withdraw_from_block: Option<Nat>,
        refund_block: Option<Nat>,
        approval_refund_block: Option<Nat>,
        rejection_code: RejectionCode,
        rejection_reason: String,
    },
    Duplicate {
        duplicate_of: Nat,
    },
    InvalidReceiver {
        receiver: Principal,
    },
    CreatedInFuture {
        ledger_time: u64,
    },
    TooOld,
    InsufficientFunds {
        balance: Nat,
    },
    InsufficientAllowance {
        allowance: Nat,
    },
}

#[derive(CandidType, Deserialize)]
pub(super) struct DepositArgs {
    pub(super) to: Account,
    pub(super) memo: Option<serde_bytes::ByteBuf>,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) struct DepositResult {
    pub(super) balance: Nat,
    pub(super) block_index: Nat,
}
