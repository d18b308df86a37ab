//! The cycles minting canister's surface: where tools ask which subnet makes canisters. On test networks, where there is an
//! ICP ledger, it turns ICP into cycles; elsewhere it mints nothing.

mod notify;

use crate::{
    calls::SystemCall,
    management::{codec, lifecycle},
};
use candid::{CandidType, Deserialize, Nat, Principal};
use ic_management_canister_types::CanisterSettings;
use mains_ledger::Account;
use mains_state::{CallOrigin, State};
use mains_types::{Cycles, Reject, UnixNanos};

/// XDR per ICP in ten-thousandths: fixed.
const XDR_PERMYRIAD_PER_ICP: u64 = 10_000;
/// What tools that bring ICP are told.
const NO_ICP: &str = "This network does not exchange ICP for cycles. Create canisters through the cycles ledger, um5iw-rqaaa-aaaaq-qaaba-cai.";

#[derive(CandidType)]
struct ConversionRate {
    xdr_permyriad_per_icp: u64,
    timestamp_seconds: u64,
}

#[derive(CandidType)]
struct CertifiedConversionRate {
    data: ConversionRate,
    #[allow(clippy::struct_field_names, reason = "the interface's names")]
    hash_tree: serde_bytes::ByteBuf,
    certificate: serde_bytes::ByteBuf,
}

#[derive(CandidType)]
struct SubnetTypes {
    data: Vec<(String, Vec<Principal>)>,
}

/// Who may choose which subnets that others may not: nobody, there is one.
#[derive(CandidType)]
struct PrincipalsToSubnets {
    data: Vec<(Principal, Vec<Principal>)>,
}

#[derive(CandidType, Deserialize)]
struct CreateCanisterArgs {
    settings: Option<CanisterSettings>,
}

#[derive(CandidType, Deserialize, Debug)]
enum CreateCanisterError {
    Refunded { refund_amount: Nat, create_error: String },
}

/// Answers a method that changes something; `None` for any other.
pub(super) fn call(call: &mut SystemCall<'_>) -> Option<Result<Vec<u8>, Reject>> {
    let has_icp = call.state.subnet.is_test;
    match call.method {
        "notify_create_canister" if has_icp => Some(notify::create_canister(call)),
        "notify_top_up" if has_icp => Some(notify::top_up(call)),
        "notify_mint_cycles" if has_icp => Some(notify::mint_cycles(call)),
        "notify_create_canister" => Some(Ok(codec::encode(&no_icp::<Principal>()))),
        "notify_top_up" | "notify_mint_cycles" => Some(Ok(codec::encode(&no_icp::<Nat>()))),
        "create_canister" => Some(create_canister(call)),
        _ => None,
    }
}

/// Answers a query.
pub(super) fn query(state: &State, method: &str, argument: &[u8]) -> Option<Result<Vec<u8>, Reject>> {
    if method == "get_principals_authorized_to_create_canisters_to_subnets" {
        let nobody = PrincipalsToSubnets { data: Vec::new() };
        return Some(codec::decode::<()>(method, argument).map(|()| codec::encode(&nobody)));
    }
    Some(Ok(match method {
        "get_default_subnets" => codec::encode(&vec![state.subnet.id]),
        "get_subnet_types_to_subnets" => {
            codec::encode(&SubnetTypes { data: vec![("application".into(), vec![state.subnet.id])] })
        }
        "get_icp_xdr_conversion_rate" => codec::encode(&CertifiedConversionRate {
            data: ConversionRate {
                xdr_permyriad_per_icp: XDR_PERMYRIAD_PER_ICP,
                timestamp_seconds: state.time.get() / UnixNanos::SECOND,
            },
            hash_tree: Default::default(),
            certificate: Default::default(),
        }),
        _ => return None,
    }))
}

/// `create_canister`: as the management canister's, with the answer of this one.
fn create_canister(call: &mut SystemCall<'_>) -> Result<Vec<u8>, Reject> {
    let (args,) = codec::decode::<(CreateCanisterArgs,)>(call.method, call.argument)?;
    if matches!(call.origin, CallOrigin::Ingress { .. }) {
        return Err(crate::management::refusal::canisters_only(call.method));
    }
    let (before, attached) = (call.state.clone(), call.cycles);
    let outcome = make(call, args).map_err(|reject| {
        *call.state = before;
        call.cycles = attached;
        CreateCanisterError::Refunded { refund_amount: attached.get().into(), create_error: reject.message }
    });
    Ok(codec::encode(&outcome))
}

fn make(call: &mut SystemCall<'_>, args: CreateCanisterArgs) -> Result<Principal, Reject> {
    let id = lifecycle::new_canister(call.state, (call.sender, None), args.settings.unwrap_or_default(), None)?;
    call.accept(&Account::Canister(id), Cycles::MAX);
    lifecycle::charge_creation(call.state, &id)?;
    Ok(id)
}

fn no_icp<T>() -> Result<T, notify::NotifyError> {
    Err(notify::NotifyError::InvalidTransaction(NO_ICP.into()))
}
