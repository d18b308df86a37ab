//! A member that may have forgotten its votes keeps them to itself until it cannot contradict an earlier one.

use crate::{Digest, PublicKey, Scheme};
use commonware_actor::{Feedback, Unreliable};
use commonware_codec::DecodeExt as _;
use commonware_consensus::{Viewable as _, simplex::types::Vote};
use commonware_p2p::{CheckedSender, LimitedSender, Recipients};
use commonware_runtime::{IoBuf, IoBufs};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

/// Which of a member's votes leave it: those of views above a bound.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicU64>);

impl Gate {
    /// A gate that lets nothing through until [`Gate::open_above`].
    pub fn closed() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// From now on votes of later views than `view` go out.
    pub fn open_above(&self, view: u64) {
        self.0.store(view, Ordering::Relaxed);
    }

    /// Whether no vote goes out at all.
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed) == u64::MAX
    }

    fn lets(&self, message: &IoBuf) -> bool {
        let bound = self.0.load(Ordering::Relaxed);
        bound == 0 || Vote::<Scheme, Digest>::decode(message.clone()).is_ok_and(|vote| vote.view().get() > bound)
    }
}

/// Sends votes that a gate lets through.
#[derive(Clone, Debug)]
pub(crate) struct Gated<S> {
    pub(crate) sender: S,
    pub(crate) gate: Gate,
}

/// As [`Gated`], for recipients that are not over their limits.
pub(crate) struct Checked<C> {
    checked: C,
    gate: Gate,
}

impl<S: LimitedSender<PublicKey = PublicKey>> LimitedSender for Gated<S> {
    type PublicKey = PublicKey;
    type Checked<'a>
        = Checked<S::Checked<'a>>
    where
        Self: 'a;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        let gate = self.gate.clone();
        self.sender.check(recipients).map(|checked| Checked { checked, gate })
    }
}

impl<C: CheckedSender<PublicKey = PublicKey>> CheckedSender for Checked<C> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.checked.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = message.into().coalesce();
        if self.gate.lets(&message) { self.checked.send(message, priority) } else { Unreliable::new(Feedback::Ok) }
    }
}
