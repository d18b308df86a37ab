//! Proposes blocks with certificates that the subnet never signed, in blocks that are otherwise what they should be.

use super::{Tools, altered::Altered};
use mains_consensus::{Block, Certificate, Control};
use mains_types::Height;
use rand::{Rng as _, RngExt as _};

pub(super) fn alter(tools: &mut Tools, block: &Block) -> Option<Altered> {
    let mut altered = Altered::of(block);
    let root = tools.rng.random();
    let control = block.control();
    match control.certificate() {
        // Randomness comes from the signature alone: it stays what it has to be.
        Some(certificate) => {
            let other = Certificate { root, ..*certificate };
            altered.control = Control::new(Some(other)).with_seen(control.seen()).knowing(control.newest_version());
        }
        None => {
            let height = block.height().get().checked_sub(1).filter(|height| *height > block.certified().get())?;
            let mut signature = [0; 48];
            tools.rng.fill_bytes(&mut signature);
            altered.certify(Certificate { height: Height(height), root, signature });
        }
    }
    Some(altered)
}
