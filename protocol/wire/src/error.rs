//! Why bytes were not understood.

use thiserror::Error;

/// Why bytes were not understood. Nothing has been kept of them; sending them again will fail again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// More bytes than such a message may have.
    #[error("the message has {actual} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Bytes received.
        actual: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Nested deeper than any honest message.
    #[error("the message is nested deeper than {limit} levels")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// Values and containers without end.
    #[error("the message holds more than {limit} values")]
    TooManyItems {
        /// Values allowed, containers and map keys included.
        limit: usize,
    },
    /// A part of it is longer than it may be.
    #[error("{what} has length {actual}, more than the {limit} allowed")]
    TooLong {
        /// The part.
        what: &'static str,
        /// Its length, in the part's own unit (bytes, entries).
        actual: usize,
        /// The length allowed.
        limit: usize,
    },
    /// Not CBOR, or not the shape that the interface specification gives.
    #[error("malformed message at byte {offset}: {reason}")]
    Malformed {
        /// Where it went wrong, if known; else 0.
        offset: u64,
        /// What was expected.
        reason: String,
    },
    /// Well-formed, but not served here.
    #[error("{what} is not supported here")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
}

impl WireError {
    pub(crate) fn malformed(offset: usize, reason: &str) -> Self {
        Self::Malformed { offset: offset as u64, reason: reason.to_owned() }
    }
}
