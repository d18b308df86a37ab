//! A member's end of the network: what it sends is recorded, doubled, or bent if the member lies.

use crate::{
    adversary::{Letter, Liar, Tools},
    checks::{Findings, votes::Votes},
    log::{Log, Mark},
};
use bytes::Bytes;
use commonware_actor::{Feedback, Unreliable};
use commonware_codec::DecodeExt as _;
use commonware_consensus::simplex::types::Vote;
use commonware_p2p::{
    CheckedSender, LimitedSender, Recipients, Sender as _,
    simulated::{self, UnlimitedSender},
    utils::limited,
};
use commonware_runtime::{Clock as _, IoBufs, Spawner as _, Supervisor as _, deterministic::Context};
use mains_consensus::{Block, PublicKey, channels};
use rand::{RngExt as _, rngs::StdRng};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

type Inner = simulated::Sender<PublicKey, Context>;

/// What happens to everything one member sends. Stays when the member restarts.
pub struct Tap {
    /// Where delayed letters wait.
    pub context: Context,
    /// Which member.
    pub member: usize,
    /// The run's log.
    pub log: Arc<Log>,
    /// The votes of members that keep to the rules; `None` for one that does not.
    pub votes: Option<Arc<Votes>>,
    /// What members did.
    pub findings: Arc<Findings>,
    /// Messages that are sent twice, of 100.
    pub duplicated_percent: u32,
    /// What doubling is drawn from.
    pub rng: StdRng,
    /// Bends what is sent.
    pub liar: Option<(Vec<Box<dyn Liar>>, Tools)>,
    /// The senders of all channels, in order.
    pub senders: Vec<Inner>,
}

impl Tap {
    /// What is sent instead of a letter; `None` if it stays as it is.
    fn bend(&mut self, letter: &Letter) -> Option<Vec<Letter>> {
        if let Some(vote) = letter.vote() {
            self.log.detail(|| format!("member {} votes: {}", self.member, crate::checks::votes::words(&vote)));
            if let Some(votes) = &self.votes {
                votes.saw(self.member, &vote, &self.log);
                if let Vote::Finalize(vote) = &vote {
                    self.findings.binaries.votes(self.member, vote.proposal.payload.0);
                }
            }
        }
        if let Some((liar, tools)) = &mut self.liar {
            let letters = liar.send(tools, letter)?;
            for shown in letters.iter().filter(|letter| letter.channel == channels::BLOCKS) {
                if let Ok(block) = Block::decode(shown.bytes.clone()) {
                    self.findings.blocks.shown(&block);
                }
            }
            return Some(letters);
        }
        let twice = self.duplicated_percent > 0 && self.rng.random_range(0..100) < self.duplicated_percent;
        twice.then(|| {
            let after = Duration::from_millis(self.rng.random_range(0..500));
            vec![letter.clone(), Letter { after, ..letter.clone() }]
        })
    }

    fn post(&mut self, letter: Letter, priority: bool) {
        let Some(mut sender) = self.senders.get(letter.channel as usize).cloned() else { return };
        if letter.to.is_empty() {
            return;
        }
        if letter.after.is_zero() {
            sender.send(Recipients::Some(letter.to), letter.bytes, priority);
            return;
        }
        let context = self.context.child("late");
        context.spawn(move |context| async move {
            context.sleep(letter.after).await;
            sender.send(Recipients::Some(letter.to), letter.bytes, priority);
        });
    }
}

/// A member's sender on one channel.
#[derive(Clone)]
pub struct Wire {
    inner: Inner,
    channel: u64,
    tap: Arc<Mutex<Tap>>,
}

impl Wire {
    /// The sender of `channel` behind `tap`.
    pub fn new(inner: Inner, channel: u64, tap: Arc<Mutex<Tap>>) -> Self {
        Self { inner, channel, tap }
    }
}

impl LimitedSender for Wire {
    type PublicKey = PublicKey;
    type Checked<'a> = Checked<'a>;

    fn check(&mut self, recipients: Recipients<PublicKey>) -> Result<Checked<'_>, SystemTime> {
        let inner = self.inner.check(recipients)?;
        Ok(Checked { inner, channel: self.channel, tap: self.tap.clone() })
    }
}

/// A letter that may be sent now.
pub struct Checked<'a> {
    inner: limited::CheckedSender<'a, UnlimitedSender<PublicKey, Context>>,
    channel: u64,
    tap: Arc<Mutex<Tap>>,
}

impl CheckedSender for Checked<'_> {
    type PublicKey = PublicKey;

    fn recipients(&self) -> Vec<PublicKey> {
        self.inner.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let bytes: Bytes = message.into().coalesce().into();
        let letter = Letter { channel: self.channel, to: self.recipients(), bytes, after: Duration::ZERO };
        let mut tap = self.tap.lock().expect("no holder panics");
        match tap.bend(&letter) {
            None => self.inner.send(letter.bytes, priority),
            Some(letters) => {
                if tap.liar.is_some() && letters.len() > 1 {
                    tap.log.mark(Mark::Equivocation);
                }
                for letter in letters {
                    tap.post(letter, priority);
                }
                Unreliable::new(Feedback::Ok)
            }
        }
    }
}
