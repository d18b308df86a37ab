//! Owned threads with big stacks: canister code runs on these and nowhere else.
//!
//! Wasm recursion must hit our metered depth and never the host's stack, whose size differs between engines. The same
//! hand-off serves production (an async caller awaits the answer) and the simulator (the caller blocks, so that the
//! order of events stays a function of the seed).

use std::{
    sync::{Mutex, mpsc},
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// Bytes of stack of one thread: reserved, not committed. Above what the deepest metered recursion uses on any engine.
pub const STACK_BYTES: usize = 512 << 20;

/// Jobs that wait for one pool; callers beyond it are told to come back.
const JOBS_MAX: usize = 1_024;

type Job = Box<dyn FnOnce() + Send>;

/// How callers wait for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The task yields until the answer is there.
    Async,
    /// The task blocks its thread: for the simulator.
    Blocking,
}

/// The pool takes no more jobs now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("all workers are busy and {JOBS_MAX} jobs wait: try again in a moment")]
pub struct Busy;

/// A fixed number of big-stack threads with one bounded queue.
pub struct Threads {
    jobs: Option<mpsc::SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
    waiting: Waiting,
}

impl Threads {
    /// Starts `count` threads named `name-<i>`.
    ///
    /// # Panics
    /// If the host cannot start a thread.
    pub fn start(name: &str, count: usize, waiting: Waiting) -> Self {
        let (jobs, queue) = mpsc::sync_channel::<Job>(JOBS_MAX);
        let queue = std::sync::Arc::new(Mutex::new(queue));
        let threads = (0..count)
            .map(|index| {
                let queue = queue.clone();
                std::thread::Builder::new()
                    .name(format!("{name}-{index}"))
                    .stack_size(STACK_BYTES)
                    .spawn(move || {
                        loop {
                            let job = queue.lock().expect("a worker died while taking a job").recv();
                            match job {
                                Ok(job) => job(),
                                Err(_) => return,
                            }
                        }
                    })
                    .expect("the host can start a thread")
            })
            .collect();
        Self { jobs: Some(jobs), threads, waiting }
    }

    /// Runs `work` on one of the threads and hands back its result.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full; nothing has run.
    ///
    /// # Panics
    /// If `work` panics: a failed invariant must not go unnoticed.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        match self.waiting {
            Waiting::Blocking => self.run_blocking(work),
            Waiting::Async => {
                let (answer, result) = oneshot::channel();
                self.enqueue(Box::new(move || {
                    let _ = answer.send(work());
                }))?;
                Ok(result.await.expect("the job did not panic"))
            }
        }
    }

    /// Runs `work` on one of the threads while the caller's thread waits.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full; nothing has run.
    ///
    /// # Panics
    /// If `work` panics.
    pub fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, result) = mpsc::sync_channel(1);
        self.enqueue(Box::new(move || {
            let _ = answer.send(work());
        }))?;
        Ok(result.recv().expect("the job did not panic"))
    }

    /// Runs `work` on one of the threads, and nobody waits for it unless callers block for all their jobs. Jobs that have
    /// begun end before the threads do.
    ///
    /// # Errors
    /// [`Busy`] if the queue is full; nothing has run.
    ///
    /// # Panics
    /// If callers block and `work` panics.
    pub fn begin(&self, work: impl FnOnce() + Send + 'static) -> Result<(), Busy> {
        match self.waiting {
            Waiting::Blocking => self.run_blocking(work),
            Waiting::Async => self.enqueue(Box::new(work)),
        }
    }

    fn enqueue(&self, job: Job) -> Result<(), Busy> {
        self.jobs.as_ref().expect("running").try_send(job).map_err(|_| Busy)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs.take();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(n: u64) -> u64 {
        let frame = std::hint::black_box([n; 64]);
        if n == 0 { 0 } else { 1 + depth(n - 1) + (frame[63] - n) }
    }

    #[test]
    fn a_job_may_recurse_far_deeper_than_a_default_stack_allows() {
        let threads = Threads::start("test", 1, Waiting::Blocking);
        assert_eq!(threads.run_blocking(|| depth(200_000)), Ok(200_000));
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test counts what it put in itself")]
    fn a_full_queue_says_busy_and_loses_nothing() {
        let threads = Threads::start("test", 1, Waiting::Blocking);
        let (release, gate) = mpsc::channel::<()>();
        threads.enqueue(Box::new(move || gate.recv().expect("released"))).expect("room");
        let mut accepted = 0;
        let (done, count) = mpsc::channel();
        loop {
            let done = done.clone();
            match threads.enqueue(Box::new(move || done.send(()).expect("counted"))) {
                Ok(()) => accepted += 1,
                Err(Busy) => break,
            }
        }
        release.send(()).expect("gate waits");
        drop(threads);
        drop(done);
        assert_eq!(count.iter().count(), accepted);
    }
}
