//! The promises, one a file. Most are checked while the network runs, the others when it has settled.
//!
//! | | promise | file |
//! |---|---|---|
//! | S1, S3 | the same block and the same state at every height, on every honest member, before and after crashes | `agreement` |
//! | S2 | only blocks that are valid: times that go on, calls that were signed and had not expired, none twice, within the caps | `blocks` |
//! | S4 | every call runs exactly once, or never if it was rejected or expired | `exactly_once` |
//! | S5 | every certified reply is what a model says, under a signature that an independent library accepts, and stays | `replies` |
//! | S6 | money is conserved | `money` |
//! | S7 | no honest member votes twice in a view, not even after a crash | `votes` |
//! | S8 | what a healthy replica shows never goes back | `monotone` |
//! | S10 | every queue keeps its bound and is empty in the end | `bounds` |
//! | S11 | nobody executes, or votes for, a height by rules that its binary does not have | `versions` |
//! | | honest members never blame or keep out each other, and never stop; evidence holds and names liars only | `blame` |
//! | L | after everything healed: a common certified height, and every call answered | `liveness` |
//!
//! S9 is about streams to subscribers, which are not built.

pub mod agreement;
pub mod blame;
pub mod blocks;
pub mod bounds;
pub mod exactly_once;
pub mod liveness;
pub mod money;
pub mod monotone;
pub mod pace;
pub mod replies;
pub mod versions;
pub mod votes;

use crate::{log::Log, options::Options};
use mains_replica::BlockSummary;
use mains_state::{Genesis, State};
use std::sync::Arc;

/// What members did, as the simulator saw it.
pub struct Findings {
    options: Options,
    log: Arc<Log>,
    /// Blocks and states.
    pub agreement: agreement::Agreement,
    /// What is known about blocks.
    pub blocks: blocks::Blocks,
    /// Votes of honest members.
    pub votes: Arc<votes::Votes>,
    /// When blocks were proposed.
    pub pace: pace::Pace,
    /// Which binaries ran.
    pub binaries: versions::Binaries,
    /// What clients saw of replicas.
    pub monotone: monotone::Monotone,
}

impl Findings {
    /// Nothing yet.
    pub fn new(options: &Options, genesis: &Genesis, log: Arc<Log>) -> Arc<Self> {
        Arc::new(Self {
            options: options.clone(),
            log,
            agreement: agreement::Agreement::default(),
            blocks: blocks::Blocks::new(genesis, |member| options.is_honest(member)),
            votes: Arc::default(),
            pace: pace::Pace::default(),
            binaries: versions::Binaries::default(),
            monotone: monotone::Monotone::default(),
        })
    }

    /// A member executed a block.
    pub fn executed(&self, member: usize, summary: &BlockSummary) {
        if self.options.is_honest(member) {
            self.agreement.saw(member, summary, &self.log);
            self.log.detail(|| {
                format!("member {member} executed height {} with {} calls", summary.height, summary.calls_count)
            });
        }
    }

    /// A member is about to execute a block.
    pub fn executing(&self, member: usize, block: &mains_execution::Block) {
        if self.options.is_honest(member) {
            self.blocks.check(block, &self.log);
            self.pace.saw(block);
        }
    }

    /// A member has the state after a block.
    pub fn sealed(&self, member: usize, state: &State) {
        if self.options.is_honest(member) {
            bounds::check(state, &self.log);
            self.binaries.sealed(member, state, &self.log);
        }
    }
}
