//! Compiles modules that will be asked for in some rounds, beside everything else: one at a time, on one thread.

use super::Modules;
use crate::stack::HOST_STACK_BYTES;
use mains_types::Digest32;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use serde_bytes::ByteBuf;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The thread. A compiler that runs on it does not spread over other processors, which canisters need.
pub(crate) struct Beside {
    pool: ThreadPool,
    is_busy: Arc<AtomicBool>,
}

impl Beside {
    /// # Errors
    /// The host cannot start a thread.
    pub(crate) fn new() -> Result<Self, ThreadPoolBuildError> {
        let builder = ThreadPoolBuilder::new().num_threads(1).stack_size(HOST_STACK_BYTES);
        let pool = builder.thread_name(|_| "mains-compile".into()).build()?;
        Ok(Self { pool, is_busy: Arc::default() })
    }

    /// Begins to compile this module, unless it is ready or another one is under way: then nothing is kept of the hint.
    pub(crate) fn hint(&self, modules: &Arc<Modules>, id: &Digest32, wasm: &Arc<ByteBuf>) {
        if modules.is_ready(id) || self.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (modules, wasm, is_busy) = (modules.clone(), wasm.clone(), self.is_busy.clone());
        // A panic here ends the process, as one in execution does.
        self.pool.spawn(move || {
            modules.installed(&wasm);
            is_busy.store(false, Ordering::Release);
        });
    }
}
