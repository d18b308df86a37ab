//! Honest members never stop by themselves and never keep each other out; evidence holds for anybody who has the genesis
//! file, and names only members that lied.

use crate::{
    log::{Log, Mark},
    options::Options,
    subnet::{GENESIS_DIGEST, NETWORK, Subnet},
};
use mains_consensus::Evidence;
use mains_replica::ReplicaHandle;
use mains_state::Genesis;

/// Looks at who was blamed.
///
/// # Errors
/// An honest member was, or stopped.
pub async fn check(subnet: &Subnet, options: &Options, log: &Log) -> Result<(), String> {
    for (from, to) in subnet.blocked().await {
        if from == to && options.emptied == Some(from) {
            // It forgot what it proposed, so that its own certified block looks like another's lie. Nothing of it went out.
            continue;
        }
        log.mark(Mark::PeerBlocked);
        if options.is_honest(from) && options.is_honest(to) {
            return Err(format!("blame: member {from} keeps out {to}, which did nothing wrong"));
        }
    }
    for member in (0..subnet.members()).filter(|member| options.is_honest(*member)) {
        if let Some(ended) = subnet.ended(member) {
            return Err(format!("blame: member {member} stopped by itself: {ended}"));
        }
        if let Some(replica) = subnet.replica(member) {
            evidence(member, &replica, subnet.genesis(), options, log)?;
        }
    }
    Ok(())
}

/// Looks at the evidence that a member holds: in the end, and before it dies, since a restart forgets it.
///
/// # Errors
/// It does not hold, or is against a member that keeps to the rules.
pub fn evidence(
    member: usize,
    replica: &ReplicaHandle,
    genesis: &Genesis,
    options: &Options,
    log: &Log,
) -> Result<(), String> {
    let participants: Vec<[u8; 32]> = genesis.nodes.iter().map(|node| node.public_key).collect();
    for evidence in replica.status().evidence {
        log.mark(Mark::Evidence);
        let proof = hex::decode(&evidence.proof).map_err(|error| format!("blame: {error}"))?;
        let proven = Evidence::verify(&proof.into(), &participants, NETWORK, &GENESIS_DIGEST)
            .ok_or_else(|| format!("blame: the evidence of member {member} does not hold"))?;
        if proven.node.to_text() != evidence.node_id {
            return Err(format!("blame: the evidence of member {member} names another than it proves"));
        }
        let accused = participants
            .iter()
            .position(|key| mains_crypto::node_id(key) == proven.node)
            .ok_or("blame: evidence against somebody who is no member")?;
        if options.is_honest(accused) {
            return Err(format!("blame: member {member} holds evidence against {accused}, which did nothing wrong"));
        }
    }
    Ok(())
}
