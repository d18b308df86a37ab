//! CBOR in and out, with caps that hold before a single value is built.

use crate::WireError;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The tag 55799 in front of a document: "this is CBOR".
const SELF_DESCRIBED: [u8; 3] = [0xd9, 0xd9, 0xf7];

/// How much of a text of the CBOR crate is repeated: it may quote a hostile key of any length.
const REASON_CHARS_MAX: usize = 160;

/// What a document may take.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Bytes of the document.
    pub bytes: usize,
    /// Containers within containers; at most 127, which is what the CBOR crate walks.
    pub depth: usize,
    /// Values in it, containers, map keys and string chunks included.
    pub items: usize,
}

impl Caps {
    /// For documents that an operator or a certificate's verifier reads: large, but neither endless nor deep enough to
    /// exhaust a stack.
    pub const DOCUMENT: Self = Self { bytes: 64 << 20, depth: 127, items: 4 << 20 };
}

/// The CBOR form of a value, self-described.
///
/// # Panics
/// If a value has no CBOR form: integers beyond 64 bits, map keys of unknown count. No type of ours has such.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut serializer = serde_cbor::Serializer::new(Vec::new());
    serializer.self_describe().expect("writing to memory does not fail");
    value.serialize(&mut serializer).expect("the value has a CBOR form");
    serializer.into_inner()
}

/// Reads one value within [`Caps::DOCUMENT`].
///
/// # Errors
/// As [`decode_within`].
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, WireError> {
    decode_within(bytes, &Caps::DOCUMENT)
}

/// Reads one value, self-described or not, and nothing after it.
///
/// # Errors
/// The caps are exceeded; not well-formed; other tags than the self-description; floats; trailing bytes; not the shape
/// of `T`. A key that occurs twice is an error in a struct; a map read into a collection keeps the last.
pub fn decode_within<'de, T: Deserialize<'de>>(bytes: &'de [u8], caps: &Caps) -> Result<T, WireError> {
    read(serde_cbor::Deserializer::from_slice(check(bytes, caps)?).disable_legacy_enums())
}

/// As [`decode_within`], for types whose maps have only texts as keys: a number must not stand for the field at that
/// place.
pub(crate) fn decode_named<'de, T: Deserialize<'de>>(bytes: &'de [u8], caps: &Caps) -> Result<T, WireError> {
    read(serde_cbor::Deserializer::from_slice(check(bytes, caps)?).disable_legacy_enums().disable_packed_format())
}

fn read<'de, T: Deserialize<'de>>(
    mut deserializer: serde_cbor::Deserializer<serde_cbor::de::SliceRead<'de>>,
) -> Result<T, WireError> {
    T::deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let reason = error.to_string().chars().take(REASON_CHARS_MAX).collect();
        WireError::Malformed { offset: error.offset(), reason }
    })
}

/// Walks a document without building anything: it is well-formed, within the caps, and ends where its bytes end.
/// Answers the document without its self-description.
fn check<'a>(bytes: &'a [u8], caps: &Caps) -> Result<&'a [u8], WireError> {
    if bytes.len() > caps.bytes {
        return Err(WireError::TooLarge { actual: bytes.len(), limit: caps.bytes });
    }
    let body = bytes.strip_prefix(&SELF_DESCRIBED).unwrap_or(bytes);
    Walk { bytes: body, at: 0, items_left: caps.items, open: Vec::new() }.run(caps)?;
    Ok(body)
}

/// A container that the walk is in.
enum Open {
    /// So many values are still to come.
    Counted(u64),
    /// Ends with a break.
    Array,
    /// Ends with a break, which may come only after an even number of values.
    Map { even: bool },
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    items_left: usize,
    open: Vec<Open>,
}

/// The first byte or bytes of a value.
struct Head {
    major: u8,
    /// Length, count or number; `None` if the length is indefinite.
    argument: Option<u64>,
    /// The five bits that say how the argument is written.
    info: u8,
}

impl Walk<'_> {
    fn run(mut self, caps: &Caps) -> Result<(), WireError> {
        loop {
            if self.at_break() {
                self.at += 1;
                self.open.pop();
            } else {
                self.items_left =
                    self.items_left.checked_sub(1).ok_or(WireError::TooManyItems { limit: caps.items })?;
                self.value(caps)?;
            }
            while matches!(self.open.last(), Some(Open::Counted(0))) {
                self.open.pop();
            }
            if self.open.is_empty() {
                break;
            }
        }
        if self.at != self.bytes.len() {
            return Err(self.malformed("bytes follow the message"));
        }
        Ok(())
    }

    /// Whether a break ends the innermost container here; counts a value in it otherwise.
    fn at_break(&mut self) -> bool {
        let is_break = self.bytes.get(self.at) == Some(&0xff);
        match self.open.last_mut() {
            Some(Open::Array | Open::Map { even: true }) if is_break => return true,
            Some(Open::Map { even }) => *even = !*even,
            Some(Open::Counted(left)) => *left -= 1,
            Some(Open::Array) | None => {}
        }
        false
    }

    fn value(&mut self, caps: &Caps) -> Result<(), WireError> {
        let head = self.head()?;
        match (head.major, head.argument) {
            (0 | 1, Some(_)) => Ok(()),
            (2 | 3, Some(length)) => self.skip(length),
            (2 | 3, None) => self.chunks(head.major, caps),
            (4, Some(count)) => self.enter(Open::Counted(count), count, caps),
            (5, Some(count)) => self.enter(Open::Counted(count.saturating_mul(2)), count.saturating_mul(2), caps),
            (4, None) => self.enter(Open::Array, 0, caps),
            (5, None) => self.enter(Open::Map { even: true }, 0, caps),
            (7, _) if (20..=23).contains(&head.info) => Ok(()),
            (7, _) if (25..=27).contains(&head.info) => Err(WireError::Unsupported { what: "a floating-point number" }),
            (6, Some(_)) => Err(WireError::Unsupported { what: "a CBOR tag inside a message" }),
            _ => Err(self.malformed("not a value")),
        }
    }

    fn head(&mut self) -> Result<Head, WireError> {
        let first = *self.bytes.get(self.at).ok_or_else(|| self.malformed("the message ends early"))?;
        self.at += 1;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => {
                let width = 1 << (info - 24);
                let bytes = self.bytes.get(self.at..self.at + width);
                let bytes = bytes.ok_or_else(|| self.malformed("the message ends early"))?;
                self.at += width;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            31 => None,
            _ => return Err(self.malformed("a reserved length")),
        };
        Ok(Head { major, argument, info })
    }

    fn skip(&mut self, length: u64) -> Result<(), WireError> {
        if length > self.bytes_left() {
            return Err(self.malformed("a string is longer than the message"));
        }
        self.at += length as usize;
        Ok(())
    }

    /// The chunks of a string of indefinite length, up to its break.
    fn chunks(&mut self, major: u8, caps: &Caps) -> Result<(), WireError> {
        while self.bytes.get(self.at) != Some(&0xff) {
            self.items_left = self.items_left.checked_sub(1).ok_or(WireError::TooManyItems { limit: caps.items })?;
            let head = self.head()?;
            let length = head.argument.filter(|_| head.major == major);
            self.skip(length.ok_or_else(|| self.malformed("a string chunk of another kind"))?)?;
        }
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self, container: Open, count: u64, caps: &Caps) -> Result<(), WireError> {
        if self.open.len() >= caps.depth {
            return Err(WireError::TooDeep { limit: caps.depth });
        }
        // Every value takes a byte at least.
        if count > self.bytes_left() {
            return Err(self.malformed("a container has more entries than the message has bytes"));
        }
        self.open.push(container);
        Ok(())
    }

    fn bytes_left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    fn malformed(&self, reason: &str) -> WireError {
        WireError::malformed(self.at, reason)
    }
}
