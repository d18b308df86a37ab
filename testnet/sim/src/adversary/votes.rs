//! Reading and signing votes.

use super::{Letter, Tools};
use bytes::Bytes;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_consensus::simplex::types::{Finalize, Notarize, Nullify, Proposal, Vote};
use mains_consensus::{Digest, Scheme, block::Context, channels};
use rand::RngExt as _;

pub(super) fn read(letter: &Letter) -> Option<Vote<Scheme, Digest>> {
    if letter.channel != channels::VOTES {
        return None;
    }
    Vote::decode(letter.bytes.clone()).ok()
}

pub(super) fn encode(vote: &Vote<Scheme, Digest>) -> Bytes {
    vote.encode()
}

pub(super) fn notarize(scheme: &Scheme, proposal: Proposal<Digest>) -> Bytes {
    encode(&Vote::Notarize(Notarize::sign(scheme, proposal).expect("a member signs")))
}

pub(super) fn finalize(scheme: &Scheme, proposal: Proposal<Digest>) -> Bytes {
    encode(&Vote::Finalize(Finalize::sign(scheme, proposal).expect("a member signs")))
}

pub(super) fn nullify(scheme: &Scheme, proposal: &Proposal<Digest>) -> Bytes {
    encode(&Vote::Nullify(Nullify::sign::<Digest>(scheme, proposal.round).expect("a member signs")))
}

/// The same vote for another block.
pub(super) fn elsewhere(scheme: &Scheme, vote: &Vote<Scheme, Digest>, payload: Digest) -> Option<Bytes> {
    match vote {
        Vote::Notarize(vote) => Some(notarize(scheme, redirect(&vote.proposal, payload))),
        Vote::Finalize(vote) => Some(finalize(scheme, redirect(&vote.proposal, payload))),
        Vote::Nullify(_) => None,
    }
}

/// What a vote is for, if it is for a block.
pub(super) fn payload(vote: &Vote<Scheme, Digest>) -> Option<Digest> {
    match vote {
        Vote::Notarize(vote) => Some(vote.proposal.payload),
        Vote::Finalize(vote) => Some(vote.proposal.payload),
        Vote::Nullify(_) => None,
    }
}

pub(super) fn redirect(proposal: &Proposal<Digest>, payload: Digest) -> Proposal<Digest> {
    Proposal::new(proposal.round, proposal.parent, payload)
}

/// A digest of nothing.
pub(super) fn nowhere(tools: &mut Tools) -> Digest {
    Digest::from(tools.rng.random::<[u8; 32]>())
}

/// Whether this is its vote for a block of its own: members lead in turn.
pub(super) fn is_own_proposal(tools: &Tools, vote: &Vote<Scheme, Digest>) -> bool {
    let members = tools.others.len() as u64 + 1;
    matches!(vote, Vote::Notarize(vote) if vote.proposal.round.view().get() % members == tools.place as u64)
}

/// A vote for a block, to whom the block was sent.
pub(super) fn for_block(tools: &Tools, context: &Context, digest: Digest, sent: &Letter) -> Letter {
    let proposal = Proposal::new(context.round, context.parent.0, digest);
    Letter { channel: channels::VOTES, ..sent.with(notarize(&tools.scheme, proposal)) }
}
