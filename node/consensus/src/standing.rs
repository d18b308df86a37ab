//! A member whose votes come too late for anybody keeps them to itself: then it is silent for the others, and they pass over its
//! views at once instead of waiting for it in each of them. What it would have sent is durable and counts for itself as ever.
//!
//! "Too late" is known, not guessed: more than f other members have shown that the view is over, so one of them at least holds its
//! certificate and brings everybody on. And it is this member's own delay, not that of its links: it is measured from when it
//! could have known. Spec: `specs/consensus.md`, "Standing back".

use crate::PublicKey;
use commonware_actor::{Feedback, Unreliable};
use commonware_codec::ReadExt as _;
use commonware_consensus::types::Round;
use commonware_p2p::{CheckedSender, LimitedSender, Message, Receiver, Recipients};
use commonware_runtime::{IoBuf, IoBufs};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// A member stands back when it was late for this many times what makes one vote late, with no vote in time. A moment without a
/// processor is not worth it: as long as the others take it for active they wait for it in vain.
const PATIENCE: u32 = 12;
/// Votes in time, in a row, after which it takes part again: some views.
const TIMELY_MIN: u32 = 4;
/// Views whose end is remembered with its time; who votes for an older one is late anyway.
const VIEWS_MAX: usize = 256;

/// What a message is about, by its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A member's own vote.
    Vote,
    /// A quorum's votes.
    Certificate,
}

/// What the engine writes before the view of a vote or a certificate: to go on without the block, ...
const ABANDONS: u8 = 1;
/// ... and to finalize it.
const FINALIZES: u8 = 2;

/// Whether this member's votes come in time. Clones share it.
#[derive(Clone)]
pub(crate) struct Standing(Arc<Shared>);

struct Shared {
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// Whether this member leads a view.
    leads: Box<dyn Fn(u64) -> bool + Send + Sync>,
    books: Mutex<Books>,
}

impl fmt::Debug for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Standing").finish_non_exhaustive()
    }
}

impl Standing {
    /// Of a member of a committee of this many that leads the views that `leads` says, and whose votes are late if a view was over for
    /// `late_after` already.
    pub(crate) fn new(
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        leads: impl Fn(u64) -> bool + Send + Sync + 'static,
        members: u32,
        late_after: Duration,
    ) -> Self {
        let witnesses = (members.saturating_sub(1) / 3) as usize + 1;
        let frontier = || Frontier { witnesses, shown: BTreeMap::new(), passed: VecDeque::new() };
        let books = Books {
            late_after,
            left: frontier(),
            finalized: frontier(),
            late_since: None,
            timely: 0,
            stands_back: false,
        };
        Self(Arc::new(Shared { now: Box::new(now), leads: Box::new(leads), books: Mutex::new(books) }))
    }

    /// Another member sent this.
    fn heard(&self, from: &PublicKey, kind: Kind, message: &IoBuf) {
        let Some((what, view)) = read(message) else { return };
        let now = (self.0.now)();
        let mut books = self.0.books.lock().expect("no holder panics");
        // Who votes in a view has left the one before; who votes to finalize its block, or shows its certificate, has left it.
        let left = if kind == Kind::Vote && what != FINALIZES { view.saturating_sub(1) } else { view };
        books.left.heard(from, left, now);
        if kind == Kind::Certificate && what == FINALIZES {
            books.finalized.heard(from, view, now);
        }
    }

    /// Whether this member's own message goes out.
    fn lets(&self, kind: Kind, message: &IoBuf) -> bool {
        let Some((what, view)) = read(message) else { return true };
        let (now, leads) = ((self.0.now)(), (self.0.leads)(view));
        self.0.books.lock().expect("no holder panics").judge(kind, what, (view, leads), now)
    }
}

/// What a vote or a certificate begins with: what it is, and its view.
fn read(message: &IoBuf) -> Option<(u8, u64)> {
    let mut rest = message.clone();
    let what = u8::read(&mut rest).ok()?;
    let round = Round::read(&mut rest).ok()?;
    Some((what, round.view().get()))
}

/// How far the others are.
struct Frontier {
    /// Members of which one at least tells the truth: f + 1.
    witnesses: usize,
    /// The newest view that each member has shown to be over.
    shown: BTreeMap<PublicKey, u64>,
    /// Views that enough members have shown to be over, and since when; both grow.
    passed: VecDeque<(u64, SystemTime)>,
}

impl Frontier {
    fn heard(&mut self, from: &PublicKey, view: u64, now: SystemTime) {
        let shown = self.shown.entry(from.clone()).or_default();
        if view <= *shown {
            return;
        }
        *shown = view;
        let mut views: Vec<u64> = self.shown.values().copied().collect();
        views.sort_unstable_by(|one, other| other.cmp(one));
        let Some(common) = views.get(self.witnesses - 1).copied() else { return };
        if self.passed.back().is_some_and(|(newest, _)| common <= *newest) {
            return;
        }
        if self.passed.len() == VIEWS_MAX {
            self.passed.pop_front();
        }
        self.passed.push_back((common, now));
    }

    /// Since when this member could know that a view is over; `None` if it cannot.
    fn over_since(&self, view: u64) -> Option<SystemTime> {
        let first = self.passed.partition_point(|(passed, _)| *passed < view);
        self.passed.get(first).map(|(_, since)| *since)
    }
}

struct Books {
    late_after: Duration,
    /// Views that the others have left.
    left: Frontier,
    /// Views whose block, or a later one, the others hold finalized.
    finalized: Frontier,
    /// When the first late vote or certificate after the last vote in time was sent.
    late_since: Option<SystemTime>,
    /// Votes in time since the last late one.
    timely: u32,
    stands_back: bool,
}

impl Books {
    fn judge(&mut self, kind: Kind, what: u8, (view, leads): (u64, bool), now: SystemTime) -> bool {
        let frontier = if what == FINALIZES { &self.finalized } else { &self.left };
        let over = frontier.over_since(view);
        let is_late = over.is_some_and(|over| now.duration_since(over).is_ok_and(|by| by > self.late_after));
        let abandons = kind == Kind::Vote && what == ABANDONS;
        // That a certificate is in time says nothing, nor that a vote is where all wait for this member.
        if is_late || abandons || (kind == Kind::Vote && !leads) {
            self.count(is_late, abandons, now);
        }
        // A certificate that nobody has shown may be nowhere else: this member's own vote counts for itself.
        !self.stands_back || (kind == Kind::Certificate && over.is_none())
    }

    fn count(&mut self, is_late: bool, abandons: bool, now: SystemTime) {
        if is_late {
            self.timely = 0;
            let since = *self.late_since.get_or_insert(now);
            let is_slow = now.duration_since(since).is_ok_and(|late| late >= self.late_after * PATIENCE);
            if is_slow && !self.stands_back {
                self.stands_back = true;
                tracing::info!("votes too late for anybody: keeps its votes to itself until they are in time again");
            }
            return;
        }
        self.late_since = None;
        self.timely = (self.timely + 1).min(TIMELY_MIN);
        // Who gives up a view in time sees that the others do not get on without it.
        if self.stands_back && (abandons || self.timely == TIMELY_MIN) {
            self.stands_back = false;
            tracing::info!("votes in time again: takes part");
        }
    }
}

/// Sends what a member in its standing sends.
#[derive(Clone, Debug)]
pub(crate) struct Timely<S> {
    pub(crate) sender: S,
    pub(crate) kind: Kind,
    pub(crate) standing: Standing,
}

/// As [`Timely`], for recipients that are not over their limits.
pub(crate) struct Checked<C> {
    checked: C,
    kind: Kind,
    standing: Standing,
}

impl<S: LimitedSender<PublicKey = PublicKey>> LimitedSender for Timely<S> {
    type PublicKey = PublicKey;
    type Checked<'a>
        = Checked<S::Checked<'a>>
    where
        Self: 'a;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Self::Checked<'_>, SystemTime> {
        let (kind, standing) = (self.kind, self.standing.clone());
        self.sender.check(recipients).map(|checked| Checked { checked, kind, standing })
    }
}

impl<C: CheckedSender<PublicKey = PublicKey>> CheckedSender for Checked<C> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.checked.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let message = message.into().coalesce();
        if self.standing.lets(self.kind, &message) {
            self.checked.send(message, priority)
        } else {
            Unreliable::new(Feedback::Ok)
        }
    }
}

/// Receives, and learns how far the others are.
#[derive(Debug)]
pub(crate) struct Heard<R> {
    pub(crate) receiver: R,
    pub(crate) kind: Kind,
    pub(crate) standing: Standing,
}

impl<R: Receiver<PublicKey = PublicKey>> Receiver for Heard<R> {
    type Error = R::Error;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, R::Error> {
        let (from, message) = self.receiver.recv().await?;
        self.standing.heard(&from, self.kind, &message);
        Ok((from, message))
    }

    fn capacity(&self) -> NonZeroUsize {
        self.receiver.capacity()
    }
}

#[cfg(test)]
mod tests;
