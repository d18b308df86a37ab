//! Rolling upgrades: members change to a binary that knows one more version of the protocol, at different times; one may stay
//! behind until it stops. Afterwards one goes back, and must be refused.

use crate::{
    disk::Loss,
    log::{Log, Mark},
    options::Options,
    subnet::Subnet,
};
use commonware_runtime::{Clock as _, deterministic::Context};
use mains_state::{StorageFailure, SwitchRules, VersionMark};
use mains_types::{UnixNanos, Versions, version::FIRST_VERSION};
use std::{sync::Mutex, time::Duration};

/// The binary before the upgrade.
pub const OLD: Versions = Versions::OURS;
/// The binary after it.
pub const NEW: Versions = Versions { oldest: OLD.oldest, newest: OLD.newest + 1 };
/// Switches come soon, so that a short run sees one.
pub const RULES: SwitchRules = SwitchRules { multiple: 5, notice: 10, patience_nanos: 2 * UnixNanos::SECOND };
/// How long a member may take to be refused, and another one to be back.
const RETURN_MAX: Duration = Duration::from_secs(60);
/// How long one that stayed behind may take to stop before everything heals: it does as soon as a quorum switches.
const BEHIND_MAX: Duration = Duration::from_secs(20);
/// What a binary says whose rules are too old.
const REFUSAL: &str = "install a newer release";

/// A member's note of its data's version; survives its crashes.
#[derive(Default)]
pub struct MemoryMark(Mutex<Option<u32>>);

impl VersionMark for MemoryMark {
    fn read(&self) -> Result<u32, StorageFailure> {
        Ok(self.0.lock().expect("no holder panics").unwrap_or(FIRST_VERSION))
    }
    fn raise(&self, version: u32) -> Result<(), StorageFailure> {
        let mut mark = self.0.lock().expect("no holder panics");
        *mark = (*mark).max(Some(version));
        Ok(())
    }
}

/// Whether a member that stopped by itself did so because its binary is too old.
fn is_refusal(ended: &str) -> bool {
    ended.contains(REFUSAL)
}

/// Waits until a member that stays behind has stopped, if the others go on without it.
pub async fn left_behind(context: &Context, subnet: &Subnet, member: usize) {
    let deadline = context.current() + BEHIND_MAX;
    while subnet.ended(member).is_none() && context.current() < deadline {
        context.sleep(Duration::from_millis(100)).await;
    }
}

/// Gives the new binary to everybody who has not got it, when everything has healed.
///
/// # Errors
/// A member with the old one had stopped for another reason than that.
pub async fn finish(options: &Options, subnet: &Subnet, log: &Log) -> Result<(), String> {
    for member in 0..subnet.members() {
        if options.upgrade.is_some() && subnet.versions(member) == OLD {
            if subnet.ended(member).is_some_and(|ended| is_refusal(&ended)) {
                log.mark(Mark::OutdatedStopped);
            }
            exchange(subnet, member, NEW, options).await?;
        }
    }
    Ok(())
}

/// Ends a member and starts it with another binary.
///
/// # Errors
/// It had stopped by itself for another reason than that its binary was too old.
pub async fn exchange(subnet: &Subnet, member: usize, versions: Versions, options: &Options) -> Result<(), String> {
    subnet.kill(member, Loss::Everything, options.seed);
    if let Some(ended) = subnet.change_binary(member, versions)
        && !is_refusal(&ended)
        && options.is_honest(member)
    {
        return Err(format!("blame: member {member} stopped by itself: {ended}"));
    }
    subnet.restart(member).await;
    Ok(())
}

/// When all have switched: a member that goes back to the old binary is refused, and takes part again with the new one.
///
/// # Errors
/// It was not, or does not.
pub async fn go_back(context: &Context, options: &Options, subnet: &Subnet, log: &Log) -> Result<(), String> {
    if options.upgrade.is_none() {
        return Ok(());
    }
    log.mark(Mark::Switched);
    let member = (0..subnet.members()).find(|member| options.is_honest(*member)).ok_or("nobody is honest")?;
    let height = subnet.findings.agreement.newest();
    exchange(subnet, member, OLD, options).await?;
    until(context, || subnet.ended(member).is_some(), || format!("an older binary starts as member {member}")).await?;
    exchange(subnet, member, NEW, options).await?;
    log.mark(Mark::DowngradeRefused);
    let is_back = || {
        let view = subnet.replica(member).and_then(|replica| replica.view());
        view.is_some_and(|view| view.height() > height && view.state.version() == NEW.newest)
    };
    until(context, is_back, || format!("member {member} does not come back with the newer binary")).await
}

async fn until(context: &Context, is_so: impl Fn() -> bool, else_what: impl Fn() -> String) -> Result<(), String> {
    let deadline = context.current() + RETURN_MAX;
    while !is_so() {
        if context.current() >= deadline {
            return Err(format!("upgrade: {}", else_what()));
        }
        context.sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
