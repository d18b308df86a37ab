//! Processes of replicas: start, watch, end. A process id alone proves nothing: ids are reused.

use crate::{LocalError, files::ReplicaFile};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{
    ffi::OsString,
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long the system may take to show a fresh process's command line.
const SEEN: Duration = Duration::from_secs(1);

/// Makes the calling process the leader of its own session, so that it outlives the terminal and its Ctrl-C.
///
/// For the child's side of a spawn: doing it between fork and exec would take unsafe code.
pub fn own_session() {
    // It fails only for a process that leads a group, which is then out of the terminal's reach already.
    let _ = rustix::process::setsid();
}

/// How long a replica whose parent has gone may take to end in order.
const ORDERLY_END: Duration = Duration::from_secs(10);

/// How long a replica runs unless it is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// For ever.
    Own,
    /// As long as the process that started it, however that ends.
    Parent,
}

/// Makes the calling process end in order as soon as the one that started it is gone.
///
/// For the child's side of a spawn with a pipe as standard input: the pipe ends with the parent, whatever happens to it.
pub fn end_with_parent() {
    let watch = || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        terminate(std::process::id());
        std::thread::sleep(ORDERLY_END);
        std::process::exit(1);
    };
    std::thread::Builder::new().name("parent".into()).spawn(watch).expect("the host can start a thread");
}

/// Starts the replica in `replica.dir` by these words, the last of which is the `mains` binary; its output goes to its log.
pub(crate) fn spawn(words: &[OsString], replica: &ReplicaFile, lifetime: Lifetime) -> Result<Child, LocalError> {
    let log = replica.log();
    let file = OpenOptions::new().create(true).append(true).open(&log).map_err(LocalError::file("write", &log))?;
    let errors = file.try_clone().map_err(LocalError::file("write", &log))?;
    let (program, before) = words.split_first().expect("the binary at least");
    let mut child = Command::new(program)
        .args(before)
        .args(["node", "up", "--own-session"])
        .args((lifetime == Lifetime::Parent).then_some("--end-with-parent"))
        .arg("--dir")
        .arg(&replica.dir)
        .stdin(if lifetime == Lifetime::Parent { Stdio::piped() } else { Stdio::null() })
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(|source| LocalError::Spawn { binary: program.into(), source })?;
    wait_until_seen(&mut child, &replica.dir);
    Ok(child)
}

/// Waits until a fresh child's command line can be read: for a moment after its start it is empty, as if it had ended.
fn wait_until_seen(child: &mut Child, dir: &Path) {
    let began = Instant::now();
    while !is_alive(child.id(), dir) && matches!(child.try_wait(), Ok(None)) && began.elapsed() < SEEN {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether process `pid` lives and is a replica on `dir`.
pub(crate) fn is_alive(pid: u32, dir: &Path) -> bool {
    let Some(process) = pid_of(pid) else { return false };
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        // Empty as soon as a process gives its memory back; its files are still open and its directory locked.
        Ok(command) if command.is_empty() => is_ending(pid),
        Ok(command) => contains(&command, dir.as_os_str().as_encoded_bytes()),
        Err(_) if Path::new("/proc/self/cmdline").exists() => false,
        // Without /proc the id has to do.
        Err(_) => test_kill_process(process).is_ok(),
    }
}

/// Whether a process without a command line is still on its way out: files are closed when its last thread is gone. One
/// that only waits for its parent to notice has ended.
fn is_ending(pid: u32) -> bool {
    /// `PF_EXITING` of the kernel's `sched.h`.
    const EXITING: u64 = 0x4;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some((_, fields)) = stat.rsplit_once(')') else { return false };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let (state, flags) = (fields.first(), fields.get(6).and_then(|flags| flags.parse::<u64>().ok()));
    let threads_count = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    if state == Some(&"Z") { threads_count > 1 } else { flags.is_some_and(|flags| flags & EXITING != 0) }
}

/// Asks a process to end in order.
pub(crate) fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Ends a process at once, as a power cut would.
pub(crate) fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

/// Stops a process where it is, or lets it go on.
pub(crate) fn pause(pid: u32, is_paused: bool) {
    signal(pid, if is_paused { Signal::STOP } else { Signal::CONT });
}

fn signal(pid: u32, signal: Signal) {
    if let Some(process) = pid_of(pid) {
        // It may have ended just now.
        let _ = kill_process(process, signal);
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_id_is_not_taken_for_the_replica() {
        assert!(!is_alive(std::process::id(), Path::new("/nowhere/node-0")));
        assert!(!is_alive(0, Path::new("/")));
        assert!(!is_alive(u32::MAX, Path::new("/")));
    }

    #[test]
    fn a_process_is_seen_to_live_and_to_end() {
        let mark = "/tmp/mains-no-such-node";
        let mut child = Command::new("sh").args(["-c", "sleep 60; : $0", mark]).spawn().expect("a shell");
        wait_until_seen(&mut child, Path::new(mark));
        let alive = is_alive(child.id(), Path::new(mark));
        kill(child.id());
        child.wait().expect("it ended");
        assert!(alive);
        assert!(!is_alive(child.id(), Path::new(mark)));
    }
}
