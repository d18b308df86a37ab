//! Where whole states are kept across restarts. Implemented by the store (files) and by the simulator (memory).

use mains_types::{Digest32, Height};

/// Keeps whole states across restarts.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Keeps a state durably. A failure leaves the older checkpoints as they are and is reported by the implementation:
    /// the replica can go on without.
    fn save(&self, height: Height, root: Digest32, state: &[u8]);
    /// The newest intact checkpoint: height, root, encoded state.
    fn load_newest(&self) -> Option<(Height, Digest32, Vec<u8>)>;
}
