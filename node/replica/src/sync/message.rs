//! What members tell each other on the synchronization channel.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mains_consensus::Certificate;
use mains_state::{Manifest, objects::OBJECT_BYTES_MAX};
use mains_types::{Digest32, Height};

/// Objects asked for at once.
pub(super) const GET_MAX: usize = 128;
/// Bytes of objects in one answer, give or take one object; more go into the next.
pub(super) const ANSWER_BYTES: usize = 1 << 20;
/// Bytes of blocks between a state and the finalized block that it is continued from.
pub(super) const BRIDGE_BYTES_MAX: usize = 2 << 20;
/// Such blocks, that finalized one included.
pub(super) const BRIDGE_MAX: u64 = 64;
/// Bytes of a manifest, generously.
const MANIFEST_BYTES_MAX: usize = 512;
const FLOOR_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// What have you got?
    Ask,
    Offer(Offer),
    /// These objects, please.
    Get(Vec<Digest32>),
    /// Objects; whoever asked knows them by their hashes.
    Objects(Vec<Bytes>),
    /// Objects that were asked for and are not here.
    Lacks(Vec<Digest32>),
    /// The way from the state of this height to a finalized block.
    AskBridge(Height),
    Bridge(Bridge),
}

/// What a member can give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Newest executed height.
    pub(super) executed: Height,
    /// The newest view that it has seen a finalized block of.
    pub(super) view: u64,
    /// The version of the protocol that its next height is executed by.
    pub(super) version: u32,
    /// Its newest checkpoint that is certified.
    pub(super) checkpoint: Option<(Manifest, Certificate)>,
}

/// Blocks that follow on a state, up to one that a quorum finalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bridge {
    /// The state's height.
    pub(super) height: Height,
    /// Proof that the last block is finalized.
    pub(super) floor: Bytes,
    /// The blocks as they are encoded, in order.
    pub(super) blocks: Vec<Bytes>,
}

impl Message {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        match self {
            Self::Ask => bytes.put_u8(0),
            Self::Offer(offer) => {
                bytes.put_u8(1);
                bytes.put_u64(offer.executed.get());
                bytes.put_u64(offer.view);
                bytes.put_u32(offer.version);
                if let Some((manifest, certificate)) = &offer.checkpoint {
                    put(&mut bytes, &manifest.encode());
                    certificate.write(&mut bytes);
                }
            }
            Self::Get(digests) => put_digests(&mut bytes, 2, digests),
            Self::Objects(objects) => {
                bytes.put_u8(3);
                objects.iter().for_each(|object| put(&mut bytes, object));
            }
            Self::Lacks(digests) => put_digests(&mut bytes, 4, digests),
            Self::AskBridge(height) => {
                bytes.put_u8(5);
                bytes.put_u64(height.get());
            }
            Self::Bridge(bridge) => {
                bytes.put_u8(6);
                bytes.put_u64(bridge.height.get());
                put(&mut bytes, &bridge.floor);
                bridge.blocks.iter().for_each(|block| put(&mut bytes, block));
            }
        }
        bytes.freeze()
    }

    /// Reads a message; `None` if it is none or goes beyond a bound.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let message = match bytes.try_get_u8().ok()? {
            0 => Self::Ask,
            1 => Self::Offer(Offer {
                executed: Height(bytes.try_get_u64().ok()?),
                view: bytes.try_get_u64().ok()?,
                version: bytes.try_get_u32().ok()?,
                checkpoint: match bytes.is_empty() {
                    true => None,
                    false => {
                        let manifest = Manifest::decode(&take(&mut bytes, MANIFEST_BYTES_MAX)?)?;
                        Some((manifest, Certificate::read(&mut bytes)?))
                    }
                },
            }),
            2 => Self::Get(take_digests(&mut bytes)?),
            3 => {
                let mut objects = Vec::new();
                while !bytes.is_empty() {
                    objects.push(take(&mut bytes, OBJECT_BYTES_MAX)?);
                }
                Self::Objects(objects)
            }
            4 => Self::Lacks(take_digests(&mut bytes)?),
            5 => Self::AskBridge(Height(bytes.try_get_u64().ok()?)),
            6 => {
                let height = Height(bytes.try_get_u64().ok()?);
                let floor = take(&mut bytes, FLOOR_BYTES_MAX)?;
                let mut blocks = Vec::new();
                while !bytes.is_empty() && (blocks.len() as u64) < BRIDGE_MAX {
                    blocks.push(take(&mut bytes, BRIDGE_BYTES_MAX)?);
                }
                Self::Bridge(Bridge { height, floor, blocks })
            }
            _ => return None,
        };
        bytes.is_empty().then_some(message)
    }
}

fn put(bytes: &mut BytesMut, part: &[u8]) {
    bytes.put_u32(part.len() as u32);
    bytes.put_slice(part);
}

fn take(bytes: &mut Bytes, most: usize) -> Option<Bytes> {
    let length = bytes.try_get_u32().ok()? as usize;
    (length <= most && length <= bytes.len()).then(|| bytes.split_to(length))
}

fn put_digests(bytes: &mut BytesMut, kind: u8, digests: &[Digest32]) {
    bytes.put_u8(kind);
    digests.iter().for_each(|digest| bytes.put_slice(digest));
}

fn take_digests(bytes: &mut Bytes) -> Option<Vec<Digest32>> {
    let all = bytes.split_to(bytes.len());
    let (digests, rest) = all.as_chunks::<32>();
    (rest.is_empty() && digests.len() <= GET_MAX).then(|| digests.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire_and_torn_ones_are_dropped() {
        let messages = [
            Message::Ask,
            Message::Offer(Offer { executed: Height(7), view: 9, version: 1, checkpoint: None }),
            Message::Get(vec![[1; 32], [2; 32]]),
            Message::Objects(vec![Bytes::from_static(b"one"), Bytes::new()]),
            Message::Lacks(vec![[3; 32]]),
            Message::AskBridge(Height(5)),
            Message::Bridge(Bridge {
                height: Height(5),
                floor: Bytes::from_static(b"votes"),
                blocks: vec![Bytes::from_static(b"block")],
            }),
        ];
        for message in messages {
            let bytes = message.encode();
            assert_eq!(Message::decode(bytes.clone()).as_ref(), Some(&message));
            for cut in 0..bytes.len() {
                assert_ne!(Message::decode(bytes.slice(..cut)).as_ref(), Some(&message));
            }
        }
        assert_eq!(Message::decode(Message::Get(vec![[0; 32]; GET_MAX + 1]).encode()), None);
        let large = Message::Objects(vec![Bytes::from(vec![0; OBJECT_BYTES_MAX + 1])]);
        assert_eq!(Message::decode(large.encode()), None);
        assert_eq!(Message::decode(Bytes::from_static(&[9; 99])), None);
    }
}
