//! What the gateway and a canister say to each other, in Candid (HTTP gateway protocol).

use crate::failure::Failure;
use candid::{
    CandidType, Func, IDLArgs,
    de::{DecoderConfig, IDLDeserialize},
    types::{Serializer, Type, TypeInner, reference::FuncVisitor, value::IDLValue, value::IDLValueVisitor},
};
use serde::{Deserialize, Deserializer};

/// Work that decoding one answer may take, in candid's units: about one per byte, and some per value.
const DECODING_QUOTA: usize = 16 << 20;
/// Work that fields which we do not know may take.
const SKIPPING_QUOTA: usize = 1 << 20;

/// A canister's answer to `http_request` and `http_request_update`.
#[derive(Debug, CandidType, Deserialize)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status_code: u16,
    /// Names and values, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body or its beginning.
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
    /// Whether the canister wants to be asked again, by an update call.
    pub(crate) upgrade: Option<bool>,
    /// How to get the rest of the body.
    pub(crate) streaming_strategy: Option<StreamingStrategy>,
}

/// How to get the rest of a body.
#[derive(Debug, CandidType, Deserialize)]
pub(crate) enum StreamingStrategy {
    /// By asking a query method again and again.
    Callback(Callback),
}

/// A query method, and what to ask it first.
#[derive(Debug, CandidType, Deserialize)]
pub(crate) struct Callback {
    /// The method.
    pub(crate) callback: AnyFunction,
    /// What to ask.
    pub(crate) token: AnyValue,
}

/// A canister's answer to a streaming callback.
#[derive(Debug, CandidType, Deserialize)]
pub(crate) struct Chunk {
    /// The next bytes of the body.
    #[serde(with = "serde_bytes")]
    pub(crate) body: Vec<u8>,
    /// What to ask next; `None`: that was all.
    pub(crate) token: Option<AnyValue>,
}

/// A function reference of any type: each canister has a type of its own for tokens.
#[derive(Debug)]
pub(crate) struct AnyFunction(pub(crate) Func);

/// A value of any type, handed back as it came.
#[derive(Debug, Clone)]
pub(crate) struct AnyValue(pub(crate) IDLValue);

// Reading as `reserved` accepts every type; the visitor then sees the value all the same. Neither is ever written.
impl CandidType for AnyFunction {
    fn _ty() -> Type {
        TypeInner::Reserved.into()
    }
    fn idl_serialize<S: Serializer>(&self, serializer: S) -> Result<(), S::Error> {
        serializer.serialize_null(())
    }
}

impl<'de> Deserialize<'de> for AnyFunction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_ignored_any(FuncVisitor).map(Self)
    }
}

impl CandidType for AnyValue {
    fn _ty() -> Type {
        TypeInner::Reserved.into()
    }
    fn idl_serialize<S: Serializer>(&self, serializer: S) -> Result<(), S::Error> {
        serializer.serialize_null(())
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_ignored_any(IDLValueVisitor).map(Self)
    }
}

impl AnyValue {
    /// The value as the one argument of a call.
    ///
    /// # Errors
    /// A value that candid cannot write.
    pub(crate) fn to_argument(&self) -> Result<Vec<u8>, Failure> {
        IDLArgs::new(std::slice::from_ref(&self.0)).to_bytes().map_err(|error| Failure::bad_answer(error.to_string()))
    }
}

/// Reads the one value of a canister's reply.
///
/// # Errors
/// [`Failure::BadAnswer`] if it is of another type or takes too much work to read.
pub(crate) fn decode<T: CandidType + for<'de> Deserialize<'de>>(reply: &[u8]) -> Result<T, Failure> {
    let mut config = DecoderConfig::new();
    config.set_decoding_quota(DECODING_QUOTA).set_skipping_quota(SKIPPING_QUOTA).set_full_error_message(false);
    let read = || {
        let mut arguments = IDLDeserialize::new_with_config(reply, &config)?;
        let value = arguments.get_value()?;
        arguments.done()?;
        Ok(value)
    };
    read().map_err(|error: candid::Error| Failure::bad_answer(format!("it does not decode: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{Encode, Nat, Principal};

    #[derive(CandidType)]
    struct Token {
        key: String,
        index: Nat,
        sha256: Option<Vec<u8>>,
    }

    candid::define_function!(Next : (Token) -> () query);

    #[derive(CandidType)]
    struct Theirs {
        status_code: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        streaming_strategy: Option<TheirStrategy>,
        something_else: Option<u8>,
    }

    #[derive(CandidType)]
    enum TheirStrategy {
        Callback { callback: Next, token: Token },
    }

    fn token() -> Token {
        Token { key: "/big".into(), index: Nat::from(1u8), sha256: None }
    }

    #[test]
    fn a_token_of_any_type_comes_back_as_it_was() {
        let theirs = Theirs {
            status_code: 200,
            headers: vec![("a".into(), "b".into())],
            body: vec![1, 2],
            streaming_strategy: Some(TheirStrategy::Callback {
                callback: Next::new(Principal::management_canister(), "next".into()),
                token: token(),
            }),
            something_else: Some(1),
        };
        let answer: Answer = decode(&Encode!(&theirs).unwrap()).unwrap();
        assert_eq!((answer.status_code, &answer.body[..], answer.upgrade), (200, &[1, 2][..], None));
        let Some(StreamingStrategy::Callback(callback)) = answer.streaming_strategy else { panic!("it streams") };
        assert_eq!(callback.callback.0.method, "next");
        #[derive(CandidType, Deserialize, PartialEq, Debug)]
        struct Read {
            key: String,
            index: Nat,
            sha256: Option<Vec<u8>>,
        }
        let read: Read = decode(&callback.token.to_argument().unwrap()).unwrap();
        assert_eq!(read, Read { key: "/big".into(), index: Nat::from(1u8), sha256: None });
    }

    #[test]
    fn an_answer_of_another_type_is_refused() {
        assert!(matches!(decode::<Answer>(&Encode!(&"no").unwrap()), Err(Failure::BadAnswer { .. })));
        assert!(matches!(decode::<Answer>(b"DIDL"), Err(Failure::BadAnswer { .. })));
    }

    #[test]
    fn an_answer_that_takes_too_much_work_to_read_is_refused() {
        // A token that is a vector of 2^30 empty records takes a few bytes and much memory.
        #[derive(Debug, CandidType, Deserialize)]
        struct Only {
            token: AnyValue,
        }
        let field = candid::idl_hash("token");
        let mut bomb = b"DIDL\x03\x6d\x01\x6c\x00\x6c\x01".to_vec();
        let mut rest = field;
        while rest >= 0x80 {
            bomb.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bomb.extend([rest as u8, 0x00, 0x01, 0x02, 0x80, 0x80, 0x80, 0x80, 0x04]);
        assert!(matches!(decode::<Only>(&bomb), Err(Failure::BadAnswer { .. })));
    }
}
