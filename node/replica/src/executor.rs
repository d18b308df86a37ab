//! Turns finalized blocks into states, in height order, once each, on its own big-stack thread.
//!
//! A block is acknowledged only after it was executed; what a crash loses is replayed from the chain. Every executed
//! height goes to the certifier.

use crate::{
    handle::Inner,
    pool::{caller_info, execution_call},
    saver::Saver,
    sync::Install,
    threads::{Threads, Waiting},
};
use commonware_runtime::Clock;
use mains_consensus::{Block, Delivery, Floor};
use mains_execution::Executed;
use mains_ledger::Entry;
use mains_state::{State, Subnet, epochs::Seen};
use mains_types::{
    Digest32, Height, NodeId, RequestId, UnixNanos,
    planted::{self, Defect},
};
use mains_wire::{Content, Envelope};
use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::mpsc;

/// Modules compiled before the first block of which one line of the log tells.
const TOLD_EVERY: usize = 10;
/// Pause before another attempt to note down that a new version begins.
const VERSION_PAUSE: Duration = Duration::from_millis(500);

/// The next block needs other rules than this binary has: it stops, and [`Inner::halted`] says why.
struct Halted;

/// An executed height on its way to the certifier.
pub(crate) struct Sealed {
    pub(crate) state: State,
    pub(crate) root: Digest32,
    pub(crate) control: mains_consensus::Control,
}

/// What one executed block did, for whoever keeps history. Derived: may be lost and rebuilt from blocks.
#[derive(Clone, Debug)]
pub struct BlockSummary {
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time: UnixNanos,
    /// Its digest.
    pub digest: Digest32,
    /// The state root after it.
    pub root: Digest32,
    /// Calls in it.
    pub calls_count: u32,
    /// Bytes of these calls.
    pub calls_bytes: u64,
    /// Head of the journal's hash chain after it.
    pub journal: Digest32,
    /// What moved in the ledger.
    pub entries: Vec<Entry>,
}

/// Hears of every executed block. Called on the execution thread's behalf: must return soon.
pub trait Observer: Send + Sync + 'static {
    /// One more block was executed.
    fn executed(&self, summary: BlockSummary);
    /// A block is about to be executed: for whoever checks what is in it.
    fn executing(&self, _: &mains_execution::Block) {}
    /// The state after a block: for whoever checks it.
    fn sealed(&self, _: &State) {}
}

/// An observer that forgets: for the simulator.
pub struct NoObserver;

impl Observer for NoObserver {
    fn executed(&self, _: BlockSummary) {}
}

/// Reads finalized blocks by height from the chain's archive.
pub(crate) trait Chain: Send + 'static {
    /// The finalized block at `height`, if this node holds it.
    fn block(&self, height: Height) -> impl Future<Output = Option<Block>> + Send;
    /// The newest height that was delivered and acknowledged before.
    fn processed(&self) -> impl Future<Output = Option<Height>> + Send;
    /// The newest finalized height that this node holds.
    fn tip(&self) -> impl Future<Output = Option<Height>> + Send;
    /// Goes on from a finalized block that lies ahead.
    fn set_floor(&self, floor: Floor);
}

pub(crate) struct Executor<E, C> {
    clock: E,
    inner: Arc<Inner>,
    chain: C,
    thread: Threads,
    saver: Arc<Saver>,
    observer: Arc<dyn Observer>,
    certifier: mpsc::Sender<Sealed>,
    state: Option<State>,
}

impl<E: Clock, C: Chain> Executor<E, C> {
    /// Begins at `state`: genesis or the newest checkpoint.
    #[expect(clippy::too_many_arguments, reason = "made in one place")]
    pub(crate) fn new(
        clock: E,
        inner: Arc<Inner>,
        chain: C,
        waiting: Waiting,
        saver: Arc<Saver>,
        observer: Arc<dyn Observer>,
        certifier: mpsc::Sender<Sealed>,
        state: State,
    ) -> Self {
        inner.executed.store(state.height.get(), Ordering::Relaxed);
        *inner.latest.lock().expect("no holder panics") = Some(state.clone());
        let thread = Threads::start("execution", 1, waiting);
        Self { clock, inner, chain, thread, saver, observer, certifier, state: Some(state) }
    }

    /// Replays what was delivered before a restart, then executes what consensus delivers and goes on from states that were
    /// fetched. Ends with `deliveries`, and before a block whose rules this binary does not have.
    pub(crate) async fn run(mut self, deliveries: mpsc::Receiver<Delivery>, installs: mpsc::Receiver<Install>) {
        let _ = self.serve(deliveries, installs).await;
    }

    async fn serve(
        &mut self,
        mut deliveries: mpsc::Receiver<Delivery>,
        mut installs: mpsc::Receiver<Install>,
    ) -> Result<(), Halted> {
        self.make_ready(self.state.clone().expect("present between blocks")).await;
        // Whatever was certified here before was finalized here before: nothing older is served again.
        if let Some(tip) = self.chain.tip().await.filter(|_| !planted::is(Defect::StaleStateServed)) {
            self.inner.served.fetch_max(tip.get(), Ordering::Relaxed);
        }
        if let Some(processed) = self.chain.processed().await {
            let from = self.height();
            self.catch_up(processed, &mut installs).await?;
            if from < processed {
                tracing::info!(%from, to = %processed, "replayed the chain after a restart");
            }
        }
        loop {
            let Delivery { block, ack } = tokio::select! {
                // Biased: the simulator must replay the same choice.
                biased;
                Some(install) = installs.recv() => {
                    self.install(install).await?;
                    continue;
                }
                delivery = deliveries.recv() => match delivery {
                    Some(delivery) => delivery,
                    None => return Ok(()),
                },
            };
            let height = block.height();
            if height > self.height() {
                self.catch_up(Height(height.get() - 1), &mut installs).await?;
            }
            if height > self.height() || planted::is(Defect::BlockExecutedTwice) {
                self.execute(block).await?;
            }
            ack.acknowledge();
        }
    }

    fn height(&self) -> Height {
        self.state.as_ref().expect("present between blocks").height
    }

    /// Executes the blocks up to a height. What is not in the archive any more comes as a state from the others.
    async fn catch_up(&mut self, to: Height, installs: &mut mpsc::Receiver<Install>) -> Result<(), Halted> {
        while self.height() < to {
            let next = self.height().next();
            let Some(block) = self.chain.block(next).await else {
                tracing::warn!(block = %next, "neither the block nor a newer checkpoint is here: waits for a state from others");
                self.inner.needs_state.store(true, Ordering::Relaxed);
                // Ends only when the replica stops.
                let Some(install) = installs.recv().await else { return Ok(()) };
                self.install(install).await?;
                continue;
            };
            self.execute(block).await?;
        }
        Ok(())
    }

    /// Goes on from a state that was fetched, unless this replica is beyond it.
    async fn install(&mut self, Install { state, blocks, floor }: Install) -> Result<(), Halted> {
        if state.height > self.height() {
            self.enter(&state, state.height).await?;
            self.make_ready(state.clone()).await;
            self.inner.executed.store(state.height.get(), Ordering::Relaxed);
            self.inner.finalized.fetch_max(state.height.get(), Ordering::Relaxed);
            *self.inner.latest.lock().expect("no holder panics") = Some(state.clone());
            self.state = Some(state);
        }
        for block in blocks {
            if block.height() == self.height().next() {
                self.execute(block).await?;
            }
        }
        self.chain.set_floor(floor);
        Ok(())
    }

    /// Before the first block on a state that came from elsewhere: what its canisters run is compiled, so that no round has to.
    async fn make_ready(&mut self, state: State) {
        let inner = self.inner.clone();
        let work = move || {
            let waits_for = |text: Option<String>| *inner.compiling.lock().expect("no holder panics") = text;
            let progress = |done: usize, all: usize| {
                let text = format!("compiles the modules of its canisters before it goes on: {done} of {all}");
                if done.is_multiple_of(TOLD_EVERY) {
                    tracing::info!("{text}");
                }
                waits_for(Some(text));
            };
            inner.engine.hold(&state.modules(), &progress);
            waits_for(None);
        };
        self.thread.run(work).await.expect("one job at a time");
    }

    /// Whether this binary has the rules of a height that follows on a state, or is that state's own. That a newer version
    /// begins is noted down first, however long the disk takes nothing: after that no older binary may use these data.
    async fn enter(&self, state: &State, height: Height) -> Result<(), Halted> {
        let version = state.protocol.version_at(height);
        if let Err(why) = self.inner.versions.check(version) {
            self.inner.halt(format!("stops before height {height}: {why}"));
            return Err(Halted);
        }
        if version > self.state.as_ref().map_or(0, State::version) {
            tracing::info!(version, %height, "another protocol version begins");
            let mut trouble = None;
            while let Err(error) = self.inner.version_mark.raise(version) {
                self.inner.disk.fails_again(&mut trouble, || "PROTOCOL".into(), &error);
                self.clock.sleep(VERSION_PAUSE).await;
            }
        }
        Ok(())
    }

    async fn execute(&mut self, block: Block) -> Result<(), Halted> {
        self.enter(self.state.as_ref().expect("present between blocks"), block.height()).await?;
        let state = self.state.take().expect("present between blocks");
        let (inner, observer) = (self.inner.clone(), self.observer.clone());
        let control = block.control().clone();
        let work = move || {
            let mut input = decode(&inner, &state.subnet, &block);
            if planted::is(Defect::OrderDependsOnMember) && inner.identity.node_id.as_slice()[1] & 1 == 0 {
                input.calls.reverse();
            }
            observer.executing(&input);
            let ids: Vec<RequestId> = input.calls.iter().map(|call| call.request_id).collect();
            let Executed { state, root, journal } = mains_execution::execute(&*inner.engine, state, &input);
            observer.sealed(&state);
            observer.executed(BlockSummary {
                height: state.height,
                time: state.time,
                digest: input.digest,
                root,
                calls_count: ids.len() as u32,
                calls_bytes: input.calls.iter().map(|call| call.bytes).sum(),
                journal: state.ledger.journal_head(),
                entries: journal,
            });
            (state, root, ids)
        };
        let (state, root, ids) = self.thread.run(work).await.expect("one job at a time");
        self.saver.executed(&state, self.inner.syncing.load(Ordering::Relaxed));
        self.inner.executed.store(state.height.get(), Ordering::Relaxed);
        self.inner.finalized.fetch_max(state.height.get(), Ordering::Relaxed);
        // In this order: a call that comes between is known, see `Inner::admit`.
        *self.inner.latest.lock().expect("no holder panics") = Some(state.clone());
        if !planted::is(Defect::PoolNeverForgets) {
            self.inner.pool.forget(&ids, state.time);
        }
        self.inner.progress.notify_waiters();
        self.state = Some(state.clone());
        // Ends only when the replica stops.
        let _ = self.certifier.send(Sealed { state, root, control }).await;
        Ok(())
    }
}

/// A block as execution takes it. Its calls were verified by every voter, so here they are only decoded.
fn decode(inner: &Inner, subnet: &Subnet, block: &Block) -> mains_execution::Block {
    let calls = block
        .ingress()
        .iter()
        .filter_map(|raw| match inner.pool.verified(raw) {
            Some(call) => Some(execution_call(&call)),
            None => {
                let envelope = Envelope::from_bytes(raw.clone()).ok()?;
                let bytes = raw.len() as u64;
                match envelope.content {
                    Content::Call(call) => Some(mains_execution::Call {
                        request_id: envelope.request_id,
                        sender: call.sender,
                        caller_info: call.sender_info.map(caller_info),
                        canister_id: call.canister_id,
                        method: call.method_name,
                        argument: call.arg,
                        expires_at: call.ingress_expiry,
                        bytes,
                    }),
                    _ => None,
                }
            }
        })
        .collect();
    let members = committee(subnet);
    mains_execution::Block {
        height: block.height(),
        time: block.time(),
        digest: block.digest_bytes(),
        proposer: block.proposer(),
        failed: failed(&members, block),
        certified: block.certified(),
        seen: seen(&members, block),
        randomness: block.randomness(),
        newest_version: block.control().newest_version(),
        calls,
    }
}

/// The members in the order of their keys, as consensus numbers them.
fn committee(subnet: &Subnet) -> Vec<NodeId> {
    let mut members: Vec<_> = subnet.nodes.iter().map(|(node, key)| (*key, *node)).collect();
    members.sort_unstable();
    members.into_iter().map(|(_, node)| node).collect()
}

/// Who led views that ended without a block, and how many.
fn failed(members: &[NodeId], block: &Block) -> Vec<(NodeId, u64)> {
    let failures = block.failures(members.len() as u32);
    failures.into_iter().filter_map(|(place, views)| Some((*members.get(place as usize)?, views))).collect()
}

/// What the proposer says it saw of the members. Bits that stand for nobody are in no valid block.
fn seen(members: &[NodeId], block: &Block) -> Seen {
    let of = |bits: u128| {
        let places = members.iter().zip(0..u128::BITS);
        places.filter(|(_, place)| bits >> place & 1 == 1).map(|(node, _)| *node).collect()
    };
    let seen = block.control().seen();
    Seen { voted: of(seen.voted), certified: of(seen.certified) }
}
