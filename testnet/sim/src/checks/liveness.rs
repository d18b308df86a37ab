//! L: once links are sound and members are back, all of them certify a common height above everything executed before, and no
//! call waits in a pool: one that arrived late is proposed by whoever has it, and forgotten with its block. If members got a newer
//! binary, all of them have switched.

use crate::{
    log::Log,
    options::Options,
    subnet::Subnet,
    upgrade::{NEW, OLD},
};
use commonware_runtime::{Clock as _, deterministic::Context};
use mains_replica::View;
use std::{fmt::Write as _, sync::Arc, time::Duration};

/// How long members may take to agree once everything is healed.
const SETTLE_MAX: Duration = Duration::from_secs(90);

/// Waits for a common certified height above everything that was executed when this began, and for pools to be empty.
///
/// # Errors
/// Too long, with what each member waits for; or a promise was broken meanwhile.
pub async fn settle(
    context: &Context,
    subnet: &Subnet,
    options: &Options,
    log: &Log,
) -> Result<Vec<Arc<View>>, String> {
    let target = subnet.findings.agreement.newest();
    let deadline = context.current() + SETTLE_MAX;
    let sound: Vec<usize> = (0..subnet.members()).filter(|member| options.is_honest(*member)).collect();
    while context.current() < deadline {
        if let Some(broken) = log.first_broken() {
            return Err(broken);
        }
        let replicas: Vec<_> = sound.iter().filter_map(|member| subnet.replica(*member)).collect();
        let views: Vec<Arc<View>> = replicas.iter().filter_map(|replica| replica.view()).collect();
        let nothing_waits = replicas.iter().all(|replica| replica.status().pool_count == 0);
        let version = if options.upgrade.is_some() { NEW.newest } else { OLD.newest };
        let is_there = |view: &Arc<View>| view.height() > target && view.state.version() == version;
        if views.len() == sound.len() && views.iter().all(is_there) && nothing_waits {
            return Ok(views);
        }
        context.sleep(Duration::from_millis(100)).await;
    }
    let mut why = format!("L: members did not come together above height {target} with empty pools in {SETTLE_MAX:?}");
    why.push_str(&state_of(subnet, options).await);
    Err(why)
}

/// What every member is at, for somebody who wants to know why nothing moves.
pub async fn state_of(subnet: &Subnet, options: &Options) -> String {
    let mut words = String::new();
    for member in 0..subnet.members() {
        let kind = match (options.is_honest(member), options.far_clock == Some(member)) {
            (true, false) => "",
            (true, true) => " (far clock)",
            (false, _) => " (faulty)",
        };
        let _ = match (subnet.replica(member), subnet.ended(member)) {
            (_, Some(ended)) => write!(words, "\n  member {member}{kind}: stopped: {ended}"),
            (None, None) => write!(words, "\n  member {member}{kind}: down, or does not come up"),
            (Some(replica), None) => {
                let status = replica.status();
                write!(
                    words,
                    "\n  member {member}{kind}: version {}, finalized {}, executed {}, certified {}, {} calls wait, {}",
                    status.protocol_version,
                    status.finalized_height,
                    status.executed_height,
                    status.certified_height,
                    status.pool_count,
                    status.reason.unwrap_or_else(|| "healthy".into())
                )
            }
        };
    }
    let _ = write!(words, "\n  kept out: {:?}", subnet.blocked().await);
    words
}
