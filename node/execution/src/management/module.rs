//! A module as uploaded: its hash, and its bytes when it is compressed.

use super::refusal;
use flate2::read::GzDecoder;
use mains_types::{Digest32, Reject, limits};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, io::Read};

/// How a gzip file begins.
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];

/// SHA-256, the hash that names modules and chunks on the Internet Computer.
pub(crate) fn hash(bytes: &[u8]) -> Digest32 {
    Sha256::digest(bytes).into()
}

/// The module's bytes, uncompressed; never more than [`limits::MODULE_BYTES_MAX`].
///
/// # Errors
/// [`refusal::invalid_module`]: too large, or the gzip stream is damaged.
pub(crate) fn unpack(uploaded: &[u8]) -> Result<Cow<'_, [u8]>, Reject> {
    let too_large = || refusal::invalid_module(format!("it has more than {} bytes", limits::MODULE_BYTES_MAX));
    if !uploaded.starts_with(&GZIP_MAGIC) {
        return if uploaded.len() > limits::MODULE_BYTES_MAX { Err(too_large()) } else { Ok(Cow::Borrowed(uploaded)) };
    }
    let mut module = Vec::new();
    GzDecoder::new(uploaded)
        .take(limits::MODULE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut module)
        .map_err(|_| refusal::invalid_module("it begins like a gzip file and is not one"))?;
    if module.len() > limits::MODULE_BYTES_MAX { Err(too_large()) } else { Ok(Cow::Owned(module)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_compressed_module_is_unpacked_and_a_plain_one_left_alone() {
        assert_eq!(unpack(&gzip(b"\0asm")).unwrap().as_ref(), b"\0asm");
        assert_eq!(unpack(b"\0asm").unwrap().as_ref(), b"\0asm");
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; limits::MODULE_BYTES_MAX + 1]);
        assert!(bomb.len() < 1 << 20);
        assert!(unpack(&bomb).unwrap_err().message.contains("more than"));
    }

    #[test]
    fn a_damaged_gzip_stream_is_refused() {
        let mut damaged = gzip(&[7; 1000]);
        damaged.truncate(damaged.len() - 9);
        assert!(unpack(&damaged).unwrap_err().message.contains("gzip"));
    }
}
