//! Candid in and out, with bounds: nothing a caller sends can cost more than a multiple of its length.

use super::refusal;
use candid::{
    CandidType, DecoderConfig, Nat,
    utils::{ArgumentDecoder, decode_args_with_config},
};
use mains_types::{Cycles, Reject};

/// Decoding work granted to every argument, however short: type tables and numbers.
const BASE_QUOTA: usize = 1_000_000;
/// Decoding work granted for each byte: a blob read element by element takes a few units each.
const BYTE_QUOTA: usize = 16;

/// Work granted for values that the method's types do not have: a few small fields of newer clients. It also bounds how deep
/// such values nest. Without it candid would stop where the thread's stack ends, and replicas could differ in where that is.
const SKIPPING_QUOTA: usize = 4_000;
/// Entries of an argument's type table; honest ones stay below a hundred. Bounds recursion over types, for the same reason.
const TYPES_MAX: usize = 500;
/// Bytes of an argument's type table.
const HEADER_BYTES_MAX: usize = 16 << 10;

/// Decodes the arguments of a call. Whether they decode is a function of the bytes, on every host.
///
/// # Errors
/// [`refusal::undecodable`]: not the types of `method`, or out of proportion.
pub(crate) fn decode<'a, T: ArgumentDecoder<'a>>(method: &str, argument: &'a [u8]) -> Result<T, Reject> {
    let quota = BASE_QUOTA + argument.len().saturating_mul(BYTE_QUOTA);
    let mut config = DecoderConfig::new();
    config.set_decoding_quota(quota).set_skipping_quota(SKIPPING_QUOTA);
    config.set_max_type_len(TYPES_MAX).set_max_header_len(HEADER_BYTES_MAX).set_full_error_message(false);
    decode_args_with_config(argument, &config).map_err(|_| refusal::undecodable(method))
}

/// Encodes the one value of a reply.
pub(crate) fn encode<T: CandidType>(value: &T) -> Vec<u8> {
    candid::encode_args((value,)).expect("a reply's type is known to candid")
}

/// The reply without a value.
pub(crate) fn encode_nothing() -> Vec<u8> {
    candid::encode_args(()).expect("no value encodes")
}

/// A `nat` as u64.
///
/// # Errors
/// [`refusal::payload`] naming `what` if it is above `most`.
pub(crate) fn word(what: &str, value: &Nat, most: u64) -> Result<u64, Reject> {
    match u64::try_from(&value.0) {
        Ok(number) if number <= most => Ok(number),
        _ => Err(refusal::payload(format!("{what} is at most {most}."))),
    }
}

/// A `nat` as an amount.
///
/// # Errors
/// [`refusal::payload`] naming `what` if it does not fit 128 bits.
pub(crate) fn cycles(what: &str, value: &Nat) -> Result<Cycles, Reject> {
    u128::try_from(&value.0).map(Cycles).map_err(|_| refusal::payload(format!("{what} does not fit in 128 bits.")))
}

/// An amount as a `nat`.
pub(crate) fn nat(amount: Cycles) -> Nat {
    Nat::from(amount.get())
}
