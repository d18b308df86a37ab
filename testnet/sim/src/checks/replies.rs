//! S5: a certified reply is signed by the subnet, is what the model says, and is never lost.

use crate::checks::Findings;
use mains_replica::View;
use mains_state::{Genesis, IngressStatus};
use mains_types::RequestId;
use std::{collections::BTreeMap, sync::Arc};

/// Replies for which a client holds a certificate.
pub type Certified = BTreeMap<RequestId, Vec<u8>>;

/// Checks a view's signature with a library that shares no code with the replica.
///
/// # Errors
/// The signature is not the subnet's.
pub fn signed(view: &View, genesis: &Genesis) -> Result<(), String> {
    let message = [&b"\x0dic-state-root"[..], &view.root].concat();
    ic_verify_bls_signature::verify_bls_signature(&view.signature, &message, &genesis.chain_key)
        .map_err(|()| format!("S5: the certificate of height {} is not signed by the subnet", view.height()))
}

/// Checks what members hold in the end against what clients were told.
///
/// # Errors
/// The first promise that was broken.
pub fn check(views: &[Arc<View>], certified: &Certified, findings: &Findings, genesis: &Genesis) -> Result<(), String> {
    for view in views {
        signed(view, genesis)?;
        if view.state.root() != view.root {
            return Err(format!("S5: the root of height {} is not that of its state", view.height()));
        }
        if findings.agreement.root(view.height()) != Some(view.root) {
            return Err(format!("S1: the certified root of height {} was not computed by all", view.height()));
        }
        for (id, reply) in certified {
            match view.state.ingress_status(id) {
                Some(IngressStatus::Replied(held)) if held.as_slice() == reply => {}
                other => return Err(format!("S5: a certified reply was lost: request {id} is {other:?}")),
            }
        }
    }
    Ok(())
}
