//! Versions of the protocol: which rules a block is executed by, and which of them a binary knows.
//!
//! The active version is replicated state; it changes at a height that all members know long before (`specs/consensus.md`,
//! "Versions"). What differs between two versions asks the state for its version.

use std::fmt;

/// The version that a network begins with.
pub const FIRST_VERSION: u32 = 1;

/// The versions of the protocol that a binary can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: u32,
    /// The newest: what its node tells the others.
    pub newest: u32,
}

impl Versions {
    /// Those of this binary.
    pub const OURS: Self = Self { oldest: FIRST_VERSION, newest: FIRST_VERSION };

    /// Whether it can run this one.
    pub fn run(&self, version: u32) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }

    /// Whether it can run this one.
    ///
    /// # Errors
    /// It cannot, with what to do.
    pub fn check(&self, version: u32) -> Result<(), String> {
        match version {
            version if version > self.newest => Err(format!(
                "protocol version {version} is needed, and this binary runs {self}: install a newer release of mains"
            )),
            version if version < self.oldest => Err(format!(
                "protocol version {version} is needed, and this binary runs {self}: install an older release of mains, and this one after the network has switched to {}",
                self.oldest
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.oldest == self.newest {
            true => write!(formatter, "version {}", self.newest),
            false => write!(formatter, "versions {} to {}", self.oldest, self.newest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_runs_what_it_knows_and_says_what_to_do_otherwise() {
        let versions = Versions { oldest: 2, newest: 3 };
        assert_eq!((1..=4).map(|version| versions.run(version)).collect::<Vec<_>>(), [false, true, true, false]);
        assert_eq!((versions.check(2), versions.check(3)), (Ok(()), Ok(())));
        assert!(versions.check(4).unwrap_err().contains("runs versions 2 to 3: install a newer release"));
        assert!(versions.check(1).unwrap_err().contains("install an older release"));
        assert!(Versions::OURS.run(FIRST_VERSION), "this release still starts networks");
    }
}
