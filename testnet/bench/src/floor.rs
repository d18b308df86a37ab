//! What this machine can do at best, measured in the same minute: everything is shown as a ratio to one of these.

use crate::load::{Measured, Request, run};
use axum::{Router, routing::post};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use std::{
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

/// Repetitions of the cheap floors.
const REPETITIONS: usize = 2_000;
/// Repetitions of the disk floor.
const SYNCS: usize = 100;

/// An HTTP server that answers with what it gets.
///
/// # Errors
/// No port is free.
pub(crate) async fn echo_server() -> std::io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = Router::new().fallback(post(|body: bytes::Bytes| async { body }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

/// Echoes the same requests over the same client: what HTTP alone costs.
pub(crate) async fn echo(url: &str, requests: Vec<Request>, clients: usize, duration: Duration) -> Measured {
    run(&[url.to_owned()], requests, clients, duration, |_, _| Ok(())).await
}

/// Median time of appending 4 KiB and `fdatasync` in `dir`.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn disk_sync(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join("sync-floor");
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

/// Time of writing so many bytes to one file and syncing it.
///
/// # Errors
/// The disk does not take them.
pub(crate) fn disk_write(dir: &Path, bytes: u64) -> std::io::Result<Duration> {
    let (path, block) = (dir.join("write-floor"), vec![7; 1 << 20]);
    let began = Instant::now();
    let mut file = std::fs::File::create(&path)?;
    for _ in 0..bytes.div_ceil(block.len() as u64) {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let took = began.elapsed();
    std::fs::remove_file(path)?;
    Ok(took)
}

/// Median time of checking one ed25519 signature.
///
/// # Panics
/// If a signature that was just made does not verify.
pub(crate) fn signature_check() -> Duration {
    let key = SigningKey::from_bytes(&[3; 32]);
    let public: VerifyingKey = key.verifying_key();
    let message = [5; 64];
    let signature = key.sign(&message);
    let mut times = Vec::with_capacity(REPETITIONS);
    for _ in 0..REPETITIONS {
        let began = Instant::now();
        public.verify_strict(&message, &signature).expect("our own signature");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[REPETITIONS / 2]
}
