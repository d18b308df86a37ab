//! Scripts for the scripted canister (`sdk/examples/scripted-rust`): what a test wants a canister to do, as an expression.
//!
//! [`Number`] and [`Bytes`] are expressions that leave a value, [`Script`] is something to be done; `+` puts scripts one
//! after the other and bytes one behind the other. The words in [`words`] read like the interface specification; under them
//! [`system`] reaches every function with any parameters.

mod call;
/// Operations of scripts, from the other side.
#[path = "../../../sdk/examples/scripted-rust/src/operations.rs"]
#[allow(dead_code, reason = "a word for each is not needed")]
pub mod operations;
pub mod words;

pub use call::{Call, Relayed};

use operations as op;
use std::ops::{Add, Sub};

include!("../../../sdk/examples/scripted-rust/src/functions.rs");

/// An expression that leaves a 64-bit number.
#[derive(Clone, Debug)]
pub struct Number(Vec<u8>);

/// An expression that leaves bytes.
#[derive(Clone, Debug)]
pub struct Bytes(Vec<u8>);

/// Something to be done; leaves nothing.
#[derive(Clone, Debug, Default)]
pub struct Script(Vec<u8>);

/// What a system call takes: a number, or bytes that become two parameters, where they begin and how many there are.
#[derive(Clone, Debug)]
pub struct Parameter(Vec<u8>);

macro_rules! table {
    (@narrow) => { false };
    (@narrow $first:meta) => { true };
    ($($(#[$cfg:meta])* $number:literal $name:ident($($parameter:ident: $type:ident),*) $(-> $result:ident)?;)*) => {
        /// The functions of the system interface.
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function { $($name = $number),* }

        impl Function {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in `ic0`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Types of its parameters: `P`, `u32` or `u64`.
            pub fn parameters(self) -> &'static [&'static str] {
                match self { $(Self::$name => &[$(stringify!($type)),*]),* }
            }

            /// Type of its result.
            pub fn result(self) -> Option<&'static str> {
                match self { $(Self::$name => [$(stringify!($result),)? ""].into_iter().find(|ty| !ty.is_empty())),* }
            }

            /// Whether it exists for 32-bit modules only.
            pub fn is_narrow(self) -> bool {
                match self { $(Self::$name => table!(@narrow $($cfg)*)),* }
            }
        }
    };
}

functions!(table);

/// Calls a function of the system; its result, if it has one, stays on the stack: see [`Function::result`].
fn raw<const N: usize>(function: Function, parameters: [Parameter; N]) -> Vec<u8> {
    let mut code: Vec<u8> = parameters.into_iter().flat_map(|parameter| parameter.0).collect();
    code.extend([op::SYSTEM, function as u8]);
    code
}

/// Calls a function of the system and forgets its result.
pub fn system<const N: usize>(function: Function, parameters: [Parameter; N]) -> Script {
    let mut code = raw(function, parameters);
    code.extend(function.result().map(|_| op::DROP));
    Script(code)
}

/// The result of a function of the system.
///
/// # Panics
/// If it has none.
pub fn ask<const N: usize>(function: Function, parameters: [Parameter; N]) -> Number {
    assert!(function.result().is_some(), "{} has no result", function.name());
    Number(raw(function, parameters))
}

/// So many bytes that a function of the system writes to where `parameters` says, given that place.
pub fn written<const N: usize>(
    function: Function,
    size: impl Into<Number>,
    parameters: impl FnOnce(Number) -> [Parameter; N],
) -> Bytes {
    let size = size.into();
    let place = Number([size.0.clone(), vec![op::ROOM]].concat());
    let call = system(function, parameters(place));
    Bytes([call.0, size.0, vec![op::TAKE]].concat())
}

/// What a pair of functions, `..._size` and `..._copy`, tells.
pub fn copied(size: Function, copy: Function) -> Bytes {
    let size = ask(size, []);
    written(copy, size.clone(), |place| [place.into(), 0.into(), size.into()])
}

impl Script {
    /// Does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the canister is sent.
    pub fn bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Number {
    /// As so many little-endian bytes.
    pub fn bytes(self, count: u64) -> Bytes {
        Bytes([self.0, Self::from(count).0, vec![op::TO_BYTES]].concat())
    }

    fn with(self, other: impl Into<Self>, operation: u8) -> Self {
        Self([self.0, other.into().0, vec![operation]].concat())
    }

    /// 1 if both are the same.
    pub fn is(self, other: impl Into<Self>) -> Self {
        self.with(other, op::EQUAL)
    }

    /// 1 if this is less.
    pub fn less(self, other: impl Into<Self>) -> Self {
        self.with(other, op::LESS)
    }
}

impl Bytes {
    /// At most eight little-endian bytes as a number.
    pub fn number(self) -> Number {
        Number([self.0, vec![op::TO_NUMBER]].concat())
    }

    /// How many there are.
    pub fn length(self) -> Number {
        Number([self.0, vec![op::LENGTH]].concat())
    }

    /// 1 if both are the same.
    pub fn is(self, other: impl Into<Self>) -> Number {
        Number([self.0, other.into().0, vec![op::EQUAL]].concat())
    }

    /// All from a position on.
    pub fn slice_from(self, from: u64) -> Self {
        let count = self.clone().length() - from;
        Self([self.0, Number::from(from).0, count.0, vec![op::SLICE]].concat())
    }

    /// So many from a position on.
    pub fn slice(self, from: u64, count: u64) -> Self {
        Self([self.0, Number::from(from).0, Number::from(count).0, vec![op::SLICE]].concat())
    }
}

impl Add for Script {
    type Output = Self;
    fn add(self, next: Self) -> Self {
        Self([self.0, next.0].concat())
    }
}

impl<T: Into<Self>> Add<T> for Bytes {
    type Output = Self;
    fn add(self, next: T) -> Self {
        Self([self.0, next.into().0, vec![op::CONCAT]].concat())
    }
}

impl<T: Into<Self>> Add<T> for Number {
    type Output = Self;
    fn add(self, other: T) -> Self {
        self.with(other, op::ADD)
    }
}

impl<T: Into<Self>> Sub<T> for Number {
    type Output = Self;
    fn sub(self, other: T) -> Self {
        self.with(other, op::SUBTRACT)
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self([&[op::NUMBER][..], &number.to_le_bytes()].concat())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self([&[op::BYTES][..], &(bytes.len() as u32).to_le_bytes(), bytes].concat())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.as_slice().into()
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(bytes: &[u8; N]) -> Self {
        bytes.as_slice().into()
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Script> for Bytes {
    fn from(script: Script) -> Self {
        script.0.into()
    }
}

impl From<mains_types::Principal> for Bytes {
    fn from(principal: mains_types::Principal) -> Self {
        principal.as_slice().into()
    }
}

impl From<u64> for Parameter {
    fn from(number: u64) -> Self {
        Self(Number::from(number).0)
    }
}

impl From<Number> for Parameter {
    fn from(number: Number) -> Self {
        Self(number.0)
    }
}

impl From<Bytes> for Parameter {
    fn from(bytes: Bytes) -> Self {
        Self([bytes.0, vec![op::PIN]].concat())
    }
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Self {
        Bytes::from(text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_its_place_in_the_table() {
        let system = Function::ALL;
        assert!(system.iter().enumerate().all(|(index, function)| index == *function as usize));
        assert_eq!(Function::msg_reply.parameters().len(), 0);
        assert_eq!((Function::time.result(), Function::msg_reply.result()), (Some("u64"), None));
        assert_eq!((Function::stable_size.is_narrow(), Function::stable64_size.is_narrow()), (true, false));
    }
}
