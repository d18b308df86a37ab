//! Parts of a state under their BLAKE3: what checkpoints, state sync and backups consist of.
//!
//! An object is a page (4096 bytes), a node of a page tree (the bytes its digest is made of), a chunk of encoded values, or a
//! list of chunks. Whoever refers to an object knows which it is, so nothing stands in it beside its content. Spec:
//! `specs/state.md`, "Objects".

use crate::memory::encoding::node_children;
use mains_types::Digest32;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of the greatest object.
pub const OBJECT_BYTES_MAX: usize = 64 << 10;
/// Digests in a list.
pub(crate) const LIST_MAX: usize = OBJECT_BYTES_MAX / 64;

/// Takes objects. An object comes after those that it refers to.
pub trait ObjectSink {
    /// Whether it is kept already.
    fn holds(&self, digest: &Digest32) -> bool;
    /// Whether whatever is kept has all that it refers to beside it; if not, parts of what is kept are offered again.
    fn is_complete(&self) -> bool;
    /// Keeps an object. A failure is remembered and reported when everything was put.
    fn put(&mut self, digest: Digest32, bytes: &[u8]);
}

/// Gives objects back.
pub trait ObjectSource {
    /// The bytes kept under a digest, or `None`; they are compared with the digest by whoever asks.
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>>;
}

/// The object under `digest`, compared with it.
///
/// # Errors
/// The digest, if it is missing or damaged.
pub fn read(source: &dyn ObjectSource, digest: &Digest32) -> Result<Vec<u8>, Digest32> {
    source.object(digest).filter(|bytes| blake3::hash(bytes).as_bytes() == digest).ok_or(*digest)
}

/// A reference to an object, with what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// A page or a chunk: refers to nothing.
    Leaf(Digest32),
    /// A list whose chunks lie so many levels below.
    List(Digest32, u8),
    /// A node of a page tree with so many levels, itself included.
    Node(Digest32, u32),
}

impl Part {
    /// The object's name.
    pub fn digest(&self) -> &Digest32 {
        match self {
            Self::Leaf(digest) | Self::List(digest, _) | Self::Node(digest, _) => digest,
        }
    }

    /// What the object with these bytes refers to, in order.
    ///
    /// # Errors
    /// The bytes have not the form of such an object.
    pub fn children(&self, bytes: &[u8]) -> Result<Vec<Self>, String> {
        match *self {
            Self::Leaf(_) => Ok(Vec::new()),
            Self::List(_, depth) => list_children(bytes, depth),
            Self::Node(_, height) => {
                let below = |digest| if height == 1 { Self::Leaf(digest) } else { Self::Node(digest, height - 1) };
                Ok(node_children(bytes, height)?.into_iter().map(|(_, digest)| below(digest)).collect())
            }
        }
    }
}

fn list_children(bytes: &[u8], depth: u8) -> Result<Vec<Part>, String> {
    let (digests, rest) = bytes.as_chunks::<32>();
    if depth == 0 || digests.is_empty() || digests.len() > LIST_MAX || !rest.is_empty() {
        return Err("a list of chunks has no proper form".into());
    }
    let below = |digest: &Digest32| if depth == 1 { Part::Leaf(*digest) } else { Part::List(*digest, depth - 1) };
    Ok(digests.iter().map(below).collect())
}

/// Objects in memory.
#[derive(Clone, Default)]
pub(crate) struct Kept(pub(crate) BTreeMap<Digest32, Vec<u8>>);

impl Kept {
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

impl ObjectSink for Kept {
    fn holds(&self, digest: &Digest32) -> bool {
        self.0.contains_key(digest)
    }
    fn is_complete(&self) -> bool {
        true
    }
    fn put(&mut self, digest: Digest32, bytes: &[u8]) {
        debug_assert!(bytes.len() <= OBJECT_BYTES_MAX);
        self.0.insert(digest, bytes.to_vec());
    }
}

impl ObjectSource for Kept {
    fn object(&self, digest: &Digest32) -> Option<Vec<u8>> {
        self.0.get(digest).cloned()
    }
}
