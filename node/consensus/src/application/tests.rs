//! The application without an engine: votes, proposals and deliveries against a scripted replica on virtual time.

use super::*;
use crate::{Control, Proposal, committee};
use bytes::Bytes;
use commonware_consensus::{
    Application as _,
    marshal::ancestry,
    types::{Epoch, Round, View},
};
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact};
use mains_types::limits;
use std::sync::Mutex;

/// A replica that answers from a list.
#[derive(Clone, Default)]
struct Scripted {
    verdicts: Arc<Mutex<Vec<Verdict>>>,
    proposal: Arc<Mutex<Proposal>>,
    pending: Arc<Mutex<Vec<Height>>>,
}

impl Payloads for Scripted {
    async fn build(&mut self, parent: &Block, pending: &[Block]) -> Option<Proposal> {
        assert!(pending.first().is_none_or(|block| block == parent));
        *self.pending.lock().expect("one thread") = pending.iter().map(Block::height).collect();
        Some(self.proposal.lock().expect("one thread").clone())
    }
    async fn validate(&mut self, _: &Block, _: &Block) -> Verdict {
        self.verdicts.lock().expect("one thread").pop().expect("asked too often")
    }
    async fn deliver(&mut self, _: Delivery) {}
}

fn context(parent: &Block) -> Context {
    let view = parent.height().get() + 1;
    Context {
        round: Round::new(Epoch::zero(), View::new(view)),
        leader: committee::public_key_of(&[1; 32]),
        parent: (View::new(view - 1), parent.digest()),
    }
}

fn child(parent: &Block, time: Duration) -> Block {
    let time = UnixNanos(time.as_nanos() as u64);
    Block::child(context(parent), parent, time, Control::default(), vec![])
}

fn digested(blocks: &[Block]) -> impl Ancestry<Block> {
    ancestry::from_iter(
        blocks.iter().rev().map(|block| Digested::precomputed(block.clone(), block.digest())).collect::<Vec<_>>(),
    )
}

/// Genesis and `count` blocks, one second apart.
fn chain(count: u64) -> Vec<Block> {
    let mut blocks = vec![Block::genesis([1; 32], UnixNanos(0))];
    for height in 1..=count {
        let block = child(&blocks[blocks.len() - 1], Duration::from_secs(height));
        blocks.push(block);
    }
    blocks
}

struct Setup {
    runtime: deterministic::Context,
    replica: Scripted,
    application: Application<Scripted>,
    deliveries: mpsc::Receiver<Delivery>,
}

impl Setup {
    async fn vote(&mut self, blocks: &[Block], verdicts: Vec<Verdict>) -> bool {
        *self.replica.verdicts.lock().expect("one thread") = verdicts.into_iter().rev().collect();
        let parent = &blocks[blocks.len() - 2];
        self.application.verify((self.runtime.child("verify"), context(parent)), digested(blocks)).await
    }

    async fn propose(&mut self, blocks: &[Block]) -> Block {
        let parent = blocks.last().expect("a parent");
        let proposed =
            self.application.propose((self.runtime.child("propose"), context(parent)), digested(blocks), ()).await;
        proposed.expect("a leader always proposes").inner().clone()
    }

    fn elapsed(&self) -> Duration {
        self.runtime.current().duration_since(UNIX_EPOCH).expect("after the epoch")
    }
}

fn run<F: Future<Output = ()>>(test: impl FnOnce(Setup) -> F) {
    deterministic::Runner::default().start(|runtime| async move {
        let (sender, deliveries) = mpsc::channel(16);
        let replica = Scripted::default();
        let application = Application::new(replica.clone(), Height::ZERO, sender);
        test(Setup { runtime, replica, application, deliveries }).await;
    });
}

#[test]
fn a_replica_that_cannot_tell_yet_asks_again_until_it_can() {
    run(|mut setup| async move {
        let blocks = chain(1);
        setup.runtime.sleep(Duration::from_secs(1)).await;
        let not_yet = || Verdict::NotYet("a block is missing".into());
        assert!(setup.vote(&blocks, vec![not_yet(), not_yet(), Verdict::Valid]).await);
        assert_eq!(setup.elapsed(), Duration::from_secs(1) + RECHECK_MIN * 3);
        assert!(!setup.vote(&blocks, vec![not_yet(), Verdict::Invalid("a forged signature".into())]).await);
    });
}

#[test]
fn a_replica_whose_clock_is_behind_waits_and_then_votes_yes() {
    run(|mut setup| async move {
        let blocks = chain(5);
        assert!(setup.vote(&blocks, vec![Verdict::Valid]).await);
        assert_eq!(setup.elapsed(), Duration::from_secs(5) - CLOCK_DRIFT_MAX);
    });
}

#[test]
fn a_broken_header_is_voted_down_before_the_replica_is_asked() {
    run(|mut setup| async move {
        let genesis = Block::genesis([1; 32], UnixNanos(0));
        let parent = child(&genesis, Duration::from_secs(2));
        let certificate = crate::Certificate { height: Height(2), root: [1; 32], signature: [2; 48] };
        let control = Control::new(Some(certificate));
        let block = Block::child(context(&parent), &parent, UnixNanos(3_000_000_000), control, vec![]);
        assert!(!setup.vote(&[genesis, parent, block], vec![]).await);
    });
}

#[test]
fn a_leader_is_told_every_ancestor_that_is_not_executed() {
    run(|mut setup| async move {
        let blocks = chain(4);
        setup.propose(&blocks).await;
        assert_eq!(*setup.replica.pending.lock().expect("one thread"), [4, 3, 2, 1].map(Height));
        let (ack, waiter) = Exact::handle();
        let block = Digested::precomputed(blocks[2].clone(), blocks[2].digest());
        assert_eq!(setup.application.report(Update::Block(block, ack)), Feedback::Ok);
        let delivery = setup.deliveries.try_recv().expect("handed over");
        assert_eq!(delivery.block, blocks[2]);
        setup.propose(&blocks).await;
        assert_eq!(setup.replica.pending.lock().expect("one thread").len(), 4, "delivered is not executed");
        delivery.ack.acknowledge();
        waiter.await.expect("the engine hears of it");
        setup.propose(&blocks).await;
        assert_eq!(*setup.replica.pending.lock().expect("one thread"), [4, 3].map(Height));
        setup.propose(&chain(ANCESTORS_MAX as u64 + 10)).await;
        assert_eq!(setup.replica.pending.lock().expect("one thread").len(), ANCESTORS_MAX);
    });
}

#[test]
fn a_proposal_never_holds_more_than_a_block_may() {
    run(|mut setup| async move {
        let message = Bytes::from(vec![1; limits::INGRESS_BYTES_MAX]);
        let proposal = Proposal { ingress: vec![message; 3], ..Proposal::default() };
        *setup.replica.proposal.lock().expect("one thread") = proposal;
        let block = setup.propose(&chain(1)).await;
        assert_eq!(block.ingress().len(), 2);
        assert!(block.time() > chain(1)[1].time());
    });
}

#[test]
fn genesis_is_acknowledged_without_the_replica() {
    run(|mut setup| async move {
        let genesis = chain(0).remove(0);
        let (ack, waiter) = Exact::handle();
        let digest = genesis.digest();
        setup.application.report(Update::Block(Digested::precomputed(genesis, digest), ack));
        waiter.await.expect("acknowledged");
        assert!(setup.deliveries.try_recv().is_err());
    });
}
