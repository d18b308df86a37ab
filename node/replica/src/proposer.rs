//! What goes into a block and when, and what a replica votes for.
//!
//! A leader waits for work or the heartbeat; under load it never sleeps. Validation looks only at what every replica
//! sees alike and never at a local clock.

use crate::{certifier::control_is_valid, handle::Inner};
use bytes::Bytes;
use commonware_runtime::Clock;
use mains_consensus::{Block, ChainKey, Control, Delivery, Parameters, Payloads, Proposal, Verdict};
use mains_types::{
    Height, RequestId, UnixNanos,
    ids::is_unpaid,
    limits,
    planted::{self, Defect},
};
use mains_wire::{Content, Envelope};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// How long a leader that found work waits for more of it: batches bursts without being felt.
const GATHER: Duration = Duration::from_millis(2);

/// What a block's rules ask of a call in it.
struct Checked {
    id: RequestId,
    signature_units: u32,
    is_unpaid: bool,
}

/// The replica's side of consensus.
pub(crate) struct Proposer<E> {
    context: Arc<E>,
    inner: Arc<Inner>,
    chain_key: Arc<ChainKey>,
    deliveries: mpsc::Sender<Delivery>,
    pace: Parameters,
}

impl<E> Clone for Proposer<E> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            inner: self.inner.clone(),
            chain_key: self.chain_key.clone(),
            deliveries: self.deliveries.clone(),
            pace: self.pace,
        }
    }
}

impl<E: Clock> Proposer<E> {
    pub(crate) fn new(
        context: Arc<E>,
        inner: Arc<Inner>,
        chain_key: Arc<ChainKey>,
        deliveries: mpsc::Sender<Delivery>,
        pace: Parameters,
    ) -> Self {
        Self { context, inner, chain_key, deliveries, pace }
    }

    fn now(&self) -> UnixNanos {
        let since = self.context.current().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixNanos(since.as_nanos() as u64)
    }

    /// Waits until there is something to do for the subnet, at most until the heartbeat.
    async fn work(&self, parent: &Block, taken: &HashSet<RequestId>) {
        let heartbeat_at = parent.time().saturating_add_nanos(self.pace.heartbeat.as_nanos() as u64);
        loop {
            let arrival = self.inner.pool.arrival();
            let progress = self.inner.progress.notified();
            let now = self.now();
            if now >= heartbeat_at {
                if planted::is(Defect::LeaderWaitsForever) {
                    std::future::pending::<()>().await;
                }
                return;
            }
            let distance = parent.height().get().saturating_sub(self.certified_height());
            if distance <= limits::CERTIFICATION_DISTANCE_MAX && self.inner.pool.has_any(taken, now) {
                self.context.sleep(GATHER).await;
                return;
            }
            // Queued messages, a due timer or a heartbeat need a block as much as a client does, once it would run them.
            let runs = distance < limits::CERTIFICATION_DISTANCE_ROUND;
            let due = self.inner.latest_executed(parent.height()).and_then(|state| mains_execution::due_at(&state));
            if runs && due.is_some_and(|due| due <= now) {
                return;
            }
            let wake_at = due.filter(|due| *due > now).map_or(heartbeat_at, |due| due.min(heartbeat_at));
            tokio::select! {
                // Biased: the simulator must replay the same choice.
                biased;
                () = arrival => {}
                () = progress => {}
                () = self.context.sleep(Duration::from_nanos(wake_at.nanos_since(now))) => {}
            }
        }
    }

    /// A call in a block of this time.
    fn checked(&self, raw: &Bytes, block_time: UnixNanos) -> Result<Checked, String> {
        if planted::is(Defect::SignatureUnchecked) || planted::is(Defect::ExpiryUnchecked) {
            return self.half_checked(raw);
        }
        let call = match self.inner.pool.verified(raw) {
            Some(call) => {
                call.check_at_block(block_time).map_err(|error| error.to_string())?;
                call
            }
            None => {
                let envelope = Envelope::from_bytes(raw.clone()).map_err(|error| error.to_string())?;
                let call = mains_crypto::verify_call_at_block(envelope, block_time, &self.inner.trust);
                Arc::new(call.map_err(|error| error.to_string())?)
            }
        };
        let (id, signature_units) = (call.request_id(), call.signature_units());
        Ok(Checked { id, signature_units, is_unpaid: is_unpaid(&call.canister_id()) })
    }

    /// What two of the planted defects do instead of [`Self::checked`].
    fn half_checked(&self, raw: &Bytes) -> Result<Checked, String> {
        let parse = || Envelope::from_bytes(raw.clone()).map_err(|error| error.to_string());
        let envelope = parse()?;
        let (Content::Call(call), id) = (&envelope.content, envelope.request_id) else {
            return Err("no call".into());
        };
        if planted::is(Defect::ExpiryUnchecked) {
            let early = UnixNanos(call.ingress_expiry.get().saturating_sub(1_000_000));
            mains_crypto::verify_call_at_block(parse()?, early, &self.inner.trust)
                .map_err(|error| error.to_string())?;
        }
        Ok(Checked { id, signature_units: 0, is_unpaid: false })
    }

    /// Why it cannot be said by which rules a height is executed, or not by this binary.
    fn unknown_rules(&self, height: Height) -> Option<String> {
        let latest = self.inner.latest.lock().expect("no holder panics");
        let Some(state) = latest.as_ref() else { return Some("nothing is executed here yet".into()) };
        if height.get() > state.height.get().saturating_add(state.protocol.notice()) {
            return Some(format!("only height {} is executed here", state.height));
        }
        self.inner.versions.check(state.protocol.version_at(height)).err()
    }

    fn certified_height(&self) -> u64 {
        self.inner.newest_certificate().map_or(0, |certificate| certificate.height.get())
    }
}

impl<E: Clock> Payloads for Proposer<E> {
    async fn build(&mut self, parent: &Block, pending: &[Block]) -> Option<Proposal> {
        if let Some(reason) = self.unknown_rules(parent.height().next()) {
            tracing::debug!(parent = %parent.height(), %reason, "proposes nothing");
            return None;
        }
        let taken = self.inner.taken(pending);
        let began = self.now();
        self.work(parent, &taken).await;
        let passed = Duration::from_nanos(self.now().nanos_since(began));
        let bytes_max = self.pace.block_bytes(self.inner.identity.members.len() as u32, passed);
        let time = self.now().max(UnixNanos(parent.time().get() + 1));
        let certificate = self
            .inner
            .newest_certificate()
            .filter(|certificate| certificate.height > parent.certified() && certificate.height <= parent.height());
        let certified = certificate.as_ref().map_or(parent.certified(), |certificate| certificate.height);
        let distance = parent.height().next().get() - certified.get();
        let ingress = if distance > limits::CERTIFICATION_DISTANCE_MAX {
            Vec::new()
        } else {
            self.inner.pool.select(&taken, time, bytes_max)
        };
        let control = Control::new(certificate).with_seen(self.inner.seen()).knowing(self.inner.versions.newest);
        Some(Proposal { time, control, ingress })
    }

    async fn validate(&mut self, block: &Block, _: &Block) -> Verdict {
        if let Some(reason) = self.unknown_rules(block.height()) {
            return Verdict::NotYet(reason);
        }
        let known = self.inner.newest_certificate();
        if !control_is_valid(block.control(), known.as_ref(), &self.chain_key) {
            return Verdict::Invalid("its certificate does not verify".into());
        }
        if !block.control().seen().fits(self.inner.identity.members.len() as u32) {
            return Verdict::Invalid("it names members that there are not".into());
        }
        let distance = block.height().get() - block.certified().get();
        if distance > limits::CERTIFICATION_DISTANCE_MAX && !block.ingress().is_empty() {
            return Verdict::Invalid("it carries calls although certification is too far behind".into());
        }
        let mut seen = HashSet::new();
        let (mut signature_units, mut unpaid) = (0, 0);
        for raw in block.ingress() {
            let call = match self.checked(raw, block.time()) {
                Ok(call) => call,
                Err(reason) => return Verdict::Invalid(reason),
            };
            if !seen.insert(call.id) && !planted::is(Defect::DuplicateUnchecked) {
                return Verdict::Invalid("a call is in it twice".into());
            }
            signature_units += call.signature_units;
            if signature_units > limits::BLOCK_SIGNATURE_UNITS_MAX {
                return Verdict::Invalid("its signatures take too long to check".into());
            }
            unpaid += usize::from(call.is_unpaid);
            if unpaid > limits::BLOCK_UNPAID_CALLS_MAX {
                return Verdict::Invalid("it carries too many calls for which nobody pays".into());
            }
        }
        Verdict::Valid
    }

    async fn deliver(&mut self, delivery: Delivery) {
        // Ends only when the replica stops; then the block is replayed after the restart.
        let _ = self.deliveries.send(delivery).await;
    }

    fn heard(&mut self, block: &Block) {
        self.inner.clocks.heard(block.proposer().as_slice(), block.time(), self.now());
    }

    fn finalized(&mut self, height: Height) {
        self.inner.finalized.fetch_max(height.get(), Ordering::Relaxed);
    }
}
