//! Bytes of any length as objects: cut into chunks where their content says so, below lists of digests.
//!
//! The cuts depend on the bytes around them only, so a change in the middle of a long encoding leaves the chunks before
//! and behind it as they were.

use crate::objects::{self, LIST_MAX, OBJECT_BYTES_MAX, ObjectSink, ObjectSource, Part};
use mains_types::Digest32;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// Bytes of the least and the greatest chunk; about 12 KiB on average.
const CHUNK_MIN: usize = 4 << 10;
const CHUNK_MAX: usize = OBJECT_BYTES_MAX;
/// A cut is where these bits of the rolling hash are zero: one place in 8192.
const CUT_MASK: u64 = !0 << (64 - 13);
/// Levels of lists: room for 2^40 chunks.
const DEPTH_MAX: u8 = 4;

/// What a byte adds to the rolling hash, which forgets it after 64 more.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut at = 0;
    while at < 256 {
        // SplitMix64: any fixed, evenly spread numbers serve.
        let mut word = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[at] = word ^ (word >> 31);
        at += 1;
    }
    gear
};

/// Names bytes that are kept as objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blob {
    /// How many they are.
    pub bytes: u64,
    /// Levels of lists above the chunks; 0 if there is one chunk.
    pub depth: u8,
    /// The object at the top.
    pub digest: Digest32,
}

impl Blob {
    /// The object at the top.
    pub fn part(&self) -> Part {
        if self.depth == 0 { Part::Leaf(self.digest) } else { Part::List(self.digest, self.depth) }
    }

    /// Puts the encoding of `value` together with what it is cut into.
    ///
    /// # Errors
    /// What postcard says.
    pub(crate) fn write<T: Serialize + ?Sized>(value: &T, sink: &mut dyn ObjectSink) -> postcard::Result<Self> {
        postcard::serialize_with_flavor(
            value,
            Writer { sink, chunk: Vec::new(), hash: 0, bytes: 0, digests: Vec::new() },
        )
    }

    /// What [`Blob::write`] would return.
    ///
    /// # Errors
    /// What postcard says.
    pub(crate) fn of<T: Serialize + ?Sized>(value: &T) -> postcard::Result<Self> {
        Self::write(value, &mut Nowhere)
    }

    /// Reads the bytes back.
    ///
    /// # Errors
    /// In words: an object is missing or damaged, or the parts do not make up what the name says.
    pub fn read(&self, source: &dyn ObjectSource) -> Result<Vec<u8>, ReadError> {
        if self.depth > DEPTH_MAX {
            return Err(ReadError::Malformed("a list of chunks is too deep".into()));
        }
        let mut bytes = Vec::new();
        self.gather(self.part(), source, &mut bytes)?;
        if bytes.len() as u64 == self.bytes {
            Ok(bytes)
        } else {
            Err(ReadError::Malformed("chunks have not the length they should have together".into()))
        }
    }

    fn gather(&self, part: Part, source: &dyn ObjectSource, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
        let object = objects::read(source, part.digest()).map_err(ReadError::Object)?;
        if let Part::Leaf(_) = part {
            bytes.extend_from_slice(&object);
            let fits = bytes.len() as u64 <= self.bytes;
            return if fits {
                Ok(())
            } else {
                Err(ReadError::Malformed("there are more chunks than announced".into()))
            };
        }
        let children = part.children(&object).map_err(ReadError::Malformed)?;
        children.into_iter().try_for_each(|child| self.gather(child, source, bytes))
    }
}

/// Why objects do not make a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// This object is missing or damaged.
    Object(Digest32),
    /// Objects are whole, but not what they should be.
    Malformed(String),
}

/// Takes nothing: for digests alone.
struct Nowhere;

impl ObjectSink for Nowhere {
    fn holds(&self, _: &Digest32) -> bool {
        true
    }
    fn is_complete(&self) -> bool {
        true
    }
    fn put(&mut self, _: Digest32, _: &[u8]) {}
}

/// Cuts what is written to it, and puts each chunk as soon as it is cut.
struct Writer<'a> {
    sink: &'a mut dyn ObjectSink,
    chunk: Vec<u8>,
    hash: u64,
    bytes: u64,
    digests: Vec<Digest32>,
}

impl Writer<'_> {
    fn object(&mut self, bytes: &[u8]) -> Digest32 {
        let digest = *blake3::hash(bytes).as_bytes();
        if !self.sink.holds(&digest) {
            self.sink.put(digest, bytes);
        }
        digest
    }

    fn cut(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let digest = self.object(&chunk);
        self.digests.push(digest);
        self.chunk = chunk;
        self.chunk.clear();
        self.hash = 0;
    }
}

impl Flavor for Writer<'_> {
    type Output = Blob;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.chunk.push(byte);
        self.bytes += 1;
        self.hash = (self.hash << 1).wrapping_add(GEAR[usize::from(byte)]);
        let length = self.chunk.len();
        if length >= CHUNK_MAX || (length >= CHUNK_MIN && self.hash & CUT_MASK == 0) {
            self.cut();
        }
        Ok(())
    }

    fn finalize(mut self) -> postcard::Result<Blob> {
        if !self.chunk.is_empty() || self.digests.is_empty() {
            self.cut();
        }
        let mut level = std::mem::take(&mut self.digests);
        let mut depth = 0;
        while level.len() > 1 {
            level = level.chunks(LIST_MAX).map(|digests| self.object(digests.as_flattened())).collect();
            depth += 1;
        }
        if depth > DEPTH_MAX {
            return Err(postcard::Error::SerializeBufferFull);
        }
        Ok(Blob { bytes: self.bytes, depth, digest: level[0] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Kept;
    use serde_bytes::Bytes;

    fn noise(length: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn bytes_of_any_length_come_back_and_equal_ones_have_one_name() {
        for length in [0, 1, 4_096, 70_000, 3_000_000] {
            let (bytes, mut kept) = (noise(length, 1), Kept::default());
            let blob = Blob::write(Bytes::new(&bytes), &mut kept).unwrap();
            assert_eq!(Blob::of(Bytes::new(&bytes)).unwrap(), blob);
            assert_eq!(blob.read(&kept).unwrap()[(blob.bytes as usize - length)..], bytes[..]);
        }
        let (zeroes, mut kept) = (vec![0; 1_000_000], Kept::default());
        Blob::write(Bytes::new(&zeroes), &mut kept).unwrap();
        assert!(kept.bytes() < 200_000, "equal chunks are kept once");
    }

    #[test]
    fn a_change_in_the_middle_of_a_long_encoding_costs_a_few_chunks() {
        let (mut bytes, mut kept) = (noise(4_000_000, 2), Kept::default());
        Blob::write(Bytes::new(&bytes), &mut kept).unwrap();
        let before = kept.bytes();
        bytes.splice(2_000_000..2_000_000, *b"a few more");
        let blob = Blob::write(Bytes::new(&bytes), &mut kept).unwrap();
        assert!(kept.bytes() - before < 200_000);
        assert!(blob.read(&kept).is_ok());
    }

    #[test]
    fn what_is_missing_damaged_or_too_long_is_named() {
        let (bytes, mut kept) = (noise(500_000, 3), Kept::default());
        let blob = Blob::write(Bytes::new(&bytes), &mut kept).unwrap();
        let Part::List(..) = blob.part() else { panic!("more than one chunk") };
        let chunk = *blob.part().children(&kept.0[&blob.digest]).unwrap()[3].digest();
        let short = Blob { bytes: 400_000, ..blob };
        assert!(matches!(short.read(&kept), Err(ReadError::Malformed(_))));
        kept.0.get_mut(&chunk).unwrap()[7] ^= 1;
        assert_eq!(blob.read(&kept), Err(ReadError::Object(chunk)));
        kept.0.remove(&chunk);
        assert_eq!(blob.read(&kept), Err(ReadError::Object(chunk)));
    }
}
