//! What consensus asks of the replica it orders for. Everything here is about values; how a pool or an executor works
//! is the replica's business.

use crate::{Block, Control};
use bytes::Bytes;
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact};
use mains_types::{Height, UnixNanos};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The replica, as consensus sees it. Clones share one replica.
pub trait Payloads: Clone + Send + Sync + 'static {
    /// Content for a block on `parent`. `pending` are the ancestors that were not yet acknowledged, newest first, the
    /// parent included (at most [`crate::application::ANCESTORS_MAX`]): their ingress must not be proposed again.
    ///
    /// May wait for work, at most a heartbeat, and must then answer, with an empty proposal if there is nothing: a
    /// leader that says nothing costs everybody a view. `None` if this replica could not vote for the block itself, which
    /// gives the view up. Cancel-safe: a proposal may never be used, so nothing may leave a pool here.
    fn build(&mut self, parent: &Block, pending: &[Block]) -> impl Future<Output = Option<Proposal>> + Send;

    /// Whether the content of `block` is valid on `parent`. Looks only at what all replicas see alike (signatures,
    /// expiry against `block.time()`, the certificate in `control`), never at this replica's clock, pool or state.
    /// [`Block::follows`] and the caps were checked before. Cancel-safe.
    fn validate(&mut self, block: &Block, parent: &Block) -> impl Future<Output = Verdict> + Send;

    /// The next finalized and durable block: in height order, at least once (again after a restart). At most
    /// [`crate::engine::UNEXECUTED_BLOCKS_MAX`] are handed over before they are acknowledged.
    fn deliver(&mut self, delivery: Delivery) -> impl Future<Output = ()> + Send;

    /// A block of another member has just come, and nothing of it was checked but its form. For status only.
    fn heard(&mut self, block: &Block) {
        let _ = block;
    }

    /// A height was finalized; its block may still be missing here. For status only: nothing durable stands behind it.
    fn finalized(&mut self, height: Height) {
        let _ = height;
    }
}

/// The content of a new block.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Its time. Raised to just above the parent's if it is not later.
    pub time: UnixNanos,
    /// What the proposer knows about the chain.
    pub control: Control,
    /// Signed requests, within [`crate::block::ingress_fits`].
    pub ingress: Vec<Bytes>,
}

/// What a replica says about a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every honest replica will say so.
    Valid,
    /// Every honest replica will say so, for ever: the vote is no.
    Invalid(String),
    /// This replica cannot tell yet: it does not vote, and asks again.
    NotYet(String),
}

/// A finalized block on its way to execution.
#[derive(Debug)]
pub struct Delivery {
    /// The block.
    pub block: Block,
    /// To be acknowledged once the block is executed.
    pub ack: Ack,
}

/// The promise to tell when a block was executed. Dropping it stops the engine: a block nobody executed must not be
/// forgotten.
#[derive(Debug)]
#[must_use = "a block that is never acknowledged stops the engine"]
pub struct Ack {
    engine: Exact,
    height: Height,
    executed: Arc<AtomicU64>,
}

impl Ack {
    pub(crate) fn new(engine: Exact, height: Height, executed: Arc<AtomicU64>) -> Self {
        Self { engine, height, executed }
    }

    /// The block was executed. After a crash it is delivered again only if this was not yet durable.
    pub fn acknowledge(self) {
        self.executed.fetch_max(self.height.get(), Ordering::Relaxed);
        self.engine.acknowledge();
    }

    /// An acknowledgement nobody waits for, for tests.
    pub fn unobserved() -> Self {
        Self::new(Exact::handle().0, Height::ZERO, Arc::default())
    }
}
