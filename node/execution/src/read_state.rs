//! Who may read which paths of the certified tree (interface specification, "Request: Read state").

use mains_state::State;
use mains_types::{CanisterId, ErrorCode, Principal, Reject, RejectCode, limits};

/// Whether `sender` may read `paths`. `effective_canister` is the canister of the URL, `None` for the subnet's endpoint.
///
/// # Errors
/// The first path that may not be read, and why.
pub fn authorize(
    state: &State,
    sender: Principal,
    effective_canister: Option<CanisterId>,
    paths: &[Vec<Vec<u8>>],
) -> Result<(), Reject> {
    if paths.len() > limits::READ_STATE_PATHS_MAX {
        return Err(forbidden(format!("{} paths, {} are allowed", paths.len(), limits::READ_STATE_PATHS_MAX)));
    }
    let mut request: Option<&[u8]> = None;
    for path in paths {
        if path.len() > limits::READ_STATE_LABELS_MAX {
            return Err(forbidden(format!("a path has at most {} labels", limits::READ_STATE_LABELS_MAX)));
        }
        let labels: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        match labels.as_slice() {
            [b"subnet", _, b"metrics", ..] if effective_canister.is_some() => {
                return Err(forbidden("the metrics of a subnet are read at the subnet's endpoint"));
            }
            [b"time"] | [b"subnet" | b"canister_ranges" | b"mains", ..] => {}
            [b"request_status", id, ..] => {
                if request.is_some_and(|first| first != *id) {
                    return Err(forbidden("all paths to request_status must name the same request"));
                }
                request = Some(id);
                authorize_request(state, &sender, effective_canister, id)?;
            }
            [b"canister", id, rest @ ..] => authorize_canister(state, &sender, effective_canister, id, rest)?,
            _ => return Err(forbidden(format!("there is no path {}", shown(path)))),
        }
    }
    Ok(())
}

/// Only its sender may learn what became of a request; nobody learns anything from one that is not known.
fn authorize_request(
    state: &State,
    sender: &Principal,
    effective_canister: Option<CanisterId>,
    id: &[u8],
) -> Result<(), Reject> {
    let id = <[u8; 32]>::try_from(id).map_err(|_| forbidden("a request id has 32 bytes"))?;
    if effective_canister.is_none() {
        return Err(forbidden("request_status is read at the endpoint of the request's canister"));
    }
    let Some(entry) = state.ingress_entry(&mains_types::RequestId(id)) else { return Ok(()) };
    if entry.sender != *sender {
        return Err(forbidden("only the sender of a request may read its status"));
    }
    // A call that is about no canister was sent, and is asked for, at any canister's endpoint.
    let is_elsewhere = entry.receiver != Principal::management_canister() && effective_canister != Some(entry.receiver);
    if is_elsewhere {
        return Err(forbidden("request_status is read at the endpoint of the request's canister"));
    }
    Ok(())
}

fn authorize_canister(
    state: &State,
    sender: &Principal,
    effective_canister: Option<CanisterId>,
    id: &[u8],
    rest: &[&[u8]],
) -> Result<(), Reject> {
    let id = Principal::try_from_slice(id).map_err(|_| forbidden("a canister id has at most 29 bytes"))?;
    if effective_canister != Some(id) {
        return Err(forbidden(format!("canister {id} is not the canister of this endpoint")));
    }
    match rest {
        [
            b"module_hash"
            | b"controllers"
            | b"certified_data"
            | b"canister_creation_timestamp"
            | b"last_install_timestamp",
        ] => Ok(()),
        [b"metadata", name] => {
            let Some(canister) = state.canister(&id) else { return Ok(()) };
            let name = std::str::from_utf8(name).map_err(|_| forbidden("a section's name is UTF-8"))?;
            let section = canister.code.as_ref().and_then(|code| code.sections.get(name));
            if section.is_none_or(|section| section.is_public) || canister.is_controlled_by(sender) {
                Ok(())
            } else {
                Err(forbidden(format!("section {name:?} of canister {id} is private to its controllers")))
            }
        }
        _ => {
            let leaves =
                "module_hash, controllers, certified_data, canister_creation_timestamp, last_install_timestamp";
            Err(forbidden(format!("of canister {id} only {leaves} and metadata/NAME")))
        }
    }
}

fn forbidden(why: impl Into<String>) -> Reject {
    Reject::new(RejectCode::CanisterReject, ErrorCode::CanisterRejectedMessage, why)
}

fn shown(path: &[Vec<u8>]) -> String {
    path.iter().map(|label| format!("/{}", label.escape_ascii())).collect()
}
