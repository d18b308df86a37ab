//! A certified version of the state: what queries run on and what certificates are cut from.

use mains_state::State;
use mains_types::{Digest32, Height, UnixNanos};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A certified version of the state.
pub struct View {
    /// The state after the block at [`View::height`].
    pub state: State,
    /// The root that the subnet signed.
    pub root: Digest32,
    /// The subnet's threshold signature over the root.
    pub signature: [u8; 48],
}

impl View {
    /// The height that is certified.
    pub fn height(&self) -> Height {
        self.state.height
    }

    /// The block time of that height.
    pub fn time(&self) -> UnixNanos {
        self.state.time
    }

    /// A certificate (CBOR, self-described) that reveals the subtrees at `paths`, `/time` and `/mains/height`.
    pub fn certificate(&self, paths: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut all = vec![vec![b"time".to_vec()], vec![b"mains".to_vec(), b"height".to_vec()]];
        all.extend_from_slice(paths);
        mains_wire::certificate(&self.state.tree().witness(&all), &self.signature)
    }
}

/// The newest certified version, and word of every newer one.
///
/// Waiters wake in the order in which they came. (tokio's watch channel wakes them in a random one, which would make
/// the simulator's runs differ.)
#[derive(Default)]
pub struct Views {
    newest: Mutex<Option<Arc<View>>>,
    changed: Notify,
}

impl Views {
    /// The newest certified version.
    pub fn newest(&self) -> Option<Arc<View>> {
        self.newest.lock().expect("no holder panics").clone()
    }

    /// Waits for a version above `height`; versions in between may be skipped.
    pub async fn above(&self, height: Height) -> Arc<View> {
        loop {
            let changed = self.changed.notified();
            if let Some(view) = self.newest().filter(|view| view.height() > height) {
                return view;
            }
            changed.await;
        }
    }

    /// Publishes a newer version.
    pub(crate) fn publish(&self, view: View) {
        *self.newest.lock().expect("no holder panics") = Some(Arc::new(view));
        self.changed.notify_waiters();
    }
}
