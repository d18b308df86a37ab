//! Settings as controllers send them, checked, and as they are shown.

use super::{codec, module, refusal};
use candid::Nat;
use ic_management_canister_types as ic;
use mains_state::{LogVisibility, Settings};
use mains_types::{Digest32, Principal, Reject, limits};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that a canister's allocation or limit may name: 256 TiB, as in the interface specification.
const ALLOCATION_MAX: u64 = 1 << 48;
/// Principals that may be listed as viewers.
const VIEWERS_MAX: usize = 10;

/// The settings with what is given replaced; what is not given stays.
///
/// # Errors
/// [`refusal::payload`] naming the first setting that does not fit; nothing has changed.
pub(crate) fn apply(before: &Settings, given: ic::CanisterSettings) -> Result<Settings, Reject> {
    let mut settings = before.clone();
    if let Some(controllers) = given.controllers {
        settings.controllers = principals("controllers", controllers, limits::CONTROLLERS_MAX)?;
    }
    set(&mut settings.compute_allocation, "compute_allocation", &given.compute_allocation, 100)?;
    set(&mut settings.memory_allocation, "memory_allocation", &given.memory_allocation, ALLOCATION_MAX)?;
    set(&mut settings.freezing_threshold_seconds, "freezing_threshold", &given.freezing_threshold, u64::MAX)?;
    set(&mut settings.wasm_memory_limit, "wasm_memory_limit", &given.wasm_memory_limit, ALLOCATION_MAX)?;
    set(&mut settings.wasm_memory_threshold, "wasm_memory_threshold", &given.wasm_memory_threshold, ALLOCATION_MAX)?;
    if let Some(limit) = &given.log_memory_limit {
        // More than the protocol keeps is no error: the limit is an upper one.
        settings.log_memory_limit = codec::word("log_memory_limit", limit, u64::MAX)?.min(limits::LOG_BYTES_MAX as u64);
    }
    if let Some(limit) = &given.reserved_cycles_limit {
        settings.reserved_cycles_limit = codec::cycles("reserved_cycles_limit", limit)?;
    }
    if let Some(minimum) = &given.minimum_incoming_canister_call_cycles {
        settings.minimum_incoming_canister_call_cycles =
            codec::cycles("minimum_incoming_canister_call_cycles", minimum)?;
    }
    if let Some(visibility) = given.log_visibility {
        settings.log_visibility = match visibility {
            ic::LogVisibility::Controllers => LogVisibility::Controllers,
            ic::LogVisibility::Public => LogVisibility::Public,
            ic::LogVisibility::AllowedViewers(viewers) => viewers_of("log_visibility", viewers)?,
        };
    }
    if let Some(visibility) = given.snapshot_visibility {
        settings.snapshot_visibility = match visibility {
            ic::SnapshotVisibility::Controllers => LogVisibility::Controllers,
            ic::SnapshotVisibility::Public => LogVisibility::Public,
            ic::SnapshotVisibility::AllowedViewers(viewers) => viewers_of("snapshot_visibility", viewers)?,
        };
    }
    if let Some(visibility) = given.status_visibility {
        settings.status_visibility = match visibility {
            ic::StatusVisibility::Controllers => LogVisibility::Controllers,
            ic::StatusVisibility::Public => LogVisibility::Public,
            ic::StatusVisibility::AllowedViewers(viewers) => viewers_of("status_visibility", viewers)?,
        };
    }
    if let Some(variables) = given.environment_variables {
        settings.environment_variables = environment(variables)?;
    }
    Ok(settings)
}

/// The settings in effect, as `canister_status` shows them.
pub(crate) fn show(settings: &Settings) -> ic::DefiniteCanisterSettings {
    ic::DefiniteCanisterSettings {
        controllers: settings.controllers.iter().copied().collect(),
        compute_allocation: settings.compute_allocation.into(),
        memory_allocation: settings.memory_allocation.into(),
        freezing_threshold: settings.freezing_threshold_seconds.into(),
        reserved_cycles_limit: codec::nat(settings.reserved_cycles_limit),
        minimum_incoming_canister_call_cycles: codec::nat(settings.minimum_incoming_canister_call_cycles),
        log_visibility: match &settings.log_visibility {
            LogVisibility::Controllers => ic::LogVisibility::Controllers,
            LogVisibility::Public => ic::LogVisibility::Public,
            LogVisibility::AllowedViewers(viewers) => ic::LogVisibility::AllowedViewers(list(viewers)),
        },
        log_memory_limit: settings.log_memory_limit.into(),
        snapshot_visibility: match &settings.snapshot_visibility {
            LogVisibility::Controllers => ic::SnapshotVisibility::Controllers,
            LogVisibility::Public => ic::SnapshotVisibility::Public,
            LogVisibility::AllowedViewers(viewers) => ic::SnapshotVisibility::AllowedViewers(list(viewers)),
        },
        status_visibility: match &settings.status_visibility {
            LogVisibility::Controllers => ic::StatusVisibility::Controllers,
            LogVisibility::Public => ic::StatusVisibility::Public,
            LogVisibility::AllowedViewers(viewers) => ic::StatusVisibility::AllowedViewers(list(viewers)),
        },
        wasm_memory_limit: settings.wasm_memory_limit.into(),
        wasm_memory_threshold: settings.wasm_memory_threshold.into(),
        environment_variables: settings
            .environment_variables
            .iter()
            .map(|(name, value)| ic::EnvironmentVariable { name: name.clone(), value: value.clone() })
            .collect(),
    }
}

/// The hash by which a canister's history names its environment variables: the representation-independent one of the map
/// from names to values (interface specification, "Hash of map").
pub(crate) fn environment_hash(variables: &BTreeMap<String, String>) -> Digest32 {
    let mut pairs: Vec<[Digest32; 2]> =
        variables.iter().map(|(name, value)| [module::hash(name.as_bytes()), module::hash(value.as_bytes())]).collect();
    pairs.sort_unstable();
    module::hash(pairs.as_flattened().as_flattened())
}

/// Whether `caller` may read what has this visibility.
pub(crate) fn may_read(settings: &Settings, visibility: &LogVisibility, caller: &Principal) -> bool {
    settings.controllers.contains(caller)
        || match visibility {
            LogVisibility::Controllers => false,
            LogVisibility::Public => true,
            LogVisibility::AllowedViewers(viewers) => viewers.contains(caller),
        }
}

fn set(setting: &mut u64, name: &str, given: &Option<Nat>, most: u64) -> Result<(), Reject> {
    if let Some(value) = given {
        *setting = codec::word(name, value, most)?;
    }
    Ok(())
}

fn principals(name: &str, list: Vec<Principal>, most: usize) -> Result<BTreeSet<Principal>, Reject> {
    if list.len() > most {
        return Err(refusal::payload(format!("{name} lists at most {most} principals.")));
    }
    Ok(list.into_iter().collect())
}

fn viewers_of(name: &str, viewers: Vec<Principal>) -> Result<LogVisibility, Reject> {
    principals(name, viewers, VIEWERS_MAX).map(LogVisibility::AllowedViewers)
}

fn list(set: &BTreeSet<Principal>) -> Vec<Principal> {
    set.iter().copied().collect()
}

fn environment(variables: Vec<ic::EnvironmentVariable>) -> Result<BTreeMap<String, String>, Reject> {
    if variables.len() > limits::ENVIRONMENT_VARIABLES_MAX {
        return Err(refusal::payload(format!(
            "There are at most {} environment variables.",
            limits::ENVIRONMENT_VARIABLES_MAX
        )));
    }
    let mut map = BTreeMap::new();
    for ic::EnvironmentVariable { name, value } in variables {
        if name.is_empty() || name.len().max(value.len()) > limits::ENVIRONMENT_VARIABLE_BYTES_MAX {
            let most = limits::ENVIRONMENT_VARIABLE_BYTES_MAX;
            return Err(refusal::payload(format!(
                "An environment variable's name has 1 to {most} bytes, its value up to {most}."
            )));
        }
        if map.contains_key(&name) {
            return Err(refusal::payload(format!("The environment variable {name:?} is given twice.")));
        }
        map.insert(name, value);
    }
    Ok(map)
}
