use super::{Caps, decode, decode_within, encode};
use crate::WireError;
use serde_cbor::Value;
use std::collections::BTreeMap;

const SMALL: Caps = Caps { bytes: 64, depth: 4, items: 16 };

fn read(bytes: &[u8]) -> Result<Value, WireError> {
    decode_within(bytes, &SMALL)
}

fn is_malformed<T>(result: Result<T, WireError>) -> bool {
    matches!(result, Err(WireError::Malformed { .. }))
}

#[test]
fn values_survive_the_round_trip_and_say_that_they_are_cbor() {
    let value = BTreeMap::from([("numbers", vec![0u64, 23, 24, 255, 256, 65_536, u64::MAX]), ("none", vec![])]);
    let bytes = encode(&value);
    assert_eq!(bytes[..3], [0xd9, 0xd9, 0xf7]);
    assert_eq!(decode::<BTreeMap<&str, Vec<u64>>>(&bytes), Ok(value.clone()));
    assert_eq!(decode::<BTreeMap<&str, Vec<u64>>>(&bytes[3..]), Ok(value));
}

#[test]
fn numbers_may_be_wider_than_they_need() {
    for bytes in [&b"\x07"[..], b"\x18\x07", b"\x19\0\x07", b"\x1a\0\0\0\x07", b"\x1b\0\0\0\0\0\0\0\x07"] {
        assert_eq!(decode::<u64>(bytes), Ok(7));
    }
    assert!(is_malformed(decode::<u64>(b"\x20")));
}

#[test]
fn indefinite_lengths_are_read() {
    assert_eq!(read(b"\x9f\x01\x02\xff"), Ok(Value::Array(vec![Value::Integer(1), Value::Integer(2)])));
    assert_eq!(read(b"\x5f\x41a\x42bc\xff"), Ok(Value::Bytes(b"abc".to_vec())));
    assert_eq!(read(b"\x7f\x61a\xff"), Ok(Value::Text("a".into())));
    assert!(read(b"\xbf\x01\x9f\xff\xff").is_ok());
    assert!(read(b"\x80").is_ok());
    assert!(read(b"\x82\x80\xa0").is_ok());
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    for bytes in [
        &b""[..],
        b"\xd9\xd9\xf7",
        b"\x18",
        b"\x1b\0\0",
        b"\x43ab",
        b"\x82\x01",
        b"\xa1\x01",
        b"\x9f\x01",
        b"\xbf\x01\xff",
        b"\xbf\x01\x02",
        b"\x5f\x41a",
        b"\x01\x02",
        b"\x80\xff",
        b"\xff",
        b"\x82\x01\xff",
    ] {
        assert!(is_malformed(read(bytes)), "{bytes:x?}");
    }
}

#[test]
fn what_is_not_cbor_is_refused() {
    for bytes in [
        &b"\x1c"[..],
        b"\x1f",
        b"\x5f\x61a\xff",
        b"\x5f\x5f\xff\xff",
        b"\x5f\x01\xff",
        b"\xf8\x20",
        b"\xe0",
        b"\x61\xff",
    ] {
        assert!(is_malformed(read(bytes)), "{bytes:x?}");
    }
}

#[test]
fn floats_and_inner_tags_are_refused() {
    for bytes in [
        &b"\xf9\0\0"[..],
        b"\xfb\0\0\0\0\0\0\0\0",
        b"\xc2\x41\x01",
        b"\xd9\xd9\xf7\xd9\xd9\xf7\x01",
        b"\x81\xd9\xd9\xf7\x01",
    ] {
        assert!(matches!(read(bytes), Err(WireError::Unsupported { .. })), "{bytes:x?}");
    }
}

#[test]
fn declared_lengths_are_never_believed() {
    for head in [0x5b, 0x7b, 0x9b, 0xbb] {
        for length in [u64::MAX, u64::MAX / 2, 1 << 40, 56] {
            let mut bytes = vec![head];
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(b"few");
            assert!(is_malformed(read(&bytes)));
        }
    }
}

#[test]
fn nesting_ends_at_the_cap() {
    assert!(read(b"\x81\x81\x81\x81\x01").is_ok());
    for deep in
        [&b"\x81\x81\x81\x81\x81\x01"[..], b"\x9f\x9f\x9f\x9f\x9f", b"\xa1\x01\xa1\x01\xa1\x01\xa1\x01\xa1\x01\x01"]
    {
        assert_eq!(read(deep), Err(WireError::TooDeep { limit: 4 }));
    }
    assert_eq!(decode::<Value>(&vec![0x81; 1 << 20]), Err(WireError::TooDeep { limit: 127 }));
    let mut deepest = vec![0x81; 127];
    deepest.push(0x01);
    assert!(decode::<Value>(&deepest).is_ok());
}

#[test]
fn sizes_and_counts_end_at_the_caps() {
    assert_eq!(read(&[0; 65]), Err(WireError::TooLarge { actual: 65, limit: 64 }));
    let mut array = vec![0x8f];
    array.extend_from_slice(&[0; 15]);
    assert!(read(&array).is_ok());
    array[0] = 0x90;
    array.push(0);
    assert_eq!(read(&array), Err(WireError::TooManyItems { limit: 16 }));
    assert_eq!(read(&[&[0x5f][..], &[0x40; 20]].concat()), Err(WireError::TooManyItems { limit: 16 }));
}

#[test]
fn no_garbage_makes_the_reader_panic() {
    let mut state = 5u64;
    for _ in 0..200_000 {
        let bytes: Vec<u8> = (0..24)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let byte = (state >> 56) as u8;
                // Small heads, so that more than the first byte is looked at.
                if state >> 40 & 3 == 0 { byte } else { byte & 0xe3 }
            })
            .collect();
        let _ = read(&bytes);
    }
}
