//! Between the engine and the replica: proposes, checks and hands over blocks.
//!
//! A vote is single-shot and final, so nothing local may make it a no: a replica that cannot tell yet, or whose clock
//! is behind the block, waits. The engine abandons the question when the view ends.

use crate::{
    Block, Digest, PublicKey, Scheme,
    block::{Context, ingress_fits},
    pace::CLOCK_DRIFT_MAX,
    payloads::{Ack, Delivery, Payloads, Verdict},
};
use commonware_actor::Feedback;
use commonware_consensus::{
    Reporter,
    marshal::{Update, ancestry::Ancestry},
};
use commonware_cryptography::Digested;
use commonware_runtime::Clock;
use commonware_utils::channel::mpsc;
use futures::StreamExt as _;
use mains_types::{
    Height, UnixNanos,
    planted::{self, Defect},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Ancestors a proposer looks at for ingress that must not be proposed again. Beyond it a duplicate is only waste:
/// execution recognizes it.
pub const ANCESTORS_MAX: usize = 64;
/// How long a replica that cannot tell yet waits before it asks again; doubles up to [`RECHECK_MAX`].
const RECHECK_MIN: Duration = Duration::from_millis(20);
const RECHECK_MAX: Duration = Duration::from_millis(320);

/// The engine's view of a replica. Clones share it.
#[derive(Clone, Debug)]
pub struct Application<A> {
    payloads: A,
    /// The newest acknowledged height.
    executed: Arc<AtomicU64>,
    /// Finalized blocks for [`deliver`]; as long as the engine hands over, so it is never full.
    deliveries: mpsc::Sender<Delivery>,
}

impl<A: Payloads> Application<A> {
    /// An application over `payloads` that starts after `executed`; finalized blocks go to `deliveries`.
    pub(crate) fn new(payloads: A, executed: Height, deliveries: mpsc::Sender<Delivery>) -> Self {
        Self { payloads, executed: Arc::new(AtomicU64::new(executed.get())), deliveries }
    }
}

/// Hands finalized blocks to the replica, in order, until the engine ends.
pub(crate) async fn deliver(mut payloads: impl Payloads, mut deliveries: mpsc::Receiver<Delivery>) {
    while let Some(delivery) = deliveries.recv().await {
        payloads.deliver(delivery).await;
    }
}

impl<E, A> commonware_consensus::Application<E> for Application<A>
where
    E: Clock + Send + Sync + 'static,
    A: Payloads,
{
    type SigningScheme = Scheme;
    type Context = Context;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (_, context): (E, Context),
        mut ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let parent = ancestry.next().await?.inner().clone();
        let pending = pending(parent.clone(), ancestry, self.executed.load(Ordering::Relaxed)).await;
        let mut proposal = self.payloads.build(&parent, &pending).await?;
        while !ingress_fits(&proposal.ingress) {
            tracing::error!(
                count = proposal.ingress.len(),
                "more ingress than a block holds: the last one is left out"
            );
            proposal.ingress.pop();
        }
        let block = Block::child(context, &parent, proposal.time, proposal.control, proposal.ingress);
        let digest = block.digest();
        Some(Digested::precomputed(block, digest))
    }

    async fn verify(&mut self, (runtime, _): (E, Context), mut ancestry: impl Ancestry<Block>) -> bool {
        // The engine dropped the question: no answer is wanted.
        let Some(block) = ancestry.next().await else { return false };
        let Some(parent) = ancestry.next().await else { return false };
        let (block, parent) = (block.inner(), parent.inner());
        if let Err(reason) = block.follows(parent) {
            refuse(block, &reason);
            return false;
        }
        self.payloads.heard(block);
        let earliest = moment(block.time()) - CLOCK_DRIFT_MAX;
        if runtime.current() < earliest {
            if planted::is(Defect::ClockDecides) {
                refuse(block, "this clock is behind its time");
                return false;
            }
            tracing::debug!(height = %block.height(), "waits: this clock is behind the block's time");
            runtime.sleep_until(earliest).await;
        }
        let mut recheck = RECHECK_MIN;
        loop {
            match self.payloads.validate(block, parent).await {
                Verdict::Valid => return true,
                Verdict::Invalid(reason) => {
                    refuse(block, &reason);
                    return false;
                }
                Verdict::NotYet(reason) => {
                    tracing::debug!(height = %block.height(), %reason, "cannot vote yet");
                    runtime.sleep(recheck).await;
                    recheck = (recheck * 2).min(RECHECK_MAX);
                }
            }
        }
    }
}

impl<A: Payloads> Reporter for Application<A> {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        match update {
            Update::Tip(_, height, _) => {
                self.payloads.finalized(Height(height.get()));
                Feedback::Ok
            }
            Update::Block(block, ack) => {
                let block = block.inner().clone();
                let ack = Ack::new(ack, block.height(), self.executed.clone());
                if block.height() == Height::ZERO {
                    // Genesis has no content: the replica starts from its own genesis state.
                    ack.acknowledge();
                    return Feedback::Ok;
                }
                match self.deliveries.try_send(Delivery { block, ack }) {
                    Ok(()) => Feedback::Ok,
                    // Dropping the acknowledgement stops the engine, which is right: the replica is gone.
                    Err(_) => Feedback::Closed,
                }
            }
        }
    }
}

/// The parent and its ancestors above `executed`, newest first.
async fn pending(parent: Block, mut ancestry: impl Ancestry<Block>, executed: u64) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut next = Some(parent);
    while let Some(block) = next.take().filter(|block| block.height().get() > executed) {
        let more = block.height().get() > executed + 1 && blocks.len() + 1 < ANCESTORS_MAX;
        blocks.push(block);
        if more {
            next = ancestry.next().await.map(|block| block.inner().clone());
        }
    }
    blocks
}

fn refuse(block: &Block, reason: &str) {
    let (height, proposer): (_, &PublicKey) = (block.height(), block.leader());
    let digest: Digest = block.digest();
    tracing::warn!(%height, %proposer, %digest, %reason, "votes against an invalid block");
}

fn moment(time: UnixNanos) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(time.get())
}

#[cfg(test)]
mod tests;
