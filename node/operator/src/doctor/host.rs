//! The machine under a node: disk, clock, memory, open files.

use super::Finding;
use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

/// Bytes of free disk below which a node is in danger, and below which it is time to act.
const DISK_BAD_BYTES: u64 = 1 << 30;
const DISK_WARNING_BYTES: u64 = 10 << 30;
/// A sync that takes longer delays every block: each vote is synced before it is sent.
const SYNC_WARNING: Duration = Duration::from_millis(30);
const SYNCS: usize = 9;
/// Memory a node should have.
const MEMORY_WARNING_BYTES: u64 = 2 << 30;
/// Files that a node may need open: its connections and its own.
pub(crate) const FILES_WANTED: u64 = 16_384;

/// Space, and how long a sync takes.
pub(super) fn disk(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    match rustix::fs::statvfs(root) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let seen = format!("{:.1} GiB free", free as f64 / f64::from(1 << 30));
            let fix = "make room, or move the node's directory to a larger disk: a full disk stops the node";
            findings.push(match free {
                ..DISK_BAD_BYTES => Finding::bad("disk", seen, fix),
                DISK_BAD_BYTES..DISK_WARNING_BYTES => Finding::warning("disk", seen, fix),
                _ => Finding::good("disk", seen),
            });
            if disk.f_favail < 10_000 && disk.f_files > 0 {
                let seen = format!("{} inodes free", disk.f_favail);
                findings.push(Finding::bad("disk", seen, "remove small files from this file system"));
            }
        }
        Err(error) => findings.push(Finding::bad("disk", format!("cannot be asked: {error}"), "mount it")),
    }
    findings.push(match sync_time(root) {
        Ok(time) if time > SYNC_WARNING => Finding::warning(
            "disk",
            format!("a sync takes {time:.1?}"),
            "use a disk of its own, an SSD: every vote waits for a sync",
        ),
        Ok(time) => Finding::good("disk", format!("a sync takes {time:.1?}")),
        Err(error) => Finding::bad(
            "disk",
            format!("{} cannot be written to: {error}", root.display()),
            "give this user the directory (chown), or remount it for writing",
        ),
    });
    findings
}

/// The median of a few small synced writes.
fn sync_time(root: &Path) -> std::io::Result<Duration> {
    let path = root.join(format!(".doctor-{}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&path)?;
    let mut measure = || -> std::io::Result<Duration> {
        let began = Instant::now();
        file.write_all(&[0; 512])?;
        file.sync_data()?;
        Ok(began.elapsed())
    };
    let times: std::io::Result<Vec<Duration>> = (0..SYNCS).map(|_| measure()).collect();
    std::fs::remove_file(&path)?;
    let mut times = times?;
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

/// Whether something keeps the clock right. What other nodes think of it, only a running node knows.
pub(super) fn clock() -> Finding {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    // A battery that ran out shows as a date before this program was written.
    if now < Duration::from_secs(1_750_000_000) {
        return Finding::bad("clock", "is years behind", "set it, and run a time service (chrony, systemd-timesyncd)");
    }
    let is_served = Path::new("/run/systemd/timesync/synchronized").exists()
        || ["chronyd", "ntpd", "ntpd-rs", "openntpd", "systemd-timesyncd", "systemd-timesyn"]
            .iter()
            .any(|name| runs(name));
    if is_served {
        Finding::good("clock", "a time service runs")
    } else {
        Finding::warning(
            "clock",
            "no time service was found on this machine",
            "run one (chrony, systemd-timesyncd), unless the host below keeps the clock: a node whose clock is off cannot propose",
        )
    }
}

/// Whether a process of this name runs.
fn runs(name: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes
        .flatten()
        .any(|process| std::fs::read_to_string(process.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name))
}

/// Memory, cores and open files.
pub(super) fn resources() -> Vec<Finding> {
    let mut findings = Vec::new();
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    if let Some(bytes) = total.map(|kib| kib * 1024) {
        let seen = format!("{:.1} GiB of memory", bytes as f64 / f64::from(1 << 30));
        findings.push(if bytes < MEMORY_WARNING_BYTES {
            Finding::warning("host", seen, "give it 2 GiB at least: canisters' memories are kept there")
        } else {
            Finding::good("host", seen)
        });
    }
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    findings.push(match files {
        Some(most) if most < FILES_WANTED => Finding::warning(
            "host",
            format!("at most {most} open files"),
            format!(
                "raise the limit to {FILES_WANTED} (`LimitNOFILE=` of the service): each client's connection takes one"
            ),
        ),
        _ => Finding::good("host", "enough open files"),
    });
    findings
}
