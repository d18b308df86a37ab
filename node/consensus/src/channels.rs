//! The channels between members of a subnet: their numbers and how many messages a member takes from one peer.
//!
//! A quota bounds what one faulty peer can make us do. Rates are those of a busy subnet (20 blocks a second) with room
//! for catching up; a message beyond its quota waits at the receiver, which holds back only its sender.

use crate::{Block, Digest, Scheme};
use commonware_consensus::{
    marshal::{self, standard::Standard},
    simplex,
};
use commonware_runtime::Quota;
use commonware_utils::NZU32;
use mains_types::limits;

/// Votes.
pub const VOTES: u64 = 0;
/// Certificates of views (not of states).
pub const CERTIFICATES: u64 = 1;
/// Requests for missing certificates of views, and their answers.
pub const RESOLVER: u64 = 2;
/// Requests for missing blocks, and their answers.
pub const BACKFILL: u64 = 3;
/// New blocks, from their proposer.
pub const BLOCKS: u64 = 4;
/// Partial signatures over states ([`crate::Partial`]) and certificates of states; the replica's own.
pub const PARTIALS: u64 = 5;
/// Ingress messages for the others' pools; the replica's own.
pub const INGRESS: u64 = 6;
/// Objects of states, and the way on from a state; the replica's own.
pub const SYNC: u64 = 7;

/// Every channel and its quota (messages a second from one peer), in the order of the numbers.
pub fn all() -> [(u64, Quota); 8] {
    let per_second = Quota::per_second;
    [
        (VOTES, per_second(NZU32!(256))),
        (CERTIFICATES, per_second(NZU32!(256))),
        (RESOLVER, per_second(NZU32!(128))),
        (BACKFILL, per_second(NZU32!(128))),
        (BLOCKS, per_second(NZU32!(64))),
        (PARTIALS, per_second(NZU32!(128))),
        (INGRESS, per_second(NZU32!(1024))),
        (SYNC, per_second(NZU32!(256))),
    ]
}

/// Bytes of the greatest message on a channel of a committee of `members`, and bytes a second that are taken from one peer.
/// Rates hold a busy subnet with room for catching up; what is small by nature stays small.
pub fn bytes(channel: u64, members: u32) -> (u32, u32) {
    let votes = simplex::max_payload_size::<Scheme, Digest>(members) as u32;
    let blocks = message_bytes_max(members);
    match channel {
        BACKFILL | SYNC => (blocks, 32 << 20),
        BLOCKS => (blocks, 32 << 20),
        PARTIALS => (PARTIAL_BYTES_MAX, 128 * PARTIAL_BYTES_MAX),
        INGRESS => (blocks, 16 << 20),
        _ => (votes, 256 * votes),
    }
}

/// Bytes of the greatest message about a state's signature.
const PARTIAL_BYTES_MAX: u32 = 256;

/// Bytes of the greatest message on any channel of a committee of `members`.
pub fn message_bytes_max(members: u32) -> u32 {
    commonware_p2p::max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(members),
        marshal::max_payload_size::<Standard<Block>, Scheme>(members, &()),
        limits::INGRESS_BYTES_MAX,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_message_holds_the_greatest_block_and_little_more() {
        let bytes = message_bytes_max(13) as usize;
        assert!(bytes > limits::BLOCK_INGRESS_BYTES_MAX && bytes < limits::BLOCK_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn a_channel_takes_its_own_messages_and_no_greater_ones() {
        for members in [1, 4, 40] {
            for (channel, _) in all() {
                let (message, rate) = bytes(channel, members);
                assert!(message <= message_bytes_max(members) && rate >= message, "channel {channel}");
            }
            assert!(bytes(VOTES, members).0 < 64 << 10);
            assert!(bytes(BLOCKS, members).0 as usize > limits::BLOCK_INGRESS_BYTES_MAX);
            assert!(bytes(INGRESS, members).0 as usize > limits::INGRESS_BYTES_MAX + (64 << 10));
        }
    }

    #[test]
    fn channels_are_numbered_in_order() {
        assert!(all().iter().enumerate().all(|(index, (channel, _))| index as u64 == *channel));
    }
}
