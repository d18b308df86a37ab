//! Quantities as newtypes, so that money, time, heights and work cannot be mixed up. Integers only.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);
            /// The greatest value.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// The plain number.
            pub const fn get(self) -> $inner {
                self.0
            }
            /// The sum, or `None` if it does not fit.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }
            /// The difference, or `None` if it would be negative.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }
            /// The sum, at most [`Self::MAX`].
            pub fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
            /// The difference, at least zero.
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

quantity! {
    /// Money: 10^12 cycles are one credit.
    Cycles(u128)
}
quantity! {
    /// A block's position in the chain; genesis is 0.
    Height(u64)
}
quantity! {
    /// Metered Wasm work, in units of `specs/execution.md` (about one per Wasm instruction).
    Instructions(u64)
}
quantity! {
    /// A moment: nanoseconds since 1970-01-01 UTC.
    UnixNanos(u64)
}

impl Height {
    /// The height of the next block.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Cycles {
    /// This amount `quantity` times, or [`Self::MAX`] if that does not fit.
    pub fn saturating_mul(self, quantity: u128) -> Self {
        Self(self.0.saturating_mul(quantity))
    }
}

impl UnixNanos {
    /// One second.
    pub const SECOND: u64 = 1_000_000_000;

    /// The moment `nanos` later.
    pub fn saturating_add_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }
    /// Nanoseconds from `earlier` to this moment; zero if `earlier` is later.
    pub fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
