//! Why a call failed, as its caller sees it. Texts come from our own tables, never from an engine.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The class of a rejection (interface specification, "Reject codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum RejectCode {
    /// Fatal system error, a retry is unlikely to help.
    SysFatal = 1,
    /// Transient system error, a retry might help.
    SysTransient = 2,
    /// The destination does not exist.
    DestinationInvalid = 3,
    /// The canister rejected the message itself.
    CanisterReject = 4,
    /// The canister failed: trapped, has no such method, is stopped.
    CanisterError = 5,
    /// Nobody knows: only for best-effort calls.
    SysUnknown = 6,
}

impl RejectCode {
    /// The code with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::SysFatal,
            2 => Self::SysTransient,
            3 => Self::DestinationInvalid,
            4 => Self::CanisterReject,
            5 => Self::CanisterError,
            6 => Self::SysUnknown,
            _ => return None,
        })
    }
}

/// A stable, finer code; tools of the Internet Computer match on some of these texts, so ours are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u16)]
pub enum ErrorCode {
    /// The subnet takes no more work now.
    SubnetOversubscribed = 101,
    /// A queue of the canister is full.
    CanisterQueueFull = 203,
    /// The canister did not stop in time.
    StopCanisterRequestTimeout = 206,
    /// The canister is out of cycles.
    CanisterOutOfCycles = 207,
    /// The canister does not exist.
    CanisterNotFound = 301,
    /// The management canister has no such method, or not for this sender.
    CanisterMethodNotFound = 302,
    /// The canister would have too little left after this.
    InsufficientMemory = 303,
    /// `inspect_message` did not accept the message.
    CanisterRejectedMessage = 406,
    /// The canister is not running for this operation (for example still running on delete).
    CanisterNotStopped = 510,
    /// The canister trapped by `ic0.trap` or an instruction.
    CanisterTrapped = 502,
    /// The canister called `ic0.trap`.
    CanisterCalledTrap = 503,
    /// The module is invalid.
    CanisterInvalidModule = 505,
    /// The message did not reply and waits for nothing.
    CanisterDidNotReply = 506,
    /// The canister ran out of memory.
    CanisterOutOfMemory = 507,
    /// The canister is stopped.
    CanisterStopped = 508,
    /// The canister is stopping.
    CanisterStopping = 509,
    /// The sender is no controller.
    CanisterInvalidController = 512,
    /// Nothing is installed at that function reference.
    CanisterFunctionNotFound = 513,
    /// The canister has code and the mode is install.
    CanisterNonEmpty = 514,
    /// More instructions than the limit.
    CanisterInstructionLimitExceeded = 522,
    /// Modules are not compiled as fast as they come.
    CanisterInstallCodeRateLimited = 523,
    /// The method does not exist.
    CanisterMethodMissing = 536,
    /// The canister has no module.
    CanisterWasmModuleNotFound = 537,
    /// The heap would be larger than the canister's settings allow.
    CanisterWasmMemoryLimitExceeded = 539,
    /// The call broke a rule of the system interface.
    CanisterContractViolation = 504,
    /// The arguments of a management or system canister call do not decode or do not fit.
    InvalidManagementPayload = 402,
}

impl ErrorCode {
    /// The text clients see, for example `IC0301`.
    pub fn text(self) -> String {
        format!("IC0{:03}", self as u16)
    }
}

/// A rejected call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reject {
    /// The class.
    pub code: RejectCode,
    /// One sentence: what happened, and what to do if that is not obvious.
    pub message: String,
    /// The finer code, if there is one.
    pub error_code: Option<ErrorCode>,
}

impl Reject {
    /// A rejection with a finer code.
    pub fn new(code: RejectCode, error_code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), error_code: Some(error_code) }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error_code {
            Some(code) => write!(f, "{} ({})", self.message, code.text()),
            None => f.write_str(&self.message),
        }
    }
}
