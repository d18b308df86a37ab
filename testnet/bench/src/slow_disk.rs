//! A replica whose disk takes longer for every sync: its process is started with a library that waits before each, as long as a
//! file is there. The library is built on the spot; where there is no C compiler nothing is measured.

use anyhow::{Result, bail};
use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// How much longer a sync takes, milliseconds.
pub(crate) const SLOWER_MS: u64 = 200;
const SOURCE: &str = include_str!("slow_disk.c");
/// In a replica's directory: names the library that its process is to be started with.
const LIBRARY: &str = "slow-disk.library";
/// Is there as long as the disk is slow.
const FLAG: &str = "slow-disk.now";

/// Prepares a replica that does not run: when it is started the next time its disk can be slow. `false` if that cannot be built
/// here.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn prepare(node: &Path, directory: &Path) -> Result<bool> {
    let (source, library) = (directory.join("slow_disk.c"), directory.join("slow_disk.so"));
    std::fs::write(&source, SOURCE)?;
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    if !built.is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    std::fs::write(node.join(LIBRARY), library.as_os_str().as_encoded_bytes())?;
    Ok(true)
}

/// Makes the replica's disk slow, or as it was.
///
/// # Errors
/// A file cannot be written or removed.
pub(crate) fn switch(node: &Path, is_slow: bool) -> Result<()> {
    let flag = node.join(FLAG);
    if is_slow { std::fs::write(flag, "") } else { std::fs::remove_file(flag) }?;
    Ok(())
}

/// In a replica's process that was just started: goes on with the library, if one is named.
///
/// # Errors
/// The system refuses.
pub(crate) fn load(node: &Path) -> Result<()> {
    let Ok(library) = std::fs::read_to_string(node.join(LIBRARY)) else { return Ok(()) };
    if std::env::var_os("LD_PRELOAD").is_some() {
        return Ok(());
    }
    let error = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env("LD_PRELOAD", PathBuf::from(library))
        .env("SLOW_FLAG", node.join(FLAG))
        .env("SLOW_MS", SLOWER_MS.to_string())
        .exec();
    bail!("cannot go on with a slow disk: {error}")
}
