//! S8: what a healthy replica shows to clients never goes back, restarts included, until its disk is replaced; what a client
//! did is in what the same replica shows afterwards.

use crate::log::Log;
use mains_replica::ReplicaHandle;
use std::{collections::BTreeMap, sync::Mutex};

/// The newest height that each replica showed.
#[derive(Default)]
pub struct Monotone(Mutex<BTreeMap<usize, u64>>);

impl Monotone {
    /// A client looks at a replica.
    pub fn look(&self, member: usize, replica: &ReplicaHandle, log: &Log) {
        let status = replica.status();
        if status.healthy {
            self.shown(member, status.certified_height, log);
        }
    }

    /// A member's disk is replaced: what it showed is forgotten with it, and others' word for it binds it from now on.
    pub fn forget(&self, member: usize) {
        self.0.lock().expect("no holder panics").remove(&member);
    }

    /// A replica showed this height.
    pub fn shown(&self, member: usize, height: u64, log: &Log) {
        let mut newest = self.0.lock().expect("no holder panics");
        let seen = newest.entry(member).or_default();
        let before = *seen;
        *seen = before.max(height);
        drop(newest);
        if height < before {
            log.broken(|| format!("S8: member {member} shows height {height} after it had shown {before}"));
        }
    }
}
