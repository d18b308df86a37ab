//! S11: a member executes a height, and votes to finalize its block, only if its binary has the rules of that height. That all
//! switch at one height is part of S1: the version is in the root.

use crate::{checks::agreement::Agreement, log::Log};
use mains_state::State;
use mains_types::{Digest32, Height, Versions};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

/// What members' binaries knew when they did what they did.
#[derive(Default)]
pub struct Binaries(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// By member.
    running: BTreeMap<usize, Versions>,
    /// By which version a height was executed.
    heights: BTreeMap<Height, u32>,
    /// Votes to finalize: member, the newest version it knew, block.
    votes: BTreeSet<(usize, u32, Digest32)>,
}

impl Binaries {
    /// A member starts with a binary.
    pub fn starts(&self, member: usize, versions: Versions) {
        self.0.lock().expect("no holder panics").running.insert(member, versions);
    }

    /// A member votes to finalize a block.
    pub fn votes(&self, member: usize, block: Digest32) {
        let mut seen = self.0.lock().expect("no holder panics");
        if let Some(versions) = seen.running.get(&member).copied() {
            seen.votes.insert((member, versions.newest, block));
        }
    }

    /// A member has the state after a block.
    pub fn sealed(&self, member: usize, state: &State, log: &Log) {
        let mut seen = self.0.lock().expect("no holder panics");
        seen.heights.insert(state.height, state.version());
        let Some(versions) = seen.running.get(&member).copied() else { return };
        drop(seen);
        if !versions.run(state.version()) {
            log.broken(|| {
                format!(
                    "S11: member {member}, which runs {versions}, executed height {} by version {}",
                    state.height,
                    state.version()
                )
            });
        }
    }

    /// Looks at all votes.
    ///
    /// # Errors
    /// One for a block whose rules the voter did not have.
    pub fn check(&self, agreement: &Agreement) -> Result<(), String> {
        let seen = self.0.lock().expect("no holder panics");
        let heights: BTreeMap<Digest32, Height> = agreement.blocks().map(|(height, block)| (block, height)).collect();
        for (member, newest, block) in &seen.votes {
            let Some(height) = heights.get(block) else { continue };
            if seen.heights.get(height).is_some_and(|version| version > newest) {
                return Err(format!(
                    "S11: member {member} knew version {newest} when it voted for the block of height {height}, which is executed by {}",
                    seen.heights[height]
                ));
            }
        }
        Ok(())
    }
}
